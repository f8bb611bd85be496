"""JAX's elementwise primitives, in terms of the primitive table.

A rule takes the Builder, the equation and an array of variables for each operand, and returns one
for the result.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from gradsweep.program.arrays import Variables, cast, elementwise
from gradsweep.program.builder import Builder
from gradsweep.program.simplification import power
from gradsweep.support.errors import NotAProgram
from gradsweep.tracing.jax.dtypes import require_dtype

__all__ = ["ELEMENTWISE", "Rule", "by_element", "exceeds", "log_add_exp", "real_part"]

Rule = Callable[..., Any]

# On truth values arithmetic is logic.
_LOGIC = {"add": "or", "mul": "and", "max": "or", "min": "and"}


def _primitive(name: str, b: Builder, equation: Any, *operands: Variables) -> Variables:
    dtype = equation.outvars[0].aval.dtype
    return elementwise(b, _LOGIC.get(name, name) if dtype.kind == "b" else name, *operands)


def _logic(name: str, b: Builder, equation: Any, *operands: Variables) -> Variables:
    if equation.outvars[0].aval.dtype.kind != "b":
        raise NotAProgram(f"it computes the bitwise {name} of integers")
    return elementwise(b, name, *operands)


def by_element(function: Callable[..., int], b: Builder, *operands: Variables) -> Variables:
    """Apply a function of scalar variables to operands that broadcast against each other."""
    broadcast = np.broadcast_arrays(*operands)
    variables = [function(b, *row) for row in zip(*(a.ravel().tolist() for a in broadcast))]
    return np.array(variables, dtype=np.int64).reshape(broadcast[0].shape)


def _formula(function: Callable[..., int]) -> Rule:
    def rule(b: Builder, equation: Any, *operands: Variables) -> Variables:
        return by_element(function, b, *operands)

    return rule


# Formulas of scalars.


def exceeds(name: str, b: Builder, x: int, y: int) -> int:
    """Write x > y or x < y, by `name`, with NaN further out than any number."""
    further = b.emit(name, x, y)
    if not b.dtype(x).startswith("float"):
        return further
    only_x_is_nan = b.emit("and", b.emit("ne", x, x), b.emit("eq", y, y))
    return b.emit("or", further, only_x_is_nan)


def _comes_before(b: Builder, x: int, y: int) -> int:
    """Write x < y in the total order of floats, where -0.0 < 0.0 and NaN comes last."""
    less = exceeds("gt", b, y, x)
    if not b.dtype(x).startswith("float"):
        return less
    signs = b.emit("and", b.emit("signbit", x), b.emit("not", b.emit("signbit", y)))
    return b.emit("or", less, b.emit("and", b.emit("eq", x, y), signs))


def _comes_before_or_equals(b: Builder, x: int, y: int) -> int:
    return b.emit("not", _comes_before(b, y, x))


def _add_cotangents(b: Builder, x: int, y: int) -> int:
    if b.is_complex(x):
        parts = zip(b.parts(x), b.parts(y))
        return b.pair(*(_add_cotangents(b, *pair) for pair in parts))
    # Only JAX's own AD writes this sum: a zero in it stands for "no contribution".
    for one, other in ((x, y), (y, x)):
        if b.is_constant(other) and b.value(other) == 0:
            return one
    return b.emit("add", x, y)


def _divide(b: Builder, x: int, y: int) -> int:
    if b.dtype(x) != "int64":
        return b.emit("div", x, y)
    zero = b.constant(0, "int64")
    # As in XLA, a division by 0 sets all bits of the quotient.
    by_zero = b.emit("eq", y, zero)
    return b.emit("select", by_zero, b.constant(-1, "int64"), b.emit("quotient", x, y))


def _remainder(b: Builder, x: int, y: int) -> int:
    remainder = b.emit("rem", x, y)
    if b.dtype(x) != "int64":
        return remainder
    return b.emit("select", b.emit("eq", y, b.constant(0, "int64")), x, remainder)


def _square(b: Builder, x: int) -> int:
    return b.emit("mul", x, x)


def _rsqrt(b: Builder, x: int) -> int:
    return b.emit("div", b.constant(1, b.dtype(x)), b.emit("sqrt", x))


def _logistic(b: Builder, x: int) -> int:
    one = b.constant(1, b.dtype(x))
    return b.emit("div", one, b.emit("add", one, b.emit("exp", b.emit("neg", x))))


def _power(b: Builder, x: int, y: int) -> int:
    if b.dtype(x) == "int64":
        raise NotAProgram("it raises an integer to a traced power")
    return b.emit("pow", x, b.cast(y, b.dtype(x)))


def _round_half_away(b: Builder, x: int) -> int:
    whole = b.emit("trunc", x)
    fraction = b.emit("abs", b.emit("sub", x, whole))
    away = b.emit("add", whole, b.emit("copysign", b.constant(1, b.dtype(x)), x))
    return b.emit("select", b.emit("ge", fraction, b.constant(0.5, b.dtype(x))), away, whole)


def _clamp(b: Builder, lower: int, x: int, upper: int) -> int:
    return b.emit("min", b.emit("max", x, lower), upper)


def real_part(b: Builder, z: int) -> int:
    return b.parts(z)[0]


def log_add_exp(b: Builder, x: int, y: int) -> int:
    """Write log(exp(x) + exp(y)) = max(x, y) + log1p(exp(-|x - y|)), infinities included."""
    difference = b.emit("sub", x, y)
    tail = b.emit("log1p", b.emit("exp", b.emit("neg", b.emit("abs", difference))))
    # Where x - y is NaN, x and y are the same infinity or one is NaN; x + y is then that too.
    undefined = b.emit("ne", difference, difference)
    larger = b.emit("max", x, y)
    return b.emit("select", undefined, b.emit("add", x, y), b.emit("add", larger, tail))


# Rules that read parameters.


def _integer_power(b: Builder, equation: Any, x: Variables) -> Variables:
    exponent = equation.params["y"]
    if equation.outvars[0].aval.dtype.kind in "fc":
        y = b.constant(exponent, require_dtype(equation.outvars[0].aval.dtype))
        return elementwise(b, "pow", x, np.array(y))
    return by_element(lambda b, x: power(b, x, exponent), b, x)


def _round(b: Builder, equation: Any, x: Variables) -> Variables:
    if equation.params["rounding_method"].name == "TO_NEAREST_EVEN":
        return elementwise(b, "round", x)
    return by_element(_round_half_away, b, x)


def _convert(b: Builder, equation: Any, x: Variables) -> Variables:
    old, new = equation.invars[0].aval.dtype, equation.params["new_dtype"]
    if old.kind == "c" and new.kind != "c":
        x = by_element(real_part, b, x)
    if old.kind in "fc" and new.kind in "iu":
        return by_element(partial(_saturated, np.iinfo(new)), b, x)
    return cast(b, x, require_dtype(new))


def _saturated(limits: np.iinfo, b: Builder, x: int) -> int:
    """Return the integer next to a float towards zero, within limits; 0 for NaN."""
    dtype = b.dtype(x)
    low, high = (b.constant(limit, "int64") for limit in (limits.min, limits.max))
    result = b.emit("to_int64", x)
    # 2**63 - 1 is no float: as one it is 2**63, which is too large itself.
    above = b.emit("ge", x, b.constant(float(limits.max) + (limits.bits < 53), dtype))
    below = b.emit("le", x, b.constant(float(limits.min) - (limits.bits < 53), dtype))
    result = b.emit("select", above, high, b.emit("select", below, low, result))
    return b.emit("select", b.emit("ne", x, x), b.constant(0, "int64"), result)


def _reduce_precision(b: Builder, equation: Any, x: Variables) -> Variables:
    limits = np.finfo(equation.outvars[0].aval.dtype)
    kept = equation.params["exponent_bits"], equation.params["mantissa_bits"]
    if kept != (limits.iexp, limits.nmant):
        raise NotAProgram(f"it rounds to {kept[1]} bits of mantissa")
    return x


def _select(b: Builder, equation: Any, which: Variables, *cases: Variables) -> Variables:
    if equation.invars[0].aval.dtype.kind == "b":
        return elementwise(b, "select", which, *reversed(cases)) if len(cases) == 2 else cases[0]
    result = cases[-1]
    for index in reversed(range(len(cases) - 1)):
        chosen = elementwise(b, "eq", which, np.array(b.constant(index, "int64")))
        result = elementwise(b, "select", chosen, cases[index], result)
    return result


def _identity(b: Builder, equation: Any, *operands: Variables) -> list[Variables]:
    return list(operands)


# Primitives that the table has too; where the names differ, ours comes second.
_SAME = """
    add sub mul neg abs sign max min floor ceil sqrt cbrt exp exp2 expm1 log log1p
    sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh
    erf erfc lgamma digamma polygamma zeta igamma igammac eq ne lt le gt ge
""".split()
_RENAMED = {"erf_inv": "erfinv", "is_finite": "isfinite", "bessel_i0e": "i0e", "bessel_i1e": "i1e"}

ELEMENTWISE: dict[str, Rule] = {
    **{name: partial(_primitive, name) for name in _SAME},
    **{name: partial(_primitive, ours) for name, ours in _RENAMED.items()},
    **{name: partial(_logic, name) for name in ("and", "or", "xor", "not")},
    "add_any": _formula(_add_cotangents),
    "div": _formula(_divide),
    "rem": _formula(_remainder),
    "square": _formula(_square),
    "rsqrt": _formula(_rsqrt),
    "logistic": _formula(_logistic),
    "pow": _formula(_power),
    "clamp": _formula(_clamp),
    "lt_to": _formula(_comes_before),
    "le_to": _formula(_comes_before_or_equals),
    "integer_pow": _integer_power,
    "round": _round,
    "convert_element_type": _convert,
    "reduce_precision": _reduce_precision,
    "select_n": _select,
    **dict.fromkeys(
        [
            "copy", "copy_p", "stop_gradient", "name", "optimization_barrier", "device_put",
            "sharding_constraint", "pvary", "pcast",
        ],
        _identity,
    ),
}  # fmt: skip
