"""Matrix products of all shapes, dot, and einsum in every form, against loops and np.einsum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import autograd as ag
from tests.autograd.ops import naive


def leaf(value: Any) -> ag.Tensor:
    return ag.Tensor(np.asarray(value, np.float64), requires_grad=True)


def normal(*shapes: tuple) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape) for shape in shapes]


# ---------------------------------------------------------------------- matmul, dot


@given(shapes=hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, min_side=0, max_side=3))
@settings(max_examples=60)
def test_matmul_of_all_shapes_that_fit(shapes):
    x, y = normal(*shapes.input_shapes)
    out = ag.matmul(x, y)
    assert np.shape(out) == shapes.result_shape
    np.testing.assert_allclose(out, naive.matmul(x, y), rtol=1e-12, atol=1e-14)
    report = ag.gradcheck(ag.matmul, x, y, order=1)
    assert report, report


@pytest.mark.parametrize(("x_shape", "y_shape"), [
    ((), ()), ((), (2, 3)), ((2, 3), ()), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 2)),
    ((2, 2, 3), (3,)), ((2, 3), (2, 3, 2)), ((3,), (2, 3, 2)), ((2, 1, 3), (2, 3, 2)),
])
def test_dot_is_numpy_s(x_shape, y_shape):
    x, y = normal(x_shape, y_shape)
    np.testing.assert_allclose(ag.dot(x, y), np.dot(x, y))
    report = ag.gradcheck(ag.dot, x, y, order=2)
    assert report, report


@pytest.mark.parametrize(("x_shape", "y_shape"), [((2, 3), (2, 3)), ((3,), (2,)), ((2, 2, 3), (3, 3, 2)), ((), (2,)),
                                                  ((2, 3), ())])
def test_matmul_shows_the_shapes_that_do_not_fit(x_shape, y_shape):
    x, y = normal(x_shape, y_shape)

    def text(shape):
        return rf"\({', ?'.join(map(str, shape))},?\)"

    with pytest.raises(ValueError, match=rf"matmul: .*{text(x_shape)}.*{text(y_shape)}"):
        ag.matmul(leaf(x), y)


# ---------------------------------------------------------------------- einsum

FORMS = {
    "matrix-product": ("ij,jk->ik", (2, 3), (3, 4)),
    "implicit": ("ij,jk", (2, 3), (3, 4)),
    "implicit-in-alphabetical-order": ("ba", (2, 3)),
    "spaces": (" i j , j k -> k i ", (2, 3), (3, 2)),
    "capitals": ("Ab,bA->A", (2, 3), (3, 2)),
    "transposition": ("ijk->kij", (2, 3, 4)),
    "sum": ("ij->", (2, 3)),
    "implicit-sum": ("ii", (3, 3)),
    "diagonal": ("ii->i", (3, 3)),
    "three-times": ("iii->i", (2, 2, 2)),
    "two-diagonals": ("ijij->ij", (2, 3, 2, 3)),
    "diagonal-summed-with-more": ("iij->j", (2, 2, 3)),
    "diagonal-and-vector": ("ii,i->i", (3, 3), (3,)),
    "two-traces": ("ii,jj->", (2, 2), (3, 3)),
    "outer": ("i,j->ij", (2,), (3,)),
    "scalars": (",->", (), ()),
    "scalar-and-vector": (",i->i", (), (3,)),
    "no-letters": ("->", ()),
    "ellipsis": ("...ij,...jk->...ik", (2, 2, 3), (2, 3, 2)),
    "ellipsis-broadcast": ("...ij,jk->...ik", (2, 2, 3), (3, 2)),
    "ellipsis-of-different-lengths": ("...i,...i->...", (2, 3, 2), (3, 2)),
    "ellipsis-of-length-1": ("...i,...i->...", (1, 2), (3, 2)),
    "ellipsis-in-the-middle": ("i...j->j...i", (2, 2, 3)),
    "ellipsis-alone": ("...,...->...", (2, 3), (3,)),
    "ellipsis-implicit": ("...i,i", (2, 3), (3,)),
    "ellipsis-for-nothing": ("...ij->...ji", (2, 3)),
    "letters-of-one-operand-summed": ("ij,kl->l", (2, 3), (2, 2)),
    "letters-of-one-operand-summed-away": ("ij,k->", (2, 3), (2,)),
    "length-1-broadcast": ("ij,ij->ij", (2, 1), (2, 3)),
    "length-1-broadcast-both-ways": ("ij,ij->i", (2, 1), (1, 3)),
    "length-1-and-summed": ("ij,ij->", (2, 1), (2, 3)),
    "length-1-and-summed-apart": ("ij,jk->k", (2, 1), (3, 2)),
    "length-1-and-diagonal": ("ii,i->i", (1, 1), (3,)),
    "three-operands": ("ij,jk,kl->il", (2, 3), (3, 2), (2, 2)),
    "four-operands": ("i,ij,j,k->k", (2,), (2, 3), (3,), (2,)),
    "bilinear": ("bi,ijk,bj->bk", (2, 2), (2, 3, 2), (2, 3)),
    "one-letter-in-three": ("i,i,i->i", (3,), (3,), (3,)),
}


@pytest.mark.parametrize("form", FORMS)
def test_einsum_forms(form):
    subscripts, *shapes = FORMS[form]
    xs = normal(*shapes)
    expected = np.einsum(subscripts, *xs)
    out = ag.einsum(subscripts, *xs)
    assert np.shape(out) == np.shape(expected)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-14)
    report = ag.gradcheck(lambda *ts: ag.einsum(subscripts, *ts), *xs, order=2)
    assert report, report


@st.composite
def drawn_einsums(draw: Any) -> tuple[str, list[tuple]]:
    """Subscripts of one to three operands, with a result of some of their letters, and shapes that fit."""
    lengths = {c: draw(st.integers(1, 3)) for c in "abcd"}
    parts = draw(st.lists(st.text("abcd", min_size=0, max_size=3), min_size=1, max_size=3))
    letters = sorted(set("".join(parts)))
    result = "".join(draw(st.lists(st.sampled_from(letters), unique=True)) if letters else [])
    shapes = [tuple(1 if part.count(c) == 1 and draw(st.booleans()) else lengths[c] for c in part) for part in parts]
    return f"{','.join(parts)}->{result}", shapes


@given(drawn=drawn_einsums())
@settings(max_examples=60)
def test_einsum_of_drawn_letters(drawn):
    subscripts, shapes = drawn
    xs = normal(*shapes)
    np.testing.assert_allclose(ag.einsum(subscripts, *xs), naive.einsum(subscripts, *xs), rtol=1e-12, atol=1e-12)
    report = ag.gradcheck(lambda *ts: ag.einsum(subscripts, *ts), *xs, order=1)
    assert report, report


@pytest.mark.parametrize(("subscripts", "shapes", "message"), [
    ("ij,jk->ik", [(2, 3)], r"einsum: 'ij,jk->ik' names 2 operands, 1 are given"),
    ("ij->i", [(2, 3, 4)], r"einsum: 'ij' in 'ij->i' does not fit an operand of shape \(2, 3, 4\)"),
    ("ijk...->i", [(2, 3)], r"einsum: 'ijk\.\.\.' in 'ijk\.\.\.->i' does not fit an operand of shape \(2, 3\)"),
    ("ii->i", [(2, 3)], r"einsum: the axes of 'i' have different lengths \(2, 3\)"),
    ("ij,jk->ik", [(2, 3), (2, 2)], r"einsum: .*xs\[0\] \(2, 3\) float64, xs\[1\] \(2, 2\) float64"),
    ("ij->ik", [(2, 3)], r"einsum: .*'k'.*xs\[0\] \(2, 3\) float64"),
    ("i->ii", [(2,)], r"einsum: .*'i'.*xs\[0\] \(2,\) float64"),
])
def test_einsum_refuses_what_does_not_fit(subscripts, shapes, message):
    with pytest.raises(ValueError, match=message):
        ag.einsum(subscripts, *map(leaf, normal(*shapes)))


def test_einsum_takes_subscripts_as_a_string():
    with pytest.raises(TypeError, match=r"einsum: subscripts must be a string like 'ij,jk->ik', got ndarray"):
        ag.einsum(np.ones((2, 2)), [0, 1])
