"""Pictures of training and of what a network has learned; each function returns a matplotlib Figure.

Figures are made without pyplot, so nothing global is touched and no screen is needed:
`nn.plot.history(history).savefig("history.png")`. Needs matplotlib: pip install 'im2grad[plot]'.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, TypeAlias

import numpy as np

import autograd as ag
from autograd._extras import require
from autograd.tensor import value_of

from .activations import ACTIVATIONS, Softmax
from .checks import whole_number
from .conv import Conv2d, ConvTranspose2d
from .history import History
from .module import Module, current_module
from .train import predict

__all__ = ["confusion_matrix", "feature_maps", "history", "kernels", "predictions"]

Figure: TypeAlias = Any  # matplotlib.figure.Figure: matplotlib is optional, and imported by the functions
Axes: TypeAlias = Any  # matplotlib.axes.Axes

_SIGNED = "RdBu_r"  # blue is below 0, white 0, red above
_WRONG = "#c1272d"
_TRAINING, _VALIDATION = "#1f77b4", "#ff7f0e"


def history(history: History) -> Figure:
    """The loss and the accuracy by epoch, of training and validation; and the learning rate, if it changed.

    Raises ValueError for a history without epochs, ImportError without matplotlib.

    >>> import nn
    >>> past = nn.History()
    >>> past.append(loss=0.5, accuracy=0.875, lr=0.001, seconds=2.0)
    >>> len(nn.plot.history(past).axes)
    2
    """
    if not len(history):
        raise ValueError("plot.history: the history has no epochs; train for at least one")
    panels: list[tuple[str, Sequence[float | None], Sequence[float | None]]] = [
        ("loss", history.loss, history.val_loss)]
    if any(value is not None for value in (*history.accuracy, *history.val_accuracy)):
        panels.append(("accuracy", history.accuracy, history.val_accuracy))
    if len(set(history.lr)) > 1:
        panels.append(("learning rate (last step of the epoch)", history.lr, []))
    figure = _figure("plot.history", 4.2 * len(panels), 3.4)
    for ax, (name, training, validation) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _curve(ax, training, _TRAINING, "training")
        if any(value is not None for value in validation):
            _curve(ax, validation, _VALIDATION, "validation")
            ax.legend(frameon=False)
        ax.set_title(name, fontsize=11)
        ax.set_xlabel("epoch")
        ax.set_xlim(0.5, len(history) + 0.5)
        ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def predictions(model: Module, images: Any, labels: Any, classes: Sequence[str] | None = None, n: int = 25) -> Figure:
    """The first n images (N, H, W, C) with the predicted class and its probability above, the true class below.

    Wrong ones are red. labels (N,) are whole numbers; classes are their names. The model gives logits, or
    probabilities.

    Raises ValueError where shapes do not fit, ImportError without matplotlib.

    >>> import nn, numpy as np
    >>> model = nn.Sequential(nn.Flatten(), nn.Dense(64, 2, rng=0))
    >>> figure = nn.plot.predictions(model, np.zeros((3, 8, 8, 1), np.float32), [0, 1, 1], classes=("cat", "dog"), n=2)
    >>> [ax.get_xlabel() for ax in figure.axes]
    ['true: cat', 'true: dog']
    """
    n = whole_number("plot.predictions", "n", n)
    images, labels = _checked_images("plot.predictions", images, labels)
    images, labels = images[:n], labels[:n]
    probabilities = _probabilities(predict(model, images))
    names = _class_names("plot.predictions", classes, probabilities.shape[1], labels)
    guesses = probabilities.argmax(axis=1)
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    width = max(1.35, 0.07 * (max(map(len, names)) + 9))  # of a column: room for a name and its probability
    figure = _figure("plot.predictions", max(width * columns, 4.0), 1.66 * rows + 0.5)
    axes = figure.subplots(rows, columns, squeeze=False).reshape(-1)  # (rows, columns) -> (rows * columns,)
    for ax in axes[len(images) :]:
        ax.set_axis_off()
    for ax, image, label, guess, row in zip(axes, _shown(images), labels, guesses, probabilities, strict=False):
        colour = "black" if guess == label else _WRONG
        _image(ax, image)
        ax.set_title(f"{names[guess]}  {_percent(row[guess])}", fontsize=9, color=colour, pad=3)
        ax.set_xlabel(f"true: {names[label]}", fontsize=8, color=colour, labelpad=2)
        if guess != label:
            for spine in ax.spines.values():
                spine.set(visible=True, color=_WRONG, linewidth=2.5)
    right = int(np.count_nonzero(guesses == labels))
    figure.suptitle(f"predicted classes: {right} of {len(images)} right", fontsize=11)
    return figure


def kernels(model: Module, layer: Module | str | None = None, n: int = 64) -> Figure:
    """The weights (KH, KW, C / groups, O) of a convolution as small images, all on one colour scale around 0.

    One image for each of the first n outputs: signed for one input channel, in colours (grey is 0) for three. For
    other numbers of channels a row for each of the first 16 outputs, with the first 16 input channels.

    layer   a convolution or its name in the model ("0", "features.3"); the first one unless it is given

    Raises ValueError where there is no such convolution, ImportError without matplotlib.

    >>> import nn
    >>> figure = nn.plot.kernels(nn.Sequential(nn.Conv2d(1, 8, 3, rng=0)))
    >>> figure.get_suptitle()
    'kernels of layer 0, 3x3: all 8 outputs'
    """
    n = whole_number("plot.kernels", "n", n)
    name, conv = _convolution("plot.kernels", model, layer, (Conv2d,))
    weight = conv.weight.data
    height, width, channels, outputs = weight.shape
    scale = float(np.abs(weight).max()) or 1.0
    title = f"kernels of layer {name}, {height}x{width}"
    if channels in (1, 3):
        tiles = np.moveaxis(weight, 3, 0)[:n]  # (KH, KW, C, O) -> (n, KH, KW, C)
        columns = math.ceil(math.sqrt(len(tiles)))
        title += f": {_first(len(tiles), outputs)} outputs"
    else:
        tiles = weight[:, :, :16, :16].transpose(3, 2, 0, 1)  # (KH, KW, C, O) -> (O, C, KH, KW)
        columns = tiles.shape[1]
        title += (f"\nrows: {_first(len(tiles), outputs)} outputs, "
                  f"columns: {_first(columns, channels)} input channels")
        tiles = tiles.reshape(-1, height, width, 1)  # (O, C, KH, KW) -> (O * C, KH, KW, 1)
    rows = math.ceil(len(tiles) / columns)
    figure = _figure("plot.kernels", 0.55 * columns + 1.6, 0.55 * rows + 0.9)
    ax = figure.subplots()
    if channels == 3:
        _mosaic(ax, tiles / (2 * scale) + 0.5, columns)
        title += f"\ncolours: grey is 0, full colour ±{scale:.2g}"
    else:
        _signed_mosaics(figure, [ax], [tiles[..., 0]], columns, scale)
    figure.suptitle(title, fontsize=10)
    return figure


def feature_maps(model: Module, image: Any, n: int = 16) -> dict[str, Figure]:
    """What each convolution makes of an image, before and after its activation: a Figure by the layer's name.

    image (H, W, C) or (1, H, W, C). A figure shows the image and the first n channels, both times on one colour
    scale around 0. The activation is the next that is called after the convolution, as a layer or as relu, tanh,
    leaky_relu or elu; where there is none before the next convolution, that part is left out.

    Raises ValueError where the model has or calls no convolution or there is more than one image, ImportError
    without matplotlib.

    >>> import nn, numpy as np
    >>> model = nn.Sequential(nn.Conv2d(1, 8, 3, rng=0), nn.ReLU(), nn.Conv2d(8, 4, 3, rng=0))
    >>> list(nn.plot.feature_maps(model, np.ones((8, 8, 1), np.float32)))
    ['0', '2']
    """
    n = whole_number("plot.feature_maps", "n", n)
    image = np.asarray(value_of(image))
    image = image[None] if image.ndim == 3 else image
    if image.ndim != 4 or len(image) != 1:
        raise ValueError(f"plot.feature_maps: expected one image (H, W, C) or (1, H, W, C), got shape {image.shape}; "
                         "give images[0]")
    _convolution("plot.feature_maps", model, None, _CONVOLUTIONS)
    with _recorded_maps(model) as found:
        predict(model, image)
    if not found:
        raise ValueError("plot.feature_maps: the model called none of its convolutions")
    return {maps.name: _feature_map_figure(maps, _shown(image)[0], n) for maps in found}


def confusion_matrix(model: Module, images: Any, labels: Any, classes: Sequence[str] | None = None) -> Figure:
    """How often each true class (row) was taken for each class (column): counts, coloured by their share of the row.

    images (N, H, W, C), labels (N,) whole numbers; classes are their names.

    Raises ValueError where shapes do not fit, ImportError without matplotlib.

    >>> import nn, numpy as np
    >>> logits = np.array([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0]], np.float32).reshape(3, 1, 1, 2)  # (N, H, W, C)
    >>> nn.plot.confusion_matrix(nn.Flatten(), logits, [0, 1, 1]).axes[0].get_title()
    '2 of 3 right (66.7 %)'
    """
    images, labels = _checked_images("plot.confusion_matrix", images, labels)
    logits = predict(model, images)
    names = _class_names("plot.confusion_matrix", classes, logits.shape[1], labels)
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (labels, logits.argmax(axis=1)), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 0.45 * len(names)
    figure = _figure("plot.confusion_matrix", size + 2.4, size + 1.5)
    ax = figure.subplots()
    picture = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black" if count else "#bbbbbb"
        ax.text(column, row, str(count), ha="center", va="center", fontsize=8, color=colour)
    long = max(map(len, names)) > 3
    ax.set_xticks(range(len(names)), names, rotation=45 if long else 0, ha="right" if long else "center",
                  rotation_mode="anchor" if long else "default")
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    ax.set_title(f"{np.trace(counts)} of {len(labels)} right ({_percent(np.trace(counts) / len(labels))})", fontsize=11)
    figure.colorbar(picture, ax=ax, label="share of the true class", shrink=0.8)
    return figure


# ---------------------------------------------------------------------- feature maps


class _Maps(NamedTuple):
    """What one convolution made (1, H, W, O) and what its activation made of that, if there is one."""

    name: str
    before: np.ndarray
    after: np.ndarray | None
    activation: str


_CONVOLUTIONS = (Conv2d, ConvTranspose2d)
_ACTIVATION_LAYERS = tuple(layer for layer in ACTIVATIONS.values() if layer is not Softmax)
_ACTIVATION_OPS = ("relu", "tanh", "leaky_relu", "elu")  # not sigmoid, which more often is a gate


@contextmanager
def _recorded_maps(model: Module) -> Iterator[list[_Maps]]:
    """A list to which each call of a convolution inside adds its maps, and the next activation its own."""
    found: list[_Maps] = []

    def saw_convolution(name: str, out: Any) -> None:
        if all(maps.name != name for maps in found):  # the first call counts where there are several
            found.append(_Maps(name, value_of(out), None, ""))

    def saw_activation(name: str, out: Any) -> None:
        out = value_of(out)
        if found and found[-1].after is None and out.ndim == 4 and out.shape[3] == found[-1].before.shape[3]:
            found[-1] = found[-1]._replace(after=out, activation=name)

    class Watch(ag.Observer):
        def around_op(self, op: Any, args: tuple, params: dict, run: Any) -> Any:
            out = run()
            if op.name in _ACTIVATION_OPS and not isinstance(current_module(), _ACTIVATION_LAYERS):
                saw_activation(op.name, out)
            return out

    with ExitStack() as stack:
        for name, module in model.named_modules():
            if isinstance(module, _CONVOLUTIONS):
                stack.callback(module.register_forward_hook(_calling(saw_convolution, name)))
            elif isinstance(module, _ACTIVATION_LAYERS):
                stack.callback(module.register_forward_hook(_calling(saw_activation, type(module).__name__)))
        stack.enter_context(ag.observe(Watch()))
        yield found


def _calling(see: Callable[[str, Any], None], name: str) -> Callable[[Any, tuple, Any], None]:
    """A forward hook that shows the output to `see`, under a name."""
    return lambda _module, _inputs, out: see(name, out)


def _feature_map_figure(maps: _Maps, image: np.ndarray, n: int) -> Figure:
    stages = [("output, which no activation follows", maps.before)]
    if maps.after is not None:
        stages = [("before activation", maps.before), (f"after {maps.activation}", maps.after)]
    tiles = [np.moveaxis(stage[0, ..., :n], 2, 0) for _, stage in stages]  # (1, H, W, O) -> (n, H, W)
    columns = math.ceil(math.sqrt(len(tiles[0])))
    scale = max(float(np.abs(tile).max()) for tile in tiles) or 1.0
    height, width = maps.before.shape[1:3]
    mosaic_height = 4.1 * math.ceil(len(tiles[0]) / columns) * height / (columns * width)  # at a width of 4.1 inches
    figure = _figure("plot.feature_maps", 2.0 + 4.1 * len(stages), min(max(mosaic_height, 2.0), 8.0) + 0.7)
    figure.set_layout_engine("constrained", wspace=0.05)
    axes = figure.subplots(1, 1 + len(stages), width_ratios=[1.6, *[4.0] * len(stages)])
    _image(axes[0], image)
    axes[0].set_title("image", fontsize=10)
    _signed_mosaics(figure, axes[1:], tiles, columns, scale, gap_colour="#aaaaaa")
    for ax, (title, stage) in zip(axes[1:], stages, strict=True):
        ax.set_title(f"{title}, {stage.shape[1]}x{stage.shape[2]}", fontsize=10)
    channels = maps.before.shape[3]
    figure.suptitle(f"layer {maps.name}: {_first(len(tiles[0]), channels)} channels", fontsize=11)
    return figure


# ---------------------------------------------------------------------- parts of pictures


def _figure(what: str, width: float, height: float) -> Figure:
    """An empty figure of so many inches; `what` is the function that needs it."""
    matplotlib = require("matplotlib.figure", extra="plot", what=what)
    return matplotlib.Figure(figsize=(width, height), dpi=130, layout="constrained")


def _curve(ax: Axes, values: Sequence[float | None], colour: str, label: str) -> None:
    numbers = [math.nan if value is None else value for value in values]
    ax.plot(range(1, len(numbers) + 1), numbers, color=colour, label=label, marker="o", markersize=3)


def _image(ax: Axes, image: np.ndarray) -> None:
    ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    _bare(ax)


def _signed_mosaics(figure: Figure, axes: Sequence[Axes], mosaics: Sequence[np.ndarray], columns: int,
                    scale: float, gap_colour: str = "none") -> None:
    """Mosaics of tiles (n, H, W) on one colour scale from -scale to scale, with its bar."""
    for ax, tiles in zip(axes, mosaics, strict=True):
        picture = _mosaic(ax, tiles[..., None], columns, gap_colour, cmap=_SIGNED, vmin=-scale, vmax=scale)
    figure.colorbar(picture, ax=list(axes), shrink=0.85, aspect=30)


def _mosaic(ax: Axes, tiles: np.ndarray, columns: int, gap_colour: str = "none", **colours: Any) -> Any:
    """Tiles (n, H, W, C) in rows of `columns`, with gaps between them, as one picture."""
    n, height, width, channels = tiles.shape
    rows = math.ceil(n / columns)
    gap = max(1, round(max(height, width) / 12))
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), np.nan)
    for i, tile in enumerate(tiles):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    _bare(ax)
    ax.set_facecolor(gap_colour)
    return ax.imshow(np.where(np.isnan(sheet), 1.0, sheet) if channels == 3 else sheet[..., 0],
                     interpolation="nearest", **colours)


def _bare(ax: Axes) -> None:
    """No ticks and no frame."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def _shown(images: np.ndarray) -> np.ndarray:
    """Images (N, H, W, C) as numbers in [0, 1] to be drawn: (N, H, W, 3) in colours, otherwise (N, H, W) in grey.

    Bytes are divided by 255; floats outside of [0, 1] (normalized images) are stretched from least to largest.
    """
    if images.dtype == np.uint8:
        images = images / 255
    least, largest = float(images.min()), float(images.max())
    if least < 0 or largest > 1:
        images = (images - least) / ((largest - least) or 1.0)
    return images if images.shape[3] == 3 else images.mean(axis=3)


def _percent(share: float) -> str:
    """Rounded down at the top, so that only what is certain is 100 %."""
    return f"{min(100 * share, 99.9) if share < 1 else 100:.1f} %"


def _first(shown: int, there: int) -> str:
    return f"all {there}" if shown == there else f"the first {shown} of {there}"


# ---------------------------------------------------------------------- numbers and checks


def _probabilities(out: np.ndarray) -> np.ndarray:
    """Probabilities (N, K) of logits (N, K), or as they are where the model ends with a softmax."""
    if out.min() >= 0 and np.allclose(out.sum(axis=1), 1, atol=1e-3):
        return out
    e = np.exp(out - out.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _checked_images(where: str, images: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    images, labels = np.asarray(value_of(images)), np.asarray(value_of(labels))
    if images.ndim != 4 or not len(images):
        raise ValueError(f"{where}: images must be (N, H, W, C) with at least one, got {images.shape}")
    if labels.shape != images.shape[:1]:
        raise ValueError(f"{where}: {len(images)} images need labels of shape ({len(images)},), got {labels.shape}")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{where}: labels must be whole numbers, got {labels.dtype}")
    return images, labels


def _class_names(where: str, classes: Sequence[str] | None, logits: int, labels: np.ndarray) -> list[str]:
    """The name of each class that the model knows."""
    names = [str(i) for i in range(logits)] if classes is None else [str(name) for name in classes]
    if len(names) != logits:
        raise ValueError(f"{where}: {len(names)} classes are named but the model has {logits}")
    if labels.min() < 0 or labels.max() >= logits:
        raise ValueError(f"{where}: labels must be from 0 to {logits - 1}, got {labels.min()} to {labels.max()}")
    return names


def _convolution(where: str, model: Module, layer: Module | str | None, kinds: tuple) -> tuple[str, Any]:
    """(name, module) of a convolution: the one that is asked for, or the first."""
    if not isinstance(model, Module):
        raise TypeError(f"{where}: expected a Module, got {type(model).__name__}")
    found = [pair for pair in model.named_modules() if isinstance(pair[1], kinds)]
    if not found:
        raise ValueError(f"{where}: the model has no convolution, only {_kinds(model)}")
    chosen = [pair for pair in found if layer is None or layer is pair[1] or layer == pair[0]]
    if not chosen:
        raise ValueError(f"{where}: {layer!r} is no convolution of the model; its convolutions are "
                         f"{', '.join(repr(name) for name, _ in found)}")
    return chosen[0]


def _kinds(model: Module) -> str:
    return ", ".join(dict.fromkeys(type(module).__name__ for module in model.modules()))
