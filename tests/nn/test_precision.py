"""How exact training in float32 is: gradients against the same network in float64, which never takes Winograd."""

import numpy as np
import pytest

import autograd as ag
import nn
from autograd.kernels.pooling import max_pool2d_taps
from autograd.kernels.window import resolve
from autograd.ops.pool import pick_taps


def in_float64(build, state):
    """The network in float64, with the weights of another."""
    ag.set_default_dtype(np.float64)
    try:
        network = build()
    finally:
        ag.set_default_dtype(np.float32)
    network.load_state_dict(state)
    return network


def exact_logits(network, exact, images):
    """What `exact` makes of the images, where ReLUs and poolings let through what they do in `network`.

    Rounding decides which of two numbers that are nearly equal is the larger; the gradients of the other decision are
    right as well, and differ by much more than rounding.
    """
    x, y = ag.Tensor(images), ag.Tensor(images.astype(np.float64))
    for layer, exact_layer in zip(network, exact, strict=True):
        if isinstance(layer, nn.ReLU):
            y = y * (x.data > 0)
        elif isinstance(layer, nn.MaxPool2d):
            window = resolve("pool", x.shape[1:3], layer.kernel_size, layer.stride, layer.padding)
            y = pick_taps(y, max_pool2d_taps(x.data, window)[1], layer.kernel_size, layer.stride, layer.padding)
        else:
            y = exact_layer(y)
        x = layer(x)
    return y


@pytest.mark.parametrize(("build", "size", "channels"), [(nn.models.cifar, 32, 3), (nn.models.lenet, 28, 1)])
def test_every_gradient_in_float32_is_within_a_ten_thousandth_of_float64(build, size, channels):
    rng = np.random.default_rng(0)
    images, labels = rng.random((64, size, size, channels), np.float32), rng.integers(0, 10, 64)
    network = build(rng=0)
    exact = in_float64(build, network.state_dict())
    nn.functional.cross_entropy(exact_logits(network, exact, images), labels).backward()
    nn.functional.cross_entropy(network(images), labels).backward()
    for (name, p), q in zip(network.named_parameters(), exact.parameters(), strict=True):
        assert (p.dtype, q.dtype) == (np.float32, np.float64)
        assert np.abs(p.grad.data - q.grad.data).max() < 1e-4 * np.abs(q.grad.data).max(), name
