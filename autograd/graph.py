"""The recorded graph: its nodes, and the mode in which ops record them.

A node stands for one value. It knows which nodes it was made from and which arrays its backward rules
need, and never holds a Tensor strongly: there are no reference cycles, so memory goes back as soon as
the last Tensor that leads to a node is gone.

The mode (is anything recorded, who watches, under which name) is one context variable, so that it holds
in this thread or task only and costs one look-up per op. This file knows no op and no Tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from dataclasses import dataclass
from itertools import count
from typing import Any

__all__ = ["Mode", "Node", "Observer", "current_mode", "enter", "leave", "make_node", "no_grad", "observe", "recording",
           "scope"]


class Observer:
    """Is called around each op, backward rule, reverse pass and optimizer's step; override what you need.

    `run()` does the work and gives its result; return that result, or another in its place. Look at arrays
    with NumPy: an op called here is observed as well.
    """

    def around_op(self, op: Any, args: tuple, params: dict, run: Callable[[], Any]) -> Any:
        """`run()` is `op(*args, **params)`: a Tensor, or an array where no argument is a Tensor."""
        return run()

    def around_rule(self, node: Node, index: int | None, g: Any, run: Callable[[], Any]) -> Any:
        """`run()` is what the rule of input `index` (None: the joint rule) of `node` makes of cotangent `g`."""
        return run()

    def around_pass(self, run: Callable[[], Any]) -> Any:
        """`run()` is a reverse pass, all its rules included: the gradients by node that were asked for."""
        return run()

    def around_step(self, name: str, n_bytes: int, run: Callable[[], None]) -> None:
        """`run()` is a step of the optimizer `name`, whose arrays, as read and as written, have `n_bytes` together."""
        run()


@dataclass(slots=True)
class Mode:
    """What ops look at when they are called; never changed, only replaced.

    A slot is read in half of the time that a NamedTuple's field takes, 0.05 us an op.
    """

    recording: bool = True
    observer: Observer | None = None
    scope: str = ""
    owner: Any = None  # what `enter` was given: whose code runs


_mode: ContextVar[Mode] = ContextVar("autograd_mode", default=Mode())  # noqa: B039 (nobody changes it)
current_mode = _mode.get

# One C call, so it is atomic: two threads never get the same number. Backward puts a leaf at the odd number before
# its consumer.
next_order = count(step=2).__next__


class Node:
    """One value in the graph.

    plan     what its op saved and which rules run (None for a leaf and for one output of several)
    parents  the nodes of the op's inputs, None where an input needs no gradient; () for a leaf
    params   the op's parameters by name
    saved    the values that the rules need; None once backward has freed them
    shape, dtype   of the value; tuples of them for an op with several outputs
    order    counts creations: a node is made after its inputs, so descending order is topological
    scope    the label under which it was recorded, "block1/conv"
    index    which output of the parent this is, where the parent's op has several; else None
    tensor   weak reference to the Tensor that receives `.grad` (leaves, retain_grad); else None
    hooks    functions that see the gradient, by registration, or None
    outputs  weak references to the output nodes, where the op has several
    kept     what `keep` put aside for pictures, or None
    """

    __slots__ = ("__dict__", "__weakref__", "dtype", "hooks", "order", "params", "parents", "plan", "saved", "scope",
                 "shape", "tensor")

    # what few nodes have, and no pass asks each node for, stands on the class until it is set: 0.2 us an op
    index: int | None = None
    outputs: list | None = None
    kept: Any = None

    plan: Any
    parents: tuple
    params: dict
    saved: tuple | None
    shape: Any
    dtype: Any
    scope: str
    order: int
    tensor: Any
    hooks: dict | None

    @property
    def op(self) -> Any:
        """The op that made this value; None for a leaf."""
        if self.index is not None:
            return self.parents[0].op
        return self.plan and self.plan.op

    @property
    def is_leaf(self) -> bool:
        """True where no op made the value: nothing stands before it."""
        return not self.parents

    def __repr__(self) -> str:
        made_by = self.op.name if self.op else "leaf"
        return f"<Node {made_by} {self.shape} {self.dtype}>"


def make_node(plan: Any, parents: tuple, params: dict, saved: tuple | None, shape: Any, dtype: Any,
              scope: str) -> Node:
    """A new node. (Not Node's `__init__`: a class without one makes objects in less time, and ops make many.)"""
    node = Node()
    node.plan = plan
    node.parents = parents
    node.params = params
    node.saved = saved
    node.shape = shape
    node.dtype = dtype
    node.scope = scope
    node.order = next_order()
    node.tensor = node.hooks = None
    return node


class _Within(ContextDecorator):
    """`with _Within(change):` has the mode that `change` makes of the one around it; a decorator, too.

    A class, since `contextmanager` takes three times as long.
    """

    def __init__(self, change: Callable[[Mode], Mode]) -> None:
        self._change = change
        self._token: Token | None = None

    def __enter__(self) -> None:
        if self._token is not None:
            raise RuntimeError("with: this no_grad, scope or observe is entered already, here or in another thread; "
                               "make one for each `with`, as in `with ag.no_grad():`")
        self._token = _mode.set(self._change(_mode.get()))

    def __exit__(self, *error: object) -> None:
        token, self._token = self._token, None
        if token is not None:
            _mode.reset(token)

    def _recreate_cm(self) -> _Within:  # for each call of a decorated function, which may run in several threads
        return _Within(self._change)


def no_grad() -> Any:
    """Nothing is recorded inside `with no_grad():`, in this thread or task only; also a decorator.

    (A generator that yields inside it switches recording off for its caller, too, until it goes on.)

    >>> import autograd as ag
    >>> w = ag.Tensor([1.0], requires_grad=True)
    >>> with ag.no_grad():
    ...     print((w * 2).requires_grad)
    False
    """
    return _Within(lambda mode: Mode(False, mode.observer, mode.scope, mode.owner))


def recording() -> Any:
    """Everything is recorded inside `with recording():`, even within `no_grad` (backward needs it)."""
    return _Within(lambda mode: Mode(True, mode.observer, mode.scope, mode.owner))


def scope(name: str) -> Any:
    """Labels the nodes recorded inside `with scope(name):`; scopes nest as "outer/inner".

    >>> import autograd as ag
    >>> x = ag.Tensor([1.0], requires_grad=True)
    >>> with ag.scope("encoder"), ag.scope("norm"):
    ...     y = x * 2
    >>> y.scope
    'encoder/norm'
    """
    return _Within(lambda mode: Mode(mode.recording, mode.observer, _inside(mode.scope, name), mode.owner))


def enter(name: str, owner: Any) -> Token[Mode]:
    """Begins a scope in which the code of `owner` runs, `current_mode().owner`, until `leave` gets what this returns.

    For modules, each call of which enters one where anything is recorded: a quarter of the time of `with scope(name):`.
    """
    mode = _mode.get()
    return _mode.set(Mode(mode.recording, mode.observer, _inside(mode.scope, name), owner))


leave = _mode.reset


def _inside(outer: str, name: str) -> str:
    return f"{outer}/{name}" if outer else name


class _Nested(Observer):
    """Two observers at once, one inside the other."""

    def __init__(self, outer: Observer, inner: Observer) -> None:
        self.outer = outer
        self.inner = inner

    def around_op(self, op: Any, args: tuple, params: dict, run: Callable[[], Any]) -> Any:
        return self.outer.around_op(op, args, params, lambda: self.inner.around_op(op, args, params, run))

    def around_rule(self, node: Node, index: int | None, g: Any, run: Callable[[], Any]) -> Any:
        return self.outer.around_rule(node, index, g, lambda: self.inner.around_rule(node, index, g, run))

    def around_pass(self, run: Callable[[], Any]) -> Any:
        return self.outer.around_pass(lambda: self.inner.around_pass(run))

    def around_step(self, name: str, n_bytes: int, run: Callable[[], None]) -> None:
        self.outer.around_step(name, n_bytes, lambda: self.inner.around_step(name, n_bytes, run))


def observe(observer: Observer) -> Any:
    """`observer` goes around all that happens inside `with observe(observer):`, see `Observer`; observers nest."""
    return _Within(lambda mode: Mode(
        mode.recording, observer if mode.observer is None else _Nested(mode.observer, observer), mode.scope, mode.owner
    ))
