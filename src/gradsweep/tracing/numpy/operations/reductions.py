"""Functions over axes: sums, means, extremes, sums and products so far, order."""

from typing import Any

import numpy as np

from gradsweep.tracing.numpy.row import Composed, Native, Row, array_of, as_array

__all__ = ["ROWS"]

_NAMES = "sum prod mean var std max min any all cumsum cumprod sort argsort argmax argmin".split()


def _average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, keepdims: bool = False
) -> Any:
    weights = np.ones(a.shape) if weights is None else array_of(weights)
    if weights.shape != a.shape:
        if axis is None:
            raise TypeError("Axis must be specified when shapes of a and weights differ.")
        if weights.ndim != 1 or not isinstance(axis, int):
            raise ValueError("Shape of weights must be consistent with shape of a along axis.")
        weights = weights.reshape([-1 if i == axis % a.ndim else 1 for i in range(a.ndim)])
        weights = weights * np.ones(a.shape)
    total = np.sum(weights, axis=axis, keepdims=keepdims)
    found = np.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (found, np.broadcast_to(total, np.shape(found))) if returned else found


def _median(a: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    ordered: Any = np.sort(a, axis=axis)
    n = ordered.shape[axis or 0]
    ahead = (slice(None),) * (0 if axis is None else axis % a.ndim)
    middle = np.mean(ordered[(*ahead, slice((n - 1) // 2, n // 2 + 1))], axis=axis or 0)
    last = ordered[(*ahead, -1)]  # NaN, where there is one
    found = np.where(np.isnan(last), last, middle)
    if not keepdims:
        return found
    return found.reshape((1,) * a.ndim) if axis is None else np.expand_dims(found, axis)


def _ptp(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


def _diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    axis = axis % a.ndim
    ahead = (slice(None),) * axis

    def placed(value: Any) -> list[Any]:
        if value is None:
            return []
        value, shape = as_array(value), (*a.shape[:axis], 1, *a.shape[axis + 1 :])
        return [np.broadcast_to(value, shape) if np.ndim(value) == 0 else value]

    parts = [*placed(prepend), a, *placed(append)]
    a = np.concatenate(parts, axis=axis) if len(parts) > 1 else a
    for _ in range(n):
        after, before = a[(*ahead, slice(1, None))], a[(*ahead, slice(None, -1))]
        a = np.not_equal(after, before) if a.dtype.kind == "b" else after - before
    return a


def _ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    ary = np.ravel(ary)
    parts = [part for part in (to_begin, ary[1:] - ary[:-1], to_end) if part is not None]
    return np.concatenate([np.ravel(as_array(part)) for part in parts])


def _array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    if np.shape(a1) != np.shape(a2):
        return False
    same = np.equal(a1, a2)
    return np.all(same | (np.isnan(a1) & np.isnan(a2)) if equal_nan else same)


ROWS: tuple[Row, ...] = (
    *(Native(getattr(np, name), f"own.{name}", f"jnp.{name}") for name in _NAMES),
    *(
        Native(getattr(np, name), f"own.{own}", f"jnp.{own}")
        for name, own in (("amax", "max"), ("amin", "min"))
        if getattr(np, name) is not getattr(np, own)
    ),
    Composed(
        np.count_nonzero,
        lambda a, axis=None, keepdims=False: np.sum(
            np.not_equal(a, 0), axis=axis, keepdims=keepdims
        ),
        1,
    ),
    Composed(np.array_equal, _array_equal, 2, number="python"),
    Composed(np.average, _average, 1),
    Composed(np.median, _median, 1),
    Composed(np.ptp, _ptp, 1),
    Composed(np.diff, _diff, 1),
    Composed(np.ediff1d, _ediff1d, 1),
)
