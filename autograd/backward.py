"""The reverse pass: gradients of one output, by the chain rule, over the recorded graph.

A node is made after its inputs, so going through the nodes in descending order of creation meets every
node after all that were made from it: a topological order without a search (`Scalar.backward` shows the
textbook search in the open, and a test compares the two). When a node is met its gradient is complete;
its rules turn it into contributions to its parents' gradients, which are added up.

At first order all gradients are raw arrays. With `create_graph=True` the same rules get Tensors, so the
gradients are recorded and can be differentiated again.

If a rule or a hook raises, the `.grad`s delivered before stay delivered.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .graph import Node, Observer, current_mode, no_grad, recording
from .op import PlannedRule
from .ops.elementwise import add, astype, real
from .ops.shape import sum_to
from .tensor import SCALAR_DTYPES, Tensor, as_array, wrap

__all__ = ["backward", "fit", "gradients", "seed_of"]

_ndarray = np.ndarray
_scalar_dtype = SCALAR_DTYPES.get


def backward(y: Any, g: Any = None, create_graph: bool = False, retain_graph: bool | None = None) -> None:
    """`y.backward()`: adds dy/dx to `x.grad` of every leaf `x` that `y` was made from; frees what was saved for it.

    g             cotangent of y's shape; may be left out where y has one element
    create_graph  record the gradients too, so that they can be differentiated
    retain_graph  keep the saved values for another backward (default: as create_graph)

    Raises RuntimeError where y requires no gradient or its graph was freed, ValueError where g is missing
    or of another shape.

    >>> import autograd as ag
    >>> x = ag.Tensor(3.0, requires_grad=True)
    >>> (x * x).backward(); x.grad.item()
    6.0
    """
    _run_pass([y], [g], create_graph, retain_graph, None, current_mode().observer)


def gradients(y: Any, xs: Sequence[Tensor], g: Any = None, create_graph: bool = False,
              retain_graph: bool | None = None) -> list[Tensor]:
    """The gradients dy/dx for each x in xs, a list of Tensors; leaves every `.grad` alone.

    Arguments as for `backward`; y may also be a list of Tensors, g then a list of as many cotangents, and
    the gradients of all of them are added up in one pass. An x that y does not depend on gets zeros.

    Raises as `backward` does, and RuntimeError where an x does not require a gradient.

    >>> import autograd as ag
    >>> x = ag.Tensor(3.0, requires_grad=True)
    >>> (dx,) = ag.gradients(x**3, [x], create_graph=True)
    >>> (ddx,) = ag.gradients(dx, [x]); dx.item(), ddx.item()
    (27.0, 18.0)
    """
    if not isinstance(xs, (list, tuple)):
        raise TypeError(f"gradients: xs must be a list of Tensors, got {type(xs).__name__}; write [x]")
    if not isinstance(y, (Tensor, list, tuple)):
        raise TypeError(f"gradients: y must be a Tensor or a list of Tensors, got {type(y).__name__}")
    targets = [_target(x, i) for i, x in enumerate(xs)]
    ys, gs = ([y], [g]) if type(y) is Tensor else (list(y), [None] * len(y) if g is None else list(g))
    if len(ys) != len(gs):
        raise ValueError(f"gradients: {len(ys)} outputs but {len(gs)} cotangents")
    found = _run_pass(ys, gs, create_graph, retain_graph, set(targets), current_mode().observer)
    results: list[Tensor] = []
    given: set[Node] = set()
    for node in targets:
        if node not in found:
            results.append(wrap(np.zeros(node.shape, node.dtype), None))
        elif node in given:  # asked for twice: no two results share memory
            results.append(wrap(found[node].data.copy(), found[node]._node))
        else:
            results.append(found[node])
        given.add(node)
    return results


def _run_pass(ys: list, gs: list, create_graph: bool, retain_graph: bool | None, targets: set[Node] | None,
              observer: Observer | None) -> dict[Node, Tensor]:
    """One reverse pass from begin to end, with the observer around it."""
    if observer is not None:
        return observer.around_pass(lambda: _run_pass(ys, gs, create_graph, retain_graph, targets, None))
    with _first_or_higher_order(create_graph):
        return _Pass(ys, gs, create_graph, retain_graph).run(targets)


@contextmanager
def _first_or_higher_order(create_graph: bool) -> Iterator[None]:
    """Rules may divide by zero and mend it; they are recorded for higher orders only."""
    with np.errstate(all="ignore"), recording() if create_graph else no_grad():
        yield


def _target(x: Any, i: int) -> Node:
    if type(x) is Tensor and x._node is not None:
        return x._node
    raise RuntimeError(f"gradients: xs[{i}] does not require a gradient; make it with requires_grad=True "
                       "before y is computed")


class _Pass:
    """One reverse pass, from one output or several."""

    def __init__(self, ys: list, gs: list, create_graph: bool, retain_graph: bool | None) -> None:
        self.create_graph = create_graph
        self.retain = create_graph if retain_graph is None else retain_graph
        self.grads: dict[Node, Any] = {}
        self.own: set[Node] = set()  # nodes whose gradient is an array made here, which may be added to in place
        self.roots: list[Node] = []
        for y, g in zip(ys, gs, strict=True):
            if type(y) is not Tensor:
                raise TypeError(f"backward: expected a Tensor, got {type(y).__name__}")
            if y._node is None:
                continue
            seed = seed_of(y, g)
            self.roots.append(y._node)
            self._add(y._node, seed if create_graph else seed.data)
        if not self.roots:
            raise RuntimeError("backward: this Tensor does not require a gradient: nothing that it was made from "
                               "does, or it was made under no_grad")

    def run(self, targets: set[Node] | None) -> dict[Node, Tensor]:
        """Goes through the graph; delivers to `.grad`s, or (with targets) returns their gradients."""
        nodes = _in_reverse(self.roots)
        needed: set[Node] | None = None
        last: set[Node] = set()  # targets before which nothing is wanted: their rules do not run
        if targets is not None:
            needed = _leading_to(targets, nodes)
            nodes = [node for node in nodes if node in needed]
            last = {node for node in targets if not any(parent in needed for parent in node.parents)}
        freed = [node for node in nodes if node.saved is None and node not in last]
        if freed:
            raise _freed(freed[0])
        found: dict[Node, Tensor] = {}
        observer = current_mode().observer
        take, pull, retain = self.grads.pop, self._pull, self.retain
        for node in nodes:
            g = take(node, None)
            if g is not None and (targets is not None or node.tensor is not None or node.hooks):
                g = self._finish(node, g, targets, found)
            if not node.parents or (last and node in last):
                continue
            if g is not None:
                pull(node, g, needed, observer)
            if not retain:
                node.saved = None
        return found

    def _finish(self, node: Node, g: Any, targets: set[Node] | None, found: dict[Node, Tensor]) -> Any:
        """The gradient of a node is complete: hooks see it, and whoever waits for it gets it."""
        if node.hooks:
            g = self._run_hooks(node, g)
        if targets is not None:
            if node in targets:
                found[node] = self._deliverable(node, g)
        elif node.tensor is not None:
            tensor = node.tensor()
            if tensor is not None and tensor._node is node:
                tensor._add_grad(self._deliverable(node, g), add)
        return g

    def _deliverable(self, node: Node, g: Any) -> Tensor:
        """A gradient that nothing else shares: contiguous, writable, of its own memory."""
        if self.create_graph:
            return wrap(np.array(g.data, order="C"), g._node)
        if node in self.own and node.is_leaf:
            return wrap(np.ascontiguousarray(g).reshape(node.shape), None)
        return wrap(np.array(g, order="C"), None)

    def _run_hooks(self, node: Node, g: Any) -> Any:
        self.own.discard(node)  # a hook may keep what it is shown
        for hook in list((node.hooks or {}).values()):
            changed = hook(g if self.create_graph else wrap(np.asarray(g), None))
            if changed is None:
                continue
            changed = changed if type(changed) is Tensor else wrap(_numbers(changed, node), None)
            if changed.shape != node.shape or changed.dtype != node.dtype:
                raise ValueError(f"register_hook: the hook returned {changed.shape} {changed.dtype} for a gradient "
                                 f"{node.shape} {node.dtype}")
            g = changed if self.create_graph else changed.data
        return g

    def _pull(self, node: Node, g: Any, needed: set[Node] | None, observer: Observer | None) -> None:
        """Runs the rules of one node and adds what they give to the parents' gradients."""
        plan, parents, grads = node.plan, node.parents, self.grads
        if plan is None:  # one output of several: collected until the op's own node is met
            parts = grads.setdefault(parents[0], [None] * len(parents[0].shape))
            old = parts[node.index]  # not None where two threads have made the node of one output anew
            parts[node.index] = g if old is None else self._sum(old, g)
            return
        if node.saved is None:  # a hook or rule has sent another pass through this graph meanwhile
            raise _freed(node)
        if type(g) is list:
            g = self._all_outputs(node, g)
        create_graph = self.create_graph
        saved = plan.saved_tensors(node) if create_graph else node.saved
        for planned in plan.rules:
            index, rule, apply = planned.input_index, planned.rule, planned.apply
            if index is None:
                self._pull_jointly(node, g, planned, saved, needed, observer)
                continue
            parent = parents[index]
            if needed is not None and parent not in needed:
                continue
            if observer is None:
                try:
                    part = apply(g, saved) if saved else rule(g)
                except Exception as error:
                    _explain(error, node, index)
                    raise
            else:
                part = _run(rule, node, index, g, planned.pick(saved), observer)
            if type(part) is _ndarray:
                is_number, fits = False, part.shape == parent.shape and part.dtype is parent.dtype
            else:
                is_number = fits = parent.dtype is _scalar_dtype(type(part)) and not parent.shape
            if create_graph or not fits:
                part = fit(part, node, index, create_graph)
            old = grads.get(parent)
            if old is None:
                grads[parent] = part  # as it is: it may be a view, so it is never written to
            elif is_number:  # the sum is new in any case
                grads[parent] = old + part
            elif parent in self.own:
                old += part
                grads[parent] = old  # where it is a NumPy scalar, another one
            else:
                self._sum_up(old, parent, part)

    def _pull_jointly(self, node: Node, g: Any, planned: PlannedRule, saved: tuple, needed: set[Node] | None,
                      observer: Observer | None) -> None:
        wanted = tuple([p is not None and (needed is None or p in needed) for p in node.parents])
        given = _run(functools.partial(planned.rule, wanted=wanted), node, None, g, planned.pick(saved), observer)
        if not isinstance(given, (tuple, list)) or len(given) != len(wanted):
            what = f"{len(given)} gradients" if isinstance(given, (tuple, list)) else type(given).__name__
            raise RuntimeError(f"{node.op.name}: its joint rule gave {what}; expected a tuple of {len(wanted)}, one "
                               "gradient per input")
        for index, parent in enumerate(node.parents):
            if not wanted[index]:
                continue
            part = given[index]
            # as in `_pull`, not by a function, which each edge would call
            fits = type(part) is _ndarray and part.shape == parent.shape and part.dtype is parent.dtype
            if self.create_graph or not fits:
                part = fit(part, node, index, self.create_graph)
            self._add(parent, part)

    def _all_outputs(self, node: Node, gs: list) -> tuple:
        """The cotangents of all outputs, zeros for those that nothing was made from."""
        filled = [np.zeros(shape, dtype) if g is None else g
                  for g, shape, dtype in zip(gs, node.shape, node.dtype, strict=True)]
        return tuple(g if type(g) is Tensor else wrap(g, None) for g in filled) if self.create_graph else tuple(filled)

    def _add(self, node: Node, g: Any) -> None:
        """Adds one contribution. The first is kept as it is: it may be a view, so it is never written to."""
        old = self.grads.get(node)
        if old is None:
            self.grads[node] = g
        elif node in self.own:
            old += g
            self.grads[node] = old
        else:
            self._sum_up(old, node, g)

    def _sum_up(self, old: Any, node: Node, g: Any) -> None:
        """The second contribution, to one that may be shared: the sum is an array of this pass's own."""
        self.grads[node] = self._sum(old, g)
        if not self.create_graph:
            self.own.add(node)

    def _sum(self, old: Any, g: Any) -> Any:
        return add(old, g) if self.create_graph else old + g


def fit(g: Any, node: Node, index: int, create_graph: bool = False) -> Any:
    """Undoes broadcasting and casting on one edge: gives what a rule returned the shape and dtype of input `index`."""
    parent = node.parents[index]
    if g is None or (type(g) is Tensor and not create_graph):
        what = "nothing" if g is None else "a Tensor, so it uses something besides its named values"
        raise RuntimeError(f"{_rule(node, index)} gave {what}; a rule is a function of g and the op's named values")
    if create_graph:
        g = g if type(g) is Tensor else wrap(_numbers(g, parent), None)
    elif not hasattr(g, "dtype"):
        g = _numbers(g, parent)
    if g.shape != parent.shape:
        if not node.op.broadcasts or not _broadcasts(parent.shape, g.shape):
            raise RuntimeError(f"{_rule(node, index)} gave a gradient of shape {g.shape}, expected {parent.shape}; "
                               "correct the rule, or declare Op(broadcasts=True) if the op broadcasts its inputs")
        g = sum_to(g, parent.shape)
    if g.dtype is not parent.dtype and g.dtype != parent.dtype:
        if g.dtype.kind == "c" and parent.dtype.kind != "c":
            g = real(g)
        g = astype(g, parent.dtype)
    return g


def _run(rule: Callable, node: Node, index: int | None, g: Any, values: tuple, observer: Observer | None) -> Any:
    """What a rule gives, with the observer around it; an error in it says whose rule it was."""
    if observer is not None:
        return observer.around_rule(node, index, g, lambda: _run(rule, node, index, g, values, None))
    try:
        return rule(g, *values)
    except Exception as error:
        _explain(error, node, index)
        raise


def _explain(error: Exception, node: Node, index: int | None) -> None:
    what = "joint rule" if index is None else f"rule for {node.op.input_name(index)!r}"
    error.add_note(f"in the backward {what} of {node.op.name}" + (f", scope {node.scope!r}" if node.scope else ""))


def _numbers(g: Any, like: Any) -> np.ndarray:
    """A gradient as an array: Python numbers and lists get the dtype of what they belong to, and lose no digits."""
    array = as_array(g)
    return array if hasattr(g, "dtype") or array.dtype.kind == "c" else as_array(g, like.dtype)


def _rule(node: Node, index: int) -> str:
    return f"{node.op.name}: its backward rule for {node.op.input_name(index)!r}"


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    pairs = zip(reversed(shape), reversed(to), strict=False)
    return len(shape) <= len(to) and all(n in (1, m) for n, m in pairs)


def seed_of(y: Tensor, g: Any) -> Tensor:
    """The cotangent to start from: ones for a single real number, else what is given, checked."""
    if g is None:
        if y.size != 1:
            raise ValueError(f"backward: y has shape {y.shape}; give the cotangent g of that shape, or make a single "
                             "number of y first, e.g. with y.sum()")
        if y.dtype.kind == "c":
            raise ValueError("backward: y is complex; give the cotangent g, or make y real first, e.g. with abs(y)")
        return wrap(np.ones(y.shape, y.dtype), None)
    g = g if type(g) is Tensor else wrap(_numbers(g, y), None)
    if g.shape != y.shape:
        raise ValueError(f"backward: y has shape {y.shape} but g has {g.shape}; they must be equal")
    if g.dtype.kind == "c" and y.dtype.kind != "c":
        raise TypeError(f"backward: y is {y.dtype} but g is {g.dtype}; give a real cotangent")
    return g if g.dtype == y.dtype else astype(g, y.dtype)


def _in_reverse(roots: list[Node]) -> list[Node]:
    """All nodes that lead to the roots, each before its parents.

    A leaf was made long before it is used, so by its own order it would come last; it is put right behind
    its earliest-made consumer instead, where its gradient is complete.
    """
    keys = {root: root.order for root in roots}
    stack = list(roots)
    while stack:
        node = stack.pop()
        order = node.order
        for parent in node.parents:
            if parent is None:
                continue
            if not parent.parents:
                if order <= keys.get(parent, order):
                    keys[parent] = order - 1
            elif parent not in keys:
                keys[parent] = parent.order
                stack.append(parent)
    return sorted(keys, key=keys.__getitem__, reverse=True)


def _freed(node: Node) -> RuntimeError:
    return RuntimeError(f"backward: the values saved for {node.op.name!r} are freed already, since backward went "
                        "through this graph before; give the first pass retain_graph=True")


def _leading_to(targets: set[Node], nodes: list[Node]) -> set[Node]:
    """Those of `nodes` through which a gradient must pass on its way to the targets."""
    needed: set[Node] = set()
    for node in reversed(nodes):
        if node in targets or any(parent in needed for parent in node.parents):
            needed.add(node)
    return needed
