"""The primitives in mpmath: a Program evaluated to any number of digits.

Every number is an mpf of `CONTEXT`, which nobody else uses, so that its precision disturbs nobody;
every truth value is a Python bool. `with CONTEXT.workdps(50)` sets the precision.

Nothing is rounded to a dtype: a cast to float32 keeps every digit, so the value is that of the
mathematics that the Program stands for. NaN and infinity are as in NumPy. But mpmath has only one
zero, so a result that depends on the sign of a zero is the one for +0.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from gradsweep.program.primitives import PRIMITIVES
from gradsweep.program.program import Constant
from gradsweep.support.errors import EngineError, require

mpmath = require("mpmath", "evaluating in higher precision")

__all__ = ["CONTEXT", "OPERATIONS", "constant", "number"]

CONTEXT = mpmath.mp.clone()

Operation = Callable[..., Any]


def number(value: Any) -> Any:
    """Return a number as an mpf, without rounding, and a truth value as a bool."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    return CONTEXT.mpf(int(value) if isinstance(value, int | np.integer) else float(value))


def constant(entry: Constant) -> Any:
    """Return the value of a Program's constant."""
    return number(entry.value)


def _as_numpy_where_undefined(name: str, exact: Operation) -> Operation:
    """Return an operation that falls back on NumPy where the exact one has no finite real value.

    That is at NaN and infinite operands, at poles, and where mpmath's value is complex.
    """

    def operation(*operands: Any) -> Any:
        if all(map(CONTEXT.isfinite, operands)):
            try:
                result = CONTEXT.convert(exact(*operands))
            except (ArithmeticError, ValueError):
                return _by_numpy(name, operands)
            if not hasattr(result, "imag") or result.imag == 0:
                return result.real if CONTEXT.isfinite(result) else _by_numpy(name, operands)
        return _by_numpy(name, operands)

    return operation


def _by_numpy(name: str, operands: tuple) -> Any:
    with np.errstate(all="ignore"):
        found = PRIMITIVES[name].numpy(*(np.float64(_to_float(operand)) for operand in operands))
    return number(np.asarray(found)[()])


def _to_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else -float("inf")


# mpmath has no negative zero, so a comparison with 0 tells every sign.


def _copysign(x: Any, y: Any) -> Any:
    return -abs(x) if y < 0 else abs(x)


def _sign(x: Any) -> Any:
    return x if CONTEXT.isnan(x) else CONTEXT.sign(x)


def _max(x: Any, y: Any) -> Any:
    return x if CONTEXT.isnan(x) or x >= y else y


def _min(x: Any, y: Any) -> Any:
    return x if CONTEXT.isnan(x) or x <= y else y


def _trunc(x: Any) -> Any:
    return CONTEXT.ceil(x) if x < 0 else CONTEXT.floor(x)


def _rem(x: Any, y: Any) -> Any:
    if y == 0:
        raise ZeroDivisionError
    return CONTEXT.sign(x) * CONTEXT.fmod(abs(x), abs(y))


def _cbrt(x: Any) -> Any:
    return CONTEXT.sign(x) * CONTEXT.cbrt(abs(x))


def _ndtri(p: Any) -> Any:
    if not 0 < p < 1:
        raise ValueError("outside the open interval: NumPy says what is there")
    # 2 p - 1 would round a small p away.
    with CONTEXT.extraprec(max(0, -CONTEXT.mag(p)) + 10):
        return CONTEXT.sqrt(2) * CONTEXT.erfinv(2 * p - 1)


def _polygamma(order: Any, x: Any) -> Any:
    # Beyond order 1000 it would take minutes, and n! has long left the range of float64.
    if not 0 <= order <= 1000 or order != CONTEXT.floor(order):
        raise ValueError("defined for whole orders alone")
    _require_reach("polygamma", -x)
    return CONTEXT.polygamma(int(order), x)


def _zeta(s: Any, q: Any) -> Any:
    if s <= 1:
        raise ValueError("the series converges for s > 1 alone")
    _require_reach("zeta", s)
    return CONTEXT.zeta(s, q)


def _require_reach(name: str, x: Any) -> None:
    # mpmath sums term after term and would not return.
    if x > 10_000:
        raise EngineError(f"mpmath takes too long over {name} at arguments as large as {x}.")


def _igamma(a: Any, x: Any) -> Any:
    if a <= 0 or x < 0:
        raise ValueError("defined for positive a and x alone")
    return CONTEXT.gammainc(a, 0, x, regularized=True)


def _igammac(a: Any, x: Any) -> Any:
    if a <= 0 or x < 0:
        raise ValueError("defined for positive a and x alone")
    return CONTEXT.gammainc(a, x, CONTEXT.inf, regularized=True)


def _scaled_bessel(order: int) -> Operation:
    return lambda x: CONTEXT.besseli(order, x) * CONTEXT.exp(-abs(x))


def _to_int64(x: Any) -> Any:
    return _trunc(CONTEXT.mpf(x))


def _quotient(x: Any, y: Any) -> Any:
    return _trunc(x / y) if y else CONTEXT.mpf(0)


def _wrap(bits: int, is_signed: bool) -> Operation:
    def wrap(x: Any) -> Any:
        low = int(x) % 2**bits
        return CONTEXT.mpf(low - 2**bits if is_signed and low >= 2 ** (bits - 1) else low)

    return wrap


# Defined for NaN and infinity as they stand.
_PLAIN: dict[str, Operation] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "neg": lambda x: -x,
    "abs": abs,
    "sign": _sign,
    "max": _max,
    "min": _min,
    "copysign": _copysign,
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
    "isfinite": lambda x: bool(CONTEXT.isfinite(x)),
    "signbit": lambda x: x < 0,
    "and": lambda x, y: x and y,
    "or": lambda x, y: x or y,
    "xor": lambda x, y: x != y,
    "not": lambda x: not x,
    "select": lambda condition, x, y: x if condition else y,
    "lookup": lambda place, *entries: entries[min(max(int(place), 0), len(entries) - 1)],
    "to_float64": lambda x: CONTEXT.mpf(x),
    "to_float32": lambda x: CONTEXT.mpf(x),
    "to_bool": lambda x: bool(x != 0),
    # Of integers alone.
    "quotient": _quotient,
    **{f"wrap_int{bits}": _wrap(bits, True) for bits in (8, 16, 32)},
    **{f"wrap_uint{bits}": _wrap(bits, False) for bits in (8, 16, 32)},
}

# Functions of finite numbers.
_FINITE: dict[str, Operation] = {
    "div": lambda x, y: x / y,
    "rem": _rem,
    "floor": CONTEXT.floor,
    "ceil": CONTEXT.ceil,
    "round": CONTEXT.nint,
    "trunc": _trunc,
    "pow": CONTEXT.power,
    "sqrt": CONTEXT.sqrt,
    "cbrt": _cbrt,
    "hypot": CONTEXT.hypot,
    "exp": CONTEXT.exp,
    "exp2": lambda x: CONTEXT.power(2, x),
    "expm1": CONTEXT.expm1,
    "log": CONTEXT.log,
    "log1p": CONTEXT.log1p,
    "log2": lambda x: CONTEXT.log(x, 2),
    "log10": CONTEXT.log10,
    "sin": CONTEXT.sin,
    "cos": CONTEXT.cos,
    "tan": CONTEXT.tan,
    "asin": CONTEXT.asin,
    "acos": CONTEXT.acos,
    "atan": CONTEXT.atan,
    "atan2": CONTEXT.atan2,
    "sinh": CONTEXT.sinh,
    "cosh": CONTEXT.cosh,
    "tanh": CONTEXT.tanh,
    "asinh": CONTEXT.asinh,
    "acosh": CONTEXT.acosh,
    "atanh": CONTEXT.atanh,
    "erf": CONTEXT.erf,
    "erfc": CONTEXT.erfc,
    "erfinv": CONTEXT.erfinv,
    "ndtri": _ndtri,
    "lgamma": lambda x: CONTEXT.loggamma(x).real,
    "digamma": CONTEXT.digamma,
    "polygamma": _polygamma,
    "zeta": _zeta,
    "igamma": _igamma,
    "igammac": _igammac,
    "i0": lambda x: CONTEXT.besseli(0, x),
    "i0e": _scaled_bessel(0),
    "i1": lambda x: CONTEXT.besseli(1, x),
    "i1e": _scaled_bessel(1),
    "to_int64": _to_int64,
}

OPERATIONS: dict[str, Operation] = _PLAIN | {
    name: _as_numpy_where_undefined(name, exact) for name, exact in _FINITE.items()
}
