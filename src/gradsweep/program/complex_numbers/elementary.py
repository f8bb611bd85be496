"""Exponentials, logarithms, powers, and the trigonometric and hyperbolic functions.

Branch cuts lie where C99's Annex G has them, and the sign of a zero says on which side of one a
number lies. Errors are a few ulp of the number as a whole, not of each part.

Reference: Kahan (1987), "Branch cuts for complex elementary functions".
"""

import math

from gradsweep.program.complex_numbers.arithmetic import (
    absolute,
    angle,
    mul,
    polar,
    reciprocal,
    scaled,
    turned,
    turned_back,
)
from gradsweep.program.complex_numbers.number import Complex, Real, where

__all__ = [
    "cos",
    "cosh",
    "exp",
    "exp2",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "pow",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
]

# z**n is multiplied out for |n| up to this, as powers of real numbers are.
_LARGEST_EXPANDED_POWER = 8


def exp(z: Complex) -> Complex:
    size = z.re.apply("exp")
    # Infinity times sin(0) is 0 here, so that exp of a real number is real.
    im = where(z.im.equals(0.0), z.im, size * z.im.apply("sin"))
    return Complex(size * z.im.apply("cos"), im)


def exp2(z: Complex) -> Complex:
    return polar(z.re.apply("exp2"), z.im * math.log(2.0))


def expm1(z: Complex) -> Complex:
    cos, half = z.im.apply("cos"), (z.im * 0.5).apply("sin")
    # e^x cos y - 1 = (e^x - 1) cos y - (1 - cos y)
    re = z.re.apply("expm1") * cos - 2.0 * (half * half)
    return Complex(re, exp(z).im)


def _log_of_size(size: Real, excess: Real) -> Real:
    """Return log|z|, given |z| and |z|^2 - 1, which keeps the digits where |z| is near 1."""
    is_near = (size > 0.5) & (size < 2.0)
    rounded = 1.0 + excess
    log = where(is_near, rounded, size).apply("log")
    # What 1 + excess has lost: log(1 + u) = log(w) - ((w - 1) - u) / w.
    lost = ((rounded - 1.0) - excess) / rounded
    return where(is_near, 0.5 * (log - lost), log)


def log(z: Complex) -> Complex:
    if z.im.is_zero:
        return Complex(abs(z.re).apply("log"), angle(z))
    x, y = abs(z.re), abs(z.im)
    larger, smaller = x.apply("max", y), x.apply("min", y)
    excess = (larger - 1.0) * (larger + 1.0) + smaller * smaller
    return Complex(_log_of_size(absolute(z), excess), angle(z))


def log1p(z: Complex) -> Complex:
    moved = Complex(1.0 + z.re, z.im)
    excess = z.re * (2.0 + z.re) + z.im * z.im
    return Complex(_log_of_size(absolute(moved), excess), angle(moved))


def log2(z: Complex) -> Complex:
    return scaled(log(z), 1.0 / math.log(2.0))


def log10(z: Complex) -> Complex:
    return scaled(log(z), 1.0 / math.log(10.0))


def sqrt(z: Complex) -> Complex:
    """Write the root whose real part is not negative."""
    size = absolute(z)
    root = (abs(z.re) * 0.5 + size * 0.5).apply("sqrt")
    y = abs(z.im)
    # The root is zero for z = 0 alone, and infinite where one part is.
    as_it_is = root.equals(0.0) | y.equals(math.inf)
    other = where(as_it_is, y, y / (root * 2.0))
    root = where(y.equals(math.inf), y, root)
    is_right = z.re >= 0.0
    return Complex(where(is_right, root, other), where(is_right, other, root).copysign(z.im))


def pow(z: Complex, w: Complex) -> Complex:
    if w.im.is_zero:
        exponent = w.re.constant
        if exponent is not None:
            if exponent == int(exponent) and abs(exponent) <= _LARGEST_EXPANDED_POWER:
                return _integer_power(z, int(exponent))
            if abs(exponent) == 0.5:
                return sqrt(z) if exponent > 0 else reciprocal(sqrt(z))
        return polar(absolute(z).apply("pow", w.re), angle(z) * w.re)
    size, phase = absolute(z), angle(z)
    # At z = 0 the phase would be NaN, where the power is 0.
    turn = where(size.equals(0.0), 0.0, w.im * size.apply("log"))
    length = size.apply("pow", w.re) * (-(w.im * phase)).apply("exp")
    return polar(length, w.re * phase + turn)


def _integer_power(z: Complex, exponent: int) -> Complex:
    if exponent < 0:
        return reciprocal(_integer_power(z, -exponent))
    if exponent == 0:
        return Complex(z.re.lift(1.0), z.re.lift(0.0))
    if exponent == 1:
        return z
    root = _integer_power(z, exponent // 2)
    square = mul(root, root)
    return mul(square, z) if exponent % 2 else square


def sinh(z: Complex) -> Complex:
    cos, sin = z.im.apply("cos"), z.im.apply("sin")
    return Complex(z.re.apply("sinh") * cos, z.re.apply("cosh") * sin)


def cosh(z: Complex) -> Complex:
    cos, sin = z.im.apply("cos"), z.im.apply("sin")
    return Complex(z.re.apply("cosh") * cos, z.re.apply("sinh") * sin)


def tanh(z: Complex) -> Complex:
    """Write sinh/cosh divided by |cosh|^2 = sinh(x)^2 + cos(y)^2, in which nothing cancels."""
    tangent, size = z.re.apply("tanh"), z.re.apply("cosh")
    cos, sin = z.im.apply("cos") / size, z.im.apply("sin") / size
    square = tangent * tangent + cos * cos
    return Complex(tangent / square, cos * sin / square)


def sin(z: Complex) -> Complex:
    return turned_back(sinh(turned(z)))


def cos(z: Complex) -> Complex:
    return cosh(turned(z))


def tan(z: Complex) -> Complex:
    return turned_back(tanh(turned(z)))
