"""The rules that simplify an equation as it is written.

Each returns a variable that has the same value for all operands, bit for bit but for the sign of
NaN; or None. Five licences are taken:

- x**n becomes multiplications for n up to 8, within 4 ulp;
- a structural zero annihilates what it multiplies;
- a zero that a linear map chooses in place of a seed counts as structural (`Equations.linear`);
- terms may be masked by a condition (see `cases`);
- erfc(-x) takes the place of 1 + erf(x), or of a select between formulas for it, each right to
  rounding where it is selected. erfc keeps the digits of its tail that 1 + erf loses.

Knows nothing of frameworks.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import numpy as np

from gradsweep.program.cases import merge
from gradsweep.program.equations import Equations
from gradsweep.program.primitives import WRAPS
from gradsweep.program.program import Equation

__all__ = ["RULES", "nearest_entry", "power", "simplify"]

# x**n for |n| up to 8 takes at most 4 multiplications and stays within 4 ulp.
_LARGEST_EXPANDED_POWER = 8


def simplify(b: Equations, name: str, operands: tuple[int, ...]) -> int | None:
    """Return a variable that equals `name` of `operands` for every value, or None."""
    rule = RULES.get(name)
    return rule(b, *operands) if rule else None


def _simplify_add(b: Equations, x: int, y: int) -> int | None:
    for one, other in ((x, y), (y, x)):
        if b.is_constant(other):
            if b.is_structural_zero(other) or b.equals(other, -0.0):
                return one
            continue
        negated = b.negated(other)
        if negated is not None:
            return b.emit("sub", one, negated)
        erf_of = b.operand_of("erf", other)
        if erf_of is not None and b.equals(one, 1.0):
            return b.emit("erfc", b.emit("neg", erf_of))
    return merge(b, "add", x, y)


def _simplify_sub(b: Equations, x: int, y: int) -> int | None:
    if b.is_structural_zero(y) or b.equals(y, 0.0):
        return x
    if b.is_structural_zero(x):
        return b.emit("neg", y)
    negated = b.negated(y)
    if negated is not None:
        return b.emit("add", x, negated)
    erf_of = b.operand_of("erf", y)
    if erf_of is not None and b.equals(x, 1.0):
        return b.emit("erfc", erf_of)
    return merge(b, "sub", x, y)


def _simplify_mul(b: Equations, x: int, y: int) -> int | None:
    for one, other in ((x, y), (y, x)):
        if not b.is_constant(other):
            continue
        if b.is_structural_zero(other):
            return other
        if b.equals(other, 1.0):
            return one
        if b.equals(other, -1.0) and b.dtype(one) != "bool":
            return b.emit("neg", one)
    x_negated, y_negated = b.negated(x), b.negated(y)
    if x_negated is not None and y_negated is not None:
        return b.emit("mul", x_negated, y_negated)
    inner = b.operand_of("abs", x)
    if x == y and inner is not None:
        return b.emit("mul", inner, inner)
    if b.is_transposing:
        for one, other in ((x, y), (y, x)):
            chosen = _inside_choice(b, "mul", one, other)
            if chosen is not None:
                return chosen
    return None


def _simplify_div(b: Equations, x: int, y: int) -> int | None:
    if b.is_structural_zero(x):
        return x
    if b.equals(y, 1.0):
        return x
    if b.is_constant(y) and _has_exact_reciprocal(b.value(y), b.dtype(y)):
        return b.emit("mul", x, b.constant(1.0 / b.value(y), b.dtype(y)))
    return _inside_choice(b, "div", x, y)


def _inside_choice(b: Equations, name: str, x: int, factor: int) -> int | None:
    """Multiply inside a choice between a term and nothing, so that nothing stays nothing.

    A formula for a derivative may end with such a choice, because its factors are infinite where
    nothing is chosen. Its transpose begins with the choice, and would multiply after it.
    """
    if not b.is_transposing or not _may_be_infinite(b, factor):
        return None
    match b.equation(x):
        case Equation("select", (condition, *sides)) if any(map(b.is_structural_zero, sides)):
            return b.emit(
                "select",
                condition,
                *(s if b.is_structural_zero(s) else b.emit(name, s, factor) for s in sides),
            )
    return None


def _may_be_infinite(b: Equations, factor: int) -> bool:
    if b.is_constant(factor):
        return not np.isfinite(b.value(factor))
    return b.equation(factor) is not None  # arguments are finite


@lru_cache(maxsize=1024)
def _has_exact_reciprocal(value: float, dtype: str) -> bool:
    if not dtype.startswith("float") or value == 0 or not np.isfinite(value):
        return False
    limits = np.finfo(dtype)
    mantissa, _ = np.frexp(value)
    return bool(abs(mantissa) == 0.5 and limits.tiny <= abs(1.0 / value) <= limits.max)


def _simplify_neg(b: Equations, x: int) -> int | None:
    return b.negated(x)


def _simplify_pow(b: Equations, x: int, y: int) -> int | None:
    if not b.is_constant(y) or not b.dtype(x).startswith("float"):
        return None
    exponent = b.value(y)
    if float(exponent).is_integer() and abs(exponent) <= _LARGEST_EXPANDED_POWER:
        return power(b, x, int(exponent))
    return None


def power(b: Equations, x: int, exponent: int) -> int:
    """Write x**exponent by repeated squaring (Knuth, The Art of Computer Programming, 4.6.3)."""
    if exponent < 0:
        return b.emit("div", b.constant(1.0, b.dtype(x)), power(b, x, -exponent))
    if exponent == 0:
        return b.constant(1.0, b.dtype(x))
    root = power(b, x, exponent // 2)
    square = b.emit("mul", root, root)
    return b.emit("mul", square, x) if exponent % 2 else square


def _simplify_select(b: Equations, condition: int, if_true: int, if_false: int) -> int | None:
    if b.is_linear and b.dtype(if_true).startswith("float"):
        nothing = b.structural_zero(b.dtype(if_true))
        sides = [nothing if b.is_zero(side) else side for side in (if_true, if_false)]
        if sides != [if_true, if_false]:
            return b.emit("select", condition, *sides)
    if if_true == if_false:
        return if_true
    if b.is_structural_zero(if_true) and b.is_structural_zero(if_false):
        return if_true
    if b.is_constant(condition):
        return if_true if b.value(condition) else if_false
    tail = _erfc_argument(b, if_true, condition, True)
    if tail is not None and tail == _erfc_argument(b, if_false, condition, False):
        return b.emit("erfc", tail)
    return None


def _erfc_argument(b: Equations, variable: int, condition: int, holds: bool) -> int | None:
    """Return x when the variable is erfc(x) up to rounding, given whether the condition holds.

    2 - erfc(-x) equals it where x is negative. Libraries choose between the two, and JAX's ndtr
    also 1 + erf(-x), which is erfc(x) by the rules above.
    """
    match b.equation(variable):
        case Equation("erfc", (x,)):
            return _without_abs(b, x, condition, holds)
        case Equation("sub", (two, erfc)) if b.equals(two, 2.0):
            negated = b.operand_of("erfc", erfc)
            if negated is not None:
                return b.emit("neg", _without_abs(b, negated, condition, holds))
    return None


def _without_abs(b: Equations, x: int, condition: int, holds: bool) -> int:
    """Return w or -w in place of x = |w| if the condition, w > 0, tells which one it is."""
    inner = b.operand_of("abs", x)
    match b.equation(condition):
        case Equation("gt" | "ge", (w, bound)) if w == inner and b.equals(bound, 0.0):
            return w if holds else b.emit("neg", w)
    return x


def _simplify_and(b: Equations, x: int, y: int) -> int | None:
    for one, other in ((x, y), (y, x)):
        if b.is_constant(other):
            return one if b.value(other) else other
    return x if x == y else None


def _simplify_or(b: Equations, x: int, y: int) -> int | None:
    for one, other in ((x, y), (y, x)):
        if b.is_constant(other):
            return other if b.value(other) else one
    return x if x == y else None


def _simplify_not(b: Equations, x: int) -> int | None:
    return b.operand_of("not", x)


def _wrapped(dtype: str, b: Equations, x: int) -> int | None:
    limits = np.iinfo(dtype)
    low, high = _integer_bounds(b, x)
    return x if limits.min <= low and high <= limits.max else None


# With so many changes from one entry to the next, a lookup costs as little as selects.
_MANY_CHANGES = 4


def _simplify_lookup(b: Equations, place: int, *entries: int) -> int | None:
    if b.is_constant(place):
        return nearest_entry(b.value(place), entries)
    if b.is_linear and b.dtype(entries[0]).startswith("float"):
        nothing = b.structural_zero(b.dtype(entries[0]))
        kept = [nothing if b.is_zero(entry) else entry for entry in entries]
        if kept != [*entries]:
            return b.emit("lookup", place, *kept)
    begins = [i for i in range(1, len(entries)) if entries[i] != entries[i - 1]]
    if len(begins) == 2 and begins[1] == begins[0] + 1 and entries[0] == entries[-1]:
        (one, _) = begins
        is_one = b.emit("eq", place, b.constant(one, "int64"))
        return b.emit("select", is_one, entries[one], entries[0])
    if len(begins) >= _MANY_CHANGES:
        return None
    found = entries[-1]
    for begin in reversed(begins):
        is_before = b.emit("lt", place, b.constant(begin, "int64"))
        found = b.emit("select", is_before, entries[begin - 1], found)
    return found


def nearest_entry(place: int, entries: Sequence[int]) -> int:
    """Return the entry that a lookup takes: beyond the ends of a table, the first or the last."""
    return entries[min(max(int(place), 0), len(entries) - 1)]


def _simplify_comparison(name: str, b: Equations, x: int, y: int) -> int | None:
    """Decide a comparison of integers, where their bounds do."""
    if b.dtype(x) != "int64":
        return None
    if name in ("gt", "ge"):
        x, y = y, x
    (low, high), (least, most) = _integer_bounds(b, x), _integer_bounds(b, y)
    if name in ("lt", "gt"):
        holds, fails = high < least, low >= most
    else:
        holds, fails = high <= least, low > most
    return b.constant(holds, "bool") if holds or fails else None


# The most equations that are looked at for the bounds of an integer.
_MOST_BOUNDED = 64

Bounds = tuple[float, float]
_UNBOUNDED: Bounds = (-math.inf, math.inf)


def _integer_bounds(b: Equations, variable: int, seen: dict[int, Bounds] | None = None) -> Bounds:
    """Return the least and the largest number that an integer may be; infinite where unknown."""
    seen = {} if seen is None else seen
    if variable not in seen:
        if b.is_constant(variable):
            return b.value(variable), b.value(variable)
        if len(seen) >= _MOST_BOUNDED:
            return _UNBOUNDED
        seen[variable] = _UNBOUNDED  # while its operands are looked at, it counts
        low, high = _bounds_of(b, b.equation(variable), seen)
        # Beyond these, integers wrap around.
        fits = low >= np.iinfo(np.int64).min and high <= np.iinfo(np.int64).max
        seen[variable] = (low, high) if fits else _UNBOUNDED
    return seen[variable]


def _bounds_of(b: Equations, equation: Equation | None, seen: dict[int, Bounds]) -> Bounds:
    def of(variable: int) -> Bounds:
        return _integer_bounds(b, variable, seen)

    match equation:
        case Equation("to_int64", (x,)) if b.dtype(x) == "bool":
            return 0, 1
        case Equation("select" | "lookup", (_, *entries)):
            each = [of(entry) for entry in entries]
            return min(low for low, _ in each), max(high for _, high in each)
        case Equation("neg", (x,)):
            return -of(x)[1], -of(x)[0]
        case Equation("add" | "sub" | "min" | "max" as name, (x, y)):
            (a, c), (d, e) = of(x), of(y)
            match name:
                case "add":
                    return a + d, c + e
                case "sub":
                    return a - e, c - d
                case "min":
                    return min(a, d), min(c, e)
                case _:
                    return max(a, d), max(c, e)
        case Equation("mul", (x, y)):
            corners = [p * q for p in of(x) for q in of(y)]
            return (min(corners), max(corners)) if np.isfinite(corners).all() else _UNBOUNDED
        case Equation(str(name), (x,)) if name.startswith("wrap_"):
            limits = np.iinfo(name.removeprefix("wrap_"))
            inner = of(x)
            is_kept = limits.min <= inner[0] and inner[1] <= limits.max
            return inner if is_kept else (limits.min, limits.max)
    return _UNBOUNDED


RULES: dict[str, Callable[..., int | None]] = {
    "add": _simplify_add,
    "sub": _simplify_sub,
    "mul": _simplify_mul,
    "div": _simplify_div,
    "neg": _simplify_neg,
    "pow": _simplify_pow,
    "select": _simplify_select,
    "and": _simplify_and,
    "or": _simplify_or,
    "not": _simplify_not,
    "lookup": _simplify_lookup,
    **{name: partial(_simplify_comparison, name) for name in ("lt", "le", "gt", "ge")},
    **{name: partial(_wrapped, dtype) for dtype, name in WRAPS.items()},
}
