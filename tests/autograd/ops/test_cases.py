"""What holds for every op, over the case table: values, dtypes, memory layouts, nothing changed, nothing shared."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import autograd as ag
from autograd.ops import registry
from tests.autograd.ops.cases import CASES, Case, over

ELEMENTWISE = [case for case in CASES if case.elementwise]
BINARY = [case for case in ELEMENTWISE if len(case.inputs) > 1]
WITH_GRADIENT = [case for case in CASES if len(case.no_gradient) < len(case.inexact)]
WITH_AXES = [case for case in CASES if any(i.shape for i in case.inputs)]

# how an array is laid out in memory, and the view of it that has the values
LAYOUTS = {
    "transposed": (lambda x: x.T.copy(), lambda t: t.T),
    "every-second": (lambda x: np.repeat(x, 2, axis=-1), lambda t: t[..., ::2]),
    "backwards": (lambda x: np.flip(x).copy(), lambda t: t[(slice(None, None, -1),) * t.ndim]),
}
EACH_LAYOUT = pytest.mark.parametrize("layout", LAYOUTS)


def each_dtype(cases: list[Case], dtypes: str) -> Any:
    """A test with arguments `case` and `dtype` runs for each of these dtypes that a case supports."""
    pairs = [pytest.param(case, dtype, id=f"{case.id}-{np.dtype(dtype)}")
             for case in cases for dtype in case.dtypes if dtype in dtypes]
    return pytest.mark.parametrize(("case", "dtype"), pairs)


def widest(case: Case) -> str:
    return "d" if "d" in case.dtypes else "D"


def outputs(result: Any) -> tuple:
    return result if isinstance(result, tuple) else (result,)


def leaves(case: Case, arrays: list[np.ndarray]) -> list[Any]:
    """Tensors that require a gradient for the inputs that can have one, the others as they are."""
    return [ag.Tensor(a, requires_grad=True) if i in case.inexact else a for i, a in enumerate(arrays)]


def cotangents(outs: tuple) -> list[ag.Tensor]:
    """Leaves of the outputs' shapes and dtypes, of numbers near 1 of which none is 0."""
    rng = np.random.default_rng(1)
    return [ag.Tensor(rng.uniform(0.5, 1.5, out.shape).astype(out.dtype), requires_grad=True) for out in outs]


def weighted_sum(outs: tuple, gs: list[ag.Tensor]) -> ag.Tensor:
    return sum((out * g).sum() for out, g in zip(outs, gs, strict=True))


def gradients_of(call: Any, inputs: list, order: int = 1) -> list[ag.Tensor]:
    """The gradients of the weighted outputs by the leaves among the inputs.

    Order 2: the gradients of the weighted gradients, by these leaves and the weights.
    """
    xs = [x for x in inputs if type(x) is ag.Tensor]
    outs = outputs(call(*inputs))
    gs = cotangents(outs)
    total = weighted_sum(outs, gs)
    one = np.ones((), total.dtype)  # a complex total needs its cotangent said
    if order == 1:
        return ag.gradients(total, xs, g=one)
    firsts = tuple(ag.gradients(total, xs, g=one, create_graph=True))
    total = weighted_sum(firsts, cotangents(firsts))
    return ag.gradients(total, [*xs, *gs], g=np.ones((), total.dtype))


def assert_close(given: Any, expected: Any, dtype: Any, roundings: int = 16) -> None:
    """Equal but for the rounding of a few operations in that dtype."""
    eps = roundings * np.finfo(dtype).eps if np.dtype(dtype).kind in "fc" else 0
    assert np.shape(given) == np.shape(expected)
    np.testing.assert_allclose(given, expected, rtol=eps, atol=eps * np.max(np.abs(expected), initial=0))


# ---------------------------------------------------------------------- the table itself


def test_every_op_has_a_case_and_every_case_an_op():
    named = {case.op for case in CASES}
    missing = sorted(set(registry()) - named)
    assert not missing, f"these ops have no line in tests/autograd/ops/cases.py: {', '.join(missing)}"
    unknown = sorted(named - set(registry()))
    assert not unknown, f"these cases name no op: {', '.join(unknown)}"


def test_no_two_cases_have_the_same_id():
    ids = [case.id for case in CASES]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(**over(CASES))
def test_a_case_calls_the_op_that_it_names(case):
    called = set()

    class Names(ag.Observer):
        def around_op(self, op, args, params, run):
            called.add(op.name)
            return run()

    with ag.observe(Names()):
        case.call(*case.arrays(widest(case)))
    assert case.op in called


# ---------------------------------------------------------------------- values and dtypes


@each_dtype(CASES, "efdFDiB?")
def test_the_forward_is_the_reference_on_arrays_and_on_tensors(case, dtype):
    arrays = case.arrays(dtype)
    wide = [a.astype({"f": "d", "c": "D", "i": "q", "u": "q", "b": "?"}[a.dtype.kind]) for a in arrays]
    from_arrays = outputs(case.call(*arrays))
    from_tensors = outputs(case.call(*(ag.Tensor(a) if i in case.inexact else a for i, a in enumerate(arrays))))
    for array, tensor, expected in zip(from_arrays, from_tensors, outputs(case.reference(*wide)), strict=True):
        assert isinstance(array, (np.ndarray, np.generic))
        assert type(tensor) is ag.Tensor
        assert type(tensor.data) is np.ndarray
        assert_close(array, expected, dtype)
        np.testing.assert_array_equal(tensor.data, array)


@each_dtype(CASES, "efdFD")
def test_the_result_has_the_dtype_of_the_inputs(case, dtype):
    for out in outputs(case.call(*case.arrays(dtype))):
        assert out.dtype == case.result(np.dtype(dtype))


@pytest.mark.parametrize("order", [1, 2])
@each_dtype(WITH_GRADIENT, "efF")
def test_gradients_keep_the_dtype_of_their_inputs(case, dtype, order):
    arrays = case.arrays(dtype)
    wide = [a.astype("D" if dtype == "F" else "d") if i in case.inexact else a for i, a in enumerate(arrays)]
    found = gradients_of(case.call, leaves(case, arrays), order)
    exact = gradients_of(case.call, leaves(case, wide), order)
    for g in found[: len(case.inexact)]:
        assert g.dtype == np.dtype(dtype)
    for g, expected in zip(found, exact, strict=True):
        assert_close(g.data, expected.data, dtype, roundings=16 * order**2)


# ---------------------------------------------------------------------- shapes that elementwise ops take


@pytest.mark.parametrize(**over(ELEMENTWISE))
def test_an_elementwise_op_takes_inputs_without_axes(case):
    arrays = case.arrays(widest(case), shapes=((),) * len(case.inputs))
    result = case.call(*(ag.Tensor(a) if i in case.inexact else a for i, a in enumerate(arrays)))
    assert result.shape == ()
    assert_close(result.data, case.reference(*arrays), widest(case))
    report = ag.gradcheck(case.call, *arrays, order=2)
    assert report, report


@pytest.mark.parametrize(**over(ELEMENTWISE))
def test_an_elementwise_op_takes_inputs_without_elements(case):
    arrays = case.arrays(widest(case), shapes=((2, 0, 3),) * len(case.inputs))
    inputs = leaves(case, arrays)
    assert case.call(*inputs).shape == (2, 0, 3)
    for g, i in zip(gradients_of(case.call, inputs), case.inexact, strict=True):
        assert g.shape == (2, 0, 3)
        assert g.dtype == arrays[i].dtype


@pytest.mark.parametrize(**over(BINARY))
@given(data=st.data())
@settings(max_examples=8)
def test_inputs_broadcast_as_in_numpy_and_gradients_are_summed_back(case, data):
    shapes = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=len(case.inputs), min_side=0, max_side=3,
                                                         max_dims=3))
    arrays = case.arrays("d", shapes=shapes.input_shapes)
    result = case.call(*arrays)
    assert np.shape(result) == shapes.result_shape
    assert_close(result, case.reference(*arrays), "d")
    report = ag.gradcheck(case.call, *arrays, order=1)
    assert report, report


# ---------------------------------------------------------------------- memory


@EACH_LAYOUT
@pytest.mark.parametrize(**over(WITH_AXES))
def test_views_give_the_results_of_contiguous_arrays(case, layout):
    lay_out, view = LAYOUTS[layout]
    arrays = case.arrays(widest(case))
    views = [view(lay_out(a)) if a.ndim else a for a in arrays]
    for out, expected in zip(outputs(case.call(*views)), outputs(case.call(*arrays)), strict=True):
        assert_close(out, expected, widest(case))


@EACH_LAYOUT
@pytest.mark.parametrize(**over(WITH_AXES))
def test_views_give_the_gradients_of_contiguous_arrays(case, layout):
    lay_out, view = LAYOUTS[layout]
    arrays = case.arrays(widest(case))
    bases = leaves(case, [lay_out(a) if a.ndim else a for a in arrays])
    found = gradients_of(lambda *xs: case.call(*(view(x) if x.ndim else x for x in xs)), bases)
    for g, expected in zip(found, gradients_of(case.call, leaves(case, arrays)), strict=True):
        assert_close(view(g.data) if g.ndim else g.data, expected.data, widest(case))


@EACH_LAYOUT
@pytest.mark.parametrize(**over(CASES))
def test_a_cotangent_that_is_a_view_gives_the_same_gradients(case, layout):
    lay_out, view = LAYOUTS[layout]
    inputs = leaves(case, case.arrays(widest(case)))
    xs = [x for x in inputs if type(x) is ag.Tensor]
    outs = outputs(case.call(*inputs))
    for out, g in zip(outs, cotangents(outs), strict=True):
        laid = view(lay_out(g.data)) if g.ndim else g.data
        found = ag.gradients(out, xs, g=laid, retain_graph=True)
        for a, expected in zip(found, ag.gradients(out, xs, g=g, retain_graph=True), strict=True):
            assert_close(a.data, expected.data, widest(case))


@pytest.mark.parametrize(**over(CASES))
def test_a_cotangent_of_one_repeated_number_gives_the_same_gradients(case):
    inputs = leaves(case, case.arrays(widest(case)))
    xs = [x for x in inputs if type(x) is ag.Tensor]
    for out in outputs(case.call(*inputs)):
        stretched = np.broadcast_to(np.array(1, out.dtype), out.shape)  # strides of 0, and read-only
        found = ag.gradients(out, xs, g=stretched, retain_graph=True)
        plain = ag.gradients(out, xs, g=np.ones(out.shape, out.dtype), retain_graph=True)
        for a, expected in zip(found, plain, strict=True):
            assert_close(a.data, expected.data, widest(case))


@pytest.mark.parametrize(**over(CASES))
def test_arrays_are_not_changed_forward_or_backward(case):
    arrays = case.arrays(widest(case))
    inputs = leaves(case, arrays)
    xs = [x for x in inputs if type(x) is ag.Tensor]
    outs = outputs(case.call(*inputs))
    gs = cotangents(outs)
    held = [x.data if type(x) is ag.Tensor else x for x in (*inputs, *outs, *gs)]
    before = [a.copy() for a in held]
    for a in held:
        a.flags.writeable = False
    outputs(case.call(*inputs))
    for out, g in zip(outs, gs, strict=True):
        firsts = tuple(ag.gradients(out, xs, g=g, create_graph=True))
        if any(first.requires_grad for first in firsts):
            total = weighted_sum(firsts, cotangents(firsts))
            ag.gradients(total, [*xs, g], g=np.ones((), total.dtype), retain_graph=True)
    for a, old in zip(held, before, strict=True):
        np.testing.assert_array_equal(a, old)


@pytest.mark.parametrize("way", ["backward", "gradients", "create_graph"])
@pytest.mark.parametrize(**over(CASES))
def test_gradients_are_contiguous_and_writable_and_share_no_memory(case, way):
    inputs = leaves(case, case.arrays(widest(case)))
    xs = [x for x in inputs if type(x) is ag.Tensor]
    outs = outputs(case.call(*inputs))
    found = []
    for out, g in zip(outs, cotangents(outs), strict=True):
        if way == "backward":
            out.backward(g, retain_graph=True)
        else:
            found += ag.gradients(out, xs, g, create_graph=way == "create_graph", retain_graph=True)
        found.append(g)  # not a gradient, but nothing may share its memory either
    if way == "backward":
        found += [x.grad for x in xs]
    for g in found:
        assert g.data.flags.c_contiguous
        assert g.data.flags.writeable
    for a, b in combinations([t.data for t in found], 2):
        assert not np.shares_memory(a, b)
    for a in (t.data for t in found):
        for b in (*inputs, *outs):
            assert not np.shares_memory(a, b.data if type(b) is ag.Tensor else b)
