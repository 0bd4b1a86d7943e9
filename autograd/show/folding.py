"""The steps of a graph folded by scope and by what repeats, whatever they will be shown as.

    folding = Folding(read_graph("draw", y))    # calls in the order of the forward, in a tree of Blocks
    view = folding.view(depth=1)                # what is seen where scopes are opened to that depth

A Block is a scope, a chain of equal stretches (`times` of them), or a stretch that was cut where nothing else
helped. It holds Calls and Blocks (`items`; of a chain those of the first stretch), and stands for
`folding.calls[block.start:block.stop]`. As calls come in the order of the forward, the arrows between Blocks make no
circle. `folding.inputs(block)`, `outputs` and `parameters` are the Values that cross its border, and those it keeps.

A View lists `boxes` (each a Call, or a Block that is closed), `arrows` between them, and `sources` (leaves and
constants that stand alone). It knows which Blocks are `open`, which Block each box and source stands in (`home`), and
how many ops are not to be seen. `view.shown(value)` is the Value in whose place another is shown: the same one, but in
a chain of equal stretches the one of the first.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Literal, NamedTuple

from .reading import Call, Step, Value
from .repeats import Wiring, find_runs, look_of

__all__ = ["Arrow", "Block", "Folding", "Item", "View"]

_DEEPEST = 40  # scopes in scopes that are told apart
_CUT = 12  # boxes that a graph without any order is cut into
_NAMED = 3  # ops that a chain is named after


@dataclass(eq=False)
class Block:
    """Calls that can be shown as one box.

    kind         "scope", also a chain of equal ones; "repeat": a chain of equal stretches of several items;
                 "cut": a part of what could not be folded otherwise
    name         the last part of the scope, or what it is made of
    scope        the path of a scope (of the first of a chain); of the others the one that they lie in
    level        how many scopes stand around it
    items        what it holds; of a chain, what its first stretch holds
    start, stop  its calls, by their place in the order of the forward; of a chain, of all stretches
    times        how many equal stretches
    """

    kind: Literal["scope", "repeat", "cut"]
    name: str
    scope: str
    level: int
    items: list[Item] = field(default_factory=list)
    start: int = 0
    stop: int = 0
    times: int = 1

    @property
    def n_ops(self) -> int:
        """How many calls of ops it stands for."""
        return self.stop - self.start


Item = Call | Block


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
        self.wiring = Wiring(self.calls)
        self.plain, _ = _scopes(self.calls)
        self.folded, blocks = _scopes(self.calls)
        looks: dict[Item, Hashable] = {call: look_of(call) for call in self.calls}
        for block in reversed(blocks):  # from the inside out, so that what repeats within a stretch is found before
            block.items = _merged(block, self.wiring, looks)
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

    def view(self, depth: int | None = None, limit: int | None = None, merge: bool | None = None) -> View:
        """What is seen where scopes are opened to a depth: 0 opens none, 1 those that stand in no other.

        depth  None: all of them, or as many as the limit allows
        limit  the most boxes (with sources) to show; where a depth has more, a smaller one is taken, then chains are
               closed, and then what is left is cut into a few parts
        merge  whether what repeats is shown once; None: where a depth is given or not all can be shown
        """
        allowed = len(self.calls) + len(self.leaves) + sum(len(call.inputs) for call in self.calls)
        allowed = allowed if limit is None else limit
        whole = View(self, self.plain, _DEEPEST)
        if depth is None and not merge and whole.size <= allowed:
            return whole
        tree = self.plain if merge is False else self.folded
        deepest = max((block.level + 1 for block in _blocks(tree) if block.kind == "scope"), default=0)
        for at in range(deepest if depth is None else min(depth, deepest), -2, -1):
            view = View(self, tree, at)
            if view.size <= allowed:
                return view
        return View(self, _cut(tree, max(1, min(_CUT, allowed))), -1)


class View:
    """What is seen of a graph: see the top of this file.

    depth    to which scopes are open; -1 where chains are closed, too
    n_ops    how many ops stand in closed Blocks, or in the stretches of a chain that are not shown
    size     how many boxes and sources there are
    """

    def __init__(self, folding: Folding, root: Block, depth: int) -> None:
        self.folding = folding
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
                home = self.home[arrow.head]
                self.home[arrow.value] = self._around_both(self.home.get(arrow.value, home), home)
        self.n_ops = len(folding.calls) - sum(isinstance(box, Call) for box in self.boxes)
        self.size = len(self.boxes) + len(self.sources)

    @property
    def closed(self) -> list[Block]:
        return [box for box in self.boxes if isinstance(box, Block)]

    def shown(self, value: Value) -> Value:
        """The Value in whose place it is shown."""
        while value in self._twins:
            value = self._twins[value]
        return value

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
        if block.kind == "cut" or block.level >= _DEEPEST:
            return False
        return block.level < self.depth if block.kind == "scope" else self.depth >= 0

    def _of_the_last(self, chain: Block) -> Iterator[tuple[Value, Value]]:
        """Each Value of the last stretch, which is what others use, with the one of the first."""
        calls, n = self.folding.calls_of(chain), chain.n_ops // chain.times
        for first, last in zip(calls[:n], calls[-n:], strict=True):
            yield from ((theirs, own) for (_, own), (_, theirs) in zip(first.outputs, last.outputs, strict=True))

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


def _blocks(root: Block) -> Iterator[Block]:
    stack = [root]
    while stack:
        block = stack.pop()
        yield block
        stack += [item for item in block.items if isinstance(item, Block)]


# ---------------------------------------------------------------------- the tree


def _scopes(calls: Sequence[Call]) -> tuple[Block, list[Block]]:
    """The tree of scopes, and all its Blocks, outer ones first. A scope entered again later is a Block of its own."""
    root = Block("scope", "", "", -1, stop=len(calls))
    blocks, above = [root], [root]
    for i, call in enumerate(calls):
        path = call.scope.split("/", _DEEPEST) if call.scope else []
        shared = sum(1 for _ in takewhile(lambda pair: pair[0].name == pair[1], zip(above[1:], path, strict=False)))
        del above[shared + 1:]
        for name in path[shared:]:
            outer = above[-1]
            block = Block("scope", name, f"{outer.scope}/{name}" if outer.scope else name, outer.level + 1, start=i)
            outer.items.append(block)
            blocks.append(block)
            above.append(block)
        above[-1].items.append(call)
        for block in above[1:]:
            block.stop = i + 1
    return root, blocks


def _merged(block: Block, wiring: Wiring, looks: dict[Item, Hashable]) -> list[Item]:
    """The items of a Block, with a chain in the place of what repeats, and chains of chains."""
    items = block.items
    starts = {call: i for i, call in enumerate(wiring.calls[block.start:block.stop], block.start)}
    while True:
        spans = [(starts[item], starts[item] + 1) if isinstance(item, Call) else (item.start, item.stop)
                 for item in items]
        are_modules = [isinstance(item, Block) and item.kind == "scope" for item in items]
        runs = find_runs([looks[item] for item in items], spans, are_modules, wiring)
        if not runs:
            return items
        for start, period, times in reversed(runs):
            stretches = [items[i:i + period] for i in range(start, start + period * times, period)]
            chain = _chain(block, stretches, spans[start][0], spans[start + period * times - 1][1])
            looks[chain] = "repeat", times, tuple(looks[item] for item in stretches[0])
            items = [*items[:start], chain, *items[start + period * times:]]


def _chain(block: Block, stretches: list[list[Item]], start: int, stop: int) -> Block:
    (first, *more), last = stretches[0], stretches[-1][-1]
    names = [item.op if isinstance(item, Call) else item.name for item in stretches[0]]
    if any(isinstance(item, Block) for item in stretches[0]):
        name = f"{names[0]} \u2026 {last.op if isinstance(last, Call) else last.name}"
    else:
        name = ", ".join([*names[:_NAMED], *(["\u2026"] if len(names) > _NAMED else [])])
    if isinstance(first, Block) and first.kind == "scope" and not more:  # shown as the one scope, with a count
        return Block("scope", name, first.scope, first.level, first.items, start, stop, len(stretches))
    return Block("repeat", name, block.scope, block.level + 1, stretches[0], start, stop, len(stretches))


def _cut(root: Block, parts: int) -> Block:
    """The items of the tree in so many parts, one after another."""
    items, n, start = root.items, len(root.items), 0
    cut = Block("scope", "", "", -1, stop=root.stop)
    for part in range(parts):
        held = items[part * n // parts:(part + 1) * n // parts]
        stop = start + sum(1 if isinstance(item, Call) else item.n_ops for item in held)
        if held:
            cut.items.append(Block("cut", f"{stop - start:,} ops", "", 0, held, start, stop))
        start = stop
    return cut
