"""Checkers for the exercises of the tutorial, one for each: `check.chain_rule(my_derivative)`.

A checker calls your function, compares what it gives with something independent (finite differences, loops over single
numbers, a closed form), and prints whether it is right; if not, what was given, what was expected, and a hint. It never
prints a solution: those are in `solutions.py`. `help(check.chain_rule)` says what your function is called with.
"""

from . import suspects
from .convolutions import columns, input_gradient, output_size, weight_gradient
from .gradients import complex_step, diagnosis, rule
from .graphs import backward, backward_order, parents_first
from .networks import accuracy, fooling, saliency
from .scalars import chain_rule, descent, slope
from .tensors import matmul_rule, softmax_rule, unbroadcast

__all__ = [
    "accuracy",
    "backward",
    "backward_order",
    "chain_rule",
    "columns",
    "complex_step",
    "descent",
    "diagnosis",
    "fooling",
    "input_gradient",
    "matmul_rule",
    "output_size",
    "parents_first",
    "rule",
    "saliency",
    "slope",
    "softmax_rule",
    "suspects",
    "unbroadcast",
    "weight_gradient",
]
