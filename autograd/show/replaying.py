"""replay(): the backward pass of a graph, step by step, as one page of HTML that needs nothing else."""

from __future__ import annotations

import json
import os
from contextvars import Context
from importlib import resources
from pathlib import Path
from typing import Any

from .._atomic import replace_file
from ..graph import Node
from ..scalar import Scalar
from ..tensor import Tensor
from .dot import check_view
from .folding import Folding, View
from .reading import Call, Named, Step, read_graph
from .scene import scene
from .tape import Tape, record_pass

__all__ = ["replay"]

_SCRIPTS = ("timeline.js", "arrays.js", "graph.js", "story.js", "rules.js",
            "player.js")
_FULL_RESOLUTION = 64


def replay(y: Any, path: str | os.PathLike[str], g: Any = None, names: Named | None = None,
           depth: int | None = None, limit: int = 500) -> Path:
    """Writes the backward pass of y as a page of HTML to step through, and returns its path.

    y      a Scalar, or a Tensor that was made inside `with ag.keep():`, before or after a backward(retain_graph=True)
    path   the file, "backward.html"; it is replaced where it exists
    g      cotangent of y's shape; may be left out where y has one element
    names  names for leaves or results: a dict, (name, Tensor) pairs, or a module
    depth  to which scopes are open at first: 0 opens none; None: all. The page opens and closes them
    limit  the most boxes; a larger graph is folded for good, and large arrays are shown at a lower resolution

    The pass runs once more for the page: no `.grad` is touched (hooks do run). The page loads nothing from elsewhere.

    Raises TypeError where y is something else; ValueError where y has no graph, is a leaf, or its values were not kept;
    RuntimeError where backward has freed the graph; OSError where the file cannot be written; ImportError where a
    package of im2grad[plot], which lays out the graph, is missing.

    >>> import autograd as ag, tempfile
    >>> a = ag.Scalar(3.0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = ag.replay(a * a, f"{folder}/backward.html", names={"a": a})
    ...     path.name, a.grad
    ('backward.html', None)
    """
    path = _checked_path(path)
    if isinstance(y, (list, tuple)):
        raise TypeError(f"replay: expected one Scalar or Tensor, got a {type(y).__name__}; add the outputs up first, "
                        "or replay one of them")
    if isinstance(y, Scalar) and g is not None:
        raise TypeError("replay: a Scalar takes no cotangent g: its pass starts from 1; multiply it first, as in y * 3")
    check_view("replay", "TB", depth, limit)
    # in a context of its own, so that no other observer (keep, profile, anomaly) takes this for a pass of the user's
    page = Context().run(_page, y, g, names, depth, limit)
    replace_file(path, lambda file: file.write(_html(page).encode()))
    return path


def _page(y: Scalar | Tensor, g: Any, names: Named | None, depth: int | None, limit: int) -> dict[str, Any]:
    """All that is to be seen, as plain data."""
    steps = read_graph("replay", y, names)
    _check(steps)
    tape = _run(y, g, steps)
    folding = Folding(steps)
    view = folding.view(limit=limit, merge=False)
    page = scene(folding, view, tape, depth)
    return page | {"given": g is not None, "notes": _notes(folding, view, page["resolution"])}


def _checked_path(path: str | os.PathLike[str]) -> Path:
    """The path, unless nothing could be written there: that is found out before the pass."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"replay: {path} is a folder; give the name of a file in it, such as backward.html")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"replay: there is no folder {path.parent}; make it first")
    return path


def _check(steps: list[Step]) -> None:
    """Raises unless every value is known and every rule can run."""
    calls = [step for step in steps if isinstance(step, Call)]
    if not calls:
        raise ValueError("replay: y is a leaf: no op made it, so there is nothing to go back through; give a result "
                         "that was computed from it")
    nodes = [(call, call.origin) for call in calls if isinstance(call.origin, Node)]
    freed = next((call for call, node in nodes if node.saved is None), None)
    if freed is not None:
        raise RuntimeError("replay: backward went through this graph before and freed the values saved for "
                           f"{freed.op!r}; call replay before y.backward(), or write y.backward(retain_graph=True)")
    lost = next((call for call, _ in nodes if any(value.value is None for _, value in call.outputs)), None)
    if lost is not None:
        raise ValueError(f"replay: the value of {lost.op!r} was not kept; compute all of y under keep:\n"
                         '    with ag.keep():\n        y = ...\n    ag.replay(y, "backward.html")')


def _run(y: Scalar | Tensor, g: Any, steps: list[Step]) -> Tape:
    try:
        return record_pass(y, g, steps)
    except (TypeError, ValueError) as error:
        if not str(error).startswith("backward: "):
            raise
        raise type(error)(str(error).replace("backward: ", "replay: ", 1)) from None


def _notes(folding: Folding, view: View, resolution: int) -> list[str]:
    notes = []
    if view.n_ops:
        closed = len(view.closed)
        notes.append(f"This graph has {len(folding.calls):,} ops. To stay readable, {view.n_ops:,} of them are folded "
                     f"into {closed} boxes, each of which is one step. Raise limit= to see more, or replay an "
                     "intermediate result.")
    if resolution < _FULL_RESOLUTION:
        notes.append(f"To keep this file small, large arrays are shown with at most {resolution}×{resolution} cells a "
                     "plane. Their smallest, mean and largest numbers are exact.")
    return notes


def _html(page: dict[str, Any]) -> str:
    folder = resources.files(__package__) / "replay_page"
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in ("page.html", "page.css", *_SCRIPTS)}
    script = "\n".join(texts[name] for name in _SCRIPTS)
    html = texts["page.html"].replace("<!--style-->", texts["page.css"]).replace("<!--script-->", script)
    return html.replace("<!--data-->", _json(page))  # last, since names in it may say anything


def _json(page: dict[str, Any]) -> str:
    """JSON that no HTML parser can take for a tag."""
    text = json.dumps(page, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
