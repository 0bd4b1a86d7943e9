"""The graph as a picture: a box for each value, a rounded one for each call of an op, a frame for each scope."""

from __future__ import annotations

import html
from itertools import accumulate, takewhile
from typing import Any

from ..scalar import Scalar
from ..tensor import Tensor
from .reading import Call, Named, Step, Value, read_graph
from .rendering import digraph_class
from .text import params_text, value_lines

__all__ = ["draw"]

_GRAPH = {"fontname": "Helvetica", "fontsize": "11", "fontcolor": "#666666", "nodesep": "0.25", "ranksep": "0.3"}
_NODE = {"fontname": "Helvetica", "fontsize": "11", "fontcolor": "#222222", "shape": "box", "height": "0.3",
         "margin": "0.1,0.03"}
_EDGE = {"fontname": "Helvetica", "fontsize": "9", "fontcolor": "#666666", "color": "#888888", "arrowsize": "0.6"}
_FRAME = {"style": "rounded,filled", "color": "#cccccc", "fillcolor": "#00000008", "labeljust": "l"}
_SYMMETRIC = ("+", "*", "add", "multiply", "maximum", "minimum")  # which input is which does not matter
_STYLES = {
    "leaf": {"style": "filled", "fillcolor": "#d9ead3", "color": "#6aa84f"},
    "constant": {"style": "dashed", "color": "#999999", "fontcolor": "#666666"},
    "result": {"style": "filled", "fillcolor": "#ffffff", "color": "#bbbbbb"},
    "output": {"style": "filled", "fillcolor": "#fff2cc", "color": "#d6a400"},
    "op": {"style": "rounded,filled", "fillcolor": "#cfe2f3", "color": "#3d85c6"},
}


def draw(y: Scalar | Tensor | list[Any], names: Named | None = None, direction: str = "TB",
         limit: int = 1500) -> Any:
    """The graph that leads to y, as a `graphviz.Digraph` that shows itself in a notebook.

    y          a Scalar, a Tensor, or a list of one of the two
    names      names for leaves or results: a dict, (name, Tensor) pairs, or a module
    direction  "TB" (top to bottom) or "LR" (left to right)
    limit      the most nodes to draw; to lay out thousands takes minutes

    Values show shape and dtype: leaves green, outputs yellow. Scalars show value and gradient; so do Tensors
    of a graph recorded under `keep`, summed up where they are large. Constants (what needs no gradient) are
    dashed; backward frees what was known of them. Ops show their name and parameters, scopes are frames.

    `.render(outfile="graph.svg")` writes a file (svg, png, pdf), `.pipe(format="svg")` gives its bytes, and
    `.source` is the text in Graphviz's language DOT. Drawing takes Graphviz's `dot` where it is on the PATH,
    else the Graphviz inside the package pygraphviz.

    Raises TypeError where y is something else; ValueError where y does not require a gradient, the graph has
    more nodes than `limit`, or `direction` is another; ImportError where a package of im2grad[plot] is missing.

    >>> import autograd as ag
    >>> from autograd.show import draw
    >>> a = ag.Scalar(3.0)
    >>> "gradient not computed" in draw(a * a, names={"a": a}).source
    True
    """
    if direction not in ("TB", "LR"):
        raise ValueError(f'draw: direction must be "TB" or "LR", got {direction!r}')
    return _Drawing(read_graph("draw", y, names, limit), direction).finished()


class _Drawing:
    """Boxes in the frames of their scopes, and arrows between them."""

    def __init__(self, steps: list[Step], direction: str) -> None:
        self.digraph = digraph_class()
        self.picture = self.digraph(graph_attr={**_GRAPH, "rankdir": direction}, node_attr=_NODE, edge_attr=_EDGE)
        self.frames = {"": self.picture}
        self.count = 0
        self.boxes: dict[Value, str] = {}
        self.arrows: list[tuple[str, str, str, str]] = []  # tail, head, name, kind of the value
        homes = _homes(steps)
        for step in steps:
            if isinstance(step, Value):
                self.add_value(step, homes.get(step, ""))
            else:
                self.add_call(step, homes)

    def add_call(self, call: Call, homes: dict[Value, str]) -> None:
        for _, value in call.inputs:
            if value.kind == "constant":
                self.add_value(value, homes[value])
        op = self.add_box(call.scope, "op", _label(call.op, params_text(call.params)))
        for name, value in call.inputs:
            self.arrows.append((self.boxes[value], op, "" if call.op in _SYMMETRIC else name, value.kind))
        for name, value in call.outputs:
            self.add_value(value, call.scope)
            self.arrows.append((op, self.boxes[value], name, value.kind))

    def add_value(self, value: Value, scope: str) -> None:
        style = "output" if value.is_output and value.kind == "result" else value.kind
        self.boxes[value] = self.add_box(scope, style, _label(value.name, value_lines(value)))

    def add_box(self, scope: str, style: str, label: str) -> str:
        box = f"{style}{self.count}"
        self.count += 1
        self.frame(scope).node(box, label=label, **_STYLES[style])
        return box

    def frame(self, scope: str) -> Any:
        """The frame of a scope, made with those around it: "outer/inner" stands within "outer"."""
        for path in accumulate(scope.split("/"), "{}/{}".format):
            if path not in self.frames:
                name = f"<{_escape(path.rpartition('/')[2])}>"
                self.frames[path] = self.digraph(f"cluster_{len(self.frames)}", graph_attr={**_FRAME, "label": name})
        return self.frames[scope]

    def finished(self) -> Any:
        """The picture, once the innermost frames are put into theirs, and so on outwards."""
        for scope in sorted(self.frames, key=lambda scope: scope.count("/"), reverse=True):
            if scope:
                self.frames[scope.rpartition("/")[0]].subgraph(self.frames[scope])
        for tail, head, name, kind in self.arrows:
            weight = "8" if kind == "result" else None  # heavy edges are straight: the spine, with leaves beside it
            self.picture.edge(tail, head, label=f" {name} " if name else None, weight=weight)
        return self.picture


def _homes(steps: list[Step]) -> dict[Value, str]:
    """The innermost scope that holds all that is made from a leaf or constant."""
    homes: dict[Value, str] = {}
    for step in steps:
        if isinstance(step, Call):
            for _, value in step.inputs:
                homes[value] = _shared_scope(homes.get(value, step.scope), step.scope)
    return homes


def _shared_scope(one: str, other: str) -> str:
    pairs = zip(one.split("/"), other.split("/"), strict=False)
    return "/".join(name for name, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _label(title: str, lines: list[str]) -> str:
    """A label in Graphviz's subset of HTML: a bold title over smaller lines, either of which may be missing."""
    rows = [f"<b>{_escape(title)}</b>"] if title else []
    rows += [f'<font point-size="10">{_escape(line)}</font>' for line in lines]
    if len(rows) == 1:
        return f"<{rows[0]}>"
    cells = "".join(f"<tr><td>{row}</td></tr>" for row in rows)  # else lines of unequal fonts stand too close
    return f'<<table border="0" cellspacing="0" cellpadding="1">{cells}</table>>'


def _escape(text: str) -> str:
    """Text that stands for itself within a label, where a backslash would begin "\\N", the box's own name."""
    return html.escape(text, quote=False).replace("\\", "\\\\")
