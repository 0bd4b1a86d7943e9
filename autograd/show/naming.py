"""What values are called where the user gave no name."""

from __future__ import annotations

from collections import Counter

import numpy as np

from .folding import Folding
from .reading import Value
from .text import numbers_text

__all__ = ["labels_of"]

_SCALAR_RESULTS = {"+": "sum", "-": "difference", "*": "product", "/": "quotient", "neg": "negative"}


def labels_of(folding: Folding) -> dict[Value, str]:
    """What each value is called: by its name, else by the op that made it, with a number where there are several."""
    totals = Counter(_word(call.op) for call in folding.calls)
    counts: Counter[str] = Counter()
    labels = {}
    for call in folding.calls:
        op = _word(call.op)
        counts[op] += 1
        label = f"{op} #{counts[op]}" if totals[op] > 1 else op
        for name, value in call.outputs:
            part = f".{name}" if name and not name.startswith("[") else name  # batch_norm.y, but split[0]
            labels[value] = value.name or label + part
    for call in folding.calls:
        for name, value in call.inputs:
            if value not in labels:
                labels[value] = value.name or _source_label(value, name)
    for leaf in folding.leaves:
        labels.setdefault(leaf, leaf.name or "leaf")
    return labels


def _word(op: str) -> str:
    """An op's name as part of a label: those of Scalars are signs."""
    return "power" if op.startswith("**") else _SCALAR_RESULTS.get(op, op)


def _source_label(value: Value, input_name: str) -> str:
    array = None if value.value is None else np.asarray(value.value)
    if array is not None and array.size == 1 and (value.kind == "constant" or value.dtype is None):
        return numbers_text(array.item())
    if value.kind == "constant":  # "target" and "indices[0]" tell something, "y" would be taken for the result
        return input_name if len(input_name) > 1 else "constant"
    return input_name or "leaf"
