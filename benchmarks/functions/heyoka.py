"""The cases' functions in heyoka's expressions.

The formulas and their sources are those of `examples.black_scholes` and `examples.ur5`.
"""

import math

import heyoka

from examples.ur5 import JOINTS, Joint

__all__ = ["arm", "price"]


def price(S, K, T, r, sigma):
    """Return the price of a European call; the arguments are those of examples.black_scholes."""
    d1 = (heyoka.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * heyoka.sqrt(T))
    d2 = d1 - sigma * heyoka.sqrt(T)
    return S * _normal_cdf(d1) - K * heyoka.exp(-r * T) * _normal_cdf(d2)


def arm(q):
    """Return x, y and z of the tool, in metres, from the six joint angles in radians."""
    rows = [[heyoka.expression(float(i == j)) for j in range(4)] for i in range(4)]
    for angle, joint in zip(q, JOINTS, strict=True):
        transform = _joint_transform(angle, joint)
        rows = [
            [sum(a * b for a, b in zip(row, column)) for column in zip(*transform)] for row in rows
        ]
    return [row[3] for row in rows[:3]]


def _normal_cdf(x):
    return 0.5 * heyoka.erfc(-x / math.sqrt(2))


def _joint_transform(angle, joint: Joint):
    cos, sin = heyoka.cos(angle), heyoka.sin(angle)
    cos_alpha, sin_alpha = math.cos(joint.alpha), math.sin(joint.alpha)
    return [
        [cos, -sin * cos_alpha, sin * sin_alpha, joint.a * cos],
        [sin, cos * cos_alpha, -cos * sin_alpha, joint.a * sin],
        [0.0, sin_alpha, cos_alpha, joint.d],
        [0.0, 0.0, 0.0, 1.0],
    ]
