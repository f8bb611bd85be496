"""Linear algebra: products, numpy.linalg and scipy.linalg's functions of the same meaning.

Fourier transforms are here too.
"""

from functools import partial
from typing import Any

import numpy as np
import scipy.linalg

from gradsweep.support.errors import UntraceableError
from gradsweep.tracing.numpy.library import library_of, resolve
from gradsweep.tracing.numpy.lines import user_line
from gradsweep.tracing.numpy.memory import Places
from gradsweep.tracing.numpy.row import Composed, Native, Row, View, array_of

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
    n = max(np.ndim(a), np.ndim(b))
    shape_a, shape_b = ((1,) * (n - np.ndim(one)) + np.shape(one) for one in (a, b))
    a = np.reshape(a, [size for pair in zip(shape_a, (1,) * n, strict=True) for size in pair])
    b = np.reshape(b, [size for pair in zip((1,) * n, shape_b, strict=True) for size in pair])
    return np.multiply(a, b).reshape([i * j for i, j in zip(shape_a, shape_b, strict=True)])


def _cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(a, axisa, 0), np.moveaxis(b, axisb, 0)
    if len(a) == 2 == len(b):
        return a[0] * b[1] - a[1] * b[0]
    if {len(a), len(b)} - {2, 3}:
        raise ValueError("Both input arrays must be (arrays of) 3-dimensional vectors")
    # A vector in the plane has no third component.
    a, b = ([*one, one[0] * 0.0] if len(one) == 2 else one for one in (a, b))
    parts = [a[i] * b[j] - a[j] * b[i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return np.stack(parts, axis=axisc)


def _matrix_power(a: Any, n: int) -> Any:
    if n < 0:
        return _matrix_power(np.linalg.inv(a), -n)
    found = np.broadcast_to(np.eye(a.shape[-1]), a.shape)
    for _ in range(n):
        found = np.matmul(found, a)
    return found


def _multi_dot(arrays: Any) -> Any:
    found, *rest = arrays
    for array in rest:
        found = np.matmul(found, array)
    return found


def _einsum(*operands: Any) -> Any:
    """Return a sum of products; axes of one array that are only named anew are a view of it."""
    if not isinstance(operands[0], str):
        raise UntraceableError(
            f"the function calls np.einsum with lists of axes, at {user_line()}.\n"
            f"Write them as letters: np.einsum('ij,j->i', a, b)."
        )
    subscripts, *given = operands
    arrays: list[Any] = [array_of(one) for one in given]
    if len(arrays) == 1:
        (a,) = arrays
        numbers = np.arange(a.size).reshape(a.shape)
        own = partial(np.einsum, subscripts)
        if np.may_share_memory(own(numbers), numbers):
            return a.seen(Places(own(numbers), own), own(a.memory.layout))
    values = [one.value for one in arrays]
    library = next(filter(None, map(library_of, values)), None)
    if library is None:
        return np.einsum(subscripts, *values)
    return resolve("own.einsum" if library.name == "torch" else "jnp.einsum")(subscripts, *values)


ROWS: tuple[Row, ...] = (
    *(
        Native(getattr(np.fft, name), f"own.{name}", f"jnp.fft.{name}")
        for name in ("fft", "ifft", "rfft", "irfft")
    ),
    Native(np.matmul, "own.matmul", "jnp.matmul", n_arrays=2),
    Native(np.tensordot, "own.tensordot", "jnp.tensordot", n_arrays=2, number=""),
    View(np.einsum, _einsum, number="numpy"),
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
    Native(np.linalg.norm, "own.norm", "jnp.linalg.norm"),
    Composed(np.linalg.matrix_power, _matrix_power, 1),
    Composed(np.linalg.multi_dot, _multi_dot),
    Composed(scipy.linalg.solve, lambda a, b: np.linalg.solve(a, b), 2),
    Composed(scipy.linalg.inv, lambda a: np.linalg.inv(a), 1),
    Composed(scipy.linalg.det, lambda a: np.linalg.det(a), 1),
    Composed(
        scipy.linalg.norm,
        lambda a, ord=None, axis=None, keepdims=False: np.linalg.norm(a, ord, axis, keepdims),
        1,
    ),
)
