"""Complex numbers to try functions at, and how far a result is from mpmath's."""

import math

import mpmath
import numpy as np

ULP = 2.0**-52


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
