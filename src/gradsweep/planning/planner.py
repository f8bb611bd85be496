"""Decide how a derivative is computed over a sweep, before anything is.

A bound function, a Derivative and the leaves enter; a Plan leaves.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from gradsweep.engines.choice import EngineOptions
from gradsweep.engines.fused.runtime.pool import available_threads
from gradsweep.engines.prepared import Prepared, prepare
from gradsweep.planning.branches import Branch, Tracer, first_point, holds_at, split
from gradsweep.planning.decision import PlannedBranch, labels_of
from gradsweep.planning.modes import trace_cheapest
from gradsweep.planning.plan import Plan
from gradsweep.program.guards import with_holds
from gradsweep.program.trace import Trace
from gradsweep.request.identity import Unknown, identity
from gradsweep.request.leaf import Leaf
from gradsweep.request.partition import Partition, choose_block, n_points
from gradsweep.request.request import Request
from gradsweep.results.names import require_distinct_names
from gradsweep.running.run import Destination
from gradsweep.support.cache import Cache
from gradsweep.support.errors import BranchError, GradsweepError, GradsweepWarning, MemoryLimitError
from gradsweep.support.memory import SCRATCH_BYTES, budget_bytes, format_bytes
from gradsweep.support.outside import watched

__all__ = ["PREPARED", "TRACES", "Options", "holds_elsewhere", "make_plan"]

# Shorter ones compile in no time, however few points there are.
_LONG_PROGRAM = 5000

# Ways through one function's branches that are kept: code that counts has one for every number.
_MOST_TRACES = 256

# What was traced, by function and form of its arguments, and what was prepared to run it.
TRACES: Cache[list[Trace]] = Cache(size=256)
PREPARED: Cache[Prepared] = Cache(size=256)


@dataclass(frozen=True)
class Options(EngineOptions):
    """How to compute, as opposed to what.

    Attributes:
        framework: "torch" or "jax", or None to find out.
    """

    framework: str | None = None


def make_plan(
    request: Request,
    options: Options,
    memory_limit: int | float | str | None = None,
    destination: Destination | None = None,
    known: list[Trace] | None = None,
) -> Plan:
    """Trace the derivative and decide how each branch is run.

    Args:
        memory_limit: what the process may take; by default a safe share of what is free.
        destination: where results go part by part; None to run the sweep whole, in memory.
        known: traces to use where they hold, and to add new ones to; by default those that are
            kept for functions that do the same.

    Raises:
        MemoryLimitError: when it cannot be computed within the limit.
    """
    bound, leaves, axes = request.bound, request.leaves, request.axes
    anew = partial(_trace_named, request, options.framework)
    if known is not None:
        trace = _reusing(known, anew, bound.function, is_kernel=True)
    else:
        trace = _remembering(anew, request, options)
    if destination is not None:
        return _plan_parts(request, options, trace, budget_bytes(memory_limit), destination)
    try:
        branches = split(trace, leaves, axes, bound.describe)
    except BranchError as error:
        if options.engine not in ("auto", "loop"):
            raise
        branches = [_unsplit(trace, leaves, axes, reason=str(error).splitlines()[0])]
    planned = tuple(_plan_branch(branch, options) for branch in branches)
    results = branches[0].traced.results
    dims = tuple(_merge_dims(planned, position, axes) for position in range(len(results)))
    if options.engine == "auto" and not planned[0].prepared.choice.engine.is_vectorised:
        warnings.warn(
            f"{bound.name} runs as a plain loop over its points: {branches[0].traced.reason}.",
            GradsweepWarning,
            stacklevel=4,
        )
    plan = Plan(bound, request.derivative, leaves, axes, results, dims, planned, request.dtype)
    return plan if memory_limit is None and plan.result_bytes < _SMALL else _fit(plan, memory_limit)


# Results that take less are not worth asking how much memory there is.
_SMALL = 2**26


def _fit(plan: Plan, memory_limit: int | float | str | None) -> Plan:
    """Return the plan in chunks such that all of it fits into the memory there is."""
    budget = budget_bytes(memory_limit)
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
    return replace(plan, branches=tuple(branches))


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


# Where points that cannot be computed are masked, so many are tried before none is thought to be.
_TRIES_AT_TRACING = 64

# A sweep is cut into so many parts at least, unless they would hold less than this.
_LEAST_PARTS = 32
_LEAST_PART_BYTES = 2**22


def _plan_parts(
    request: Request,
    options: Options,
    trace: Tracer,
    budget: int,
    destination: Destination,
) -> Plan:
    """Plan a sweep that is run part by part."""
    bound, leaves, axes = request.bound, request.leaves, request.axes
    n_tries = 1 if destination.on_error == "raise" else _TRIES_AT_TRACING
    traced = _trace_somewhere(trace, leaves, axes, n_tries)
    program = traced.program
    # One kernel holds for all parts, unless points take their own way through the function.
    is_one = not program.guards if program is not None else traced.framework == "jax"
    branch = Branch(traced, leaves, axes, None)
    checked = branch
    if program is not None and program.guards:
        # One kernel all the same, which tells where it does not hold: mostly nowhere.
        checked = replace(branch, traced=replace(traced, program=with_holds(program)))
    prepared = _prepared(checked, options)
    if not prepared.choice.engine.runs_programs:
        prepared = _prepared(branch, options)  # nothing else tells where a Program holds
    if prepared.choice.engine.compiles and not destination.travels:
        # Parts side by side, each on one thread, wait for each other less than threads of a part.
        destination = replace(destination, n_at_once=options.threads or available_threads())
        prepared = _prepared(checked, replace(options, threads=1))
    job_dims = prepared.job.dims if is_one else tuple(tuple(axes) for _ in traced.results)
    plan = Plan(
        bound,
        request.derivative,
        leaves,
        axes,
        traced.results,
        job_dims,
        (),
        request.dtype,
        destination=destination,
        replan=None if is_one else partial(_replan, _without_points(request), options),
    )

    def bytes_of(block: Mapping[str, int]) -> int:
        read = sum(
            leaf.n_elements * n_points(leaf.dims, block) * np.dtype(leaf.dtype).itemsize
            for leaf in leaves.values()
        )
        return plan.with_axes(block).result_bytes + read

    held = destination.store.held_bytes(axes, plan.array_bytes)
    room = (budget - held) // (destination.copies + 1)
    wanted = min(destination.part_bytes, room)
    if destination.keep_rows:  # nothing of a part is kept: there may be some for every thread
        wanted = min(wanted, max(_LEAST_PART_BYTES, plan.result_bytes // _LEAST_PARTS))
    stored = destination.store.stored_partition()
    if stored is not None and dict(stored.axes) == dict(axes):
        block = dict(stored.block)  # a run is continued in the parts that it was begun in
    else:
        block = choose_block(axes, bytes_of, wanted, keep_rows=destination.keep_rows)
    if held > budget or bytes_of(block) > room:
        there = budget if held > budget else max(0, room)
        raise MemoryLimitError(
            f"{bound.name} takes {format_bytes(held or bytes_of(block))} "
            f"{'over this sweep' if held else 'at one point'}, and there are "
            f"{format_bytes(there)} for it.\nRaise memory_limit, or differentiate fewer arguments "
            f"at a time (wrt=...)."
        )
    planned = PlannedBranch(branch, prepared, *prepared.chunks(block))
    return replace(plan, branches=(planned,), partition=Partition(axes, block))


def _trace_somewhere(
    trace: Tracer, leaves: Mapping[str, Leaf], axes: Mapping[str, int], n_tries: int
) -> Trace:
    """Trace at the first point, or at the next of so many others where that fails."""
    points = Partition(axes, dict.fromkeys(axes, 1))
    last = points.n_parts - 1
    numbers = {last * k // max(1, n_tries - 1) for k in range(n_tries)}
    failure: Exception | None = None
    for number in sorted(numbers):
        slices = points[number].slices
        try:
            return trace(first_point({key: leaf.take(slices) for key, leaf in leaves.items()}))
        except GradsweepError:
            raise
        except Exception as error:
            failure = failure or error
    assert failure is not None
    raise failure


def _remembering(trace: Tracer, request: Request, options: Options) -> Tracer:
    """Return a `trace` that hands out what was traced before, where that holds."""
    try:
        key = (
            identity(request.bound.function),
            tuple((a.name, a.is_single, a.origin) for a in request.bound.arguments),
            identity([a.form for a in request.bound.arguments if not a.is_single]),
            tuple((k, leaf.dims, leaf.shape, leaf.dtype) for k, leaf in request.leaves.items()),
            request.derivative,
            options.framework,
        )
    except Unknown:
        return trace
    return _reusing(TRACES.get(key, list), trace, request.bound.function)


def _reusing(known: list[Trace], trace: Tracer, function: Any, is_kernel: bool = False) -> Tracer:
    """Return a `trace` that hands out what is known where it holds, and adds to it.

    Args:
        is_kernel: whether what a function read of files and the like is kept too.
    """

    def reused(point: Mapping[str, np.ndarray]) -> Trace:
        for traced in known:
            # torch calls the function itself, where there is no Program: it must be this one.
            is_called = traced.program is None and traced.framework == "torch"
            if (traced.function is function or not is_called) and holds_at(traced, point):
                return traced
        with watched() as read:
            traced = trace(point)
        if holds_elsewhere(traced) and (is_kernel or not read):
            known.append(traced)
            del known[:-_MOST_TRACES]
        return traced

    return reused


def holds_elsewhere(traced: Trace) -> bool:
    """Tell whether a trace says anything of other points than its own."""
    return traced.program is not None or traced.is_unbranched


def _trace_named(request: Request, framework: str | None, point: Mapping[str, np.ndarray]) -> Trace:
    """Trace a derivative whose results have names of their own."""
    traced = trace_cheapest(request, framework, point)
    require_distinct_names(labels_of(request.bound), traced.results, request.axes)
    return traced


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


def _replan(request: Request, options: Options, leaves: Mapping[str, Leaf]) -> Plan:
    return make_plan(request.with_leaves(leaves), options)


def _plan_branch(branch: Branch, options: Options) -> PlannedBranch:
    prepared = _prepared(branch, options)
    return PlannedBranch(branch, prepared, *prepared.chunks(branch.axes))


def _prepared(branch: Branch, options: Options) -> Prepared:
    key = (
        branch.traced,
        tuple(branch.axes),
        tuple((key, leaf.dims, leaf.part_dims) for key, leaf in branch.leaves.items()),
        options,
        _magnitude(branch),
    )
    make = partial(prepare, branch.traced, branch.leaves, branch.axes, options)
    prepared = PREPARED.get(key, make)
    if prepared.n_runs >= prepared.choice.most_runs:
        return _prepared(branch, replace(options, is_reused=True))
    return prepared


def _magnitude(branch: Branch) -> int:
    """Return what of the number of points may decide the engine: whether there are few."""
    program = branch.traced.program
    if program is None or program.n_computed < _LONG_PROGRAM:
        return 0
    return len(str(n_points(branch.axes, branch.axes)))


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
