"""Operations that act on each element alone: a table of formulas.

A formula takes the operands of an aten operation in order, tensors as Expressions of the result's
dtype and numbers as they are, and returns an Expression. The formulas are those of torch's own
kernels, so that kinks, infinities and NaN come out as in torch.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from gradsweep.support.errors import NotAProgram
from gradsweep.tracing.torch.recorder.expression import Operand, apply, where
from gradsweep.tracing.torch.recorder.rules.activations import ACTIVATIONS
from gradsweep.tracing.torch.recorder.rules.formulas import (
    E,
    clamp,
    conj,
    exp,
    is_infinite,
    is_nan,
    log,
    log1p,
    maximum,
    minimum,
    primitive,
    sigmoid,
    sqrt,
)

__all__ = ["RULES", "Pointwise"]


def _add(x: Operand, y: Operand, alpha: float = 1) -> E:
    if isinstance(x, E) and x.dtype == "bool":
        return x | x.lift(y)
    scaled = y * alpha if alpha != 1 else y
    return x + scaled  # type: ignore[operator, return-value]


def _sub(x: Operand, y: Operand, alpha: float = 1) -> E:
    return x - (y * alpha if alpha != 1 else y)  # type: ignore[operator, return-value]


def _mul(x: E, y: Operand) -> E:
    return x & x.lift(y) if x.dtype == "bool" else x * y


def _pow(x: Operand, y: Operand) -> E:
    """Write x**y, by roots for the exponents 0.5 and -0.5, as torch's kernel does."""
    if isinstance(x, E) and not isinstance(y, E):
        if y == 0.5:
            return sqrt(x)
        if y == -0.5:
            return 1.0 / sqrt(x)
        if not x.is_floating:
            return _integer_power(x, y)
    if not isinstance(x, E):
        assert isinstance(y, E)
        x = y.lift(x)
    if not x.is_floating:
        raise NotAProgram("it raises integers to a traced power")
    return x**y


def _integer_power(x: E, exponent: complex) -> E:
    if isinstance(exponent, complex) or exponent != int(exponent) or not 0 <= exponent <= 64:
        raise NotAProgram(f"it raises integers to the power {exponent}")
    result = x.lift(1)
    for _ in range(int(exponent)):
        result = result * x
    return result


def _div_mode(x: E, y: Operand, *, rounding_mode: str | None = None) -> E:
    match rounding_mode:
        case "floor":
            return _floor_divide(x, y)
        case "trunc":
            return apply("trunc", _quotient(x, y))
        case _:
            return x / y


def _quotient(x: E, y: Operand) -> E:
    if not x.is_floating:
        raise NotAProgram("it divides traced integers")
    return x / y


def _floor_divide(x: E, y: Operand) -> E:
    """Write torch's floor division, which is exact where x / y rounds up to an integer."""
    y = x.lift(y)
    plain = _quotient(x, y)
    remainder = apply("rem", x, y)
    quotient = (x - remainder) / y
    crosses = remainder.differs(0) & ((y < 0) ^ (remainder < 0))
    quotient = where(crosses, quotient - 1, quotient)
    floor = apply("floor", quotient)
    rounded = where(quotient - floor > 0.5, floor + 1, floor)
    nonzero = where(quotient.equals(0), apply("copysign", x.lift(0), plain), rounded)
    return where(y.equals(0), plain, nonzero)


def _remainder(x: Operand, y: Operand) -> E:
    """Write Python's remainder, which has the sign of y."""
    if not isinstance(x, E):
        assert isinstance(y, E)
        x = y.lift(x)
    y = x.lift(y)
    r = apply("rem", x, y)
    return where(r.differs(0) & ((r < 0) ^ (y < 0)), r + y, r)


def _round(x: E, *, decimals: int = 0) -> E:
    if decimals == 0:
        return apply("round", x)
    scale = 10.0 ** abs(decimals)
    if decimals > 0:
        return apply("round", x * scale) / scale
    return apply("round", x / scale) * scale


def _sign(x: E) -> E:
    if x.is_complex:
        return apply("sign", x)
    # torch's sign(NaN) is 0; the primitive's is NaN.
    return where(is_nan(x), 0, apply("sign", x)) if x.is_floating else apply("sign", x)


def _fmax(x: E, y: E) -> E:
    return where(is_nan(x), y, where(is_nan(y), x, maximum(x, y)))


def _fmin(x: E, y: E) -> E:
    return where(is_nan(x), y, where(is_nan(y), x, minimum(x, y)))


def _nan_to_num(
    x: E, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> E:
    limits = torch.finfo(getattr(torch, x.dtype))
    x = where(is_nan(x), 0.0 if nan is None else nan, x)
    x = where(x.equals(math.inf), limits.max if posinf is None else posinf, x)
    return where(x.equals(-math.inf), limits.min if neginf is None else neginf, x)


def _lerp(x: E, y: E, weight: Operand) -> E:
    # Two forms, so that weight = 1 gives y exactly.
    weight = x.lift(weight)
    return where(abs(weight) < 0.5, x + weight * (y - x), y - (y - x) * (1.0 - weight))


def _addcmul(x: E, a: E, b: E, *, value: float = 1) -> E:
    return x + (a * b if value == 1 else a * value * b)


def _addcdiv(x: E, a: E, b: E, *, value: float = 1) -> E:
    return x + (a / b if value == 1 else a * value / b)


def _sigmoid_backward(g: E, y: E) -> E:
    y = conj(y)
    return g * (1.0 - y) * y


def _heaviside(x: E, at_zero: E) -> E:
    return where(x.equals(0), at_zero, where(x < 0, 0.0, x.lift(1.0)))


def _sinc(x: E) -> E:
    product = x * math.pi
    return where(x.equals(0), 1.0, apply("sin", product) / product)


def _logit(x: E, eps: float | None = None) -> E:
    if eps is not None:
        x = clamp(x, eps, 1.0 - eps)
    return log(x / (1.0 - x))


def _logit_backward(g: E, x: E, eps: float | None = None) -> E:
    low, high = (0.0, 1.0) if eps is None else (eps, 1.0 - eps)
    outside = (x < low) | (x > high)
    return where(outside, 0.0 if eps is not None else math.nan, g / (x * (1.0 - x)))


def _logaddexp(x: E, y: E, base2: bool = False) -> E:
    larger, exponent = maximum(x, y), -abs(x - y)
    if base2:
        total = larger + log1p(apply("exp2", exponent)) * (1.0 / math.log(2.0))
    else:
        total = larger + log1p(exp(exponent))
    return where(is_infinite(x) & x.equals(y), x, total)


def _xlogy(x: Any, y: Any, logarithm: Callable[[E], E] = log) -> E:
    x, y = (x, x.lift(y)) if isinstance(x, E) else (y.lift(x), y)
    product = where(x.equals(0), 0.0, x * logarithm(y))
    return where(is_nan(y), math.nan, product)


def _entr(x: E) -> E:
    zero_or_less = where(x.equals(0), 0.0, x.lift(-math.inf))
    return where(is_nan(x), x, where(x > 0, -x * log(x), zero_or_less))


def _erfcx_free_log_ndtr(x: E) -> E:
    raise NotAProgram("torch.special.log_ndtr needs erfcx, which is not in the table")


def _polygamma(order: int, x: E) -> E:
    if order == 0:
        return apply("digamma", x)
    return apply("polygamma", x.lift(order), x)


def _mvlgamma(x: E, p: int) -> E:
    total = x.lift(p * (p - 1) / 4.0 * math.log(math.pi))
    for j in range(p):
        total = total + apply("lgamma", x - j / 2.0)
    return total


_FORMULAS: dict[str, Callable[..., Any]] = {
    "add": _add,
    "sub": _sub,
    "rsub": lambda x, y, alpha=1: _sub(x.lift(y), x, alpha),
    "mul": _mul,
    "div": lambda x, y: x / y,
    "div.Tensor_mode": _div_mode,
    "div.Scalar_mode": _div_mode,
    "floor_divide": _floor_divide,
    "reciprocal": lambda x: 1.0 / x,
    "neg": lambda x: -x,
    "positive": lambda x: x,
    "abs": abs,
    "square": lambda x: x * x,
    "pow": _pow,
    "float_power": _pow,
    "sqrt": sqrt,
    "rsqrt": lambda x: 1.0 / sqrt(x),
    "remainder": _remainder,
    "fmod": primitive("rem"),
    "round": _round,
    "frac": lambda x: x - apply("trunc", x),
    "sign": _sign,
    "sgn": _sign,
    "maximum": maximum,
    "max.other": maximum,
    "minimum": minimum,
    "min.other": minimum,
    "fmax": _fmax,
    "fmin": _fmin,
    "clamp": clamp,
    "clamp_min": clamp,
    "clamp_max": lambda x, high: clamp(x, None, high),
    "nan_to_num": _nan_to_num,
    "lerp": _lerp,
    "addcmul": _addcmul,
    "addcdiv": _addcdiv,
    "heaviside": _heaviside,
    "exp": exp,
    "log": log,
    "log1p": log1p,
    "arctan2": primitive("atan2"),
    "deg2rad": lambda x: x * (math.pi / 180.0),
    "rad2deg": lambda x: x * (180.0 / math.pi),
    "sinc": _sinc,
    "logit": _logit,
    "logit_backward": _logit_backward,
    "logaddexp": _logaddexp,
    "logaddexp2": lambda x, y: _logaddexp(x, y, base2=True),
    "xlogy": _xlogy,
    "special_xlog1py": lambda x, y: _xlogy(x, y, log1p),
    "special_entr": _entr,
    "special_log_ndtr": _erfcx_free_log_ndtr,
    "special_ndtri": primitive("ndtri"),
    "special_zeta": lambda x, y: apply("zeta", x if isinstance(x, E) else y.lift(x), y),
    "special_i0e": primitive("i0e"),
    "special_i1": primitive("i1"),
    "special_i1e": primitive("i1e"),
    "polygamma": _polygamma,
    "sigmoid": sigmoid,
    "sigmoid_backward": _sigmoid_backward,
    "tanh_backward": lambda g, y: g * (1.0 - conj(y * y)),
    **ACTIVATIONS,
    "mvlgamma": _mvlgamma,
}

# Operations that are exactly the primitive of the same name.
_FORMULAS |= {
    name: primitive(name)
    for name in (
        "floor", "ceil", "trunc", "copysign", "hypot", "exp2", "expm1", "log2", "log10",
        "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "asinh", "acosh",
        "atanh", "tanh", "erf", "erfc", "erfinv", "lgamma", "digamma", "igamma", "igammac", "i0",
    )
}  # fmt: skip

# The result is a bool; operands are compared in the dtype that they promote to.
_COMPARISONS: dict[str, Callable[..., E]] = {
    "eq": primitive("eq"),
    "ne": primitive("ne"),
    "lt": primitive("lt"),
    "le": primitive("le"),
    "gt": primitive("gt"),
    "ge": primitive("ge"),
    "isnan": is_nan,
    "isinf": is_infinite,
    "isfinite": primitive("isfinite"),
    "isposinf": lambda x: x.equals(math.inf),
    "isneginf": lambda x: x.equals(-math.inf),
    "signbit": primitive("signbit"),
}

_LOGIC: dict[str, Callable[..., E]] = {
    "logical_and": primitive("and"),
    "logical_or": primitive("or"),
    "logical_xor": primitive("xor"),
    "logical_not": primitive("not"),
    "bitwise_and": primitive("and"),
    "bitwise_or": primitive("or"),
    "bitwise_xor": primitive("xor"),
    "bitwise_not": primitive("not"),
}


class Pointwise:
    """The rule of an operation on each element alone, by its formula."""

    def __init__(self, formula: Callable):
        self._formula = formula

    def __call__(self, call, *args, **kwargs) -> E:
        dtype = call.dtype

        def read(operand):
            if not isinstance(operand, torch.Tensor):
                return operand
            # A magnitude is real, and so is read of complex numbers as they are.
            is_of_parts = operand.is_complex() and not call.out.is_complex()
            return call(operand) if is_of_parts else call(operand, dtype)

        return self._formula(*map(read, args), **{key: read(v) for key, v in kwargs.items()})

    def of_numbers(self, dtype: str, numbers: Sequence[Operand]) -> E:
        """Return the result, of some dtype, for numbers without dims."""
        return self._formula(*[n.cast(dtype) if isinstance(n, E) else n for n in numbers])


def _comparison(formula: Callable) -> Callable:
    def rule(call, *args):
        dtype = call.promoted(*args) if len(args) > 1 else None
        return formula(*(call(operand, dtype) for operand in args))

    return rule


def _logic(name: str, formula: Callable) -> Callable:
    def rule(call, *args):
        if name.startswith("bitwise") and call.dtype != "bool":
            raise NotAProgram("it works on the bits of traced integers")
        return formula(*(call(operand).cast("bool") for operand in args))

    return rule


RULES: dict[str, Callable] = {
    **{name: Pointwise(formula) for name, formula in _FORMULAS.items()},
    **{name: _comparison(formula) for name, formula in _COMPARISONS.items()},
    **{name: _logic(name, formula) for name, formula in _LOGIC.items()},
}
