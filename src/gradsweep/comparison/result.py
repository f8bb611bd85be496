"""Comparison: which way is fastest, at which size, and by how much.

Times enter; a sentence, a table, a figure and JSON leave.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from gradsweep.comparison.plot import draw
from gradsweep.comparison.race import Row
from gradsweep.comparison.times import Times
from gradsweep.engines.choice import ENGINES
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
        """The answer in a sentence or two."""
        if not self.winner:
            return f"Nothing could compute the {self.quantity} of {self.function}."
        size = self.sizes[-1]
        first, *others = self.contenders(size)
        where = f"over {_count(size, 'point')}"
        if not others:
            return f"{_title(first)} is the only way that works here, {where}."
        parts = [self._lead(first, others, where)]
        parts += self._crossovers()
        return "; ".join(parts) + "."

    def _lead(self, first: Row, others: Sequence[Row], where: str) -> str:
        rivals = [next((r for r in others if r.family == f), None) for f in _FAMILIES]
        beaten = [r for r in rivals if r is not None and r.family != first.family]
        named = _best_of if beaten else _title
        beaten = beaten or [others[0]]
        close = [row for row in beaten if _overlap(first, row)]
        told = " and ".join(
            f"{row.median / first.median:.1f} x faster than {named(row)}"
            for row in beaten
            if row not in close
        )
        calls = [f"too close to call with {named(row)}" for row in close]
        return f"{where[0].upper()}{where[1:]}, {_title(first)} is " + ", and ".join(
            [*([told] if told else []), *calls]
        )

    def _crossovers(self) -> list[str]:
        """Return clauses that say at which sizes JAX or torch, written by hand, is faster."""
        leads: list[tuple[int, str]] = []
        for size in self.sizes:
            ranked = self.contenders(size)
            best = {f: next((r for r in ranked if r.family == f), None) for f in _HANDS}
            jax, torch = best["JAX"], best["torch"]
            if jax is None or torch is None:
                continue
            ahead = "neither" if _overlap(jax, torch) else min(jax, torch, key=_median).family
            leads.append((size, ahead))
        runs = [(who, [s for s, _ in group]) for who, group in groupby(leads, lambda lead: lead[1])]
        told = [(who, sizes) for who, sizes in runs if who != "neither"]
        if len(told) == 1 and len(runs) == 1:
            ((who, _),) = told
            return [f"by hand, {who} beats {_other(who)} at every size"]
        where: dict[str, list[str]] = {}
        for who, sizes in told:
            where.setdefault(who, []).append(_range(sizes, self.sizes))
        return [
            f"by hand, {who} beats {_other(who)} {' and '.join(ranges)}"
            for who, ranges in where.items()
        ]

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
                if not _overlap(best, mine):
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
        lines.append(f"\n{self.machine}, {_count(self.n_threads, 'thread')}")
        for size in self.sizes:
            lines += ["", _count(size, "point"), *self._table(size)]
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
            at = "" if len(sizes) == len(self.sizes) else f" (at {_listed(sizes)} points)"
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
                    _duration(row.median),
                    f"{_duration(low)} .. {_duration(high)}",
                    f"{row.median / ranked[0].median:.1f}",
                    _duration(row.first_seconds),
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


_FAMILIES = ("gradsweep", "JAX", "torch")
_HANDS = ("JAX", "torch")


def _median(row: Row) -> float:
    return row.median


def _overlap(one: Row, other: Row) -> bool:
    """Tell whether the middle halves of two samples overlap: then neither counts as faster."""
    (a, b), (c, d) = one.quartiles, other.quartiles
    return a <= d and c <= b


def _title(row: Row) -> str:
    if row.family != "gradsweep":
        return f"{row.family}'s {row.rival}"
    return f"gradsweep's {row.rival}"


def _best_of(row: Row) -> str:
    return f"{row.family}'s best here ({row.rival})"


def _other(family: str) -> str:
    return next(name for name in _HANDS if name != family)


def _range(sizes: Sequence[int], everywhere: Sequence[int]) -> str:
    if sizes[0] == everywhere[0]:
        return f"up to {sizes[-1]:,} points"
    if sizes[-1] == everywhere[-1]:
        return f"from {sizes[0]:,} points on"
    return f"at {_listed(sizes)} points"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'s' * (n != 1)}"


def _listed(sizes: Sequence[int]) -> str:
    return ", ".join(f"{size:,}" for size in sizes)


def _duration(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1 or unit == "µs":
            value = seconds * factor
            return f"{value:.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"
    raise AssertionError(seconds)
