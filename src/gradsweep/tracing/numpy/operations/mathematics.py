"""Python's own mathematics: the functions of math and cmath, of a traced number."""

import cmath
import math
from typing import Any

import numpy as np
import scipy.special

from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.row import Composed, Row

__all__ = ["ROWS"]

# By math's name, the function of NumPy's or of scipy.special's that computes the same.
_SAME: dict[str, Any] = {
    **{
        name: getattr(np, name)
        for name in (
            "exp expm1 exp2 log1p log2 log10 sqrt cbrt sin cos tan sinh cosh tanh fabs copysign "
            "degrees radians fmod isnan isinf isfinite"
        ).split()
    },
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "atan2": np.arctan2,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "pow": np.power,
    "erf": scipy.special.erf, "erfc": scipy.special.erfc, "gamma": scipy.special.gamma,
    "lgamma": scipy.special.gammaln,
}  # fmt: skip


def _as(same: Any) -> Any:
    return lambda *values: same(*values)


def _log(x: Any, base: Any = None) -> Any:
    return np.log(x) if base is None else np.log(x) / np.log(base)


def _hypot(*coordinates: Any) -> Any:
    first, *rest = coordinates
    found = np.abs(first)
    for coordinate in rest:
        found = np.hypot(found, coordinate)
    return found


def _dist(p: Any, q: Any) -> Any:
    if len(p) != len(q):
        raise ValueError("both points must have the same number of dimensions")
    return _hypot(*(a - b for a, b in zip(p, q)))


def _fsum(seq: Any) -> Any:
    total: Any = 0.0
    for value in seq:
        total = total + value
    return total


def _sumprod(p: Any, q: Any) -> Any:
    return _fsum(a * b for a, b in zip(p, q, strict=True))


def _remainder(x: Any, y: Any) -> Any:
    nearest = x - y * np.rint(x / y)
    return np.where(np.isinf(y) & np.isfinite(x), x, nearest)


def _rows() -> dict[Any, Any]:
    found: dict[Any, Any] = {getattr(math, name): _as(same) for name, same in _SAME.items()}
    found |= {
        math.log: _log,
        math.hypot: _hypot,
        math.dist: _dist,
        math.fsum: _fsum,
        math.prod: math.prod,
        getattr(math, "sumprod", None): _sumprod,
        math.floor: math.floor,
        math.ceil: math.ceil,
        math.trunc: math.trunc,
        math.modf: lambda x: np.modf(x),
        math.remainder: _remainder,
    }
    found.pop(None, None)
    return found


# By cmath's name, the function of NumPy's that computes the same of a complex number.
_SAME_OF_COMPLEX: dict[str, Any] = {
    **{
        name: getattr(np, name)
        for name in "exp log10 sqrt sin cos tan sinh cosh tanh isnan isinf isfinite".split()
    },
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
}  # fmt: skip


def _complex_of(x: Any) -> Any:
    """Return a number as a complex one: cmath.sqrt(-1.0) is 1j."""
    if not isinstance(x, Array):
        return complex(x)
    return x if x.dtype.kind == "c" else x.astype(np.result_type(x.dtype, np.complex64))


def _of_complex(same: Any) -> Any:
    return lambda z: same(_complex_of(z))


def _joined(real: Any = 0.0, imag: Any = None) -> Any:
    """Return what complex(real, imag) is: each may be complex itself."""
    if imag is None:
        return _complex_of(real)
    if any(np.iscomplexobj(part) for part in (real, imag)):
        return real + 1j * imag
    # Not as a sum: an infinite imaginary part would make the real one NaN.
    whole = _complex_of(real)
    whole = whole.as_number("") if isinstance(whole, Array) else Array(np.asarray(whole))
    whole.imag[...] = imag
    return whole


def _complex_rows() -> dict[Any, Any]:
    found: dict[Any, Any] = {
        getattr(cmath, name): _of_complex(same) for name, same in _SAME_OF_COMPLEX.items()
    }
    return found | {
        complex: _joined,
        cmath.log: lambda z, base=None: _log(_complex_of(z), base),
        cmath.phase: lambda z: np.angle(_complex_of(z)),
        cmath.polar: lambda z: (np.abs(z), np.angle(_complex_of(z))),
        cmath.rect: lambda r, phi: _joined(r * np.cos(phi), r * np.sin(phi)),
        cmath.isclose: lambda a, b, *, rel_tol=1e-9, abs_tol=0.0: (
            np.abs(a - b) <= np.maximum(rel_tol * np.maximum(np.abs(a), np.abs(b)), abs_tol)
        ),
    }


ROWS: tuple[Row, ...] = tuple(
    Composed(function, written, number="python")
    for rows in (_rows(), _complex_rows())
    for function, written in rows.items()
)
