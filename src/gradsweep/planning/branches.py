"""Split a sweep by the ways that the function's Python branches go.

A trace holds for the points where its guards hold. One kernel finds for each point which of the
known traces holds there. The other points are traced, until every point belongs to a branch that
holds for it.

Knows nothing of engines that run the branches, nor of labels.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np

from gradsweep.engines.axes import analyse, result_dims
from gradsweep.engines.cost import compiling_seconds, interpreting_seconds
from gradsweep.engines.fused import FusedEngine
from gradsweep.engines.job import Job, Kernel
from gradsweep.engines.numpy import ReferenceEngine
from gradsweep.engines.stages import make_stages
from gradsweep.program.guards import guards_of
from gradsweep.program.trace import Trace
from gradsweep.request.leaf import Leaf
from gradsweep.request.partition import SELECTED, Points
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

Leaves = Mapping[str, Leaf]


class Tracer(Protocol):
    """Traces a function at points."""

    @property
    def known(self) -> Sequence[Trace]:
        """The traces that are known, and may hold at other points than their own."""
        ...

    def __call__(self, point: Mapping[str, np.ndarray], /) -> Trace:
        """Return a trace that holds at a point, given the value of every leaf there."""
        ...


class _Subset(NamedTuple):
    """Some points of a sweep.

    Attributes:
        leaves: the values at these points.
        axes: the axes of the leaves and their lengths.
        points: the indices of the points in the sweep, along the axis `SELECTED` of the leaves;
            None when they are the whole sweep.
    """

    leaves: Leaves
    axes: Mapping[str, int]
    points: Points | None

    def where(self, chosen: np.ndarray, dims: tuple[str, ...]) -> "_Subset":
        """Choose points of some axes, which become the axis SELECTED.

        Args:
            chosen: a bool for each point that the axes `dims` span.
        """
        index = dict(zip(dims, np.nonzero(chosen)))
        gathered = {key: leaf.gather(index, SELECTED) for key, leaf in self.leaves.items()}
        left = {axis: n for axis, n in self.axes.items() if axis not in index}
        original = {axis: i for axis, i in index.items() if axis != SELECTED}
        if self.points is not None:
            original |= {axis: i[index[SELECTED]] for axis, i in self.points.index.items()}
        axes = {SELECTED: int(np.count_nonzero(chosen)), **left}
        return _Subset(gathered, axes, Points(original))


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
    """Give each point of a sweep to a trace that holds there, and trace where none does.

    Args:
        describe: writes a point, for messages.

    Raises:
        BranchError: when there are more than MAX_BRANCHES ways.
        OutputError: when the outputs have different shapes at different points.
        SweepError: when an axis is called SELECTED.
    """
    if SELECTED in axes:
        raise SweepError(f"a dim may not be called {SELECTED!r}, as gradsweep calls one of its own")
    branches, rest = _follow(trace.known, _Subset(leaves, axes, None))
    for number, branch in enumerate(branches[1:], start=1):
        _require_few(number, branch.traced)
        _require_same_results(branches[0], branch, describe)
    pending = [] if rest is None else [rest]
    while pending:
        subset = pending.pop()
        traced = trace(first_point(subset.leaves))
        _require_few(len(branches), traced)
        ((_, holds, dims),) = _where_they_hold([traced], subset)
        if SELECTED in subset.axes and SELECTED not in dims:
            # Points that were chosen before are to be chosen from again.
            holds, dims = np.repeat(holds[None], subset.axes[SELECTED], axis=0), (SELECTED, *dims)
        if holds.all():
            branches.append(Branch(traced, *subset))
        else:
            holds.flat[0] = True  # a trace holds at its own point, however rounding differs
            branches.append(Branch(traced, *subset.where(holds, dims)))
            if not holds.all():
                pending.append(subset.where(~holds, dims))
        _require_same_results(branches[0], branches[-1], describe)
    return branches


def _follow(known: Sequence[Trace], sweep: _Subset) -> tuple[list[Branch], _Subset | None]:
    """Give points to the first known trace that holds there; return those that are left too."""
    branches: list[Branch] = []
    along: tuple[str, ...] = ()
    taken = np.zeros((), bool)  # over those axes
    for traced, holds, dims in _where_they_hold(known, sweep):
        both = tuple(axis for axis in sweep.axes if axis in {*along, *dims})
        is_taken = _spread(taken, along, both, sweep.axes)
        chosen = _spread(holds, dims, both, sweep.axes) & ~is_taken
        if chosen.all():
            return [Branch(traced, *sweep)], None
        if not chosen.any():
            continue
        branches.append(Branch(traced, *sweep.where(chosen, both)))
        taken, along = is_taken | chosen, both
        if taken.all():
            return branches, None
    return branches, sweep.where(~taken, along) if branches else sweep


def _spread(
    array: np.ndarray, dims: tuple[str, ...], onto: tuple[str, ...], axes: Mapping[str, int]
) -> np.ndarray:
    """Repeat an array along the axes of `onto` that it lacks; its own come in the same order."""
    aligned = array[tuple(slice(None) if axis in dims else np.newaxis for axis in onto)]
    return np.broadcast_to(aligned, [axes[axis] for axis in onto])


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
    """Tell whether a trace is known to hold at a point."""
    if traced.point is not None:
        return _as_bytes(traced.point) == _as_bytes(point)
    leaves = {key: Leaf(key, (), value.shape, value) for key, value in point.items()}
    ((_, holds, _),) = _where_they_hold([traced], _Subset(leaves, {}, None))
    return bool(holds)


def _as_bytes(point: Mapping[str, np.ndarray]) -> dict[str, bytes]:
    return {key: value.tobytes() for key, value in point.items()}


def _where_they_hold(
    traces: Sequence[Trace], subset: _Subset
) -> Iterator[tuple[Trace, np.ndarray, tuple[str, ...]]]:
    """Yield each trace with where it holds, over the axes that its guards vary with; these too."""
    guarded = tuple(traced for traced in traces if traced.program and traced.program.guards)
    together = _check(guarded, subset) if guarded else None
    checks = [together] if together else (_check((traced,), subset) for traced in guarded)
    found = (entry for check in checks if check for entry in check(subset))
    for traced in traces:
        if traced.program and traced.program.guards:
            yield traced, *next(found)
        else:
            yield traced, np.ones((), dtype=bool), ()


def _check(traces: tuple[Trace, ...], subset: _Subset) -> "_Check | None":
    """Return what tells where traces hold; None where one kernel would compute far too much.

    There is always one for a single trace.
    """
    form = tuple((key, leaf.dims, leaf.part_dims) for key, leaf in subset.leaves.items())

    def make() -> _Check | None:
        program = guards_of([traced.program for traced in traces if traced.program])
        return None if program is None else _Check(replace(traces[0], program=program), subset)

    return _CHECKS.get((traces, form, tuple(subset.axes)), make)


class _Check:
    """Tells where each of some traces holds, by one kernel.

    It interprets the guards, until that has taken as long as it takes to compile them: so it never
    takes more than twice the time of the better way.

    Args:
        traced: with the Program that tells it, an output for each of these traces.
        subset: of the form of those that it is asked for.
    """

    def __init__(self, traced: Trace, subset: _Subset):
        program, leaves, axes = traced.program, subset.leaves, tuple(subset.axes)
        assert program is not None
        dependence = analyse(program, leaves)
        traced = replace(traced, results=())
        dims = result_dims(traced, dependence, leaves, axes)
        few = {key: leaf.head(1) for key, leaf in leaves.items()}
        self._job = Job(traced, few, axes, dims, make_stages(program, dependence))
        self._kernel: Kernel = ReferenceEngine().prepare(self._job)
        self._seconds_left = compiling_seconds(self._job)

    def __call__(self, subset: _Subset) -> Iterator[tuple[np.ndarray, tuple[str, ...]]]:
        """Yield for each trace where it holds, and over which axes."""
        if self._seconds_left > 0:
            self._seconds_left -= interpreting_seconds(self._job, subset.axes)
            engine = FusedEngine()
            if self._seconds_left <= 0 and not engine.refuses(self._job):
                self._kernel = engine.prepare(self._job)
        dims = self._job.dims
        arrays = [np.empty([subset.axes[axis] for axis in own], dtype=bool) for own in dims]
        self._kernel(subset.leaves, arrays)
        return zip(arrays, dims)


# By traces and by the form of the leaves.
_CHECKS: Cache[_Check | None] = Cache(size=256)


def _require_few(n_before: int, traced: Trace) -> None:
    """Refuse a way when there are too many before it."""
    if n_before < MAX_BRANCHES:
        return
    where = traced.program.guards[0].where if traced.program else "a branch"
    raise BranchError(
        f"the function takes more than {MAX_BRANCHES} ways through its Python branches "
        f"over this sweep, at {where}.\n"
        f"Write the choice with torch.where, or use engine='loop'."
    )


def _require_same_results(
    first: Branch, other: Branch, describe: Callable[[Mapping[str, np.ndarray]], str]
) -> None:
    shapes = [tuple((r.output, r.shape) for r in b.traced.results) for b in (first, other)]
    if shapes[0] == shapes[1]:
        return
    here, there = (describe(first_point(branch.leaves)) for branch in (first, other))
    if len(shapes[0]) != len(shapes[1]):
        raise OutputError(
            f"the function returns other outputs at {here} than at {there}.\n"
            f"Return the same ones everywhere."
        )
    (_, a), (_, b) = next(pair for pair in zip(*shapes) if pair[0] != pair[1])
    raise OutputError(
        f"the shape of the result varies from point to point: it is {a} at {here} and {b} at "
        f"{there}.\nReturn one shape: pad it, or sum over what varies."
    )
