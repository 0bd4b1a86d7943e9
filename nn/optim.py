"""The optimizers; `nn.optim` also has the schedules of their learning rates and the clipping of gradients.

    opt = nn.optim.Adam(model.parameters(), lr=1e-3)
    opt.zero_grad(); loss.backward(); opt.step()
"""

from __future__ import annotations

import math

import numpy as np

from .clipping import clip_grad_norm, clip_grad_value
from .optimizer import Optimizer
from .schedules import CosineAnnealingLR, LinearLR, LinearWarmup, OneCycleLR, Schedule, StepLR
from .trainable import Params

__all__ = [
    "SGD", "Adam", "AdamW", "CosineAnnealingLR", "LinearLR", "LinearWarmup", "OneCycleLR", "Optimizer", "RMSprop",
    "Schedule", "StepLR", "clip_grad_norm", "clip_grad_value",
]


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum (Polyak's or Nesterov's) and L2 weight decay.

        g = gradient + weight_decay * p
        b = momentum * b + (1 - dampening) * g        (the first time b = g)
        p = p - lr * b                                (nesterov: p - lr * (g + momentum * b))

    lr               step size, greater than 0
    momentum         share of the last direction that is kept; 0 keeps no array
    dampening        share of the gradient that is left out of the momentum
    weight_decay     pull towards 0
    nesterov         look ahead along the momentum; needs momentum > 0 and dampening 0

    Raises ValueError for settings out of range and for params that are empty, given twice or made by an op;
    TypeError for params that are no real Tensors.

    Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013, in PyTorch's
    form, in which lr is outside the momentum.

    >>> import autograd as ag
    >>> w = ag.Tensor([1.0, 2.0], requires_grad=True)
    >>> opt = SGD([w], lr=0.25)
    >>> (w * w).sum().backward(); opt.step()
    >>> w.data
    array([0.5, 1. ], dtype=float32)
    """

    _settings = ("lr", "momentum", "dampening", "weight_decay", "nesterov")
    momentum: float
    dampening: float
    weight_decay: float
    nesterov: bool

    def __init__(self, params: Params, lr: float, momentum: float = 0.0, dampening: float = 0.0,
                 weight_decay: float = 0.0, nesterov: bool = False) -> None:
        super().__init__(params, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
                         nesterov=nesterov)
        if nesterov and (not self.momentum or self.dampening):
            raise ValueError("SGD: nesterov=True needs momentum > 0 and dampening 0, got "
                             f"momentum {momentum} and dampening {dampening}")

    def _slots(self) -> tuple[str, ...]:
        return ("momentum_buffer",) if self.momentum else ()

    def _update(self, step, p, g, new, t, *slots):
        g = _decayed(g, p, self.weight_decay, t)
        if not self.momentum:
            np.multiply(g, self.lr, out=new)
            np.subtract(p, new, out=new)
            return
        (b,) = slots
        b *= self.momentum
        if step == 1 or not self.dampening:
            b += g
        else:
            np.multiply(g, 1.0 - self.dampening, out=new)
            b += new
        if self.nesterov:
            np.multiply(b, self.momentum, out=new)
            new += g
            new *= self.lr
        else:
            np.multiply(b, self.lr, out=new)
        np.subtract(p, new, out=new)


class Adam(Optimizer):
    """Adam: steps of about lr for each number, whatever the scale of its gradient; with L2 weight decay.

        g = gradient + weight_decay * p
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g²
        p = p - lr * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)        at the t-th step

    lr               step size, greater than 0
    betas            how much of the averages m and v is kept at each step
    eps              keeps the divisor from 0
    weight_decay     pull towards 0, as a part of the gradient; see AdamW

    Raises as SGD does.

    Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1.

    >>> import autograd as ag
    >>> w = ag.Tensor([1.0, 10.0], requires_grad=True)
    >>> opt = Adam([w], lr=0.5)
    >>> (w * w).sum().backward(); opt.step()
    >>> w.data.round(4)
    array([0.5, 9.5], dtype=float32)
    """

    _settings = ("lr", "betas", "eps", "weight_decay")
    betas: tuple[float, float]
    eps: float
    weight_decay: float

    def __init__(self, params: Params, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0.0) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def _slots(self) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _update(self, step, p, g, new, t, *slots):
        g = _decayed(g, p, self.weight_decay, t)
        self._adam(step, g, new, *slots)
        np.subtract(p, new, out=new)

    def _adam(self, step: int, g: np.ndarray, new: np.ndarray, m: np.ndarray, v: np.ndarray) -> None:
        """Brings m and v up to date and writes the way to go into `new`."""
        beta1, beta2 = self.betas
        _average(m, g, beta1, new)
        v *= beta2
        np.multiply(g, g, out=new)
        new *= 1.0 - beta2
        v += new
        # Both corrections are numbers, so they go into lr and eps and cost no pass over the arrays:
        # lr m / c1 / (sqrt(v / c2) + eps) = lr sqrt(c2) / c1 * m / (sqrt(v) + eps sqrt(c2))
        root = math.sqrt(1.0 - beta2**step)
        np.sqrt(v, out=new)
        new += self.eps * root
        np.divide(m, new, out=new)
        new *= self.lr * root / (1.0 - beta1**step)


class AdamW(Adam):
    """Adam with decoupled weight decay, which no gradient's scale weakens.

        p = p - lr * weight_decay * p, then Adam's step without weight decay

    Arguments and errors as for Adam, except that weight_decay is 0.01 unless it is given.

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2.

    >>> import autograd as ag
    >>> w = ag.Tensor([1.0, 10.0], requires_grad=True)
    >>> opt = AdamW([w], lr=0.5, weight_decay=0.5)
    >>> (w * w).sum().backward(); opt.step()
    >>> w.data.round(4)
    array([0.25, 7.  ], dtype=float32)
    """

    def __init__(self, params: Params, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 1e-2) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def _update(self, step, p, g, new, t, *slots):
        self._adam(step, g, new, *slots)
        np.multiply(p, 1.0 - self.lr * self.weight_decay, out=t)
        np.subtract(t, new, out=new)


class RMSprop(Optimizer):
    """Gradients divided by the root of their mean square, with momentum and L2 weight decay.

        g = gradient + weight_decay * p
        v = alpha * v + (1 - alpha) * g²
        a = alpha * a + (1 - alpha) * g,  v' = v - a²        (centered: a variance; otherwise v' = v)
        b = momentum * b + g / (sqrt(v') + eps)
        p = p - lr * b

    lr               step size, greater than 0
    alpha            how much of the averages v and a is kept at each step
    eps              keeps the divisor from 0
    weight_decay     pull towards 0
    momentum         share of the last direction that is kept
    centered         divide by the standard deviation

    Raises as SGD does.

    Tieleman and Hinton, "Lecture 6.5: rmsprop", 2012; centered: Graves, "Generating Sequences With Recurrent
    Neural Networks", 2013, section 4.2, with eps outside the root, as in PyTorch.

    >>> import autograd as ag
    >>> w = ag.Tensor([1.0, 10.0], requires_grad=True)
    >>> opt = RMSprop([w], lr=0.1)
    >>> (w * w).sum().backward(); opt.step()
    >>> w.data.round(4)
    array([0., 9.], dtype=float32)
    """

    _settings = ("lr", "alpha", "eps", "weight_decay", "momentum", "centered")
    alpha: float
    eps: float
    weight_decay: float
    momentum: float
    centered: bool

    def __init__(self, params: Params, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
                 weight_decay: float = 0.0, momentum: float = 0.0, centered: bool = False) -> None:
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum,
                         centered=centered)

    def _slots(self) -> tuple[str, ...]:
        return ("square_avg", *(("grad_avg",) if self.centered else ()),
                *(("momentum_buffer",) if self.momentum else ()))

    def _update(self, step, p, g, new, t, *slots):
        v = slots[0]
        g = _decayed(g, p, self.weight_decay, t)
        v *= self.alpha
        np.multiply(g, g, out=new)
        new *= 1.0 - self.alpha
        v += new
        if self.centered:
            a = slots[1]
            _average(a, g, self.alpha, new)
            np.multiply(a, a, out=new)
            np.subtract(v, new, out=new)
            np.maximum(new, 0.0, out=new)  # a variance, which rounding may push below 0
            np.sqrt(new, out=new)
        else:
            np.sqrt(v, out=new)
        new += self.eps
        np.divide(g, new, out=new)
        if self.momentum:
            b = slots[-1]
            b *= self.momentum
            b += new
            np.multiply(b, self.lr, out=new)
        else:
            new *= self.lr
        np.subtract(p, new, out=new)


# ---------------------------------------------------------------------- parts of the rules


def _decayed(g: np.ndarray, p: np.ndarray, weight_decay: float, t: np.ndarray) -> np.ndarray:
    """g + weight_decay * p, in t; g itself where there is no decay."""
    if not weight_decay:
        return g
    np.multiply(p, weight_decay, out=t)
    t += g
    return t


def _average(a: np.ndarray, g: np.ndarray, keep: float, scratch: np.ndarray) -> None:
    """a = keep * a + (1 - keep) * g, in place."""
    a *= keep
    np.multiply(g, 1.0 - keep, out=scratch)
    a += scratch
