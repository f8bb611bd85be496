"""Plan: how a derivative will be computed over a sweep; it can be printed and run.

What was decided enters, labelled results leave. Nothing is decided here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gradsweep._version import __version__
from gradsweep.engines.choice import ComputeOptions
from gradsweep.planning.decision import Decision
from gradsweep.planning.describe import describe, source
from gradsweep.planning.fingerprint import fingerprint
from gradsweep.results.dataset import coordinates, dataset
from gradsweep.results.layout import Layout
from gradsweep.results.names import variables
from gradsweep.running.chunks import Task, allocate, execute
from gradsweep.running.part_work import checked, replanned
from gradsweep.running.program_work import ProgramWork, work_with
from gradsweep.running.run import OnError, PartResult, PartWork, holds_nan, run, run_parts
from gradsweep.running.scheduler import Outcome
from gradsweep.support import memory_pool
from gradsweep.support.errors import warn

if TYPE_CHECKING:
    import xarray

__all__ = ["Plan"]


@dataclass(frozen=True, eq=False, repr=False)
class Plan(Decision):
    """How a derivative will be computed over a sweep. It can be printed."""

    def allocate(self, empty: Callable[..., np.ndarray] = memory_pool.empty) -> list[np.ndarray]:
        """Return an array for each result, yet to be filled.

        Args:
            empty: makes the memory; that of `np.empty` is none before something is written.
        """
        return [allocate(self.axes, r.dims, r.shape, r.dtype, empty) for r in self._part_results]

    def fill(self, arrays: Sequence[np.ndarray]) -> None:
        """Compute the sweep into arrays of the shapes that `allocate` gives."""
        tasks = [
            Task(
                kernel=planned.prepared.kernel,
                leaves=planned.branch.leaves,
                axes=planned.branch.axes,
                dims=planned.prepared.job.dims,
                points=planned.branch.points,
                chunks=planned.chunks,
            )
            for planned in self.branches
        ]
        execute(tasks, arrays, self.dims)
        for planned in self.branches:
            planned.prepared.n_runs += 1

    def run(self) -> "xarray.Dataset":
        """Compute the sweep and label it.

        Raises:
            StoreError: when results cannot be stored.
        """
        if self.destination is not None:
            work = self._work(self.destination.on_error)
            return run(self._title, self.layout, work, self.destination, self._unsolved_in_parts)
        arrays = self.allocate()
        self.fill(arrays)
        attrs = {**self._attrs, **self._unsolved(self.solves, self.solves and holds_nan(arrays))}
        return dataset(self.labels, self.results, self.dims, arrays, self.axes, attrs)

    def take_parts(self) -> Outcome:
        """Compute every part anew into the store, from which no Dataset is made."""
        assert self.destination is not None
        layout = self.layout
        self.destination.store.begin(layout)
        work = self._work(self.destination.on_error)
        return run_parts(self._title, layout.partition, work, self.destination)

    @property
    def _title(self) -> str:
        return f"{self.derivative.quantity} of {self.bound.name}"

    def _unsolved_in_parts(self, outcome: Outcome, is_resumed: bool) -> dict[str, int]:
        solves = self.solves or outcome.solves
        # What an earlier run computed may hold NaN, and may go ways that this one did not.
        may_be = outcome.may_be_unsolved or (is_resumed and (solves or self.replan is not None))
        return self._unsolved(solves, may_be)

    def _unsolved(self, solves: bool, may_be: bool) -> dict[str, int]:
        """Return the attribute `not_converged` of a function that solves equations, and warn.

        Args:
            solves: whether the function is known to solve equations.
            may_be: whether there may be points where one was not solved.
        """
        if self.count_unsolved is None or not (solves or may_be):
            return {}
        n = self.count_unsolved(self.framework) if may_be else 0
        if n is None:
            if solves:
                warn(
                    f"{self.bound.name} solves equations, and at how many points one was not "
                    f"solved, where results are NaN, cannot be told: find_root stands in a jitted "
                    f"function or a loop, or counting them failed."
                )
            return {}
        if n:
            points = "1 point" if n == 1 else f"{n:,} points"
            warn(
                f"{self.bound.name} solves an equation that was not solved at {points}, where "
                f"results are NaN: the search came to no end, or the residual has the same sign at "
                f"both limits of a bracket."
            )
        return {"not_converged": n}

    @property
    def _attrs(self) -> dict[str, str]:
        return {
            "function": self.bound.name,
            "quantity": self.derivative.quantity,
            "engine": self.engine,
            "framework": self.framework,
            "gradsweep": __version__,
        }

    @property
    def _part_results(self) -> list[PartResult]:
        return [
            PartResult(dims, result.shape, "bool" if result.is_bool else self.dtype)
            for result, dims in zip(self.results, self.dims)
        ]

    @property
    def layout(self) -> Layout:
        """What is stored, before any of it is computed."""
        assert self.partition is not None
        dtypes = [result.dtype for result in self._part_results]
        found = variables(self.labels, self.results, self.dims, dtypes, self.axes)
        return Layout(
            partition=self.partition,
            variables=tuple(found),
            coordinates=coordinates(self.labels, found, self.axes),
            attrs={**self._attrs, "axes": " ".join(self.axes)},
            fingerprint=fingerprint(self),
        )

    def _work(self, on_error: OnError) -> PartWork:
        """Return what computes a part."""
        results, first = tuple(self._part_results), self.branches[0]
        n_at_once = 1 if self.destination is None else self.destination.n_at_once
        if self.replan is not None:
            anew = partial(replanned, self.replan, self.dims)
            work = PartWork(self.leaves, results, anew, on_error)
            if first.prepared.choice.engine.runs_programs and not first.branch.category:
                by_trace = partial(checked, first.prepared, anew)
                work = PartWork(self.leaves, results, by_trace, on_error, n_at_once)
                work.portable = PartWork(self.leaves, results, anew, on_error)
            return work
        work = work_with(first.prepared, self.leaves, results, on_error, n_at_once)
        program = first.branch.traced.program
        if program is not None:
            work.portable = ProgramWork(
                program.to_json(),
                self.results,
                self.framework,
                self.leaves,
                self.axes,
                results,
                ComputeOptions(self.engine, threads=1),
                on_error,
                first.branch.traced.solves,
            )
        return work

    def source(self) -> str:
        """Return the Program of each branch as readable straight-line code, stage by stage."""
        return source(self)

    def __str__(self) -> str:
        return describe(self)

    def __repr__(self) -> str:
        return str(self)  # which a notebook shows
