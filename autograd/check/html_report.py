"""A report as HTML for a notebook: one table, no script, readable on a light and on a dark page."""

from __future__ import annotations

from html import escape
from typing import Any

__all__ = ["as_html"]

_COLOURS = {"right": "#2e7d32", "at a kink": "#b26a00", "wrong": "#c62828", "not checked": "#757575"}
_CELL = "text-align:left;vertical-align:top;padding:3px 10px 3px 0"
_HEADS = ("", "order", "where", "values", "error", "tolerance", "")


def as_html(report: Any) -> str:
    """A Report as one <div>."""
    rows = sorted(report.comparisons, key=lambda row: row.ok)
    body = "".join(_row(row) for row in rows)
    heads = "".join(f'<th style="{_CELL}">{head}</th>' for head in _HEADS)
    found = [] if report else [verdict for verdict in report.by_op if verdict.verdict == "wrong"]
    notes = [f"found in {verdict}" for verdict in found] + [text for text in (report.unchecked, report.missed) if text]
    colour = _COLOURS["right" if report else "wrong"]
    return (f'<div><p style="margin:4px 0"><b style="color:{colour}">{escape(report.headline)}</b></p>'
            f'<table style="border-collapse:collapse"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'
            + "".join(f'<p style="margin:4px 0">{escape(note)}</p>' for note in notes) + "</div>")


def _row(row: Any) -> str:
    first, second = row.labels
    values = f"{escape(first)} <b>{row.analytic:.9g}</b><br>{escape(second)} <b>{row.numeric:.9g}</b>"
    values += f'<br><span style="opacity:.7">{escape(row.how)}</span>' if row.how else ""
    about = [row.share, row.note, f"likely {row.cause}" if row.cause else ""]
    verdict = f'<b style="color:{_COLOURS[row.verdict]}">{row.verdict}</b>'
    cells = (verdict, str(row.order), escape(row.place), values,
             f"{row.error:.3g}<br>relative {row.relative:.3g}",
             f'{row.tolerance:.3g}<br><span style="opacity:.7">{escape(row.why)}</span>',
             "<br>".join(escape(text) for text in about if text))
    return "<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells) + "</tr>"
