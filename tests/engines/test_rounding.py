"""What tells zero from a number near it sees sums that are rounded as Python rounds them.

y is computed as x * x, so that x * x - y is zero; a product and a sum in one instruction would
leave the error of rounding the product.
"""

import math

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.engines.fused.lowering import contraction

N = 1000
X = np.random.default_rng(1).uniform(1, 2, N)
Y = X * X
SWEEP = gs.Sweep(x=("point", X), y=("point", Y))


def root(xp, x, y):
    return xp.sqrt(x * x - y) + x


def angle(xp, x, y):
    return xp.arccos((x * x - y) + 1.0)


def jump(xp, x, y):
    return xp.arctan2(x * x - y, -x)


def whole(xp, x, y):
    return xp.floor(x * x - y) + x


def pole(xp, x, y):
    return 1 / abs(x * x - y)


def chosen(xp, x, y):
    return xp.where(x * x - y > 0, 5 * x, y)


def chosen_by_two_sums(xp, x, y):
    return xp.where((x * x + 1) - (y + 1) >= 0, y, 5 * x)


def chosen_by_a_sine(xp, x, y):
    return xp.where(xp.sin(3 * (x * x - y)) > 0, 5 * x, y)


VALUES = {
    root: X,
    angle: 0 * X,
    jump: np.full(N, math.pi),
    whole: X,
    pole: np.full(N, np.inf),
    chosen: Y,
    chosen_by_two_sums: Y,
    chosen_by_a_sine: Y,
}

frameworks = pytest.mark.parametrize(
    "framework",
    [pytest.param("torch", marks=pytest.mark.torch), pytest.param("jax", marks=pytest.mark.jax)],
)


def written_in(framework, function):
    """Return a function of x and y that is written in a framework."""
    if framework == "torch":
        import torch as xp
    else:
        import jax.numpy as xp
    named = {"f": lambda x, y: function(xp, x, y)}
    return named["f"]


@frameworks
@pytest.mark.parametrize("function", VALUES)
def test_zero_is_zero_where_it_counts(framework, function):
    f = written_in(framework, function)
    found = gs.value(f, SWEEP, engine="fused", framework=framework)
    np.testing.assert_array_equal(found["f"], VALUES[function])


@frameworks
def test_a_derivative_goes_the_way_of_the_value(framework):
    f = written_in(framework, chosen)
    found = gs.gradient(f, SWEEP, engine="fused", framework=framework)
    np.testing.assert_array_equal(found["df_dx"], np.zeros(N))
    np.testing.assert_array_equal(found["df_dy"], np.ones(N))


@pytest.mark.torch
@pytest.mark.parametrize("n", [9, 30_000])
def test_a_python_branch_goes_as_python_goes(n):
    def f(x, y):
        return 2 * x if x * x - y == 0 else 100 * x

    x = np.random.default_rng(2).uniform(1, 2, n)
    y = x * x
    y[::3] += 1
    sweep = gs.Sweep(x=("point", x), y=("point", y))
    expected = np.where(x * x == y, 2.0, 100.0)
    np.testing.assert_array_equal(gs.gradient(f, sweep, framework="torch")["df_dx"], expected)
    kernel = gs.compile(gs.gradient, f, sweep, framework="torch")
    for _ in range(2):
        np.testing.assert_array_equal(kernel(x=x, y=y)["df_dx"], expected)


def inside(x, y):
    import jax
    import jax.numpy as jnp

    def step(_, total):
        return jnp.where(x * x - y == 0, total + 1.0, total - 1.0)

    return jax.lax.fori_loop(0, 3000, step, 0.0)


def behind(x, y):
    import jax
    import jax.numpy as jnp

    def step(_, carries):
        last, total = carries
        return x * x - y, jnp.where(last == 0, total + 1.0, total - 1.0)

    last, total = jax.lax.fori_loop(0, 3000, step, (0.0, 0.0))
    return jnp.where(last == 0, total, -1.0)


@pytest.mark.jax
@pytest.mark.parametrize("function", [inside, behind])
def test_zero_is_zero_in_a_loop(function):
    found = gs.value(function, SWEEP, engine="fused")
    np.testing.assert_array_equal(found[function.__name__], np.full(N, 3000.0))


@frameworks
def test_control_without_the_rule_zero_is_missed(framework, monkeypatch):
    monkeypatch.setattr(contraction, "sharp_variables", lambda _: {None: frozenset()})
    f = written_in(framework, lambda xp, x, y: chosen(xp, x, y) + 0.125)
    found = gs.value(f, SWEEP, engine="fused", framework=framework)
    assert (found["f"] != Y + 0.125).any()
