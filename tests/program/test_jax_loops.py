"""Loops of JAX become Loops of a Program, and agree with loops that are written out."""

import numpy as np
import pytest

import gradsweep as gs
from tests.support.loops_of_programs import N, affine
from tests.support.programs import program_of

# -- loops of JAX


@pytest.fixture
def jax():
    return pytest.importorskip("jax")


@pytest.mark.jax
def test_long_loop_of_jax_runs_fused(jax):
    """(1 + x / n)^n is e^x up to O(1 / n): a million steps; its exact value by expm1 and log1p."""
    jnp = jax.numpy

    n = 10**6

    def power(x):
        return jax.lax.fori_loop(0, n, lambda i, c: c * (1 + x / n), jnp.ones(()))

    sweep = gs.Sweep(x=np.linspace(-1, 1, 5))
    found = gs.gradient(power, sweep, engine="fused", with_value=True)
    x = np.linspace(-1, 1, 5)
    exact = np.exp(n * np.log1p(x / n))
    np.testing.assert_allclose(found.power, exact, rtol=1e-9)  # n roundings
    np.testing.assert_allclose(found.dpower_dx, exact / (1 + x / n), rtol=1e-9)


@pytest.mark.jax
@pytest.mark.parametrize("n, is_row", [(3000, True), (100_000, False)])
def test_a_long_count_is_a_carry_and_no_row_of_numbers(n, is_row, jax):
    """The integral of exp(-x t) over t from 0 to 1, by its midpoints."""
    jnp = jax.numpy

    def integral(x):
        def add(i, total):
            return total + jnp.exp(-x * (i + 0.5) / n) / n

        return jax.lax.fori_loop(0, n, add, jnp.zeros(()))

    plan = gs.plan(gs.gradient, integral, gs.Sweep(x=[0.5, 2.0]), engine="reference")
    loops = plan.branches[0].branch.traced.program.loops
    assert any(loop.n_rows for loop in loops) == is_row
    x = np.array([0.5, 2.0])
    exact = (np.exp(-x) * (1 + x) - 1) / x**2
    np.testing.assert_allclose(plan.run().dintegral_dx, exact, rtol=1e-6)


@pytest.mark.jax
@pytest.mark.parametrize("quantity", ["gradient", "hessian"])
def test_rolled_loops_agree_with_unrolled_ones(quantity, monkeypatch, jax):
    jnp = jax.numpy
    from gradsweep.tracing.jax import loops

    def oscillator(k, m, data):
        def step(state, force):
            x, v = state
            v = v + 0.05 * (force - k * x - 0.1 * v) / m
            x = x + 0.05 * v
            return (x, v), x * v

        (x, v), path = jax.lax.scan(step, (1.0 + 0 * k, 0.0 * k), data)
        return x + v**2 + jnp.mean(path[::2] ** 2)

    sweep = gs.Sweep(k=[0.5, 2.0, 4.0], m=[1.0, 3.0], data=((), np.sin(np.arange(20.0))))
    results = []
    for most in (0, 10**6):
        monkeypatch.setattr(loops, "MOST_UNROLLED", most)
        monkeypatch.setattr(loops, "_SHORT", 0)

        def function(k, m, data, most=most):  # another each time, so that nothing is cached
            return oscillator(k, m, data)

        plan = gs.plan(quantity, function, sweep, wrt=["k", "m"])
        assert bool(plan.branches[0].branch.traced.program.loops) == (most == 0)
        results.append(plan.run())
    for name in results[0]:
        np.testing.assert_allclose(results[0][name], results[1][name], rtol=1e-11, atol=1e-13)


@pytest.mark.jax
def test_kepler_by_newton_in_a_while_loop_runs_fused(jax):
    """E - e sin E = M; dE/dM = 1 / (1 - e cos E), dE/de = sin E / (1 - e cos E)."""
    jnp = jax.numpy

    def anomaly(M, e):
        def going(E):
            return jnp.abs(E - e * jnp.sin(E) - M) > 1e-14

        def improved(E):
            return E - (E - e * jnp.sin(E) - M) / (1 - e * jnp.cos(E))

        return improved(jax.lax.while_loop(going, improved, M + e))

    sweep = gs.Sweep(M=np.linspace(0.1, 3.0, 7), e=[0.05, 0.3, 0.8])
    found = gs.gradient(anomaly, sweep, engine="fused", with_value=True)
    E = found.anomaly.values
    M, e = np.meshgrid(np.linspace(0.1, 3.0, 7), [0.05, 0.3, 0.8], indexing="ij")
    np.testing.assert_allclose(E - e * np.sin(E), M, rtol=1e-14)
    np.testing.assert_allclose(found.danomaly_dM, 1 / (1 - e * np.cos(E)), rtol=1e-12)
    np.testing.assert_allclose(found.danomaly_de, np.sin(E) / (1 - e * np.cos(E)), rtol=1e-12)


@pytest.mark.slow
@pytest.mark.jax
def test_long_trajectory_is_fused_in_reverse(jax):
    """x' = -x by Euler's method: x_k = x0 (1 - h)^k; all 3,000 are read."""
    jnp = jax.numpy

    n, h = 3_000, 1e-3

    def area(x0):
        _, path = jax.lax.scan(lambda x, _: (x - h * x * jnp.cos(0.0 * x), x), x0, None, length=n)
        return h * jnp.sum(path**2)

    sweep = gs.Sweep(x0=np.array([0.5, 2.0, 3.0]))
    found = gs.gradient(area, sweep, engine="fused")
    q = (1 - h) ** 2
    slope = 2 * h * (1 - q**n) / (1 - q)
    np.testing.assert_allclose(found.darea_dx0, slope * np.array([0.5, 2.0, 3.0]), rtol=1e-10)


@pytest.mark.jax
@pytest.mark.parametrize("engine", ["fused", "reference", "xla"])
def test_a_carry_that_only_the_first_step_keeps_is_followed(engine, jax):
    """y + 2x: the first carry is y from the second step on, and the other goes to 2x."""
    jnp = jax.numpy

    def f(x, y):
        def step(i, carries):
            kept, z = carries
            return jnp.where(i == 0, kept, y), 0.5 * z + x

        return sum(jax.lax.fori_loop(0, 3000, step, (x, x)))

    sweep = gs.Sweep(x=[1.0, 2.0, 5.0], y=[10.0, 20.0])
    found = gs.gradient(f, sweep, engine=engine, with_value=True)
    np.testing.assert_allclose(found.f, [[12.0, 22.0], [14.0, 24.0], [20.0, 30.0]])
    assert found.df_dx == pytest.approx(2.0) and found.df_dy == pytest.approx(1.0)


@pytest.mark.jax
def test_loop_that_looks_up_its_own_step_is_written_out(jax):
    jnp = jax.numpy
    table = jnp.arange(40.0)

    def total(x):
        return jax.lax.fori_loop(0, 40, lambda i, c: c * x + table[i] * jnp.sin(x * i), 0.0 * x)

    plan = gs.plan(gs.value, total, gs.Sweep(x=[0.5, 0.9]))
    program = plan.branches[0].branch.traced.program
    assert plan.engine == "fused" and not program.loops
    x = np.array([0.5, 0.9])
    expected = sum(x ** (39 - i) * i * np.sin(x * i) for i in range(40))
    np.testing.assert_allclose(plan.run().total, expected, rtol=1e-12)


def test_programs_count_what_loops_hold():
    program = program_of(affine, a="float64", c="float64")
    assert program.n_written == 2  # a product and a sum
    assert program.n_computed == 2 * N


@pytest.mark.slow
@pytest.mark.jax
@pytest.mark.parametrize(("n_inputs", "leaves_rows"), [(1, False), (6, True)])
def test_cheaper_mode_is_taken_for_a_gradient(n_inputs, leaves_rows, jax):
    """Forward mode carries a derivative for each input along; reverse mode leaves rows."""
    jnp = jax.numpy
    names = [f"a{i}" for i in range(n_inputs)]

    def end(**a):
        def step(x, _):
            for value in a.values():
                x = x + 1e-3 * jnp.tanh(value * x)
            return x, None

        return jax.lax.scan(step, a["a0"], None, length=2_500)[0]

    sweep = gs.Sweep(
        **{name: np.linspace(0.1, 0.2, 3) for name in names[:1]}, **dict.fromkeys(names[1:], 0.3)
    )
    traced = gs.plan(gs.gradient, end, sweep).branches[0].branch.traced
    assert any(loop.n_rows_left for loop in traced.program.loops) == leaves_rows
