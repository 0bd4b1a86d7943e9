"""Memory goes back as soon as nobody needs it, without the garbage collector, and little is kept meanwhile."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import autograd as ag
from autograd.graph import Node
from autograd.kernels import conv, im2col
from autograd.kernels.window import resolve

MB = 2**20


def leaf(*values: float) -> ag.Tensor:
    return ag.Tensor(np.array(values), requires_grad=True)


def large(requires_grad: bool = True) -> ag.Tensor:
    """A Tensor of a megabyte."""
    return ag.Tensor(np.full(MB // 8, 0.5), requires_grad=requires_grad)


@pytest.fixture(autouse=True)
def _without_the_garbage_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def traced():
    """Gives functions that tell the megabytes in use, and the most of them since the last call."""
    tracemalloc.start()

    def now() -> float:
        return tracemalloc.get_traced_memory()[0] / MB

    def peak() -> float:
        found = tracemalloc.get_traced_memory()[1] / MB
        tracemalloc.reset_peak()
        return found

    yield now, peak
    tracemalloc.stop()


@contextlib.contextmanager
def no_cycles() -> Iterator[None]:
    """Fails where Tensors, nodes or frames of the engine are left for the garbage collector to find."""
    gc.collect()
    gc.garbage.clear()
    flags = gc.get_debug()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield
        gc.collect()
        left = [type(thing).__name__ for thing in gc.garbage if isinstance(thing, (ag.Tensor, Node, BaseException))]
    finally:
        gc.set_debug(flags)
        gc.garbage.clear()
    assert left == []


# ---------------------------------------------------------------------- no reference cycles


@ag.Op(outputs=("sine", "cosine"))
def sincos(x):
    return np.sin(x), np.cos(x)


sincos.vjp(lambda g, sine, cosine, wanted: (g[0] * cosine - g[1] * sine,), inputs=1)


@ag.Op
def failing_forward(x):
    raise ValueError("mine")


@ag.Op
def failing_rule(x):
    return np.array(x)


failing_forward.vjp(lambda g: g)
failing_rule.vjp(lambda g: ag.matmul(g, np.ones((7, 7))))


def ignoring(work: Callable[[], Any]) -> None:
    with contextlib.suppress(ValueError, TypeError, RuntimeError):
        work()


def forward() -> None:
    x = leaf(1.0, 2.0)
    (ag.exp(x) * x).sum()


def backward() -> None:
    x = leaf(1.0, 2.0)
    (ag.exp(x) * x + ag.concatenate([x[1:], x[:1]])).sum().backward()


def higher_orders() -> None:
    x = leaf(1.0, 2.0)
    y = (ag.exp(x) * ag.sin(x)).sum()
    for _ in range(3):
        (dx,) = ag.gradients(y, [x], create_graph=True)
        y = dx.sum()


def grads_with_history() -> None:
    x = leaf(1.0, 2.0)
    for _ in range(2):
        (x * x * x).sum().backward(create_graph=True)


def hooks_and_retain_grad() -> None:
    x = leaf(1.0, 2.0)
    h = x * 3
    h.retain_grad()
    h.register_hook(lambda g: g * 2)
    remove = x.register_hook(print)
    remove()
    (h * h).sum().backward(create_graph=True)


def several_outputs() -> None:
    x = leaf(1.0, 2.0)
    sine, cosine = sincos(x)
    (dx,) = ag.gradients(sine.sum(), [x], create_graph=True)
    ag.gradients(dx.sum(), [x, cosine], create_graph=True)


def an_output_that_is_made_anew() -> None:
    x = leaf(1.0, 2.0)
    (dx,) = ag.gradients(sincos(x)[0].sum(), [x], create_graph=True)
    ag.gradients(dx.sum(), [x])


def an_error_in_a_forward() -> None:
    x = leaf(1.0)
    ignoring(lambda: failing_forward(x * 2))
    ignoring(lambda: x @ np.ones((2, 2)))


def an_error_in_a_rule() -> None:
    y = failing_rule(leaf(1.0) * 2)
    ignoring(lambda: y.backward(retain_graph=True))
    ignoring(lambda: y.backward(create_graph=True))


def an_error_in_a_hook() -> None:
    def fail(g: ag.Tensor) -> None:
        raise ValueError("mine")

    x = leaf(1.0)
    h = x * 2
    h.register_hook(fail)
    ignoring((h * h).backward)


def a_freed_graph() -> None:
    y = leaf(1.0) * 2
    y.backward()
    ignoring(y.backward)


def modes() -> None:
    x = leaf(1.0)
    with ag.scope("a"), ag.observe(ag.Observer()), ag.anomaly():
        (x * 2).backward()
        with ag.no_grad():
            x += 1.0
    with contextlib.suppress(ValueError), ag.no_grad(), ag.scope("b"):
        raise ValueError


def an_anomaly() -> None:
    x = leaf(0.0)
    with ag.anomaly():
        ignoring(lambda: ag.sqrt(x).backward())
        ignoring(lambda: ag.log(x))


def checking() -> None:
    ag.gradcheck(lambda x: ag.sin(x) * x, [0.5, 1.0])


def plain_arrays_out() -> None:
    x = leaf(1.0, 2.0)
    list(x)
    np.sin(x)
    x > 0
    ignoring(lambda: np.trace(x))
    ignoring(lambda: np.asarray(x))


@pytest.mark.parametrize("work", [
    forward, backward, higher_orders, grads_with_history, hooks_and_retain_grad, several_outputs,
    an_output_that_is_made_anew, an_error_in_a_forward, an_error_in_a_rule, an_error_in_a_hook, a_freed_graph, modes,
    an_anomaly, checking, plain_arrays_out,
])
def test_there_are_no_reference_cycles(work):
    work()  # what is made once (plans, caches) is made here
    with no_cycles():
        work()


def test_a_cycle_would_be_found():
    def work() -> None:
        x = leaf(1.0)
        x.register_hook(lambda g: g * x)  # the hook holds x, and x's node the hook

    with pytest.raises(AssertionError, match="Tensor"), no_cycles():
        work()


# ---------------------------------------------------------------------- everything goes with its last Tensor


def test_a_graph_goes_with_the_last_tensor_that_leads_to_it():
    x = leaf(1.0, 2.0)
    h = ag.exp(x)
    y = (h * h).sum()
    refs = [weakref.ref(thing) for thing in (h, h._node, h.data, y, y._node, y._node.parents[0])]
    del h
    assert refs[0]() is None  # the handle is gone, its node and array are needed
    assert refs[1]() is not None
    assert refs[2]() is not None
    del y
    assert [ref() for ref in refs] == [None] * 6
    assert x.grad is None


def test_a_leaf_that_nobody_holds_gets_no_gradient_and_is_gone():
    x, w = leaf(1.0), leaf(2.0)
    y = x * w
    ref = weakref.ref(x)
    del x
    assert ref() is None
    y.backward()
    assert w.grad.item() == 1.0


def test_gradients_at_higher_orders_go_with_their_last_tensor():
    x = leaf(1.0, 2.0)
    y = (ag.exp(x) * ag.exp(x)).sum()
    (dx,) = ag.gradients(y, [x], create_graph=True)
    (ddx,) = ag.gradients(dx.sum(), [x], create_graph=True)
    refs = [weakref.ref(t._node) for t in (y, dx, ddx)]
    del y
    assert refs[0]() is None or refs[0]() in _ancestors(dx._node)
    del dx
    assert refs[1]() is None or refs[1]() in _ancestors(ddx._node)
    del ddx
    assert [ref() for ref in refs] == [None] * 3


def _ancestors(node: Node) -> set[Node]:
    found, stack = {node}, [node]
    while stack:
        new = [parent for parent in stack.pop().parents if parent is not None and parent not in found]
        found.update(new)
        stack.extend(new)
    return found


def test_nothing_of_a_backward_pass_outlives_it():
    class Refs(ag.Observer):
        def around_rule(self, node: Node, index: int | None, g: Any, run: Any) -> Any:
            given = run()
            refs.append(weakref.ref(given))
            return given

    refs: list[weakref.ref] = []
    x = leaf(1.0, 2.0)
    y = (ag.exp(x) * ag.sin(x) * 2).sum()
    with ag.observe(Refs()):
        y.backward()
    assert len(refs) == 6
    assert [ref() for ref in refs] == [None] * 6


def test_output_nodes_go_with_their_tensors():
    x = leaf(1.0, 2.0, 3.0)
    first, second = ag.split(x, [1])
    node, output = weakref.ref(first._node.parents[0]), weakref.ref(second._node)
    del second
    assert output() is None
    del first
    assert node() is None


def test_a_hook_goes_with_the_tensor_it_is_on():
    class Hook:
        def __call__(self, g: ag.Tensor) -> None:
            return None

    x, hook = leaf(1.0), Hook()
    ref = weakref.ref(hook)
    remove = x.register_hook(hook)
    del hook, x
    assert ref() is not None  # `remove` can still take it away
    del remove
    assert ref() is None


# ---------------------------------------------------------------------- what is kept for backward


def test_x_times_a_constant_keeps_only_the_constant():
    x, constant = leaf(1.0, 2.0), np.array([3.0, 4.0])
    y = x * constant
    array = weakref.ref(x.data)
    node = y._node
    del x, y
    assert array() is None
    assert node.saved[0] is constant


def test_a_product_of_two_keeps_both():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = x * w
    arrays = [weakref.ref(x.data), weakref.ref(w.data)]
    node = y._node
    del x, w, y
    assert all(array() is not None for array in arrays)
    del node
    assert all(array() is None for array in arrays)


NOT_KEPT = {
    "reshape": lambda x: x.reshape(2, 2),
    "transpose": lambda x: x.reshape(2, 2).T,
    "sum": lambda x: x.sum(),
    "mean": lambda x: x.mean(axis=0),
    "broadcast_to": lambda x: ag.broadcast_to(x, (3, 4)),
    "add": lambda x: x + 1,
    "subtract": lambda x: 1 - x,
    "negative": lambda x: -x,
    "a slice": lambda x: x[1:],
    "an index": lambda x: x[[0, 0, 3]],
    "concatenate": lambda x: ag.concatenate([x, x]),
    "split": lambda x: ag.split(x, 2)[0],
    "pad": lambda x: ag.pad(x, 1),
    "cumsum": lambda x: ag.cumsum(x),
    "exp, which keeps its result": lambda x: ag.exp(x),
    "where": lambda x: ag.where([True, False, True, False], x, 0.0),
}


@pytest.mark.parametrize("name", NOT_KEPT)
def test_an_op_whose_rule_does_not_ask_for_its_input_does_not_keep_it(name):
    x = leaf(1.0, 2.0, 3.0, 4.0)
    node = NOT_KEPT[name](x)._node
    array = weakref.ref(x.data)
    shape = x.shape
    del x
    assert array() is None
    assert node.op is not None
    assert shape == (4,)


def test_reshape_keeps_a_shape():
    y = ag.reshape(leaf(1.0, 2.0), (2, 1))
    assert y._node.saved == ((2,),)


def test_a_chain_keeps_one_array_for_each_value_that_a_rule_needs(traced):
    now, _ = traced
    x = large()
    before = now()
    y = x
    for _ in range(10):
        y = (y.reshape(2, -1) + 1.0).reshape(-1) * 2.0  # keeps shapes and the number 2
    assert now() - before < 1.5  # the last array alone
    for _ in range(10):
        y = ag.tanh(y)
    assert 9.5 < now() - before < 10.5


def test_nothing_is_kept_under_no_grad(traced):
    now, peak = traced
    x = large()
    before = now()
    peak()
    with ag.no_grad():
        y = x
        for _ in range(20):
            y = ag.tanh(y) * y
    assert now() - before < 1.5
    assert peak() - before < 4.5


# ---------------------------------------------------------------------- what backward gives back


def test_saved_values_are_freed_by_backward_while_the_output_is_still_held(traced):
    now, _ = traced
    x = large()
    before = now()
    y = x
    for _ in range(20):
        y = ag.tanh(y)
    total = y.sum()
    del y
    assert now() - before > 19.5
    total.backward()
    assert now() - before < 1.5  # x.grad
    assert total._node.parents[0].op is ag.tanh  # the graph is still there


def test_saved_values_are_freed_as_backward_goes(traced):
    now, peak = traced
    y = x = large()
    for _ in range(20):
        y = ag.tanh(y)
    before = now()
    total = y.sum()
    del y
    peak()
    total.backward()
    assert peak() - before < 6
    assert x.grad is not None


def test_gradients_are_dropped_as_backward_goes(traced):
    now, peak = traced
    x = large()
    y = x
    for _ in range(50):
        y = -(y * 2.0)
    total = y.sum()
    before = now()
    peak()
    total.backward()
    assert peak() - before < 5
    assert now() - before < 1.5


def test_an_error_in_backward_frees_the_gradients(traced):
    now, _ = traced

    def fail(g: ag.Tensor) -> None:
        raise ValueError("mine")

    h = large() * 2.0
    h.register_hook(fail)
    y = (h * 3.0).sum()
    before = now()
    ignoring(y.backward)
    assert now() - before < 0.5


def test_a_training_loop_does_not_grow(traced):
    now, _ = traced
    w = large()

    def step() -> None:
        nonlocal w
        w.grad = None
        loss = (ag.tanh(w) * w).sum()
        loss.backward()
        with ag.no_grad():
            w -= 0.1 * w.grad

    step()
    before = now()
    for _ in range(5):
        step()
    assert abs(now() - before) < 0.1


def test_gradients_that_record_do_not_grow_either(traced):
    now, _ = traced
    x = large()

    def step() -> None:
        (dx,) = ag.gradients((x * x * x).sum(), [x], create_graph=True)
        ag.gradients((dx * dx).sum(), [x])

    step()
    before = now()
    for _ in range(5):
        step()
    assert abs(now() - before) < 0.1


# ---------------------------------------------------------------------- nothing is copied that need not be


def test_a_thousand_uses_of_a_leaf_make_one_gradient_array(traced):
    now, peak = traced
    x = large()
    total = x[0] * 0
    for _ in range(100):
        total = total + x.sum()
    before = now()
    peak()
    total.backward()
    assert peak() - before < 4
    np.testing.assert_array_equal(x.grad.data, np.full(x.size, 100.0))


# ---------------------------------------------------------------------- scratch memory of convolutions


def conv2d_scratch(traced, images: int, stride: int, kernel: int, method: str, channels: int) -> dict[str, float]:
    """The megabytes that each of the kernels takes at most beyond its results, from its fourth call to its eighth.

    In some calls threads copy their chunks at the same time, in others one after the other.
    """
    window = resolve("conv2d", (32, 32), kernel, stride, kernel // 2)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((images, 32, 32, channels), np.float32)
    w = rng.standard_normal((kernel, kernel, channels, 32), np.float32)
    # as cotangents are that come from a transposed array
    dout = rng.standard_normal((images, 32, *window.out), np.float32).transpose(0, 2, 3, 1)
    settings = window, 1, method
    calls = {
        "conv2d": lambda: conv.conv2d(x, w, None, *settings),
        "conv2d_input_grad": lambda: conv.conv2d_input_grad(dout, w, *settings),
        "conv2d_weight_grad": lambda: conv.conv2d_weight_grad(x, dout, *settings),
        "conv2d_grads": lambda: conv.conv2d_grads(x, dout, w, *settings),
    }
    found = {}
    for name, call in calls.items():
        for _ in range(3):
            call()  # what is kept from call to call, by each thread, is there now and is not counted
        found[name] = max(beyond_results(traced, call) for _ in range(5))
    return found


def beyond_results(traced, call) -> float:
    now, peak = traced
    before = now()
    peak()
    result = call()
    most = peak()
    return most - before - sum(part.nbytes for part in (result if type(result) is tuple else [result])) / MB


@pytest.mark.parametrize(("stride", "kernel", "method", "channels"), [
    (1, 3, "im2col", 32), (1, 3, "winograd", 32), (2, 3, "auto", 32), (2, 1, "auto", 32), (3, 5, "auto", 32),
    (2, 5, "auto", 4), (1, 5, "auto", 2),
])
def test_the_scratch_memory_of_a_convolution_and_its_gradients_does_not_grow_with_the_batch(
        traced, stride, kernel, method, channels, monkeypatch):
    monkeypatch.setattr(conv, "_PIECE_BYTES", 1 << 18)
    few, many = (conv2d_scratch(traced, images, stride, kernel, method, channels) for images in (64, 256))
    for name, megabytes in many.items():
        assert megabytes <= few[name] + 1, (name, few, many)  # views and steps take some kilobytes


@pytest.fixture
def two_threads_and_small_chunks(monkeypatch):
    before = ag.get_num_threads()
    ag.set_num_threads(2)
    monkeypatch.setattr(im2col, "_CHUNK_BYTES", 1 << 16)
    monkeypatch.setattr(im2col, "_LEAST_PIXELS_WEIGHT_GRAD", 64)
    im2col._plan.cache_clear()
    yield
    im2col._plan.cache_clear()
    ag.set_num_threads(before)


def test_a_thread_that_stands_still_makes_no_more_parts_wait_for_a_larger_batch(
        traced, two_threads_and_small_chunks, monkeypatch):
    window = resolve("conv2d", (8, 8), 3, 1, 1)
    stands_still = threading.Lock()  # whoever gets it

    columns_of, stood_still = im2col._Columns.of, []

    def slowly(*args):
        if stands_still.acquire(blocking=False):
            stood_still.append(True)
            time.sleep(0.3)
        return columns_of(*args)

    def megabytes(images):
        x = np.ones((images, 8, 8, 32), np.float32)
        with monkeypatch.context() as patch:
            stands_still.acquire(blocking=False)
            im2col.conv2d_weight_grad(x, x, window)  # the buffers of both threads are there now
            patch.setattr(im2col._Columns, "of", slowly)
            stands_still.release()
            peak()
            im2col.conv2d_weight_grad(x, x, window)
        return peak() - x.nbytes / MB

    _, peak = traced
    few, many = megabytes(128), megabytes(512)
    assert len(stood_still) == 2
    assert many <= few + 1
