"""Products cut into stacks of small ones, as where BLAS needs no packing for them, whatever this machine has."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from autograd.kernels import conv, im2col, stacks, winograd

__all__ = ["cut_into_stacks", "forget_plans"]


def forget_plans() -> None:
    """Of what was cut in another way."""
    stacks.pieces.cache_clear()
    im2col._plan.cache_clear()
    winograd._plan.cache_clear()
    for function in (conv.conv2d_for, conv.conv2d_grads_for, conv.conv2d_input_grad_for, conv.conv2d_weight_grad_for):
        function.cache_clear()


@contextmanager
def cut_into_stacks(unpacked: int = stacks.UNPACKED, least: int = stacks._LEAST) -> Iterator[None]:
    """Products of more than `unpacked` multiplications are cut, into pieces of `least` rows and more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacks, "has_unpacked", lambda: True)
        patch.setattr(stacks, "UNPACKED", unpacked)
        patch.setattr(stacks, "_LEAST", least)
        forget_plans()
        try:
            yield
        finally:
            forget_plans()
