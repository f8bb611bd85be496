"""Arguments that are not floats are coordinates; numbers that are held fixed are told of, once."""

import functools
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import gradsweep as gs
from gradsweep.errors import ArgumentError, GradsweepWarning, SweepError
from gradsweep.support.cache import clear_all

S = np.array([90.0, 100.0, 110.0])


def noted(compute, *arguments, **options):
    """Return what a call computes, and the text of its only warning; "" where there is none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = compute(*arguments, **options)
    texts = [str(w.message) for w in caught if issubclass(w.category, GradsweepWarning)]
    assert len(texts) <= 1, texts
    return found, "".join(texts)


def test_an_integer_is_told_of_once_with_what_to_write():
    def payoff(S, K):
        return (S - K) ** 2

    sweep = gs.Sweep(S=S, K=100)
    ds, note = noted(gs.gradient, payoff, sweep)
    assert set(ds.data_vars) == {"dpayoff_dS"}
    assert note == (
        "payoff is not differentiated with respect to the integer K. "
        "To do so, write K=100.0, or name it in wrt."
    )
    assert noted(gs.gradient, payoff, sweep)[1] == ""
    # Both ways that the note names.
    for given, wrt in ((gs.Sweep(S=S, K=100.0), None), (sweep, "K")):
        found, note = noted(gs.gradient, payoff, given, wrt=wrt)
        np.testing.assert_array_equal(found.dpayoff_dK, -2 * (S - 100))
        assert note == ""


@pytest.mark.parametrize(
    "compute, is_noted",
    [
        (gs.jacobian, True),
        (gs.hessian, True),
        (functools.partial(gs.vjp, cotangent=1.0), True),
        (functools.partial(gs.hvp, tangent={"S": 1.0}), True),
        (functools.partial(gs.jvp, tangent={"S": 1.0}), False),  # names what it differentiates
        (functools.partial(gs.gradient, wrt="S"), False),
        (gs.value, False),
    ],
)
def test_every_quantity_that_leaves_an_integer_out_unasked_says_so(compute, is_noted):
    clear_all()  # as if no function had been seen
    assert bool(noted(compute, lambda S, K: S * K, gs.Sweep(S=S, K=2))[1]) == is_noted


def test_one_note_names_all():
    def f(x, n, m, table, rate=0.5, steps=3):
        return x * n * m * rate * steps + table[0]

    _, note = noted(gs.gradient, f, gs.Sweep(x=S, n=2, m=3, table=((), np.array([1, 2]))))
    assert note == (
        "f is not differentiated with respect to the integers n, m, table and steps, nor to the "
        "default rate. To do so, write n=2.0, m=3.0, table as floats, rate=0.5 and steps=3.0, or "
        "name them in wrt."
    )


def test_a_default_is_held_fixed_unless_wrt_names_it():
    def f(x, rate=0.5, n=2, weights=np.array([1.0, 3.0])):  # noqa: B008
        return x * rate * n + weights[1] * x

    found, note = noted(gs.gradient, f, gs.Sweep(x=S))
    assert set(found.data_vars) == {"df_dx"}
    np.testing.assert_allclose(found.df_dx, 0.5 * 2 + 3.0)
    assert "the defaults rate and weights" in note and "the integer n" in note
    assert (found.rate.item(), found.n.item()) == (0.5, 2)
    found = gs.gradient(f, gs.Sweep(x=S), wrt=["rate", "n", "weights"])
    np.testing.assert_allclose(found.df_drate, 2 * S)
    np.testing.assert_allclose(found.df_dn, 0.5 * S)
    np.testing.assert_allclose(found.df_dweights[:, 1], S)
    # What the Sweep gives is differentiated, though it is the default.
    np.testing.assert_allclose(gs.gradient(f, gs.Sweep(x=S, rate=0.5)).df_drate, 2 * S)
    # A tangent of it names it too, and H v has a component for the rest.
    np.testing.assert_allclose(gs.jvp(f, gs.Sweep(x=S), {"rate": 2.0}).jvp, 4 * S)
    assert set(gs.hvp(f, gs.Sweep(x=S), {"rate": 1.0}).data_vars) == {"hvp_x", "hvp_rate"}
    assert "rate has its default" in str(gs.plan(gs.gradient, f, gs.Sweep(x=S)))


def test_defaults_alone_are_nothing_to_differentiate():
    with pytest.raises(ArgumentError, match="nothing to differentiate.*\n.*defaults in wrt"):
        gs.gradient(lambda x=2.0: x**2, gs.Sweep())


def test_an_integer_inside_a_container_is_named_by_its_path():
    def f(x, p):
        return x * p["n"] + p["inner"]["a"]

    sweep = gs.Sweep(x=S, p={"n": 3, "inner": {"a": 1.0}})
    found, note = noted(gs.gradient, f, sweep)
    assert set(found.data_vars) == {"df_dx", "df_dp_inner_a"}
    assert "the integer p.n" in note and "p.n=3.0" in note
    found = gs.gradient(f, sweep, wrt=["p.n", "p.inner"])
    assert set(found.data_vars) == {"df_dp_n", "df_dp_inner_a"}
    np.testing.assert_allclose(found.df_dp_n, S)
    with pytest.raises(ArgumentError, match=r"'p.m'.*no number of p; it has p.inner.a"):
        gs.gradient(f, sweep, wrt="p.m")
    with pytest.raises(ArgumentError, match=r"tangent has 'p.inner.a'.*not in wrt"):
        gs.jvp(f, sweep, {"p": {"n": 1.0, "inner": {"a": 1.0}}}, wrt="p.n")


def test_what_is_no_float_is_a_coordinate():
    def f(x, n, kind, flag, big, small=np.bool_(True), nothing=None):  # noqa: B008
        return x * n

    sweep = gs.Sweep(x=S, n=3, kind="call", flag=True, big=10**30)
    found = gs.value(f, sweep)
    held = {name: found[name].item() for name in found.coords if not found[name].dims}
    assert held == {"n": 3, "kind": "call", "flag": True, "big": str(10**30), "small": True}
    assert found.n.dtype == "int64" and found.flag.dtype == "bool"
    # None of them labels the results of other values.
    again = gs.value(f, sweep.replace(kind="put", n=4))
    assert (again.kind.item(), again.n.item(), again.f[0].item()) == ("put", 4, 360.0)


@pytest.mark.parametrize("suffix", [".zarr", ".nc"])
def test_a_store_keeps_them(suffix, tmp_path):
    def f(x, n, kind, flag):
        return x * n

    sweep = gs.Sweep(x=S, n=3, kind="call", flag=True)
    path = tmp_path / f"results{suffix}"
    gs.value(f, sweep, store=path)
    stored = xr.open_dataset(path) if suffix == ".nc" else xr.open_zarr(path, consolidated=False)
    held = {name: stored[name].values.item() for name in ("n", "kind", "flag")}
    assert held == {"n": 3, "kind": "call", "flag": True}


# -- the labels of pandas

FRAME = pd.DataFrame(
    {"S": [98.0, 101.5, 100.0], "K": [100.0, 95.0, 110.0]},
    index=pd.Index(["A1", "B1", "C7"], name="id"),
)


def difference(S, K):
    return S - K


def test_the_index_of_a_series_labels_its_dim():
    columns = {name: ("quote", column) for name, column in FRAME.items()}
    found = gs.value(difference, gs.Sweep(columns))
    assert found.difference.sel(quote="B1").item() == 101.5 - 95.0
    # A row that was left out is missing by its label, not by its place.
    kept = FRAME.drop(index="A1").reset_index(drop=True).loc[[1, 0]]
    columns = {name: ("quote", column) for name, column in kept.items()}
    found = gs.value(difference, gs.Sweep(columns))
    assert found.quote.values.tolist() == [1, 0]
    assert found.difference.sel(quote=1).item() == 100.0 - 110.0


def test_a_count_of_the_rows_is_no_label():
    columns = {name: ("quote", column) for name, column in FRAME.reset_index().items()}
    del columns["id"]
    assert "quote" not in gs.value(difference, gs.Sweep(columns)).coords


def test_a_series_along_its_own_name_keeps_its_index_beside_its_values():
    found = gs.value(difference, gs.Sweep(S=FRAME.S, K=FRAME.K))
    assert found.sizes == {"S": 3, "K": 3}
    assert found.S_id.dims == ("S",) and found.S_id.values.tolist() == ["A1", "B1", "C7"]
    assert found.sel(S=98.0).S_id.item() == "A1"
    found = gs.value(difference, gs.Sweep(S=FRAME.S.rename_axis(None), K=1.0))
    assert found.S_index.values.tolist() == ["A1", "B1", "C7"]


def test_an_index_of_several_levels_is_a_coordinate_for_each():
    levels = pd.MultiIndex.from_tuples([("A", 1), ("A", 2), ("B", 1)], names=["desk", None])
    series = pd.Series([1.0, 2.0, 3.0], index=levels)
    found = gs.value(lambda x: 2 * x, gs.Sweep(x=("trade", series)))
    assert found.desk.values.tolist() == ["A", "A", "B"]
    assert found.trade_1.values.tolist() == [1, 2, 1]


def test_a_frame_labels_two_dims():
    table = pd.DataFrame([[1.0, 2.0]], index=["r"], columns=["a", "b"])
    found = gs.value(lambda x: 2 * x, gs.Sweep(x=(("row", "column"), table)))
    assert found.f.sel(row="r", column="b").item() == 4.0
    found = gs.value(lambda x: x[0] * x[1], gs.Sweep(x=("row", table)))
    assert found.f.sel(row="r").item() == 2.0


def test_series_with_other_labels_along_one_dim_are_refused():
    other = FRAME.K.rename(index={"C7": "D2"})
    with pytest.raises(SweepError, match="'S' and 'K' have different coordinates along 'quote'"):
        gs.Sweep(S=("quote", FRAME.S), K=("quote", other))
