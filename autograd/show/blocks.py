"""The tree of Blocks that a graph is folded into: by scope, by what repeats, or cut where neither is there."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Literal

from .reading import Call
from .repeats import Wiring, find_runs

__all__ = ["DEEPEST", "Block", "Item", "cut", "inner_blocks", "merged", "scopes"]

DEEPEST = 40  # scopes in scopes that are told apart
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


def inner_blocks(root: Block) -> Iterator[Block]:
    """The Block and all that stand in it."""
    stack = [root]
    while stack:
        block = stack.pop()
        yield block
        stack += [item for item in block.items if isinstance(item, Block)]


def scopes(calls: Sequence[Call]) -> tuple[Block, list[Block]]:
    """The tree of scopes, and all its Blocks, outer ones first. A scope entered again later is a Block of its own."""
    root = Block("scope", "", "", -1, stop=len(calls))
    blocks, above = [root], [root]
    for i, call in enumerate(calls):
        path = call.scope.split("/", DEEPEST) if call.scope else []
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


def merged(block: Block, places: Mapping[Call, int], wiring: Wiring, looks: dict[Item, Hashable]) -> list[Item]:
    """The items of a Block, with a chain in the place of what repeats, and chains of chains."""
    items = block.items
    while True:
        spans = [(places[item], places[item] + 1) if isinstance(item, Call) else (item.start, item.stop)
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


def cut(root: Block, parts: int) -> Block:
    """The items of the tree in so many parts, one after another."""
    items, n, start = root.items, len(root.items), 0
    whole = Block("scope", "", "", -1, stop=root.stop)
    for part in range(parts):
        held = items[part * n // parts:(part + 1) * n // parts]
        stop = start + sum(1 if isinstance(item, Call) else item.n_ops for item in held)
        if held:
            whole.items.append(Block("cut", f"{stop - start:,} ops", "", 0, held, start, stop))
        start = stop
    return whole
