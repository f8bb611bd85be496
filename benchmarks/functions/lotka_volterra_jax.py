"""The end of a Lotka-Volterra trajectory in JAX, its 200 steps in `lax.scan`.

The equations and their source are those of `benchmarks.functions.lotka_volterra`.
"""

import jax
import jax.numpy as jnp

from benchmarks.functions.lotka_volterra import N_STEPS, Y0, runge_kutta_step

__all__ = ["lotka_volterra"]


def lotka_volterra(alpha, beta, delta, gamma, x0):
    """Return the number of prey at the end, from x0 of them at the start."""

    def step(state, _):
        return runge_kutta_step(alpha, beta, delta, gamma, *state), None

    (x, _), _ = jax.lax.scan(step, (x0, jnp.full_like(x0, Y0)), None, length=N_STEPS)
    return x
