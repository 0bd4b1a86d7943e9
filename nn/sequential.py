"""Sequential: layers one after another; MLP: dense layers with activations between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, count
from typing import Any

from .activations import ACTIVATIONS
from .checks import whole_number
from .dense import Dense
from .module import Module
from .randomness import Seed, generator

__all__ = ["MLP", "Sequential"]


class Sequential(Module):
    """Calls its layers in order, each on the result of the one before: modules, or plain functions like `ag.relu`.

    Layers are named by their number ("0.weight"); `model[0]` is a layer, `model[:3]` a Sequential of the same
    layers. Raises TypeError for a layer that cannot be called.

    >>> import nn, numpy as np
    >>> model = nn.Sequential(nn.Dense(784, 32), nn.ReLU(), nn.Dense(32, 10))
    >>> model
    Sequential(
      (0): Dense(784, 32)
      (1): ReLU()
      (2): Dense(32, 10)
    )
    >>> model(np.ones((5, 784), np.float32)).shape
    (5, 10)
    """

    def __init__(self, *layers: Callable[[Any], Any]) -> None:
        for i, layer in enumerate(layers):
            if not callable(layer) or isinstance(layer, type):
                what = f"the class {layer.__name__}" if isinstance(layer, type) else type(layer).__name__
                raise TypeError(f"{type(self).__name__}: layer {i} must be a module or a function, got {what}")
        self.layers = list(layers)

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.layers)

    def __getitem__(self, key: int | slice) -> Any:
        return Sequential(*self.layers[key]) if isinstance(key, slice) else self.layers[key]

    def _parts(self) -> Iterable[tuple[str, Any]]:
        """All layers, also functions and those that are there twice, then the modules that a subclass adds."""
        layers = [(str(i), layer) for i, layer in enumerate(self.layers)]
        return layers + [child for child in self.named_children() if not any(child[1] is one for one in self.layers)]

    def _members(self) -> Iterable[tuple[str, Any]]:
        """The layers by number ("0.weight", not "layers.0.weight"), then what a subclass adds."""
        numbered = zip(map(str, count()), self.layers, strict=False)
        return chain(numbered, (member for member in super()._members() if member[0] != "layers"))


class MLP(Sequential):
    """Dense layers with an activation after each: x (.., sizes[0]) -> (.., sizes[-1]).

    sizes        the lengths of the input, of each hidden layer and of the output
    activations  one per dense layer: a name ("relu", "tanh", ...), a module or function, or None for none;
                 left out, ReLU after all but the last
    bias, rng    as for Dense

    Raises ValueError for fewer than two sizes, another number of activations, or a name that is not known.

    >>> import nn
    >>> nn.MLP([4096, 256, 64, 10], activations=["relu", "relu", None])
    MLP(
      (0): Dense(4096, 256)
      (1): ReLU()
      (2): Dense(256, 64)
      (3): ReLU()
      (4): Dense(64, 10)
    )
    """

    def __init__(self, sizes: Sequence[int], activations: Sequence[str | Callable[[Any], Any] | None] | None = None,
                 bias: bool = True, rng: Seed = None) -> None:
        sizes = [whole_number("MLP", f"sizes[{i}]", size) for i, size in enumerate(sizes)]
        if len(sizes) < 2:
            raise ValueError(f"MLP: sizes must have at least two numbers, [inputs, ..., outputs], got {sizes}")
        n_dense = len(sizes) - 1
        if activations is None:
            activations = ["relu"] * (n_dense - 1) + [None]
        if isinstance(activations, str) or len(activations) != n_dense:
            raise ValueError(f"MLP: sizes {sizes} make {n_dense} dense layers, so activations must be a list of "
                             f"{n_dense}, one after each (None for none), got {activations!r}")
        draws = generator(rng)
        layers: list[Callable[[Any], Any]] = []
        for n_in, n_out, activation in zip(sizes[:-1], sizes[1:], activations, strict=True):
            layers.append(Dense(n_in, n_out, bias=bias, rng=draws))
            if activation is not None:
                layers.append(_activation(activation))
        super().__init__(*layers)


def _activation(wanted: str | Callable[[Any], Any]) -> Callable[[Any], Any]:
    if not isinstance(wanted, str):
        return wanted
    if wanted not in ACTIVATIONS:
        raise ValueError(f"MLP: the activation {wanted!r} is not known; use {', '.join(ACTIVATIONS)}, a function, "
                         "or None")
    return ACTIVATIONS[wanted]()
