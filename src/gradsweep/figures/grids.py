"""Derivatives that stand in rows and columns: a Jacobian's entries, half of a Hessian's.

Takes entries and their Arrangement; returns a Figure and the notes for its reader.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gradsweep.figures import theme
from gradsweep.figures.arrangement import Arrangement
from gradsweep.figures.entries import Entry
from gradsweep.figures.pages import Notes, add_legend
from gradsweep.figures.panels import colour_norm, draw_histogram, draw_lines
from gradsweep.figures.symbols import Element, number, with_units

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_image", "draw_matrix"]

# The most columns and rows of an image whose cells are large enough for their numbers.
_MOST_NUMBERS_ACROSS = 10
_MOST_NUMBERS_DOWN = 30

# More names than this do not fit along an edge; then only their groups are named.
_MOST_NAMES = 24


@dataclass(frozen=True)
class Grid:
    """Entries by row and column.

    Attributes:
        rows: an output element and, for second derivatives, the element of an argument.
        columns: elements of arguments, or of outputs where there are no derivatives.
        cells: the entry at (row, column).
        is_symmetric: whether the entries are second derivatives; `cells` then has those on and
            below the diagonal.
    """

    rows: tuple[tuple[Element, Element | None], ...]
    columns: tuple[Element, ...]
    cells: dict[tuple[int, int], Entry]
    is_symmetric: bool

    @property
    def row_labels(self) -> list[str]:
        """What each row is called: the output, the argument, or both."""
        has_several = len({of for of, _ in self.rows}) > 1
        return [
            of.label if wrt is None else f"{of.label}, {wrt.label}" if has_several else wrt.label
            for of, wrt in self.rows
        ]


def make_grid(entries: Sequence[Entry]) -> Grid:
    """Put derivatives into rows and columns, in the order in which they first come."""
    partials = [entry for entry in entries if entry.wrt]
    if not partials:
        outputs = tuple(entry.of for entry in entries)
        names = tuple(dict.fromkeys((Element(of.name), None) for of in outputs))
        cells = {
            (names.index((Element(entry.of.name), None)), column): entry
            for column, entry in enumerate(entries)
        }
        return Grid(names, outputs, cells, False)
    orders = {len(entry.wrt) for entry in partials}
    is_symmetric = orders == {2}
    if orders not in ({1}, {2}):  # a column for each derivative
        partials = [replace(entry, wrt=(_joined(entry.wrt),)) for entry in partials]
    columns = tuple(dict.fromkeys(element for entry in partials for element in entry.wrt))
    outputs = tuple(dict.fromkeys(entry.of for entry in partials))
    rows: tuple[tuple[Element, Element | None], ...]
    if is_symmetric:
        rows = tuple((of, element) for of in outputs for element in columns)
    else:
        rows = tuple((of, None) for of in outputs)
    cells = {}
    for entry in partials:
        if is_symmetric:
            low, high = sorted(columns.index(element) for element in entry.wrt)
            cells[rows.index((entry.of, columns[high])), low] = entry
        else:
            cells[rows.index((entry.of, None)), columns.index(entry.wrt[0])] = entry
    return Grid(rows, columns, cells, is_symmetric)


def _joined(wrt: Sequence[Element]) -> Element:
    """Return what a derivative is with respect to as one word."""
    return wrt[0] if len(wrt) == 1 else Element(" ".join(element.text for element in wrt))


def draw_matrix(
    ds: "xarray.Dataset", entries: Sequence[Entry], plan: Arrangement, width: float
) -> tuple["Figure", Notes]:
    """Draw a panel for each derivative: a row for each output, a column for each input.

    The entries of one array share their vertical scale, since they are to be compared.
    """
    grid = make_grid(entries)
    n_rows, n_columns = len(grid.rows), len(grid.columns)
    height = float(np.clip(0.82 * width / n_columns, 0.75, 1.5))
    figure = theme.new_figure(height * n_rows + 0.85, width)
    spec = figure.add_gridspec(n_rows, n_columns)
    is_one_array = len({entry.variable for entry in grid.cells.values()}) == 1
    # Titles shrink to the width of their panels, to 5 points at least.
    longest = max(theme.visible_length(entry.label) for entry in grid.cells.values())
    title_size = float(np.clip(9 * width / n_columns / (theme.LETTER_INCHES * longest), 5, 7.5))
    first: Axes | None = None
    notes: Notes = []
    for (row, column), entry in sorted(grid.cells.items(), key=lambda item: item[0]):
        share = first if is_one_array and plan.x is not None else None
        axes = figure.add_subplot(spec[row, column], sharey=share)
        first = first or axes
        theme.style(axes)
        axes.tick_params(labelsize=theme.SMALL - 1, pad=1.5)
        if plan.x is None:
            draw_histogram(axes, entry)
        else:
            notes += draw_lines(axes, entry, plan.x, plan.by)
            axes.locator_params(axis="y", nbins=3)
            if not plan.x.is_log and not plan.x.words:
                axes.locator_params(axis="x", nbins=3)
            is_lowest = row == max(r for r, c in grid.cells if c == column)
            axes.tick_params(labelbottom=is_lowest)
            axes.tick_params(labelleft=share is None or column == 0)
            if is_lowest:
                axes.set_xlabel(plan.x.label, fontsize=theme.SMALL)
        axes.yaxis.get_offset_text().set_fontsize(theme.SMALL - 1.5)
        axes.set_title(entry.label, loc="left", fontsize=title_size, pad=3)
    add_legend(figure, plan.by)
    if grid.is_symmetric:
        notes.append("A Hessian is symmetric: each pair is drawn once.")
    if plan.x is None:
        notes.append("The line in each panel is the mean; heights are numbers of points.")
    units = {entry.units for entry in grid.cells.values()} - {""}
    if len(units) == 1:
        notes.append(f"All in {units.pop()}.")
    return figure, notes


def draw_image(
    ds: "xarray.Dataset", entries: Sequence[Entry], plan: Arrangement, width: float
) -> tuple["Figure", Notes]:
    """Draw one number for each derivative as a cell, coloured, with the number where it fits."""
    grid = make_grid(entries)
    numbers = np.full((len(grid.rows), len(grid.columns)), np.nan)
    for (row, column), entry in grid.cells.items():
        numbers[row, column] = float(entry.along(()))
        if grid.is_symmetric:
            block, low = row - row % len(grid.columns), row % len(grid.columns)
            numbers[block + column, low] = numbers[row, column]
    n_rows, n_columns = numbers.shape
    height = float(np.clip(0.34 * n_rows, 0.5, 6.5))
    figure = theme.new_figure(height + 1.0, width)
    axes = figure.add_subplot()
    norm, colours = colour_norm(numbers)
    theme.mark_gaps(axes)
    image = axes.imshow(
        np.ma.masked_invalid(numbers), cmap=colours, norm=norm, aspect="auto",
        interpolation="nearest",
    )  # fmt: skip
    theme.style(axes, grid=False)
    axes.spines[:].set_visible(False)
    _name_edge(axes, "x", [column.label for column in grid.columns], grid.columns)
    _name_edge(axes, "y", grid.row_labels, [wrt or of for of, wrt in grid.rows])
    axes.tick_params(length=0)
    if n_columns <= _MOST_NUMBERS_ACROSS and n_rows <= _MOST_NUMBERS_DOWN:
        _write_numbers(axes, image, numbers)
    units = {entry.units for entry in grid.cells.values()}
    bar = figure.colorbar(image, ax=axes, aspect=22, pad=0.02, fraction=0.06)
    bar.ax.tick_params(labelsize=theme.SMALL, length=2, width=0.5, color=theme.GREY)
    bar.outline.set_visible(False)
    if len(units) == 1:
        bar.set_label(with_units("", units.pop()).strip(), fontsize=theme.SMALL)
    notes = [] if len(units) < 2 else ["Each number is in its own units."]
    return figure, notes


def _name_edge(axes: "Axes", side: str, labels: Sequence[str], elements: Sequence[Element]) -> None:
    """Name every row or column, or the arrays that they are elements of."""
    drawn = getattr(axes, f"{side}axis")
    if len(labels) <= _MOST_NAMES:
        drawn.set_ticks(range(len(labels)), labels)
        return
    starts = [i for i, e in enumerate(elements) if i == 0 or elements[i - 1].name != e.name]
    ends = [*starts[1:], len(elements)]
    drawn.set_ticks(
        [(start + end - 1) / 2 for start, end in zip(starts, ends)],
        [elements[start].name for start in starts],
    )
    if side == "x":
        for text in axes.get_xticklabels():
            text.set(rotation=20, ha="right", rotation_mode="anchor")
    for start in starts[1:]:
        line = axes.axvline if side == "x" else axes.axhline
        line(start - 0.5, color="white", linewidth=1.2)


def _write_numbers(axes: "Axes", image, numbers: np.ndarray) -> None:
    for (row, column), value in np.ndenumerate(numbers):
        if not np.isfinite(value):
            continue
        red, green, blue, _ = image.cmap(image.norm(value))
        # The luminance of sRGB, by Rec. 709.
        is_dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5
        axes.text(
            column, row, number(float(f"{value:.3g}")), ha="center", va="center",
            fontsize=theme.SMALL, color="white" if is_dark else "#202124",
        )  # fmt: skip
