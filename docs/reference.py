"""Builds the API reference as static HTML from the docstrings: `python docs/reference.py [FOLDER]`.

One page for each module of MODULES, with the names of its `__all__` alone, grouped by what they are for, and an index
with a search. The pages need no network. pdoc does the work (pip install 'im2grad[docs]'); what is added here:

- an op is an object, and is shown as the function that it is to its caller: signature, docstring, source;
- docstrings are plain text, so a `*` is a star, lines in columns keep their columns, and doctests are code.
"""

from __future__ import annotations

import argparse
import functools
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any

from autograd import Op

try:
    from pdoc import doc, render
    from pdoc.render_helpers import format_signature
except ModuleNotFoundError as error:
    raise ImportError("docs/reference.py needs the package pdoc: pip install 'im2grad[docs]'") from error

__all__ = ["MODULES", "build"]

MODULES = ("autograd", "nn", "nn.functional", "nn.init", "nn.inspection", "nn.models", "nn.optim", "nn.plot",
           "datasets")
ROOT = Path(__file__).parents[1]

# The groups of a page: the files whose names come under a title. What is in none of them comes last.
_GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "autograd": {
        "Numbers, Tensors, ops": ("scalar", "tensor", "op"),
        "Gradients": ("backward", "transforms"),
        "Recording": ("graph",),
        "Checking": ("check",),
        "Pictures and profiles": ("show",),
        "Elementwise ops": ("ops.elementwise",),
        "Reductions": ("ops.reduce",),
        "Shapes": ("ops.shape",),
        "Indexing": ("ops.index",),
        "Linear algebra": ("ops.linalg",),
        "Convolution and pooling": ("ops.conv", "ops.pool"),
        "Softmax and normalization": ("ops.softmax", "ops.norm"),
        "Threads": ("kernels",),
    },
    "nn": {
        "Modules": ("module", "sequential"),
        "Layers": ("conv", "dense", "pooling", "normalization", "dropout", "embedding", "flatten"),
        "Activations": ("activations",),
        "Training": ("train", "history", "randomness"),
        "Saving and summaries": ("files", "table"),
        "Checking": ("checking",),
    },
}
_OTHERS = "More"


def build(folder: Path) -> list[Path]:
    """Writes the pages into folder, which is made if it is not there, and returns them."""
    loaded = {name: import_module(name) for name in MODULES}
    for module in loaded.values():
        for name in module.__all__:  # some are loaded when they are first used, and pdoc looks for them in the module
            getattr(module, name)
    modules: dict[str, doc.Module] = {name: _Module(module) for name, module in loaded.items()}
    _configure()
    with warnings.catch_warnings():  # pdoc tries to evaluate annotations, which are shown as they are written here
        warnings.filterwarnings("ignore", message="Error parsing type annotation")
        pages = {f"{name.replace('.', '/')}.html": render.html_module(module, modules)
                 for name, module in modules.items()}
        pages["index.html"] = render.html_index(modules)
        pages["search.js"] = render.search_index(modules)
    for name, text in pages.items():
        page = folder / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    return [folder / name for name in pages]


def _configure() -> None:
    render.configure(template_directory=Path(__file__).parent / "templates", docformat="markdown",
                     footer_text=f"im2grad {sys.modules['autograd'].__version__}")
    render.env.filters["to_markdown"] = _markdown
    render.env.filters["written_signature"] = _written_signature
    render.env.globals["groups"] = _grouped
    render.env.globals["page_with"] = _page_with
    render.env.globals["source_place"] = _place


class _Module(doc.Module):
    """A module whose ops are documented as functions."""

    @functools.cached_property
    def _member_objects(self) -> dict[str, Any]:
        members = super()._member_objects
        return {name: _as_function(value) if isinstance(value, Op) else value for name, value in members.items()}

    @property
    def submodules(self) -> list[doc.Module]:
        """Those with a page of their own; pdoc would look into private ones too."""
        return [_Module(sys.modules[name]) for name in MODULES if name.rpartition(".")[0] == self.modulename]


def _as_function(op: Op) -> Callable:
    """The op as its caller sees it."""
    @functools.wraps(op.forward)
    def call(*args: Any, **params: Any) -> Any:
        return op(*args, **params)

    call.__signature__ = inspect.signature(op)  # type: ignore[attr-defined]
    return call


def _grouped(module: doc.Module) -> Iterator[tuple[str, list[doc.Doc]]]:
    """(title, members) in the order of the page; a page without groups has one, without a title."""
    groups = _GROUPS.get(module.modulename)
    members = [member for member in module.flattened_own_members if member.kind != "module"]
    if groups is None:
        yield "", members
        return
    files = [(f"{module.modulename}.{file}.", title) for title, names in groups.items() for file in names]
    titles = {title: [] for title in (*groups, _OTHERS)}  # type: dict[str, list[doc.Doc]]
    for prefix, title in files:
        titles[title] += [member for member in members if f"{_home(member)}.".startswith(prefix)]
    placed = [member for found in titles.values() for member in found]
    titles[_OTHERS] = [member for member in members if member not in placed]
    yield from ((title, found) for title, found in titles.items() if found)


def _page_with(class_name: str, module: doc.Module) -> str | None:
    """Where a class is documented, as a link from the page of module; "" for that page itself, None for nowhere."""
    homes = [name for name in (module.modulename, *MODULES) if class_name in sys.modules[name].__all__]
    if not homes or homes[0] == module.modulename:
        return "" if homes else None
    return "../" * module.modulename.count(".") + homes[0].replace(".", "/") + ".html"


def _home(member: doc.Doc) -> str:
    """The module that a name was defined in."""
    return getattr(getattr(member, "obj", None), "__module__", None) or ""


class _Written(str):
    """An annotation as it stands in the source; pdoc prints the repr."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _written_signature(function: doc.Function, colon: bool) -> str:
    """The signature with its annotations as they are written: ArrayLike, not the twenty types it stands for."""
    # an op's own comes first: pdoc unwraps it to the forward, which may take what only the engine gives
    signature = getattr(function.wrapped, "__signature__", None) or inspect.signature(function.obj)
    parameters = list(signature.parameters.values())
    if function.name == "__init__":
        parameters, signature = parameters[1:], signature.replace(return_annotation=inspect.Signature.empty)
    shown = [p.replace(annotation=_as_written(p.annotation)) for p in parameters]
    return format_signature(signature.replace(parameters=shown, return_annotation=_as_written(
        signature.return_annotation)), colon)


def _as_written(annotation: Any) -> Any:
    return _Written(annotation) if isinstance(annotation, str) else annotation


def _place(member: doc.Doc) -> str:
    """Where the source is: autograd/ops/conv.py:40."""
    if member.source_file is None or member.source_lines is None or not member.source_file.is_relative_to(ROOT):
        return ""
    path = member.source_file.relative_to(ROOT).as_posix()
    return path if member.kind == "module" else f"{path}:{member.source_lines[0]}"


# ---------------------------------------------------------------------- docstrings


def _markdown(docstring: str) -> str:
    """A docstring of this project as Markdown, paragraph by paragraph.

    >>> print(_markdown("x * y * z.\\n\\nrtol  relative\\n      error\\n\\n    y = x"))
    x \\* y \\* z.
    <BLANKLINE>
    <table class="columns"><tr><td><code>rtol</code></td><td>relative error</td></tr></table>
    <BLANKLINE>
    ```text
    y = x
    ```
    """
    parts = re.split(r"\n\s*\n", inspect.cleandoc(docstring))
    return "\n\n".join(_paragraph(part) for part in parts if part.strip())


def _paragraph(text: str) -> str:
    lines = text.splitlines()
    if lines[0].lstrip().startswith(">>>"):
        return f"```pycon\n{inspect.cleandoc(text)}\n```"
    if all(line.startswith("    ") for line in lines):
        return f"```text\n{inspect.cleandoc(text)}\n```"
    if re.match(r"\S+(, \S+)*  +\S", lines[0]):
        return _table(lines)
    text = "".join(part if part.startswith("`") else re.sub(r"([*_<\[\]#|])", r"\\\1", part)
                   for part in re.split(r"(`+[^`]+`+)", text))
    return _attributes(text)


def _table(lines: list[str]) -> str:
    """Lines of `name  what it is`, each of which may go on in indented lines."""
    rows: list[list[str]] = []
    for line in lines:
        if line.startswith(" ") and rows:
            rows[-1][1] += " " + line.strip()
        else:
            rows.append([*re.split(r"  +", line, maxsplit=1), ""][:2])
    cells = "".join(f"<tr><td><code>{escape(name)}</code></td><td>{_inline(text)}</td></tr>" for name, text in rows)
    return f'<table class="columns">{cells}</table>'


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", _attributes(escape(text, quote=False)))


def _attributes(text: str) -> str:
    """`.grad` as it is, by a dot that pdoc does not see: it would lead to the function autograd.grad."""
    return re.sub(r"`\.(\w+[^`]*)`", r"<code>&#46;\1</code>", text)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0].split(":")[0] + ".")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("build/reference"),
                        help="where the pages go (build/reference)")
    folder = parser.parse_args(argv).folder
    pages = build(folder)
    print(f"{len(pages)} files; open {folder / 'index.html'}")


if __name__ == "__main__":
    main()
