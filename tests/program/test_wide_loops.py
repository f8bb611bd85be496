"""Loops whose state is an array: rolled over its elements, and kept in memory."""

from dataclasses import replace
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import gradsweep as gs
from gradsweep.engines.cost import compiling_seconds
from gradsweep.engines.fused import FusedEngine
from gradsweep.engines.fused.lowering import loops, rows
from gradsweep.engines.numpy import ReferenceEngine
from gradsweep.program.builder import Builder
from gradsweep.program.element_loops.bodies import with_short_bodies
from gradsweep.program.program import Output
from gradsweep.program.rolled_loops import Step
from gradsweep.program.rolling.joining import with_joined_loops
from tests.support.controls import must_fail
from tests.support.loops_of_programs import rolled
from tests.support.programs import leaves_of, make_job, run

ENGINES = {"reference": ReferenceEngine(), "fused": FusedEngine(threads=1)}
WIDTHS = (5, 17, 40)
X = np.linspace(0.5, 1.5, 13)


def program_with(write, n, n_steps):
    """Return the Program of a loop whose state begins as x, 2 x, 3 x, and so on."""
    b = Builder()
    x = b.input("x", 0, "float64")
    initial = [b.emit("mul", x, b.constant(k + 1.0, "float64")) for k in range(n)]
    carries, _ = rolled(b, write, initial, n_steps=n_steps)
    return b.finish([Output("y", (n,), tuple(carries))])


def results(engine, program, x=X):
    leaves = leaves_of(x=(("i",), x))
    return run(ENGINES[engine], program, leaves, {"i": len(x)})[0]


def neighbours(inner, carries, given, rows):
    """Each element becomes 0.75 of itself plus 0.25 of the next; the last stays."""
    a, b = (inner.constant(v, "float64") for v in (0.75, 0.25))
    new = [
        inner.emit("add", inner.emit("mul", a, x), inner.emit("mul", b, y))
        for x, y in pairwise(carries)
    ]
    return Step([*new, carries[-1]], [])


def around(inner, carries, given, rows):
    """Every element moves one place on, the last to the first."""
    return Step([carries[-1], *carries[:-1]], [])


def backwards(inner, carries, given, rows):
    """The state is reversed, and doubled."""
    two = inner.constant(2.0, "float64")
    return Step([inner.emit("mul", two, x) for x in carries[::-1]], [])


MATRICES = {
    neighbours: lambda n: np.diag([0.75] * (n - 1) + [1.0]) + np.diag([0.25] * (n - 1), 1),
    around: lambda n: np.roll(np.eye(n), 1, axis=0),
    backwards: lambda n: 2.0 * np.eye(n)[::-1],
}


@pytest.mark.parametrize("n_steps", [6, 7])
@pytest.mark.parametrize("n", WIDTHS)
@pytest.mark.parametrize("write", MATRICES)
@pytest.mark.parametrize("engine", ENGINES)
def test_linear_steps_are_powers_of_their_matrix(engine, write, n, n_steps):
    program = program_with(write, n, n_steps)
    expected = np.linalg.matrix_power(MATRICES[write](n), n_steps) @ np.arange(1.0, n + 1)
    np.testing.assert_allclose(results(engine, program), X[:, None] * expected, rtol=1e-13)


def test_control_a_state_that_is_overwritten_while_it_is_read_is_noticed(monkeypatch):
    def in_place(loop, first):
        places = rows.lay_out(loop, first)
        return replace(places, carries=places.carries and (places.carries[0],) * 2)

    monkeypatch.setattr(loops, "lay_out", in_place)
    must_fail(test_linear_steps_are_powers_of_their_matrix, "fused", backwards, 40, 7)


def test_a_body_is_as_long_for_many_elements_as_for_few():
    programs = [program_with(neighbours, n, 5) for n in (40, 160)]
    few, many = (
        {e.primitive.loop for e in with_short_bodies(dict(p.numbered())).values() if e[0] != "mul"}
        for p in programs
    )
    (few,), (many,) = few, many
    assert many.body.n_written == few.body.n_written < 40


def doubling(inner, carries, given, rows):
    """While the first element is below 100: integers count, the rest is doubled."""
    n = len(carries) // 2
    first, two = carries[0], inner.constant(2.0, "float64")
    one = inner.constant(1, "int64")
    new = [inner.emit("mul", two, x) for x in carries[:n]]
    new += [inner.emit("add", count, one) for count in carries[n:]]
    return Step(new, [], inner.emit("lt", first, inner.constant(100.0, "float64")))


@pytest.mark.parametrize("n", WIDTHS)
@pytest.mark.parametrize("engine", ENGINES)
def test_points_of_a_wide_loop_stop_at_steps_of_their_own(engine, n):
    b = Builder()
    x = b.input("x", 0, "float64")
    initial = [b.emit("mul", x, b.constant(k + 1.0, "float64")) for k in range(n)]
    initial += [b.constant(k, "int64") for k in range(n)]
    carries, _ = rolled(b, doubling, initial, n_steps=None)
    outputs = [Output("y", (n,), tuple(carries[:n])), Output("n", (n,), tuple(carries[n:]))]
    program = b.finish(outputs)
    x = np.geomspace(0.01, 300.0, 29)
    y, counts = run(ENGINES[engine], program, leaves_of(x=(("i",), x)), {"i": 29})
    steps = np.maximum(0, np.ceil(np.log2(100 / x))).astype(int)
    np.testing.assert_array_equal(counts, steps[:, None] + np.arange(n))
    np.testing.assert_array_equal(y, (x * 2.0**steps)[:, None] * np.arange(1.0, n + 1))


def by_append(v, s, p, disc, strike, up):
    c = jnp.append(disc * (p * v[1:] + (1 - p) * v[:-1]), 0.0)
    return jnp.maximum(c, strike - s), s * up


def by_roll(v, s, p, disc, strike, up):
    c = disc * (p * jnp.roll(v, -1) + (1 - p) * v)
    return jnp.maximum(c, strike - s), s * up


def by_set(v, s, p, disc, strike, up):
    c = disc * (p * v[1:] + (1 - p) * v[:-1])
    return v.at[:-1].set(jnp.maximum(c, strike - s[:-1])), s * up


def by_concatenate(v, s, p, disc, strike, up):
    c = disc * (p * v[1:] + (1 - p) * v[:-1])
    c = jnp.where(c > strike - s[:-1], c, strike - s[:-1])
    return jnp.concatenate([c, v[-1:]]), s * up


def tree(step, n):
    """Return the price of an American put by Cox, Ross and Rubinstein, with n steps."""

    def price(S, K, T, r, sigma):
        dt = T / n
        up = jnp.exp(sigma * jnp.sqrt(dt))
        p, disc = (jnp.exp(r * dt) - 1 / up) / (up - 1 / up), jnp.exp(-r * dt)
        s = S * jnp.exp(sigma * jnp.sqrt(dt) * (2.0 * jnp.arange(n + 1) - n))

        def one(state, _):
            return step(*state, p, disc, K, up), None

        return lax.scan(one, (jnp.maximum(K - s, 0.0), s), None, length=n)[0][0][0]

    return price


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("step", [by_append, by_roll, by_set, by_concatenate])
def test_gradients_of_a_binomial_tree_are_those_of_jax(step, mode):
    f, spots = tree(step, 33), np.linspace(81.0, 117.0, 5)
    point = {"K": 100.0, "T": 0.7, "r": 0.04, "sigma": 0.3}
    with jax.enable_x64(True):
        gradient = jax.jit(jax.grad(f, argnums=(0, 1, 2, 3, 4)))
        want = [gradient(S, *point.values()) for S in spots]
    found = gs.gradient(f, gs.Sweep(S=spots, **point), mode=mode, engine="fused")
    assert found.attrs["engine"] == "fused"
    for name, expected in zip(found, np.array(want).T):
        np.testing.assert_allclose(found[name], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.slow
def test_a_tree_of_200_steps_runs_on_the_fused_engine():
    f, spots = tree(by_set, 200), np.array([91.0, 104.0])
    point = {"K": 100.0, "T": 0.7, "r": 0.04, "sigma": 0.3}
    with jax.enable_x64(True):
        gradient = jax.jit(jax.grad(f))
        want = [float(gradient(S, *point.values())) for S in spots]
    found = gs.gradient(f, gs.Sweep(S=spots, **point), engine="fused")
    np.testing.assert_allclose(found.dprice_dS, want, rtol=1e-9)


def two_arrays(inner, carries, given, rows):
    """Two arrays that have nothing in common, halved."""
    half = inner.constant(0.5, "float64")
    return Step([inner.emit("mul", half, v) for v in carries], [])


def test_arrays_of_one_state_keep_the_axes_of_their_own():
    b, n = Builder(), 20
    leading = [b.input(name, 0, "float64") for name in ("x", "y")]
    weights = [b.constant(k + 1.0, "float64") for k in range(n)]
    initial = [b.emit("mul", v, weight) for v in leading for weight in weights]
    carries, _ = rolled(b, two_arrays, initial, n_steps=11)
    outputs = [Output(k, (n,), tuple(c)) for k, c in (("u", carries[:n]), ("v", carries[n:]))]
    program = b.finish(outputs)
    leaves = leaves_of(x=(("i",), X), y=(("j",), X[:5]))
    for engine in ENGINES.values():
        u, v = run(engine, program, leaves, {"i": 13, "j": 5})
        assert u.shape == (13, n)
        assert v.shape == (5, n)
        np.testing.assert_allclose(u, X[:, None] * np.arange(1.0, n + 1) / 2**11, rtol=1e-14)
        np.testing.assert_allclose(v, X[:5, None] * np.arange(1.0, n + 1) / 2**11, rtol=1e-14)


def with_tangents(n_tangents, n_steps):
    """x -> x² - x/2 from x, and its derivative times each seed, by a loop for each seed."""
    b = Builder()
    x, half = b.input("x", 0, "float64"), b.constant(0.5, "float64")

    def step(inner, carries, given, rows):
        x, t = carries
        half = inner.constant(0.5, "float64")
        value = inner.emit("sub", inner.emit("mul", x, x), inner.emit("mul", half, x))
        slope = inner.emit("sub", inner.emit("add", x, x), half)
        return Step([value, inner.emit("mul", slope, t)], [x])

    outputs = []
    for k in range(n_tangents):
        seed = b.emit("add", half, b.emit("mul", x, b.constant(k + 1.0, "float64")))
        (value, tangent), (path,) = rolled(b, step, [x, seed], n_steps=n_steps)
        outputs += [value, tangent, path[3]]
    return b.finish([Output(f"y{k}", (), (v,)) for k, v in enumerate(outputs)])


@pytest.mark.parametrize("engine", ENGINES)
def test_loops_that_compute_the_same_are_joined(engine):
    apart = with_tangents(3, 9)
    together = with_joined_loops(apart)
    (loop,) = together.loops
    assert (len(apart.loops), loop.n_carries, loop.n_rows_left) == (3, 4, 1)
    found = run(ENGINES[engine], together, leaves_of(x=(("i",), X)), {"i": 13})
    x, slope, path = X.copy(), np.ones(13), []
    for _ in range(9):
        path.append(x)
        slope, x = slope * (2 * x - 0.5), x * x - 0.5 * x
    for k in range(3):
        np.testing.assert_allclose(found[3 * k], x, rtol=1e-13)
        np.testing.assert_allclose(found[3 * k + 1], slope * (0.5 + (k + 1) * X), rtol=1e-13)
        np.testing.assert_allclose(found[3 * k + 2], path[3], rtol=1e-13)


def test_loops_that_only_run_equally_often_stay_apart():
    b = Builder()
    x, y = (b.input(name, 0, "float64") for name in "xy")

    def square(inner, carries, given, rows):
        return Step([inner.emit("mul", carries[0], carries[0])], [])

    def shift(inner, carries, given, rows):
        return Step([inner.emit("add", carries[0], given[0])], [])

    found = [rolled(b, square, [x], n_steps=5), rolled(b, shift, [x], [y], n_steps=5)]
    # The same step from another value, and a loop that reads the first.
    found += [rolled(b, square, [y], n_steps=5), rolled(b, square, [found[0][0][0]], n_steps=5)]
    program = b.finish([Output(f"y{k}", (), (c[0],)) for k, (c, _) in enumerate(found)])
    assert len(with_joined_loops(program).loops) == 4


def test_compiling_is_estimated_by_what_is_written_and_kept_not_by_steps_or_points():
    def seconds(program, n_points=13):
        leaves = leaves_of(x=(("i",), np.linspace(0, 1, n_points)))
        return compiling_seconds(make_job(program, leaves, ("i",)))

    narrow, wide = (program_with(neighbours, n, 5) for n in (40, 160))
    longer = program_with(neighbours, 40, 500)
    assert seconds(narrow) < seconds(wide)
    assert seconds(narrow) == seconds(longer) == seconds(narrow, 1300)
