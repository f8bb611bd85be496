"""Time calls in turns, A B A B, so that a slow spell of the machine slows all alike.

Calls enter, seconds leave. Knows nothing of problems or rivals.
"""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["FULL", "QUICK", "Effort", "seconds_of", "time_in_turns"]

Call = Callable[[], Any]

# A turn lasts at least this long, however short the call. Before it the call runs for a third as
# long, so that threads, caches and memory are as warm as in a loop.
_TURN_SECONDS = 0.01
# A pause before each turn: threads that spin while they wait for work would slow the next call.
_SETTLE_SECONDS = 0.003


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        share_seconds: the time of each call at one size; it gets three turns at least.
        limit_seconds: a call that takes longer gets one turn, and is skipped at sizes where it
            would take much longer.
        most_turns: the most turns of a call; more would not sharpen the median.
        n_processes: how often a first result is timed, each in a process of its own.
        waits: whether to wait for what compiles slowly.
    """

    share_seconds: float
    limit_seconds: float
    most_turns: int
    n_processes: int
    waits: bool


QUICK = Effort(0.03, 0.5, most_turns=9, n_processes=1, waits=False)
FULL = Effort(0.5, 4.0, most_turns=31, n_processes=3, waits=True)


def seconds_of(call: Call, n_calls: int = 1) -> float:
    """Return the median time of several calls, which an interruption of one does not change."""
    found = []
    for _ in range(n_calls):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def time_in_turns(calls: Sequence[Call], effort: Effort) -> list[tuple[float, ...]]:
    """Time calls that have all been warmed up, each in its turn, round after round.

    Returns:
        For each call, its seconds in the first round, the second, and so on. A slow call takes
        part in fewer rounds; the times of one round may be compared.
    """
    samples: list[list[float]] = [[] for _ in calls]
    plans = [_plan(call, effort) for call in calls]
    collects = gc.isenabled()
    gc.collect()  # once: it takes long where frameworks are loaded
    gc.disable()
    try:
        for turn in range(effort.most_turns):
            for call, (n_calls, n_turns), found in zip(calls, plans, samples):
                if turn < n_turns:
                    time.sleep(_SETTLE_SECONDS)
                    for _ in range(-(-n_calls // 3) if n_turns > 1 else 0):
                        call()  # the others have filled the caches with their own data
                    found.append(seconds_of(call, n_calls))
    finally:
        if collects:
            gc.enable()
    return [tuple(found) for found in samples]


def _plan(call: Call, effort: Effort) -> tuple[int, int]:
    """Return how many calls make a turn, and how many turns the call gets."""
    seconds = seconds_of(call)
    if seconds > effort.limit_seconds:
        return 1, 1
    if seconds < _TURN_SECONDS:
        seconds = seconds_of(call, 3)  # the first of them found the caches cold
    n_calls = max(1, round(_TURN_SECONDS / max(seconds, 1e-7)))
    turn_seconds = _SETTLE_SECONDS + 4 / 3 * n_calls * seconds
    return n_calls, min(effort.most_turns, max(3, int(effort.share_seconds / turn_seconds)))
