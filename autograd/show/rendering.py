"""Pictures of DOT source, with Graphviz's `dot` where it is on the PATH, and without it where it is not.

The package graphviz writes DOT and leaves the drawing to `dot`. The package pygraphviz (from 2.0 on) ships
Graphviz inside its wheel and draws within the process.
"""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path
from typing import Any

from .._atomic import replace_file
from .._extras import require
from .page import for_viewers, inline_svg, page

__all__ = ["digraph_class"]

_OWN_FORMATS = ("html", "svg", "dot", "gv")  # that Graphviz does not make, or not with the titles that viewers show
_Path = str | os.PathLike[str]


@functools.cache
def digraph_class(what: str = "ag.draw") -> Any:
    """A graphviz.Digraph whose pipe, render, view and notebook hooks work without `dot` too.

    It is made here, since its base is there only where graphviz is installed; ImportError where not, which says that
    `what` needs it.
    """
    graphviz = require("graphviz", extra="plot", what=what)
    base: Any = graphviz.Digraph

    class Digraph(base):
        """A graphviz.Digraph that draws itself without `dot`, too."""

        def pipe(self, format: str | None = None, *, engine: str | None = None, encoding: str | None = None,
                 **options: Any) -> Any:
            """The picture as bytes, or as a string of that encoding; the notebook hooks call this."""
            format = format or self.format
            if format == "html":
                picture = page(self.pipe("svg", engine=engine, encoding="utf-8", **options)).encode()
            elif format in ("dot", "gv"):
                picture = self.source.encode()
            elif shutil.which("dot"):
                picture = super().pipe(format, engine=engine, **options)
            else:
                picture = _draw_in_process(self.source, format, engine or self.engine, options)
            if format == "svg":
                picture = for_viewers(picture.decode()).encode()
            return picture if encoding is None else picture.decode(encoding)

        def render(self, filename: _Path | None = None, *, directory: _Path | None = None, view: bool = False,
                   cleanup: bool = False, format: str | None = None, outfile: _Path | None = None,
                   engine: str | None = None, **options: Any) -> str:
            """Writes the DOT source and beside it the picture (or at `outfile`), and gives the picture's path.

            The ending of `outfile` says the format: svg, png, pdf, dot, or html, which is one file to zoom and to
            move in.
            """
            wanted = format or (Path(outfile).suffix[1:].lower() if outfile is not None else self.format)
            if shutil.which("dot") and wanted not in _OWN_FORMATS:
                return super().render(filename, directory=directory, view=view, cleanup=cleanup, format=format,
                                      outfile=outfile, engine=engine, **options)
            if outfile is not None:
                filename = filename or Path(outfile).with_suffix(".gv")
                outfile = outfile if directory is not None else os.path.join(self.directory, outfile)
            picture = self.pipe(wanted, engine=engine, **options)  # before anything is written: it may raise
            source = self.save(filename, directory=directory)
            path = f"{source}.{wanted}" if outfile is None else os.fspath(outfile)
            replace_file(Path(path), lambda file: file.write(picture))
            if cleanup and path != source:
                os.remove(source)
            if view:
                graphviz.view(path)
            return path

        def _repr_svg_(self) -> str:
            return self.pipe("svg", encoding="utf-8")

        def _repr_html_(self) -> str:
            """The picture as it is, in a part of the page that can be moved where it is large."""
            return f'<div style="overflow: auto; max-height: 90vh">{inline_svg(self._repr_svg_())}</div>'

    return Digraph


def _draw_in_process(source: str, format: str, engine: str, options: dict[str, Any]) -> bytes:
    if options:
        raise ValueError(f"draw: {', '.join(options)}: only Graphviz's `dot` can do that, and it is not on the PATH; "
                         "leave it out")
    pygraphviz = require("pygraphviz", extra="plot", what="drawing where Graphviz's `dot` is not on the PATH")
    try:
        return pygraphviz.AGraph(string=source).draw(format=format, prog=engine)
    except (TypeError, ValueError) as error:  # what pygraphviz makes of a format or engine that it does not have
        raise ValueError(f"draw: the Graphviz in pygraphviz cannot make the format {format!r} with the engine "
                         f"{engine!r}; svg, png and pdf are there, and the engine dot") from error
