"""Datasets: arrays of results, with their names and the coordinates of the sweep.

Arrays and the Labels that name them enter, an xarray.Dataset leaves. xarray is imported when the
first is made.
Knows nothing of engines or Programs.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradsweep.request import pytree
from gradsweep.request.argument import Argument, Coordinate, LeafMark
from gradsweep.request.lazy import Values, load
from gradsweep.request.leaf import dtype_name
from gradsweep.request.quantities import Result
from gradsweep.results.layout import Coordinates, Variable
from gradsweep.results.names import (
    PARTS,
    Labels,
    flat,
    named_parts,
    require_names_of_their_own,
    variables,
)
from gradsweep.support.cache import Cache

if TYPE_CHECKING:
    import xarray

__all__ = ["coordinates", "dataset", "in_real_numbers", "real_coordinates"]

# Coordinates that take more are compared with those of a frame, and not looked up by their bytes.
_LARGE_BYTES = 2**17
# Larger ones are not kept: a frame has a copy of its coordinates.
_LARGEST_BYTES = 2**27


class _Frame(NamedTuple):
    """A Dataset without its data, and what its variables are.

    xarray takes longer to check and index the parts of a Dataset than a sweep takes to compute, so
    frames are kept for sweeps that are labelled alike, value by value.
    """

    variables: Sequence[Variable]
    blank: "xarray.Dataset"


_FRAMES: Cache[_Frame] = Cache(size=64)
_LARGE_FRAMES: Cache[_Frame] = Cache(size=2)

# What is passed as it is and can be a coordinate.
_LABELS = (bool, np.bool_, int, str)
# The most entries of a container that are.
_MOST_HELD = 64


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
    asked = (labels.names, tuple(results), tuple(dims), dtypes, *axes.items(), *attrs.items())
    frame = _frame(asked, dict(_coordinates(labels.arguments, axes)), make)
    return frame.blank.copy(data={v.name: v.of(arrays) for v in frame.variables})


def in_real_numbers(dataset: "xarray.Dataset") -> "xarray.Dataset":
    """Return a Dataset with `name_real` and `name_imag` in place of complex variables.

    So are coordinates; the axis of a swept complex argument has none of its own name then.

    Raises:
        OutputError: when a name is another variable's already.
    """
    import xarray

    if all(variable.dtype.kind != "c" for variable in dataset.variables.values()):
        return dataset
    coords: list[tuple[str, Any]] = []
    variables: list[tuple[str, Any]] = []
    for name, whole in dataset.variables.items():
        own = coords if name in dataset.coords else variables
        if whole.dtype.kind != "c":
            own.append((str(name), whole))
            continue
        both = named_parts(str(name), whole.attrs)
        for (part_name, attrs), part in zip(both, (whole.values.real, whole.values.imag)):
            own.append((part_name, (whole.dims, part, attrs)))
    require_names_of_their_own([name for name, _ in (*coords, *variables)])
    return xarray.Dataset(dict(variables), dict(coords), dataset.attrs)


def real_coordinates(found: Coordinates) -> Coordinates:
    """Return coordinates of real numbers: of complex ones `name_real` and `name_imag`.

    Raises:
        OutputError: when a name is another coordinate's already.
    """
    real: list[tuple[str, Any]] = []
    for name, (dims, values, attrs) in found.items():
        if values.dtype.kind != "c":
            real.append((name, (dims, values, attrs)))
            continue
        loaded = load(values)
        for (own, own_attrs), part in zip(named_parts(name, attrs), (loaded.real, loaded.imag)):
            real.append((own, (dims, part, own_attrs)))
    require_names_of_their_own([name for name, _ in real])
    return dict(real)


def _frame(
    asked: tuple[Hashable, ...], around: Mapping[str, Coordinate], make: Callable[[], _Frame]
) -> _Frame:
    """Return the frame that is kept for these labels and coordinates, or a new one.

    Args:
        asked: everything but the coordinates that it is made of.
    """
    n_bytes = {name: c.values.nbytes for name, c in around.items()}
    if sum(n_bytes.values()) > _LARGEST_BYTES or not all(map(_is_plain, around.values())):
        return make()
    large = {name: c.values for name, c in around.items() if n_bytes[name] > _LARGE_BYTES}
    same = [
        (name, c.dims, c.values.dtype, repr(dict(c.attrs)))
        + (() if name in large else (load(c.values).tobytes(),))
        for name, c in around.items()
    ]
    frames, key = _LARGE_FRAMES if large else _FRAMES, (*asked, *same)
    frame = frames.get(key, make)
    if not all(_is_same(frame.blank, name, values) for name, values in large.items()):
        frame = make()
        frames.put(key, frame)
    return frame


def coordinates(labels: Labels, found: Sequence[Variable], axes: Mapping[str, int]) -> Coordinates:
    """Return the coordinates of a sweep: the dims, the values (not loaded) and attrs of each.

    Those of dims along which the parts of a complex argument lie are "real" and "imag".
    """
    names = {variable.name for variable in found}
    taken = {dim for variable in found for dim in variable.dims} | axes.keys()
    of_sweep = {
        name: (c.dims, c.values, c.attrs)
        for name, c in _coordinates(labels.arguments, axes)
        # A coordinate with the name of a dim must be that dim's own.
        if name not in names and (name not in taken or c.dims == (name,))
    }
    part_dims = dict.fromkeys(dim for variable in found for dim in variable.part_dims)
    return of_sweep | {dim: ((dim,), np.array(PARTS), {}) for dim in part_dims}


def _make_frame(
    labels: Labels,
    results: Sequence[Result],
    dims: Sequence[tuple[str, ...]],
    dtypes: Sequence[str],
    axes: Mapping[str, int],
    attrs: Mapping[str, Any],
) -> _Frame:
    """Return a frame: for data it has one number, repeated without memory."""
    import xarray

    found = variables(labels, results, dims, dtypes, axes)
    nothing = {v.name: (v.dims, np.broadcast_to(0.0, v.shape), v.attrs) for v in found}
    around = {
        name: (own, _frozen(values), dict(own_attrs))
        for name, (own, values, own_attrs) in coordinates(labels, found, axes).items()
    }
    return _Frame(found, xarray.Dataset(nothing, around, {**attrs, "axes": " ".join(axes)}))


def _frozen(values: Values) -> np.ndarray:
    """Copy values that several Datasets will share, so that nobody can write to them."""
    if values.nbytes > _LARGEST_BYTES:
        return load(values)  # not shared, and better not doubled
    copied = np.array(load(values))
    copied.flags.writeable = False
    return copied


def _is_plain(coordinate: Coordinate) -> bool:
    """Tell whether attributes are what their text says: a list might be changed by its owner."""
    return all(
        value is None or isinstance(value, str | int | float | np.generic)
        for value in coordinate.attrs.values()
    )


def _is_same(blank: "xarray.Dataset", name: str, values: Values) -> bool:
    """Tell whether a frame's coordinate has these values, to the bit."""
    if name not in blank.coords:
        return True  # it is none of the results'
    own, other = blank.coords[name].values, load(values)
    if own.shape != other.shape or own.dtype != other.dtype or own.dtype.hasobject:
        return False
    one, two = (_as_bits(array) for array in (own, other))
    # Piece by piece, which stays in the cache and ends at the first that differs.
    n = _LARGE_BYTES
    return all(np.array_equal(one[i : i + n], two[i : i + n]) for i in range(0, len(one), n))


def _as_bits(array: np.ndarray) -> np.ndarray:
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(np.uint64 if flat.itemsize % 8 == 0 else np.uint8)


def _coordinates(
    arguments: Sequence[Argument], axes: Mapping[str, int]
) -> Iterator[tuple[str, Coordinate]]:
    """Yield the coordinates that a sweep gives: its values, and the labels of DataArrays."""
    yield from _of_parts(arguments)
    # An argument of the same name comes after them and takes their place.
    held = [entry for argument in arguments for entry in _held_entries(argument)]
    n_called = Counter(name for name, _ in held)
    yield from ((name, coordinate) for name, coordinate in held if n_called[name] == 1)
    for argument in arguments:
        yield from argument.coordinates.items()
    for argument in arguments:
        attrs = argument.attrs
        if argument.categories is not None:
            continue  # its labels are among the coordinates
        if argument.is_static and isinstance(argument.form, _LABELS):
            yield argument.name, Coordinate((), _static(argument.form), attrs)
        for leaf in argument.leaves:
            is_whole = not leaf.numbers_shape and leaf.key == argument.name
            if not leaf.parts and (leaf.dims or is_whole):
                # A fixed array is no coordinate: it may be large.
                name = flat(leaf.key)
                own = [f"{name}_{position}" for position in range(len(leaf.numbers_shape))]
                if not set(own) & axes.keys():
                    yield name, Coordinate((*leaf.dims, *own), leaf.numbers, attrs)


def _of_parts(arguments: Sequence[Argument]) -> Iterator[tuple[str, Coordinate]]:
    """Yield the labels that dims have where no argument and no DataArray labels them.

    They are the values of the one component along a dim, and of the one entry of a container that
    is called like it: p={"beta": ("beta", b)} labels beta by the values p_beta.
    """
    entries: dict[str, list[Coordinate]] = {}
    for argument in arguments:
        for leaf in argument.leaves:
            for dims, values in leaf.components:
                if len(dims) == 1:
                    yield dims[0], Coordinate(dims, values, argument.attrs)
            name = leaf.key.rpartition(".")[2]
            if leaf.dims == (name,) and leaf.values is not None and not leaf.numbers_shape:
                entries.setdefault(name, []).append(Coordinate(leaf.dims, leaf.numbers))
    yield from ((name, own[0]) for name, own in entries.items() if len(own) == 1)


def _held_entries(argument: Argument) -> Iterator[tuple[str, Coordinate]]:
    """Yield what a container holds fixed, by its path: numbers, words and truth values.

    None where there are too many of them, such as the weights of a network.
    """
    if argument.is_single or argument.is_default or isinstance(argument.form, _LABELS):
        return
    leaves, found = {leaf.key: leaf for leaf in argument.leaves}, []
    for path, part in pytree.flatten(argument.form, (argument.name,)):
        values = part
        if isinstance(part, LeafMark):
            leaf = leaves[part.key]
            if leaf.dims or leaf.numbers_shape:
                continue
            values = load(leaf.numbers)
        elif not isinstance(part, _LABELS):
            continue
        name = flat(".".join(path))
        if name.isidentifier():  # netCDF and Zarr take a slash for a folder, a space for two names
            found.append((name, Coordinate((), _static(values))))
        if len(found) > _MOST_HELD:
            return
    yield from found


def _static(value: Any) -> np.ndarray:
    """Return a static value as an array; an integer of more than 64 bits is written as a text."""
    array = np.asarray(value)
    return np.asarray(str(value)) if array.dtype.hasobject else array
