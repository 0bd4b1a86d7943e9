"""The reverse pass beside the forward: each op's rules, the cotangents that flow, and where they add up.

It is drawn in the same direction as the forward, with arrows that point back, so that a rule stands beside its op.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from .folding import Block, Item
from .reading import Call, Value
from .text import numbers_text, value_lines

if TYPE_CHECKING:
    from .picture import Picture

__all__ = ["Mirror"]

_BACK = {"dir": "back", "color": "#c55a11", "fontcolor": "#a04000"}
_TURN = {"style": "dashed", "color": "#c55a11", "fontcolor": "#a04000", "constraint": "false"}


class Mirror:
    """Adds the backward graph of all that a picture shows."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.view = picture.view
        self.rules: dict[Item, str] = {}
        self.gradients: dict[tuple[str, Value], str] = {}  # boxes that stand for the gradients of many

    def add(self) -> None:
        for box in self.view.boxes:
            self.rules[box] = self._add_rule(box)
        users: dict[Value, list[Item]] = {}
        for arrow in self.view.arrows:
            if arrow.value.kind != "constant" and arrow.head is not None:
                users.setdefault(self.view.shown(arrow.value), []).append(arrow.head)
        outputs = {self.view.shown(arrow.value): arrow.value for arrow in self.view.arrows if arrow.head is None}
        values = dict.fromkeys([*users, *outputs])
        if len(values) > 2 * self.picture.limit and not self.picture.has_value_boxes:
            self._add_flows(values, users, outputs)
            return
        for value in values:
            self._add_gradient(value, users.get(value, []), outputs.get(value))

    def _add_flows(self, values: Iterable[Value], users: dict[Value, list[Item]], outputs: dict[Value, Value]) -> None:
        """Between the boxes alone, where there are too many values for a "+" or a box for each."""
        picture = self.picture
        for title, found in (("sources", [value for value in values if value not in self.view.makers]),
                             ("outputs", list(outputs))):
            if found:
                title_of_all = f"\u2207 of {len(found):,} {title}" if len(found) > 1 else f"\u2207 of the {title[:-1]}"
                name = picture.node("gradient", "cotangent", title_of_all, [], "", self.view.root)
                self.gradients.update(dict.fromkeys(((title, value) for value in found), name))
        for value in values:
            maker = self.view.makers.get(value)
            end = self.rules[maker] if maker is not None else self.gradients["sources", value]
            starts = [self.rules[user] for user in users.get(value, [])]
            starts += [self.gradients["outputs", value]] if value in outputs else []
            for start in starts:
                picture.edge(end, start, "", value, _BACK)

    def _add_rule(self, box: Item) -> str:
        title = box.op if isinstance(box, Call) else self.picture.wording.title(box)
        times = f" × {box.times:,}" if isinstance(box, Block) and box.times > 1 else ""
        lines = list(_rule_lines(box)) if isinstance(box, Call) else []
        return self.picture.node("rule", "rule", f"{title} backward{times}", lines, "", self.view.home[box],
                                 self.picture.colours.rules.get(box))

    def _add_gradient(self, value: Value, users: list[Item], output: Value | None) -> None:
        """From the rules of all users to the rule of what made it."""
        picture, maker = self.picture, self.view.makers.get(value)
        home = self.view.home[maker] if maker is not None else self.view.home.get(value, self.view.root)
        given = [self.rules[user] for user in users]
        if output is not None:
            seed = self._box(output, self.view.root if users else home, is_seed=True)
            picture.edge(picture.boxes[output], seed, "backward starts", None, _TURN)
            given.append(seed)
        has_box = (picture.has_value_boxes or maker is None) and not (output is not None and not users)
        target = self._box(value, home) if has_box else self.rules[maker] if maker is not None else ""
        text = "" if picture.has_value_boxes or has_box else self._on_arrow(value)
        end = target
        if len(given) > 1:
            end = picture.node("sum", "sum", "+", [], "gradients from several users add up", home)
            picture.edge(target, end, text, value, _BACK, True)
            text = ""
        for source in given:
            picture.edge(end, source, text, value, _BACK, len(given) == 1)
        if has_box and maker is not None:
            picture.edge(self.rules[maker], target, "", value, _BACK, True)

    def _on_arrow(self, value: Value) -> str:
        words = [word for word in self.picture.show or ("shape",) if word != "value"]
        return " ".join(line.removeprefix("gradient ") for line in value_lines(value, words))

    def _box(self, value: Value, home: Block, is_seed: bool = False) -> str:
        show = self.picture.show
        wanted = ["shape", "gradient"] if show is None and (value.is_watched or value.gradient is not None) else show
        lines = value_lines(value, [word for word in wanted or ("shape",) if word != "value"])
        lines = [line.removeprefix("gradient ") for line in lines]
        title = f"\u2207 {value.name}" if value.name else "\u2207"
        tip = f"the gradient with respect to {value.name or 'this value'}" + (", given to backward" if is_seed else "")
        return self.picture.node("gradient", "cotangent", title, lines, tip, home)


def _rule_lines(call: Call) -> Iterator[str]:
    """What each rule gives, and what was saved for it; of Scalars the local derivative."""
    for rule in call.rules:
        names = [_name_of(call, i) for i in rule.inputs]
        what = f"for {', '.join(names)}: " if any(names) else ""
        if rule.slope is not None:
            yield f"{what}times {numbers_text(rule.slope)}"
        else:
            yield f"{what}uses {', '.join(rule.uses)}" if rule.uses else f"{what}uses nothing saved"


def _name_of(call: Call, i: int) -> str:
    name, value = call.inputs[i]
    if len(call.inputs) == 1:
        return ""
    sides = ("left", "right") if len(call.inputs) == 2 else ("", "")
    return name or value.name or sides[i % 2]
