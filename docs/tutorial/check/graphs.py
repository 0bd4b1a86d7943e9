"""Checkers of notebook 2: the graph, and the order of backward.

A graph is a dict: each node's name leads to a list of pairs, one for each use of a parent: its name, and the local
derivative. `{"y": [("x", 3.0), ("x", 3.0)], "x": []}` is y = x * x at x = 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .exercise import Exercise, Unsolved, Wrong, ask

__all__ = ["backward", "backward_order", "parents_first"]

Graph = dict[str, list[tuple[str, float]]]

# r = u**2, s = r * v, t = r + u, y = s * t at u = 2, v = 3: the graph of the first exercise
QUIZ: Graph = {"u": [], "v": [], "r": [("u", 4.0)], "s": [("r", 3.0), ("v", 4.0)], "t": [("r", 1.0), ("u", 1.0)],
               "y": [("s", 6.0), ("t", 12.0)]}


@Exercise
def backward_order(my_order: Any) -> str:
    """my_order: the names of the six nodes, in an order in which backward may visit them."""
    if my_order is None or my_order is Ellipsis:
        raise Unsolved
    if not isinstance(my_order, (list, tuple)):
        raise Wrong(f"  given     a {type(my_order).__name__}\n  expected  a list of six names in order of visit")
    order = list(my_order)
    if not order or any(name is Ellipsis for name in order):
        raise Unsolved
    _check_names("your order", order, QUIZ, "y")
    for place, name in enumerate(order):
        late = [consumer for consumer in order[place:] if any(parent == name for parent, _ in QUIZ[consumer])]
        if late:
            raise Wrong(f"  {name} comes before {late[0]}, which was made from it\n"
                        f"  hint: when {name} passes its gradient on, the share from {late[0]} has not arrived yet")
    return "Each node comes after everything that was made from it"


@Exercise
def parents_first(my_order: Any) -> str:
    """my_order(graph, output): everything that output was made from and itself, each after all of its parents."""
    for name, graph, output in _graphs():
        order = ask(my_order, graph, output)
        if not isinstance(order, (list, tuple)):
            raise Wrong(f"  {name}\n    given     a {type(order).__name__}\n    expected  a list of names")
        _check_names(name, list(order), graph, output)
        place = {node: at for at, node in enumerate(order)}
        early = [(node, parent) for node in order for parent, _ in graph[node] if place[parent] > place[node]]
        if early and all(place[parent] > place[node] for node in order for parent, _ in graph[node]):
            raise Wrong(f"  {name}: each node comes before its parents\n  hint: your list is in the order of backward; "
                        "this exercise wants parents first")
        if early:
            node, parent = early[0]
            raise Wrong(f"  {name}: {node} comes before {parent}, one of its parents\n"
                        "  hint: a node goes onto the list when all of its parents are there, not when you meet it")
    return "Parents come first in a chain, a diamond, a chain of 3000 nodes and 20 graphs drawn at random"


@Exercise
def backward(my_backward: Any) -> str:
    """my_backward(graph, output): a dict with the derivative of output by each node that it was made from."""
    for name, graph, output in _graphs():
        if len(graph) > 100:
            continue  # the long chain is for the order
        given = ask(my_backward, graph, output)
        if not isinstance(given, dict):
            raise Wrong(f"  {name}\n    given     a {type(given).__name__}\n    expected  a dict: a gradient by name")
        missing = sorted(_reached(graph, output) - set(given))
        if missing:
            raise Wrong(f"  {name}: there is no gradient of {missing[0]}\n  hint: each node that leads to the output "
                        "has one, the output too (its own is 1)")
        for node in sorted(_reached(graph, output)):
            right = _over_all_paths(graph, output, node)
            found = given[node]
            if not isinstance(found, (int, float)) or not abs(found - right) <= 1e-9 * max(abs(right), 1):
                raise Wrong(f"  {name}, the gradient of {node}\n    given     {found}\n    expected  {right:.8g}\n"
                            f"  hint: {_on_gradient(graph, output, node, given, right)}")
    return "The gradients agree with the sum over all paths, in each of 23 graphs"


def _on_gradient(graph: Graph, output: str, node: str, given: dict, right: float) -> str:
    if node == output:
        return "the output's own gradient is where backward starts: dy/dy"
    shares = [given.get(consumer, 0.0) * slope for consumer, parents in graph.items()
              for parent, slope in parents if parent == node and consumer in given]
    value = given[node]
    if not isinstance(value, (int, float)):
        return "a gradient here is one number"
    if len(shares) > 1 and any(abs(value - share) < 1e-9 for share in shares):
        return f"{node} is used {len(shares)} times; you overwrote where it must add"
    if abs(value + right) < 1e-9:
        return "yours is the negative of the right one"
    if abs(value - sum(shares)) > 1e-9 * max(abs(value), 1):
        return f"a node that was made from {node} passed its gradient on before it was whole: mind the order"
    return f"the gradient of a node that was made from {node} is wrong already: look there first"


def _check_names(where: str, order: list, graph: Graph, output: str) -> None:
    reached = _reached(graph, output)
    strange = [name for name in order if name not in graph]
    twice = [name for name in order if order.count(name) > 1] if len(order) < 100 else []
    if strange:
        raise Wrong(f"  {where}: {strange[0]!r} is not a node of the graph\n  hint: the names are those of the graph")
    if twice:
        raise Wrong(f"  {where}: {twice[0]} is in the list {order.count(twice[0])} times\n"
                    "  hint: a node that is used twice is still visited once; remember which you have seen")
    missing = [name for name in graph if name in reached and name not in set(order)]
    if missing:
        raise Wrong(f"  {where}: {missing[0]} is missing ({len(missing)} of {len(reached)} are)\n"
                    "  hint: every node that leads to the output belongs into the list, the output itself too")
    surplus = [name for name in order if name not in reached]
    if surplus:
        raise Wrong(f"  {where}: {surplus[0]} is in the list, but {output} was not made from it\n"
                    "  hint: start at the output and follow the parents from there")
    if len(order) != len(reached):
        raise Wrong(f"  {where}: {len(order)} names for {len(reached)} nodes\n  hint: remember which you have seen")


# ---------------------------------------------------------------------- the graphs, and the truth about them


def _graphs() -> list[tuple[str, Graph, str]]:
    chain: Graph = {"n0": []}
    for i in range(1, 3000):
        chain[f"n{i}"] = [(f"n{i - 1}", 1.0)]
    diamond: Graph = {"top": [("left", 2.0), ("right", 3.0)], "right": [("x", 5.0)], "left": [("x", 7.0)], "x": [],
                      "elsewhere": [("x", 11.0)]}
    square: Graph = {"y": [("x", 3.0), ("x", 3.0)], "x": []}
    fixed = [("the diamond", diamond, "top"), ("y = x * x", square, "y"), ("the graph of exercise 1", QUIZ, "y"),
             ("a chain of 3000", chain, "n2999")]
    return fixed + [(f"random graph {seed}", *_random_graph(seed)) for seed in range(20)]


def _random_graph(seed: int) -> tuple[Graph, str]:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(4, 10))
    names = [f"v{i}" for i in range(size)]
    graph: Graph = {names[0]: []}
    for i in range(1, size):
        uses = rng.integers(0, i, size=int(rng.integers(1, 4)))
        graph[names[i]] = [(names[j], float(rng.integers(1, 5))) for j in uses]
    shuffled = {name: graph[name] for name in rng.permutation(names)}
    return {str(name): parents for name, parents in shuffled.items()}, names[-1]


def _reached(graph: Graph, output: str) -> set[str]:
    seen, waiting = {output}, [output]
    while waiting:
        for parent, _ in graph[waiting.pop()]:
            if parent not in seen:
                seen.add(parent)
                waiting.append(parent)
    return seen


def _over_all_paths(graph: Graph, output: str, node: str) -> float:
    """The sum, over every path from output down to node, of the product of its local derivatives."""
    if output == node:
        return 1.0
    return sum(slope * _over_all_paths(graph, parent, node) for parent, slope in graph[output])
