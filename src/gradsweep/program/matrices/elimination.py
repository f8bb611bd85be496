"""Triangular systems, and Cholesky's factor.

A system with many right sides is a Loop, whose every step solves for one of them.
Knows nothing of frameworks.
"""

import numpy as np

from gradsweep.program.arrays import Variables, elementwise, zeros
from gradsweep.program.builder import Builder
from gradsweep.program.rolled_loops import MOST_UNROLLED, Operands, Step, find_body

__all__ = ["LARGEST_SYSTEM", "LARGEST_TRIANGLE", "cholesky", "substitute"]

# Equations grow with n**3, pivoting by selects among them: beyond this LAPACK is the better engine.
LARGEST_SYSTEM = 32

# Equations grow with n**3, and beyond this the framework's LAPACK is the better engine.
LARGEST_TRIANGLE = 32


def substitute(
    b: Builder, matrix: Variables, columns: Variables, lower: bool, unit: bool = False
) -> Variables:
    """Return X with T X = B, for a triangle T of a matrix.

    Args:
        matrix: (n, n); its other triangle is not read.
        columns: B, (n, m).
        lower: whether T is the lower triangle.
        unit: whether the diagonal of T is 1, whatever stands there.
    """
    n, m = columns.shape
    is_long = m > 1 and n * n * m > MOST_UNROLLED
    if is_long and not any(map(b.is_complex, (*matrix.flat, *columns.flat))):
        return _column_by_column(b, matrix, columns, lower, unit)
    return _written_out(b, matrix, columns, lower, unit)


def _written_out(
    b: Builder, matrix: Variables, columns: Variables, lower: bool, unit: bool
) -> Variables:
    n = len(matrix)
    x = np.array(columns)
    for i in range(n) if lower else reversed(range(n)):
        for k in range(i) if lower else range(i + 1, n):
            x[i] = elementwise(b, "sub", x[i], elementwise(b, "mul", matrix[i, k], x[k]))
        if not unit:
            x[i] = elementwise(b, "div", x[i], matrix[i, i])
    return x


def _column_by_column(
    b: Builder, matrix: Variables, columns: Variables, lower: bool, unit: bool
) -> Variables:
    n, m = columns.shape
    triangle = np.tril_indices(n, -1 if unit else 0)
    triangle = triangle if lower else triangle[::-1]

    def write(inner: Builder, carries: list[int], given: list[int], row: list[int]) -> Step:
        inside = np.zeros((n, n), dtype=np.int64)
        inside[triangle] = given
        solved = _written_out(inner, inside, np.array(row)[:, None], lower, unit)
        return Step([], solved[:, 0].tolist())

    operands = Operands([], matrix[triangle].tolist(), columns.tolist())
    _, solved = find_body(b, write, operands, m, ()).roll(b)
    return np.array([solved[i] for i in range(n)], dtype=np.int64)


def cholesky(b: Builder, a: Variables) -> tuple[Variables, int]:
    """Return L with A = L L*, column by column, and whether A is positive definite.

    Args:
        a: (n, n), symmetric or Hermitian; its upper triangle is not read.
    """
    n, dtype = len(a), b.dtype(int(a.flat[0]))
    rows: list[list[int]] = zeros(b, a.shape, dtype).tolist()
    is_definite = b.constant(True, "bool")
    for j in range(n):
        for i in range(j, n):
            entry = int(a[i, j])
            for k in range(j):
                entry = b.emit("sub", entry, _times_conjugate(b, rows[i][k], rows[j][k]))
            if i == j:
                square, *_ = b.parts(entry)  # a Hermitian matrix has a real diagonal
                is_positive = b.emit("gt", square, b.constant(0, b.dtype(square)))
                is_definite = b.emit("and", is_definite, is_positive)
                rows[i][j] = b.cast(b.emit("sqrt", square), dtype)
            else:
                rows[i][j] = b.emit("div", entry, rows[j][j])
    return np.array(rows, dtype=np.int64), is_definite


def _times_conjugate(b: Builder, x: int, y: int) -> int:
    return b.emit("mul", x, b.emit("conj", y) if b.is_complex(y) else y)
