"""Who is faster, and by how much. Rows of one problem enter, words leave; nothing is measured.

A ratio is the median over rounds, in which both were timed one after the other.
"""

import math
from collections.abc import Sequence
from statistics import median, quantiles

from benchmarks.race import Row
from gradsweep.comparison.sentence import factor
from gradsweep.support.duration import format_seconds

__all__ = ["compared", "fastest", "ratio", "slowest", "times_as_long", "written"]


def ratio(row: Row, other: Row) -> float:
    """Return how many times as long one takes as the other."""
    return median(_ratios(row, other))


def times_as_long(row: Row | None, other: Row | None) -> str:
    """Write the ratio as a number; "-" where there is none."""
    return f"{ratio(row, other):.3g}" if row and other else "-"


def compared(row: Row, other: Row) -> str:
    """Say how a row does beside another: "1.9 times faster than", "as fast as".

    Neither is faster where the middle half of the ratios has both smaller and larger ones than 1.
    """
    ratios = _ratios(row, other)
    low, middle, high = (
        quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    )
    if low <= 1 <= high or f"{max(middle, 1 / middle):.1f}" == "1.0":
        return "as fast as"
    if middle < 1:
        return f"{factor(1 / middle)} times faster than"
    return f"{factor(middle)} times slower than"


def fastest(rows: Sequence[Row], families: Sequence[str]) -> Row | None:
    """Return the fastest of the rows of some families that were timed."""
    found = [row for row in rows if row.samples and row.family in families]
    return min(found, key=lambda row: row.seconds or math.inf, default=None)


def slowest(rows: Sequence[Row], families: Sequence[str]) -> Row | None:
    """Return the slowest of them: of our own rows, so that no number flatters us."""
    found = [row for row in rows if row.samples and row.family in families]
    return max(found, key=lambda row: row.seconds or 0.0, default=None)


def written(row: Row | None) -> str:
    """Write the time of a call; "-" where there is none."""
    return format_seconds(row.seconds) if row and row.seconds is not None else "-"


def _ratios(row: Row, other: Row) -> list[float]:
    return [a / b for a, b in zip(row.samples, other.samples)]
