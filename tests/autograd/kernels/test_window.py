"""Window: what stride, padding and dilation come to, checked against counting positions one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd.kernels.window import Window, resolve

sizes = st.tuples(st.integers(1, 12), st.integers(1, 12))
small = st.tuples(st.integers(1, 4), st.integers(1, 4))
ends = st.tuples(st.integers(0, 4), st.integers(0, 4))


def fits(size, kernel, padding, dilation):
    return all((k - 1) * d + 1 <= n + sum(p) for n, k, p, d in zip(size, kernel, padding, dilation, strict=True))


def positions(size, kernel, stride, padding, dilation):
    """The first pixels of all windows along one axis that lie within the padded input."""
    before, after = padding
    span = (kernel - 1) * dilation + 1
    return [start for start in range(-before, size + after, stride) if start + span <= size + after]


@given(sizes, small, small, st.tuples(ends, ends), small)
def test_there_is_an_output_for_every_position_within_the_padded_input(size, kernel, stride, padding, dilation):
    if not fits(size, kernel, padding, dilation):
        with pytest.raises(ValueError, match=r"demo: kernel .* is larger than the padded input"):
            resolve("demo", size, kernel, stride, padding, dilation)
        return
    window = resolve("demo", size, kernel, stride, padding, dilation)
    for axis in (0, 1):
        starts = positions(size[axis], kernel[axis], stride[axis], padding[axis], dilation[axis])
        assert window.out[axis] == len(starts)


@given(sizes, small, small, st.tuples(ends, ends), small, st.data())
def test_a_tap_lists_exactly_the_outputs_that_see_a_real_pixel(size, kernel, stride, padding, dilation, data):
    if not fits(size, kernel, padding, dilation):
        return
    window = resolve("demo", size, kernel, stride, padding, dilation)
    axis = data.draw(st.integers(0, 1))
    k = data.draw(st.integers(0, kernel[axis] - 1))
    first = data.draw(st.integers(0, window.out[axis] - 1))
    stop = data.draw(st.integers(first, window.out[axis]))
    starts = positions(size[axis], kernel[axis], stride[axis], padding[axis], dilation[axis])
    seen = [(o, starts[o] + k * dilation[axis]) for o in range(first, stop)]
    real = [(o, pixel) for o, pixel in seen if 0 <= pixel < size[axis]]
    outputs, pixels = window.tap(axis, k, first, stop)
    numbers = (np.arange(window.out[axis])[outputs].tolist(), np.arange(size[axis])[pixels].tolist())
    assert list(zip(*numbers, strict=True)) == real


@given(sizes, small, small, small)
def test_same_padding_is_the_least_for_in_over_stride_outputs_with_the_odd_pixel_at_the_end(
    size, kernel, stride, dilation
):
    window = resolve("demo", size, kernel, stride, "same", dilation)
    for axis in (0, 1):
        before, after = window.padding[axis]
        wanted = int(np.ceil(size[axis] / stride[axis]))
        assert window.out[axis] == wanted
        assert after - before in (0, 1)
        if before + after > 0:
            fewer = positions(size[axis], kernel[axis], stride[axis], (0, before + after - 1), dilation[axis])
            assert len(fewer) < wanted


@pytest.mark.parametrize(
    ("padding", "resolved"),
    [
        (2, ((2, 2), (2, 2))),
        ((1, 2), ((1, 1), (2, 2))),
        ([1, 2], ((1, 1), (2, 2))),
        (np.int64(1), ((1, 1), (1, 1))),
        ("valid", ((0, 0), (0, 0))),
        ("same", ((1, 1), (2, 2))),
        (((0, 1), (2, 3)), ((0, 1), (2, 3))),
        ([[0, 1], (2, 3)], ((0, 1), (2, 3))),
    ],
)
def test_padding_may_be_an_int_a_pair_a_word_or_the_resolved_form(padding, resolved):
    assert resolve("conv2d", (8, 8), (3, 5), 1, padding).padding == resolved


def test_ints_pairs_and_lists_mean_the_same():
    expected = Window((9, 8), (3, 3), (2, 2), ((1, 1), (1, 1)), (2, 2), (4, 3))
    assert resolve("conv2d", (9, 8), 3, 2, 1, 2) == expected
    assert resolve("conv2d", [9, 8], [3, 3], (2, 2), [1, 1], np.array(2)) == expected
    assert expected.span == (5, 5)


def test_the_same_question_is_answered_from_the_cache():
    assert resolve("conv2d", (28, 28), 3, 1, "same") is resolve("conv2d", [28, 28], (3, 3), (1, 1), "same")


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (dict(stride=0), ValueError, r"conv2d: stride must be at least 1 on both axes, not \(0, 0\); use 1 to skip"),
        (dict(stride=(1, -2)), ValueError, r"conv2d: stride must be at least 1 on both axes, not \(1, -2\)"),
        (dict(dilation=0), ValueError, r"conv2d: dilation must be at least 1 on both axes, not \(0, 0\); use 1 for"),
        (dict(kernel=(0, 3)), ValueError, r"conv2d: kernel must be at least 1 on both axes, not \(0, 3\); use 1 to"),
        (dict(padding=-1), ValueError, r"conv2d: padding must not be negative, not .*crop the input instead"),
        (dict(padding=((0, -1), (0, 0))), ValueError, r"conv2d: padding must not be negative"),
        (dict(padding="full"), ValueError, r"conv2d: padding 'full' is unknown; use an int, a pair, \"valid\""),
        (dict(padding=((1, 1), 1)), ValueError, r"conv2d: padding must be \(\(top, bottom\), \(left, right\)\)"),
        (dict(padding=(1, 1, 1)), ValueError, r"conv2d: padding must be an int or a pair of ints, not \(1, 1, 1"),
        (dict(padding=None), TypeError, r"conv2d: padding must be an int or a pair of ints, not None"),
        (dict(padding=0.5), TypeError, r"conv2d: padding must be an int or a pair of ints, not 0.5"),
        (dict(stride=(1, 2, 3)), ValueError, r"conv2d: stride must be an int or a pair of ints, not \(1, 2, 3\)"),
        (dict(stride=1.0), TypeError, r"conv2d: stride must be an int or a pair of ints, not 1.0"),
        (dict(stride=(1, 1.0)), TypeError, r"conv2d: stride must be an int or a pair of ints, not \(1, 1.0\)"),
        (dict(stride=True), TypeError, r"conv2d: stride must be an int or a pair of ints, not True"),
        (dict(stride="2"), TypeError, r"conv2d: stride must be an int or a pair of ints, not '2'"),
        (dict(stride=np.ones(2)), TypeError, r"conv2d: stride must be an int or a pair of ints, not array"),
        (dict(size=(0, 8)), ValueError, r"conv2d: the image has no pixels: its size \(H, W\) is \(0, 8\)"),
        (
            dict(kernel=9),
            ValueError,
            r"conv2d: kernel \(9, 9\) is larger than the padded input \(8, 8\) .* use a smaller kernel",
        ),
        (
            dict(dilation=4),
            ValueError,
            r"conv2d: kernel \(3, 3\) with dilation \(4, 4\) covers \(9, 9\) and is larger than",
        ),
    ],
)
def test_what_makes_no_window_is_refused_by_the_name_of_the_op(given, error, text):
    resolve("conv2d", (8, 8), 3, 1, 0)  # 1.0 == 1: an answer in the cache must not let a float pass
    settings = dict(size=(8, 8), kernel=3, stride=1, padding=0, dilation=1) | given
    with pytest.raises(error, match=text):
        resolve("conv2d", **settings)
