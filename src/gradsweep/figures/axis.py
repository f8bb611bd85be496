"""An axis of a figure: the numbers, the name and the units along a swept dim.

Takes a Dataset's dim or coordinate; says whether it is sampled, few-valued or evenly spaced in
its logarithm. Knows nothing of derivatives.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gradsweep.figures.symbols import Element, number, plain, with_units
from gradsweep.support.errors import ArgumentError, nearest

if TYPE_CHECKING:
    import xarray

__all__ = ["MOST_LINES", "Axis", "axis_of", "find_axis", "held_fixed", "is_sampled"]

# More lines than this in one panel cannot be told apart.
MOST_LINES = 6

_MOST_HELD = 10


@dataclass(frozen=True)
class Axis:
    """The values along one swept dim, and their names.

    Attributes:
        name: the name of the coordinate, or of the dim where it has none.
        dim: the swept dim that it runs along.
        label: its long name, with units.
        values: shape (n,): numbers or times; for words, their positions.
        words: the word at each position, where the coordinate is not numeric.
        symbol: its short name.
        units: the units of its values.
        is_numbered: whether the values are but the numbers of points that have no order.
    """

    name: str
    dim: str
    label: str
    values: np.ndarray
    words: tuple[str, ...] = ()
    symbol: str = ""
    units: str = ""
    is_numbered: bool = False

    @property
    def is_log(self) -> bool:
        """Whether the values are evenly spaced in their logarithm, over a decade at least."""
        values = self.values
        if values.dtype.kind != "f" or len(values) < 3 or not (values > 0).all():
            return False
        steps = np.diff(np.log(values))
        spans_decade = max(values[0], values[-1]) >= 10 * min(values[0], values[-1])
        return bool(spans_decade and np.allclose(steps, steps[0], rtol=1e-3))

    @property
    def is_ordered(self) -> bool:
        """Whether the values only rise, or only fall; words and mere numbers of points do not."""
        if self.words or self.is_numbered:
            return False
        steps = np.diff(self.values)
        zero = np.zeros((), steps.dtype)
        return bool((steps > zero).all() or (steps < zero).all())

    def distinct(self) -> tuple["Axis", np.ndarray]:
        """Return the axis of the distinct words, and the place of each on it; others as they are.

        Numbers and times have the place of their value.
        """
        if not self.words:
            return self, self.values
        words = tuple(dict.fromkeys(self.words))
        place = {word: float(position) for position, word in enumerate(words)}
        at = np.array([place[word] for word in self.words])
        return replace(self, values=np.arange(float(len(words))), words=words), at

    def value(self, position: int) -> str:
        """Write one value of the axis."""
        if self.words:
            return plain(self.words[position])
        value = self.values[position]
        return number(float(value)) if self.values.dtype.kind == "f" else str(value)


def find_axis(ds: "xarray.Dataset", name: str) -> Axis:
    """Return the axis of a dim, or of a coordinate along one.

    Raises:
        ArgumentError: when there is no such dim, or the coordinate has several or none.
    """
    if name in ds.dims:
        return axis_of(ds, name)
    there = [*map(str, ds.dims), *(str(c) for c in ds.coords if ds[c].ndim == 1)]
    there = list(dict.fromkeys(there))
    if name not in ds.coords:
        raise ArgumentError(
            f"plot has no axis {name!r}; this Dataset has {', '.join(there) or 'none'}."
            f"{nearest(name, there)}"
        )
    if ds[name].ndim != 1:
        raise ArgumentError(
            f"{name!r} is {'held fixed' if not ds[name].ndim else 'an array along several dims'} "
            f"in this Dataset, and no axis.\nChoose from {', '.join(there) or 'none'}."
        )
    return _make(ds[name], str(ds[name].dims[0]))


def axis_of(ds: "xarray.Dataset", dim: str) -> Axis:
    """Return the axis of a dim: its own coordinate, else the only one along it if that has order.

    A dim with neither is numbered: where several arguments share it, none of them tells a point.
    """
    axis = _own_axis(ds, dim)
    if axis is not None:
        return axis
    return Axis(
        dim,
        dim,
        plain(f"{dim} (number)"),
        np.arange(float(ds.sizes[dim])),
        symbol=plain(dim),
        is_numbered=True,
    )


def _own_axis(ds: "xarray.Dataset", dim: str) -> Axis | None:
    if dim in ds.coords:
        return _make(ds[dim], dim)
    along = [_make(coordinate, dim) for coordinate in _numeric_along(ds, dim)]
    return along[0] if len(along) == 1 and along[0].is_ordered else None


def is_sampled(ds: "xarray.Dataset", dim: str) -> bool:
    """Whether the points along a dim have no order, so that their number is its only axis."""
    return _own_axis(ds, dim) is None


def held_fixed(ds: "xarray.Dataset") -> str:
    """Write the arguments that have one value: "K = 100, T = 1 year"; at most ten of them."""
    shown = []
    for name, coordinate in ds.coords.items():
        if coordinate.ndim == 0 and coordinate.dtype.kind in "fiuc":
            units = str(coordinate.attrs.get("units", ""))
            value = coordinate.values[()]
            written = f"{value:.4g}" if value.dtype.kind == "c" else number(float(value))
            text = f"{Element(str(name)).label} = {written}"
            shown.append(f"{text} {plain(units)}" if units else text)
    more = len(shown) - _MOST_HELD
    return ", ".join([*shown[:_MOST_HELD], *([f"and {more} more"] if more > 0 else [])])


def _numeric_along(ds: "xarray.Dataset", dim: str) -> list["xarray.DataArray"]:
    return [c for c in ds.coords.values() if c.dims == (dim,) and c.dtype.kind in "fiuM"]


def _make(coordinate: "xarray.DataArray", dim: str) -> Axis:
    values = coordinate.values
    symbol = Element(str(coordinate.name)).label
    long_name = str(coordinate.attrs.get("long_name", ""))
    # The long name says what the symbol in the formulas stands for.
    label = f"{plain(long_name)}, {symbol}" if long_name else symbol
    units = str(coordinate.attrs.get("units", ""))
    words: tuple[str, ...] = ()
    if values.dtype.kind in "fiu":
        values = values.astype(float)
    elif values.dtype.kind not in "M":
        words, values = tuple(map(str, values)), np.arange(float(len(values)))
    return Axis(str(coordinate.name), dim, with_units(label, units), values, words, symbol, units)
