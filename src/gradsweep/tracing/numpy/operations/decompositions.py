"""Decompositions of matrices, and what is computed by them: of numpy.linalg and scipy.linalg."""

from typing import Any

import numpy as np
import scipy.linalg

from gradsweep.tracing.numpy.library import resolve
from gradsweep.tracing.numpy.row import Composed, Native, Row, as_array

__all__ = ["ROWS"]


def _hermitian(a: Any, is_lower: bool) -> Any:
    """Return the matrix of which NumPy reads one triangle, and a framework both."""
    half = resolve("jnp.tril" if is_lower else "jnp.triu")
    return half(a) + half(a, -1 if is_lower else 1).swapaxes(-1, -2).conj()


def _cholesky_in_jax(a: Any, upper: bool = False) -> Any:
    return resolve("jnp.linalg.cholesky")(_hermitian(a, not upper), upper=upper)


def _eigvalsh_in_jax(a: Any, UPLO: str = "L") -> Any:
    return resolve("jnp.linalg.eigvalsh")(_hermitian(a, UPLO.upper() == "L"))


def _eigh_in_jax(a: Any, UPLO: str = "L") -> Any:
    return resolve("jnp.linalg.eigh")(_hermitian(a, UPLO.upper() == "L"))


def _svd_in_jax(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    return resolve("jnp.linalg.svd")(a, full_matrices=full_matrices, compute_uv=compute_uv)


def _qr_in_jax(a: Any, mode: str = "reduced") -> Any:
    return resolve("jnp.linalg.qr")(a, mode=mode)


# Results that have names as well as places.
_Slogdet, _Eigh, _SVD, _QR = (
    type(function(np.eye(1)))
    for function in (np.linalg.slogdet, np.linalg.eigh, np.linalg.svd, np.linalg.qr)
)


def _solve_triangular(
    a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False
) -> Any:
    half = np.tril(a, -1) if lower else np.triu(a, 1)
    n = a.shape[0]
    matrix = half + (np.eye(n) if unit_diagonal else np.eye(n) * a)
    if trans in (1, "T", 2, "C"):
        matrix = matrix.T if trans in (1, "T") else np.conj(matrix.T)
    return np.linalg.solve(matrix, b)


def _cholesky(a: Any, lower: bool = False) -> Any:
    return np.linalg.cholesky(a, upper=not lower)


def _cho_factor(a: Any, lower: bool = False) -> Any:
    return _cholesky(a, lower), lower


def _cho_solve(c_and_lower: Any, b: Any) -> Any:
    c, lower = c_and_lower
    b = as_array(b)
    first, second = (c, np.conj(c.T)) if lower else (np.conj(c.T), c)
    half = _solve_triangular(first, b, lower=True)
    return _solve_triangular(second, half)


ROWS: tuple[Row, ...] = (
    Native(np.linalg.cholesky, "own.cholesky", _cholesky_in_jax),
    Native(np.linalg.eigvalsh, "own.eigvalsh", _eigvalsh_in_jax),
    Native(np.linalg.eigh, "own.eigh", _eigh_in_jax, names=_Eigh),
    Native(np.linalg.svd, "own.svd", _svd_in_jax, names=_SVD),
    Native(np.linalg.svdvals, "torch.linalg.svdvals", "jnp.linalg.svdvals"),
    Native(np.linalg.qr, "own.qr", _qr_in_jax, names=_QR),
    Native(np.linalg.slogdet, "torch.linalg.slogdet", "jnp.linalg.slogdet", names=_Slogdet),
    Native(np.linalg.pinv, "torch.linalg.pinv", "jnp.linalg.pinv"),
    Native(scipy.linalg.expm, "torch.linalg.matrix_exp", "jax.scipy.linalg.expm"),
    Composed(scipy.linalg.solve_triangular, _solve_triangular, 2),
    Composed(scipy.linalg.cholesky, _cholesky, 1),
    Composed(scipy.linalg.cho_factor, _cho_factor, 1),
    Composed(scipy.linalg.cho_solve, _cho_solve),
)
