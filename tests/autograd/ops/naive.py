"""What the ops should compute, in plain loops over single numbers: the references of the case table.

Slow on purpose, and written from the definitions: nothing here calls the project, and nothing uses the NumPy
function that the op itself is made of.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean
from typing import Any

import numpy as np

__all__ = ["avg_pool2d", "avg_unpool2d", "batch_norm", "concatenated", "conv2d", "conv2d_grads", "conv2d_input_grad",
           "conv2d_weight_grad", "conv_transpose2d", "each", "einsum", "filled", "first_maxima", "layer_norm",
           "layer_norm_grads", "matmul", "max_pool2d", "pick_taps", "places", "put", "reduced", "scanned", "scatter",
           "sigmoid", "softmax", "softmax_cross_entropy", "softmax_cross_entropy_grad", "taken", "unpool_taps"]

Array = np.ndarray[Any, Any]


# ---------------------------------------------------------------------- elementwise


def each(f: Callable | str) -> Callable[..., Array]:
    """f on each element, as Python numbers; a name is looked up in `math`, or in `cmath` for complex ones."""

    def apply(*xs: Any) -> Array:
        arrays = np.broadcast_arrays(*xs)
        module = cmath if any(np.iscomplexobj(a) for a in arrays) else math
        function = getattr(module, f) if isinstance(f, str) else f
        values = [function(*(a[at].item() for a in arrays)) for at in np.ndindex(arrays[0].shape)]
        return filled(arrays[0].shape, values, np.result_type(*arrays))

    return apply


def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x) of one number."""
    return 1 / (1 + cmath.exp(-x)) if isinstance(x, complex) else 1 / (1 + math.exp(-x))


def filled(shape: tuple, values: Sequence[Any], empty: Any = float) -> Array:
    """The values in reading order as an array of that shape; the dtype is `empty` if there are none."""
    out = np.array(values) if len(values) else np.array([], empty)
    return out.reshape(shape)


# ---------------------------------------------------------------------- along axes


def reduced(f: Callable, axis: Any = None, keepdims: bool = False) -> Callable[[Array], Array]:
    """f on each list of the elements that differ in `axis` alone."""

    def apply(x: Array) -> Array:
        axes = _from_the_front(axis, x.ndim)
        shape = [1 if a in axes else n for a, n in enumerate(x.shape)]
        groups: dict[tuple, list] = {at: [] for at in np.ndindex(*shape)}
        for at in np.ndindex(x.shape):
            groups[tuple(0 if a in axes else i for a, i in enumerate(at))].append(x[at].item())
        kept = tuple(n for a, n in enumerate(shape) if keepdims or a not in axes)
        return filled(kept, [f(group) for group in groups.values()])

    return apply


def scanned(f: Callable, axis: int) -> Callable[[Array], Array]:
    """f on each list along one axis; f gives a list of the same length."""

    def apply(x: Array) -> Array:
        x = np.moveaxis(np.asarray(x), axis, -1)
        rows = [f([v.item() for v in x[at]]) for at in np.ndindex(x.shape[:-1])]
        return np.moveaxis(filled(x.shape, [v for row in rows for v in row]), -1, axis)

    return apply


def softmax(values: list[float]) -> list[float]:
    """e^v / sum e^v, on a list of a few small numbers."""
    powers = [math.exp(v) for v in values]
    return [p / math.fsum(powers) for p in powers]


def softmax_cross_entropy(logits: Array, target: Array, smoothing: float = 0.0, reduce: Callable = fmean) -> Array:
    """-sum q * log(softmax), an example at a time; q by `smoothed`. `reduce` takes the list of the losses."""
    losses = [-math.fsum(q * math.log(p) for q, p in zip(smoothed(label, row, smoothing), softmax(row), strict=True))
              for label, row in _labelled_rows(target, logits)]
    found = np.array(reduce(losses))
    return found.reshape(target.shape) if found.ndim else found


def softmax_cross_entropy_grad(dy: Array, logits: Array, target: Array, smoothing: float = 0.0,
                               count: int | None = None) -> Array:
    """dy / count * (softmax - q), an example at a time; q by `smoothed`. count None is that of the examples."""
    shares = np.broadcast_to(dy, target.shape).flat
    rows = [[d.item() / (count or target.size) * (p - q)
             for q, p in zip(smoothed(label, row, smoothing), softmax(row), strict=True)]
            for d, (label, row) in zip(shares, _labelled_rows(target, logits), strict=True)]
    return filled(logits.shape, [v for row in rows for v in row])


def smoothed(label: int, row: list[float], smoothing: float) -> list[float]:
    """The distribution over the classes of the row: 1 - smoothing at the label, smoothing spread over all."""
    return [(1 - smoothing) * (c == label) + smoothing / len(row) for c in range(len(row))]


def _labelled_rows(target: Array, logits: Array) -> Iterator[tuple[int, list[float]]]:
    for at in np.ndindex(target.shape):
        yield target[at].item(), [v.item() for v in logits[at]]


def _from_the_front(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    return tuple(a % ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def batch_norm(x: Array, weight: Array, bias: Array, eps: float = 1e-5) -> tuple[Array, Array, Array]:
    """Ioffe and Szegedy's algorithm 1, a channel at a time: y, the means, the biased variances."""
    y, means, variances = np.zeros_like(x), [], []
    for c in range(x.shape[-1]):
        values = [v.item() for v in x[..., c].flat]
        mean = math.fsum(values) / len(values)
        variance = math.fsum((v - mean) ** 2 for v in values) / len(values)
        y[..., c] = (x[..., c] - mean) / math.sqrt(variance + eps) * weight[c] + bias[c]
        means.append(mean)
        variances.append(variance)
    return y, np.array(means), np.array(variances)


def layer_norm(x: Array, weight: Array, bias: Array, eps: float = 1e-5) -> Array:
    """Ba, Kiros and Hinton's equation 3 over the axes of the weight, an example at a time."""
    y = np.zeros(x.shape)
    for at in np.ndindex(x.shape[: x.ndim - weight.ndim]):
        mean, deviation = _mean_and_deviation(x[at], eps)
        y[at] = (x[at] - mean) / deviation * weight + bias
    return y


def layer_norm_grads(dy: Array, x: Array, weight: Array, eps: float) -> tuple[Array, Array, Array]:
    """The chain rule over every output and every number that it depends on, an example at a time."""
    dx, dweight, dbias = np.zeros(x.shape), np.zeros(weight.shape), np.zeros(weight.shape)
    for at in np.ndindex(x.shape[: x.ndim - weight.ndim]):
        mean, deviation = _mean_and_deviation(x[at], eps)
        n, centred, g = weight.size, x[at] - mean, dy[at]
        dweight += g * centred / deviation
        dbias += g
        for j in np.ndindex(weight.shape):
            dx[at][j] = math.fsum(g[i] * weight[i] * (((i == j) - 1 / n) / deviation
                                                      - centred[i] * centred[j] / (n * deviation**3))
                                  for i in np.ndindex(weight.shape))
    return dx, dweight, dbias


def _mean_and_deviation(values: Array, eps: float) -> tuple[float, float]:
    """The mean, and the root of the (biased) variance and eps."""
    mean = math.fsum(values.flat) / values.size
    return mean, math.sqrt(math.fsum((v - mean) ** 2 for v in values.flat) / values.size + eps)


def channel_affine(x: Array, scale: Array, shift: Array) -> Array:
    """x * scale + shift, a number at a time."""
    out = np.zeros(x.shape)
    for at in np.ndindex(*x.shape):
        out[at] = x[at] * scale[at[-1]] + shift[at[-1]]
    return out


def channel_products(dy: Array, x: Array, mean: Array) -> tuple[Array, Array]:
    """The sums of dy and of dy * (x - mean), a channel at a time."""
    total, along = np.zeros(mean.shape), np.zeros(mean.shape)
    for c, m in enumerate(mean):
        pairs = list(zip(dy[..., c].flat, x[..., c].flat, strict=True))
        total[c] = math.fsum(d.item() for d, _ in pairs)
        along[c] = math.fsum(d.item() * (v.item() - m.item()) for d, v in pairs)
    return total, along


def channel_sum(dy: Array, x: Array, mean: Array, by_dy: Array, by_x: Array, constant: Array) -> Array:
    """by_dy * dy + by_x * (x - mean) + constant, a number at a time."""
    out = np.zeros(x.shape)
    for at in np.ndindex(*x.shape):
        c = at[-1]
        out[at] = by_dy[c] * dy[at] + by_x[c] * (x[at] - mean[c]) + constant[c]
    return out


# ---------------------------------------------------------------------- products


def matmul(x: Array, y: Array) -> Array:
    """Rows of x times columns of y; leading axes broadcast, and a vector counts as a row or as a column."""
    rows, columns = (x[None] if x.ndim == 1 else x), (y[:, None] if y.ndim == 1 else y)
    lead = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    (n, k), m = rows.shape[-2:], columns.shape[-1]
    rows, columns = np.broadcast_to(rows, (*lead, n, k)), np.broadcast_to(columns, (*lead, k, m))
    values = [sum(rows[(*at, i, c)].item() * columns[(*at, c, j)].item() for c in range(k))
              for *at, i, j in np.ndindex(*lead, n, m)]
    shape = (*lead, *(() if x.ndim == 1 else (n,)), *(() if y.ndim == 1 else (m,)))
    return filled(shape, values, np.result_type(x, y))


def einsum(subscripts: str, *xs: Array) -> Array:
    """The sum of the operands' products over all values of all letters; explicit form, without an ellipsis.

    An axis of length 1 goes with any length of its letter.
    """
    inputs, output = subscripts.split("->")
    parts = inputs.split(",")
    lengths: dict[str, int] = {}
    for part, x in zip(parts, xs, strict=True):
        for letter, n in zip(part, x.shape, strict=True):
            lengths[letter] = n if lengths.get(letter, 1) == 1 else lengths[letter]
    out = np.zeros([lengths[c] for c in output], np.result_type(*xs))
    for numbers in np.ndindex(*lengths.values()):
        value = dict(zip(lengths, numbers, strict=True))
        factors = [x[tuple(value[c] if n > 1 else 0 for c, n in zip(part, x.shape, strict=True))]
                   for part, x in zip(parts, xs, strict=True)]
        out[tuple(value[c] for c in output)] += math.prod(factors)
    return out


# ---------------------------------------------------------------------- elements in other places


def taken(source: Callable[..., tuple], shape: Sequence[int]) -> Callable[[Array], Array]:
    """An array of that shape whose element at (i, j, ..) is x[source(i, j, ..)]."""

    def apply(x: Array) -> Array:
        return filled(tuple(shape), [x[source(*at)] for at in np.ndindex(*shape)], x.dtype)

    return apply


def concatenated(axis: int) -> Callable[..., Array]:
    """Arrays one behind the other along an axis, slice by slice."""

    def apply(*xs: Array) -> Array:
        slices = [part for x in xs for part in np.moveaxis(x, axis, 0)]
        return np.moveaxis(np.array(slices), 0, axis)

    return apply


def places(key: Any, shape: tuple) -> Array:
    """The flat numbers of the elements that x[key] reads, in the shape of x[key]."""
    return np.arange(math.prod(shape)).reshape(shape)[key]


def scatter(x: Array, key: Any, shape: tuple) -> Array:
    """Zeros with each element of x added where x[key] would read it."""
    out = np.zeros(math.prod(shape), x.dtype)
    for place, value in zip(places(key, shape).flat, np.broadcast_to(x, places(key, shape).shape).flat, strict=True):
        out[place] += value
    return out.reshape(shape)


def put(x: Array, key: Any, value: Any) -> Array:
    """x with the elements that x[key] reads replaced, one by one."""
    out = [v.item() for v in x.flat]
    at = places(key, x.shape)
    for place, v in zip(at.flat, np.broadcast_to(value, at.shape).flat, strict=True):
        out[place] = v.item()
    return filled(x.shape, out)


# ---------------------------------------------------------------------- windows on images


def _pair(value: Any) -> tuple[int, int]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


def _before_and_after(padding: Any, size: int, span: int, stride: int, axis: int) -> tuple[int, int]:
    """Padding of one axis; for "same", what makes ceil(size / stride) windows fit, the odd pixel at the end."""
    if padding == "valid":
        return 0, 0
    if padding == "same":
        total = max((math.ceil(size / stride) - 1) * stride + span - size, 0)
        return total // 2, total - total // 2
    each_side = _pair(padding)[axis]
    return _pair(each_side) if isinstance(each_side, tuple) else (each_side, each_side)


def _axis_windows(axis: int, size: int, kernel: int, stride: Any, padding: Any, dilation: Any = 1) -> list[list[int]]:
    """For each output of an axis, the pixel that each tap sees; those outside of 0 .. size - 1 are padding."""
    step, gap = _pair(stride)[axis], _pair(dilation)[axis]
    span = (kernel - 1) * gap + 1
    before, after = _before_and_after(padding, size, span, step, axis)
    starts = range(-before, size + after - span + 1, step)
    return [[start + k * gap for k in range(kernel)] for start in starts]


def _windows(size: Sequence[int], kernel: Any, stride: Any, padding: Any,
             dilation: Any = 1) -> dict[tuple[int, int], list[tuple[int, int, int, int]]]:
    """{(oh, ow): [(kh, kw, h, w), ..]} with the taps of each window that lie on the image, in reading order."""
    kernel = _pair(kernel)
    rows, columns = (_axis_windows(a, size[a], kernel[a], stride, padding, dilation) for a in (0, 1))
    return {(oh, ow): [(kh, kw, h, w) for kh, h in enumerate(hs) for kw, w in enumerate(ws)
                       if 0 <= h < size[0] and 0 <= w < size[1]]
            for oh, hs in enumerate(rows) for ow, ws in enumerate(columns)}


def _out_size(windows: dict) -> tuple[int, int]:
    return max(oh for oh, _ in windows) + 1, max(ow for _, ow in windows) + 1


def _products(x_shape: Sequence[int], w_shape: Sequence[int], windows: dict,
              groups: int) -> Iterator[tuple[tuple, tuple, tuple]]:
    """The places in x, w and the output of each product that a convolution is the sum of."""
    depth, outputs = w_shape[2], w_shape[3]
    for (oh, ow), taps in windows.items():
        for kh, kw, h, w in taps:
            for n, c, o in np.ndindex(x_shape[0], depth, outputs):
                group = o // (outputs // groups)
                yield (n, h, w, group * depth + c), (kh, kw, c, o), (n, oh, ow, o)


def conv2d(x: Array, w: Array, b: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
           groups: int = 1) -> Array:
    """A convolution as the sum of its products: x (N, H, W, C), w (KH, KW, C / groups, O) -> (N, OH, OW, O)."""
    windows = _windows(x.shape[1:3], w.shape[:2], stride, padding, dilation)
    out = np.zeros((x.shape[0], *_out_size(windows), w.shape[3]), np.result_type(x, w))
    for at_x, at_w, at_out in _products(x.shape, w.shape, windows, groups):
        out[at_out] += x[at_x] * w[at_w]
    return out if b is None else out + b


def conv2d_input_grad(dout: Array, w: Array, x_shape: Sequence[int], stride: Any = 1, padding: Any = 0,
                      dilation: Any = 1, groups: int = 1) -> Array:
    """What each pixel gets back from the same products."""
    windows = _windows(x_shape[1:3], w.shape[:2], stride, padding, dilation)
    dx = np.zeros(x_shape, np.result_type(dout, w))
    for at_x, at_w, at_out in _products(x_shape, w.shape, windows, groups):
        dx[at_x] += dout[at_out] * w[at_w]
    return dx


def conv2d_weight_grad(x: Array, dout: Array, w_shape: Sequence[int], stride: Any = 1, padding: Any = 0,
                       dilation: Any = 1, groups: int = 1) -> Array:
    """What each weight gets back from the same products."""
    windows = _windows(x.shape[1:3], w_shape[:2], stride, padding, dilation)
    dw = np.zeros(w_shape, np.result_type(x, dout))
    for at_x, at_w, at_out in _products(x.shape, w_shape, windows, groups):
        dw[at_w] += x[at_x] * dout[at_out]
    return dw


def conv2d_grads(x: Array, dout: Array, w: Array, *settings: Any, **keywords: Any) -> tuple[Array, Array]:
    return (conv2d_input_grad(dout, w, np.shape(x), *settings, **keywords),
            conv2d_weight_grad(x, dout, np.shape(w), *settings, **keywords))


def conv_transpose2d(x: Array, w: Array, b: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
                     dilation: Any = 1, groups: int = 1) -> Array:
    """Each pixel of x, times w, added where its window lies: x (N, H, W, C), w (KH, KW, O, C / groups)."""
    (kh, kw, outputs, depth), (sh, sw), (dh, dw) = w.shape, _pair(stride), _pair(dilation)
    span = ((kh - 1) * dh + 1, (kw - 1) * dw + 1)
    size = [(n - 1) * s + k + e for n, s, k, e
            in zip(x.shape[1:3], (sh, sw), span, _pair(output_padding), strict=True)]
    large = [n * s for n, s in zip(x.shape[1:3], (sh, sw), strict=True)]  # the image that "same" makes this one of
    crops = [_before_and_after(padding, large[a], span[a], (sh, sw)[a], a) for a in (0, 1)]
    if padding == "same":  # the windows may leave a rest of that image out, or go beyond it
        size = [max(n, m) for n, m in zip(size, large, strict=True)]
        crops = [(before, size[a] - before - large[a]) for a, (before, _) in enumerate(crops)]
    out = np.zeros((x.shape[0], *size, outputs), np.result_type(x, w))
    for n, h, v, o, c, i, j in np.ndindex(*x.shape[:3], outputs, depth, kh, kw):
        channel = o // (outputs // groups) * depth + c
        out[n, h * sh + i * dh, v * sw + j * dw, o] += x[n, h, v, channel] * w[i, j, o, c]
    (top, bottom), (left, right) = crops
    out = out[:, top : max(size[0] - bottom, 0), left : max(size[1] - right, 0)]
    return out if b is None else out + b


def first_maxima(x: Array, kernel: Any, stride: Any = None, padding: Any = 0) -> tuple[Array, Array, Array]:
    """The largest of each window (a NaN is larger than all), its tap kh * KW + kw and its pixel h * W + w.

    Of equals the first in reading order; padding never is.
    """
    windows = _windows(x.shape[1:3], kernel, kernel if stride is None else stride, padding)
    shape = (x.shape[0], *_out_size(windows), x.shape[3])
    out, taps, pixels = np.zeros(shape, x.dtype), np.zeros(shape, int), np.zeros(shape, int)
    for n, oh, ow, c in np.ndindex(*shape):
        best = None
        for kh, kw, h, w in windows[oh, ow]:
            value = x[n, h, w, c]
            if best is None or value > best[0] or (np.isnan(value) and not np.isnan(best[0])):
                best = value, kh * _pair(kernel)[1] + kw, h * x.shape[2] + w
        out[n, oh, ow, c], taps[n, oh, ow, c], pixels[n, oh, ow, c] = best
    return out, taps, pixels


def max_pool2d(x: Array, kernel: Any, stride: Any = None, padding: Any = 0) -> Array:
    """The largest of each window."""
    return first_maxima(x, kernel, stride, padding)[0]


def pick_taps(x: Array, taps: Array, kernel: Any, stride: Any = None, padding: Any = 0) -> Array:
    """The element that each window's tap lies on."""
    windows = _windows(x.shape[1:3], kernel, kernel if stride is None else stride, padding)
    out = np.zeros(taps.shape, x.dtype)
    for n, oh, ow, c in np.ndindex(*taps.shape):
        for kh, kw, h, w in windows[oh, ow]:
            if kh * _pair(kernel)[1] + kw == taps[n, oh, ow, c]:
                out[n, oh, ow, c] = x[n, h, w, c]
    return out


def unpool_taps(g: Array, taps: Array, size: Sequence[int], kernel: Any, stride: Any = None,
                padding: Any = 0) -> Array:
    """Zeros of `size` with each element added at the pixel that its window's tap lies on."""
    windows = _windows(size, kernel, kernel if stride is None else stride, padding)
    out = np.zeros((g.shape[0], *size, g.shape[3]), g.dtype)
    for n, oh, ow, c in np.ndindex(*g.shape):
        for kh, kw, h, w in windows[oh, ow]:
            if kh * _pair(kernel)[1] + kw == taps[n, oh, ow, c]:
                out[n, h, w, c] += g[n, oh, ow, c]
    return out


def _counted(taps: list, kernel: Any, count_include_pad: bool) -> int:
    return math.prod(_pair(kernel)) if count_include_pad else len(taps)


def avg_pool2d(x: Array, kernel: Any, stride: Any = None, padding: Any = 0, count_include_pad: bool = False) -> Array:
    """The mean of each window, over its real pixels or over all its taps."""
    windows = _windows(x.shape[1:3], kernel, kernel if stride is None else stride, padding)
    out = np.zeros((x.shape[0], *_out_size(windows), x.shape[3]), np.result_type(x.dtype, np.float16))
    for n, oh, ow, c in np.ndindex(*out.shape):
        taps = windows[oh, ow]
        out[n, oh, ow, c] = sum(x[n, h, w, c] for *_, h, w in taps) / _counted(taps, kernel, count_include_pad)
    return out


def avg_unpool2d(g: Array, size: Sequence[int], kernel: Any, stride: Any = None, padding: Any = 0,
                 count_include_pad: bool = False) -> Array:
    """Each element's share added to every real pixel of its window."""
    windows = _windows(size, kernel, kernel if stride is None else stride, padding)
    out = np.zeros((g.shape[0], *size, g.shape[3]), np.result_type(g.dtype, np.float16))
    for n, oh, ow, c in np.ndindex(*g.shape):
        taps = windows[oh, ow]
        for *_, h, w in taps:
            out[n, h, w, c] += g[n, oh, ow, c] / _counted(taps, kernel, count_include_pad)
    return out
