"""3x3 convolutions as sums over their nine taps in float64, and what tests of Winograd's ways draw."""

import numpy as np
from hypothesis import strategies as st

from autograd.kernels.window import resolve

# The largest error, relative to the largest value of the exact result. One float32 rounding is 6e-8; the longest
# sums here are of 9 * 128 products, and errors grow with their root and with the transforms' own factor.
BOUND = 5e-6


def by_taps(x, w, dout, window):
    """The convolution and both gradients in float64: a sum over the nine taps of shifted images."""
    x, w, dout = (array.astype(np.float64) for array in (x, w, dout))
    padded = np.pad(x, ((0, 0), *window.padding, (0, 0)))
    d_padded = np.zeros_like(padded)
    y, dw = np.zeros(dout.shape), np.zeros(w.shape)
    for kh, kw in np.ndindex(3, 3):
        seen = (slice(None), slice(kh, kh + window.out[0]), slice(kw, kw + window.out[1]))
        y += padded[seen] @ w[kh, kw]
        d_padded[seen] += dout @ w[kh, kw].T
        dw[kh, kw] = np.einsum("nhwc,nhwo->co", padded[seen], dout)
    (top, _), (left, _) = window.padding
    return y, d_padded[:, top : top + window.size[0], left : left + window.size[1]], dw


def draws(n, window, c, o, seed=0):
    """x, w and dout in float32."""
    rng = np.random.default_rng(seed)
    shapes = (n, *window.size, c), (3, 3, c, o), (n, *window.out, o)
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


def error(got, exact):
    """The largest, relative to the largest value."""
    return np.abs(got - exact).max() / np.abs(exact).max()


@st.composite
def geometries(draw, images=3, channels=6, outputs=6):
    """(n, window, c, o): sizes that tiles of 4x4 cover and that they do not, every padding that Winograd takes."""
    padding = draw(st.sampled_from(["same", "valid", 1, 2]) | st.tuples(*[st.tuples(*[st.integers(0, 2)] * 2)] * 2))
    size = draw(st.tuples(st.integers(3, 14), st.integers(3, 14)))
    window = resolve("conv2d", size, 3, 1, padding)
    return draw(st.integers(1, images)), window, draw(st.integers(1, channels)), draw(st.integers(1, outputs))
