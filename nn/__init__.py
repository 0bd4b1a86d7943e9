"""Layers, losses, optimizers and training on top of autograd.

A model is a Module: a plain class with a `forward`. Images are NHWC, convolution weights (KH, KW, C / groups, O).

>>> import nn, numpy as np
>>> model = nn.Sequential(nn.Conv2d(1, 16, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
...                       nn.Dense(16 * 14 * 14, 10))
>>> logits = model(np.zeros((4, 28, 28, 1), np.float32))
>>> loss = nn.functional.cross_entropy(logits, np.array([3, 1, 4, 1]))
>>> loss.backward()
"""

from typing import TYPE_CHECKING

from autograd._lazy import loader

from . import functional, init, models, optim
from .activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Tanh
from .conv import Conv2d, ConvTranspose2d
from .dense import Dense
from .dropout import Dropout
from .embedding import Embedding
from .flatten import Flatten
from .history import History
from .module import Module
from .normalization import BatchNorm1d, BatchNorm2d, LayerNorm
from .pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from .randomness import rng
from .sequential import MLP, Sequential

if TYPE_CHECKING:
    from . import inspection, plot
    from .checking import gradcheck
    from .drawing import draw
    from .files import load, read_state, save
    from .table import summary
    from .train import evaluate, fit, predict

__getattr__, __dir__ = loader(__name__, {
    "inspection": "inspection",
    "plot": "plot",
    "gradcheck": "checking",
    "draw": "drawing",
    **dict.fromkeys(("files", "load", "read_state", "save"), "files"),
    **dict.fromkeys(("table", "summary"), "table"),
    **dict.fromkeys(("train", "evaluate", "fit", "predict"), "train"),
})

__all__ = [
    "ELU",
    "GELU",
    "MLP",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAvgPool2d",
    "History",
    "LayerNorm",
    "LeakyReLU",
    "MaxPool2d",
    "Module",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "draw",
    "evaluate",
    "fit",
    "functional",
    "gradcheck",
    "init",
    "inspection",
    "load",
    "models",
    "optim",
    "plot",
    "predict",
    "read_state",
    "rng",
    "save",
    "summary",
]
