"""What stands in one panel: lines, a map, a histogram or points.

Each function takes an empty Axes and an Entry, and draws the entry's own numbers, thinned where
there are more than can be printed. Knows nothing of how panels stand beside each other.
"""

from typing import TYPE_CHECKING

import numpy as np

from gradsweep.figures import theme
from gradsweep.figures.axis import Axis
from gradsweep.figures.entries import Entry
from gradsweep.figures.symbols import number, plain
from gradsweep.figures.thinning import FINEST_LINE, FINEST_MAP, envelope, farthest_in_blocks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

__all__ = [
    "colour_norm",
    "draw_histogram",
    "draw_lines",
    "draw_map",
    "draw_points",
    "dress",
]

# With fewer points than this each has a mark, so that a line between two of them is not taken for
# a curve.
_FEW_POINTS = 16

# Words beside each other: the most of them, the letters of one, and those that one takes aslant.
_MOST_WORDS = 12
_LONGEST_WORD = 14
_LETTERS_ASLANT = 3.0

# The values at one word, a colour each, are spread over this share of the room between two words.
_BESIDE = 0.4

# More points than this hide each other; their density is drawn instead.
_MOST_POINTS = 10_000

# Rounding turns zero into -1e-17, which is no change of sign.
_NO_SIGN = 1e-6


def dress(axes: "Axes", side: str, axis: Axis, *, label: bool = True) -> None:
    """Give one side of a panel its name, its scale and its ticks."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    if axis.is_log:
        getattr(axes, f"set_{side}scale")("log")
    drawn = getattr(axes, f"{side}axis")
    if axis.values.dtype.kind == "M":
        locator = AutoDateLocator(minticks=2, maxticks=5)
        drawn.set_major_locator(locator)
        drawn.set_major_formatter(ConciseDateFormatter(locator))
        drawn.get_offset_text().set_fontsize(theme.SMALL)
    if axis.is_numbered:
        drawn.get_major_locator().set_params(integer=True)
    if axis.words:
        _show_words(axes, side, axis)
    if label:
        drawn.set_label_text(axis.label)


def _show_words(axes: "Axes", side: str, axis: Axis) -> None:
    """Write the words of an axis at their places, aslant where they are too long for the panel."""
    n, longest = len(axis.words), max(map(len, axis.words))
    room = theme.panel_inches(axes) / theme.LETTER_INCHES
    is_aslant = side == "x" and (longest + 1) * min(n, _MOST_WORDS) > room
    most = min(_MOST_WORDS, max(2, int(room / _LETTERS_ASLANT))) if is_aslant else _MOST_WORDS
    step = -(-n // most)
    words = [plain(_shortened(word)) for word in axis.words]
    how = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if is_aslant else {}
    getattr(axes, f"{side}axis").set_ticks(axis.values[::step], words[::step], **how)


def _shortened(word: str) -> str:
    return f"{word[:_LONGEST_WORD]}…" if len(word) > _LONGEST_WORD + 1 else word


def positions(axis: Axis, values: np.ndarray | None = None) -> np.ndarray:
    """Return the values of an axis as numbers, or others along it."""
    values = axis.values if values is None else values
    if values.dtype.kind != "M":
        return values
    from matplotlib.dates import date2num

    return np.asarray(date2num(values))


def draw_lines(axes: "Axes", entry: Entry, x: Axis, by: Axis | None) -> list[str]:
    """Draw an entry over x, a line for each value of `by`; return notes for the reader.

    An entry that does not vary with x is a dashed line with its value beside it.
    """
    dims = (x.dim,) if by is None else (x.dim, by.dim)
    values = entry.along(dims)
    values = values if by is not None else values[:, None]
    n_lines = 1 if by is None else len(by.values)
    varies = x.dim in entry.dims
    at = positions(x)
    notes = []
    colours = theme.line_colours(n_lines, has_order=by is None or not by.words)
    for line, colour in enumerate(colours):
        y = values[:, min(line, values.shape[1] - 1)]
        if not varies:
            if line < values.shape[1]:
                axes.plot(at[[0, -1]], [y[0], y[0]], "--", color=_or_grey(colour, entry, by))
            continue
        shown_x, shown_y = envelope(at, y)
        if len(shown_y) != len(y):
            n_together = -(-len(y) // FINEST_LINE)
            notes = [f"Lines: least and greatest of every {n_together:,} of {len(y):,} points."]
        if x.words and by is not None:
            shown_x = shown_x + _BESIDE * (line - (n_lines - 1) / 2) / n_lines
        # Between words, and between points without an order, there is nothing to be joined.
        drawn_as = ("-" if x.is_ordered else "") + _mark(x, shown_y)
        axes.plot(shown_x, shown_y, drawn_as, color=_or_grey(colour, entry, by))
    if not varies:
        _say_constant(axes, entry, values.ravel())
    _show_zero(axes, np.asarray(values))
    dress(axes, "x", x, label=False)
    if x.words:
        axes.set_xlim(-0.5, len(at) - 0.5)
    else:
        axes.margins(x=0.0 if len(at) > _FEW_POINTS and x.is_ordered else 0.04)
    return notes


def _mark(x: Axis, y: np.ndarray) -> str:
    """Return the mark of each point: none where a line through many shows them."""
    if len(y) < _FEW_POINTS:
        return "o"
    return "." if not x.is_ordered or _is_sparse(y) else ""


def _or_grey(colour, entry: Entry, by: Axis | None):
    """A line that is the same for every value of `by` has none of their colours."""
    return theme.GREY if by is not None and by.dim not in entry.dims else colour


def _is_sparse(y: np.ndarray) -> bool:
    """Whether a point stands alone between gaps, where a line would not show it."""
    here = np.isfinite(y)
    around = np.concatenate([[False], here, [False]])
    return bool((here & ~around[:-2] & ~around[2:]).any())


def _say_constant(axes: "Axes", entry: Entry, values: np.ndarray) -> None:
    """Write the value of an entry that does not vary, in a panel that reaches zero."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return
    low, high = min(0.0, float(finite.min())), max(0.0, float(finite.max()))
    room = 0.35 * ((high - low) or 1.0)
    axes.set_ylim(low - (room if low < 0 else 0.0), high + (room if high > 0 or high == low else 0))
    if len(values) == 1:
        above = finite[0] >= 0
        axes.annotate(
            f"{number(float(finite[0]))} everywhere",
            (0.5, float(finite[0])),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3 if above else -3),
            textcoords="offset points",
            ha="center",
            va="bottom" if above else "top",
            fontsize=theme.SMALL,
            color=theme.GREY,
        )


def _show_zero(axes: "Axes", values: np.ndarray) -> None:
    """Mark zero where the sign changes."""
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() < 0 < finite.max():
        axes.axhline(0.0, color=theme.GREY, linewidth=0.6, zorder=0.9)


def draw_map(
    axes: "Axes", entry: Entry, x: Axis, y: Axis
) -> tuple["ScalarMappable | None", list[str]]:
    """Draw an entry over two axes in colour, with contours where it is smooth enough for them.

    Returns:
        The mesh that a colour bar explains, None where there is one number alone; and notes.
    """
    dress(axes, "x", x, label=False)
    dress(axes, "y", y, label=False)
    if entry.values.size == 1:
        axes.set_xlim(*positions(x)[[0, -1]])
        axes.set_ylim(*positions(y)[[0, -1]])
        _say_one_number(axes, entry)
        return None, []
    values = np.broadcast_to(entry.along((y.dim, x.dim)), (len(y.values), len(x.values)))
    at_x, at_y, shown = farthest_in_blocks(positions(x), positions(y), values)
    notes = []
    if shown.shape != values.shape:
        cell = " × ".join(f"{-(-n // FINEST_MAP)}" for n in values.shape[::-1])
        notes = [f"Cells: of {cell} points each, the value farthest from the map's median."]
    norm, colours = colour_norm(shown)
    theme.mark_gaps(axes)
    mesh = axes.pcolormesh(
        _edges(at_x, x.is_log),
        _edges(at_y, y.is_log),
        np.ma.masked_invalid(shown),
        cmap=colours,
        norm=norm,
        rasterized=True,
    )
    if min(shown.shape) > 3 and not (x.words or y.words):
        _draw_contours(axes, at_x, at_y, shown)
    return mesh, notes


def colour_norm(values: np.ndarray) -> tuple["Normalize", str]:
    """Return the scale of colours: symmetric around 0 where the sign changes."""
    from matplotlib.colors import Normalize

    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return Normalize(0.0, 1.0), theme.SEQUENTIAL
    low, high = float(finite.min()), float(finite.max())
    most = max(-low, high)
    if low < -_NO_SIGN * most and high > _NO_SIGN * most:
        return Normalize(-most, most), theme.DIVERGING
    if low == high:
        room = abs(low) or 1.0
        return Normalize(low - room, high + room), theme.SEQUENTIAL
    return Normalize(low, high), theme.SEQUENTIAL


def _draw_contours(axes: "Axes", x: np.ndarray, y: np.ndarray, values: np.ndarray) -> None:
    from matplotlib.ticker import MaxNLocator

    finite = values[np.isfinite(values)]
    if finite.size == 0 or finite.min() == finite.max():
        return
    low, high = float(finite.min()), float(finite.max())
    levels = np.asarray(MaxNLocator(7).tick_values(low, high))
    # So near to an extreme, where the map is flat, a contour would follow rounding.
    room = 0.01 * (high - low)
    inside = levels[(levels > low + room) & (levels < high - room)]
    if len(inside):
        axes.contour(
            x,
            y,
            np.ma.masked_invalid(values),
            levels=inside,
            colors="#202124",
            linewidths=[1.1 if level == 0 else 0.45 for level in inside],
            linestyles="solid",
            alpha=0.75,
        )


def _edges(at: np.ndarray, is_log: bool) -> np.ndarray:
    """Return the borders of cells around points, halfway between them on the axis' own scale."""
    at = np.log(at) if is_log else np.asarray(at, float)
    if len(at) == 1:
        edges = np.array([at[0] - 0.5, at[0] + 0.5])
    else:
        middle = (at[1:] + at[:-1]) / 2
        edges = np.concatenate([[2 * at[0] - middle[0]], middle, [2 * at[-1] - middle[-1]]])
    return np.exp(edges) if is_log else edges


def draw_histogram(axes: "Axes", entry: Entry) -> list[str]:
    """Draw how an entry is distributed over all its points, with its mean."""
    values = entry.values[np.isfinite(entry.values)].ravel()
    axes.get_yaxis().set_visible(False)
    axes.spines["left"].set_visible(False)
    if entry.values.ndim == 0 or values.size == 0 or values.min() == values.max():
        _say_one_number(axes, entry)
        axes.get_xaxis().set_visible(False)
        return []
    edges = np.histogram_bin_edges(values, "auto") if values.size < 10**6 else 60
    if not isinstance(edges, int) and len(edges) > 61:
        edges = 60
    counts, edges = np.histogram(values, edges)
    axes.stairs(counts, edges, fill=True, color=theme.ACCENT, alpha=0.75)
    axes.axvline(float(values.mean()), color=theme.NEGATIVE, linewidth=1.2)
    axes.set_ylim(0, 1.08 * counts.max())
    return []


def _say_one_number(axes: "Axes", entry: Entry) -> None:
    """Write the value of an entry that is the same at every point."""
    values = entry.values[np.isfinite(entry.values)]
    says = f"{number(float(values[0]))} everywhere" if values.size else "nothing finite"
    axes.annotate(
        says,
        (0.5, 0.5),
        xycoords="axes fraction",
        ha="center",
        va="center",
        fontsize=theme.SMALL + 1,
        color=theme.GREY,
    )


def draw_points(axes: "Axes", entry: Entry, over: Axis) -> list[str]:
    """Draw an entry at every point of a sample, over one of the sampled arguments."""
    axis, place = over.distinct()
    dress(axes, "x", axis, label=False)
    if axis.words:
        axes.set_xlim(-0.5, len(axis.words) - 0.5)
    own = tuple(dict.fromkeys([*entry.dims, over.dim]))
    sizes = dict(zip(entry.dims, entry.values.shape)) | {over.dim: len(place)}
    shape = tuple(sizes[dim] for dim in own)
    at = positions(axis, place).reshape([-1 if dim == over.dim else 1 for dim in own])
    x = np.broadcast_to(at, shape).ravel()
    y = np.broadcast_to(entry.along(own), shape).ravel()
    here = np.isfinite(x) & np.isfinite(y)
    x, y = x[here], y[here]
    if len(y) > _MOST_POINTS:
        axes.hexbin(
            x, y, gridsize=45, bins="log", mincnt=1, cmap="cividis_r", linewidths=0.1,
            rasterized=True,
        )  # fmt: skip
        return ["Darker hexagons hold more points, on a logarithmic scale."]
    alpha = float(np.clip(12 / np.sqrt(max(len(y), 1)), 0.15, 0.9))
    axes.scatter(x, y, s=5, color=theme.ACCENT, alpha=alpha, linewidths=0, rasterized=len(y) > 2000)
    _show_zero(axes, y)
    return []
