"""Print a result as tables, one for each set of dims.

A Dataset enters, text on stdout leaves. A result has only the dims that it depends on. Results
with the same dims share a table; those without dims have a small one of their own.
"""

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gradsweep.results.dataset import in_real_numbers

if TYPE_CHECKING:
    import xarray

__all__ = ["Table", "print_tables", "tables"]

_GAP = "  "
_SKIPPED = "…"


@dataclass(frozen=True)
class Table:
    """Text in columns.

    Attributes:
        n_keys: how many columns on the left tell the point of a row.
        rows: the rows that are shown.
        n_hidden: how many rows are not shown; they would stand after row `n_before`.
    """

    title: str
    header: tuple[str, ...]
    n_keys: int
    rows: tuple[tuple[str, ...], ...]
    n_hidden: int = 0
    n_before: int = 0


def print_tables(dataset: "xarray.Dataset", n_rows: int) -> None:
    """Print a Dataset: with rich on a terminal, plain and aligned elsewhere.

    Args:
        n_rows: how many rows of a table are shown; 0 for all.
    """
    draw = _rich if sys.stdout.isatty() else None
    if draw is not None:
        try:
            import rich  # noqa: F401
        except ModuleNotFoundError:
            draw = None
    dataset = in_real_numbers(dataset)
    if heading := _heading(dataset):
        print(heading)
    for table in tables(dataset, n_rows):
        print()
        (draw or _plain)(table)


def tables(dataset: "xarray.Dataset", n_rows: int) -> Iterator[Table]:
    """Yield one table for each set of dims, those with fewest dims first."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, variable in dataset.data_vars.items():
        groups.setdefault(tuple(map(str, variable.dims)), []).append(str(name))
    for dims in sorted(groups, key=len):
        yield _tabulate(dataset, dims, groups[dims], n_rows)


def number(value: Any) -> str:
    """Write a value with 6 significant digits."""
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    return str(value)


def _heading(dataset: "xarray.Dataset") -> str:
    """Return the quantity, its function, and the arguments that have one value."""
    quantity, function = (dataset.attrs.get(key, "") for key in ("quantity", "function"))
    fixed = [f"{n} = {number(c.values[()])}" for n, c in dataset.coords.items() if not c.dims]
    at = f" at {', '.join(fixed)}" if fixed else ""
    return f"{quantity} of {function}{at}"


def _tabulate(
    dataset: "xarray.Dataset", dims: tuple[str, ...], names: Sequence[str], n_rows: int
) -> Table:
    if not dims:
        rows = tuple((name, number(dataset[name].values[()])) for name in names)
        return Table("", ("", "value"), 1, rows)
    shape = [dataset.sizes[dim] for dim in dims]
    n_points = int(np.prod(shape))
    shown, n_before = _choose_rows(n_points, n_rows)
    index = dict(zip(dims, np.unravel_index(shown, shape), strict=True))
    columns: dict[str, np.ndarray] = {
        dim: dataset.coords[dim].values[index[dim]] if dim in dataset.coords else index[dim]
        for dim in dims
    }
    for name, coordinate in dataset.coords.items():
        if coordinate.dims and set(coordinate.dims) <= set(dims) and name not in dims:
            columns[str(name)] = coordinate.values[tuple(index[str(d)] for d in coordinate.dims)]
    n_keys = len(columns)
    for name in names:
        columns[name] = dataset[name].values[tuple(index[dim] for dim in dims)]
    return Table(
        title=" x ".join(f"{dim}: {size:,}" for dim, size in zip(dims, shape, strict=True)),
        header=tuple(columns),
        n_keys=n_keys,
        rows=tuple(tuple(map(number, row)) for row in zip(*columns.values(), strict=True)),
        n_hidden=n_points - len(shown),
        n_before=n_before,
    )


def _choose_rows(n_points: int, n_rows: int) -> tuple[np.ndarray, int]:
    """Return which rows are shown, and how many of them stand before the gap."""
    if n_rows <= 0 or n_points <= n_rows:
        return np.arange(n_points), n_points
    n_before = -(-n_rows // 2)
    after = np.arange(n_points - (n_rows - n_before), n_points)
    return np.concatenate([np.arange(n_before), after]), n_before


def _blocks(table: Table, width: int | None) -> Iterator[tuple[int, ...]]:
    """Cut the columns into blocks that fit the width, each with the key columns on its left."""
    widths = _widths(table)
    keys, rest = tuple(range(table.n_keys)), range(table.n_keys, len(table.header))
    if width is None:
        yield (*keys, *rest)
        return
    taken = sum(widths[key] + len(_GAP) for key in keys)
    cuts, used = [rest.start], taken
    for column in rest:
        used += widths[column] + len(_GAP)
        if used > width and column > cuts[-1]:
            cuts.append(column)
            used = taken + widths[column] + len(_GAP)
    for start, stop in pairwise([*cuts, rest.stop]):
        yield (*keys, *range(start, stop))


def _widths(table: Table) -> list[int]:
    return [
        max(len(row[column]) for row in (table.header, *table.rows))
        for column in range(len(table.header))
    ]


def _with_gap(table: Table) -> list[tuple[str, ...]]:
    rows = list(table.rows)
    if table.n_hidden:
        rows.insert(table.n_before, (_SKIPPED,) * len(table.header))
    return rows


def _more(table: Table) -> str:
    return f"{_SKIPPED} {table.n_hidden:,} more row{'s' * (table.n_hidden > 1)}"


def _plain(table: Table) -> None:
    # Names stand on the left, numbers on the right, as in a ledger.
    widths = _widths(table)
    names = {0} if not table.title else set()
    if table.title:
        print(table.title)
    for row in (table.header, *_with_gap(table)):
        cells = [
            cell.ljust(widths[column]) if column in names else cell.rjust(widths[column])
            for column, cell in enumerate(row)
        ]
        print(_GAP.join(cells).rstrip())
    if table.n_hidden:
        print(_more(table))


def _rich(table: Table) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(highlight=False)
    # rich pads every column by one more space than the plain gap does.
    for block in _blocks(table, shutil.get_terminal_size().columns - len(table.header) - 2):
        drawn = RichTable(title=table.title or None, box=SIMPLE_HEAD, title_justify="left")
        for column in block:
            is_key = column < table.n_keys
            drawn.add_column(
                table.header[column],
                justify="left" if is_key and not table.title else "right",
                style="cyan" if is_key else "",
                no_wrap=True,
            )
        for row in _with_gap(table):
            drawn.add_row(*(row[column] for column in block))
        console.print(drawn)
    if table.n_hidden:
        console.print(_more(table), style="dim")
