"""An autograd engine that grows from one scalar to tensors.

Read `scalar.py` first: it is the whole idea on Python floats. Then `graph.py`, `tensor.py`, `op.py`,
one file of `ops/`, and `backward.py`.
"""

from typing import TYPE_CHECKING

from . import numpy_face, operators  # noqa: F401  (importing them gives Tensor its operators and NumPy's functions)
from ._lazy import loader
from .backward import gradients
from .graph import Node, Observer, no_grad, observe, scope
from .kernels.memory import keep_freed_memory
from .kernels.threads import get_num_threads, set_num_threads
from .op import Op
from .ops.conv import conv2d, conv2d_grads, conv2d_input_grad, conv2d_weight_grad, conv_transpose2d
from .ops.elementwise import (
    abs,
    add,
    astype,
    ceil,
    clip,
    conj,
    cos,
    divide,
    erf,
    exp,
    expm1,
    floor,
    floor_divide,
    gated_multiply,
    imag,
    log,
    log1p,
    maximum,
    minimum,
    mod,
    multiply,
    negative,
    power,
    real,
    relu,
    round,
    sigmoid,
    sign,
    sin,
    softplus,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
    where,
)
from .ops.index import put, scatter, take
from .ops.linalg import dot, einsum, matmul
from .ops.norm import batch_norm, layer_norm
from .ops.pool import avg_pool2d, max_pool2d, max_unpool2d
from .ops.reduce import cumsum, logsumexp, max, mean, min, norm, prod, sum, var
from .ops.shape import (
    broadcast_to,
    concatenate,
    expand_dims,
    flatten,
    flip,
    moveaxis,
    pad,
    repeat,
    reshape,
    roll,
    split,
    squeeze,
    stack,
    swapaxes,
    tile,
    transpose,
)
from .ops.softmax import log_softmax, softmax
from .scalar import Scalar
from .tensor import Tensor, get_default_dtype, set_default_dtype
from .transforms import checkpoint, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__all__ = [
    "Node",
    "Observer",
    "Op",
    "Scalar",
    "Tensor",
    "abs",
    "add",
    "anomaly",
    "astype",
    "avg_pool2d",
    "batch_norm",
    "broadcast_to",
    "ceil",
    "checkpoint",
    "clip",
    "concatenate",
    "conj",
    "conv2d",
    "conv2d_grads",
    "conv2d_input_grad",
    "conv2d_weight_grad",
    "conv_transpose2d",
    "cos",
    "cumsum",
    "divide",
    "dot",
    "draw",
    "einsum",
    "erf",
    "exp",
    "expand_dims",
    "expm1",
    "flatten",
    "flip",
    "floor",
    "floor_divide",
    "gated_multiply",
    "get_default_dtype",
    "get_num_threads",
    "grad",
    "gradcheck",
    "gradients",
    "hessian",
    "hvp",
    "imag",
    "jacobian",
    "jvp",
    "keep",
    "layer_norm",
    "listing",
    "log",
    "log1p",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max",
    "max_pool2d",
    "max_unpool2d",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mod",
    "moveaxis",
    "multiply",
    "negative",
    "no_grad",
    "norm",
    "observe",
    "pad",
    "power",
    "prod",
    "profile",
    "put",
    "real",
    "relu",
    "repeat",
    "replay",
    "reshape",
    "roll",
    "round",
    "scatter",
    "scope",
    "set_default_dtype",
    "set_num_threads",
    "sigmoid",
    "sign",
    "sin",
    "softmax",
    "softplus",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "subtract",
    "sum",
    "swapaxes",
    "take",
    "tan",
    "tanh",
    "tile",
    "transpose",
    "value_and_grad",
    "var",
    "vjp",
    "where",
]

if TYPE_CHECKING:
    from .check import anomaly, gradcheck
    from .show import draw, keep, listing, profile, replay

__getattr__, __dir__ = loader(__name__, {
    **dict.fromkeys(("check", "anomaly", "gradcheck"), "check"),
    **dict.fromkeys(("show", "draw", "keep", "listing", "profile", "replay"), "show"),
})

keep_freed_memory()

__version__ = "0.1.0"
