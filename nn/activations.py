"""Activations as layers: elementwise functions (Softmax: along an axis) of any shape -> the same shape."""

from __future__ import annotations

from typing import Any

from autograd.ops.elementwise import relu, sigmoid, tanh
from autograd.ops.softmax import softmax
from autograd.tensor import Tensor

from . import functional
from .checks import one_of
from .module import Module

__all__ = ["ACTIVATIONS", "ELU", "GELU", "LeakyReLU", "ReLU", "SiLU", "Sigmoid", "Softmax", "Tanh"]


class ReLU(Module):
    """max(x, 0).

    Glorot, Bordes and Bengio, "Deep Sparse Rectifier Neural Networks", 2011.

    >>> import nn, numpy as np
    >>> nn.ReLU()(np.array([-1.0, 2.0])).data.tolist()
    [0.0, 2.0]
    """

    def forward(self, x: Any) -> Tensor:
        return relu(x)


class LeakyReLU(Module):
    """x where it is positive, else negative_slope * x; see `functional.leaky_relu`.

    >>> import nn, numpy as np
    >>> nn.LeakyReLU(0.1)(np.array([-1.0, 2.0])).data.tolist()
    [-0.1, 2.0]
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Any) -> Tensor:
        return functional.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class ELU(Module):
    """x where it is positive, else alpha * (exp(x) - 1); see `functional.elu`.

    >>> import nn, numpy as np
    >>> nn.ELU()(np.array([-1.0, 2.0])).data.round(3).tolist()
    [-0.632, 2.0]
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Any) -> Tensor:
        return functional.elu(x, self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class GELU(Module):
    """x times the probability that a normal number is below x; see `functional.gelu`.

    >>> import nn, numpy as np
    >>> nn.GELU()(np.array([-1.0, 2.0])).data.round(3).tolist()
    [-0.159, 1.954]
    """

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = one_of("GELU", "approximate", approximate, "none", "tanh")

    def forward(self, x: Any) -> Tensor:
        return functional.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        return "" if self.approximate == "none" else f"approximate={self.approximate!r}"


class SiLU(Module):
    """x * sigmoid(x); see `functional.silu`.

    >>> import nn, numpy as np
    >>> nn.SiLU()(np.array([-1.0, 2.0])).data.round(3).tolist()
    [-0.269, 1.762]
    """

    def forward(self, x: Any) -> Tensor:
        return functional.silu(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x)).

    >>> import nn, numpy as np
    >>> nn.Sigmoid()(np.array([0.0, 2.0])).data.round(3).tolist()
    [0.5, 0.881]
    """

    def forward(self, x: Any) -> Tensor:
        return sigmoid(x)


class Tanh(Module):
    """The hyperbolic tangent.

    >>> import nn, numpy as np
    >>> nn.Tanh()(np.array([0.0, 2.0])).data.round(3).tolist()
    [0.0, 0.964]
    """

    def forward(self, x: Any) -> Tensor:
        return tanh(x)


class Softmax(Module):
    """exp(x) / sum(exp(x)) along an axis: logits -> probabilities.

    Not before `functional.cross_entropy`, which takes the logits themselves.

    >>> import nn, numpy as np
    >>> nn.Softmax()(np.array([[1.0, 1.0]])).data.tolist()
    [[0.5, 0.5]]
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Any) -> Tensor:
        return softmax(x, self.axis)

    def extra_repr(self) -> str:
        return f"axis={self.axis}"


# the names by which MLP knows them
ACTIVATIONS: dict[str, type[Module]] = {
    "relu": ReLU, "leaky_relu": LeakyReLU, "elu": ELU, "gelu": GELU, "silu": SiLU, "sigmoid": Sigmoid, "tanh": Tanh,
    "softmax": Softmax,
}
