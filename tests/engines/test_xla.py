"""The xla engine, where XLA itself fails."""

import numpy as np
import pytest

import gradsweep as gs

jax = pytest.importorskip("jax")
jnp = jax.numpy

N_STEPS = 6
POINTS = np.array([0.7, 1.3, 2.9])


@jax.custom_vjp
def square(a):
    return a * a


# Its second derivative is taken in reverse mode twice.
square.defvjp(lambda a: (a * a, a), lambda a, w: (2.0 * a * w,))


def state(x, y):
    """One of two, whichever is above 0.2: always the first here, which is affine in y."""
    low, high = 0.5 * y, y
    for _ in range(N_STEPS):
        is_above = high > 0.2
        step = 1.1 * high + 0.1
        low, high = jnp.where(is_above, low, step), jnp.where(is_above, step, low)
    return 0.5 * high + 2.0 * square(high)


@pytest.mark.parametrize("engine", ["xla", "fused"])
def test_what_xla_cannot_compile_in_its_usual_way_is_compiled_in_another(engine):
    found = gs.hessian(state, gs.Sweep(x=("i", POINTS), y=("i", POINTS)), engine=engine)
    exact = np.full(3, 4 * 1.1 ** (2 * N_STEPS))
    np.testing.assert_allclose(found.d2state_dy_dy.broadcast_like(found.i), exact, rtol=1e-14)
    assert np.all(found.d2state_dx_dy == 0) and np.all(found.d2state_dx_dx == 0)


def test_another_failure_of_xla_is_told_as_it_is(monkeypatch):
    def broken(function, **options):
        def run(values):
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

        return run

    plan = gs.plan(gs.gradient, state, gs.Sweep(x=1.0, y=("i", POINTS)), engine="xla")
    monkeypatch.setattr(jax, "jit", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        plan.run()
