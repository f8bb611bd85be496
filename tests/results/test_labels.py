"""The names of results, and their labels."""

import functools
import sys
import threading

import numpy as np
import pytest
import xarray as xr

import gradsweep as gs
from gradsweep.errors import OutputError


def price(S, K, sigma):
    return S * sigma**2 - K * S


def test_variables_are_called_by_the_function_and_its_arguments():
    ds = gs.gradient(price, gs.Sweep(S=[1.0, 2.0, 3.0], K=1.0, sigma=[0.1, 0.2]), with_value=True)
    assert list(ds.data_vars) == ["price", "dprice_dS", "dprice_dK", "dprice_dsigma"]
    assert ds.dprice_dS.attrs["long_name"] == "∂price/∂S"
    assert ds.price.attrs["long_name"] == "price"


def test_values_of_the_sweep_are_coordinates():
    ds = gs.gradient(price, gs.Sweep(S=("quote", [1.0, 2.0]), K=5.0, sigma=[0.1, 0.2, 0.3]))
    np.testing.assert_array_equal(ds.S, [1.0, 2.0])
    assert ds.S.dims == ("quote",)
    assert ds.sel(sigma=0.2).sigma == 0.2
    assert ds.K == 5.0


def test_coordinates_and_units_of_data_arrays_stay():
    spots = xr.DataArray(
        [1.0, 2.0], dims="quote", coords={"quote": ["x", "y"]}, attrs={"units": "USD"}
    )
    ds = gs.gradient(price, gs.Sweep(S=spots, K=1.0, sigma=0.3))
    assert list(ds.quote.values) == ["x", "y"]
    assert ds.S.attrs["units"] == "USD"
    assert ds.dprice_dS.attrs["units"] == "[price]/USD"
    assert "units" not in ds.dprice_dK.attrs


def test_units_of_the_function_are_used():
    def cost(S):
        return S**2

    cost.units = "EUR"
    spots = xr.DataArray([1.0, 2.0], dims="t", attrs={"units": "kg"})
    assert gs.gradient(cost, gs.Sweep(S=spots)).dcost_dS.attrs["units"] == "EUR/kg"
    assert gs.hessian(cost, gs.Sweep(S=spots)).d2cost_dS_dS.attrs["units"] == "EUR/(kg·kg)"


@pytest.mark.parametrize("units", ["m/s", "W/m2/K", "kg m-3", "m·s", "m*s"])
def test_compound_units_are_divided_by_as_a_whole(units):
    def drag(v):
        return 0.5 * v**2

    drag.units = "N"
    speeds = xr.DataArray([1.0, 2.0], dims="t", attrs={"units": units})
    assert gs.gradient(drag, gs.Sweep(v=speeds)).ddrag_dv.attrs["units"] == f"N/({units})"


@pytest.mark.parametrize(
    "make, name",
    [
        (lambda: lambda S: S**2, "f"),
        (lambda: functools.partial(price, K=1.0, sigma=2.0), "price"),
        (lambda: Squarer(), "Squarer"),
        (lambda: Squarer().square, "square"),
    ],
    ids=["lambda", "partial", "callable", "method"],
)
def test_any_callable_has_a_name(make, name):
    f = make()
    sweep = gs.Sweep(S=[1.0, 2.0])
    assert f"d{name}_dS" in gs.gradient(f, sweep)


class Squarer:
    def __call__(self, S):
        return S**2

    def square(self, S):
        return S**2


def test_symmetric_second_derivatives_share_their_memory():
    ds = gs.hessian(price, gs.Sweep(S=[1.0, 2.0], K=1.0, sigma=[0.1, 0.2, 0.3]))
    assert set(ds.data_vars) == {f"d2price_d{a}_d{b}" for a in price_names for b in price_names}
    assert np.shares_memory(ds.d2price_dS_dsigma.values, ds.d2price_dsigma_dS.values)


price_names = ["S", "K", "sigma"]


def test_broadcast_gives_every_variable_all_swept_dims():
    ds = gs.broadcast(gs.gradient(price, gs.Sweep(S=[1.0, 2.0], K=1.0, sigma=[0.1, 0.2, 0.3])))
    assert all(variable.dims == ("S", "sigma") for variable in ds.data_vars.values())
    np.testing.assert_array_equal(ds.dprice_dK, [[-1.0] * 3, [-2.0] * 3])


def test_the_matrix_of_a_hessian_is_square():
    sweep = gs.Sweep(S=[1.0, 2.0], K=1.0, sigma=0.3)
    matrix = gs.matrix(gs.hessian(price, sweep))
    assert matrix.dims == ("S", "wrt", "wrt_2") and matrix.shape == (2, 3, 3)
    np.testing.assert_allclose(
        matrix.sel(S=2.0), [[0, -1, 0.6], [-1, 0, 0], [0.6, 0, 4.0]], rtol=1e-15
    )


def test_the_matrix_names_the_elements_of_array_arguments():
    def f(q, s):
        return s * (q[0] ** 2 + q[1] * q[2])

    q = np.arange(6.0).reshape(2, 3)
    matrix = gs.matrix(gs.gradient(f, gs.Sweep(q=("pose", q), s=2.0)))
    assert list(matrix.wrt.values) == ["q[0]", "q[1]", "q[2]", "s"]
    expected = np.column_stack(
        [4 * q[:, 0], 2 * q[:, 2], 2 * q[:, 1], q[:, 0] ** 2 + q[:, 1] * q[:, 2]]
    )
    np.testing.assert_allclose(matrix, expected)
    hessian = gs.matrix(gs.hessian(f, gs.Sweep(q=("pose", q), s=2.0)))
    assert hessian.dims == ("pose", "wrt", "wrt_2") and hessian.shape == (2, 4, 4)
    np.testing.assert_allclose(hessian, hessian.transpose("pose", "wrt_2", "wrt").values)
    np.testing.assert_allclose(hessian.sel(pose=1, wrt="s"), [6.0, 5.0, 4.0, 0.0])


def test_the_matrix_of_several_outputs_is_refused():
    ds = gs.gradient(lambda x: {"a": x, "b": x**2}, gs.Sweep(x=[1.0, 2.0]))
    with pytest.raises(OutputError, match="a, b"):
        gs.matrix(ds)
    with pytest.raises(OutputError, match="no|none"):
        gs.matrix(gs.value(price, gs.Sweep(S=1.0, K=1.0, sigma=1.0)))


def test_a_result_can_be_written_to_netcdf_and_read_back(tmp_path):
    ds = gs.hessian(price, gs.Sweep(S=[1.0, 2.0], K=1.0, sigma=[0.1, 0.2, 0.3]))
    ds.to_netcdf(tmp_path / "h.nc")
    xr.testing.assert_identical(xr.open_dataset(tmp_path / "h.nc").load(), ds.load())


def test_own_dims_never_collide_with_swept_ones():
    sweep = gs.Sweep(x=gs.components(("x_0", [1.0, 2.0]), 3.0))
    ds = gs.gradient(lambda x: x[0] * x[1], sweep)
    assert ds.df_dx.dims == ("x_0", "x_0_2")
    np.testing.assert_array_equal(ds.df_dx, [[3.0, 1.0], [3.0, 2.0]])


def test_an_axis_may_have_the_name_of_another_argument():
    ds = gs.gradient(lambda S, K: S * K, gs.Sweep(S=("K", [1.0, 2.0]), K=3.0))
    np.testing.assert_array_equal(ds.df_dK, [1.0, 2.0])
    assert ds.df_dK.dims == ("K",)


def test_the_source_is_readable_code_by_stages():
    plan = gs.plan(gs.gradient, lambda a, b: a**2 * b, gs.Sweep(a=[1.0, 2.0], b=[3.0, 4.0, 5.0]))
    lines = plan.source().splitlines()
    assert [line for line in lines if line.startswith("#")] == ["# a", "# a x b"]
    assert lines[-1].startswith("df_db = v")
    # The source is code: run it.
    names = {"a": 2.0, "b": 5.0}
    exec(plan.source(), names)
    assert (names["df_da"], names["df_db"]) == (20.0, 4.0)


def test_datasets_of_repeated_calls_share_nothing_that_can_be_written():
    def f(x, k):
        return k * x**2

    sweep = gs.Sweep(x=np.array([1.0, 2.0, 3.0]), k=5.0)
    first = gs.gradient(f, sweep)
    first.df_dx[:] = 0.0
    first.df_dx.attrs["long_name"] = "changed"
    first.attrs["quantity"] = "changed"
    with pytest.raises(ValueError, match="read-only"):
        first.k.values[...] = 7.0
    second = gs.gradient(f, sweep)

    np.testing.assert_array_equal(second.df_dx, [10.0, 20.0, 30.0])
    assert second.df_dx.attrs["long_name"] == "∂f/∂x"
    assert second.attrs["quantity"] == "gradient"
    assert second.k.item() == 5.0


@pytest.mark.parametrize("n", [3, 50_000])
def test_repeated_calls_see_what_became_of_the_sweeps_own_array(n):
    def f(x):
        return x**2

    x = np.arange(1.0, n + 1)
    sweep = gs.Sweep(x=x)
    first = gs.gradient(f, sweep)
    x[0], x[-1] = -4.0, 0.5
    for again in (gs.gradient(f, sweep), gs.gradient(f, gs.Sweep(x=x))):
        np.testing.assert_array_equal(again.x[[0, 1, -1]], [-4.0, 2.0, 0.5])
        np.testing.assert_array_equal(again.df_dx[[0, 1, -1]], [-8.0, 4.0, 1.0])
        assert again.df_dx.sel(x=0.5) == 1.0
    # What was computed before is labelled as it was.
    np.testing.assert_array_equal(first.x[[0, -1]], [1.0, n])
    assert first.df_dx.sel(x=1.0) == 2.0


def test_coordinates_that_differ_in_a_bit_are_told_apart():
    def f(x):
        return x + 0.0

    zeros = np.zeros(50_000)
    for x in (zeros, -zeros, np.full(50_000, np.nan), zeros):
        found = gs.gradient(f, gs.Sweep(x=("t", x))).x.values
        np.testing.assert_array_equal(np.signbit(found), np.signbit(x))
        np.testing.assert_array_equal(np.isnan(found), np.isnan(x))


@pytest.mark.parametrize("n", [3, 50_000])
def test_attributes_that_may_change_are_each_results_own(n):
    def f(x):
        return x**2

    def history(values):
        x = xr.DataArray(np.arange(1.0, n + 1), dims="x", attrs={"history": values})
        return gs.gradient(f, gs.Sweep(x=x)).x.attrs["history"]

    first = history([1])
    first.append("edit")
    assert history([1]) == [1]
    long = np.zeros(5000)
    history(long)
    other = long.copy()
    other[2500] = -1.0
    np.testing.assert_array_equal(history(other), other)


def test_threads_get_the_coordinates_of_their_own_sweeps():
    def f(x):
        return x + 1.0

    wrong, n = [], 20_000

    def work(number):
        for turn in range(20):
            x = np.linspace(number, number + 1, n) + turn
            found = gs.value(f, gs.Sweep(x=x))
            if not (np.array_equal(found.x, x) and np.array_equal(found.f, x + 1.0)):
                wrong.append(number)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
