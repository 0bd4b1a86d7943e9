"""The pool of threads: the same bits for any number of them, errors, nesting, several callers, fork, and BLAS."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import threadpoolctl
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
from autograd.kernels import blas, conv, cpus, im2col, pooling, threads
from autograd.kernels.window import resolve

ROOT = Path(__file__).parents[3]
TIMEOUT = 30  # seconds, where a fault would wait for ever


@pytest.fixture(autouse=True)
def three_threads():
    """More than some machines have CPUs: workers are there all the same."""
    before = ag.get_num_threads()
    ag.set_num_threads(3)
    yield
    ag.set_num_threads(before)


def bits_for_1_2_3_threads(compute):
    """The bytes of the arrays that compute() gives, for each number of threads."""
    found = []
    for n in (1, 2, 3):
        ag.set_num_threads(n)
        found.append([array.tobytes() for array in compute()])
    return found


def meet(n):
    """Work whose items n threads must hold at once."""
    barrier = threading.Barrier(n)

    def work(items):
        for _ in items:
            barrier.wait(TIMEOUT)

    return work


def blas_threads():
    return [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]


def run_script(script):
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True,
                          timeout=2 * TIMEOUT, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# ---------------------------------------------------------------------- the same bits

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(st.data(), pairs, pairs, st.integers(1, 3), st.sampled_from([(1, 3), (1, 6), (2, 3), (3, 1)]))
@settings(max_examples=40)
def test_convolution_and_gradients_have_the_same_bits_for_any_number_of_threads(data, kernel, stride, n, channels):
    groups, c = channels
    o = data.draw(st.sampled_from([1, 4]))
    size = data.draw(st.tuples(st.integers(3, 12), st.integers(3, 12)))
    window = resolve("conv2d", size, kernel, stride, "same")
    rng = np.random.default_rng(0)
    x, w, dout = (rng.standard_normal(shape, dtype=np.float32) for shape in (
        (n, *size, c * groups), (*kernel, c, o * groups), (n, *window.out, o * groups)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(im2col, "_CHUNK_BYTES", 1)  # chunks of a few rows: more lanes and chunks than threads
        patch.setattr(im2col, "_LEAST_PIXELS", 4)
        patch.setattr(im2col, "_LEAST_PIXELS_WEIGHT_GRAD", 4)
        one, two, three = bits_for_1_2_3_threads(lambda: (
            conv.conv2d(x, w, w[0, 0, 0], window, groups),
            conv.conv2d_input_grad(dout, w, window, groups),
            conv.conv2d_weight_grad(x, dout, window, groups),
            *conv.conv2d_grads(x, dout, w, window, groups),
        ))
    assert one == two == three


@pytest.mark.parametrize(("n", "size", "c", "o"), [(64, 28, 1, 16), (8, 32, 16, 32), (1, 64, 32, 32), (40, 8, 64, 64)])
def test_so_do_convolutions_of_real_sizes(n, size, c, o):
    window = resolve("conv2d", (size, size), 3, 1, "same")
    rng = np.random.default_rng(0)
    x, w, dout = (rng.standard_normal(shape, dtype=np.float32) for shape in (
        (n, size, size, c), (3, 3, c, o), (n, size, size, o)))
    one, two, three = bits_for_1_2_3_threads(lambda: (
        conv.conv2d(x, w, w[0, 0, 0], window),
        conv.conv2d_input_grad(dout, w, window),
        conv.conv2d_weight_grad(x, dout, window),
        *conv.conv2d_grads(x, dout, w, window),
    ))
    assert one == two == three


@given(st.integers(1, 5), st.tuples(st.integers(3, 8), st.integers(3, 8)), pairs, pairs)
@settings(max_examples=40)
def test_pooling_and_unpooling_have_the_same_bits_for_any_number_of_threads(n, size, kernel, stride):
    window = resolve("pool", size, kernel, stride, 0)
    x = np.random.default_rng(0).standard_normal((n, *size, 2), dtype=np.float32)

    def compute():
        out, taps = pooling.max_pool2d_taps(x, window)
        return (out, taps, pooling.max_pool2d(x, window), pooling.unpool_taps(out, taps, window),
                pooling.pick_taps(x, taps, window), pooling.avg_pool2d(x, window), pooling.avg_unpool2d(out, window))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooling, "_CHUNK_BYTES", 1)  # an image each
        one, two, three = bits_for_1_2_3_threads(compute)
    assert one == two == three


@pytest.mark.parametrize("limit", [1, 2])
def test_nor_does_the_number_of_threads_that_blas_had_before_change_them(limit):
    x, w = (np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
            for shape in ((8, 32, 32, 16), (3, 3, 16, 32)))
    expected = ag.conv2d(x, w).tobytes()
    with threadpoolctl.threadpool_limits(limit, user_api="blas"):
        assert ag.conv2d(x, w).tobytes() == expected


# ---------------------------------------------------------------------- who does what


def test_threads_that_wait_for_work_soon_take_no_time():
    threads.share(meet(3), range(3))
    time.sleep(0.3)  # they look for work for some milliseconds, more on a machine with other things to do
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.1


@pytest.mark.parametrize("pause", [0, 0.001, 0.3])
def test_a_mailbox_gives_what_comes_before_while_and_after_its_reader_looks(pause):
    mailbox, found = threads._Mailbox(), []
    mailbox.put("before")

    def read():
        found.extend(mailbox.get() for _ in range(3))

    reader = threading.Thread(target=read)
    reader.start()
    for item in ("first", "second"):
        time.sleep(pause)
        mailbox.put(item)
    reader.join(TIMEOUT)
    assert found == ["before", "first", "second"]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_as_many_threads_as_are_set_work_at_once(n):
    ag.set_num_threads(n)
    seen = set()

    def work(items):
        seen.add(threading.get_ident())
        meet_at_once(items)

    meet_at_once = meet(n)
    threads.share(work, range(n if n > 1 else 4))
    assert len(seen) == n
    assert threading.get_ident() in seen


@given(st.integers(0, 50))
def test_each_item_is_taken_once(n):
    taken = []
    threads.share(lambda items: taken.extend(items), range(n))
    assert sorted(taken) == list(range(n))


def test_a_call_from_within_work_stays_in_its_thread():
    barrier = threading.Barrier(3)
    found = []

    def inner(items):
        found.extend((item, threading.get_ident()) for item in items)

    def outer(items):
        for item in items:
            barrier.wait(TIMEOUT)
            before = threading.get_ident()
            threads.share(inner, [(item, before)] * 4, blas=True)

    threads.share(outer, range(3))
    assert len(found) == 12
    assert all(expected == thread for (_, expected), thread in found)


def test_several_python_threads_may_share_work_at_once():
    rng = np.random.default_rng(0)
    w = rng.standard_normal((3, 3, 16, 32), dtype=np.float32)
    images = [rng.standard_normal((6, 32, 32, 16), dtype=np.float32) for _ in range(4)]
    expected = [ag.conv2d(x, w).tobytes() for x in images]
    start = threading.Barrier(4)

    def predict(i):
        start.wait(TIMEOUT)
        return [ag.conv2d(images[i], w).tobytes() for _ in range(5)]

    before = blas_threads()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(predict, range(4)))
    assert found == [[bits] * 5 for bits in expected]
    assert blas_threads() == before


def test_workers_see_the_errstate_of_the_caller():
    seen = []

    def work(items):
        for _ in items:
            barrier.wait(TIMEOUT)
            seen.append(np.geterr()["over"])

    barrier = threading.Barrier(3)
    with np.errstate(over="raise"):
        threads.share(work, range(3))
    assert seen == ["raise"] * 3


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize("in_caller", [True, False])
def test_an_error_in_a_thread_is_raised_in_the_caller_and_ends_the_work(in_caller):
    caller, barrier, done = threading.get_ident(), threading.Barrier(3), []

    def work(items):
        for item in items:
            if item < 3:
                barrier.wait(TIMEOUT)
                if (threading.get_ident() == caller) == in_caller:
                    raise ZeroDivisionError(f"item {item}")
            time.sleep(0.001)
            done.append(item)

    before = blas_threads()
    with pytest.raises(ZeroDivisionError, match=r"^item [012]$"):
        threads.share(work, range(5000), blas=True)
    assert len(done) < 4000
    assert blas_threads() == before
    threads.share(meet(3), range(3))  # the workers are still there


@pytest.mark.parametrize(
    ("n", "error", "text"),
    [
        (0, ValueError, r"^set_num_threads: n must be at least 1, not 0; 1 uses the calling thread alone$"),
        (-2, ValueError, r"^set_num_threads: n must be at least 1, not -2"),
        (2.0, TypeError, r"^set_num_threads: n must be an integer, not 2\.0; give the number of threads, 1 or more$"),
        (True, TypeError, r"^set_num_threads: n must be an integer, not True; give the number of threads, 1 or more$"),
        ("2", TypeError, r"^set_num_threads: n must be an integer, not '2'; give the number of threads, 1 or more$"),
        (None, TypeError, r"^set_num_threads: n must be an integer, not None; give the number of threads, 1 or more$"),
    ],
)
def test_the_number_of_threads_is_checked(n, error, text):
    with pytest.raises(error, match=text):
        ag.set_num_threads(n)
    assert ag.get_num_threads() == 3


def test_the_number_may_be_numpys():
    ag.set_num_threads(np.int64(2))
    assert type(ag.get_num_threads()) is int


# ---------------------------------------------------------------------- BLAS


def test_blas_has_one_thread_inside_and_what_it_had_before_outside():
    inside = []

    def work(items):
        inside.extend(blas_threads() for _ in items)

    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        threads.share(work, range(4), blas=True)
        assert inside == [[1] * len(before)] * 4
        assert blas_threads() == before


def test_a_limit_that_the_user_sets_around_a_region_ends_with_the_users_block():
    before = blas_threads()
    with threadpoolctl.threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(1) as pool:
        pool.submit(threads.share, list, range(2), True).result(TIMEOUT)
        assert blas_threads() == [1] * len(before)
    assert blas_threads() == before


def test_overlapping_regions_keep_the_limit_until_the_last_one_ends():
    ag.set_num_threads(1)
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()
    inside = []

    def first(items):
        list(items)
        first_in.set()
        assert second_in.wait(TIMEOUT)

    def second(items):
        list(items)
        second_in.set()
        assert first_out.wait(TIMEOUT)
        inside.append(blas_threads())

    with threadpoolctl.threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(2) as pool:
        before = blas_threads()
        early = pool.submit(threads.share, first, range(2), True)
        assert first_in.wait(TIMEOUT)
        late = pool.submit(threads.share, second, range(2), True)
        early.result(TIMEOUT)
        first_out.set()
        late.result(TIMEOUT)
        assert inside == [[1] * len(before)]
        assert blas_threads() == before


def test_without_threadpoolctl_products_stay_in_the_calling_thread():
    script = """
        import sys, threading
        sys.modules["threadpoolctl"] = None  # as if it were not installed
        import numpy as np
        import autograd as ag

        x = np.arange(8 * 32 * 32 * 16.0, dtype=np.float32).reshape(8, 32, 32, 16) % 7
        y = ag.conv2d(x, np.ones((3, 3, 16, 4), np.float32))
        print(threading.active_count(), bool(y.data[0, 0, 0, 0] == x[0, :3, :3].sum()))
    """
    assert run_script(script) == "1 True"


def test_threads_and_threadpoolctl_come_with_the_first_large_convolution():
    script = """
        import sys, threading
        import numpy as np
        import autograd as ag, nn

        ag.set_num_threads(2)
        small = ag.conv2d(np.ones((1, 8, 8, 1)), np.ones((3, 3, 1, 1)))
        print(threading.active_count(), "threadpoolctl" in sys.modules)
        large = ag.conv2d(np.ones((64, 32, 32, 16)), np.ones((3, 3, 16, 16)))
        print(threading.active_count(), "threadpoolctl" in sys.modules)
    """
    assert run_script(script).splitlines() == ["1 False", "2 True"]


class Interrupted:
    """The lock of BLAS's regions, with Ctrl-C the nth time that it is let go."""

    def __init__(self, lock, n):
        self._lock, self._left = lock, n

    def __enter__(self):
        self._lock.acquire()

    def __exit__(self, *error):
        self._lock.release()
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("end", ["first", "last"])
def test_ctrl_c_at_either_end_of_a_region_leaves_blas_with_the_threads_it_had(monkeypatch, end):
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with monkeypatch.context() as patch:
            patch.setattr(blas._blas, "lock", Interrupted(blas._blas.lock, 1 if end == "first" else 2))
            with pytest.raises(KeyboardInterrupt):
                threads.share(list, range(2), blas=True)
        assert blas_threads() == before
        threads.share(list, range(2), blas=True)
        assert blas_threads() == before


def test_a_region_within_a_region_of_the_same_thread_does_not_end_it():
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with blas.one_blas_thread():
            with blas.one_blas_thread():
                pass
            assert blas_threads() == [1] * len(before)
        assert blas_threads() == before


# ---------------------------------------------------------------------- fork


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_forked_while_another_thread_is_in_a_kernel_has_workers_and_blas_of_its_own():
    script = """
        import os, signal, threading, warnings
        import numpy as np
        import autograd as ag
        from autograd.kernels import blas, threads
        from threadpoolctl import threadpool_info

        def blas_threads():
            return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

        def hold(items):
            for _ in items:
                both_inside.wait(30)
                forked.wait(30)

        def meet(items):
            for _ in items:
                met.wait(30)

        ag.set_num_threads(2)
        x, w = np.ones((8, 32, 32, 16), np.float32), np.ones((3, 3, 16, 4), np.float32)
        expected, before = ag.conv2d(x, w).data, blas_threads()
        both_inside, forked, met = threading.Barrier(3), threading.Event(), threading.Barrier(2)
        thread = threading.Thread(target=threads.share, args=(hold, range(2), True))
        thread.start()
        both_inside.wait(30)  # the only worker and the calling thread
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork with threads
        child = os.fork()
        if not child:
            signal.alarm(20)  # ends a child that waits for ever
            restored = blas_threads() == before
            threads.share(meet, range(2))  # takes a worker
            same = np.array_equal(ag.conv2d(x, w).data, expected)
            os._exit(0 if restored and same else 1)
        _, status = os.waitpid(child, 0)
        forked.set()
        thread.join()
        threads.share(meet, range(2))
        print("child", status, "parent", blas_threads() == before)
    """
    assert run_script(script) == "child 0 parent True"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_children_forked_while_two_threads_convolve_convolve_as_well():
    script = """
        import os, signal, threading, warnings
        import numpy as np
        import autograd as ag

        def convolve():
            while not ended.is_set():
                ag.conv2d(x, w)
                rounds.append(1)

        ag.set_num_threads(2)
        x, w = np.ones((8, 32, 32, 16), np.float32), np.ones((3, 3, 16, 16), np.float32)
        expected = ag.conv2d(x, w)
        rounds, ended = [], threading.Event()
        running = [threading.Thread(target=convolve) for _ in range(2)]
        for thread in running:
            thread.start()
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork with threads
        failed = 0
        for _ in range(5):
            done = len(rounds)
            while len(rounds) < done + 3 and all(thread.is_alive() for thread in running):
                pass  # each fork comes at another place in a convolution
            child = os.fork()
            if not child:
                signal.alarm(20)  # ends a child that waits for ever
                os._exit(0 if np.array_equal(ag.conv2d(x, w), expected) else 1)
            failed += os.waitpid(child, 0)[1] != 0
        ended.set()
        for thread in running:
            thread.join()
        print("failed", failed)
    """
    assert run_script(script) == "failed 0"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_region_in_which_a_thread_forks_goes_on_in_the_child_and_ends_there_too():
    run_script("""
        import os, threadpoolctl
        from autograd.kernels import blas, threads

        def blas_threads():
            return [found["num_threads"] for found in threadpoolctl.threadpool_info() if found["user_api"] == "blas"]

        with threadpoolctl.threadpool_limits(2, user_api="blas"):
            before = blas_threads()
            with blas.one_blas_thread():
                child = os.fork()
                inside = blas_threads()
            right = inside == [1] * len(before) and blas_threads() == before
        if not child:
            os._exit(0 if right else 3)
        assert right
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    """)


# ---------------------------------------------------------------------- how many CPUs there are


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, sys.maxsize),
        ({"cpu.max": "max 100000\n"}, sys.maxsize),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "5000 100000\n"}, 1),
        ({"cpu.max": "?"}, sys.maxsize),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, sys.maxsize),
        ({"cpu/cpu.cfs_quota_us": "350000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
    ],
)
def test_a_containers_quota_of_cpu_time_limits_the_number_of_threads(tmp_path, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpus._quota(tmp_path) == expected
