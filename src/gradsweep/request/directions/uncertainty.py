"""Read how uncertain the arguments are: their stds, and how they vary together.

What a user wrote enters. A leaf leaves for each group of arguments that are correlated, with a
factor of its correlation matrix. Everything is checked here, at every point, before anything is
computed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from gradsweep.request.argument import Argument, at_place, labels_along, require_same_coordinates
from gradsweep.request.directions.reading import read_direction
from gradsweep.request.function import BoundFunction
from gradsweep.request.lazy import load
from gradsweep.request.leaf import Leaf, axes_of, spread, union
from gradsweep.request.named.arguments import require_argument
from gradsweep.request.quantities import correlation_key
from gradsweep.support.errors import ArgumentError, SweepError, nearest
from gradsweep.support.words import listed

__all__ = ["read_correlations", "require_stds", "require_uncertain"]

_EPSILON = float(np.finfo(np.float64).eps)

# Correlations that were computed may exceed 1 by rounding, as np.corrcoef's do.
_ROUNDING = 8 * _EPSILON

# How many numbers of a long axis are looked at at a time.
_MOST_AT_ONCE = 2**20

Shapes = Mapping[str, tuple[int, ...]]
Labels = Mapping[str, np.ndarray]


class _Pair(NamedTuple):
    """The correlation of two arguments.

    Attributes:
        values: shape (*dims, elements of a, elements of b).
        read: as it was given, with its labels.
    """

    a: str
    b: str
    dims: tuple[str, ...]
    values: np.ndarray
    read: Argument


def require_uncertain(bound: BoundFunction, names: Iterable[str], order: Any) -> None:
    """Check that the arguments which have a std are real numbers, and the order is one.

    Raises:
        ArgumentError: when there is none, one is no number, or the order is neither 1 nor 2.
        SweepError: when one is complex.
    """
    if isinstance(order, bool) or order not in (1, 2):
        raise ArgumentError(f"uncertainty is of order 1 or 2, not {order!r}.")
    names = list(names)
    if not names:
        raise ArgumentError("the std is empty; name what is uncertain, such as std={'S': 0.5}.")
    for name in names:
        held = require_argument(bound, name, "the std names")
        argument = bound.sweep.arguments[held].promoted(name)
        numbers = [leaf for leaf in argument.leaves if leaf.dtype != "bool"]
        if argument.categories is not None or not numbers:
            raise ArgumentError(
                f"the std names {name!r}, which is no number ({argument.written}) and has no "
                f"uncertainty; leave it out."
            )
        if any(leaf.is_complex for leaf in numbers):
            raise SweepError(
                f"the std names {name!r}, which is complex; give its real and its imaginary part "
                f"as arguments of their own, each with a std."
            )


def require_stds(stds: Mapping[str, Leaf], beside: Iterable[Argument]) -> None:
    """Check that no standard deviation is negative, infinite or NaN; 0 means exact.

    Args:
        stds: the leaves by the key of what they are the std of.
        beside: the arguments and their stds, by whose labels a place is named.

    Raises:
        SweepError: which names the first, and its place.
    """
    labels = labels_along(beside)
    for key, leaf in stds.items():
        for part, (dims, values) in enumerate(leaf.parts or ((leaf.dims, leaf.values),)):
            name = f"{key}[{part}]" if leaf.parts else key
            for place, value in _first_where(values, _is_no_std):
                raise SweepError(
                    f"the std of {name!r} is {value:g}{at_place(place, dims, labels)}; a standard "
                    f"deviation is 0 or more, and finite."
                )


def read_correlations(
    shapes: Shapes, given: Any, beside: Sequence[Argument]
) -> dict[tuple[str, ...], Leaf]:
    """Return, for each group of arguments that vary together, a factor of their correlation.

    Args:
        shapes: of the arguments that have a std, by key, in order.
        given: by pair of their names: a number for all their elements, an array of the shapes of
            both, or either swept, `("quote", r)`. A pair of an array argument with itself gives the
            correlation matrix of its elements, or one number for any two of them. Pairs that
            are left out have none.
        beside: the arguments and their stds, whose labels those of correlations have to be.

    Returns:
        By group, a leaf of shape (n, n), n elements in all: B, with B B' their correlation
        matrix. From its own factor a variance is a sum of squares, which rounding makes neither
        negative nor, where correlations of 1 and -1 cancel, larger than it is.

    Raises:
        ArgumentError: when a pair names what has no std.
        SweepError: when a correlation has a wrong form or other labels, is outside [-1, 1], is
            given twice with other values, or the matrix is not positive semidefinite; the point is
            named.
    """
    labels = labels_along(beside)
    pairs = _pairs(shapes, {} if given is None else given, labels)
    require_same_coordinates([*beside, *(pair.read for pair in pairs.values())])
    found = {}
    for group in _groups(list(shapes), pairs):
        own = [pair for (a, _), pair in pairs.items() if a in group]
        dims, matrix = _matrix(group, shapes, own)
        key = correlation_key(group)
        found[group] = Leaf(key, dims, matrix.shape[-2:], _factor(group, dims, matrix, labels))
    return found


def _pairs(shapes: Shapes, given: Any, labels: Labels) -> dict[tuple[str, str], _Pair]:
    """Return what is given, each pair once."""
    if not isinstance(given, Mapping):
        raise SweepError(
            f"the correlation must be a mapping by pairs of names, such as {{('S', 'sigma'): -0.7}}"
            f"; it is a {type(given).__name__}."
        )
    order, found = list(shapes), dict[tuple[str, str], _Pair]()
    for names, value in given.items():
        if not (isinstance(names, tuple) and len(names) == 2):
            raise SweepError(f"the correlation names {names!r}; name a pair, ('S', 'sigma').")
        for name in names:
            if name not in shapes:
                raise ArgumentError(
                    f"the correlation names {name!r}, which has no std; {listed(order)} "
                    f"{'has' if len(order) == 1 else 'have'}.{nearest(name, order)}"
                )
        pair = _read(names, shapes, value, labels)
        if order.index(pair.a) > order.index(pair.b):
            pair = _Pair(pair.b, pair.a, pair.dims, pair.values.swapaxes(-1, -2), pair.read)
        known = found.setdefault((pair.a, pair.b), pair)
        if known.dims != pair.dims or not np.array_equal(known.values, pair.values):
            raise SweepError(
                f"the correlation of {listed([*map(repr, names)])} is given twice, with other "
                f"values; give it once."
            )
    return found


def _read(names: tuple[str, str], shapes: Shapes, value: Any, labels: Labels) -> _Pair:
    """Read the correlation of one pair, and check each number of it."""
    a, b = names
    read = read_direction("correlation", listed(names), value, None)
    (leaf,) = read.leaves
    said = f"the correlation of {listed([*map(repr, names)])}"
    if leaf.is_complex:
        raise SweepError(f"{said} is complex.")
    if leaf.shape not in ((), (*shapes[a], *shapes[b])):
        raise SweepError(
            f"{said} has shape {leaf.shape}; give a number, or shape {(*shapes[a], *shapes[b])}, "
            f'or name the dims that it is swept along: ("dim", values).'
        )
    values = leaf.whole()
    for place, number in _first_where(values, lambda array: ~(abs(array) <= 1 + _ROUNDING)):
        at = at_place(place, leaf.dims, labels)
        raise SweepError(f"{said} is {number:g}{at}; it lies between -1 and 1.")
    lengths = values.shape[: len(leaf.dims)]
    n_a, n_b = prod(shapes[a]), prod(shapes[b])
    matrix = np.clip(values, -1, 1).reshape(*lengths, *((n_a, n_b) if leaf.shape else (1, 1)))
    matrix = np.broadcast_to(matrix, (*lengths, n_a, n_b))
    if a != b:
        return _Pair(a, b, leaf.dims, matrix, read)
    if not leaf.shape and n_a > 1:
        matrix = np.where(np.eye(n_a, dtype=bool), 1.0, matrix)
    has_ones = np.all(np.diagonal(matrix, axis1=-2, axis2=-1) == 1)
    if not has_ones or not np.array_equal(matrix, matrix.swapaxes(-1, -2)):
        raise SweepError(f"{said} must be symmetric, and 1 on its diagonal.")
    return _Pair(a, b, leaf.dims, matrix, read)


def _groups(keys: Sequence[str], pairs: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Return which arguments are correlated, directly or by way of others; in order."""
    group_of = {key: {key} for key in keys}
    alone = {a for a, b in pairs if a == b}
    for a, b in pairs:
        joint = group_of[a] | group_of[b]
        group_of |= dict.fromkeys(joint, joint)
    groups = dict.fromkeys(tuple(k for k in keys if k in group_of[key]) for key in keys)
    return [group for group in groups if len(group) > 1 or group[0] in alone]


def _matrix(
    group: Sequence[str], shapes: Shapes, pairs: Sequence[_Pair]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the correlation matrix of a group, and the dims that lead it."""
    dims = union(pair.dims for pair in pairs)
    named = [
        Leaf(f"correlation of {p.a} and {p.b}", p.dims, p.values.shape[-2:], p.values)
        for p in pairs
    ]
    sizes = axes_of(named)
    counts = {key: prod(shapes[key]) for key in group}
    ends = dict(zip(group, np.cumsum([*counts.values()]).tolist()))
    matrix = np.zeros((*(sizes[dim] for dim in dims), *[sum(counts.values())] * 2))
    matrix[..., :, :] = np.eye(matrix.shape[-1])
    for pair in pairs:
        a, b = (slice(ends[key] - counts[key], ends[key]) for key in (pair.a, pair.b))
        block = spread(pair.values, pair.dims, dims)
        matrix[..., a, b] = block
        matrix[..., b, a] = block.swapaxes(-1, -2)
    return dims, matrix


def _factor(
    group: Sequence[str], dims: tuple[str, ...], matrix: np.ndarray, labels: Labels
) -> np.ndarray:
    """Return B with B B' = R, for correlation matrices R: V sqrt(L), from R = V L V'.

    A Cholesky factor does not exist where R is singular, as with a correlation of -1.
    """
    if not matrix.size:
        return matrix
    n = matrix.shape[-1]
    eigenvalues, vectors = np.linalg.eigh(matrix)
    # eigh is right to about n rounding errors of the largest eigenvalue, which is n at most.
    for place, least in _first_where(eigenvalues[..., 0], lambda least: least < -16 * n * _EPSILON):
        at = at_place(place, dims, labels)
        raise SweepError(
            f"the correlation of {listed([*map(repr, group)])} is not positive semidefinite"
            f"{at}: the correlation matrix has an eigenvalue {least:.3g}. No variables vary "
            f"together so; pairs that are left out have the correlation 0."
        )
    roots = np.sqrt(np.where(eigenvalues > 4 * n * _EPSILON, eigenvalues, 0.0))
    return vectors * roots[..., None, :]


def _first_where(values: Any, wrong: Any) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yield the first number that is wrong, with its place; values that are lazy in pieces."""
    n_rows = values.shape[0] if values.ndim else 1
    step = max(1, _MOST_AT_ONCE // max(1, values.size // max(1, n_rows)))
    for start in range(0, n_rows, step):
        piece = load(values[start : start + step] if values.ndim else values)
        places = np.argwhere(np.atleast_1d(wrong(piece)))
        if len(places):
            place = tuple(places[0].tolist()) if values.ndim else ()
            whole = (place[0] + start, *place[1:]) if place else place
            yield whole, float(piece[place])
            return


def _is_no_std(array: np.ndarray) -> np.ndarray:
    return ~((array >= 0) & np.isfinite(array))
