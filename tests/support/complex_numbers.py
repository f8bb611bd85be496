"""Complex numbers to try functions at, functions of mpmath, and models in closed form."""

import math

import mpmath
import numpy as np
from scipy.special import wofz

import gradsweep as gs

ULP = 2.0**-52

_CIRCULAR = ("sin", "cos", "tan", "sinh", "cosh", "tanh")
_INVERSE = ("asin", "acos", "atan", "asinh", "acosh", "atanh")

IN_MPMATH = {
    "conj": mpmath.conj,
    "reciprocal": lambda z: 1 / z,
    "sign": lambda z: z / abs(z),
    "exp": mpmath.exp,
    "expm1": lambda z: mpmath.exp(z) - 1,
    "log": mpmath.log,
    "log1p": lambda z: mpmath.log(1 + z),
    "log2": lambda z: mpmath.log(z) / mpmath.log(2),
    "log10": lambda z: mpmath.log(z) / mpmath.log(10),
    "sqrt": mpmath.sqrt,
    "abs": abs,
    "angle": mpmath.arg,
    **{name: getattr(mpmath, name) for name in (*_CIRCULAR, *_INVERSE)},
}

# Their value overflows where the argument is large.
GROWING = (*_CIRCULAR, "exp", "expm1")

# Python's cmath follows Annex G.
CUT = ("log", "sqrt", *_INVERSE, "exp", "tanh", "tan")

# Quotients whose parts overflow or underflow, and mostly not the quotient.
NUMERATORS = np.array([1 + 1j, 1e300 + 1e300j, 1e-300 + 1j, 1 + 2j, 3e-200j])
DENOMINATORS = np.array(
    [1e300 + 1e300j, 1e299 - 2e300j, 1e-300 + 1e-300j, 5 + 0j, 1e-200 + 2e-200j]
)


def points(scales=(1e-12, 1e-3, 1.0, 5.0, 100.0, 1e8, 1e150)):
    rng = np.random.default_rng(3)
    z = np.concatenate([s * (rng.normal(size=9) + 1j * rng.normal(size=9)) for s in scales])
    odd = [1 + 1e-9j, 1 - 1e-12 + 1e-13j, 1j * (1 + 1e-9), -1 + 1e-10j, math.pi / 2 + 1e-9j, 2j]
    return np.concatenate([z, odd])


def ulps(found, expected):
    """Return the largest error, relative to the number as a whole."""
    return max(
        float(abs(mpmath.mpc(complex(f)) - e) / abs(e)) / ULP
        for f, e in zip(found, expected)
        if 1e-290 < abs(e) < 1e290
    )


def on_cuts():
    """Return numbers on and beside every branch cut, with zeros of both signs."""
    places = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0]
    return np.array([complex(x, y) for x in places for y in places])


def assert_on_the_same_side(numbers, found, function):
    """Check values and the signs of zeros against a function of `cmath`, where it has a value."""
    n_compared = 0
    for w, own in zip(numbers, found):
        try:
            expected = function(complex(w))
        except ValueError:  # a pole
            continue
        n_compared += 1
        assert abs(own - expected) <= 1e-14 * max(1.0, abs(expected)), (w, own, expected)
        for part in ("real", "imag"):
            signs = (math.copysign(1, getattr(side, part)) for side in (own, expected))
            assert len(set(signs)) == 1, (w, own, expected)
    assert n_compared > 50


def assert_is_transfer_function(gain):
    """Check magnitude (dB) and phase of H = w0^2 / (w0^2 - w^2 + 2 i zeta w0 w), a low pass."""
    w, w0, zeta = np.logspace(-1, 2, 7), 3.0, 0.2
    found = gs.jacobian(gain, gs.Sweep(w=w, w0=w0, zeta=zeta), with_value=True)
    assert found.attrs["engine"] == "fused"
    a, b = w0**2 - w**2, 2 * zeta * w0 * w
    size = a**2 + b**2
    magnitude = 20 * np.log10(w0**2 / np.sqrt(size))
    np.testing.assert_allclose(found.magnitude, magnitude, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(found.phase, -np.arctan2(b, a), rtol=1e-12)
    d_zeta = -20 / math.log(10) * b * 2 * w0 * w / size
    np.testing.assert_allclose(found.dmagnitude_dzeta, d_zeta, rtol=1e-12)
    np.testing.assert_allclose(found.dphase_dzeta, -a * 2 * w0 * w / size, rtol=1e-11)


def weideman():
    """Return the scale and the coefficients of the series of 32 terms, that of the 0th power first.

    Reference: Weideman (1994), "Computation of the complex error function".
    """
    n = 32
    scale = math.sqrt(n / math.sqrt(2))
    t = scale * np.tan(np.arange(1 - 2 * n, 2 * n) * np.pi / (4 * n))
    samples = np.concatenate([[0.0], np.exp(-(t**2)) * (scale**2 + t**2)])
    return scale, np.real(np.fft.fft(np.fft.fftshift(samples)))[1 : n + 1] / (4 * n)


def assert_is_voigt(voigt):
    """Check a Voigt profile of x, sigma and gamma, and its slopes, against scipy's wofz."""
    x, sigma, gamma = np.linspace(-4.0, 6.0, 11), 0.8, 0.3
    found = gs.gradient(voigt, gs.Sweep(x=x, sigma=sigma, gamma=gamma), with_value=True)
    assert found.attrs["engine"] == "fused"
    z = (x + 1j * gamma) / (sigma * math.sqrt(2))
    w = wofz(z)
    slope = (2j / math.sqrt(math.pi) - 2 * z * w) / (2 * sigma**2 * math.sqrt(math.pi))
    np.testing.assert_allclose(found.voigt, w.real / (sigma * math.sqrt(2 * math.pi)), rtol=1e-11)
    np.testing.assert_allclose(found.dvoigt_dx, slope.real, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(found.dvoigt_dgamma, -slope.imag, rtol=1e-10, atol=1e-13)
