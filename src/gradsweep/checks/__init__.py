"""Check derivatives against independent estimates, at points drawn from a sweep.

A function, a sweep and a quantity enter; a Check leaves. Each estimate has a file of its own and
a row of `ESTIMATES` below.
Never sees how an engine computes: it runs the Plan that it checks.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from gradsweep import api
from gradsweep.checks import differences, other, precision
from gradsweep.checks.findings import EstimateNote, Row
from gradsweep.checks.floats import raised_by_floats
from gradsweep.checks.judgement import Tolerance
from gradsweep.checks.problem import OutputArray, Point, Problem, entries_of
from gradsweep.checks.reading import Estimate, Estimated, Unavailable
from gradsweep.checks.result import Check
from gradsweep.checks.rows import rows_of
from gradsweep.checks.sampling import draw, thin
from gradsweep.planning.options import also_by_name, require_in_memory
from gradsweep.planning.plan import Plan
from gradsweep.planning.planner import make_plan
from gradsweep.request.lazy import numbers_of
from gradsweep.request.quantities import QUANTITIES, Derivative
from gradsweep.request.request import refuse_categories
from gradsweep.request.sweep import Sweep
from gradsweep.support.errors import ArgumentError, SweepError, nearest
from gradsweep.tracing.trace import trace

__all__ = ["ESTIMATES", "Check", "EstimateNote", "Row", "check"]

# Every estimate, the sharpest first.
ESTIMATES: dict[str, Estimate] = {
    "mpmath": precision.estimate,
    "scipy": differences.estimate,
    "other": other.estimate,
}

# The most elements of x that are checked, by the order of the derivative, and the most numbers of
# a derivative at one point. Where there are more, they are drawn at random.
_MOST_ELEMENTS = {1: 64, 2: 16}
_MOST_ENTRIES = 1000

# Relative tolerances: the rounding error that a derivative of well-conditioned code may have.
_RELATIVE = {"float64": 1e-9, "float32": 1e-4}


@also_by_name
def check(
    f: Callable[..., Any],
    sweep: Sweep,
    *directions: Any,
    quantity: Callable[..., Any] | str = api.gradient,
    n_points: int = 10,
    rng: int | np.random.Generator = 0,
    rtol: float | None = None,
    atol: float | None = None,
    estimates: str | Iterable[str] | None = None,
    **options: Any,
) -> Check:
    """Compare a derivative with independent estimates of it, at points drawn from a sweep.

    There are three estimates: `"mpmath"` evaluates the function in 60 digits or more and takes
    differences; `"scipy"` applies `scipy.differentiate` to the function, called by its own
    framework; `"other"` differentiates a torch function with JAX, and a JAX function with torch.
    None uses a rule of differentiation that the computed derivative used. Of complex numbers each
    part is checked.

    Args:
        f: a function.
        sweep: its arguments.
        directions: the tangent or cotangent, for the quantities that take one.
        quantity: `gs.gradient`, say, or its name.
        n_points: how many points of the sweep are drawn.
        rng: a seed or a numpy.random.Generator; the same seed draws the same points.
        rtol: the relative difference that is allowed; by default 1e-9, or 1e-4 in float32.
        atol: the absolute difference that is allowed; by default the rounding error of the
            derivative's largest value at the points.
        estimates: the names of the estimates to make; by default all.
        options: as for the quantity: `wrt`, `engine`, `framework`, ...

    Returns:
        A Check. Printing it gives the verdict, a line for each derivative and every suspicious
        row; `check.ok` is the verdict alone.

    Raises:
        ArgumentError: when an estimate's name is unknown, or as the quantity raises it.
        SweepError: when the sweep has no points, or `n_points` is less than 1.
    """
    chosen = _chosen_estimates(estimates)
    if n_points < 1:
        raise SweepError(f"n_points is {n_points}; check at least one point.")
    generator = np.random.default_rng(rng)
    require_in_memory("check", options, "it computes a few points in memory")
    request, asked = api.requested(quantity, f, sweep, directions, options)
    refuse_categories("check", request)
    if 0 in request.axes.values():
        raise SweepError(f"the sweep has no points to check: {dict(request.axes)}.")
    n_sweep_points = int(np.prod(list(request.axes.values()), dtype=object))
    few = thin(request.leaves, request.axes, n_points, generator)
    plan = make_plan(request.with_leaves(few), asked.computing)
    positions = draw(plan.axes, n_points, generator)
    problem, notes = _pose(plan, positions, generator)
    described = tuple(_describe(plan, point) for point in problem.points)
    arguments = [
        {
            leaf.key: numbers_of(p.values[leaf.key]) if leaf.is_complex else p.values[leaf.key]
            for leaf in plan.bound.sweep.leaves
        }
        for p in problem.points
    ]
    notes += tuple(raised_by_floats(plan.bound, zip(described, arguments)))
    made = {_title(name, problem): _make(estimate, problem) for name, estimate in chosen.items()}
    return Check(
        function=plan.bound.name,
        quantity=plan.derivative.quantity,
        framework=plan.framework,
        engine=plan.engine,
        n_sweep_points=n_sweep_points,
        points=tuple(arguments),
        described=described,
        estimates=tuple(_note(name, found) for name, found in made.items()),
        rows=tuple(rows_of(plan, problem, positions, made, _tolerance(plan.dtype, rtol, atol))),
        notes=notes,
    )


def _chosen_estimates(names: str | Iterable[str] | None) -> dict[str, Estimate]:
    """Return the estimates that were asked for."""
    if names is None:
        return ESTIMATES
    chosen = [names] if isinstance(names, str) else list(names)
    for name in chosen:
        if name not in ESTIMATES:
            raise ArgumentError(
                f"there is no estimate {name!r}; there are {', '.join(ESTIMATES)}."
                f"{nearest(name, ESTIMATES)}"
            )
    if not chosen:
        raise ArgumentError(f"estimates is empty; name some of {', '.join(ESTIMATES)}.")
    return {name: ESTIMATES[name] for name in chosen}


def _pose(
    plan: Plan, positions: Sequence[dict[str, int]], rng: np.random.Generator
) -> tuple[Problem, tuple[str, ...]]:
    """Return the Problem at the drawn points, and notes on what it leaves out."""
    derivative = plan.derivative
    points = tuple(
        Point(
            {
                key: np.asarray(leaf.at({dim: position[dim] for dim in leaf.dims}))
                for key, leaf in plan.leaves.items()
            }
        )
        for position in positions
    )
    arguments = {leaf.key: points[0].values[leaf.key] for leaf in plan.bound.sweep.leaves}
    value = trace(plan.bound, Derivative("value", ()), arguments, plan.framework)
    outputs = tuple(
        OutputArray(result.output, result.output_shape, result.is_complex)
        for result in value.results
    )
    starts, n_elements = {}, 0
    for key in derivative.wrt:
        starts[key] = n_elements
        n_elements += plan.leaves[key].n_elements
    order = max(1, QUANTITIES[derivative.quantity].order)
    elements = _few(n_elements, _MOST_ELEMENTS[order], rng)
    entries = list(entries_of(derivative, plan.results, outputs, starts, frozenset(elements)))
    kept = _few(len(entries), _MOST_ENTRIES, rng)
    notes = []
    # A tangent moves all elements at once.
    if len(elements) < n_elements and derivative.quantity != "jvp":
        notes.append(f"{len(elements)} of {n_elements:,} elements of the arguments are looked at")
    if len(kept) < len(entries):
        notes.append(f"{len(kept):,} of {len(entries):,} numbers at each point are looked at")
    problem = Problem(
        bound=plan.bound,
        derivative=derivative,
        framework=plan.framework,
        dtype=plan.dtype,
        results=plan.results,
        outputs=outputs,
        points=points,
        entries=tuple(entries[i] for i in kept),
    )
    return problem, tuple(notes)


def _describe(plan: Plan, point: Point) -> str:
    """Write the swept arguments of a point, or all arguments where none is swept."""
    swept = {key: point.values[key] for key, leaf in plan.leaves.items() if leaf.dims}
    return plan.bound.describe(swept) or plan.bound.describe(point.values)


def _few(n: int, most: int, rng: np.random.Generator) -> list[int]:
    """Return at most `most` of the numbers below n, drawn at random where there are more."""
    return list(range(n)) if n <= most else sorted(rng.choice(n, most, replace=False).tolist())


def _title(name: str, problem: Problem) -> str:
    """Return an estimate's name in the rows: "other" is called after its framework."""
    return other.framework(problem) if ESTIMATES[name] is other.estimate else name


def _make(estimate: Estimate, problem: Problem) -> Estimated | Unavailable:
    try:
        return estimate(problem)
    except Unavailable as reason:
        return reason


def _note(name: str, found: Estimated | Unavailable) -> EstimateNote:
    if isinstance(found, Unavailable):
        return EstimateNote(name, 0, reason=str(found))
    n_points = sum(readings is not None for readings in found.readings)
    return EstimateNote(name, n_points, suspicion=found.suspicion)


def _tolerance(dtype: str, rtol: float | None, atol: float | None) -> Tolerance:
    epsilon = float(np.finfo(dtype).eps)
    return Tolerance(_RELATIVE[dtype] if rtol is None else rtol, atol, dtype, epsilon)
