"""Findings as text: the verdict, a line for each derivative, then the suspicious rows.

Findings enter, text leaves.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

from gradsweep.checks.findings import EstimateNote, Findings, Row

__all__ = ["describe"]

# The most lines of any one list.
_MOST_ROWS = 10


def describe(check: Findings) -> str:
    """Return the sentence, the summary, the estimates and the suspicious rows."""
    lines = [check.sentence, ""]
    lines += _table(
        ("", "rows", "suspicious", "worst", "allowed", "relative", "estimate", "at"),
        (_summary(name, rows, check) for name, rows in _by_variable(check.rows).items()),
    )
    lines += ["", *(_estimate(note) for note in check.estimates)]
    lines += [f"note: {note}" for note in check.notes]
    if check.not_finite:
        lines += ["", f"Not finite at {len(check.not_finite)} of {len(check.points)} points:"]
        lines += _few([f"  {_not_finite(check, number)}" for number in check.not_finite], "points")
    for name, rows in _by_variable(check.suspicious).items():
        lines += ["", f"Suspicious rows of {name}:"]
        table = _table(
            ("", "computed", "estimated", "relative", "error", "estimate", "what", "at"),
            (_row(row, check) for row in rows),
        )
        lines += [table[0], *_few(table[1:], "rows")]
    return "\n".join(lines)


def _by_variable(rows: Iterable[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.variable, []).append(row)
    return groups


def _summary(name: str, rows: Sequence[Row], check: Findings) -> tuple[str, ...]:
    n_wrong = sum(row.is_suspicious for row in rows)
    compared = [row for row in rows if row.verdict in ("agrees", "differs", "kink")]
    if not compared:
        return name, f"{len(rows):,}", f"{n_wrong:,}", "", "", "", "none could tell", ""
    # Where nothing is suspicious, the sharpest estimate alone decides which row is worst.
    shown = [row for row in compared if row.is_suspicious] or [
        row for row in compared if row.estimate == compared[0].estimate
    ]
    worst = max(shown, key=_share_of_allowed)
    return (
        name,
        f"{len(rows):,}",
        f"{n_wrong:,}",
        f"{worst.absolute:.1e}",
        f"{worst.allowed:.1e}",
        f"{worst.relative:.1e}",
        worst.estimate,
        check.described[worst.point],
    )


def _share_of_allowed(row: Row) -> float:
    if math.isnan(row.absolute):
        return math.inf
    return row.absolute / row.allowed if row.allowed else row.absolute


def _row(row: Row, check: Findings) -> tuple[str, ...]:
    return (
        row.name,
        f"{row.computed:.10g}",
        f"{row.estimated:.10g}",
        f"{row.relative:.1e}",
        f"{row.error:.1e}",
        row.estimate,
        row.reason,
        check.described[row.point],
    )


def _estimate(note: EstimateNote) -> str:
    if note.reason:
        return f"{note.name}: unavailable: {note.reason}"
    suspicion = f"; {note.suspicion}" if note.suspicion else ""
    return f"{note.name}: at {note.n_points} point{'s' * (note.n_points != 1)}{suspicion}"


def _not_finite(check: Findings, point: int) -> str:
    found = {
        row.name: row.computed
        for row in check.rows
        if row.point == point and not math.isfinite(row.computed)
    }
    named = [f"{name} = {value}" for name, value in found.items()]
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    return f"{check.described[point]}: {', '.join(named[:3])}{more}"


def _few(lines: Sequence[str], what: str) -> Iterator[str]:
    yield from lines[:_MOST_ROWS]
    if len(lines) > _MOST_ROWS:
        yield f"  … {len(lines) - _MOST_ROWS:,} more {what}"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return lines in columns: numbers are right-aligned, names and the last columns left."""
    cells = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    first_text = header.index("estimate")
    lines = []
    for row in cells:
        placed = []
        for column, (cell, width) in enumerate(zip(row, widths)):
            is_text = column == 0 or column >= first_text
            place: Callable[[int], str] = cell.ljust if is_text else cell.rjust
            placed.append(place(width))
        lines.append("  " + "  ".join(placed).rstrip())
    return lines
