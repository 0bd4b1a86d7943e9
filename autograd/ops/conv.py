"""Convolution: three ops that are each other's gradients, and one that computes two of them together.

With x and w as the two arguments of a bilinear map `conv2d`, its input gradient is bilinear in (dout, w)
and its weight gradient in (x, dout); each rule below is one of the three again, so they are closed under
differentiation. Where both gradients are wanted, `conv2d_grads` writes the windows of dout once for both if that is
faster.

Images are NHWC, weights (KH, KW, C / groups, O). `stride` and `dilation` are an int or a pair; `padding`
is an int, a pair, "valid", or "same" (TensorFlow's: out = ceil(in / stride), the odd pixel at the end). `method` is
passed on to the gradients.
What is called convolution here is cross-correlation, as everywhere in deep learning (Goodfellow et al.,
Deep Learning, 9.1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels import conv
from ..kernels.remembered import remembered
from ..kernels.window import Window, resolve
from ..op import Op
from ..tensor import value_of
from .elementwise import add
from .reduce import sum
from .shape import reshape, transpose

__all__ = ["conv2d", "conv2d_grads", "conv2d_input_grad", "conv2d_weight_grad", "conv_transpose2d"]


@Op
def conv2d(x, w, b=None, stride=1, padding=0, dilation=1, groups=1, method="auto"):
    """Slides w over x and sums the products, adding b.

    x (N, H, W, C), w (KH, KW, C / groups, O), b (O,) or None -> (N, OH, OW, O).

    method  "im2col", for everything; "winograd", for 3x3 kernels of stride 1 without dilation or groups in float32,
            where it has 2e-6 of error; "auto" takes that where it is faster, by shapes and dtypes alone: from 16
            channels and 64 tiles of 4x4 outputs on, and for fewer tiles from 64 channels on (`docs/performance.md`).
            For up to 256 tiles what is made of w is kept as long as w lives and has the same bytes, 64 MiB in all

    Where x is infinite or NaN, outputs beside those that see it may be NaN, too; so it is with gradients.

    Raises ValueError where shapes, stride, padding, dilation, groups or method do not fit, TypeError for other types.

    Chellapilla et al., "High Performance Convolutional Neural Networks for Document Processing", 2006 (im2col);
    Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016 (Winograd).

    >>> import autograd as ag, numpy as np
    >>> x = ag.Tensor(np.ones((1, 4, 4, 1)))
    >>> ag.conv2d(x, np.ones((3, 3, 1, 2)), padding="same").shape
    (1, 4, 4, 2)
    """
    x, w = np.asarray(x), np.asarray(w)
    b = None if b is None else np.asarray(b)
    kind_of_b = None if b is None else (b.shape, b.dtype)
    kinds = x.shape, x.dtype, w.shape, w.dtype, kind_of_b
    return _conv2d_for(*kinds, stride, padding, dilation, groups, method)(x, w, b)


@remembered
def _conv2d_for(x: tuple, x_dtype: Any, w: tuple, w_dtype: Any, b: Any, stride: Any, padding: Any, dilation: Any,
                groups: int, method: str) -> Callable[[Any, Any, Any], Any]:
    """The function of x, w and b for shapes and dtypes: all that follows from those alone is looked up at once."""
    window = _checked_window("conv2d", x, w, b and b[0], stride, padding, dilation, groups)
    return conv.conv2d_for(x, x_dtype, w, w_dtype, b, window, groups, method)


@Op
def conv2d_input_grad(dout, w, x_shape, stride=1, padding=0, dilation=1, groups=1, method="auto"):
    """The gradient of conv2d by its input: what each pixel of x contributed to, weighted by dout.

    dout (N, OH, OW, O), w (KH, KW, C / groups, O) -> `x_shape` (N, H, W, C). The rest as for conv2d.

    Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, section 4.

    >>> import autograd as ag, numpy as np
    >>> w = np.arange(1.0, 5.0).reshape(2, 2, 1, 1)
    >>> ag.conv2d_input_grad(np.ones((1, 2, 2, 1)), w, (1, 3, 3, 1))[0, :, :, 0]
    array([[ 1.,  3.,  2.],
           [ 4., 10.,  6.],
           [ 3.,  7.,  4.]])
    """
    dout, w = np.asarray(dout), np.asarray(w)
    kinds = dout.shape, dout.dtype, w.shape, w.dtype, x_shape
    return _input_grad_for(*kinds, stride, padding, dilation, groups, method)(dout, w)


@remembered
def _input_grad_for(dout: tuple, dout_dtype: Any, w: tuple, w_dtype: Any, x: Any, stride: Any, padding: Any,
                    dilation: Any, groups: int, method: str) -> Callable[[Any, Any], Any]:
    window = _check_grad("conv2d_input_grad", dout, x, w, stride, padding, dilation, groups)
    return conv.conv2d_input_grad_for(dout, dout_dtype, w, w_dtype, window, groups, method)


@Op
def conv2d_weight_grad(x, dout, w_shape, stride=1, padding=0, dilation=1, groups=1, method="auto"):
    """The gradient of conv2d by its weights: the products of x and dout, summed over all windows.

    x (N, H, W, C), dout (N, OH, OW, O) -> `w_shape` (KH, KW, C / groups, O). The rest as for conv2d.

    >>> import autograd as ag, numpy as np
    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> ag.conv2d_weight_grad(x, np.ones((1, 2, 2, 1)), (2, 2, 1, 1))[:, :, 0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    x, dout = np.asarray(x), np.asarray(dout)
    kinds = x.shape, x.dtype, dout.shape, dout.dtype, w_shape
    return _weight_grad_for(*kinds, stride, padding, dilation, groups, method)(x, dout)


@remembered
def _weight_grad_for(x: tuple, x_dtype: Any, dout: tuple, dout_dtype: Any, w: Any, stride: Any, padding: Any,
                     dilation: Any, groups: int, method: str) -> Callable[[Any, Any], Any]:
    window = _check_grad("conv2d_weight_grad", dout, x, w, stride, padding, dilation, groups)
    return conv.conv2d_weight_grad_for(x, x_dtype, dout, dout_dtype, window, groups, method)


@Op(outputs=("dx", "dw"))
def conv2d_grads(x, dout, w, stride=1, padding=0, dilation=1, groups=1, method="auto"):
    """Both gradients of conv2d, by its input and by its weights, at once where that is faster.

    x (N, H, W, C), dout (N, OH, OW, O), w (KH, KW, C / groups, O) -> (N, H, W, C), (KH, KW, C / groups, O). The rest as
    for conv2d.

    >>> import autograd as ag, numpy as np
    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> dx, dw = ag.conv2d_grads(x, np.ones((1, 2, 2, 1)), np.ones((2, 2, 1, 1)))
    >>> dx[0, :, :, 0], dw[:, :, 0, 0]
    (array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]]), array([[ 8., 12.],
           [20., 24.]]))
    """
    x, dout, w = np.asarray(x), np.asarray(dout), np.asarray(w)
    kinds = x.shape, x.dtype, dout.shape, dout.dtype, w.shape, w.dtype
    return _grads_for(*kinds, stride, padding, dilation, groups, method)(x, dout, w)


@remembered
def _grads_for(x: tuple, x_dtype: Any, dout: tuple, dout_dtype: Any, w: tuple, w_dtype: Any, stride: Any, padding: Any,
               dilation: Any, groups: int, method: str) -> Callable[[Any, Any, Any], tuple]:
    window = _check_grad("conv2d_grads", dout, x, w, stride, padding, dilation, groups)
    return conv.conv2d_grads_for(x, x_dtype, dout, dout_dtype, w, w_dtype, window, groups, method)


def _conv2d_rule(g: Any, x: Any, w: Any, stride: Any, padding: Any, dilation: Any, groups: Any, method: Any,
                 wanted: Any) -> tuple:
    settings = stride, padding, dilation, groups, method
    dx = dw = None
    if wanted[0] and wanted[1]:
        dx, dw = conv2d_grads(x, g, w, *settings)
    elif wanted[0]:
        dx = conv2d_input_grad(g, w, x.shape, *settings)
    elif wanted[1]:
        dw = conv2d_weight_grad(x, g, w.shape, *settings)
    return dx, dw, sum(g, (0, 1, 2)) if wanted[2] else None


conv2d.vjp(_conv2d_rule, inputs=3)

conv2d_grads.vjp(
    lambda g, dout, x_shape, stride, padding, dilation, groups, method: conv2d_input_grad(
        dout, g[1], x_shape, stride, padding, dilation, groups, method
    ),
    lambda g, x, w, stride, padding, dilation, groups, method: add(
        conv2d(g[0], w, None, stride, padding, dilation, groups, method),
        conv2d(x, g[1], None, stride, padding, dilation, groups, method),
    ),
    lambda g, dout, w_shape, stride, padding, dilation, groups, method: conv2d_weight_grad(
        g[0], dout, w_shape, stride, padding, dilation, groups, method
    ),
)

conv2d_input_grad.vjp(
    lambda g, w, stride, padding, dilation, groups, method: conv2d(
        g, w, None, stride, padding, dilation, groups, method
    ),
    lambda g, dout, w_shape, stride, padding, dilation, groups, method: conv2d_weight_grad(
        g, dout, w_shape, stride, padding, dilation, groups, method
    ),
)

conv2d_weight_grad.vjp(
    lambda g, dout, x_shape, stride, padding, dilation, groups, method: conv2d_input_grad(
        dout, g, x_shape, stride, padding, dilation, groups, method
    ),
    lambda g, x, stride, padding, dilation, groups, method: conv2d(
        x, g, None, stride, padding, dilation, groups, method
    ),
)


def conv_transpose2d(x: Any, w: Any, b: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
                     dilation: Any = 1, groups: int = 1) -> Any:
    """The transpose of a convolution, which makes images larger: conv2d's input gradient as a forward.

    x (N, H, W, C), w (KH, KW, O, C / groups), b (O,) or None -> (N, OH, OW, O) with, for an int or pair `padding`,
    OH = (H - 1) * stride - 2 * padding + dilation * (KH - 1) + 1 + output_padding; for "valid" the same with
    padding 0, for "same" OH = H * stride. `output_padding` (an int or pair, smaller than stride) settles which of the
    sizes that a convolution would map to H is meant. Where x is infinite or NaN, outputs beside those that see it may
    be NaN, too.

    Raises ValueError where shapes or settings do not fit.

    Zeiler et al., "Deconvolutional Networks", 2010.

    >>> import autograd as ag, numpy as np
    >>> ag.conv_transpose2d(np.ones((1, 8, 8, 16)), np.ones((2, 2, 3, 16)), stride=2).shape
    (1, 16, 16, 3)
    """
    x_shape, w_shape = np.shape(value_of(x)), np.shape(value_of(w))
    _check_transpose(x_shape, w_shape, np.shape(value_of(b)) if b is not None else None, groups)
    size = _transposed_size(x_shape[1:3], w_shape[:2], stride, padding, output_padding, dilation)
    out_channels, in_channels = w_shape[2], x_shape[3]
    if groups > 1:  # conv2d's weights have the groups side by side on the other axis
        kernel = w_shape[:2]
        # (KH, KW, O, C/G) -> (KH, KW, G, O/G, C/G)
        w = reshape(w, (*kernel, groups, out_channels // groups, in_channels // groups))
        w = transpose(w, (0, 1, 3, 2, 4))  # (KH, KW, G, O/G, C/G) -> (KH, KW, O/G, G, C/G)
        w = reshape(w, (*kernel, out_channels // groups, in_channels))  # (KH, KW, O/G, G, C/G) -> (KH, KW, O/G, C)
    out_shape = (x_shape[0], *size, out_channels)
    out = conv2d_input_grad(x, w, out_shape, stride, padding, dilation, groups)
    return out if b is None else add(out, b)


# ---------------------------------------------------------------------- checks


def _check(op: str, name: str, x: tuple, w: tuple, groups: int) -> None:
    """Raises unless an image batch x and weights w fit together."""
    if len(x) != 4 or len(w) != 4:
        raise ValueError(f"{op}: {name} must be (N, H, W, C) and w (KH, KW, C / groups, O), got {name} {x} and w {w}"
                         + ("; add the batch axis with x[None]" if len(x) == 3 else ""))
    if not isinstance(groups, (int, np.integer)) or isinstance(groups, bool) or groups < 1:
        raise ValueError(f"{op}: groups must be an integer of at least 1, got {groups!r}")
    if x[3] == w[2] * groups and w[3] and not w[3] % groups:
        return
    given = f"({name} {x}, w {w}, groups {groups})"
    if x[3] != w[2] * groups:
        hint = "images are NHWC, weights (KH, KW, C / groups, O)"
        if x[1] == w[2] * groups:
            hint = (f"{name} looks like NCHW, but images are NHWC here: convert a PyTorch model with nn.from_torch, "
                    f"or an array with {name}.transpose(0, 2, 3, 1)")
        expected = f"w expects {w[2] * groups}" + (f" ({w[2]} in each of {groups} groups)" if groups > 1 else "")
        raise ValueError(f"{op}: {name} has {x[3]} channels but {expected} {given}; {hint}")
    raise ValueError(f"{op}: the {w[3]} output channels of w cannot be divided into {groups} groups {given}")


def _checked_window(op: str, x: tuple, w: tuple, b: tuple | None, stride: Any, padding: Any, dilation: Any,
                    groups: int) -> Window:
    """The window of a convolution; raises unless x, w and b (None or a shape) fit together."""
    _check(op, "x", x, w, groups)
    if b is not None and b != w[3:]:
        raise ValueError(f"{op}: b must have shape {w[3:]}, one number per output channel of w {w}, got {b}")
    return resolve(op, x[1:3], w[:2], stride, padding, dilation)


def _check_grad(op: str, dout: tuple, x: Any, w: Any, stride: Any, padding: Any, dilation: Any,
                groups: int) -> Window:
    """The window of the convolution whose output gradient is dout; raises unless all shapes fit."""
    x, w = tuple(x), tuple(w)
    window = _checked_window(op, x, w, None, stride, padding, dilation, groups)
    expected = (x[0], *window.out, w[3])
    if dout != expected:
        raise ValueError(f"{op}: dout must be the output gradient {expected} of a convolution of x {x} with w {w}, "
                         f"got {dout}")
    return window


def _check_transpose(x: tuple, w: tuple, b: tuple | None, groups: int) -> None:
    op, given = "conv_transpose2d", f"(x {x}, w {w}, groups {groups})"
    if len(x) != 4 or len(w) != 4:
        raise ValueError(f"{op}: x must be (N, H, W, C) and w (KH, KW, O, C / groups), got x {x} and w {w}")
    if not isinstance(groups, (int, np.integer)) or isinstance(groups, bool) or groups < 1:
        raise ValueError(f"{op}: groups must be an integer of at least 1, got {groups!r}")
    if x[3] != w[3] * groups:
        raise ValueError(f"{op}: x has {x[3]} channels but w expects {w[3] * groups} {given}; images are NHWC, "
                         "weights of a transposed convolution (KH, KW, O, C / groups)")
    if w[2] % groups:
        raise ValueError(f"{op}: the {w[2]} output channels of w cannot be divided into {groups} groups {given}")
    if b is not None and b != w[2:3]:
        raise ValueError(f"{op}: b must have shape {w[2:3]}, one number per output channel of w {w}, got {b}")


def _transposed_size(size: tuple, kernel: tuple, stride: Any, padding: Any, output_padding: Any,
                     dilation: Any) -> tuple[int, ...]:
    """(OH, OW) of a transposed convolution."""
    # a window on a plane that surely holds it, to have every setting checked and made a pair in one place
    probe = resolve("conv_transpose2d", (1 << 30, 1 << 30), kernel, stride, 0 if padding == "same" else padding,
                    dilation)
    extra = output_padding if isinstance(output_padding, (tuple, list)) else (output_padding, output_padding)
    if len(extra) != 2 or not all(isinstance(e, (int, np.integer)) for e in extra):
        raise TypeError(f"conv_transpose2d: output_padding must be an int or a pair of ints, not {output_padding!r}")
    if padding == "same" and any(extra):
        raise ValueError(f'conv_transpose2d: padding "same" settles the size, so output_padding must be 0, not '
                         f"{output_padding}")
    for e, s in zip(extra, probe.stride, strict=True):
        if not 0 <= e < s:
            raise ValueError(f"conv_transpose2d: output_padding {output_padding} must be at least 0 and smaller than "
                             f"stride {probe.stride}")
    if padding == "same":
        return tuple(n * s for n, s in zip(size, probe.stride, strict=True))
    spans = [d * (k - 1) + 1 for d, k in zip(probe.dilation, kernel, strict=True)]
    out = tuple((n - 1) * s - (p[0] + p[1]) + span + e
                for n, s, p, span, e in zip(size, probe.stride, probe.padding, spans, extra, strict=True))
    if min(out) < 1:
        raise ValueError(f"conv_transpose2d: the output would be {out[0]}x{out[1]}; padding {padding} is too large for "
                         f"an input of {size[0]}x{size[1]} and a kernel of {kernel[0]}x{kernel[1]}")
    return out
