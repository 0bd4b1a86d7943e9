"""This project."""

import random
import tracemalloc
from typing import Any

import numpy as np
import threadpoolctl

import autograd as ag
import nn
from tasks import LEARNING_RATE, MOMENTUM, conv_arrays, images_and_labels, moons_step, sums_of_squares
from tasks import chain as chain_of


def about() -> dict[str, str]:
    keys = ("internal_api", "version", "architecture")
    blas = [found for found in threadpoolctl.threadpool_info() if found["user_api"] == "blas"]
    names = [" ".join(str(found[key]) for key in keys if key in found) for found in blas]
    return {"im2grad": ag.__version__, "NumPy": np.__version__, "BLAS": ", ".join(names) or "unknown"}


def train(network: str, batch: int, image: list[int], threads: int = 0) -> tuple:
    """A whole step. `threads` limits both the kernels' threads and those of BLAS, 0 leaves them as they are."""
    if threads:
        ag.set_num_threads(threads)
        threadpoolctl.threadpool_limits(threads)
    net, facts = _network(network, image)
    opt = nn.optim.SGD(net.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    x, labels = images_and_labels(batch, image)

    def step() -> float:
        loss = nn.functional.cross_entropy(net(x), labels)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss.item()

    return step, facts


def infer(network: str, batch: int, image: list[int]) -> tuple:
    net, facts = _network(network, image)
    net.eval()
    x, _ = images_and_labels(batch, image)

    def step() -> np.ndarray:
        with ag.no_grad():
            return net(x).data

    return step, facts


def _network(name: str, image: list[int]) -> tuple[Any, dict]:
    net = getattr(nn.models, name)(image, rng=0)
    return net, {"parameters": sum(p.size for p in net.parameters())}


def chain(ops: int) -> tuple:
    x, w, b = (ag.Tensor(np.float32(value), requires_grad=True) for value in (1.0, 1.0, 0.0))

    def step() -> tuple:
        x.grad = w.grad = b.grad = None
        y = chain_of(x, w, b, ag.sin, ops)
        y.backward()
        return y, x.grad, w.grad, b.grad

    return step, sums_of_squares(tensor.data for tensor in step())


def conv(batch: int, image: list[int], channels: int) -> tuple:
    x, w, g = conv_arrays(batch, image, channels)
    x, w = (ag.Tensor(array, requires_grad=True) for array in (x, w))

    def step() -> tuple:
        x.grad = w.grad = None
        y = ag.conv2d(x, w, padding=1)
        y.backward(g)
        return y, x.grad, w.grad

    return step, sums_of_squares(tensor.data for tensor in step())


def conv_scratch(batch: int, image: list[int], channels: int) -> tuple:
    """The step gives the most bytes that conv2d, or its backward, takes beyond its results.

    To be asked for in a fresh process, since buffers that are kept for the next time count as well.
    """
    x, w, g = conv_arrays(batch, image, channels)
    w = ag.Tensor(w, requires_grad=True)
    # A gradient that flows on into a sum: a leaf's would be copied when it is delivered, which is not conv2d's doing.
    inner = x + ag.Tensor(np.zeros(image[2], np.float32), requires_grad=True)

    def step() -> int:
        tracemalloc.start()  # NumPy tells it of each array
        y = ag.conv2d(inner, w, padding=1)
        forward = tracemalloc.get_traced_memory()[1] - y.data.nbytes
        tracemalloc.reset_peak()
        y.backward(g)
        backward = tracemalloc.get_traced_memory()[1] - y.data.nbytes - x.nbytes - w.data.nbytes
        tracemalloc.stop()
        return max(forward, backward)

    return step, {}


def scalar_net(points: int) -> tuple:
    random.seed(0)
    net = ScalarNet()
    step = moons_step(net, ag.Scalar, points)
    return step, {"parameters": len(net.parameters()), **sums_of_squares(step())}


class ScalarNet:
    """micrograd's MLP(2, [16, 16, 1]) of Scalars, with the same weights drawn in the same order."""

    def __init__(self) -> None:
        self.layers = [ScalarLayer(2, 16, relu=True), ScalarLayer(16, 16, relu=True), ScalarLayer(16, 1, relu=False)]

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x[0]

    def parameters(self) -> list[ag.Scalar]:
        return [p for layer in self.layers for weights, bias in layer.units for p in (*weights, bias)]

    def zero_grad(self) -> None:
        for p in self.parameters():
            p.grad = None


class ScalarLayer:
    """Each unit's output is relu(w . x + b), or without the relu."""

    def __init__(self, inputs: int, units: int, relu: bool) -> None:
        self.units = [
            ([ag.Scalar(random.uniform(-1, 1)) for _ in range(inputs)], ag.Scalar(0.0)) for _ in range(units)
        ]
        self.relu = relu

    def __call__(self, x: Any) -> list[ag.Scalar]:
        sums = [sum((w * a for w, a in zip(weights, x, strict=True)), start=bias) for weights, bias in self.units]
        return [s.relu() for s in sums] if self.relu else sums
