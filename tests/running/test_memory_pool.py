"""Memory that was dropped is used again, and never while anything refers to it."""

import gc
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
import types
import weakref

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.support import memory_pool
from gradsweep.support.memory_pool import MemoryPool

N = 100_000  # numbers of 8 bytes: more than the pool leaves to the allocator


def address(array):
    return array.__array_interface__["data"][0]


@pytest.fixture
def pool():
    """A pool that keeps what is idle for the length of a test, however slow the machine.

    What was made before it is not looked at by collections of garbage, which are many here.
    """
    gc.collect()
    gc.freeze()
    yield MemoryPool(idle_seconds=600.0)
    gc.unfreeze()


# -- what is used again


def test_what_was_dropped_is_used_again(pool):
    first = pool.empty((N,), "float64")
    where = address(first)
    del first
    assert pool.idle_bytes >= 8 * N
    assert address(pool.empty((4, N // 4), "float64")) == where


def test_small_arrays_are_left_to_the_allocator(pool):
    pool.empty((9,), "float64")
    assert pool.idle_bytes == 0


def test_a_block_is_not_taken_by_an_array_that_is_much_smaller(pool):
    large = pool.empty((2 * N,), "float64")
    where = address(large)
    del large
    assert address(pool.empty((N,), "float64")) != where


def test_each_shape_and_dtype_is_as_numpys(pool):
    for shape, dtype in [((3, N), "float32"), ((N, 4), "bool"), ((0, N), "float64"), ((), "f8")]:
        array, plain = pool.empty(shape, dtype), np.empty(shape, dtype)
        assert (array.shape, array.dtype, array.strides) == (
            plain.shape,
            plain.dtype,
            plain.strides,
        )
        assert array.flags.writeable and array.flags.aligned and type(array) is np.ndarray


# -- what refers to the memory keeps it


def of_torch(array):
    return pytest.importorskip("torch").from_numpy(array)


def of_torch_by_dlpack(array):
    return pytest.importorskip("torch").from_dlpack(array)[1:]


def of_jax(array):
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        return jax.dlpack.from_dlpack(array)


HOLDERS = {
    "the array": lambda array: array,
    "a view": lambda array: array[5:17],
    "a view of a view": lambda array: array.reshape(2, -1)[1][::3],
    "another dtype": lambda array: array.view("int64"),
    "a transposed view": lambda array: array.reshape(10, -1).T,
    "a memoryview": memoryview,
    "a slice of a memoryview": lambda array: memoryview(array)[10:20],
    "a buffer": lambda array: np.frombuffer(array, "uint8"),
    "its base": lambda array: array.base,
    "an iterator": lambda array: array.flat,
    "a tensor": of_torch,
    "a tensor by DLPack": of_torch_by_dlpack,
    "an array of JAX": of_jax,
    "an array by DLPack": lambda array: np.from_dlpack(array),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_what_refers_to_an_array_keeps_its_memory(pool, holder):
    array = pool.empty((N,), "float64")
    array[:] = np.arange(N)
    where = address(array)
    held = HOLDERS[holder](array)
    before = np.asarray(held).copy()
    del array
    gc.collect()
    assert pool.idle_bytes == 0
    other = pool.empty((N,), "float64")
    other[:] = -1.0
    assert address(other) != where
    np.testing.assert_array_equal(np.asarray(held), before)
    del held
    gc.collect()
    assert pool.idle_bytes >= 8 * N  # it was the holder that kept it


@pytest.mark.skipif(sys.platform != "linux", reason="needs mremap")
def test_memory_that_is_held_below_the_root_is_not_used_again(pool):
    array = pool.empty((N,), "float64")
    array[:] = 1.0
    where = address(array)
    below = np.frombuffer(array.base.base, "float64")
    assert address(below) == where
    del array
    others = [pool.empty((N,), "float64") for _ in range(3)]
    for other in others:
        other[:] = 2.0
    assert where not in {address(other) for other in others}
    assert (below == 1.0).all()


# -- many at once


def collisions(pool, holders, n_threads=4, n_rounds=150, seed=0):
    """Return how many arrays were found to hold other numbers than their owner wrote."""
    found = []

    def work(number):
        draw = random.Random(seed + number)
        live = []
        for turn in range(n_rounds):
            array = pool.empty((draw.choice([N, N + 1000, 2 * N]),), "float64")
            stamp = float(number * n_rounds + turn)
            array[:] = stamp
            live.append((draw.choice(holders)(array), stamp))
            del array
            draw.shuffle(live)
            while len(live) > draw.randrange(1, 8):
                held, stamp = live.pop()
                numbers = np.asarray(held).reshape(-1)
                if not (numbers[:: max(1, numbers.size // 50)] == stamp).all():
                    found.append(stamp)
                del held, numbers

    threads = [threading.Thread(target=work, args=(k,)) for k in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(found)


ANY = [HOLDERS[name] for name in ("the array", "a view", "a transposed view", "a memoryview")]


def test_no_two_live_arrays_share_memory_whatever_threads_do(pool):
    assert collisions(pool, ANY) == 0
    gc.collect()
    assert pool.idle_bytes > 0


class CarelessPool:
    """Takes memory back when the array that it handed out ends, whoever has a view of it."""

    def __init__(self):
        self.idle = []

    def empty(self, shape, dtype):
        whole = self.idle.pop() if self.idle else np.empty(2 * N, dtype)
        array = whole[: shape[0]]
        weakref.finalize(array, self.idle.append, whole)
        return array


def test_control_a_pool_that_forgets_views_is_found_out():
    assert collisions(CarelessPool(), ANY) > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_writes_into_memory_of_its_own(pool):
    live, idle = pool.empty((N,), "float64"), pool.empty((N,), "float64")
    live[:] = 1.0
    del idle
    child = multiprocessing.get_context("fork").Process(target=_fill_all, args=(pool, live))
    child.start()
    child.join()
    assert child.exitcode == 0
    again = pool.empty((N,), "float64")
    assert (live == 1.0).all() and not (again == 2.0).any()


def _fill_all(pool, live):
    assert (live == 1.0).all() and pool.idle_bytes == 0
    live[:] = 2.0
    for _ in range(3):
        pool.empty((N,), "float64")[:] = 2.0


def test_an_interpreter_ends_with_arrays_of_the_pool_in_any_hands():
    ended = subprocess.run([sys.executable, "-c", _ENDS], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


_ENDS = """
import builtins, threading, numpy as np
from gradsweep.support.memory_pool import empty
builtins.kept = [empty((100_000,), "float64") for _ in range(3)]
builtins.shown = memoryview(empty((100_000,), "float64"))
threading.Thread(target=lambda: empty((100_000,), "float64"), daemon=True).start()
class Late:
    def __del__(self):
        self.array = None
builtins.late = Late()
builtins.late.array = empty((100_000,), "float64")
"""


# -- how much is kept, and for how long


def test_what_lies_idle_is_bounded_as_the_environment_says(pool, monkeypatch):
    monkeypatch.setenv("GRADSWEEP_POOL_LIMIT", "2MB")
    arrays = [pool.empty((N,), "float64") for _ in range(5)]
    del arrays
    assert 1.5e6 <= pool.idle_bytes <= 2e6
    monkeypatch.setenv("GRADSWEEP_POOL_LIMIT", "0")
    array = pool.empty((N,), "float64")
    pool.clear()
    del array
    assert pool.idle_bytes == 0


def test_a_limit_that_is_no_amount_of_memory_is_an_error_that_names_the_variable(monkeypatch):
    monkeypatch.setenv("GRADSWEEP_POOL_LIMIT", "much")
    with pytest.raises(gs.errors.MemoryLimitError, match="GRADSWEEP_POOL_LIMIT='much' is no"):
        MemoryPool().empty((N,), "float64")


def test_it_is_given_back_when_it_is_not_used_for_a_while():
    pool = MemoryPool(idle_seconds=0.05)
    kept = pool.empty((N,), "float64")
    pool.empty((N,), "float64")
    until(lambda: pool.idle_bytes == 0)
    del kept  # what ends later is not kept at all
    assert pool.idle_bytes == 0


def test_it_is_given_back_when_the_machine_needs_memory(pool, monkeypatch):
    pool.empty((N,), "float64")
    assert pool.idle_bytes > 0
    monkeypatch.setattr(memory_pool, "free_bytes", lambda: 0)
    until(lambda: pool.idle_bytes == 0)


def until(holds, seconds=20.0):
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    assert holds()


def test_a_thread_that_cannot_start_is_tried_again_at_the_next_use(monkeypatch):
    pool = MemoryPool(idle_seconds=0.1)
    start = threading.Thread.start

    def fails(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fails)
    pool.empty((N,), "float64")
    monkeypatch.setattr(threading.Thread, "start", start)
    pool.empty((2 * N,), "float64")
    assert pool.idle_bytes > 0
    until(lambda: pool.idle_bytes == 0)


class Interrupted(BaseException):  # as KeyboardInterrupt is
    pass


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="timers")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in a callback
def test_interrupts_at_any_moment_leave_the_pool_whole(pool, monkeypatch):
    monkeypatch.setenv("GRADSWEEP_POOL_LIMIT", "8MB")

    def interrupt(*_):
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for turn in range(400):
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-4 * (1 + turn % 7))
                for _ in range(1000):
                    pool.empty((N,), "float64")
            except Interrupted:
                pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    arrays = [pool.empty((N,), "float64") for _ in range(20)]
    assert len({address(array) for array in arrays}) == 20
    del arrays
    assert 8 * N <= pool.idle_bytes <= 8e6
    array = pool.empty((N,), "float64")
    where = address(array)
    del array
    assert address(pool.empty((N,), "float64")) == where


@pytest.mark.timeout(60)
def test_memory_may_be_asked_for_at_any_moment(pool, monkeypatch):
    """As by a finalizer of the user's that computes, while the pool itself is at work."""
    depth, found = [0], []

    def asks_again():
        depth[0] += 1
        if depth[0] < 4:
            found.append(pool.empty((N,), "float64"))
        depth[0] -= 1
        return time.monotonic()

    clock = types.SimpleNamespace(monotonic=asks_again, sleep=time.sleep)
    monkeypatch.setattr(memory_pool, "time", clock)
    for _ in range(3):
        found.append(pool.empty((N,), "float64"))
        del found[::3]  # which the clock is asked about while the pool takes it back
    assert len({address(array) for array in found}) == len(found) > 20
    found.clear()
    pool.clear()
    assert pool.idle_bytes == 0


# -- results


def cubes(x):
    return x**3


def test_results_that_were_dropped_give_their_memory_to_the_next():
    sweep = gs.Sweep(x=np.linspace(0.0, 1.0, N))
    kernel = gs.compile(gs.gradient, cubes, sweep)
    for compute in (kernel, lambda: {"df_dx": gs.gradient(cubes, sweep).dcubes_dx.values}):
        (first,) = compute().values()
        where, kept = address(first), first[3:9]
        del first
        (other,) = compute().values()
        assert address(other) != where
        del other, kept
        seen = {address(*compute().values()) for _ in range(4)}
        assert len(seen) <= 2
