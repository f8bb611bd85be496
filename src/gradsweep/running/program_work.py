"""A sweep's work as data, from which a process without torch and JAX can compute parts.

A Program and the leaves it reads enter; a PartWork leaves, here or wherever the data was sent.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gradsweep.engines.choice import ComputeOptions
from gradsweep.engines.prepared import Prepared, prepare
from gradsweep.program.loading import load
from gradsweep.program.trace import Trace
from gradsweep.request.leaf import Leaf
from gradsweep.request.partition import Part
from gradsweep.request.quantities import Result
from gradsweep.running.chunks import Task, execute
from gradsweep.running.run import OnError, PartResult, PartWork

__all__ = ["ProgramWork", "compute", "work_with"]


def work_with(
    prepared: Prepared,
    leaves: Mapping[str, Leaf],
    results: Sequence[PartResult],
    on_error: OnError,
    n_at_once: int = 1,
) -> PartWork:
    """Return the work of a sweep for which one kernel holds at every point."""
    return PartWork(leaves, results, partial(compute, prepared), on_error, n_at_once)


def compute(
    prepared: Prepared, leaves: Mapping[str, Leaf], part: Part, arrays: Sequence[np.ndarray]
) -> bool:
    """Fill a part's arrays with a kernel that holds for all of its points.

    Returns:
        Whether the function solves equations.
    """
    chunks, _ = prepared.chunks(part.lengths)
    dims = prepared.job.dims
    execute([Task(prepared.kernel, leaves, part.lengths, dims, None, chunks)], arrays, dims)
    return prepared.job.traced.solves


@dataclass(frozen=True)
class ProgramWork:
    """The work of a sweep whose derivative is a Program.

    Attributes:
        program: as JSON.
        outputs: what the Program's outputs are.
        framework: which one traced it.
        leaves: the values of the whole sweep.
        axes: its axes and their lengths.
        results: the arrays of a part.
        solves: whether the function solves equations.
    """

    program: str
    outputs: tuple[Result, ...]
    framework: str
    leaves: Mapping[str, Leaf]
    axes: Mapping[str, int]
    results: tuple[PartResult, ...]
    options: ComputeOptions
    on_error: OnError
    solves: bool

    def open(self) -> PartWork:
        """Make the kernel, on the machine that is to run it."""
        everything = tuple(frozenset(self.leaves) for _ in self.outputs)
        traced = Trace(
            framework=self.framework,
            results=self.outputs,
            program=load(self.program),
            reason="",
            depends=everything,
            call=_not_here,
            eager=_not_here,
            context=nullcontext,
            seconds=0.0,
            solves=self.solves,
        )
        prepared = prepare(traced, self.leaves, self.axes, self.options)
        return work_with(prepared, self.leaves, self.results, self.on_error)


def _not_here(_: Mapping[str, Any]) -> tuple[Any, ...]:
    raise AssertionError("a Program runs without the framework it came from")
