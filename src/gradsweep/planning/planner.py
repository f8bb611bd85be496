"""Decide how a derivative is computed over a sweep, before anything is.

A Request and options enter; a Plan leaves.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from gradsweep.engines.choice import ComputeOptions
from gradsweep.planning.branches import (
    Branch,
    Tracer,
    first_point,
    require_same_results,
    split,
    without_unread,
)
from gradsweep.planning.decision import PlannedBranch
from gradsweep.planning.parts import how_to_make_room, plan_parts
from gradsweep.planning.plan import Plan
from gradsweep.planning.preparing import plan_branch
from gradsweep.planning.traces import tracer
from gradsweep.program.trace import Trace
from gradsweep.request.leaf import Leaf
from gradsweep.request.partition import Subset
from gradsweep.request.quantities import Derivative
from gradsweep.request.request import Request, Selection, selections
from gradsweep.results.stores.counted import Counted
from gradsweep.running.destination import DestinationOptions, make_destination
from gradsweep.running.run import Destination
from gradsweep.support.errors import ArgumentError, BranchError, MemoryLimitError, warn
from gradsweep.support.memory import SCRATCH_BYTES, budget_bytes, format_bytes
from gradsweep.support.memory_pool import POOL
from gradsweep.support.words import listed
from gradsweep.tracing.solving.collected import whether_unsolved

__all__ = ["Known", "make_plan"]

# Traces by the categories that were chosen, as a Request has them.
Known = dict[Hashable, list[Trace]]

_IN_MEMORY = DestinationOptions()

_VALUE = Derivative("value", ())


def make_plan(
    request: Request,
    options: ComputeOptions,
    asked: DestinationOptions = _IN_MEMORY,
    known: Known | None = None,
) -> Plan:
    """Trace the derivative and decide how each branch is run.

    Args:
        asked: where results go; by default into memory, whole.
        known: traces to use where they hold, and to add new ones to, by the categories that were
            chosen; by default those that are kept for functions that do the same.

    Raises:
        MemoryLimitError: when it cannot be computed within the limit.
    """
    bound, leaves, axes = request.bound, request.leaves, request.axes
    memory_limit = asked.memory_limit
    destination = make_destination(_reducing_numbers(asked, request))
    if destination is not None:
        POOL.clear()  # parts have memory of their own
        replanner = partial(_replanner, options)
        budget = budget_bytes(memory_limit)
        return replace(
            plan_parts(request, options, budget, destination, replanner),
            count_unsolved=partial(_count_in_parts, request, options, budget, destination),
        )
    branches = _branches(request, options, known)
    planned = tuple(plan_branch(branch, options) for branch in branches)
    results = branches[0].traced.results
    dims = tuple(_merge_dims(planned, position, axes) for position in range(len(results)))
    slow = next((p for p in planned if not p.prepared.choice.engine.is_vectorised), None)
    if options.engine == "auto" and slow is not None:
        reason = slow.branch.traced.reason
        warn(f"{bound.name} runs as a plain loop over its points: {reason}.")
    plan = Plan(
        bound,
        request.derivative,
        leaves,
        axes,
        results,
        dims,
        planned,
        request.dtype,
        count_unsolved=partial(_count_unsolved, request, options),
    )
    return plan if memory_limit is None and plan.result_bytes < _SMALL else _fit(plan, memory_limit)


def _count_unsolved(request: Request, options: ComputeOptions, framework: str) -> int | None:
    """Return at how many points an equation that a function solves was not solved.

    Points are those along the axes that the equations depend on. A point where several equations
    were not solved counts once. None where the function cannot be asked, as where its equations
    stand in a function that is jitted and not traced again.
    """
    try:
        plan = make_plan(_unsolved(request), replace(options, framework=framework))
        arrays = plan.allocate()
        plan.fill(arrays)
    except Exception:
        return None
    (is_unsolved,) = arrays
    return int(np.count_nonzero(is_unsolved)) if plan.solves else None


def _count_in_parts(
    request: Request,
    options: ComputeOptions,
    budget: int,
    destination: Destination,
    framework: str,
) -> int | None:
    """Return the same, of a sweep that is run part by part where its destination says.

    Where the values decide which way a function goes, points are those of the whole sweep. A point
    that is masked is none that was not solved.
    """
    counted = Counted()
    aside = replace(destination, store=counted, keep_rows=True)
    options = replace(options, framework=framework)
    try:
        replanner = partial(_replanner, options)
        plan = plan_parts(_unsolved(request), options, budget, aside, replanner)
        outcome = plan.take_parts()
    except Exception:
        return None
    return counted.n if plan.solves or outcome.solves else None


def _unsolved(request: Request) -> Request:
    """Return a request that tells at each point whether an equation was not solved."""
    return replace(request, bound=whether_unsolved(request.bound), derivative=_VALUE)


def _branches(request: Request, options: ComputeOptions, known: Known | None) -> list[Branch]:
    """Return the branches of a sweep: each category of an argument is a way of its own."""
    found = []
    for selection in selections(request):
        own = None if known is None else known.setdefault(selection.request.chosen, [])
        trace = tracer(selection.request, options, own)
        found.append((selection, _split(selection, trace, options)))
    if not request.categorical:
        return found[0][1]
    rest = without_unread(request, [s for s, _ in found], [branches for _, branches in found])
    if rest is not None:
        return _branches(rest, options, known)
    (first, first_branches), *others = found
    for other, branches in others:
        require_same_results(
            first_branches[0],
            branches[0],
            first.request.bound.describe,
            other.request.bound.describe,
        )
    return [branch for _, branches in found for branch in branches]


def _split(selection: Selection, trace: Tracer, options: ComputeOptions) -> list[Branch]:
    """Return the branches of the points that have the same categories."""
    bound, subset = selection.request.bound, selection.subset
    try:
        branches = split(trace, subset, bound.describe)
    except BranchError as error:
        if options.engine not in ("auto", "loop"):
            raise
        branches = [_unsplit(trace, subset, reason=str(error).splitlines()[0])]
    chosen = selection.request.chosen
    return [replace(b, category=selection.shown, chosen=chosen) for b in branches]


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
            f"{how_to_make_room(plan.derivative)}"
        )


def _what_there_is(budget: int, memory_limit: int | float | str | None) -> str:
    if memory_limit is None:
        return f"{format_bytes(budget)} of memory are free"
    return f"memory_limit={memory_limit!r} leaves {format_bytes(budget)} beside what is held now"


def _unsplit(trace: Tracer, subset: Subset, reason: str) -> Branch:
    """Return some points as one branch without a Program, which may depend on everything."""
    leaves = subset.leaves
    traced = trace(first_point(leaves))
    everything = tuple(frozenset(leaves) for _ in traced.results)
    return Branch(
        replace(traced, program=None, reason=reason, depends=everything),
        leaves,
        subset.axes,
        subset.points,
    )


def _replanner(options: ComputeOptions, request: Request) -> Callable[[Mapping[str, Leaf]], Plan]:
    """Return what plans a request for the leaves of a part; it may travel to other processes."""
    few = request.with_leaves({key: leaf.head(2) for key, leaf in request.leaves.items()})
    return partial(_replan, few, options)


def _replan(request: Request, options: ComputeOptions, leaves: Mapping[str, Leaf]) -> Plan:
    return make_plan(request.with_leaves(leaves), options)


def _reducing_numbers(asked: DestinationOptions, request: Request) -> DestinationOptions:
    """Return the options of a destination, which reduces no axis of categories alone.

    Raises:
        ArgumentError: when it is asked to, or there is no other axis.
    """
    categories = request.category_axes
    if asked.reduce is None or not categories:
        return asked
    rest = [axis for axis in request.axes if axis not in categories]
    named = ", ".join(map(repr, (a for a in request.axes if a in categories)))
    asked_for = listed([asked.reduce] if isinstance(asked.reduce, str) else [*asked.reduce])
    along = f"along {named} there are categories, of which there is no {asked_for}"
    if asked.dims is None and rest:
        return replace(asked, dims=rest)
    if asked.dims is None:
        raise ArgumentError(f"{along}, and there is no other axis.")
    dims = (asked.dims,) if isinstance(asked.dims, str) else asked.dims
    if categories.intersection(dims):
        raise ArgumentError(f"{along}: leave {named} out of dims.")
    return asked


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
