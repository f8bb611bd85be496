"""Decide how a derivative is computed over a sweep, before anything is.

A Request and options enter; a Plan leaves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from gradsweep.engines.choice import ComputeOptions
from gradsweep.planning.branches import Branch, Tracer, first_point, split
from gradsweep.planning.decision import PlannedBranch
from gradsweep.planning.parts import plan_parts
from gradsweep.planning.plan import Plan
from gradsweep.planning.preparing import plan_branch
from gradsweep.planning.traces import tracer
from gradsweep.program.trace import Trace
from gradsweep.request.leaf import Leaf
from gradsweep.request.request import Request
from gradsweep.running.destination import DestinationOptions, make_destination
from gradsweep.support.errors import BranchError, MemoryLimitError, warn
from gradsweep.support.memory import SCRATCH_BYTES, budget_bytes, format_bytes
from gradsweep.support.memory_pool import POOL

__all__ = ["make_plan"]

_IN_MEMORY = DestinationOptions()


def make_plan(
    request: Request,
    options: ComputeOptions,
    asked: DestinationOptions = _IN_MEMORY,
    known: list[Trace] | None = None,
) -> Plan:
    """Trace the derivative and decide how each branch is run.

    Args:
        asked: where results go; by default into memory, whole.
        known: traces to use where they hold, and to add new ones to; by default those that are
            kept for functions that do the same.

    Raises:
        MemoryLimitError: when it cannot be computed within the limit.
    """
    bound, leaves, axes = request.bound, request.leaves, request.axes
    trace, memory_limit = tracer(request, options, known), asked.memory_limit
    destination = make_destination(asked)
    if destination is not None:
        replan = partial(_replan, _without_points(request), options)
        POOL.clear()  # parts have memory of their own
        return plan_parts(request, options, trace, budget_bytes(memory_limit), destination, replan)
    try:
        branches = split(trace, leaves, axes, bound.describe)
    except BranchError as error:
        if options.engine not in ("auto", "loop"):
            raise
        branches = [_unsplit(trace, leaves, axes, reason=str(error).splitlines()[0])]
    planned = tuple(plan_branch(branch, options) for branch in branches)
    results = branches[0].traced.results
    dims = tuple(_merge_dims(planned, position, axes) for position in range(len(results)))
    if options.engine == "auto" and not planned[0].prepared.choice.engine.is_vectorised:
        warn(f"{bound.name} runs as a plain loop over its points: {branches[0].traced.reason}.")
    plan = Plan(bound, request.derivative, leaves, axes, results, dims, planned, request.dtype)
    return plan if memory_limit is None and plan.result_bytes < _SMALL else _fit(plan, memory_limit)


# Results that take less are not worth asking how much memory there is.
_SMALL = 2**26


def _fit(plan: Plan, memory_limit: int | float | str | None) -> Plan:
    """Return the plan in chunks such that all of it fits into the memory there is."""
    free = budget_bytes(memory_limit)
    budget = free + POOL.idle_bytes
    needed = plan.held_bytes
    if needed > budget:
        raise MemoryLimitError(
            f"the results of {plan.bound.name} over this sweep take {format_bytes(needed)}, and "
            f"{_what_there_is(budget, memory_limit)}.\n"
            f'Write them to disk (store="results.zarr"), reduce them (reduce="mean"), sweep fewer '
            f"points, or raise memory_limit."
        )
    scratch = min(SCRATCH_BYTES, budget - needed)
    branches = []
    for planned in plan.branches:
        chunks, n_bytes = planned.prepared.chunks(planned.branch.axes, scratch)
        _require_one_point(plan, n_bytes, scratch, budget, memory_limit)
        branches.append(replace(planned, chunks=chunks, scratch_bytes=n_bytes))
    fitting = replace(plan, branches=tuple(branches))
    POOL.shrink(fitting.projected_bytes - free)
    return fitting


def _require_one_point(
    plan: Plan, needed: int, limit: int, budget: int, memory_limit: int | float | str | None
) -> None:
    if needed > max(limit, SCRATCH_BYTES if memory_limit is None else 0):
        raise MemoryLimitError(
            f"one point of {plan.bound.name} takes {format_bytes(needed)} while it is computed, "
            f"and {_what_there_is(budget, memory_limit)}.\n"
            f"Raise memory_limit, or differentiate fewer arguments at a time (wrt=...)."
        )


def _what_there_is(budget: int, memory_limit: int | float | str | None) -> str:
    if memory_limit is None:
        return f"{format_bytes(budget)} of memory are free"
    return f"memory_limit={memory_limit!r} leaves {format_bytes(budget)} beside what is held now"


def _unsplit(
    trace: Tracer,
    leaves: Mapping[str, Leaf],
    axes: Mapping[str, int],
    reason: str,
) -> Branch:
    """Return the whole sweep as one branch without a Program, which may depend on everything."""
    traced = trace(first_point(leaves))
    everything = tuple(frozenset(leaves) for _ in traced.results)
    return Branch(
        replace(traced, program=None, reason=reason, depends=everything), leaves, axes, None
    )


def _without_points(request: Request) -> Request:
    """Return a request with a few points, to be given others: it may travel to other processes."""
    return request.with_leaves({key: leaf.head(2) for key, leaf in request.leaves.items()})


def _replan(request: Request, options: ComputeOptions, leaves: Mapping[str, Leaf]) -> Plan:
    return make_plan(request.with_leaves(leaves), options)


def _merge_dims(
    planned: Sequence[PlannedBranch], position: int, axes: Mapping[str, int]
) -> tuple[str, ...]:
    """Return the axes of a result over all branches: which branch a point takes counts too."""
    found: set[str] = set()
    for part in planned:
        found.update(part.prepared.job.dims[position])
        if part.branch.points is not None:
            found.update(part.branch.points.index)
    return tuple(axis for axis in axes if axis in found)
