"""One bar for each number: a tornado of contributions, or the derivatives at a point.

Takes entries and their Arrangement; returns a Figure and the notes for its reader.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradsweep.figures import theme
from gradsweep.figures.arrangement import Arrangement
from gradsweep.figures.entries import Entry
from gradsweep.figures.pages import Notes
from gradsweep.figures.symbols import Element, number, partial_of, plain, with_units

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_bars", "draw_tornado"]

_MOST_BARS = 30
_PERCENTILES = (5, 95)


def draw_tornado(
    ds: "xarray.Dataset", entries: Sequence[Entry], plan: Arrangement, width: float
) -> tuple["Figure", Notes]:
    """Draw a bar for each entry, the largest on top, whatever its sign.

    Where entries are averaged, a thin line runs from the 5th to the 95th percentile.
    """
    return _draw(entries, plan, width, is_sorted=True)


def draw_bars(
    ds: "xarray.Dataset", entries: Sequence[Entry], plan: Arrangement, width: float
) -> tuple["Figure", Notes]:
    """Draw a bar for each entry, in the order of the Dataset."""
    return _draw(entries, plan, width, is_sorted=False)


def _draw(
    entries: Sequence[Entry], plan: Arrangement, width: float, is_sorted: bool
) -> tuple["Figure", Notes]:
    notes: Notes = []
    partials = [entry for entry in entries if entry.wrt]
    if partials:
        # A value is no derivative: a bar beside theirs would compare the two.
        notes += [_in_words(entry) for entry in entries if not entry.wrt]
    groups: dict[Element, list[Entry]] = {}
    for entry in partials or entries:
        groups.setdefault(entry.of if entry.wrt else Element(""), []).append(entry)
    sizes = [min(len(group), _MOST_BARS) for group in groups.values()]
    figure = theme.new_figure(0.24 * sum(sizes) + 0.55 * len(sizes) + 0.5, width)
    spec = figure.add_gridspec(len(sizes), 1, height_ratios=[size + 0.5 for size in sizes])
    for place, (of, group) in enumerate(groups.items()):
        if is_sorted:
            group = sorted(group, key=lambda entry: -_size(entry))
        left_out = group[_MOST_BARS:]
        if left_out:
            notes.append(f"{len(left_out)} more bars are not drawn.")
        axes = figure.add_subplot(spec[place])
        theme.style(axes)
        _draw_group(axes, of, group[:_MOST_BARS], plan)
    if plan.averaged and any(entry.dims for entry in entries):
        low, high = _PERCENTILES
        notes.append(f"Thin lines run from the {low}th to the {high}th percentile.")
    return figure, notes


def _draw_group(axes: "Axes", of: Element, group: Sequence[Entry], plan: Arrangement) -> None:
    means = np.array([float(entry.along(())) for entry in group])
    finite = np.where(np.isfinite(means), means, 0.0)
    colours = [theme.POSITIVE if mean >= 0 else theme.NEGATIVE for mean in finite]
    rows = np.arange(len(group))
    axes.barh(rows, finite, height=0.68, color=colours)
    for row, entry in enumerate(group):
        values = entry.values[np.isfinite(entry.values)]
        if entry.dims and values.size:
            axes.plot(np.percentile(values, _PERCENTILES), [row, row], color="#202124", lw=0.9)
    axes.axvline(0.0, color=theme.GREY, linewidth=0.8)
    axes.set_ylim(len(group) - 0.4, -0.6)
    axes.margins(x=0.04)
    axes.spines["left"].set_visible(False)
    units = {entry.units for entry in group}
    shared = units.pop() if len(units) == 1 else ""
    is_contribution = all(entry.wrt and r"\cdot" in entry.label for entry in group)
    axes.set_yticks(rows, [_name(entry, is_contribution) for entry in group], fontsize=8.5)
    axes.tick_params(axis="y", length=0, labelsize=8.5)
    axes.grid(False, axis="y")
    if is_contribution:
        axes.set_xlabel(
            with_units(f"contribution {partial_of(of, (Element('x'),), ' · v')}", shared)
        )
    elif shared:
        axes.set_xlabel(plain(shared))
    # The numbers stand in a column of their own, where no bar or line can cover them.
    for row, (entry, mean) in enumerate(zip(group, means)):
        text = number(float(mean)) if np.isfinite(mean) else "not finite"
        units_of_row = "" if shared else f" {plain(entry.units)}"
        axes.annotate(
            text + units_of_row, (1.0, row), xycoords=("axes fraction", "data"),
            xytext=(6, 0), textcoords="offset points", va="center", ha="left",
            fontsize=theme.SMALL + 0.5, color=colours[row], annotation_clip=False,
        )  # fmt: skip


def _name(entry: Entry, is_contribution: bool) -> str:
    """A contribution is called after its argument; a derivative is written out."""
    return entry.wrt[-1].label if is_contribution else entry.label


def _in_words(entry: Entry) -> str:
    value = number(float(entry.along(())))
    return f"{entry.label} = {value}{' ' + plain(entry.units) if entry.units else ''}."


def _size(entry: Entry) -> float:
    mean = abs(float(entry.along(())))
    return mean if np.isfinite(mean) else -1.0
