"""Several threads, tasks and processes: modes are separate, shared leaves add up, no lock stays held."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd as ag

ROOT = Path(__file__).parents[2]


def leaf(*values: float) -> ag.Tensor:
    return ag.Tensor(np.array(values), requires_grad=True)


@pytest.fixture
def hurried():
    """Threads take turns as often as can be, so that a race shows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(n: int, work: Callable[[int], Any]) -> list[Any]:
    """work(0), .., work(n - 1), all at once; an error in one of them is raised here."""
    start = threading.Barrier(n)

    def run(i: int) -> Any:
        start.wait(timeout=60)
        return work(i)

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(run, range(n)))


def run_script(script: str) -> str:
    """What a Python process of its own prints; fails where it does not end (it waits for a lock)."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=30,
                          cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# ---------------------------------------------------------------------- modes


def test_no_grad_holds_in_its_own_thread_only():
    x = leaf(1.0)
    inside, done = threading.Event(), threading.Event()
    seen = {}

    def without() -> None:
        with ag.no_grad():
            inside.set()
            assert done.wait(60)
            seen["inside"] = (x * 2).requires_grad
        seen["after"] = (x * 2).requires_grad

    thread = threading.Thread(target=without)
    thread.start()
    assert inside.wait(60)
    y = x * 3  # while the other thread is inside no_grad
    y.backward()
    done.set()
    thread.join()
    assert x.grad.item() == 3.0
    assert seen == {"inside": False, "after": True}


def test_a_thread_started_under_no_grad_records():
    x = leaf(1.0)
    with ag.no_grad(), ag.scope("outer"), ThreadPoolExecutor(1) as pool:
        y = pool.submit(lambda: x * 2).result()
        assert not (x * 2).requires_grad
    assert y.requires_grad
    assert y.scope == ""


def test_threads_with_and_without_no_grad_side_by_side(hurried):
    x = leaf(1.0)

    def work(i: int) -> set[bool]:
        if i % 2:
            return {(x * 2).requires_grad for _ in range(500)}
        with ag.no_grad():
            return {(x * 2).requires_grad for _ in range(500)}

    assert in_threads(4, work) == [{False}, {True}] * 2


def test_no_grad_and_scope_hold_in_their_own_task_only():
    x = leaf(1.0)

    async def without() -> list[bool]:
        with ag.no_grad(), ag.scope("quiet"):
            found = [(x * 2).requires_grad]
            await asyncio.sleep(0.01)
            found.append((x * 2).requires_grad)
        found.append((x * 2).requires_grad)
        return found

    async def recording() -> list[tuple[bool, str]]:
        found = []
        for _ in range(5):
            y = x * 2
            found.append((y.requires_grad, y.scope))
            await asyncio.sleep(0.004)
        return found

    async def both() -> list:
        return await asyncio.gather(without(), recording())

    quiet, loud = asyncio.run(both())
    assert quiet == [False, False, True]
    assert loud == [(True, "")] * 5


# ---------------------------------------------------------------------- backward and inference from several threads


def test_backward_passes_from_several_threads_into_shared_leaves_add_up_exactly(hurried):
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)

    def work(i: int) -> None:
        for k in range(200):
            (x * w * (i + k)).sum().backward()

    in_threads(4, work)
    total = sum(i + k for i in range(4) for k in range(200))
    np.testing.assert_array_equal(x.grad.data, total * w.data)
    np.testing.assert_array_equal(w.grad.data, total * x.data)


def test_so_do_passes_that_record_their_gradients(hurried):
    x = leaf(2.0)
    in_threads(3, lambda i: [(x * x * x).backward(create_graph=True) for _ in range(50)])
    assert x.grad.item() == 150 * 12
    (ddx,) = ag.gradients(x.grad, [x])
    assert ddx.item() == 150 * 12  # 6 x


def test_several_threads_may_go_through_one_retained_graph(hurried):
    x = leaf(1.0, 2.0)
    first, second = ag.split(ag.square(x), 2)
    y = (first * second).sum()
    found = in_threads(4, lambda i: [ag.gradients(y, [x], retain_graph=True)[0].data for _ in range(50)])
    for gradient in (g for part in found for g in part):
        np.testing.assert_array_equal(gradient, [8, 4])


def test_several_threads_may_record_gradients_of_one_graph(hurried):
    x = leaf(0.5, 1.5)
    y = ag.batch_norm(x[:, None], np.ones(1), np.zeros(1))[0]
    g = np.array([[1.0], [3.0]])
    expected = ag.gradients(y, [x], g=g, retain_graph=True)[0].data
    found = in_threads(4, lambda i: [ag.gradients(y, [x], g=g, create_graph=True)[0].data for _ in range(20)])
    for gradient in (g for part in found for g in part):
        np.testing.assert_array_equal(gradient, expected)


def test_an_output_nobody_holds_may_come_back_in_several_threads_at_once(hurried):
    @ag.Op(outputs=("sine", "cosine"))
    def sincos(x):
        return np.sin(x), np.cos(x)

    sincos.vjp(lambda g, sine, cosine, wanted: (g[0] * cosine - g[1] * sine,), inputs=1)
    for _ in range(150):
        x = leaf(0.3)
        sine = sincos(x)[0]
        found = in_threads(3, lambda i, x=x, sine=sine: ag.gradients(sine, [x], create_graph=True)[0])
        (second,) = ag.gradients(sum(found), [x])
        assert second.item() == pytest.approx(-3 * np.sin(0.3), rel=1e-12)


def test_inference_from_several_threads_gives_what_one_gives(hurried):
    rng = np.random.default_rng(0)
    images = [rng.standard_normal((2, 8, 8, 3)).astype(np.float32) for _ in range(4)]
    w = ag.Tensor(rng.standard_normal((3, 3, 3, 4)).astype(np.float32), requires_grad=True)
    dense = ag.Tensor(rng.standard_normal((64, 5)).astype(np.float32), requires_grad=True)

    def predict(x: np.ndarray) -> np.ndarray:
        with ag.no_grad():
            h = ag.max_pool2d(ag.relu(ag.conv2d(x, w, padding="same")), 2)
            return ag.softmax(ag.flatten(h, 1) @ dense).data

    expected = [predict(x) for x in images]
    found = in_threads(4, lambda i: [predict(images[i]) for _ in range(10)])
    for i, predictions in enumerate(found):
        for prediction in predictions:
            np.testing.assert_array_equal(prediction, expected[i])


def test_an_op_may_be_called_for_the_first_time_by_several_threads(hurried):
    for _ in range(20):
        @ag.Op
        def product(x, y):
            return np.multiply(x, y)

        product.vjp(lambda g, y: g * y, lambda g, x: g * x)

        def work(i: int, product: Any = product) -> float:
            x, y = leaf(2.0), leaf(3.0)
            product(x, y if i % 2 else 3.0).backward()
            return x.grad.item()

        assert in_threads(4, work) == [3.0] * 4


def test_a_backward_pass_may_run_in_another_thread_than_the_forward():
    x = leaf(3.0)
    y = ag.exp(x) * x
    with ThreadPoolExecutor(1) as pool:
        pool.submit(y.backward).result()
    np.testing.assert_allclose(x.grad.data, np.exp(3) * 4, rtol=1e-15)


# ---------------------------------------------------------------------- locks


def test_threads_that_ask_for_the_array_of_a_single_number_get_the_same(hurried):
    numbers = [ag.Tensor(1.0) * 2.0 for _ in range(50_000)]
    first, second = in_threads(2, lambda _: [number.data for number in numbers])
    assert all(x is y for x, y in zip(first, second, strict=True))


def test_an_array_that_is_set_while_others_ask_for_the_old_one_is_not_lost(hurried):
    numbers = [ag.Tensor(1.0) * 2.0 for _ in range(50_000)]
    new = [np.array(3.0, np.float32) for _ in numbers]

    def ask_or_set(i):
        for number, array in zip(numbers, new, strict=True):
            if i:
                number.data = array
            else:
                assert number.data.shape == ()

    in_threads(2, ask_or_set)
    assert all(number.data is array for number, array in zip(numbers, new, strict=True))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_can_run_backward_while_another_thread_holds_the_lock():
    script = """
        import os, signal, threading
        import numpy as np
        import autograd as ag
        from autograd import tensor

        def hold():
            with tensor._lock:
                inside.set()
                forked.wait(30)

        x = ag.Tensor(np.array([1.0]), requires_grad=True)
        inside, forked = threading.Event(), threading.Event()
        thread = threading.Thread(target=hold)
        thread.start()
        inside.wait(30)
        child = os.fork()
        if not child:
            signal.alarm(20)  # ends a child that waits for ever
            (x * 2).backward()
            (x * 3).backward()
            os._exit(0 if x.grad.item() == 5.0 else 1)
        _, status = os.waitpid(child, 0)
        forked.set()
        thread.join()
        (x * 4).backward()
        print("child", status, "parent", x.grad.item())
    """
    assert run_script(script) == "child 0 parent 4.0"


# An observer that acts while a gradient is being added to x.grad.
WHILE_ADDING = """
    import numpy as np
    import autograd as ag

    x = ag.Tensor(np.array([1.0]), requires_grad=True)
    w = ag.Tensor(np.array([1.0]), requires_grad=True)
    (x * 2).backward()
    (w * 2).backward()

    class WhileAdding(ag.Observer):
        def __init__(self, act):
            self.act = act

        def around_op(self, op, args, params, run):
            if op is ag.add and self.act:
                act, self.act = self.act, None
                act()
            return run()

    def add_to_x(act):
        y = x * 3
        with ag.observe(WhileAdding(act)):
            y.backward(create_graph=True)
"""


def test_an_observer_may_run_backward_while_a_gradient_is_added_up():
    script = WHILE_ADDING + """
    other = w * 5
    add_to_x(other.backward)
    print(x.grad.item(), w.grad.item())
    """
    assert run_script(script) == "5.0 7.0"


def test_an_observer_may_add_to_the_same_gradient_while_it_is_added_up():
    script = WHILE_ADDING + """
    other = x * 5
    add_to_x(other.backward)
    print(x.grad.item())
    """
    assert run_script(script) == "10.0"


def test_an_observer_that_fails_while_a_gradient_is_added_up_leaves_no_lock_behind():
    script = WHILE_ADDING + """
    def fail():
        raise ValueError("mine")

    try:
        add_to_x(fail)
    except ValueError as error:
        print(error)
    (x * 3).backward()
    print(x.grad.item())
    """
    assert run_script(script).split() == ["mine", "5.0"]
