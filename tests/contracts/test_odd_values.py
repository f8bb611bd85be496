"""An odd value in a sweep or an option is computed as it is meant, or refused by name."""

import copy
import pickle

import numpy as np
import pytest
import xarray as xr

import gradsweep as gs
from gradsweep.engines import prepared
from gradsweep.errors import ArgumentError, SweepError


def square(x):
    return x * x


def partial(x):
    return gs.gradient(square, gs.Sweep(x=x)).dsquare_dx.values


@pytest.mark.parametrize("dtype", ["<u8", ">u8"])
def test_unsigned_integers_too_large_for_signed_ones_stay_positive(dtype):
    np.testing.assert_array_equal(
        partial(np.array([2**63 + 2**60, 1], dtype)), [2.0**64 + 2.0**61, 2.0]
    )


@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_a_masked_value_is_missing(dtype):
    values = np.ma.array([1, 2, 3], mask=[False, True, False], dtype=dtype)
    np.testing.assert_array_equal(partial(values), [2.0, np.nan, 6.0])


def test_missing_labels_are_the_same_labels():
    labels = {"t": [0.0, np.nan]}
    x = xr.DataArray([1.0, 2.0], dims="t", coords=labels)
    y = xr.DataArray([3.0, 4.0], dims="t", coords=labels)
    ds = gs.gradient(lambda x, y: x * y, gs.Sweep(x=x, y=y))
    np.testing.assert_array_equal(ds.df_dx, [3.0, 4.0])
    with pytest.raises(SweepError, match="different coordinates"):
        gs.Sweep(x=x, y=y.assign_coords(t=[0.0, 1.0]))


@pytest.mark.parametrize("engine", ["auto", "fused", "reference"])
def test_an_array_without_elements_has_a_jacobian_without_elements(engine):
    sweep = gs.Sweep(q=("pose", np.empty((3, 0))))
    jacobian = gs.jacobian(lambda q: 2.0 * q, sweep, engine=engine).df_dq
    assert jacobian.shape[-2:] == (0, 0)


def test_a_function_that_returns_nothing_has_no_results():
    assert not gs.value(lambda x: {}, gs.Sweep(x=[1.0])).data_vars


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "fwd"}, "no mode 'fwd'.*Did you mean 'forward'"),
        ({"wrt": 0}, "wrt=0: give the name"),
        ({"wrt": [0]}, "wrt=.0.: give the name"),
        ({"threads": "two"}, "threads='two': give a whole number"),
        ({"threads": 2.5}, "threads=2.5: give a whole number"),
        ({"threads": 0}, "threads=0: give a whole number, 1 or more"),
    ],
)
def test_an_option_of_another_kind_is_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        gs.gradient(square, gs.Sweep(x=[1.0]), **options)


@pytest.mark.parametrize("n", [-1, 10.0, "10"])
def test_a_sample_has_a_whole_number_of_points(n):
    with pytest.raises(SweepError, match="draws a number of points"):
        gs.Sweep.sample(n, x=(0, 1))


def test_a_sample_is_drawn_between_real_bounds():
    with pytest.raises(SweepError, match="ranges are real"):
        gs.Sweep.sample(4, rng=0, c=(1 + 1j, 2 + 2j))


def test_a_sample_is_drawn_between_finite_bounds():
    with pytest.raises(SweepError, match="'x' cannot be drawn between 0 and inf"):
        gs.Sweep.sample(4, x=(0, float("inf")))


@pytest.mark.parametrize(
    "transfer", [copy.deepcopy, lambda sweep: pickle.loads(pickle.dumps(sweep))]
)
def test_a_sweep_can_be_sent_to_another_process(transfer):
    sweep = gs.Sweep(
        x=np.array([1.0, 2.0]), q=("pose", np.ones((3, 2))), c=gs.components(("u", [1.0, 2.0]), 3.0)
    )
    assert repr(transfer(sweep)) == repr(sweep)


def overflows(x, y):
    return (x * x + 1) ** (x**6 + 1) + y * y


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize(
    "framework, engine",
    [
        pytest.param(framework, engine, marks=getattr(pytest.mark, framework))
        for framework, own in {"torch": "torch", "jax": "xla"}.items()
        for engine in (own, "loop", "reference")
    ],
)
def test_a_point_that_overflows_takes_no_derivative_of_another_argument_along(
    framework, engine, mode
):
    """Frameworks compute 0 times infinity, NaN, at the one point that serves the whole axis."""
    pytest.importorskip(framework)
    options = {"framework": framework, "engine": engine, "mode": mode}
    sweep = gs.Sweep(x=[4.0, 1.0], y=[1.0, 2.0], z=3.0)
    ds = gs.gradient(lambda x, y, z: overflows(x, y), sweep, **options)
    assert ds.df_dy.dims == ("y",)
    np.testing.assert_array_equal(ds.df_dy, [2.0, 4.0])
    np.testing.assert_array_equal(ds.df_dz, 0.0)
    # 2 x (x^6 + 1) (x^2 + 1)^(x^6) + 6 x^5 log(x^2 + 1) (x^2 + 1)^(x^6 + 1)
    np.testing.assert_allclose(ds.df_dx, [np.inf, 8 + 24 * np.log(2)], rtol=1e-13)


@pytest.mark.jax
def test_a_point_that_takes_a_derivative_along_is_found(monkeypatch):
    """The control."""
    pytest.importorskip("jax")
    monkeypatch.setattr(prepared, "make_kernel", lambda engine, job: engine.prepare(job))
    sweep = gs.Sweep(x=[4.0, 1.0], y=[1.0, 2.0])
    ds = gs.gradient(overflows, sweep, framework="jax", engine="xla", mode="forward")
    assert np.isnan(ds.doverflows_dy).all()
