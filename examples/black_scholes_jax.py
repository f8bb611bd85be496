"""The Black-Scholes price of a European call, in JAX, and a profit-and-loss explain.

The formula and its source are those of `examples.black_scholes`. Each argument's contribution to
the move of the price, to first order, is its Greek times its own move: J * v.
"""

import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm

import gradsweep as gs

__all__ = ["price"]


def price(S, K, T, r, sigma):
    """Return the price of a European call; the arguments are those of examples.black_scholes."""
    d1 = (jnp.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * jnp.sqrt(T))
    d2 = d1 - sigma * jnp.sqrt(T)
    return S * norm.cdf(d1) - K * jnp.exp(-r * T) * norm.cdf(d2)


def main() -> None:
    book = gs.Sweep(
        S=("trade", np.array([95.0, 100.0, 105.0])),
        K=("trade", np.array([100.0, 90.0, 110.0])),
        sigma=("trade", np.array([0.22, 0.25, 0.20])),
        T=1.0,
        r=0.05,
    )
    one_day = {"S": 1.0, "sigma": -0.005, "T": -1 / 365}
    print(gs.contributions(price, book, one_day))


if __name__ == "__main__":
    main()
