"""What a campaign has tried, and what it left out and why."""

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Counts"]


@dataclass
class Counts:
    """Numbers of a campaign.

    Attributes:
        n_functions: functions that the framework itself differentiates.
        n_points: points of their sweeps, counted once for every result that was compared there.
        n_programs: Programs that mpmath has evaluated.
        n_growths: bodies that were traced at three lengths.
        n_refused_too: functions that the framework refused, and gradsweep as well.
        excluded: results at a point that cannot be judged, by the rule that says so.
        refused: requests that gradsweep refused, by the first line of its message.
        drawn_again: functions that the framework refused, by its error.
    """

    n_functions: int = 0
    n_points: int = 0
    n_combinations: int = 0
    n_programs: int = 0
    n_growths: int = 0
    n_failures: int = 0
    n_refused_too: int = 0
    excluded: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    drawn_again: Counter[str] = field(default_factory=Counter)
    features: Counter[str] = field(default_factory=Counter)

    @property
    def line(self) -> str:
        """Everything in one line."""
        return (
            f"{self.n_functions:,} functions, {self.n_combinations:,} combinations, "
            f"{self.n_points:,} points, {self.n_programs:,} Programs in mpmath, "
            f"{self.n_growths:,} growths; {self.n_failures} wrong; "
            f"excluded {_listed(self.excluded)}; refused in words {_listed(self.refused)}; "
            f"drawn again {_listed(self.drawn_again)}"
        )


def _listed(counter: Counter[str]) -> str:
    if not counter:
        return "0"
    parts = ", ".join(f"{n:,} {reason}" for reason, n in counter.most_common())
    return f"{counter.total():,} ({parts})"
