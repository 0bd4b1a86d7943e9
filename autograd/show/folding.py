"""The steps of a graph folded by scope and by what repeats, whatever they will be shown as.

    folding = Folding(read_graph("draw", y))    # calls in the order of the forward, in a tree of Blocks
    view = folding.view(depth=1)                # what is seen where scopes are opened to that depth

A Block is a scope, a chain of equal stretches (`times` of them), or a stretch that was cut where nothing else
helped. It holds Calls and Blocks (`items`; of a chain those of the first stretch), and stands for
`folding.calls[block.start:block.stop]`. As calls come in the order of the forward, the arrows between Blocks make no
circle. `folding.inputs(block)`, `outputs` and `parameters` are the Values that cross its border, and those it keeps.

A View lists `boxes` (each a Call, or a Block that is closed), `arrows` between them, and `sources` (leaves and
constants that stand alone); `carried` are the arrows from one stretch of an open chain to the next. It knows which
Blocks are `open`, which Block each box and source stands in (`home`), and how many ops are not to be seen.
`view.shown(value)` is the Value in whose place another is shown: the same one, but in a chain of equal stretches the
one of the first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import NamedTuple

from .blocks import DEEPEST, Block, Item, cut, inner_blocks, merged, scopes
from .reading import Call, Step, Value
from .repeats import Wiring, look_of

__all__ = ["Arrow", "Block", "Folding", "Item", "View"]

_CUT = 12  # boxes that a graph without any order is cut into


class Arrow(NamedTuple):
    """A Value on its way: from the box that made it (None: a source) to the one that uses it (None: an output)."""

    value: Value
    tail: Item | None
    head: Item | None
    name: str  # which input of a Call it is


class Folding:
    """The calls of a graph, and the tree of Blocks that hold them.

    >>> import autograd as ag
    >>> from autograd.show.reading import read_graph
    >>> x = y = ag.Tensor([1.0], requires_grad=True)
    >>> for _ in range(500):
    ...     y = ag.tanh(y * 0.5)
    >>> [chain] = Folding(read_graph("draw", y)).view(depth=0).open
    >>> chain.name, chain.times, chain.n_ops
    ('multiply, tanh', 500, 1000)
    """

    def __init__(self, steps: Iterable[Step]) -> None:
        steps = list(steps)
        self.leaves = [step for step in steps if isinstance(step, Value)]
        self.calls = sorted((step for step in steps if isinstance(step, Call)), key=lambda call: call.order)
        self.places = {call: i for i, call in enumerate(self.calls)}
        self.wiring = Wiring(self.calls)
        self.plain, _ = scopes(self.calls)
        self.folded, blocks = scopes(self.calls)
        looks: dict[Item, Hashable] = {call: look_of(call) for call in self.calls}
        for block in reversed(blocks):  # from the inside out, so that what repeats within a stretch is found before
            block.items = merged(block, self.places, self.wiring, looks)
            looks[block] = tuple((item.name if isinstance(item, Block) else "", looks[item]) for item in block.items)

    def calls_of(self, item: Item) -> list[Call]:
        """All calls that a box stands for."""
        return [item] if isinstance(item, Call) else self.calls[item.start:item.stop]

    def inputs(self, block: Block) -> list[Value]:
        """The Values that come in from outside, and the data that it is given."""
        return [value for value in self._given(block) if not self._is_kept(value, block)]

    def outputs(self, block: Block) -> list[Value]:
        """The Values that it makes and that are used outside."""
        span = block.start, block.stop
        return [value for call in self.calls_of(block) for _, value in call.outputs
                if self.wiring.is_used_outside(value, span)]

    def parameters(self, block: Block) -> list[Value]:
        """The leaves that nothing else uses."""
        return [value for value in self._given(block) if value.kind == "leaf" and self._is_kept(value, block)]

    def _given(self, block: Block) -> list[Value]:
        """What is used inside and made elsewhere, each once."""
        used = dict.fromkeys(value for call in self.calls_of(block) for _, value in call.inputs)
        made = self.wiring.made_by
        return [value for value in used if not block.start <= made.get(value, (-1, 0))[0] < block.stop]

    def _is_kept(self, value: Value, block: Block) -> bool:
        """Whether a leaf or constant is shown by the Block, and not beside it."""
        return (value.kind != "result" and not value.is_input
                and not self.wiring.is_used_outside(value, (block.start, block.stop)))

    @functools.cached_property
    def deepest(self) -> int:
        """The depth at which every scope is open."""
        return max((block.level + 1 for block in inner_blocks(self.plain) if block.kind == "scope"), default=0)

    def view(self, depth: int | None = None, limit: int | None = None, merge: bool | None = None,
             stays_closed: Callable[[Block], bool] = lambda block: False) -> View:
        """What is seen where scopes are opened to a depth: 0 opens none, 1 those that stand in no other.

        depth  None: all of them, or as many as the limit allows
        limit  the most boxes (with sources) to show; where a depth has more, a smaller one is taken, then chains are
               closed, and then what is left is cut into a few parts
        merge  whether what repeats is shown once; None: where a depth is given or not all can be shown
        stays_closed  tells of a Block whether it is one box at any depth
        """
        allowed = len(self.calls) + len(self.leaves) + sum(len(call.inputs) for call in self.calls)
        allowed = allowed if limit is None else limit
        whole = View(self, self.plain, DEEPEST, stays_closed)
        if depth is None and not merge and whole.size <= allowed:
            return whole
        tree = self.plain if merge is False else self.folded
        for at in range(self.deepest if depth is None else min(depth, self.deepest), -2, -1):
            view = View(self, tree, at, stays_closed)
            if view.size <= allowed:
                return view
        return View(self, cut(tree, max(1, min(_CUT, allowed))), -1, stays_closed)


class View:
    """What is seen of a graph: see the top of this file.

    depth    to which scopes are open; -1 where chains are closed, too
    n_ops    how many ops stand in closed Blocks, or in the stretches of a chain that are not shown
    size     how many boxes and sources there are
    """

    def __init__(self, folding: Folding, root: Block, depth: int, stays_closed: Callable[[Block], bool]) -> None:
        self.folding = folding
        self.stays_closed = stays_closed
        self.root = root
        self.depth = depth
        self.boxes: list[Item] = []
        self.open: list[Block] = []
        self.home: dict[Item | Value, Block] = {}  # of a source: the innermost that holds all that use it
        self._twins: dict[Value, Value] = {}
        self._fill()
        self.makers = {value: box for box in self.boxes for call in folding.calls_of(box) for _, value in call.outputs}
        self.arrows = list(self._arrows())
        self.sources = list(dict.fromkeys(
            [*(arrow.value for arrow in self.arrows if arrow.tail is None),
             *(leaf for leaf in folding.leaves if leaf.is_output)]))
        for arrow in self.arrows:
            if arrow.tail is None and arrow.head is not None:
                home = self._home_of(arrow.value, self.home[arrow.head])
                self.home[arrow.value] = self._around_both(self.home.get(arrow.value, home), home)
        self.n_ops = len(folding.calls) - sum(isinstance(box, Call) for box in self.boxes)
        self.size = len(self.boxes) + len(self.sources)

    @functools.cached_property
    def carried(self) -> list[Arrow]:
        """In open chains without a scope: what each stretch hands to the next, as arrows back to its beginning."""
        boxes = {call: box for box in self.boxes for call in self.folding.calls_of(box)}
        calls, made_by = self.folding.calls, self.folding.wiring.made_by
        found: dict[tuple[Item, Item, Value], Arrow] = {}
        for chain in self.open:
            n = chain.n_ops // chain.times
            for i in range(chain.start + n, chain.start + 2 * n) if chain.kind == "repeat" else ():
                for name, value in calls[i].inputs:
                    head = boxes.get(calls[i - n])
                    tail = self.makers.get(self.shown(value))
                    if head and tail and chain.start <= made_by.get(value, (-1, 0))[0] < chain.start + n:
                        found.setdefault((tail, head, value), Arrow(value, tail, head, name))
        return list(found.values())

    @property
    def closed(self) -> list[Block]:
        return [box for box in self.boxes if isinstance(box, Block)]

    def shown(self, value: Value) -> Value:
        """The Value in whose place it is shown."""
        while value in self._twins:
            value = self._twins[value]
        return value

    def stands_for(self, item: Item) -> list[Call]:
        """All calls that a box is shown for: its own, and in a chain those at the same place of each stretch."""
        calls = self.folding.calls
        starts = [self.folding.places[item]] if isinstance(item, Call) else [item.start]
        n = 1 if isinstance(item, Call) else item.n_ops
        home = self.home[item]
        while home is not self.root:
            stretch = home.n_ops // home.times
            starts = [start + stretch * i for i in range(home.times) for start in starts]
            home = self.home[home]
        return [call for start in starts for call in calls[start:start + n]]

    def _fill(self) -> None:
        stack = [(item, self.root) for item in reversed(self.root.items)]
        while stack:
            item, home = stack.pop()
            self.home[item] = home
            if isinstance(item, Call) or not self._is_open(item):
                self.boxes.append(item)
                continue
            self.open.append(item)
            stack += [(inner, item) for inner in reversed(item.items)]
            if item.times > 1:
                self._twins.update(self._of_the_last(item))

    def _is_open(self, block: Block) -> bool:
        if block.kind == "cut" or block.level >= DEEPEST or self.stays_closed(block):
            return False
        return block.level < self.depth if block.kind == "scope" else self.depth >= 0

    def _of_the_last(self, chain: Block) -> Iterator[tuple[Value, Value]]:
        """Each Value of the last stretch, which is what others use, with the one of the first."""
        calls, n = self.folding.calls_of(chain), chain.n_ops // chain.times
        for first, last in zip(calls[:n], calls[-n:], strict=True):
            yield from ((theirs, own) for (_, own), (_, theirs) in zip(first.outputs, last.outputs, strict=True))

    def _home_of(self, source: Value, home: Block) -> Block:
        """Data comes from outside of everything; what is the same for each stretch, or the first's in the place of a
        result, from outside of the chain; what each has of its own stays within."""
        inner = home
        while inner is not self.root:
            if inner.times > 1 and self._is_of_each(source, inner):
                return home
            home = self.home[inner] if inner.times > 1 else home
            inner = self.home[inner]
        return self.root if source.is_input else home

    def _is_of_each(self, source: Value, chain: Block) -> bool:
        """Whether the next stretch of a chain has a leaf or constant of its own in the place of this one."""
        calls = self.folding.calls
        at = next(i for i in self.folding.wiring.used_by[source] if i >= chain.start)
        place = next(i for i, (_, value) in enumerate(calls[at].inputs) if value is source)
        theirs = calls[at + chain.n_ops // chain.times].inputs[place][1]
        return theirs.kind != "result" and theirs is not source

    def _around_both(self, one: Block, other: Block) -> Block:
        above = {one}
        while one in self.home:
            one = self.home[one]
            above.add(one)
        while other not in above:
            other = self.home[other]
        return other

    def _arrows(self) -> Iterator[Arrow]:
        for box in self.boxes:
            given = box.inputs if isinstance(box, Call) else [("", value) for value in self.folding.inputs(box)]
            for name, value in given:
                yield Arrow(value, self.makers.get(self.shown(value)), box, name)
        for call in self.folding.calls:
            for _, value in call.outputs:
                if value.is_output:
                    yield Arrow(value, self.makers[self.shown(value)], None, "")
