"""The Black-Scholes price of a European call, in torch, and a ladder of its Greeks.

    price = S N(d1) - K exp(-r T) N(d2)
    d1    = (log(S / K) + (r + sigma^2 / 2) T) / (sigma sqrt(T))
    d2    = d1 - sigma sqrt(T)

Its partial derivatives are the Greeks: dprice_dS is delta, dprice_dsigma vega, dprice_dr rho,
and -dprice_dT theta; d2price_dS_dS is gamma.

Reference: Black and Scholes (1973), The Pricing of Options and Corporate Liabilities,
Journal of Political Economy 81, 637-654, equation 13.
"""

import numpy as np
import torch

import gradsweep as gs

__all__ = ["price"]


def price(S, K, T, r, sigma):
    """Return the price of a European call.

    Args:
        S: spot price.
        K: strike.
        T: time to expiry, in years.
        r: risk-free rate, continuously compounded, per year.
        sigma: volatility, per square root of a year.
    """
    d1 = (torch.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * torch.sqrt(T))
    d2 = d1 - sigma * torch.sqrt(T)
    return S * torch.special.ndtr(d1) - K * torch.exp(-r * T) * torch.special.ndtr(d2)


def main() -> None:
    ladder = gs.Sweep(
        S=np.linspace(50.0, 150.0, 101), K=100.0, T=1.0, r=0.05, sigma=[0.1, 0.2, 0.3]
    )
    print(gs.gradient(price, ladder, with_value=True))


if __name__ == "__main__":
    main()
