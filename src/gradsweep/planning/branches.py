"""Split a sweep by the ways that the function's Python branches go.

A trace holds for the points where its guards hold. One kernel finds for each point which of the
known traces holds there. The other points are traced, until every point belongs to a branch that
holds for it.

Knows nothing of engines that run the branches, nor of labels.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

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
from gradsweep.request.partition import Points, Subset
from gradsweep.request.quantities import Result
from gradsweep.request.request import Request, Selection
from gradsweep.support.cache import Cache
from gradsweep.support.errors import BranchError, OutputError

__all__ = [
    "MAX_BRANCHES",
    "Branch",
    "Tracer",
    "first_point",
    "goes_one_way",
    "holds_at",
    "point_at",
    "require_same_results",
    "split",
    "without_unread",
]

MAX_BRANCHES = 64

Leaves = Mapping[str, Leaf]
Describe = Callable[[Mapping[str, np.ndarray]], str]


class Tracer(Protocol):
    """Traces a function at points."""

    @property
    def known(self) -> Sequence[Trace]:
        """The traces that are known, and may hold at other points than their own."""
        ...

    def __call__(self, point: Mapping[str, np.ndarray], /) -> Trace:
        """Return a trace that holds at a point, given the value of every leaf there."""
        ...


@dataclass(frozen=True, eq=False)
class Branch:
    """The points of a sweep that one trace holds for.

    Attributes:
        traced: the derivative, traced at one of the points.
        leaves: the values at these points.
        axes: the axes of the leaves and their lengths.
        points: the indices of the points in the sweep, along the axis `SELECTED` of the leaves;
            None when they are the whole sweep.
        category: the categories that all of them have, such as "kind='call'"; "" for none.
        chosen: the same, as its Request has them.
    """

    traced: Trace
    leaves: Leaves
    axes: Mapping[str, int]
    points: Points | None
    category: str = ""
    chosen: Hashable = frozenset()


def _branch(traced: Trace, subset: Subset) -> Branch:
    return Branch(traced, subset.leaves, subset.axes, subset.points)


def split(trace: Tracer, subset: Subset, describe: Describe) -> list[Branch]:
    """Give each of some points to a trace that holds there, and trace where none does.

    Args:
        describe: writes a point, for messages.

    Raises:
        BranchError: when there are more than MAX_BRANCHES ways.
        OutputError: when the outputs have different shapes at different points.
    """
    branches, rest = _follow(trace.known, subset)
    for number, branch in enumerate(branches[1:], start=1):
        _require_few(number, branch.traced)
        require_same_results(branches[0], branch, describe)
    pending = [] if rest is None else [rest]
    while pending:
        subset = pending.pop()
        traced = trace(first_point(subset.leaves))
        _require_few(len(branches), traced)
        ((_, holds, dims),) = _where_they_hold([traced], subset)
        if holds.all():
            branches.append(_branch(traced, subset))
        else:
            holds.flat[0] = True  # a trace holds at its own point, however rounding differs
            branches.append(_branch(traced, subset.where(holds, dims)))
            if not holds.all():
                pending.append(subset.where(~holds, dims))
        require_same_results(branches[0], branches[-1], describe)
    return branches


def _follow(known: Sequence[Trace], sweep: Subset) -> tuple[list[Branch], Subset | None]:
    """Give points to the first known trace that holds there; return those that are left too."""
    branches: list[Branch] = []
    along: tuple[str, ...] = ()
    taken = np.zeros((), bool)  # over those axes
    for traced, holds, dims in _where_they_hold(known, sweep):
        both = tuple(axis for axis in sweep.axes if axis in {*along, *dims})
        is_taken = _spread(taken, along, both, sweep.axes)
        chosen = _spread(holds, dims, both, sweep.axes) & ~is_taken
        if chosen.all():
            return [_branch(traced, sweep)], None
        if not chosen.any():
            continue
        branches.append(_branch(traced, sweep.where(chosen, both)))
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
    return point_at(leaves, {})


def point_at(leaves: Leaves, position: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Return the value of every leaf at an index along each axis; at the first, by default."""
    # An empty sweep has no point; its derivative is traced at ones.
    return {
        key: np.ones(leaf.shape, leaf.dtype)
        if leaf.is_empty
        else leaf.at({dim: position.get(dim, 0) for dim in leaf.dims})
        for key, leaf in leaves.items()
    }


def holds_at(traced: Trace, point: Mapping[str, np.ndarray]) -> bool:
    """Tell whether a trace is known to hold at a point."""
    if traced.point is not None:
        return _as_bytes(traced.point) == _as_bytes(point)
    leaves = {key: Leaf(key, (), value.shape, value) for key, value in point.items()}
    ((_, holds, _),) = _where_they_hold([traced], Subset(leaves, {}))
    return bool(holds)


def _as_bytes(point: Mapping[str, np.ndarray]) -> dict[str, bytes]:
    return {key: value.tobytes() for key, value in point.items()}


def _where_they_hold(
    traces: Sequence[Trace], subset: Subset
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


def _check(traces: tuple[Trace, ...], subset: Subset) -> "_Check | None":
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

    def __init__(self, traced: Trace, subset: Subset):
        program, leaves, axes = traced.program, subset.leaves, tuple(subset.axes)
        assert program is not None
        dependence = analyse(program, leaves)
        traced = replace(traced, results=())
        dims = result_dims(traced, dependence, leaves, axes)
        few = {key: leaf.head(1) for key, leaf in leaves.items()}
        self._job = Job(traced, few, axes, dims, make_stages(program, dependence))
        self._kernel: Kernel = ReferenceEngine().prepare(self._job)
        self._seconds_left = compiling_seconds(self._job)

    def __call__(self, subset: Subset) -> Iterator[tuple[np.ndarray, tuple[str, ...]]]:
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


def require_same_results(
    first: Branch, other: Branch, describe: Describe, describe_other: Describe | None = None
) -> None:
    """Check that the points of two branches have the same results.

    Args:
        describe: writes a point, for messages.
        describe_other: writes those of the other branch, where that is not the same.

    Raises:
        OutputError: when their outputs, shapes or types differ.
    """
    one, two = (branch.traced.results for branch in (first, other))
    if [_kind(result) for result in one] == [_kind(result) for result in two]:
        return
    here = describe(first_point(first.leaves))
    there = (describe_other or describe)(first_point(other.leaves))
    if [result.output for result in one] != [result.output for result in two]:
        raise OutputError(
            f"the function returns other outputs at {here} than at {there}.\n"
            f"Return the same ones everywhere."
        )
    a, b = next((a, b) for a, b in zip(one, two) if _kind(a) != _kind(b))
    if _form(a) == _form(b):
        numbers, truth = (there, here) if a.is_bool else (here, there)
        raise OutputError(
            f"the function returns numbers at {numbers} and truth values at {truth}.\n"
            f"Return numbers everywhere."
        )
    if a.is_complex != b.is_complex and a.numbers_shape == b.numbers_shape:
        numbers, pairs = (there, here) if a.is_complex else (here, there)
        raise OutputError(
            f"the function returns real numbers at {numbers} and complex numbers at {pairs}.\n"
            f"Return complex numbers in both: add 0j to the real ones."
        )
    raise OutputError(
        f"the shape of the result varies from point to point: it is {_form(a)} at {here} and "
        f"{_form(b)} at {there}.\nReturn one shape: pad it, or sum over what varies."
    )


def _kind(result: Result) -> tuple[str, str, bool]:
    return result.output, _form(result), result.is_bool


def _form(result: Result) -> str:
    return f"{result.numbers_shape}{' of complex numbers' if result.is_complex else ''}"


def without_unread(
    request: Request, found: Sequence[Selection], branches: Sequence[Sequence[Branch]]
) -> Request | None:
    """Return the request with one category of an argument whose categories make no difference.

    None where those of every argument may.

    Args:
        found: the points of each combination of categories, and `branches` theirs.
    """
    place = _unread([selection.numbers for selection in found], branches)
    if place is None:
        return None
    return request.at(request.categorical[place], found[0].numbers[place])


def _unread(numbers: Sequence[tuple[int, ...]], branches: Sequence[Sequence[Branch]]) -> int | None:
    """Return the place of an argument whose categories make no difference, whatever the others are.

    None where every one of them may.

    Args:
        numbers: of the category of each argument, for each selection of points.
        branches: of these points.
    """
    programs = [_only_program(own) for own in branches]
    for place in range(len(numbers[0])):
        by_others: dict[tuple[int, ...], set[Hashable]] = {}
        for each, program in zip(numbers, programs):
            by_others.setdefault((*each[:place], *each[place + 1 :]), set()).add(program)
        n_categories = len({each[place] for each in numbers})
        is_product = 1 < n_categories == len(numbers) / len(by_others)
        if is_product and all(len(p) == 1 and None not in p for p in by_others.values()):
            return place
    return None


def _only_program(branches: Sequence[Branch]) -> Hashable:
    """Return what identifies the Program that holds for all points; None where there is none."""
    traced = branches[0].traced
    if not goes_one_way(branches):
        return None
    assert traced.program is not None
    return traced.program.fingerprint, traced.results


def goes_one_way(branches: Sequence[Branch]) -> bool:
    """Tell whether one Program holds for all points."""
    program = branches[0].traced.program
    return len(branches) == 1 and program is not None and not program.guards
