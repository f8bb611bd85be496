"""Standard deviations and correlations that cannot be are errors, which name them and the place."""

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import ArgumentError, SweepError


def f(x, y, z):
    return x + 2 * y + 3 * z


SWEEP = gs.Sweep(x=np.array([1.0, 2.0, 3.0]), y=2.0, z=("case", [1.0, 2.0]))
STD = {"x": 0.1, "y": 0.2, "z": 0.3}


def refused(error, std=STD, f=f, sweep=SWEEP, **options):
    with pytest.raises(error) as found:
        gs.uncertainty(f, sweep, std, **options)
    return str(found.value)


@pytest.mark.parametrize(
    "std, said",
    [
        ({"x": -0.1}, "the std of 'x' is -0.1; a standard deviation is 0 or more"),
        ({"x": float("nan")}, "the std of 'x' is nan; "),
        ({"x": ("x", [0.1, 0.2, -3.0])}, "the std of 'x' is -3 at x number 2, counted from 0"),
        ({"z": ("case", [np.nan, 1.0])}, "the std of 'z' is nan at case number 0"),
        ({"x": ("x", gs.linspace(1, -1, 3))}, "the std of 'x' is -1 at x number 2"),
        ({"x": 1j}, "the std of 'x' is complex, and x is real"),
        ({"x": [1.0, 2.0]}, "the std of x has shape (2,), and x is a number at each point"),
    ],
)
def test_a_std_that_is_none_is_named_with_its_place(std, said):
    assert said in refused(SweepError, std)


def test_a_std_names_an_argument_that_is_a_number():
    assert "the std names 'w', which is no argument of f" in refused(ArgumentError, {"w": 1.0})
    assert "Did you mean 'volatility'?" in refused(
        ArgumentError,
        {"volatilty": 1.0},
        f=lambda volatility: volatility,
        sweep=gs.Sweep(volatility=1.0),
    )
    assert "the std is empty; name what is uncertain" in refused(ArgumentError, {})
    assert "must be a mapping by name" in refused(SweepError, 0.1)
    for kind, shown in [("call", "'call'"), (["call", "put"], "call, put"), (True, "True")]:
        said = refused(
            ArgumentError, {"kind": 1}, f=lambda x, kind: x, sweep=gs.Sweep(x=1.0, kind=kind)
        )
        assert said.startswith("the std names 'kind', which is no number") and shown in said
    said = refused(SweepError, {"x": 0.1}, f=lambda x: abs(x), sweep=gs.Sweep(x=1 + 2j))
    assert "'x', which is complex; give its real and its imaginary part" in said


def test_an_array_argument_has_a_std_of_its_shape():
    said = refused(
        SweepError, {"q": [0.1, 0.2]}, f=lambda q: q.sum(), sweep=gs.Sweep(q=((), np.ones(3)))
    )
    assert said == "the std of 'q' has shape (2,); q has shape (3,)."


def test_an_integer_that_has_a_std_is_differentiated_as_wrt_would_have_it():
    ds = gs.uncertainty(lambda n: n * 2.0, gs.Sweep(n=3), {"n": 0.5})
    assert ds[[*ds][1]].item() == 1.0


@pytest.mark.parametrize(
    "correlation, said",
    [
        ({("x", "y"): 1.2}, "the correlation of 'x' and 'y' is 1.2; it lies between -1 and 1"),
        ({("x", "y"): ("x", [0, np.nan, 0])}, "'x' and 'y' is nan at x number 1, counted from 0"),
        ({("x", "y"): 0.2, ("y", "x"): 0.3}, "is given twice, with other values"),
        ({("x", "x"): 0.5}, "must be symmetric, and 1 on its diagonal"),
        ({("x", "y"): [0.1, 0.2]}, "has shape (2,); give a number, or shape ()"),
        ({("x", "y"): 1j}, "the correlation of 'x' and 'y' is complex"),
        ({"x": 0.5}, "the correlation names 'x'; name a pair"),
        ([0.5], "must be a mapping by pairs of names"),
    ],
)
def test_a_correlation_that_is_none_is_named_with_its_place(correlation, said):
    assert said in refused(SweepError, correlation=correlation)


def test_a_correlation_is_of_what_has_a_std():
    said = refused(ArgumentError, {"x": 1.0, "y": 1.0}, correlation={("x", "z"): 0.5})
    assert said == "the correlation names 'z', which has no std; x and y have."


def test_a_pair_may_be_given_twice_with_the_same_value():
    once = gs.uncertainty(f, SWEEP, STD, correlation={("x", "y"): ("t", [0.2, 0.5])})
    both = {("x", "y"): ("t", [0.2, 0.5]), ("y", "x"): ("t", [0.2, 0.5]), ("z", "z"): 1}
    np.testing.assert_array_equal(gs.uncertainty(f, SWEEP, STD, correlation=both).f_std, once.f_std)


def test_correlations_that_exclude_each_other_are_refused_at_the_point_where_they_do():
    correlation = {("x", "y"): 0.9, ("y", "z"): ("t", [0.0, 0.4, 0.9]), ("x", "z"): ("u", [0, 0.7])}
    said = refused(SweepError, correlation=correlation)
    # Beside an r of 0, the squares of the other two add up to 1 at most: 0.9^2 + 0.7^2 do not.
    place = "at t number 0 and u number 1, counted from 0"
    assert f"of 'x', 'y' and 'z' is not positive semidefinite {place}: " in said
    assert "eigenvalue -0.14" in said  # 1 - sqrt(0.9^2 + 0.7^2)
    del correlation["x", "z"]
    assert "at t number 2, counted from 0" in refused(SweepError, correlation=correlation)
    correlation["y", "z"] = ("t", [0.0, 0.4, -0.43])
    assert gs.uncertainty(f, SWEEP, STD, correlation=correlation).f_std.dims == ("t",)


def test_a_matrix_that_was_computed_may_be_singular_and_exceed_1_by_rounding():
    rows = np.random.default_rng(0).normal(size=(3, 2))  # three variables, two observations
    r = np.corrcoef(rows)
    r[0, 1] *= 1 + 2e-16
    pairs = {("x", "y"): r[0, 1], ("x", "z"): r[0, 2], ("y", "z"): r[1, 2]}
    ds = gs.uncertainty(f, SWEEP, STD, correlation=pairs)
    # Each is 1 or -1, so that the standard deviations add with these signs.
    expected = abs(0.1 + np.sign(r[0, 1]) * 0.4 + np.sign(r[0, 2]) * 0.9)
    np.testing.assert_allclose(ds.f_std, expected, rtol=1e-12)


def test_uncertainty_has_no_wrt_since_the_std_names_the_arguments():
    assert "uncertainty has no option 'wrt'" in refused(ArgumentError, wrt="x")
