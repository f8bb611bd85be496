"""The inverse trigonometric and hyperbolic functions.

They are made of square roots of 1 + z and 1 - z, whose products never cancel: so they are right on
both sides of each cut, next to the branch points, and for large numbers.

Reference: Kahan (1987), "Branch cuts for complex elementary functions".
"""

from gradsweep.program.complex_numbers.arithmetic import absolute, turned, turned_back
from gradsweep.program.complex_numbers.elementary import sqrt
from gradsweep.program.complex_numbers.number import Complex

__all__ = ["acos", "acosh", "asin", "asinh", "atan", "atanh"]


def _roots(z: Complex) -> tuple[Complex, Complex]:
    """Return the square roots of 1 - z and 1 + z."""
    return sqrt(Complex(1.0 - z.re, -z.im)), sqrt(Complex(1.0 + z.re, z.im))


def asin(z: Complex) -> Complex:
    minus, plus = _roots(z)
    re = z.re.apply("atan2", minus.re * plus.re - minus.im * plus.im)
    return Complex(re, (minus.re * plus.im - minus.im * plus.re).apply("asinh"))


def acos(z: Complex) -> Complex:
    minus, plus = _roots(z)
    re = 2.0 * minus.re.apply("atan2", plus.re)
    return Complex(re, (plus.re * minus.im - plus.im * minus.re).apply("asinh"))


def acosh(z: Complex) -> Complex:
    minus, plus = sqrt(Complex(z.re - 1.0, z.im)), sqrt(Complex(z.re + 1.0, z.im))
    re = (minus.re * plus.re + minus.im * plus.im).apply("asinh")
    return Complex(re, 2.0 * minus.im.apply("atan2", plus.re))


def atanh(z: Complex) -> Complex:
    x, y = abs(z.re), z.im
    distance = absolute(Complex(1.0 - x, y))  # from the branch point
    # |1 + z|^2 / |1 - z|^2 = 1 + 4 x / |1 - z|^2
    re = 0.25 * (4.0 * (x / distance) / distance).apply("log1p")
    im = 0.5 * y.apply("atan2", 0.5 * ((1.0 - x) * (1.0 + x) - y * y))
    return Complex(re.copysign(z.re), im)


def asinh(z: Complex) -> Complex:
    return turned_back(asin(turned(z)))


def atan(z: Complex) -> Complex:
    return turned_back(atanh(turned(z)))
