"""Elementwise ops where the case table does not go: kinks, infinite derivatives, tails, and what they refuse."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest

import autograd as ag
from autograd.ops import registry
from tests.autograd.ops.cases import CASES, over

BINARY = ["add", "subtract", "multiply", "gated_multiply", "divide", "power", "mod", "floor_divide", "maximum",
          "minimum"]


def leaf(value: Any, dtype: Any = np.float64) -> ag.Tensor:
    return ag.Tensor(np.asarray(value, dtype), requires_grad=True)


def gradient(y: ag.Tensor, x: ag.Tensor, create_graph: bool = False) -> Any:
    """dy/dx of the sum of y, as an array, or as a Tensor that can be differentiated."""
    (g,) = ag.gradients(y.sum(), [x], create_graph=create_graph)
    return g if create_graph else g.data


# ---------------------------------------------------------------------- kinks


@pytest.mark.parametrize(("f", "at", "slope"), [
    pytest.param(ag.relu, 0.0, 0.0, id="relu at 0"),
    pytest.param(ag.relu, -0.0, 0.0, id="relu at -0"),
    pytest.param(ag.abs, 0.0, 0.0, id="abs at 0"),
    pytest.param(ag.sign, 0.0, 0.0, id="sign at 0"),
    pytest.param(ag.floor, 2.0, 0.0, id="floor at an integer"),
    pytest.param(ag.ceil, 2.0, 0.0, id="ceil at an integer"),
    pytest.param(ag.round, 2.5, 0.0, id="round at a half"),
    pytest.param(lambda x: ag.floor_divide(x, 2.0), 4.0, 0.0, id="floor_divide at a multiple"),
    pytest.param(lambda x: ag.mod(x, 2.0), 4.0, 1.0, id="mod at a multiple"),
    pytest.param(lambda x: ag.maximum(x, 1.0), 1.0, 0.5, id="maximum at a tie"),
    pytest.param(lambda x: ag.maximum(1.0, x), 1.0, 0.5, id="maximum at a tie, second"),
    pytest.param(lambda x: ag.minimum(x, 1.0), 1.0, 0.5, id="minimum at a tie"),
    pytest.param(lambda x: ag.minimum(1.0, x), 1.0, 0.5, id="minimum at a tie, second"),
    pytest.param(lambda x: ag.maximum(x, x), 1.0, 1.0, id="maximum of a number and itself"),
    pytest.param(lambda x: ag.clip(x, 1.0, 3.0), 1.0, 1.0, id="clip at its lower bound"),
    pytest.param(lambda x: ag.clip(x, 1.0, 3.0), 3.0, 1.0, id="clip at its upper bound"),
    pytest.param(lambda x: ag.clip(0.5, x, 3.0), 0.5, 0.0, id="clip's lower bound at a tie"),
    pytest.param(lambda x: ag.clip(0.5, 0.0, x), 0.5, 0.0, id="clip's upper bound at a tie"),
    pytest.param(lambda x: ag.abs(x + 0j), 0.0, 0.0, id="abs of a complex 0"),
])
def test_the_slope_at_a_kink(f, at, slope):
    x = leaf(at)
    assert gradient(f(x), x) == slope


def test_clip_with_its_bounds_crossed_is_the_upper_bound_as_in_numpy():
    x, low, high = leaf([0.0, 1.0, 2.0]), leaf(1.5), leaf(0.5)
    out = ag.clip(x, low, high)
    np.testing.assert_array_equal(out.data, np.clip(x.data, 1.5, 0.5))
    g_x, g_low, g_high = ag.gradients(out.sum(), [x, low, high])
    assert g_x.data.tolist() == [0, 0, 0]
    assert (g_low.item(), g_high.item()) == (0, 3)


# ---------------------------------------------------------------------- infinite derivatives

# A function, an input at which its value or its derivative is not finite, and the slope at 0.5.
UNSAFE = [
    pytest.param(ag.sqrt, 0.0, 0.5**0.5, id="sqrt at 0"),
    pytest.param(ag.sqrt, -1.0, 0.5**0.5, id="sqrt of a negative number"),
    pytest.param(ag.log, 0.0, 2.0, id="log at 0"),
    pytest.param(ag.log, -1.0, 2.0, id="log of a negative number"),
    pytest.param(ag.log1p, -1.0, 1 / 1.5, id="log1p at -1"),
    pytest.param(lambda x: 1 / x, 0.0, -4.0, id="1 / 0"),
    pytest.param(lambda x: x / x, 0.0, 0.0, id="0 / 0"),
    pytest.param(lambda x: x / (x - 2), 2.0, -2 / 1.5**2, id="2 / 0"),
    pytest.param(lambda x: x**0.5, 0.0, 0.5**0.5, id="power one half at 0"),
    pytest.param(lambda x: x**-1.0, 0.0, -4.0, id="power -1 at 0"),
    pytest.param(lambda x: x**1.5, -1.0, 1.5 * 0.5**0.5, id="power of a negative number"),
    pytest.param(lambda x: x**3, 1e200, 0.75, id="power that overflows"),
    pytest.param(lambda x: ag.power(2.0, x), 1e5, 2**0.5 * np.log(2), id="exponent that overflows"),
    pytest.param(lambda x: ag.power(-2.0, x), 0.25, np.nan, id="fractional power of a negative number"),
    pytest.param(ag.exp, 1000.0, np.exp(0.5), id="exp that overflows"),
    pytest.param(ag.expm1, 1000.0, np.exp(0.5), id="expm1 that overflows"),
    pytest.param(lambda x: ag.mod(1.25, x), 0.0, -2.0, id="mod by 0"),
    pytest.param(ag.abs, np.inf, 1.0, id="abs at infinity"),
    pytest.param(ag.sigmoid, -np.inf, np.exp(0.5) / (1 + np.exp(0.5)) ** 2, id="sigmoid at -infinity"),
    pytest.param(ag.softplus, np.inf, 1 / (1 + np.exp(-0.5)), id="softplus at infinity"),
    pytest.param(ag.tanh, np.inf, 1 - np.tanh(0.5) ** 2, id="tanh at infinity"),
    pytest.param(lambda x: ag.real(ag.sqrt(x + 0j)), 0.0, 0.5**0.5, id="complex sqrt at 0"),
]


@pytest.mark.parametrize(("f", "bad", "slope"), UNSAFE)
@np.errstate(all="ignore")
def test_what_is_not_finite_does_not_leak_out_of_the_branch_not_taken(f, bad, slope):
    x = leaf([bad, 0.5])
    good = np.array([False, True])
    g = gradient(ag.where(good, f(x), 0.0), x, create_graph=True)
    np.testing.assert_allclose(g.data, [0, slope])
    if g.requires_grad:
        assert gradient(g, x)[0] == 0


@np.errstate(all="ignore")
def test_a_tangent_that_is_not_taken_does_not_leak():
    x = leaf([np.inf, 0.5])
    np.testing.assert_allclose(gradient(ag.where([False, True], ag.tan(x), 0.0), x), [0, 1 / np.cos(0.5) ** 2])


@pytest.mark.parametrize(("product", "mixed"), [
    pytest.param(lambda a, x: a * ag.log(x), lambda x: 1 / x, id="a log x"),
    pytest.param(lambda a, x: a * ag.sqrt(x), lambda x: 0.5 / np.sqrt(x), id="a sqrt x"),
    pytest.param(lambda a, x: a / x, lambda x: -1 / x**2, id="a / x"),
    pytest.param(lambda a, x: a * ag.exp(x), np.exp, id="a exp x"),
    pytest.param(lambda a, x: a * x**0.5, lambda x: 0.5 / np.sqrt(x), id="a power x"),
])
@np.errstate(all="ignore")
def test_mixed_second_derivatives_survive_a_factor_of_0(product, mixed):
    """At a = 0 the cotangent of log x is 0, and yet d/da of its gradient 1/x is not."""
    a, x = leaf([0.0, 0.0, 0.0]), leaf([4.0, 0.25, 0.0])  # the last x makes gated_multiply look for NaN
    g_x = gradient(product(a, x), x, create_graph=True)
    np.testing.assert_array_equal(g_x.data[:2], [0, 0])
    np.testing.assert_allclose(gradient(g_x, a)[:2], mixed(x.data)[:2])
    g_a = gradient(product(a, x), a, create_graph=True)
    np.testing.assert_allclose(gradient(g_a, x)[:2], mixed(x.data)[:2])


def test_third_derivatives_survive_a_factor_of_0():
    a, x = leaf(0.0), leaf(2.0)
    g = gradient(a * ag.log(x), x, create_graph=True)
    g = gradient(g, x, create_graph=True)
    assert gradient(g, a) == -1 / 4


@pytest.mark.parametrize("dtype", ["e", "f", "d", "F", "D"])
@np.errstate(all="ignore")
def test_gated_multiply_is_a_product_but_for_0_times_what_is_not_finite(dtype):
    a = np.array([0, 0, 0, 0, 1, 2, np.inf, 3], dtype)
    d = np.array([np.inf, -np.inf, np.nan, 5, np.nan, np.inf, 0, 4], dtype)
    out = ag.gated_multiply(a, d)
    assert out.dtype == a.dtype
    assert out[:4].tolist() == [0, 0, 0, 0]
    assert np.isnan(out[4])
    assert np.isinf(out[5])
    assert np.isnan(out[6])  # the other way round nothing is gated
    assert out[7] == 12
    np.testing.assert_array_equal(ag.gated_multiply(a[3:5], np.array([7, 8], dtype)), [0, 8])


def test_gated_multiply_is_right_where_its_quick_look_overflows():
    large = np.array([1e200, 0.0])
    np.testing.assert_array_equal(ag.gated_multiply(large, np.array([2.0, 3.0])), [2e200, 0])


# ---------------------------------------------------------------------- powers


@pytest.mark.parametrize(("exponent", "first", "second"), [(0, 0, 0), (1, 1, 0), (2, 0, 2), (3, 0, 0), (2.5, 0, 0)])
def test_derivatives_of_a_power_at_0(exponent, first, second):
    x = leaf([0.0])
    with np.errstate(divide="ignore"):
        g = gradient(x**exponent, x, create_graph=True)
        assert g.data == [first]
        assert gradient(g, x) == [second]


@pytest.mark.parametrize(("x", "exponent"), [(-2.0, 2), (-2.0, 3), (-0.5, -1), (-1.5, -2.0), (3.0, 0)])
def test_derivatives_of_a_constant_power_of_a_negative_number(x, exponent):
    report = ag.gradcheck(lambda t: t**exponent, np.array([x]), order=3)
    assert report, report


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0, 3.0, -1.0])
@np.errstate(divide="ignore")
def test_the_derivative_by_the_exponent_is_0_where_the_base_is_0(exponent):
    x, y = leaf(0.0), leaf(exponent)
    g = gradient(ag.power(x, y), y, create_graph=True)
    assert g.item() == 0
    assert gradient(g, y) == 0


@pytest.mark.parametrize("exponent", [2.0, 3.0])
def test_second_derivatives_by_base_and_exponent_at_base_0(exponent):
    x, y = leaf(0.0), leaf(exponent)
    with np.errstate(divide="ignore"):
        g_x, g_y = ag.gradients(ag.power(x, y), [x, y], create_graph=True)
    assert gradient(g_x, x) == exponent * (exponent - 1) * 0 ** (exponent - 2)
    assert gradient(g_y, x) == 0


def test_an_integer_base_has_a_gradient_for_its_exponent():
    y = leaf([1.5, 2.0])
    np.testing.assert_allclose(gradient(ag.power(np.array([2, 3]), y), y), [2**1.5 * np.log(2), 9 * np.log(3)])


# ---------------------------------------------------------------------- accuracy


def decimal(x: float, f: Any) -> float:
    """f of x, computed with 400 digits."""
    with localcontext() as context:
        context.prec = 400
        context.Emin, context.Emax = -999999, 999999
        return float(f(Decimal(x)))


@pytest.mark.parametrize(("op", "exact"), [
    (ag.sigmoid, lambda x: 1 / (1 + (-x).exp())),
    (ag.softplus, lambda x: (1 + x.exp()).ln()),
    (ag.expm1, lambda x: x.exp() - 1),
], ids=["sigmoid", "softplus", "expm1"])
@pytest.mark.parametrize("x", [-700.0, -90.0, -40.0, -5.0, -1e-3, -1e-12, 1e-12, 1e-3, 5.0, 40.0, 90.0, 700.0])
def test_tails_keep_their_relative_accuracy(op, exact, x):
    np.testing.assert_allclose(op(np.float64(x)), decimal(x, exact), rtol=1e-14)


@pytest.mark.parametrize("x", [-700.0, -90.0, -40.0, -5.0, 0.0, 5.0])
def test_the_slopes_of_sigmoid_and_softplus_keep_their_relative_accuracy(x):
    t = leaf(x)
    np.testing.assert_allclose(gradient(ag.softplus(t), t), decimal(x, lambda x: 1 / (1 + (-x).exp())), rtol=1e-14)
    slope = decimal(x, lambda x: x.exp() / (1 + x.exp()) ** 2)
    np.testing.assert_allclose(gradient(ag.sigmoid(t), t), slope, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["e", "f", "d"])
def test_sigmoid_and_softplus_do_not_overflow(dtype):
    x = np.array([-np.inf, -1e4, 1e4, np.inf], dtype)
    assert ag.sigmoid(x).tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(ag.softplus(x), [0, 0, x[2], np.inf])


# ---------------------------------------------------------------------- dtypes


@pytest.mark.parametrize("name", [name for name in BINARY if name != "gated_multiply"])
@pytest.mark.parametrize("number", [2, 2.0, True])
def test_a_python_number_does_not_widen_float32(name, number):
    op = registry()[name]
    x = leaf([1.5, 2.5], np.float32)
    for out in (op(x, number), op(number, x)):
        assert out.dtype == np.float32
        assert gradient(out, x).dtype == np.float32


@pytest.mark.parametrize("zero", [0, 0.0, False, np.float32(0), np.zeros(2, np.float32)])
def test_a_quotient_by_0_has_an_infinite_slope_whatever_kind_of_number_the_0_is(zero):
    x = ag.Tensor([2.0, -3.0], requires_grad=True)
    with np.errstate(all="ignore"):
        y = x / zero
        (dx,) = ag.gradients(y, [x], np.array([1.0, 0.0], np.float32))
    assert dx.dtype == np.float32
    assert dx.data.tolist() == [np.inf, 0]  # and a cotangent of 0 lets nothing through


def test_inputs_of_two_dtypes_get_gradients_of_their_own():
    x, y = leaf([1.0, 2.0], np.float32), leaf([3.0, 4.0], np.float64)
    out = x * y
    assert out.dtype == np.float64
    g_x, g_y = ag.gradients(out.sum(), [x, y])
    assert (g_x.dtype, g_y.dtype) == (np.float32, np.float64)


def test_a_real_input_of_a_complex_product_gets_a_real_gradient():
    x, z = leaf([1.0, 2.0]), ag.Tensor([1 + 2j, 3 - 1j], dtype=np.complex128, requires_grad=True)
    g_x, g_z = ag.gradients(ag.real(x * z).sum(), [x, z])
    np.testing.assert_array_equal(g_x.data, [1, 3])
    assert g_x.dtype == np.float64
    np.testing.assert_array_equal(g_z.data, [1, 2])


def test_astype_gives_the_gradient_the_dtype_of_its_input():
    x = leaf([1.0, 2.0], np.float32)
    out = ag.astype(x, np.float64)
    assert out.dtype == np.float64
    g = gradient(out * np.array([3.0, 4.0]), x)
    assert g.dtype == np.float32
    assert g.tolist() == [3, 4]


def test_astype_to_the_same_dtype_copies_nothing():
    x = np.ones(3, np.float32)
    assert ag.astype(x, np.float32) is x


def test_the_imaginary_part_of_real_numbers_is_0_and_so_is_its_gradient():
    x = leaf([1.0, 2.0])
    out = ag.imag(x)
    assert out.data.tolist() == [0, 0]
    assert gradient(out, x).tolist() == [0, 0]


def test_round_takes_a_number_of_decimals():
    assert ag.round(np.array([1.26, -0.05]), 1).tolist() == [1.3, -0.0]
    assert ag.round(np.array([126.0]), decimals=-1).tolist() == [130]


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("name", BINARY)
def test_shapes_that_do_not_broadcast_are_refused_by_name(name):
    op = registry()[name]
    first, second = op.input_names
    with pytest.raises(ValueError, match=rf"{name}: .*\(given {first} \(2,\) float64, {second} \(3,\) float64\)"):
        op(leaf([1.0, 2.0]), np.ones(3))


def test_where_and_clip_name_all_three_shapes_that_do_not_broadcast():
    with pytest.raises(ValueError, match=r"where: .*condition \(2,\) bool, x \(3,\) float64, y \(\) float"):
        ag.where(np.array([True, False]), leaf([1.0, 2.0, 3.0]), 0.0)
    with pytest.raises(ValueError, match=r"clip: .*x \(3,\) float64, min \(2,\) float64"):
        ag.clip(leaf([1.0, 2.0, 3.0]), np.zeros(2))


def test_a_condition_that_requires_a_gradient_is_refused():
    x = leaf([1.0, 0.0])
    with pytest.raises(TypeError, match=r"where: argument 'condition' has no backward rule .*pass \.detach\(\)"):
        ag.where(x, x, 0.0)


def test_complex_numbers_are_refused_where_an_op_is_for_reals():
    z = np.array([1 + 1j])
    for call in (ag.sign, ag.relu, lambda z: ag.maximum(z, 0), lambda z: ag.minimum(0, z), lambda z: ag.clip(z, 0, 1)):
        with pytest.raises(TypeError, match="it is defined for real numbers only, but an argument is complex"):
            call(z)
    with pytest.raises(TypeError, match="astype: complex to float64 would drop the imaginary part; use real"):
        ag.astype(z, np.float64)
    for op in (ag.softplus, ag.erf, ag.floor, ag.ceil):
        with pytest.raises(TypeError, match=f"{op.name}: "):
            op(z)


@pytest.mark.parametrize(**over([case for case in CASES if case.elementwise and len(case.inputs) == 1]))
def test_what_is_no_number_is_refused_by_name(case):
    with pytest.raises(TypeError, match=rf"{case.op}: argument 'x' must be a Tensor, an array or a number, got str"):
        case.call("1.0")


@pytest.mark.parametrize("mask", [ag.relu, lambda x: ag.maximum(x, 0.0), lambda x: ag.clip(x, 0.0, 9.0),
                                  lambda x: -ag.minimum(-x, 0.0)])
@pytest.mark.parametrize("f", [ag.log, ag.sqrt, lambda x: 1 / x])
def test_an_infinite_cotangent_does_not_pass_what_was_cut_off(mask, f):
    x = leaf([-1.0, 4.0])
    with np.errstate(divide="ignore"):
        y = f(mask(x)).sum()
    y.backward()
    assert x.grad.data[0] == 0
    assert np.isfinite(x.grad.data[1])
