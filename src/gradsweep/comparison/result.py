"""Comparison: which way is fastest, at which size, and by how much.

Times enter; a sentence, a table, a figure and JSON leave.
"""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradsweep.comparison.plot import draw
from gradsweep.comparison.race import Row
from gradsweep.comparison.sentence import count, listed, overlap, sentence
from gradsweep.comparison.times import Times
from gradsweep.engines.choice import ENGINES
from gradsweep.support.duration import format_seconds
from gradsweep.support.memory import format_bytes

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

__all__ = ["Comparison"]

# Where another engine is faster than the picked one by more than this factor, a warning says so.
_NOTICEABLE = 1.1


@dataclass(frozen=True)
class Comparison(Times):
    """How the ways to compute one quantity compare, on this machine."""

    @property
    def winner(self) -> str:
        """The fastest rival at the largest size; `""` when nothing could be run."""
        ranked = self.contenders(self.sizes[-1]) if self.rows else []
        return ranked[0].rival if ranked else ""

    @property
    def sentence(self) -> str:
        """The answer in a sentence or two, with its doubts."""
        return sentence(self)

    @property
    def warning(self) -> str:
        """Say where `engine="auto"` does not pick the fastest of gradsweep's engines, or `""`."""
        for size, picked in self.picked.items():
            ours = [row for row in self.contenders(size) if row.rival in ENGINES]
            mine = next((row for row in ours if row.rival == picked), None)
            if mine is None or not ours:
                continue
            best = ours[0]
            if best is not mine and mine.median > _NOTICEABLE * best.median:
                if not overlap(best, mine):
                    return (
                        f'engine="auto" picks {picked} over {size:,} points, and {best.rival} is '
                        f"{mine.median / best.median:.1f} x faster there: pass "
                        f'engine="{best.rival}".'
                    )
        return ""

    def plot(self) -> "Figure":
        """Draw time against points, a line for each way. Needs the extra `plot`."""
        return draw(self)

    def to_json(self) -> str:
        """Return everything as one JSON document."""
        document = {
            "sentence": self.sentence,
            "warning": self.warning,
            "winner": self.winner,
            "function": self.function,
            "quantity": self.quantity,
            "written_for": self.written_for,
            "machine": self.machine,
            "n_threads": self.n_threads,
            "picked": [{"n_points": n, "engine": engine} for n, engine in self.picked.items()],
            "rows": [asdict(row) | _statistics(row) for row in self.rows],
        }
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)

    def to_dataset(self) -> "xarray.Dataset":
        """Return the times as an xarray.Dataset along `rival` and `n_points`, in seconds.

        A rival that did not take part has NaN and a `reason`.
        """
        import xarray

        rivals = list(dict.fromkeys(row.rival for row in self.rows))
        families = {row.rival: row.family for row in self.rows}
        rows = {(row.rival, row.n_points): row for row in self.rows}
        table = [[rows[rival, size] for size in self.sizes] for rival in rivals]
        dims = ("rival", "n_points")
        seconds = {
            name: (dims, [[number(row) for row in line] for line in table], {"units": "s"})
            for name, number in _NUMBERS.items()
        }
        peaks = [[_NAN if r.peak_bytes is None else r.peak_bytes for r in line] for line in table]
        return xarray.Dataset(
            {
                **seconds,
                "peak_bytes": (dims, np.array(peaks, float), {"units": "B"}),
                "reason": (dims, [[row.reason for row in line] for line in table]),
            },
            {
                "rival": rivals,
                "n_points": list(self.sizes),
                "family": ("rival", [families[rival] for rival in rivals]),
            },
            {
                "function": self.function,
                "quantity": self.quantity,
                "sentence": self.sentence,
                "machine": self.machine,
                "n_threads": self.n_threads,
            },
        )

    def __str__(self) -> str:
        lines = [self.sentence]
        if self.warning:
            lines.append(f"warning: {self.warning}")
        lines.append(f"\n{self.machine}, {count(self.n_threads, 'thread')}")
        for size in self.sizes:
            lines += ["", count(size, "point"), *self._table(size)]
        if any(row.reuses_buffers and row.seconds for row in self.rows):
            lines += ["", "(out=) writes into the arrays of the call before, and is no contender."]
        absent = {row.rival: row for row in self.rows if not row.seconds}
        if absent:
            lines += ["", "did not take part everywhere:"]
            width = max(map(len, absent))
            for name in absent:
                lines += self._absences(name, width)
        return "\n".join(lines)

    def _absences(self, name: str, width: int) -> list[str]:
        """Return a line for each reason why a rival did not take part."""
        reasons: dict[str, list[int]] = {}
        rows = [row for row in self.rows if row.rival == name and not row.seconds]
        for row in rows:
            reasons.setdefault(row.reason, []).append(row.n_points)
        lines = []
        for reason, sizes in reasons.items():
            at = "" if len(sizes) == len(self.sizes) else f" (at {listed(sizes)} points)"
            lines.append(f"  {name:<{width}}  {rows[0].family}: {reason}{at}")
        return lines

    def _table(self, size: int) -> list[str]:
        ranked = self.at(size)
        if not ranked:
            return ["  nothing took part"]
        cells = [("way", "by", "median", "quartiles", "x", "first result", "memory")]
        for row in ranked:
            low, high = row.quartiles
            picked = " (auto)" if row.rival == self.picked.get(size) else ""
            cells.append(
                (
                    row.rival + picked,
                    row.family,
                    format_seconds(row.median),
                    f"{format_seconds(low)} .. {format_seconds(high)}",
                    f"{row.median / ranked[0].median:.1f}",
                    format_seconds(row.first_seconds),
                    "-" if row.peak_bytes is None else format_bytes(row.peak_bytes),
                )
            )
        widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
        return [
            "  " + "  ".join(
                f"{cell:<{w}}" if i in (0, 1) else f"{cell:>{w}}"
                for i, (cell, w) in enumerate(zip(row, widths))
            ).rstrip()
            for row in cells
        ]  # fmt: skip


_NAN = float("nan")

# The numbers of a row, NaN where it did not take part.
_NUMBERS = {
    "median": lambda row: row.median if row.seconds else _NAN,
    "lower_quartile": lambda row: row.quartiles[0] if row.seconds else _NAN,
    "upper_quartile": lambda row: row.quartiles[1] if row.seconds else _NAN,
    "first_result": lambda row: row.first_seconds if row.seconds else _NAN,
}


def _statistics(row: Row) -> dict[str, float | None]:
    """Return the numbers that JSON adds to a row; null where a rival did not take part."""
    return {
        name: number(row) if row.seconds else None
        for name, number in _NUMBERS.items()
        if name != "first_result"
    }
