"""micrograd."""

import importlib.metadata
import random

from micrograd.engine import Value
from micrograd.nn import MLP

from tasks import moons_step, sums_of_squares


def about() -> dict[str, str]:
    return {"micrograd": importlib.metadata.version("micrograd")}


def scalar_net(points: int) -> tuple:
    random.seed(0)
    net = MLP(2, [16, 16, 1])
    step = moons_step(net, Value, points)
    return step, {"parameters": len(net.parameters()), **sums_of_squares(step())}
