"""What excites a filter most: an input made by gradient ascent, and the images of a data set that do so best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import autograd as ag
from autograd import Tensor, gradients
from autograd.graph import recording

from ..checks import whole_number, within
from ..module import Module, evaluating
from ..randomness import Seed, generator
from .inputs import checked_images, chunks, find_layer
from .recording import recorded_outputs

__all__ = ["TopImages", "activation_maximization", "checked_filters", "output_shape", "receptive_field", "top_images"]

_Box = tuple[slice, slice]  # rows and columns of an image


def activation_maximization(model: Module, image_shape: Sequence[int], layer: Module | str | None = None,
                            filters: Sequence[int] | None = None, *, norm: float | None = None, steps: int = 100,
                            lr: float = 0.1, blur: float = 0.0, jitter: int = 0, rng: Seed = 0) -> np.ndarray:
    """The inputs x of a given norm that excite filters of a layer most: (filters, H, W, C), signed.

    x* = argmax of a[filter](x) over all x with ||x|| = norm, where a is the layer's output (N, h, w, K) at the place
    (h // 2, w // 2), or its output (N, K): for the last dense layer, filters are classes. Of a convolution it is the
    output before the activation function, so that a gradient flows from the start.

    image_shape  (H, W, C)
    layer        a module of the model or its name; the last convolution unless it is given
    filters      their numbers, all unless they are given
    norm         ||x||, Euclidean; unless it is given, that of the filter's receptive field filled with 0.5
    steps, lr    of x <- norm * u / ||u||, u = x + lr * norm * g / ||g||, where g is the gradient of a. Only the
                 direction of g counts, so lr has no unit. It starts from normal noise, drawn by rng
    blur         standard deviation in pixels of a Gaussian that smooths u in each step, against single pixels
    jitter       x is shifted by up to so many pixels in each step at random, so that the result stands small shifts

    The model is in eval mode; nothing of it is changed.

    Raises ValueError where there is no such layer or filter or shapes do not fit, TypeError for other types.

    Erhan, Bengio, Courville and Vincent, "Visualizing Higher-Layer Features of a Deep Network", 2009, section 3.2;
    blur and jitter: Olah, Mordvintsev and Schubert, "Feature Visualization", Distill, 2017.

    >>> import nn, numpy as np
    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0))
    >>> x = nn.inspection.activation_maximization(model, (3, 3, 1), filters=[1], norm=1)[0, :, :, 0]
    >>> filter = model[0].weight.data[:, :, 0, 1]
    >>> bool(np.allclose(x, filter / np.linalg.norm(filter), atol=1e-3))
    True
    """
    where = "activation_maximization"
    name, module = find_layer(where, model, layer)
    shape = _checked_shape(where, image_shape)
    steps, jitter = whole_number(where, "steps", steps), whole_number(where, "jitter", jitter, at_least=0)
    lr, blur = within(where, "lr", lr, above=0.0), within(where, "blur", blur, least=0.0)
    draws = generator(rng)
    chosen = checked_filters(where, name, filters, output_shape(where, model, name, module, shape)[-1])
    if norm is None:
        rows, columns = receptive_field(model, shape, module)
        norm = 0.5 * float(np.sqrt((rows.stop - rows.start) * (columns.stop - columns.start) * shape[2]))
    norm = within(where, "norm", norm, above=0.0)
    x = _scaled(draws.standard_normal((len(chosen), *shape)), norm)
    for _ in range(steps):
        shift = tuple(draws.integers(-jitter, jitter + 1, size=2).tolist())
        g = _slopes(model, module, np.roll(x, shift, axis=(1, 2)), chosen)
        g = np.roll(g, (-shift[0], -shift[1]), axis=(1, 2))
        x = _scaled(_blurred(x + _scaled(g, lr * norm), blur), norm)
    return x.astype(np.float32)


class TopImages(NamedTuple):
    """The images that excite a filter most, the strongest first.

    activations  (n,) the filter's largest activation in each
    indices      (n,) which image
    boxes        n pairs of slices (rows, columns): the receptive field of the place where it was largest
    """

    activations: np.ndarray
    indices: np.ndarray
    boxes: list[_Box]


def top_images(model: Module, images: Any, layer: Module | str | None = None, filters: Sequence[int] | None = None,
               n: int = 4, batch_size: int = 256) -> list[TopImages]:
    """For each filter of a layer: those n of the images (N, H, W, C) in which it is most active, and where.

    layer, filters  as for `activation_maximization`; activations are those before an activation function, too

    The model is in eval mode; nothing of it is changed. Bytes (uint8) are divided by 255 first.

    Raises ValueError where there is no such layer or filter or shapes do not fit, TypeError for other types.

    >>> import nn, numpy as np
    >>> model = nn.Sequential(nn.Conv2d(1, 1, 3, bias=False))
    >>> model[0].weight.data = np.ones((3, 3, 1, 1), np.float32)
    >>> images = np.zeros((5, 8, 8, 1), np.float32)
    >>> images[2, 4:7, 1:4] = 1
    >>> [found] = nn.inspection.top_images(model, images, n=1)
    >>> found.activations.tolist(), found.indices.tolist(), found.boxes
    ([9.0], [2], [(slice(4, 7, None), slice(1, 4, None))])
    """
    name, module = find_layer("top_images", model, layer)
    images = checked_images("top_images", images)
    n = min(whole_number("top_images", "n", n), len(images))
    batch_size = whole_number("top_images", "batch_size", batch_size)
    shape = output_shape("top_images", model, name, module, images.shape[1:])
    chosen = checked_filters("top_images", name, filters, shape[-1])
    peaks, places = [], []
    for _, x in chunks(images, batch_size):
        with evaluating(), ag.no_grad():
            out = _output(model, module, x).data[..., chosen]
        flat = out.reshape(len(x), -1, len(chosen))  # (n, h, w, filters) -> (n, h * w, filters)
        peaks.append(flat.max(axis=1))
        places.append(flat.argmax(axis=1))
    peak, place = np.concatenate(peaks), np.concatenate(places)
    fields: dict[tuple[int, int], _Box] = {}  # by place
    found = []
    for i in range(len(chosen)):
        best = np.argsort(-peak[:, i], kind="stable")[:n]
        where = [divmod(int(at), shape[2]) if len(shape) == 4 else (0, 0) for at in place[best, i]]
        for at in where:
            if at not in fields:
                fields[at] = receptive_field(model, images.shape[1:], module, at)
        found.append(TopImages(peak[best, i], best, [fields[at] for at in where]))
    return found


def receptive_field(model: Module, image_shape: Sequence[int], layer: Module | str | None = None,
                    at: tuple[int, int] | None = None) -> _Box:
    """The rows and columns of an image (H, W, C) that reach a place of a layer's maps, as two slices.

    layer  a module of the model or its name; the last convolution unless it is given. Its output is (N, h, w, K), or
           (N, K), to which all of the image may belong
    at     (row, column) in the maps; the one in the middle, (h // 2, w // 2), unless it is given

    It is found from where gradients arrive in images of noise, so by what the model does and not by what kind of
    layers it has. Where none arrives at all it is the whole image.

    Raises ValueError where there is no such layer or place, TypeError for other types.

    >>> import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3, rng=0), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, rng=1))
    >>> nn.inspection.receptive_field(model, (28, 28, 1), at=(0, 1))
    (slice(0, 8, None), slice(2, 10, None))
    """
    where = "receptive_field"
    name, module = find_layer(where, model, layer)
    image_shape = _checked_shape(where, image_shape)
    shape = output_shape(where, model, name, module, image_shape)
    draws = np.random.default_rng(0)
    # float64, for which no layer takes Winograd's algorithm: its rounding errors reach beyond the field
    leaf = Tensor(draws.standard_normal((8, *image_shape)), requires_grad=True)
    with evaluating(), recording():
        out = _output(model, module, leaf)
        cotangent = np.zeros(out.shape, out.dtype)
        here: Any = (slice(None), *_place(shape, at))
        cotangent[here] = draws.standard_normal((8, shape[-1]))
        (g,) = gradients(out, [leaf], cotangent)
    reached = g.data != 0  # (8, H, W, C)
    return _extent(np.any(reached, axis=(0, 2, 3))), _extent(np.any(reached, axis=(0, 1, 3)))


# ---------------------------------------------------------------------- parts


def _output(model: Module, module: Module, x: Any) -> Any:
    """What a layer gives in its first call, when the model is called with x."""
    with recorded_outputs(module) as outputs:
        model(x)
    return outputs[0] if outputs else None


def output_shape(where: str, model: Module, name: str, module: Module, image_shape: Sequence[int]) -> tuple[int, ...]:
    """What a layer makes of one image, (1, h, w, K) or (1, K), checked."""
    with evaluating(), ag.no_grad():
        out = _output(model, module, np.zeros((1, *image_shape), np.float32))
    if not isinstance(out, Tensor) or out.ndim not in (2, 4):
        gave = "was not called" if out is None else f"gave {np.shape(out)}"
        raise ValueError(f"{where}: layer {name!r} must give maps (N, h, w, K) or features (N, K), but it {gave}")
    return out.shape


def _place(shape: tuple[int, ...], at: tuple[int, int] | None = None) -> tuple[int, ...]:
    """Where in the maps to look: the middle unless it is given; () where there are no maps."""
    if len(shape) == 2:
        return ()
    height, width = shape[1:3]
    if at is None:
        return height // 2, width // 2
    if not (0 <= at[0] < height and 0 <= at[1] < width):
        raise ValueError(f"receptive_field: the place {at} is outside of the maps, which are {height}x{width}")
    return at


def _checked_shape(where: str, image_shape: Sequence[int]) -> tuple[int, int, int]:
    if not isinstance(image_shape, (tuple, list)) or len(image_shape) != 3:
        raise ValueError(f"{where}: image_shape must be (H, W, C), got {image_shape!r}")
    height, width, channels = (whole_number(where, f"image_shape[{i}]", n) for i, n in enumerate(image_shape))
    return height, width, channels


def checked_filters(where: str, name: str, filters: Sequence[int] | None, there: int) -> np.ndarray:
    """The numbers of the filters, (filters,)."""
    chosen = np.arange(there) if filters is None else np.asarray(filters)
    if chosen.ndim != 1 or not len(chosen) or chosen.dtype.kind not in "iu":
        raise TypeError(f"{where}: filters must be a list of whole numbers, got {filters!r}")
    if chosen.min() < 0 or chosen.max() >= there:
        raise ValueError(f"{where}: filters of layer {name!r} are from 0 to {there - 1}, got {filters!r}")
    return chosen


def _slopes(model: Module, module: Module, x: np.ndarray, filters: np.ndarray, batch_size: int = 64) -> np.ndarray:
    """d a[filter] / dx of each input and its own filter: (filters, H, W, C) -> the same."""
    parts = []
    for part, batch in chunks(x, batch_size):
        with evaluating(), recording():
            leaf = Tensor(batch.astype(np.float32), requires_grad=True)
            out = _output(model, module, leaf)
            rows = np.arange(len(batch))
            (g,) = gradients(out[(rows, *_place(out.shape), filters[part])].sum(), [leaf])
        parts.append(g.data.astype(np.float64))
    return np.concatenate(parts)


def _scaled(x: np.ndarray, norm: float) -> np.ndarray:
    """Each of (N, H, W, C) with that norm; zeros stay zeros."""
    lengths = np.sqrt(np.square(x).sum(axis=(1, 2, 3), keepdims=True))
    return norm * x / np.where(lengths > 0, lengths, 1)


def _blurred(x: np.ndarray, sigma: float) -> np.ndarray:
    """Images (N, H, W, C) smoothed by a Gaussian of so many pixels; at the edges its rest counts alone."""
    if not sigma:
        return x
    rows, columns = (_gaussians(length, sigma) for length in x.shape[1:3])
    return np.einsum("hi,wj,nijc->nhwc", rows, columns, x, optimize=True)


def _gaussians(length: int, sigma: float) -> np.ndarray:
    """(length, length): in each row the weights of all places for one."""
    places = np.arange(length)
    weights = np.exp(-0.5 * ((places[:, None] - places) / sigma) ** 2)
    return weights / weights.sum(axis=1, keepdims=True)


def _extent(reached: np.ndarray) -> slice:
    """From the first to the last place that is reached; all where none is."""
    at = np.flatnonzero(reached)
    return slice(int(at[0]), int(at[-1]) + 1) if len(at) else slice(0, len(reached))
