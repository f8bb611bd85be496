"""The race: rivals prepared, checked against each other, and timed in turns.

Problems of several sizes and rivals enter; for each rival at each size a Row leaves. What
disagrees, fails or cannot take part has its reason in its row.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradsweep.comparison.clock import Effort, seconds_of, time_in_turns
from gradsweep.comparison.problem import Problem, Unavailable, resized
from gradsweep.comparison.rivals import Rival
from gradsweep.errors import GradsweepError

__all__ = ["Row", "disagreement", "run_race"]

# What is slow to start is not started for more than this share of the time that is left.
_LATE = 0.5
_SLOW_START_SECONDS = 15.0
_RESTART_SHARE = 0.2
# A loop is not tried where it would take longer, by its time at fewer points.
_LONGEST_CALL_SECONDS = 2.0
# So many points tell how long a loop takes over more.
_FEW_POINTS = 4

_TOLERANCE = {"float64": 1e-9, "float32": 2e-4}


@dataclass(frozen=True)
class Row:
    """How one rival did at one size.

    Attributes:
        first_seconds: from nothing but an imported framework to the first result.
        seconds: one for each turn; () when it did not take part.
        peak_bytes: the most memory that a call held beside what was held before; None where the
            system does not tell.
        reason: why it did not take part, as a clause; "" when it did.
    """

    rival: str
    family: str
    n_points: int
    first_seconds: float = 0.0
    seconds: tuple[float, ...] = ()
    peak_bytes: int | None = None
    reason: str = ""

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
    """Race all rivals at every size.

    Args:
        advance: told what is done next.
        rtol: how much results may differ, relative to the largest of each.
    """
    started = time.monotonic()
    rows: list[Row] = []
    per_point: dict[str, float] = {}
    out_of_race: dict[str, str] = {}
    starting: dict[str, float] = {}
    for number, problem in enumerate(problems):
        expected = _expected(problem)
        entered: list[tuple[Rival, Callable[[], Any], float, int | None]] = []
        for rival in rivals:
            advance(f"{rival.name}, {problem.n_points:,} points")
            left = budget_seconds - (time.monotonic() - started)
            is_late = number > 0 and starting.get(rival.name, _SLOW_START_SECONDS) > _LATE * left
            reason = out_of_race.get(rival.name) or _reason_to_skip(
                rival, problem, per_point, is_late
            )
            found = reason or _enter(rival, problem, expected, rtol)
            if isinstance(found, str):
                rows.append(_absent(rival, problem, found))
                if not reason:
                    out_of_race[rival.name] = found
                continue
            entered.append((rival, *found))
            # Once one size is compiled, the compiler itself is loaded and warm.
            starting[rival.name] = found[1] * (_RESTART_SHARE if number == 0 else 1)
        left = max(0.1, budget_seconds - (time.monotonic() - started))
        share = left / (len(problems) - number) / max(1, len(entered))
        effort = Effort(min(share, 1.0), _LONGEST_CALL_SECONDS, 25, n_processes=1, waits=True)
        advance(f"timing, {problem.n_points:,} points")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            samples = time_in_turns([call for _, call, _, _ in entered], effort)
        for (rival, _, first, peak), seconds in zip(entered, samples):
            row = Row(rival.name, rival.family, problem.n_points, first, seconds, peak)
            rows.append(row)
            per_point[rival.name] = row.median / max(1, problem.n_points)
    order = {rival.name: position for position, rival in enumerate(rivals)}
    return sorted(rows, key=lambda row: (row.n_points, order[row.rival]))


def _absent(rival: Rival, problem: Problem, reason: str) -> Row:
    return Row(rival.name, rival.family, problem.n_points, reason=reason)


def _reason_to_skip(
    rival: Rival, problem: Problem, per_point: dict[str, float], is_late: bool
) -> str:
    if rival.starts_slowly and is_late:
        return "there was no time left to compile it; give a larger budget"
    if rival.loops and problem.n_points > _FEW_POINTS:
        if rival.name not in per_point:
            per_point[rival.name] = _seconds_a_point(rival, problem)
        expected = per_point[rival.name] * problem.n_points
        if expected > _LONGEST_CALL_SECONDS:
            return f"by its time at fewer points it would take {expected:.0f} s"
    return ""


def _seconds_a_point(rival: Rival, problem: Problem) -> float:
    """Time a rival over few points; 0 when it fails there, as it will over more."""
    few = Problem(resized(problem.request, _FEW_POINTS), problem.options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            call, _ = rival.prepare(few)
            call()
            return seconds_of(call) / few.n_points
        except Exception:
            return 0.0


def _enter(
    rival: Rival, problem: Problem, expected: Sequence[np.ndarray], rtol: float | None
) -> str | tuple[Callable[[], Any], float, int | None]:
    """Prepare a rival and check what it computes; return why it is out, or its call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            started = time.perf_counter()
            call, read = rival.prepare(problem)
            results = call()
            first = time.perf_counter() - started
            reason = disagreement(problem, expected, read(results), rtol)
            del results
            return reason or (call, first, _peak_bytes(call))
        except Unavailable as unavailable:
            return str(unavailable)
        except GradsweepError as error:
            return str(error).partition("\n")[0].rstrip(".")
        except Exception as error:
            line = str(error).strip().partition("\n")[0].rstrip(".")
            return f"it fails with {type(error).__name__}: {line[:120]}"


def _expected(problem: Problem) -> list[np.ndarray]:
    """Return what every rival has to compute, by the engine that gradsweep itself would take."""
    plan = problem.plan
    arrays = plan.allocate()
    plan.fill(arrays)
    axes = plan.axes
    return [
        array[tuple(slice(None) if axis in dims else np.newaxis for axis in axes)]
        for array, dims in zip(arrays, plan.dims)
    ]


def disagreement(
    problem: Problem,
    expected: Sequence[np.ndarray],
    found: Sequence[np.ndarray],
    rtol: float | None,
) -> str:
    """Return how results differ from what is expected, as a clause, or ""."""
    if len(found) != len(expected):
        return f"it has {len(found)} results in place of {len(expected)}"
    allowed = rtol if rtol is not None else _TOLERANCE[problem.request.dtype]
    for number, (one, other) in enumerate(zip(found, expected)):
        one = np.asarray(one)
        try:
            whole = np.broadcast_to(other, one.shape)
        except ValueError:
            return f"result {number + 1} has shape {one.shape} in place of {other.shape}"
        finite = np.abs(whole[np.isfinite(whole)])
        scale = float(finite.max()) if finite.size else 0.0
        if not np.allclose(one, whole, rtol=allowed, atol=allowed * scale, equal_nan=True):
            with np.errstate(invalid="ignore"):
                error = float(np.nanmax(np.abs(one - whole))) / (scale or 1.0)
            return f"result {number + 1} differs by {error:.1e} of its largest value"
    return ""


def _peak_bytes(call: Callable[[], Any]) -> int | None:
    """Return how far the process's resident memory rises during a call, where Linux tells."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        call()
        return max(0, _status("VmHWM") - before)
    except (OSError, StopIteration):
        return None


def _status(name: str) -> int:
    lines: Iterator[str] = iter(Path("/proc/self/status").read_text().splitlines())
    line = next(line for line in lines if line.startswith(f"{name}:"))
    return 1024 * int(line.split()[1])
