"""Op: a forward on arrays, and rules whose parameter names say what is saved."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd as ag
from autograd.ops import registry


def leaf(*values: float) -> ag.Tensor:
    return ag.Tensor(np.array(values), requires_grad=True)


def same(actual: Any, expected: Any) -> None:
    np.testing.assert_array_equal(getattr(actual, "data", actual), expected)


@ag.Op
def swish(x, beta=1.0):
    """x * sigmoid(beta * x)."""
    return x / (1 + np.exp(-beta * x))


swish.vjp(lambda g, x, out, beta: g * (beta * out + ag.sigmoid(beta * x) * (1 - beta * out)))


def doubling(**options: Any) -> Any:
    """An op 2 * x without a rule as yet."""
    @ag.Op(**options)
    def double(x, times=2):
        return np.asarray(x) * times

    return double


# ---------------------------------------------------------------------- an op of your own


def test_an_op_of_one_s_own_passes_gradcheck():
    assert ag.gradcheck(swish, [-2.0, -0.5, 0.0, 1.0, 3.0], order=3)
    assert ag.gradcheck(lambda x: swish(x, beta=2.5), [[-1.0, 0.5]], order=3)


def test_an_op_is_called_named_and_documented_like_its_forward():
    assert repr(swish) == "<Op swish>"
    assert swish.__doc__ == "x * sigmoid(beta * x)."
    assert swish.__name__ == "swish"
    assert swish.__module__ == __name__
    assert swish.input_names == ["x"]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda op: pickle.loads(pickle.dumps(op))])
def test_ops_are_copied_and_pickled_by_name(duplicate):
    for op in registry().values():
        assert duplicate(op) is op


def test_vjp_gives_the_op_back():
    op = doubling()
    assert op.vjp(lambda g, times: g * times) is op


# ---------------------------------------------------------------------- arrays in, arrays out


def test_an_op_called_with_arrays_returns_an_array():
    result = swish(np.array([0.0, 1.0]))
    assert type(result) is np.ndarray
    same(result, [0.0, 1 / (1 + np.exp(-1.0))])


@pytest.mark.parametrize("number", [2, 2.0, True, 2j, np.float32(2), np.int64(2), np.array(2.0)])
def test_an_op_called_with_numbers_returns_what_numpy_does(number):
    result = ag.multiply(number, 3)
    assert result == np.multiply(number, 3)
    assert not isinstance(result, ag.Tensor)
    assert np.asarray(result).dtype == np.multiply(number, 3).dtype


@pytest.mark.parametrize("arguments", [
    (leaf(2.0), 3.0), (3.0, leaf(2.0)), (leaf(2.0), np.array([3.0])), (np.array([3.0]), leaf(2.0)),
    (leaf(2.0), ag.Tensor([3.0])), ([3.0], leaf(2.0)), (leaf(2.0), (3,)),
])
def test_with_any_tensor_among_the_arguments_it_returns_a_tensor(arguments):
    result = ag.multiply(*arguments)
    assert type(result) is ag.Tensor
    assert result.requires_grad
    same(result, [6.0])


def test_where_no_tensor_requires_a_gradient_neither_does_the_result():
    result = ag.multiply(ag.Tensor([2.0]), 3.0)
    assert type(result) is ag.Tensor
    assert not result.requires_grad


@pytest.mark.parametrize(("op", "ufunc"), [
    (ag.add, np.add), (ag.subtract, np.subtract), (ag.multiply, np.multiply), (ag.divide, np.divide),
])
@pytest.mark.parametrize(("x", "y"), [
    (1, 2), (True, 3), (1.5, 0), (1, 0.0), (1j, 2.0), (1j, 0), (1j, np.float64(0.0)), (np.float64(2.0), 0),
    (np.float32(1.0), 1e-300), (np.float32(3.0), 1j),
])
def test_numbers_alone_are_computed_as_numpy_does_also_by_zero(op, ufunc, x, y):
    with np.errstate(all="ignore"):
        for pair in ((x, y), (y, x)):
            result, expected = op(*pair), ufunc(*pair)
            assert type(result) is type(expected)
            np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("other", [np.float32, np.float64, np.int64, float, int])
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide"])
def test_arithmetic_on_single_numbers_has_the_bits_of_arrays_without_axes(name, dtype, other):
    op, ufunc = getattr(ag, name), getattr(np, name)
    rng = np.random.default_rng(0)
    special = [0.0, -0.0, 1.0, 1e-40, 6e4, 3e38, np.inf, np.nan]
    with np.errstate(all="ignore"):
        for value in [*special, *rng.normal(size=8)]:
            for number in rng.integers(-3, 4, 4):
                array = np.array(value, dtype)
                y = other(number) if other in (float, int) else np.array(number, other)
                for swap in (False, True):
                    x = ag.Tensor(array, requires_grad=True)
                    given = y if other in (float, int) else ag.Tensor(y)
                    result = op(given, x) if swap else op(x, given)
                    expected = np.asarray(ufunc(y, array) if swap else ufunc(array, y))
                    assert result.dtype == expected.dtype
                    np.testing.assert_array_equal(result.data, expected)
                    np.testing.assert_array_equal(np.signbit(result.data), np.signbit(expected))


def test_the_forward_of_an_op_gets_an_array_also_of_a_single_number_and_runs_once():
    """A NumPy scalar would be as good for arithmetic, but what is written into its copy is lost without a word."""
    calls = []

    @ag.Op
    def floored(x):
        calls.append(type(x))
        out = x.copy()
        flat = out.reshape(-1)
        flat[flat < 0] = 0
        return out

    floored.vjp(lambda g, x: ag.where(x < 0, 0, g))
    x = ag.Tensor(-3.0, requires_grad=True)
    y = floored(x)
    y.backward()
    assert (y.item(), x.grad.item()) == (0.0, 0.0)
    with ag.no_grad():
        assert floored(x).item() == 0.0
        assert floored(x * 2.0).item() == 0.0
    floored(x * 2.0)  # whose result may be a scalar until somebody looks
    assert calls == [np.ndarray] * 4


def test_an_op_may_say_that_it_takes_scalars():
    seen = []

    @ag.Op(scalars=True)
    def doubled(x):
        seen.append(type(x))
        return x + x

    doubled.vjp(lambda g: g + g)
    doubled(ag.Tensor(np.float64(3.0), requires_grad=True)).backward()
    doubled(leaf(3.0, 4.0))
    doubled(ag.Tensor(3j, requires_grad=True))
    assert seen == [np.float64, np.ndarray, np.ndarray]


def test_parameters_reach_a_forward_that_is_wrapped_by_name():
    def with_settings(forward):
        @functools.wraps(forward)
        def call(x, **settings):
            return forward(x, **settings)

        return call

    @ag.Op
    @with_settings
    def scaled(x, by=2.0):
        return x * by

    scaled.vjp(lambda g, by: g * by)
    assert scaled(np.ones(2), 3.0).tolist() == [3.0, 3.0]
    x = leaf(1.0, 2.0)
    scaled(x, 3.0).sum().backward()
    assert x.grad.data.tolist() == [3.0, 3.0]


def test_an_op_of_arrays_and_tensors_is_recorded_whichever_comes_first():
    @ag.Op
    def fma(x, y, z):
        return x * y + z

    fma.vjp(lambda g, y: g * y, lambda g, x: g * x, lambda g: g)
    y = leaf(3.0, 4.0)
    out = fma(np.ones(2), y, np.ones(2))
    assert out._node.op is fma
    out.sum().backward()
    assert y.grad.data.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("call", [lambda op, by: op(np.ones(3), by=by), lambda op, by: op(np.ones(3), by)])
def test_a_parameter_is_no_tensor_beside_arrays_either(call):
    @ag.Op
    def scaled(x, by=2.0):
        return x * by

    scaled.vjp(lambda g, by: g * by)
    with pytest.raises(TypeError, match="scaled: 'by' is a parameter, not an input"):
        call(scaled, leaf(1.0))


def test_an_error_tells_parameters_that_were_given_by_position():
    @ag.Op
    def shifted(x, by=1):
        raise ValueError("no")

    shifted.vjp(lambda g: g)
    with pytest.raises(ValueError, match=r"shifted: no \(given x \(1,\) float64, by=2\)"):
        shifted(leaf(1.0), 2)


@pytest.mark.parametrize(("outs", "what"), [((np.arange(3), np.zeros(2, bool)), "int64, bool"), ((), "an empty tuple")])
def test_several_outputs_of_which_none_is_of_floats_carry_no_gradient(outs, what):
    @ag.Op
    def ints(x):
        return outs

    ints.vjp(lambda g: g)
    with pytest.raises(TypeError, match=f"ints: the result is {what}, which cannot carry a gradient"):
        ints(leaf(1.0))


@pytest.mark.parametrize("signature", ["__wrapped__", "__signature__"])
def test_parameters_reach_a_forward_that_tells_another_signature_by_name(signature):
    def scaled(x, by=2.0):
        return x * by

    def call(x, **settings):
        return scaled(x, **settings)

    call.__name__ = "scaled"
    setattr(call, signature, scaled if signature == "__wrapped__" else inspect.signature(scaled))
    op = ag.Op(call)
    op.vjp(lambda g, by: g * by)
    assert op(np.ones(2), 3.0).tolist() == [3.0, 3.0]
    x = leaf(1.0)
    op(x, 3.0).sum().backward()
    assert x.grad.data.tolist() == [3.0]


def test_a_parameter_that_nobody_gave_is_none_for_a_rule():
    """As where a wrapper gives it."""
    def with_seven(forward):
        @functools.wraps(forward)
        def call(x):
            return forward(x, 7)

        return call

    @ag.Op
    @with_seven
    def scaled(x, by):
        return x * by

    scaled.vjp(lambda g, by: g if by is None else g * by)
    x = leaf(1.0)
    scaled(x).sum().backward()
    assert x.grad.data.tolist() == [1.0]


@pytest.mark.parametrize("given", [(np.ones(2), np.ones(2), np.ones(2)), (np.ones(2), np.ones(2), np.ones(2), 5)])
def test_a_forward_that_fails_on_arrays_is_called_once(given):
    calls = []

    @ag.Op
    def flaky(x, y, z, by=1):
        calls.append(by)
        if len(calls) == 1:
            raise ValueError("not yet")
        return x

    flaky.vjp(lambda g: g, lambda g: g, lambda g: g)
    given_by = ", by=5" if len(given) > 3 else ""
    text = r"flaky: not yet \(given x \(2,\) float64, y \(2,\) float64, z \(2,\) float64" + given_by + r"\)"
    with pytest.raises(ValueError, match=text):
        flaky(*given)
    assert len(calls) == 1


def test_python_numbers_reach_the_forward_of_an_op_as_they_are():
    @ag.Op
    def cubed(x):
        return x**3

    cubed.vjp(lambda g, x: 3 * g * x**2)
    assert cubed(10**7) == 10**21


@pytest.mark.parametrize("requires_grad", [False, True])
def test_a_complex_number_beside_a_tensor_of_one_number_is_not_divided_as_python_does(requires_grad):
    zero = ag.Tensor(np.float64(0.0), requires_grad=requires_grad)
    with np.errstate(all="ignore"):
        assert np.isinf(((1 + 2j) / zero).data.real)
        assert ((1 + 2j) * zero).data == 0


@given(st.complex_numbers(allow_infinity=True), st.complex_numbers(allow_infinity=True))
def test_recording_changes_no_bit_of_complex_numbers(x, y):
    x, y = ag.Tensor(x, requires_grad=True, dtype=complex), ag.Tensor(y, dtype=complex)
    for op in (ag.add, ag.subtract, ag.multiply, ag.divide):
        with np.errstate(all="ignore"):
            recorded = op(x, y).data
            with ag.no_grad():
                assert recorded.tobytes() == op(x, y).data.tobytes()


def test_the_result_of_single_numbers_is_an_array_and_the_leaf_stays_the_users():
    x = ag.Tensor(2.0, requires_grad=True)
    y = x * x + 1.0
    assert type(y.data) is np.ndarray
    assert y.data.shape == ()
    x.data[...] = 5.0
    assert (x * 1.0).item() == 5.0


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("make", [lambda x: x * 3.0, lambda x: ag.sin(x) + x, lambda x: x.sum()])
def test_the_data_of_a_single_number_is_one_array_and_ops_see_what_is_written_into_it(make, requires_grad):
    y = make(ag.Tensor(2.0, requires_grad=requires_grad))
    before = y.item()
    assert (y.shape, y.ndim, y.size, y.dtype) == ((), 0, 1, np.float32)
    assert y.data is y.data
    assert y.data.item() == before
    assert y.detach().data is y.data
    y.data[...] = 7.0
    assert ((y * 2.0).item(), ag.exp(y).item(), y.item()) == (14.0, np.exp(np.float32(7)), 7.0)


def test_raw_arrays_given_to_ops_are_not_copied():
    w = np.ones(2)
    node = (leaf(1.0, 2.0) * w)._node
    assert any(value is w for value in node.saved)


@pytest.mark.parametrize(("argument", "kind"), [
    ("abc", "str"), (None, "NoneType"), ({1.0}, "set"), (object(), "object"), (ag.Scalar(1.0), "Scalar"),
    ((i for i in range(2)), "generator"), (np, "module"),
])
def test_an_argument_that_is_no_number_is_refused_by_name(argument, kind):
    with pytest.raises(TypeError, match=f"multiply: argument 'y' must be a Tensor, an array or a number, got {kind}"):
        ag.multiply(leaf(1.0), argument)
    with pytest.raises(TypeError, match=f"multiply: argument 'x' must be a Tensor, an array or a number, got {kind}"):
        ag.multiply(argument, leaf(1.0))


@pytest.mark.parametrize("wrap", [ag.Tensor, lambda a: ag.Tensor(a, requires_grad=True)])
def test_arrays_of_objects_are_refused(wrap):
    with pytest.raises(TypeError, match=r"multiply: .*object"):
        wrap(np.ones(2)) * np.array([1.0, None])
    with pytest.raises(TypeError, match=r"add: .*object"):
        wrap(np.ones(2)) + np.array([1, 2], object)


# ---------------------------------------------------------------------- inputs and parameters


def test_inputs_are_as_many_leading_arguments_as_there_are_rules():
    @ag.Op
    def scaled(x, y, z=3, *, w=4):
        return np.asarray(x) * y * z * w

    scaled.vjp(lambda g, y, z, w: g * y * z * w, lambda g, x, z, w: g * x * z * w)
    assert scaled.input_names == ["x", "y"]
    x, y = leaf(1.0), leaf(2.0)
    scaled(x, y, 5, w=6).backward()
    assert (x.grad.item(), y.grad.item()) == (60.0, 30.0)


def test_inputs_and_parameters_may_be_given_by_name_in_any_order():
    x, y = leaf(6.0), leaf(2.0)
    same(ag.divide(y=y, x=x), [3.0])
    ag.divide(y=y, x=x).backward()
    assert (x.grad.item(), y.grad.item()) == (0.5, -1.5)
    same(swish(beta=2.0, x=np.zeros(1)), [0.0])


def test_a_parameter_that_is_not_given_reaches_the_rule_with_its_default():
    x = leaf(3.0)
    op = doubling().vjp(lambda g, times: g * times)
    op(x).backward()
    assert x.grad.item() == 2.0
    op(x, 5).backward()
    assert x.grad.item() == 7.0
    op(x, times=10).backward()
    assert x.grad.item() == 17.0


@pytest.mark.parametrize(("call", "text"), [
    (lambda x: ag.multiply(x), r"multiply: argument 'y' is missing"),
    (lambda x: ag.multiply(x, x, x), r"multiply: takes x, y, got 3 arguments"),
    (lambda x: ag.multiply(x, x, out=x), r"multiply: unknown argument 'out'; it takes x, y"),
    (lambda x: ag.multiply(x, x, x=x), r"multiply: got 'x' by position and by name"),
    (lambda x: ag.sum(x, 0, axis=0), r"sum: got 'axis' by position and by name"),
    (lambda x: ag.sum(x, dtype=float), r"sum: unknown argument 'dtype'; it takes x, axis, keepdims"),
    (lambda x: ag.sum(), r"sum: argument 'x' is missing"),
])
def test_a_call_that_does_not_fit_says_what_the_op_takes(call, text):
    for x in (leaf(1.0), np.ones(1)):
        with pytest.raises(TypeError, match=text):
            call(x)


@pytest.mark.parametrize("call", [
    lambda x: ag.sum(x, ag.Tensor(0)),
    lambda x: ag.sum(x, axis=ag.Tensor(0)),
    lambda x: ag.sum(x.data, axis=ag.Tensor(0)),
    lambda x: ag.sum(x, axis=x),
])
def test_a_tensor_given_for_a_parameter_is_a_type_error(call):
    with pytest.raises(TypeError, match=r"sum: 'axis' is a parameter, not an input .* cannot be a Tensor"):
        call(leaf(1.0))


def test_an_op_without_rules_works_on_arrays_and_names_the_missing_rule_for_tensors():
    @ag.Op
    def blend(x, y):
        return (x + y) / 2

    same(blend(np.ones(2), 3.0), [2.0, 2.0])
    with pytest.raises(TypeError, match=r"blend: no backward rule is given for argument 'x'; give one with blend\.vjp"):
        blend(leaf(1.0), 2.0)
    with pytest.raises(TypeError, match="blend: no backward rule is given for argument 'y'"):
        blend(1.0, y=leaf(1.0))


def test_a_variadic_op_without_a_rule_names_the_missing_rule_too():
    @ag.Op
    def total(*xs):
        return sum(xs)

    same(total(np.ones(2), np.ones(2)), [2.0, 2.0])
    with pytest.raises(TypeError, match=r"total: no backward rule is given"):
        total(leaf(1.0), leaf(2.0))


# ---------------------------------------------------------------------- wrong rules fail at definition


@pytest.mark.parametrize(("rules", "options", "text"), [
    ([lambda g, y: g], {}, r"double.vjp: the rule for 'x' asks for 'y'; it may use g, x, out, times, x_shape"),
    ([lambda g, aux: g], {}, r"asks for 'aux'; it may use g, x, out, times, x_shape"),
    ([lambda g, wanted: g], {}, r"the rule for 'x' asks for 'wanted'"),
    ([lambda g, times_shape: g], {}, r"asks for 'times_shape'"),
    ([lambda x, g: g], {}, r"the rule for 'x' must take the cotangent g first, got \(x, g\)"),
    ([lambda: 0], {}, r"must take the cotangent g first, got \(\)"),
    ([lambda g: g] * 3, {}, r"double.vjp: 3 inputs, but the forward has only the arguments x, times"),
    ([lambda g: (g,)], {"inputs": 1}, r"double.vjp: the joint rule must take `wanted`, one bool per input"),
    ([lambda g, y, wanted: g], {"inputs": 1}, r"the joint rule asks for 'y'; it may use g, x, out, times, x_shape"),
    ([lambda g, wanted: g] * 2, {"inputs": 2}, r"a joint rule stands alone, got 2 rules"),
    ([lambda g, wanted: g], {"inputs": 3}, r"3 inputs, but the forward has only the arguments x, times"),
])
def test_a_rule_that_cannot_work_fails_where_it_is_defined(rules, options, text):
    with pytest.raises(TypeError, match=text):
        doubling().vjp(*rules, **options)


def test_rules_are_given_once_and_all_in_one_call():
    op = doubling().vjp(lambda g, times: g * times)
    with pytest.raises(TypeError, match=r"double.vjp: the rules are given already"):
        op.vjp(lambda g, times: g * times)


def test_a_failed_definition_leaves_the_op_as_it_was():
    op = doubling()
    with pytest.raises(TypeError, match="asks for"):
        op.vjp(lambda g, typo: g)
    op.vjp(lambda g, times: g * times)
    x = leaf(1.0)
    op(x).backward()
    assert x.grad.item() == 2.0


@pytest.mark.parametrize(("forward", "name"), [
    (lambda g: g, "g"), (lambda x, out: x, "out"), (lambda x, *, aux: x, "aux"), (lambda x, wanted=1: x, "wanted"),
    (lambda *g: g, "g"), (lambda *out: out, "out"),
])
def test_reserved_names_are_refused_as_arguments(forward, name):
    with pytest.raises(TypeError, match=f"an argument cannot be called '{name}': rules use that name"):
        ag.Op(forward)
    with pytest.raises(TypeError, match=f"cannot be called '{name}'"):
        ag.Op(lambda x: x, outputs=("y", name))


def test_signatures_of_rules_are_read_once():
    class Rule:
        """A rule whose signature can be read only once."""

        reads = 0

        @property
        def __signature__(self):
            Rule.reads += 1
            return inspect.Signature.from_callable(lambda g, times: None)

        def __call__(self, g, times):
            return g * times

    x = leaf(1.0)
    op = doubling().vjp(Rule())
    for _ in range(3):
        op(x).backward()
    assert (Rule.reads, x.grad.item()) == (1, 6.0)


# ---------------------------------------------------------------------- what is saved


SAVING = [
    (lambda g: g * 6.0, ()),
    (lambda g, y: g * y * 2, ("y",)),
    (lambda g, x, y: g * y * 2 + 0 * x, ("x", "y")),
    (lambda g, out, x: g * (out / x), ("out", "x")),
    (lambda g, x_shape: g * 6.0, ("x_shape",)),
    (lambda g, y_shape, times: g * 3.0 * times, ("y_shape", "times")),
]


@pytest.mark.parametrize(("rule", "names"), SAVING, ids=[", ".join(names) or "nothing" for _, names in SAVING])
def test_whatever_a_rule_names_is_saved_and_nothing_else(rule, names):
    @ag.Op
    def product(x, y, times=2):
        return np.asarray(x) * y * times

    product.vjp(rule, None)
    x, y = leaf(1.0, 4.0), np.array([3.0, 3.0])
    out = product(x, y)
    values = {"x": x.data, "y": y, "out": out.data, "x_shape": (2,), "y_shape": (2,), "times": 2}
    saved = out._node.saved
    assert len(saved) == len(names)
    assert all(value is values[name] or value == values[name] for name, value in zip(names, saved, strict=True))
    out.backward([1.0, 1.0])
    same(x.grad, [6.0, 6.0])


def test_only_the_rules_of_inputs_that_need_a_gradient_save_anything():
    x, w = leaf(1.0, 2.0), np.array([3.0, 4.0])
    assert [id(value) for value in (x * w)._node.saved] == [id(w)]
    assert (x * 2.0)._node.saved == (2.0,)
    assert (x + w)._node.saved == ()
    assert [id(value) for value in (ag.Tensor(w) * x)._node.saved] != [id(x.data)]
    assert len((x * x)._node.saved) == 2


def test_an_exact_argument_name_wins_over_the_shape_of_an_input():
    @ag.Op
    def fill(x, x_shape=None):
        return np.broadcast_to(x, x_shape).copy()

    fill.vjp(lambda g, x_shape: ag.reshape(ag.sum(g), (1,)) * len(x_shape))
    x = leaf(1.0)
    fill(x, (2, 3, 4)).sum().backward()
    assert x.grad.item() == 24.0 * 3


def test_an_exact_input_name_wins_over_the_shape_of_an_input():
    @ag.Op
    def tagged(x, x_shape):
        return np.asarray(x) * x_shape

    tagged.vjp(lambda g, x_shape: g * x_shape, lambda g, x: g * x)
    x, y = leaf(2.0), leaf(5.0)
    tagged(x, y).backward()
    assert (x.grad.item(), y.grad.item()) == (5.0, 2.0)


def test_a_value_saved_twice_is_one_array():
    y = ag.tanh(leaf(0.5))
    (saved,) = y._node.saved
    assert saved is y.data


# ---------------------------------------------------------------------- None rules


def test_no_gradient_flows_into_an_input_whose_rule_is_none():
    condition = ag.Tensor([True, False])
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    out = ag.where(condition, x, y)
    out.sum().backward()
    same(x.grad, [1, 0])
    same(y.grad, [0, 1])


def test_a_tensor_that_requires_a_gradient_is_refused_where_none_can_flow():
    with pytest.raises(TypeError, match=r"where: argument 'condition' has no backward rule .*pass \.detach\(\)"):
        ag.where(leaf(1.0), leaf(2.0), 3.0)
    with ag.no_grad():
        same(ag.where(leaf(1.0), leaf(2.0), 3.0), [2.0])


# ---------------------------------------------------------------------- joint rules


def joint_product() -> tuple[Any, list]:
    """x * y * z with a joint rule for x and y, and what the rule was told."""
    told: list = []

    @ag.Op
    def product(x, y, z=1.0):
        return np.asarray(x) * y * z

    def rule(g: Any, x: Any, y: Any, z: Any, wanted: Any) -> tuple:
        told.append(wanted)
        return g * y * z if wanted[0] else None, g * x * z if wanted[1] else None

    return product.vjp(rule, inputs=2), told


def test_a_joint_rule_gives_one_gradient_for_each_input():
    product, told = joint_product()
    x, y = leaf(2.0), leaf(3.0)
    product(x, y, 10.0).backward()
    assert (x.grad.item(), y.grad.item(), told) == (30.0, 20.0, [(True, True)])
    assert ag.gradcheck(product, [1.5], [2.5], order=3)


def test_a_joint_rule_is_told_which_gradients_are_wanted():
    product, told = joint_product()
    x, y = leaf(2.0), leaf(3.0)
    product(x, 3.0).backward()
    product(2.0, y).backward()
    ag.gradients(product(x, y), [y])
    assert told == [(True, False), (False, True), (False, True)]


def test_a_joint_rule_does_not_run_where_none_of_its_gradients_is_wanted():
    product, told = joint_product()
    h = product(leaf(2.0), leaf(3.0))
    (dh,) = ag.gradients(h * 5, [h])
    assert (dh.item(), told) == (5.0, [])


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("given", [lambda g: (g, g), lambda g: (), lambda g: None, lambda g: g, lambda g: iter((g,))],
                         ids=["two", "none", "None", "an array", "an iterator"])
def test_a_joint_rule_that_gives_anything_but_one_gradient_for_each_input_is_named(create_graph, given):
    op = doubling().vjp(lambda g, wanted: given(g), inputs=1)
    with pytest.raises(RuntimeError, match=r"double: .*joint rule gave"):
        op(leaf(1.0, 2.0)).sum().backward(create_graph=create_graph)


# ---------------------------------------------------------------------- variadic ops


@ag.Op
def product_of_all(*xs, scale=1.0):
    return np.prod(np.stack(xs), axis=0) * scale


def _product_rule(g: Any, xs: Any, scale: Any, wanted: Any) -> list:
    gradients = []
    for i, is_wanted in enumerate(wanted):
        factor = g * scale
        for j, x in enumerate(xs):
            factor = factor if j == i else factor * x
        gradients.append(factor if is_wanted else None)
    return gradients


product_of_all.vjp(_product_rule)


def test_a_variadic_op_takes_any_number_of_inputs():
    for n in (1, 2, 5):
        xs = [leaf(2.0, 3.0) for _ in range(n)]
        product_of_all(*xs, scale=10.0).sum().backward()
        for x in xs:
            same(x.grad, [10 * 2.0 ** (n - 1), 10 * 3.0 ** (n - 1)])


def test_a_variadic_op_s_rule_is_right_at_higher_orders():
    assert ag.gradcheck(lambda a, b, c: product_of_all(a, b, c, scale=2.0), [1.5], [2.5], [0.5], order=3)


def test_a_variadic_op_mixes_tensors_and_constants():
    x = leaf(2.0)
    out = product_of_all([3.0], x, np.array([4.0]), ag.Tensor(np.array([5.0])))
    assert out._node.parents == (None, x._node, None, None)
    out.backward()
    assert x.grad.item() == 60.0


def test_the_same_tensor_may_be_given_several_times():
    x = leaf(2.0)
    product_of_all(x, x, x).backward()
    assert x.grad.item() == 12.0


def test_the_shapes_of_variadic_inputs_are_saved_as_shapes():
    a, b = leaf(1.0, 2.0), leaf(3.0)
    assert ag.concatenate([a, b])._node.saved == (((2,), (1,)), 0)


# ---------------------------------------------------------------------- several outputs


@ag.Op(outputs=("sine", "cosine"))
def sincos(x):
    return np.sin(x), np.cos(x)


sincos.vjp(lambda g, sine, cosine, wanted: (g[0] * cosine - g[1] * sine,), inputs=1)


@ag.Op
def sincos_by_out(x):
    return np.sin(x), np.cos(x)


sincos_by_out.vjp(lambda g, out: g[0] * out[1] - g[1] * out[0])

BOTH = pytest.mark.parametrize("op", [sincos, sincos_by_out])
POINTS = [0.3, 1.1, -2.0]


@BOTH
def test_an_op_with_several_outputs_gives_a_tuple(op):
    x = leaf(*POINTS)
    sine, cosine = op(x)
    assert sine.requires_grad
    assert cosine.requires_grad
    same(sine, np.sin(POINTS))
    same(cosine, np.cos(POINTS))
    assert [type(part) for part in op(x.data)] == [np.ndarray] * 2
    assert not any(part.requires_grad for part in op(x.detach()))


@BOTH
def test_outputs_that_are_not_used_count_as_zeros(op):
    for used, expected in ((0, np.cos(POINTS)), (1, -np.sin(POINTS))):
        x = leaf(*POINTS)
        op(x)[used].sum().backward()
        np.testing.assert_allclose(x.grad.data, expected, rtol=1e-15)


@BOTH
def test_gradients_of_all_outputs_are_added_up(op):
    x = leaf(*POINTS)
    sine, cosine = op(x)
    (sine * 2 + cosine * 3 + sine * cosine).sum().backward()
    expected = 2 * np.cos(POINTS) - 3 * np.sin(POINTS) + np.cos(2 * np.array(POINTS))
    np.testing.assert_allclose(x.grad.data, expected, rtol=1e-14)


@BOTH
@pytest.mark.parametrize("used", [[0], [1], [0, 1]])
def test_an_op_with_several_outputs_is_right_at_every_order(op, used):
    assert ag.gradcheck(lambda x: tuple(op(x)[i] for i in used), POINTS, order=4)


@BOTH
def test_an_output_nobody_holds_is_part_of_the_graph_again_each_time_that_the_gradient_is_taken(op):
    x = leaf(*POINTS)
    sine = op(x)[0].sum()
    total = ag.Tensor(np.zeros(3))
    for _ in range(3):
        (cosine,) = ag.gradients(sine, [x], create_graph=True)
        total = total + cosine
    (second,) = ag.gradients(total.sum(), [x])
    np.testing.assert_allclose(second.data, -3 * np.sin(POINTS), rtol=1e-14)


def test_an_output_and_the_tuple_of_all_may_be_named_by_one_rule():
    @ag.Op(outputs=("one", "two"))
    def exps(x):
        return np.exp(x), np.exp(x)

    exps.vjp(lambda g, two, out, wanted: (g[0] * (two + out[1]) / 2 + g[1] * two,), inputs=1)
    for used in (0, 1):
        assert ag.gradcheck(lambda x, used=used: exps(x)[used], POINTS, order=2)


@BOTH
def test_the_gradient_by_an_output_that_the_user_holds_reaches_second_order(op):
    x = leaf(*POINTS)
    sine, cosine = op(x)
    (dx,) = ag.gradients(sine.sum(), [x], create_graph=True)
    same(dx, np.cos(POINTS))
    # dx is made of the output cosine alone, so that is where its gradient goes
    by_sine, by_cosine = ag.gradients(dx.sum(), [sine, cosine])
    same(by_cosine, np.ones(3))
    same(by_sine, np.zeros(3))


@BOTH
def test_gradients_by_one_output_leave_the_other_alone(op):
    sine, cosine = op(leaf(*POINTS))
    by_sine, by_cosine = ag.gradients((sine * 2).sum(), [sine, cosine])
    same(by_sine, [2, 2, 2])
    same(by_cosine, [0, 0, 0])


@BOTH
def test_outputs_take_hooks_and_retain_grad(op):
    x = leaf(*POINTS)
    sine, cosine = op(x)
    sine.retain_grad()
    cosine.register_hook(lambda g: g * 10)
    (sine * 2 + cosine).sum().backward()
    same(sine.grad, [2, 2, 2])
    np.testing.assert_allclose(x.grad.data, 2 * np.cos(POINTS) - 10 * np.sin(POINTS), rtol=1e-14)


def test_an_op_that_names_its_outputs_saves_only_those_that_a_rule_asks_for():
    @ag.Op(outputs=("big", "small"))
    def parts(x):
        return np.exp(x), np.sum(np.exp(x))

    parts.vjp(lambda g, small, wanted: (g[0] * small,), inputs=1)
    big, small = parts(leaf(1.0, 2.0))
    (saved,) = small._node.parents[0].saved
    same(saved, small.data)


def test_integer_outputs_require_no_gradient():
    @ag.Op
    def top(x):
        return np.max(x), np.argmax(x)

    top.vjp(lambda g, x, out: g[0] * (np.arange(len(x)) == np.asarray(out[1])))
    x = leaf(1.0, 5.0, 2.0)
    value, place = top(x)
    assert value.requires_grad
    assert not place.requires_grad
    value.backward()
    same(x.grad, [0, 1, 0])


@pytest.mark.parametrize("forward", [lambda x: (x, x, x), lambda x: (x,), lambda x: np.asarray(x)])
def test_a_forward_that_does_not_give_the_outputs_it_names_is_named(forward):
    @ag.Op(outputs=("one", "two"))
    def misnamed(x):
        return forward(x)

    misnamed.vjp(lambda g, one, wanted: (g[0] * one,), inputs=1)
    with pytest.raises((TypeError, ValueError, RuntimeError), match=r"misnamed: .*one, two"):
        misnamed(leaf(1.0))


# ---------------------------------------------------------------------- aux


def cutting() -> tuple[Any, list]:
    """relu that puts its mask aside, and what its forward was told."""
    told: list = []

    @ag.Op
    def cut(x, *, need_aux):
        told.append(need_aux)
        mask = x > 0 if need_aux else None
        return np.maximum(x, 0), mask

    return cut.vjp(lambda g, aux: g * aux), told


def test_aux_is_what_the_forward_found_on_the_way():
    cut, _ = cutting()
    x = leaf(-1.0, 2.0)
    y = cut(x)
    same(y, [0, 2])
    (mask,) = y._node.saved
    same(mask, [False, True])
    y.sum().backward()
    same(x.grad, [0, 1])
    assert ag.gradcheck(cut, [-1.0, 2.0, 3.0])


def test_the_forward_is_told_when_nobody_needs_aux():
    cut, told = cutting()
    x = leaf(-1.0, 2.0)
    cut(x)
    cut(x.data)
    cut(x.detach())
    with ag.no_grad():
        cut(x)
    assert told == [True, False, False, False]


def test_need_aux_is_no_parameter_of_the_op():
    cut, _ = cutting()
    with pytest.raises(TypeError, match="cut: unknown argument 'need_aux'"):
        cut(leaf(1.0), need_aux=True)
    assert str(inspect.signature(cut)) == "(x)"


def test_aux_comes_with_several_outputs_too():
    @ag.Op
    def both(x, *, need_aux):
        return (x * 2, x * 3), np.array([2.0, 3.0])

    both.vjp(lambda g, aux, wanted: (g[0] * aux[0] + g[1] * aux[1],), inputs=1)
    x = leaf(1.0)
    double, triple = both(x)
    (double + triple).backward()
    assert x.grad.item() == 5.0


# ---------------------------------------------------------------------- broadcasting, shapes, dtypes of rules


def test_the_gradient_of_an_op_declared_to_broadcast_is_summed_back():
    @ag.Op(broadcasts=True)
    def plus(x, y):
        return np.add(x, y)

    plus.vjp(lambda g: g, lambda g: g)
    x, y = ag.Tensor(np.ones((3, 1)), requires_grad=True), leaf(1.0, 2.0)
    plus(x, y).sum().backward()
    same(x.grad, [[2.0], [2.0], [2.0]])
    same(y.grad, [3.0, 3.0])


def test_an_op_not_declared_to_broadcast_that_does_is_named():
    @ag.Op
    def plus(x, y):
        return np.add(x, y)

    plus.vjp(lambda g: g, lambda g: g)
    x, y = ag.Tensor(np.ones((3, 1)), requires_grad=True), leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"plus: its backward rule for 'x' gave a gradient of shape \(3, 2\), "
                                           r"expected \(3, 1\); correct the rule, or declare Op\(broadcasts=True\)"):
        plus(x, y).sum().backward()


WRONG = {
    "too short": lambda g: g[:2], "one": lambda g: g[:1], "a number": lambda g: 0.0, "too long": lambda g: [0.0] * 4,
}


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("broadcasts", [False, True])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_rule_that_gives_a_wrong_shape_is_named(create_graph, broadcasts, wrong):
    op = doubling(broadcasts=broadcasts).vjp(lambda g: WRONG[wrong](g))
    with pytest.raises(RuntimeError, match=r"double: its backward rule for 'x' gave a gradient of shape .*\(3,\)"):
        op(leaf(1.0, 2.0, 3.0)).sum().backward(create_graph=create_graph)


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_rule_that_gives_nothing_is_named(create_graph):
    op = doubling().vjp(lambda g: None)
    with pytest.raises(RuntimeError, match="double: its backward rule for 'x' gave nothing"):
        op(leaf(1.0)).backward(create_graph=create_graph)


def test_the_variadic_input_of_a_wrong_gradient_is_named_by_number():
    @ag.Op
    def total(*xs):
        return sum(xs)

    total.vjp(lambda g, wanted: (g, g[:1]))
    with pytest.raises(RuntimeError, match=r"total: its backward rule for .*1.* gave a gradient of shape \(1,\)"):
        total(leaf(1.0, 2.0), leaf(1.0, 2.0)).sum().backward()


def test_a_rule_that_uses_a_tensor_besides_its_named_values_is_found_out():
    w = leaf(3.0)
    op = doubling().vjp(lambda g: g * w.detach())
    with pytest.raises(RuntimeError, match=r"double: .* gave a Tensor, so it uses something besides its named values"):
        op(leaf(1.0)).backward()


def test_first_order_backward_hands_rules_raw_arrays_and_higher_orders_tensors():
    seen: list = []

    @ag.Op
    def half(x):
        return np.asarray(x) / 2

    def rule(g: Any, x: Any, out: Any, x_shape: Any) -> Any:
        seen.append((type(g), type(x), type(out), type(x_shape)))
        return g / 2

    half.vjp(rule)
    x = leaf(1.0)
    ag.gradients(half(x), [x])
    ag.gradients(half(x), [x], create_graph=True)
    assert seen == [(np.ndarray, np.ndarray, np.ndarray, tuple), (ag.Tensor, ag.Tensor, ag.Tensor, tuple)]


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_a_rule_s_gradient_is_cast_to_the_dtype_of_its_input(dtype, create_graph):
    op = doubling().vjp(lambda g: g * np.float64(2.0))
    x = ag.Tensor(np.ones(2, dtype), requires_grad=True)
    (dx,) = ag.gradients(op(x).sum(), [x], create_graph=create_graph)
    assert dx.dtype == dtype
    same(dx, [2, 2])


def test_a_result_that_cannot_carry_a_gradient_is_refused():
    @ag.Op
    def count(x):
        return np.count_nonzero(x)

    count.vjp(lambda g, x_shape: ag.broadcast_to(0 * g, x_shape))
    with pytest.raises(TypeError, match=r"count: the result is int64, which cannot carry a gradient; .*\.detach\(\)"):
        count(leaf(1.0, 0.0))
    assert count(leaf(1.0, 0.0).detach()).item() == 1


# ---------------------------------------------------------------------- errors of a forward


@pytest.mark.parametrize("make", [lambda a: a, ag.Tensor, lambda a: ag.Tensor(a, requires_grad=True)])
def test_an_error_in_a_forward_names_the_op_and_shows_what_was_given(make):
    with pytest.raises(ValueError, match=r"^matmul: .*\(given x \(2, 3\) float64, y \(2, 3\) float64\)"):
        ag.matmul(make(np.ones((2, 3))), np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"^sum: axis 2 is out of bounds .*\(given x \(2, 3\) float64, axis=2\)"):
        ag.sum(make(np.ones((2, 3))), axis=2)
    with pytest.raises(ValueError, match=r"^add: .*\(given x \(2,\) float64, y \(3,\) float64\)"):
        ag.add(make(np.ones(2)), [1.0, 2.0, 3.0])


@pytest.mark.parametrize("kind", [ValueError, TypeError, IndexError])
def test_an_error_keeps_its_kind_and_cause_and_is_named_once(kind):
    @ag.Op
    def failing(x):
        raise kind("x is not to my liking")

    @ag.Op
    def polite(x):
        raise kind("polite: x is not to my liking")

    failing.vjp(lambda g: g)
    with pytest.raises(kind, match=r"^failing: x is not to my liking \(given x \(1,\) float64\)$") as caught:
        failing(leaf(1.0))
    assert str(caught.value.__cause__) == "x is not to my liking"
    polite.vjp(lambda g: g)
    with pytest.raises(kind, match=r"^polite: x is not to my liking$"):
        polite(leaf(1.0))


def test_other_errors_come_through_as_they_are():
    @ag.Op
    def failing(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match=r"^'mine'$"):
        failing(np.ones(1))
