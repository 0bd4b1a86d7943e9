"""The graph as a picture: ops and the values between them, frames around scopes, and a legend."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..scalar import Scalar
from ..tensor import Tensor
from .colouring import colours_of
from .folding import Folding, View
from .picture import Picture
from .reading import Named, read_graph

__all__ = ["check_view", "draw", "folded_notes"]

_SHOWN = ("shape", "dtype", "bytes", "value", "gradient")


def draw(y: Scalar | Tensor | list[Any], names: Named | None = None, direction: str = "TB", limit: int = 60, *,
         depth: int | None = None, merge: bool | None = None, show: Collection[str] | None = None,
         backward: bool = False, colour: Any = None) -> Any:
    """The graph that leads to y, as a `graphviz.Digraph` that shows itself in a notebook.

    y          a Scalar, a Tensor, or a list of one of the two
    names      names for leaves, constants or results: a module, a dict, or (name, Tensor) pairs; a value of these may
               be a module, too: names={"image": x, "net": model}. What is named is a parameter; where there is a
               module, the parameters are its own, and other leaves are inputs
    direction  "TB" (top to bottom) or "LR" (left to right)
    limit      the most boxes; a graph that has more is folded, and the picture says what was folded (a thousand
               boxes take some seconds to lay out, several thousand minutes)
    depth      scopes (modules are scopes) are opened to that depth, 0 opens none; None: all where they fit into
               `limit`, else the deepest that does
    merge      whether blocks that repeat in a chain are drawn once with "× 12"; None: where something is folded
    show       which of "shape", "dtype", "bytes", "value", "gradient" of each value; None: shape and dtype, and values
               and gradients where they are known: of Scalars, and of what was made under `keep`
    backward   draws the reverse pass beside the forward: for each op its rules and what was saved for them, and where
               gradients from several users add up
    colour     the report of `ag.profile` (time; (report, "bytes") for memory), the report of `ag.gradcheck` (verdicts),
               or "non-finite" (where the first NaN or infinity comes from, under `keep`)

    Parameters, inputs and outputs differ in form and in colour, as the legend says. Constants (what needs no gradient)
    are dashed; backward frees what was known of them. Where nothing is folded each value has a box, else values are
    told on the arrows.

    `.render(outfile="graph.svg")` writes a file (svg, png, pdf, dot, or html: one file to zoom and to move in),
    `.pipe(format="svg")` gives its bytes, and `.source` is the text in Graphviz's language DOT. Drawing takes
    Graphviz's `dot` where it is on the PATH, else the Graphviz inside the package pygraphviz.

    Raises TypeError where y or colour is something else; ValueError where y does not require a gradient, an argument
    has another value, y was not made under that profile, or no values are kept for "non-finite"; ImportError where a
    package of im2grad[plot] is missing.

    >>> import autograd as ag
    >>> from autograd.show import draw
    >>> a = ag.Scalar(3.0)
    >>> "gradient not computed" in draw(a * a, names={"a": a}).source
    True
    """
    check_view("draw", direction, depth, limit)
    if show is not None:
        unknown = [show] if isinstance(show, str) else [word for word in show if word not in _SHOWN]
        if unknown:
            raise ValueError(f"draw: show must be some of {', '.join(map(repr, _SHOWN))}, got {unknown[0]!r}")
    view = Folding(read_graph("draw", y, names)).view(depth, limit, merge)
    picture = Picture(view, direction, limit, show, backward, colours_of(colour, view, backward))
    return picture.finished(folded_notes(view, depth, limit))


def check_view(who: str, direction: str, depth: Any, limit: Any) -> None:
    """Raises ValueError where one of them is none."""
    if direction not in ("TB", "LR"):
        raise ValueError(f'{who}: direction must be "TB" or "LR", got {direction!r}')
    if not isinstance(limit, int) or limit < 1:
        raise ValueError(f"{who}: limit must be a whole number of at least 1, got {limit!r}")
    if depth is not None and (not isinstance(depth, int) or depth < 0):
        raise ValueError(f"{who}: depth must be None or a whole number of at least 0, got {depth!r}")


def folded_notes(view: View, depth: int | None, limit: int) -> list[str]:
    """What of the graph is not to be seen, and what would show more."""
    if not view.n_ops:
        return []
    total, boxes = len(view.folding.calls), len(view.closed)
    chains = [block for block in view.open if block.times > 1]
    notes = []
    if boxes:
        held = sum(box.n_ops for box in view.closed)
        notes.append(f"{held:,} of {total:,} ops are folded into {boxes:,} box{'es' if boxes > 1 else ''}")
    if chains:
        notes.append(f"{total - len(view.boxes) - sum(box.n_ops - 1 for box in view.closed):,} more stand in repeats"
                     if boxes else f"{view.n_ops:,} of {total:,} ops are repeats, drawn once")
    if depth is not None and view.depth < min(depth, view.folding.deepest):
        notes.append(f"depth={depth} has more than limit={limit} boxes: raise limit")
    elif boxes and 0 <= view.depth < view.folding.deepest:
        more = "" if depth is not None else f" with a higher limit than {limit}"
        notes.append(f"depth={view.depth + 1} shows more{more}")
    is_cut = any(box.kind == "cut" for box in view.closed)
    hint = ["there are no scopes and no repeats to fold by: ag.scope(name) gives boxes a meaning"] if is_cut else []
    return ["; ".join(notes), *hint]
