"""The loop engine: the function called at one point after another, by its own framework.

It runs any function: the other engines are compared with it, and it takes the functions that
nothing can vectorise.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradsweep.engines.frameworks import offered_by
from gradsweep.engines.job import Job, Kernel, Leaves, groups_by_dims, reduced
from gradsweep.program.trace import Trace

__all__ = ["LoopEngine", "at_point", "filled"]


class LoopEngine:
    name = "loop"
    runs_programs = False
    is_vectorised = False
    compiles = False

    def refuses(self, job: Job) -> str:
        return ""

    def scratch_bytes(self, job: Job, block: Mapping[str, int]) -> int:
        return 0  # one point at a time

    def prepare(self, job: Job) -> Kernel:
        own = offered_by(job.traced.framework)

        def kernel(leaves: Leaves, arrays: Sequence[np.ndarray]) -> None:
            with job.traced.context():
                for dims, positions in groups_by_dims(job):
                    placed = {key: reduced(leaf, dims) for key, leaf in leaves.items()}
                    lengths = arrays[positions[0]].shape[: len(dims)]
                    for index in np.ndindex(*lengths):
                        where = dict(zip(dims, index))
                        point = {
                            key: values[tuple(where[dim] for dim in leaf_dims)]
                            for key, (leaf_dims, values) in placed.items()
                        }
                        results = at_point(job.traced, point)
                        for position in positions:
                            arrays[position][index] = own.to_numpy(results[position])

        return kernel


def at_point(traced: Trace, point: Mapping[str, np.ndarray]) -> tuple[Any, ...]:
    """Return the results at one point, as arrays of the function's own framework.

    Runs in the context of the trace.
    """
    own = offered_by(traced.framework)
    values = {key: own.array(value) for key, value in point.items()}
    results, rows = traced.eager(values), traced.by_rows
    return results if rows is None else filled(results, lambda: rows.eager(values))


def filled(results: tuple[Any, ...], rows: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
    """Replace NaN by values from the rows of the derivative, where these can be computed.

    Args:
        results: torch's tensors.
    """
    if not any(result.isnan().any() for result in results):
        return results
    try:
        return tuple(row.where(result.isnan(), result) for row, result in zip(rows(), results))
    except (NotImplementedError, RuntimeError):  # there are none
        return results
