"""Eigenvalues of symmetric matrices, and singular values, by Jacobi's rotations.

Every pair of columns is rotated in turn, sweep after sweep; the number of sweeps is fixed, so that
one Program holds at every point. Rotations converge quadratically, and keep the digits of small
singular values that a product A' A loses.
Knows nothing of frameworks.

References: Rutishauser (1966), "The Jacobi method for real symmetric matrices"; Hestenes (1958),
"Inversion of matrices by biorthogonalization"; de Rijk (1989), "A one-sided Jacobi algorithm for
computing the singular value decomposition on a vector computer".
"""

import math
from itertools import combinations
from typing import NamedTuple

from gradsweep.program.arrays import Variables
from gradsweep.program.builder import Builder
from gradsweep.program.complex_numbers.number import Real, where
from gradsweep.program.matrices.grids import (
    Column,
    columns_of,
    dot,
    exchanged,
    identity,
    joined,
    nothing,
    repeated,
    scaled,
    signed,
)
from gradsweep.program.matrices.reflections import orthonormal

__all__ = ["LARGEST_ROTATED", "eigen", "singular"]

# The most columns. A sweep takes equations as the cube of them.
LARGEST_ROTATED = 8

# How many sweeps reach the last digit, by the number of columns: one more than thousands of
# matrices needed, graded ones, integers and repeated eigenvalues among them.
_SWEEPS = {1: 0, 2: 1, 3: 5, 4: 6, 5: 7, 6: 8, 7: 10, 8: 10}
_ONE_SIDED_SWEEPS = {1: 0, 2: 3, 3: 5, 4: 6, 5: 8, 6: 8, 7: 9, 8: 10}

# What is smaller than this, beside the entries it comes from, is rounding. To rotate by it would
# turn equal eigenvalues' vectors about each other, and undo what other rotations did.
_ROUNDING = {"float64": 2.0**-55, "float32": 2.0**-26}


class _Rotation(NamedTuple):
    """A rotation: its tangent, its sine, and the tangent of half its angle."""

    tangent: Real
    sine: Real
    half: Real

    def __call__(self, x: Real, y: Real) -> tuple[Real, Real]:
        return x - self.sine * (y + self.half * x), y + self.sine * (x - self.half * y)

    def columns(self, x: Column, y: Column) -> tuple[Column, Column]:
        pairs = [self(left, right) for left, right in zip(x, y)]
        return [left for left, _ in pairs], [right for _, right in pairs]


def _rotation(difference: Real, twice: Real, is_nothing: Real) -> _Rotation:
    """Return the smaller rotation whose doubled angle has the cotangent difference / twice.

    Args:
        is_nothing: where not to rotate.
    """
    cotangent = difference / twice
    root = (cotangent * cotangent + 1.0).apply("sqrt")
    tangent = cotangent.lift(1.0).copysign(cotangent) / (abs(cotangent) + root)
    tangent = where(is_nothing, 0.0, tangent)
    cosine = 1.0 / (tangent * tangent + 1.0).apply("sqrt")
    sine = tangent * cosine
    return _Rotation(tangent, sine, sine / (cosine + 1.0))


def eigen(b: Builder, matrix: Variables, lower: bool = True) -> tuple[Variables, Variables]:
    """Return the eigenvalues of a symmetric matrix, ascending, and its eigenvectors as columns.

    The first of the largest entries of each vector is positive.

    Args:
        matrix: (n, n).
        lower: whether its lower triangle is read, or the upper one.
    """
    n = len(matrix)
    triangle = columns_of(b, matrix if lower else matrix.T)
    below = [(i, j) for j in range(n) for i in range(j, n)]
    vectors = identity(triangle[0][0], n, n)
    start = {(i, j): triangle[j][i] for i, j in below}
    least = _least(start, n)
    state = [*start.values(), *(entry for v in vectors for entry in v), *least]

    def sweep(state: list[Real]) -> list[Real]:
        entries = dict(zip(below, state))
        vectors, least = _split(state[len(below) : -n], n), state[-n:]
        for p, q in combinations(range(n), 2):
            _diagonalize(entries, vectors, p, q, least[p].apply("min", least[q]))
        return [*entries.values(), *(entry for v in vectors for entry in v), *least]

    state = repeated(b, sweep, state, _SWEEPS[n])
    entries = dict(zip(below, state))
    values = [entries[i, i] for i in range(n)]
    # The values stand above the vectors, and are exchanged with them.
    both = [[value, *v] for value, v in zip(values, _split(state[len(below) : -n], n))]
    for end in range(n - 1, 0, -1):
        for i in range(end):
            both[i], both[i + 1] = exchanged(both[i][0] > both[i + 1][0], both[i], both[i + 1])
    vectors = [signed(v)[0] for _, *v in both]
    return joined([[value for value, *_ in both]])[:, 0], joined(vectors)


def _least(entries: dict[tuple[int, int], Real], n: int) -> list[Real]:
    """Return how large the entries of each row of a lower triangle are, times rounding.

    Where a row holds infinity it is NaN, so that nothing in it is taken for rounding.
    """
    found = []
    for row in range(n):
        size, *others = (abs(entry) for place, entry in entries.items() if row in place)
        for other in others:
            size = size.apply("max", other)
        least = size * _ROUNDING[size.dtype]
        found.append(where(size.apply("isfinite"), least, math.nan))
    return found


def _split(entries: list[Real], n: int) -> list[Column]:
    return [entries[first : first + n] for first in range(0, len(entries), n)]


def _diagonalize(
    entries: dict[tuple[int, int], Real], vectors: list[Column], p: int, q: int, least: Real
) -> None:
    """Rotate rows and columns p < q of a lower triangle, so that their common entry becomes 0.

    Args:
        least: a common entry up to this size is dropped.
    """
    common = entries[q, p]
    if common.is_zero:
        return
    difference = entries[q, q] - entries[p, p]
    rotation = _rotation(difference, common + common, abs(common).apply("le", least))
    change = rotation.tangent * common
    entries[p, p], entries[q, q] = entries[p, p] - change, entries[q, q] + change
    entries[q, p] = nothing(common)
    for r in range(len(vectors)):
        if r not in (p, q):
            at_p, at_q = (max(r, p), min(r, p)), (max(r, q), min(r, q))
            entries[at_p], entries[at_q] = rotation(entries[at_p], entries[at_q])
    vectors[p], vectors[q] = rotation.columns(vectors[p], vectors[q])


def singular(
    b: Builder, matrix: Variables, full: bool = False
) -> tuple[Variables, Variables, Variables]:
    """Return U, the singular values, descending, and V' of a matrix A = U S V'.

    The first of the largest entries of each column of U is positive.

    Args:
        matrix: (m, n), neither of them 0.
        full: whether U and V are square, rather than as narrow as the smaller dim.
    """
    m, n = matrix.shape
    if m >= n:
        left, values, right = _tall(b, matrix, full)
    else:
        right, values, left = _tall(b, matrix.T, full)
    for k in range(len(values)):
        left[k], right[k] = signed(left[k], right[k])
    return joined(left), joined([values])[:, 0], joined(right).T


def _tall(b: Builder, matrix: Variables, full: bool) -> tuple[list[Column], Column, list[Column]]:
    """Return the columns of U, the singular values and the columns of V, for m >= n."""
    m, n = matrix.shape
    columns, size = scaled(columns_of(b, matrix))
    # V stands below A, and is rotated with it.
    both = [top + v for top, v in zip(columns, identity(size, n, n))]

    def sweep(state: list[Real]) -> list[Real]:
        both = _split(state, m + n)
        for p, q in combinations(range(n), 2):
            both[p], both[q] = _orthogonal(both[p], both[q], m)
        return [entry for column in both for entry in column]

    state = repeated(b, sweep, [e for column in both for e in column], _ONE_SIDED_SWEEPS[n])
    both = _split(state, m + n)
    columns = [column[:m] for column in both]
    values = [dot(column, column).apply("sqrt") * size for column in columns]
    # Dividing by the values would leave no vectors where they are 0.
    return orthonormal(columns, m if full else n), values, [column[m:] for column in both]


def _orthogonal(x: Column, y: Column, m: int) -> tuple[Column, Column]:
    """Rotate two columns, the longer one to the front, so that their first m entries are
    orthogonal."""
    squares, others = dot(x[:m], x[:m]), dot(y[:m], y[:m])
    is_shorter = squares < others
    x, y = exchanged(is_shorter, x, y)
    product = dot(x[:m], y[:m])
    if product.is_zero:
        return x, y
    difference = where(is_shorter, squares - others, others - squares)
    least = (squares * others).apply("sqrt") * _ROUNDING[product.dtype]
    is_nothing = abs(product).apply("le", least)
    return _rotation(difference, product + product, is_nothing).columns(x, y)
