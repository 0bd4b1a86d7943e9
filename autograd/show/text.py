"""The graph as text: each part in short form, and the listing of the whole."""

from __future__ import annotations

from collections.abc import Collection
from math import prod
from typing import Any

import numpy as np

from ..scalar import Scalar
from ..tensor import Tensor
from .reading import Call, Named, Step, Value, read_graph

__all__ = ["bytes_text", "listing", "numbers_text", "params_text", "value_lines"]

_FEW = 6  # so many numbers are written out, more are summed up
_LONGEST = 40  # characters of one parameter


def listing(y: Scalar | Tensor | list[Any], names: Named | None = None) -> str:
    """The graph of y, one line per leaf and per call of an op, each after those it depends on.

    y      a Scalar, a Tensor, or a list of one of the two
    names  names for leaves or results: a dict, (name, Tensor) pairs, or a module

    A line tells the number of the value, how it was made, its shape and dtype, under `keep` (and for
    Scalars always) its value and gradient, and the scope. Constants stand where they are used.

    Raises TypeError where y is something else, ValueError where y does not require a gradient.

    >>> import autograd as ag
    >>> from autograd.show import listing
    >>> w = ag.Tensor([[1.0], [2.0]], requires_grad=True)
    >>> with ag.scope("dense"):
    ...     y = ag.relu(ag.matmul([[1.0, 0.0]], w) + 0.5)
    >>> print(listing(y, names={"w": w}))
    %0 = leaf w                           (2, 1) float32
    %1 = matmul(<(1, 2) float32>, %0)     (1, 1) float32  dense
    %2 = add(%1, constant)                (1, 1) float32  dense
    %3 = relu(%2)                         (1, 1) float32  dense
    """
    numbers: dict[Value, str] = {}
    rows: list[tuple[str, ...]] = []
    for step in read_graph("listing", y, names):
        values = [step] if isinstance(step, Value) else [value for _, value in step.outputs]
        for value in values:
            numbers[value] = f"%{len(numbers)}"
        made = ", ".join(numbers[value] for value in values) + " = " + _made_by(step, numbers)
        about = ["; ".join(filter(None, map(tell, values))) for tell in (_shape_text, _value_text, _gradient_text)]
        rows.append((made, *about, step.scope if isinstance(step, Call) else ""))
    return _in_columns(rows)


def _made_by(step: Step, numbers: dict[Value, str]) -> str:
    if isinstance(step, Value):
        return f"leaf {step.name}".rstrip()
    inputs = [numbers.get(value) or _constant_text(value) for _, value in step.inputs]
    parts = ", ".join(name for name, _ in step.outputs if name)
    names = ", ".join(value.name for _, value in step.outputs if value.name)
    call = f"{step.op}({', '.join([*inputs, *params_text(step.params)])})"
    return call + (f" -> {parts}" if parts else "") + (f"  {names}" if names else "")


def _constant_text(constant: Value) -> str:
    text = value_lines(constant)[0]
    return constant.name or (f"<{text}>" if text == _shape_text(constant) else text)


def _in_columns(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width).rstrip()
                     for row in rows)


# ------------------------------------------------------------------ the parts


def value_lines(value: Value, show: Collection[str] | None = None) -> list[str]:
    """What there is to tell of a value: shape and dtype, value, gradient; of a constant of one element that.

    show  which of "shape", "dtype", "bytes", "value", "gradient"; what is not there is said to be missing.
          None: shape and dtype, and value and gradient where they are known

    >>> value_lines(Value("leaf", shape=(), dtype=np.dtype("float32"), value=2.0, is_watched=True))
    ['() float32', 'value 2', 'gradient not computed']
    >>> value_lines(Value("constant", shape=(1,), value=np.array([2.0]))), value_lines(Value("constant"))
    (['2'], ['constant'])
    >>> value_lines(Value("result", shape=(3, 4), dtype=np.dtype("float32")), show=("shape", "bytes", "value"))
    ['(3, 4)', '48 bytes', 'value not kept']
    """
    if value.kind == "constant" and value.shape is None:
        return ["constant"]
    if value.kind == "constant" and value.value is not None and value.value.size == 1:
        return [numbers_text(value.value.item())]
    if show is None:
        return [text for text in (_shape_text(value), _value_text(value), _gradient_text(value)) if text]
    kind = " ".join(str(part) for name, part in (("shape", value.shape), ("dtype", value.dtype))
                    if name in show and part is not None)
    size = bytes_text(prod(value.shape) * value.dtype.itemsize) if value.shape is not None and value.dtype else ""
    wanted = [kind, size if "bytes" in show else ""]
    if "value" in show:
        wanted.append(f"value {'not kept' if value.value is None else numbers_text(value.value)}")
    if "gradient" in show and value.kind != "constant":
        is_known = value.is_watched or value.kind == "leaf"
        wanted.append(_gradient_text(value, always=True) if is_known else "gradient not kept")
    return [text for text in wanted if text]


def bytes_text(n: int) -> str:
    """A number of bytes in the largest unit that it reaches.

    >>> bytes_text(48), bytes_text(1536), bytes_text(5 * 2**20)
    ('48 bytes', '1.5 KiB', '5.0 MiB')
    """
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n} bytes"


def _shape_text(value: Value) -> str:
    return " ".join(str(part) for part in (value.shape, value.dtype) if part is not None)


def _value_text(value: Value) -> str:
    if not value.is_watched or value.value is None:
        return ""
    return f"value {numbers_text(value.value)}"


def _gradient_text(value: Value, always: bool = False) -> str:
    if not (value.is_watched or always) or value.kind == "constant":
        return ""
    return "gradient " + ("not computed" if value.gradient is None else numbers_text(value.gradient))


def numbers_text(numbers: Any) -> str:
    """A number to six digits, a few to four, and many summed up.

    >>> numbers_text(2 / 3), numbers_text(np.array([[1.0, -0.25], [2 / 3, 0.0]])), numbers_text(np.arange(100.0))
    ('0.666667', '[[1, -0.25], [0.6667, 0]]', 'min 0, mean 49.5, max 99')
    """
    array = np.asarray(numbers)
    if array.ndim == 0:
        return _number(array.item(), 6)
    if array.size <= _FEW:
        text = np.array2string(array, separator=", ", formatter={"all": _number}, max_line_width=10_000)
        return " ".join(text.split())
    name = "{}"
    if array.dtype.kind == "c":  # complex numbers have no order
        array, name = np.abs(array), "|{}|"
    with np.errstate(all="ignore"):
        sums = {"min": array.min(), "mean": array.mean(), "max": array.max()}
    return ", ".join(f"{name.format(key)} {_number(value)}" for key, value in sums.items())


def _number(number: Any, digits: int = 4) -> str:
    return f"{number:.{digits}g}" if isinstance(number, (float, complex, np.inexact)) else str(number)


def params_text(params: dict[str, Any]) -> list[str]:
    """An op's parameters in short form.

    >>> params_text({"axis": (0, 1), "dtype": np.dtype("float32"), "key": (slice(None), slice(0, 4, 2), Ellipsis)})
    ['axis=(0, 1)', 'dtype=float32', 'key=[:, 0:4:2, ...]']
    """
    return [f"{name}={_short(_index(value) if name == 'key' else _param(value))}" for name, value in params.items()]


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST - 3] + "..."


def _index(key: Any) -> str:
    """A key as it stands between brackets."""
    return f"[{', '.join(map(_param, key if isinstance(key, tuple) else (key,)))}]"


def _param(value: Any) -> str:
    if isinstance(value, slice):
        bounds = ["" if bound is None else str(bound) for bound in (value.start, value.stop, value.step)]
        return ":".join(bounds[:2] if value.step is None else bounds)
    if value is Ellipsis:
        return "..."
    if isinstance(value, np.dtype):
        return str(value)
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, tuple):
        return f"({', '.join(map(_param, value))}{',' if len(value) == 1 else ''})"
    return _number(value, 6)
