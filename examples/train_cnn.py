"""Trains a CNN on real handwritten digits, and writes the model and pictures of what it has learned.

    python examples/train_cnn.py                                  # the digits that ship with the project
    python examples/train_cnn.py --model lenet --epochs 20
    python examples/train_cnn.py --model cifar --dataset cifar10 --root ~/data
"""

from __future__ import annotations

import argparse
import errno
import math
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import autograd as ag
import datasets
import nn
from autograd._extras import require
from datasets import augment

MODELS = {"small": nn.models.small, "lenet": nn.models.lenet, "cifar": nn.models.cifar}

MODEL_FILE = "model.safetensors"
DATASETS = ("mnist-small", "mnist", "fashion-mnist", "cifar10")


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", choices=list(MODELS), default="small", help="the network")
    parser.add_argument("--dataset", choices=DATASETS, default=DATASETS[0], help="mnist-small is in the package")
    parser.add_argument("--root", help="the folder with the dataset's files (mnist-small needs none)")
    parser.add_argument("--epochs", type=_whole(1), default=10, help="times through the training images")
    parser.add_argument("--batch-size", type=_whole(1), default=64, help="images per step")
    parser.add_argument("--lr", type=_positive, default=6e-3, help="the highest rate of the one-cycle schedule")
    parser.add_argument("--seed", type=_whole(0), default=0, help="of the weights, the order and the shifts")
    parser.add_argument("--out", type=Path, default=Path("out"), help="the folder for the model and the pictures")
    return parser.parse_args(argv)


def _whole(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, got {text!r}")
        return int(text)

    return number


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text!r}")
    return number


def prepare(out: Path) -> None:
    """Finds out before the training whether its results can be written: it is not to be lost for a typing error."""
    try:
        for package in ("safetensors", "matplotlib", "graphviz"):
            require(package, extra="plot", what="train_cnn")
        if shutil.which("dot") is None:
            require("pygraphviz", extra="plot", what="train_cnn")
    except ImportError as error:
        sys.exit(str(error))
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
        if (out / MODEL_FILE).is_dir():
            raise IsADirectoryError(errno.EISDIR, f"{MODEL_FILE} in it is a folder")
    except OSError as error:
        sys.exit(f"train_cnn: cannot write to --out {out}: {error.strerror}; choose another folder")


def load(name: str, split: str, root: str | None) -> datasets.Dataset:
    """A dataset, or a clear end of the program."""
    try:
        return datasets.load(name, split=split, root=root)
    except (OSError, ValueError, RuntimeError) as error:
        sys.exit(f"train_cnn: {error}")


def augmentation(name: str) -> augment.Transform:
    """Small changes that leave an image what it is: digits have no mirror images, photographs do."""
    if name == "cifar10":
        return augment.Compose([augment.RandomFlip(), augment.RandomCrop(32, padding=4)])
    return augment.RandomShift(1)


def train(model: nn.Module, data: datasets.Dataset, options: argparse.Namespace) -> nn.History:
    """Adam with a one-cycle schedule on the augmented images."""
    loader = datasets.DataLoader(data, batch_size=options.batch_size, shuffle=True, seed=options.seed,
                                 transform=augmentation(options.dataset))
    optimizer = nn.optim.Adam(model.parameters(), lr=options.lr)
    schedule = nn.optim.OneCycleLR(optimizer, max_lr=options.lr, total_steps=max(options.epochs * len(loader), 2))
    return nn.fit(model, loader, epochs=options.epochs, optimizer=optimizer, schedule=schedule)


def as_input(images: np.ndarray) -> np.ndarray:
    """uint8 images as the network takes them: float32 in [0, 1]."""
    return images.astype(np.float32) / 255


def write_pictures(model: nn.Module, history: nn.History, test: datasets.Dataset, out: Path) -> None:
    """History, predictions, kernels, feature maps of one image, confusion matrix, the recorded graph."""
    images = as_input(test.images)
    if len(history):  # none where the first epoch was interrupted
        nn.plot.history(history).savefig(out / "history.png")
    nn.plot.predictions(model, images, test.labels, test.classes).savefig(out / "predictions.png")
    nn.plot.kernels(model).savefig(out / "kernels.png")
    nn.plot.feature_maps(model, images[0]).savefig(out / "feature_maps.png")
    nn.plot.confusion_matrix(model, images, test.labels, test.classes).savefig(out / "confusion_matrix.png")

    x = ag.Tensor(images[:1], requires_grad=True)  # so that the image is part of the picture
    loss = nn.functional.cross_entropy(model(x), test.labels[:1])
    names = {"image": x, **dict(model.named_parameters())}
    for form in ("svg", "png"):
        (out / f"graph.{form}").write_bytes(ag.draw(loss, names=names).pipe(format=form))


def main(argv: list[str] | None = None) -> float:
    """Trains, writes everything to --out, and returns the test accuracy."""
    options = parse(argv)
    prepare(options.out)
    data = load(options.dataset, "train", options.root)
    test = load(options.dataset, "test", options.root)
    image_shape = data.images.shape[1:]
    model = MODELS[options.model](image_shape, len(data.classes), rng=options.seed)
    print(nn.summary(model, image_shape))

    history = train(model, data, options)
    nn.save(model, options.out / MODEL_FILE)
    accuracy = nn.evaluate(model, datasets.DataLoader(test, batch_size=256))[1] or 0.0
    write_pictures(model, history, test, options.out)

    print(f"test accuracy {accuracy:.4f}")
    print(f"files in {options.out}: {', '.join(sorted(path.name for path in options.out.iterdir()))}")
    return accuracy


if __name__ == "__main__":
    main()
