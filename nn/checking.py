"""gradcheck of a whole model, by the names of its parameters."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

import autograd as ag
from autograd.check import Report
from autograd.tensor import value_of

from .module import Module, Place, places
from .randomness import rng

__all__ = ["gradcheck"]


def gradcheck(model: Module, loss: Callable[[Any, Any], Any], x: Any, t: Any, *, order: int = 1,
              method: str = "central", directions: int | None = None, max_elements: int = 20, seed: int = 0) -> Report:
    """`ag.gradcheck` of loss(model(x), t) by every trained parameter, and by x where it is floating.

    model  as it stands, in training or in eval mode; it is not changed, each call is made on a copy
    loss   takes the output of the model and t, gives a Tensor: `nn.functional.cross_entropy`
    x, t   one small batch
    order, method, directions, max_elements, seed   as in `ag.gradcheck`; of each parameter 20 elements are drawn and
           all of them are moved along two random directions

    Dropout draws the same masks in every call. Parameters in float32 are checked in float64, and their gradients in
    float32 against those. The report calls parameters by their names, and `report.by_op` tells the op to blame.

    Raises TypeError where model is no Module or loss gives no Tensor, ValueError where there is nothing to check.

    >>> import nn, numpy as np
    >>> model = nn.Sequential(nn.Dense(4, 3, rng=0), nn.Tanh(), nn.Dense(3, 2, rng=0))
    >>> report = nn.gradcheck(model, nn.functional.cross_entropy, np.ones((5, 4), np.float32), [0, 1, 1, 0, 1])
    >>> bool(report), report.comparisons[0].where
    (True, '0.weight (4, 3)')
    """
    if not isinstance(model, Module):
        raise TypeError(f"nn.gradcheck: model must be a Module, got {type(model).__name__}; for a function there is "
                        "ag.gradcheck")
    trained = {name: value_of(p) for name, p in model.named_parameters() if p.requires_grad}
    x, t = (np.asarray(value_of(value)) for value in (x, t))
    inputs = list(trained.values()) + ([x] if x.dtype.kind in "fc" else [])
    if not inputs:
        raise ValueError("nn.gradcheck: the model has no parameter that requires a gradient, and x is of whole "
                         "numbers, so there is nothing to check")

    def loss_of_model(*values: ag.Tensor) -> Any:
        kind = values[0].dtype
        copy = deepcopy(model)
        _put(copy, dict(zip(trained, values, strict=False)), kind)
        given = values[len(trained)] if len(values) > len(trained) else x
        with rng(seed):  # for layers without a generator of their own
            return loss(copy(given), t.astype(kind) if t.dtype.kind == "f" else t)

    loss_of_model.__name__ = type(model).__name__
    names = [*trained, "x"][: len(inputs)]
    return ag.gradcheck(loss_of_model, *inputs, order=order, method=method, directions=directions,
                        max_elements=max_elements, names=names, seed=seed)


def _put(model: Module, trained: dict[str, ag.Tensor], kind: np.dtype) -> None:
    """Puts other Tensors in the places of the trained parameters; all that is floating besides becomes of one dtype."""
    names: dict[int, str] = {}
    for place in list(places(model)):
        if isinstance(place.value, Module):
            continue
        name = names.setdefault(id(place.value), place.name)  # tied weights go by the name of their first place
        if name in trained:
            _set(place, trained[name])
        elif place.value.dtype.kind == "f":
            _set(place, place.value.astype(kind) if isinstance(place.value, np.ndarray)
                 else ag.Tensor(place.value.data.astype(kind)))


def _set(place: Place, value: Any) -> None:
    if isinstance(place.holder, Module):
        setattr(place.holder, place.key, value)
    elif isinstance(place.holder, tuple):
        raise ValueError(f"nn.gradcheck: {place.name} stands in a tuple, where nothing can be put in its place; hold "
                         "it in a list")
    else:
        place.holder[place.key] = value
