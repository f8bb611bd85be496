"""Which figure a Dataset becomes: its kind, and the part of each swept axis in it.

Takes entries and the user's choices; returns an Arrangement. Draws nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradsweep.figures import theme
from gradsweep.figures.axis import MOST_LINES, Axis, axis_of, find_axis, is_sampled
from gradsweep.figures.entries import Entry
from gradsweep.figures.symbols import plain
from gradsweep.support.errors import ArgumentError, OutputError
from gradsweep.support.words import listed

if TYPE_CHECKING:
    import xarray

__all__ = ["KINDS", "MOST_OUTPUTS", "MOST_PANELS", "Arrangement", "arrange"]

# What each kind of figure shows.
KINDS = {
    "ladder": "each derivative over one axis, a few values of a second one as lines",
    "heatmap": "each derivative over two axes, in colour, with contours",
    "matrix": "a grid of panels over one axis: outputs by inputs, or the half of a Hessian",
    "image": "one number for each derivative, as a coloured matrix",
    "histogram": "how each derivative is distributed over a sample",
    "scatter": "each derivative at every point of a sample, over an argument",
    "tornado": "one bar for each contribution, the largest first",
    "bars": "one bar for each derivative",
    "uncertainty": "the value with a band of its standard deviation, the shares below it",
}

# More panels than this on one page are too small to read.
MOST_PANELS = 36
_MOST_MAPS = 12
# An uncertainty has two panels for each output, and a bar for each point that has no order.
MOST_OUTPUTS = 4
_MOST_BARS = 60


@dataclass(frozen=True)
class Arrangement:
    """The kind of a figure, and the part of each axis in it.

    Attributes:
        kind: a row of KINDS.
        x: the axis to the right, where the kind has one.
        by: the axis drawn as lines in a ladder or a matrix, and upward in a heat map.
        averaged: the axes that are averaged over.
        sampled: the axes whose points have no order.
        held: the axes of which one place is drawn, in the middle: an averaged band would be that of
            no curve.
    """

    kind: str
    x: Axis | None = None
    by: Axis | None = None
    averaged: tuple[Axis, ...] = ()
    sampled: tuple[Axis, ...] = ()
    held: tuple[Axis, ...] = ()

    @property
    def places(self) -> dict[str, int]:
        """The place that is drawn along each axis that is held."""
        return {axis.dim: len(axis.values) // 2 for axis in self.held}

    @property
    def sentence(self) -> str:
        """What is averaged, for the title: "mean over T (5 values) and r (2 values)"."""
        names = [f"{axis.symbol} ({len(axis.values):,} values)" for axis in self.averaged]
        if not names:
            return ""
        return f"mean over {listed(names)}"


def arrange(
    ds: "xarray.Dataset",
    entries: Sequence[Entry],
    dims: Sequence[str],
    kind: str | None,
    x: str | None,
    by: str | None,
) -> Arrangement:
    """Choose a figure by the dims of the entries.

    Raises:
        ArgumentError: when an axis that was named is not there, or two are the same.
        OutputError: when the kind that was asked for needs more axes than there are, or has
            more panels than a page has room for.
    """
    dims = [dim for dim in dims if any(dim in entry.dims for entry in entries)]
    named = [None if name is None else find_axis(ds, name) for name in (x, by)]
    given_x, given_by = named
    for axis in (given_x, given_by):
        if axis is not None and axis.dim not in dims:
            raise ArgumentError(
                f"nothing that is drawn varies along {axis.dim!r}; "
                f"{'the axes are ' + ', '.join(dims) if dims else 'there are no axes'}."
            )
    if given_x is not None and given_by is not None and given_x.dim == given_by.dim:
        raise ArgumentError(f"x and by both run along {given_x.dim!r}; name two axes.")
    sampled = [dim for dim in dims if is_sampled(ds, dim)]
    swept = _Swept(ds, dims, sampled, given_x, given_by)
    chosen = kind or _choose(ds, entries, swept)
    _require_room(chosen, entries)
    return _place(chosen, swept)


@dataclass(frozen=True)
class _Swept:
    """The axes that were swept, and those that the user named."""

    ds: "xarray.Dataset"
    dims: Sequence[str]
    sampled: Sequence[str]
    x: Axis | None
    by: Axis | None

    def size(self, dim: str) -> int:
        return self.ds.sizes[dim]

    @property
    def ordered(self) -> list[str]:
        """The dims that can be an axis of a figure: in order, or named by the user."""
        named = [axis.dim for axis in (self.x, self.by) if axis is not None]
        return [dim for dim in self.dims if dim in named or dim not in self.sampled]

    def longest(self, *taken: str) -> str | None:
        """Return the longest axis that is left; one of a few words only where there is no other."""
        left = [dim for dim in self.ordered if dim not in taken]
        return max(left, key=self._length, default=None)

    def _length(self, dim: str) -> tuple[bool, bool, int]:
        return self.size(dim) > 1, not self.has_few_words(dim), self.size(dim)

    def has_few_words(self, dim: str) -> bool:
        """Tell whether an axis is of few words: they are drawn as lines, not averaged."""
        return self.size(dim) <= MOST_LINES and bool(self.axis(dim).words)

    def axis(self, dim: str) -> Axis:
        return axis_of(self.ds, dim)


def _choose(ds: "xarray.Dataset", entries: Sequence[Entry], swept: _Swept) -> str:
    """Return the kind of figure where the user named none."""
    is_matrix = _is_matrix(entries)
    is_grid = is_matrix and _fits_matrix(entries)
    long = [dim for dim in swept.ordered if swept.size(dim) > MOST_LINES]
    wants_map = len(swept.ordered) > 1 and (len(long) > 1 or swept.by is not None)
    if swept.by is not None and swept.size(swept.by.dim) <= MOST_LINES:
        wants_map = False
    if ds.attrs.get("quantity") == "contributions" and swept.x is None:
        return "tornado"
    if _is_uncertainty(entries) and not wants_map:
        if all(swept.size(dim) <= _MOST_BARS for dim in swept.sampled):
            return "uncertainty"
    if len(entries) > MOST_PANELS:
        return "image"
    if not swept.dims:
        return "image" if is_matrix else "bars"
    if swept.x is not None and swept.x.dim in swept.sampled and not swept.x.is_numbered:
        if not swept.x.is_ordered:
            return "scatter"
    if is_grid and not (wants_map and len(entries) <= _MOST_MAPS):
        return "matrix"
    if not swept.ordered:
        return "histogram"
    return "heatmap" if wants_map else "ladder"


def _is_uncertainty(entries: Sequence[Entry]) -> bool:
    """Whether there is a value, its standard deviation and its shares, of few outputs."""
    values = [entry for entry in entries if entry.role == "value"]
    roles = {entry.role for entry in entries}
    return roles >= {"value", "std", "share"} and len(values) <= MOST_OUTPUTS


def _is_matrix(entries: Sequence[Entry]) -> bool:
    """Whether first or second derivatives have both several rows and several columns."""
    partials = [entry for entry in entries if entry.wrt]
    orders = {len(entry.wrt) for entry in partials}
    sides = zip(*((entry.row, entry.column) for entry in partials))
    return orders in ({1}, {2}) and all(len({*side}) > 1 for side in sides)


def _fits_matrix(entries: Sequence[Entry]) -> bool:
    """Whether the columns of a matrix are wide enough for their titles, in small letters."""
    partials = [entry for entry in entries if entry.wrt]
    n_columns = len({element for entry in partials for element in entry.wrt})
    longest = max(theme.visible_length(entry.label) for entry in partials)
    return n_columns <= 8 and 0.045 * longest <= theme.WIDTH_INCHES / n_columns


def _require_room(kind: str, entries: Sequence[Entry]) -> None:
    n_panels = len(entries) if kind in ("ladder", "heatmap", "histogram", "scatter") else 0
    if kind == "matrix":
        n_panels = sum(1 for entry in entries if entry.wrt)
        if not n_panels:
            raise OutputError(
                "a matrix is of derivatives; this Dataset has values alone.\n"
                "Leave kind out, or choose kind='ladder'."
            )
    if n_panels > MOST_PANELS:
        raise OutputError(
            f"kind={kind!r} would have {n_panels} panels, of which at most {MOST_PANELS} can be "
            f"read.\nSelect some with variables=[...] or ds.isel, or choose kind='image'."
        )


def _place(kind: str, swept: _Swept) -> Arrangement:
    """Give every axis its part in a figure of this kind."""
    x, by = swept.x, swept.by
    match kind:
        case "ladder":
            x = x or _axis_or_none(swept, swept.longest(*_dims(by)))
            x = x or _axis_or_none(swept, max(swept.dims, key=swept.size, default=None))
            _require_axes(kind, 1, [x], swept)
            by = by or _few(swept, *_dims(x))
        case "matrix":
            x = x or _axis_or_none(swept, swept.longest(*_dims(by)))
            by = by or (_few(swept, *_dims(x)) if x else None)
        case "heatmap":
            x = x or _axis_or_none(swept, swept.longest(*_dims(by)))
            by = by or _axis_or_none(swept, swept.longest(*_dims(x)))
            _require_axes(kind, 2, [x, by], swept)
            if x and by and not (swept.x or swept.by):
                # The sweep's own order says which comes first.
                x, by = sorted((x, by), key=lambda axis: swept.dims.index(axis.dim))
        case "histogram" | "scatter":
            _require_axes(kind, 1, swept.dims, swept)
            pooled = tuple(swept.axis(dim) for dim in swept.dims)
            return Arrangement(kind, x, None, sampled=pooled)
        case "uncertainty":
            x = x or _axis_or_none(swept, swept.longest(*_dims(by)))
            left = [dim for dim in swept.dims if dim not in _dims(by)]
            x = x or _axis_or_none(swept, max(left, key=swept.size, default=None))
            by = by or (_few(swept, *_dims(x)) if x else None)
        case "tornado" | "bars" | "image":
            x = by = None
        case unknown:
            raise AssertionError(unknown)
    if kind == "matrix" and x is None:
        if not swept.dims:
            return Arrangement("image")
        return Arrangement(kind, sampled=tuple(swept.axis(dim) for dim in swept.dims))
    if by is not None and kind != "heatmap" and len(by.values) > MOST_LINES:
        raise OutputError(
            f"by={by.dim!r} has {len(by.values)} values; kind={kind!r} shows at most {MOST_LINES} "
            f"as lines.\nSelect some with ds.sel, or choose kind='heatmap'."
        )
    shown = _dims(x, by)
    rest = tuple(swept.axis(dim) for dim in swept.dims if dim not in shown)
    # An axis without values has no middle.
    if kind == "uncertainty" and all(len(axis.values) for axis in rest):
        return Arrangement(kind, x, by, held=rest)
    return Arrangement(kind, x, by, averaged=rest)


def _require_axes(kind: str, n: int, found: Sequence, swept: _Swept) -> None:
    n_found = sum(1 for axis in found if axis is not None)
    if n_found >= n:
        return
    there = ", ".join(plain(dim) for dim in swept.dims) or "none"
    raise OutputError(
        f"kind={kind!r} needs {n} swept {'axis' if n == 1 else 'axes'}; what is drawn varies "
        f"along {there}.\nLeave kind out, or choose one of {', '.join(KINDS)}."
    )


def _few(swept: _Swept, *taken: str) -> Axis | None:
    """Return the axis with the most values that can still be drawn as lines, of words if it can."""
    left = [dim for dim in swept.ordered if dim not in taken and 1 < swept.size(dim) <= MOST_LINES]
    most = max(left, key=lambda d: (swept.has_few_words(d), swept.size(d)), default=None)
    return _axis_or_none(swept, most)


def _axis_or_none(swept: _Swept, dim: str | None) -> Axis | None:
    return None if dim is None else swept.axis(dim)


def _dims(*axes: Axis | None) -> tuple[str, ...]:
    return tuple(axis.dim for axis in axes if axis is not None)
