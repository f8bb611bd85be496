"""Parts computed and written in the threads of this process.

Where a part is one call into machine code, each thread takes parts from beginning to end: computed,
then compressed and written or reduced, while they are in its cache. Elsewhere parts are computed
one after another, since the engine has threads of its own, and written in others.
"""

from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Lock
from typing import Any

import numpy as np

from gradsweep.parts import Part
from gradsweep.progress import Meter
from gradsweep.schedulers.base import Work
from gradsweep.stores.base import Store

__all__ = ["ThreadScheduler", "n_buffers"]

# While one part is computed, others are compressed, or wait for the disk.
_N_WRITERS = 2


def n_buffers(n_at_once: int) -> int:
    """Return how many sets of a part's arrays there are.

    Args:
        n_at_once: how many parts are computed at once.
    """
    return n_at_once + (1 if n_at_once > 1 else _N_WRITERS)


class ThreadScheduler:
    """Runs parts in threads."""

    def run(self, work: Work, parts: Iterable[Part], store: Store, meter: Meter) -> int:
        # New memory costs more than most kernels: the pages of a few sets are used all along.
        idle: list[list[np.ndarray]] = [[] for _ in range(n_buffers(work.n_at_once))]
        running: dict[Future[Any], tuple[Part, list[np.ndarray]]] = {}
        n_masked = 0

        def compute(part: Part, memory: list[np.ndarray]) -> list[np.ndarray]:
            nonlocal n_masked
            arrays = work.allocate(part, memory)
            n_here = work.compute(part, arrays)
            with counting:
                n_masked += n_here
            return arrays

        def compute_and_write(part: Part, memory: list[np.ndarray]) -> Any:
            return store.writer.write(part, compute(part, memory))

        def collect(done: Iterable[Future[Any]]) -> None:
            for future in done:
                part, memory = running.pop(future)
                idle.append(memory)
                store.record(part, future.result())
                meter.advance(part.n_points)

        counting = Lock()
        n_threads = len(idle) if work.n_at_once > 1 else _N_WRITERS
        with ThreadPoolExecutor(n_threads, "gradsweep") as pool:
            for part in parts:
                if not idle:
                    collect(wait(running, return_when=FIRST_COMPLETED).done)
                memory = idle.pop()
                if work.n_at_once > 1:
                    future = pool.submit(compute_and_write, part, memory)
                else:
                    future = pool.submit(store.writer.write, part, compute(part, memory))
                running[future] = part, memory
                collect([future for future in running if future.done()])
            collect(list(running))
        return n_masked
