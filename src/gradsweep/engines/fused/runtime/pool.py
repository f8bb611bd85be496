"""Threads that wait for work, and how many there may be.

Knows nothing of what the work is.
"""

import math
import os
import threading
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue

from gradsweep.support.errors import ArgumentError

__all__ = ["Pool", "available_threads"]

_VARIABLE = "GRADSWEEP_NUM_THREADS"


def available_threads(ignore_setting: bool = False) -> int:
    """Return how many threads the process may use.

    GRADSWEEP_NUM_THREADS, or else the processors that its affinity and its cgroup allow.

    Args:
        ignore_setting: whether to count the processors, and ignore that variable.
    """
    wanted = os.environ.get(_VARIABLE, "")
    if wanted and not ignore_setting:
        if not wanted.isdigit() or int(wanted) < 1:
            raise ArgumentError(
                f"{_VARIABLE} is {wanted!r}; give it a number of threads, such as 4."
            )
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        n_processors = len(os.sched_getaffinity(0))
    else:
        n_processors = os.cpu_count() or 1
    return max(1, math.ceil(min(n_processors, _cgroup_quota())))


@cache
def _cgroup_quota() -> float:
    """Return how many processors' time the cgroup grants, as for a container's limit."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError):
        return math.inf


Outcomes = SimpleQueue[BaseException | None]


class Pool:
    """Threads that start when they are first needed, and then wait for more work."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin without threads: a forked child has none of its parent's."""
        self._tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._n_threads = 0
        self._lock = threading.Lock()

    def run(self, work: Callable[[int], None], n_threads: int, stop: Callable[[], None]) -> None:
        """Call `work(0)` here and `work(1)` ... `work(n_threads - 1)` in other threads; wait.

        Args:
            stop: makes every `work` return soon; called when this thread is interrupted.
        """
        self._start(n_threads - 1)
        done: Outcomes = SimpleQueue()
        for number in range(1, n_threads):
            self._tasks.put(partial(_attempt, work, number, done))
        n_pending = n_threads - 1
        failure: BaseException | None = None
        try:
            work(0)
            while n_pending:
                failure = done.get() or failure
                n_pending -= 1
        except BaseException:
            stop()
            raise
        finally:
            # Nobody may return while a thread still writes to memory that is then freed.
            while n_pending:
                done.get()
                n_pending -= 1
        if failure is not None:
            raise failure

    def _start(self, n_threads: int) -> None:
        with self._lock:
            while self._n_threads < n_threads:
                self._n_threads += 1
                name = f"gradsweep-{self._n_threads}"
                threading.Thread(target=self._serve, name=name, daemon=True).start()

    def _serve(self) -> None:
        while True:
            self._tasks.get()()


def _attempt(work: Callable[[int], None], number: int, done: Outcomes) -> None:
    try:
        work(number)
    except BaseException as error:
        done.put(error)
    else:
        done.put(None)
