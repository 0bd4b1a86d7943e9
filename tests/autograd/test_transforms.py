"""Transforms against closed forms and against NumPy's own linear algebra."""

from __future__ import annotations

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import autograd as ag


def test_grad_of_a_number_is_float64():
    slope = ag.grad(lambda x: x**3)(2.0)
    assert slope.dtype == np.float64
    assert slope.item() == 12.0
    assert not slope.requires_grad


def test_arrays_keep_their_dtype():
    assert ag.grad(lambda x: (x * x).sum())(np.ones(3, np.float32)).dtype == np.float32


def test_grad_takes_several_arguments_and_keywords():
    def f(x, y, scale=1.0):
        return x * y * scale

    by_x, by_y = ag.grad(f, argnums=(0, 1))(2.0, 5.0, scale=3.0)
    assert (by_x.item(), by_y.item()) == (15.0, 6.0)
    assert ag.grad(f, argnums=1)(2.0, 5.0).item() == 2.0


def test_the_same_tensor_twice_counts_as_two_arguments():
    x = ag.Tensor(3.0, requires_grad=True)
    by_first, by_second = ag.grad(lambda a, b: a * a * b, argnums=(0, 1))(x, x)
    assert by_first.item() == pytest.approx(18.0)
    assert by_second.item() == pytest.approx(9.0)


def test_grads_nest_to_any_order():
    f = ag.sin
    for derivative in (np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin):
        f = ag.grad(f)
        assert f(0.7).item() == pytest.approx(derivative(0.7), rel=1e-12)


def test_an_inner_grad_knows_the_variable_of_the_outer_one():
    """d/dx of x * d/dy (x y^2) at y = 2 is d/dx of 4 x^2: the inner function closes over the outer variable."""
    outer = ag.grad(lambda x: x * ag.grad(lambda y: x * y * y)(2.0))
    assert outer(3.0).item() == pytest.approx(24.0)


def test_the_gradient_of_a_recorded_argument_can_be_differentiated():
    x = ag.Tensor(np.array([1.0, 2.0]), requires_grad=True)
    penalty = (ag.grad(lambda v: (v**3).sum())(x) ** 2).sum()  # sum of 9 x^4
    penalty.backward()
    np.testing.assert_allclose(x.grad.data, 36 * x.data**3)


def test_value_and_grad_gives_both():
    value, slope = ag.value_and_grad(ag.exp)(1.0)
    assert value.item() == pytest.approx(np.e)
    assert slope.item() == pytest.approx(np.e)


def test_a_constant_function_has_zero_gradients():
    assert ag.grad(lambda x: ag.Tensor(5.0))(np.ones(3)).data.tolist() == [0.0, 0.0, 0.0]


def test_vjp_multiplies_with_the_transposed_jacobian_and_may_be_called_again():
    rng = np.random.default_rng(0)
    a, x = rng.standard_normal((3, 4)), rng.standard_normal(4)
    y, pullback = ag.vjp(lambda v: a @ v, x)
    np.testing.assert_allclose(y.data, a @ x)
    for v in (rng.standard_normal(3), rng.standard_normal(3)):
        np.testing.assert_allclose(pullback(v)[0].data, a.T @ v)


def test_vjp_of_several_outputs_takes_as_many_cotangents():
    (y, z), pullback = ag.vjp(lambda a, b: (a * b, a + b), 2.0, 3.0)
    assert (y.item(), z.item()) == (6.0, 5.0)
    by_a, by_b = pullback(1.0, 10.0)
    assert (by_a.item(), by_b.item()) == (13.0, 12.0)
    with pytest.raises(ValueError, match="f gave 2 outputs, but the pullback got 1 cotangents"):
        pullback(1.0)


def test_jvp_multiplies_with_the_jacobian():
    rng = np.random.default_rng(1)
    x, v = rng.standard_normal(4), rng.standard_normal(4)
    w = rng.standard_normal((3, 4))
    y, dy = ag.jvp(lambda x: ag.tanh(w @ x), (x,), (v,))
    np.testing.assert_allclose(y.data, np.tanh(w @ x))
    np.testing.assert_allclose(dy.data, (1 - np.tanh(w @ x) ** 2) * (w @ v))


def test_jvp_agrees_with_a_central_difference():
    rng = np.random.default_rng(2)
    x, v = rng.random((2, 3)) + 0.5, rng.standard_normal((2, 3))

    def f(x):
        return ag.logsumexp(x * x, axis=1) / x[:, 0]

    numeric = (f(x + 1e-6 * v) - f(x - 1e-6 * v)) / 2e-6
    np.testing.assert_allclose(ag.jvp(f, (x,), (v,))[1].data, numeric, rtol=1e-7)


def test_hvp_is_the_hessian_times_a_vector():
    rng = np.random.default_rng(3)
    m = rng.standard_normal((4, 4))
    x, v = rng.standard_normal(4), rng.standard_normal(4)
    (product,) = ag.hvp(lambda x: 0.5 * (x * (m @ x)).sum(), (x,), (v,))
    np.testing.assert_allclose(product.data, 0.5 * (m + m.T) @ v)


def test_hvp_of_several_inputs_has_the_mixed_terms():
    by_a, by_b = ag.hvp(lambda a, b: a * a * b, (2.0, 3.0), (1.0, 0.0))
    assert (by_a.item(), by_b.item()) == (6.0, 4.0)


def test_jacobian_has_the_shape_of_output_then_input():
    rng = np.random.default_rng(4)
    a = rng.standard_normal((2, 3))
    jacobian = ag.jacobian(lambda x: a @ x)(rng.standard_normal((3, 5)))
    assert jacobian.shape == (2, 5, 3, 5)
    np.testing.assert_allclose(jacobian.data, np.einsum("ik,jl->ijkl", a, np.eye(5)))


def test_jacobian_of_an_empty_output_is_empty():
    assert ag.jacobian(lambda x: x[:0])(np.ones(3)).shape == (0, 3)


def test_hessian_of_a_product():
    hessian = ag.hessian(ag.prod)(np.array([2.0, 3.0, 5.0]))
    assert hessian.data.tolist() == [[0, 5, 3], [5, 0, 2], [3, 2, 0]]


def test_hessian_of_rosenbrocks_function():
    def f(x):
        return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2

    x, y = -1.2, 1.0
    expected = [[2 - 400 * (y - 3 * x * x), -400 * x], [-400 * x, 200]]
    np.testing.assert_allclose(ag.hessian(f)(np.array([x, y])).data, expected)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ag.grad(lambda x: x)(3), TypeError, "grad: argument 0 is int; a gradient needs floating"),
        (lambda: ag.grad(lambda x: x, argnums=1)(3.0), ValueError, "grad: argument 1 does not exist"),
        (lambda: ag.grad(lambda x: 1.0)(3.0), TypeError, "grad: the function must give a Tensor, it gave float"),
        (lambda: ag.grad(lambda x: x)(np.ones(2)), ValueError, r"y has shape \(2,\); give the cotangent"),
        (lambda: ag.jvp(ag.sin, (1.0,), ()), ValueError, "jvp: 1 inputs but 0 tangents"),
        (lambda: ag.jvp(ag.sin, (1.0,), (np.ones(2),)), ValueError, r"a tangent has shape \(2,\), but its input \(\)"),
        (lambda: ag.hvp(ag.sin, (1.0,), ()), ValueError, "hvp: 1 inputs but 0 tangents"),
    ],
)
def test_bad_calls_say_what_is_wrong(call, error, text):
    with pytest.raises(error, match=text):
        call()


# ---------------------------------------------------------------------- checkpoint


def _block(x, w):
    for _ in range(3):
        x = ag.tanh(x @ w) + x
    return x


def test_checkpoint_gives_the_same_gradients_also_for_what_f_closes_over():
    rng = np.random.default_rng(5)
    x0, w0 = rng.standard_normal((4, 3)), rng.standard_normal((3, 3))
    grads = []
    for run in (lambda f, x: f(x), ag.checkpoint):
        x, w = ag.Tensor(x0, requires_grad=True), ag.Tensor(w0, requires_grad=True)
        run(lambda h, w=w: _block(h, w), x @ w).sum().backward()
        grads.append((x.grad.data, w.grad.data))
    for plain, recomputed in zip(*grads, strict=True):
        np.testing.assert_array_equal(plain, recomputed)


def test_checkpoint_is_right_at_order_three():
    rng = np.random.default_rng(6)
    report = ag.gradcheck(lambda x, w: ag.checkpoint(lambda h: ag.tanh(h @ w) * h, x @ w),
                          rng.standard_normal((1, 2)), rng.standard_normal((2, 2)), order=3)
    assert report, report


def test_checkpoint_passes_several_outputs_and_integers():
    x = ag.Tensor(np.array([1.0, 2.0, 3.0]), requires_grad=True)
    index = np.array([0, 2])
    first, second = ag.checkpoint(lambda x, i: (x[i], x * x), x, index)
    (first.sum() + second.sum()).backward()
    np.testing.assert_array_equal(x.grad.data, [3.0, 4.0, 7.0])


def test_checkpoint_keeps_only_the_inputs():
    def peak_after(run):
        x = ag.Tensor(np.ones(100_000), requires_grad=True)
        gc.collect()
        tracemalloc.start()
        y = run(lambda h: ag.sin(ag.sin(ag.sin(ag.sin(ag.sin(ag.sin(h)))))), x)
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        del y
        return held

    assert peak_after(ag.checkpoint) < 0.25 * peak_after(lambda f, x: f(x))


def test_checkpoint_under_no_grad_just_calls():
    with ag.no_grad():
        assert not ag.checkpoint(ag.sin, ag.Tensor(1.0, requires_grad=True)).requires_grad


def test_checkpoint_leaves_nothing_to_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        seen = []
        for _ in range(2):
            x = ag.Tensor(np.ones(1000), requires_grad=True)
            y = ag.checkpoint(lambda h: ag.sin(h) * 2, x)
            y.sum().backward()
            seen += [weakref.ref(x), weakref.ref(y)]
            del x, y
        assert [ref() for ref in seen] == [None] * 4
    finally:
        gc.enable()


def test_jvp_and_hvp_say_that_they_take_lists():
    with pytest.raises(TypeError, match=r"jvp: the inputs must be a list or tuple, got ndarray; write \(x,\)"):
        ag.jvp(ag.sin, np.ones(2), (np.ones(2),))
    with pytest.raises(TypeError, match="hvp: the tangents must be a list or tuple, got float"):
        ag.hvp(ag.sin, (1.0,), 1.0)
