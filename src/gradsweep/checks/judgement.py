"""Judge a computed number by an estimate of it.

A computed number and a Reading enter; a Finding leaves: the verdict and, where something is wrong,
the likely cause. Knows nothing of points, entries or how either number was made.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from gradsweep.checks.reading import Reading

__all__ = ["SUSPICIOUS", "Finding", "Tolerance", "Verdict", "judge"]

Verdict = Literal["agrees", "differs", "kink", "not finite", "unsure", "unchecked"]

# The verdicts against a derivative. "not finite" is none: the estimate is not finite either.
SUSPICIOUS: frozenset[Verdict] = frozenset({"differs", "kink"})

# An estimate's own error may be this many times what it reports.
_TRUST = 10.0

# Sides whose relative difference is below this are one slope.
_ONE_SLOPE = 1e-7

# Relative differences that float32 arithmetic makes: a tenth of its epsilon to a hundred times it.
_FLOAT32 = (1e-8, 1e-5)


class Finding(NamedTuple):
    """The outcome of one comparison.

    Attributes:
        estimated: the estimate; at the edge of the function's domain, that of one side.
        allowed: how far apart the two numbers may be.
        reason: the reason for the verdict, as a clause, or "".
    """

    verdict: Verdict
    estimated: float
    allowed: float
    reason: str = ""


@dataclass(frozen=True)
class Tolerance:
    """How far apart two numbers may be.

    Attributes:
        relative: the difference allowed, relative to the larger of the two.
        absolute: the difference allowed; None for the rounding of the derivative's usual size.
        dtype: the dtype that the derivative was computed in.
        epsilon: its machine epsilon.
    """

    relative: float
    absolute: float | None
    dtype: str
    epsilon: float

    def bound(self, computed: float, reading: Reading, typical: float) -> float:
        """Return how far a computed number may be from an estimate.

        Args:
            typical: the largest size of the same derivative over all points.
        """
        absolute = self.absolute
        if absolute is None:
            absolute = 32 * self.epsilon * max(typical, reading.size)
        larger = max(abs(computed), abs(reading.value))
        return absolute + self.relative * larger + _TRUST * reading.error


def judge(computed: float, reading: Reading, tolerance: Tolerance, typical: float) -> Finding:
    """Compare a computed number with an estimate."""
    reading = _at_the_edge(reading)
    estimated = reading.value
    allowed = tolerance.bound(computed, reading, typical)
    is_known = math.isfinite(estimated) and math.isfinite(reading.error)
    if not math.isfinite(computed):
        if is_known:
            reason = f"{computed} where the derivative is finite"
            return Finding("differs", estimated, math.nan, reason)
        reason = f"{computed}, and the estimate is {estimated}"
        return Finding("not finite", estimated, math.nan, reason)
    if not is_known:
        return Finding("unsure", estimated, math.nan, "the estimate is not finite")
    if _has_kink(reading, tolerance, typical):
        left, right = reading.left, reading.right
        reason = f"a kink: {left:.6g} from the left, {right:.6g} from the right"
        return Finding("kink", estimated, allowed, reason)
    if abs(computed - estimated) > allowed:
        return Finding("differs", estimated, allowed, _looks_like(computed, reading, tolerance))
    size = max(abs(computed), abs(estimated), typical, 1e-6 * reading.size)
    if _TRUST * reading.error > 0.01 * size:
        reason = f"the estimate is good to {reading.error:.1e} alone"
        return Finding("unsure", estimated, allowed, reason)
    return Finding("agrees", estimated, allowed)


def _at_the_edge(reading: Reading) -> Reading:
    """Return the reading of one side alone where the function is defined on one side only."""
    if math.isfinite(reading.value):
        return reading
    inside = [side for side in (reading.left, reading.right) if math.isfinite(side)]
    if len(inside) != 1:
        return reading
    return Reading(inside[0], reading.error, inside[0], inside[0], reading.size)


def _has_kink(reading: Reading, tolerance: Tolerance, typical: float) -> bool:
    left, right = reading.left, reading.right
    if not (math.isfinite(left) and math.isfinite(right)):
        return False
    slopes = (left, right, reading.value)
    apart = max(slopes) - min(slopes)
    # Where the derivative is zero, rounding alone makes the sides differ.
    rounding = 32 * tolerance.epsilon * max(typical, reading.size)
    return apart > rounding + _ONE_SLOPE * max(map(abs, slopes))


def _looks_like(computed: float, reading: Reading, tolerance: Tolerance) -> str:
    """Return a clause on what a wrong number looks like."""
    estimated = reading.value
    opposite = reading._replace(value=-estimated)
    if computed == 0:
        return "zero where the estimate is not: cut off from the graph, or frozen in a trace?"
    if abs(computed + estimated) <= tolerance.bound(computed, opposite, 0.0):
        return "the opposite sign of the estimate"
    relative = abs(computed - estimated) / max(abs(computed), abs(estimated))
    low, high = _FLOAT32
    if tolerance.dtype == "float64" and low <= relative <= high:
        return f"off by {relative:.0e} of its size, as float32 arithmetic is"
    return f"off by {relative:.2g} of its size"
