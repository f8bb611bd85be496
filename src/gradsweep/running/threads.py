"""Compute and write parts in the threads of this process.

Where a part is one call into machine code, each thread does all the work of a part: it computes,
then compresses and writes, or reduces. Elsewhere one part is computed after another, since the
engine has threads of its own, and other threads write.
"""

from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Event, Lock
from typing import Any

import numpy as np

from gradsweep.request.partition import Part
from gradsweep.results.layout import Store
from gradsweep.running.scheduler import Outcome, Work
from gradsweep.support.progress import Meter

__all__ = ["ThreadScheduler", "n_buffers"]

# While one part is computed by all threads, others are compressed, or wait for the disk.
_N_WRITERS = 2


def n_buffers(n_at_once: int) -> int:
    """Return how many sets of a part's arrays are in memory.

    Args:
        n_at_once: how many parts are computed at once.
    """
    return n_at_once if n_at_once > 1 else 1 + _N_WRITERS


class ThreadScheduler:
    """Runs parts in threads."""

    def run(self, work: Work, parts: Iterable[Part], store: Store, meter: Meter) -> Outcome:
        run = _side_by_side if work.n_at_once > 1 else _in_turn
        return run(work, parts, store, meter)


def _side_by_side(work: Work, parts: Iterable[Part], store: Store, meter: Meter) -> Outcome:
    """Run parts in threads, each of which takes the next part as soon as it is free."""
    left, taking, recording, stopped = iter(parts), Lock(), Lock(), Event()

    def take() -> Part | None:
        with taking:
            return None if stopped.is_set() else next(left, None)

    def run() -> Outcome:
        # New memory costs more than most kernels, so a thread uses one set of arrays throughout.
        memory: list[np.ndarray] = []
        outcome = Outcome()
        try:
            while (part := take()) is not None:
                arrays = work.allocate(part, memory)
                outcome += work.compute(part, arrays)
                receipt = store.writer.write(part, arrays)
                with recording:
                    store.record(part, receipt)
                    meter.advance(part.n_points)
        finally:
            stopped.set()  # at the end there are no parts left; after an error none is begun
        return outcome

    n_threads = n_buffers(work.n_at_once)
    with ThreadPoolExecutor(n_threads, "gradsweep") as pool:
        try:
            running = [pool.submit(run) for _ in range(n_threads)]
            wait(running)
        finally:
            stopped.set()  # also where Ctrl-C comes while they begin: the pool waits for them
    return sum((future.result() for future in running), Outcome())


def _in_turn(work: Work, parts: Iterable[Part], store: Store, meter: Meter) -> Outcome:
    """Compute parts one after another here, and write them in other threads."""
    idle: list[list[np.ndarray]] = [[] for _ in range(n_buffers(1))]
    running: dict[Future[Any], tuple[Part, list[np.ndarray]]] = {}
    outcome = Outcome()

    def collect(done: Iterable[Future[Any]]) -> None:
        for future in done:
            part, memory = running.pop(future)
            idle.append(memory)
            store.record(part, future.result())
            meter.advance(part.n_points)

    with ThreadPoolExecutor(_N_WRITERS, "gradsweep") as pool:
        for part in parts:
            if not idle:
                collect(wait(running, return_when=FIRST_COMPLETED).done)
            memory = idle.pop()
            arrays = work.allocate(part, memory)
            outcome += work.compute(part, arrays)
            running[pool.submit(store.writer.write, part, arrays)] = part, memory
            collect([future for future in running if future.done()])
        collect(list(running))
    return outcome
