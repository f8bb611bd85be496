"""The cases' functions in CasADi's symbols.

The formulas and their sources are those of `examples.black_scholes` and `examples.ur5`.
"""

import math

import casadi

from examples.ur5 import JOINTS, Joint

__all__ = ["arm", "price"]


def price(S, K, T, r, sigma):
    """Return the price of a European call; the arguments are those of examples.black_scholes."""
    d1 = (casadi.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * casadi.sqrt(T))
    d2 = d1 - sigma * casadi.sqrt(T)
    return S * _normal_cdf(d1) - K * casadi.exp(-r * T) * _normal_cdf(d2)


def arm(q):
    """Return the position of the tool, in metres, from the six joint angles in radians."""
    transform = casadi.SX.eye(4)
    for i, joint in enumerate(JOINTS):
        transform = transform @ _joint_transform(q[i], joint)
    return transform[:3, 3]


def _normal_cdf(x):
    return 0.5 + 0.5 * casadi.erf(x / math.sqrt(2))


def _joint_transform(angle, joint: Joint):
    cos, sin = casadi.cos(angle), casadi.sin(angle)
    cos_alpha, sin_alpha = math.cos(joint.alpha), math.sin(joint.alpha)
    rows = [
        [cos, -sin * cos_alpha, sin * sin_alpha, joint.a * cos],
        [sin, cos * cos_alpha, -cos * sin_alpha, joint.a * sin],
        [0, sin_alpha, cos_alpha, joint.d],
        [0, 0, 0, 1],
    ]
    return casadi.vertcat(*(casadi.horzcat(*row) for row in rows))
