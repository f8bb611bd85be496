"""Estimate by differences in higher precision, which need no choice of a step.

The function's *value* is traced and its Program evaluated with mpmath; no rule of differentiation
is used, neither the framework's nor the user's.

With D digits and steps h = 1e-20 of an argument's own size s, the one-sided quotient
(y(x + h) - y(x)) / h is wrong by h y'' / 2, which is 1e-20 of a derivative of ordinary curvature,
and by the rounding 10^-D |y| / h. The mean of both sides is right to h^2 y''' / 6. The distance
between the sides, h y'', is therefore a bound on its error, and sides that lie further apart show
a kink. D starts at 60 and doubles while the error reaches the first 17 digits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from itertools import product
from typing import Any

import numpy as np

from gradsweep.checks.problem import Point, Problem, Step
from gradsweep.checks.reading import Estimated, Reading, Sides, Unavailable, read
from gradsweep.interpreters import evaluate
from gradsweep.program.program import Output, Program
from gradsweep.request.quantities import Derivative
from gradsweep.support.errors import GradsweepError, MissingPackage
from gradsweep.tracing.solving.numbers import in_high_precision
from gradsweep.tracing.trace import trace

__all__ = ["estimate"]

_STEP_EXPONENT = -20
_DIGITS = (60, 120, 240, 480)

# An evaluation may be wrong by this many rounding errors.
_ROUNDING = 1e4


def estimate(problem: Problem) -> Estimated:
    """Differentiate the function's value Program at every point.

    Raises:
        Unavailable: when the function has no Program, or mpmath cannot evaluate it.
    """
    try:
        mp = import_module("gradsweep.interpreters.mpmath")
    except MissingPackage as error:
        raise Unavailable(" ".join(str(error).splitlines())) from None
    function = _Function(problem, mp)
    try:
        return Estimated([_readings(problem, point, function, mp) for point in problem.points])
    except (GradsweepError, mp.CONTEXT.NoConvergence) as error:
        raise Unavailable(str(error).splitlines()[0].rstrip(".")) from None


def _readings(problem: Problem, point: Point, function: "_Function", mp: Any) -> list[Reading]:
    sides = {}
    for steps in problem.steps:
        for digits in _digits(len(steps)):
            with mp.CONTEXT.workdps(digits):
                sides[steps] = _differentiate(problem, point, function, steps, mp)
            found = sides[steps]
            enough = np.maximum(1e-17 * np.abs(found.value), 1e-19 * found.size)
            if not np.any(found.error > enough) or _is_kink(found):
                break
    return [read(problem, point, entry, sides) for entry in problem.entries]


def _digits(order: int) -> Sequence[int]:
    """Return the digits to try: one-sided quotients by steps of 1e-20 need some for each step."""
    least = -_STEP_EXPONENT * (order + 1)
    return [digits for digits in _DIGITS if digits >= least] or _DIGITS[-1:]


def _is_kink(sides: Sides) -> bool:
    """Tell whether the sides lie too far apart for more digits to help."""
    apart = np.abs(sides.left - sides.right)
    return bool(np.any(apart > 1e-10 * np.maximum(np.abs(sides.left), np.abs(sides.right))))


def _differentiate(
    problem: Problem, point: Point, function: "_Function", steps: tuple[Step, ...], mp: Any
) -> Sides:
    """Return the derivative of y along some steps, and its one-sided estimates."""
    x = [mp.number(value) for value in problem.x(point)]
    reach = [mp.number(problem.reach(point, step)) for step in steps]
    h = [mp.CONTEXT.mpf(10) ** _STEP_EXPONENT * length for length in reach]
    v = [[mp.number(value) for value in problem.direction(point, step)] for step in steps]

    def y(*times: int) -> np.ndarray:
        """Return the outputs at x + times h v, as an array of mpf."""
        ends = x
        for n, length, direction in zip(times, h, v):
            ends = [a + n * length * b if n and b else a for a, b in zip(ends, direction)]
        return function(point, ends)

    here = y()
    size = max((abs(value) for value in here if mp.CONTEXT.isfinite(value)), default=0)
    digits = mp.CONTEXT.mpf(10) ** -mp.CONTEXT.dps
    match steps:
        case ():
            left = right = value = here
            rounding = _ROUNDING * digits * size
            error = abs(here - here)
        case (_,):
            left, right = (here - y(-1)) / h[0], (y(1) - here) / h[0]
            value = (left + right) / 2
            rounding = _ROUNDING * digits * size / h[0]
            error = abs(right - left)
            if not all(map(mp.CONTEXT.isfinite, error)):
                # At the edge of a domain one side is finite: a step twice as long gives its error.
                twice = (here - y(-2)) / (2 * h[0]), (y(2) - here) / (2 * h[0])
                both = np.array([abs(left - twice[0]), abs(right - twice[1])])
                error = np.array([_first_finite(mp, row) for row in zip(error, *both)])
        case _:
            volume = mp.CONTEXT.fprod(h)
            right = _alternating(y, len(steps), (1, 0)) / volume
            left = _alternating(y, len(steps), (0, -1)) / volume
            value = _alternating(y, len(steps), (1, -1)) / (2 ** len(steps) * volume)
            rounding = _ROUNDING * digits * size / volume
            error = abs(right - left)
    error = error + rounding
    for step in steps:
        size /= mp.number(problem.span(point, step))
    return Sides(_floats(value), _floats(error), _floats(left), _floats(right), _float(size))


def _alternating(y: Callable[..., Any], order: int, ends: tuple[int, int]) -> Any:
    """Return the difference of y between the ends of every step, one step after another."""
    terms = [
        (-1) ** sum(time == ends[1] for time in times) * y(*times)
        for times in product(ends, repeat=order)
    ]
    return sum(terms[1:], terms[0])


def _first_finite(mp: Any, values: Sequence[Any]) -> Any:
    return next(filter(mp.CONTEXT.isfinite, values), mp.CONTEXT.nan)


def _floats(values: np.ndarray) -> np.ndarray:
    return np.array([_float(value) for value in values])


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


class _Function:
    """The function's value in mpmath: each Program is used where its guards hold."""

    def __init__(self, problem: Problem, mp: Any):
        self._problem = problem
        self._mp = mp
        self._programs: list[Program] = []
        # Second derivatives share their ends: values are kept for one point and precision.
        self._place: tuple[int, int] | None = None
        self._known: dict[tuple, np.ndarray] = {}

    def __call__(self, point: Point, x: Sequence[Any]) -> np.ndarray:
        place = (id(point), self._mp.CONTEXT.dps)
        if place != self._place:
            self._place = place
            self._known.clear()
        key = tuple(x)
        if key not in self._known:
            self._known[key] = self._evaluate(point, x)
        return self._known[key]

    def _evaluate(self, point: Point, x: Sequence[Any]) -> np.ndarray:
        for program in self._programs:
            found = self._run(program, point, x)
            if found is not None:
                return found
        self._programs.append(program := self._trace(point, x))
        found = self._run(program, point, x)
        if found is None:
            raise Unavailable(
                f"its Python code reads a value that is swept, at {program.guards[0].where}"
            )
        return found

    def _run(self, program: Program, point: Point, x: Sequence[Any]) -> np.ndarray | None:
        """Return the outputs, or None when a guard of the Program fails there."""
        elements = dict(self._elements(x))
        inputs = [
            elements[leaf, element]
            if (leaf, element) in elements
            else self._mp.number(np.ravel(point.values[leaf])[element])
            for leaf, element, _ in program.inputs
        ]
        found = evaluate(program, self._mp.OPERATIONS, inputs, self._mp.constant)
        seen = found[-1]
        for guard, value in zip(program.guards, seen):
            expected = self._mp.number(guard.expected)
            # Two NaNs agree.
            if value != expected and (value == value or expected == expected):
                return None
        values = [value for output in found[:-1] for value in output]
        return np.array([self._mp.CONTEXT.mpf(value) for value in values], dtype=object)

    def _elements(self, x: Sequence[Any]):
        """Yield each element of x by its leaf and its place there."""
        values = iter(x)
        point = self._problem.points[0].values
        for key in self._problem.derivative.wrt:
            for element in range(np.size(point[key])):
                yield (key, element), next(values)

    def _trace(self, point: Point, x: Sequence[Any]) -> Program:
        """Trace the value at the point, or close beside it on the side where x lies."""
        problem = self._problem
        at = problem.x(point)
        side = np.array([int(self._mp.CONTEXT.sign(a - self._mp.number(b))) for a, b in zip(x, at)])
        beside = at + side * problem.scales(point) * 2.0**-40
        values: Mapping[str, np.ndarray] = {
            key: np.asarray(value, dtype=point.values[key].dtype)
            for key, value in problem.with_x(point, beside).items()
        }
        with in_high_precision():
            traced = trace(problem.bound, Derivative("value", ()), values, problem.framework)
        if traced.program is None:
            raise Unavailable(f"the function has no Program: {traced.reason}")
        program = traced.program
        seen = tuple(guard.variable for guard in program.guards)
        return replace(program, outputs=(*program.outputs, Output("guards", (len(seen),), seen)))
