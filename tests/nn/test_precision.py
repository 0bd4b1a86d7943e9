"""How exact training in float32 is: gradients against the same network in float64, which never takes Winograd."""

import numpy as np
import pytest

import autograd as ag
import nn

SEEDS = 8  # at the most: rounding may decide which of two elements is larger, and then gradients are of another function


def in_float64(build, state):
    """The network in float64, with the weights of another."""
    ag.set_default_dtype(np.float64)
    try:
        network = build()
    finally:
        ag.set_default_dtype(np.float32)
    network.load_state_dict(state)
    return network


def gradients_and_decisions(network, images, labels):
    """The gradient of each parameter, and where each ReLU and each pooling let it through."""
    decisions = []
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda module, args, out: decisions.append(out.data > 0))
        if isinstance(module, nn.MaxPool2d):
            module.register_forward_hook(lambda module, args, out: decisions.append(
                ag.max_pool2d(args[0].data, module.kernel_size, return_indices=True)[1]))
    nn.functional.cross_entropy(network(images), labels).backward()
    return {name: p.grad.data for name, p in network.named_parameters()}, decisions


@pytest.mark.parametrize(("build", "batch"), [(nn.models.cifar, 64), (nn.models.small, 64)])
def test_every_gradient_in_float32_is_within_a_ten_thousandth_of_float64(build, batch):
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        shape = (32, 32, 3) if build is nn.models.cifar else (28, 28, 1)
        images, labels = rng.random((batch, *shape), np.float32), rng.integers(0, 10, batch)
        network = build(rng=seed)
        exact, decided = gradients_and_decisions(in_float64(build, network.state_dict()), images.astype(float), labels)
        single, also_decided = gradients_and_decisions(network, images, labels)
        if all(map(np.array_equal, decided, also_decided)):
            break
    else:
        pytest.fail(f"in none of {SEEDS} batches did float32 and float64 decide alike")
    for name, gradient in exact.items():
        assert (gradient.dtype, single[name].dtype) == (np.float64, np.float32)
        assert np.abs(single[name] - gradient).max() < 1e-4 * np.abs(gradient).max(), name
