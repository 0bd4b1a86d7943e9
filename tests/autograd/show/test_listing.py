"""listing(y): one line for each leaf and each call, in an order in which they can be worked out."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd as ag
from autograd.show import keep, listing


def leaf(*shape, dtype="float32"):
    return ag.Tensor(np.ones(shape, dtype), requires_grad=True)


def test_lines_show_op_inputs_parameters_shape_dtype_and_scope():
    x, w = leaf(2, 3), leaf(3, 4)
    with ag.scope("net"), ag.scope("dense"):
        h = ag.matmul(x, w)
    y = ag.sum(h, axis=1, keepdims=True)
    assert listing(y, names={"w": w}).splitlines() == [
        "%0 = leaf                            (2, 3) float32",
        "%1 = leaf w                          (3, 4) float32",
        "%2 = matmul(%0, %1)                  (2, 4) float32  net/dense",
        "%3 = sum(%2, axis=1, keepdims=True)  (2, 1) float32",
    ]


BINARY = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply}
UNARY = {"tanh": np.tanh, "sin": np.sin}


def worked_out(text, leaves):
    """The value of the last line, by doing what each line says with NumPy."""
    values = {}
    for line in text.splitlines():
        number, call = re.match(r"(%\d+) = (\S+\(.*?\)|leaf \w+)", line).groups()
        if call.startswith("leaf "):
            values[number] = leaves[call.removeprefix("leaf ")]
            continue
        op, arguments = re.match(r"(\w+)\((.*)\)", call).groups()
        inputs = [values[a] if a in values else float(a) for a in arguments.split(", ")]
        values[number] = {**BINARY, **UNARY}[op](*inputs)
    return values[number]


@given(st.lists(st.tuples(st.sampled_from([*BINARY, *UNARY]), st.integers(0), st.integers(0)), min_size=1,
                max_size=12))
def test_working_out_the_lines_gives_the_value(steps):
    leaves = {"a": np.array([0.3, -1.2]), "b": np.array([2.0, 0.7])}
    tensors = {name: ag.Tensor(array, requires_grad=True) for name, array in leaves.items()}
    made = [*tensors.values()]
    with keep():  # so that constants are known also of ops that save none
        for op, i, j in steps:
            second = [0.25, *made][j % (len(made) + 1)]  # 0.25 has few digits: it is printed exactly
            made.append(getattr(ag, op)(made[i % len(made)], *([second] if op in BINARY else [])))
    text = listing(made[-1], names=tensors)
    np.testing.assert_allclose(worked_out(text, leaves), made[-1].data)
    assert len(text.splitlines()) <= len(made)


def test_a_shared_value_has_one_line():
    x = leaf(2)
    h = ag.exp(x)
    y = (h * h + h).sum()
    assert [line.split("  ")[0].strip() for line in listing(y).splitlines()] == [
        "%0 = leaf", "%1 = exp(%0)", "%2 = multiply(%1, %1)", "%3 = add(%2, %1)", "%4 = sum(%3)",
    ]


def test_several_outputs_stand_in_one_line_with_their_names():
    x = leaf(4, 2)
    first, last = ag.split(x, 2)
    assert "%1, %2 = split(%0, splits=(2,)) -> [0], [1]  (2, 2) float32; (2, 2) float32" in listing(first - last)
    assert "%1 = split(%0, splits=(2,)) -> [1]  (2, 2) float32" in listing(last)
    y, mean, _ = ag.batch_norm(x, leaf(2), leaf(2))
    assert "-> y, mean" in listing(y * mean)


def test_constants_stand_where_they_are_used():
    x = leaf(2, 2)
    mask = np.array([[True, False], [False, True]])
    assert "multiply(%0, 0.5)" in listing(x * 0.5)
    assert "where(<(2, 2) bool>, %0, constant)" in listing(ag.where(mask, x, 0.0))
    assert "subtract(constant, %0)" in listing(1.0 - x)  # no rule needs it, so it is not known any more
    with keep():
        y = 1.0 - x
    assert "subtract(1, %0)" in listing(y)
    assert "concatenate(<(1, 2)>, %0)" in listing(ag.concatenate([np.zeros((1, 2)), x]))  # its shape is saved


def test_an_optional_input_that_was_left_out_is_not_listed():
    x, w = leaf(1, 4, 4, 1), leaf(3, 3, 1, 2)
    assert "conv2d(%0, %1, padding=same)" in listing(ag.conv2d(x, w, padding="same"))
    assert "conv2d(%0, %1, %2)" in listing(ag.conv2d(x, w, leaf(2)))


def test_a_tensor_that_needs_no_gradient_goes_by_its_name():
    x, w = ag.Tensor(np.ones((5, 2))), leaf(2, 3)
    assert "matmul(inputs, %0)" in listing(x @ w, names={"inputs": x, "w": w})


def test_names_come_from_a_dict_from_pairs_or_from_a_module():
    class Module:
        def named_parameters(self):
            yield "layer.weight", w

    w = leaf(2)
    y = w * w
    expected = listing(y, names={"layer.weight": w})
    assert "%0 = leaf layer.weight" in expected
    assert listing(y, names=[("layer.weight", w)]) == expected
    assert listing(y, names=Module()) == expected


def test_keys_dtypes_and_slices_are_short():
    x = leaf(4, 6, dtype="float64")
    y = x[:, 1:6:2].astype("float32")
    assert [line.split("  ")[0].strip() for line in listing(y).splitlines()[1:]] == [
        "%1 = getitem(%0, key=[:, 1:6:2])", "%2 = astype(%1, dtype=float32)",
    ]


def test_numbers_are_few_or_summed_up():
    few = ag.Tensor([1.0, 2.5], requires_grad=True)
    many = ag.Tensor(np.arange(10.0), requires_grad=True)
    odd = ag.Tensor(np.array([3 + 4j] * 10), requires_grad=True)
    with keep():
        text = listing([few * 2.0, many * 2.0, odd * 2.0])
    assert "value [2, 5]" in text
    assert "value min 0, mean 9, max 18" in text
    assert "value |min| 10, |mean| 10, |max| 10" in text


def test_nan_and_infinity_are_said_without_a_warning():
    x = ag.Tensor(np.array([np.nan, np.inf, -np.inf] * 5), requires_grad=True)
    with keep():
        y = ag.negative(x)
    assert "value min nan, mean nan, max nan" in listing(y)


def test_scalars_show_value_and_gradient():
    a, b = ag.Scalar(6.0), ag.Scalar(3.0)
    y = a / b
    assert listing(y, names={"a": a, "b": b}).splitlines() == [
        "%0 = leaf a     value 6  gradient not computed",
        "%1 = leaf b     value 3  gradient not computed",
        "%2 = /(%0, %1)  value 2  gradient not computed",
    ]
    y.backward()
    assert listing(y, names={"a": a, "b": b}).splitlines() == [
        "%0 = leaf a     value 6  gradient 0.333333",
        "%1 = leaf b     value 3  gradient -0.666667",
        "%2 = /(%0, %1)  value 2  gradient 1",
    ]


@pytest.mark.parametrize("start", [ag.Scalar(0.5), ag.Tensor(0.5, requires_grad=True)], ids=["Scalar", "Tensor"])
def test_a_deep_graph_needs_no_recursion(start):
    y = start
    for _ in range(20_000):
        y = y.tanh()
    assert listing(y).splitlines()[-1].startswith("%20000 = tanh(%19999)")


def test_the_listing_is_the_same_before_and_after_backward_but_for_freed_constants():
    x = leaf(3)
    y = ag.sum(ag.exp(x) * ag.sin(x), axis=0)
    before = listing(y)
    y.backward()
    assert listing(y) == before


def test_a_leaf_alone_is_a_graph_of_one_line():
    assert listing(leaf(2), names={}) == "%0 = leaf  (2,) float32"


def test_odd_names_stay_in_their_line():
    x = leaf(1)
    with ag.scope("a\nb"):
        y = x * 2.0
    lines = listing(y, names={"two\nlines\t\x01": x}).splitlines()
    assert len(lines) == 2
    assert "leaf two lines" in lines[0]
    assert lines[1].endswith("a b")


def test_what_is_no_graph_is_refused_by_name():
    with pytest.raises(TypeError, match=r"listing: expected a Scalar, a Tensor, or a list .* got ndarray"):
        listing(np.ones(2))
    with pytest.raises(TypeError, match="got Scalar and Tensor"):
        listing([leaf(1), ag.Scalar(1.0)])
    with pytest.raises(TypeError, match="got an empty list"):
        listing([])
    with pytest.raises(ValueError, match=r"listing: this Tensor \(2,\) has no graph.*requires_grad=True"):
        listing(ag.Tensor([1.0, 2.0]) * 2.0)
    with pytest.raises(TypeError, match=r"give a Scalar, a Tensor or a module to each name, but 'w' has 3\.0"):
        listing(leaf(1), names={"w": 3.0})
