"""Streaming statistics: closed forms, exact sums, the same bits in any order of parts."""

import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import gradsweep as gs
from gradsweep.errors import ArgumentError, StoreError
from gradsweep.request.partition import Partition
from gradsweep.results.layout import Layout, Variable
from gradsweep.results.statistics import Moments, Tree
from gradsweep.results.stores.reduced import Reduced
from gradsweep.running import destination

EVERY = ["mean", "variance", "min", "max", "mean_square"]


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(destination, "STORED_PART_BYTES", 2**12)
    monkeypatch.setattr(destination, "REDUCED_PART_BYTES", 2**12)


def layout_of(values, block, dims=("a", "b", "c")):
    axes = dict(zip(dims, values.shape))
    variable = Variable("v", dims, 3, values.shape, "float64", {"long_name": "v", "units": "m"}, 0)
    around = {d: ((d,), np.arange(n) * 10.0, {"units": "s"}) for d, n in axes.items()}
    return Layout(Partition(axes, dict(zip(dims, block))), (variable,), around, {}, {})


def reduced(values, block, names, dims=None, order=None, **options):
    layout = layout_of(values, block)
    store = Reduced(names, dims, **options)
    store.begin(layout)
    parts = list(layout.partition)
    receipts = [(p, store.writer.write(p, [values[tuple(p.slices.values())]])) for p in parts]
    for number in order if order is not None else range(len(parts)):
        store.record(*receipts[number])
    return store.finish()


VALUES = np.random.default_rng(0).normal(size=(5, 7, 11))


@pytest.mark.parametrize("dims", [None, ("a",), ("b",), ("c", "a"), "c"])
def test_statistics_are_numpys_own(dims):
    found = reduced(VALUES, (2, 3, 11), EVERY, dims)
    gone = tuple("abc".index(d) for d in (dims or "abc"))
    left = tuple(d for i, d in enumerate("abc") if i not in gone)
    assert found.v_mean.dims == left
    np.testing.assert_allclose(found.v_mean, VALUES.mean(gone), atol=1e-15)
    np.testing.assert_allclose(found.v_variance, VALUES.var(gone), rtol=1e-13)
    np.testing.assert_allclose(found.v_mean_square, (VALUES**2).mean(gone), rtol=1e-13)
    np.testing.assert_array_equal(found.v_min, VALUES.min(gone))
    np.testing.assert_array_equal(found.v_max, VALUES.max(gone))


def test_extrema_say_where_they_are():
    found = reduced(VALUES, (2, 3, 4), ["min", "max"])
    for name, place in ("min", VALUES.argmin()), ("max", VALUES.argmax()):
        for dim, index in zip("abc", np.unravel_index(place, VALUES.shape)):
            assert found[f"v_{name}_at_{dim}"] == 10.0 * index
            assert found[f"v_{name}_at_{dim}"].attrs["units"] == "s"


def test_of_equal_extrema_the_first_in_the_order_of_memory_counts():
    values = np.zeros((4, 6, 5))
    values[3, 0, 0] = values[1, 5, 4] = 2.0
    found = reduced(values, (1, 2, 5), ["max", "min"])
    assert (found.v_max_at_a, found.v_max_at_b, found.v_max_at_c) == (10.0, 50.0, 40.0)
    assert (found.v_min_at_a, found.v_min_at_b, found.v_min_at_c) == (0.0, 0.0, 0.0)


def test_nan_comes_out_as_numpy_has_it():
    values = VALUES.copy()
    values[1, 2, 3] = np.nan
    values[4, 0, 0] = np.inf
    found = reduced(values, (2, 3, 4), EVERY, dims=("b", "c"))
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(found.v_mean, values.mean((1, 2)), rtol=1e-14)
        np.testing.assert_array_equal(np.isnan(found.v_variance), np.isnan(values.var((1, 2))))
    np.testing.assert_array_equal(found.v_max, values.max((1, 2)))
    np.testing.assert_array_equal(found.v_min, values.min((1, 2)))
    assert (found.v_max_at_b[1], found.v_max_at_c[1]) == (20.0, 30.0)


def test_attributes_say_what_was_done():
    found = reduced(VALUES, (2, 3, 4), ["variance", "mean"], dims=("c", "a"))
    assert found.v_variance.attrs == {
        "long_name": "variance of v", "units": "(m)^2", "cell_methods": "a: c: variance",
    }  # fmt: skip
    assert found.v_mean.attrs["units"] == "m" and set(found.coords) == {"b"}


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 11)),
    st.randoms(use_true_random=False),
    st.sampled_from([None, ("a",), ("b", "c"), ("a", "c")]),
)
def test_the_order_in_which_parts_arrive_changes_no_bit(block, random, dims):
    order = list(range(len(layout_of(VALUES, block).partition)))
    expected = reduced(VALUES, block, EVERY, dims, order)
    random.shuffle(order)
    xr.testing.assert_identical(reduced(VALUES, block, EVERY, dims, order), expected)
    # The way it is cut changes next to nothing.
    xr.testing.assert_allclose(reduced(VALUES, (5, 7, 11), EVERY, dims), expected, rtol=1e-12)


# -- numbers that are hard to add

OFFSET = 1e8 + np.random.default_rng(1).normal(size=200_000)


def exact_variance(values):
    mean = math.fsum(values) / len(values)
    return math.fsum((values - mean) ** 2) / len(values)


def naive_variance(values):
    return np.mean(values**2) - np.mean(values) ** 2


def test_a_large_offset_costs_no_digits():
    tree = Tree(13)
    for number, piece in enumerate(np.array_split(OFFSET, 13)):
        tree.add(number, Moments.of(piece))
    state = tree.result()
    assert state.variances() == pytest.approx(exact_variance(OFFSET), rel=1e-12)
    assert state.means() == pytest.approx(math.fsum(OFFSET) / OFFSET.size, rel=1e-15)
    # The control: the mean of squares minus the square of the mean has hardly a digit left.
    assert naive_variance(OFFSET) != pytest.approx(exact_variance(OFFSET), rel=1e-2)


def test_alternating_signs_cancel_to_what_is_left():
    values = np.tile([1e15, -1e15], 50_000) + np.linspace(0, 1, 100_000)
    tree = Tree(7)
    for number, piece in enumerate(np.split(values[:99_988], 7)):
        tree.add(number, Moments.of(piece))
    exact = math.fsum(values[:99_988]) / 99_988
    assert abs(tree.result().means() - exact) < 1e-12 * 1e15


def test_a_tree_holds_few_states_while_pieces_come_in_order():
    tree = Tree(10_000)
    most = 0
    for number in range(10_000):
        tree.add(number, Moments.of(np.array([1.0 * number])))
        most = max(most, len(tree._waiting))
    assert most <= 15
    assert tree.result().means() == 4999.5 and tree.result().count == 10_000


# -- quantiles


def test_quantiles_are_near_the_exact_ones():
    pytest.importorskip("crick")
    values = np.random.default_rng(2).normal(size=(20, 100, 150))
    wanted = [0.01, 0.25, 0.5, 0.9, 0.999]
    found = reduced(values, (3, 100, 150), "quantile", quantiles=wanted).v_quantile
    assert found.dims == ("quantile",) and found["quantile"].values.tolist() == wanted
    ranks = np.searchsorted(np.sort(values, axis=None), found) / values.size
    np.testing.assert_allclose(ranks, wanted, atol=5e-4)


def test_quantiles_of_nan_are_nan():
    pytest.importorskip("crick")
    values = VALUES.copy()
    values[0, 0, 0] = np.nan
    found = reduced(values, (2, 3, 4), "quantile", dims=("b", "c")).v_quantile
    np.testing.assert_array_equal(np.isnan(found).any("quantile"), [True, *[False] * 4])


# -- whole sweeps


def test_a_variable_without_the_reduced_dims_is_its_own_mean(small_parts):
    def f(x, y):
        return x**2 + y**3

    sweep = gs.Sweep(x=np.linspace(0, 1, 301), y=np.linspace(1, 2, 40))
    found = gs.gradient(f, sweep, reduce=EVERY, dims="y")
    x = np.linspace(0, 1, 301)
    np.testing.assert_allclose(found.df_dx_mean, 2 * x, rtol=1e-15)
    assert found.df_dx_mean.dims == ("x",) and (found.df_dx_variance == 0).all()
    y = np.linspace(1, 2, 40)
    assert found.df_dy_mean.dims == ()
    assert found.df_dy_mean.item() == pytest.approx((3 * y**2).mean(), rel=1e-14)
    assert found.df_dy_max_at_y == 2.0


def midpoints(low, high, n):
    edges = np.linspace(low, high, n + 1)
    return (edges[1:] + edges[:-1]) / 2


@pytest.mark.jax
def test_mean_squares_of_ishigamis_function_are_its_dgsm(small_parts):
    # f = sin x1 + 7 sin(x2)^2 + 0.1 x3^4 sin x1, over [-pi, pi]^3 (Kucherenko and others, 2009).
    import jax.numpy as jnp

    def ishigami(x1, x2, x3):
        return jnp.sin(x1) + 7.0 * jnp.sin(x2) ** 2 + 0.1 * x3**4 * jnp.sin(x1)

    # The integrands are polynomials in sines and in x3: equidistant points are exact in x1 and x2,
    # and Gauss-Legendre would be in x3; 2,000 midpoints there are off by 1e-6.
    n3 = 2000
    sweep = gs.Sweep(
        x1=midpoints(-np.pi, np.pi, 16), x2=midpoints(-np.pi, np.pi, 16),
        x3=midpoints(-np.pi, np.pi, n3),
    )  # fmt: skip
    found = gs.gradient(ishigami, sweep, reduce="mean_square")
    pi4 = np.pi**4
    expected = [
        0.5 * (1 + 2 * 0.1 * pi4 / 5 + 0.01 * pi4**2 / 9), 0.5 * 49, 0.5 * 16 * 0.01 * np.pi**6 / 7,
    ]  # fmt: skip
    names = [f"dishigami_dx{i}_mean_square" for i in (1, 2, 3)]
    np.testing.assert_allclose([found[name].item() for name in names], expected, rtol=5e-6)


@pytest.mark.slow
def test_mean_squares_of_sobols_g_function_are_its_dgsm(small_parts):
    # g = prod (|4 x_i - 2| + a_i) / (1 + a_i), over [0, 1]^3. Its partial by x_i is +-4 / (1 + a_i)
    # times the other factors, whose mean squares are 1 + 1 / (3 (1 + a_j)^2).
    a = np.array([0.0, 1.0, 4.5])

    def g(x1, x2, x3):
        product = 1.0
        for x, weight in zip((x1, x2, x3), a.tolist()):
            product = product * (abs(4.0 * x - 2.0) + weight) / (1.0 + weight)
        return product

    n = 400
    sweep = gs.Sweep(x1=midpoints(0, 1, n), x2=midpoints(0, 1, 40), x3=midpoints(0, 1, 40))
    found = gs.gradient(g, sweep, reduce="mean_square")
    square = 1 + 1 / (3 * (1 + a) ** 2)
    for i in range(3):
        expected = (4 / (1 + a[i])) ** 2 * np.prod(np.delete(square, i))
        measured = found[f"dg_dx{i + 1}_mean_square"].item()
        # Midpoints of a square are off by h^2 / 12 of its second derivative.
        assert measured == pytest.approx(expected, rel=1e-3)


@pytest.mark.torch
def test_mean_squares_of_the_borehole_are_those_of_a_loop(small_parts):
    from examples.borehole import flow
    from examples.borehole_ranges import RANGES

    sweep = gs.Sweep.sample(512, RANGES, rng=3)
    found = gs.gradient(flow, sweep, reduce="mean_square")
    whole = gs.gradient(flow, sweep, engine="reference")
    for name in whole.data_vars:
        exact = math.fsum(whole[name].values ** 2) / 512
        assert found[f"{name}_mean_square"].item() == pytest.approx(exact, rel=1e-12)


def test_array_arguments_keep_their_own_dims(small_parts):
    q = np.random.default_rng(0).uniform(1, 2, size=(999, 3))
    found = gs.gradient(lambda q: q[0] * q[1] ** 2 * q[2], gs.Sweep(q=("pose", q)), reduce="mean")
    expected = np.stack(
        [q[:, 1] ** 2 * q[:, 2], 2 * q[:, 0] * q[:, 1] * q[:, 2], q[:, 0] * q[:, 1] ** 2], 1
    )
    np.testing.assert_allclose(found.df_dq_mean, expected.mean(0), rtol=1e-14)
    assert found.df_dq_mean.dims == ("q_0",)


@pytest.mark.parametrize("along", ["x", "y"])
def test_an_empty_axis_has_no_statistics_along_it_or_beside_it(along):
    sweep = gs.Sweep(x=np.empty(0), y=[1.0, 2.0])
    found = gs.gradient(lambda x, y: x * y**2, sweep, wrt="y", reduce=EVERY, dims=along)
    assert found.df_dy_mean.sizes == ({"y": 2} if along == "x" else {"x": 0})
    assert np.isnan(found.df_dy_mean).all()


def test_an_empty_sweep_has_no_statistics():
    found = gs.gradient(lambda x: x**2, gs.Sweep(x=np.empty(0)), reduce=EVERY)
    assert all(np.isnan(found[name]) for name in found.data_vars)


@pytest.mark.parametrize(
    "names, options, message",
    [
        ("meen", {}, "no reduction 'meen'.*Did you mean 'mean'"),
        ([], {}, "reduce is empty"),
        ("mean", {"quantiles": [0.5]}, "quantiles=... goes with reduce='quantile'"),
        ("quantile", {"quantiles": [50]}, "between 0 and 1"),
        ("mean", {"dims": "d"}, "dims names 'd', which is not swept; a, b, c are"),
    ],
)
def test_what_cannot_be_reduced_is_said_so(names, options, message):
    with pytest.raises(ArgumentError, match=message):
        reduced(VALUES, (2, 3, 4), names, **options)


def test_missing_parts_are_an_error():
    store = Reduced("mean")
    store.begin(layout_of(VALUES, (2, 3, 4)))
    with pytest.raises(StoreError, match="27 parts are missing"):
        store.finish()


@given(st.lists(st.sampled_from([-math.inf, math.inf, 1.0, 2.0, 3.0]), min_size=1, max_size=12))
def test_quantiles_count_infinities_as_numpy_does(values):
    from gradsweep.results.statistics import Digest

    values, wanted = np.array(values), (0.0, 0.25, 0.5, 0.75, 1.0)
    half = len(values) // 2
    digest = Digest.of(values[:half]).merged(Digest.of(values[half:]))
    with np.errstate(invalid="ignore"):
        expected = np.quantile(values, wanted)
    for found, exact in zip(digest.quantiles(wanted), expected):
        # Between an infinity and another number NumPy gives NaN, and finite ranks are approximate.
        assert found == exact or np.isnan(exact) or (np.isfinite(found) and np.isfinite(exact))
