"""Labels and styles of pictures: text in Graphviz's subset of HTML, and what each kind of box looks like."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from textwrap import wrap

from .reading import Call, Value

__all__ = [
    "STYLES",
    "Row",
    "count_text",
    "escaped",
    "label",
    "legend",
    "ops_text",
    "role_of",
    "shortened",
    "sizes_text",
]

_LONGEST = 44  # characters of a line
_FEW = 4  # ops that a box lists by name
_ROWS_SIDE_BY_SIDE = 3
_NOTE = 90  # characters of a line of a note: the legend is as wide as the longest

# Every kind has a form of its own, too: colours alone do not tell them apart for everybody.
STYLES: dict[str, dict[str, str]] = {
    "parameter": {"shape": "note", "style": "filled", "fillcolor": "#d9ead3", "color": "#6aa84f"},
    "input": {"shape": "oval", "style": "filled", "fillcolor": "#e6e0f0", "color": "#8e7cc3"},
    "constant": {"style": "dashed", "color": "#999999", "fontcolor": "#666666"},
    "result": {"style": "filled", "fillcolor": "#ffffff", "color": "#bbbbbb"},
    "output": {"style": "filled", "fillcolor": "#fff2cc", "color": "#d6a400", "peripheries": "2"},
    "op": {"style": "rounded,filled", "fillcolor": "#cfe2f3", "color": "#3d85c6"},
    "block": {"style": "rounded,filled", "fillcolor": "#cfe2f3", "color": "#3d85c6", "penwidth": "1.8",
              "margin": "0.14,0.06"},
    "chain": {"shape": "box3d", "style": "filled", "fillcolor": "#cfe2f3", "color": "#3d85c6", "margin": "0.18,0.09"},
    "rule": {"style": "rounded,filled", "fillcolor": "#fbe5d6", "color": "#c55a11"},
    "cotangent": {"style": "filled", "fillcolor": "#fffaf5", "color": "#dca27a"},
    "sum": {"shape": "circle", "style": "filled", "fillcolor": "#fbe5d6", "color": "#c55a11", "margin": "0.01",
            "height": "0.25"},
}
_MEANINGS = {
    "parameter": "parameter", "input": "input", "constant": "constant", "output": "output", "op": "op",
    "block": "folded ops", "chain": "repeats", "rule": "backward rule", "cotangent": "gradient",
    "sum": "gradients add up",
}


def role_of(value: Value) -> str:
    """The style of a value."""
    if value.is_input:
        return "input"
    if value.kind == "leaf":
        return "parameter"
    return "output" if value.is_output and value.kind == "result" else value.kind


def escaped(text: str) -> str:
    """Text that stands for itself within a label, where a backslash would begin "\\\\N", the box's own name."""
    return html.escape(text, quote=False).replace("\\", "\\\\")


def shortened(text: str, longest: int = _LONGEST) -> str:
    """A long text without its middle.

    >>> shortened("encoder.blocks.11.attention.weight", 20)
    'encod…tention.weight'
    """
    head = longest // 4
    return text if len(text) <= longest else f"{text[:head]}\u2026{text[len(text) - longest + head + 1:]}"


def label(title: str, lines: Iterable[str]) -> str:
    """A bold title over smaller lines, either of which may be missing."""
    rows = [f"<b>{escaped(shortened(title))}</b>"] if title else []
    rows += [f'<font point-size="10">{escaped(shortened(line, 2 * _LONGEST))}</font>' for line in lines]
    if len(rows) == 1:
        return f"<{rows[0]}>"
    cells = "".join(f"<tr><td>{row}</td></tr>" for row in rows)  # else lines of unequal fonts stand too close
    return f'<<table border="0" cellspacing="0" cellpadding="1">{cells}</table>>' if rows else "< >"


def ops_text(calls: Sequence[Call]) -> str:
    """Which ops these are, in the order in which they come first.

    >>> ops_text([Call(op, {}, [], "") for op in ("conv2d", "relu", "conv2d", "relu", "add")])
    'conv2d × 2, relu × 2, add'
    """
    counts = Counter(call.op for call in calls)
    named = [f"{op} × {n:,}" if n > 1 else op for op, n in list(counts.items())[:_FEW]]
    return ", ".join([*named, *(["\u2026"] if len(counts) > _FEW else [])])


def count_text(n: int, what: str) -> str:
    """
    >>> count_text(1, "op"), count_text(1200, "op")
    ('1 op', '1,200 ops')
    """
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def sizes_text(parameters: Sequence[Value]) -> str:
    """How many numbers they hold, "" where there are none.

    >>> sizes_text([Value("leaf", shape=(30, 40)), Value("leaf")])
    '1,201 parameters'
    """
    n = 0
    for value in parameters:
        size = 1
        for length in value.shape or ():
            size *= length
        n += size
    return count_text(n, "parameter") if parameters else ""


Row = tuple[dict[str, str], str]  # a style, and what it means


def legend(kinds: Iterable[str], rows: Sequence[Row], scale: tuple[Sequence[str], str, str, str] | None,
           notes: Sequence[str]) -> str:
    """The label of a whole picture: what its boxes mean, a scale of colours (with its title and both ends), notes."""
    meanings = [(STYLES[kind], _MEANINGS[kind]) for kind in _MEANINGS if kind in set(kinds)] + list(rows)
    cells = [f"<td>{_swatch(style)}</td><td align=\"left\">{escaped(text)}   </td>" for style, text in meanings]
    n = _ROWS_SIDE_BY_SIDE
    lines = [f"<tr>{''.join(cells[i:i + n])}</tr>" for i in range(0, len(cells), n)]
    tables = [_table("".join(lines), 2)] if lines else []
    if scale is not None:
        colours, title, low, high = scale
        steps = "".join(f'<td width="14" height="9" fixedsize="true" bgcolor="{colour}"></td>' for colour in colours)
        tables.append(_table(f"<tr><td>{escaped(title)}  {low} </td>{steps}<td> {high}</td></tr>", 0))
    tables += [escaped(line) for note in notes for line in wrap(note, _NOTE)]
    rows_of_tables = "".join(f"<tr><td>{table}</td></tr>" for table in tables)
    return f"<{_table(rows_of_tables, 1)}>" if tables else ""


def _table(rows: str, padding: int) -> str:
    return f'<table border="0" cellspacing="0" cellpadding="{padding}">{rows}</table>'


def _swatch(style: dict[str, str]) -> str:
    form = style.get("style", "")
    looks = [name for name in ("dashed", "rounded") if name in form]
    if style.get("shape") in ("oval", "circle"):
        looks = ["rounded"]
    fill = f' bgcolor="{style["fillcolor"]}"' if "fillcolor" in style else ""
    look = f' style="{",".join(looks)}"' if looks else ""
    border = 2 if style.get("penwidth") else 1
    is_sum = style.get("shape") == "circle"
    cell = '<td height="9" cellpadding="0"> + </td>' if is_sum else '<td width="18" height="9" fixedsize="true"></td>'
    frame = f'cellborder="0" cellspacing="0" color="{style["color"]}"'
    inner = f'<table border="{border}" {frame}{fill}{look}><tr>{cell}</tr></table>'
    if style.get("peripheries") or style.get("shape") == "box3d":
        return f'<table border="1" cellpadding="1" {frame}><tr><td>{inner}</td></tr></table>'
    return inner
