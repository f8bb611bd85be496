"""Split a sweep by the ways that the function's Python branches go.

A trace holds for the points where its guards hold. The other points are traced again, until every
point belongs to a branch that holds for it.

Knows nothing of engines that run the branches, nor of labels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from gradsweep.engines.axes import analyse, result_dims
from gradsweep.engines.fused import FusedEngine
from gradsweep.engines.job import Engine, Job, Kernel
from gradsweep.engines.numpy import ReferenceEngine
from gradsweep.engines.stages import make_stages
from gradsweep.program.guards import guards_of
from gradsweep.program.trace import Trace
from gradsweep.request.leaf import Leaf
from gradsweep.request.partition import SELECTED, Points, n_points
from gradsweep.support.cache import Cache
from gradsweep.support.errors import BranchError, OutputError, SweepError

__all__ = [
    "MAX_BRANCHES",
    "Branch",
    "Tracer",
    "first_point",
    "holds_at",
    "split",
]

MAX_BRANCHES = 64

_MANY_POINTS = 20_000

# Kernels that check guards, by trace and by the form of the leaves.
_CHECKS: Cache[tuple[Job, Kernel]] = Cache(size=256)

Leaves = Mapping[str, Leaf]
Tracer = Callable[[Mapping[str, np.ndarray]], Trace]


@dataclass(frozen=True, eq=False)
class Branch:
    """The points of a sweep that one trace holds for.

    Attributes:
        traced: the derivative, traced at one of the points.
        leaves: the values at these points.
        axes: the axes of the leaves and their lengths.
        points: the indices of the points in the sweep, along the axis `SELECTED` of the leaves;
            None when they are the whole sweep.
    """

    traced: Trace
    leaves: Leaves
    axes: Mapping[str, int]
    points: Points | None


def split(
    trace: Tracer,
    leaves: Leaves,
    axes: Mapping[str, int],
    describe: Callable[[Mapping[str, np.ndarray]], str],
) -> list[Branch]:
    """Trace the function once for each way that its branches go over the sweep.

    Args:
        trace: traces at a point, given the value of every leaf there.
        describe: writes a point, for messages.

    Raises:
        BranchError: when there are more than MAX_BRANCHES ways.
        OutputError: when the outputs have different shapes at different points.
        SweepError: when an axis is called SELECTED.
    """
    if SELECTED in axes:
        raise SweepError(f"a dim may not be called {SELECTED!r}, as gradsweep calls one of its own")
    branches: list[Branch] = []
    pending: list[tuple[Leaves, Mapping[str, int], Points | None]] = [(leaves, axes, None)]
    first: tuple[Trace, Mapping[str, np.ndarray]] | None = None
    while pending:
        leaves, axes, points = pending.pop()
        point = first_point(leaves)
        traced = trace(point)
        first = first or (traced, point)
        _require_same_results(*first, traced, point, describe)
        if len(branches) == MAX_BRANCHES:
            where = traced.program.guards[0].where if traced.program else "a branch"
            raise BranchError(
                f"the function takes more than {MAX_BRANCHES} ways through its Python branches "
                f"over this sweep, at {where}.\n"
                f"Write the choice with torch.where, or use engine='loop'."
            )
        holds, guarded = _where_it_holds(traced, leaves, axes)
        if holds.all():
            branches.append(Branch(traced, leaves, axes, points))
            continue
        holds.flat[0] = True  # a trace holds at its own point, however rounding differs
        for chosen, is_done in ((holds, True), (~holds, False)):
            if not chosen.any():
                continue
            subset = _gather(leaves, axes, points, guarded, np.nonzero(chosen))
            if is_done:
                branches.append(Branch(traced, *subset))
            else:
                pending.append(subset)
    return branches


def first_point(leaves: Leaves) -> dict[str, np.ndarray]:
    """Return the value of every leaf at the first point of every axis."""
    # An empty sweep has no point; its derivative is traced at ones.
    return {
        key: np.ones(leaf.shape, leaf.dtype)
        if leaf.is_empty
        else leaf.at(dict.fromkeys(leaf.dims, 0))
        for key, leaf in leaves.items()
    }


def holds_at(traced: Trace, point: Mapping[str, np.ndarray]) -> bool:
    """Tell whether a trace holds at a point that it was not made at."""
    if traced.program is None or not traced.program.guards:
        return True
    leaves = {key: Leaf(key, (), value.shape, value) for key, value in point.items()}
    holds, _ = _where_it_holds(traced, leaves, {})
    return bool(holds)


def _where_it_holds(
    traced: Trace, leaves: Leaves, axes: Mapping[str, int]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return where all guards hold, over the axes that they vary with; and those axes."""
    if traced.program is None or not traced.program.guards:
        return np.ones((), dtype=bool), ()
    form = tuple((key, leaf.dims, leaf.part_dims) for key, leaf in leaves.items())
    # Machine code is worth compiling for many points.
    is_large = n_points(axes, axes) >= _MANY_POINTS
    job, kernel = _CHECKS.get(
        (traced, form, tuple(axes), is_large), lambda: _make_check(traced, leaves, axes, is_large)
    )
    (dims,) = job.dims
    holds = np.empty([axes[dim] for dim in dims], dtype=bool)
    kernel(leaves, [holds])
    if SELECTED in axes and SELECTED not in dims:
        # Points that were chosen before are to be chosen from again.
        return np.repeat(holds[None], axes[SELECTED], axis=0), (SELECTED, *dims)
    return holds, dims


def _make_check(
    traced: Trace, leaves: Leaves, axes: Mapping[str, int], is_large: bool
) -> tuple[Job, Kernel]:
    """Make a kernel that tells at each point whether a trace holds there."""
    assert traced.program is not None
    program = guards_of(traced.program)
    dependence = analyse(program, leaves)
    check = replace(traced, program=program, results=())
    dims = result_dims(check, dependence, leaves, tuple(axes))
    stages = make_stages(program, dependence)
    job = Job(check, {k: leaf.head(1) for k, leaf in leaves.items()}, tuple(axes), dims, stages)
    engine: Engine = FusedEngine()
    if not is_large or engine.refuses(job):
        engine = ReferenceEngine()
    return job, engine.prepare(job)


def _require_same_results(
    first: Trace,
    first_point: Mapping[str, np.ndarray],
    traced: Trace,
    point: Mapping[str, np.ndarray],
    describe: Callable[[Mapping[str, np.ndarray]], str],
) -> None:
    shapes = [tuple((r.output, r.shape) for r in t.results) for t in (first, traced)]
    if shapes[0] == shapes[1]:
        return
    if len(shapes[0]) != len(shapes[1]):
        raise OutputError(
            f"the function returns other outputs at {describe(first_point)} "
            f"than at {describe(point)}.\nReturn the same ones everywhere."
        )
    (_, a), (_, b) = next(pair for pair in zip(*shapes) if pair[0] != pair[1])
    raise OutputError(
        f"the shape of the result varies from point to point: it is {a} at "
        f"{describe(first_point)} and {b} at {describe(point)}.\n"
        f"Return one shape: pad it, or sum over what varies."
    )


def _gather(
    leaves: Leaves,
    axes: Mapping[str, int],
    points: Points | None,
    guarded: tuple[str, ...],
    index: tuple[np.ndarray, ...],
) -> tuple[Leaves, Mapping[str, int], Points]:
    """Choose points of the guarded axes, which become the axis SELECTED."""
    chosen = dict(zip(guarded, index))
    gathered = {key: leaf.gather(chosen, SELECTED) for key, leaf in leaves.items()}
    left = {SELECTED: len(index[0])} | {a: n for a, n in axes.items() if a not in chosen}
    original = {axis: i for axis, i in chosen.items() if axis != SELECTED}
    if points is not None:
        original |= {axis: i[chosen[SELECTED]] for axis, i in points.index.items()}
    return gathered, left, Points(original)
