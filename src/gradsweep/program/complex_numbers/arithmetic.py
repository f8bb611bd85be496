"""Sums, products and quotients of complex numbers, and what compares them.

Products are (a c - b d, a d + b c), as in C without Annex G, in Python, NumPy, torch and XLA.
A quotient overflows only where its value does.

Reference: Smith (1962), "Algorithm 116: Complex division".
"""

import math

from gradsweep.program.complex_numbers.number import Complex, Real, where

__all__ = [
    "absolute",
    "add",
    "angle",
    "conj",
    "div",
    "eq",
    "isfinite",
    "isinf",
    "mul",
    "ne",
    "neg",
    "polar",
    "reciprocal",
    "scaled",
    "select",
    "sgn",
    "sub",
    "turned",
    "turned_back",
]


def add(x: Complex, y: Complex) -> Complex:
    return Complex(x.re + y.re, x.im + y.im)


def sub(x: Complex, y: Complex) -> Complex:
    return Complex(x.re - y.re, x.im - y.im)


def neg(x: Complex) -> Complex:
    return Complex(-x.re, -x.im)


def conj(x: Complex) -> Complex:
    return Complex(x.re, -x.im)


def turned(x: Complex) -> Complex:
    """Multiply by i."""
    return Complex(-x.im, x.re)


def turned_back(x: Complex) -> Complex:
    """Divide by i."""
    return Complex(x.im, -x.re)


def mul(x: Complex, y: Complex) -> Complex:
    return Complex(x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re)


def scaled(x: Complex, factor: float) -> Complex:
    """Multiply by a real number that is no zero, each part by itself."""
    return Complex(x.re * factor, x.im * factor)


def div(x: Complex, y: Complex) -> Complex:
    """Divide; by zero, each part is divided by zero."""
    if y.im.is_zero:
        # 0 / y is a zero of the sign of y; -0 is no divisor.
        ratio, size = y.im * y.re.lift(1.0).copysign(y.re), y.re + 0.0
        return Complex((x.re + x.im * ratio) / size, (x.im - x.re * ratio) / size)
    # A derivative divides by z and by its conjugate: in both, z is looked at once.
    im = y.im.negated
    is_wide, ratio, size = _split(y if im is None else Complex(y.re, im))
    if im is not None:
        ratio, size = -ratio, where(is_wide, size, -size)
    first, second = where(is_wide, x.re, x.im), where(is_wide, x.im, -x.re)
    return Complex((first + second * ratio) / size, (second - first * ratio) / size)


def _split(y: Complex) -> tuple[Real, Real, Real]:
    """Return whether Re y is the larger part, a ratio of both and the larger part times 1 + ratio².

    Where the imaginary part is the larger one, x / y is (x / i) / (y / i).
    """
    is_wide = abs(y.re) >= abs(y.im)
    larger, smaller = where(is_wide, y.re, y.im), where(is_wide, y.im, -y.re)
    # Beside a zero lies a zero; its sign is that of the conjugate's where it is negated.
    ratio = where(larger.equals(0.0), smaller, smaller / larger)
    return is_wide, ratio, larger + smaller * ratio


def reciprocal(x: Complex) -> Complex:
    zero = x.re.lift(0.0)
    return div(Complex(x.re.lift(1.0), zero), x)


def absolute(x: Complex) -> Real:
    return abs(x.re) if x.im.is_zero else x.re.apply("hypot", x.im)


def angle(x: Complex) -> Real:
    return x.im.apply("atan2", x.re)


def polar(size: Real, phase: Real) -> Complex:
    return Complex(size * phase.apply("cos"), size * phase.apply("sin"))


def sgn(x: Complex) -> Complex:
    """Divide by the magnitude; zero stays zero."""
    size = absolute(x)
    is_zero = size.equals(0.0)
    return Complex(where(is_zero, 0.0, x.re / size), where(is_zero, 0.0, x.im / size))


def select(condition: Real, if_true: Complex, if_false: Complex) -> Complex:
    return Complex(
        where(condition, if_true.re, if_false.re), where(condition, if_true.im, if_false.im)
    )


def eq(x: Complex, y: Complex) -> Real:
    return x.re.equals(y.re) & x.im.equals(y.im)


def ne(x: Complex, y: Complex) -> Real:
    return x.re.apply("ne", y.re) | x.im.apply("ne", y.im)


def isfinite(x: Complex) -> Real:
    return x.re.apply("isfinite") & x.im.apply("isfinite")


def isinf(x: Complex) -> Real:
    return abs(x.re).equals(math.inf) | abs(x.im).equals(math.inf)
