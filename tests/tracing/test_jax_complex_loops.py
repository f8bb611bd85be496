"""Loops of JAX that carry complex numbers, rolled and written out, beside closed forms."""

from functools import partial

import numpy as np
import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
from jax import lax  # noqa: E402

import gradsweep as gs  # noqa: E402
from tests.support.plain_loop import POINTS  # noqa: E402

pytestmark = pytest.mark.jax

SWEEP = gs.Sweep(x=POINTS)


@pytest.fixture(params=[0, 10**6], ids=["rolled", "written out"])
def most_unrolled(request, monkeypatch):
    from gradsweep.tracing.jax import loops

    monkeypatch.setattr(loops, "MOST_UNROLLED", request.param)
    monkeypatch.setattr(loops, "_SHORT", 0)
    return request.param


def has_loops(plan):
    return bool(plan.branches[0].branch.traced.program.loops)


def test_a_loop_with_complex_carries_and_rows(most_unrolled):
    """y_k = a y_(k-1) + u_k, whose last value is the sum of a^(n-1-k) u_k."""
    n = 12
    u = np.exp(0.5j * np.arange(n)) * np.linspace(0.3, 1.0, n)

    def filtered(r, w, most=most_unrolled):  # another each time: nothing is cached
        a = r * jnp.exp(1j * w)

        def step(y, given):
            y = a * y + given
            return y, y * jnp.conj(given)

        last, path = lax.scan(step, 0.0 * a, jnp.asarray(u))
        return {"last": last.imag, "path": path[3].real + path[n - 1].imag}

    sweep = gs.Sweep(r=[0.5, 0.8, 0.9], w=[0.1, 0.4])
    plan = gs.plan(gs.jacobian, filtered, sweep, framework="jax", with_value=True)
    assert plan.engine == "fused" and has_loops(plan) == (most_unrolled == 0)
    found = plan.run()

    def y(a, m):
        return sum(a ** (m - k) * u[k] for k in range(m + 1))

    def slope(a, m):
        return sum((m - k) * a ** (m - k - 1) * u[k] for k in range(m))

    turn = np.exp(1j * np.array([0.1, 0.4]))
    a = np.array([0.5, 0.8, 0.9])[:, None] * turn
    np.testing.assert_allclose(found["last"], y(a, n - 1).imag, rtol=1e-12)
    np.testing.assert_allclose(found.dlast_dr, (slope(a, n - 1) * turn).imag, rtol=1e-12)
    np.testing.assert_allclose(found.dlast_dw, (slope(a, n - 1) * 1j * a).imag, rtol=1e-12)
    path = (y(a, 3) * u[3].conj()).real + (y(a, n - 1) * u[n - 1].conj()).imag
    np.testing.assert_allclose(found.path, path, rtol=1e-12)


def test_a_carry_of_complex_numbers_that_is_not_read(most_unrolled):
    def f(x, most=most_unrolled):
        def step(i, carries):
            z, unused, k = carries
            return z * jnp.exp(1j * x / 10), unused + z, k + x

        z, _, k = lax.fori_loop(0, 10, step, (jnp.ones((), complex), jnp.ones(2, complex), x))
        return z.imag + k

    found = gs.gradient(f, SWEEP, framework="jax")
    assert found.attrs["engine"] == "fused"
    np.testing.assert_allclose(found.df_dx, np.cos(POINTS) + 11, rtol=1e-13)


def test_a_long_loop_stays_one():
    """(1 + i x / n)^n, in closed form."""
    n = 10**4

    def f(x):
        return lax.fori_loop(0, n, lambda i, z: z * (1 + 1j * x / n), jnp.ones((), complex)).imag

    plan = gs.plan(gs.gradient, f, SWEEP, framework="jax", with_value=True)
    assert plan.engine == "fused" and has_loops(plan)
    found = plan.run()
    ratio = 1 + 1j * POINTS / n
    np.testing.assert_allclose(found.f, (ratio**n).imag, rtol=1e-10)
    np.testing.assert_allclose(found.df_dx, (1j * ratio ** (n - 1)).imag, atol=1e-10)


def test_a_loop_that_complex_values_end():
    """Newton's iteration for w^3 = z: its root has the derivative 1 / (3 w^2)."""

    def root(x, y):
        z = lax.complex(x, y)

        def better(z, w):
            return w - (w**3 - z) / (3 * w**2)

        held = lax.stop_gradient(z)
        w = lax.while_loop(lambda w: jnp.abs(w**3 - held) > 1e-12, partial(better, held), held)
        w = better(z, w)
        return {"re": w.real, "im": w.imag}

    x, y = np.array([0.8, 2.0, 3.0]), np.array([0.3, -0.7])
    plan = gs.plan(gs.jacobian, root, gs.Sweep(x=x, y=y), framework="jax", with_value=True)
    assert plan.engine == "fused" and has_loops(plan)
    found = plan.run()
    w = found.re.values + 1j * found.im.values
    np.testing.assert_allclose(w**3, x[:, None] + 1j * y, rtol=1e-12)
    np.testing.assert_allclose(found.dre_dx + 1j * found.dim_dx, 1 / (3 * w**2), rtol=1e-9)
    np.testing.assert_allclose(found.dre_dy + 1j * found.dim_dy, 1j / (3 * w**2), rtol=1e-9)
