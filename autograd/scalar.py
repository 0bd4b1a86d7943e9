"""The whole idea of automatic differentiation, on Python floats. Read this file first.

Write a formula with Scalars and it is worked out as usual. On the side, each result remembers which
Scalars it was made from (its parents) and how fast it changes with each of them (its local derivatives,
plain numbers):

>>> x = Scalar(3.0)
>>> y = x * x + x
>>> y
Scalar(12.0, op='+')

That record is a graph, and `backward` walks it from the result back to the inputs. By the chain rule, what
a node passes to a parent is its own gradient times its local derivative; what arrives over several paths is
added:

>>> y.backward()
>>> x.grad  # dy/dx = 2 x + 1
7.0

The rest of the package does the same thing with arrays in the place of floats.
"""

from __future__ import annotations

import math
from numbers import Real

__all__ = ["Scalar"]


class Scalar:
    """A float that remembers how it was made, so that `backward` can tell what it depends on, and how much.

    `data` is the value and `grad` is None until `backward` has been here, then a float. Setting `data` (as a
    step of gradient descent does) changes no result that was worked out before. Pictures read `_parents`
    and `_op` too: a leaf, made from a number, has no parents and the empty label.

    `==` asks whether two Scalars are the same object, and `float(s)` leaves the graph. Raises TypeError for
    what is no real number; where Python's floats raise, so do Scalars.

    >>> a = Scalar(2.0)
    >>> b = a * a + a.relu()
    >>> b.backward()
    >>> b, a, a.grad
    (Scalar(6.0, op='+', grad=1.0), Scalar(2.0, grad=5.0), 5.0)
    """

    __slots__ = ("_local", "_op", "_parents", "data", "grad")
    __array_ufunc__ = None  # so `array * Scalar` is refused in __rmul__, and NumPy makes no object array

    def __init__(self, data: float) -> None:
        self.data = _number(data, "Scalar")
        self.grad: float | None = None
        self._op = ""
        self._parents: tuple[Scalar, ...] = ()
        self._local: tuple[float, ...] = ()  # d self / d parent, one for each parent

    # Arithmetic: the value, then the local derivative for each operand.

    def __add__(self, other: Scalar | float) -> Scalar:
        other = _operand(other, "+")
        return _node(self.data + other.data, "+", (self, other), (1.0, 1.0))

    def __sub__(self, other: Scalar | float) -> Scalar:
        other = _operand(other, "-")
        return _node(self.data - other.data, "-", (self, other), (1.0, -1.0))

    def __mul__(self, other: Scalar | float) -> Scalar:
        other = _operand(other, "*")
        return _node(self.data * other.data, "*", (self, other), (other.data, self.data))

    def __truediv__(self, other: Scalar | float) -> Scalar:
        other = _operand(other, "/")
        quotient = self.data / other.data
        return _node(quotient, "/", (self, other), (1.0 / other.data, -quotient / other.data))

    def __pow__(self, exponent: Scalar | float) -> Scalar:
        """self ** exponent. The derivative by a Scalar exponent: nan for a base < 0, 0 for a base of 0."""
        if isinstance(exponent, Scalar):
            power = _power(self.data, exponent.data)
            slopes = (_slope_by_base(self.data, exponent.data), _slope_by_exponent(self.data, power))
            return _node(power, "**", (self, exponent), slopes)
        n = _number(exponent, "Scalar **")
        return _node(_power(self.data, n), f"**{n:g}", (self,), (_slope_by_base(self.data, n),))

    def __neg__(self) -> Scalar:
        return _node(-self.data, "neg", (self,), (-1.0,))

    # A number on the left: `2 * x` is x.__rmul__(2).

    def __radd__(self, other: float) -> Scalar:
        return _operand(other, "+") + self

    def __rsub__(self, other: float) -> Scalar:
        return _operand(other, "-") - self

    def __rmul__(self, other: float) -> Scalar:
        return _operand(other, "*") * self

    def __rtruediv__(self, other: float) -> Scalar:
        return _operand(other, "/") / self

    def __rpow__(self, base: float) -> Scalar:
        return _operand(base, "**") ** self

    # Functions.

    def exp(self) -> Scalar:
        """e ** self. Raises OverflowError above about 709.78, where the result does not fit into a float."""
        e = math.exp(self.data)
        return _node(e, "exp", (self,), (e,))

    def log(self) -> Scalar:
        """The natural logarithm. Raises ValueError unless self > 0."""
        if self.data <= 0.0:
            raise ValueError(f"log: expected a number > 0, but got {self.data!r}")
        return _node(math.log(self.data), "log", (self,), (1.0 / self.data,))

    def tanh(self) -> Scalar:
        """The hyperbolic tangent: from -1 to 1."""
        t = math.tanh(self.data)
        return _node(t, "tanh", (self,), (1.0 - t * t,))

    def sigmoid(self) -> Scalar:
        """1 / (1 + exp(-self)): from 0 to 1, and without overflow at either end."""
        e = math.exp(-abs(self.data))
        s = 1.0 / (1.0 + e) if self.data >= 0.0 else e / (1.0 + e)
        return _node(s, "sigmoid", (self,), (s * (1.0 - s),))

    def relu(self) -> Scalar:
        """max(self, 0); its derivative at 0 is taken as 0."""
        return _node(max(self.data, 0.0), "relu", (self,), (1.0 if self.data > 0.0 else 0.0,))

    # The reverse pass.

    def backward(self) -> None:
        """Adds d self / d node to the `.grad` of every node that self was made from.

        A second call adds the same again: set `.grad = None` before a new step.

        >>> x = Scalar(-2.0)
        >>> y = x ** 2 * 3
        >>> y.backward(); y.backward()
        >>> x.grad  # 6 x, twice
        -24.0
        """
        order = _parents_first(self)
        grads = dict.fromkeys(order, 0.0)  # of this pass alone: what an earlier pass left must not flow on
        grads[self] = 1.0
        for node in reversed(order):  # so a node's gradient is whole before it is passed on
            grad = grads[node]
            node.grad = grad if node.grad is None else node.grad + grad
            if grad == 0.0:
                continue  # nothing to pass on; and 0 times an infinite derivative would be nan
            for parent, slope in zip(node._parents, node._local, strict=True):
                grads[parent] += grad * slope

    # What a number can do besides.

    def __float__(self) -> float:
        return self.data

    def __repr__(self) -> str:
        op = f", op={self._op!r}" if self._op else ""
        grad = "" if self.grad is None else f", grad={self.grad!r}"
        return f"Scalar({self.data!r}{op}{grad})"


def _parents_first(output: Scalar) -> list[Scalar]:
    """Every node that output was made from, each one after all of its parents: a topological sort.

    The textbook's depth-first search in post-order (Cormen et al., Introduction to Algorithms, "Topological
    sort"), with a stack of its own: Python's would end at a chain of a thousand nodes.
    """
    order: list[Scalar] = []
    seen: set[Scalar] = set()
    stack = [(output, False)]
    while stack:
        node, parents_are_done = stack.pop()
        if parents_are_done:
            order.append(node)
            continue
        if node in seen:
            continue
        seen.add(node)
        stack.append((node, True))  # comes up again when everything put on top of it is done
        stack.extend((parent, False) for parent in node._parents)
    return order


def _node(data: float, op: str, parents: tuple[Scalar, ...], local: tuple[float, ...]) -> Scalar:
    """The result of an op: a Scalar that remembers what it was made from."""
    node = Scalar(data)
    node._op, node._parents, node._local = op, parents, local
    return node


def _operand(other: Scalar | float, op: str) -> Scalar:
    """A number beside a Scalar joins the graph as a leaf."""
    return other if isinstance(other, Scalar) else Scalar(_number(other, f"Scalar {op}"))


def _number(value: float, where: str) -> float:
    if isinstance(value, (float, Real)):  # Real: ints, fractions, NumPy's numbers; float is the quick way
        return float(value)
    raise TypeError(
        f"{where}: expected a real number (an int or a float), but got a {type(value).__name__}; a Scalar "
        "does not mix with arrays or Tensors: take one number out of them first, or use Tensors throughout"
    )


def _power(base: float, exponent: float) -> float:
    power = base**exponent
    if isinstance(power, complex):
        raise ValueError(f"power: {base!r} ** {exponent!r} is not real; a base < 0 needs a whole exponent")
    return power


def _slope_by_base(base: float, exponent: float) -> float:
    """exponent * base ** (exponent - 1), with its limit where the base is 0."""
    if base == 0.0 and exponent < 1.0:
        return math.inf if exponent else 0.0  # as steep as the square root at 0, or constant
    return exponent * base ** (exponent - 1.0)


def _slope_by_exponent(base: float, power: float) -> float:
    """base ** exponent * log(base), but nan for a base < 0 (whole exponents only) and 0 for a base of 0."""
    if base < 0.0:
        return math.nan
    return power * math.log(base) if base > 0.0 else 0.0
