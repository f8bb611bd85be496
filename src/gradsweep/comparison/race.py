"""The race: prepare rivals, check them against the reference, and time them in turns.

Problems of several sizes and rivals enter; for each rival at each size a Row leaves. The row of a
rival that disagrees, fails or cannot take part holds the reason.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from gradsweep.comparison.agreement import disagreement, expected_results
from gradsweep.comparison.clock import Effort, seconds_of, time_in_turns
from gradsweep.comparison.conditions import peak_bytes
from gradsweep.comparison.problem import Problem, Unavailable, resized
from gradsweep.comparison.rivals import RIVALS, Rival
from gradsweep.engines.choice import ComputeOptions
from gradsweep.request.request import make_request
from gradsweep.request.sweep import Sweep
from gradsweep.support.cache import set_all_aside
from gradsweep.support.duration import format_seconds
from gradsweep.support.errors import GradsweepError, MissingPackage

__all__ = ["Row", "run_race", "warm_up"]

# A rival that starts slowly is skipped where its start would take more than this share of the time
# left; and how long a start takes, until one has been seen.
_LATE = 0.5
_SLOW_START_SECONDS = 6.0
# Once one size is compiled, the compiler is loaded and warm: the next start takes this share.
_RESTART_SHARE = 0.2
# A rival is skipped where a call would take longer, judged by its time at fewer points: this few
# for a loop, and at least this many for any other.
_LONGEST_CALL_SECONDS = 2.0
_FEW_POINTS = 4
_TELLING_POINTS = 1000


@dataclass(frozen=True)
class Row:
    """How one rival did at one size.

    Attributes:
        first_seconds: from a loaded framework to the first result, traced and compiled anew.
        seconds: those of a call, one number for each turn; () when it did not take part.
        peak_bytes: the memory that a call adds at its peak; None where the system does not tell.
        reason: why it did not take part, as a clause; "" when it did.
        reuses_buffers: whether it writes into the arrays of its call before.
        timed: what a call is, "compiled kernel" or "labelled call"; "" where the name says it.
    """

    rival: str
    family: str
    n_points: int
    first_seconds: float = 0.0
    seconds: tuple[float, ...] = ()
    peak_bytes: int | None = None
    reason: str = ""
    reuses_buffers: bool = False
    timed: str = ""

    @property
    def median(self) -> float:
        return float(np.median(self.seconds))

    @property
    def quartiles(self) -> tuple[float, float]:
        low, high = np.quantile(self.seconds, [0.25, 0.75])
        return float(low), float(high)


def run_race(
    problems: Sequence[Problem],
    rivals: Sequence[Rival],
    budget_seconds: float,
    advance: Callable[[str], None],
    rtol: float | None = None,
) -> list[Row]:
    """Race all rivals at every size, from the smallest.

    Args:
        advance: called with the name of each step: at each size, every rival, then the timing.
        rtol: how much results may differ, relative to the largest value of each.
    """
    deadline = time.monotonic() + budget_seconds
    known = _Known()
    rows: list[Row] = []
    for number, problem in enumerate(problems):
        expected = expected_results(problem)
        entered: list[tuple[Row, Callable[[], Any]]] = []
        for rival in rivals:
            advance(f"{rival.name}, {problem.n_points:,} points")
            row = Row(
                rival.name,
                rival.family,
                problem.n_points,
                reuses_buffers=rival.reuses_buffers,
                timed=rival.timed,
            )
            reason = known.reason_to_skip(rival, problem, deadline - time.monotonic())
            entry = reason or _enter(rival, problem, expected, rtol)
            if isinstance(entry, str):
                rows.append(replace(row, reason=entry))
                if not reason:
                    known.out[rival.name] = entry
                continue
            known.starting[rival.name] = entry.first_seconds * (1 if number else _RESTART_SHARE)
            row = replace(row, first_seconds=entry.first_seconds, peak_bytes=entry.peak_bytes)
            entered.append((row, entry.call))
        advance(f"timing, {problem.n_points:,} points")
        left = max(0.1, deadline - time.monotonic())
        share = left / (len(problems) - number) / max(1, len(entered))
        effort = Effort(min(share, 1.0), _LONGEST_CALL_SECONDS, 25, n_processes=1, waits=True)
        with _silence():
            samples = time_in_turns([call for _, call in entered], effort)
        for (row, _), seconds in zip(entered, samples):
            rows.append(replace(row, seconds=seconds))
            known.learn(rows[-1])
    order = {rival.name: position for position, rival in enumerate(rivals)}
    return sorted(rows, key=lambda row: (row.n_points, order[row.rival]))


def warm_up(rivals: Sequence[Rival]) -> None:
    """Let frameworks do what they do once in a process, so that no first result contains it."""
    for rival in rivals:
        if rival in RIVALS and not rival.starts_slowly:
            _warm_up(rival)


@cache
def _warm_up(rival: Rival) -> None:
    square = Problem(
        make_request("gradient", lambda x: x * x, Sweep(x=np.array([1.0, 2.0]))), ComputeOptions()
    )
    with _silence(), suppress(Exception):  # the race will say why
        call, _ = rival.work(square)
        call()


@dataclass
class _Known:
    """What smaller sizes have shown of each rival, by its name.

    Attributes:
        out: why it is out of the race.
        starting: seconds to its first result.
        per_point: seconds of a call, divided by its points.
    """

    out: dict[str, str] = field(default_factory=dict)
    starting: dict[str, float] = field(default_factory=dict)
    per_point: dict[str, float] = field(default_factory=dict)

    def learn(self, row: Row) -> None:
        if row.n_points >= _TELLING_POINTS or row.rival in self.per_point:
            self.per_point[row.rival] = row.median / row.n_points

    def reason_to_skip(self, rival: Rival, problem: Problem, left_seconds: float) -> str:
        """Return why a rival is not tried, as a clause, or ""."""
        if rival.name in self.out:
            return self.out[rival.name]
        starting = self.starting.get(rival.name, _SLOW_START_SECONDS)
        if rival.starts_slowly and starting > _LATE * left_seconds:
            return (
                f"compiling it takes about {format_seconds(starting, 2)}, and the budget has "
                f"{format_seconds(max(0.0, left_seconds), 2)} left; give a larger one"
            )
        if rival.loops and problem.n_points > _FEW_POINTS and rival.name not in self.per_point:
            self.per_point[rival.name] = _seconds_a_point(rival, problem)
        expected = self.per_point.get(rival.name, 0.0) * problem.n_points
        if expected > _LONGEST_CALL_SECONDS:
            return f"by its time at fewer points it would take {format_seconds(expected, 2)}"
        return ""


def _seconds_a_point(rival: Rival, problem: Problem) -> float:
    """Time a rival over few points; return 0 when it fails there, as it will over more."""
    few = Problem(resized(problem.request, _FEW_POINTS), problem.options)
    with _silence():
        try:
            call, _ = rival.work(few)
            call()
            return seconds_of(call) / few.n_points
        except Exception:
            return 0.0


class _Entry(NamedTuple):
    """A rival that is ready, and whose results are right."""

    call: Callable[[], Any]
    first_seconds: float
    peak_bytes: int | None


def _enter(
    rival: Rival, problem: Problem, expected: Sequence[np.ndarray], rtol: float | None
) -> str | _Entry:
    """Prepare a rival and check its results; return the reason why it is out, or its entry."""
    with _silence():
        try:
            with set_all_aside():
                started = time.perf_counter()
                call, read = rival.work(problem)
                results = call()
                first = time.perf_counter() - started
            reason = disagreement(expected, read(results), problem.request.dtype, rtol)
            del results
            return reason or _Entry(call, first, peak_bytes(call))
        except Unavailable as unavailable:
            return str(unavailable)
        except MissingPackage as missing:
            return f"{missing.name} is not installed"
        except GradsweepError as error:
            return str(error).partition("\n")[0].rstrip(".")
        except Exception as error:  # whatever a rival meets belongs in the table
            line = str(error).strip().partition("\n")[0].rstrip(".")
            return f"it fails with {type(error).__name__}: {line[:120]}"


def _silence() -> warnings.catch_warnings:
    """Return a context without warnings: a framework's own are nothing that a user can mend."""
    return warnings.catch_warnings(action="ignore")
