"""What holds across the engine: Scalar and Tensor agree, dtypes are NumPy's, the same seed gives the same bits."""

from __future__ import annotations

import hashlib
import operator
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd as ag

ROOT = Path(__file__).parents[2]


def leaf(*values: float) -> ag.Tensor:
    return ag.Tensor(np.array(values), requires_grad=True)


# ---------------------------------------------------------------------- Scalar and Tensor


# Each stays where the functions are smooth and numbers small, whatever a and b are.
STEPS = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "a * tanh b": lambda a, b: a * b.tanh(),
    "a / (b^2 + 1)": lambda a, b: a / (b**2 + 1),
    "-a": lambda a, b: -a,
    "exp tanh a": lambda a, b: a.tanh().exp(),
    "log(a a + 1/2)": lambda a, b: (a * a + 0.5).log(),
    "sigmoid a": lambda a, b: a.sigmoid(),
    "relu a": lambda a, b: a.relu(),
    "(1 + a a) ** sigmoid b": lambda a, b: (1 + a * a) ** b.sigmoid(),
    "2 ** tanh a": lambda a, b: 2 ** a.tanh(),
    "(2 - a) * 3": lambda a, b: (2 - a) * 3,
    "1 / (2 + tanh a)": lambda a, b: 1 / (2 + a.tanh()),
    "(a a + 1) ** -1.5": lambda a, b: (a * a + 1) ** -1.5,
    "sigmoid(a) ** 0.5": lambda a, b: a.sigmoid() ** 0.5,
}


@st.composite
def expressions(draw: Any) -> list[tuple[str, int, int]]:
    """Steps over a growing list of values that starts with three leaves; each may use any value before it."""
    n = draw(st.integers(1, 12))
    return [(draw(st.sampled_from(sorted(STEPS))), draw(st.integers(0, 2 + k)), draw(st.integers(0, 2 + k)))
            for k in range(n)]


def work_out(expression: list, leaves: list) -> Any:
    values = list(leaves)
    for step, i, j in expression:
        values.append(STEPS[step](values[i], values[j]))
    return values[-1]


@given(expressions(), st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_scalar_and_tensor_give_the_same_numbers_on_the_same_expressions(expression, numbers):
    scalars = [ag.Scalar(x) for x in numbers]
    tensors = [ag.Tensor(np.float64(x), requires_grad=True) for x in numbers]
    y, t = work_out(expression, scalars), work_out(expression, tensors)
    assert t.item() == pytest.approx(y.data, rel=1e-12, abs=1e-12)
    for _ in range(2):  # repeated backward adds up in both
        y.backward()
        t.backward(retain_graph=True)
    for scalar, tensor in zip(scalars, tensors, strict=True):
        assert (scalar.grad is None) == (tensor.grad is None)
        if scalar.grad is not None:
            assert tensor.grad.item() == pytest.approx(scalar.grad, rel=1e-9, abs=1e-9)


@given(expressions(), st.lists(st.floats(-3, 3), min_size=6, max_size=6))
def test_a_tensor_of_many_numbers_is_many_scalars(expression, numbers):
    tensors = [ag.Tensor(np.array(numbers[i::3]), requires_grad=True) for i in range(3)]
    t = work_out(expression, tensors)
    t.backward(np.ones(2))
    for k in range(2):
        scalars = [ag.Scalar(x) for x in numbers[3 * k : 3 * k + 3]]
        y = work_out(expression, scalars)
        y.backward()
        assert t.data[k] == pytest.approx(y.data, rel=1e-12, abs=1e-12)
        for scalar, tensor in zip(scalars, tensors, strict=True):
            if scalar.grad is not None:
                assert tensor.grad.data[k] == pytest.approx(scalar.grad, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("f", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow])
@pytest.mark.parametrize("make", [lambda: leaf(1.0), lambda: ag.Tensor(2.0), lambda: np.ones(2)])
def test_scalar_with_a_tensor_or_an_array_is_a_type_error(f, make):
    other = make()
    with pytest.raises(TypeError, match="Scalar"):
        f(ag.Scalar(2.0), other)
    with pytest.raises(TypeError, match="Scalar"):
        f(other, ag.Scalar(2.0))


# ---------------------------------------------------------------------- dtypes


OTHERS = [2, 2.0, True, 2j, np.float16(2), np.float32(2), np.float64(2), np.int8(2), np.int64(2), np.uint8(2),
          np.complex64(2), np.complex128(2), np.array(2.0), np.array([2.0, 2.0]), np.array([2.0, 2.0], np.float32),
          np.array([2, 2]), np.array([2, 2], np.uint8), np.array([True, True]), np.array([2j, 2j], np.complex64)]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("other", OTHERS, ids=lambda other: f"{type(other).__name__}-{np.asarray(other).dtype}")
@pytest.mark.parametrize("f", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow])
def test_results_have_the_dtype_that_numpy_2_gives_them_and_gradients_the_input_s(dtype, other, f):
    array = np.array([1.0, 2.0], dtype)
    for left, right in ((array, other), (other, array)):
        if f is operator.sub and np.asarray(other).dtype == bool and left is other:
            continue
        x = ag.Tensor(array, requires_grad=True)
        expected = f(left, right)
        y = f(x, other) if left is array else f(other, x)
        assert y.dtype == expected.dtype
        np.testing.assert_array_equal(y.data, expected)
        y.backward(np.ones(y.shape, y.dtype))
        assert x.grad.dtype == dtype


def test_float32_times_a_python_float_stays_float32_at_every_order():
    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    y = (2.5 * ag.sin(x * 0.1) ** 3 + 1) / 3.0
    for _ in range(3):
        assert y.dtype == np.float32
        (y,) = ag.gradients(y.sum(), [x], create_graph=True)


def test_integers_and_floats_mix_as_in_numpy():
    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    assert (x * ag.Tensor([1, 2])).dtype == (np.ones(2, np.float32) * np.array([1, 2])).dtype == np.float64
    assert (ag.Tensor([1, 2]) * 2).dtype == np.int64
    assert (ag.Tensor([1, 2]) / 2).dtype == np.float64
    assert (ag.Tensor(np.ones(2, np.uint8)) * 2.0).dtype == np.float64


# ---------------------------------------------------------------------- determinism


def fingerprint(seed: int = 0) -> str:
    """Some steps of training of a small network that goes through each family of ops; all bits of it, as a hash."""
    rng = np.random.default_rng(seed)

    def weights(*shape: int) -> ag.Tensor:
        return ag.Tensor((0.3 * rng.standard_normal(shape)).astype(np.float32), requires_grad=True)

    images = rng.standard_normal((6, 9, 9, 3)).astype(np.float32)
    classes = rng.integers(0, 4, 6)
    kernel, scale, shift, dense, table = weights(3, 3, 3, 8), weights(8), weights(8), weights(128, 4), weights(5, 4)
    parameters = [kernel, scale, shift, dense, table]
    digest = hashlib.sha256()
    for step in range(3):
        h = ag.conv2d(images, kernel, stride=1, padding="same")
        h = ag.relu(ag.batch_norm(h, scale, shift)[0])
        h = ag.avg_pool2d(ag.max_pool2d(h, 2), 1)
        logits = ag.flatten(h, 1) @ dense + ag.take(table, classes % 5, axis=0)
        logits = ag.concatenate(ag.split(logits, 2, axis=1)[::-1], axis=1)
        picked = ag.log_softmax(logits)[np.arange(6), classes]
        penalty = sum(ag.norm(w) for w in parameters) + ag.logsumexp(ag.einsum("ij,kj->ik", dense, dense))
        loss = -picked.mean() + 1e-3 * penalty + ag.var(logits) * ag.prod(ag.tanh(scale))
        grads = ag.gradients(loss, parameters, create_graph=step == 1)
        for w, g in zip(parameters, grads, strict=True):
            digest.update(g.data.tobytes())
            with ag.no_grad():
                w -= 0.1 * g
    return digest.hexdigest()


def test_the_same_seed_gives_the_same_bits_twice():
    assert fingerprint(0) == fingerprint(0)
    assert fingerprint(0) != fingerprint(1)


def test_the_same_seed_gives_the_same_bits_in_another_process():
    """Nothing depends on where objects lie in memory or on how strings are hashed."""
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" \
             "from tests.autograd.test_contract import fingerprint; print(fingerprint(7))"
    found = {subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60,
                            env=os.environ | {"PYTHONHASHSEED": str(seed)}).stdout for seed in (1, 2)}
    assert len(found) == 1
