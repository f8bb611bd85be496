"""Tables of JAX: lookups and interpolation at places that are swept, and by a loop's own step."""

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.program.program import Program
from tests.support.plain_loop import assert_as_a_loop

jax = pytest.importorskip("jax")
jnp = jax.numpy

pytestmark = pytest.mark.jax

RNG = np.random.default_rng(12)
X = np.sort(RNG.uniform(-2.0, 3.0, 200))
Y = RNG.normal(size=200)
GRID = RNG.normal(size=(7, 9))
# Between knots, at some, at both ends and beyond them.
POINTS = np.array([-0.3, X[4], X[110], 2.1, X[0], X[-1], -2.5, 3.5, 0.0])


def program_of(f, sweep, **options) -> Program:
    plan = gs.plan(gs.gradient, f, sweep, framework="jax", **options)
    assert plan.engine == "fused", plan
    return plan.branches[0].branch.traced.program


def interpolated(x):
    return jnp.interp(x, X, Y) * x


def searched(x):
    i = jnp.clip(jnp.searchsorted(jnp.asarray(X), x, side="right"), 1, 199)
    x0, x1, y0, y1 = (jnp.asarray(a)[k] for a in (X, Y) for k in (i - 1, i))
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def bilinear(x):
    u, v = jnp.clip(x + 2, 0, 5.9), jnp.clip(jnp.abs(2 * x), 0, 7.9)
    i, j = jnp.floor(u).astype(int), jnp.floor(v).astype(int)
    corners = jax.lax.dynamic_slice(jnp.asarray(GRID), (i, j), (2, 2))
    weights = jnp.outer(jnp.array([1 - u + i, u - i]), jnp.array([1 - v + j, v - j]))
    return (corners * weights).sum() + jnp.asarray(GRID)[i, j] * x


@pytest.mark.parametrize("f", [interpolated, searched, bilinear], ids=lambda f: f.__name__)
def test_lookups_have_jaxs_own_values_and_derivatives(f):
    assert_as_a_loop(f, "jax", points=POINTS)


def test_interpolation_is_numpys_in_few_equations():
    points = RNG.uniform(X[0], X[-1], 300)
    sweep = gs.Sweep(x=points)
    found = gs.value(lambda x: jnp.interp(x, X, Y), sweep, framework="jax")
    np.testing.assert_allclose(*found.values(), np.interp(points, X, Y), rtol=1e-12, atol=1e-14)
    assert len(program_of(lambda x: jnp.interp(x, X, Y), sweep).equations) < 200


def test_a_long_table_is_looked_up():
    knots = np.linspace(0.0, 1.0, 5001)

    def f(x):
        return jnp.interp(x, knots, knots**2)

    points = RNG.uniform(0, 1, 50)
    (found,) = gs.gradient(f, gs.Sweep(x=points), framework="jax").values()
    slopes = np.diff(knots**2) / np.diff(knots)
    expected = slopes[np.searchsorted(knots, points) - 1]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    program_of(f, gs.Sweep(x=points))


@pytest.mark.parametrize("engine", ["fused", "reference", "xla"])
def test_a_table_that_is_an_argument_is_differentiated(engine):
    def f(x, y):
        return jnp.interp(x, X[:30], y) ** 2

    points, table = RNG.uniform(X[0], X[29], 6), Y[:30]
    sweep = gs.Sweep(x=points, y=((), table))
    found = gs.gradient(f, sweep, wrt=["x", "y"], engine=engine, framework="jax")
    with jax.enable_x64(True):
        for k, point in enumerate(points):
            by_x, by_y = jax.grad(f, argnums=(0, 1))(jnp.asarray(point), jnp.asarray(table))
            np.testing.assert_allclose(found.df_dx[k], by_x, rtol=1e-10)
            np.testing.assert_allclose(found.df_dy[k], by_y, rtol=1e-10, atol=1e-12)


N_STEPS = 700


def by_its_own_step(x, table):
    def step(i, y):
        return y + 0.01 * jnp.sin(y * table[i])

    return jax.lax.fori_loop(0, N_STEPS, step, x)


def in_plain_numbers(x: float, table: np.ndarray) -> tuple[float, float]:
    """Return the value and the slope of the loop above, step by step."""
    y, slope = x, 1.0
    for entry in table:
        y, slope = y + 0.01 * np.sin(y * entry), slope * (1 + 0.01 * entry * np.cos(y * entry))
    return y, slope


@pytest.mark.parametrize("kind", ["constant", "argument", "swept"])
def test_a_lookup_in_a_loop_by_its_own_step_stays_a_loop(kind):
    tables, points = RNG.normal(size=(3, N_STEPS)), np.array([0.3, -1.2, 2.5])
    if kind == "constant":

        def f(x):
            return by_its_own_step(x, jnp.asarray(tables[0]))

        sweep, own = gs.Sweep(x=points), tables[[0, 0, 0]]
    else:
        f = by_its_own_step
        table = ((), tables[0]) if kind == "argument" else ("p", tables)
        sweep = gs.Sweep(x=("p", points), table=table)
        own = tables if kind == "swept" else tables[[0, 0, 0]]
    found = gs.gradient(f, sweep, wrt="x", framework="jax", mode="forward", with_value=True)
    value, slope = (found[name].values for name in found)
    for k in range(3):
        np.testing.assert_allclose(
            [value[k], slope[k]], in_plain_numbers(points[k], own[k]), rtol=1e-11
        )
    program = program_of(f, sweep, wrt="x", mode="forward")
    (loop,) = program.loops
    assert loop.n_steps == N_STEPS


@pytest.mark.parametrize("mode", ["reverse", None])
def test_a_loop_is_differentiated_by_the_table_that_it_looks_up(mode):
    table, points = RNG.normal(size=N_STEPS), np.array([0.3, -1.2])
    options = {} if mode is None else {"mode": mode}
    sweep = gs.Sweep(x=points, table=((), table))
    found = gs.gradient(by_its_own_step, sweep, framework="jax", wrt=["x", "table"], **options)
    program = program_of(by_its_own_step, sweep, wrt=["x", "table"], **options)
    assert program.loops
    with jax.enable_x64(True):
        for k, point in enumerate(points):
            exact = jax.grad(by_its_own_step, argnums=(0, 1))(
                jnp.asarray(point), jnp.asarray(table)
            )
            np.testing.assert_allclose(found.dby_its_own_step_dx[k], exact[0], rtol=1e-11)
            np.testing.assert_allclose(found.dby_its_own_step_dtable[k], exact[1], rtol=1e-9)


@pytest.mark.parametrize("begin", [3, 2**62])
def test_places_that_a_counter_decides_are_known(begin):
    """Backwards, in twos, around the end: the counter itself leaves the loop too."""
    table = RNG.normal(size=11)

    def f(x):
        def step(carry, _):
            n, y = carry
            y = y + 0.01 * jnp.sin(y * jnp.asarray(table)[(7 - 2 * n) % 11])
            return (n + 5, y), n % 3

        (n, y), left = jax.lax.scan(step, (jnp.asarray(begin), x), None, length=500)
        return y * left.sum() + n % 7 * x

    points = np.array([0.3, -1.2])
    found = gs.gradient(f, gs.Sweep(x=points), framework="jax", with_value=True)
    assert program_of(f, gs.Sweep(x=points)).loops
    with jax.enable_x64(True):
        exact = [jax.value_and_grad(f)(jnp.asarray(point)) for point in points]
    np.testing.assert_allclose(np.stack([found.f, found.df_dx], axis=1), exact, rtol=1e-11)


def test_a_loop_looks_its_own_state_up():
    """A sum of earlier entries of an array, at places that the values decide."""

    def f(x):
        def step(y, _):
            i = jnp.floor(jnp.abs(y[0]) * 3).astype(int) % 6
            return jnp.roll(y * 0.9 + 0.1 * jnp.sin(y[i]), 1), None

        return jax.lax.scan(step, x * jnp.arange(1.0, 7.0), None, length=400)[0].sum()

    points = np.array([0.3, -1.2, 0.7])
    found = gs.gradient(f, gs.Sweep(x=points), framework="jax", mode="forward", with_value=True)
    plain = gs.gradient(f, gs.Sweep(x=points), framework="jax", engine="loop", with_value=True)
    for name in found:
        np.testing.assert_allclose(found[name], plain[name], rtol=1e-10)
    assert program_of(f, gs.Sweep(x=points), mode="forward").loops
