"""Where the boxes of a graph go: Graphviz's layout as plain numbers, for pages that draw the graph themselves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .rendering import digraph_class

__all__ = ["Frame", "Place", "Placed", "place"]

_POINTS = 72  # to the inch: Graphviz takes sizes in inches and gives places in points
# The two limits bound the search for a better order: a loop of 50 steps that share a leaf took 11 s, and takes 0.5
_GRAPH = {"rankdir": "TB", "nodesep": "0.3", "ranksep": "0.42", "nslimit": "1", "mclimit": "0.1"}
_FAR = 12  # ranks: Graphviz makes a node for each rank that an edge crosses, so longer ones are drawn here
_BEND = 60.0


@dataclass(eq=False)
class Frame:
    """A group of boxes, by their numbers, and of other frames."""

    title: str
    boxes: list[int] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)


@dataclass
class Place:
    """A rectangle in points from the top left corner: its centre and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass
class Placed:
    """A layout: the size of the whole, a place for each box and frame, an SVG path for each edge."""

    width: float
    height: float
    boxes: list[Place]
    edges: list[str]
    frames: dict[Frame, Place]


def place(sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]],
          frames: Sequence[Frame] = ()) -> Placed:
    """Lays out boxes of these sizes (width, height in points), with edges between them, from top to bottom.

    Each box stands after those that lead to it.

    Raises ImportError where neither Graphviz's `dot` nor the package pygraphviz is there.
    """
    digraph = digraph_class("ag.replay")
    picture = digraph(graph_attr=_GRAPH, node_attr={"shape": "box", "fixedsize": "true", "label": ""})
    for number, (width, height) in enumerate(sizes):
        picture.node(f"b{number}", width=f"{width / _POINTS:.4f}", height=f"{height / _POINTS:.4f}")
    near = _near(len(sizes), edges)
    for number in near:
        tail, head = edges[number]
        picture.edge(f"b{tail}", f"b{head}", id=str(number), arrowhead="none")
    found: list[Frame] = []
    for frame in frames:
        picture.subgraph(_cluster(digraph, frame, found))
    placed = _read(json.loads(picture.pipe(format="json0")), len(sizes), len(edges), found)
    for number in set(range(len(edges))) - near:
        tail, head = edges[number]
        placed.edges[number] = _far_path(placed.boxes[tail], placed.boxes[head])
    return placed


def _near(n_boxes: int, edges: Sequence[tuple[int, int]]) -> set[int]:
    """The edges that do not cross many ranks, if a box stands right below the last that leads to it.

    One without any stands right above the first that it leads to, so each box keeps an edge.
    """
    inputs: dict[int, list[int]] = {}
    for tail, head in edges:
        inputs.setdefault(head, []).append(tail)
    rank = [0] * n_boxes
    for head in sorted(inputs):
        rank[head] = max(rank[tail] for tail in inputs[head]) + 1
    first: dict[int, int] = {}
    for tail, head in edges:
        first[tail] = min(first.get(tail, rank[head]), rank[head])
    return {number for number, (tail, head) in enumerate(edges)
            if rank[head] - max(rank[tail], first[tail] - 1) <= _FAR}


def _far_path(tail: Place, head: Place) -> str:
    """A curve from below one box to above the other."""
    start, end = tail.y + tail.height / 2, head.y - head.height / 2
    return (f"M{tail.x:.1f} {start:.1f}C{tail.x:.1f} {start + _BEND:.1f} {head.x:.1f} {end - _BEND:.1f} "
            f"{head.x:.1f} {end:.1f}")


def _cluster(digraph: Any, frame: Frame, found: list[Frame]) -> Any:
    # the label keeps a strip free for the title that the page writes
    cluster = digraph(f"cluster_{len(found)}", graph_attr={"label": " ", "fontsize": "16", "margin": "12"})
    found.append(frame)
    for number in frame.boxes:
        cluster.node(f"b{number}")
    for inner in frame.frames:
        cluster.subgraph(_cluster(digraph, inner, found))
    return cluster


def _read(layout: dict[str, Any], n_boxes: int, n_edges: int, frames: list[Frame]) -> Placed:
    _, _, width, height = _numbers(layout["bb"])
    objects = {found["name"]: found for found in layout.get("objects", ())}
    boxes = []
    for found in (objects[f"b{number}"] for number in range(n_boxes)):
        x, y = _numbers(found["pos"])
        boxes.append(Place(x, height - y, float(found["width"]) * _POINTS, float(found["height"]) * _POINTS))
    paths = [""] * n_edges
    for edge in layout.get("edges", ()):
        paths[int(edge["id"])] = _path(edge["pos"], height)
    places = {}
    for number, frame in enumerate(frames):
        left, low, right, high = _numbers(objects[f"cluster_{number}"]["bb"])
        places[frame] = Place((left + right) / 2, height - (low + high) / 2, right - left, high - low)
    return Placed(width, height, boxes, paths, places)


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]


def _path(spline: str, height: float) -> str:
    """Graphviz's B-spline "x,y x,y ..", a point and three more for each piece, in the language of SVG."""
    points = [_numbers(point) for point in spline.split() if point[0] not in "se"]
    texts = [f"{x:.1f} {height - y:.1f}" for x, y in points]
    return f"M{texts[0]}C{' '.join(texts[1:])}"
