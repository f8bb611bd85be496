"""Orthogonal factors by Householder's reflections, with LAPACK's signs.

Knows nothing of frameworks.

Reference: Anderson et al. (1999), LAPACK Users' Guide: geqrf and larfg.
"""

from collections.abc import Sequence
from typing import NamedTuple

from gradsweep.program.arrays import Variables
from gradsweep.program.builder import Builder
from gradsweep.program.complex_numbers.number import Real, where
from gradsweep.program.matrices.grids import (
    Column,
    columns_of,
    dot,
    identity,
    joined,
    nothing,
    scaled,
)

__all__ = ["MOST_REFLECTED", "orthonormal", "qr"]

# The most entries of a matrix whose columns are reflected one after another.
MOST_REFLECTED = 256

# A sum of squares up to this, beside a largest entry of 1, has lost digits to underflow. What it
# stands for is nothing beside that entry.
_UNDERFLOW = {"float64": 2.0**-1000, "float32": 2.0**-120}


class _Reflection(NamedTuple):
    """1 - factor v v', where v is 1 at row `first`, and `below` further down."""

    first: int
    below: Column
    factor: Real

    def __call__(self, column: Column) -> Column:
        above, (top, *rest) = column[: self.first], column[self.first :]
        change = self.factor * (top + dot(self.below, rest))
        return [*above, top - change, *(e - v * change for e, v in zip(rest, self.below))]


def qr(b: Builder, matrix: Variables, full: bool = False) -> tuple[Variables, Variables]:
    """Return Q and R of a matrix A = Q R.

    Args:
        matrix: (m, n), neither of them 0.
        full: whether Q is square, rather than as narrow as the smaller dim.
    """
    m, n = matrix.shape
    k = m if full else min(m, n)
    columns, size = scaled(columns_of(b, matrix))
    reflections, columns = _reflected(columns)
    zero = nothing(size)
    triangle = [
        [entry * size if i <= j else zero for i, entry in enumerate(column[:k])]
        for j, column in enumerate(columns)
    ]
    return joined(_product(reflections, size, m, k)), joined(triangle)


def orthonormal(columns: Sequence[Column], n_columns: int) -> list[Column]:
    """Return orthonormal columns: the directions of some orthogonal ones, and more to fill up.

    A column of zeros has any direction orthogonal to the others.

    Args:
        columns: ordered by length, the longest first.
        n_columns: how many to return, at least as many.
    """
    like = columns[0][0]
    reflections, triangle = _reflected(columns)
    found = _product(reflections, like, len(columns[0]), n_columns)
    for k, column in enumerate(triangle):
        sign = like.lift(1.0).copysign(column[k])
        found[k] = [entry * sign for entry in found[k]]
    return found


def _reflected(columns: Sequence[Column]) -> tuple[list[_Reflection], list[Column]]:
    """Return the reflections that make a matrix triangular, and it."""
    reflections, remaining = [], [list(column) for column in columns]
    for k in range(min(len(columns), len(columns[0]) - 1)):
        alpha, *below = remaining[k][k:]
        if all(entry.is_zero for entry in below):
            continue
        squares = dot(below, below)
        is_done = squares.apply("le", _UNDERFLOW[squares.dtype])
        beta = -((alpha * alpha + squares).apply("sqrt").copysign(alpha))
        factor = where(is_done, 0.0, (beta - alpha) / beta)
        scale = where(is_done, 0.0, 1.0 / (alpha - beta))
        reflection = _Reflection(k, [entry * scale for entry in below], factor)
        reflections.append(reflection)
        remaining[k] = [*remaining[k][:k], where(is_done, alpha, beta), *below]
        remaining[k + 1 :] = [reflection(column) for column in remaining[k + 1 :]]
    return reflections, remaining


def _product(
    reflections: Sequence[_Reflection], like: Real, m: int, n_columns: int
) -> list[Column]:
    """Return the first columns of a product of reflections."""
    columns = identity(like, m, n_columns)
    for reflection in reversed(reflections):
        columns = [reflection(column) for column in columns]
    return columns
