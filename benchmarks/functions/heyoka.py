"""The cases' functions in heyoka's expressions.

The formulas and their sources are those of `examples.black_scholes` and `examples.ur5`.
"""

import math

import heyoka

from benchmarks.functions.matrices import tool_position

__all__ = ["arm", "price"]


def price(S, K, T, r, sigma):
    """Return the price of a European call; the arguments are those of examples.black_scholes."""
    d1 = (heyoka.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * heyoka.sqrt(T))
    d2 = d1 - sigma * heyoka.sqrt(T)
    return S * _normal_cdf(d1) - K * heyoka.exp(-r * T) * _normal_cdf(d2)


def arm(q):
    """Return x, y and z of the tool, in metres, from the six joint angles in radians."""
    return tool_position(q, lambda angle: (heyoka.sin(angle), heyoka.cos(angle)))


def _normal_cdf(x):
    return 0.5 * heyoka.erfc(-x / math.sqrt(2))
