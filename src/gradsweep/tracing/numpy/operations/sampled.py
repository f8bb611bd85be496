"""Functions of samples and of coefficients: interpolation, integrals of samples, polynomials."""

from typing import Any

import numpy as np
import scipy.integrate

from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.library import library_of, resolve
from gradsweep.tracing.numpy.row import Composed, Native, Row, as_array, unwrapped

__all__ = ["ROWS"]


def _interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """NumPy's own formula on the segment that x lies in, chosen by comparisons."""
    if np.ndim(xp) != 1 or np.shape(xp) != np.shape(fp):
        raise ValueError("fp and xp are not of the same length.")
    if period is not None:
        if not isinstance(period, Array) and period == 0:
            raise ValueError("period must be a non-zero value")
        left, right, period = None, None, np.abs(period)
        x, xp = np.remainder(x, period), np.remainder(xp, period)
        order = np.argsort(xp)
        xp, fp = xp[order], fp[order]
        xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
    slopes = (fp[1:] - fp[:-1]) / (xp[1:] - xp[:-1])
    found = fp[0] if left is None else left
    for i in range(len(xp) - 1):
        found = np.where(x >= xp[i], slopes[i] * (x - xp[i]) + fp[i], found)
    found = np.where(x == xp[-1], fp[-1], found)
    found = np.where(x > xp[-1], fp[-1] if right is None else right, found)
    return np.where(np.isnan(x), x, found)


def _trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = as_array(y)
    ahead = (slice(None),) * (axis % len(y.shape))
    if x is not None:
        x = as_array(x)
        dx = np.diff(x) if len(x.shape) == 1 else np.diff(x, axis=axis)
        if len(x.shape) == 1:
            dx = dx.reshape([-1 if i == axis % len(y.shape) else 1 for i in range(len(y.shape))])
    means = (y[(*ahead, slice(1, None))] + y[(*ahead, slice(None, -1))]) / 2.0
    return np.sum(dx * means, axis=axis)


def _simpson(y: Any, x: Any = None, *, dx: Any = 1.0, axis: int = -1) -> Any:
    """Parabolas through three samples each; Cartwright's correction for an even number of them."""
    y = np.moveaxis(as_array(y), axis, -1)
    n = y.shape[-1]
    if x is None:
        h = dx * np.ones(n - 1)
    else:
        x = as_array(x)
        h = np.diff(np.moveaxis(x, axis, -1) if x.ndim > 1 else x)
    if n < 3:
        return np.sum(h * (y[..., 1:] + y[..., :-1]) / 2.0, axis=-1)
    last = n - 1 - (n - 1) % 2  # the end of the parabolas
    a, b = h[..., 0:last:2], h[..., 1:last:2]
    found = np.sum(
        (a + b) / 6.0 * (
            y[..., 0:last:2] * (2.0 - b / a)
            + y[..., 1:last:2] * (a + b) * ((a + b) / (a * b))
            + y[..., 2 : last + 1 : 2] * (2.0 - a / b)
        ),
        axis=-1,
    )  # fmt: skip
    if last == n - 1:
        return found
    a, b = h[..., -2], h[..., -1]
    return (
        found
        + y[..., -1] * (2.0 * b * b + 3.0 * a * b) / (6.0 * (a + b))
        + y[..., -2] * (b * b + 3.0 * a * b) / (6.0 * a)
        - y[..., -3] * b * b * b / (6.0 * a * (a + b))
    )


def _gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """The differences of samples along each axis, at uniform or given places."""
    axes = range(f.ndim) if axis is None else np.atleast_1d(axis) % f.ndim
    steps = varargs * len(axes) if len(varargs) == 1 else varargs or (1.0,) * len(axes)
    if len(steps) != len(axes):
        raise TypeError("invalid number of arguments")
    found = [
        _slopes(f, as_array(step), int(i), edge_order) for i, step in zip(axes, steps, strict=True)
    ]
    return found[0] if len(found) == 1 else tuple(found)


def _slopes(f: Any, step: Any, axis: int, edge_order: int) -> Any:
    """Return derivatives along one axis, by parabolas; at the ends by lines or parabolas."""
    f = np.moveaxis(f, axis, 0)
    n = f.shape[0]
    if n < edge_order + 1:
        raise ValueError("Shape of array too small to calculate a numerical gradient")
    if np.ndim(step) == 0:
        inner = (f[2:] - f[:-2]) / (2.0 * step)
        d = [step] * (n - 1)
    else:
        if np.shape(step) != (n,):
            raise ValueError("when 1d, distances must match the length of the dimension")
        d = np.diff(step)
        a, b = (part.reshape([-1] + [1] * (f.ndim - 1)) for part in (d[:-1], d[1:]))
        inner = (
            -b / (a * (a + b)) * f[:-2] + (b - a) / (a * b) * f[1:-1] + a / (b * (a + b)) * f[2:]
        )
    if edge_order == 1:
        first, last = (f[1] - f[0]) / d[0], (f[-1] - f[-2]) / d[-1]
    else:
        first = _at_the_end(f[0], f[1], f[2], d[0], d[1])
        last = -1.0 * _at_the_end(f[-1], f[-2], f[-3], d[-1], d[-2])
    return np.moveaxis(np.concatenate([first[None], inner, last[None]]), 0, axis)


def _at_the_end(f0: Any, f1: Any, f2: Any, a: Any, b: Any) -> Any:
    return -(2.0 * a + b) / (a * (a + b)) * f0 + (a + b) / (a * b) * f1 - a / (b * (a + b)) * f2


def _polyval(p: Any, x: Any) -> Any:
    first, *rest = as_array(p)
    x = as_array(x)
    found = first if rest else first + x * 0.0
    for coefficient in rest:
        found = found * x + coefficient
    return found


def _coefficients(c: Any, x: Any, tensor: bool) -> Any:
    """Return coefficients as floats, each column of which meets every x where `tensor` says so."""
    c = np.atleast_1d(as_array(c)) * 1.0
    is_tensor = tensor and c.ndim > 1 and np.ndim(x) > 0
    return c.reshape(c.shape + (1,) * np.ndim(x)) if is_tensor else c


def _by_powers(x: Any, c: Any, tensor: bool = True) -> Any:
    """numpy.polynomial's polyval, whose coefficients begin with the lowest."""
    x = as_array(x)
    return _polyval(_coefficients(c, x, tensor)[::-1], x)


def _by_recurrence(step: Any, first: Any = lambda x: x) -> Any:
    """Return what sums c_k P_k(x), where step(k, x, P_k, P_k-1) is P_k+1."""

    def value(x: Any, c: Any, tensor: bool = True) -> Any:
        x = as_array(x)
        c = _coefficients(c, x, tensor)
        before, now = 1.0, first(x)
        found = c[0] if len(c) > 1 else c[0] + x * 0.0
        for k in range(1, len(c)):
            found = found + c[k] * now
            before, now = now, step(k, x, now, before)
        return found

    return value


def _cumulative(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None) -> Any:
    y = np.moveaxis(as_array(y), axis, -1)
    if x is not None:
        x = as_array(x)
        dx = np.diff(x if x.ndim == 1 else np.moveaxis(x, axis, -1))
    found = np.cumsum(dx * (y[..., 1:] + y[..., :-1]) / 2.0, axis=-1)
    if initial is not None:
        found = np.concatenate([np.full((*y.shape[:-1], 1), float(initial)), found], axis=-1)
    return np.moveaxis(found, -1, axis)


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
    constants = [0.0] * m if k is None else [k] * m if np.ndim(as_array(k)) == 0 else list(k)
    if len(constants) == 1:
        constants = constants * m
    if len(constants) < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    for i in range(m):
        p = np.append(p / np.arange(len(p), 0, -1), constants[i])
    return p


def _rows() -> dict[Any, Any]:
    found = {
        np.interp: _interp,
        np.trapezoid: _trapezoid,
        getattr(np, "trapz", None): _trapezoid,
        scipy.integrate.trapezoid: _trapezoid,
        scipy.integrate.simpson: _simpson,
        np.gradient: _gradient,
        scipy.integrate.cumulative_trapezoid: _cumulative,
        np.polynomial.polynomial.polyval: _by_powers,
        np.polynomial.chebyshev.chebval: _by_recurrence(lambda k, x, p, q: 2.0 * x * p - q),
        np.polynomial.legendre.legval: _by_recurrence(
            lambda k, x, p, q: ((2 * k + 1) * x * p - k * q) / (k + 1)
        ),
        np.polynomial.hermite.hermval: _by_recurrence(
            lambda k, x, p, q: 2.0 * x * p - 2.0 * k * q, lambda x: 2.0 * x
        ),
        np.polynomial.hermite_e.hermeval: _by_recurrence(lambda k, x, p, q: x * p - k * q),
        np.polynomial.laguerre.lagval: _by_recurrence(
            lambda k, x, p, q: ((2 * k + 1 - x) * p - k * q) / (k + 1), lambda x: 1.0 - x
        ),
        np.polyval: _polyval,
        np.polyder: _polyder,
        np.polyint: _polyint,
        np.convolve: _convolve,
    }
    found.pop(None, None)
    return found


_N_ARRAYS = {np.interp: 3, np.gradient: 1, np.polyder: 1, np.polyint: 1, np.convolve: 2}


def _digitize(x: Any, bins: Any, right: bool = False) -> Any:
    side: Any = "left" if right else "right"
    known = unwrapped(bins)
    if library_of(known) is None:
        np.digitize(0.0, known)  # NumPy's own error, where they have no order
    if bins[0] > bins[-1]:
        return len(bins) - np.searchsorted(bins[::-1], x, side)
    return np.searchsorted(bins, x, side)


def _searchsorted_in_jax(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    return resolve("jnp.searchsorted")(a, v, side=side, sorter=sorter)


ROWS: tuple[Row, ...] = (
    *(
        Composed(function, written, _N_ARRAYS.get(function, 0))
        for function, written in _rows().items()
    ),
    Native(np.searchsorted, "own.searchsorted", _searchsorted_in_jax, n_arrays=2),
    Composed(np.digitize, _digitize, 2),
)
