"""What a reader sees: a table of times and ratios, the bars in one line each, and JSON.

Rows enter, text leaves. Nothing is measured here.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from benchmarks.cases import CASES, LONG_PROGRAM
from benchmarks.race import Row, ratio

__all__ = ["first_results_table", "summary", "table", "to_json"]

_TITLES = {case.name: case.title for case in (*CASES.values(), LONG_PROGRAM)}
_HAND_WRITTEN = "C"
_HEADER = ("rival", "memory", "first", "median", "quartiles", "/ ours", "/ C")
_REASON_WIDTH = 96


def table(rows: Sequence[Row]) -> str:
    """Return the table of one problem, one line for each rival.

    "/ ours" is how many times as long as gradsweep's compiled kernel a rival takes, the kernel
    writing into the same kind of memory: that of the call before, or new.
    """
    hand_written = _timed(rows, lambda row: row.rival == _HAND_WRITTEN)
    body = [_cells(row, _ours(rows, row.reuses_buffers), hand_written) for row in rows]
    title = f"{_TITLES[rows[0].case]}: {rows[0].n_points:,} points"
    return f"{title}\n{_aligned([_HEADER, *body])}"


def summary(rows: Iterable[Row]) -> str:
    """Return, for every problem, ours against C and against the fastest of the others."""
    problems: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        problems.setdefault((row.case, row.n_points), []).append(row)
    lines = [("case", "points", "ours", "ours / C", "ours / best other", "which is")]
    for (case, n_points), found in problems.items():
        ours = _ours(found, True)
        hand_written = _timed(found, lambda row: row.rival == _HAND_WRITTEN)
        others = [row for row in found if row.samples and not _is_hand_written_or_ours(row)]
        best = min(others, key=lambda row: row.seconds or math.inf, default=None)
        like = _ours(found, best.reuses_buffers) if best else None
        lines.append(
            (
                case,
                f"{n_points:,}",
                _time(ours.seconds if ours else None),
                _times(ours, hand_written),
                _times(like, best),
                best.rival if best else "-",
            )
        )
    return _aligned(lines)


def first_results_table(rows: Iterable[Row]) -> str:
    """Return the seconds from the first call to the first result, in fresh processes."""
    lines = [("case", "rival", "first result", "")]
    lines += [(row.case, row.rival, _time(row.first_seconds), _clipped(row.reason)) for row in rows]
    return f"First results, each in a fresh process\n{_aligned(lines)}"


def to_json(rows: Sequence[Row], first: Sequence[Row], machine: dict[str, object]) -> str:
    """Return everything, medians and quartiles spelled out beside the samples."""
    return json.dumps(
        {
            "machine": machine,
            "rows": [
                {**asdict(row), "median_seconds": row.seconds, "quartiles": row.quartiles}
                for row in rows
            ],
            "first_results": [asdict(row) for row in first],
        },
        indent=1,
    )


def _ours(rows: Sequence[Row], reuses_buffers: bool) -> Row | None:
    """Return the slower of our kernels, from JAX and from torch: no ratio flatters us."""
    return _timed(rows, lambda row: row.is_ours and row.reuses_buffers == reuses_buffers)


def _timed(rows: Sequence[Row], belongs) -> Row | None:
    """Return the slowest row that was timed among those that belong."""
    found = [row for row in rows if row.samples and belongs(row)]
    return max(found, key=lambda row: row.seconds or 0.0, default=None)


def _is_hand_written_or_ours(row: Row) -> bool:
    return row.family == "C" or row.family.startswith("gradsweep")


def _cells(row: Row, ours: Row | None, hand_written: Row | None) -> tuple[str, ...]:
    memory = "reused" if row.reuses_buffers else "new"
    if not row.samples:
        return row.rival, memory, _time(row.first_seconds), f"{row.status}: {_clipped(row.reason)}"
    spread = " .. ".join(map(_time, row.quartiles)) if row.quartiles else "one call"
    return (
        row.rival,
        memory,
        _time(row.first_seconds),
        _time(row.seconds),
        spread,
        _times(row, ours),
        _times(row, hand_written),
    )


def _times(row: Row | None, other: Row | None) -> str:
    return f"{ratio(row, other):.3g}" if row and other else "-"


def _time(seconds: float | None) -> str:
    """Write a time with three digits in the unit that suits it."""
    if seconds is None:
        return "-"
    units = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))
    unit, size = next((row for row in units if seconds >= row[1]), units[-1])
    return f"{seconds / size:.3g} {unit}"


def _clipped(reason: str) -> str:
    return reason if len(reason) <= _REASON_WIDTH else reason[: _REASON_WIDTH - 3] + "..."


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Align cells in columns. The last cell of a short line runs over the columns after it."""
    n_columns = max(map(len, lines))
    widths = [
        max(
            len(line[i])
            for line in lines
            if i < len(line) and (i + 1 < len(line) or len(line) == n_columns)
        )
        for i in range(n_columns)
    ]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
        for line in lines
    )
