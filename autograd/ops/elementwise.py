"""Elementwise ops and their rules: arithmetic, exponentials, activations, selections.

All of them broadcast as NumPy does. Where a derivative can be infinite the rule ends in
`gated_multiply`, which lets no NaN back through a branch that was not taken (cotangent 0).

For complex numbers cotangents are linear: g pairs with a change dx as Re(g * dx), so a holomorphic
function has the rule that it has for reals.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import blocks
from ..kernels.erf import erf as _erf
from ..kernels.products import is_finite
from ..op import Op
from ..tensor import value_of

__all__ = [
    "abs", "add", "astype", "ceil", "clip", "conj", "cos", "divide", "erf", "exp", "expm1", "floor",
    "floor_divide", "gated_multiply", "imag", "log", "log1p", "maximum", "minimum", "mod", "multiply",
    "negative", "power", "real", "refuse_complex", "relu", "relu_grad", "round", "sigmoid", "sign", "sin",
    "softplus", "sqrt", "square", "subtract", "tan", "tanh", "where",
]


# ---------------------------------------------------------------------- arithmetic


@Op(broadcasts=True, scalars=True)
def add(x, y):
    """x + y, elementwise: x, y of shapes that broadcast -> their broadcast shape.

    >>> import autograd as ag
    >>> ag.add(ag.Tensor([1.0, 2.0]), 1.0)
    Tensor([2., 3.], dtype=float32)
    """
    return x + y


add.vjp(lambda g: g, lambda g: g)


@Op(broadcasts=True, scalars=True)
def subtract(x, y):
    """x - y, elementwise: x, y of shapes that broadcast -> their broadcast shape.

    >>> import autograd as ag
    >>> ag.subtract(ag.Tensor([3.0, 2.0]), 1.0)
    Tensor([2., 1.], dtype=float32)
    """
    return x - y


subtract.vjp(lambda g: g, lambda g: -g)


@Op(broadcasts=True, scalars=True)
def multiply(x, y):
    """x * y, elementwise: x, y of shapes that broadcast -> their broadcast shape.

    >>> import autograd as ag
    >>> ag.multiply(ag.Tensor([1.0, 2.0]), [3.0, 4.0])
    Tensor([3., 8.], dtype=float32)
    """
    return x * y


multiply.vjp(lambda g, y: g * y, lambda g, x: g * x)


@Op(broadcasts=True, scalars=True)
def gated_multiply(a, d):
    """a * d, but 0 wherever a is 0 and d is not finite (a plain product gives NaN there).

    A rule g * d with an infinite derivative d would turn the zero cotangent of a branch that was not
    taken into NaN, and so would a mask of what was taken with an infinite cotangent. The rules of this op
    are itself, so higher orders are gated too; a `where` on g would lose the mixed second derivatives.

    >>> import autograd as ag, numpy as np
    >>> with np.errstate(invalid="ignore"):
    ...     ag.gated_multiply(np.array([0.0, 2.0]), np.array([np.inf, 3.0]))
    array([0., 6.])
    """
    out = a * d
    if is_finite(np.asarray(out)):  # in one walk; where it says no by mistake the slow way is right as well
        return out
    return np.where(np.equal(a, 0) & ~np.isfinite(d), np.zeros_like(out), out)


gated_multiply.vjp(lambda g, d: gated_multiply(g, d), lambda g, a: gated_multiply(a, g))


@Op(broadcasts=True, scalars=True)
def divide(x, y):
    """x / y, elementwise: x, y of shapes that broadcast -> their broadcast shape.

    >>> import autograd as ag
    >>> ag.divide(ag.Tensor([1.0, 4.0]), 2.0)
    Tensor([0.5, 2. ], dtype=float32)
    """
    return x / y


def _inverse(y: Any) -> Any:
    try:
        return 1 / y
    except ZeroDivisionError:  # of Python's own 0; a Python number again, which changes no dtype
        return np.divide(1, y).item()


divide.vjp(lambda g, y: gated_multiply(g, _inverse(y)), lambda g, y, out: gated_multiply(-g, out / y))


@Op(broadcasts=True)
def power(x, y):
    """x ** y, elementwise: x, y of shapes that broadcast -> their broadcast shape.

    The derivative by y is taken as 0 where x is 0, and is NaN where x is negative (use an integer or
    constant exponent there).

    >>> import autograd as ag
    >>> ag.power(ag.Tensor([1.0, 2.0, 3.0]), 2)
    Tensor([1., 4., 9.], dtype=float32)
    """
    return np.power(x, y)


power.vjp(
    lambda g, x, y: gated_multiply(g, gated_multiply(y, power(x, y - 1))),
    lambda g, x, out: gated_multiply(g, gated_multiply(where(x == 0, 0, out), log(where(x == 0, 1, x)))),
)


@Op(scalars=True)
def negative(x):
    """-x, elementwise: any shape -> the same.

    >>> import autograd as ag
    >>> ag.negative(ag.Tensor([1.0, -2.0]))
    Tensor([-1.,  2.], dtype=float32)
    """
    return np.negative(x)


negative.vjp(lambda g: -g)


@Op(broadcasts=True)
def mod(x, y):
    """The remainder of x / y with the sign of y, elementwise, as Python's %.

    x, y of shapes that broadcast -> their broadcast shape. Raises TypeError for complex numbers.

    >>> import autograd as ag
    >>> ag.mod(ag.Tensor([5.0, -1.0]), 3.0)
    Tensor([2., 2.], dtype=float32)
    """
    return np.mod(x, y)


mod.vjp(lambda g: g, lambda g, x, y: gated_multiply(-g, floor_divide(x, y)))


@Op(broadcasts=True)
def floor_divide(x, y):
    """The floor of x / y, elementwise, as Python's //; its derivative is 0.

    x, y of shapes that broadcast -> their broadcast shape. Raises TypeError for complex numbers.

    >>> import autograd as ag
    >>> ag.floor_divide(ag.Tensor([5.0, -1.0]), 3.0)
    Tensor([ 1., -1.], dtype=float32)
    """
    return np.floor_divide(x, y)


floor_divide.vjp(lambda g: _zeros(g), lambda g: _zeros(g))


# ---------------------------------------------------------------------- roots, exponentials, logarithms


@Op
def abs(x):
    """|x|, elementwise: any shape -> the same, real. The derivative at 0 is 0.

    >>> import autograd as ag, numpy as np
    >>> ag.abs(np.array([-2.0, 3.0 + 4.0j]))
    array([2., 5.])
    """
    return np.abs(x)


abs.vjp(lambda g, x, out: g * gated_multiply(conj(x), 1 / out) if _is_complex(x) else g * sign(x))


@Op(scalars=True)
def sqrt(x):
    """The square root, elementwise: any shape -> the same.

    >>> import autograd as ag
    >>> ag.sqrt(ag.Tensor([4.0, 9.0]))
    Tensor([2., 3.], dtype=float32)
    """
    return np.sqrt(x)


sqrt.vjp(lambda g, out: gated_multiply(g, 0.5 / out))


@Op
def square(x):
    """x * x, elementwise: any shape -> the same.

    >>> import autograd as ag
    >>> ag.square(ag.Tensor([-2.0, 3.0]))
    Tensor([4., 9.], dtype=float32)
    """
    return np.square(x)


square.vjp(lambda g, x: gated_multiply(g, 2 * x))


@Op(scalars=True)
def exp(x):
    """e ** x, elementwise: any shape -> the same.

    >>> import autograd as ag
    >>> ag.exp(0.0).item()
    1.0
    """
    return np.exp(x)


exp.vjp(lambda g, out: gated_multiply(g, out))


@Op
def expm1(x):
    """e ** x - 1, elementwise, accurate near 0: any shape -> the same.

    >>> import autograd as ag
    >>> ag.expm1(1e-20).item()  # exp(1e-20) - 1 is 0.0
    1e-20
    """
    return np.expm1(x)


expm1.vjp(lambda g, x: gated_multiply(g, exp(x)))


@Op(scalars=True)
def log(x):
    """The natural logarithm, elementwise: any shape -> the same. -inf at 0, NaN for negative reals.

    >>> import autograd as ag, numpy as np
    >>> ag.log(np.array([1.0, np.e])).round(6)
    array([0., 1.])
    """
    return np.log(x)


log.vjp(lambda g, x: gated_multiply(g, 1 / x))


@Op
def log1p(x):
    """log(1 + x), elementwise, accurate near 0: any shape -> the same.

    >>> import autograd as ag
    >>> ag.log1p(1e-20).item()  # log(1 + 1e-20) is 0.0
    1e-20
    """
    return np.log1p(x)


log1p.vjp(lambda g, x: gated_multiply(g, 1 / (1 + x)))


# ---------------------------------------------------------------------- trigonometry and activations


@Op(scalars=True)
def sin(x):
    """The sine of x in radians, elementwise: any shape -> the same.

    >>> import autograd as ag, numpy as np
    >>> ag.sin(np.array([0.0, np.pi / 2]))
    array([0., 1.])
    """
    return np.sin(x)


sin.vjp(lambda g, x: g * cos(x))


@Op(scalars=True)
def cos(x):
    """The cosine of x in radians, elementwise: any shape -> the same.

    >>> import autograd as ag, numpy as np
    >>> ag.cos(np.array([0.0, np.pi]))
    array([ 1., -1.])
    """
    return np.cos(x)


cos.vjp(lambda g, x: -g * sin(x))


@Op
def tan(x):
    """The tangent of x in radians, elementwise: any shape -> the same.

    >>> import autograd as ag, numpy as np
    >>> ag.tan(np.pi / 4).round(6).item()
    1.0
    """
    return np.tan(x)


tan.vjp(lambda g, out: gated_multiply(g, 1 + out * out))


@Op(scalars=True)
def tanh(x):
    """The hyperbolic tangent, elementwise: any shape -> the same.

    >>> import autograd as ag
    >>> ag.tanh(ag.Tensor([-100.0, 0.0, 100.0]))
    Tensor([-1.,  0.,  1.], dtype=float32)
    """
    return np.tanh(x)


tanh.vjp(lambda g, out: g * (1 - out * out))


@Op
def sigmoid(x):
    """1 / (1 + exp(-x)), elementwise, without overflow: any shape -> the same.

    >>> import autograd as ag
    >>> ag.sigmoid(ag.Tensor([-1000.0, 0.0, 1000.0]))
    Tensor([0. , 0.5, 1. ], dtype=float32)
    """
    if np.iscomplexobj(x):
        return 1 / (1 + np.exp(np.negative(x)))
    small = np.exp(-np.abs(x))  # in (0, 1], so nothing overflows and the tail keeps its relative accuracy
    return np.where(np.greater_equal(x, 0), 1, small) / (1 + small)


sigmoid.vjp(lambda g, out: g * (out * (1 - out)))


@Op
def softplus(x):
    """log(1 + exp(x)), elementwise, without overflow: any shape -> the same. Real numbers only.

    >>> import autograd as ag
    >>> ag.softplus(ag.Tensor([-1000.0, 1000.0]))
    Tensor([   0., 1000.], dtype=float32)
    """
    return np.logaddexp(x, 0)


softplus.vjp(lambda g, x: g * sigmoid(x))


@Op
def relu(x):
    """max(x, 0), elementwise: any shape -> the same. The derivative at 0 is 0. Real numbers only.

    >>> import autograd as ag
    >>> ag.relu(ag.Tensor([-1.0, 2.0]))
    Tensor([0., 2.], dtype=float32)
    """
    x = np.asarray(x)
    if x.dtype.kind == "c":
        refuse_complex("relu", x)
    return blocks.relu(x)


@Op(broadcasts=True)
def relu_grad(dy, y):
    """dy where y > 0, else 0, also where dy is infinite or NaN: shapes that broadcast -> their broadcast shape.

    With y = relu(x) it is relu's rule. It is linear in dy, and no gradient flows into y.

    >>> relu_grad(np.array([5.0, np.inf]), np.array([2.0, 0.0]))
    array([5., 0.])
    """
    dy, y = np.asarray(dy), np.asarray(y)
    return blocks.relu_grad(*((dy, y) if dy.shape == y.shape else np.broadcast_arrays(dy, y)))


relu.vjp(lambda g, out: relu_grad(g, value_of(out)))
relu_grad.vjp(lambda g, y: relu_grad(g, y), None)


@Op
def erf(x):
    """The error function 2/sqrt(pi) * integral of exp(-t*t) from 0 to x, elementwise: any shape -> the same.

    Raises TypeError for complex numbers.

    >>> import autograd as ag, numpy as np
    >>> ag.erf(np.array([0.0, 0.5])).round(4)
    array([0.    , 0.5205])
    """
    return _erf(np.asarray(x))


erf.vjp(lambda g, x: g * (2 / np.pi**0.5 * exp(-x * x)))


# ---------------------------------------------------------------------- selections and steps


@Op(broadcasts=True)
def maximum(x, y):
    """The larger of x and y, elementwise; where they tie each gets half of the gradient.

    x, y of shapes that broadcast -> their broadcast shape. Raises TypeError for complex numbers.

    >>> import autograd as ag
    >>> ag.maximum(ag.Tensor([1.0, 5.0]), 3.0)
    Tensor([3., 5.], dtype=float32)
    """
    refuse_complex("maximum", x, y)
    return np.maximum(x, y)


maximum.vjp(
    lambda g, x, y: gated_multiply(_share(x > y, x == y, g), g),
    lambda g, x, y: gated_multiply(_share(y > x, x == y, g), g),
)


@Op(broadcasts=True)
def minimum(x, y):
    """The smaller of x and y, elementwise; where they tie each gets half of the gradient.

    x, y of shapes that broadcast -> their broadcast shape. Raises TypeError for complex numbers.

    >>> import autograd as ag
    >>> ag.minimum(ag.Tensor([1.0, 5.0]), 3.0)
    Tensor([1., 3.], dtype=float32)
    """
    refuse_complex("minimum", x, y)
    return np.minimum(x, y)


minimum.vjp(
    lambda g, x, y: gated_multiply(_share(x < y, x == y, g), g),
    lambda g, x, y: gated_multiply(_share(y < x, x == y, g), g),
)


@Op(broadcasts=True)
def clip(x, min=None, max=None):
    """x limited to [min, max], elementwise; a bound of None is no bound. Real numbers only.

    The derivative by x is 1 inside and at the bounds, 0 outside; a bound gets the gradient of what it cut.

    >>> import autograd as ag
    >>> ag.clip(ag.Tensor([-1.0, 0.5, 2.0]), 0.0, 1.0)
    Tensor([0. , 0.5, 1. ], dtype=float32)
    """
    refuse_complex("clip", x, min, max)
    return np.clip(x, min, max)


clip.vjp(
    lambda g, x, min, max: gated_multiply(_inside(x, min, max), g),
    lambda g, x, min, max: gated_multiply((x < min) & _at_most(min, max), g),
    lambda g, x, min, max: gated_multiply((x > max) | ~_at_most(min, max), g),
)


@Op(broadcasts=True)
def where(condition, x, y):
    """x where condition is true, y elsewhere; the three broadcast. No gradient flows into the condition.

    A NaN or infinity in the branch not taken does not come back through ops whose derivative can be infinite
    (log, sqrt, divide, power, exp, square, ...). What is computed from a NaN, such as tanh(log(x)) at x < 0, does.

    >>> import autograd as ag
    >>> ag.where([True, False], ag.Tensor([1.0, 2.0]), 0.0)
    Tensor([1., 0.], dtype=float32)
    """
    return np.where(condition, x, y)


where.vjp(None, lambda g, condition: where(condition, g, 0), lambda g, condition: where(condition, 0, g))


@Op
def sign(x):
    """-1, 0 or 1 by the sign of x, elementwise: any shape -> the same. Its derivative is 0. Real numbers only.

    >>> import autograd as ag
    >>> ag.sign(ag.Tensor([-2.0, 0.0, 5.0]))
    Tensor([-1.,  0.,  1.], dtype=float32)
    """
    refuse_complex("sign", x)
    return np.sign(x)


sign.vjp(lambda g: _zeros(g))


@Op
def floor(x):
    """The largest integer not above x, elementwise: any shape -> the same. Its derivative is 0.

    >>> import autograd as ag
    >>> ag.floor(ag.Tensor([-0.5, 1.5]))
    Tensor([-1.,  1.], dtype=float32)
    """
    return np.floor(x)


floor.vjp(lambda g: _zeros(g))


@Op
def ceil(x):
    """The smallest integer not below x, elementwise: any shape -> the same. Its derivative is 0.

    >>> import autograd as ag
    >>> ag.ceil(ag.Tensor([0.5, 1.5]))
    Tensor([1., 2.], dtype=float32)
    """
    return np.ceil(x)


ceil.vjp(lambda g: _zeros(g))


@Op
def round(x, decimals=0):
    """x rounded to a number of decimals, half to even, elementwise: any shape -> the same. Its derivative is 0.

    >>> import autograd as ag
    >>> ag.round(ag.Tensor([0.5, 1.5, 2.75]))
    Tensor([0., 2., 3.], dtype=float32)
    """
    return np.round(x, decimals)


round.vjp(lambda g: _zeros(g))


# ---------------------------------------------------------------------- number types


@Op
def astype(x, dtype):
    """x with another dtype; the gradient gets x's dtype back (the real part, from complex to real).

    >>> import autograd as ag
    >>> ag.Tensor([1.0]).astype("float64").dtype
    dtype('float64')
    """
    if np.iscomplexobj(x) and np.dtype(dtype).kind in "biuf":
        raise TypeError(f"astype: complex to {np.dtype(dtype)} would drop the imaginary part; use real(x) or abs(x)")
    return np.asarray(x).astype(dtype, copy=False)


astype.vjp(lambda g: g)  # casting back is what every edge does


@Op
def real(x):
    """The real part: any shape -> the same, real.

    >>> import autograd as ag, numpy as np
    >>> ag.real(np.array([1.0 + 2.0j]))
    array([1.])
    """
    return np.real(x)


real.vjp(lambda g: g)


@Op
def imag(x):
    """The imaginary part: any shape -> the same, real (zeros for real x).

    >>> import autograd as ag, numpy as np
    >>> ag.imag(np.array([1.0 + 2.0j]))
    array([2.])
    """
    return np.imag(x)


imag.vjp(lambda g: -1j * g)


@Op
def conj(x):
    """The complex conjugate: any shape -> the same; real x is returned as it is.

    >>> import autograd as ag, numpy as np
    >>> ag.conj(np.array([1.0 + 2.0j]))
    array([1.-2.j])
    """
    return np.conj(x) if np.iscomplexobj(x) else np.asarray(x)


conj.vjp(lambda g: conj(g))


# ---------------------------------------------------------------------- what several rules need


def refuse_complex(op: str, *xs: Any) -> None:
    """TypeError where one of the arrays is complex: complex numbers have no order."""
    for x in xs:
        if np.asarray(x).dtype.kind == "c":
            raise TypeError(f"{op}: it is defined for real numbers only, but an argument is complex; use real(x) or "
                            "abs(x)")


def _is_complex(x: Any) -> bool:
    return np.iscomplexobj(value_of(x))


def _zeros(g: Any) -> np.ndarray:
    return np.zeros(g.shape, g.dtype)


def _share(wins: Any, ties: Any, g: Any) -> Any:
    """1 where x wins, 1/2 where the two tie, in the dtype of g."""
    return (wins + 0.5 * ties).astype(g.dtype)


def _inside(x: Any, low: Any, high: Any) -> Any:
    above = True if low is None else x >= low
    return above & _at_most(x, high) & _at_most(low, high)


def _at_most(x: Any, high: Any) -> Any:
    """x <= high, where None is no bound; never a plain bool, so that ~ works."""
    return np.True_ if x is None or high is None else np.less_equal(value_of(x), value_of(high))
