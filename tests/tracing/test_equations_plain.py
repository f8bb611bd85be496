"""Equations solved in a plain call, outside a sweep, and what of find_root is no framework's."""

import math
import subprocess
import sys

import numpy as np
import pytest
import scipy.special

import gradsweep as gs
from gradsweep.request.framework import frameworks_named, names_numpy
from gradsweep.request.identity import identity
from tests.support.equations import MODELS, by_mpmath, kepler, solved


@pytest.mark.parametrize("module", [math, np], ids=["math", "numpy"])
@pytest.mark.parametrize("name", MODELS)
def test_a_plain_call_has_the_solution(name, module):
    model = MODELS[name]
    for a, b in model.arguments:
        y = solved(model, module)(a, b)
        assert type(y) is float
        assert y == pytest.approx(by_mpmath(model, y, a, b)[0], rel=1e-12)


def test_the_reference_has_kepler_s_derivatives_in_closed_form():
    E, (slope, _), ((bend, _), _) = by_mpmath(MODELS["kepler"], 1.5, 0.5, 0.999)
    across = 1 - 0.999 * math.cos(E)
    assert kepler(math, E, 0.5, 0.999) == pytest.approx(0, abs=1e-15)
    assert slope == pytest.approx(1 / across, rel=1e-14)
    assert bend == pytest.approx(-0.999 * math.sin(E) / across**3, rel=1e-14)


@pytest.mark.parametrize("c", [0.1, 1e-3, 1e-8])
@pytest.mark.parametrize("start", [1e-14, 1e-4, 1.0, 7.0])
def test_a_bracket_is_never_left_and_small_solutions_keep_their_digits(c, start):
    """The hydrogen ions of an acid: the positive zero of a cubic, by its companion matrix."""
    seen = []

    def charge(h):
        seen.append(h)
        return h**3 + 1.8e-5 * h**2 - (1e-14 + 1.8e-5 * c) * h - 1.8e-19

    h = gs.find_root(charge, start, bracket=(1e-14, 1.0))
    assert min(seen) >= 1e-14 and max(seen) <= 1.0
    exact = max(np.roots([1, 1.8e-5, -(1e-14 + 1.8e-5 * c), -1.8e-19]).real)
    assert h == pytest.approx(exact, rel=1e-12)


def test_limits_whose_residual_is_infinite_or_zero():
    assert gs.find_root(np.log, 0.5, bracket=(0.0, 3.0)) == pytest.approx(1, rel=1e-14)
    assert gs.find_root(lambda y: y - 2, 0.5, bracket=(0.0, 2.0)) == 2
    assert gs.find_root(lambda y: y - 2, 0.5, bracket=(2.0, 2.0)) == 2


@pytest.mark.parametrize(
    "residual, exact",
    [
        (lambda y: y * math.exp(y) - 3, scipy.special.lambertw(3).real),
        (lambda y: math.atan(y), 0.0),  # undamped, Newton's steps from 3 grow
        (lambda y: np.cbrt(y), 0.0),
        (lambda y: np.log1p(y), 0.0),
        (lambda y: (y - 2) ** 3, 2.0),  # a difference has half of the digits of its slope
        (lambda y: 1e-8 * (math.exp(y) - 2), math.log(2)),
    ],
)
def test_newton_is_damped_and_does_not_depend_on_the_scale(residual, exact):
    found = gs.find_root(residual, 3.0, max_steps=200)
    assert found == pytest.approx(exact, rel=1e-7, abs=1e-12)


@pytest.mark.parametrize("start", [0.1, 0.7, 1.0, 8.0])
@pytest.mark.parametrize("b", [0.7, 1.0, 1.3, 2.0])
def test_no_tolerance_at_all_is_as_near_as_numbers_are(start, b):
    for bracket in (None, (0.0, 9.0)):
        found = gs.find_root(lambda y: y * y * b - 0.9, start, bracket=bracket, tol=0.0)
        assert found == pytest.approx(math.sqrt(0.9 / b), rel=4e-16)
    found = gs.fixed_point(lambda y: (y + 0.9 / b / y) / 2, start, tol=0.0)
    assert found == pytest.approx(math.sqrt(0.9 / b), rel=4e-16)


def test_rounding_in_the_residual_is_no_reason_to_give_up():
    """Terms of 1e5 leave 1e-11 of rounding: no step is as short as the tolerance."""

    def residual(y):
        return (y + 1e5) ** 2 - 1e10 - 2e5 * 0.3 - 0.09

    for bracket in (None, (-1.0, 4.0)):
        assert gs.find_root(residual, 1.0, bracket=bracket) == pytest.approx(0.3, abs=1e-10)


@pytest.mark.parametrize(
    "residual, bracket",
    [
        (lambda y: y * y + 1, None),
        (lambda y: y * y + 1e-8, None),
        (lambda y: math.exp(-y), None),
        (lambda y: 1 / y, None),
        (lambda y: y * y + 1, (0.0, 3.0)),
        (lambda y: 1 / (y - 1), (0.0, 2.5)),  # a pole
        (lambda y: y - 1 + math.copysign(1e-3, y - 1), (0.0, 2.5)),  # a jump
        (lambda y: math.log(y), (-1.0, 3.0)),  # no number at a limit
    ],
)
def test_no_solution_is_nan_with_a_warning_and_never_a_number(residual, bracket):
    with pytest.warns(gs.errors.GradsweepWarning, match="has no solution that is found"):
        assert math.isnan(gs.find_root(residual, 2.0, bracket=bracket))


def test_a_bracket_without_a_change_of_sign_is_said_in_words():
    with pytest.warns(gs.errors.GradsweepWarning, match=r"is 2 at 1 and 10 at 3, .* no sign"):
        gs.find_root(lambda y: y * y + 1, 2.0, bracket=(1, 3))


def test_the_number_of_steps_is_bounded():
    steps = []

    def residual(y):
        steps.append(y)
        return y**2 - 2

    with pytest.warns(gs.errors.GradsweepWarning, match="in 3 steps"):
        assert math.isnan(gs.find_root(residual, 1e6, max_steps=3))
    assert len(steps) <= 7  # each has a difference, and one told the framework
    assert gs.find_root(residual, 1e6, tol=0.6) != pytest.approx(math.sqrt(2), rel=1e-3)


@pytest.mark.parametrize(
    "options, says",
    [
        ({"bracket": (3, 1)}, r"lower limit comes first: \(1, 3\)"),
        ({"bracket": (0, math.inf)}, "finite"),
        ({"bracket": (math.nan, 1.0)}, "finite"),
        ({"bracket": 3}, "two limits"),
        ({"tol": -1.0}, "tol is -1.0"),
        ({"tol": math.nan}, "tol is nan"),
        ({"max_steps": 0}, "max_steps is 0"),
        ({"max_steps": 2.5}, "max_steps is 2.5"),
    ],
)
def test_options_without_a_meaning_are_errors(options, says):
    with pytest.raises(gs.errors.ArgumentError, match=says):
        gs.find_root(lambda y: y, 1.0, **options)


def test_unknowns_without_a_meaning_are_errors():
    with pytest.raises(gs.errors.ArgumentError, match="2 numbers for 1 unknowns"):
        gs.find_root(lambda y: [y, y], 1.0)
    with pytest.raises(gs.errors.ArgumentError, match="complex"):
        gs.find_root(lambda y: y * y + 1, 1.0j)
    with pytest.raises(gs.errors.ArgumentError, match="holds one unknown"):
        gs.find_root(lambda y: y, [1.0, 2.0], bracket=(0, 3))
    with pytest.raises(gs.errors.ArgumentError, match="no numbers"):
        gs.find_root(lambda y: y, {})
    with pytest.raises(ValueError, match="could not be broadcast"):  # the residual's own
        gs.find_root(lambda y: np.zeros(2) + np.zeros(3), 1.0)


def test_containers_come_back_in_their_own_form():
    found = gs.find_root(
        lambda y: {"a": y["a"] ** 2 + y["b"][1] - 3, "b": y["a"] - y["b"]},
        {"a": 1.0, "b": np.ones(2)},
    )
    exact = (math.sqrt(13) - 1) / 2
    assert type(found["a"]) is float and found["b"].shape == (2,)
    np.testing.assert_allclose([found["a"], *found["b"]], exact, rtol=1e-14)


def test_a_function_that_solves_is_of_its_own_framework_and_can_be_kept():
    def of_operators(a):
        return gs.find_root(lambda y: y * y - a, 1.0)

    def of_numpy(a, find_root=gs.find_root):
        return find_root(lambda y: np.exp(y) - a, 1.0)

    assert frameworks_named(of_operators) == () and not names_numpy(of_operators)
    assert frameworks_named(of_numpy) == () and names_numpy(of_numpy)
    assert identity(of_operators) == identity(of_operators)  # nothing in it is unknown


def test_a_plain_call_loads_no_framework():
    code = (
        "import sys, gradsweep as gs\n"
        "assert abs(gs.find_root(lambda y: y * y - 4, 1.0) - 2) < 1e-15\n"
        "assert not {'torch', 'jax'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
