"""Categories in compiled kernels: one for each, that new values go into."""

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import StatefulFunction, SweepError
from gradsweep.planning import compiled, traces
from tests.support.categories import FRAMEWORKS, book, formulas, grid, power, pricer


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_kernel_has_one_for_each_category(framework):
    sweep, _ = grid()
    kernel = gs.compile(gs.hessian, pricer(framework), sweep, with_value=True)
    assert kernel.dims["d2price_dS_dS"] == ("S", "sigma", "kind")
    spots = np.array([85.0, 101.0])
    exact = formulas(spots[:, None, None], 100.0, np.array([0.15, 0.3])[:, None], ["call", "put"])
    found = kernel(S=spots)
    for name in ("price", "d2price_dS_dS"):
        np.testing.assert_allclose(found[name], exact[name], rtol=1e-11)
    turned = found["d2price_dK_dS"]
    np.testing.assert_array_equal(found["d2price_dS_dK"], turned)
    out = {name: np.zeros_like(array) for name, array in found.items()}
    assert kernel(S=spots, out=out)["price"] is out["price"]
    np.testing.assert_array_equal(out["price"], found["price"])
    turned = kernel(S=spots, kind=["put", "call"])
    np.testing.assert_array_equal(turned["price"], found["price"][..., ::-1])
    alone = kernel(S=spots, kind=["put"])
    np.testing.assert_array_equal(alone["d2price_dK_dK"], found["d2price_dK_dK"][..., 1:])


def test_a_call_with_new_numbers_needs_no_plan(monkeypatch):
    def f(x, y, n, kind):
        return power(x, n) + (y if kind == "once" else 2 * y)

    sweep = gs.Sweep(x=[1.0, 2.0], y=1.0, n=gs.each([3, 2]), kind=["twice", "once", "twice"])
    kernel = gs.compile(gs.gradient, f, sweep, with_value=True)

    def fails(*args, **kwargs):
        raise AssertionError("planned again")

    monkeypatch.setattr(compiled, "make_plan", fails)
    x, n, by = np.array([1.5, 2.0, 3.0])[:, None, None], np.array([3, 2])[:, None], [2, 1, 2]
    for _ in range(2):
        found = kernel(x=x.ravel(), y=4.0)
        np.testing.assert_allclose(found["f"], x**n + 4.0 * np.array(by), rtol=1e-15)
        slopes = np.broadcast_to(n * x ** (n - 1), (3, 2, 3))
        np.testing.assert_allclose(np.broadcast_to(found["df_dx"], (3, 2, 3)), slopes, rtol=1e-15)
        np.testing.assert_array_equal(np.broadcast_to(found["df_dy"], (3, 2, 3))[0, 0], by)
        found["f"][...] = np.nan  # the next call has arrays of its own
    with pytest.raises(AssertionError, match="planned again"):
        kernel(kind=["twice", "once", "twice"])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_kernel_takes_a_new_book(framework):
    sweep, exact = book()
    kernel = gs.compile(gs.gradient, pricer(framework), sweep, with_value=True)
    np.testing.assert_allclose(kernel()["dprice_dK"], exact["dprice_dK"], rtol=1e-12)
    new = {"S": np.array([101.0, 99.0, 80.0]), "K": np.array([90.0, 95.0, 100.0])}
    new |= {"sigma": np.array([0.2, 0.3, 0.4]), "kind": ["put", "put", "call"]}
    exact = formulas(**new)
    for name, array in kernel(**new).items():
        np.testing.assert_allclose(array, exact[name], rtol=1e-12)
    with pytest.raises(SweepError, match="'trade'"):
        kernel(S=new["S"])


def test_a_kernel_traces_a_category_once_and_a_new_one_when_it_comes(monkeypatch):
    traced, trace = [], traces.trace_cheapest

    def count(request, framework, point):
        traced.extend(request.chosen)
        return trace(request, framework, point)

    monkeypatch.setattr(traces, "trace_cheapest", count)

    def f(x, kind):
        return {"a": 2.0, "b": 3.0, "c": 5.0}[kind] * x

    kernel = gs.compile(gs.gradient, f, gs.Sweep(x=[1.0, 2.0], kind=["a", "b"]))
    np.testing.assert_array_equal(kernel(kind=["b", "a"])["df_dx"], [3.0, 2.0])
    assert traced == [("kind", "a"), ("kind", "b")]
    np.testing.assert_array_equal(kernel(kind=["c", "a"])["df_dx"], [5.0, 2.0])
    assert traced == [("kind", "a"), ("kind", "b"), ("kind", "c")]


def test_a_kernel_tells_categories_apart_that_make_no_difference_among_themselves():
    def f(x, kind):
        return 2 * x if kind in "ab" else 3 * x

    kernel = gs.compile(gs.gradient, f, gs.Sweep(x=[1.0, 2.0], kind=["a", "b"]))
    assert kernel.dims["df_dx"] == ()
    np.testing.assert_array_equal(kernel()["df_dx"], 2.0)
    np.testing.assert_array_equal(kernel(kind=["c", "d"])["df_dx"], 3.0)
    np.testing.assert_array_equal(kernel(kind=["c", "a"])["df_dx"], [3.0, 2.0])
    np.testing.assert_array_equal(kernel(kind=["b", "a"])["df_dx"], 2.0)


def test_a_kernel_of_a_function_that_changed_has_no_new_category():
    scale = {"a": 2.0, "b": 3.0}

    def f(x, kind):
        return scale.get(kind, 1.0) * x

    kernel = gs.compile(gs.gradient, f, gs.Sweep(x=[1.0, 2.0], kind=["a", "b"]))
    scale["a"] = 7.0
    np.testing.assert_array_equal(kernel(kind=["b", "a"])["df_dx"], [3.0, 2.0])
    with pytest.raises(StatefulFunction, match="Compile it again"):
        kernel(kind=["c", "a"])


@pytest.mark.parametrize(
    "sweep, values",
    [
        ({"x": [1.0, 2.0], "kind": ["a", "b"]}, {"x": ["a", "b"]}),
        ({"x": [1.0, 2.0], "kind": ["a", "b"]}, {"kind": [0.0, 1.0]}),
        ({"x": [1.0, 2.0], "kind": ["a", "b"]}, {"kind": "a"}),
        ({"x": [1.0, 2.0], "kind": "a"}, {"kind": "b"}),
        ({"x": [1.0, 2.0], "kind": "a"}, {"kind": None}),
        ({"x": [1.0, 2.0], "kind": "a"}, {"kind": ["a", "b"]}),
    ],
)
def test_a_kernel_takes_no_value_of_another_form(sweep, values):
    def f(x, kind):
        return {"a": 2.0}.get(kind, 3.0) * x

    kernel = gs.compile(gs.gradient, f, gs.Sweep(sweep))
    with pytest.raises(SweepError, match=f"'{next(iter(values))}'"):
        kernel(**values)
    kernel(**{name: sweep[name] for name in values})
