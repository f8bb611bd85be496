"""The cases' functions in Dr.Jit's arrays, which hold one number for every point.

The formulas and their sources are those of `examples.black_scholes`, `examples.ur5` and
`benchmarks.functions.lotka_volterra`.
"""

import math

import drjit as dr

from benchmarks.functions.lotka_volterra import N_STEPS, Y0, runge_kutta_step
from benchmarks.functions.matrices import tool_position

__all__ = ["arm", "lotka_volterra", "price"]


def price(S, K, T, r, sigma):
    """Return the price of a European call; the arguments are those of examples.black_scholes."""
    d1 = (dr.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * dr.sqrt(T))
    d2 = d1 - sigma * dr.sqrt(T)
    return S * _normal_cdf(d1) - K * dr.exp(-r * T) * _normal_cdf(d2)


def arm(q):
    """Return x, y and z of the tool, in metres, from the six joint angles in radians."""
    return tool_position(q, dr.sincos)


def lotka_volterra(alpha, beta, delta, gamma, x0):
    """Return the number of prey at the end, by a loop that Dr.Jit records as one."""

    def step(i, x, y, *parameters):
        return i + 1, *runge_kutta_step(*parameters, x, y), *parameters

    _, x, *_ = dr.while_loop(
        (dr.llvm.UInt32(0), x0, x0 * 0.0 + Y0, alpha, beta, delta, gamma),
        lambda i, *_: i < N_STEPS,
        step,
        # Reverse mode keeps the trajectory, and asks how long it may be.
        max_iterations=N_STEPS,
    )
    return x


def _normal_cdf(x):
    return 0.5 + 0.5 * dr.erf(x / math.sqrt(2))
