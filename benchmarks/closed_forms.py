"""The derivatives of every case by hand, in NumPy: what all rivals are compared with, and a rival.

The values of a function's arguments enter, shaped so that they broadcast over the sweep; one
array for each result leaves, with the axes that it varies with, or of length 1 in their place.
Knows nothing of gradsweep.
"""

import math

import numpy as np
from scipy.special import ndtr

from benchmarks.functions.lotka_volterra import N_STEPS, Y0
from examples.ur5 import JOINTS

__all__ = [
    "arm_jacobian",
    "lotka_volterra_gradient",
    "price_gradient",
    "price_hessian",
    "question_gradient",
]

Results = tuple[np.ndarray, ...]


def question_gradient(x0, x1, x2, x3, x4) -> Results:
    return tuple(map(np.asarray, (2 * x0, 3 * x1**2, 4 * x2**3, 5 * x3**4, 6 * x4**5)))


def price_gradient(S, K, T, r, sigma) -> Results:
    """Return delta, the derivative in the strike, minus theta, rho and vega."""
    d1, d2, pdf = _arguments_of_the_normal(S, K, T, r, sigma)
    discounted = np.exp(-r * T) * ndtr(d2)
    vega = S * pdf * np.sqrt(T)
    return (
        ndtr(d1),
        -discounted,
        vega * sigma / (2 * T) + r * K * discounted,
        K * T * discounted,
        vega,
    )


def price_hessian(S, K, T, r, sigma) -> Results:
    """Return the upper triangle, row by row, in the order S, K, T, r, sigma."""
    d1, d2, pdf = _arguments_of_the_normal(S, K, T, r, sigma)
    sqrt_T = np.sqrt(T)
    total = sigma * sqrt_T
    discounted = np.exp(-r * T) * ndtr(d2)
    # S phi(d1) = K exp(-r T) phi(d2)
    S_pdf = S * pdf
    dd_dr = sqrt_T / sigma
    dd1_dT = (r + sigma**2 / 2) / total - d1 / (2 * T)
    dd2_dT = dd1_dT - sigma / (2 * sqrt_T)
    return (
        pdf / (S * total),
        -pdf / (K * total),
        pdf * dd1_dT,
        pdf * dd_dr,
        -pdf * d2 / sigma,
        S_pdf / (K**2 * total),
        r * discounted - S_pdf * dd2_dT / K,
        T * discounted - S_pdf * dd_dr / K,
        S_pdf * d1 / (K * sigma),
        -S_pdf * sigma / (2 * sqrt_T) * (d1 * dd1_dT + 1 / (2 * T))
        + r * (S_pdf * dd2_dT - r * K * discounted),
        (1 - r * T) * K * discounted + S_pdf * (r * dd_dr - d1 / 2),
        S_pdf * (1 + d1 * d2) / (2 * sqrt_T) - r * S_pdf * d1 / sigma,
        T * (S_pdf * dd_dr - K * T * discounted),
        -T * S_pdf * d1 / sigma,
        sqrt_T * S_pdf * d1 * d2 / sigma,
    )


def arm_jacobian(q) -> Results:
    """Return the Jacobian of the tool's position, shape (..., 3, 6).

    Its column i is z_i x (tool - o_i), where joint i turns about the axis z_i through o_i.
    """
    leading = q.shape[:-1]
    x, y, z = (np.broadcast_to(axis, (*leading, 3)) for axis in np.eye(3))
    origin = np.zeros((*leading, 3))
    axes, origins = [], []
    for i, joint in enumerate(JOINTS):
        cos, sin = np.cos(q[..., i, None]), np.sin(q[..., i, None])
        axes.append(z)
        origins.append(origin)
        ahead, aside = cos * x + sin * y, cos * y - sin * x
        origin = origin + joint.d * z + joint.a * ahead
        x = ahead
        y = np.cos(joint.alpha) * aside + np.sin(joint.alpha) * z
        z = np.cos(joint.alpha) * z - np.sin(joint.alpha) * aside
    columns = [np.cross(axis, origin - at) for axis, at in zip(axes, origins)]
    return (np.stack(columns, axis=-1),)


def lotka_volterra_gradient(alpha, beta, delta, gamma, x0) -> Results:
    """Return the sensitivities of the prey at the end, by forward propagation.

    A sensitivity (u, v) to a parameter p obeys u' = (df/dx) u + (df/dy) v + df/dp; Runge-Kutta
    applied to it gives exactly the derivative of Runge-Kutta applied to the state.
    """
    x0 = np.asarray(x0)
    one, zero = np.ones_like(x0), np.zeros_like(x0)
    # rows: x, y, then u and v for alpha, beta, delta, gamma, x0
    state = np.stack([x0, Y0 * one, *[zero] * 8, one, zero])
    h = 10.0 / N_STEPS

    def rates(state):
        (x, y), u, v = state[:2], state[2::2], state[3::2]
        fx_x, fx_y, fy_x, fy_y = alpha - beta * y, -beta * x, delta * y, delta * x - gamma
        rate = np.empty_like(state)
        rate[0], rate[1] = fx_x * x, fy_y * y
        rate[2::2], rate[3::2] = fx_x * u + fx_y * v, fy_x * u + fy_y * v
        rate[2] += x
        rate[4] -= x * y
        rate[7] += x * y
        rate[9] -= y
        return rate

    for _ in range(N_STEPS):
        k1 = rates(state)
        k2 = rates(state + h / 2 * k1)
        k3 = rates(state + h / 2 * k2)
        k4 = rates(state + h * k3)
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return tuple(state[2::2])


def _arguments_of_the_normal(S, K, T, r, sigma) -> Results:
    """Return d1, d2 and the normal density at d1."""
    total = sigma * np.sqrt(T)
    d1 = (np.log(S / K) + (r + sigma**2 / 2) * T) / total
    return d1, d1 - total, np.exp(-(d1**2) / 2) / math.sqrt(2 * math.pi)
