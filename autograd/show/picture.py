"""A view of a graph in Graphviz's language: boxes in the frames of their scopes, arrows, and the legend."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from .colouring import Colours, Paint
from .folding import Arrow, Block, Item, View
from .labels import STYLES, count_text, escaped, label, legend, ops_text, role_of, shortened, sizes_text
from .mirror import Mirror
from .reading import Call, Value
from .rendering import digraph_class
from .text import params_text, value_lines

__all__ = ["Picture", "Texts", "Wording", "joined"]

_FONT = "Helvetica,Arial,sans-serif"
_GRAPH = {"fontname": _FONT, "fontsize": "10", "fontcolor": "#666666", "nodesep": "0.25", "ranksep": "0.3",
          "labelloc": "b", "pad": "0.1"}
# Bounds on Graphviz's search for a better order, for large pictures: a loop of 50 steps whose ops share two leaves took
# more than 40 s, and takes 1; small ones are worth the whole search
_LARGE = 100  # boxes
_BOUNDS = {"nslimit": "1", "mclimit": "0.1"}
_NODE = {"fontname": _FONT, "fontsize": "11", "fontcolor": "#222222", "shape": "box", "height": "0.3",
         "margin": "0.1,0.03"}
_EDGE = {"fontname": _FONT, "fontsize": "9", "fontcolor": "#666666", "color": "#888888", "arrowsize": "0.6"}
_FRAME = {"style": "rounded,filled", "color": "#cccccc", "fillcolor": "#00000008", "labeljust": "l", "labelloc": "t",
          "penwidth": "1"}
_CHAIN_FRAME = {"style": "rounded,filled", "color": "#3d85c6", "fillcolor": "#3d85c610", "penwidth": "2"}
_SYMMETRIC = ("+", "*", "add", "multiply", "maximum", "minimum")  # which input is which does not matter
_LISTED = 12  # parameters in a tooltip
_CARRIED = {"style": "dashed", "color": "#3d85c6", "fontcolor": "#3d85c6", "constraint": "false"}
_SEPARATE = 3  # values between two boxes that have an arrow each; more share one

Texts = tuple[str, list[str], str]  # title, lines, tooltip


class Wording:
    """What the boxes of a picture say; pictures of another kind say it otherwise."""

    def title(self, block: Block) -> str:
        """Of a frame, without how often it repeats."""
        return block.name

    def block(self, view: View, block: Block) -> Texts:
        """Of a folded Block: what it is called, its ops and its parameters."""
        calls = view.folding.calls_of(block)
        ops = ops_text(calls[:len(calls) // block.times])
        parameters = view.folding.parameters(block)
        lines = [ops if ops != block.name else "", sizes_text(parameters)]
        about = [f"{value.name or 'parameter'} {' '.join(value_lines(value, ('shape', 'dtype')))}"
                 for value in parameters]
        tip = joined(block.scope, f"{count_text(block.n_ops, 'op')}: {ops}" + (", each" if block.times > 1 else ""),
                     *about[:_LISTED], "\u2026" if len(about) > _LISTED else "")
        return self.title(block), [line for line in lines if line], tip

    def value(self, value: Value, show: Collection[str] | None) -> list[str]:
        """Of a value, in a box or on an arrow."""
        return value_lines(value, show)


class Picture:
    """Boxes and arrows of a view."""

    def __init__(self, view: View, direction: str, limit: int, show: Collection[str] | None, backward: bool,
                 colours: Colours, wording: Wording | None = None) -> None:
        self.view = view
        self.show = show
        self.backward = backward
        self.colours = colours
        self.wording = wording or Wording()
        self.has_value_boxes = not view.n_ops and wording is None
        self.digraph = digraph_class()
        self.whole = self.digraph(graph_attr={**_GRAPH, "rankdir": direction}, node_attr=_NODE, edge_attr=_EDGE)
        self.frames: dict[Block, Any] = {view.root: self.whole}
        self.boxes: dict[Item | Value, str] = {}
        self.n_nodes = 0
        self.places: dict[Item | None, int] = {box: i for i, box in enumerate(view.boxes)}
        self.kinds: dict[str, None] = {}
        self.edges: dict[tuple[str, str], list[tuple[str, str, dict[str, str]]]] = {}
        results = {value.dtype for call in view.folding.calls for _, value in call.outputs}
        self.dtype = next(iter(results)) if len(results) == 1 else None
        self.limit = limit
        self.bundled = len(view.sources) > limit
        self._add_all(limit)
        if backward:
            Mirror(self).add()

    # ------------------------------------------------------------------ what is drawn

    def _add_all(self, limit: int) -> None:
        into: dict[Item, list[Arrow]] = {}
        for arrow in self.view.arrows:
            if arrow.head is not None:
                into.setdefault(arrow.head, []).append(arrow)
        if self.bundled:
            self._add_bundle(self.view.sources, "parameter", "leaves")
        for leaf in self.view.sources if not into else ():
            self._add_source(leaf)
        for box in self.view.boxes:
            for arrow in into.get(box, ()):
                if arrow.tail is None:
                    self._add_source(arrow.value)
            self.boxes[box] = self._add_box(box)
            for arrow in into.get(box, ()):
                self._add_arrow(arrow, self.boxes[box])
            if self.has_value_boxes and isinstance(box, Call):
                self._add_results(box)
        self._add_outputs(limit)
        for arrow in self.view.carried:
            if arrow.tail is not None and arrow.head is not None:
                self.edge(self.boxes[arrow.tail], self.boxes[arrow.head], "next", arrow.value, _CARRIED)

    def _add_box(self, box: Item) -> str:
        paint = self.colours.boxes.get(box)
        if isinstance(box, Call):
            params = ", ".join(f"{name}={value!r}" for name, value in box.params.items())
            title, lines = box.op, params_text(box.params)
            tip = joined(box.op, box.about, params, box.scope, box.source)
            kind = "op"
        else:
            title, lines, tip = self.wording.block(self.view, box)
            title += f" × {box.times:,}" if box.times > 1 else ""
            kind = "chain" if box.times > 1 else "block"
        prefix = "op" if isinstance(box, Call) else "block"
        return self.node(prefix, kind, title, lines, tip, self.view.home[box], paint)

    def _add_source(self, value: Value) -> None:
        if value not in self.boxes:
            self.boxes[value] = self.value_node(value, self.view.home.get(value, self.view.root))

    def _add_bundle(self, values: list[Value], kind: str, what: str) -> None:
        node = self.node("leaf", kind, f"{len(values):,} {what}", [], "", self.view.root)
        self.boxes.update(dict.fromkeys(values, node))

    def _add_results(self, call: Call) -> None:
        for name, value in call.outputs:
            self.boxes[value] = self.value_node(value, self.view.home[call])
            self.edge(self.boxes[call], self.boxes[value], name, value, is_spine=True)

    def _add_arrow(self, arrow: Arrow, head: str) -> None:
        name = arrow.name
        if isinstance(arrow.head, Call) and arrow.head.op in _SYMMETRIC:
            name = ""
        is_next = arrow.tail is not None and self.places[arrow.head] - self.places[arrow.tail] == 1
        if arrow.tail is None or self.has_value_boxes:
            self.edge(self.boxes[self.view.shown(arrow.value)], head, name, arrow.value, is_spine=is_next)
            return
        text = " ".join([*([name] if name else []), *self._on_arrow(arrow.value)])
        self.edge(self.boxes[arrow.tail], head, text, arrow.value, is_spine=is_next)

    def _add_outputs(self, limit: int) -> None:
        outputs = [arrow for arrow in self.view.arrows if arrow.head is None]
        if self.has_value_boxes:
            return
        if len(outputs) > limit:
            self._add_bundle([arrow.value for arrow in outputs], "output", "outputs")
        for arrow in outputs:
            if arrow.value not in self.boxes:
                self.boxes[arrow.value] = self.value_node(arrow.value, self.view.root)
            if arrow.tail is not None:
                self.edge(self.boxes[arrow.tail], self.boxes[arrow.value], "", arrow.value, is_spine=True)

    def _on_arrow(self, value: Value) -> list[str]:
        """The lines of a value; a dtype that all of them have is told once, below."""
        show = self.show
        if show is None:
            show = ["shape", *(["value"] if value.is_watched and value.value is not None else [])]
            show += ["dtype"] if self.dtype is None else []
        if self.backward:  # gradients stand on the arrows of the reverse pass
            show = [word for word in show if word != "gradient"]
        return [*([shortened(value.name)] if value.name else []), *self.wording.value(value, show)]

    # ------------------------------------------------------------------ parts, which the mirror uses, too

    def value_node(self, value: Value, home: Block) -> str:
        """A box of a value, in the frame of a Block."""
        role = role_of(value)
        prefix = role if role in ("output", "result") else value.kind
        show = self.show
        if self.backward:  # gradients stand in the backward graph
            known = value.is_watched and value.value is not None
            show = [word for word in (show or ["shape", "dtype", *(["value"] if known else [])]) if word != "gradient"]
        lines = self.wording.value(value, show)
        if lines == ["constant"] and role == "input":
            lines = ["input"]
        tip = joined(value.name or role, *value_lines(value, ("shape", "dtype", "bytes")))
        return self.node(prefix, role, value.name, lines, tip, home, self.colours.values.get(value))

    def node(self, prefix: str, kind: str, title: str, lines: list[str], tip: str, home: Block,
             paint: Paint | None = None) -> str:
        """Adds a box and gives its name."""
        name = f"{prefix}{self.n_nodes}"
        self.n_nodes += 1
        if paint is None or "fillcolor" not in paint.style:  # else its colour means something else
            self.kinds[kind] = None
        style = {**STYLES[kind], **(paint.style if paint else {})}
        lines = [*lines, *(paint.lines if paint else [])]
        tip = joined(tip, paint.more if paint else "")
        self.frame(home).node(name, label=label(title, lines), tooltip=_attribute(tip or title or kind), **style)
        return name

    def edge(self, tail: str, head: str, text: str, value: Value | None, style: dict[str, str] | None = None,
             is_spine: bool = False) -> None:
        """Adds an arrow; those of equal ends are joined where they are many."""
        weight = {"weight": "8"} if is_spine else {}  # heavy edges are straight, with leaves and shortcuts beside them
        tip = " ".join(value_lines(value, ("shape", "dtype", "bytes"))) if value is not None else ""
        self.edges.setdefault((tail, head), []).append((text, tip, {**(style or {}), **weight}))

    def frame(self, block: Block) -> Any:
        """The frame of a Block, made with those around it."""
        if block not in self.frames:
            name = f"cluster_{len(self.frames)}"
            self.frames[block] = None  # holds its place in the numbering
            self.frame(self.view.home[block])
            looks = {**_FRAME, **(_CHAIN_FRAME if block.times > 1 else {})}
            title = escaped(shortened(self.wording.title(block)))
            title = f"<b>{title} × {block.times:,}</b>" if block.times > 1 else title
            tip = _attribute(joined(block.scope, count_text(block.n_ops, "op")))
            self.frames[block] = self.digraph(name, graph_attr={**looks, "label": f"<{title}>", "tooltip": tip})
        return self.frames[block]

    def finished(self, notes: list[str]) -> Any:
        """The picture, once the innermost frames are put into theirs, and so on outwards."""
        for block in sorted(self.frames, key=lambda block: block.level, reverse=True):
            if block is not self.view.root:
                self.frames[self.view.home[block]].subgraph(self.frames[block])
        for (tail, head), edges in self.edges.items():
            if len(edges) > _SEPARATE:
                self.whole.edge(tail, head, label=f" {len(edges):,} values ", **{**edges[0][2], "penwidth": "1.6"})
                continue
            for text, tip, style in edges:
                more = {"tooltip": _attribute(tip), "labeltooltip": _attribute(tip)} if tip else {}
                self.whole.edge(tail, head, label=f" {text} " if text else None, **more, **style)
        if self.n_nodes > _LARGE:
            self.whole.graph_attr.update(_BOUNDS)
        self.whole.graph_attr["label"] = legend(self.kinds, self.colours.rows, self.colours.scale,
                                                [*self.colours.notes, *notes, *self._own_notes()])
        return self.whole

    def _own_notes(self) -> Iterator[str]:
        if any(block.times > 1 for block in self.view.open) and any(
                arrow.value.value is not None and (arrow.value.is_watched or np.size(arrow.value.value) == 1)
                for arrow in self.view.arrows if arrow.value.kind != "leaf" or arrow.value.is_watched):
            yield "numbers in what repeats are those of the first"
        if not self.has_value_boxes and self.dtype is not None and (self.show is None or "dtype" in self.show):
            yield f"{self.dtype} throughout"


def joined(*lines: str) -> str:
    """Those that say something, one under the other."""
    return "\n".join(line for line in lines if line)


def _attribute(text: str) -> str:
    """For an attribute, in which a backslash begins an escape."""
    return text.replace("\\", "\\\\")
