"""Matrices as lists of columns of Reals, and what all algorithms do with them.

Knows nothing of frameworks.
"""

from collections.abc import Callable, Sequence

import numpy as np

from gradsweep.program.arrays import Variables
from gradsweep.program.builder import Builder
from gradsweep.program.complex_numbers.number import Real, where
from gradsweep.program.rolled_loops import MOST_UNROLLED, Operands, Step, find_body

__all__ = [
    "ABOUT_AS_LARGE",
    "Column",
    "columns_of",
    "dot",
    "exchanged",
    "identity",
    "joined",
    "nothing",
    "repeated",
    "scaled",
    "signed",
]

Column = list[Real]

# Entries of a vector that are nearly as large as the largest one count as large, so that rounding
# does not decide which of (1, -1) is the larger one.
ABOUT_AS_LARGE = 0.9


def columns_of(b: Builder, matrix: Variables) -> list[Column]:
    return [[Real(b, v) for v in column] for column in matrix.T.tolist()]


def joined(columns: Sequence[Column]) -> Variables:
    """Return the matrix of some columns."""
    return np.array([[e.variable for e in column] for column in columns], dtype=np.int64).T


def nothing(like: Real) -> Real:
    """Return a structural zero."""
    return Real(like.builder, like.builder.structural_zero(like.dtype))


def identity(like: Real, n: int, n_columns: int) -> list[Column]:
    """Return the first columns of the identity, whose zeros are structural."""
    one, zero = like.lift(1.0), nothing(like)
    return [[one if i == j else zero for i in range(n)] for j in range(n_columns)]


def dot(x: Sequence[Real], y: Sequence[Real]) -> Real:
    total = x[0] * y[0]
    for left, right in zip(x[1:], y[1:]):
        total = total + left * right
    return total


def scaled(columns: Sequence[Column]) -> tuple[list[Column], Real]:
    """Divide a matrix by its largest entry, so that no square overflows; return that too."""
    entries = [entry for column in columns for entry in column]
    size = abs(entries[0])
    for entry in entries[1:]:
        size = size.apply("max", abs(entry))
    size = where(size.equals(0.0), 1.0, size)
    return [[entry / size for entry in column] for column in columns], size


def exchanged(condition: Real, x: Column, y: Column) -> tuple[Column, Column]:
    """Exchange two columns where a condition holds."""
    first = [where(condition, right, left) for left, right in zip(x, y)]
    second = [where(condition, left, right) for left, right in zip(x, y)]
    return first, second


def signed(vector: Column, *others: Column) -> list[Column]:
    """Choose a vector's sign, so that the first of its largest entries is positive.

    Returns:
        The vector and the others, all multiplied by 1 or -1.
    """
    leading = vector[0]
    for entry in vector[1:]:
        leading = where(abs(entry) * ABOUT_AS_LARGE > abs(leading), entry, leading)
    sign = leading.lift(1.0).copysign(leading)
    return [[entry * sign for entry in column] for column in (vector, *others)]


def repeated(
    b: Builder, step: Callable[[list[Real]], list[Real]], state: Sequence[Real], n_steps: int
) -> list[Real]:
    """Repeat a step, as a Loop where all steps written out would be long."""

    def write(inner: Builder, carries: list[int], given: list[int], row: list[int]) -> Step:
        return Step([e.variable for e in step([Real(inner, v) for v in carries])], [])

    if not n_steps:
        return list(state)
    initial = [entry.variable for entry in state]
    body = find_body(b, write, Operands(initial, [], []), n_steps, range(len(initial)))
    if body.n_computed > MOST_UNROLLED:
        carries, _ = body.roll(b)
        return [Real(b, carries[k]) for k in range(len(initial))]
    entries = list(state)
    for _ in range(n_steps):
        entries = step(entries)
    return entries
