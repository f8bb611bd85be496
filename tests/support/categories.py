"""A book of calls and puts: the price in either framework, and Black and Scholes' own formulas."""

import numpy as np
import pytest
from scipy.stats import norm

import gradsweep as gs

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("torch", "jax")]

RATE, EXPIRY = 0.05, 0.75


def pricer(framework):
    """Return price(S, K, sigma, kind), in which `kind` is a word that Python code reads."""
    if framework == "torch":
        import torch as lib
        from torch.special import ndtr
    else:
        import jax.numpy as lib
        from jax.scipy.special import ndtr

    def price(S, K, sigma, kind):
        d1 = (lib.log(S / K) + (RATE + sigma**2 / 2) * EXPIRY) / (sigma * EXPIRY**0.5)
        d2 = d1 - sigma * EXPIRY**0.5
        discounted = K * np.exp(-RATE * EXPIRY)
        if kind == "call":
            return S * ndtr(d1) - discounted * ndtr(d2)
        if kind == "put":
            return discounted * ndtr(-d2) - S * ndtr(-d1)
        raise ValueError(f"kind is {kind!r}")

    return price


def formulas(S, K, sigma, kind):
    """Return the value and the first derivatives of the price, and its second along S."""
    S, K, sigma, sign = np.broadcast_arrays(S, K, sigma, np.where(np.equal(kind, "call"), 1, -1))
    d1 = (np.log(S / K) + (RATE + sigma**2 / 2) * EXPIRY) / (sigma * EXPIRY**0.5)
    d2, discount = d1 - sigma * EXPIRY**0.5, np.exp(-RATE * EXPIRY)
    return {
        "price": sign * (S * norm.cdf(sign * d1) - K * discount * norm.cdf(sign * d2)),
        "dprice_dS": sign * norm.cdf(sign * d1),
        "dprice_dK": -sign * discount * norm.cdf(sign * d2),
        "dprice_dsigma": S * norm.pdf(d1) * EXPIRY**0.5,
        "d2price_dS_dS": norm.pdf(d1) / (S * sigma * EXPIRY**0.5),
    }


SPOTS = np.linspace(70.0, 130.0, 7)
VOLATILITIES = np.array([0.15, 0.3])

# A book: five trades, of which two are puts.
BOOK = {
    "S": np.array([95.0, 100.0, 105.0, 98.0, 120.0]),
    "K": np.array([100.0, 90.0, 110.0, 100.0, 115.0]),
    "sigma": np.array([0.22, 0.25, 0.20, 0.3, 0.18]),
    "kind": ["call", "put", "call", "call", "put"],
}


def grid(kinds=("call", "put")):
    """Return a Sweep over spots, volatilities and kinds, and its formulas along these dims."""
    sweep = gs.Sweep(S=SPOTS, K=100.0, sigma=VOLATILITIES, kind=list(kinds))
    exact = formulas(SPOTS[:, None, None], 100.0, VOLATILITIES[:, None], np.array(kinds))
    return sweep, exact


def book():
    """Return a Sweep along `trade`, and its formulas."""
    return gs.Sweep({name: ("trade", column) for name, column in BOOK.items()}), formulas(**BOOK)


def require_equal(ds, exact, dims, rtol=1e-12):
    """Check the variables of a Dataset, spread over some dims, against formulas along these."""
    full = gs.broadcast(ds)
    names = [name for name in exact if name in ds]
    assert names
    for name in names:
        found = full[name].transpose(*dims).values
        np.testing.assert_allclose(found, exact[name], rtol=rtol, atol=1e-13, err_msg=name)


def power(x, n):
    """x**n by a Python loop, whose length is n."""
    y = 1.0
    for _ in range(n):
        y = y * x
    return y
