"""Functions of complex numbers written with NumPy and cmath: their values and derivatives.

The value is that of NumPy or cmath itself, the derivative mpmath's.
"""

import cmath
import math

import mpmath
import numpy as np
import pytest

import gradsweep as gs
from gradsweep.tracing.numpy.operations import table

mp = mpmath.mp

Z = np.array([0.3 + 0.4j, -0.7 + 0.2j, 0.5 - 1.1j])


def expected(f, *arguments):
    """Return what the function itself gives for Python's own numbers, one after the other."""
    return np.array([f(*(value.item() for value in each)) for each in zip(*arguments)])


# By name: the function, and mpmath's. All are holomorphic where they are called.
HOLOMORPHIC = {
    "exp": (cmath.exp, mp.exp),
    "log": (cmath.log, mp.log),
    "log to a base": (lambda z: cmath.log(z, 3), lambda z: mp.log(z) / mp.log(3)),
    "log10": (cmath.log10, mp.log10),
    "sqrt": (cmath.sqrt, mp.sqrt),
    "sin": (cmath.sin, mp.sin),
    "cos": (cmath.cos, mp.cos),
    "tan": (cmath.tan, mp.tan),
    "asin": (cmath.asin, mp.asin),
    "acos": (cmath.acos, mp.acos),
    "atan": (cmath.atan, mp.atan),
    "sinh": (cmath.sinh, mp.sinh),
    "cosh": (cmath.cosh, mp.cosh),
    "tanh": (cmath.tanh, mp.tanh),
    "asinh": (cmath.asinh, mp.asinh),
    "acosh": (cmath.acosh, mp.acosh),
    "acosh far out": (lambda z: np.arccosh(1e3 * z), lambda z: mp.acosh(1000 * z)),
    "atanh": (cmath.atanh, mp.atanh),
    "power": (lambda z: np.power(z, 2.5) + z**1j, lambda z: mp.power(z, 2.5) + mp.power(z, 1j)),
    "polyval": (lambda z: np.polyval([1, 2j, 3], z), lambda z: z * z + 2j * z + 3),
    "functions of NumPy": (
        lambda z: np.exp(z) * np.sin(z) + np.sqrt(z) + np.log1p(z) + np.expm1(z) + np.square(z),
        lambda z: mp.exp(z) * mp.sin(z) + mp.sqrt(z) + mp.log(1 + z) + mp.exp(z) - 1 + z * z,
    ),
}


def derivative(own, framework):
    """Return the derivative at Z of a function, once its values are found to be its own."""

    def f(z):
        return own(z)

    found = gs.gradient(f, gs.Sweep(z=Z), framework=framework, with_value=True)
    np.testing.assert_allclose(found.f, [own(z) for z in Z], rtol=1e-13)
    return found.df_dz


@pytest.mark.parametrize("name", HOLOMORPHIC)
def test_a_function_of_a_complex_number(name, framework):
    own, exact = HOLOMORPHIC[name]
    found = derivative(own, framework)
    with mpmath.workdps(30):
        slope = np.array([complex(mp.diff(exact, mp.mpc(z))) for z in Z])
    np.testing.assert_allclose(found, np.stack([slope, 1j * slope], -1), rtol=1e-12)


# By name: the function of a complex number, and mpmath's of its parts.
OF_PARTS = {
    "phase": (cmath.phase, lambda x, y: mp.atan2(y, x)),
    "angle": (lambda z: np.angle(z) + np.angle(z, deg=True), None),
    "polar": (
        lambda z: cmath.polar(z)[0] * cmath.polar(z)[1],
        lambda x, y: mp.hypot(x, y) * mp.atan2(y, x),
    ),
    "conjugate": (
        lambda z: (z.conjugate() * z).real + np.conj(z).imag,
        lambda x, y: x * x + y * y - y,
    ),
    "parts": (lambda z: z.real * z.imag**2 + np.real(z) - np.imag(z), None),
    "abs": (lambda z: abs(z) ** 3 + np.abs(z), None),
    "sign": (lambda z: np.sign(z).imag, lambda x, y: y / mp.hypot(x, y)),
    "choice": (lambda z: np.where(np.abs(z) > 0.9, z * z, 1 / z).real, None),
    "questions": (
        lambda z: np.where(cmath.isfinite(z) & np.iscomplex(z) & ~np.isreal(z), z.real, 0.0),
        lambda x, y: x,
    ),
    "isclose": (lambda z: np.where(cmath.isclose(z, 1j), 0.0, z.imag), lambda x, y: y),
}


def test_every_function_of_cmath_has_a_row():
    names = {name for name in dir(cmath) if callable(getattr(cmath, name))}
    known = {getattr(row, "__name__", "") for row in table() if row in vars(cmath).values()}
    assert "exp" in names and names <= known


@pytest.mark.parametrize("name", OF_PARTS)
def test_a_real_function_of_a_complex_number(name, framework):
    own, exact = OF_PARTS[name]
    found = derivative(own, framework)
    if exact is None:
        h = 1e-6
        by_x = [(own(z + h) - own(z - h)) / (2 * h) for z in Z]
        by_y = [(own(z + 1j * h) - own(z - 1j * h)) / (2 * h) for z in Z]
        np.testing.assert_allclose(found, np.stack([by_x, by_y], -1), rtol=1e-7, atol=1e-8)
        return
    with mpmath.workdps(30):
        slopes = [
            [float(mp.diff(exact, (z.real, z.imag), order)) for order in ((1, 0), (0, 1))]
            for z in Z
        ]
    np.testing.assert_allclose(found, np.broadcast_to(slopes, (3, 2)), atol=1e-12)


def test_cmath_takes_real_numbers_for_complex_ones(framework):
    def f(x):
        return cmath.sqrt(x) + cmath.log(x) + cmath.acosh(x - 3) + cmath.phase(x)

    x = np.array([-2.0, 0.5])
    found = gs.gradient(f, gs.Sweep(x=x), framework=framework, with_value=True)
    np.testing.assert_allclose(found.f, expected(f, x), rtol=1e-13)
    with mpmath.workdps(30):
        exact = [complex(mp.diff(lambda t: mp.sqrt(t) + mp.log(t) + mp.acosh(t - 3), v)) for v in x]
    np.testing.assert_allclose(found.df_dx, exact, rtol=1e-12)


def test_numbers_are_put_together_of_their_parts(framework):
    def f(r, phi):
        z = cmath.rect(r, phi) + complex(r, -phi) + complex(2.0, r) + complex(phi)
        return z if isinstance(z, complex) else 0.0

    r, phi = np.array([0.7, 1.2]), np.array([0.3, -2.0])
    sweep = gs.Sweep(r=("i", r), phi=("i", phi))
    found = gs.gradient(f, sweep, framework=framework, with_value=True)
    np.testing.assert_allclose(found.f, expected(f, r, phi), rtol=1e-13)
    turn = np.exp(1j * phi)
    np.testing.assert_allclose(found.df_dr, turn + 1 + 1j, rtol=1e-13)
    np.testing.assert_allclose(found.df_dphi, 1j * r * turn - 1j + 1, rtol=1e-13)


def test_an_infinite_part_leaves_the_other_as_it_is(framework):
    def f(x, y):
        return complex(x, y).real

    sweep = gs.Sweep(x=2.0, y=[math.inf, 1.0])
    np.testing.assert_array_equal(gs.value(f, sweep, framework=framework).f, 2.0)


def test_fourier_transforms(framework):
    def f(q):
        spectrum = np.fft.fft(q)
        return np.abs(spectrum[1]) ** 2 + np.fft.ifft(spectrum, axis=0)[2].real

    q = np.array([0.3, 1.2, -0.5, 0.8])
    found = gs.gradient(f, gs.Sweep(q=((), q)), framework=framework, with_value=True)
    np.testing.assert_allclose(found.f, f(q), rtol=1e-13)
    w = np.exp(-0.5j * np.pi * np.arange(4))
    slope = 2 * (np.conj(w @ q) * w).real + np.eye(4)[2]
    np.testing.assert_allclose(found.df_dq, slope, rtol=1e-12, atol=1e-14)


# -- writes, which NumPy sees through the parts of an array


def through_a_part(x):
    z = np.zeros(3, complex)
    z[0] = x
    z.real[1:] = x * x
    z.imag += x
    return z


def of_a_view(x):
    z = np.array([x, 2j, x * 1j])
    real = z[1:].real
    real[0] = 5.0 * x
    return z[1] * z[2] + real[0]


def by_attribute(x):
    z = np.array([x, 1j])
    z.real = 2.0
    z.imag = [x, x * x]
    return z * x


def apart(x):
    z = np.array([x, 1j])
    row = z.real.ravel()
    row[0] = 100.0
    return z[0] + row[0]


@pytest.mark.parametrize("f", [through_a_part, of_a_view, by_attribute, apart])
def test_what_is_written_into_a_part_is_seen_in_the_array(f, framework):
    x = np.array([0.4, 1.5])
    name = f.__name__
    found = gs.jacobian(f, gs.Sweep(x=x), framework=framework, with_value=True)
    own = np.array([f(value) for value in x])
    np.testing.assert_allclose(found[name], own, rtol=1e-13)
    h = 1e-6
    slope = np.array([(f(value + h) - f(value - h)) / (2 * h) for value in x])
    derivative = found[f"d{name}_dx"]
    np.testing.assert_allclose(np.broadcast_to(derivative, slope.shape), slope, atol=1e-8)


def test_the_part_of_a_number_cannot_be_written():
    def f(z):
        z.real = 2.0
        return np.exp(z)

    with pytest.raises(AttributeError, match="'real' of a number"):
        gs.value(f, gs.Sweep(z=Z))
