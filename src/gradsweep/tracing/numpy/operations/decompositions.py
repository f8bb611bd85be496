"""Decompositions of matrices, and what is computed by them: of numpy.linalg and scipy.linalg."""

from typing import Any

import numpy as np
import scipy.linalg

from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.library import library_of, resolve
from gradsweep.tracing.numpy.row import Composed, Native, Row, as_array, detached

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


def _own_pinv(a: Any, rtol: float) -> Any:
    library = library_of(a.value)
    if library is None:
        return np.linalg.pinv(a.value, rtol=rtol)
    module = "torch" if library.name == "torch" else "jnp"
    return Array(resolve(f"{module}.linalg.pinv")(a.value, rtol=rtol))


def _transposed(a: Any) -> Any:
    return np.conj(np.swapaxes(a, -1, -2))


_UNSET = np._NoValue  # type: ignore[attr-defined]


def _pinv(a: Any, rcond: Any = None, hermitian: bool = False, rtol: Any = _UNSET) -> Any:
    if rcond is not None and rtol is not _UNSET:
        raise ValueError("`rtol` and `rcond` can't be both set.")
    if hermitian:
        half = np.tril(a, -1)
        a = half + _transposed(half) + np.eye(a.shape[-1]) * a
    a = a * 1.0
    if rcond is None and rtol in (None, _UNSET):  # what is cut off is rounding: the rank stays
        least = 1e-15 if rtol is _UNSET else max(a.shape[-2:]) * float(np.finfo(a.dtype).eps)
        return _own_pinv(a, least)
    rcond = rtol if rcond is None else rcond
    return _truncated_inverse(a, np.asarray(as_array(rcond)))


# How many derivatives of the spaces below are right.
_N_STEPS = 4


def _truncated_inverse(a: Any, rcond: Any) -> Any:
    """Return the inverse of a matrix on the spaces of those singular values that are not cut off.

    In the singular vectors at this point, as constants, the spaces are those of (1, y) and (1, z)
    with a (1, y) in the span of (1, z), and a^H (1, z) in that of (1, y). A step of Newton's from
    y = z = 0 with the derivative at this point makes one more derivative of y and z right. Unlike
    the derivative of singular vectors it holds where singular values are equal.
    """
    m, n = a.shape[-2:]
    k = min(m, n)
    u, s, vh = np.linalg.svd(detached(a))
    v = _transposed(vh)
    is_kept = s > rcond[..., None] * np.max(s, axis=-1, keepdims=True)

    kept = is_kept[..., None, :] * 1.0
    rest = np.zeros((*s.shape[:-1], max(m, n) - k))
    is_cut = 1.0 - np.concatenate([is_kept * 1.0, rest], axis=-1)[..., :, None]
    large = np.where(is_kept, s, 1.0 + 2.0 * np.max(s, axis=-1, keepdims=True))[..., None, :]
    small = np.where(is_kept, 0.0, s)[..., :, None]
    apart = large * large - small * small
    b = np.matmul(_transposed(u), np.matmul(a, v))
    left, right = np.eye(m, k) * kept, np.eye(n, k) * kept
    for _ in range(_N_STEPS):
        image, origin = np.matmul(b, right), np.matmul(_transposed(b), left)
        p = (image - np.matmul(left, image[..., :k, :])) * is_cut[..., :m, :]
        q = (origin - np.matmul(right, origin[..., :k, :])) * is_cut[..., :n, :]
        both = (large * p[..., :k, :] + small * q[..., :k, :]) / apart
        left = left + np.concatenate([both, (p / large)[..., k:, :]], axis=-2)
        both = (large * q[..., :k, :] + small * p[..., :k, :]) / apart
        right = right + np.concatenate([both, (q / large)[..., k:, :]], axis=-2)
    core = np.matmul(_transposed(left), np.matmul(b, right)) + np.eye(k) * (1.0 - kept)
    inverse = np.matmul(right, np.linalg.solve(core, _transposed(left)))
    return np.matmul(v, np.matmul(inverse, _transposed(u))).astype(a.dtype)


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
    Composed(np.linalg.pinv, _pinv, 1),
    Native(scipy.linalg.expm, "torch.linalg.matrix_exp", "jax.scipy.linalg.expm"),
    Composed(scipy.linalg.solve_triangular, _solve_triangular, 2),
    Composed(scipy.linalg.cholesky, _cholesky, 1),
    Composed(scipy.linalg.cho_factor, _cho_factor, 1),
    Composed(scipy.linalg.cho_solve, _cho_solve),
)
