"""keep(): values and gradients stay with the nodes of the graph, so that pictures can show them.

Backward frees what it no longer needs and gives `.grad` to leaves alone; inside `with keep():` each node
holds on to what passed through it. It costs the memory of every intermediate value and gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import Node, Observer, observe
from ..op import Op
from ..tensor import Tensor, value_of

__all__ = ["Kept", "keep"]


class Kept:
    """What was seen of one node: arrays, never Tensors, so that no reference cycle comes of it.

    value      the array that the op gave, a tuple of them where it has several outputs; None where the
               node was recorded before `keep`
    gradient   the cotangent that arrived in the latest backward pass, in the form of `value`; or None
    given      the op's inputs that no op made, by their position: constants, and leaves as they were then; one that was
               left out is missing
    """

    __slots__ = ("given", "gradient", "value")

    def __init__(self, value: Any = None, given: dict[int, np.ndarray] | None = None) -> None:
        self.value = value
        self.given = given
        self.gradient: Any = None


class _Keeper(Observer):
    def around_op(self, op: Op, args: tuple, params: dict, run: Callable[[], Any]) -> Any:
        out = run()
        parts = out if type(out) is tuple else (out,)
        nodes = {part._node: part.data for part in parts if type(part) is Tensor and part._node is not None}
        for node, value in nodes.items():
            node.kept = Kept(value)
        if nodes:  # the node of the op itself: that of its output, or the parent of those of its outputs
            node = next(iter(nodes))
            node = node if type(out) is Tensor else node.parents[0]
            whole = out.data if type(out) is Tensor else tuple(part.data for part in parts)
            node.kept = Kept(whole, _given(op, args, params))
        return out

    def around_rule(self, node: Node, index: int | None, g: Any, run: Callable[[], Any]) -> Any:
        if node.outputs is None:
            _put_gradient(node, value_of(g))
            return run()
        _put_gradient(node, tuple(map(value_of, g)))
        for output, part in zip(node.outputs, node.kept.gradient, strict=True):
            child = output and output()
            if child is not None:
                _put_gradient(child, part)
        return run()


def _given(op: Op, args: tuple, params: dict) -> dict[int, np.ndarray]:
    inputs, _ = op.bind(args, params)
    return {index: np.asarray(value_of(value)) for index, value in enumerate(inputs)
            if value is not None and (type(value) is not Tensor or value._node is None or value.is_leaf)}


def _put_gradient(node: Node, gradient: Any) -> None:
    if node.kept is None:
        node.kept = Kept()
    node.kept.gradient = gradient


def keep() -> Any:
    """Inside `with keep():` every node keeps its value and its gradient, for `draw` and `listing`.

    Values are kept of the ops recorded inside, gradients of the backward passes run inside (the latest
    pass counts); so put both the forward and the backward there to see both. A leaf is shown with the value that the
    graph was made from, whatever its Tensor holds by now, and with the Tensor's `.grad`. The kept arrays are the
    graph's own, not copies, and go with it.

    >>> import autograd as ag
    >>> from autograd.show import keep, listing
    >>> x = ag.Tensor(3.0, requires_grad=True)
    >>> with keep():
    ...     y = ag.square(x) * 2.0
    ...     y.backward()
    >>> print(listing(y, names={"x": x}))
    %0 = leaf x           () float32  value 3   gradient 12
    %1 = square(%0)       () float32  value 9   gradient 2
    %2 = multiply(%1, 2)  () float32  value 18  gradient 1
    """
    return observe(_Keeper())
