"""Datasets: arrays of results, with their names and the coordinates of the sweep.

Arrays and the Labels that name them enter, an xarray.Dataset leaves. xarray is imported when the
first is made.
Knows nothing of engines or Programs.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gradsweep.request.argument import Argument, Coordinate
from gradsweep.request.lazy import Values, load
from gradsweep.request.leaf import dtype_name
from gradsweep.request.quantities import Result
from gradsweep.results.layout import Variable
from gradsweep.results.names import Labels, flat, variables
from gradsweep.support.cache import Cache

if TYPE_CHECKING:
    import xarray

__all__ = ["coordinates", "dataset"]

# xarray takes longer to check and index a Dataset's parts than a small sweep takes to compute, so a
# Dataset without its data is kept for sweeps whose labels are equal, value by value.
_FRAMES: Cache[tuple[list[Variable], "xarray.Dataset"]] = Cache(size=64)
_LARGEST_COORDINATES_BYTES = 2**17

_Coordinates = Mapping[str, tuple[tuple[str, ...], Values, Mapping[str, Any]]]


def dataset(
    labels: Labels,
    results: Sequence[Result],
    dims: Sequence[tuple[str, ...]],
    arrays: Sequence[np.ndarray],
    axes: Mapping[str, int],
    attrs: Mapping[str, Any],
) -> "xarray.Dataset":
    """Label the arrays of a sweep.

    Args:
        dims: for each result, the swept axes that lead its array.
        axes: the swept axes and their lengths.
    """
    dtypes = tuple(dtype_name(array.dtype) for array in arrays)
    make = partial(_make_frame, labels, results, dims, dtypes, axes, attrs)
    around = dict(_coordinates(labels.arguments, axes))
    if sum(c.values.nbytes for c in around.values()) > _LARGEST_COORDINATES_BYTES:
        found, blank = make()
    else:
        same = [
            (name, c.dims, c.values.dtype, load(c.values).tobytes(), repr(dict(c.attrs)))
            for name, c in around.items()
        ]
        asked = (labels.names, tuple(results), tuple(dims), dtypes, *axes.items(), *attrs.items())
        found, blank = _FRAMES.get((*asked, *same), make)
    return blank.copy(data={variable.name: variable.of(arrays) for variable in found})


def coordinates(labels: Labels, found: Sequence[Variable], axes: Mapping[str, int]) -> _Coordinates:
    """Return the coordinates of a sweep: the dims, the values (not loaded) and attrs of each."""
    names = {variable.name for variable in found}
    taken = {dim for variable in found for dim in variable.dims} | axes.keys()
    return {
        name: (c.dims, c.values, c.attrs)
        for name, c in _coordinates(labels.arguments, axes)
        # A coordinate with the name of a dim must be that dim's own.
        if name not in names and (name not in taken or c.dims == (name,))
    }


def _make_frame(
    labels: Labels,
    results: Sequence[Result],
    dims: Sequence[tuple[str, ...]],
    dtypes: Sequence[str],
    axes: Mapping[str, int],
    attrs: Mapping[str, Any],
) -> tuple[list[Variable], "xarray.Dataset"]:
    """Return a Dataset's variables, and the Dataset with zeros that take no memory as data."""
    import xarray

    found = variables(labels, results, dims, dtypes, axes)
    nothing = {v.name: (v.dims, np.broadcast_to(0.0, v.shape), v.attrs) for v in found}
    around = {
        name: (own, _frozen(values), dict(own_attrs))
        for name, (own, values, own_attrs) in coordinates(labels, found, axes).items()
    }
    return found, xarray.Dataset(nothing, around, {**attrs, "axes": " ".join(axes)})


def _frozen(values: Values) -> np.ndarray:
    """Copy values that several Datasets will share, so that nobody can write to them."""
    if values.nbytes > _LARGEST_COORDINATES_BYTES:
        return load(values)  # not shared, and too large to copy
    copied = np.array(load(values))
    copied.flags.writeable = False
    return copied


def _coordinates(
    arguments: Sequence[Argument], axes: Mapping[str, int]
) -> Iterator[tuple[str, Coordinate]]:
    """Yield the coordinates that a sweep gives: its values, and the labels of DataArrays."""
    for argument in arguments:
        yield from argument.coordinates.items()
        attrs = argument.attrs
        for leaf in argument.leaves:
            if leaf.parts:
                for dims, values in leaf.parts:
                    if len(dims) == 1:
                        yield dims[0], Coordinate(dims, values, attrs)
            elif leaf.dims or (not leaf.shape and leaf.key == argument.name):
                # A fixed array, or a fixed leaf of a pytree, is no coordinate: it may be large.
                name = flat(leaf.key)
                own = [f"{name}_{position}" for position in range(len(leaf.shape))]
                if not set(own) & axes.keys():
                    values = leaf.whole() if leaf.values is None else leaf.values
                    yield name, Coordinate((*leaf.dims, *own), values, attrs)
