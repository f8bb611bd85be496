"""Reading: the estimate of one number.

Knows neither what was computed nor how the estimate is made.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gradsweep.checks.problem import Entry, Point, Problem, Step, Term

__all__ = ["Estimated", "Reading", "Sides", "Unavailable", "read"]


class Unavailable(Exception):
    """An estimate cannot be made; the message is the reason, as a clause."""


class Reading(NamedTuple):
    """The estimate of one number.

    Attributes:
        value: the estimate.
        error: a bound on its own error, or the best guess at one.
        left, right: the estimate from one side alone; NaN where there is none.
        size: the size of y over that of the step; differences below its rounding mean nothing.
    """

    value: float
    error: float
    left: float = np.nan
    right: float = np.nan
    size: float = 0.0


@dataclass(frozen=True)
class Estimated:
    """The result of an estimate.

    Attributes:
        readings: for each point of a Problem a Reading for each entry, or None where the
            estimate was not made: of one entry, or at that point.
        suspicion: what is wrong with the function's values themselves, as a clause, or "".
    """

    readings: Sequence[Sequence[Reading | None] | None]
    suspicion: str = ""


Estimate = Callable[[Problem], Estimated]


@dataclass(frozen=True, eq=False)
class Sides:
    """A derivative of all of y along some steps, from both sides and from each: arrays like y."""

    value: np.ndarray
    error: np.ndarray
    left: np.ndarray
    right: np.ndarray
    size: float


def read(
    problem: Problem, point: Point, entry: Entry, found: Mapping[tuple[Step, ...], Sides]
) -> Reading:
    """Return the Reading of one entry, given the derivatives of all of y by their steps."""
    readings = [_read(problem, point, term, found[term.steps]) for term in entry.terms]
    if len(readings) == 1 and entry.terms[0].factor == 1:
        return readings[0]
    pairs = [(term.factor, reading) for term, reading in zip(entry.terms, readings)]
    return Reading(
        value=sum(factor * reading.value for factor, reading in pairs),
        error=sum(abs(factor) * reading.error for factor, reading in pairs),
        left=sum(factor * reading.left for factor, reading in pairs),
        right=sum(factor * reading.right for factor, reading in pairs),
        size=max(reading.size for reading in readings),
    )


def _read(problem: Problem, point: Point, term: Term, sides: Sides) -> Reading:
    if term.output is not None:
        o = term.output
        return Reading(
            float(sides.value[o]),
            float(sides.error[o]),
            float(sides.left[o]),
            float(sides.right[o]),
            sides.size,
        )
    # An output of weight zero is left out of the sum, even where it is NaN.
    w = problem.cotangent(point)
    used = w != 0
    return Reading(
        value=float(w[used] @ sides.value[used]),
        error=float(np.abs(w[used]) @ sides.error[used]),
        left=float(w[used] @ sides.left[used]),
        right=float(w[used] @ sides.right[used]),
        size=sides.size * float(np.abs(w).max(initial=0.0)),
    )
