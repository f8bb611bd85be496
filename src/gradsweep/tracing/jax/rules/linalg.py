"""Small linear algebra, unrolled.

Matrices stand in the last two dims; the others are a batch.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from gradsweep.program.arrays import Variables, elementwise
from gradsweep.program.builder import Builder
from gradsweep.program.matrices.elimination import (
    LARGEST_SYSTEM,
    LARGEST_TRIANGLE,
    cholesky,
    substitute,
)
from gradsweep.program.matrices.reflections import MOST_REFLECTED, qr
from gradsweep.program.matrices.rotations import LARGEST_ROTATED, eigen, singular
from gradsweep.support.errors import NotAProgram
from gradsweep.tracing.jax.rules.elementwise import Rule

__all__ = ["LINALG"]

# The names of the algorithms that JAX takes from LAPACK.
_LAPACKS = ("DEFAULT", "QR")


def _refuse_large(matrix: Variables, what: str, most: int) -> None:
    if max(matrix.shape[-2:]) > most:
        raise NotAProgram(f"it contains {what} of order {max(matrix.shape[-2:])}")


def _triangular_solve(b: Builder, equation: Any, a: Variables, rhs: Variables) -> Variables:
    """Solve A X = B, or X A = B, by substitution."""
    params = equation.params
    _refuse_large(a, "a triangular solve", LARGEST_TRIANGLE)
    lower = params["lower"]
    if params["conjugate_a"]:
        a = elementwise(b, "conj", a)
    if params["transpose_a"]:
        a, lower = np.swapaxes(a, -1, -2), not lower
    if not params["left_side"]:
        # X A = B is A' X' = B'.
        a, lower, rhs = np.swapaxes(a, -1, -2), not lower, np.swapaxes(rhs, -1, -2)
    x = np.array(rhs)
    for index in np.ndindex(a.shape[:-2]):
        x[index] = substitute(b, a[index], x[index], lower, params["unit_diagonal"])
    return x if params["left_side"] else np.swapaxes(x, -1, -2)


def _lu(b: Builder, equation: Any, a: Variables) -> list[Variables]:
    """Factor P A = L U, choosing the largest pivot at every point (LAPACK's getrf)."""
    _refuse_large(a, "an LU factorisation", LARGEST_SYSTEM)
    batch, (m, n) = a.shape[:-2], a.shape[-2:]
    factors = np.array(a)
    pivots = np.empty((*batch, min(m, n)), dtype=np.int64)
    order = np.broadcast_to(b.constants(np.arange(m), "int64"), (*batch, m)).copy()
    for index in np.ndindex(batch):
        # The rows with their numbers at the end, which are exchanged together.
        rows = np.concatenate([factors[index], order[index][:, None]], axis=1)
        pivots[index] = [_eliminate(b, rows, k, n) for k in range(min(m, n))]
        factors[index], order[index] = rows[:, :n], rows[:, n]
    return [factors, pivots, order]


def _size(b: Builder, entry: int) -> int:
    """Write |x| + |y| of x + i y, by which LAPACK chooses a pivot."""
    first, *others = [b.emit("abs", part) for part in b.parts(entry)]
    return b.emit("add", first, *others) if others else first


def _eliminate(b: Builder, rows: Variables, k: int, n: int) -> int:
    """Do step k of Gaussian elimination in place; return the variable of the row chosen."""
    below = range(k + 1, len(rows))
    chosen, largest = b.constant(k, "int64"), _size(b, rows[k, k])
    for i in below:
        size = _size(b, rows[i, k])
        larger = b.emit("gt", size, largest)
        chosen = b.emit("select", larger, b.constant(i, "int64"), chosen)
        largest = b.emit("select", larger, size, largest)
    top = np.array(rows[k])
    for i in below:
        here = np.array(b.emit("eq", chosen, b.constant(i, "int64")))
        rows[k] = elementwise(b, "select", here, rows[i], rows[k])
        rows[i] = elementwise(b, "select", here, top, rows[i])
    pivot = rows[k, k]
    # When the largest entry is zero, the whole column is zero and stays so.
    singular = b.emit("eq", pivot, b.constant(0, b.dtype(pivot)))
    for i in below:
        factor = b.emit("select", singular, rows[i, k], b.emit("div", rows[i, k], pivot))
        rows[i, k] = factor
        for j in range(k + 1, n):
            rows[i, j] = b.emit("sub", rows[i, j], b.emit("mul", factor, rows[k, j]))
    return chosen


def _cholesky(b: Builder, equation: Any, a: Variables) -> Variables:
    """Factor A = L L*, column by column; NaN throughout when A is not positive definite."""
    _refuse_large(a, "a Cholesky factorisation", LARGEST_TRIANGLE)
    result = np.empty_like(a)
    below = np.tril_indices(a.shape[-1])
    for index in np.ndindex(a.shape[:-2]):
        lower, is_definite = cholesky(b, a[index])
        undefined = np.array(b.constant(np.nan, b.dtype(int(lower[0, 0]))))
        lower[below] = elementwise(b, "select", np.array(is_definite), lower[below], undefined)
        result[index] = lower
    return result


def _eigh(b: Builder, equation: Any, a: Variables) -> list[Variables]:
    """Return eigenvectors and eigenvalues, which are always sorted on a CPU."""
    _require_default(equation, "subset_by_index", (0, a.shape[-1]))
    _require_default(equation, "algorithm")
    _refuse(max(a.shape[-2:]) > LARGEST_ROTATED, a, "eigenvalues")
    _refuse_complex(b, a, "eigenvalues")
    values, vectors = _of_each(partial(eigen, b, lower=equation.params["lower"]), a)
    return [vectors, values]


def _svd(b: Builder, equation: Any, a: Variables) -> list[Variables]:
    smaller, larger = sorted(a.shape[-2:])
    _require_default(equation, "subset_by_index", (0, smaller))
    _require_default(equation, "algorithm")
    too_large = smaller > LARGEST_ROTATED or smaller * larger > MOST_REFLECTED
    _refuse(too_large, a, "singular values")
    _refuse_complex(b, a, "singular values")
    full, with_vectors = equation.params["full_matrices"], equation.params["compute_uv"]
    u, values, vh = _of_each(partial(singular, b, full=full), a)
    return [values, u, vh] if with_vectors else [values]


def _qr(b: Builder, equation: Any, a: Variables) -> list[Variables]:
    _require_default(equation, "pivoting", False)
    _require_default(equation, "use_magma", False)
    _refuse(a.shape[-2] * a.shape[-1] > MOST_REFLECTED, a, "the QR factors")
    _refuse_complex(b, a, "the QR factors")
    return _of_each(partial(qr, b, full=equation.params["full_matrices"]), a)


def _refuse_complex(b: Builder, a: Variables, what: str) -> None:
    if any(map(b.is_complex, a.flat)):
        raise NotAProgram(f"it computes {what} of a complex matrix")


def _of_each(core: Callable, a: Variables) -> list[Variables]:
    """Apply a function to each matrix of a batch."""
    batch = a.shape[:-2]
    found = [core(a[index]) for index in np.ndindex(batch)]
    return [np.reshape(each, (*batch, *each[0].shape)) for each in zip(*found)]


def _refuse(is_large: bool, a: Variables, what: str) -> None:
    if is_large or 0 in a.shape:
        m, n = a.shape[-2:]
        raise NotAProgram(f"it takes {what} of a matrix of {m} x {n}")


def _require_default(equation: Any, name: str, default: Any = None) -> None:
    value = equation.params[name]
    if value is not None and value != default and getattr(value, "name", "") not in _LAPACKS:
        raise NotAProgram(f"it uses {equation.primitive.name} with {name}={value}")


LINALG: dict[str, Rule] = {
    "eigh": _eigh,
    "svd": _svd,
    "qr": _qr,
    "triangular_solve": _triangular_solve,
    "lu": _lu,
    "cholesky": _cholesky,
}
