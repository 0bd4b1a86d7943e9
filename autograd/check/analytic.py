"""Whether the complex step applies: it needs real inputs, and ops that are analytic functions of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..graph import Observer, observe
from ..tensor import Tensor, value_of
from .slopes import central, complex_step
from .weighted import Weighted, random_like

__all__ = ["refuse_unless_analytic"]

_INSTEAD = 'use method="central"'


def refuse_unless_analytic(f: Weighted, labels: Sequence[str], rng: np.random.Generator) -> None:
    """Raises ValueError, naming the input or the op, where the complex step would measure something else.

    An op is found out where it refuses complex numbers or makes a real number of one (abs, real, norm). What is left
    (conj, a branch of one's own) shows in a slope that differs from the central difference along a random direction.
    """
    for i in f.inexact:
        if f.wide[i].dtype.kind == "c":
            raise ValueError(f"gradcheck: the complex step needs real inputs, but {labels[i]} is complex; {_INSTEAD}")
    direction = {i: random_like(rng, f.wide[i]) for i in f.inexact}
    with np.errstate(all="ignore"), observe(_Watch()):
        found = complex_step(f.along_complex(direction))
    expected = central(f.along(direction), 1e-5)
    if not abs(found - expected) <= 1e-4 * max(abs(expected), f.size):
        raise ValueError(f"gradcheck: the complex step gives {found:.6g}, a central difference {expected:.6g}, so f "
                         "is not analytic (conj, or a branch that looks at real parts?) or is at a kink; "
                         f"{_INSTEAD}")


class _Watch(Observer):
    def around_op(self, op: Any, args: tuple, params: dict, run: Callable[[], Any]) -> Any:
        try:
            result = run()
        except (TypeError, ValueError) as error:
            raise ValueError(f"gradcheck: the complex step does not apply: {op.name} does not take complex numbers "
                             f"({error}); {_INSTEAD}") from error
        parts = result if type(result) is tuple else (result,)
        if any(map(_is_complex, args)) and not any(_is_complex(part) or _is_whole(part) for part in parts):
            raise ValueError(f"gradcheck: the complex step does not apply: {op.name} makes a real number of a complex "
                             f"one, so it is not analytic; {_INSTEAD}")
        return result


def _is_complex(value: Any) -> bool:
    return type(value) in (Tensor, np.ndarray) and value_of(value).dtype.kind == "c"


def _is_whole(value: Any) -> bool:
    return np.asarray(value_of(value)).dtype.kind not in "fc"
