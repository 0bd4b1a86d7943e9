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

from .._extras import require

__all__ = ["digraph_class"]

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
            if shutil.which("dot"):
                return super().pipe(format, engine=engine, encoding=encoding, **options)
            picture = _draw_in_process(self.source, format or self.format, engine or self.engine, options)
            return picture if encoding is None else picture.decode(encoding)

        def render(self, filename: _Path | None = None, *, directory: _Path | None = None, view: bool = False,
                   cleanup: bool = False, format: str | None = None, outfile: _Path | None = None,
                   engine: str | None = None, **options: Any) -> str:
            """Writes the DOT source and beside it the picture (or at `outfile`), and gives the picture's path."""
            if shutil.which("dot"):
                return super().render(filename, directory=directory, view=view, cleanup=cleanup, format=format,
                                      outfile=outfile, engine=engine, **options)
            if outfile is not None:
                format = format or Path(outfile).suffix[1:].lower()
                filename = filename or Path(outfile).with_suffix(".gv")
                outfile = outfile if directory is not None else os.path.join(self.directory, outfile)
            format = format or self.format
            picture = self.pipe(format, engine=engine, **options)  # before anything is written: it may raise
            source = self.save(filename, directory=directory)
            path = f"{source}.{format}" if outfile is None else os.fspath(outfile)
            Path(path).write_bytes(picture)
            if cleanup:
                os.remove(source)
            if view:
                graphviz.view(path)
            return path

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
