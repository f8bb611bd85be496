"""Compiled functions with Python branches: all ways that points go are one kernel."""

import contextlib
import math

import numpy as np
import pytest
import sympy as sp

import gradsweep as gs
from gradsweep.errors import GradsweepWarning
from gradsweep.planning import branches, compiled
from gradsweep.planning.preparing import PREPARED
from gradsweep.planning.traces import TRACES

pytestmark = pytest.mark.torch


def three_ways(x, y):
    if x > 1:
        return x**3 * y
    if x * y > 0:
        return x * y**2
    return 5 * x - y


def slopes(x, y):
    """Return df/dx and df/dy of `three_ways`, from its formulas."""
    x, y = np.broadcast_arrays(x, y)
    ways = [x > 1, x * y > 0]
    return (
        np.select(ways, [3 * x**2 * y, y**2], 5.0),
        np.select(ways, [x**3, 2 * x * y], -1.0),
    )


def implied_volatility(price, spot):
    """Newton's method with a tolerance: a way for each number of steps."""
    import torch

    sigma = 0.3 * torch.ones_like(price)
    for _ in range(20):
        d1 = torch.log(spot / 100.0) / sigma + sigma / 2
        error = spot * torch.special.ndtr(d1) - 100.0 * torch.special.ndtr(d1 - sigma) - price
        if abs(error) < 1e-10:
            break
        sigma = sigma - error / (spot * torch.exp(-(d1**2) / 2) / math.sqrt(2 * math.pi))
    return sigma


@pytest.fixture
def nothing_planned(monkeypatch):
    """Return a function after which planning and tracing are errors."""

    def forbid():
        def fails(*args, **kwargs):
            raise AssertionError("planned again")

        monkeypatch.setattr(compiled, "make_plan", fails)

    return forbid


@pytest.mark.parametrize("n", [9, 30_000])
def test_points_that_go_several_ways_are_computed_by_one_kernel(n, nothing_planned):
    draw = np.random.default_rng(0)
    kernel = gs.compile(gs.gradient, three_ways, gs.Sweep(x=np.ones(3), y=2.0))
    x = np.append(draw.uniform(-3, 3, n - 3), [1.5, 0.5, -0.5])
    kernel(x=x)
    nothing_planned()
    for values in (x, x[::-1].copy(), draw.permutation(x)):
        found = kernel(x=values)
        for name, expected in zip(("df_dx", "df_dy"), slopes(values, 2.0)):
            array = found[name.replace("f_", "three_ways_")]
            np.testing.assert_allclose(array, expected, rtol=1e-14)


def test_a_call_has_the_dims_of_the_ways_that_its_points_go(nothing_planned):
    kernel = gs.compile(gs.gradient, three_ways, gs.Sweep(x=[1.5, 0.5, -0.5], y=2.0))
    kernel(x=[-1.0])
    calls = {1: np.array([2.0, 3.0]), 2: np.array([0.5, 2.0]), 3: np.array([-1.0, -2.0])}
    plain = {
        k: gs.gradient(three_ways, gs.Sweep(x=x, y=2.0), framework="torch")
        for k, x in calls.items()
    }
    for x in calls.values():
        kernel(x=x)
    nothing_planned()
    for number, x in calls.items():
        for name, array in kernel(x=x).items():
            np.testing.assert_array_equal(array, plain[number][name])
            assert array.shape == plain[number][name].shape


def test_a_grid_varies_with_the_axes_that_its_branches_read(nothing_planned):
    x, y = np.array([-2.0, 0.5, 1.5]), np.array([-1.0, 0.25, 2.0, 3.0])
    kernel = gs.compile(gs.gradient, three_ways, gs.Sweep(x=x, y=y))
    kernel(x=x, y=y)
    nothing_planned()
    found = kernel(x=x + 0.25, y=y - 0.5)
    for array, expected in zip(found.values(), slopes(x[:, None] + 0.25, y - 0.5)):
        np.testing.assert_allclose(np.broadcast_to(array, (3, 4)), expected, rtol=1e-14)


@pytest.mark.parametrize("n", [9, 30_000])
def test_out_is_written_where_points_go_several_ways(n, nothing_planned):
    x = np.linspace(-2.0, 2.0, n)
    kernel = gs.compile(gs.gradient, three_ways, gs.Sweep(x=x, y=2.0))
    out = kernel(x=x)
    nothing_planned()
    kernel(x=-x, out=out)
    for array, expected in zip(out.values(), slopes(-x, 2.0)):
        np.testing.assert_allclose(array, expected, rtol=1e-14)


def test_a_way_that_is_met_later_is_added():
    kernel = gs.compile(gs.gradient, three_ways, gs.Sweep(x=[2.0, 3.0], y=2.0))
    for x in ([2.0, 0.5], [0.5, -1.0], [2.0, 0.5, -1.0], [-1.0, -2.0]):
        x = np.array(x)
        for array, expected in zip(kernel(x=x).values(), slopes(x, 2.0)):
            np.testing.assert_allclose(np.broadcast_to(array, x.shape), expected, rtol=1e-14)


def test_newtons_method_with_a_tolerance_traces_and_plans_nothing_once_warm(nothing_planned):
    spot = np.linspace(80.0, 120.0, 500)
    sigma = np.linspace(0.15, 0.6, 500)
    normal = np.vectorize(lambda z: 0.5 * math.erfc(-z / math.sqrt(2)))
    d1 = np.log(spot / 100.0) / sigma + sigma / 2
    price = spot * normal(d1) - 100.0 * normal(d1 - sigma)
    sweep = gs.Sweep(price=("quote", price), spot=("quote", spot))
    kernel = gs.compile(gs.gradient, implied_volatility, sweep, with_value=True, wrt="price")
    kernel(price=price, spot=spot)
    n_made = TRACES.n_made, PREPARED.n_made
    nothing_planned()
    found = kernel(price=price, spot=spot)
    assert (TRACES.n_made, PREPARED.n_made) == n_made
    vega = spot * np.exp(-(d1**2) / 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(found["implied_volatility"], sigma, rtol=1e-9)
    np.testing.assert_allclose(found["dimplied_volatility_dprice"], 1 / vega, rtol=1e-6)


def test_a_dozen_ways_are_one_kernel(nothing_planned):
    def halved(x):
        steps = 0
        while x > 1:
            x, steps = x / 2, steps + 1
        return x * steps

    x = 1.5 * 2.0 ** np.arange(12)
    kernel = gs.compile(gs.gradient, halved, gs.Sweep(x=x), with_value=True)
    kernel(x=x)
    nothing_planned()
    found = kernel(x=x[::-1].copy())
    steps = np.arange(12, 0, -1)
    np.testing.assert_array_equal(found["halved"], 0.75 * steps)
    np.testing.assert_array_equal(found["dhalved_dx"], steps / 2.0**steps)


def test_a_result_that_is_the_same_on_all_ways_has_their_axes_all_the_same():
    def f(x, y):
        return 3 * y if x > 0 else y * 3

    def b(x):
        return x > 1 if x > 0 else x < -0.5

    x, y = np.array([-1.0, 0.5, 2.0]), np.array([4.0, 5.0])
    for g, sweep, values in (
        (f, gs.Sweep(x=x, y=y), {"x": x, "y": y}),
        (b, gs.Sweep(x=x), {"x": x}),
    ):
        kernel = gs.compile(gs.jacobian, g, sweep, with_value=True)
        expected = gs.jacobian(g, sweep, with_value=True, framework="torch")
        for _ in range(3):
            found = kernel(**values)
            assert list(found) == list(expected.data_vars)
            for name, array in found.items():
                np.testing.assert_array_equal(array, expected[name].values)
        # Into arrays of the caller's, and of many points.
        out = {name: np.full(array.shape, 7, array.dtype) for name, array in found.items()}
        for name, array in kernel(**values, out=out).items():
            np.testing.assert_array_equal(array, expected[name].values)
        many = {"x": np.tile(x, 8000)} | ({"y": y} if "y" in values else {})
        for name, array in kernel(**many).items():
            lead = 8000 if "x" in expected[name].dims else 1
            np.testing.assert_array_equal(
                array, np.tile(expected[name].values, (lead, *(1,) * (array.ndim - 1)))
            )


def test_the_sign_of_a_zero_that_python_reads_is_a_way_of_its_own():
    def f(x, y):
        return y * math.copysign(1.0, x.item()) if x == 0 else y + x

    x = np.array([0.0, -0.0, 0.0, 1.0, -0.0])
    expected = [2.0, -2.0, 2.0, 3.0, -2.0]
    for values in (x, x[::-1]):
        sweep = gs.Sweep(x=values, y=2.0)
        kernel = gs.compile(gs.value, f, sweep, framework="torch")
        wanted = expected if values is x else expected[::-1]
        np.testing.assert_array_equal(kernel(x=np.ascontiguousarray(values))["f"], wanted)
        np.testing.assert_array_equal(gs.value(f, sweep, framework="torch").f, wanted)


def test_a_function_whose_ways_return_other_shapes_is_an_error_still():
    import torch

    def f(x):
        return torch.stack([x, x]) if x > 1 else torch.stack([x, x, x])

    kernel = gs.compile(gs.jacobian, f, gs.Sweep(x=[2.0, 3.0]))
    assert kernel(x=np.array([0.5]))["df_dx"].shape[-1] == 3
    for _ in range(2):
        with pytest.raises(gs.errors.OutputError, match="shape of the result varies"):
            kernel(x=np.array([0.5, 2.0]))


def test_ways_are_chosen_where_one_of_them_is_not_finite(nothing_planned):
    import torch

    def f(x):
        return torch.log(x) if x > 0 else torch.sqrt(-x) * 0.0

    x = np.array([2.0, -3.0, 0.5])
    kernel = gs.compile(gs.gradient, f, gs.Sweep(x=x), with_value=True)
    kernel(x=x)
    nothing_planned()
    found = kernel(x=x)
    np.testing.assert_allclose(found["f"], [math.log(2.0), 0.0, math.log(0.5)])
    np.testing.assert_array_equal(found["df_dx"], [0.5, 0.0, 2.0])


def test_a_plan_tells_the_lines_of_its_guards():
    text = str(gs.plan(gs.gradient, three_ways, gs.Sweep(x=[2.0, 0.5], y=2.0), framework="torch"))
    first = three_ways.__code__.co_firstlineno
    found = [line.strip() for line in text.splitlines()]
    one, two = f"test_ways.py:{first + 1}: if x > 1", f"test_ways.py:{first + 3}: if x * y > 0"
    at = found.index("1 guard, checked at every point")
    assert found[at + 1] == one and found[at + 2].startswith("stage")
    at = found.index("2 guards, checked at every point")
    assert found[at + 1 : at + 3] == [one, two]


def test_the_formulas_of_this_file_are_sympys():
    x, y = sp.symbols("x y")
    for point, f in [((2.0, 3.0), x**3 * y), ((0.5, 3.0), x * y**2), ((-1.0, 3.0), 5 * x - y)]:
        exact = [float(f.diff(v).subs(dict(zip((x, y), point)))) for v in (x, y)]
        np.testing.assert_allclose([float(s) for s in slopes(*point)], exact)


def halvings(x):
    """Halve x until it is at most 1, or nearly: a way for each number of steps."""
    import torch

    steps = 0
    while x > 1:
        x, steps = torch.sin(x / 2) * torch.exp(-x) + x / 2, steps + 1
    return x * steps


def slope_of_halvings(x):
    """Return the derivative of `halvings`, step by step by the chain rule."""
    steps, slope = np.zeros_like(x), np.ones_like(x)
    while (is_large := x > 1).any():
        step = (np.cos(x / 2) / 2 - np.sin(x / 2)) * np.exp(-x) + 0.5
        slope = np.where(is_large, slope * step, slope)
        x = np.where(is_large, np.sin(x / 2) * np.exp(-x) + x / 2, x)
        steps += is_large
    return slope * steps


@pytest.mark.parametrize("n", [40, 30_000])
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_ways_of_a_loop_that_ends_early_are_right_however_points_are_spread(n, mode):
    draw = np.random.default_rng(3)
    x = draw.uniform(0.5, 100.0, n)
    kernel = gs.compile(gs.gradient, halvings, gs.Sweep(x=x), mode=mode)
    for values in (x, draw.permutation(x), x[: n // 2]):
        for _ in range(2):
            expected = slope_of_halvings(values)
            found = kernel(x=values)["dhalvings_dx"]
            np.testing.assert_allclose(found, expected, rtol=1e-12)
            labelled = gs.gradient(halvings, gs.Sweep(x=values), mode=mode)
            np.testing.assert_allclose(labelled["dhalvings_dx"], expected, rtol=1e-12)


@pytest.mark.parametrize("n", [4, 200])
def test_known_ways_of_a_grid_give_what_tracing_them_gave(n):
    """Which x goes which way does not depend on y, until x * y is compared."""
    x, y = np.linspace(-2.0, 2.0, n), np.linspace(-1.0, 3.0, n + 1)
    sweep = gs.Sweep(x=x, y=y)
    TRACES.clear()
    first = gs.gradient(three_ways, sweep, framework="torch")
    n_made = TRACES.n_made
    for _ in range(5):  # the check of the ways is compiled after some of them
        again = gs.gradient(three_ways, sweep, framework="torch")
        assert again.identical(first)
    assert TRACES.n_made == n_made and len(TRACES.values[0]) == 3
    for name, expected in zip(("df_dx", "df_dy"), slopes(x[:, None], y)):
        np.testing.assert_allclose(first[name.replace("f_", "three_ways_")], expected, rtol=1e-14)


def test_points_that_go_no_known_way_are_traced_and_the_others_are_not():
    TRACES.clear()
    gs.gradient(three_ways, gs.Sweep(x=[2.0, 3.0], y=2.0), framework="torch")
    x = np.array([2.0, -1.0, 0.5, 3.0, -2.0])
    found = gs.gradient(three_ways, gs.Sweep(x=x, y=2.0), framework="torch")
    np.testing.assert_allclose(found["dthree_ways_dx"], slopes(x, 2.0)[0], rtol=1e-14)
    assert len(TRACES.values[0]) == 3


def test_too_many_ways_run_as_a_loop_though_each_is_known(monkeypatch):
    monkeypatch.setattr(branches, "MAX_BRANCHES", 8)

    def counted(x):
        steps = 0
        while x > 1:
            x, steps = x - 1, steps + 1
        return x * steps

    x = np.arange(0.5, 12.0)
    for part in (x[:6], x[6:], x):
        context = pytest.warns(GradsweepWarning, match="more than 8 ways")
        with context if part is x else contextlib.nullcontext():
            found = gs.gradient(counted, gs.Sweep(x=part), framework="torch")
        np.testing.assert_array_equal(found["dcounted_dx"], np.ceil(part) - 1)
        assert found.attrs["engine"] == ("loop" if part is x else "fused")
