"""An uncertainty: the value with a band of its standard deviation, the shares stacked below it.

Takes entries and their Arrangement; returns a Figure and the notes for its reader.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradsweep.figures import theme
from gradsweep.figures.arrangement import MOST_OUTPUTS, Arrangement
from gradsweep.figures.axis import MOST_LINES, Axis
from gradsweep.figures.entries import Entry
from gradsweep.figures.pages import Notes, add_legend
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
_MOST_SHARES = len(theme.OKABE_ITO)

# Whose share it is that first order misses, and how much that may be.
_SECOND_ORDER = "second_order"
_MOST_MISSED = 0.1

# The share of the room of a point that its bar takes, and that its values beside each other take.
_BAR = 0.8
_BESIDE = 0.5


@dataclass(frozen=True)
class _Output:
    """One element of an output: its value, its standard deviation, and the shares of arguments.

    To second order it has an expectation, from which the standard deviation is counted.
    """

    value: Entry
    std: Entry
    shares: dict[str, Entry]
    expectation: Entry | None = None

    @property
    def centre(self) -> Entry:
        return self.expectation or self.value

    def at(self, places: Mapping[str, int]) -> "_Output":
        """Return it at one place along each of some dims."""
        return _Output(
            self.value.at(places),
            self.std.at(places),
            {name: share.at(places) for name, share in self.shares.items()},
            self.expectation and self.expectation.at(places),
        )


def draw_uncertainty(
    ds: "xarray.Dataset", entries: Sequence[Entry], plan: Arrangement, width: float
) -> tuple["Figure", Notes]:
    """Draw the value and below it the shares of each output, over x, or at one point without x.

    There is a band for each value of `by`, and below a panel of shares for each where there is
    room; else the shares are averaged over `by`.

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
    colours = dict(zip(_ordered(outputs), theme.OKABE_ITO))
    by = plan.by
    n_below = 1 if by is None or len(by.values) * len(outputs) > MOST_LINES else len(by.values)
    heights = ([1.2, 1.0] if n_below == 1 else [1.2, *[0.8] * n_below]) * len(outputs)
    figure = theme.new_figure(sum(heights) * (1.55 if plan.x else 1.0) + 0.6, width)
    rows = iter(figure.add_gridspec(len(heights), 1, height_ratios=heights))
    notes: Notes = [_said_of_bands(outputs), *_said_of_axes(plan, n_below)]
    for output in outputs:
        top, *below = panels = [figure.add_subplot(next(rows)) for _ in range(1 + n_below)]
        top.set_title(with_units(output.value.label, output.value.units), loc="left")
        for place, axes in enumerate(below):
            one = f", {by.symbol} = {by.value(place)}" if by is not None and n_below > 1 else ""
            axes.set_title(f"Shares of the variance of {output.value.label}{one}", loc="left")
        notes += _beyond_first_order(output)
        for axes in panels:
            theme.style(axes)
        drawn = output.at(plan.places)
        if plan.x is None:
            _draw_at_a_point(top, below[0], drawn, colours)
            continue
        each = [drawn] if by is None else [drawn.at({by.dim: n}) for n in range(len(by.values))]
        for place, (one_output, colour) in enumerate(zip(each, _line_colours(by))):
            beside = _BESIDE * (place - (len(each) - 1) / 2) / len(each)
            notes += _draw_band(top, one_output, plan.x, colour, beside)
        for axes, one_output in zip(below, each if n_below > 1 else [drawn]):
            _draw_shares(axes, one_output, plan.x, colours)
        for axes in panels:
            dress(axes, "x", plan.x, label=axes is panels[-1])
            axes.tick_params(labelbottom=axes is panels[-1])
    _add_legend(figure, colours)
    add_legend(figure, by)
    return figure, [*dict.fromkeys(notes)]


def _line_colours(by: Axis | None) -> list[str]:
    if by is None:
        return [theme.ACCENT]
    return theme.line_colours(len(by.values), has_order=not by.words)


def _said_of_bands(outputs: Sequence[_Output]) -> str:
    reach = f"Bands and bars reach {_REACH} standard deviations to either side"
    if any(output.expectation for output in outputs):
        return f"{reach} of the expectation to second order; solid lines and points are the value."
    return f"{reach}."


def _said_of_axes(plan: Arrangement, n_below: int) -> Notes:
    """Say where an axis that is not drawn is held, and what is averaged."""
    notes = [
        f"Drawn at {axis.symbol} = {axis.value(plan.places[axis.dim])}, "
        f"one of {len(axis.values):,} values."
        for axis in plan.held
    ]
    if plan.by is not None and n_below < len(plan.by.values):
        notes.append(f"Shares are means over {plan.by.symbol} ({len(plan.by.values)} values).")
    return notes


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
        expectations = [entry for entry in own if entry.role == "expectation"]
        if stds and shares:
            yield _Output(value, stds[0], shares, next(iter(expectations), None))


def _ordered(outputs: Sequence[_Output]) -> list[str]:
    """Return the arguments to draw one by one: where there are many, those with the largest shares.

    "" comes last then, for all others together.
    """
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


def _numbers(
    output: _Output, name: str, names: Collection[str], dims: tuple[str, ...]
) -> np.ndarray:
    """Return the share of an argument, or for "" that of all that are not named."""
    chosen = [name] if name else [n for n in output.shares if n not in names]
    found = [output.shares[n].along(dims) for n in chosen if n in output.shares]
    return np.sum(np.broadcast_arrays(*found), axis=0) if found else np.zeros([1] * len(dims))


def _draw_band(axes: "Axes", output: _Output, x: Axis, colour: str, beside: float) -> Notes:
    """Draw one output over x, with its band; at points without an order an error bar each.

    Args:
        beside: how far an error bar stands from the place of its point.
    """
    at, shown, step = _thinned(x)
    value, centre, std = (
        shown(entry.along((x.dim,))) for entry in (output.value, output.centre, output.std)
    )
    if _is_line(x):
        low, high = centre - _REACH * std, centre + _REACH * std
        axes.fill_between(at, low, high, color=colour, alpha=0.25, linewidth=0)
        axes.plot(at, value, color=colour)
        if output.expectation:
            axes.plot(at, centre, "--", color=colour)
    else:
        fmt = "_" if output.expectation else "o"
        axes.errorbar(
            at + beside, centre, _REACH * std, fmt=fmt, color=colour, capsize=2.5, elinewidth=1.0
        )
        if output.expectation:
            axes.plot(at + beside, value, "o", color=colour)
    _limit(axes, x)
    return [f"Drawn at every {step}th point."] if step > 1 else []


def _draw_shares(axes: "Axes", output: _Output, x: Axis, colours: Mapping[str, str]) -> None:
    """Stack the shares of one output over x: negative ones away from 0, so that none is hidden."""
    at, shown, _ = _thinned(x)
    ends = {True: np.zeros(at.shape), False: np.zeros(at.shape)}
    for name, colour in colours.items():
        share = shown(_numbers(output, name, colours, (x.dim,)))
        for is_up, end in ends.items():
            part = np.clip(share, 0, None) if is_up else np.clip(share, None, 0)
            if _is_line(x):
                axes.fill_between(at, end, end + part, color=colour, linewidth=0)
            else:
                axes.bar(at, part, _BAR, end, color=colour)
            ends[is_up] = end + np.nan_to_num(part)
    axes.axhline(0.0, color=theme.GREY, linewidth=0.6)
    _limit(axes, x)


def _is_line(x: Axis) -> bool:
    return x.is_ordered and len(x.values) > 1


def _thinned(x: Axis) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray], int]:
    """Return the places along x that are drawn, what takes an array there, and the step."""
    at = positions(x)
    step = -(-len(at) // FINEST_LINE)

    def shown(array: np.ndarray) -> np.ndarray:
        return np.broadcast_to(array, at.shape)[::step].astype(float)

    return at[::step], shown, step


def _limit(axes: "Axes", x: Axis) -> None:
    at = positions(x)
    if x.words or not _is_line(x):
        axes.set_xlim(at[0] - 0.5, at[-1] + 0.5)
    else:
        axes.margins(x=0.0)


def _draw_at_a_point(
    top: "Axes", below: "Axes", output: _Output, colours: Mapping[str, str]
) -> None:
    value, centre, std = (
        float(entry.along(())) for entry in (output.value, output.centre, output.std)
    )
    fmt, says = "o", f"{number(centre)} ± {number(std)}"
    if output.expectation:
        top.plot([value], [0], "o", color=theme.ACCENT)
        fmt, says = "|", f"{number(value)}, expected {says}"
    top.errorbar([centre], [0], xerr=[_REACH * std], fmt=fmt, color=theme.ACCENT, capsize=4)
    units = f" {plain(output.value.units)}" if output.value.units else ""
    top.annotate(f"{says}{units}", (centre, 0), (0, 9), textcoords="offset points", ha="center")
    top.set_ylim(-1, 1.6)
    start = {True: 0.0, False: 0.0}
    for name, colour in colours.items():
        share = float(np.nan_to_num(_numbers(output, name, colours, ())))
        below.barh([0], share, 0.6, start[share >= 0], color=colour)
        start[share >= 0] += share
    below.axvline(0.0, color=theme.GREY, linewidth=0.6)
    for axes in (top, below):
        axes.get_yaxis().set_visible(False)


def _add_legend(figure: "Figure", colours: Mapping[str, str]) -> None:
    from matplotlib.patches import Patch

    special = {"": "others", _SECOND_ORDER: "second order"}
    handles = [
        Patch(color=colour, label=special.get(name) or Element(name).label)
        for name, colour in colours.items()
    ]
    # The last is stacked on top.
    figure.legend(
        handles=handles[::-1], title="share of", loc="outside right center", handlelength=1.0
    )
