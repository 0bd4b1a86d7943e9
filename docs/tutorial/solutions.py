"""Solutions of the exercises, each under the name of its checker. Try the hints first: they are better teachers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autograd as ag
from autograd import Scalar

__all__ = ["accuracy", "backward", "backward_order", "chain_rule", "columns", "complex_step", "descent", "diagnosis",
           "fooling", "input_gradient", "matmul_rule", "output_size", "parents_first", "rule", "saliency", "slope",
           "softmax_rule", "unbroadcast", "weight_gradient"]

# ---------------------------------------------------------------------- 1 a scalar and its gradient


def slope(f: Callable[[float], float], x: float) -> float:
    h = 1e-5
    return (f(x + h) - f(x - h)) / (2 * h)


def chain_rule(x: float) -> float:
    u = x**2 + 1
    return 3 * u**2 * (2 * x)


def descent(f: Callable[[Scalar], Scalar], x: float) -> float:
    for _ in range(200):
        place = Scalar(x)  # a new Scalar has no old gradient to add to
        f(place).backward()
        x -= 0.1 * (place.grad or 0.0)
    return x


# ---------------------------------------------------------------------- 2 the graph and the order of backward

backward_order = ["y", "t", "s", "r", "u", "v"]


def parents_first(graph: dict, output: str) -> list[str]:
    order: list[str] = []
    seen: set[str] = set()
    stack = [(output, False)]
    while stack:
        node, parents_are_done = stack.pop()
        if parents_are_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(parent, False) for parent, _ in graph[node]]
    return order


def backward(graph: dict, output: str) -> dict[str, float]:
    order = parents_first(graph, output)
    gradients = dict.fromkeys(order, 0.0)
    gradients[output] = 1.0
    for node in reversed(order):
        for parent, local in graph[node]:
            gradients[parent] += gradients[node] * local
    return gradients


# ---------------------------------------------------------------------- 3 from scalars to tensors


def unbroadcast(g: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))  # the axes that broadcasting put in front
    stretched = tuple(axis for axis, n in enumerate(shape) if n == 1)
    return g.sum(axis=stretched, keepdims=True)


def matmul_rule(g: np.ndarray, x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return g @ w.T, x.T @ g


def softmax_rule(g: np.ndarray, p: np.ndarray) -> np.ndarray:
    return p * (g - (g * p).sum(axis=-1, keepdims=True))


# ---------------------------------------------------------------------- 4 a convolution and its three gradients


def output_size(n: int, kernel: int, stride: int, padding: int) -> int:
    return (n + 2 * padding - kernel) // stride + 1


def columns(x: np.ndarray, kh: int, kw: int, stride: int) -> np.ndarray:
    n, h, w, _ = x.shape
    rows = [
        x[image, i : i + kh, j : j + kw].reshape(-1)  # (KH, KW, C) -> (KH * KW * C,)
        for image in range(n)
        for i in range(0, h - kh + 1, stride)
        for j in range(0, w - kw + 1, stride)
    ]
    return np.array(rows)


def weight_gradient(g: np.ndarray, x: np.ndarray, kh: int, kw: int) -> np.ndarray:
    (oh, ow, o), c = g.shape[1:], x.shape[3]
    dw = np.empty((kh, kw, c, o))
    for u, v in np.ndindex(kh, kw):
        met = x[:, u : u + oh, v : v + ow]  # (N, OH, OW, C): the pixels that the weights at (u, v) met
        dw[u, v] = met.reshape(-1, c).T @ g.reshape(-1, o)  # (C, N * OH * OW) @ (N * OH * OW, O)
    return dw


def input_gradient(g: np.ndarray, w: np.ndarray, x_shape: tuple[int, ...]) -> np.ndarray:
    oh, ow = g.shape[1:3]
    dx = np.zeros(x_shape)
    for u, v in np.ndindex(*w.shape[:2]):
        dx[:, u : u + oh, v : v + ow] += g @ w[u, v].T  # (N, OH, OW, O) @ (O, C)
    return dx


# ---------------------------------------------------------------------- 5 checking gradients

diagnosis = {"cube": "sign", "wave": "missing term", "product": "transposed", "softplus": "right",
             "mean_of_rows": "factor"}


def complex_step(f: Callable, x: float) -> float:
    return float(f(x + 1e-30j).imag / 1e-30)


def rule(g: Any, x: Any, out: Any) -> Any:
    return -2.0 * g * x * out


# ---------------------------------------------------------------------- 6 the CNN on digits, and looking inside


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float((logits.argmax(axis=1) == labels).mean())


def saliency(model: Callable, image: np.ndarray, digit: int) -> np.ndarray:
    x = ag.Tensor(image[None], requires_grad=True)
    [slopes] = ag.gradients(model(x)[0, digit], [x])
    return np.abs(slopes.data[0, ..., 0])


def fooling(model: Callable, image: np.ndarray, label: int, size: float) -> np.ndarray:
    x = ag.Tensor(image[None], requires_grad=True)
    loss = -ag.log_softmax(model(x))[0, label]
    [slopes] = ag.gradients(loss, [x])
    return image + size * np.sign(slopes.data[0])
