"""An uncertainty: the value with a band of its standard deviation, the shares stacked below it.

Takes entries and their Arrangement; returns a Figure and the notes for its reader.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradsweep.figures import theme
from gradsweep.figures.arrangement import MOST_OUTPUTS, Arrangement
from gradsweep.figures.axis import Axis
from gradsweep.figures.entries import Entry
from gradsweep.figures.pages import Notes
from gradsweep.figures.panels import dress, positions
from gradsweep.figures.symbols import Element, number, plain, with_units
from gradsweep.figures.thinning import FINEST_LINE
from gradsweep.support.errors import OutputError

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_uncertainty"]

# How many standard deviations the band reaches to either side.
_REACH = 2

# The least of more shares than there are colours are drawn as one.
_MOST_SHARES = 7

# Whose share it is that first order misses, and how much that may be.
_SECOND_ORDER = "second_order"
_MOST_MISSED = 0.1

# The share of the room of a point that its bar takes.
_BAR = 0.8


@dataclass(frozen=True)
class _Output:
    """One element of an output: its value, its standard deviation, and the shares of arguments."""

    value: Entry
    std: Entry
    shares: dict[str, Entry]


def draw_uncertainty(
    ds: "xarray.Dataset", entries: Sequence[Entry], plan: Arrangement, width: float
) -> tuple["Figure", Notes]:
    """Draw two panels for each output, over x, or at one point where there is none.

    Raises:
        OutputError: when values, standard deviations or shares are missing, or there are too many
            outputs.
    """
    outputs = list(_outputs(entries))
    if not outputs:
        raise OutputError(
            "kind='uncertainty' draws what gs.uncertainty returns: a value, its standard "
            "deviation and shares of its variance.\nLeave kind out to draw something else."
        )
    if len(outputs) > MOST_OUTPUTS:
        raise OutputError(
            f"kind='uncertainty' draws {MOST_OUTPUTS} outputs at most; there are {len(outputs)}.\n"
            f"Select some with variables=[...] or ds.isel, or choose kind='ladder'."
        )
    names = _ordered(outputs)
    colours = dict(zip(names, theme.OKABE_ITO))
    figure = theme.new_figure(len(outputs) * (3.4 if plan.x else 2.2) + 0.6, width)
    rows = figure.add_gridspec(2 * len(outputs), 1, height_ratios=[1.2, 1.0] * len(outputs))
    notes: Notes = [f"Bands and bars reach {_REACH} standard deviations to either side."]
    for place, output in enumerate(outputs):
        top = figure.add_subplot(rows[2 * place])
        below = figure.add_subplot(rows[2 * place + 1])
        top.set_title(with_units(output.value.label, output.value.units), loc="left")
        below.set_title(f"Shares of the variance of {output.value.label}", loc="left")
        notes += _beyond_first_order(output)
        for axes in (top, below):
            theme.style(axes)
        if plan.x is None:
            _draw_at_a_point(top, below, output, names, colours)
            continue
        notes += _draw_over(top, below, output, plan.x, names, colours)
        for axes in (top, below):
            dress(axes, "x", plan.x, label=axes is below)
        top.tick_params(labelbottom=False)
    _add_legend(figure, colours, names)
    return figure, [*dict.fromkeys(notes)]


def _beyond_first_order(output: _Output) -> Notes:
    """Say at how many points the share of the second order is more than first order may miss."""
    if _SECOND_ORDER not in output.shares:
        return []
    shares = output.shares[_SECOND_ORDER].values
    n_many = int((shares > _MOST_MISSED).sum())
    if not n_many:
        return []
    return [f"First order is not enough for {output.value.label} at {n_many:,} of {shares.size:,}."]


def _outputs(entries: Sequence[Entry]) -> Iterator[_Output]:
    """Yield the outputs of which everything is there."""
    for value in (entry for entry in entries if entry.role == "value"):
        own = [entry for entry in entries if entry.of == value.of]
        stds = [entry for entry in own if entry.role == "std"]
        shares = {entry.argument: entry for entry in own if entry.role == "share"}
        if stds and shares:
            yield _Output(value, stds[0], shares)


def _ordered(outputs: Sequence[_Output]) -> list[str]:
    """Return the arguments to draw one by one: those with the largest shares where many are."""
    names = list(dict.fromkeys(name for output in outputs for name in output.shares))
    if len(names) <= _MOST_SHARES:
        return names
    sizes = dict.fromkeys(names, 0.0)
    for output in outputs:
        for name, entry in output.shares.items():
            mean = abs(float(entry.along(())))
            sizes[name] += mean if np.isfinite(mean) else 0.0
    largest = sorted(names, key=lambda name: -sizes[name])[: _MOST_SHARES - 1]
    return [*(name for name in names if name in largest), ""]


def _numbers(output: _Output, name: str, names: Sequence[str], dims: tuple[str, ...]) -> np.ndarray:
    """Return the share of an argument, or for "" that of all that are not named."""
    chosen = [name] if name else [n for n in output.shares if n not in names]
    found = [output.shares[n].along(dims) for n in chosen if n in output.shares]
    return np.sum(np.broadcast_arrays(*found), axis=0) if found else np.zeros([1] * len(dims))


def _draw_over(
    top: "Axes",
    below: "Axes",
    output: _Output,
    x: Axis,
    names: Sequence[str],
    colours: dict[str, str],
) -> Notes:
    at, dims = positions(x), (x.dim,)
    step = -(-len(at) // FINEST_LINE)

    def shown(array: np.ndarray) -> np.ndarray:
        return np.broadcast_to(array, at.shape)[::step].astype(float)

    at_shown = at[::step]
    value, std = shown(output.value.along(dims)), shown(output.std.along(dims))
    is_line = x.is_ordered and len(at) > 1
    if is_line:
        low, high = value - _REACH * std, value + _REACH * std
        top.fill_between(at_shown, low, high, color=theme.ACCENT, alpha=0.25, linewidth=0)
        top.plot(at_shown, value, color=theme.ACCENT)
    else:
        top.errorbar(
            at_shown, value, _REACH * std, fmt="o", color=theme.ACCENT, capsize=2.5, elinewidth=1.0
        )
    # Positive and negative shares are stacked away from 0, so that none hides another.
    ends = {True: np.zeros(at_shown.shape), False: np.zeros(at_shown.shape)}
    for name in names:
        share = shown(_numbers(output, name, names, dims))
        for is_up, end in ends.items():
            part = np.clip(share, 0, None) if is_up else np.clip(share, None, 0)
            if is_line:
                below.fill_between(at_shown, end, end + part, color=colours[name], linewidth=0)
            else:
                below.bar(at_shown, part, _BAR, end, color=colours[name])
            ends[is_up] = end + np.nan_to_num(part)
    below.axhline(0.0, color=theme.GREY, linewidth=0.6)
    for axes in (top, below):
        if x.words or not is_line:
            axes.set_xlim(at[0] - 0.5, at[-1] + 0.5)
        else:
            axes.margins(x=0.0)
    return [f"Drawn at every {step}th point."] if step > 1 else []


def _draw_at_a_point(
    top: "Axes", below: "Axes", output: _Output, names: Sequence[str], colours: dict[str, str]
) -> None:
    value, std = (float(entry.along(())) for entry in (output.value, output.std))
    top.errorbar([value], [0], xerr=[_REACH * std], fmt="o", color=theme.ACCENT, capsize=4)
    says = f"{number(value)} ± {number(std)}"
    units = f" {plain(output.value.units)}" if output.value.units else ""
    top.annotate(f"{says}{units}", (value, 0), (0, 9), textcoords="offset points", ha="center")
    top.set_ylim(-1, 1.6)
    start = {True: 0.0, False: 0.0}
    for name in names:
        share = float(np.nan_to_num(_numbers(output, name, names, ())))
        below.barh([0], share, 0.6, start[share >= 0], color=colours[name])
        start[share >= 0] += share
    below.axvline(0.0, color=theme.GREY, linewidth=0.6)
    for axes in (top, below):
        axes.get_yaxis().set_visible(False)


def _add_legend(figure: "Figure", colours: dict[str, str], names: Sequence[str]) -> None:
    from matplotlib.patches import Patch

    special = {"": "others", _SECOND_ORDER: "second order"}
    labels = {name: special.get(name) or Element(name).label for name in names}
    handles = [Patch(color=colours[name], label=labels[name]) for name in names]
    # The last is stacked on top.
    figure.legend(
        handles=handles[::-1], title="share of", loc="outside right lower", handlelength=1.0
    )
