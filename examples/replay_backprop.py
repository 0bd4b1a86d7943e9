"""Writes three replays of a backward pass, to be opened in a browser: a neuron, a step of an MLP, a CNN on a digit.

    python examples/replay_backprop.py --out replays
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import autograd as ag
import datasets
import nn


def neuron(path: Path) -> Path:
    """tanh(w1 x1 + w2 x2 + b) and its squared error, on Scalars."""
    x1, x2, w1, w2, b = (ag.Scalar(value) for value in (2.0, 0.5, -0.3, 1.0, 0.4))
    out = (w1 * x1 + w2 * x2 + b).tanh()
    loss = (out - 0.8) ** 2
    names = {"x1": x1, "x2": x2, "w1": w1, "w2": w2, "b": b, "out": out, "loss": loss}
    return ag.replay(loss, path, names=names)


def mlp(path: Path) -> Path:
    """One step of a small classifier: eight points, two classes."""
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(8, 2)).astype(np.float32), np.arange(8) % 2
    model = nn.Sequential(nn.Dense(2, 6, rng=0), nn.Tanh(), nn.Dense(6, 2, rng=1))
    x = ag.Tensor(points)
    with ag.keep():
        loss = nn.functional.cross_entropy(model(x), labels)
    return ag.replay(loss, path, names={"points": x, **dict(model.named_parameters()), "loss": loss})


def cnn(path: Path) -> Path:
    """A small CNN, trained on a hundred steps' worth of digits, that reads one it has not seen."""
    model = nn.Sequential(nn.Conv2d(1, 4, 5, rng=0), nn.ReLU(), nn.MaxPool2d(2),
                          nn.Conv2d(4, 8, 3, rng=1), nn.ReLU(), nn.MaxPool2d(2),
                          nn.Flatten(), nn.Dense(8 * 5 * 5, 10, rng=2))
    train = datasets.load("mnist-small", split="train")
    optimizer = nn.optim.Adam(model.parameters(), lr=1e-2)
    loader = datasets.DataLoader(train, batch_size=80, shuffle=True, seed=0)
    for images, labels in loader:
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    test = datasets.load("mnist-small", split="test")
    digit = ag.Tensor(test.images[:1].astype(np.float32) / 255, requires_grad=True)  # so that it gets a gradient, too
    with ag.keep():
        loss = nn.functional.cross_entropy(model(digit), test.labels[:1])
    return ag.replay(loss, path, names={"digit": digit, **dict(model.named_parameters()), "loss": loss})


PAGES = {"neuron.html": neuron, "mlp.html": mlp, "cnn.html": cnn}


def main(argv: list[str] | None = None) -> None:
    """Writes the pages to --out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("replays"), help="the folder for the pages")
    options = parser.parse_args(argv)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for name, write in PAGES.items():
            print(write(options.out / name))
    except (OSError, ImportError) as error:
        sys.exit(f"replay_backprop: {error}")


if __name__ == "__main__":
    main()
