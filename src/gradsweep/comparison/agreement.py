"""Whether results are right: a fast wrong answer is no result.

A Problem enters, its expected results leave; results enter, and how they differ leaves.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradsweep.comparison.problem import Problem
from gradsweep.engines.cost import interpreting_seconds
from gradsweep.planning.plan import Plan
from gradsweep.planning.planner import make_plan

__all__ = ["disagreement", "expected_results"]

_TOLERANCE = {"float64": 1e-9, "float32": 2e-4}

# The reference engine and the loop give the expected results where they need no more than this.
_LONGEST_SECONDS = 5.0
_MOST_LOOPED_POINTS = 1000


def expected_results(problem: Problem) -> list[np.ndarray]:
    """Return the results that every rival must give, with all axes of the sweep, some of length 1.

    The reference engine computes them, or the loop where there is no Program. Where these are too
    slow, the engine that gradsweep picks computes them.
    """
    plan = make_plan(problem.request, replace(problem.options, engine=_judge(problem)))
    arrays = plan.allocate()
    plan.fill(arrays)
    return [
        array[tuple(slice(None) if axis in dims else np.newaxis for axis in plan.axes)]
        for array, dims in zip(arrays, plan.dims)
    ]


def _judge(problem: Problem) -> str:
    plan = problem.plan
    if all(planned.branch.traced.program is not None for planned in plan.branches):
        return "reference" if _reference_seconds(plan) < _LONGEST_SECONDS else "auto"
    return "loop" if problem.n_points <= _MOST_LOOPED_POINTS else "auto"


def _reference_seconds(plan: Plan) -> float:
    return sum(interpreting_seconds(p.prepared.job, p.branch.axes) for p in plan.branches)


def disagreement(
    expected: Sequence[np.ndarray], found: Sequence[np.ndarray], dtype: str, rtol: float | None
) -> str:
    """Return how results differ from the expected ones, as a clause, or "".

    A difference is measured against the largest value of a result, since derivatives pass
    through zero.

    Args:
        rtol: how much they may differ; by default 1e-9, or 2e-4 in float32.
    """
    if len(found) != len(expected):
        return f"it has {len(found)} results in place of {len(expected)}"
    allowed = rtol if rtol is not None else _TOLERANCE[dtype]
    for number, (one, other) in enumerate(zip(found, expected), start=1):
        one = np.asarray(one)
        try:
            whole = np.broadcast_to(other, one.shape)
        except ValueError:
            return f"result {number} has shape {one.shape} in place of {other.shape}"
        if (not_finite := _differ_where_not_finite(one, whole)) is not None:
            return f"result {number} is {one[not_finite]} in place of {whole[not_finite]}"
        finite = np.isfinite(whole)
        differences, sizes = np.abs(one[finite] - whole[finite]), np.abs(whole[finite])
        largest = sizes.max(initial=0.0)
        if (differences > allowed * (sizes + largest)).any():
            return f"result {number} differs by {_relative(differences.max(), largest)}"
    return ""


def _differ_where_not_finite(one: np.ndarray, other: np.ndarray) -> tuple | None:
    """Return a place where only one is finite, or both are not, in different ways."""
    both_finite = np.isfinite(one) & np.isfinite(other)
    same = both_finite | (one == other) | (np.isnan(one) & np.isnan(other))
    return None if same.all() else tuple(np.argwhere(~same)[0])


def _relative(difference: float, largest: float) -> str:
    if largest == 0:
        return f"{difference:.1e} where it should be 0"
    return f"{difference / largest:.1e} of its largest value"
