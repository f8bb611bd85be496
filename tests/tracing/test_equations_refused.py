"""What find_root and fixed_point refuse in words, in a plain call and in a sweep."""

import math

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import ArgumentError

FRAMEWORKS = [
    pytest.param("torch", marks=pytest.mark.torch),
    pytest.param("jax", marks=pytest.mark.jax),
]

NO_NUMBERS = [
    (lambda y, a: None, "returns None: it may lack a return"),
    (lambda y, a: y > 1 + 0 * a, "truth value"),
    (lambda y, a: y * y + a * 1j, "is complex"),
    (lambda y, a: "y", "returns 'y', which is no number"),
    (lambda y, a: object(), "which is no number"),
    (lambda y, a: np.datetime64("2026-01-01"), "which is no number"),
]


def by_root(returns):
    return lambda a: gs.find_root(lambda y: returns(y, a), 1.5)


def by_iteration(returns):
    return lambda a: gs.fixed_point(lambda y: returns(y, a), 1.5)


@pytest.mark.parametrize("solve", [by_root, by_iteration])
@pytest.mark.parametrize("returns, says", NO_NUMBERS)
def test_what_is_no_real_number_is_refused_in_a_plain_call(returns, says, solve):
    with pytest.raises(ArgumentError, match=says):
        solve(returns)(2.0)
    with pytest.raises(ArgumentError, match="is complex"):
        gs.find_root(lambda y: y - np.complex128(2.0), 1.0)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("returns, says", NO_NUMBERS)
def test_what_is_no_real_number_is_refused_in_a_sweep(returns, says, framework):
    pytest.importorskip(framework)
    for solve in (by_root, by_iteration):
        with pytest.raises(ArgumentError, match=says):
            gs.value(solve(returns), a=[1.0, 2.0], framework=framework)


def test_real_numbers_of_any_type_are_solved_for():
    from fractions import Fraction

    for two in (2, np.float32(2), np.int64(2), Fraction(2), np.array(2.0)):
        assert gs.find_root(lambda y, two=two: y - two, 1.0) == pytest.approx(2, rel=1e-6)
    assert gs.find_root(lambda y: y - 2, True) == 2


def test_an_error_at_every_point_is_said_and_one_at_some_is_not():
    nothing = 0.0
    with pytest.warns(gs.errors.GradsweepWarning, match="ZeroDivisionError: .* wherever"):
        assert math.isnan(gs.find_root(lambda y: y + 1 / nothing, 1.0))
    with pytest.warns(gs.errors.GradsweepWarning, match="found none in") as seen:
        gs.find_root(lambda y: math.log(-y) + 1 if y > 1.5 else y * y + 1, 1.0)
    assert "wherever" not in str(seen[0].message)


@pytest.mark.parametrize(
    "arguments, options, says",
    [
        ((lambda y: y, 1.0), {"tol": math.inf}, "tol is inf.*below 1"),
        ((lambda y: y, 1.0), {"tol": 1}, "tol is 1.*below 1"),
        ((lambda y: y, 1.0), {"tol": "small"}, "tol is 'small'"),
        ((lambda y: y, 1.0), {"bracket": ("low", "high")}, "limits are two numbers"),
        ((lambda y: y, 1.0), {"bracket": "03"}, "two limits"),
        ((lambda y: y, 1.0), {"bracket": np.zeros(3)}, "two limits"),
        ((lambda y: y, 1.0), {"bracket": np.array([3.0, 1.0])}, "lower limit comes first"),
        ((lambda y: y, 1.0), {"max_steps": True}, "max_steps is True"),
        ((lambda y: y, 1.0), {"max_steps": "many"}, "max_steps is 'many'"),
        ((lambda y: y, None), {}, "start of an equation is None"),
        ((lambda y: y, "one"), {}, "start of an equation is 'one'"),
        ((lambda y: y, [1.0, "one"]), {}, "start of an equation is"),
        ((lambda y: y, np.zeros(0)), {}, "no numbers in it"),
        ((2.0, 1.0), {}, "residual of an equation is 2.0; give a function"),
    ],
)
def test_arguments_without_a_meaning_are_errors(arguments, options, says):
    with pytest.raises(ArgumentError, match=f"(?s){says}"):
        gs.find_root(*arguments, **options)
    if "bracket" not in options:
        with pytest.raises(ArgumentError, match=f"(?s){says.replace('residual', 'update')}"):
            gs.fixed_point(*arguments, **options)


def test_any_integer_and_any_two_limits_are_options():
    def solved(**options):
        return gs.find_root(lambda y: y * y - 2, 1.0, **options)

    assert solved(max_steps=np.int64(50)) == pytest.approx(math.sqrt(2), rel=1e-14)
    for bracket in (np.array([0.0, 3.0]), [np.array(0), np.float32(3)]):
        assert solved(bracket=bracket) == pytest.approx(math.sqrt(2), rel=1e-14)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_limits_of_a_framework_and_swept_numbers_of_steps(framework):
    np_like = pytest.importorskip({"jax": "jax.numpy"}.get(framework, framework))

    def bounded(a, n=50):
        limits = np_like.stack([0 * a, 3 * a])
        return gs.find_root(lambda y: y * y - a, a, bracket=limits, max_steps=n)

    found = gs.gradient(bounded, a=[1.0, 2.0], framework=framework, wrt="a")
    np.testing.assert_allclose(found.dbounded_da, 0.5 / np.sqrt([1.0, 2.0]), rtol=1e-13)
    with pytest.raises(ArgumentError, match="gs.each"):
        gs.value(bounded, a=2.0, n=[50.0, 60.0], framework=framework)


class Counted:
    """A residual that may compute with how often it was called."""

    def __init__(self, a, weight):
        self.a, self.weight, self.n_calls = a, weight, 0

    def __call__(self, y):
        self.n_calls += 1
        return y * y - self.a + self.weight * self.n_calls * y


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("start", [0.0, 1.0])
def test_a_residual_that_keeps_state_is_refused_and_one_that_counts_is_not(framework, start):
    pytest.importorskip(framework)

    def f(a, weight=1):
        return gs.find_root(Counted(a, weight), start + 0 * a, bracket=(0.0, 4.0))

    with pytest.raises(gs.errors.StatefulFunction, match="for the same y"):
        gs.value(f, a=[1.0, 2.0], framework=framework)
    found = gs.value(lambda a: f(a, weight=0), a=[1.0, 2.0], framework=framework)
    np.testing.assert_allclose(next(iter(found.values())), np.sqrt([1.0, 2.0]), rtol=1e-13)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_system_that_keeps_state_is_refused(framework):
    np_like = pytest.importorskip({"jax": "jax.numpy"}.get(framework, framework))

    def f(a, weight=1):
        inner = Counted(a, weight)
        return gs.find_root(lambda y: np_like.stack([inner(y[0]), y[1] - y[0]]), [a, a])[1]

    with pytest.raises(gs.errors.StatefulFunction, match="for the same y"):
        gs.value(f, a=[1.0, 2.0], framework=framework)
    found = gs.value(lambda a: f(a, weight=0), a=[1.0, 2.0], framework=framework)
    np.testing.assert_allclose(next(iter(found.values())), np.sqrt([1.0, 2.0]), rtol=1e-13)
