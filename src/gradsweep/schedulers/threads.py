"""Parts computed one after another in this process, while others are being written.

A kernel uses every thread there is, so parts are not computed side by side. Writing, which waits
for compression and for the disk, goes on in threads of its own.
"""

from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradsweep.parts import Part
from gradsweep.progress import Meter
from gradsweep.schedulers.base import Work
from gradsweep.stores.base import Store

__all__ = ["BUFFERS", "ThreadScheduler"]

# Sets of a part's arrays: one is filled while the others are written.
BUFFERS = 3


@dataclass(frozen=True)
class ThreadScheduler:
    """Attributes:
    n_writers: how many threads write.
    """

    n_writers: int = BUFFERS - 1

    def run(self, work: Work, parts: Iterable[Part], store: Store, meter: Meter) -> int:
        # New memory costs more than most kernels: the pages of a few sets are used all along.
        idle: list[list[np.ndarray]] = [[] for _ in range(self.n_writers + 1)]
        writing: dict[Future[Any], tuple[Part, list[np.ndarray]]] = {}

        def collect(done: Iterable[Future[Any]]) -> None:
            for future in done:
                part, memory = writing.pop(future)
                idle.append(memory)
                store.record(part, future.result())
                meter.advance(part.n_points)

        n_masked = 0
        with ThreadPoolExecutor(self.n_writers, "gradsweep-writer") as pool:
            for part in parts:
                if not idle:
                    collect(wait(writing, return_when=FIRST_COMPLETED).done)
                memory = idle.pop()
                arrays = work.allocate(part, memory)
                n_masked += work.compute(part, arrays)
                writing[pool.submit(store.writer.write, part, arrays)] = part, memory
                collect([future for future in writing if future.done()])
            collect(list(writing))
        return n_masked
