"""Convolution and its two gradients against plain loops, an identity, and whole-batch formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
from autograd.kernels import blas, chunks, im2col, padded, winograd
from autograd.kernels.bands import banded
from autograd.kernels.chunks import Kind
from autograd.kernels.conv import conv2d, conv2d_grads, conv2d_input_grad, conv2d_weight_grad
from autograd.kernels.memory import Scratch
from autograd.kernels.phases import phases
from autograd.kernels.window import resolve
from tests.autograd.kernels.cuts import cut_into_stacks, forget_plans


def naive(x, w, dout, window, groups):
    """conv2d(x, w) and the gradients of sum(dout * conv2d(x, w)) by x and w, term by term."""
    y, dx, dw = np.zeros(dout.shape, dout.dtype), np.zeros_like(x), np.zeros_like(w)
    c, o = x.shape[3] // groups, w.shape[3] // groups
    for n, oh, ow, kh, kw, g in np.ndindex(*dout.shape[:3], *window.kernel, groups):
        h = oh * window.stride[0] - window.padding[0][0] + kh * window.dilation[0]
        v = ow * window.stride[1] - window.padding[1][0] + kw * window.dilation[1]
        if not (0 <= h < window.size[0] and 0 <= v < window.size[1]):
            continue
        pixel = (n, h, v, slice(g * c, (g + 1) * c))
        tap = (kh, kw, slice(None), slice(g * o, (g + 1) * o))
        out = (n, oh, ow, slice(g * o, (g + 1) * o))
        y[out] += x[pixel] @ w[tap]
        dx[pixel] += w[tap] @ dout[out]
        dw[tap] += np.outer(x[pixel], dout[out])
    return y, dx, dw


def whole_batch(x, w, window):
    """conv2d of real images with one group as one einsum over all windows of the padded batch."""
    padded = np.pad(x, ((0, 0), *window.padding, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, window.span, axis=(1, 2))
    windows = windows[:, :: window.stride[0], :: window.stride[1], :, :: window.dilation[0], :: window.dilation[1]]
    return np.einsum("nhwcij,ijco->nhwo", windows, w, optimize=True)


def pair(low, high):
    """Pairs of whole numbers from low to high."""
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def convolutions(draw):
    """Shapes and settings of a convolution that fits, with few and many channels, wide and narrow padding."""
    kernel, stride, dilation = draw(pair(1, 3)), draw(pair(1, 3)), draw(pair(1, 2))
    padding = draw(st.sampled_from(["valid", "same"]) | pair(0, 4) | st.tuples(pair(0, 2), pair(0, 2)))
    span = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = tuple(draw(st.integers(s, s + 6)) for s in span)
    window = resolve("conv2d", size, kernel, stride, padding, dilation)
    groups = draw(st.integers(1, 3))
    n, c, o = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 5])), draw(st.integers(1, 2))
    shapes = (n, *size, c * groups), (*kernel, c, o * groups), (n, *window.out, o * groups)
    return window, groups, shapes


def arrays(shapes, dtype=np.float64, seed=0):
    """Small whole numbers, so that every sum is exact in floating point and can be compared with ==."""
    rng = np.random.default_rng(seed)
    draws = [rng.integers(-4, 5, shape) for shape in shapes]
    if np.dtype(dtype).kind == "c":
        draws = [a + 1j * rng.integers(-4, 5, a.shape) for a in draws]
    return [a.astype(dtype) for a in draws]


def all_three(x, w, dout, window, groups=1):
    return (
        conv2d(x, w, None, window, groups),
        conv2d_input_grad(dout, w, window, groups),
        conv2d_weight_grad(x, dout, window, groups),
    )


@given(convolutions())
def test_convolution_and_gradients_equal_the_loops(convolution):
    window, groups, shapes = convolution
    x, w, dout = arrays(shapes)
    for got, expected in zip(all_three(x, w, dout, window, groups), naive(x, w, dout, window, groups), strict=True):
        np.testing.assert_array_equal(got, expected)


@given(convolutions(), st.sampled_from([np.float64, np.complex128]))
def test_both_gradients_at_once_equal_the_loops(convolution, dtype):
    window, groups, shapes = convolution
    x, w, dout = arrays(shapes, dtype)
    _, *expected = naive(x, w, dout, window, groups)
    for got, exact in zip(conv2d_grads(x, dout, w, window, groups), expected, strict=True):
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, exact)


@pytest.mark.parametrize("complex_one", [0, 1, 2])
def test_of_which_each_has_the_dtype_of_what_it_is_made_of(complex_one):
    window = resolve("conv2d", (4, 5), 3, 1, 1)
    x, w, dout = arrays([(2, 4, 5, 2), (3, 3, 2, 3), (2, 4, 5, 3)], np.complex128)
    x, w, dout = (a if i == complex_one else a.real for i, a in enumerate((x, w, dout)))
    dx, dw = conv2d_grads(x, dout, w, window)
    assert (dx.dtype, dw.dtype) == (np.result_type(dout, w), np.result_type(x, dout))
    np.testing.assert_array_equal(dx, conv2d_input_grad(dout, w, window))
    np.testing.assert_array_equal(dw, conv2d_weight_grad(x, dout, window))


@given(convolutions())
def test_each_pixel_is_in_one_phase_unless_no_output_sees_it(convolution):
    window, _, _ = convolution
    count = np.zeros(window.size, int)
    for phase in phases(window):
        count[phase.pixels] += 1
        assert phase.window.stride == (1, 1)
        assert phase.window.out == count[phase.pixels].shape
    assert count.max() <= 1
    ones = np.ones((1, *window.size, 1)), np.ones((*window.kernel, 1, 1)), np.ones((1, *window.out, 1))
    _, times_seen, _ = naive(*ones, window, 1)
    assert (count[times_seen[0, :, :, 0] > 0] == 1).all()


def test_a_plan_keeps_few_steps_and_makes_many_anew():
    window = resolve("conv2d", (224, 224), 3, 1, 1)
    few = im2col._plan(8, window, (3, 3, 3, 16), 1, np.dtype(np.float32), 512)
    many = im2col._plan(512, window, (3, 3, 3, 16), 1, np.dtype(np.float32), 512)
    assert few.steps() is few.steps()
    assert many._steps is None
    assert many.steps() == many.steps()  # with the same kinds, by which buffers are kept


def test_blas_is_limited_for_products_that_it_might_share_out(monkeypatch):
    """With AVX-512 it takes up to a million multiplications in one thread, if the weights are not transposed."""
    monkeypatch.setattr(blas, "has_unpacked", lambda: True)
    window = resolve("conv2d", (10, 10), 3, 1, 1)
    limited = {outputs: im2col._Plan(1, window, (3, 3, 4, outputs), 1, np.dtype(np.float32), 512)._blas
               for outputs in (64, 128, 192, 320)}  # 230, 461, 691 and 1152 thousand multiplications
    assert limited == {64: False, 128: False, 192: True, 320: True}  # more than 128 outputs may be transposed


@pytest.mark.parametrize(("x_shape", "w_shape"), [
    ((1, 1, 1, 5000), (1, 1, 5000, 120)), ((1, 7, 7, 128), (7, 7, 128, 128)), ((1, 1, 31, 30_000), (1, 1, 30_000, 1)),
])  # fmt: skip
def test_blas_is_limited_for_products_of_one_row_or_column(x_shape, w_shape, monkeypatch):
    """They are made by other kernels, which share them out where those for matrices do not."""
    monkeypatch.setattr(blas, "has_unpacked", lambda: True)
    window = resolve("conv2d", x_shape[1:3], w_shape[:2], 1, 0)
    for least_pixels in (im2col._LEAST_PIXELS, im2col._LEAST_PIXELS_WEIGHT_GRAD):
        assert im2col._Plan(1, window, w_shape, 1, np.dtype(np.float32), least_pixels)._blas


def test_a_band_of_single_outputs_is_the_weights_with_zeros_behind():
    w = np.arange(1.0, 37).reshape(3, 3, 2, 2)
    window = resolve("conv2d", (5, 5), 3, 1, 0)
    np.testing.assert_array_equal(banded(w, window, block=1, spare=2), [*w.reshape(18, 2), [0, 0], [0, 0]])


def test_a_small_padded_image_keeps_its_zeros():
    plan = im2col._Plan(1, resolve("conv2d", (6, 6), 3, 1, 1), (3, 3, 2, 3), 1, np.dtype(np.float32), 512)
    [step] = plan.steps()
    x = np.ones((1, 6, 6, 2), np.float32)
    with Scratch() as scratch:
        image = padded.Padded(step.kind, scratch, 8, np.float32)
        image._borders = [Interrupting()]  # nobody writes them
        scratch.array("padded", (1000,), np.float32)[...] = 7  # as another kernel does
        image.fill(x, step, scratch)
    np.testing.assert_array_equal(image.array, np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))))


def test_a_stride_that_leaves_pixels_out_takes_no_more_scratch_memory():
    window = resolve("conv2d", (64, 64), 1, 8, ((0, 1), (0, 0)))
    plan = im2col._plan(128, window, (1, 1, 32, 4), 1, np.dtype(np.float32), 1)
    x = np.broadcast_to(np.float32(1), (128, 64, 64, 32))
    with Scratch() as scratch:
        for step in plan.steps():
            scratch.views(im2col._Columns, step.kind).of(x, step, plan.windows_of(x), scratch)
        assert scratch._buffers["padded"].nbytes <= 2 * im2col._CHUNK_BYTES


@given(convolutions(), st.integers(1, 12))
def test_where_the_work_is_cut_changes_nothing(convolution, rows):
    """Chunks of some rows of an image, of unequal numbers of rows, and of several images."""
    window, groups, shapes = convolution
    x, w, dout = arrays(shapes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(im2col, "_CHUNK_BYTES", 1)
        patch.setattr(im2col, "_LEAST_PIXELS", rows * window.out[1])
        patch.setattr(im2col, "_LEAST_PIXELS_WEIGHT_GRAD", rows * window.out[1])
        forget_plans()  # of what was cut in another way
        results = *all_three(x, w, dout, window, groups), *conv2d_grads(x, dout, w, window, groups)
    forget_plans()
    y, dx, dw = naive(x, w, dout, window, groups)
    for got, expected in zip(results, (y, dx, dw, dx, dw), strict=True):
        np.testing.assert_array_equal(got, expected)


@given(convolutions(), st.integers(1, 3000))
def test_where_the_products_are_cut_changes_nothing(convolution, unpacked):
    """Columns in stacks, where BLAS takes few multiplications without packing."""
    window, groups, shapes = convolution
    x, w, dout = arrays(shapes)
    with cut_into_stacks(unpacked, least=1):
        results = *all_three(x, w, dout, window, groups), *conv2d_grads(x, dout, w, window, groups)
    y, dx, dw = naive(x, w, dout, window, groups)
    for got, expected in zip(results, (y, dx, dw, dx, dw), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_weight_gradient_of_many_chunks_in_stacks_keeps_all_its_digits():
    """More parts than lanes, each of several chunks, whose products are cut: real numbers in double precision."""
    rng = np.random.default_rng(0)
    window = resolve("conv2d", (40, 32), 3, 1, 1)
    x, dout = rng.standard_normal((2, 12, 40, 32, 16))
    with cut_into_stacks(400_000), pytest.MonkeyPatch.context() as patch:
        patch.setattr(im2col, "_CHUNK_BYTES", 1)
        patch.setattr(im2col, "_LEAST_PIXELS_WEIGHT_GRAD", 128)
        patch.setattr(chunks, "_MOST_PARTS", 20)
        got = conv2d_weight_grad(x, dout, window)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    np.testing.assert_allclose(got, np.einsum("nhwcij,nhwo->ijco", seen, dout), rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize(
    ("c", "o", "kernel", "groups", "dtype", "stack", "weighed"),
    [
        pytest.param(16, 16, 3, 1, np.float32, 4, 4, id="few outputs"),
        pytest.param(16, 64, 3, 1, np.float64, 16, 1, id="so many that a gradient of each piece would cost more"),
        pytest.param(32, 32, 3, 2, np.float32, 4, 4, id="few outputs in each group"),
        pytest.param(64, 64, 1, 1, np.float32, 8, 8, id="1x1"),
        pytest.param(16, 256, 1, 1, np.float32, 1, 1, id="many outputs"),
        pytest.param(16, 16, 3, 1, np.complex64, 1, 1, id="complex"),
    ],
)
def test_columns_are_a_stack_where_that_saves_time(c, o, kernel, groups, dtype, stack, weighed):
    window = resolve("conv2d", (32, 32), kernel, 1, "same")
    with cut_into_stacks(), Scratch() as scratch:
        plan = im2col.conv2d_plan(1, window, (kernel, kernel, c // groups, o), groups, np.dtype(dtype), is_biased=False)
        kind = Kind(plan, images=1, rows=32, above=0, real=32, below=0)
        columns = im2col._Columns(kind, scratch)
    assert columns._seen_shape[1] == stack
    assert columns._weighed_pieces == weighed


@pytest.mark.parametrize(
    ("channels", "outputs", "width", "dilation", "in_planes"),
    [
        pytest.param(1, 16, 29, 1, True, id="one channel"),
        pytest.param(1, 16, 32, 2, True, id="one channel and dilation"),
        pytest.param(1, 64, 28, 1, True, id="one channel and many outputs"),
        pytest.param(1, 6, 28, 1, False, id="outputs in blocks"),
        pytest.param(3, 16, 29, 1, False, id="three channels"),
        pytest.param(1, 64, 3, 1, False, id="rows of no more outputs than a window has columns"),
    ],
)
@pytest.mark.parametrize("is_biased", [False, True])
def test_columns_of_one_channel_lie_number_by_number(channels, outputs, width, dilation, in_planes, is_biased):
    """Then what is copied are runs of a row of outputs, not of a window's three numbers."""
    window = resolve("conv2d", (20, width), 3, 1, 1, dilation)
    x, w, b = arrays([(8, 20, width, channels), (3, 3, channels, outputs), (outputs,)])
    plan = im2col.conv2d_plan(8, window, w.shape, 1, x.dtype, is_biased=is_biased)
    with Scratch() as scratch:
        columns = im2col._Columns(plan.steps()[0].kind, scratch)
    from_pixel_to_pixel = columns._columns.strides[3]
    assert (from_pixel_to_pixel == x.itemsize) == in_planes
    got = im2col.conv2d(x, w, b if is_biased else None, plan)
    dout = arrays([got.shape], seed=1)[0]
    y, _, dw = naive(x, w, dout, window, 1)
    np.testing.assert_array_equal(got, y + b if is_biased else y)
    np.testing.assert_array_equal(conv2d_weight_grad(x, dout, window), dw)


ODD_STRIDES = {  # of contiguous arrays with an axis of length 1, whose stride may be anything
    "a channel of stride 0": lambda a: a[..., 0][..., None],
    "a channel as long as an image": lambda a: a.transpose(0, 3, 1, 2).copy().transpose(0, 2, 3, 1),
}


@pytest.mark.parametrize("layout", ODD_STRIDES.values(), ids=ODD_STRIDES)
@pytest.mark.parametrize(("n", "outputs", "stride", "dilation"),
                         [(1, 16, 1, 1), (8, 64, 1, 1), (8, 6, 1, 2), (8, 64, 2, 1)])
def test_images_of_one_channel_may_be_views(layout, n, outputs, stride, dilation):
    window = resolve("conv2d", (28, 28), 3, stride, 0, dilation)
    x, w, dout = arrays([(n, 28, 28, 1), (3, 3, 1, outputs), (n, *window.out, outputs)])
    x = layout(x)
    assert x.flags.c_contiguous
    results = *all_three(x, w, dout, window), *conv2d_grads(x, dout, w, window)
    y, dx, dw = naive(x, w, dout, window, 1)
    for got, expected in zip(results, (y, dx, dw, dx, dw), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_the_weights_of_a_1x1_input_gradient_lie_in_order():
    """They are the transpose of the layer's, of which BLAS would have to pack each piece."""
    window = resolve("conv2d", (8, 8), 1, 1, 0)
    plan = im2col.conv2d_plan(2, window, (1, 1, 64, 16), 1, np.dtype(np.float32), is_biased=False)
    turned = np.arange(16 * 64, dtype=np.float32).reshape(1, 1, 16, 64).swapaxes(2, 3)
    got = plan.weights(turned)
    assert got[0].flags.c_contiguous
    np.testing.assert_array_equal(got[0], turned[0, 0])


class Interrupting:
    """A border whose zeros are not written, as where the user interrupts just then."""

    def __setitem__(self, key, value):
        raise KeyboardInterrupt


@pytest.mark.parametrize("by_winograd", [False, True])
def test_a_convolution_is_right_again_after_an_interrupt_in_the_midst_of_its_zeros(by_winograd):
    window, shape = resolve("conv2d", (16, 16), 3, 1, 1), (8, 16, 16, 32)
    x, w = arrays([shape, (3, 3, 32, 32)], np.float32)
    method = "winograd" if by_winograd else "im2col"
    before = ag.get_num_threads()
    ag.set_num_threads(1)  # so that the buffers are this thread's
    try:
        conv2d(x, w, None, window, method=method)  # buffers grow
        expected = conv2d(x, w, None, window, method=method)  # views of them are kept
        if by_winograd:
            plan, views = winograd._plan(8, window, 32, 32), winograd._Buffers
        else:
            plan, views = im2col.conv2d_plan(8, window, w.shape, 1, x.dtype, is_biased=False), im2col._Columns
        with Scratch() as scratch:
            found = scratch.views(views, plan.steps()[0].kind)
            padded = (found.tiles if by_winograd else found)._padded
            for border in padded._borders:
                border[...] = 7
            scratch.now_holds("padded", "sevens")
        borders, padded._borders = padded._borders, [Interrupting()]
        with pytest.raises(KeyboardInterrupt):
            conv2d(x, w, None, window, method=method)
        padded._borders = borders
        np.testing.assert_array_equal(conv2d(x, w, None, window, method=method), expected)
    finally:
        ag.set_num_threads(before)


@pytest.mark.parametrize("own_bytes", [0, padded._OWN_BYTES])
def test_buffers_of_one_shape_hold_nothing_of_another(own_bytes, monkeypatch):
    """Zeros around the image stay from call to call, where other shapes write into the same memory and where not."""
    monkeypatch.setattr(padded, "_OWN_BYTES", own_bytes)
    forget_plans()
    small, large = resolve("conv2d", (5, 6), 3, 1, 1), resolve("conv2d", (9, 7), 5, 1, 2)
    for window in (small, large, small, small, large):
        x, w, dout = arrays([(2, *window.size, 2), (*window.kernel, 2, 3), (2, *window.out, 3)])
        for got, expected in zip(all_three(x, w, dout, window), naive(x, w, dout, window, 1), strict=True):
            np.testing.assert_array_equal(got, expected)


@given(st.integers(0, 5), st.integers(1, 9), st.integers(1, 5), st.integers(0, 50), st.integers(1, 30), st.booleans())
def test_the_chunks_cover_each_output_row_once_and_in_order(images, height, width, row_bytes, least_pixels, is_shared):
    window = resolve("demo", (height, width), 1, 1, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(im2col, "_CHUNK_BYTES", 100)
        chunks = list(im2col._cut(images, window, row_bytes, least_pixels, is_shared))
    rows = np.arange(images * height).reshape(images, height)
    covered = [row for chunk in chunks for row in rows[chunk.images, chunk.rows].ravel()]
    assert covered == rows.ravel().tolist()
    most = max(100 // max(row_bytes, 1), -(-least_pixels // width))
    assert all(rows[chunk.images, chunk.rows].size <= most for chunk in chunks)
    assert not is_shared or len(chunks) >= min(2, images * height)


FEW_LONG_ROWS = {  # image, channels, kernel, stride, padding: a chunk sees few windows, of long rows
    "padded": (8, 128, 3, 1, 1),
    "whole": (8, 128, 3, 1, 0),
    "strided": (16, 128, 3, 2, 0),
    "pointwise": (8, 512, 1, 1, 0),
    "strided pointwise": (16, 512, 1, 2, 0),
}


@pytest.mark.parametrize(("size", "channels", "kernel", "stride", "padding"), FEW_LONG_ROWS.values(), ids=FEW_LONG_ROWS)
def test_threads_copy_columns_without_the_interpreters_lock(size, channels, kernel, stride, padding, monkeypatch):
    """NumPy keeps it for 500 items or fewer: rows of windows, as items, would be too few."""
    window = resolve("conv2d", (size, size), kernel, stride, padding)
    x, w = arrays([(1, size, size, channels), (kernel, kernel, channels, 512)])
    plan = im2col._Plan(1, window, w.shape, 1, x.dtype, im2col._LEAST_PIXELS)
    made, copied = im2col._Columns.__init__, []

    class Watched:
        def __init__(self, columns):
            self.columns = columns

        def __setitem__(self, key, value):
            copied.append(self.columns[key].size)
            self.columns[key] = value

    def watched(columns, kind, scratch):
        made(columns, kind, scratch)
        if hasattr(columns, "_columns"):
            columns._columns = Watched(columns._columns)

    monkeypatch.setattr(im2col._Columns, "__init__", watched)
    got = im2col.conv2d(x, w, None, plan)
    pointwise = (kernel, stride) == (1, 1)  # no columns at all
    assert len(copied) == (0 if pointwise else len(plan.steps()))
    assert len(plan.steps()) > 1
    assert min(copied, default=501) > 500
    np.testing.assert_allclose(got, whole_batch(x, w, window), rtol=1e-10)


def test_a_large_image_is_cut_into_rows_and_small_images_go_together():
    window = resolve("demo", (64, 64), 3, 1, 1)
    half_a_megabyte_an_image = list(im2col._cut(4, window, (1 << 19) // 64, 1, False))
    assert [chunk.images for chunk in half_a_megabyte_an_image] == [slice(0, 2), slice(2, 4)]
    four_megabytes_an_image = list(im2col._cut(1, window, (4 << 20) // 64, 1, False))
    assert [chunk.rows for chunk in four_megabytes_an_image] == [slice(i, i + 16) for i in (0, 16, 32, 48)]


@pytest.mark.parametrize(
    ("shape", "outputs", "kernel", "stride", "padding"),
    [
        ((3, 70, 60, 16), 8, 3, 1, "same"),
        ((7, 70, 61, 16), 8, 3, 2, "same"),
        ((40, 28, 28, 1), 8, 5, 1, 2),
        ((2, 129, 97, 3), 4, 7, 2, 3),
        ((19, 33, 33, 40), 24, 1, 1, 0),
    ],
)
def test_images_of_real_sizes_equal_the_whole_batch_formula(shape, outputs, kernel, stride, padding):
    """At the chunk sizes that are used, several chunks each."""
    window = resolve("conv2d", shape[1:3], kernel, stride, padding)
    x, w, dout = arrays([shape, (kernel, kernel, shape[3], outputs), (shape[0], *window.out, outputs)], np.float32)
    y, dx, dw = all_three(x, w, dout, window)
    assert len(list(im2col._cut(len(x), window, w[..., 0].nbytes * window.out[1], im2col._LEAST_PIXELS, True))) > 1
    np.testing.assert_array_equal(y, whole_batch(x, w, window))
    # The gradients of a bilinear map are the arrays that give its value back: exact, for the sums are whole.
    total = np.vdot(y.astype(float), dout)
    assert np.vdot(dx.astype(float), x) == total
    assert np.vdot(dw.astype(float), w) == total


@given(convolutions(), st.sampled_from([np.float64, np.complex128]), st.integers(0, 1000))
def test_both_gradients_are_adjoint_to_the_convolution_without_conjugation(convolution, dtype, seed):
    window, groups, shapes = convolution
    x, w, g = arrays(shapes, dtype, seed)
    y, dx, dw = all_three(x, w, g, window, groups)
    assert np.sum(y * g) == np.sum(x * dx) == np.sum(w * dw)


@given(convolutions())
@settings(max_examples=30)
def test_the_bias_is_added_to_each_output(convolution):
    window, groups, shapes = convolution
    x, w, dout = arrays(shapes)
    b = np.arange(1.0, w.shape[3] + 1)
    np.testing.assert_array_equal(conv2d(x, w, b, window, groups), naive(x, w, dout, window, groups)[0] + b)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
@pytest.mark.parametrize(("size", "groups", "with_ones"), [(9, 1, True), (9, 2, True), (3, 1, False), (3, 2, False)])
def test_the_bias_may_be_infinite_as_the_weight_of_a_one_and_where_it_is_added(dtype, size, groups, with_ones):
    window = resolve("conv2d", (size, size), 3, 1, 1)
    x, w = arrays([(1, size, size, 4), (3, 3, 4 // groups, 6)], dtype)
    plan = im2col.conv2d_plan(1, window, w.shape, groups, x.dtype, is_biased=True)
    assert plan.has_ones == (with_ones and np.dtype(dtype).kind != "c")  # complex, 1 * infinity is NaN
    b = np.array([0, 1, -2, np.inf, 3, -np.inf], dtype)
    np.testing.assert_array_equal(conv2d(x, w, b, window, groups), conv2d(x, w, None, window, groups) + b)


# Plain, few channels, mirrored, pointwise, grouped, depthwise, depthwise with a stride.
WAYS = [
    dict(c=6, o=4, groups=1, kernel=3, stride=2),
    dict(c=2, o=4, groups=1, kernel=3, stride=1),
    dict(c=6, o=4, groups=1, kernel=3, stride=1),
    dict(c=6, o=4, groups=1, kernel=1, stride=1),
    dict(c=4, o=6, groups=2, kernel=3, stride=1),
    dict(c=5, o=5, groups=5, kernel=3, stride=1),
    dict(c=5, o=5, groups=5, kernel=3, stride=2),
]


def way(c, o, groups, kernel, stride, n=2):
    window = resolve("conv2d", (7, 6), kernel, stride, "same")
    return window, groups, [(n, 7, 6, c), (kernel, kernel, c // groups, o), (n, *window.out, o)]


@pytest.mark.parametrize("given", WAYS)
@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128, np.int8, np.int64]
)
def test_the_dtype_stays(given, dtype):
    window, groups, shapes = way(**given)
    x, w, dout = (a // 3 if dtype == np.int8 else a for a in arrays(shapes, dtype))  # int8 holds the sums
    wide = np.complex128 if np.dtype(dtype).kind == "c" else np.float64
    expected = naive(x.astype(wide), w.astype(wide), dout.astype(wide), window, groups)
    for got, exact in zip(all_three(x, w, dout, window, groups), expected, strict=True):
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, exact)


@pytest.mark.parametrize("given", WAYS)
@pytest.mark.parametrize(
    ("first", "second"),
    [(np.float32, np.float64), (np.float16, np.float32), (np.float32, np.complex64), (np.int8, np.float32)],
)
def test_mixed_dtypes_promote_as_in_numpy(given, first, second):
    window, groups, shapes = way(**given)
    expected = naive(*arrays(shapes), window, groups)
    for a, b in ((first, second), (second, first)):
        x, w, dout = arrays(shapes)
        results = (
            conv2d(x.astype(a), w.astype(b), None, window, groups),
            conv2d_input_grad(dout.astype(a), w.astype(b), window, groups),
            conv2d_weight_grad(x.astype(a), dout.astype(b), window, groups),
        )
        for got, exact in zip(results, expected, strict=True):
            assert got.dtype == np.result_type(first, second)
            np.testing.assert_array_equal(got, exact)


def test_the_bias_takes_part_in_the_promotion():
    window, groups, shapes = way(**WAYS[0])
    x, w, _ = arrays(shapes, np.float32)
    assert conv2d(x, w, np.ones(4, np.float32), window, groups).dtype == np.float32
    assert conv2d(x, w, np.ones(4, np.float64), window, groups).dtype == np.float64


@pytest.mark.parametrize("groups", [1, 2])
def test_float16_is_summed_in_float32(groups):
    """Counting by one in float16 stops at 2048."""
    window = resolve("conv2d", (60, 60), 60, 1, 0)
    x, w = np.ones((1, 60, 60, groups), np.float16), np.ones((60, 60, 1, groups), np.float16)
    np.testing.assert_array_equal(conv2d(x, w, None, window, groups), np.full((1, 1, 1, groups), 3600))
    dw = conv2d_weight_grad(x, np.ones((1, 60, 60, groups), np.float16), resolve("", (60, 60), 1, 1, 0), groups)
    np.testing.assert_array_equal(dw, np.full((1, 1, 1, groups), 3600))


@pytest.mark.parametrize("given", WAYS)
def test_arguments_may_be_strided_and_are_not_written_to(given):
    window, groups, shapes = way(**given)
    plain = arrays(shapes)
    expected = all_three(*plain, window, groups)

    def reversed_axes(a):
        return np.ascontiguousarray(a.T).T

    def every_second(a):
        wide = np.full((*a.shape[:3], 2 * a.shape[3]), np.nan)
        wide[..., ::2] = a
        return wide[..., ::2]

    def backwards(a):
        return np.ascontiguousarray(a[:, ::-1])[:, ::-1]

    for layout in (np.copy, reversed_axes, every_second, backwards):
        arguments = [layout(a) for a in plain]
        for a in arguments:
            a.flags.writeable = False
        for got, exact in zip(all_three(*arguments, window, groups), expected, strict=True):
            np.testing.assert_array_equal(got, exact)
        for a, before in zip(arguments, plain, strict=True):
            np.testing.assert_array_equal(a, before)


@pytest.mark.parametrize("given", WAYS)
def test_results_do_not_share_memory_with_arguments(given):
    window, groups, shapes = way(**given)
    arguments = arrays(shapes)
    for result in all_three(*arguments, window, groups):
        assert result.flags.c_contiguous
        assert result.flags.writeable
        assert not any(np.shares_memory(result, a) for a in arguments)


@pytest.mark.parametrize("given", WAYS)
def test_an_empty_batch_has_empty_outputs_and_a_weight_gradient_of_zeros(given):
    window, groups, shapes = way(**given, n=0)
    x, w, dout = arrays(shapes, np.float32)
    y, dx, dw = all_three(x, w, dout, window, groups)
    assert (y.shape, dx.shape) == (dout.shape, x.shape)
    np.testing.assert_array_equal(dw, np.zeros(w.shape, np.float32))
    assert y.dtype == dx.dtype == dw.dtype == np.float32


@pytest.mark.parametrize("given", WAYS)
def test_the_same_call_gives_the_same_bits(given):
    window, groups, shapes = way(**given, n=40)
    rng = np.random.default_rng(1)
    arguments = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    first, second = (all_three(*arguments, window, groups) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("groups", [2, 4])
def test_an_infinite_channel_does_not_reach_other_groups(groups):
    window = resolve("conv2d", (5, 5), 3, 1, 1)
    x, w, dout = arrays([(1, 5, 5, 4), (3, 3, 4 // groups, 4), (1, 5, 5, 4)])
    x[..., 0] = dout[..., 0] = np.inf
    with np.errstate(invalid="ignore"):
        results = all_three(x, w, dout, window, groups)
    for result in results:
        last_group = result[..., -4 // groups :] if result.shape != w.shape else result[..., 4 // groups :]
        assert np.isfinite(last_group).all()


@pytest.mark.parametrize("method", ["im2col", "winograd"])
def test_no_channels_make_zeros(method):
    window = resolve("conv2d", (4, 4), 3, 1, 1)
    x, w, dout = np.ones((2, 4, 4, 0), "f"), np.ones((3, 3, 0, 2), "f"), np.ones((2, 4, 4, 2), "f")
    np.testing.assert_array_equal(conv2d(x, w, None, window, method=method), np.zeros((2, 4, 4, 2)))
    np.testing.assert_array_equal(conv2d(x, w, np.ones(2, "f"), window, method=method), np.ones((2, 4, 4, 2)))
    assert conv2d_input_grad(dout, w, window, method=method).shape == x.shape
    assert conv2d_weight_grad(x, dout, window, method=method).shape == w.shape
    dx, dw = conv2d_grads(x, dout, w, window, method=method)
    assert (dx.shape, dw.shape) == (x.shape, w.shape)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda window: conv2d(np.ones((2, 5, 5, 3)), np.ones((3, 3, 4, 2)), None, window),
            r"conv2d: x has shape \(2, 5, 5, 3\) but \(N, 5, 5, 4\) is expected; bring x to that shape, or use",
        ),
        (
            lambda window: conv2d(np.ones((2, 4, 5, 3)), np.ones((3, 3, 3, 2)), None, window),
            r"conv2d: x has shape \(2, 4, 5, 3\) but \(N, 5, 5, 3\) is expected; bring x to that shape, or use",
        ),
        (
            lambda window: conv2d(np.ones((2, 5, 5, 3)), np.ones((2, 3, 3, 2)), None, window),
            r"conv2d: w has shape \(2, 3, 3, 2\) but \(3, 3, C / groups, O\) is expected"
            "; bring w to that shape, or use a window of its kernel$",
        ),
        (
            lambda window: conv2d(np.ones((2, 5, 5, 3)), np.ones((3, 3, 3, 2)), np.ones(3), window),
            r"conv2d: b has shape \(3,\) but w \(3, 3, 3, 2\) has 2 outputs"
            r"; give b one number per output, shape \(2,\)$",
        ),
        (
            lambda window: conv2d(np.ones((2, 5, 5, 4)), np.ones((3, 3, 2, 3)), None, window, 2),
            r"conv2d: 3 output channels cannot be divided into 2 groups"
            "; use a number of groups, at least 1, that divides 3$",
        ),
        (
            lambda window: conv2d_input_grad(np.ones((2, 5, 5, 2)), np.ones((3, 3, 3, 2)), window),
            r"conv2d_input_grad: dout has shape \(2, 5, 5, 2\) but \(N, 3, 3, 2\) is expected; bring dout to that",
        ),
        (
            lambda window: conv2d_weight_grad(np.ones((2, 5, 5, 3)), np.ones((1, 3, 3, 2)), window),
            r"conv2d_weight_grad: dout has shape \(1, 3, 3, 2\) but \(2, 3, 3, 2\) is expected; bring dout to that",
        ),
        (
            lambda window: conv2d_weight_grad(np.ones((2, 5, 5, 3)), np.ones((2, 3, 3, 2)), window, 2),
            r"conv2d_weight_grad: x has shape \(2, 5, 5, 3\) but \(N, 5, 5, 2\) is expected; bring x to that shape",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call, text):
    with pytest.raises(ValueError, match=text):
        call(resolve("conv2d", (5, 5), 3, 1, 0))
