"""Estimate by scipy.differentiate, which adapts its steps and reports its own error.

It differentiates the function itself, called by its framework in double precision, and never sees
its Program. The error is the larger of the one that scipy reports and the one that the noise in y
causes.

References: scipy.differentiate.derivative; for the noise, More and Wild (2011), "Estimating
computational noise", SIAM J. Sci. Comput. 33.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradsweep.checks.problem import Problem, Step
from gradsweep.checks.reading import Estimated, Reading, Sides, Unavailable, read
from gradsweep.checks.values import Values

__all__ = ["estimate", "noise_of"]

# First steps, in units of an argument's own size. A shorter one is tried where a longer one leaves
# the function's domain or crosses a kink.
_FIRST_STEPS = (2.0**-3, 2.0**-8, 2.0**-13)

# The error, relative to the derivative and to y, that ends the search, by the derivative's order.
_ENOUGH = {1: (1e-9, 1e-12), 2: (1e-7, 1e-9)}

_CENTRAL, _LEFT, _RIGHT = 0, -1, 1
_ORDER = 8
_MAX_ITERATIONS = 8

# Differences of differences of differences lose all digits to rounding.
_MOST_STEPS = 2

# Roughly the evaluations of y for one derivative and its two sides, by the derivative's order; and
# the most calls, where each evaluation is a call, before points are left out.
_PER_DERIVATIVE = {0: 1, 1: 100, 2: 2500}
_MAX_CALLS = 20_000

# The least and the most noise, relative to y, that float32 arithmetic makes.
_FLOAT32_NOISE = (1e-10, 1e-5)


def estimate(problem: Problem) -> Estimated:
    """Differentiate the function numerically at every point, or at the first few if it is slow.

    Derivatives of third and higher order are left out.

    Raises:
        Unavailable: when the function cannot be called at double precision beside a point, or
            nothing is of second order or lower.
    """
    every = [steps for steps in problem.steps if len(steps) <= _MOST_STEPS]
    if problem.steps and not every:
        raise Unavailable(
            "differences in double precision have no digits for a derivative of third order or more"
        )
    values = Values(problem)
    n_points = len(problem.points)
    if values.is_loop:
        calls = sum(_PER_DERIVATIVE[len(steps)] for steps in every)
        n_points = min(n_points, max(1, _MAX_CALLS // max(1, calls)))
        if calls > 10 * _MAX_CALLS:
            raise Unavailable(f"it would call the function about {calls:,} times one by one")
    noise = noise_of(problem, values)
    readings: list[list[Reading | None] | None] = [None] * len(problem.points)
    for number, point in enumerate(problem.points[:n_points]):
        sides = _at_point(problem, values, number, noise[number], every)
        readings[number] = [
            read(problem, point, entry, sides)
            if all(term.steps in sides for term in entry.terms)
            else None
            for entry in problem.entries
        ]
    return Estimated(readings, _suspicion(problem, values, noise))


def noise_of(problem: Problem, values: Values) -> np.ndarray:
    """Return the standard deviation of the noise in y, at every point: shape (points, y).

    Over tiny steps, the fourth differences of a smooth function vanish.
    """
    times = 1e-7 * np.arange(16)
    x = np.array([problem.x(point) for point in problem.points])
    # All elements move, each by a different share of its size, so that no two cancel.
    share = np.random.default_rng(0).uniform(0.5, 1.5, problem.n_elements)
    moves = np.array([problem.scales(point) for point in problem.points]) * share
    rows = x[:, None, :] + times[:, None] * moves[:, None, :]
    which = np.repeat(np.arange(len(x)), len(times))
    y = values(rows.reshape(len(which), -1), which).reshape(len(x), len(times), -1)
    with np.errstate(all="ignore"):
        fourth = np.diff(y, n=4, axis=1)
        # Var of a fourth difference of independent noise: 1 + 16 + 36 + 16 + 1.
        return np.sqrt(np.mean(fourth**2, axis=1) / 70)


def _suspicion(problem: Problem, values: Values, noise: np.ndarray) -> str:
    """Return a clause where most points carry the noise of float32, or ""."""
    if problem.dtype != "float64":
        return ""
    x = np.array([problem.x(point) for point in problem.points])
    size = np.abs(values(x, np.arange(len(x))))
    with np.errstate(all="ignore"):
        relative = np.max(np.where(size > 0, noise / size, 0.0), axis=1, initial=0.0)
    low, high = _FLOAT32_NOISE
    marked = (relative > low) & (relative < high)
    if 2 * np.count_nonzero(marked) <= len(x):
        return ""
    return (
        f"the function's values carry noise of {np.median(relative[marked]):.0e} of their size, "
        f"as float32 arithmetic does"
    )


def _at_point(
    problem: Problem,
    values: Values,
    number: int,
    noise: np.ndarray,
    every: Sequence[tuple[Step, ...]],
) -> dict[tuple[Step, ...], Sides]:
    """Return the derivatives along some tuples of steps at one point."""
    point = problem.points[number]
    x = problem.x(point)
    y = values(x[None], np.array([number]))[0]
    size = float(np.max(np.abs(y[np.isfinite(y)]), initial=0.0))
    noise = np.maximum(
        np.nan_to_num(noise), 2 * np.finfo(np.float64).eps * np.nan_to_num(np.abs(y))
    )
    found: dict[tuple[Step, ...], Sides] = {}
    groups: dict[int, list[tuple[Step, ...]]] = {}
    for steps in every:
        groups.setdefault(len(steps), []).append(steps)
    for order, group in groups.items():
        if order == 0:
            found[()] = Sides(y, noise, y, y, size)
            continue
        bundle = _bundle(problem, values, number, x, group)
        limits = _Limits(np.broadcast_to(noise, (len(group), y.size)), size)
        central, left, right = (
            _refined(bundle, limits, side) for side in (_CENTRAL, _LEFT, _RIGHT)
        )
        for position, steps in enumerate(group):
            unit = float(np.prod([problem.reach(point, step) for step in steps]))
            span = float(np.prod([problem.span(point, step) for step in steps]))
            rows = [slope.row(position, unit) for slope in (central, left, right)]
            found[steps] = _sides(rows[0], rows[1], rows[2], size / span)
    return found


def _sides(central: "_Slope", left: "_Slope", right: "_Slope", size: float) -> Sides:
    """Combine the three: a side counts where it differs by more than the errors allow.

    At a kink the central slope is the mean of the two sides. Where their own errors are larger than
    reported, one side strays alone, or both stray the same way.
    """
    to_left, to_right = left.value - central.value, right.value - central.value
    is_between = 2 * np.abs(to_left + to_right) < np.abs(to_left - to_right)

    def sure(side: _Slope) -> np.ndarray:
        differs = np.abs(side.value - central.value) > 10 * (side.error + central.error)
        is_kink = differs & is_between
        return np.where(is_kink | np.isnan(central.value), side.value, central.value)

    one_sided = np.fmin(left.error, right.error)
    error = np.where(np.isnan(central.value), one_sided, central.error)
    return Sides(central.value, error, sure(left), sure(right), size)


@dataclass(frozen=True, eq=False)
class _Bundle:
    """Lines or planes along which y is differentiated.

    Attributes:
        which: the number of the point that they go through.
        base: the start of each, shape (n, length of x).
        moves: for each order of the derivative, the step of t = 1 from each start; same shape.
    """

    values: Values
    which: int
    base: np.ndarray
    moves: tuple[np.ndarray, ...]

    def at(self, t: np.ndarray) -> np.ndarray:
        """Return the points at every t, line after line."""
        ends = self.base[:, None, :] + t[:, None] * self.moves[0][:, None, :]
        return ends.reshape(-1, self.base.shape[1])

    def of(self, rows: list[int]) -> "_Bundle":
        moves = tuple(move[rows] for move in self.moves)
        return replace(self, base=self.base[rows], moves=moves)


@dataclass(frozen=True, eq=False)
class _Limits:
    """How well y is known: its noise on each line, shape (n, length of y), and its size."""

    noise: np.ndarray
    size: float


@dataclass(frozen=True, eq=False)
class _Slope:
    """A derivative and its error, shape (n, length of y)."""

    value: np.ndarray
    error: np.ndarray

    def row(self, position: int, unit: float) -> "_Slope":
        return _Slope(self.value[position] / unit, self.error[position] / unit)


def _bundle(
    problem: Problem,
    values: Values,
    number: int,
    x: np.ndarray,
    group: list[tuple[Step, ...]],
) -> _Bundle:
    point = problem.points[number]
    moves = tuple(
        np.array([problem.direction(point, step) * problem.reach(point, step) for step in column])
        for column in zip(*group)
    )
    return _Bundle(values, number, np.tile(x, (len(group), 1)), moves)


def _refined(bundle: _Bundle, limits: _Limits, side: int) -> _Slope:
    """Return the derivative by the best first step, for each element of y on each line."""
    n = len(bundle.base)
    value = np.full(limits.noise.shape, np.nan)
    error = np.full(limits.noise.shape, np.inf)
    pending = list(range(n))
    for first_step in _FIRST_STEPS:
        tried = _slope(
            bundle.of(pending), _Limits(limits.noise[pending], limits.size), side, first_step
        )
        better = tried.error < error[pending]
        value[pending] = np.where(better, tried.value, value[pending])
        error[pending] = np.where(better, tried.error, error[pending])
        relative, absolute = _ENOUGH[len(bundle.moves)]
        enough = np.maximum(relative * np.abs(value), absolute * limits.size)
        pending = [row for row in pending if not np.all(error[row] <= enough[row])]
        if not pending:
            break
    return _Slope(value, error)


def _slope(bundle: _Bundle, limits: _Limits, side: int, first_step: float) -> _Slope:
    """Return the derivative at t = 0 along each line, from one side or from both."""
    import scipy.differentiate

    n, n_outputs = limits.noise.shape
    noise = limits.noise.copy()

    def curve(t: np.ndarray) -> np.ndarray:
        """Return y, or its inner derivative, with t last: shape (n * n_outputs, *t.shape)."""
        nonlocal noise
        times = np.atleast_1d(t)
        ends = bundle.at(times)
        if len(bundle.moves) == 1:
            y = bundle.values(ends, np.full(len(ends), bundle.which))
        else:
            inner = _slope(
                replace(
                    bundle,
                    base=ends,
                    moves=tuple(np.repeat(m, len(times), axis=0) for m in bundle.moves[1:]),
                ),
                _Limits(np.repeat(limits.noise, len(times), axis=0), limits.size),
                _CENTRAL,
                first_step,
            )
            y = inner.value
            known = np.where(np.isfinite(inner.error), inner.error, 0.0)
            noise = np.maximum(noise, known.reshape(n, len(times), n_outputs).max(axis=1))
        y = np.moveaxis(y.reshape(n, len(times), n_outputs), 1, -1)
        return y.reshape(n * n_outputs, *t.shape)

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = scipy.differentiate.derivative(
            curve,
            np.zeros(()),
            step_direction=side,
            initial_step=first_step,
            order=_ORDER,
            maxiter=_MAX_ITERATIONS,
            tolerances={"rtol": 1e-12, "atol": 0.0},
            preserve_shape=True,
        )
        # The smallest step: each is half the last one; one-sided steps shrink half as fast.
        smallest = first_step / 2.0 ** (np.maximum(found.nit, 1) - 1 + _ORDER // 2 - 1)
        rounding = noise.ravel() / smallest
        error = np.where(np.isfinite(found.df), np.fmax(found.error, rounding), np.inf)
    return _Slope(found.df.reshape(n, n_outputs), error.reshape(n, n_outputs))
