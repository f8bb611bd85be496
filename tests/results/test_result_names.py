"""No result gets lost by having another's name, or the name of an axis."""

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import OutputError, SweepError

X = np.array([1.0, 2.0, 3.0])


def S(S):
    return S**2


def step(x, v):
    return {"x": x + v, "v": v * x}


def test_a_function_named_like_its_argument_keeps_both():
    ds = gs.gradient(S, gs.Sweep(S=X), with_value=True)
    np.testing.assert_array_equal(ds.S, X)
    np.testing.assert_array_equal(ds.S_S, X**2)
    np.testing.assert_array_equal(ds.dS_dS, 2 * X)


def test_outputs_named_like_arguments_keep_both():
    ds = gs.value(step, gs.Sweep(x=X, v=2.0))
    np.testing.assert_array_equal(ds.x, X)
    np.testing.assert_array_equal(ds.step_x, X + 2.0)
    np.testing.assert_array_equal(ds.step_v, 2.0 * X)


def test_an_output_named_like_an_axis_keeps_both():
    ds = gs.value(lambda q: {"t": q**2}, gs.Sweep(q=("t", X)))
    np.testing.assert_array_equal(ds.f_t, X**2)


@pytest.mark.parametrize("compute", [gs.gradient, lambda f, s: gs.compile(gs.gradient, f, s)])
@pytest.mark.parametrize(
    ("f", "sweep", "name"),
    [
        (lambda p_a, p: p_a * p["a"], gs.Sweep(p_a=X, p=((), {"a": 1.0})), "df_dp_a"),
        (lambda x: {1: x, "1": x**2}, gs.Sweep(x=X), "df_1_dx"),
        (lambda q: q**2, gs.Sweep(q=("df_dq", X)), "df_dq"),
    ],
)
def test_two_things_of_one_name_are_an_error(compute, f, sweep, name):
    with pytest.raises(OutputError, match=f"would both be called '{name}'"):
        compute(f, sweep)


def test_two_arrays_of_one_key_are_an_error():
    with pytest.raises(SweepError, match=r"2 arrays of the sweep are called 'p\.a'"):
        gs.Sweep(**{"p.a": X, "p": ((), {"a": 1.0})})
