"""Functions over axes: sums, means, extremes, sums and products so far, order."""

from typing import Any

import numpy as np

from gradsweep.tracing.numpy.row import Composed, Native, Row

__all__ = ["ROWS"]

_NAMES = "sum prod mean var std max min any all cumsum cumprod sort argsort argmax argmin".split()


def _average(a: Any, axis: Any = None, weights: Any = None) -> Any:
    if weights is None:
        return np.mean(a, axis=axis)
    weights = weights if hasattr(weights, "ndim") else np.asarray(weights)
    if weights.ndim == 1 and axis is not None and len(a.shape) > 1:
        weights = weights.reshape(
            [-1 if i == axis % len(a.shape) else 1 for i in range(len(a.shape))]
        )
    total = np.sum(weights * np.ones(a.shape), axis=axis)
    return np.sum(a * weights, axis=axis) / total


def _median(a: Any, axis: int | None = None) -> Any:
    ordered = np.sort(a, axis=axis)
    axis = 0 if axis is None else axis
    n = ordered.shape[axis]
    ahead = (slice(None),) * (axis % len(ordered.shape))
    return (ordered[(*ahead, (n - 1) // 2)] + ordered[(*ahead, n // 2)]) / 2


def _ptp(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


def _diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    ahead = (slice(None),) * (axis % len(a.shape))
    for _ in range(n):
        a = a[(*ahead, slice(1, None))] - a[(*ahead, slice(None, -1))]
    return a


def _ediff1d(ary: Any) -> Any:
    return _diff(np.ravel(ary))


ROWS: tuple[Row, ...] = (
    *(Native(getattr(np, name), f"own.{name}", f"jnp.{name}") for name in _NAMES),
    *(
        Native(getattr(np, name), f"own.{own}", f"jnp.{own}")
        for name, own in (("amax", "max"), ("amin", "min"))
        if getattr(np, name) is not getattr(np, own)
    ),
    Composed(np.average, _average, 1),
    Composed(np.median, _median, 1),
    Composed(np.ptp, _ptp, 1),
    Composed(np.diff, _diff, 1),
    Composed(np.ediff1d, _ediff1d, 1),
)
