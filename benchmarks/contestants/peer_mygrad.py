"""MyGrad, without its guard against writing into arrays of a graph: its documentation advises that for speed."""

import sys

import mygrad as mg
from mygrad.nnet.layers import conv_nd

from tasks import chain as chain_of
from tasks import conv_arrays, sums_of_squares

mg.turn_memory_guarding_off()


def about() -> dict[str, str]:
    return {"MyGrad": mg.__version__}


def chain(ops: int) -> tuple:
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 20 * ops))  # its backward calls itself once per op
    x, w, b = (mg.tensor(value, dtype="float32") for value in (1.0, 1.0, 0.0))

    def step() -> tuple:
        y = chain_of(x, w, b, mg.sin, ops)
        y.backward()  # the gradients of the last step are dropped when x, w and b are used again
        return y.data, x.grad, w.grad, b.grad

    return step, sums_of_squares(step())


def conv(batch: int, image: list[int], channels: int) -> tuple:
    """x (N, C, H, W), w (O, C, KH, KW)."""
    x, w, g = conv_arrays(batch, image, channels)
    g = g.transpose(0, 3, 1, 2).copy()
    x, w = mg.tensor(x.transpose(0, 3, 1, 2).copy()), mg.tensor(w.transpose(3, 2, 0, 1).copy())

    def step() -> tuple:
        y = conv_nd(x, w, stride=1, padding=1)
        y.backward(g)
        return y.data, x.grad, w.grad

    return step, sums_of_squares(step())
