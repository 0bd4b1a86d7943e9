"""Losses, and the activations that autograd does not have itself (`ag.relu`, `ag.sigmoid`, `ag.softmax`, ... it has).

Losses always return Tensors. `reduction` is "mean" (over all examples or elements), "sum" or "none". None of
them broadcasts: prediction and target must have the shapes that are said, so (n, 1) against (n,) raises.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

import numpy as np

from autograd.op import Op
from autograd.ops.elementwise import abs, clip, erf, exp, gated_multiply, sigmoid, softplus, square, tanh, where
from autograd.ops.index import index
from autograd.ops.reduce import mean, sum
from autograd.ops.softmax import log_softmax, softmax_cross_entropy
from autograd.tensor import Tensor, as_array, value_of, wrap

from .checks import check_floats, element, one_of, probability
from .randomness import Seed, generator

__all__ = ["binary_cross_entropy_with_logits", "cross_entropy", "dropout", "elu", "gelu", "huber_loss",
           "l1_loss", "leaky_relu", "mse_loss", "nll_loss", "silu"]

_REDUCTIONS = ("mean", "sum", "none")


# ---------------------------------------------------------------------- activations


@Op
def leaky_relu(x, negative_slope=0.01):
    """x where it is positive, else negative_slope * x: any shape -> the same. The derivative at 0 is the slope's.

    Maas, Hannun and Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models", 2013.

    >>> leaky_relu(np.array([-1.0, 2.0])).tolist()
    [-0.01, 2.0]
    """
    return np.where(np.greater(x, 0), x, negative_slope * np.asarray(x))


leaky_relu.vjp(lambda g, x, negative_slope: where(x > 0, g, negative_slope * g))


@Op
def elu(x, alpha=1.0):
    """x where it is positive, else alpha * (exp(x) - 1): any shape -> the same. The derivative at 0 is alpha.

    Clevert, Unterthiner and Hochreiter, "Fast and Accurate Deep Network Learning by Exponential Linear Units", 2015.

    >>> elu(np.array([-1.0, 2.0])).round(3).tolist()
    [-0.632, 2.0]
    """
    return np.where(np.greater(x, 0), x, alpha * np.expm1(np.minimum(x, 0)))


elu.vjp(lambda g, x, alpha: g * where(x > 0, 1, alpha * exp(x)))


def gelu(x: Any, approximate: str = "none") -> Any:
    """x * P(X <= x) for a standard normal X: any shape -> the same.

    approximate="tanh" is 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))), as in GPT-2.

    Raises ValueError for another form.

    Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016, section 2.

    >>> gelu(np.array([-1.0, 2.0])).round(3).tolist()
    [-0.159, 1.954]
    """
    x = x if type(x) is Tensor else as_array(x)
    if one_of("gelu", "approximate", approximate, "none", "tanh") == "none":
        return x * (0.5 * (1 + erf(x * sqrt(0.5))))
    return x * (0.5 * (1 + tanh(x * (sqrt(2 / pi) * (1 + 0.044715 * (x * x))))))


def silu(x: Any) -> Any:
    """x * sigmoid(x), also called swish: any shape -> the same.

    Elfwing, Uchibe and Doya, "Sigmoid-Weighted Linear Units", 2017.

    >>> silu(np.array([-1.0, 2.0])).round(3).tolist()
    [-0.269, 1.762]
    """
    x = x if type(x) is Tensor else as_array(x)
    return x * sigmoid(x)


def dropout(x: Any, p: float = 0.5, training: bool = True, rng: Seed = None) -> Any:
    """x with each element set to 0 with probability p and the others divided by 1 - p; x itself unless training.

    rng: a seed, a Generator, or None for that of `nn.rng`. Raises ValueError unless p lies in [0, 1], TypeError
    where x holds whole numbers.

    >>> dropout(np.ones(6), p=0.5, rng=0).tolist()
    [2.0, 2.0, 2.0, 0.0, 0.0, 0.0]
    """
    x = x if type(x) is Tensor else as_array(x)
    check_floats("dropout", x)
    if probability("dropout", "p", p) == 0 or not training:
        return x
    kept = generator(rng).random(x.shape, np.float32) >= p
    return x * (kept * x.dtype.type(1 / (1 - p) if p < 1 else 0))


# ---------------------------------------------------------------------- losses of classes


def cross_entropy(logits: Any, target: Any, label_smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
    """-sum over classes of q * log(softmax(logits)), where q is the target distribution.

    logits (N, C); target: class indices (N,), whole numbers, or probabilities (N, C). More axes may stand before
    the classes, as (N, H, W, C) with (N, H, W). -> a single number; for reduction "none" logits' shape without C.
    label_smoothing  the part of q (0 to 1) that is spread evenly over all classes

    Raises ValueError for labels out of range, shapes that do not fit, rows that are no probabilities and an empty
    batch; TypeError for labels that are not whole numbers.

    Goodfellow et al., "Deep Learning", 6.2.2.3; label smoothing: Szegedy et al., "Rethinking the Inception
    Architecture", 2015, section 7.

    >>> import numpy as np
    >>> round(cross_entropy(np.zeros((2, 10)), np.array([3, 7])).item(), 4)  # log(10)
    2.3026
    """
    logits, target = _classes("cross_entropy", "logits", logits), _target(target)
    smoothing = probability("cross_entropy", "label_smoothing", label_smoothing)
    one_of("cross_entropy", "reduction", reduction, *_REDUCTIONS)
    if target.shape != logits.shape or target.dtype.kind != "f":
        indices = _class_indices("cross_entropy", "logits", logits, target)
        return softmax_cross_entropy(logits, indices, smoothing, reduction)
    _check_probabilities(value_of(target))
    log_p = log_softmax(logits)
    with np.errstate(invalid="ignore"):  # 0 * log(0) counts as 0
        loss = -sum(gated_multiply(target, log_p), -1)
    if smoothing:
        loss = (1 - smoothing) * loss - smoothing * mean(log_p, -1)
    return _reduced(loss, reduction)


def nll_loss(log_probabilities: Any, target: Any, reduction: str = "mean") -> Tensor:
    """-log_probabilities of the target class: (N, C) with class indices (N,) -> a single number, or (N,) for "none".

    Takes what `ag.log_softmax` gives; of logits, take `cross_entropy`. More axes and errors as there.

    >>> import numpy as np
    >>> round(nll_loss(np.log([[0.25, 0.75]]), [1]).item(), 4)  # -log(0.75)
    0.2877
    """
    log_p = _classes("nll_loss", "log_probabilities", log_probabilities)
    one_of("nll_loss", "reduction", reduction, *_REDUCTIONS)
    target = _class_indices("nll_loss", "log_probabilities", log_p, _target(target))
    return _reduced(-index(log_p, (*np.indices(target.shape, sparse=True), target)), reduction)


def binary_cross_entropy_with_logits(logits: Any, target: Any, reduction: str = "mean") -> Tensor:
    """-(t * log(sigmoid(x)) + (1 - t) * log(1 - sigmoid(x))), elementwise, then reduced.

    logits x and target t (bools, or numbers from 0 to 1) of one shape -> a single number, or that shape for "none".
    Computed as t * softplus(-x) + (1 - t) * softplus(x), which neither overflows nor loses small losses.

    Raises ValueError where shapes differ, a target is not in [0, 1] or there are no elements.

    Bishop, "Pattern Recognition and Machine Learning", 2006, equation 4.90.

    >>> import numpy as np
    >>> round(binary_cross_entropy_with_logits(np.zeros(4), np.array([0, 1, 1, 0])).item(), 4)  # log(2)
    0.6931
    """
    name = "binary_cross_entropy_with_logits"
    logits, target = _same_shape(name, logits, target, reduction, "logits")
    values = value_of(target)
    outside = element("target", values, ~((values >= 0) & (values <= 1)))
    if outside:
        raise ValueError(f"{name}: {outside}, expected numbers from 0 to 1")
    return _reduced(target * softplus(-logits) + (1 - target) * softplus(logits), reduction)


# ---------------------------------------------------------------------- losses of numbers


def mse_loss(prediction: Any, target: Any, reduction: str = "mean") -> Tensor:
    """(prediction - target)**2, elementwise, then reduced.

    prediction and target of one shape -> a single number, or that shape for "none".

    Raises ValueError where shapes differ or there are no elements.

    >>> import numpy as np
    >>> mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])).item()
    2.0
    """
    prediction, target = _same_shape("mse_loss", prediction, target, reduction)
    return _reduced(square(prediction - target), reduction)


def l1_loss(prediction: Any, target: Any, reduction: str = "mean") -> Tensor:
    """|prediction - target|, elementwise, then reduced; shapes and errors as for `mse_loss`.

    >>> import numpy as np
    >>> l1_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])).item()
    1.0
    """
    prediction, target = _same_shape("l1_loss", prediction, target, reduction)
    return _reduced(abs(prediction - target), reduction)


def huber_loss(prediction: Any, target: Any, delta: float = 1.0, reduction: str = "mean") -> Tensor:
    """With e = prediction - target: e**2 / 2 where |e| <= delta, else delta * (|e| - delta / 2); then reduced.

    Shapes and errors as for `mse_loss`; ValueError unless delta is positive.

    Huber, "Robust Estimation of a Location Parameter", 1964.

    >>> import numpy as np
    >>> huber_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])).item()
    0.75
    """
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be positive, got {delta!r}")
    prediction, target = _same_shape("huber_loss", prediction, target, reduction)
    error = prediction - target
    limited = clip(error, -delta, delta)
    return _reduced(limited * (error - 0.5 * limited), reduction)  # both cases in one formula


# ---------------------------------------------------------------------- what the losses share


def _target(target: Any) -> Any:
    """An array, or the Tensor itself: a target may require a gradient."""
    return target if type(target) is Tensor else as_array(target)


def _classes(where: str, name: str, scores: Any) -> Tensor:
    """The scores of the classes as a Tensor, checked: (.., C) floats, at least one example."""
    scores = _as_tensor(scores)
    if scores.ndim < 2:
        raise ValueError(f"{where}: {name} must be (N, classes), got {scores.shape}; add the batch axis with "
                         f"{name}[None]")
    _check_values(where, name, scores)
    return scores


def _class_indices(where: str, name: str, scores: Tensor, target: Any) -> np.ndarray:
    """The target as an array of class indices (..) for scores (.., C), checked."""
    target = value_of(target)
    examples, n_classes = scores.shape[:-1], scores.shape[-1]
    # as unsigned numbers negative ones are the largest, so that one reduction looks for both kinds of outsiders
    if (target.shape == examples and target.dtype.kind in "iu"
            and np.maximum.reduce(target.view(target.dtype.str.replace("i", "u")), axis=None) < n_classes):
        return target
    given = f"{name} {scores.shape}, target {target.shape} {target.dtype}"
    if target.shape == scores.shape and target.dtype.kind in "biu":
        raise TypeError(f"{where}: target must be class indices of shape {examples}, not one-hot whole numbers "
                        f"({given}); use target.argmax(-1)")
    if target.shape != examples:
        hint = "; drop its last axis with target[..., 0]" if target.shape == (*examples, 1) else ""
        also = f" or probabilities of shape {scores.shape}" if where == "cross_entropy" else ""
        raise ValueError(f"{where}: target must be class indices of shape {examples}{also} ({given}){hint}")
    if target.dtype.kind not in "iu":
        raise TypeError(f"{where}: class indices must be whole numbers ({given}); use target.astype(np.int64)")
    outside = element("target", target, (target < 0) | (target >= n_classes))
    raise ValueError(f"{where}: {outside}, but there are {n_classes} classes, 0 to {n_classes - 1} ({given})")


def _check_probabilities(target: np.ndarray) -> None:
    """Raises unless each row is a distribution; 1 % off may be rounding, as of float16."""
    totals = np.sum(target, axis=-1)
    no_sum = element("the sum of target", totals, ~(np.abs(totals - 1) <= 0.01))  # ~ takes NaN along
    negative = element("target", target, target < 0)
    if no_sum or negative:
        raise ValueError(f"cross_entropy: {no_sum or negative}; a target of the logits' shape must hold the "
                         "probabilities of the classes, which sum to 1")


def _same_shape(where: str, prediction: Any, target: Any, reduction: str,
                name: str = "prediction") -> tuple[Tensor, Any]:
    """Both, checked; a target of whole numbers or bools gets the prediction's dtype."""
    one_of(where, "reduction", reduction, *_REDUCTIONS)
    prediction, target = _as_tensor(prediction), _target(target)
    if prediction.shape != target.shape:
        hint = ""
        if prediction.shape == (*target.shape, 1):
            hint = f" with {name}[..., 0]"
        elif target.shape == (*prediction.shape, 1):
            hint = " with target[..., 0]"
        raise ValueError(f"{where}: {name} {prediction.shape} and target {target.shape} must have one shape; nothing "
                         f"is broadcast here, so make them equal{hint}")
    _check_values(where, name, prediction)
    if target.dtype.kind in "biu":
        target = value_of(target).astype(prediction.dtype)
    return prediction, target


def _check_values(where: str, name: str, x: Tensor) -> None:
    if x.dtype.kind != "f":
        raise TypeError(f"{where}: {name} must be floating numbers, got {x.dtype}; use .astype(np.float32)")
    if not x.size:
        raise ValueError(f"{where}: the batch is empty: {name} has shape {x.shape}")


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return loss
    return mean(loss) if reduction == "mean" else sum(loss)


def _as_tensor(x: Any) -> Tensor:
    return x if type(x) is Tensor else wrap(as_array(x), None)
