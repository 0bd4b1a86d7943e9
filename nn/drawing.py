"""draw: a model as a picture of its layers, from the graph that one forward records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from numpy.typing import DTypeLike

from autograd.graph import current_mode, recording
from autograd.op import Op
from autograd.show.colouring import Colours, Paint
from autograd.show.dot import check_view, folded_notes
from autograd.show.folding import Block, Folding, View
from autograd.show.labels import sizes_text
from autograd.show.picture import Picture, Texts, Wording, joined
from autograd.show.reading import Value, read_graph
from autograd.tensor import Tensor

from .activations import ACTIVATIONS, Softmax
from .conv import Conv2d, ConvTranspose2d
from .dense import Dense
from .embedding import Embedding
from .module import Module, current_module
from .normalization import BatchNorm1d, BatchNorm2d, LayerNorm
from .pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from .table import batch_shape, example_input, hooked, left_as_it_is, shape_text

__all__ = ["draw"]

# what a layer does, the classes that do it, and the look of their boxes
_FAMILIES: list[tuple[str, tuple[type, ...], dict[str, str]]] = [
    ("convolution", (Conv2d, ConvTranspose2d), {"fillcolor": "#cfe2f3", "color": "#3d85c6"}),
    ("dense, embedding", (Dense, Embedding), {"fillcolor": "#d9ead3", "color": "#6aa84f"}),
    ("normalization", (BatchNorm1d, BatchNorm2d, LayerNorm), {"fillcolor": "#d5efee", "color": "#2a9d8f"}),
    ("activation", (*ACTIVATIONS.values(), Softmax), {"fillcolor": "#fde0ea", "color": "#c2577f"}),
    ("pooling", (MaxPool2d, AvgPool2d, GlobalAvgPool2d), {"fillcolor": "#fbe5d6", "color": "#c55a11"}),
    ("other layer", (Module,), {"fillcolor": "#f3f3f3", "color": "#888888"}),
]

_MODULE = {"fillcolor": "#ffffff", "color": "#3d85c6"}
_OP = {"fillcolor": "#ffffff", "color": "#aaaaaa"}


def draw(model: Module, input_shape: Sequence[int], dtype: DTypeLike | None = None, *, depth: int | None = None,
         direction: str = "TB", limit: int = 60) -> Any:
    """The layers of a model as a `graphviz.Digraph`, from one forward in eval mode with zeros (1, *input_shape).

    input_shape  of one example, without the batch axis
    dtype        of the zeros: by default that of the first parameter; give np.int64 for a model that begins with an
                 Embedding
    depth        modules are opened to that depth: 0 is the model as one box, 1 shows the modules that it holds;
                 None: as deep as fits
    direction    "TB" (top to bottom) or "LR" (left to right)
    limit        the most boxes; where there are more, the picture is folded further and says so

    A layer (a module without modules inside) is a box with its name, class, settings, output shape and number of
    parameters. Ops between layers, as the `add` of a residual connection, are boxes too; modules around layers are
    frames, and equal modules in a chain are drawn once with "× 3". The arrows are those of the recorded graph. What
    can be done with the picture is told at `ag.draw`. The model is as before afterwards.

    Raises TypeError where model is no Module, ValueError where depth, limit or direction is none, and whatever its
    forward raises; ImportError where a package of im2grad[plot] is missing.

    >>> import nn
    >>> picture = nn.draw(nn.Sequential(nn.Dense(4, 3), nn.ReLU(), nn.Dense(3, 2)), (4,))
    >>> "Dense" in picture.source
    True
    """
    check_view("nn.draw", direction, depth, limit)
    x = example_input("nn.draw", model, input_shape, dtype)
    x.requires_grad = x.dtype.kind in "fc"
    modules: dict[str, Module] = {}
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    with left_as_it_is(model), _all_trained(model), hooked(model, _noting(modules)), recording():
        y = model(x)
        outputs = [tensor for tensor in _tensors(y) if tensor.requires_grad]
        if not outputs:
            raise ValueError(f"nn.draw: what {type(model).__name__} gives for zeros {x.shape} {x.dtype} depends on no "
                             "parameter and not on its input through ops that have gradients, so there is no graph")
        steps = read_graph("nn.draw", outputs, {"input": x, "": model})
    layers = {scope for scope, module in modules.items() if not any(module.named_children())}
    view = Folding(steps).view(depth, limit, merge=True, stays_closed=lambda block: block.scope in layers)
    picture = Picture(view, direction, limit, None, False, _families(view, modules), _Layers(modules, frozen))
    is_as_asked = view.depth == (view.depth if depth is None else min(depth, view.folding.deepest)) >= 0
    if all(box.scope in layers for box in view.closed):
        return picture.finished([])
    more = [f"depth={view.depth + 1} shows what is in the modules"]
    return picture.finished(more if is_as_asked else folded_notes(view, depth, limit))


class _Layers(Wording):
    """Boxes say what layers are."""

    def __init__(self, modules: Mapping[str, Module], frozen: Collection[str]) -> None:
        self.modules = modules
        self.frozen = frozen

    def title(self, block: Block) -> str:
        module = self.modules.get(block.scope) if block.kind == "scope" else None
        kind = type(module).__name__ if module is not None else ""
        return kind if kind == block.name else f"{block.name}  {kind}".strip()

    def block(self, view: View, block: Block) -> Texts:
        _, lines, tip = super().block(view, block)
        module = self.modules.get(block.scope) if block.kind == "scope" else None
        if module is None:
            return self.title(block), lines, tip
        parameters = view.folding.parameters(block)
        size = sizes_text(parameters)
        if parameters and all(value.name in self.frozen for value in parameters):
            size += ", frozen"
        outputs = ", ".join(dict.fromkeys(self._shape(value) for value in view.folding.outputs(block)))
        settings = module.extra_repr()
        return self.title(block), [line for line in (settings, f"\u2192 {outputs}", size) if line], joined(
            f"{type(module).__name__}({settings})", tip)

    def value(self, value: Value, show: Collection[str] | None) -> list[str]:
        is_known = value.shape is not None and (value.kind != "constant" or value.shape != ())
        return [self._shape(value)] if is_known else super().value(value, show)

    def _shape(self, value: Value) -> str:
        """Parameters have no batch axis."""
        is_parameter = value.kind == "leaf" and not value.is_input
        return str(value.shape) if is_parameter else shape_text(batch_shape(value.shape or ()))


def _families(view: View, modules: Mapping[str, Module]) -> Colours:
    """The colours of layers, and a legend of those that are there."""
    colours = Colours()
    found: dict[str, dict[str, str]] = {}
    for box in view.boxes:
        module = modules.get(box.scope) if isinstance(box, Block) and box.kind == "scope" else None
        if module is None:
            name, style = "op between layers", _OP
        elif any(module.named_children()):
            name, style = "module", _MODULE
        else:
            name, style = next((name, style) for name, classes, style in _FAMILIES if isinstance(module, classes))
        colours.boxes[box] = Paint(style)
        found[name] = style
    names = [*(name for name, _, _ in _FAMILIES), "module", "op between layers"]
    colours.rows = [({**found[name], "style": "rounded"}, name) for name in names if name in found]
    if any(block.times > 1 for block in (*view.closed, *view.open)):
        colours.notes.append("× n: so many equal ones in a chain, drawn once")
    return colours


@Op
def _identity(x):
    """x as it is: a layer that does nothing in eval mode."""
    return x


_identity.vjp(lambda g: g)


def _noting(modules: dict[str, Module]) -> Callable[[Module, tuple, Any], Any]:
    """A hook that puts each module under the scope in which it runs; what gives back its input records that."""
    def note(module: Module, inputs: tuple, output: Any) -> Any:
        if current_module() is module:  # else nothing of it is recorded, and the scope is somebody else's
            modules[current_mode().scope] = module
        if any(output is given for given in inputs) and isinstance(output, Tensor) and output.requires_grad:
            return _identity(output)
        return None

    return note


@contextmanager
def _all_trained(model: Module) -> Iterator[None]:
    """What is frozen would not be recorded."""
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    for parameter in frozen:
        parameter.requires_grad = True
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad = False


def _tensors(y: Any) -> Iterator[Tensor]:
    """All in tuples, lists and dicts."""
    if isinstance(y, Tensor):
        yield y
    elif isinstance(y, (tuple, list, dict)):
        for part in y.values() if isinstance(y, dict) else y:
            yield from _tensors(part)
