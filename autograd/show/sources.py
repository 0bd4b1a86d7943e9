"""The source of a backward rule as it stands in its file: one lambda cut out of the call that it is an argument of."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
import textwrap
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

__all__ = ["Source", "helpers_of", "source_of"]

_LONGEST = 60  # lines of one function
_ROOT = Path(__file__).parents[2]


class Source(NamedTuple):
    """A piece of source and where it stands: "autograd/ops/elementwise.py:76"."""

    where: str
    text: str


def source_of(function: Any) -> Source | None:
    """The source of a function, None where it is not to be had (typed into a prompt, or not written in Python).

    >>> import autograd as ag
    >>> rule = ag.multiply._rules[1][0]
    >>> source_of(rule).text
    'lambda g, x: g * x'
    """
    function = inspect.unwrap(function)
    if not isinstance(function, FunctionType):
        return None
    code = function.__code__
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if not lines:
        return None
    where = f"{_short(code.co_filename)}:{code.co_firstlineno}"
    text = _lambda_text(code, "".join(lines)) if function.__name__ == "<lambda>" else _function_text(function)
    return Source(where, text) if text else None


def helpers_of(function: Any) -> list[FunctionType]:
    """The private functions beside a rule that it calls."""
    if not isinstance(function, FunctionType):
        return []
    called = [function.__globals__.get(name) for name in _names(function.__code__) if name.startswith("_")]
    return [helper for helper in called if isinstance(helper, FunctionType)]


def _names(code: CodeType) -> list[str]:
    """The global names that a function uses, those in its comprehensions, too."""
    inner = [name for const in code.co_consts if isinstance(const, CodeType) for name in _names(const)]
    return list(dict.fromkeys([*code.co_names, *inner]))


def _function_text(function: FunctionType) -> str:
    try:
        text = textwrap.dedent(inspect.getsource(function)).rstrip()
    except (OSError, TypeError):  # the file has changed or is gone
        return ""
    lines = text.splitlines()
    return text if len(lines) <= _LONGEST else "\n".join([*lines[:_LONGEST], "    ..."])


def _lambda_text(code: CodeType, source: str) -> str:
    """The lambda whose body holds all instructions of `code`: several may stand on a line, with the same arguments."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # the lines of a notebook's cell may have its magics in them
        return ""
    places = [(line, column) for line, _, column, _ in code.co_positions() if line and column]
    found = [node for node in ast.walk(tree)
             if isinstance(node, ast.Lambda) and [a.arg for a in node.args.args] == _arguments(code)
             and places and all(_start(node) <= place <= _end(node) for place in places)]
    if not found:
        return ""
    innermost = max(found, key=_start)
    return _dedented(ast.get_source_segment(source, innermost) or "")


def _arguments(code: CodeType) -> list[str]:
    return list(code.co_varnames[:code.co_argcount])


def _start(node: Any) -> tuple[int, int]:
    return node.body.lineno, node.body.col_offset


def _end(node: Any) -> tuple[int, int]:
    return node.body.end_lineno, node.body.end_col_offset


def _dedented(text: str) -> str:
    first, *rest = text.splitlines()
    return "\n".join([first, *textwrap.dedent("\n".join(rest)).splitlines()])


def _short(filename: str) -> str:
    """The path as seen from the project or from where modules are found, so that no home directory is given away."""
    path = Path(filename)
    for root in (_ROOT, *map(Path, sys.path)):
        if root.is_absolute() and path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return path.name
