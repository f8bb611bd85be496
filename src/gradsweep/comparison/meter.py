"""The progress of a comparison: a bar in a terminal, lines of text elsewhere if asked for."""

import sys
from types import TracebackType
from typing import Any

__all__ = ["Meter"]


class Meter:
    """Shows on stderr the current step, and the share of all steps that is done.

    Args:
        n_steps: how many there are.
        wanted: True to show it, False not to; None to show it in a terminal alone.
    """

    def __init__(self, n_steps: int, wanted: bool | None):
        is_terminal = sys.stderr.isatty()
        self._wanted = is_terminal if wanted is None else wanted
        self._n_steps, self._n_begun = n_steps, 0
        self._bar: Any = None
        if self._wanted and is_terminal:
            self._open_bar()

    def _open_bar(self) -> None:
        try:
            from rich import progress
            from rich.console import Console
        except ModuleNotFoundError:
            return  # lines will do
        self._bar = progress.Progress(
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            progress.TimeElapsedColumn(),
            progress.TextColumn("{task.description}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=self._n_steps)

    def __enter__(self) -> "Meter":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, doing: str) -> None:
        """Show the step that begins; those that began before it are done."""
        done, self._n_begun = self._n_begun, self._n_begun + 1
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=doing)
        elif self._wanted:
            share = done / max(1, self._n_steps)
            print(f"gradsweep: {share:4.0%}  {doing}", file=sys.stderr, flush=True)
