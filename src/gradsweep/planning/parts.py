"""Plan a sweep that is run part by part, when its results do not all stay in memory.

A Request and a Destination enter; a Plan leaves. The function is traced at one point for each
category: a part of several, or that goes another way through it, is planned again when it is
computed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from gradsweep.engines.choice import ComputeOptions
from gradsweep.engines.fused.runtime.pool import available_threads
from gradsweep.engines.prepared import Prepared
from gradsweep.planning.branches import (
    Branch,
    Tracer,
    point_at,
    require_same_results,
    without_unread,
)
from gradsweep.planning.decision import PlannedBranch
from gradsweep.planning.plan import Plan
from gradsweep.planning.preparing import prepared_for
from gradsweep.planning.traces import tracer
from gradsweep.program.guards import with_holds
from gradsweep.program.trace import Trace
from gradsweep.request.partition import Partition, choose_block, n_points
from gradsweep.request.quantities import Derivative
from gradsweep.request.request import Request, Selection, selections
from gradsweep.results.layout import ArrayBytes, bytes_of_arrays, total_bytes
from gradsweep.running.part_work import Replan
from gradsweep.running.run import Destination
from gradsweep.support.errors import GradsweepError, MemoryLimitError
from gradsweep.support.memory import format_bytes

__all__ = ["how_to_make_room", "plan_parts"]

# At how many points tracing is tried, where points that cannot be computed are masked.
_TRIES_AT_TRACING = 64

# The fewest parts of a sweep, and the least that a part holds even so.
_LEAST_PARTS = 32
_LEAST_PART_BYTES = 2**22


def plan_parts(
    request: Request,
    options: ComputeOptions,
    budget: int,
    destination: Destination,
    replan: Callable[[Request], Replan],
) -> Plan:
    """Trace at one point for each category, choose the engine, and cut the sweep into parts.

    Args:
        budget: the bytes that the run may take.
        replan: returns what plans a part from its leaves alone; it may travel to other processes.

    Raises:
        MemoryLimitError: when a part of one point does not fit.
        OutputError: when categories have different results.
    """
    bound, axes, is_masked = request.bound, request.axes, destination.on_error == "mask"
    found = selections(request)
    branches = [_branch(selection, options, is_masked) for selection in found]
    if request.categorical:
        rest = without_unread(request, found, [[branch] for branch in branches])
        if rest is not None:
            return replace(plan_parts(rest, options, budget, destination, replan), bound=bound)
        for selection, branch in zip(found, branches):
            describe = found[0].request.bound.describe, selection.request.bound.describe
            require_same_results(branches[0], branch, *describe)
    # One kernel holds for all points of a category, unless these may go different ways.
    is_one = all(_is_one_way(branch.traced) for branch in branches)
    prepared = [_prepared(branch, options, destination) for branch in branches]
    destination = prepared[0][1]
    traced = branches[0].traced
    dims = tuple(tuple(axes) for _ in traced.results)
    if is_one:
        every = [p.job.dims for p, _ in prepared]
        chosen = frozenset(dim for selection in found for dim in selection.dims)
        dims = tuple(
            tuple(axis for axis in axes if axis in chosen.union(*of)) for of in zip(*every)
        )
    arrays = bytes_of_arrays(traced.results, dims, request.dtype)
    block = _choose_part(request, arrays, destination, budget)
    return Plan(
        bound,
        request.derivative,
        request.leaves,
        axes,
        traced.results,
        dims,
        tuple(PlannedBranch(b, p, *p.chunks(block)) for b, (p, _) in zip(branches, prepared)),
        request.dtype,
        partition=Partition(axes, block),
        destination=destination,
        replan=None if is_one and not request.categorical else replan(request),
    )


def _branch(selection: Selection, options: ComputeOptions, is_masked: bool) -> Branch:
    """Trace the points of a selection at one of them."""
    request = selection.request
    traced = _trace_somewhere(tracer(request, options), selection, is_masked)
    return Branch(
        traced, request.leaves, request.axes, None, selection.shown, chosen=request.chosen
    )


def _is_one_way(traced: Trace) -> bool:
    program = traced.program
    return not program.guards if program is not None else traced.framework == "jax"


def _trace_somewhere(trace: Tracer, selection: Selection, is_masked: bool) -> Trace:
    """Trace at the first point; where points may fail, at the first of several that does not."""
    places = selection.places
    points = Partition(places.axes, dict.fromkeys(places.axes, 1))
    last, n_tries = points.n_parts - 1, _TRIES_AT_TRACING if is_masked else 1
    numbers = {last * k // max(1, n_tries - 1) for k in range(n_tries)}
    failure: Exception | None = None
    for number in sorted(numbers):
        position = places.position({axis: s.start for axis, s in points[number].slices.items()})
        try:
            return trace(point_at(selection.request.leaves, position))
        except GradsweepError:
            raise
        except Exception as error:
            failure = failure or error
    assert failure is not None
    raise failure


def _prepared(
    branch: Branch, options: ComputeOptions, destination: Destination
) -> tuple[Prepared, Destination]:
    """Choose the engine, and how many parts the destination takes side by side."""
    program = branch.traced.program
    checked = branch
    if program is not None and program.guards:
        # One kernel serves all parts, and tells where it does not hold: mostly nowhere.
        checked = replace(branch, traced=replace(branch.traced, program=with_holds(program)))
    prepared = prepared_for(checked, options)
    if not prepared.choice.engine.runs_programs:
        prepared = prepared_for(branch, options)  # only a Program tells where it holds
    if not prepared.choice.engine.compiles or destination.travels:
        return prepared, destination
    # Parts side by side, each on one thread, wait for each other less than threads of a part.
    n_at_once = options.threads or available_threads()
    prepared = prepared_for(checked, replace(options, threads=1))
    return prepared, replace(destination, n_at_once=n_at_once)


def _choose_part(
    request: Request, arrays: Sequence[ArrayBytes], destination: Destination, budget: int
) -> dict[str, int]:
    """Return the length of a part along each axis, so that the run fits into its budget."""
    axes = request.axes

    def bytes_of(block: Mapping[str, int]) -> int:
        read = sum(
            leaf.n_elements * n_points(leaf.dims, block) * np.dtype(leaf.dtype).itemsize
            for leaf in request.leaves.values()
        )
        return total_bytes(arrays, block) + read

    held = destination.store.held_bytes(axes, arrays)
    room = (budget - held) // (destination.copies + 1)
    wanted = min(destination.part_bytes, room)
    if destination.keep_rows:  # no part is stored, so that there can be several for every thread
        wanted = min(wanted, max(_LEAST_PART_BYTES, total_bytes(arrays, axes) // _LEAST_PARTS))
    stored = destination.store.stored_partition()
    if stored is not None and dict(stored.axes) == dict(axes):
        block = dict(stored.block)  # a run continues with the parts that it began with
    else:
        alone = request.category_axes  # a part has one category, and so has a chunk of a store
        whole = {axis: min(1, n) if axis in alone else n for axis, n in axes.items()}
        block = choose_block(whole, bytes_of, wanted, keep_rows=destination.keep_rows)
    if held > budget or bytes_of(block) > room:
        there = budget if held > budget else max(0, room)
        raise MemoryLimitError(
            f"{request.bound.name} takes {format_bytes(held or bytes_of(block))} "
            f"{'over this sweep' if held else 'at one point'}, and there are "
            f"{format_bytes(there)} for it.\n"
            f"{how_to_make_room(request.derivative)}"
        )
    return block


def how_to_make_room(derivative: Derivative) -> str:
    """Say what to do where the memory does not suffice, for messages."""
    return ", or ".join(filter(None, ["Raise memory_limit", derivative.lighter])) + "."
