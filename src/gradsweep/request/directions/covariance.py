"""Read a covariance matrix of arguments: as the std of each, and the correlation of each pair.

A DataArray or a DataFrame enters, whose rows and columns are called after arguments. What leaves
is as a user writes it, and is read as such.
"""

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import combinations_with_replacement
from math import prod
from typing import Any

import numpy as np

from gradsweep.request.argument import at_place, labels_along, require_same_coordinates
from gradsweep.request.directions.units import require_covariance_units
from gradsweep.request.function import BoundFunction
from gradsweep.request.parsing import is_data_array, parse_argument
from gradsweep.support.errors import ArgumentError, SweepError, nearest

__all__ = ["from_covariance"]

# An element of an array argument: q[0], q[1, 2].
_ELEMENT = re.compile(r"(?P<key>[^\[\]]+)\[(?P<index>\d+(, ?\d+)*)\]")

# Beyond this share of both standard deviations, two sides of a matrix do not differ by rounding.
_ROUNDING = 1e-12


def from_covariance(
    bound: BoundFunction, given: Any, *beside: Any
) -> tuple[dict[str, Any], dict[tuple[str, str], Any]]:
    """Return stds by argument and correlations by pair, as `gradsweep.uncertainty` takes them.

    Args:
        given: an xarray.DataArray with two dims whose coordinates are the same names of
            arguments, in one order; all others are swept. Or a DataFrame, such as
            `DataFrame.cov` returns. An element of an array argument is called `q[0]`; elements that
            are left out are exact.
        beside: the std and the correlation, if they were given too.

    Raises:
        ArgumentError: when a name is none of an argument's, or a std is given too.
        SweepError: when the matrix has another form or other labels or units than the arguments, is
            not symmetric, has a negative variance, or covariances beside a variance of 0.
    """
    if any(value is not None for value in beside):
        raise ArgumentError("give a covariance, or std and correlation; not both.")
    shapes = {leaf.key: leaf.numbers_shape for leaf in bound.sweep.leaves}
    names, dims, matrix = _read(given, bound)
    if not np.isfinite(matrix).all():
        raise SweepError("the covariance has numbers that are NaN or infinite.")
    for name in names:
        if names.count(name) > 1:
            raise SweepError(f"the covariance names {name!r} twice.")
    require_covariance_units(getattr(given, "attrs", {}), names, bound.arguments)
    places = [_place(name, shapes) for name in names]
    variances = np.diagonal(matrix, axis1=-2, axis2=-1)
    for wrong in np.argwhere(~(variances >= 0)):
        *place, i = wrong.tolist()
        at = at_place(place, dims, labels_along(bound.arguments))
        raise SweepError(
            f"the variance of {names[i]!r} in the covariance is {variances[tuple(wrong)]:g}"
            f"{at}; it is 0 or more."
        )
    deviations = np.sqrt(variances)
    scale = deviations[..., :, None] * deviations[..., None, :]
    turned = matrix.swapaxes(-1, -2)
    if not np.all(np.abs(matrix - turned) <= _ROUNDING * scale):
        raise SweepError("the covariance is not symmetric.")
    if np.any((scale == 0) & (matrix != 0)):
        raise SweepError("the covariance has numbers beside a variance of 0, which must be 0.")
    correlations = np.divide(
        (matrix + turned) / 2, scale, out=np.zeros_like(matrix), where=scale > 0
    )
    return dict(_stds(shapes, places, dims, deviations)), dict(
        _correlations(shapes, places, dims, correlations)
    )


def _read(given: Any, bound: BoundFunction) -> tuple[list[str], tuple[str, ...], np.ndarray]:
    """Return the names of rows and columns, the swept dims, and the matrix behind these."""
    if hasattr(given, "columns") and hasattr(given, "index"):
        rows, columns = list(given.index), list(given.columns)
        swept: tuple[Hashable, ...] = ()
        values = np.asarray(given, float)
    elif is_data_array(given):
        labels = {dim: _words(given, dim) for dim in given.dims}
        sides = [dim for dim, words in labels.items() if words]
        if len(sides) > 2:  # words label a swept dim too
            keys = {dim: {word.partition("[")[0] for word in labels[dim]} for dim in sides}
            leaves = {leaf.key for leaf in bound.sweep.leaves}
            sides = [dim for dim in sides if not keys[dim].isdisjoint(leaves)]
        if len(sides) != 2:
            raise SweepError(
                f"the covariance needs two dims whose coordinates name arguments; it has "
                f"{len(sides)} among {', '.join(map(repr, given.dims))}."
            )
        rows, columns = (labels[dim] for dim in sides)
        swept = tuple(dim for dim in given.dims if dim not in sides)
        if given.size:
            one = parse_argument("covariance", given.isel(dict.fromkeys(sides, 0)))
            require_same_coordinates([*bound.arguments, one])
        values = np.asarray(given.transpose(*swept, *sides).values, float)
    else:
        raise SweepError(
            f"the covariance is a {type(given).__name__}; give a DataArray or a DataFrame whose "
            f"rows and columns are called after arguments."
        )
    if rows != columns:
        raise SweepError(
            f"the rows of the covariance are {', '.join(map(str, rows))}, and its columns "
            f"{', '.join(map(str, columns))}; give both in one order."
        )
    return [str(name) for name in rows], tuple(map(str, swept)), values


def _words(array: Any, dim: Hashable) -> list[str]:
    """Return the words that label a dim; none where there are other labels or no labels."""
    labels = np.asarray(array.coords[dim].values).tolist() if dim in array.coords else []
    return labels if all(isinstance(label, str) for label in labels) else []


def _place(name: str, shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, int]:
    """Return the key of an argument and the number of its element."""
    if shapes.get(name) == ():
        return name, 0
    found = _ELEMENT.fullmatch(name)
    key = found["key"] if found else name
    if key not in shapes:
        raise ArgumentError(
            f"the covariance names {name!r}, which is no number among the arguments; they are "
            f"{', '.join(shapes)}.{nearest(key, shapes)}"
        )
    shape = shapes[key]
    index = tuple(int(i) for i in found["index"].split(",")) if found else ()
    if len(index) != len(shape) or any(i >= n for i, n in zip(index, shape)):
        element = f"{key}[{', '.join('0' * len(shape))}]" if shape else key
        raise ArgumentError(
            f"the covariance names {name!r}, and {key} has shape {shape}; name its elements, such "
            f"as {element!r}."
        )
    return key, int(np.ravel_multi_index(index, shape)) if shape else 0


def _owned(places: Sequence[tuple[str, int]]) -> dict[str, tuple[list[int], list[int]]]:
    """Return, for each argument, the numbers of its rows and the elements that they are of."""
    found: dict[str, tuple[list[int], list[int]]] = {}
    for row, (key, element) in enumerate(places):
        rows, elements = found.setdefault(key, ([], []))
        rows.append(row)
        elements.append(element)
    return found


def _stds(
    shapes: Mapping[str, tuple[int, ...]],
    places: Sequence[tuple[str, int]],
    dims: tuple[str, ...],
    deviations: np.ndarray,
) -> Iterator[tuple[str, Any]]:
    lead = deviations.shape[:-1]
    for key, (rows, elements) in _owned(places).items():
        whole = np.zeros((*lead, prod(shapes[key])))
        whole[..., elements] = deviations[..., rows]
        yield key, _swept(dims, whole.reshape((*lead, *shapes[key])))


def _correlations(
    shapes: Mapping[str, tuple[int, ...]],
    places: Sequence[tuple[str, int]],
    dims: tuple[str, ...],
    correlations: np.ndarray,
) -> Iterator[tuple[tuple[str, str], Any]]:
    lead = correlations.shape[:-2]
    owned = _owned(places)
    for a, b in combinations_with_replacement(owned, 2):
        (rows, of_a), (columns, of_b) = owned[a], owned[b]
        whole = np.zeros((*lead, prod(shapes[a]), prod(shapes[b])))
        (a_side, b_side), (down, across) = np.ix_(of_a, of_b), np.ix_(rows, columns)
        whole[..., a_side, b_side] = correlations[..., down, across]
        if a == b:  # whatever is exact is no less itself
            whole[..., range(whole.shape[-1]), range(whole.shape[-1])] = 1.0
        if whole.any() and (a != b or shapes[a]):
            yield (a, b), _swept(dims, whole.reshape((*lead, *shapes[a], *shapes[b])))


def _swept(dims: tuple[str, ...], values: np.ndarray) -> Any:
    return (dims, values) if dims else values
