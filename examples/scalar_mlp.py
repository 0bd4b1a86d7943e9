"""Trains a small net of Scalars on two moons: each weight is one float, each product one node of the graph.

    python examples/scalar_mlp.py --out moons.png

Nothing but Python's floats is at work: slow, and simple enough to be followed with a pencil. `nn` does the
same with arrays in the place of floats. The net has 2 inputs, 16 hidden units with tanh and 1 output, its
score: above 0 for the one moon, below 0 for the other.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from autograd import Scalar

Point = tuple[float, float]
Example = tuple[Point, int]  # a point and its moon: 1 or -1

BATCH_SIZE = 25


def two_moons(count: int, rng: random.Random, noise: float = 0.12) -> list[Example]:
    """Two half circles that reach into each other, with Gaussian noise on every point."""
    examples = []
    for i in range(count):
        angle = rng.uniform(0.0, math.pi)
        moon = 1 if i % 2 else -1
        x, y = math.cos(angle), math.sin(angle)
        if moon == 1:
            x, y = 1.0 - x, 0.5 - y
        examples.append(((rng.gauss(x, noise), rng.gauss(y, noise)), moon))
    return examples


class Layer:
    """Each unit's output is tanh(w . inputs + b), or without the tanh."""

    def __init__(self, inputs: int, units: int, rng: random.Random, tanh: bool) -> None:
        scale = 1.0 / math.sqrt(inputs)
        self.weights = [[Scalar(rng.gauss(0.0, scale)) for _ in range(inputs)] for _ in range(units)]
        self.biases = [Scalar(0.0) for _ in range(units)]
        self.tanh = tanh

    def __call__(self, inputs: Sequence[Scalar | float]) -> list[Scalar]:
        sums = [
            sum((w * x for w, x in zip(row, inputs, strict=True)), start=bias)
            for row, bias in zip(self.weights, self.biases, strict=True)
        ]
        return [s.tanh() for s in sums] if self.tanh else sums

    def parameters(self) -> list[Scalar]:
        return [w for row in self.weights for w in row] + self.biases


class Net:
    def __init__(self, rng: random.Random) -> None:
        self.hidden = Layer(2, 16, rng, tanh=True)
        self.output = Layer(16, 1, rng, tanh=False)

    def __call__(self, point: Point) -> Scalar:
        return self.output(self.hidden(point))[0]

    def parameters(self) -> list[Scalar]:
        return self.hidden.parameters() + self.output.parameters()


def margin_loss(net: Net, examples: Sequence[Example]) -> Scalar:
    """The mean of max(0, 1 - moon * score): nothing to gain for a point that is right by a margin of 1."""
    losses = [(1.0 - moon * net(point)).relu() for point, moon in examples]
    return sum(losses, start=Scalar(0.0)) / len(losses)


def accuracy(net: Net, examples: Sequence[Example]) -> float:
    return sum((net(point).data > 0) == (moon > 0) for point, moon in examples) / len(examples)


def train(net: Net, examples: list[Example], steps: int, rng: random.Random) -> None:
    """Gradient descent with momentum, one batch a step, with a rate that falls to 0 in a straight line."""
    parameters = net.parameters()
    velocities = [0.0] * len(parameters)
    for step in range(steps):
        loss = margin_loss(net, rng.sample(examples, BATCH_SIZE))
        for p in parameters:
            p.grad = None
        loss.backward()
        rate = 0.2 * (1.0 - step / steps)
        for i, p in enumerate(parameters):
            velocities[i] = 0.9 * velocities[i] + (p.grad or 0.0)
            p.data -= rate * velocities[i]
        if (step + 1) % 20 == 0 or step + 1 == steps:
            right = accuracy(net, examples)
            print(f"step {step + 1:4d}  loss {loss.data:.3f}  accuracy {right:.3f}", flush=True)


def draw(net: Net, examples: Sequence[Example], path: Path) -> None:
    """The score over the plane as colours, the line where it is 0, and the examples."""
    from matplotlib.figure import Figure

    xs = [-1.6 + 4.2 * i / 70 for i in range(71)]
    ys = [-1.1 + 2.7 * i / 45 for i in range(46)]
    scores = [[net((x, y)).data for x in xs] for y in ys]
    figure = Figure(figsize=(7.0, 4.5), layout="constrained")
    axes = figure.subplots()
    filled = axes.contourf(xs, ys, scores, levels=[-8, -4, -2, -1, 0, 1, 2, 4, 8], cmap="RdBu", extend="both")
    axes.contour(xs, ys, scores, levels=[0.0], colors="black")
    for moon, colour in ((1, "tab:blue"), (-1, "tab:red")):
        points = [point for point, its_moon in examples if its_moon == moon]
        axes.scatter(*zip(*points, strict=True), color=colour, edgecolors="white", label=f"moon {moon:+d}")
    axes.set(xlabel="x", ylabel="y", aspect="equal")
    axes.set_title("The score of a net of Scalars, and points it was not trained on")
    axes.legend(loc="upper right")
    figure.colorbar(filled, label="score", shrink=0.8)
    figure.savefig(path, dpi=120)


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, but got {number}")
    return number


def writable_png(text: str) -> Path:
    """Tried before training, so that no work is lost."""
    path = Path(text)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"expected the name of a .png file, but got {text}")
    if find_spec("matplotlib") is None:
        raise argparse.ArgumentTypeError("drawing needs matplotlib: pip install 'im2grad[plot]'")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot write {text}: {error.strerror}") from error
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Trains a small net of Scalars on two moons.")
    parser.add_argument("--steps", type=positive, default=200, help="steps of gradient descent (200)")
    parser.add_argument("--seed", type=int, default=0, help="for the moons, the net and the batches (0)")
    parser.add_argument("--out", type=writable_png, metavar="FILE.png", help="draws what the net has learnt")
    options = parser.parse_args(arguments)

    rng = random.Random(options.seed)
    examples, unseen = two_moons(100, rng), two_moons(200, rng)
    net = Net(rng)
    print(f"{len(net.parameters())} parameters, each a Scalar; {len(examples)} points")
    train(net, examples, options.steps, rng)
    if options.out:
        draw(net, unseen, options.out)
        print(f"picture in {options.out}")
    print(f"test accuracy {accuracy(net, unseen):.4f}")


if __name__ == "__main__":
    main()
