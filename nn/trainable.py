"""The parameters that an optimizer or a clipping is given, checked and with their names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from autograd import Tensor

__all__ = ["Params", "checked_params", "trained"]

Params: TypeAlias = Iterable[Tensor] | Iterable[tuple[str, Tensor]]  # with names, warnings and errors can name


def checked_params(where: str, params: Params) -> list[tuple[str, Tensor]]:
    """Pairs (name, parameter), each a real leaf Tensor and there once."""
    if isinstance(params, Tensor):
        raise TypeError(f"{where}: params must be a list of Tensors, got one Tensor; write [p]")
    if not isinstance(params, Iterable):
        raise TypeError(f"{where}: params must be a list of Tensors, got {type(params).__name__}; "
                        "give model.parameters()")
    pairs: Iterable[Any] = getattr(params, "named", params)
    named = [_pair(where, i, given) for i, given in enumerate(pairs)]
    if not named:
        raise ValueError(f"{where}: there are no parameters; does the model have layers with weights?")
    seen: dict[int, str] = {}
    for name, p in named:
        if id(p) in seen:
            raise ValueError(f"{where}: {name} is the same Tensor as {seen[id(p)]}; give each parameter once")
        seen[id(p)] = name
    return named


def _pair(where: str, index: int, given: Any) -> tuple[str, Tensor]:
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str):
        name, p = given
    else:
        name, p = f"parameter {index}", given
    if not isinstance(p, Tensor):
        raise TypeError(f"{where}: {name} must be a Tensor, got {type(p).__name__}; give model.parameters()")
    if p.dtype.kind == "c":
        raise TypeError(f"{where}: {name} is {p.dtype}, but only real parameters can be optimized; "
                        "keep its real and imaginary parts as two parameters")
    if p.dtype.kind != "f":
        raise TypeError(f"{where}: {name} is {p.dtype}, but parameters must be floats; use .astype(np.float32)")
    if not p.is_leaf:
        raise ValueError(f"{where}: {name} was made by an op, so a new value would be lost; give the leaf that it "
                         "was made from, or make it one with ag.Tensor(x.data, requires_grad=True)")
    return name, p


def trained(where: str, named: list[tuple[str, Tensor]]) -> list[tuple[str, Tensor]]:
    """Those that are not frozen; RuntimeError unless one of them has a gradient."""
    learning = [(name, p) for name, p in named if p.requires_grad]
    if not learning:
        raise RuntimeError(f"{where}: all {len(named)} parameters are frozen; set requires_grad = True on some")
    if all(p.grad is None for _, p in learning):
        raise RuntimeError(f"{where}: no parameter has a gradient; call loss.backward() first, and check that the loss "
                           f"is made with this model's parameters ({learning[0][0]}, ...)")
    return learning
