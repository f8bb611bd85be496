"""Statistics of samples: quantiles, covariances, and sums that leave NaN out."""

from typing import Any

import numpy as np

from gradsweep.tracing.numpy.row import Composed, Row, array_of, as_array

__all__ = ["ROWS"]


def _quantile(
    a: Any, q: Any, axis: int | None = None, method: str = "linear", keepdims: bool = False
) -> Any:
    ordered = np.moveaxis(np.sort(a, axis=axis), -1 if axis is None else axis, 0)
    n = ordered.shape[0]
    places = np.asarray(q, dtype=float) * (n - 1)
    low, high = np.floor(places).astype(int), np.ceil(places).astype(int)
    if method == "linear":
        part = (places - low).reshape(places.shape + (1,) * (ordered.ndim - 1))
        found = ordered[low] + (ordered[high] - ordered[low]) * part
    elif method in ("lower", "higher", "nearest"):
        found = ordered[
            {"lower": low, "higher": high, "nearest": np.rint(places).astype(int)}[method]
        ]
    elif method == "midpoint":
        found = (ordered[low] + ordered[high]) / 2.0
    else:
        raise ValueError(f"the method {method!r} has no counterpart: write method='linear'")
    found = np.where(np.isnan(ordered[-1]), np.nan, found)
    if not keepdims:
        return found
    if axis is None:
        return found.reshape(places.shape + (1,) * a.ndim)
    return np.expand_dims(found, places.ndim + axis % a.ndim)


def _percentile(
    a: Any, q: Any, axis: int | None = None, method: str = "linear", keepdims: bool = False
) -> Any:
    return _quantile(a, np.asarray(q) / 100.0, axis, method, keepdims)


def _cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None
) -> Any:
    rows = _rows_of(m, rowvar)
    if y is not None:
        rows = np.concatenate([rows, _rows_of(as_array(y), rowvar)], axis=0)
    n = rows.shape[1] - ((0 if bias else 1) if ddof is None else ddof)
    apart = rows - np.mean(rows, axis=1, keepdims=True)
    return np.squeeze(np.matmul(apart, np.conj(apart.T)) / n)


def _rows_of(m: Any, rowvar: bool) -> Any:
    m = array_of(m)
    rows = np.atleast_2d(m)
    return rows.T if not rowvar and m.ndim == 2 else rows


def _corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Any:
    c = _cov(x, y, rowvar)
    if c.ndim == 0:
        return c / c
    deviations = np.sqrt(np.diagonal(c))
    return np.clip(c / deviations[:, None] / deviations[None, :], -1.0, 1.0)


def _without_nan(function: Any, neutral: float) -> Any:
    def reduced(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return function(np.where(np.isnan(a), neutral, a), axis=axis, keepdims=keepdims)

    return reduced


def _extreme(function: Any, worst: float) -> Any:
    def extreme(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
        is_nan = np.isnan(a)
        found = function(np.where(is_nan, worst, a), axis=axis, keepdims=keepdims)
        return np.where(np.all(is_nan, axis=axis, keepdims=keepdims), np.nan, found)

    return extreme


def _nanmean(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    is_known = ~np.isnan(a)
    total = np.sum(np.where(is_known, a, 0.0), axis=axis, keepdims=keepdims)
    return total / np.sum(is_known, axis=axis, keepdims=keepdims)


def _nanvar(a: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    is_known = ~np.isnan(a)
    apart = np.where(is_known, np.where(is_known, a, 0.0) - _nanmean(a, axis, True), 0.0)
    n = np.sum(is_known, axis=axis, keepdims=keepdims)
    return np.sum(apart * apart, axis=axis, keepdims=keepdims) / (n - ddof)


def _nanstd(a: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    return np.sqrt(_nanvar(a, axis, ddof, keepdims))


ROWS: tuple[Row, ...] = (
    Composed(np.quantile, _quantile, 1),
    Composed(np.percentile, _percentile, 1),
    Composed(np.cov, _cov, 1, number=""),
    Composed(np.corrcoef, _corrcoef, 1),
    Composed(np.nansum, _without_nan(np.sum, 0.0), 1),
    Composed(np.nanprod, _without_nan(np.prod, 1.0), 1),
    Composed(np.nanmax, _extreme(np.max, -np.inf), 1),
    Composed(np.nanmin, _extreme(np.min, np.inf), 1),
    Composed(np.nanmean, _nanmean, 1),
    Composed(np.nanvar, _nanvar, 1),
    Composed(np.nanstd, _nanstd, 1),
)
