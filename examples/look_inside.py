"""Trains a small CNN on the digits for a few seconds, and writes every picture of `nn.plot`, with what to see in it.

    python examples/look_inside.py
    python examples/look_inside.py --model out/inside/model.safetensors                  # of an earlier run
    python examples/look_inside.py --model out/model.safetensors --network small         # of examples/train_cnn.py
"""

from __future__ import annotations

import argparse
import errno
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import datasets
import nn
from autograd._extras import require

MODEL_FILE = "model.safetensors"
SHAPE = (28, 28, 1)


def pooled(image_shape: tuple[int, int, int] = SHAPE, classes: int = 10, rng: nn.randomness.Seed = None) -> nn.Module:
    """Three convolutions, of which the last is averaged: each of its maps counts for a class as a whole.

    So Grad-CAM's weights, which are means over the map, are exact here. Behind a `Flatten` they are not.
    """
    draws = nn.randomness.generator(rng)
    return nn.Sequential(
        nn.Conv2d(image_shape[2], 16, 3, padding="same", rng=draws),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding="same", rng=draws),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding="same", rng=draws),
        nn.ReLU(),
        nn.GlobalAvgPool2d(),
        nn.Dense(32, classes, rng=draws),
    )


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "pooled": pooled, "small": nn.models.small, "lenet": nn.models.lenet, "cifar": nn.models.cifar,
}


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model.safetensors to look into, instead of training")
    parser.add_argument("--network", choices=list(NETWORKS), default="pooled", help="the layers, see nn.models")
    parser.add_argument("--epochs", type=int, default=3, help="times through the training images")
    parser.add_argument("--images", type=int, default=1000, help="so many test images to look at")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, the order and the noise")
    parser.add_argument("--out", type=Path, default=Path("out/inside"), help="the folder for the pictures")
    options = parser.parse_args(argv)
    for name, least in (("epochs", 1), ("images", 1), ("seed", 0)):
        if getattr(options, name) < least:
            parser.error(f"argument --{name}: must be at least {least}, got {getattr(options, name)}")
    return options


def prepare(out: Path) -> None:
    """Finds out before the training whether its results can be written."""
    try:
        for package in ("safetensors", "matplotlib"):
            require(package, extra="plot", what="look_inside")
    except ImportError as error:
        sys.exit(str(error))
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
        if (out / MODEL_FILE).is_dir():
            raise IsADirectoryError(errno.EISDIR, f"{MODEL_FILE} in it is a folder")
    except OSError as error:
        sys.exit(f"look_inside: cannot write to --out {out}: {error.strerror}; choose another folder")


def trained(options: argparse.Namespace, train: datasets.Dataset, test: datasets.Dataset) -> tuple[nn.Module, Any]:
    """(model, history): Adam with a one-cycle schedule; or the model of a file, without a history."""
    model = NETWORKS[options.network](SHAPE, len(train.classes), rng=options.seed)
    if options.model is not None:
        try:
            return nn.load(model, options.model), None
        except (OSError, ValueError) as error:
            sys.exit(f"look_inside: {error}\n--network says which layers the model has: {', '.join(NETWORKS)}")
    loader = datasets.DataLoader(train, batch_size=64, shuffle=True, seed=options.seed)
    optimizer = nn.optim.Adam(model.parameters(), lr=1e-2)
    schedule = nn.optim.OneCycleLR(optimizer, max_lr=1e-2, total_steps=options.epochs * len(loader))
    history = nn.fit(model, loader, epochs=options.epochs, optimizer=optimizer, schedule=schedule, progress=False,
                     validation=datasets.DataLoader(test, batch_size=256))
    nn.save(model, options.out / MODEL_FILE)
    return model, history


def pictures(model: nn.Module, history: nn.History | None, test: datasets.Dataset,
             seed: int) -> Iterator[tuple[str, Any, str]]:
    """(name, Figure, what to see in it) of every picture."""
    plot, images, labels, names = nn.plot, test.images, test.labels, test.classes
    layers = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    last_dense = [name for name, module in model.named_modules() if isinstance(module, nn.Dense)][-1]
    if history is not None:
        yield "history", plot.history(history), "whether it still learns, and whether validation falls behind"
    yield ("predictions", plot.predictions(model, images, labels, names),
           "what it says of each image, and how sure it is")
    yield ("confusion_matrix", plot.confusion_matrix(model, images, labels, names),
           "which classes it takes for which others")
    yield "kernels", plot.kernels(model), "what the first layer looks for: edges and strokes, not noise"
    yield "feature_maps", plot.feature_maps(model, images[0]), "what every layer makes of one image"
    yield (f"feature_maps_{layers[0]}", plot.feature_maps(model, images[0], layers[0]),
           "the first layer alone, before and after its activation")
    yield "saliency", plot.saliency(model, images, labels, names), "the pixels on which the logit depends most: noisy"
    yield ("saliency_smoothgrad", plot.saliency(model, images, labels, names, samples=32, rng=seed),
           "the same, with less noise: the mean over 32 noisy copies")
    yield ("integrated_gradients", plot.integrated_gradients(model, images, labels, names),
           "what each pixel adds to the logit; the sum is the logit's change from black, see the gap")
    yield "grad_cam", plot.grad_cam(model, images, labels, classes=names), "the regions that speak for the class"
    yield (f"excitation_{layers[-1]}", plot.activation_maximization(model, images, layers[-1], rng=seed),
           "what filters of the last convolution look for")
    classes = plot.activation_maximization(model, images, last_dense, n=len(names), blur=0.5, rng=seed)
    yield (f"excitation_{last_dense}", classes,
           "what it takes for the best of each class, often no digit at all, and the digits it is surest of")
    yield ("histograms", plot.histograms(model, images[:256], labels[:256]),
           "whether gradients reach the first layer, and which ReLUs are dead")


def main(argv: list[str] | None = None) -> list[Path]:
    """Trains or loads, writes the pictures to --out, and returns their paths."""
    options = parse(argv)
    prepare(options.out)
    train, test = datasets.load("mnist-small", split="train"), datasets.load("mnist-small", split="test")
    model, history = trained(options, train, test)
    seen = test[: options.images]
    right = np.mean(nn.predict(model, seen.images).argmax(axis=1) == seen.labels)
    print(f"{len(seen.images)} digits that it has not seen: {right:.1%} right")
    written = []
    for name, figure, what in pictures(model, history, seen, options.seed):
        path = options.out / f"{name}.png"
        figure.savefig(path)
        print(f"{path}: {what}")
        written.append(path)
    return written


if __name__ == "__main__":
    main()
