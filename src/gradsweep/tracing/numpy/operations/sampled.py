"""Functions of samples and of coefficients: interpolation, integrals of samples, polynomials."""

from typing import Any

import numpy as np

from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.row import Composed, Row

__all__ = ["ROWS"]


def _array(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return Array.apply(np.array, (value,), {})
    return value


def _interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Any:
    """NumPy's own formula on the segment that x lies in, chosen by comparisons."""
    slopes = (fp[1:] - fp[:-1]) / (xp[1:] - xp[:-1])
    found = fp[0] if left is None else left
    for i in range(len(xp) - 1):
        found = np.where(x >= xp[i], slopes[i] * (x - xp[i]) + fp[i], found)
    found = np.where(x == xp[-1], fp[-1], found)
    return np.where(x > xp[-1], fp[-1] if right is None else right, found)


def _trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = _array(y)
    ahead = (slice(None),) * (axis % len(y.shape))
    if x is not None:
        x = _array(x)
        dx = np.diff(x) if len(x.shape) == 1 else np.diff(x, axis=axis)
        if len(x.shape) == 1:
            dx = dx.reshape([-1 if i == axis % len(y.shape) else 1 for i in range(len(y.shape))])
    means = (y[(*ahead, slice(1, None))] + y[(*ahead, slice(None, -1))]) / 2.0
    return np.sum(dx * means, axis=axis)


def _simpson(y: Any, x: Any = None, *, dx: Any = 1.0, axis: int = -1) -> Any:
    y = np.moveaxis(_array(y), axis, -1)
    n = y.shape[-1]
    if x is not None or n % 2 == 0:
        raise TypeError("unexpected keyword x, or an even number of samples")
    return dx / 3.0 * (
        y[..., 0] + 4.0 * np.sum(y[..., 1:-1:2], axis=-1) + 2.0 * np.sum(y[..., 2:-1:2], axis=-1)
        + y[..., -1]
    )  # fmt: skip


def _gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """The differences of samples along one axis, at uniform or given places."""
    if len(f.shape) != 1 or edge_order != 1 or len(varargs) > 1:
        raise TypeError("unexpected keyword axis or edge_order, or several axes")
    h = varargs[0] if varargs else 1.0
    if np.ndim(h) == 0:
        inner = (f[2:] - f[:-2]) / (2.0 * h)
        first, last = (f[1] - f[0]) / h, (f[-1] - f[-2]) / h
    else:
        d = np.diff(h)
        a, b = d[:-1], d[1:]
        inner = (
            -b / (a * (a + b)) * f[:-2] + (b - a) / (a * b) * f[1:-1] + a / (b * (a + b)) * f[2:]
        )
        first, last = (f[1] - f[0]) / d[0], (f[-1] - f[-2]) / d[-1]
    return np.concatenate([np.ravel(first), inner, np.ravel(last)])


def _polyval(p: Any, x: Any) -> Any:
    first, *rest = p
    found = first if rest else first + x * 0.0
    for coefficient in rest:
        found = found * x + coefficient
    return found


def _convolve(a: Any, v: Any, mode: str = "full") -> Any:
    if len(v) > len(a):
        a, v = v, a
    n, m = len(a), len(v)
    full = [
        sum(a[k - j] * v[j] for j in range(max(0, k - n + 1), min(m, k + 1)))
        for k in range(n + m - 1)
    ]
    first, last = {
        "full": (0, n + m - 1),
        "same": ((m - 1) // 2, (m - 1) // 2 + n),
        "valid": (m - 1, n),
    }[mode]
    return np.stack(full[first:last])


def _polyder(p: Any, m: int = 1) -> Any:
    for _ in range(m):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


def _polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    if k is not None:
        raise TypeError("unexpected keyword k")
    for _ in range(m):
        p = np.append(p / np.arange(len(p), 0, -1), 0.0)
    return p


def _rows() -> dict[Any, Any]:
    import scipy.integrate

    found = {
        np.interp: _interp,
        np.trapezoid: _trapezoid,
        getattr(np, "trapz", None): _trapezoid,
        scipy.integrate.trapezoid: _trapezoid,
        scipy.integrate.simpson: _simpson,
        np.gradient: _gradient,
        np.polyval: _polyval,
        np.polyder: _polyder,
        np.polyint: _polyint,
        np.convolve: _convolve,
    }
    found.pop(None, None)
    return found


_N_ARRAYS = {np.interp: 3, np.gradient: 1, np.polyder: 1, np.polyint: 1, np.convolve: 2}

ROWS: tuple[Row, ...] = tuple(
    Composed(function, written, _N_ARRAYS.get(function, 0)) for function, written in _rows().items()
)
