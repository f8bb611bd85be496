"""The run that the documentation publishes: tables as wide as a page, and sentences, in Markdown.

Rows enter, text leaves. Nothing is measured here.
"""

from collections.abc import Iterator, Sequence

from benchmarks.cases import CASES, TITLES
from benchmarks.race import Row
from benchmarks.report.families import FAMILIES, OURS
from benchmarks.report.verdict import compared, fastest, slowest, written
from gradsweep.support.duration import format_seconds

__all__ = ["page"]

_SHOWN = [name for name, family in FAMILIES.items() if family.label]
# Those that someone would choose for speed: sentences name them.
_NAMED = ("C", "Dr.Jit", "heyoka", "JAX", "torch.compile")


def page(rows: Sequence[Row], first: Sequence[Row], machine: str) -> str:
    """Return a section for each case, and one for the first results."""
    sections = [f"Measured on {machine}."]
    for name in CASES:
        if found := [row for row in rows if row.case == name]:
            sections += [f"### {TITLES[name]}", *_case(found)]
    if first:
        sections += ["### From the first call to the first result", _first_results(first)]
    return "\n\n".join(sections) + "\n"


def _case(rows: Sequence[Row]) -> Iterator[str]:
    sizes = sorted({row.n_points for row in rows})
    at = {size: [row for row in rows if row.n_points == size] for size in sizes}
    lines = [["points", *(f"{size:,}" for size in sizes)]]
    absent = []
    for family in _SHOWN:
        choose = slowest if family in OURS else fastest
        cells = [written(choose(at[size], [family])) for size in sizes]
        if any(cell != "-" for cell in cells):
            lines.append([FAMILIES[family].label, *cells])
        elif reason := _reason(rows, family):
            absent.append(f"{FAMILIES[family].label} ({reason})")
    yield _table(lines)
    if absent:
        yield f"Not in the table: {'; '.join(absent)}."
    yield from _sentences(at[sizes[-1]])


def _sentences(rows: Sequence[Row]) -> Iterator[str]:
    """Say what each of our calls takes; new arrays beside what makes new arrays as well."""
    into, anew, labelled = (slowest(rows, [family]) for family in OURS)
    everything = [fastest(rows, [family]) for family in _NAMED]
    new = [fastest([r for r in rows if not r.reuses_buffers], [family]) for family in _NAMED]
    told = [
        f"- {way} takes {written(ours)}{_beside(ours, others)}."
        for way, ours, others in (
            ("A call into `out=`", into, everything),
            ("A call that makes new arrays", anew, new),
            ("A call that makes a labelled result", labelled, new),
        )
        if ours is not None
    ]
    if told:
        yield f"Over {rows[0].n_points:,} points:\n\n" + "\n".join(told)


def _beside(ours: Row, others: Sequence[Row | None]) -> str:
    told = [
        f"{compared(ours, row)} {FAMILIES[row.family].label} ({written(row)})"
        for row in others
        if row is not None
    ]
    return f": {', '.join(told)}" if told else ""


def _reason(rows: Sequence[Row], family: str) -> str:
    """Return why a family is in no column, by the form that speaks for it, its first."""
    return next((row.reason for row in rows if row.family == family and row.reason), "")


def _first_results(first: Sequence[Row]) -> str:
    lines = [["case", "in a fresh process, frameworks imported", "first result"]]
    for row in first:
        told = row.reason if row.first_seconds is None else format_seconds(row.first_seconds)
        lines.append([TITLES[row.case], row.rival, told])
    return _table(lines, n_words=2)


def _table(lines: Sequence[Sequence[str]], n_words: int = 1) -> str:
    """Write a table whose first columns are words, and the others numbers on the right."""
    rules = [":--"] * n_words + ["--:"] * (len(lines[0]) - n_words)
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rules, *lines[1:]])
