"""Points where an equation was not solved, in sweeps that are run part by part."""

import numpy as np
import pytest
import xarray as xr

import gradsweep as gs
from gradsweep.cli import main
from gradsweep.errors import GradsweepWarning
from gradsweep.results.stores import counted
from gradsweep.results.stores.zarr import ZarrStore
from gradsweep.running import destination, run
from tests.support.controls import must_fail

A, B = np.array([2.0, -4.0, 0.5, 3.0]), np.linspace(1.0, 6.0, 40)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Parts of a few numbers."""
    monkeypatch.setattr(destination, "STORED_PART_BYTES", 200)
    monkeypatch.setattr(destination, "REDUCED_PART_BYTES", 200)


@pytest.fixture(params=["zarr", "nc", "reduce", "progress"])
def where(request, tmp_path):
    """The options that have a sweep run part by part."""
    pytest.importorskip({"zarr": "zarr", "nc": "netCDF4"}.get(request.param, "numpy"))
    match request.param:
        case "reduce":
            return {"reduce": "mean"}
        case "progress":
            return {"progress": True}
    return {"store": tmp_path / f"results.{request.param}"}


def root(a):
    return gs.find_root(lambda y: y * y - a, 1.0)


def sums(a, b):
    return root(a + b)


def two(a, b):
    return root(a) + b * root(a - 1)


def n_parts(plan):
    assert plan.partition.n_parts > 3 and plan.partition.block["b"] < B.size
    return plan.partition.n_parts


@pytest.mark.parametrize("f, n", [(sums, int(np.sum(np.add.outer(A, B) < 0))), (two, 2)])
def test_points_are_counted_over_parts_once_along_their_own_axes(f, n, framework, where):
    plan = gs.plan(gs.gradient, f, gs.Sweep(a=A, b=B), framework=framework, **where)
    assert n_parts(plan)
    with pytest.warns(GradsweepWarning, match=f"not solved at {n} points") as told:
        found = plan.run()
    assert len(told) == 1
    assert found.attrs["not_converged"] == n
    if str(where.get("store")).endswith(".nc"):
        with xr.open_dataset(where["store"]) as ds:
            assert ds.attrs["not_converged"] == n


@pytest.mark.jax
@pytest.mark.filterwarnings("ignore:.*not solved at")
@pytest.mark.parametrize(
    "module, name, other",
    [
        (run, "holds_nan", lambda arrays: False),
        (counted._Counter, "write", lambda self, part, arrays: int(np.sum(arrays[0]))),
    ],
    ids=["NaN unseen", "every part counts"],
)
def test_control_parts_that_are_not_looked_at_or_counted_twice(module, name, other, monkeypatch):
    pytest.importorskip("jax")
    monkeypatch.setattr(module, name, other)
    test = test_points_are_counted_over_parts_once_along_their_own_axes
    must_fail(test, two, 2, "jax", {"reduce": "mean"})


def test_a_run_that_continues_counts_what_the_first_one_computed(framework, tmp_path, monkeypatch):
    pytest.importorskip("zarr")
    values, record = np.concatenate([[-1.0, -2.0], np.linspace(1.0, 2.0, 98)]), ZarrStore.record
    asked = {"a": values, "store": tmp_path / "results.zarr", "framework": framework}

    def interrupted(self, part, stamps):
        if part.number > 1:
            raise KeyboardInterrupt
        record(self, part, stamps)

    with monkeypatch.context() as patched:
        patched.setattr(ZarrStore, "record", interrupted)
        with pytest.raises(KeyboardInterrupt):
            gs.gradient(root, **asked)
    for _ in range(2):  # the second time everything is there
        with pytest.warns(GradsweepWarning, match="not solved at 2 points"):
            found = gs.gradient(root, **asked, resume=True)
        assert found.attrs["not_converged"] == 2
        assert np.isnan(found.droot_da[:2]).all() and not np.isnan(found.droot_da[2:]).any()


def test_nan_of_another_cause_is_not_counted(framework, where, recwarn):
    def f(a, b):
        return root(b) + (a - a) / (a - a) * b

    found = gs.value(f, a=A, b=B, framework=framework, **where)
    assert found.attrs["not_converged"] == 0
    found = gs.value(
        lambda a: a * a, a=[1.0, np.nan], framework=framework, **where, overwrite="store" in where
    )
    assert "not_converged" not in found.attrs
    assert not [w for w in recwarn.list if issubclass(w.category, GradsweepWarning)]


@pytest.mark.torch
def test_a_way_that_the_first_point_does_not_go(where):
    pytest.importorskip("torch")

    def f(a, b):
        return root(a - 3) * b if a > 0.7 else a * b

    n = int(np.sum((A > 0.7) & (A < 3))) * B.size
    with pytest.warns(GradsweepWarning, match=f"not solved at {n} points"):
        found = gs.value(f, a=np.sort(A), b=B, framework="torch", **where)
    assert found.attrs["not_converged"] == n  # points of the sweep: values decide the way


@pytest.mark.filterwarnings("ignore:.*not solved at")
def test_categories_count_as_in_memory(framework, where):
    def f(a, b, kind):
        return gs.find_root(lambda y: np.exp(y) - a, 1.0) * b if kind == "log" else np.sqrt(a) * b

    sweep = gs.Sweep(a=A, b=B, kind=["root", "log"])
    found = gs.value(f, sweep, framework=framework, **where)
    whole = gs.value(f, sweep, framework=framework)
    assert found.attrs["not_converged"] == whole.attrs["not_converged"] == 1  # whatever b is


@pytest.mark.torch
def test_masked_points_are_none_that_were_not_solved(where):
    pytest.importorskip("torch")

    def f(a):
        if a > 5:
            raise ValueError("too large")
        return root(a)

    values = np.concatenate([np.linspace(1.0, 4.0, 60), [-1.0, 6.0]])
    with pytest.warns(GradsweepWarning) as told:
        found = gs.value(f, a=values, framework="torch", on_error="mask", **where)
    assert found.attrs["not_converged"] == 1
    said = sorted(str(w.message) for w in told)
    assert len(said) == 2 and said[0].startswith("1 point could not be computed")


@pytest.mark.jax
def test_what_cannot_be_counted_is_told(where):
    jax = pytest.importorskip("jax")

    def scanned(a):
        return jax.lax.scan(lambda c, _: (root(c), None), a, None, length=2)[0]

    with pytest.warns(GradsweepWarning, match="cannot be told"):
        found = gs.value(scanned, a=A, engine="reference", **where)
    assert "not_converged" not in found.attrs


def test_the_command_s_last_line_tells_it_where_results_are_stored(tmp_path, capsys, framework):
    pytest.importorskip("rich")
    pytest.importorskip("zarr")
    model, store = tmp_path / "model.py", tmp_path / "results.zarr"
    model.write_text(
        "import gradsweep as gs\ndef root(a):\n    return gs.find_root(lambda y: y * y - a, 1.0)\n"
    )
    words = ["--over", "a=4,-2,-1", "--framework", framework, "--store", str(store)]
    main(["value", f"{model}:root", *words])
    told = capsys.readouterr().err.strip().splitlines()
    assert told[-1] == "gradsweep: an equation was not solved at 2 points"
