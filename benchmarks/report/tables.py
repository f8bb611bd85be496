"""What the terminal shows: a table of times and ratios for each problem, and the bars in one line.

Rows enter, text leaves. Nothing is measured here.
"""

from collections.abc import Iterable, Sequence

from benchmarks.cases import TITLES
from benchmarks.race import Row
from benchmarks.report.families import FAMILIES, OURS
from benchmarks.report.verdict import compared, fastest, slowest, times_as_long, written
from gradsweep.support.duration import format_seconds

__all__ = ["first_results_table", "summary", "table"]

_OTHERS = [name for name in FAMILIES if not name.startswith(("C,", "gradsweep")) and name != "C"]
_HEADER = ("rival", "memory", "first", "median", "quartiles", "/ ours", "/ C")
_REASON_WIDTH = 96


def table(rows: Sequence[Row]) -> str:
    """Return the table of one problem, one line for each rival.

    "/ ours" is how many times as long as gradsweep's compiled kernel a rival takes, the kernel
    writing into the same kind of memory: that of the call before, or new.
    """
    hand_written = fastest(rows, ["C"])
    into, anew, _ = (slowest(rows, [family]) for family in OURS)
    body = [_cells(row, into if row.reuses_buffers else anew, hand_written) for row in rows]
    title = f"{TITLES[rows[0].case]}: {rows[0].n_points:,} points"
    return f"{title}\n{_aligned([_HEADER, *body])}"


def summary(rows: Iterable[Row]) -> str:
    """Return, for every problem, ours beside C and beside the fastest of the others.

    The other has the same kind of memory as ours that it is compared with.
    """
    problems: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        problems.setdefault((row.case, row.n_points), []).append(row)
    lines = [("case", "points", "out=", "new", "labelled", "out= / C", "beside the best other")]
    for (case, n_points), found in problems.items():
        into, anew, labelled = (slowest(found, [family]) for family in OURS)
        best = fastest(found, _OTHERS)
        like = into if best and best.reuses_buffers else anew
        beside = f"{compared(like, best)} {best.rival}" if like and best else "-"
        times = [written(row) for row in (into, anew, labelled)]
        to_hand_written = times_as_long(into, fastest(found, ["C"]))
        lines.append((case, f"{n_points:,}", *times, to_hand_written, beside))
    return _aligned(lines)


def first_results_table(rows: Iterable[Row]) -> str:
    """Return the seconds from the first call to the first result, in fresh processes."""
    lines = [("case", "rival", "first result", "")]
    lines += [(row.case, row.rival, _first(row), _clipped(row.reason)) for row in rows]
    return f"First results, each in a fresh process\n{_aligned(lines)}"


def _cells(row: Row, ours: Row | None, hand_written: Row | None) -> tuple[str, ...]:
    memory = "reused" if row.reuses_buffers else "new"
    first = _first(row)
    if not row.samples:
        return row.rival, memory, first, f"{row.status}: {_clipped(row.reason)}"
    spread = " .. ".join(map(format_seconds, row.quartiles)) if row.quartiles else "one call"
    ratios = times_as_long(row, ours), times_as_long(row, hand_written)
    return row.rival, memory, first, written(row), spread, *ratios


def _first(row: Row) -> str:
    return "-" if row.first_seconds is None else format_seconds(row.first_seconds)


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
