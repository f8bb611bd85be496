"""Check derivatives against independent estimates, at points drawn from a sweep.

A function, a sweep and a quantity enter; a Check leaves. Each estimate has a file of its own and
a row of `ESTIMATES` below. Where arguments are swept as categories, each combination of them is a
case of its own.
Never sees how an engine computes: it runs the Plan that it checks.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradsweep import api
from gradsweep.checks import differences, other, precision
from gradsweep.checks.findings import MOST_NAMED, EstimateNote, Row
from gradsweep.checks.floats import raised_by_floats
from gradsweep.checks.judgement import Tolerance
from gradsweep.checks.problem import OutputArray, Point, Problem, entries_of
from gradsweep.checks.reading import Estimate, Estimated, Unavailable
from gradsweep.checks.result import Check
from gradsweep.checks.rows import rows_of
from gradsweep.checks.sampling import draw, share, thin
from gradsweep.engines.choice import ComputeOptions
from gradsweep.planning.branches import require_same_results
from gradsweep.planning.options import also_by_name, requested, require_in_memory
from gradsweep.planning.plan import Plan
from gradsweep.planning.planner import make_plan
from gradsweep.program.trace import Trace
from gradsweep.request.lazy import numbers_of
from gradsweep.request.quantities import Derivative
from gradsweep.request.request import Selection, selections
from gradsweep.request.sweep import Sweep
from gradsweep.support.errors import ArgumentError, SweepError, nearest
from gradsweep.support.words import listed
from gradsweep.tracing.trace import trace

__all__ = ["ESTIMATES", "Check", "EstimateNote", "Row", "check"]

# Every estimate, the sharpest first.
ESTIMATES: dict[str, Estimate] = {
    "mpmath": precision.estimate,
    "scipy": differences.estimate,
    "other": other.estimate,
}

# The most elements of x that are checked, by the order of the derivative, the last for higher
# orders too, and the most numbers of a derivative at one point. Where there are more, they are
# drawn at random.
_MOST_ELEMENTS = {1: 64, 2: 16, 3: 8}
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
    part is checked. Beyond the second order `"scipy"` has too few digits, and leaves derivatives
    to the others.

    Args:
        f: a function.
        sweep: its arguments.
        directions: the tangent, the cotangent or the words, for the quantities that take them.
        quantity: `gs.gradient`, say, or its name.
        n_points: how many points of the sweep are drawn; of each category its share, and at
            least one.
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
        OutputError: when results have another shape for another category.
        SweepError: when the sweep has no points, or `n_points` is less than 1.
    """
    chosen = _chosen_estimates(estimates)
    if n_points < 1:
        raise SweepError(f"n_points is {n_points}; check at least one point.")
    generator = np.random.default_rng(rng)
    require_in_memory("check", options, "it computes a few points in memory")
    request, asked = requested(quantity, f, sweep, directions, options)
    if request.derivative.direction == "std":
        calls = [
            f"gs.check({request.bound.name}, sweep, quantity={part!r}, "
            f"wrt={list(request.derivative.wrt)})"
            for part in ("jacobian", "hessian")[: request.derivative.order]
        ]
        raise ArgumentError(
            f"check looks at derivatives, and {request.derivative.quantity} is made of them.\n"
            f"Check these: {listed(calls)}."
        )
    if 0 in request.axes.values():
        raise SweepError(f"the sweep has no points to check: {dict(request.axes)}.")
    found = selections(request)
    shares = share(n_points, [selection.alone.n_points for selection in found])
    cases = [_pose(s, asked.computing, n, generator) for s, n in zip(found, shares)]
    _require_same_results([case.plan for case in cases])
    made = [_all(chosen, case.problem) for case in cases]
    made_notes, unavailable = _notes(cases, made)
    notes = [*dict.fromkeys(note for case in cases for note in case.notes), *unavailable]
    first = cases[0].plan
    return Check(
        function=first.bound.name,
        quantity=first.derivative.quantity,
        framework=first.framework,
        engine=first.engine,
        n_sweep_points=request.n_points,
        points=tuple({**values, **case.labels} for case in cases for values in case.arguments),
        described=tuple(text for case in cases for text in case.described),
        categories=tuple(case.category for case in cases for _ in case.described),
        estimates=made_notes,
        rows=tuple(_rows(cases, made, rtol, atol)),
        notes=tuple(notes),
    )


@dataclass(frozen=True, eq=False)
class _Case:
    """The points that are checked of one category of each argument, or of a sweep without any.

    Attributes:
        positions: the index of each point along the axes of the plan.
        described: each point as text.
        arguments: the value of every argument at each point, and `labels` those of the categories.
        category: the categories in words, "" for none.
        notes: what is left out, and what else a reader should know.
    """

    plan: Plan
    problem: Problem
    positions: Sequence[dict[str, int]]
    described: Sequence[str]
    arguments: Sequence[Mapping[str, np.ndarray]]
    labels: Mapping[str, np.ndarray]
    category: str
    notes: Sequence[str]


def _pose(
    selection: Selection, options: ComputeOptions, n_points: int, rng: np.random.Generator
) -> _Case:
    """Draw points of a selection, and pose the problem there."""
    request = selection.alone
    few = thin(request.leaves, request.axes, n_points, rng)
    plan = make_plan(request.with_leaves(few), options)
    positions = draw(plan.axes, n_points, rng)
    problem, notes = _problem(plan, positions, rng)
    described = [_describe(plan, point) for point in problem.points]
    arguments = [
        {
            leaf.key: numbers_of(p.values[leaf.key]) if leaf.is_complex else p.values[leaf.key]
            for leaf in plan.bound.sweep.leaves
        }
        for p in problem.points
    ]
    traced = plan.branches[0].branch.traced
    # A search passes by where its residual raises.
    if not traced.solves:
        with traced.context():  # in float32 JAX's loops may never come to their end
            notes += tuple(raised_by_floats(plan.bound, zip(described, arguments)))
    labels = {name: np.asarray(label) for name, label in selection.labels.items()}
    return _Case(plan, problem, positions, described, arguments, labels, selection.shown, notes)


def _require_same_results(plans: Sequence[Plan]) -> None:
    """Check that every category has the same results, as the quantity itself does."""
    first = plans[0]
    for plan in plans[1:]:
        require_same_results(
            first.branches[0].branch,
            plan.branches[0].branch,
            first.bound.describe,
            plan.bound.describe,
        )


def _rows(
    cases: Sequence[_Case],
    made: Sequence[Mapping[str, Estimated | Unavailable]],
    rtol: float | None,
    atol: float | None,
) -> Iterator[Row]:
    """Yield every comparison, case by case."""
    n_before = 0
    for case, estimates in zip(cases, made):
        tolerance = _tolerance(case.plan.dtype, rtol, atol)
        for row in rows_of(case.plan, case.problem, case.positions, estimates, tolerance):
            yield replace(row, point=n_before + row.point)
        n_before += len(case.positions)


def _notes(
    cases: Sequence[_Case], made: Sequence[Mapping[str, Estimated | Unavailable]]
) -> tuple[tuple[EstimateNote, ...], list[str]]:
    """Return a note on each estimate, and one for each that only some cases have."""
    by_case = [{name: _note(name, e) for name, e in estimates.items()} for estimates in made]
    notes, unavailable = [], []
    for name in dict.fromkeys(name for own in by_case for name in own):
        every = [(case.category, own[name]) for case, own in zip(cases, by_case) if name in own]
        n_points = sum(note.n_points for _, note in every)
        reasons = _grouped((note.reason, category) for category, note in every)
        suspicions = _grouped((note.suspicion, category) for category, note in every)
        if n_points:
            unavailable += [f"{name} is unavailable for {why}" for why in _told(reasons)]
        reason = "" if n_points else "; ".join(_told(reasons, len(every)))
        suspicion = "; ".join(_told(suspicions, len(every)))
        notes.append(EstimateNote(name, n_points, reason=reason, suspicion=suspicion))
    return tuple(notes), unavailable


def _grouped(found: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the categories for which each text that is not empty was said."""
    groups: dict[str, list[str]] = {}
    for text, category in found:
        if text:
            groups.setdefault(text, []).append(category)
    return groups


def _told(groups: Mapping[str, list[str]], n_all: int = 0) -> list[str]:
    """Write each text with its categories before it, unless it is said of all of them."""
    return [
        text if len(categories) == n_all else f"{listed(categories, MOST_NAMED)}: {text}"
        for text, categories in groups.items()
    ]


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


def _problem(
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
    order = min(max(1, derivative.order), max(_MOST_ELEMENTS))
    elements = _few(n_elements, _MOST_ELEMENTS[order], rng)
    entries = list(entries_of(plan.results, outputs, starts, n_elements, frozenset(elements)))
    kept = _few(len(entries), _MOST_ENTRIES, rng)
    notes = []
    # A tangent moves all elements at once, and an operator sums over all.
    sums = derivative.quantity == "jvp" or any(result.summed for result in plan.results)
    if len(elements) < n_elements and not sums:
        notes.append(f"{len(elements)} of {n_elements:,} elements of the arguments are looked at")
    if len(kept) < len(entries):
        notes.append(f"{len(kept):,} of {len(entries):,} numbers at each point are looked at")
    notes += _loops_by_hand(value)
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


# Of so many questions at one line the last may be a tolerance that was met.
_FEWEST_QUESTIONS = 3


def _loops_by_hand(value: Trace) -> Iterator[str]:
    """Yield a note on a loop that ends where its values say so, which may solve an equation."""
    if value.program is None or value.solves:
        return
    asked = Counter(guard.where for guard in value.program.guards)
    lines = [where for where, n in asked.items() if n >= _FEWEST_QUESTIONS]
    if lines or any(loop.n_steps is None for loop in value.program.loops):
        where = f", at {lines[0]}" if lines else ""
        yield (
            f"a loop ends where its values say so{where}, and the derivative is that of its steps; "
            f"if it solves F(y, p) = 0, that of the solution is -(dF/dy)^-1 dF/dp, which "
            f"gs.find_root and gs.fixed_point have"
        )


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


def _all(chosen: Mapping[str, Estimate], problem: Problem) -> dict[str, Estimated | Unavailable]:
    return {_title(name, problem): _make(estimate, problem) for name, estimate in chosen.items()}


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
