"""Linear algebra: products, numpy.linalg and scipy.linalg's functions of the same meaning."""

from typing import Any

import numpy as np
import scipy.linalg

from gradsweep.tracing.numpy.row import Composed, Native, Row

__all__ = ["ROWS"]


def _dot(a: Any, b: Any) -> Any:
    n, m = np.ndim(a), np.ndim(b)
    if n == 0 or m == 0:
        return np.multiply(a, b)
    return np.matmul(a, b) if m <= 2 else np.tensordot(a, b, axes=([-1], [-2]))


def _inner(a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    return np.tensordot(a, b, axes=([-1], [-1]))


def _outer(a: Any, b: Any) -> Any:
    return np.multiply(np.ravel(a)[:, None], np.ravel(b)[None, :])


def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1)


def _kron(a: Any, b: Any) -> Any:
    if np.ndim(a) == np.ndim(b) == 1:
        return np.outer(a, b).reshape(-1)
    (n, m), (p, q) = np.shape(a), np.shape(b)
    return np.multiply(a[:, None, :, None], b[None, :, None, :]).reshape(n * p, m * q)


def _cross(a: Any, b: Any, axis: int = -1) -> Any:
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    if len(a) == 2 == len(b):
        return a[0] * b[1] - a[1] * b[0]
    parts = [a[i] * b[j] - a[j] * b[i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return np.stack(parts, axis=axis)


def _matrix_power(a: Any, n: int) -> Any:
    if n < 0:
        return _matrix_power(np.linalg.inv(a), -n)
    found = np.eye(a.shape[-1])
    for _ in range(n):
        found = np.matmul(found, a)
    return found


def _multi_dot(arrays: Any) -> Any:
    found, *rest = arrays
    for array in rest:
        found = np.matmul(found, array)
    return found


def _of_scipy(name: str) -> list[Row]:
    """Return rows for scipy.linalg's function of the same name as one of numpy.linalg's."""
    same = getattr(np.linalg, name)
    return [
        Composed(getattr(scipy.linalg, name), lambda a, *rest, **options: same(a, *rest, **options))
    ]


ROWS: tuple[Row, ...] = (
    Native(np.matmul, "own.matmul", "jnp.matmul", n_arrays=2),
    Native(np.tensordot, "own.tensordot", "jnp.tensordot", n_arrays=2),
    Native(np.einsum, "own.einsum", "jnp.einsum", n_arrays=0),
    Composed(np.dot, _dot, 2),
    Composed(np.vdot, lambda a, b: np.matmul(np.conj(np.ravel(a)), np.ravel(b)), 2),
    Composed(np.inner, _inner, 2),
    Composed(np.outer, _outer, 2),
    Composed(np.trace, _trace, 1),
    Composed(np.kron, _kron, 2),
    Composed(np.cross, _cross, 2),
    Native(np.linalg.solve, "own.solve", "jnp.linalg.solve", n_arrays=2),
    Native(np.linalg.inv, "torch.linalg.inv", "jnp.linalg.inv"),
    Native(np.linalg.det, "torch.linalg.det", "jnp.linalg.det"),
    Native(np.linalg.slogdet, "torch.linalg.slogdet", "jnp.linalg.slogdet"),
    Native(np.linalg.norm, "own.norm", "jnp.linalg.norm"),
    Native(np.linalg.cholesky, "torch.linalg.cholesky", "jnp.linalg.cholesky"),
    Native(np.linalg.eigvalsh, "torch.linalg.eigvalsh", "jnp.linalg.eigvalsh"),
    Native(np.linalg.eigh, "torch.linalg.eigh", "jnp.linalg.eigh"),
    Composed(np.linalg.matrix_power, _matrix_power, 1),
    Composed(np.linalg.multi_dot, _multi_dot),
    *(row for name in ("solve", "inv", "det", "norm") for row in _of_scipy(name)),
)
