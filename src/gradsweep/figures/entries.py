"""A Dataset of derivatives taken apart: one Entry for every scalar derivative in it.

Takes a Dataset; reads the attributes that `names` wrote, or names alone where those are gone.
Returns entries, whose arrays have swept dims only. Never sees a figure.
"""

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from gradsweep.figures.symbols import Element, partial_of, plain
from gradsweep.support.errors import ArgumentError, OutputError, nearest

if TYPE_CHECKING:
    import xarray

__all__ = ["Entry", "entries_of", "pick", "swept_dims"]

# With more than this, even an image with a pixel for each is of no use.
_MOST_ENTRIES = 40_000


@dataclass(frozen=True)
class Entry:
    """One scalar over the swept axes: a value, or one derivative of one output.

    Attributes:
        variable: the name of the Dataset's variable that holds it.
        label: its name in a title.
        units: the units of its values; "" where they are not known.
        of: the element of the output.
        wrt: the elements it is with respect to, as many as its order.
        dims: the swept dims it varies with.
        values: one axis for each of `dims`.
        role: of an uncertainty, whether it is a "value", an "expectation", a "std" or a "share";
            else "".
        argument: whose share it is.
    """

    variable: str
    label: str
    units: str
    of: Element
    wrt: tuple[Element, ...]
    dims: tuple[str, ...]
    values: np.ndarray
    role: str = ""
    argument: str = ""

    @property
    def row(self) -> Element:
        """Where it stands in a matrix of derivatives: J has a row for each output element."""
        return self.wrt[0] if len(self.wrt) == 2 else self.of

    @property
    def column(self) -> Element | None:
        return self.wrt[-1] if self.wrt else None

    @property
    def n_missing(self) -> tuple[int, int]:
        """How many values are NaN, and how many infinite."""
        n_nan = int(np.isnan(self.values).sum())
        return n_nan, int(self.values.size - np.isfinite(self.values).sum() - n_nan)

    def at(self, places: Mapping[str, int]) -> "Entry":
        """Return the entry at one place along each of some dims, which it then has no more."""
        values = self.values[tuple(places.get(dim, slice(None)) for dim in self.dims)]
        left = tuple(dim for dim in self.dims if dim not in places)
        return replace(self, dims=left, values=np.asarray(values))

    def along(self, dims: tuple[str, ...]) -> np.ndarray:
        """Return the values with these axes, in this order, averaged over all others.

        An axis that the entry does not vary with has length 1. Averages are of finite values.
        """
        others = tuple(i for i, dim in enumerate(self.dims) if dim not in dims)
        values = _mean(self.values, others) if others else self.values
        kept = [dim for dim in self.dims if dim in dims]
        values = values.transpose([kept.index(dim) for dim in dims if dim in kept])
        missing = tuple(i for i, dim in enumerate(dims) if dim not in kept)
        return np.expand_dims(values, missing)


def entries_of(ds: "xarray.Dataset") -> tuple[Entry, ...]:
    """Return every scalar derivative and value of a Dataset, values first.

    Of two equal entries on either side of a Hessian's diagonal, one is returned.

    Raises:
        OutputError: when there is nothing to draw, or a variable that cannot be drawn.
    """
    if not ds.data_vars:
        raise OutputError("plot needs a variable; this Dataset has none.")
    n_entries = sum(
        prod(variable.sizes[dim] for dim in _own_dims(ds, variable))
        * (2 if variable.dtype.kind == "c" else 1)
        for variable in ds.data_vars.values()
    )
    if n_entries > _MOST_ENTRIES:
        raise OutputError(
            f"plot draws at most {_MOST_ENTRIES:,} derivatives; this Dataset has {n_entries:,}.\n"
            f"Select some of them: variables=[...], or ds.isel of an output's or argument's dims."
        )
    found: dict[Hashable, Entry] = {}
    for variable in ds.data_vars.values():
        if variable.dtype.kind not in "fiubc":
            raise OutputError(
                f"plot draws numbers; {variable.name!r} has dtype {variable.dtype}.\n"
                f"Name the others with variables=[...]."
            )
        for entry in _split(ds, variable):
            statistic = str(variable.attrs.get("cell_methods", ""))
            name = entry.variable if not entry.wrt else statistic
            key = (name, entry.of, tuple(sorted(entry.wrt, key=lambda element: element.text)))
            kind = _suffix(str(variable.attrs.get("long_name", "")))
            found.setdefault((key, kind), entry)
    return tuple(sorted(found.values(), key=lambda entry: bool(entry.wrt)))


def pick(ds: "xarray.Dataset", names: str | Iterable[str] | None) -> "xarray.Dataset":
    """Return a Dataset of the variables that were asked for; all of them for None.

    Raises:
        ArgumentError: when there is no such variable.
    """
    if names is None:
        return ds
    chosen = [names] if isinstance(names, str) else list(names)
    for name in chosen:
        if name not in ds.data_vars:
            there = ", ".join(map(str, ds.data_vars))
            raise ArgumentError(
                f"plot has no variable {name!r}; this Dataset has {there}."
                f"{nearest(name, map(str, ds.data_vars))}"
            )
    return ds[chosen]


def swept_dims(ds: "xarray.Dataset") -> tuple[str, ...]:
    """Return the dims that were swept: not those of an output's or an argument's own array."""
    own = {dim for variable in ds.data_vars.values() for dim in _own_dims(ds, variable)}
    dims = {str(dim) for variable in ds.data_vars.values() for dim in variable.dims} - own
    recorded = [axis for axis in _recorded_axes(ds) if axis in dims]
    return (*recorded, *(str(dim) for dim in ds.dims if dim in dims - {*recorded}))


def _recorded_axes(ds: "xarray.Dataset") -> list[str]:
    return str(ds.attrs.get("axes", "")).split()


def _own_dims(ds: "xarray.Dataset", variable: "xarray.DataArray") -> list[str]:
    """Return the dims of the output and of the arguments, in the order of the array."""
    dims = [str(dim) for dim in variable.dims]
    if "axes" in ds.attrs:
        return [dim for dim in dims if dim not in _recorded_axes(ds)]
    # xarray drops attributes in some operations; own dims are called after their owner.
    owners = {str(variable.attrs.get("of", variable.name)), *_keys(variable)}
    return [
        dim
        for dim in dims
        if (found := re.fullmatch(r"(.+?)_(?:\d+|part)(_\d+)?", dim)) and found[1] in owners
    ]


def _keys(variable: "xarray.DataArray") -> list[str]:
    return str(variable.attrs.get("wrt", "")).split()


def _split(ds: "xarray.Dataset", variable: "xarray.DataArray") -> Iterator[Entry]:
    """Yield an Entry for every element of the own dims, of a complex variable for each part."""
    own = _own_dims(ds, variable)
    dims = tuple(str(dim) for dim in variable.dims if dim not in own)
    array = variable.transpose(*own, *dims).values
    parts: dict[tuple[str, ...], np.ndarray] = {(): array}
    if array.dtype.kind == "c":
        parts = {("real",): array.real, ("imag",): array.imag}
    keys = _keys(variable)
    counts = [int(n) for n in str(variable.attrs.get("wrt_ndim", "")).split()] or [0] * len(keys)
    name = str(variable.attrs.get("of", variable.name))
    n_output = len(own) - sum(counts)
    for position, part in product(np.ndindex(*array.shape[: len(own)]), parts):
        # After ds.isel(q_0=[2, 4]) the elements count from 0 again, unless they have labels.
        index = [_label(variable, dim, i) for dim, i in zip(own, position)]
        of, rest = Element(name, (*index[:n_output], *part)), index[n_output:]
        wrt = []
        for key, count in zip(keys, counts):
            wrt.append(Element(key, tuple(rest[:count])))
            rest = rest[count:]
        yield Entry(
            variable=str(variable.name),
            label=_title(variable, of, tuple(wrt), own),
            units=str(variable.attrs.get("units", "")),
            of=of,
            wrt=tuple(wrt),
            dims=dims,
            values=parts[part][position].astype(float),
            role=_role(variable, wrt),
            argument=str(variable.attrs.get("argument", "")),
        )


def _role(variable: "xarray.DataArray", wrt: list[Element]) -> str:
    if "argument" in variable.attrs:
        return "share"
    long_name = str(variable.attrs.get("long_name", ""))
    if long_name.startswith("standard deviation of "):
        return "std"
    if long_name.startswith("expectation of "):
        return "expectation"
    return "value" if not wrt and long_name == variable.attrs.get("of", variable.name) else ""


def _label(variable: "xarray.DataArray", dim: str, position: int) -> int | str:
    """Return the label of an element where that is an integer or a word, else its position."""
    if dim in variable.coords:
        label = variable.coords[dim].values[position]
        if isinstance(label, str):
            return str(label)
        if isinstance(label, np.integer):
            return int(label)
    return position


def _title(
    variable: "xarray.DataArray", of: Element, wrt: tuple[Element, ...], own: list[str]
) -> str:
    """Return a formula, or the long name that the user gave."""
    long_name = str(variable.attrs.get("long_name", ""))
    if wrt and long_name.startswith("∂"):
        return partial_of(of, wrt, _suffix(long_name))
    if long_name in ("", of.name, variable.name):
        return of.label
    elements = [element for element in (of, *wrt) if element.index]
    index = ", ".join(element.text for element in elements)
    return plain(f"{long_name} ({index})" if index else long_name)


def _suffix(long_name: str) -> str:
    """Return what follows a derivative's formula: " · v" for a contribution."""
    return long_name[long_name.index(" ") :] if " " in long_name else ""


def _mean(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Average the finite values over some axes."""
    finite = np.isfinite(values)
    n = finite.sum(axis=axes)
    total = np.where(finite, values, 0.0).sum(axis=axes, dtype=float)
    return np.divide(total, n, out=np.full(np.shape(total), np.nan), where=n > 0)
