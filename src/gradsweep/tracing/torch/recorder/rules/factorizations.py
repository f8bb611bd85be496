"""Decompositions of matrices, their exponential, and what is solved by them.

torch's rules of differentiation are ordinary operations on their results. The signs of eigenvectors
and singular vectors are free; those of the Program are given to the concrete ones too, so that
Python code sees what the Program computes.
"""

from collections.abc import Callable

import numpy as np
import torch

from gradsweep.program.arrays import count_products, matmul
from gradsweep.program.matrices.exponential import MOST_PRODUCTS, exponential
from gradsweep.program.matrices.grids import ABOUT_AS_LARGE
from gradsweep.program.matrices.reflections import MOST_REFLECTED, qr
from gradsweep.program.matrices.rotations import LARGEST_ROTATED, eigen, singular
from gradsweep.support.errors import NotAProgram
from gradsweep.tracing.torch.recorder.expression import Expression, where
from gradsweep.tracing.torch.recorder.rules.batches import of_each
from gradsweep.tracing.torch.recorder.rules.formulas import maximum

__all__ = ["RULES"]


def _require_small(fits: bool, what: str, matrix: Expression) -> None:
    if not fits or 0 in matrix.shape:
        m, n = matrix.shape
        raise NotAProgram(f"it takes {what} of a matrix of {m} x {n}")


def _all_of(matrix: Expression, *found: np.ndarray) -> tuple[Expression, ...]:
    return tuple(map(matrix.of, found))


def _turn(vectors: torch.Tensor, *others: torch.Tensor) -> None:
    """Choose the signs of concrete vectors, the columns, as the Program does; see `signed`.

    Args:
        others: columns that are multiplied by the same signs.
    """
    leading, *rest = vectors.unbind(-2)
    for row in rest:
        leading = torch.where(row.abs() * ABOUT_AS_LARGE > leading.abs(), row, leading)
    signs = torch.ones_like(leading).copysign(leading).unsqueeze(-2)
    for columns in (vectors, *others):
        columns *= signs


def _eigen(matrix: Expression, uplo: str) -> tuple[Expression, ...]:
    _require_small(len(matrix.variables) <= LARGEST_ROTATED, "eigenvalues", matrix)
    return _all_of(matrix, *eigen(matrix.builder, matrix.variables, uplo.upper() == "L"))


def _eigh(call, a, uplo="L", compute_v=True) -> tuple[Expression, ...]:
    values, vectors = of_each(_eigen, 2)(call, a, uplo)
    if not compute_v:
        return values, _empty(values)
    _turn(call.out[1])
    return values, vectors


def _empty(like: Expression) -> Expression:
    return like.of(np.empty(0, dtype=np.int64))


def _singular(matrix: Expression, full: bool) -> tuple[Expression, ...]:
    smaller, larger = sorted(matrix.shape)
    fits = smaller <= LARGEST_ROTATED and larger * smaller <= MOST_REFLECTED
    _require_small(fits, "singular values", matrix)
    return _all_of(matrix, *singular(matrix.builder, matrix.variables, full))


def _svd(call, a, full_matrices=False, compute_uv=True, *, driver=None) -> tuple[Expression, ...]:
    u, values, vh = of_each(_singular, 2)(call, a, full_matrices)
    if not compute_uv:
        return _empty(u), values, _empty(u)
    _, concrete, _ = call.out
    n = concrete.shape[-1]
    _turn(call.out[0][..., :n], call.out[2].mT[..., :n])
    return u, values, vh


def _reflected(matrix: Expression, full: bool) -> tuple[Expression, ...]:
    _require_small(matrix.variables.size <= MOST_REFLECTED, "the QR factors", matrix)
    return _all_of(matrix, *qr(matrix.builder, matrix.variables, full))


def _qr(call, a, mode="reduced") -> tuple[Expression, ...]:
    q, r = of_each(_reflected, 2)(call, a, mode == "complete")
    return (_empty(q) if mode == "r" else q), r


def _exponential(matrix: Expression) -> Expression:
    x = matrix.variables
    fits = count_products(matrix.builder, x, x) <= MOST_PRODUCTS
    _require_small(fits, "the exponential", matrix)
    return matrix.of(exponential(matrix.builder, x))


def _pseudoinverse(matrix: Expression, atol: Expression | float, rtol: Expression | float) -> tuple:
    """Return V S^-1 U', the number of singular values above the tolerance, and all of them."""
    u, values, vh = _singular(matrix, full=False)
    least = maximum(values[0] * rtol, atol)
    is_kept = values > least
    inverse = where(is_kept, 1.0 / values, 0.0)
    right = vh.of(vh.variables.T) * inverse
    product = matmul(matrix.builder, right.variables, u.variables.T)
    return matrix.of(product), is_kept.cast("int64").reduce("add", [0]), values


def _default_rtol(matrix: Expression, rtol: float | None) -> float:
    return max(matrix.shape) * float(np.finfo(matrix.dtype).eps) if rtol is None else rtol


def _pinv(call, a, *, atol=None, rtol=None, hermitian=False) -> Expression:
    if any(getattr(tolerance, "ndim", 0) for tolerance in (atol, rtol)):
        raise NotAProgram("it takes pseudoinverses with a tolerance for each")
    dtype = call.dtype
    least = 0.0 if atol is None else call(atol, dtype)
    if rtol is not None:
        rtol = call(rtol, dtype)

    def of_one(matrix: Expression) -> Expression:
        if hermitian:  # of which torch reads the lower triangle
            own, mirrored = matrix.variables, matrix.variables.T
            matrix = matrix.of(np.where(np.tri(len(own), dtype=bool), own, mirrored))
        return _pseudoinverse(matrix, least, _default_rtol(matrix, rtol))[0]

    return of_each(of_one, 2)(call, a)


def _lstsq(call, a, b, rcond=None, *, driver=None) -> tuple[Expression, ...]:
    of_vectors = a.ndim - 1 == b.ndim
    are_told = call.out[1].numel() > 0

    def of_one(matrix: Expression, right: Expression) -> tuple[Expression, ...]:
        inverse, rank, values = _pseudoinverse(matrix, 0.0, _default_rtol(matrix, rcond))
        columns = right.expand_dims([1]) if of_vectors else right
        found = columns.of(matmul(matrix.builder, inverse.variables, columns.variables))
        missed = columns - columns.of(matmul(matrix.builder, matrix.variables, found.variables))
        squares = (missed * missed).reduce("add", [0])
        return (
            (found[:, 0], squares[0], rank, values)
            if of_vectors
            else (found, squares, rank, values)
        )

    found, squares, rank, values = of_each(of_one, 2, 1 if of_vectors else 2)(call, a, b)
    _, _, _, concrete = call.out
    return (
        found,
        squares if are_told else _empty(squares),
        rank,
        values if concrete.numel() else _empty(values),
    )


RULES: dict[str, Callable] = {
    "_linalg_eigh": _eigh,
    "_linalg_svd": _svd,
    "linalg_qr": _qr,
    "linalg_matrix_exp": of_each(_exponential, 2),
    "linalg_pinv.atol_rtol_tensor": _pinv,
    "linalg_lstsq": _lstsq,
}
