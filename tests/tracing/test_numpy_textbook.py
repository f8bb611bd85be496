"""Sixty functions from textbooks, written in NumPy without a look at this package, run as they are.

Values are NumPy's own; derivatives are scipy's differences of the plain function.
"""

import numpy as np
import pytest
from scipy.differentiate import derivative

import gradsweep as gs
from tests.support.textbook import chemistry, engineering, finance, physics, statistics

CASES = [
    case for field in (physics, statistics, finance, chemistry, engineering) for case in field.CASES
]

N_POINTS = 3


def points_of(case):
    rng = np.random.default_rng(17)
    return {name: rng.uniform(*ends, N_POINTS) for name, ends in case.ranges.items()}


def plainly(case, values):
    return np.asarray(case.function(**values, **case.fixed), float)


def difference(case, values, name):
    """Return a derivative by scipy's differences, and its error estimate."""
    low, high = case.ranges[name]

    def entry(number):
        return np.vectorize(lambda x: plainly(case, {**values, name: x}).flat[number])

    # Kinks of a tree lie closer than the hundredth part of a range.
    found = [
        derivative(entry(number), values[name], initial_step=2e-4 * (high - low))
        for number in range(plainly(case, values).size)
    ]
    shape = plainly(case, values).shape
    return (np.reshape([getattr(f, which) for f in found], shape) for which in ("df", "error"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.function.__name__)
def test_a_textbook_function_runs_as_it_is(case):
    name = case.function.__name__
    points = points_of(case)
    swept = {key: ("i", values) for key, values in points.items()}
    fixed = {key: ((), v) if np.ndim(v) else v for key, v in case.fixed.items()}
    sweep = gs.Sweep(swept | fixed)
    ds = gs.jacobian(case.function, sweep, wrt=list(points), with_value=True)
    for i in range(N_POINTS):
        values = {key: float(column[i]) for key, column in points.items()}
        expected = plainly(case, values)
        found = ds[name].isel(i=i) if "i" in ds[name].dims else ds[name]
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)
        for key in points:
            low, high = case.ranges[key]
            slope, apart = difference(case, values, key)
            J = ds[f"d{name}_d{key}"]
            J = J.isel(i=i) if "i" in J.dims else J
            size = np.max(np.abs(expected)) / (high - low)
            allowed = 1e-7 * np.maximum(np.abs(slope), size) + 4 * apart
            assert np.all(np.abs(J.values - slope) <= allowed), (key, J.values, slope)
            # The differences are good to five digits at least: else they would prove nothing.
            assert np.all(apart <= 1e-5 * np.maximum(np.abs(slope), size)), (key, slope, apart)


def test_there_are_sixty():
    assert len(CASES) == 60
