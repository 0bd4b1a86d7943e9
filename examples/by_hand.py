"""Backpropagation by hand beside `loss.backward()`: what the recorded graph replaces, and why.

A CNN from scratch usually calls the backward pass of each layer by hand, in reverse order, and hands
every gradient on to the next call. Here this is done for the `cifar` network (seven layers with weights),
on arrays alone, and then the same gradients are taken with one call. The numbers are the same; what
differs is who keeps the order, the masks and the shapes right.

    python examples/by_hand.py [--batch-size 4] [--seed 0]
"""

from __future__ import annotations

import argparse

import numpy as np

import autograd as ag
import nn


def forward_by_hand(x: np.ndarray, parameters: list[np.ndarray], labels: np.ndarray) -> tuple[float, dict]:
    """The loss, and everything that the backward pass will ask for: forgetting one of them is a bug."""
    w0, b0, w1, b1, w2, b2, w3, b3, w4, b4, w5, b5, w6, b6 = parameters
    conv0 = ag.conv2d(x, w0, b0, padding="same")
    relu0 = np.maximum(conv0, 0)
    conv1 = ag.conv2d(relu0, w1, b1, padding="same")
    relu1 = np.maximum(conv1, 0)
    pool1, index1 = ag.max_pool2d(relu1, 2, return_indices=True)
    conv2 = ag.conv2d(pool1, w2, b2, padding="same")
    relu2 = np.maximum(conv2, 0)
    pool2, index2 = ag.max_pool2d(relu2, 2, return_indices=True)
    conv3 = ag.conv2d(pool2, w3, b3, padding="same")
    relu3 = np.maximum(conv3, 0)
    pool3, index3 = ag.max_pool2d(relu3, 2, return_indices=True)
    flat = pool3.reshape(len(x), -1)  # (N, 4, 4, 256) -> (N, 4096)
    dense4 = flat @ w4 + b4
    relu4 = np.maximum(dense4, 0)
    dense5 = relu4 @ w5 + b5
    relu5 = np.maximum(dense5, 0)
    logits = relu5 @ w6 + b6
    log_probabilities = ag.log_softmax(logits)
    loss = -log_probabilities[np.arange(len(x)), labels].mean()
    kept = dict(x=x, conv0=conv0, relu0=relu0, conv1=conv1, relu1=relu1, index1=index1, pool1=pool1, conv2=conv2,
                relu2=relu2, index2=index2, pool2=pool2, conv3=conv3, relu3=relu3, index3=index3, pool3=pool3,
                flat=flat, dense4=dense4, relu4=relu4, dense5=dense5, relu5=relu5, log_probabilities=log_probabilities)
    return float(loss), kept


def backward_by_hand(k: dict, parameters: list[np.ndarray], labels: np.ndarray) -> list[np.ndarray]:
    """The gradients of the loss by all parameters, in their order: each layer in reverse, one by one."""
    w0, _, w1, _, w2, _, w3, _, w4, _, w5, _, w6, _ = parameters
    n = len(labels)

    d_logits = np.exp(k["log_probabilities"])  # softmax with cross-entropy: probabilities minus the one-hot labels
    d_logits[np.arange(n), labels] -= 1
    d_logits /= n

    d_w6, d_b6 = k["relu5"].T @ d_logits, d_logits.sum(0)
    d_dense5 = (d_logits @ w6.T) * (k["dense5"] > 0)
    d_w5, d_b5 = k["relu4"].T @ d_dense5, d_dense5.sum(0)
    d_dense4 = (d_dense5 @ w5.T) * (k["dense4"] > 0)
    d_w4, d_b4 = k["flat"].T @ d_dense4, d_dense4.sum(0)

    d_pool3 = (d_dense4 @ w4.T).reshape(k["pool3"].shape)  # (N, 4096) -> (N, 4, 4, 256)
    d_relu3 = ag.max_unpool2d(d_pool3, k["index3"], 2, size=k["relu3"].shape[1:3])
    d_conv3 = d_relu3 * (k["conv3"] > 0)
    d_pool2, d_w3 = ag.conv2d_grads(k["pool2"], d_conv3, w3, padding="same")
    d_b3 = d_conv3.sum((0, 1, 2))

    d_relu2 = ag.max_unpool2d(d_pool2, k["index2"], 2, size=k["relu2"].shape[1:3])
    d_conv2 = d_relu2 * (k["conv2"] > 0)
    d_pool1, d_w2 = ag.conv2d_grads(k["pool1"], d_conv2, w2, padding="same")
    d_b2 = d_conv2.sum((0, 1, 2))

    d_relu1 = ag.max_unpool2d(d_pool1, k["index1"], 2, size=k["relu1"].shape[1:3])
    d_conv1 = d_relu1 * (k["conv1"] > 0)
    d_relu0, d_w1 = ag.conv2d_grads(k["relu0"], d_conv1, w1, padding="same")
    d_b1 = d_conv1.sum((0, 1, 2))

    d_conv0 = d_relu0 * (k["conv0"] > 0)
    d_w0 = ag.conv2d_weight_grad(k["x"], d_conv0, w0.shape, padding="same")
    d_b0 = d_conv0.sum((0, 1, 2))  # and no gradient by the images: nobody wants it
    return [d_w0, d_b0, d_w1, d_b1, d_w2, d_b2, d_w3, d_b3, d_w4, d_b4, d_w5, d_b5, d_w6, d_b6]


def relative_difference(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference, in units of the largest entry."""
    return float(np.max(np.abs(a - b)) / max(np.max(np.abs(b)), 1e-30))


def main(argv: list[str] | None = None) -> float:
    """Prints both sets of gradients side by side; returns the largest relative difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=4, help="images")
    parser.add_argument("--seed", type=int, default=0, help="of the images, labels and weights")
    options = parser.parse_args(argv)
    if options.batch_size < 1 or options.seed < 0:
        parser.error(f"--batch-size must be at least 1 and --seed at least 0, got {options.batch_size} and "
                     f"{options.seed}")

    rng = np.random.default_rng(options.seed)
    images = rng.random((options.batch_size, 32, 32, 3), dtype=np.float32)
    labels = rng.integers(10, size=options.batch_size)
    model = nn.models.cifar((32, 32, 3), 10, rng=options.seed)
    parameters = [p.data for p in model.parameters()]

    loss_by_hand, kept = forward_by_hand(images, parameters, labels)
    by_hand = backward_by_hand(kept, parameters, labels)

    loss = nn.functional.cross_entropy(model(images), labels)
    loss.backward()

    print(f"loss        by hand {loss_by_hand:.7f}   recorded {loss.item():.7f}")
    print(f"{'parameter':12} {'shape':18} {'|gradient| by hand':>20} {'by backward()':>15} {'difference':>11}")
    worst = 0.0
    for (name, p), g in zip(model.named_parameters(), by_hand, strict=True):
        recorded = p.grad.data if p.grad is not None else np.zeros_like(g)
        difference = relative_difference(g, recorded)
        worst = max(worst, difference)
        norms = np.linalg.norm(g), np.linalg.norm(recorded)
        print(f"{name:12} {p.shape!s:18} {norms[0]:20.7f} {norms[1]:15.7f} {difference:11.1e}")
    print(f"\nBy hand: 2 functions that know the whole network and keep {len(kept)} arrays in step.")
    print("Recorded: one call, loss.backward(), for this network and for any other. Largest relative difference: "
          f"{worst:.1e} (float32 rounds at 6e-08).")
    return worst


if __name__ == "__main__":
    main()
