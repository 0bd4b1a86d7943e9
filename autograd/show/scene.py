"""A replay as plain data: boxes with their places, values, and what each rule did, ready to be written as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import Node
from ..scalar import Scalar
from .folding import Block, Folding, Item, View
from .layout import Frame, Place, place
from .mathml import equation, explained
from .naming import labels_of
from .packing import Layout, Packer
from .reading import Call, Value
from .scalar_formulas import scalar_method, scalar_terms
from .sources import Source, helpers_of, source_of
from .tape import Contribution, Pull, Tape
from .terms import named, renamed, rule_terms, times, without_g
from .text import params_text

__all__ = ["scene"]

_LINE = 17.0  # height of a line of a box in points
_NARROWEST, _WIDEST = 112.0, 200.0
_LISTED = 12  # ops of a folded group that are named
_PARAMETERS = 40  # parameters of a folded group that are shown
_KERNEL_OPS = ("conv2d", "conv2d_input_grad")


def scene(folding: Folding, view: View, tape: Tape, depth: int | None) -> dict[str, Any]:
    """All that the page needs, by the names that page.js reads."""
    return _Scene(folding, view, tape).data(depth)


class _Scene:
    def __init__(self, folding: Folding, view: View, tape: Tape) -> None:
        self.folding = folding
        self.view = view
        self.tape = tape
        self.packer = Packer()
        self.items: list[Value | Item] = [*view.sources, *view.boxes]
        self.numbers = {item: number for number, item in enumerate(self.items)}
        self.labels = labels_of(folding)
        self.kernels = {value for call in folding.calls if call.op in _KERNEL_OPS
                        for name, value in call.inputs if name == "w"}
        self.values: dict[Value, int] = {}
        self.value_data: list[dict[str, Any]] = []
        self.rules: dict[tuple, int] = {}
        self.rule_data: list[dict[str, Any]] = []
        self.sources: dict[Source, int] = {}
        self.found_sources: dict[Any, list[int]] = {}  # by rule: to parse a file for each call took seconds

    def data(self, depth: int | None) -> dict[str, Any]:
        boxes = [self.box(item) for item in self.items]
        pulls = [self.pull(box, found) for box, found in self.pulls_by_box()]
        edges = [(self.numbers[arrow.tail or arrow.value], self.numbers[arrow.head], self.value(arrow.value),
                  arrow.name) for arrow in self.view.arrows if arrow.head is not None]
        frames = [_frame(block) for block in self.view.open]
        for item in self.items:
            home = self.view.home.get(item)
            if home in self.view.open:
                frames[self.view.open.index(home)].boxes.append(self.numbers[item])
        outer = [self.view.home[block] for block in self.view.open]
        for frame, block in zip(frames, outer, strict=True):
            if block in self.view.open:
                frames[self.view.open.index(block)].frames.append(frame)
        placed = place([_size(box, self.value_data) for box in boxes], [(tail, head) for tail, head, *_ in edges],
                       [frame for frame, block in zip(frames, outer, strict=True) if block not in self.view.open])
        for box, at in zip(boxes, placed.boxes, strict=True):
            box["place"] = _rounded(at)
        output, seed = self.value(self.tape.output), self.gradient(self.tape.seed, self.tape.output)
        arrays, resolution = self.packer.packed()
        return {
            "size": [round(placed.width), round(placed.height)],
            "boxes": boxes,
            "edges": [[*edge, path] for edge, path in zip(edges, placed.edges, strict=True)],
            "frames": [{"title": frame.title, "place": _rounded(placed.frames[frame]), "boxes": frame.boxes,
                        "outer": self.view.open.index(block) if block in self.view.open else None,
                        "ops": inner.n_ops, "open": depth is None or inner.level < depth}
                       for frame, inner, block in zip(frames, self.view.open, outer, strict=True)],
            "title": f"Backward pass of {self.labels[self.tape.output]}",
            "output": output,
            "seed": seed,
            "values": self.value_data,
            "pulls": pulls,
            "rules": self.rule_data,
            "sources": [source._asdict() for source in self.sources],
            "arrays": arrays,
            "resolution": resolution,
        }

    # ---------------------------------------------------------------- boxes and values

    def title(self, call: Call) -> str:
        """What a call is called on its box, as in the text beside it: "tanh #2", "product #2 (*)", "loss = add"."""
        names = ", ".join(value.name for _, value in call.outputs if value.name)
        if names or len(call.outputs) > 1:
            return f"{names} = {call.op}" if names else call.op
        label = self.labels[call.outputs[0][1]]
        return label if label.startswith(call.op) else f"{label} ({call.op})"

    def box(self, item: Value | Item) -> dict[str, Any]:
        if isinstance(item, Value):
            return {"kind": item.kind, "title": self.labels[item], "outputs": [["", self.value(item)]]}
        if isinstance(item, Call):
            return {"kind": "op", "op": item.op, "title": self.title(item),
                    "about": item.about, "params": params_text(item.params), "scope": item.scope,
                    "formula": self.forward_formula(item),
                    "inputs": [[name, self.value(value)] for name, value in item.inputs],
                    "outputs": [[name, self.value(value)] for name, value in item.outputs]}
        calls = self.folding.calls_of(item)
        return {"kind": "group", "title": item.name, "cut": item.kind == "cut", "scope": item.scope, "ops": item.n_ops,
                "unlisted": max(len(self.folding.parameters(item)) - _PARAMETERS, 0),
                "listed": [call.op for call in calls[:_LISTED]],
                "inputs": [["", self.value(value)] for value in self.folding.inputs(item)],
                "parameters": [self.value(value) for value in self.folding.parameters(item)[:_PARAMETERS]],
                "outputs": [["", self.value(value)] for value in self.folding.outputs(item)]}

    def value(self, value: Value) -> int:
        """The number of a value, which is described when it is first asked for."""
        if value not in self.values:
            self.values[value] = len(self.value_data)
            self.value_data.append({
                "label": self.labels[value], "named": bool(value.name), "kind": value.kind,
                "array": self.packer.add(value.value, self.layout(value)),
                "shape": None if value.shape is None else list(value.shape), "dtype": value.dtype and str(value.dtype)})
        return self.values[value]

    def layout(self, value: Value, is_gradient: bool = False) -> Layout:
        """Four axes are those of images, as everywhere in this project, unless a convolution takes them for weights."""
        if value.shape is None or len(value.shape) != 4:
            return ""
        if value in self.kernels:
            return "kernels"
        return "maps" if is_gradient or value.kind == "result" else "images"

    def gradient(self, array: Any, value: Value) -> int | None:
        return self.packer.add(array, self.layout(value, is_gradient=True))

    def forward_formula(self, call: Call) -> str:
        if not isinstance(call.origin, Scalar):
            return ""
        term = renamed(scalar_terms(call.op)[0], self.operands(call))
        return equation(self.labels[call.outputs[0][1]], "", term)

    def operands(self, call: Call) -> dict[str, str]:
        """The letters in the formulas of Scalars, and the labels of what they stand for."""
        found = {letter: self.labels[value] for letter, (_, value) in zip("ab", call.inputs, strict=False)}
        return found | {"out": self.labels[call.outputs[0][1]]}

    # ---------------------------------------------------------------- pulls

    def pulls_by_box(self) -> list[tuple[Item, list[Pull]]]:
        """The pulls of each box, in the order in which they ran; those of a closed Block together."""
        boxes = {call: box for box in self.view.boxes for call in self.folding.calls_of(box)}
        found: dict[Item, list[Pull]] = {}
        for pull in self.tape.pulls:
            found.setdefault(boxes[pull.call], []).append(pull)
        return list(found.items())

    def pull(self, box: Item, pulls: list[Pull]) -> dict[str, Any]:
        if isinstance(box, Block):
            return self.folded_pull(box, pulls)
        [pull] = pulls
        return {"box": self.numbers[box], "hooked": pull.hooked,
                "gradients": [[self.value(value), self.gradient(g, value)]
                              for g, (_, value) in zip(pull.gradient, box.outputs, strict=True)],
                "named": self.named_values(box), "parts": [self.part(pull, part) for part in pull.contributions]}

    def part(self, pull: Pull, part: Contribution) -> dict[str, Any]:
        return {
            "to": self.value(part.to), "input": self.input_name(pull.call, part), "rule": self.rule(pull, part),
            "local": self.packer.add(part.local, self.layout(part.to, is_gradient=True)), "fitted": part.fitted,
            "given": self.packer.add(part.given, self.layout(part.to, is_gradient=True)) if part.fitted else None,
            **self.added([part]),
        }

    def added(self, parts: list[Contribution]) -> dict[str, Any]:
        """What is added to one value, which is the sum of `parts`."""
        first, last = parts[0], parts[-1]
        total = first.part if len(parts) == 1 else sum((part.part for part in parts[1:]), first.part)
        return {"part": self.gradient(total, first.to), "before": self.gradient(first.before, first.to),
                "after": self.gradient(last.after, first.to), "nth": first.nth, "count": len(parts), "of": first.of}

    def folded_pull(self, block: Block, pulls: list[Pull]) -> dict[str, Any]:
        arrived = {value: g for pull in pulls for g, (_, value) in zip(pull.gradient, pull.call.outputs, strict=True)}
        given: dict[Value, list[Contribution]] = {}
        for part in (part for pull in pulls for part in pull.contributions):
            given.setdefault(part.to, []).append(part)
        leaving = [*self.folding.inputs(block), *self.folding.parameters(block)[:_PARAMETERS]]
        return {"box": self.numbers[block], "rules": sum(len(pull.contributions) for pull in pulls), "named": [],
                "gradients": [[self.value(value), self.gradient(arrived.get(value), value)]
                              for value in self.folding.outputs(block)],
                "parts": [{"to": self.value(value), **self.added(given[value])} for value in leaving if value in given]}

    def input_name(self, call: Call, part: Contribution) -> str:
        if isinstance(call.origin, Node):
            return call.origin.op.input_name(part.index)
        return self.labels[part.to]

    def named_values(self, call: Call) -> list[list[Any]]:
        """What the rules that ran asked for: [name, number of an array] or [name, None, text]."""
        if not isinstance(call.origin, Node):
            return []
        found: list[list[Any]] = []
        for name, value in zip(call.origin.plan.names, call.origin.saved or (), strict=True):
            parts = enumerate(value) if _is_tuple_of_arrays(value) else [(None, value)]
            for index, part in parts:
                text = name if index is None else f"{name}[{index}]"
                if isinstance(part, (np.ndarray, np.generic, float)):
                    found.append([text, self.packer.add(part, self.layout_of_saved(call, text, part))])
                else:
                    found.append([text, None, _param_text(part)])
        return found

    def layout_of_saved(self, call: Call, name: str, array: Any) -> Layout:
        """That of the input of that name; four axes of anything else are those of feature maps."""
        inputs = {key or call.origin.op.input_name(0): value for key, value in call.inputs}
        if name in inputs:
            return self.layout(inputs[name])
        return "maps" if np.ndim(array) == 4 else ""

    def rule(self, pull: Pull, part: Contribution) -> int:
        """The number of a rule: its formulas and its source."""
        is_scalar = isinstance(pull.call.origin, Scalar)
        rule = self.scalar_rule(pull.call, part) if is_scalar else self.tensor_rule(pull, part)
        key = tuple(map(repr, rule.items()))
        if key not in self.rules:
            self.rules[key] = len(self.rule_data)
            self.rule_data.append(rule)
        return self.rules[key]

    def scalar_rule(self, call: Call, part: Contribution) -> dict[str, Any]:
        operands = self.operands(call)
        local = renamed(scalar_terms(call.op)[1 + part.index], operands)
        product = times(named("g"), local)
        below = f"∂{self.labels[part.to]}"
        return {"formula": equation("∂L", below, product),
                # a number is told anyway, behind the formula
                "local": equation(f"∂{operands['out']}", below, None if local.op == "number" else local),
                "sources": self.source_numbers(scalar_method(call.op), Scalar.backward), "explained": {},
                "joint": False}

    def tensor_rule(self, pull: Pull, part: Contribution) -> dict[str, Any]:
        node = pull.call.origin
        op, plan = node.op, node.plan
        [planned] = [found for found in plan.rules if found.input_index in (None, part.index)]
        index, rule = planned.input_index, planned.rule
        names = planned.pick(tuple(plan.names))
        g = pull.whole
        linked = (*op.input_names, op.variadic_name, "out", *op.output_names)
        values = dict(zip(names, planned.pick(node.saved), strict=True))
        if index is None:
            terms = rule_terms(_with_wanted(rule, node), g, values, tuple(n for n in names if n not in linked))
        else:
            terms = rule_terms(rule, g, values, tuple(n for n in names if n not in linked))
        at = part.index if index is None else 0
        term = terms[at] if at < len(terms) else None
        below = f"∂{op.input_name(part.index)}"
        local = without_g(term) if term and part.local is not None else None
        return {"formula": equation("∂L", below, term) if term else "",
                "local": equation("∂out", below, local) if local else "",
                "sources": self.source_numbers(rule, *helpers_of(rule)),
                "explained": explained(term) if term else {}, "joint": index is None}

    def source_numbers(self, *functions: Any) -> list[int]:
        """The numbers of the sources of a rule and of what it calls."""
        if functions not in self.found_sources:
            sources = filter(None, map(source_of, functions))
            self.found_sources[functions] = [self.sources.setdefault(source, len(self.sources)) for source in sources]
        return self.found_sources[functions]


def _with_wanted(rule: Any, node: Node) -> Any:
    return lambda *args: rule(*args, wanted=tuple(parent is not None for parent in node.parents))


def _is_tuple_of_arrays(value: Any) -> bool:
    return isinstance(value, tuple) and any(isinstance(part, np.ndarray) for part in value)


def _param_text(value: Any) -> str:
    [text] = params_text({"key" if isinstance(value, slice) else "": value})
    return text.partition("=")[2]


def _frame(block: Block) -> Frame:
    return Frame(block.name)


def _size(box: dict[str, Any], values: list[dict[str, Any]]) -> tuple[float, float]:
    """The width and height of a box, for its title, a line for its values and one for their gradients."""
    shapes = [str(tuple(values[number]["shape"] or ())) for _, number in box["outputs"]]
    widest = max([7.8 * len(box["title"]), *(6.6 * len(shape) for shape in shapes), *(
        6.4 * len(param) for param in box.get("params", ())[:1])])
    lines = 2 if box["kind"] == "constant" else 3
    return min(max(widest + 22, _NARROWEST), _WIDEST), lines * _LINE + 12


def _rounded(at: Place) -> list[float]:
    return [round(number, 1) for number in (at.x, at.y, at.width, at.height)]
