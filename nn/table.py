"""summary: a table of a model's layers, with output shapes, parameters and multiply-adds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from autograd.graph import Observer, no_grad, observe
from autograd.tensor import Tensor, get_default_dtype, value_of

from .module import Module, current_module, evaluating, places

__all__ = ["Row", "Summary", "batch_shape", "example_input", "hooked", "left_as_it_is", "shape_text", "summary"]


class Row(NamedTuple):
    """One layer of a Summary."""

    path: str  # "0", "blocks.2.conv"
    type: str  # the name of its class
    output_shape: tuple[int | str, ...] | None  # with "N" for the batch; None: not called, or no Tensor came out
    parameters: int  # numbers in the parameters that it holds itself; one held by an earlier row counts there
    madds: int  # multiply-adds for one example, all calls together
    calls: int  # how often one forward calls it


class Summary:
    """What `nn.summary` found; `print` shows it as a table.

    rows              a Row for each layer
    total_parameters  numbers in all parameters: trainable_parameters + frozen_parameters
    total_buffers     numbers in all buffers
    total_madds       multiply-adds of one forward with one example
    total_bytes       of parameters and buffers
    """

    def __init__(self, rows: Sequence[Row], parameters: Sequence[Tensor], buffers: Sequence[np.ndarray],
                 total_madds: int) -> None:
        self.rows = list(rows)
        self.trainable_parameters = sum(p.size for p in parameters if p.requires_grad)
        self.frozen_parameters = sum(p.size for p in parameters if not p.requires_grad)
        self.total_parameters = self.trainable_parameters + self.frozen_parameters
        self.total_buffers = sum(buffer.size for buffer in buffers)
        self.total_bytes = sum(p.data.nbytes for p in parameters) + sum(buffer.nbytes for buffer in buffers)
        self.total_madds = total_madds

    def __str__(self) -> str:
        lines = [("layer", "type", "output", "parameters", "multiply-adds")]
        lines += [(row.path, row.type + (f" x{row.calls}" if row.calls > 1 else ""), shape_text(row.output_shape),
                   f"{row.parameters:,}", f"{row.madds:,}") for row in self.rows]
        lines.append(("total", "", "", f"{self.total_parameters:,}", f"{self.total_madds:,}"))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        texts = [_aligned(line, widths) for line in lines]
        rule = "-" * len(texts[0])
        return "\n".join([
            texts[0], rule, *texts[1:-1], rule, texts[-1],
            f"{self.trainable_parameters:,} parameters are trained, {self.frozen_parameters:,} frozen; buffers hold "
            f"{self.total_buffers:,} numbers; {self.total_bytes / 2**20:.2f} MiB in all",
        ])

    def __repr__(self) -> str:
        return str(self)


def summary(model: Module, input_shape: Sequence[int], dtype: DTypeLike | None = None) -> Summary:
    """The layers of a model, from one forward in eval mode with zeros of shape (1, *input_shape).

    input_shape  of one example, without the batch axis
    dtype        of the zeros: by default that of the first parameter; give np.int64 for a model that begins
                 with an Embedding

    A layer is a module without modules inside, or one with parameters of its own. Multiply-adds are counted in
    convolutions and matrix products (`matmul`, `einsum`), taps on padding included; what other ops cost is not
    counted. The model is as before afterwards: its modes, buffers and random generators.

    Raises TypeError where model is no Module, and whatever its forward raises.

    >>> import nn
    >>> print(nn.summary(nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Dense(288, 10)), (8, 8, 1)))
    layer  type     output        parameters  multiply-adds
    -------------------------------------------------------
    0      Conv2d   (N, 6, 6, 8)          80          2,592
    1      ReLU     (N, 6, 6, 8)           0              0
    2      Flatten  (N, 288)               0              0
    3      Dense    (N, 10)            2,890          2,880
    -------------------------------------------------------
    total                              2,970          5,472
    2,970 parameters are trained, 0 frozen; buffers hold 0 numbers; 0.01 MiB in all
    """
    x = example_input("summary", model, input_shape, dtype)
    parameters = list(model.parameters())
    counter = _Counter()
    calls: dict[int, list[Any]] = {id(module): [] for module in model.modules()}  # a module may not be hashable

    def note(module: Module, inputs: tuple, output: Any) -> None:
        calls[id(module)].append(output)

    with left_as_it_is(model), hooked(model, note), no_grad(), observe(counter):
        model(x)
    own = _own_parameters(model)
    rows = [Row(name, type(module).__name__, _output_shape(calls[id(module)]), own.get(id(module), 0),
                counter.madds.get(id(module), 0), len(calls[id(module)]))
            for name, module in model.named_modules()
            if id(module) in own or not any(module.named_children())]
    buffers = [array for _, array in model.named_buffers()]
    return Summary(rows, parameters, buffers, sum(counter.madds.values()))


def example_input(who: str, model: Any, input_shape: Sequence[int], dtype: DTypeLike | None) -> Tensor:
    """Zeros of shape (1, *input_shape), by default of the dtype of the first parameter."""
    if not isinstance(model, Module):
        raise TypeError(f"{who}: expected a Module, got {type(model).__name__}")
    if not isinstance(input_shape, (tuple, list)):
        raise TypeError(f"{who}: input_shape must be a tuple of lengths, without the batch, such as (28, 28, 1), got "
                        f"{input_shape!r}")
    if dtype is None:
        dtype = next((parameter.dtype for parameter in model.parameters()), get_default_dtype())
    return Tensor(np.zeros((1, *input_shape), dtype))


class _Counter(Observer):
    """Counts the multiply-adds of every op for the module that called it."""

    def __init__(self) -> None:
        self.madds: dict[int, int] = {}  # by the module's id

    def around_op(self, op: Any, args: tuple, params: dict, run: Callable[[], Any]) -> Any:
        out = run()
        count = _MADDS.get(op.name)
        if count is not None:
            module = id(current_module())
            shapes = [np.shape(value_of(arg)) for arg in args]
            self.madds[module] = self.madds.get(module, 0) + count(shapes, np.shape(value_of(out)), params)
        return out


def _einsum_madds(shapes: list, out: tuple, params: dict) -> int:
    """Every combination of the letters once."""
    letters = params["subscripts"].split("->")[0].split(",")
    lengths = {c: n for part, shape in zip(letters, shapes, strict=True) for c, n in zip(part, shape, strict=True)}
    return prod(lengths.values())


# by op: from the inputs' shapes, the output's and the parameters
_MADDS: dict[str, Callable[[list, tuple, dict], int]] = {
    "conv2d": lambda shapes, out, params: prod(out) * prod(shapes[1][:3]),  # each output: KH * KW * C / groups
    "conv2d_input_grad": lambda shapes, out, params: prod(shapes[0]) * prod(shapes[1][:3]),  # ConvTranspose2d
    "matmul": lambda shapes, out, params: prod(out) * shapes[0][-1],
    "einsum": _einsum_madds,
}


@contextmanager
def hooked(model: Module, hook: Callable[[Module, tuple, Any], Any]) -> Iterator[None]:
    """Inside, `hook(module, inputs, output)` is called after each forward of each module in the model."""
    removers = [module.register_forward_hook(hook) for module in model.modules()]
    try:
        yield
    finally:
        for remove in removers:
            remove()


@contextmanager
def left_as_it_is(model: Module) -> Iterator[None]:
    """In eval mode, and with copies of the buffers, so that not even a write into one stays."""
    buffers = [place for place in places(model)
               if isinstance(place.value, np.ndarray) and not isinstance(place.holder, tuple)]
    for place in buffers:
        place.bind(place.value.copy())
    try:
        with evaluating():
            yield
    finally:
        for place in buffers:
            place.bind(place.value)


def _own_parameters(model: Module) -> dict[int, int]:
    """By the module's id: how many numbers it holds itself; a shared Tensor counts where it is found first."""
    own: dict[int, int] = {}
    seen: set[int] = set()
    for place in places(model):
        value = place.value
        if isinstance(value, Tensor) and value.dtype.kind in "fc" and id(value) not in seen:
            seen.add(id(value))
            own[id(place.owner)] = own.get(id(place.owner), 0) + value.size
    return own


def _output_shape(outputs: list[Any]) -> tuple[int | str, ...] | None:
    """Of the first call, with "N" for the batch axis."""
    return batch_shape(outputs[0].shape) if outputs and isinstance(outputs[0], Tensor) else None


def batch_shape(shape: tuple[int, ...]) -> tuple[int | str, ...]:
    """With "N" for a batch axis of one example."""
    return ("N", *shape[1:]) if shape[:1] == (1,) else shape


def shape_text(shape: tuple[int | str, ...] | None) -> str:
    """As a tuple is written, with N as it is."""
    if shape is None:
        return "-"
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Words to the left, numbers to the right."""
    parts = [cell.ljust(width) if i < 3 else cell.rjust(width) for i, (cell, width) in
             enumerate(zip(cells, widths, strict=True))]
    return "  ".join(parts)
