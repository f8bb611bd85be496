"""Panels side by side: a ladder, maps, histograms or points, and the grid of a matrix.

Takes entries and their Arrangement; returns a Figure and the notes for its reader.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradsweep.figures import theme
from gradsweep.figures.arrangement import Arrangement
from gradsweep.figures.axis import Axis
from gradsweep.figures.entries import Entry
from gradsweep.figures.panels import (
    draw_histogram,
    draw_lines,
    draw_map,
    draw_points,
)
from gradsweep.figures.symbols import with_units

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_heatmap", "draw_histograms", "draw_ladder", "draw_scatter"]

Notes = list[str]

# Longer words may have no room beside each other.
_SHORT_WORD = 6


def draw_ladder(
    ds: "xarray.Dataset", entries: Sequence[Entry], plan: Arrangement, width: float
) -> tuple["Figure", Notes]:
    """Draw every entry over x in a panel of its own; a single value on top, across the page."""
    x = plan.x
    assert x is not None
    # Long words stand aslant, below the panel on top and below the others.
    aslant = 0.35 if any(len(word) > _SHORT_WORD for word in x.words) else 0.0
    panels = _Panels(entries, width, height=1.35, on_top=True, room_below=aslant)
    notes: Notes = []
    for axes, entry, is_lowest in panels:
        notes += draw_lines(axes, entry, x, plan.by)
        panels.name_x(axes, x, is_lowest)
    add_legend(panels.figure, plan.by)
    return panels.figure, notes


def draw_heatmap(
    ds: "xarray.Dataset", entries: Sequence[Entry], plan: Arrangement, width: float
) -> tuple["Figure", Notes]:
    """Draw every entry over x and y in colour.

    Each panel has a colour bar of its own: the partial derivatives of one function have
    different units, and differ by orders of magnitude.
    """
    x, y = plan.x, plan.by
    assert x is not None and y is not None
    panels = _Panels(entries, width, height=1.75, on_top=False)
    notes: Notes = []
    for axes, entry, is_lowest in panels:
        mesh, found = draw_map(axes, entry, x, y)
        notes += found
        theme.style(axes, grid=False)
        panels.name_x(axes, x, is_lowest)
        if axes.get_subplotspec().is_first_col():
            axes.set_ylabel(y.label)
        else:
            axes.tick_params(labelleft=False)
        if mesh is None:
            continue
        bar = panels.figure.colorbar(mesh, ax=axes, aspect=22, pad=0.02, fraction=0.08)
        bar.ax.tick_params(labelsize=theme.SMALL - 0.5, length=2, width=0.5, color=theme.GREY)
        bar.ax.yaxis.get_offset_text().set_fontsize(theme.SMALL - 0.5)
        bar.outline.set_visible(False)
    return panels.figure, notes


def draw_histograms(
    ds: "xarray.Dataset", entries: Sequence[Entry], plan: Arrangement, width: float
) -> tuple["Figure", Notes]:
    """Draw how every entry is distributed over the sample."""
    panels = _Panels(entries, width, height=1.25, on_top=False)
    for axes, entry, _ in panels:
        draw_histogram(axes, entry)
    return panels.figure, ["The line in each panel is the mean; heights are numbers of points."]


def draw_scatter(
    ds: "xarray.Dataset", entries: Sequence[Entry], plan: Arrangement, width: float
) -> tuple["Figure", Notes]:
    """Draw every entry at every point, over x; without x, each over its own argument."""
    from gradsweep.support.errors import OutputError

    chosen = [(entry, _across(ds, entry, plan.x)) for entry in entries]
    drawn = [(entry, axis) for entry, axis in chosen if axis is not None]
    if not drawn:
        raise OutputError(
            "kind='scatter' draws derivatives over their own arguments, and none of those has a "
            "coordinate here.\nName the axis with x=, such as x='S'."
        )
    panels = _Panels([entry for entry, _ in drawn], width, height=1.5, on_top=False)
    notes: Notes = []
    for (axes, entry, is_lowest), (_, axis) in zip(panels, drawn):
        notes += draw_points(axes, entry, axis)
        if plan.x is None:
            axes.set_xlabel(axis.label)  # each panel has an axis of its own
        else:
            panels.name_x(axes, axis, is_lowest)
    left_out = [entry.label for entry, axis in chosen if axis is None]
    if left_out:
        notes.append(f"Left out, with no argument along the sample: {', '.join(left_out)}.")
    return panels.figure, notes


def _across(ds: "xarray.Dataset", entry: Entry, x: Axis | None) -> Axis | None:
    """Return the axis that an entry is drawn over; None where there is none."""
    from gradsweep.figures.axis import find_axis

    if x is not None:
        return x
    name = entry.wrt[-1].name if entry.wrt else ""
    if name in ds.coords and ds[name].ndim == 1:
        return find_axis(ds, name)
    return None


def add_legend(figure: "Figure", by: Axis | None) -> None:
    """Say once which colour is which value."""
    from matplotlib.lines import Line2D

    if by is None:
        return
    colours = theme.line_colours(len(by.values), has_order=not by.words)
    handles = [Line2D([], [], color=colour, label=by.value(i)) for i, colour in enumerate(colours)]
    figure.legend(
        # The greatest value stands on top, as in a colour bar.
        handles=handles if by.words else handles[::-1],
        title=with_units(by.symbol, by.units),
        loc="outside right upper",
        handlelength=1.3,
    )


class _Panels:
    """Panels in rows; iteration yields each with its entry, and whether none is below it."""

    def __init__(
        self,
        entries: Sequence[Entry],
        width: float,
        height: float,
        on_top: bool,
        room_below: float = 0.0,
    ):
        self.entries = entries
        values = [entry for entry in entries if not entry.wrt]
        self.has_top = on_top and len(values) == 1 and len(entries) > 2
        n = len(entries) - self.has_top
        longest = max(
            theme.visible_length(with_units(entry.label, entry.units)) for entry in entries
        )
        # A title has to end before the next one begins.
        n_fitting = max(1, int(width / (0.45 + theme.LETTER_INCHES * longest)))
        self.n_columns = min({1: 1, 2: 2, 4: 2}.get(n, 3), n_fitting)
        n_rows = -(-n // self.n_columns)
        self.top_rows = int(self.has_top)
        scale = {1: 1.9, 2: 1.35}.get(self.n_columns if n_rows < 2 else 3, 1.0)
        heights = [1.25] * self.top_rows + [scale] * n_rows
        below = room_below * (1 + self.has_top)
        self.figure = theme.new_figure(height * sum(heights) + 0.75 + below, width)
        self.grid = self.figure.add_gridspec(len(heights), self.n_columns, height_ratios=heights)

    def __iter__(self):
        below = len(self.entries) - self.has_top
        for number, entry in enumerate(self.entries):
            if self.has_top and number == 0:
                axes, is_lowest = self.figure.add_subplot(self.grid[0, :]), False
            else:
                place = number - self.has_top
                row, column = divmod(place, self.n_columns)
                axes = self.figure.add_subplot(self.grid[row + self.top_rows, column])
                is_lowest = place + self.n_columns >= below
            theme.style(axes)
            axes.set_title(with_units(entry.label, entry.units), loc="left")
            yield axes, entry, is_lowest

    def name_x(self, axes: "Axes", x: Axis, is_lowest: bool) -> None:
        """Write the name of x below the lowest panel of each column.

        The panel on top is wider than those below it, and has labels of its own.
        """
        subplot = axes.get_subplotspec()
        is_top = self.has_top and subplot is not None and subplot.rowspan.start == 0
        axes.tick_params(labelbottom=is_lowest or is_top)
        if not is_lowest:
            return
        axes.set_xlabel(x.label)
        if subplot is not None and not subplot.is_last_row():
            # The last row is shorter and leaves room below, so the layout need not make any.
            axes.xaxis.set_in_layout(False)
            axes.xaxis.label.set_in_layout(False)
