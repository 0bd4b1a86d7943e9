"""Scalar: every derivative against its closed form and against differences, and what holds of the graph."""

import copy
import gc
import math
import pickle
import re
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd as ag
from autograd import Scalar


def derivative(f, x):
    """f'(x) by Scalar."""
    leaf = Scalar(x)
    f(leaf).backward()
    return leaf.grad


def difference(f, x, h=1e-6):
    """f'(x) by a central difference of plain floats, of order h**4."""
    ahead, behind = f(x + h) - f(x - h), f(x + 2 * h) - f(x - 2 * h)
    return (8 * ahead - behind) / (12 * h)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


# name: (with Scalars, with floats, the derivative's closed form, where)
UNARY = {
    "x + 3": (lambda x: x + 3, lambda x: x + 3, lambda x: 1.0, (-2.0, 0.0, 1.5)),
    "3 + x": (lambda x: 3 + x, lambda x: 3 + x, lambda x: 1.0, (-2.0, 0.0, 1.5)),
    "x - 3": (lambda x: x - 3, lambda x: x - 3, lambda x: 1.0, (-2.0, 0.0, 1.5)),
    "3 - x": (lambda x: 3 - x, lambda x: 3 - x, lambda x: -1.0, (-2.0, 0.0, 1.5)),
    "x * 3": (lambda x: x * 3, lambda x: x * 3, lambda x: 3.0, (-2.0, 0.0, 1.5)),
    "3 * x": (lambda x: 3 * x, lambda x: 3 * x, lambda x: 3.0, (-2.0, 0.0, 1.5)),
    "x / 3": (lambda x: x / 3, lambda x: x / 3, lambda x: 1 / 3, (-2.0, 0.0, 1.5)),
    "3 / x": (lambda x: 3 / x, lambda x: 3 / x, lambda x: -3 / x**2, (-2.0, 0.7, 1.5)),
    "-x": (lambda x: -x, lambda x: -x, lambda x: -1.0, (-2.0, 0.0, 1.5)),
    "x ** 2": (lambda x: x**2, lambda x: x * x, lambda x: 2 * x, (-2.0, 0.0, 1.5)),
    "x ** 3": (lambda x: x**3, lambda x: x * x * x, lambda x: 3 * x * x, (-2.0, 0.0, 1.5)),
    "x ** -2": (lambda x: x**-2, lambda x: 1 / (x * x), lambda x: -2 / (x * x * x), (-2.0, 0.7, 1.5)),
    "x ** 0.5": (lambda x: x**0.5, math.sqrt, lambda x: 0.5 / math.sqrt(x), (0.3, 1.5, 9.0)),
    "x ** 0": (lambda x: x**0, lambda x: 1.0, lambda x: 0.0, (-2.0, 0.0, 1.5)),
    "x ** 1": (lambda x: x**1, lambda x: x, lambda x: 1.0, (-2.0, 0.0, 1.5)),
    "2 ** x": (lambda x: 2**x, math.exp2, lambda x: math.log(2) * math.exp2(x), (-2.0, 0.0, 1.5)),
    "exp": (Scalar.exp, math.exp, math.exp, (-2.0, 0.0, 1.5)),
    "log": (Scalar.log, math.log, lambda x: 1 / x, (0.3, 1.0, 1.5)),
    "tanh": (Scalar.tanh, math.tanh, lambda x: 1 / math.cosh(x) ** 2, (-2.0, 0.0, 1.5)),
    "sigmoid": (Scalar.sigmoid, sigmoid, lambda x: 1 / (2 * math.cosh(x / 2)) ** 2, (-2.0, 0.0, 1.5)),
    "relu": (Scalar.relu, lambda x: max(x, 0.0), lambda x: float(x > 0), (-2.0, 1.5)),
}
UNARY_POINTS = [
    pytest.param(f, plain, closed, x, id=f"{name} at {x}")
    for name, (f, plain, closed, points) in UNARY.items()
    for x in points
]

# name: (the op, both derivatives in closed form, where)
BINARY = {
    "+": (lambda a, b: a + b, lambda a, b: (1.0, 1.0), (-2.0, 3.0)),
    "-": (lambda a, b: a - b, lambda a, b: (1.0, -1.0), (-2.0, 3.0)),
    "*": (lambda a, b: a * b, lambda a, b: (b, a), (-2.0, 3.0)),
    "/": (lambda a, b: a / b, lambda a, b: (1 / b, -a / b**2), (-2.0, 3.0)),
    "**": (lambda a, b: a**b, lambda a, b: (b * a ** (b - 1), a**b * math.log(a)), (2.0, 3.5)),
    "** 0": (lambda a, b: a**b, lambda a, b: (0.0, math.log(a)), (2.0, 0.0)),
}


class TestDerivatives:
    @pytest.mark.parametrize(("f", "plain", "closed", "x"), UNARY_POINTS)
    def test_of_one_operand(self, f, plain, closed, x):
        assert f(Scalar(x)).data == pytest.approx(plain(x), rel=1e-15)
        assert derivative(f, x) == pytest.approx(closed(x), rel=1e-14, abs=1e-15)
        assert derivative(f, x) == pytest.approx(difference(plain, x), rel=1e-8, abs=1e-8)

    @pytest.mark.parametrize(("op", "closed", "at"), BINARY.values(), ids=BINARY)
    def test_of_two_operands(self, op, closed, at):
        a, b = Scalar(at[0]), Scalar(at[1])
        result = op(a, b)
        result.backward()
        assert result.data == op(*at)
        assert (a.grad, b.grad) == pytest.approx(closed(*at), rel=1e-15)
        assert a.grad == pytest.approx(difference(lambda x: op(x, at[1]), at[0]), rel=1e-8)
        assert b.grad == pytest.approx(difference(lambda x: op(at[0], x), at[1]), rel=1e-8)

    def test_a_scalar_with_itself(self):
        assert derivative(lambda x: x + x, 3.0) == 2.0
        assert derivative(lambda x: x - x, 3.0) == 0.0
        assert derivative(lambda x: x * x, 3.0) == 6.0
        assert derivative(lambda x: x / x, 3.0) == pytest.approx(0.0, abs=1e-16)
        assert derivative(lambda x: x**x, 3.0) == pytest.approx(27 * (1 + math.log(3)), rel=1e-15)

    def test_relu_at_zero_is_flat(self):
        assert derivative(Scalar.relu, 0.0) == 0.0

    @pytest.mark.parametrize("x", [-1e4, -800.0, 800.0, 1e4])
    def test_sigmoid_and_tanh_far_out(self, x):
        assert Scalar(x).sigmoid().data == float(x > 0)
        assert derivative(Scalar.sigmoid, x) == 0.0
        assert Scalar(x).tanh().data == math.copysign(1, x)
        assert derivative(Scalar.tanh, x) == 0.0

    def test_sigmoid_keeps_its_digits_where_it_is_small(self):
        assert Scalar(-700.0).sigmoid().data == pytest.approx(math.exp(-700), rel=1e-15)
        assert derivative(Scalar.sigmoid, -700.0) == pytest.approx(math.exp(-700), rel=1e-15)


class TestPower:
    """Where the derivative of a power needs thought."""

    def test_the_square_root_is_infinitely_steep_at_zero(self):
        assert derivative(lambda x: x**0.5, 0.0) == math.inf

    def test_but_an_infinite_slope_takes_nothing_from_a_branch_without_gradient(self):
        assert derivative(lambda x: 0 * x**0.5 + x, 0.0) == 1.0

    @pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0])
    def test_by_the_exponent_is_zero_for_a_base_of_zero(self, exponent):
        assert derivative(lambda e: Scalar(0.0) ** e, exponent) == 0.0

    @pytest.mark.parametrize(("base", "exponent"), [(-2.0, 3.0), (-2.0, 2.0), (-1.0, -1.0)])
    def test_by_the_exponent_is_nan_for_a_negative_base(self, base, exponent):
        a, b = Scalar(base), Scalar(exponent)
        (a**b).backward()
        assert math.isnan(b.grad)
        assert a.grad == exponent * base ** (exponent - 1)

    def test_a_power_that_underflows_keeps_its_slope(self):
        assert derivative(lambda x: x**2, 1e-200) == 2e-200


# Expressions that no point makes undefined, drawn as trees; the same tree is evaluated with Scalars for the
# gradient and with complex numbers for the complex-step derivative (exact but for rounding: it takes no
# difference; Squire and Trapp, "Using complex variables to estimate derivatives of real functions", 1998).
COMPLEX = {
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "relu": lambda z: z if np.real(z) > 0 else 0 * z,
}


def expressions(variables):
    leaves = st.one_of(
        st.tuples(st.just("variable"), st.integers(0, variables - 1)),
        st.tuples(st.just("constant"), st.floats(0.5, 2.0)),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(st.sampled_from(["+", "-", "*"]), inner, inner),
            st.tuples(st.just("/"), inner, inner),
            st.tuples(st.just("**"), inner, st.sampled_from([2, 3, -1, 0.5])),
            st.tuples(st.just("neg"), inner),
            st.tuples(st.sampled_from(sorted(COMPLEX)), inner),
        ),
        max_leaves=12,
    )


def evaluate(tree, values, call):
    """The tree's value; `call(name, x)` applies a function. Operands are kept where the op is smooth."""
    kind, *rest = tree
    if kind == "variable":
        return values[rest[0]]
    if kind == "constant":
        return rest[0]
    a = evaluate(rest[0], values, call)
    if kind == "neg":
        return -a
    small = call("tanh", a)  # so that nothing grows out of range, however deep the tree
    if kind == "**":
        return (small * small + 0.5) ** rest[1]
    if kind == "log":
        return call("log", small * small + 0.5)
    if kind in COMPLEX:
        return call(kind, small)
    b = evaluate(rest[1], values, call)
    match kind:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return small * b
        case _:
            return a / (b * b + 0.5)


def call_scalar(name, x):
    return getattr(x if isinstance(x, Scalar) else Scalar(x), name)()


def call_tensor(name, x):
    return getattr(ag, name)(x)


points = st.lists(st.floats(-2.0, 2.0), min_size=3, max_size=3)


class TestDrawnExpressions:
    @given(tree=expressions(3), at=points)
    def test_gradient_is_the_complex_step_derivative(self, tree, at):
        leaves = [Scalar(x) for x in at]
        result = evaluate(tree, leaves, call_scalar)
        result = result if isinstance(result, Scalar) else Scalar(result)
        result.backward()
        for i, leaf in enumerate(leaves):
            nudged = [complex(x, 1e-30 * (i == j)) for j, x in enumerate(at)]
            shifted = complex(evaluate(tree, nudged, lambda name, z: COMPLEX[name](z)))
            assert result.data == pytest.approx(shifted.real, rel=1e-10, abs=1e-12)
            assert (leaf.grad or 0.0) == pytest.approx(shifted.imag / 1e-30, rel=1e-9, abs=1e-12)

    @given(tree=expressions(3), at=points)
    def test_scalar_and_tensor_give_the_same_numbers(self, tree, at):
        scalars = [Scalar(x) for x in at]
        tensors = [ag.Tensor(np.array(x), requires_grad=True) for x in at]
        by_scalar = evaluate(tree, scalars, call_scalar)
        by_tensor = evaluate(tree, tensors, call_tensor)
        assert float(by_scalar) == pytest.approx(float(by_tensor), rel=1e-12, abs=1e-14)
        if not isinstance(by_tensor, ag.Tensor):
            return  # drawn without a variable
        by_scalar.backward()
        by_tensor.backward()
        for s, t in zip(scalars, tensors, strict=True):
            expected = None if t.grad is None else pytest.approx(t.grad.item(), rel=1e-10, abs=1e-12)
            assert s.grad == expected


class TestGraph:
    def test_grad_is_none_before_backward_and_a_float_after(self):
        x = Scalar(2)
        y = x * 3
        assert (x.grad, y.grad) == (None, None)
        y.backward()
        assert (x.grad, y.grad) == (3.0, 1.0)
        assert type(x.grad) is float

    def test_a_node_keeps_its_parents_and_its_local_derivatives_as_plain_numbers(self):
        x, w = Scalar(2.0), Scalar(5.0)
        y = x * w
        assert y._parents == (x, w)
        assert y._local == (5.0, 2.0)
        assert (y._op, x._op, x._parents) == ("*", "", ())

    def test_backward_again_adds_the_same_again_to_every_node(self):
        x = Scalar(3.0)
        inner = x * x
        y = inner * inner
        y.backward()
        once = (x.grad, inner.grad, y.grad)
        y.backward()
        y.backward()
        assert once == (4 * 3.0**3, 2 * 9.0, 1.0)
        assert (x.grad, inner.grad, y.grad) == tuple(3 * g for g in once)

    def test_backward_of_two_results_adds_up_in_what_they_share(self):
        x = Scalar(3.0)
        shared = x * x
        (shared * 2).backward()
        (shared + x).backward()
        assert shared.grad == 2 + 1
        assert x.grad == 2 * 6 + 6 + 1

    def test_a_leaf_alone(self):
        x = Scalar(4.0)
        x.backward()
        assert x.grad == 1.0

    def test_what_was_not_used_gets_no_gradient(self):
        x, unused = Scalar(1.0), Scalar(1.0)
        _ = unused * x
        (x * 2).backward()
        assert unused.grad is None

    def test_setting_data_changes_no_earlier_result(self):
        x = Scalar(3.0)
        y = x * x
        x.data = 100.0
        y.backward()
        assert (y.data, x.grad) == (9.0, 6.0)

    def test_sixty_diamonds(self):
        # 2**60 paths lead from the result to x: the pass visits nodes, not paths
        x = Scalar(1.0)
        y = x
        for _ in range(60):
            y = y + y
        y.backward()
        assert x.grad == y.data == 2.0**60

    def test_a_node_waits_for_all_that_it_feeds(self):
        # x feeds y directly and by a long way round: passing its gradient on too early would lose one of them
        w = Scalar(2.0)
        x = w * 3
        far = x
        for _ in range(50):
            far = far * 1.0
        (x + far).backward()
        assert (x.grad, w.grad) == (2.0, 6.0)

    def test_a_chain_of_a_million(self):
        assert sys.getrecursionlimit() < 100_000
        gc.disable()  # it would walk the growing chain again and again, which is slow and shows nothing
        try:
            x = Scalar(1.0)
            references = sys.getrefcount(x)
            y = x
            for _ in range(1_000_000):
                y = -y
            y.backward()
            assert x.grad == 1.0
            del y  # and it is taken down without recursion
            assert sys.getrefcount(x) == references
        finally:
            gc.enable()

    def test_memory_goes_back_without_the_garbage_collector(self):
        gc.collect()
        gc.disable()
        try:
            before = sum(isinstance(o, Scalar) for o in gc.get_objects())
            x = Scalar(1.0)
            y = (x * x + x.tanh()).exp()
            y.backward()
            del x, y
            assert sum(isinstance(o, Scalar) for o in gc.get_objects()) == before
        finally:
            gc.enable()


class TestNumberLike:
    @pytest.mark.parametrize("two", [2, 2.0, Fraction(2), np.float32(2), np.int64(2), np.float64(2)])
    def test_every_real_number_is_taken_from_either_side(self, two):
        x = Scalar(two)
        assert type(x.data) is float
        results = [x + two, two + x, x * two, two * x, x / two, two / x, x - two, two - x, x**two, two**x]
        assert [r.data for r in results] == [4, 4, 4, 4, 1, 1, 0, 0, 4, 4]
        assert all(type(r) is Scalar and type(r.data) is float for r in results)

    def test_equality_is_identity(self):
        assert Scalar(1.0) != Scalar(1.0)
        x = Scalar(1.0)
        assert x == x
        assert len({x, x, Scalar(1.0)}) == 2

    def test_float_leaves_the_graph(self):
        assert math.sqrt(Scalar(9.0)) == 3.0

    def test_sum_of_a_list(self):
        xs = [Scalar(1.0), Scalar(2.0)]
        total = sum(xs)
        total.backward()
        assert (total.data, [x.grad for x in xs]) == (3.0, [1.0, 1.0])

    def test_repr_tells_value_op_and_gradient(self):
        x = Scalar(2)
        y = x**2
        assert (repr(x), repr(y)) == ("Scalar(2.0)", "Scalar(4.0, op='**2')")
        y.backward()
        assert (repr(x), repr(y)) == ("Scalar(2.0, grad=4.0)", "Scalar(4.0, op='**2', grad=1.0)")

    def test_copy_and_pickle_keep_the_graph(self):
        y = Scalar(2.0) ** 2
        for twin in (copy.deepcopy(y), pickle.loads(pickle.dumps(y))):
            twin.backward()
            assert twin._parents[0].grad == 4.0
            assert y.grad is None

    def test_other_attributes_are_refused(self):
        with pytest.raises(AttributeError, match="gradient"):
            Scalar(1.0).gradient = 2.0


ARITHMETIC = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
}


class TestErrors:
    @pytest.mark.parametrize("bad", ["1", None, 1j, [1.0], np.complex64(1), np.ones(2), np.array(1.0)])
    def test_what_is_no_real_number_is_named(self, bad):
        with pytest.raises(TypeError, match=f"Scalar: expected a real number .* got a {type(bad).__name__}"):
            Scalar(bad)

    @pytest.mark.parametrize("op", ARITHMETIC)
    @pytest.mark.parametrize("make", [
        lambda: ag.Tensor(1.0), lambda: ag.Tensor([1.0, 2.0], requires_grad=True), lambda: np.ones(3),
        lambda: np.array(2.0), lambda: "2", lambda: 2j,
    ], ids=["0-d Tensor", "Tensor", "array", "0-d array", "str", "complex"])  # fmt: skip
    def test_arithmetic_with_anything_else_is_a_type_error_on_either_side(self, op, make):
        x, other = Scalar(2.0), make()
        named = rf"Scalar {re.escape(op)}: expected a real number .* got a {type(other).__name__};"
        with pytest.raises(TypeError, match=named):
            ARITHMETIC[op](x, other)
        with pytest.raises(TypeError, match=r"Scalar"):
            ARITHMETIC[op](other, x)

    def test_a_tensor_is_not_made_of_scalars_in_silence(self):
        with pytest.raises(TypeError, match="Scalar"):
            ag.Tensor(Scalar(1.0))
        with pytest.raises(TypeError, match="Scalar"):
            ag.exp(Scalar(1.0))

    def test_numpy_functions_refuse_a_scalar(self):
        with pytest.raises(TypeError, match="Scalar"):
            np.sin(Scalar(1.0))

    @pytest.mark.parametrize("x", [0.0, -0.0, -1.5])
    def test_log_of_a_number_that_is_not_positive(self, x):
        with pytest.raises(ValueError, match=rf"log: expected a number > 0, but got {x}"):
            Scalar(x).log()

    def test_division_by_zero(self):
        with pytest.raises(ZeroDivisionError, match="division by zero"):
            Scalar(1.0) / 0
        with pytest.raises(ZeroDivisionError, match="division by zero"):
            1 / Scalar(0.0)
        with pytest.raises(ZeroDivisionError, match="negative power"):
            Scalar(0.0) ** -1

    def test_what_does_not_fit_into_a_float(self):
        with pytest.raises(OverflowError, match="range"):  # Python's own words
            Scalar(710).exp()
        with pytest.raises(OverflowError, match="range"):
            Scalar(1e200) ** 2

    def test_a_root_of_a_negative_number(self):
        with pytest.raises(ValueError, match=r"power: -8.0 \*\* 0.5 is not real; .* whole exponent"):
            Scalar(-8.0) ** 0.5
        with pytest.raises(ValueError, match=r"power: -8.0 \*\* 0.5 is not real"):
            (-8.0) ** Scalar(0.5)
