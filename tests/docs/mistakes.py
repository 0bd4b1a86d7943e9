"""Typical wrong answers to the exercises of the tutorial, and what the hint for each must say."""

from __future__ import annotations

import numpy as np

import autograd as ag
import nn
from docs.tutorial import solutions

__all__ = ["MISTAKES"]


def first_visits(graph, output, order=None):
    """The order of a first visit: a node may come before one of its parents."""
    order = [] if order is None else order
    if output not in order:
        order.append(output)
        for parent, _ in graph[output]:
            first_visits(graph, parent, order)
    return order


def recursive_order(graph, output, order=None):
    order = [] if order is None else order
    for parent, _ in graph[output]:
        if parent not in order:
            recursive_order(graph, parent, order)
    order.append(output)
    return order


def with_repeats(graph, output):
    return [*[name for parent, _ in graph[output] for name in with_repeats(graph, parent)][:200], output]


def backward_that(update, order=lambda graph, output: solutions.parents_first(graph, output)[::-1]):
    def backward(graph, output):
        gradients = dict.fromkeys(solutions.parents_first(graph, output), 0.0)
        gradients[output] = 1.0
        for node in order(graph, output):
            for parent, local in graph[node]:
                gradients[parent] = update(gradients[parent], gradients[node] * local)
        return gradients
    return backward


def uphill(f, x):
    for _ in range(200):
        place = ag.Scalar(x)
        f(place).backward()
        x += 0.1 * place.grad
    return x


def piling_up(f, x):
    place = ag.Scalar(x)
    for _ in range(200):
        f(place).backward()
        place.data -= 0.1 * place.grad
    return place.data


def one_step(f, x):
    place = ag.Scalar(x)
    f(place).backward()
    return x - 0.1 * place.grad


def overwritten(g, w, x_shape):
    (kh, kw), dx = w.shape[:2], np.zeros(x_shape)
    for n, i, j in np.ndindex(*g.shape[:3]):
        dx[n, i : i + kh, j : j + kw] = w @ g[n, i, j]
    return dx


def loss_saliency(model, image, digit):
    x = ag.Tensor(image[None], requires_grad=True)
    nn.functional.cross_entropy(model(x), np.array([digit])).backward()
    return np.abs(x.grad.data[0, ..., 0])


def signed_saliency(model, image, digit):
    x = ag.Tensor(image[None], requires_grad=True)
    model(x)[0, digit].backward()
    return x.grad.data[0, ..., 0]


def stepping(step):
    """An answer to `fooling` that adds step(gradient, size) to the image."""
    def fooling(model, image, label, size):
        x = ag.Tensor(image[None], requires_grad=True)
        nn.functional.cross_entropy(model(x), np.array([label])).backward()
        return image + step(x.grad.data[0], size)
    return fooling


def frozen(name):
    """A rule of exp(-x**2) that takes that value out of the graph."""
    def value(array):
        return array.data if isinstance(array, ag.Tensor) else array
    if name == "x":
        return lambda g, x, out: -2.0 * g * value(x) * out
    return lambda g, x, out: -2.0 * g * x * value(out)


def causes(**changed):
    return {**solutions.diagnosis, **changed}


MISTAKES = [
    ("slope", lambda f, x: (f(x + 1e-3) - f(x)) / 1e-3, "nearly right: look for something small, such as a step size"),
    ("slope", lambda f, x: (f(x + 1e-5) - f(x - 1e-5)) / 1e-5, "from x - h to x + h it is 2 h"),
    ("slope", lambda f, x: (f(x + 1e-7) - f(x)) / 2e-7, "the rise must be divided by the distance"),
    ("slope", lambda f, x: (f(x - 1e-5) - f(x + 1e-5)) / 2e-5, "the negative of the right one"),
    ("slope", lambda f, x: f(x), "that is the value of f"),
    ("slope", lambda f, x: f(x + 1e-20) - f(x), "yours are all 0"),
    ("chain_rule", lambda x: 3 * (x**2 + 1) ** 2, "must be multiplied by the inner one's"),
    ("chain_rule", lambda x: 3 * (2 * x) ** 2, "taken at x**2 + 1 itself"),
    ("chain_rule", lambda x: 3 * (x**2 + 1) ** 2 + 2 * x, "you added them"),
    ("chain_rule", lambda x: -6 * x * (x**2 + 1) ** 2, "the negative of the right one"),
    ("chain_rule", lambda x: 12 * x * (x**2 + 1) ** 2, "yours is 2 times the right one"),
    ("descent", uphill, "you went uphill"),
    ("descent", piling_up, "set it to None"),
    ("descent", one_step, "stopped early"),
    ("descent", lambda f, x: x, "f was never called"),
    ("backward_order", ["y", "r", "s", "t", "u", "v"], "when r passes its gradient on, the share from s"),
    ("backward_order", ["y", "t", "s", "r", "u"], "v is missing"),
    ("backward_order", ["y", "t", "s", "r", "u", "v", "u"], "u is in the list 2 times"),
    ("backward_order", ["y", "t", "s", "r", "u", "q"], "'q' is not a node"),
    ("parents_first", first_visits, "goes onto the list when all of its parents are there"),
    ("parents_first", recursive_order, "a long chain of nodes needs a loop"),
    ("parents_first", with_repeats, "visited once"),
    ("parents_first", lambda *args: solutions.parents_first(*args)[::-1], "wants parents first"),
    ("parents_first", lambda graph, output: list(graph), "but top was not made from it"),
    ("parents_first", lambda *args: solutions.parents_first(*args)[:-1], "the output itself too"),
    ("backward", backward_that(lambda old, new: new), "you overwrote where it must add"),
    ("backward", backward_that(lambda old, new: old + new, first_visits), "before it was whole: mind the order"),
    ("backward", backward_that(lambda old, new: old - new), "the negative of the right one"),
    ("backward", lambda *args: {**solutions.backward(*args), args[1]: 0.0}, "the output's own gradient"),
    ("backward", lambda *args: {}, "each node that leads to the output has one"),
    ("unbroadcast", lambda g, shape: np.broadcast_to(solutions.unbroadcast(g, shape) * np.prod(shape) / g.size, shape),
     "you took the mean"),
    ("unbroadcast", lambda g, shape: g[(0,) * (g.ndim - len(shape))][tuple(map(slice, shape))], "one of the copies"),
    ("unbroadcast", lambda g, shape: g, "an axis is left that must be summed"),
    ("unbroadcast", lambda g, shape: np.squeeze(solutions.unbroadcast(g, shape)), "keepdims=True, may be missing"),
    ("matmul_rule", lambda g, x, w: (x.T @ g, g @ w.T), "in the wrong order"),
    ("matmul_rule", lambda g, x, w: (g @ (w if w.shape == (3, 3) else w.T), x.T @ g), "w must be transposed"),
    ("matmul_rule", lambda g, x, w: (g @ w.T, (x if x.shape == (3, 3) else x.T) @ g), "x must be transposed"),
    ("matmul_rule", lambda g, x, w: (g @ w.T, x.T @ g / len(x)), "the mean over the N rows"),
    ("softmax_rule", lambda g, p: g * p * (1 - p), "each z moves all the p of its row"),
    ("softmax_rule", lambda g, p: p * (g - (g * p).sum()), "each row is a softmax of its own"),
    ("softmax_rule", lambda g, p: p * g, "the sum over the row is missing"),
    ("output_size", lambda n, k, s, p: (n + 2 * p - k) // s, "the first place counts too"),
    ("output_size", lambda n, k, s, p: (n + p - k) // s + 1, "at both ends"),
    ("output_size", lambda n, k, s, p: n + 2 * p - k + 1, "the stride is not in it"),
    ("output_size", lambda n, k, s, p: (n + 2 * p - k) / s + 1, "a place is whole"),
    ("columns", lambda x, kh, kw, s: solutions.columns(x, kh, kw, 1), "the stride is not in it"),
    ("columns", lambda x, kh, kw, s: solutions.columns(x, kh, kw, s).T, "transposed: one row for each window"),
    ("columns", lambda x, kh, kw, s: solutions.columns(x, kh, kw, s).reshape(-1, kh, kw, x.shape[3])
     .transpose(0, 3, 1, 2).reshape(-1, kh * kw * x.shape[3]), "the channels must come last"),
    ("weight_gradient", lambda g, x, kh, kw: solutions.weight_gradient(g, x, kh, kw) / len(x), "the mean over the"),
    ("weight_gradient", lambda *args: solutions.weight_gradient(*args)[::-1, ::-1], "upside down"),
    ("weight_gradient", lambda g, x, kh, kw: solutions.weight_gradient(g, x, kh, kw).reshape(-1, g.shape[3]),
     "reshape the rows"),
    ("input_gradient", overwritten, "you overwrote where it must add"),
    ("input_gradient", lambda g, w, s: solutions.input_gradient(g, w[::-1, ::-1], s), "upside down"),
    ("input_gradient", lambda g, w, s: solutions.input_gradient(g, w, s)[..., 0], "the number of elements is right"),
    ("complex_step", lambda f, x: (f(x + 1e-5) - f(x - 1e-5)) / 2e-5, "a difference of two values cannot do this"),
    ("complex_step", lambda f, x: f(x + 1e-30j).real, "that is the value"),
    ("complex_step", lambda f, x: f(x + 1e-30j) / 1e-30, "the slope is in the imaginary part"),
    ("complex_step", lambda f, x: -f(x + 1e-30j).imag / 1e-30, "the negative of the right one"),
    ("diagnosis", causes(cube="right"), "look at the signs"),
    ("diagnosis", causes(softplus="factor"), "the report finds no fault with it"),
    ("diagnosis", causes(wave="factor"), "write the product rule down"),
    ("diagnosis", causes(product="sign"), "its mirror image"),
    ("diagnosis", causes(mean_of_rows="sign"), "divide the one number by the other"),
    ("diagnosis", causes(cube="wrong"), "expected  one of sign, factor"),
    ("rule", lambda g, x, out: -2.0 * x * out, "g is missing"),
    ("rule", lambda g, x, out: 2.0 * g * x * out, "-x**2 falls for x > 0"),
    ("rule", lambda g, x: -2.0 * g * x, "the slope of exp is exp itself"),
    ("rule", frozen("out"), "out was taken out of the graph"),
    ("rule", frozen("x"), "x was taken out of the graph"),
    ("rule", lambda x: x, "must take the cotangent g first"),
    ("accuracy", lambda logits, labels: (logits.argmax(1) == labels).sum(), "divide by how many there are"),
    ("accuracy", lambda logits, labels: 100 * solutions.accuracy(logits, labels), "in percent"),
    ("accuracy", lambda logits, labels: 1 - solutions.accuracy(logits, labels), "the wrong ones"),
    ("saliency", signed_saliency, "take the absolute value"),
    ("saliency", loss_saliency, "take that of the digit's logit"),
    ("saliency", lambda *args: solutions.saliency(*args)[..., None], "take the channel's axis away"),
    ("fooling", stepping(lambda slope, size: -size * np.sign(slope)), "go along its gradient"),
    ("fooling", stepping(lambda slope, size: slope * size / np.abs(slope).max()), "by the whole size"),
    ("fooling", stepping(lambda slope, size: np.sign(slope)), "multiply that by size"),
]
