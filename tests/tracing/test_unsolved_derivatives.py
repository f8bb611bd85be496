"""Derivatives of points that are not solved, where the residual does not depend on the argument."""

import numpy as np
import pytest

import gradsweep as gs

pytestmark = pytest.mark.filterwarnings("ignore:.*not solved")

FRAMEWORKS = [
    pytest.param("torch", marks=pytest.mark.torch),
    pytest.param("jax", marks=pytest.mark.jax),
]


def from_start(a):
    """No real number solves it."""
    return gs.find_root(lambda y: y * y + 1, a)


def between(a):
    return gs.find_root(lambda y: y * y - 2, 1.0, bracket=(0.0, a))


def of_a_pair(a):
    return gs.find_root(lambda y: [y[0] * y[0] - 2, y[0] - y[1]], [a, a])[1]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("quantity, name", [(gs.gradient, "d{}_da"), (gs.hessian, "d2{}_da_da")])
def test_they_are_nan_by_start_and_bracket_and_zero_where_solved(quantity, name, framework):
    pytest.importorskip(framework)
    cases = [
        (from_start, [-1.0, 0.5], [np.nan, np.nan], [np.nan, np.nan]),
        (between, [1.0, 2.0, 3.0], [np.nan, 2**0.5, 2**0.5], [np.nan, 0.0, 0.0]),
        (of_a_pair, [0.0, 3.0], [np.nan, 2**0.5], [np.nan, 0.0]),
    ]
    for f, a, y, slope in cases:
        found = quantity(f, a=a, framework=framework, with_value=True)
        np.testing.assert_allclose(found[f.__name__], y, rtol=1e-14)
        np.testing.assert_array_equal(found[name.format(f.__name__)], slope)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_start_that_decides_nothing_has_a_derivative_of_zero(framework):
    pytest.importorskip(framework)

    def f(a, b):
        return gs.find_root(lambda y: y * y - b, a)

    found = gs.gradient(f, a=[0.5, 2.0], b=[-1.0, 4.0], framework=framework)
    np.testing.assert_array_equal(found.df_da, [[np.nan, 0.0]] * 2)
    np.testing.assert_allclose(found.df_db, [[np.nan, 0.25]] * 2, rtol=1e-14)
