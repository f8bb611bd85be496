"""Times: how long each way to compute a quantity took, at every size.

Rows enter; the rows of one size leave, ranked. Writes no text about them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gradsweep.comparison.race import Row

__all__ = ["Times"]


@dataclass(frozen=True)
class Times:
    """How long the ways to compute one quantity take, on this machine.

    Attributes:
        function: its name, and `quantity` what was computed of it.
        written_for: the framework that the function is written for.
        picked: the engine that `engine="auto"` picks, at each size.
        rows: one for each rival at each size, also for a rival that did not take part.
        machine: where it ran, and `n_threads` with how many threads.
    """

    function: str
    quantity: str
    written_for: str
    picked: Mapping[int, str]
    rows: tuple[Row, ...]
    machine: str
    n_threads: int = 1

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(row.n_points for row in self.rows))

    def at(self, n_points: int) -> list[Row]:
        """Return the rows of the rivals that took part at one size, the fastest first."""
        found = [row for row in self.rows if row.n_points == n_points and row.seconds]
        return sorted(found, key=lambda row: row.median)

    def contenders(self, n_points: int) -> list[Row]:
        """Return the rows of `at` that may win: those of rivals that return new arrays."""
        return [row for row in self.at(n_points) if not row.reuses_buffers]
