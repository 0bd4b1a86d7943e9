"""2-D convolution and its two gradients as matrix products (im2col), for every stride, padding, dilation and group.

Every window of the input becomes a row of a matrix of columns (OH * OW rows of KH * KW * C numbers), and the
convolution is that matrix times the weights (Chellapilla, Puri and Simard, High performance convolutional
neural networks for document processing, 2006). The matrix is KH * KW times larger than the image, so it is
never made for a whole batch: `_cut` cuts the work into chunks whose columns stay in the cache, `_Columns`
writes the columns of one chunk into a buffer that the thread's next chunk overwrites, and a product does the rest, of
one matrix or of a stack of small ones (`stacks.py`). Chunks are shared out to threads, each product in one thread;
buffers are kept from call to call, and so is the `_Plan`, all that follows from shapes. A depthwise convolution has
`depthwise.Taps` in place of columns.

With few channels the columns have short runs and the products few outputs, both slow. There outputs that lie side by
side in a row are taken as the channels of one: see `bands.py`. Where a single channel's outputs stay single, the
matrix lies transposed in memory, number by number of the columns, so that runs are as long as a row of outputs.

Arrays are NHWC, weights (KH, KW, C / groups, O). All is linear: complex numbers are not conjugated. The cuts
depend on shapes alone and sums are taken in a fixed order: the same bits on each run and for any number of threads.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from .bands import banded, block_of, from_band, in_blocks, nanoseconds_of_pixel
from .blas import is_small, one_blas_thread
from .channels import in_each_row
from .chunks import Chunk, Kind, Plan, Step, cut
from .depthwise import MOST_SUMMED, Layout, Taps, is_depthwise
from .lanes import Lanes
from .memory import Scratch
from .padded import Padded
from .runs import MOST_UNDER_LOCK, run_of, strides_of
from .stacks import pieces
from .threads import share
from .window import Window

__all__ = ["conv2d", "conv2d_and_weight_grad", "conv2d_plan", "conv2d_weight_grad", "nanoseconds"]

Array = np.ndarray[Any, Any]

_CHUNK_BYTES = 1 << 20  # of columns: more falls out of the cache, less makes the BLAS products too short
_LEAST_PIXELS = 512  # in a chunk, else BLAS spends its time on rearranging large weights
_LEAST_PIXELS_WEIGHT_GRAD = 1024  # else adding up the products of the chunks costs as much as they do
_MOST_OUTPUTS = 128  # of a product in pieces: with more, packing is a small part of it
_LEAST_SHARED = 300_000  # nanoseconds of work: below, threads cost as much as they save


def conv2d(x: Array, w: Array, b: Array | None, plan: "_Plan") -> Array:
    """The 2-D convolution (cross-correlation) of x with w, plus b, by a plan that is made for their shapes and dtypes.

    x (N, H, W, C), w (KH, KW, C / groups, O), b (O,) or None -> (N, OH, OW, O), of the plan's `result` dtype.

    >>> from autograd.kernels.window import resolve
    >>> window = resolve("conv2d", size=(3, 3), kernel=2, stride=1, padding=0)
    >>> x, w = np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1))
    >>> conv2d(x, w, None, conv2d_plan(1, window, w.shape, 1, x.dtype, is_biased=False))[0, :, :, 0]
    array([[4., 4.],
           [4., 4.]])
    """
    weights = plan.weights(w, b)
    left_to_add = None if plan.has_ones else b
    pixels = np.empty((plan.pixels, plan.outputs), plan.result)
    products = plan.by_group(pixels)
    whole = plan.windows_of(x)

    def work(steps: Iterator[Step]) -> None:
        with Scratch() as scratch:
            for step in steps:
                columns: Taps | _Columns = scratch.views(plan.views, step.kind)
                columns.times(columns.of(x, step, whole, scratch), weights, products[:, step.pixels], scratch)
                if left_to_add is not None:
                    part = pixels[step.pixels]
                    in_each_row(np.add, part, left_to_add, part)  # here, while the chunk is in the cache

    plan.run(work, plan.steps())
    return pixels.reshape(plan.out_shape)  # (N*OH*OW/block, block*O) -> (N, OH, OW, O)


def conv2d_plan(images: int, window: Window, w_shape: tuple[int, ...], groups: int, dtype: np.dtype[Any],
                *, is_biased: bool) -> "_Plan":
    """The plan of `conv2d` for so many images, a result of that dtype, and a b or none."""
    return _plan(images, window, w_shape, groups, dtype, _LEAST_PIXELS, is_biased)


def conv2d_weight_grad(x: Array, dout: Array, window: Window, groups: int = 1) -> Array:
    """The gradient of sum(dout * conv2d(x, w)) with respect to w.

    x (N, H, W, C), dout (N, OH, OW, O) -> (KH, KW, C / groups, O), zeros for an empty batch.
    """
    return _weight_grad(x, dout, window, groups)


def conv2d_and_weight_grad(x: Array, w: Array, dout: Array, window: Window, groups: int = 1) -> tuple[Array, Array]:
    """conv2d(x, w) and the gradient of sum(dout * conv2d(x, w)) with respect to w: columns are written once for both.

    x (N, H, W, C), w (KH, KW, C / groups, O), dout (N, OH, OW, O) -> (N, OH, OW, O), (KH, KW, C / groups, O).
    """
    out = np.empty((len(x), *window.out, w.shape[3]), np.result_type(x, w))
    return out, _weight_grad(x, dout, window, groups, (w, out))


def _weight_grad(x: Array, dout: Array, window: Window, groups: int,
                 convolve: tuple[Array, Array] | None = None) -> Array:
    """The gradient by the weights; with `convolve` (w, out) conv2d(x, w) is written to out on the way."""
    shape = (*window.kernel, x.shape[3] // groups, dout.shape[3])
    plan = _plan(len(x), window, shape, groups, np.result_type(x, dout), _LEAST_PIXELS_WEIGHT_GRAD)
    douts = plan.pixels_of(dout) if dout.flags.c_contiguous else None  # else that would be a copy of all
    product_of = None if convolve is None else (plan.weights(convolve[0]), plan.pixels_of(convolve[1]))
    whole = plan.windows_of(x)
    parts = plan.parts()
    lanes = Lanes(len(parts), plan.weights_shape, plan.sums)

    def work(numbers: Iterator[int]) -> None:
        with Scratch() as scratch:

            def weigh(step: Step, product: Array) -> None:
                columns: Taps | _Columns = scratch.views(plan.views, step.kind)
                seen = columns.of(x, step, whole, scratch)
                part = plan.pixels_of(dout[step.images, step.rows]) if douts is None else douts[:, step.pixels]
                columns.weigh(seen, part.astype(plan.dtype, copy=False), product, scratch)
                if product_of is not None:
                    columns.times(seen, product_of[0], product_of[1][:, step.pixels], scratch)

            for number in numbers:
                lanes.sum_up(number, parts[number], weigh, scratch)

    plan.run(work, range(len(parts)))
    band = plan.weights_back(lanes.total())
    return from_band(band, window, plan.block).astype(plan.result, copy=False)


def nanoseconds(images: int, window: Window, w_shape: tuple[int, ...], copied: bool = True) -> float:
    """About what a convolution of one group takes on one core; without the copies where columns are there already."""
    block = block_of(images, window, w_shape, groups=1)
    copied &= window.kernel != (1, 1)
    return images * prod(window.out) * nanoseconds_of_pixel(window, w_shape, block, copied)


class _Plan(Plan):
    """What follows from shapes and dtype alone, worked out once for a network that asks for the same in every step.

    block    so many outputs of a row are taken as the channels of one, by a `window` that is wider (`bands.py`)
    outputs  channels of the output then, block * O
    pixels   of all outputs then, N * OH * OW / block
    result   the dtype of the result, and `dtype` the one to compute in: BLAS knows no float16, and sums in float32 are
             more exact
    sums     the dtype in which sums over pixels go on from chunk to chunk
    has_ones whether each column ends with a 1, whose weight is the bias: that saves a walk over the outputs
    runs     numbers side by side in a window of one group: its rows, (KH, 1), or its taps, (KH, KW), each an item of
             `run_dtype`; single numbers, (KH, KW * C), where NumPy would copy so few rows under the interpreter's lock
    in_planes  whether columns lie number by number, each for all pixels: of one channel, with runs of OW numbers, where
             a window's rows have fewer, KW
    is_cut   whether products may be cut into stacks of small ones
    weights_shape  of the weights and their gradient as matrices, without the bias
    views    what a thread keeps for a kind of chunks: `_Columns`, or `Taps` for a depthwise convolution
    """

    def __init__(self, images: int, window: Window, w_shape: tuple[int, ...], groups: int, result: np.dtype[Any],
                 least_pixels: int, is_biased: bool = False) -> None:
        self.result, self.dtype = result, np.dtype(np.float32) if result == np.float16 else result
        self.out_shape = (images, *window.out, w_shape[3])
        self.block = block_of(images, window, w_shape, groups)
        self.outputs = self.block * w_shape[3]
        self.window = window = in_blocks(window, self.block)
        super().__init__(window.size[0], window.padding[0][0], window.stride[0], window.span[0], window.out)
        self.groups, self.channels = groups, w_shape[2] * groups
        self.depthwise = Layout(window, w_shape, groups, self.dtype) if is_depthwise(w_shape, groups) else None
        self.views: Callable[[Kind, Scratch], Taps | _Columns] = Taps if self.depthwise else _Columns
        self.sums = self.depthwise.sums if self.depthwise else self.dtype
        self.pixels = images * prod(window.out)
        numbers = prod(window.kernel) * w_shape[2]  # in a column
        # not for complex numbers, of which 1 * infinity is NaN; with fewer pixels the copy of the weights takes longer
        may_have_ones = is_biased and result.kind != "c" and not self.depthwise and window.kernel != (1, 1)
        self.has_ones = may_have_ones and self.pixels > numbers
        if self.depthwise:
            self._is_shared = self.depthwise.nanoseconds(images) >= _LEAST_SHARED
        else:
            self._is_shared = _is_shared(images, window, (*window.kernel, w_shape[2], self.outputs))
        self._images, self._least_pixels = images, least_pixels
        self._is_padded = window.padded
        # rows of fewer outputs than a window has columns, or of pixels that are apart, are no longer runs than its own
        is_wide = window.out[1] > window.kernel[1] * window.stride[1]
        self.in_planes = self.channels == self.block == 1 and is_wide
        self.run_dtype, self.runs, self._apart = self._as_runs(*window.kernel, w_shape[2])
        matrices = (groups, numbers, self.outputs // groups)
        self.is_cut = self.dtype in (np.float32, np.float64) and matrices[2] <= _MOST_OUTPUTS
        products = self.pixels * (numbers + self.has_ones) * self.outputs
        # weights that are cut are contiguous, see `weights`; others may be transposed
        thinnest = min(self._fewest_pixels(), *matrices[1:])
        self._blas = not self.depthwise and not is_small(products, thinnest, is_transposed=not self.is_cut)
        self.weights_shape = self.depthwise.weights_shape if self.depthwise else matrices

    def _as_runs(self, kh: int, kw: int, depth: int) -> tuple[np.dtype[Any], tuple[int, int], int]:
        """`run_dtype`, `runs`, and how many numbers apart those of a row are; a group's windows are (kh, kw, depth)."""
        if self.groups > 1 or self.window.dilation[1] > 1 or self.in_planes:
            run, apart = depth, self.window.dilation[1] * self.channels
        elif self._is_shared and kh * self._fewest_pixels() <= MOST_UNDER_LOCK:
            run = apart = 1
        else:
            run = apart = kw * depth
        return run_of(self.dtype, run), (kh, kw * depth // max(run, 1)), apart  # no run where there are no channels

    def _fewest_pixels(self) -> int:
        return min((step.pixels.stop - step.pixels.start for step in self.steps()), default=0)

    def chunks(self) -> Iterator[Chunk]:
        row_bytes, least_pixels = _row_bytes(self.window, self.channels, self.dtype), self._least_pixels
        if self.depthwise:
            # twice as many rows: what follows on the sums over rows takes its time for each chunk
            row_bytes = max(self.depthwise.row_bytes() // 2, _CHUNK_BYTES // MOST_SUMMED)
            least_pixels = min(least_pixels, MOST_SUMMED * self.window.out[1])
        return _cut(self._images, self.window, row_bytes, least_pixels, self._is_shared)

    def run(self, work: Callable[[Iterator[Any]], None], items: Sequence[Any]) -> None:
        """work(iterator over the items), in several threads where that is worth it, or in this one."""
        if self._is_shared:
            return share(work, items, self._blas)
        if not self._blas:
            return work(iter(items))
        with one_blas_thread():
            work(iter(items))

    def weights(self, w: Array, b: Array | None = None) -> Array:
        """w (KH, KW, C/groups, O) as `_Columns.times` takes it, (groups, KH*KW*C/groups, O/groups), or `Taps.times`.

        With b (O,) as the last row, (groups, KH*KW*C/groups + 1, O/groups), where columns have ones.
        """
        w = w.astype(self.dtype, copy=False)
        if self.depthwise:
            return self.depthwise.weights(w)
        # (KH, KW, C/g, O) -> (KH*KW*C/g, block*O), and a row for the bias where columns have ones
        matrix = banded(w, self.window, self.block, spare=self.has_ones)
        if self.has_ones:
            matrix[-1].reshape(self.block, -1)[...] = b  # (block*O,) -> (block, O)
        # of a 1x1 kernel it may be transposed, which BLAS does not take without packing
        return self.by_group(np.ascontiguousarray(matrix) if self.is_cut else matrix)

    def weights_back(self, weights: Array) -> Array:
        """What `weights` makes of a band, as the band (KH, KW, C/groups, O)."""
        if self.depthwise:
            return self.depthwise.weights_back(weights)
        shape = (*self.window.kernel, self.channels // self.groups, self.outputs)
        return weights.swapaxes(0, 1).reshape(shape)  # (g, KH*KW*C/g, O/g) -> (KH*KW*C/g, g, O/g) -> (KH, KW, C/g, O)

    def pixels_of(self, out: Array) -> Array:
        """(n, rows, OW, O) -> `by_group`, of rows of an output or its cotangent; a view where they are contiguous."""
        pixels = prod(out.shape[:3]) // self.block
        return self.by_group(out.reshape(pixels, self.outputs))  # (n, rows, OW, O) -> (n*rows*OW/block, block*O)

    def by_group(self, pixels: Array) -> Array:
        """(M, block*O) -> (groups, M, block*O/groups), a view; for a depthwise convolution (1, M, O)."""
        return _by_group(pixels, 1 if self.depthwise else self.groups)

    def windows_of(self, x: Array) -> Array | None:
        """`view` of x; None where that takes a copy, padded or of the dtype."""
        if self._is_padded or x.dtype != self.dtype or not x.flags.c_contiguous:
            return None
        if self.depthwise:
            return None if self.depthwise.is_copied else self.depthwise.view(x, self.window.out[0])
        return self.view(x, self.window.out[0])

    def view(self, x: Array, rows: int) -> Array:
        """The windows of x, which is padded already, as (groups, images, rows, OW, *runs), a view of `run_dtype`."""
        n, h, w, c = strides_of(x)
        (sh, sw), dh, groups = self.window.stride, self.window.dilation[0], self.groups
        shape = (groups, len(x), rows, self.window.out[1], *self.runs)
        strides = (c * (self.channels // groups), n, h * sh, w * sw, h * dh, c * self._apart)
        return np.ndarray(shape, self.run_dtype, x, 0, strides)  # what as_strided does, in a tenth of its 10 us


_plan = lru_cache(maxsize=1024)(_Plan)


def _is_shared(images: int, window: Window, w_shape: tuple[int, ...]) -> bool:
    """Whether the work is worth several threads."""
    return images * prod(window.out) * nanoseconds_of_pixel(window, w_shape) >= _LEAST_SHARED


def _row_bytes(window: Window, channels: int, dtype: np.dtype[Any]) -> int:
    """Of what an output row takes in buffers: its columns, or where a stride leaves pixels out, what it sees."""
    seen = window.stride[0] * (window.size[1] + sum(window.padding[1]))
    return max(window.out[1] * prod(window.kernel), seen) * channels * dtype.itemsize


def _cut(images: int, window: Window, row_bytes: int, least_pixels: int, is_shared: bool) -> Iterator[Chunk]:
    """Chunks of about `_CHUNK_BYTES` of columns, where an output row takes row_bytes; two at least if shared."""
    height, width = window.out
    most_rows = max(_CHUNK_BYTES // max(row_bytes, 1), -(-least_pixels // width))
    if is_shared:
        most_rows = min(most_rows, max(images * height // 2, 1))
    if most_rows >= images * height > 0:
        return iter([Chunk(slice(0, images), slice(0, height))])
    return cut(images, height, most_rows)


class _Columns:
    """A thread's buffers for the columns of chunks of one kind, and for a padded copy of what they see, if need be.

    Made once, see `Scratch.views`.
    """

    def __init__(self, kind: Kind, scratch: Scratch) -> None:
        plan, window = kind.plan, kind.plan.window
        self._padded: Padded | None = None
        self._pointwise, self._dtype = window.kernel == window.stride == (1, 1), plan.dtype
        pixels = (kind.images, kind.rows, window.out[1])
        depth = plan.channels // plan.groups
        numbers = prod(window.kernel) * depth
        count, length, outputs = prod(pixels), numbers + plan.has_ones, plan.outputs // plan.groups
        each = length * outputs if plan.is_cut else 0
        self._seen_shape = _stack(plan.groups, count, length, pieces(count, each))
        self._out_shape = _stack(plan.groups, count, outputs, pieces(count, each))
        # each piece of a weight gradient gives all weights: so it has twice as many rows as they have outputs
        self._weighed_pieces = pieces(count, each, least=2 * outputs)
        self._weighed_shape = _stack(plan.groups, count, length, self._weighed_pieces)
        self._dout_shape = _stack(plan.groups, count, outputs, self._weighed_pieces)
        if not self._pointwise:
            matrices = scratch.array("columns", (plan.groups, count, length), plan.dtype)
            if plan.in_planes:
                # (1, n*r*OW, K) -> (1, K, n*r*OW) -> (1, n*r*OW, K), a view
                matrices = matrices.reshape(1, length, count).swapaxes(1, 2)
            by_run = matrices[:, :, :numbers].view(plan.run_dtype)  # (g, n*r*OW, K) -> (g, n*r*OW, runs)
            self._columns = by_run.reshape(plan.groups, *pixels, *plan.runs)  # -> (g, n, r, OW, *runs), a view
            self._ones = matrices[:, :, numbers:] if plan.has_ones else None
            self._stacked = matrices.reshape(self._seen_shape)  # (g, n*r*OW, K) -> (g, stack, n*r*OW / stack, K)

    def of(self, x: Array, step: Step, whole: Array | None, scratch: Scratch) -> Array:
        """What the chunk sees of x, (groups, stack, pixels / stack, KH*KW*C/groups), and 1 where the plan `has_ones`.

        whole  x's windows if it needs no copy
        """
        if whole is not None:
            windows = whole[:, step.images, step.rows]
        else:
            self._padded = self._padded or self._pad(step.kind, scratch)
            self._padded.fill(x, step, scratch)
            windows = self._windows
        if self._pointwise:  # no copy
            # (groups, images, rows, OW, 1, 1) -> (.., 1, C/groups) -> (groups, stack, pixels / stack, C/groups)
            return windows.view(self._dtype).reshape(self._seen_shape)
        self._columns[...] = windows
        if self._ones is not None:
            self._ones[...] = 1
        return self._stacked

    def _pad(self, kind: Kind, scratch: Scratch) -> Padded:
        """The padded copy, with its windows, as the plan's `view` has them."""
        plan, window = kind.plan, kind.plan.window
        padded = Padded(kind, scratch, window.size[1] + sum(window.padding[1]), plan.dtype)
        self._windows = plan.view(padded.array, kind.rows)
        return padded

    def times(self, seen: Array, weights: Array, out: Array, scratch: Scratch) -> None:
        """Writes what the chunk sees times the weights to out (groups, pixels, O/groups), the pixels of the chunk."""
        out = out.reshape(self._out_shape)  # (groups, pixels, O/g) -> (groups, stack, pixels / stack, O/g), a view
        # (groups, stack, pixels / stack, K) @ (groups, 1, K, O/groups), K = KH*KW*C/groups, and 1 with ones
        np.matmul(seen, weights[:, None], out=out)

    def weigh(self, seen: Array, dout: Array, dw: Array, scratch: Scratch) -> None:
        """Writes what it sees times dout (groups, pixels, O/groups), summed over pixels, to dw (`weights_shape`)."""
        stack = self._weighed_pieces
        products = dw[:, None] if stack == 1 else scratch.array("products", (len(dw), stack, *dw.shape[1:]), dw.dtype)
        seen = seen.reshape(self._weighed_shape)  # (g, stack, pixels / stack, K) -> the same in a stack of its own
        dout = dout.reshape(self._dout_shape)  # (g, pixels, O) -> (g, stack, pixels / stack, O)
        # (g, stack, pixels / stack, K) -> (g, stack, K, pixels / stack), @ (g, stack, pixels / stack, O)
        np.matmul(seen.swapaxes(2, 3), dout, out=products)
        if stack > 1:
            np.add.reduce(products, axis=1, out=dw)


def _stack(groups: int, rows: int, width: int, count: int) -> tuple[int, int, int, int]:
    """The shape of `count` matrices with as many rows, for each group."""
    return groups, count, rows // count, width


def _by_group(rows: Array, groups: int) -> Array:
    """(M, groups * channels) -> (groups, M, channels), a view."""
    if groups == 1:
        return rows[None]
    # (M, groups * channels) -> (M, groups, channels) -> (groups, M, channels)
    return rows.reshape(len(rows), groups, rows.shape[1] // groups).swapaxes(0, 1)
