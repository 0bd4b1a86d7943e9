"""HIPS autograd, whose import name is ours: the project must not be importable where this runs."""

import importlib.metadata
import importlib.util
from pathlib import Path
from types import ModuleType

import autograd
import autograd.numpy as np
from tasks import chain as chain_of
from tasks import conv_arrays, sums_of_squares


def about() -> dict[str, str]:
    return {"HIPS autograd": importlib.metadata.version("autograd")}


def chain(ops: int) -> tuple:
    inputs = [np.float32(value) for value in (1.0, 1.0, 0.0)]
    value_and_gradients = autograd.value_and_grad(lambda inputs: chain_of(*inputs, np.sin, ops))

    def step() -> tuple:
        y, gradients = value_and_gradients(inputs)
        return y, *gradients

    return step, sums_of_squares(step())


def conv(batch: int, image: list[int], channels: int) -> tuple:
    """In the layout of its own examples: x (N, C, H, W), w (C, O, KH, KW)."""
    x, w, g = conv_arrays(batch, image, channels)
    x, w, g = x.transpose(0, 3, 1, 2).copy(), w.transpose(2, 3, 0, 1).copy(), g.transpose(0, 3, 1, 2).copy()
    convolve = _signal().convolve

    def conv2d(inputs: tuple) -> np.ndarray:
        x, w = inputs
        x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), "constant")
        flipped = w[:, :, ::-1, ::-1]  # it convolves, the others correlate
        return convolve(x, flipped, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode="valid")

    def step() -> tuple:
        pullback, y = autograd.make_vjp(conv2d)((x, w))
        return y, *pullback(g)

    return step, sums_of_squares(step())


def _signal() -> ModuleType:
    """autograd.scipy.signal, on its own: its package imports SciPy, which this file does without."""
    path = Path(autograd.__file__).with_name("scipy") / "signal.py"
    spec = importlib.util.spec_from_file_location("autograd_scipy_signal", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
