"""What the colours of a picture can tell: time or memory of a profile, gradcheck's verdict, where a NaN comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .folding import Item, View
from .labels import Row
from .profiling import NodeCost, Profile
from .reading import Call, Value
from .text import bytes_text

__all__ = ["Colours", "Paint", "colours_of"]

# ColorBrewer's OrRd and PuBu: one hue each, ever darker, so that they read without colour, too
_TIME = ("#fff7ec", "#fee8c8", "#fdd49e", "#fdbb84", "#fc8d59", "#ef6548", "#d7301f", "#990000")
_BYTES = ("#fff7fb", "#ece7f2", "#d0d1e6", "#a6bddb", "#74a9cf", "#3690c0", "#0570b0", "#034e7b")
_WHITE_TEXT_FROM = 5  # of the steps above
_UNKNOWN = {"fillcolor": "#eeeeee", "color": "#999999", "fontcolor": "#666666", "style": "rounded,filled,dashed"}
_VERDICTS = {
    "wrong": ("\u2717", {"fillcolor": "#b2182b", "color": "#67001f", "fontcolor": "#ffffff", "penwidth": "3"}),
    "at a kink": ("\u2227", {"fillcolor": "#fddc8c", "color": "#b8860b"}),
    "not checked": ("?", _UNKNOWN),
    "right": ("\u2713", {"fillcolor": "#c7e3f5", "color": "#2b7bba"}),
}
_STRONG = {"fillcolor": "#b2182b", "color": "#67001f", "fontcolor": "#ffffff", "penwidth": "3"}
_AFTER = {"fillcolor": "#f9d0c4", "color": "#c0604a"}
_RULE = {"fillcolor": "#762a83", "color": "#40004b", "fontcolor": "#ffffff", "penwidth": "3"}
_AFTER_RULE = {"fillcolor": "#e7d4e8", "color": "#9970ab"}


@dataclass
class Paint:
    """What a box looks like, the lines that it says more, and what its tooltip says more."""

    style: dict[str, str]
    lines: list[str] = field(default_factory=list)
    more: str = ""


@dataclass
class Colours:
    """Paints by box (`rules`: of the box that stands for its rules) and by value, and what the legend says."""

    boxes: dict[Item, Paint] = field(default_factory=dict)
    rules: dict[Item, Paint] = field(default_factory=dict)
    values: dict[Value, Paint] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    scale: tuple[Sequence[str], str, str, str] | None = None
    notes: list[str] = field(default_factory=list)


def colours_of(colour: Any, view: View, backward: bool) -> Colours:
    """The colours that `draw(colour=)` asks for."""
    if colour is None:
        return Colours()
    if isinstance(colour, str) and colour == "non-finite":
        return _non_finite(view, backward)
    if isinstance(colour, Profile):
        return _costs(colour, "seconds", view, backward)
    if isinstance(colour, tuple) and len(colour) == 2 and isinstance(colour[0], Profile):
        if colour[1] not in ("seconds", "bytes"):
            raise ValueError(f'draw: colour=(profile, ..) takes "seconds" or "bytes", got {colour[1]!r}')
        return _costs(*colour, view, backward)
    if hasattr(colour, "by_op"):
        return _verdicts(colour.by_op, view)
    raise TypeError('draw: colour must be the report of ag.profile, (that report, "bytes"), the report of '
                    f'ag.gradcheck, or "non-finite", got {colour!r:.60}')


# ---------------------------------------------------------------------- time and memory


def _costs(profile: Profile, unit: str, view: View, backward: bool) -> Colours:
    costs = profile.by_node
    if not any(call.order in costs for call in view.folding.calls):
        raise ValueError("draw: this y was not made under that profile, or more than 65,536 calls before its end; make "
                         "it (of Tensors) inside `with ag.profile() as report:`, and give that report")
    sums: dict[Item, tuple[float, float]] = {}
    for box in view.boxes:
        found = [costs[call.order] for call in view.stands_for(box) if call.order in costs]
        if found:
            sums[box] = _summed(found, unit)
    apart = [list(pair) if backward else [sum(pair)] for pair in sums.values()]
    highest = max((amount for amounts in apart for amount in amounts), default=0)
    total = sum(map(sum, sums.values()))
    colours, text = (_TIME, _seconds_text) if unit == "seconds" else (_BYTES, lambda n: bytes_text(int(n)))
    found_colours = Colours(scale=(colours, _scale_title(unit, backward), text(0), text(highest)))
    for box in view.boxes:
        if box not in sums:
            found_colours.boxes[box] = Paint(_UNKNOWN, ["not measured"])
            continue
        forward, of_rules = sums[box]
        more = f"forward {text(forward)}, backward {text(of_rules)}"
        own = forward if backward else forward + of_rules
        share = f" · {_percent(own / total)}" if total and unit == "seconds" else ""
        found_colours.boxes[box] = Paint(_step(own, highest, colours), [text(own) + share], more)
        found_colours.rules[box] = Paint(_step(of_rules, highest, colours), [text(of_rules)], more)
    return found_colours


def _summed(found: list[NodeCost], unit: str) -> tuple[float, float]:
    if unit == "seconds":
        return sum(cost.seconds for cost in found), sum(cost.rule_seconds for cost in found)
    return sum(cost.bytes for cost in found), sum(cost.rule_bytes for cost in found)


def _scale_title(unit: str, backward: bool) -> str:
    what = "time" if unit == "seconds" else "bytes of arrays in and out"
    return what if backward else f"{what}, forward and backward"


def _step(amount: float, highest: float, colours: Sequence[str]) -> dict[str, str]:
    at = min(int(len(colours) * amount / highest), len(colours) - 1) if highest else 0
    return {"fillcolor": colours[at], "color": colours[4],
            "fontcolor": "#ffffff" if at >= _WHITE_TEXT_FROM else "#222222"}


def _percent(part: float) -> str:
    return "under 1 %" if part < 0.01 else f"{100 * part:.0f} %"


def _seconds_text(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


# ---------------------------------------------------------------------- verdicts


def _verdicts(by_op: Sequence[Any], view: View) -> Colours:
    """Each op by its name, its scope, and which of the calls of that op in that scope it is."""
    given = {(found.op, found.scope, found.call): found for found in by_op}
    counts: Counter[tuple[str, str]] = Counter()
    of_call: dict[Call, Any] = {}
    for call in view.folding.calls:
        of_call[call] = given.get((call.op, call.scope, counts[call.op, call.scope]))
        counts[call.op, call.scope] += 1
    colours = Colours(rows=[(style, f"{mark} {name}") for name, (mark, style) in _VERDICTS.items()])
    for box in view.boxes:
        found = [of_call[call] for call in view.stands_for(box)]
        names = Counter(one.verdict if one else "not checked" for one in found)
        worst = next(name for name in _VERDICTS if names[name])
        mark, style = _VERDICTS[worst]
        causes = list(dict.fromkeys(one.cause for one in found if one and one.verdict == worst and one.cause))
        count = "" if len(found) == 1 else f" ({names[worst]:,} of {len(found):,} ops)"
        colours.boxes[box] = Paint(style, [f"{mark} {worst}{count}", *causes[:1]], "\n".join(causes))
    return colours


# ---------------------------------------------------------------------- NaN and infinity


def _non_finite(view: View, backward: bool) -> Colours:
    calls = view.folding.calls
    results = [value for call in calls for _, value in call.outputs]
    if not any(value.value is not None for value in results):
        raise ValueError('draw: colour="non-finite" looks at values, and none are kept: make y inside '
                         "`with ag.keep():`, and run backward there too to see gradients")
    bad_calls = {call for call in calls if any(_is_bad(value.value) for _, value in call.outputs)}
    bad_rules = {call for call in calls if any(_is_bad(value.gradient) for _, value in call.outputs)}
    source = next((leaf for leaf in view.folding.leaves if _is_bad(leaf.value)), None)
    first = next((call for call in calls if call in bad_calls
                  and not any(_is_bad(value.value) for _, value in call.inputs)), None)
    rule = next((call for call in reversed(calls) if call not in bad_rules
                 and any(_is_bad(value.gradient) for _, value in call.inputs)), None)
    colours = Colours(notes=list(_said(source or first, rule, results)))
    if source or first or bad_calls:
        colours.rows += [(_STRONG, "first that is not finite"), (_AFTER, "not finite")]
    if rule or bad_rules:
        colours.rows += [(_RULE, "rule of the first gradient that is not finite"), (_AFTER_RULE, "gradient not finite")]
    for box in view.boxes:
        held = set(view.stands_for(box))
        of_rules = colours.rules if backward else colours.boxes
        if bad_rules & held:
            of_rules[box] = Paint(_AFTER_RULE)
        if rule in held:
            of_rules[box] = Paint(_RULE, ["its rule gives the first gradient", "that is not finite"])
        if bad_calls & held:
            colours.boxes[box] = Paint(_AFTER)
        if first in held:
            colours.boxes[box] = Paint(_STRONG, ["first that is not finite:", _bad_text(first)])
    for value in [*view.folding.leaves, *(value for call in calls for _, value in [*call.inputs, *call.outputs])]:
        if _is_bad(value.value):
            colours.values[value] = Paint(_AFTER)
    if source:
        colours.values[source] = Paint(_STRONG, ["not finite from the start"])
    return colours


def _is_bad(value: Any) -> bool:
    """Whether there is a NaN or an infinity in it; what is not known is taken for finite."""
    parts = value if isinstance(value, tuple) else (value,)
    return any(part is not None and not np.all(np.isfinite(part)) for part in parts)


def _bad_text(call: Call | None) -> str:
    array = next(np.asarray(value.value) for _, value in call.outputs if _is_bad(value.value)) if call else np.zeros(0)
    counts = [f"{int(n):,} {name}" for name, n in (("nan", np.isnan(array).sum()), ("inf", np.isinf(array).sum())) if n]
    return f"{' and '.join(counts)} of {array.size:,}"


def _said(source: Any, rule: Call | None, results: list[Value]) -> Iterator[str]:
    if any(value.value is None for value in results):
        yield "not all values are kept: of the others nothing is known"
    elif source is None:
        yield "all values are finite"
    if all(value.gradient is None for value in results):
        yield "no gradients are kept"
    elif rule is None and not any(_is_bad(value.gradient) for value in results):
        yield "all gradients are finite"
