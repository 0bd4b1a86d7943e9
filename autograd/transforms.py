"""Functions of functions: from f, its gradient, its products with vectors, its matrices of derivatives.

All of them are written with `gradients` and nothing else of the engine. Arguments are Tensors, arrays or
numbers; Python numbers count as float64. Transforms nest: inside another transform, and for arguments
that require a gradient themselves, what they return is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from .backward import gradients
from .graph import Node, current_mode, recording
from .op import Op
from .ops.elementwise import astype
from .ops.shape import reshape, stack
from .tensor import Tensor, value_of

__all__ = ["checkpoint", "grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]

_inside: ContextVar[bool] = ContextVar("autograd_transform", default=False)


def value_and_grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., tuple[Tensor, Any]]:
    """The function that gives (f(*args), gradient by the argument `argnums`); a tuple of gradients for a tuple.

    f gives a single real number. Raises TypeError where f gives no Tensor or the argument is no floating
    or complex number, ValueError where f gives more than one number.

    >>> import autograd as ag
    >>> value, slope = ag.value_and_grad(lambda x: x**3)(2.0)
    >>> value.item(), slope.item()
    (8.0, 12.0)
    """

    def gradient(*args: Any, **kwargs: Any) -> tuple[Tensor, Any]:
        places = argnums if isinstance(argnums, tuple) else (argnums,)
        with _transform(args) as nested:
            given, leaves = _with_leaves("grad", args, places)
            y = _checked("grad", f(*given, **kwargs))
            found = _gradients(y, leaves, None, nested)
        y = y if nested else y.detach()
        return y, tuple(found) if isinstance(argnums, tuple) else found[0]

    return gradient


def grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The gradient of f as a function of the same arguments; see `value_and_grad`.

    >>> import autograd as ag
    >>> ag.grad(ag.grad(lambda x: x**3))(2.0).item()
    12.0
    """
    with_value = value_and_grad(f, argnums)
    return lambda *args, **kwargs: with_value(*args, **kwargs)[1]


def vjp(f: Callable[..., Any], *xs: Any) -> tuple[Any, Callable[..., tuple[Tensor, ...]]]:
    """(f(*xs), pullback): the pullback takes a cotangent of f's output to one gradient per x.

    f may give a tuple of Tensors; the pullback then takes as many cotangents. It may be called again.

    >>> import autograd as ag
    >>> y, pullback = ag.vjp(lambda x: x * [1.0, 2.0], ag.Tensor([3.0, 4.0]))
    >>> pullback([1.0, 1.0])[0]
    Tensor([1., 2.], dtype=float32)
    """
    with _transform(xs) as nested:
        args, leaves = _with_leaves("vjp", xs, range(len(xs)))
        y = f(*args)
    ys = [_checked("vjp", out) for out in _listed(y)]

    def pullback(*cotangents: Any) -> tuple[Tensor, ...]:
        if len(cotangents) != len(ys):
            raise ValueError(f"vjp: f gave {len(ys)} outputs, but the pullback got {len(cotangents)} cotangents")
        again = nested or any(map(_is_recorded, cotangents))
        return tuple(_gradients(ys, leaves, list(cotangents), again, retain_graph=True))

    if nested:
        return y, pullback
    plain = tuple(out.detach() for out in ys)
    return plain if isinstance(y, (tuple, list)) else plain[0], pullback


def jvp(f: Callable[..., Any], xs: Sequence[Any], tangents: Sequence[Any]) -> tuple[Tensor, Tensor]:
    """(f(*xs), the change of f when the xs change along the tangents): the Jacobian times a vector.

    The gradient of x -> <u, f(x)> is linear in u, and its own gradient by u, weighted with the tangents,
    is the product. (Townsend, "A new trick for calculating Jacobian vector products", 2017.)

    >>> import autograd as ag
    >>> y, dy = ag.jvp(lambda a, b: a * b, (2.0, 3.0), (1.0, 0.0))
    >>> dy.item()
    3.0
    """
    _check_lists("jvp", xs, tangents)
    with _transform((*xs, *tangents)) as nested:
        args, leaves = _with_leaves("jvp", tuple(xs), range(len(xs)))
        y = _checked("jvp", f(*args))
        u = Tensor(np.zeros(y.shape, y.dtype), requires_grad=True)
        linear = _gradients(y, leaves, u, create_graph=True)
        vs = [_tangent("jvp", x, v) for x, v in zip(leaves, tangents, strict=True)]
        dy = _gradients(linear, [u], vs, nested)[0]
    return (y if nested else y.detach()), dy


def hvp(f: Callable[..., Any], xs: Sequence[Any], tangents: Sequence[Any]) -> tuple[Tensor, ...]:
    """The Hessian of f at the xs times the tangents, one Tensor per x; the Hessian itself is never made.

    (Pearlmutter, "Fast exact multiplication by the Hessian", 1994.)

    >>> import autograd as ag
    >>> (v,) = ag.hvp(lambda x: (x**3).sum(), [ag.Tensor([1.0, 2.0])], [[1.0, 1.0]])
    >>> v
    Tensor([ 6., 12.], dtype=float32)
    """
    _check_lists("hvp", xs, tangents)
    with _transform((*xs, *tangents)) as nested:
        args, leaves = _with_leaves("hvp", tuple(xs), range(len(xs)))
        first = _gradients(_checked("hvp", f(*args)), leaves, None, create_graph=True)
        vs = [_tangent("hvp", x, v) for x, v in zip(leaves, tangents, strict=True)]
        return tuple(_gradients(first, leaves, vs, nested))


def jacobian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Tensor]:
    """The function that gives all derivatives of f's output by the argument `argnums`: out.shape + x.shape.

    One reverse pass per element of the output.

    >>> import autograd as ag
    >>> ag.jacobian(lambda x: x * x)(ag.Tensor([1.0, 2.0]))
    Tensor([[2., 0.],
            [0., 4.]], dtype=float32)
    """

    def matrix(*args: Any, **kwargs: Any) -> Tensor:
        with _transform(args) as nested:
            given, (x,) = _with_leaves("jacobian", args, (argnums,))
            y = _checked("jacobian", f(*given, **kwargs))
            if not y.size:
                return Tensor(np.zeros(y.shape + x.shape, x.dtype))
            rows: list[Tensor] = []
            for i in range(y.size):
                unit = np.zeros(y.shape, y.dtype)
                unit.flat[i] = 1
                rows += _gradients(y, [x], unit, nested, retain_graph=True)
            return reshape(stack(rows), y.shape + x.shape)  # (out.size, *x) -> (*out, *x)

    return matrix


def hessian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Tensor]:
    """The function that gives all second derivatives of a real f by the argument `argnums`: x.shape + x.shape.

    >>> import autograd as ag
    >>> ag.hessian(lambda x: x[0] ** 2 * x[1])(ag.Tensor([1.0, 2.0]))
    Tensor([[4., 2.],
            [2., 0.]], dtype=float32)
    """
    return jacobian(grad(f, argnums), argnums)


def checkpoint(f: Callable[..., Any], *xs: Any) -> Any:
    """f(*xs), but nothing inside f is kept for backward: it runs a second time there instead.

    Memory for the inputs of f only, at the price of one more forward. f must do the same both times (no
    random numbers, no change of parameters in between). Tensors that f uses besides its arguments, such
    as a module's parameters, get their gradients as well.

    Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016.

    >>> import autograd as ag
    >>> x = ag.Tensor(2.0, requires_grad=True)
    >>> ag.checkpoint(lambda x: ag.exp(x * x), x).backward()
    >>> abs(x.grad.item() / (4 * 2.718281828**4) - 1) < 1e-6
    True
    """
    if not current_mode().recording:
        return f(*xs)
    tensors = [x for x in xs if _is_inexact(x)]

    def on_tensors(*args: Tensor) -> Any:
        given = iter(args)
        return f(*(next(given) if _is_inexact(x) else x for x in xs))

    leaves = [_leaf(x) for x in tensors]
    y = on_tensors(*leaves)
    outs = [_checked("checkpoint", out) for out in _listed(y)]
    if not any(out.requires_grad for out in outs):
        return y
    outside = _other_leaves(outs, leaves)
    value = tuple(out.data for out in outs) if isinstance(y, (tuple, list)) else y.data
    n_outs = len(outs)
    del leaves, y, outs  # and with them all that was recorded inside f

    def pullback(create_graph: bool, *args: Tensor) -> tuple[Tensor, ...]:
        """(cotangents, inputs) -> gradients by the inputs and by what f uses besides."""
        gs, given = args[:n_outs], args[n_outs:]
        with recording():
            ys = _listed(on_tensors(*given))
            return tuple(gradients(ys, [*given, *outside], list(gs), create_graph, retain_graph=True))

    def rule(g: Any, inputs: tuple, wanted: tuple[bool, ...]) -> tuple:
        args = (*_listed(g), *inputs[: len(tensors)])
        if any(type(arg) is Tensor for arg in args):  # the same one order up, as another checkpoint
            found: Any = checkpoint(lambda *given: pullback(True, *given), *args)
        else:
            found = [part.data for part in pullback(False, *map(_leaf, args))]
        return tuple(part if is_wanted else None for part, is_wanted in zip(found, wanted, strict=True))

    op = _op_with_value(value).vjp(rule)
    del value
    out = op(*tensors, *outside)
    op.forget_plans()  # which would hold the op, and it all that the rule closes over, in a cycle
    return out


# ---------------------------------------------------------------------- what several of them need


@contextmanager
def _transform(args: Sequence[Any]) -> Iterator[bool]:
    """Records inside, and says whether the result must be recorded, too: whether it is inside another."""
    nested = _inside.get() or any(map(_is_recorded, args))
    token = _inside.set(True)
    try:
        with recording():
            yield nested
    finally:
        _inside.reset(token)


def _is_recorded(x: Any) -> bool:
    return type(x) is Tensor and x.requires_grad and current_mode().recording


def _with_leaves(name: str, args: Sequence[Any], places: Iterable[int]) -> tuple[list[Any], list[Tensor]]:
    """The arguments with those at `places` as Tensors of their own to differentiate by, and these."""
    filled = list(args)
    leaves = []
    for i in places:
        if not -len(filled) <= i < len(filled):
            raise ValueError(f"{name}: argument {i} does not exist; the function got {len(filled)} arguments")
        if not _is_inexact(filled[i]):
            raise TypeError(f"{name}: argument {i} is {_type_of(filled[i])}; a gradient needs floating or complex "
                            "numbers")
        # an argument that takes part in an outer gradient gets a node of its own, linked to that gradient
        leaf = astype(filled[i], filled[i].dtype) if _is_recorded(filled[i]) else _leaf(filled[i])
        filled[i] = leaf
        leaves.append(leaf)
    return filled, leaves


def _leaf(x: Any) -> Tensor:
    return Tensor(_number(value_of(x)), requires_grad=True)


def _number(x: Any) -> Any:
    """Python numbers, alone or in lists, count as float64 (complex128) here."""
    return x if hasattr(x, "dtype") else np.asarray(x)


def _is_inexact(x: Any) -> bool:
    return np.asarray(value_of(x)).dtype.kind in "fc"


def _type_of(x: Any) -> str:
    return str(x.dtype) if hasattr(x, "dtype") else type(x).__name__


def _check_lists(name: str, xs: Any, tangents: Any) -> None:
    for what, given in (("inputs", xs), ("tangents", tangents)):
        if not isinstance(given, (list, tuple)):
            raise TypeError(f"{name}: the {what} must be a list or tuple, got {type(given).__name__}; write (x,)")
    if len(xs) != len(tangents):
        raise ValueError(f"{name}: {len(xs)} inputs but {len(tangents)} tangents")


def _tangent(name: str, x: Tensor, v: Any) -> Any:
    if np.shape(value_of(v)) != x.shape:
        raise ValueError(f"{name}: a tangent has shape {np.shape(value_of(v))}, but its input {x.shape}")
    return v if type(v) is Tensor else Tensor(np.asarray(v, x.dtype))


def _checked(name: str, y: Any) -> Tensor:
    if type(y) is not Tensor:
        raise TypeError(f"{name}: the function must give a Tensor, it gave {type(y).__name__}; "
                        "write it with ops of autograd")
    return y


def _listed(y: Any) -> list[Any]:
    return list(y) if isinstance(y, (tuple, list)) else [y]


def _gradients(y: Any, xs: list[Tensor], g: Any, create_graph: bool, retain_graph: bool | None = None) -> list[Tensor]:
    """As `gradients`, but an output that depends on nothing has zero gradients: a constant is a function, too."""
    ys = y if isinstance(y, list) else [y]
    if any(out.requires_grad for out in ys):
        return gradients(y, xs, g, create_graph, retain_graph)
    return [Tensor(np.zeros(x.shape, x.dtype)) for x in xs]


def _other_leaves(outs: list[Tensor], leaves: list[Tensor]) -> list[Tensor]:
    """The living leaves that the outputs were made from, besides those given."""
    own = {leaf._node for leaf in leaves}
    seen: set[Node] = set()
    stack: list[Node] = [out._node for out in outs if out._node is not None]
    found: list[Tensor] = []
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        stack += [parent for parent in node.parents if parent is not None]
        tensor = node.tensor() if node.is_leaf and node not in own and node.tensor is not None else None
        if tensor is not None:
            found.append(tensor)
    return sorted(found, key=lambda tensor: tensor._node.order if tensor._node else 0)


def _op_with_value(value: Any) -> Op:
    """An op whose forward has been run already."""

    held = [value]

    def checkpoint(*inputs: Any) -> Any:
        return held.pop()  # the output lives as long as whoever holds it, not as long as the op

    return Op(checkpoint)
