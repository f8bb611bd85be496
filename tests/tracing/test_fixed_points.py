"""Fixed points inside functions, in every framework and in plain calls."""

import math

import mpmath
import numpy as np
import pytest

import gradsweep as gs
from tests.support.equations import MODELS, by_mpmath


def anomaly(M, e):
    return gs.fixed_point(lambda E: M + e * np.sin(E), M)


def test_kepler_s_equation_has_the_derivatives_of_mpmath(framework):
    """The update alone would come nearer by 1 - 0.999 cos E, some 1e-3, at each step."""
    points = [(3.0, 0.5), (0.01, 0.999), (0.5, 0.999)]
    M, e = zip(*points)
    sweep = gs.Sweep(M=("point", list(M)), e=("point", list(e)))
    found = gs.hessian(anomaly, sweep, framework=framework, with_value=True)
    for k, at in enumerate(points):
        value, _, second = by_mpmath(MODELS["kepler"], float(found.anomaly[k]), *at)
        np.testing.assert_allclose(found.anomaly[k], value, rtol=1e-12)
        rows = [[found[f"d2anomaly_d{i}_d{j}"][k] for j in "Me"] for i in "Me"]
        np.testing.assert_allclose(rows, second, rtol=1e-9)
        assert anomaly(*at) == pytest.approx(value, rel=1e-12)


def test_the_solution_is_the_one_that_the_iteration_comes_to(framework):
    """y^2 has the fixed points 0, which attracts, and 1, which Newton would find from 0.9.

    Newton's step for y - y^2 from 0.9 ends at 0.81 / 0.8, above 1.
    """

    def square(a, start):
        return gs.fixed_point(lambda y: a * y * y, start)

    sweep = gs.Sweep(a=1.0, start=[0.9, 0.3, -0.9, 1.1])
    found = gs.value(square, sweep, framework=framework).square
    np.testing.assert_allclose(found, [0, 0, 0, np.nan], atol=1e-12)
    assert square(1.0, 0.9) == pytest.approx(0, abs=1e-12)


def test_a_rotation_that_contracts_in_no_sum_of_rows_is_iterated(framework):
    """y <- B y + c with |B| = 0.75 turned by 45 degrees: y = (1 - B)^-1 c, sums of rows 1.06."""
    turn = 0.75 * math.sqrt(0.5)
    B = np.array([[turn, -turn], [turn, turn]])

    def turned(c):
        def update(y):
            u, v = y["u"], y["v"]
            return {"v": turn * (u + v), "u": turn * (u - v) + c}

        return gs.fixed_point(update, {"u": 0.0, "v": 0.0})["v"]

    exact = np.linalg.solve(np.eye(2) - B, [1.0, 0.0])[1]
    found = gs.gradient(turned, c=[1.0, -3.0], framework=framework, with_value=True)
    np.testing.assert_allclose(found.turned, exact * np.array([1.0, -3.0]), rtol=1e-12)
    np.testing.assert_allclose(found.dturned_dc, exact, rtol=1e-12)
    assert turned(2.0) == pytest.approx(2 * exact, rel=1e-12)


def test_a_slow_iteration_ends_at_the_solution_and_not_short_of_it():
    """y <- y - (y^3 - 2) / 1e4: near the solution each step leaves 0.9995 of the way."""
    steps = []

    def update(y):
        steps.append(y)
        return y - (y**3 - 2) / 1e4

    assert gs.fixed_point(update, 1.0) == pytest.approx(2 ** (1 / 3), rel=1e-12)
    assert len(steps) < 40


def test_an_iteration_that_never_ends_is_nan_with_a_warning():
    with pytest.warns(gs.errors.GradsweepWarning, match="no solution that is found"):
        assert math.isnan(gs.fixed_point(lambda y: 2 * y + 1, 1.0))
    with pytest.warns(gs.errors.GradsweepWarning, match="in 7 steps"):
        assert math.isnan(gs.fixed_point(lambda y: 3.9 * y * (1 - y), 0.3, max_steps=7))


def test_lambert_s_function_by_its_logarithm():
    for a in (3.0, 50.0):
        found = gs.fixed_point(lambda w, a=a: math.log(a / w), 1.0)
        assert found == pytest.approx(float(mpmath.lambertw(a)), rel=1e-13)


def test_an_update_of_another_form_is_an_error():
    with pytest.raises(gs.errors.ArgumentError, match="returns a, b, and its start is a"):
        gs.fixed_point(lambda y: {"a": y["a"], "b": 1.0}, {"a": 1.0})
    with pytest.raises(gs.errors.ArgumentError, match="2 numbers for 1 unknowns"):
        gs.fixed_point(lambda y: np.array([y, y]), 1.0)
    with pytest.raises(gs.errors.ArgumentError, match="max_steps"):
        gs.fixed_point(lambda y: y, 1.0, max_steps=0)
