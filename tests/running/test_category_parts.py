"""Categories in sweeps that are run part by part: stores, what continues them, and statistics."""

import numpy as np
import pytest
import xarray as xr

import gradsweep as gs
from gradsweep.errors import ArgumentError, GradsweepWarning, OutputError, StoreError
from gradsweep.request.partition import Part
from gradsweep.results.stores.zarr import ZarrStore
from gradsweep.running import destination
from gradsweep.running.part_work import replanned
from tests.support.categories import (
    BOOK,
    FRAMEWORKS,
    VOLATILITIES,
    book,
    formulas,
    grid,
    pricer,
    require_equal,
)


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of a few numbers."""
    monkeypatch.setattr(destination, "STORED_PART_BYTES", 200)
    monkeypatch.setattr(destination, "REDUCED_PART_BYTES", 200)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", ["greeks.zarr", "greeks.nc"])
def test_a_store_keeps_categories(name, framework, tmp_path, small_parts):
    pytest.importorskip({"greeks.zarr": "zarr", "greeks.nc": "netCDF4"}[name])
    sweep, exact = grid()
    gs.gradient(pricer(framework), sweep, with_value=True, store=tmp_path / name)
    engine = {"engine": "zarr", "consolidated": False} if name.endswith("zarr") else {}
    with xr.open_dataset(tmp_path / name, **engine) as ds:
        assert list(ds.kind.values) == ["call", "put"]
        require_equal(ds.load(), exact, ("S", "sigma", "kind"))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_store_keeps_a_book_in_parts_of_several_categories(framework, tmp_path, small_parts):
    pytest.importorskip("zarr")
    sweep, exact = book()
    path = tmp_path / "book.zarr"
    plan = gs.plan(gs.gradient, pricer(framework), sweep, with_value=True, store=path)
    assert plan.partition.n_parts > 1
    ds = plan.run().load()
    assert list(ds.kind.values) == BOOK["kind"]
    require_equal(ds, exact, ("trade",))


@pytest.mark.torch
def test_each_category_has_chunks_of_its_own(tmp_path):
    zarr = pytest.importorskip("zarr")
    sweep, _ = grid(["call", "put", "call"])
    path = tmp_path / "greeks.zarr"
    text = str(gs.plan(gs.gradient, pricer("torch"), sweep, store=path))
    assert "3 of S: 7 x sigma: 2 x kind: 1" in text
    assert "each is split by its categories" in text
    gs.gradient(pricer("torch"), sweep, store=path)
    array = zarr.open_group(path, mode="r")["dprice_dS"]
    assert dict(zip(array.metadata.dimension_names, array.chunks))["kind"] == 1


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_stored_results_have_only_the_dims_that_they_depend_on(framework, tmp_path, small_parts):
    pytest.importorskip("zarr")

    def f(x, y, n, kind):
        return x**n + (2.0 * y if kind == "twice" else y)

    sweep = gs.Sweep(x=[0.5, 1.5], y=[1.0, 2.0], n=gs.each([2, 3]), kind=["once", "twice"])
    ds = gs.gradient(f, sweep, framework=framework, store=tmp_path / "f.zarr").load()
    x, n = np.array([[0.5], [1.5]]), np.array([2, 3])
    slope = n * x ** (n - 1)
    np.testing.assert_allclose(ds.df_dx.isel(kind=0), slope, rtol=1e-15)
    assert "y" not in ds.df_dx.dims

    def g(x, n, kind):
        return x**n

    sweep = gs.Sweep(x=[0.5, 1.5], n=gs.each([2, 3]), kind=["once", "twice"])
    ds = gs.gradient(g, sweep, framework=framework, store=tmp_path / "g.zarr").load()
    assert ds.dg_dx.dims == ("x", "n")
    assert list(ds.kind.values) == ["once", "twice"]
    np.testing.assert_allclose(ds.dg_dx, slope, rtol=1e-15)


class Stopped(Exception):
    pass


@pytest.mark.torch
@pytest.mark.parametrize("n_recorded", [1, 2])
def test_a_run_that_ended_early_is_continued(n_recorded, tmp_path, monkeypatch):
    pytest.importorskip("zarr")
    sweep, exact = grid(["call", "put", "call"])
    path, price, recorded = tmp_path / "greeks.zarr", pricer("torch"), []
    record = ZarrStore.record

    def record_some(self, part, receipt):
        if len(recorded) == n_recorded:
            raise Stopped
        recorded.append(part.number)
        record(self, part, receipt)

    with monkeypatch.context() as patched:
        patched.setattr(ZarrStore, "record", record_some)
        with pytest.raises(Stopped):
            gs.gradient(price, sweep, with_value=True, store=path)
    monkeypatch.setattr(
        ZarrStore, "record", lambda *given: (recorded.append(given[1].number), record(*given))
    )
    ds = gs.gradient(price, sweep, with_value=True, store=path, resume=True).load()
    require_equal(ds, exact, ("S", "sigma", "kind"))
    assert sorted(recorded) == [0, 1, 2]  # each once


@pytest.mark.torch
def test_a_run_of_other_categories_is_not_continued(tmp_path):
    pytest.importorskip("zarr")
    sweep, _ = grid()
    path, price = tmp_path / "greeks.zarr", pricer("torch")
    gs.gradient(price, sweep, store=path)
    gs.gradient(price, sweep, store=path, resume=True)
    for kinds in (["put", "call"], ["call", "call"], ["call", "put", "call"]):
        with pytest.raises(StoreError, match="kind"):
            gs.gradient(price, sweep.replace(kind=kinds), store=path, resume=True)

    def f(x, n):
        return x**n

    path = tmp_path / "f.zarr"
    gs.gradient(f, gs.Sweep(x=[1.0, 2.0], n=gs.each([2, 3])), store=path)
    with pytest.raises(StoreError, match="categories of n"):
        gs.gradient(f, gs.Sweep(x=[1.0, 2.0], n=gs.each([2, 4])), store=path, resume=True)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_statistics_are_of_each_category(framework, small_parts):
    sweep, exact = grid()
    price = pricer(framework)
    ds = gs.value(price, sweep, reduce=["mean", "max"])
    assert list(ds.kind.values) == ["call", "put"]
    np.testing.assert_allclose(ds.price_mean, exact["price"].mean(axis=(0, 1)), rtol=1e-12)
    np.testing.assert_allclose(ds.price_max, exact["price"].max(axis=(0, 1)), rtol=1e-12)
    np.testing.assert_allclose(ds.price_max_at_S, [130.0, 70.0])
    ds = gs.value(price, sweep, reduce="mean", dims="S")
    mean = ds.price_mean.transpose("sigma", "kind")
    np.testing.assert_allclose(mean, exact["price"].mean(axis=0), rtol=1e-12)
    assert mean.sizes["sigma"] == len(VOLATILITIES)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_statistics_of_a_book_are_over_its_trades(framework, small_parts):
    sweep, exact = book()
    ds = gs.gradient(pricer(framework), sweep, reduce="mean")
    np.testing.assert_allclose(ds.dprice_dS_mean, exact["dprice_dS"].mean(), rtol=1e-12)


@pytest.mark.torch
@pytest.mark.parametrize("dims", ["kind", ["S", "kind"]])
def test_there_is_no_mean_over_categories(dims):
    sweep, _ = grid()
    with pytest.raises(ArgumentError, match="'kind' there are categories, of which there is no"):
        gs.value(pricer("torch"), sweep, reduce="mean", dims=dims)


def test_there_is_no_mean_of_categories_alone():
    sweep = gs.Sweep(x=1.0, kind=["a", "b"])
    with pytest.raises(ArgumentError, match="there is no other axis"):
        gs.value(lambda x, kind: x * len(kind), sweep, reduce="mean")


@pytest.mark.torch
def test_points_that_fail_are_masked_in_their_category(small_parts):
    def f(x, kind):
        if kind == "b" and x > 1:
            raise RuntimeError("no")
        return {"a": 2.0, "b": 3.0}[kind] * x

    sweep = gs.Sweep(x=[0.5, 1.5], kind=["a", "b"])
    with pytest.warns(GradsweepWarning, match="1 point could not be computed"):
        ds = gs.value(f, sweep, on_error="mask", framework="torch")
    np.testing.assert_array_equal(ds.f, [[1.0, 1.5], [3.0, np.nan]])


def test_results_of_different_shapes_are_refused_before_anything_is_stored(tmp_path):
    pytest.importorskip("zarr")

    def f(x, kind):
        return {"a": x} if kind == "first" else {"b": x}

    with pytest.raises(OutputError, match="'first' than at .*'second'"):
        gs.value(f, gs.Sweep(x=[1.0], kind=["first", "second"]), store=tmp_path / "f.zarr")
    assert not (tmp_path / "f.zarr").exists()


@pytest.mark.torch
def test_categories_of_python_branches_are_followed(tmp_path, small_parts):
    pytest.importorskip("zarr")

    def f(x, kind):
        if kind == "kinked" and x > 1:
            return x**3
        return x**2

    x = np.linspace(0.0, 2.0, 41)
    ds = gs.gradient(f, gs.Sweep(x=x, kind=["kinked", "plain"]), store=tmp_path / "f.zarr").load()
    np.testing.assert_allclose(ds.df_dx[:, 0], np.where(x > 1, 3 * x**2, 2 * x), rtol=1e-14)
    np.testing.assert_allclose(ds.df_dx[:, 1], 2 * x, rtol=1e-14)


def test_a_plan_of_a_part_that_claims_more_axes_gives_the_same_numbers():
    class Planned:
        dims = (("x", "kind"), ("y",))
        solves = True

        def allocate(self):
            return [np.zeros((2, 1, 3)), np.zeros(2)]

        def fill(self, arrays):
            arrays[0][...] = np.arange(6.0).reshape(2, 1, 3)
            arrays[1][...] = [7.0, 8.0]

    arrays = [np.zeros((2, 3)), np.zeros((2, 2))]
    part = Part(0, {"x": slice(0, 2), "y": slice(0, 2), "kind": slice(1, 2)})
    assert replanned(lambda leaves: Planned(), [("x",), ("x", "y")], {}, part, arrays)
    np.testing.assert_array_equal(arrays[0], np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(arrays[1], [[7.0, 8.0], [7.0, 8.0]])


@pytest.mark.torch
def test_a_lazy_axis_stays_lazy(tmp_path):
    price = pricer("torch")
    sweep = gs.Sweep(S=gs.linspace(50, 150, 1001), K=100.0, sigma=0.2, kind=["put", "call"])
    ds = gs.value(price, sweep, reduce="mean")
    exact = formulas(np.linspace(50, 150, 1001)[:, None], 100.0, 0.2, ["put", "call"])["price"]
    np.testing.assert_allclose(ds.price_mean, exact.mean(axis=0), rtol=1e-12)
