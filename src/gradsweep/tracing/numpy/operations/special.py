"""scipy.special's functions, and the normal distribution of scipy.stats."""

from typing import Any

import numpy as np
import scipy.special

from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.row import Composed, Native, Row, as_array, detached

__all__ = ["ROWS", "Normal"]

# The same name in scipy.special, torch.special and jax.scipy.special; psi is digamma.
_SAME = (
    "erf erfc erfinv erfcx ndtr ndtri log_ndtr gammaln digamma expit logit entr i0 i0e i1 i1e"
).split()

_SQRT_2PI = 2.5066282746310002


def _gamma(x: Any) -> Any:
    """Γ by the recurrence from where Stirling's series holds, and by reflection below 1/2."""
    is_low = x < 0.5
    z = np.where(is_low, 1.0 - x, x)
    # Γ(z) = Γ(z + 10) / (z (z + 1) ... (z + 9)), wherever z is not large already.
    is_small = z < 12.0
    shifted = np.where(is_small, z + 10.0, z)
    rising = z
    for k in range(1, 10):
        rising = rising * (z + float(k))
    small = _stirling(np.where(is_small, shifted, 22.0)) / np.where(is_small, rising, 1.0)
    large = _stirling(np.where(is_small, 22.0, shifted))
    found = _with_derivative_of(np.exp(scipy.special.gammaln(z)), np.where(is_small, small, large))
    sine = np.sin(np.pi * np.where(is_low, x, 0.5))
    found = np.where(is_low, np.pi / (sine * found), found)
    return found * np.where(_is_pole(x) & (x < 0.0), np.nan, 1.0)


def _is_pole(x: Any) -> Any:
    return np.less_equal(x, 0.0) & np.equal(x, np.floor(x))


def _with_derivative_of(smooth: Any, exact: Any) -> Any:
    """Return `exact` with the derivatives of `smooth`, which has fewer digits.

    Those of the series overflow where it does not.
    """
    rest = detached(exact - smooth)
    return np.where(np.isfinite(rest), smooth + rest, smooth)


def _stirling(z: Any) -> Any:
    # Two factors, so that the power does not overflow before the result does.
    half = z ** (0.5 * z - 0.25)
    return _SQRT_2PI * half * np.exp(-z) * half * np.exp(_correction(z))


def _correction(z: Any) -> Any:
    """What log Γ(z) is more than Stirling's formula: Bernoulli's numbers B_2k / (2k (2k - 1))."""
    r = 1.0 / z
    s = r * r
    return r * (
        1 / 12
        + s
        * (
            -1 / 360
            + s * (1 / 1260 + s * (-1 / 1680 + s * (1 / 1188 - s * (691 / 360360 - s / 156))))
        )
    )


def _betaln(a: Any, b: Any) -> Any:
    """log Γ(a) + log Γ(b) - log Γ(a + b): where b is large its last two terms nearly cancel."""
    ln = scipy.special.gammaln
    low, high = np.where(np.less(b, a), b, a), np.where(np.less(b, a), a, b)
    is_large = (low > 0.0) & (high > 15.0)
    p, q = np.where(is_large, low, 1.0), np.where(is_large, high, 16.0)
    # log Γ(q) - log Γ(p + q), by Stirling's formula.
    fall = (0.5 - q) * np.log1p(p / q) - p * np.log(p + q) + p + _correction(q) - _correction(p + q)
    low, high = np.where(is_large, 1.0, low), np.where(is_large, 1.0, high)
    return np.where(is_large, ln(p) + fall, ln(low) + ln(high) - ln(low + high))


def _beta(a: Any, b: Any) -> Any:
    """Γ(a) Γ(b) / Γ(a + b), by logarithms where Γ, or its square in a derivative, overflows."""
    gamma = scipy.special.gamma
    is_large = np.greater(a, 0.0) & np.greater(b, 0.0) & np.greater(a + b, 60.0)
    large = np.exp(_betaln(np.where(is_large, a, 1.0), np.where(is_large, b, 1.0)))
    a, b = np.where(is_large, 1.0, a), np.where(is_large, 1.0, b)
    is_zero = _is_pole(a + b) & ~_is_pole(a) & ~_is_pole(b)
    small = gamma(a) * gamma(b) / gamma(np.where(is_zero, 1.0, a + b))
    return np.where(is_large, large, np.where(is_zero, 0.0, small))


def _xlog1py(x: Any, y: Any) -> Any:
    is_zero = np.equal(x, 0.0) & ~np.isnan(y)
    return np.where(is_zero, 0.0, x * np.log1p(np.where(is_zero, 0.0, y)))


def _as(same: Any) -> Any:
    return lambda x: same(x)


def _rows() -> tuple[Row, ...]:
    special: Any = scipy.special
    return (
        *(Native(getattr(special, name), f"torch.special.{name}", f"jsp.{name}") for name in _SAME),
        Native(special.xlogy, "torch.special.xlogy", "jsp.xlogy", n_arrays=2),
        Composed(special.xlog1py, _xlog1py),
        Native(special.logsumexp, "own.logsumexp", "jsp.logsumexp"),
        Native(special.softmax, "own.softmax", "jax.nn.softmax"),
        Native(special.log_softmax, "own.log_softmax", "jax.nn.log_softmax"),
        Composed(special.gamma, _gamma),
        Composed(special.betaln, _betaln),
        Composed(special.beta, _beta),
        *(
            Composed(getattr(special, name), _as(getattr(np, name)))
            for name in ("expm1", "log1p", "exp2")
        ),
        Composed(special.exp10, lambda x: 10.0**x),
        Composed(special.cbrt, lambda x: np.cbrt(x)),
    )


ROWS: tuple[Row, ...] = _rows()

_HALF_LOG_2PI = 0.9189385332046727


class Normal:
    """scipy.stats.norm, or what it makes for one place and scale, where an argument is traced."""

    def __init__(self, own: Any, place: tuple[Any, Any] | None = None):
        self._own, self._place = own, place

    def __getattr__(self, name: str) -> Any:
        written = _NORMAL.get(name)
        if written is None:
            return getattr(self._own if self._place is None else self._own(*self._place), name)

        def method(x: Any, *place: Any, **named: Any) -> Any:
            x = as_array(x)
            if self._place is None or place or named:
                loc, scale = _place_of(*place, **named)
            else:
                loc, scale = self._place
            if not any(isinstance(value, Array) for value in (x, loc, scale)):
                return getattr(self._own, name)(x, loc, scale)
            return np.where(np.greater(scale, 0.0), written(x, loc, scale), np.nan)[()]

        return method

    def __call__(self, *place: Any, **named: Any) -> Any:
        return Normal(self._own, _place_of(*place, **named))


def _place_of(loc: Any = 0.0, scale: Any = 1.0) -> tuple[Any, Any]:
    return as_array(loc), as_array(scale)


def _density(x: Any, loc: Any, scale: Any) -> Any:
    z = (x - loc) / scale
    return np.exp(-0.5 * z * z) / (_SQRT_2PI * scale)


def _log_density(x: Any, loc: Any, scale: Any) -> Any:
    z = (x - loc) / scale
    return -0.5 * z * z - _HALF_LOG_2PI - np.log(scale)


# The methods of a normal distribution, by its own place and scale.
_NORMAL = {
    "cdf": lambda x, loc, scale: scipy.special.ndtr((x - loc) / scale),
    "sf": lambda x, loc, scale: scipy.special.ndtr((loc - x) / scale),
    "logcdf": lambda x, loc, scale: scipy.special.log_ndtr((x - loc) / scale),
    "ppf": lambda q, loc, scale: loc + scale * scipy.special.ndtri(q),
    "isf": lambda q, loc, scale: loc - scale * scipy.special.ndtri(q),
    "pdf": _density,
    "logpdf": _log_density,
}
