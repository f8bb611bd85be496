"""The progress of a run: a bar in a terminal or a notebook, lines of text elsewhere.

Finished points enter, text on stderr leaves. Only finished work is counted.
"""

import math
import sys
import threading
import time
from types import TracebackType
from typing import Any

from gradsweep.support.duration import format_seconds

__all__ = ["Meter"]

# A run shorter than this shows nothing, unless it was asked to.
_QUIET_SECONDS = 2.0
_SECONDS_BETWEEN_LINES = 10.0


class Meter:
    """Shows points done, their rate and the time left, on stderr.

    Args:
        title: the name of the run.
        n_points: how many points there are in all, and `n_done` how many were finished before.
        wanted: True to show it at once, False never; None to show it in a terminal or a notebook,
            once a run takes more than two seconds.
    """

    def __init__(self, title: str, n_points: int, n_done: int, wanted: bool | None):
        self._title, self._n_points, self._n_before = title, n_points, n_done
        self._n_done = n_done
        self._wanted = wanted
        self._lock = threading.Lock()
        self._bar: Any = None
        self._task: Any = None
        self._started = self._last_line = time.monotonic()

    def __enter__(self) -> "Meter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            if self._bar is not None:
                self._bar.stop()
            elif self._wanted and error is None:
                self._print_line()

    def advance(self, n_points: int) -> None:
        """Count points that are computed, and stored if there is a store."""
        with self._lock:
            self._n_done += n_points
            elapsed = time.monotonic() - self._started
            if self._wanted is False or (self._wanted is None and elapsed < _QUIET_SECONDS):
                return
            if self._bar is None and _is_interactive():
                self._open_bar()
            if self._bar is not None:
                self._bar.update(self._task, completed=self._n_done)
            elif self._wanted and time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES:
                self._print_line()

    def _open_bar(self) -> None:
        try:
            from rich import progress
            from rich.console import Console
        except ModuleNotFoundError:
            return  # lines will do
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            progress.TextColumn("{task.completed:,.0f} of {task.total:,.0f} points"),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(self._title, total=self._n_points, completed=self._n_before)
        self._bar.start()

    def _print_line(self) -> None:
        now = time.monotonic()
        self._last_line = now
        rate = (self._n_done - self._n_before) / max(now - self._started, 1e-9)
        left = (self._n_points - self._n_done) / rate if rate else math.inf
        told = format_seconds(left, 2) if rate else "unknown time"
        share = self._n_done / max(1, self._n_points)
        print(
            f"{self._title}: {self._n_done:,} of {self._n_points:,} points ({share:.0%}), "
            f"{rate:,.0f} a second, {told} left",
            file=sys.stderr,
            flush=True,
        )


def _is_interactive() -> bool:
    # A process may have no stderr at all: a daemon, or pythonw.
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
