"""What a model's layers give while it runs: each layer that is called, in order, with its output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import autograd as ag
from autograd import Tensor

from ..activations import ACTIVATIONS, Softmax
from ..conv import Conv2d, ConvTranspose2d
from ..dense import Dense
from ..module import Module, current_module
from ..normalization import BatchNorm1d, BatchNorm2d, LayerNorm
from ..pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d

__all__ = ["CONVOLUTIONS", "Stage", "activation_of", "recorded_outputs", "recorded_stages"]

CONVOLUTIONS = (Conv2d, ConvTranspose2d)
_ROLES: dict[str, tuple[type[Module], ...]] = {
    "linear": (*CONVOLUTIONS, Dense),
    "normalization": (BatchNorm1d, BatchNorm2d, LayerNorm),
    "activation": tuple(layer for layer in ACTIVATIONS.values() if layer is not Softmax),
    "pooling": (MaxPool2d, AvgPool2d, GlobalAvgPool2d),
}
_LAYERS = tuple(layer for layers in _ROLES.values() for layer in layers)
_OPS = {  # those that are called without a layer around them; not sigmoid, which more often is a gate
    "conv2d": "linear", "relu": "activation", "tanh": "activation", "leaky_relu": "activation", "elu": "activation",
    "max_pool2d": "pooling", "avg_pool2d": "pooling",
}


class Stage(NamedTuple):
    """What one call of a layer gave.

    name   the layer's path in the model ("3", "block.conv1"); of an op without a layer the path of the module that
           calls it and the op ("block.relu"). A second call has "#2" behind it, a third "#3"
    kind   the layer's class or the op: "Conv2d", "relu"
    role   "linear" (convolutions and dense layers), "normalization", "activation", "pooling" or "other"
    out    (N, ...), a Tensor while it is recorded, an array where it is handed out
    """

    name: str
    kind: str
    role: str
    out: Any


@contextmanager
def recorded_stages(model: Module) -> Iterator[list[Stage]]:
    """A list to which each call inside, of a module that holds no others or of an op of `_OPS`, adds a Stage."""
    stages: list[Stage] = []
    calls: dict[str, int] = {}
    paths = {id(module): name for name, module in model.named_modules()}

    def add(name: str, kind: str, role: str, out: Any) -> None:
        if not isinstance(out, Tensor) or (stages and stages[-1].out is out):  # a module of that one op
            return
        calls[name] = calls.get(name, 0) + 1
        stages.append(Stage(name if calls[name] == 1 else f"{name}#{calls[name]}", kind, role, out))

    def see_module(module: Any, inputs: tuple, out: Any) -> None:
        kind = type(module).__name__
        add(paths[id(module)] or kind, kind, _role(module), out)

    class Watch(ag.Observer):
        def around_op(self, op: Any, args: tuple, params: dict, run: Any) -> Any:
            out = run()
            module = current_module()
            if op.name in _OPS and not isinstance(module, _LAYERS):
                path = paths.get(id(module), "")
                add(f"{path}.{op.name}" if path else op.name, op.name, _OPS[op.name], out)
            return out

    with ExitStack() as stack:
        for module in model.modules():
            if not any(module.named_children()):
                stack.callback(module.register_forward_hook(see_module))
        stack.enter_context(ag.observe(Watch()))
        yield stages


@contextmanager
def recorded_outputs(module: Module) -> Iterator[list[Any]]:
    """A list to which each call of this module inside adds its output."""
    outputs: list[Any] = []
    remove = module.register_forward_hook(lambda _module, _inputs, out: outputs.append(out))
    try:
        yield outputs
    finally:
        remove()


def activation_of(stages: list[Stage], i: int) -> Stage | None:
    """The activation that follows stage i: the next one with as many channels, before another linear layer."""
    channels = stages[i].out.shape[-1]
    for stage in stages[i + 1 :]:
        if stage.role == "linear":
            return None
        if stage.role == "activation" and stage.out.ndim == stages[i].out.ndim and stage.out.shape[-1] == channels:
            return stage
    return None


def _role(module: Module) -> str:
    return next((role for role, layers in _ROLES.items() if isinstance(module, layers)), "other")
