"""Sixty functions from textbooks, written in NumPy without a look at this package, run as they are.

Values are NumPy's own; derivatives are central differences of the plain function, extrapolated to
step zero.
"""

import numpy as np
import pytest

import gradsweep as gs
from tests.support.textbook import chemistry, engineering, finance, physics, statistics

CASES = [
    case for field in (physics, statistics, finance, chemistry, engineering) for case in field.CASES
]

N_POINTS = 3

# What is refused, and a word of the message that says why.
REFUSED: dict[str, str] = {}


def points_of(case):
    rng = np.random.default_rng(17)
    return {name: rng.uniform(*ends, N_POINTS) for name, ends in case.ranges.items()}


def plainly(case, values):
    return np.asarray(case.function(**values, **case.fixed), float)


def difference(case, values, name):
    """Return a derivative by differences, and how far its extrapolations are apart (Ridders)."""
    low, high = case.ranges[name]
    rows, best, least = [], np.nan, np.inf
    for k in range(5):
        h = 2e-4 * (high - low) / 2**k
        ends = [plainly(case, {**values, name: values[name] + s * h}) for s in (1, -1)]
        row = [(ends[0] - ends[1]) / (2 * h)]
        for m in range(1, k + 1):
            row.append(row[-1] + (row[-1] - rows[-1][m - 1]) / (4.0**m - 1))
            apart = np.maximum(np.abs(row[m] - row[m - 1]), np.abs(row[m] - rows[-1][m - 1]))
            best = np.where(apart < least, row[m], best)
            least = np.where(apart < least, apart, least)
        rows.append(row)
    return best, least


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.function.__name__)
def test_a_textbook_function_runs_as_it_is(case):
    name = case.function.__name__
    points = points_of(case)
    swept = {key: ("i", values) for key, values in points.items()}
    fixed = {key: ((), v) if np.ndim(v) else v for key, v in case.fixed.items()}
    sweep = gs.Sweep(swept | fixed)
    if name in REFUSED:
        with pytest.raises(gs.errors.GradsweepError, match=REFUSED[name]):
            gs.jacobian(case.function, sweep, with_value=True)
        return
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


def test_at_least_fifty_five_of_the_sixty_run():
    assert len(CASES) == 60
    assert len(REFUSED) <= 5
