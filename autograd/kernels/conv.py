"""2-D convolution and its gradients: checks shapes and chooses the way.

A convolution is computed by `im2col`, or in float32, for 3x3 kernels of stride 1, by `winograd` and, on a few small
images, by `few_tiles`; both may keep what they make of the weights. An input gradient is a convolution, too; with a
stride one for each of the `phases` of its pixels, or one for all (`subpixel`). im2col's without a stride may also be a
product and sums (`col2im`). The choice depends on shapes and dtypes alone (and on what is computed: weights that an
input gradient makes are not kept), never on timing or the number of threads, so the same call gives the same bits.

Arrays are NHWC, weights (KH, KW, C / groups, O). All is linear: complex numbers are not conjugated.
"""

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import Any

import numpy as np

from . import col2im, few_tiles, im2col, subpixel, winograd
from .chunks import even
from .phases import Phase, phases
from .remembered import remembered
from .runs import copy_runs
from .window import Window

__all__ = [
    "METHODS", "conv2d", "conv2d_for", "conv2d_grads", "conv2d_grads_for", "conv2d_input_grad", "conv2d_input_grad_for",
    "conv2d_weight_grad", "conv2d_weight_grad_for",
]

Array = np.ndarray[Any, Any]
DType = np.dtype[Any]
Shape = tuple[int, ...]
Kind = tuple[Shape, DType]

_CLEARLY = 0.9  # of the other way's time by the kernels' own figures, which are good to a quarter
_BESIDE = 200_000  # nanoseconds that a convolution takes beside its work: Python, threads that begin and wait
_MOST_BYTES = 1 << 24  # of an image whose gradient is made at once: before it is laid out, it is there a second time
_PIECE_BYTES = 1 << 21  # see `_pieces`

METHODS = ("auto", "im2col", "winograd")


def conv2d(x: Array, w: Array, b: Array | None, window: Window, groups: int = 1, method: str = "auto",
           *, is_new: bool = False) -> Array:
    """The 2-D convolution (cross-correlation) of x with w, plus b.

    x (N, H, W, C), w (KH, KW, C / groups, O), b (O,) or None -> (N, OH, OW, O), of the dtype that NumPy
    promotes the arguments to. `is_new` tells that w was made for this call: then nothing is kept of it, and
    `few_tiles`, which gains by that, is not taken. Raises ValueError if the shapes do not fit each other and the
    window, or the method does not fit them.

    >>> from autograd.kernels.window import resolve
    >>> window = resolve("conv2d", size=(3, 3), kernel=2, stride=1, padding=0)
    >>> conv2d(np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1)), None, window)[0, :, :, 0]
    array([[4., 4.],
           [4., 4.]])
    """
    kind_of_b = None if b is None else (b.shape, b.dtype)
    return conv2d_for(x.shape, x.dtype, w.shape, w.dtype, kind_of_b, window, groups, method, is_new)(x, w, b)


@remembered
def conv2d_for(x: Shape, x_dtype: DType, w: Shape, w_dtype: DType, b: Kind | None, window: Window, groups: int,
               method: str, is_new: bool = False) -> Callable[[Array, Array, Array | None], Array]:
    """The function of x, w and b that is `conv2d` for these shapes and dtypes; raises if they do not fit."""
    _check_weights("conv2d", w, window, groups)
    _check("conv2d", "x", x, (*window.size, w[2] * groups))
    if b is not None and b[0] != w[3:]:
        raise ValueError(f"conv2d: b has shape {b[0]} but w {w} has {w[3]} outputs; give b one number per output, "
                         f"shape {w[3:]}")
    dtypes = (x_dtype, w_dtype) if b is None else (x_dtype, w_dtype, b[1])
    may_keep = method == "auto" and not is_new and winograd.fits(window, groups, *dtypes)
    if may_keep and few_tiles.pays(x[0], window, *w[2:]):
        return partial(few_tiles.conv2d, window=window)
    if _by_winograd("conv2d", method, x[0], window, w, groups, dtypes):
        keeps = not is_new and winograd.keeping_pays(x[0], window, *w[2:])
        return partial(winograd.conv2d, window=window, keeps=keeps)
    plan = im2col.conv2d_plan(x[0], window, w, groups, np.result_type(*dtypes), is_biased=b is not None)
    return partial(im2col.conv2d, plan=plan)


def conv2d_input_grad(dout: Array, w: Array, window: Window, groups: int = 1, method: str = "auto") -> Array:
    """The gradient of sum(dout * conv2d(x, w)) with respect to x.

    dout (N, OH, OW, O), w (KH, KW, C / groups, O) -> (N, H, W, C), where (H, W) is the window's size.
    Raises ValueError if the shapes do not fit each other and the window, or the method does not fit them.
    """
    return conv2d_input_grad_for(dout.shape, dout.dtype, w.shape, w.dtype, window, groups, method)(dout, w)


@remembered
def conv2d_input_grad_for(dout: Shape, dout_dtype: DType, w: Shape, w_dtype: DType, window: Window, groups: int,
                          method: str) -> Callable[[Array, Array], Array]:
    """The function of dout and w that is `conv2d_input_grad` for these shapes and dtypes; raises if they do not fit."""
    _check_weights("conv2d_input_grad", w, window, groups)
    _check("conv2d_input_grad", "dout", dout, (*window.out, w[3]))
    dtypes = dout_dtype, w_dtype
    _by_winograd("conv2d_input_grad", method, dout[0], window, w, groups, dtypes)  # raises, or
    if _by_col2im(dout[0], window, w, groups, dtypes, method):
        return partial(col2im.conv2d_input_grad, window=window)
    if window.stride == (1, 1) and phases(window):
        [phase] = phases(window)
        return partial(_input_grad_of_all, phase=phase, groups=groups, method=method)
    return partial(_strided_input_grad, window=window, groups=groups, method=method)


def _input_grad_of_all(dout: Array, w: Array, phase: Phase, groups: int, method: str) -> Array:
    """Of all pixels, which are of one phase where the stride is 1."""
    return conv2d(dout[:, *phase.seen], _mirror(w, groups), None, phase.window, groups, method, is_new=True)


def _strided_input_grad(dout: Array, w: Array, window: Window, groups: int, method: str) -> Array:
    """Of all pixels at once, or of those of each phase; for pixels that no output sees 0.

    At once, a cotangent that is infinite or NaN makes pixels beside those that it is of NaN, too.
    """
    shape, dtype = (len(dout), *window.size, w.shape[2] * groups), np.result_type(dout, w)
    found = _blocks(len(dout), window, w.shape, groups, dtype.itemsize)
    if found:
        dx = np.empty(shape, dtype)
        kernel = subpixel.weights(w, found)
        for images in _pieces(dx):
            outs = conv2d(dout[images, *found.seen], kernel, None, found.window, 1, "im2col")
            subpixel.lay_out(outs, found, dx[images])
        return dx
    dx = np.zeros(shape, dtype)
    for phase in phases(window):
        mirrored, pixels = _mirror(w[phase.taps], groups), dx[:, *phase.pixels]
        for images in _pieces(pixels):
            outs = conv2d(dout[images, *phase.seen], mirrored, None, phase.window, groups, method, is_new=True)
            copy_runs(pixels[images], outs)
    return dx


def _pieces(dx: Array) -> Iterator[slice]:
    """Images whose gradients are made at a time: so what is made before it is copied does not grow with the batch."""
    return even(len(dx), max(_PIECE_BYTES // max(dx[:1].nbytes, 1), 1))


def conv2d_weight_grad(x: Array, dout: Array, window: Window, groups: int = 1, method: str = "auto") -> Array:
    """The gradient of sum(dout * conv2d(x, w)) with respect to w.

    x (N, H, W, C), dout (N, OH, OW, O) -> (KH, KW, C / groups, O), zeros for an empty batch.
    Raises ValueError if the shapes do not fit each other and the window, or the method does not fit them.
    """
    return conv2d_weight_grad_for(x.shape, x.dtype, dout.shape, dout.dtype, window, groups, method)(x, dout)


@remembered
def conv2d_weight_grad_for(x: Shape, x_dtype: DType, dout: Shape, dout_dtype: DType, window: Window, groups: int,
                           method: str) -> Callable[[Array, Array], Array]:
    """The function of x and dout that is `conv2d_weight_grad` for these shapes and dtypes; raises if they don't fit."""
    shape = (*window.kernel, x[-1] // max(groups, 1), dout[-1])
    _check_weights("conv2d_weight_grad", shape, window, groups)
    _check("conv2d_weight_grad", "x", x, (*window.size, shape[2] * groups))
    _check("conv2d_weight_grad", "dout", dout, (*window.out, shape[3]), x[0])
    if _by_winograd("conv2d_weight_grad", method, x[0], window, shape, groups, (x_dtype, dout_dtype)):
        return partial(winograd.conv2d_weight_grad, window=window)
    return partial(im2col.conv2d_weight_grad, window=window, groups=groups)


def conv2d_grads(x: Array, dout: Array, w: Array, window: Window, groups: int = 1,
                 method: str = "auto") -> tuple[Array, Array]:
    """Both gradients of sum(dout * conv2d(x, w)), by x and by w.

    x (N, H, W, C), dout (N, OH, OW, O), w (KH, KW, C / groups, O) -> those of x and w. Raises ValueError if the shapes
    do not fit each other and the window, or the method does not fit them.

    For stride 1 both may come from the same windows of dout: the input gradient as their convolution with the mirrored
    weights, the weights' as the gradient of that convolution by its own weights, with x in the place of the cotangent.
    Measured here: 0.6 to 0.95 of the time of one after the other, where it is done (`_is_joint_dear`).
    """
    kinds = x.shape, x.dtype, dout.shape, dout.dtype, w.shape, w.dtype
    return conv2d_grads_for(*kinds, window, groups, method)(x, dout, w)


@remembered
def conv2d_grads_for(x: Shape, x_dtype: DType, dout: Shape, dout_dtype: DType, w: Shape, w_dtype: DType,
                     window: Window, groups: int, method: str) -> Callable[[Array, Array, Array], tuple[Array, Array]]:
    """The function of x, dout and w that is `conv2d_grads` for these shapes and dtypes; raises if they do not fit."""
    _check_weights("conv2d_grads", w, window, groups)
    _check("conv2d_grads", "x", x, (*window.size, w[2] * groups))
    _check("conv2d_grads", "dout", dout, (*window.out, w[3]), x[0])
    apart = partial(_grads_apart, window=window, groups=groups, method=method)
    dtypes = dout_dtype, w_dtype, x_dtype
    if window.stride != (1, 1) or len(set(dtypes)) > 1 or not _sees_all(window):
        return apart
    [phase] = phases(window)
    turned = (*w[:2], w[3] // groups, w[2] * groups)
    if _by_winograd("conv2d_grads", method, x[0], phase.window, turned, groups, dtypes):
        return partial(_grads_at_once, winograd.conv2d_and_weight_grad, phase.window, 1)
    if groups == 1 and _is_joint_dear(x[0], window, phase.window, w, turned, dtypes):
        return apart
    return partial(_grads_at_once, partial(im2col.conv2d_and_weight_grad, groups=groups), phase.window, groups)


def _grads_apart(x: Array, dout: Array, w: Array, window: Window, groups: int, method: str) -> tuple[Array, Array]:
    return conv2d_input_grad(dout, w, window, groups, method), conv2d_weight_grad(x, dout, window, groups, method)


def _grads_at_once(way: Callable[..., tuple[Array, Array]], seen: Window, groups: int, x: Array, dout: Array,
                   w: Array) -> tuple[Array, Array]:
    """Both by `way`, for the window `seen` over dout."""
    dx, dw = way(dout, _mirror(w, groups), x, seen)
    return dx, _mirror(dw, groups)  # which undoes itself


def _is_joint_dear(images: int, window: Window, seen: Window, w: Shape, turned: Shape,
                   dtypes: tuple[DType, ...]) -> bool:
    """Whether im2col's gradients take about as long one after the other as both at once, over the window `seen`.

    To use the columns of the cotangent twice saves those of x. But there are more of them where the input has more
    pixels than the output, and they are longer where it has fewer channels.
    """
    both = im2col.nanoseconds(images, seen, turned) + im2col.nanoseconds(images, seen, turned, copied=False)
    itemsize = np.result_type(*dtypes).itemsize
    by_col2im = _by_col2im(images, window, w, 1, dtypes, "im2col")
    each = col2im.nanoseconds(images, window, w, itemsize) if by_col2im else im2col.nanoseconds(images, seen, turned)
    return both > _CLEARLY * (each + im2col.nanoseconds(images, window, w))


def _by_col2im(images: int, window: Window, w: Shape, groups: int, dtypes: tuple[DType, ...], method: str) -> bool:
    """Whether the input gradient is made by `col2im`, and not by a convolution of the output gradient."""
    dtype = np.result_type(*dtypes)
    if not col2im.fits(window, w, groups, dtype) or not phases(window):
        return False
    [phase] = phases(window)  # all pixels
    turned = (*w[:2], w[3], w[2])
    if _by_winograd("conv2d_input_grad", method, images, phase.window, turned, groups, dtypes):
        return False
    time = col2im.nanoseconds(images, window, w, dtype.itemsize)
    return time < _CLEARLY * im2col.nanoseconds(images, phase.window, turned)


@remembered
def _blocks(images: int, window: Window, w: Shape, groups: int, itemsize: int) -> subpixel.Blocks | None:
    """The way by `subpixel` of an input gradient with a stride; None where phases one by one take less time."""
    found = subpixel.blocks(window) if groups == 1 else None
    channels, outputs = w[2:]
    if found is None or prod(window.size) * channels * itemsize > _MOST_BYTES:
        return None
    turned = (*found.window.kernel, outputs, prod(window.stride) * channels)
    rows = images * prod(found.window.out) * window.stride[0]  # of pixels in blocks
    at_once = im2col.nanoseconds(images, found.window, turned) + _copied(rows, window.stride[1] * channels)
    one_by_one = -_BESIDE + sum(
        im2col.nanoseconds(images, phase.window, (*phase.window.kernel, outputs, channels))
        + _copied(images * prod(phase.window.out), channels) + _BESIDE
        for phase in phases(window)
    )
    return found if at_once < one_by_one else None


def _copied(runs: int, length: int) -> float:
    """Nanoseconds to copy so many runs of `length` numbers from what a convolution gives to their pixels."""
    return runs * (7 + 0.1 * length)


def _by_winograd(op: str, method: str, images: int, window: Window, w_shape: Shape, groups: int,
                 dtypes: tuple[DType, ...]) -> bool:
    """Whether the method, or for "auto" the shapes and dtypes, say so; raises where the method is unknown or unfit."""
    if method not in METHODS:
        raise ValueError(f'{op}: method {method!r} is unknown; use "auto", "im2col" or "winograd"')
    if method == "im2col":
        return False
    fits = winograd.fits(window, groups, *dtypes)
    if method == "winograd":
        if not fits:
            kinds = ", ".join(map(str, dtypes))
            raise ValueError(
                f'{op}: method "winograd" takes a 3x3 kernel, stride 1, dilation 1, padding of 2 at most, one group '
                f"and float32 alone, not kernel {window.kernel}, stride {window.stride}, dilation {window.dilation}, "
                f'padding {window.padding}, groups {groups}, {kinds}; use "auto"'
            )
        return True
    return fits and winograd.pays(images, window, *w_shape[2:])


def _sees_all(window: Window) -> bool:
    """Whether no output of a window of stride 1 sees padding alone."""
    return all(max(padding) < span for padding, span in zip(window.padding, window.span, strict=True))


def _mirror(w: Array, groups: int) -> Array:
    """The taps backwards and each group transposed: w (KH, KW, C/groups, O) -> (KH, KW, O/groups, C)."""
    kh, kw, c, o = w.shape
    w = w[::-1, ::-1].reshape(kh, kw, c, groups, o // groups)  # (KH, KW, C/G, O) -> (KH, KW, C/G, G, O/G)
    # (KH, KW, C/G, G, O/G) -> (KH, KW, O/G, G, C/G) -> (KH, KW, O/G, C)
    return w.transpose(0, 1, 4, 3, 2).reshape(kh, kw, o // groups, groups * c)


def _check(op: str, name: str, shape: Shape, image: Shape, batch: int | None = None) -> None:
    # Not only a courtesy: strided views of an array that is too small would read memory that is not its own.
    if len(shape) == 4 and shape[1:] == image and batch in (None, shape[0]):
        return
    expected = ", ".join(str(n) for n in ("N" if batch is None else batch, *image))
    raise ValueError(f"{op}: {name} has shape {shape} but ({expected}) is expected; bring {name} to that shape, or use "
                     "the window, weights and groups that it is of")


def _check_weights(op: str, shape: Shape, window: Window, groups: int) -> None:
    if len(shape) != 4 or shape[:2] != window.kernel:
        kh, kw = window.kernel
        raise ValueError(f"{op}: w has shape {shape} but ({kh}, {kw}, C / groups, O) is expected; bring w to that "
                         "shape, or use a window of its kernel")
    if groups < 1 or shape[3] % groups:
        raise ValueError(f"{op}: {shape[3]} output channels cannot be divided into {groups} groups; use a number of "
                         f"groups, at least 1, that divides {shape[3]}")
