"""What is swept need not be a number: words, truth values, and what the structure depends on."""

import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import gradsweep as gs
from gradsweep.errors import ArgumentError, OutputError, SweepError
from gradsweep.planning.traces import TRACES
from tests.support.categories import (
    BOOK,
    FRAMEWORKS,
    book,
    formulas,
    grid,
    power,
    pricer,
    require_equal,
)
from tests.support.controls import must_fail

ENGINES = [
    ("torch", "fused"), ("torch", "reference"), ("torch", "torch"), ("torch", "loop"),
    ("jax", "fused"), ("jax", "reference"), ("jax", "xla"), ("jax", "loop"),
]  # fmt: skip
ENGINES = [pytest.param(*pair, marks=getattr(pytest.mark, pair[0])) for pair in ENGINES]


# -- words


@pytest.mark.parametrize("framework, engine", ENGINES)
def test_words_are_an_axis_of_their_own(framework, engine):
    sweep, exact = grid()
    ds = gs.gradient(pricer(framework), sweep, with_value=True, engine=engine)
    require_equal(ds, exact, ("S", "sigma", "kind"))
    assert ds.price.dims == ("S", "sigma", "kind")
    assert ds.kind.dims == ("kind",)
    assert ds.kind.dtype.kind == "U"
    assert list(ds.kind.values) == ["call", "put"]
    call = ds.price.sel(kind="call", S=100, sigma=0.3).item()
    assert call == pytest.approx(formulas(100.0, 100.0, 0.3, "call")["price"].item(), rel=1e-12)


@pytest.mark.parametrize("framework, engine", ENGINES)
def test_words_along_a_shared_dim_choose_each_point(framework, engine):
    sweep, exact = book()
    ds = gs.hessian(pricer(framework), sweep, with_value=True, engine=engine)
    require_equal(ds, exact, ("trade",), rtol=1e-11)
    assert ds.d2price_dS_dK.dims == ("trade",)
    assert (ds.kind.dims, list(ds.kind.values)) == (("trade",), BOOK["kind"])
    puts = ds.price[ds.kind == "put"]
    np.testing.assert_allclose(puts, exact["price"][[1, 4]], rtol=1e-12)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_categories_that_are_exchanged_are_found(framework):
    """The control: the same formulas with the words in the other order."""
    sweep, exact = grid()
    ds = gs.gradient(pricer(framework), sweep, with_value=True)
    require_equal(ds, exact, ("S", "sigma", "kind"))
    other = {name: array[..., ::-1] for name, array in exact.items() if "K" in name}
    must_fail(require_equal, ds, other, ("S", "sigma", "kind"))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_words_come_from_arrays_series_and_data_arrays(framework):
    sweep, exact = book()
    words, labels = BOOK["kind"], list("abcde")
    forms = [
        ("trade", np.array(words)),
        ("trade", np.array(words, dtype=object)),
        ("trade", pd.Series(words)),
        ("trade", pd.Categorical(words)),
        ("trade", pd.Series(words, dtype="category")),
        xr.DataArray(words, dims="trade", coords={"trade": labels}, attrs={"long_name": "side"}),
    ]
    for form in forms:
        ds = gs.gradient(pricer(framework), sweep.replace(kind=form), with_value=True)
        require_equal(ds, exact, ("trade",))
        assert list(ds.kind.values) == words
    assert list(ds.trade.values) == labels
    assert ds.kind.attrs == {"long_name": "side"}
    bare = gs.Sweep(kind=pd.Series(["call", "put"]), S=100.0, K=100.0, sigma=0.2)
    assert gs.value(pricer(framework), bare).price.dims == ("kind",)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_word_may_come_twice_and_has_its_place_each_time(framework):
    kinds = ["put", "call", "put"]
    sweep, exact = grid(kinds)
    ds = gs.gradient(pricer(framework), sweep, with_value=True)
    require_equal(ds, exact, ("S", "sigma", "kind"))
    assert list(ds.kind.values) == kinds


def test_one_word_stays_static():
    assert gs.Sweep(kind="call").axes == {}
    assert gs.Sweep(kind=((), ["call", "put"])).axes == {}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_words_over_two_dims(framework):
    kinds = np.array([["call", "put", "put"], ["put", "call", "put"]])
    spots, volatilities = np.array([90.0, 110.0]), np.array([0.1, 0.2, 0.3])
    sweep = gs.Sweep(
        S=("book", spots), sigma=("desk", volatilities), K=100.0, kind=(("book", "desk"), kinds)
    )
    ds = gs.gradient(pricer(framework), sweep, with_value=True)
    exact = formulas(spots[:, None], 100.0, volatilities, kinds)
    require_equal(ds, exact, ("book", "desk"))
    assert ds.kind.dims == ("book", "desk")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_category_of_no_points_is_a_category(framework):
    sweep = gs.Sweep(S=np.ones(0), K=100.0, sigma=0.2, kind=["call", "put"])
    ds = gs.gradient(pricer(framework), sweep)
    assert ds.dprice_dS.sizes == {"S": 0, "kind": 2}


# -- truth values


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_list_of_truth_values_is_read_by_python(framework):
    def f(x, squared):
        return x**2 if squared is True else x**3

    ds = gs.gradient(f, gs.Sweep(x=[1.0, 2.0, 3.0], squared=[False, True]), framework=framework)
    np.testing.assert_allclose(ds.df_dx, [[3.0, 2.0], [12.0, 4.0], [27.0, 6.0]], rtol=1e-15)
    assert ds.squared.dtype == bool
    zipped = gs.Sweep(x=("i", [1.0, 2.0, 3.0]), squared=("i", [False, True, False]))
    np.testing.assert_allclose(gs.gradient(f, zipped, framework=framework).df_dx, [3, 4, 27])


@pytest.mark.torch
def test_an_array_of_truth_values_is_an_argument_at_every_point():
    import torch

    def f(x, squared):
        return torch.where(squared, x**2, x**3)

    sweep = gs.Sweep(x=("i", [1.0, 2.0, 3.0]), squared=("i", np.array([False, True, False])))
    np.testing.assert_allclose(gs.gradient(f, sweep).df_dx, [3, 4, 27])


# -- anything


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_each_sweeps_what_the_length_of_a_loop_depends_on(framework):
    n = np.array([1, 2, 5])
    sweep = gs.Sweep(x=[0.5, 1.5], n=gs.each([1, 2, 5]))
    x = np.array([[0.5], [1.5]])
    ds = gs.hessian(power, sweep, with_value=True, framework=framework)
    np.testing.assert_allclose(ds.power, x**n, rtol=1e-14)
    np.testing.assert_allclose(ds.d2power_dx_dx, n * (n - 1) * x ** np.maximum(n - 2, 0))
    assert (list(ds.n.values), ds.n.dtype.kind) == ([1, 2, 5], "i")


QUANTITIES = [
    (gs.value, (), "power", lambda x, n: x**n),
    (gs.gradient, (), "dpower_dx", lambda x, n: n * x ** (n - 1)),
    (gs.jacobian, (), "dpower_dx", lambda x, n: n * x ** (n - 1)),
    (gs.jvp, ({"x": 3.0},), "jvp", lambda x, n: 3 * n * x ** (n - 1)),
    (gs.contributions, ({"x": 3.0},), "contribution_x", lambda x, n: 3 * n * x ** (n - 1)),
    (gs.vjp, (2.0,), "vjp_x", lambda x, n: 2 * n * x ** (n - 1)),
    (gs.hessian, (), "d2power_dx_dx", lambda x, n: n * (n - 1) * x ** (n - 2)),
    (gs.hvp, ({"x": 3.0},), "hvp_x", lambda x, n: 3 * n * (n - 1) * x ** (n - 2)),
]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("quantity, direction, name, exact", QUANTITIES)
def test_every_quantity_takes_categories(quantity, direction, name, exact, framework):
    n, x = np.array([4, 2, 3]), np.array([[0.5], [1.5]])
    sweep = gs.Sweep(x=[0.5, 1.5], n=gs.each(n))
    ds = quantity(power, sweep, *direction, framework=framework)
    np.testing.assert_allclose(gs.broadcast(ds)[name].transpose("x", "n"), exact(x, n), rtol=1e-14)
    zipped = gs.Sweep(x=("i", [0.5, 1.5, 2.5]), n=("i", gs.each(n)))
    ds = quantity(power, zipped, *direction, framework=framework)
    np.testing.assert_allclose(ds[name], exact(np.array([0.5, 1.5, 2.5]), n), rtol=1e-14)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_direction_may_be_swept_with_the_categories(framework):
    sweep = gs.Sweep(x=[0.5, 1.5], n=gs.each([1, 2]))
    ds = gs.jvp(power, sweep, {"x": ("n", [10.0, 100.0])}, framework=framework)
    np.testing.assert_allclose(ds.jvp.transpose("x", "n"), [[10.0, 100.0], [10.0, 300.0]])


@pytest.mark.torch
def test_each_takes_functions_arrays_and_anything():
    import torch

    def apply(x, by, table, n):
        return by(x) * sum(table) ** (n or 2)

    sweep = gs.Sweep(
        x=[0.5, 1.5],
        by=gs.each([torch.sin, torch.exp]),
        table=gs.each([np.array([1.0, 2.0]), np.array([1.0, 2.0, 3.0])]),
        n=gs.each([None, 1]),
    )
    ds = gs.gradient(apply, sweep)
    x = np.array([0.5, 1.5])
    slopes = np.stack([np.cos(x), np.exp(x)], axis=1)[:, :, None, None]
    exact = slopes * np.array([[9.0, 3.0], [36.0, 6.0]])
    np.testing.assert_allclose(ds.dapply_dx.transpose("x", "by", "table", "n"), exact, rtol=1e-14)
    assert list(ds.by.values) == ["sin", "exp"]
    assert list(ds.n.values) == ["None", "1"]
    assert len(set(ds.table.values)) == 2


def test_each_keeps_numbers_that_are_equal_and_of_other_types_apart():
    def f(x, n):
        return x * {int: 2.0, float: 3.0, bool: 5.0}[type(n)]

    ds = gs.value(f, gs.Sweep(x=1.0, n=gs.each([1, 1.0, True, 1])))
    np.testing.assert_array_equal(ds.f, [2.0, 3.0, 5.0, 2.0])

    def g(x, n):
        return math.copysign(1.0, n) * x

    np.testing.assert_array_equal(gs.value(g, gs.Sweep(x=1.0, n=gs.each([0.0, -0.0]))).g, [1, -1])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_arguments_of_categories_are_multiplied_out_or_zipped(framework):
    def f(x, n, kind):
        return power(x, n) * (2.0 if kind == "twice" else 1.0)

    x = np.array([0.5, 1.5])
    product = gs.Sweep(x=x, n=gs.each([1, 3]), kind=["once", "twice"])
    ds = gs.gradient(f, product, framework=framework)
    exact = np.stack([np.ones(2), 3 * x**2], axis=1)[:, :, None] * np.array([1.0, 2.0])
    np.testing.assert_allclose(ds.df_dx, exact, rtol=1e-15)
    zipped = gs.Sweep(x=("i", x), n=("i", gs.each([1, 3])), kind=("i", ["once", "twice"]))
    ds = gs.gradient(f, zipped, framework=framework)
    np.testing.assert_allclose(ds.df_dx, [1.0, 2 * 3 * 1.5**2], rtol=1e-15)
    mixed = gs.Sweep(x=("i", x), n=("i", gs.each([3, 1])), kind=["twice", "once"])
    ds = gs.gradient(f, mixed, framework=framework)
    np.testing.assert_allclose(ds.df_dx, [[1.5, 0.75], [2.0, 1.0]], rtol=1e-15)


@pytest.mark.torch
@pytest.mark.parametrize("engine", ["fused", "reference", "loop"])
def test_each_category_has_python_branches_of_its_own(engine):
    def f(x, y, kind):
        if kind == "kinked" and x > y:
            return x**3 + y
        if x * y < 1:
            return x * y**2
        return x + 3 * y

    def slope(x, y, kind):
        kinked = (kind == "kinked") & (x > y)
        return np.select([kinked, x * y < 1], [3 * x**2, y**2 + 0 * x], 1.0)

    x, y = np.array([0.5, 1.5, 2.5]), np.array([0.25, 1.0, 2.0, 3.0])
    kinds = np.array(["kinked", "plain"])
    for _ in range(2):  # the second time, traces are known
        ds = gs.gradient(f, gs.Sweep(x=x, y=y, kind=list(kinds)), engine=engine)
        exact = slope(x[:, None, None], y[:, None], kinds)
        np.testing.assert_allclose(gs.broadcast(ds).df_dx, exact, rtol=1e-14)
    zipped = gs.Sweep(x=("i", x), y=y, kind=("i", kinds[[1, 0, 1]]))
    ds = gs.gradient(f, zipped, engine=engine)
    exact = slope(x[:, None], y, kinds[[1, 0, 1]][:, None])
    np.testing.assert_allclose(gs.broadcast(ds).df_dx, exact, rtol=1e-14)


# -- dims


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_category_that_is_not_read_is_no_dim(framework):
    def f(x, kind, n):
        return power(x, n)

    sweep = gs.Sweep(x=[0.5, 1.5], kind=["a", "b"], n=gs.each([2, 3]))
    ds = gs.gradient(f, sweep, framework=framework)
    assert ds.df_dx.dims == ("x", "n")
    np.testing.assert_allclose(ds.df_dx, [[1.0, 0.75], [3.0, 6.75]])
    assert list(ds.kind.values) == ["a", "b"]

    def g(x, kind, n):
        return power(x, n) if kind == "a" else power(x, n) + x

    assert gs.gradient(g, sweep, framework=framework).dg_dx.dims == ("x", "kind", "n")


@pytest.mark.torch
def test_a_category_that_is_read_beyond_a_branch_is_a_dim():
    def f(x, kind):
        if x > 1:
            return 2 * x if kind == "a" else 3 * x
        return x

    ds = gs.gradient(f, gs.Sweep(x=[0.5, 1.5], kind=["a", "b"]))
    np.testing.assert_array_equal(gs.broadcast(ds).df_dx, [[1.0, 1.0], [2.0, 3.0]])


def test_categories_that_come_together_are_no_product():
    def f(x, kind, side):
        return 2 * x if (kind, side) == ("a", "left") else 3 * x

    sweep = gs.Sweep(x=1.0, kind=("i", ["a", "b"]), side=("i", ["left", "right"]))
    np.testing.assert_array_equal(gs.gradient(f, sweep).df_dx, [2.0, 3.0])


def test_one_category_is_a_dim_of_length_one():
    ds = gs.gradient(power, gs.Sweep(x=2.0, n=gs.each([3])))
    assert ds.dpower_dx.sizes == {"n": 1}
    np.testing.assert_array_equal(ds.dpower_dx, [12.0])


# -- refusals


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_results_of_different_shapes_are_refused_by_both_names(framework):
    if framework == "torch":
        from torch import stack
    else:
        from jax.numpy import stack

    def f(x, n):
        return stack([x] * n)

    with pytest.raises(OutputError) as caught:
        gs.jacobian(f, gs.Sweep(x=[1.0, 2.0], n=gs.each([2, 3])), framework=framework)
    for words in ("n=2", "n=3", "(2,)", "(3,)"):
        assert words in str(caught.value)

    def g(x, kind):
        return {"a": x} if kind == "first" else {"b": x}

    with pytest.raises(OutputError, match="kind='first' than at .*kind='second'"):
        gs.gradient(g, gs.Sweep(x=1.0, kind=["first", "second"]), framework=framework)

    def h(x, kind):
        return x > 0 if kind == "first" else x

    with pytest.raises(OutputError, match="numbers at .*'second' and truth values at .*'first'"):
        gs.value(h, gs.Sweep(x=1.0, kind=["first", "second"]), framework=framework)


REFUSED = [
    (lambda s: gs.gradient(power, s, wrt="n"), ArgumentError, ["'n'", "categories", "wrt"]),
    (lambda s: gs.jvp(power, s, {"n": 1.0}), ArgumentError, ["'n'", "tangent"]),
    (
        lambda s: gs.jvp(power, s, {"x": ("n", ["a", "b"])}),
        SweepError,
        ["tangent of x", "not an array of numbers"],
    ),
    (lambda s: gs.Sweep(x=gs.components(1.0, gs.each([1, 2]))), SweepError, ["x[1]", "number"]),
    (lambda s: gs.Sweep(p={"n": gs.each([1, 2])}), SweepError, ["'p.n'", "one by one"]),
    (lambda s: gs.Sweep(n=((), gs.each([1, 2]))), SweepError, ["'n'", "dim"]),
    (lambda s: gs.Sweep(n=(("a", "b"), gs.each([1, 2]))), SweepError, ["'n'", "a, b"]),
    (lambda s: gs.Sweep(k=[["a", "b"], ["c", "d"]]), SweepError, ["'k'", "(2, 2)"]),
    (lambda s: gs.Sweep(k=["a", 1.0]), SweepError, ["'k'", "not of numbers", "gs.each"]),
    (lambda s: gs.Sweep(x=("i", [1.0]), n=("i", gs.each([1, 2]))), SweepError, ["'i'"]),
    (lambda s: gs.each([]), SweepError, ["at least one"]),
    (lambda s: gs.each("ab"), SweepError, ["several values", "'ab'"]),
    (lambda s: gs.each(3), SweepError, ["several values", "3"]),
    (
        lambda s: gs.value(power, s.replace(n=gs.each(range(1001)))),
        SweepError,
        ["'n'", "1,001", "1,000"],
    ),
]


@pytest.mark.parametrize("call, kind, words", REFUSED)
def test_what_cannot_be_categories_is_refused_in_words(call, kind, words):
    with pytest.raises(kind) as caught:
        call(gs.Sweep(x=[1.0, 2.0], n=gs.each([2, 3])))
    for word in words:
        assert word in str(caught.value)


# -- around it


def test_the_function_is_traced_once_for_each_category():
    calls = []

    def f(x, kind):
        calls.append(kind)
        return 2 * x if kind == "a" else 3 * x

    sweep = gs.Sweep(x=np.arange(1.0, 9.0), kind=["a", "b", "a"])
    gs.gradient(f, sweep)
    n_calls = len(calls)
    assert calls.count("a") == calls.count("b")

    def g(x, kind):
        return 2 * x if kind == "a" else 3 * x

    gs.gradient(g, sweep)
    n_made = TRACES.n_made
    gs.gradient(g, sweep.replace(x=[3.0], kind=["b", "a"]))
    assert TRACES.n_made == n_made
    assert n_calls <= 8


def test_the_results_of_a_category_that_are_computed_apart_are_projected():
    n, n_bytes = 200_000, 8
    sweep = gs.Sweep(x=np.linspace(1.0, 2.0, n), n=gs.each([3, 4]))
    plan = gs.plan(gs.gradient, power, sweep, with_value=True)
    assert plan.result_bytes == 2 * 2 * n * n_bytes
    assert plan.held_bytes >= plan.result_bytes + 2 * n * n_bytes


def test_the_texts_name_the_categories():
    sweep = gs.Sweep(x=[1.0, 2.0], n=gs.each([2, 3]), kind=["a", "b"])
    assert "a, b along kind" in repr(sweep)
    assert "2, 3 along n" in repr(sweep)

    def f(x, n, kind):
        return power(x, n) if kind == "a" else x

    text = str(gs.plan(gs.gradient, f, sweep))
    assert "4, by the categories of n and kind" in text
    assert "branch 2: n=2, kind='b'" in text
    many = gs.Sweep(n=("i", gs.each(range(20))))
    assert "0, 1, 2, 3, 4, 5, 6, 7 and 12 more along i" in repr(many)


def test_an_error_of_the_function_names_the_category():
    def f(x, kind):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError) as caught:
        gs.gradient(f, gs.Sweep(x=1.0, kind=["a", "b"]))
    assert "kind='a'" in "".join(caught.value.__notes__)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_derivatives_are_stacked_and_drawn(framework):
    pytest.importorskip("matplotlib")
    sweep, exact = grid()
    ds = gs.gradient(pricer(framework), sweep)
    stacked = gs.matrix(ds).sel(kind="put", wrt="S").transpose("S", "sigma")
    np.testing.assert_allclose(stacked, exact["dprice_dS"][..., 1], rtol=1e-12)
    volatilities = np.linspace(0.1, 0.4, 5)
    for sigma in (0.2, volatilities):  # there are more of them than words
        ladder = gs.gradient(pricer(framework), sweep.replace(sigma=sigma))
        texts = [text.get_text() for text in gs.plot(ladder).findobj(match=_is_text)]
        assert {"call", "put"} <= set(texts)


def _is_text(artist):
    return hasattr(artist, "get_text")
