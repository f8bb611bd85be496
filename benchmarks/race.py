"""Run one problem through every rival: prepare, compare, then time those that agree.

A Problem and rivals enter, a Row for each rival leaves; none is dropped.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median, quantiles
from typing import Literal

from benchmarks.agreement import disagreement
from benchmarks.cases import Problem
from benchmarks.rivals.base import Rival, Unavailable, Work
from gradsweep.comparison.clock import Effort, time_in_turns
from gradsweep.support.duration import format_seconds

__all__ = ["LARGEST_LOOP", "Row", "Status", "race", "start"]

Status = Literal["timed", "skipped", "failed", "disagrees"]

# Points that a Python loop over them is worth waiting for.
LARGEST_LOOP = 1_000
# A rival is left out where its call would take longer than this many times what gets one turn.
_PATIENCE = 8


@dataclass(frozen=True)
class Row:
    """What came of one rival on one problem.

    Attributes:
        reason: why it was not timed; with times, what may be worth knowing.
        first_seconds: from the function to its first result, compilation included.
        samples: seconds of a call, round by round.
    """

    case: str
    n_points: int
    rival: str
    family: str
    reuses_buffers: bool
    is_ours: bool
    status: Status = "timed"
    reason: str = ""
    first_seconds: float | None = None
    samples: tuple[float, ...] = ()

    @property
    def seconds(self) -> float | None:
        """The median of a call."""
        return median(self.samples) if self.samples else None

    @property
    def quartiles(self) -> tuple[float, float] | None:
        """The spread, from three rounds on."""
        if len(self.samples) < 3:
            return None
        low, _, high = quantiles(self.samples, n=4, method="inclusive")
        return low, high


def race(
    problem: Problem, rivals: Iterable[Rival], effort: Effort, before: Sequence[Row] = ()
) -> list[Row]:
    """Compare and time rivals on one problem.

    Args:
        before: the case's rows at smaller sizes, which tell who would take too long at this one.
    """
    rows: list[Row] = []
    works: dict[int, Work] = {}
    for rival in rivals:
        row, work = _skipped(problem, rival, effort, before), None
        if row is None:
            row, work = start(problem, rival)
        if work is not None:
            works[len(rows)] = work
        rows.append(row)
    samples = time_in_turns([work.call for work in works.values()], effort)
    for position, seconds in zip(works, samples):
        rows[position] = replace(rows[position], samples=seconds)
    return rows


def start(problem: Problem, rival: Rival) -> tuple[Row, Work | None]:
    """Prepare a rival, time its first result and compare it with the closed form.

    Returns:
        Its row, and what may be timed; None when it cannot run or is wrong.
    """
    row = _row(problem, rival)
    try:
        rival.require()
        started = time.perf_counter()
        work = rival.prepare(problem)
        results = work.call()
        row = replace(row, first_seconds=time.perf_counter() - started)
        difference = disagreement(problem, work.read(results))
    except (Unavailable, ImportError, LookupError) as error:
        return replace(row, status="skipped", reason=_first_line(error)), None
    except Exception as error:  # whatever a rival meets belongs in the table
        reason = f"{type(error).__name__}: {_first_line(error)}"
        return replace(row, status="failed", reason=reason), None
    if difference:
        return replace(row, status="disagrees", reason=difference), None
    return replace(row, reason=work.note()), work


def _skipped(problem: Problem, rival: Rival, effort: Effort, before: Sequence[Row]) -> Row | None:
    """Return the row of a rival that would take too long to be waited for, else None."""
    reason = ""
    largest = LARGEST_LOOP if not problem.case.is_long else 0
    if rival.loops and problem.n_points > largest:
        often = f"for up to {largest:,} of them" if largest else "too slow for a long function"
        reason = f"a loop over the points, {often}"
    if rival.is_slow_to_start(problem.case) and not effort.waits:
        reason = "it compiles for many seconds, which a quick run does not wait for"
    own = [r for r in before if r.rival == rival.name and r.n_points >= LARGEST_LOOP and r.seconds]
    if own:
        # The largest of them tells most: at fewer points a call may cost more than its points do.
        last = max(own, key=lambda row: row.n_points)
        expected = (last.seconds or 0.0) * problem.n_points / last.n_points
        if expected > _PATIENCE * effort.limit_seconds:
            told = format_seconds(expected, 2)
            reason = f"by its time at {last.n_points:,} points it would take {told}"
    return replace(_row(problem, rival), status="skipped", reason=reason) if reason else None


def _row(problem: Problem, rival: Rival) -> Row:
    return Row(
        case=problem.case.name,
        n_points=problem.n_points,
        rival=rival.name,
        family=rival.family,
        reuses_buffers=rival.reuses_buffers,
        is_ours=rival.is_ours,
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")
