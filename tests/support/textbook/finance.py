"""Finance, as textbooks and lecture code write it in NumPy."""

import math
from math import sqrt

import numpy as np
from scipy.special import erf, ndtr

from tests.support.textbook.case import Case
from tests.support.textbook.statistics import normal_pdf

SWAP_PILLARS = np.array([1.0, 2.0, 3.0, 5.0])
ASSET_CORRELATION = np.array([[0.0, 0.0, 0.3], [0.0, 0.0, -0.1], [0.3, -0.1, 0.0]])


def norm_cdf(x):
    return 0.5 * (1 + erf(x / sqrt(2)))


def black_scholes_call(S, K, T, r, sigma, q=0.0):
    """Price of a European call on a stock with a continuous dividend yield.

    Source: J. C. Hull, Options, Futures, and Other Derivatives, ch. 17 (Merton's extension).
    """
    d1 = (np.log(S / K) + (r - q + 0.5 * sigma**2) * T) / (sigma * np.sqrt(T))
    d2 = d1 - sigma * np.sqrt(T)
    return S * np.exp(-q * T) * norm_cdf(d1) - K * np.exp(-r * T) * norm_cdf(d2)


def black_scholes_put_greeks(S, K, T, r, sigma):
    """Price, delta, gamma and vega of a European put.

    Source: J. C. Hull, Options, Futures, and Other Derivatives, ch. 15 and 19.
    """
    vol_t = sigma * np.sqrt(T)
    d1 = (np.log(S / K) + r * T) / vol_t + vol_t / 2
    d2 = d1 - vol_t
    price = K * np.exp(-r * T) * ndtr(-d2) - S * ndtr(-d1)
    delta = ndtr(d1) - 1
    gamma_ = normal_pdf(d1) / (S * vol_t)
    vega = S * normal_pdf(d1) * np.sqrt(T)
    return np.array([price, delta, gamma_, vega])


def vasicek_bond(r0, kappa, theta, sigma, T):
    """Zero-coupon bond price in the Vasicek short-rate model.

    Source: D. Brigo and F. Mercurio, Interest Rate Models: Theory and Practice, section 3.2.1.
    """
    B = (1 - math.exp(-kappa * T)) / kappa
    A = math.exp((theta - sigma**2 / (2 * kappa**2)) * (B - T) - sigma**2 * B**2 / (4 * kappa))
    return A * math.exp(-B * r0)


def cir_bond(r0, kappa, theta, sigma, T):
    """Zero-coupon bond price in the Cox-Ingersoll-Ross short-rate model.

    Source: D. Brigo and F. Mercurio, Interest Rate Models: Theory and Practice, section 3.2.3.
    """
    h = np.sqrt(kappa**2 + 2 * sigma**2)
    growth = np.exp(h * T) - 1
    denominator = 2 * h + (kappa + h) * growth
    A = (2 * h * np.exp((kappa + h) * T / 2) / denominator) ** (2 * kappa * theta / sigma**2)
    B = 2 * growth / denominator
    return A * np.exp(-B * r0)


def growing_annuity(payment, rate, growth, years=20):
    """Present value of an annuity whose yearly payment grows at a constant rate.

    Source: R. Brealey, S. Myers and F. Allen, Principles of Corporate Finance, ch. 2.
    """
    if abs(rate - growth) < 1e-10:
        return payment * years / (1 + rate)
    return payment / (rate - growth) * (1 - ((1 + growth) / (1 + rate)) ** years)


def american_put_tree(S, K, T, r, sigma, steps=40):
    """Price of an American put on a Cox-Ross-Rubinstein tree held in arrays.

    Source: J. C. Hull, Options, Futures, and Other Derivatives, ch. 21 (binomial trees).
    """
    dt = T / steps
    up = np.exp(sigma * np.sqrt(dt))
    down = 1 / up
    p = (np.exp(r * dt) - down) / (up - down)
    disc = np.exp(-r * dt)
    j = np.arange(steps + 1)
    prices = S * up**j * down ** (steps - j)
    values = np.maximum(K - prices, 0)
    for _ in range(steps):
        prices = prices[:-1] * up
        values = disc * (p * values[1:] + (1 - p) * values[:-1])
        values = np.maximum(values, K - prices)
    return values[0]


def european_call_tree(S, K, T, r, sigma, steps=25):
    """Price of a European call on a binomial tree held in plain lists.

    Source: S. E. Shreve, Stochastic Calculus for Finance I, ch. 1.
    """
    dt = T / steps
    u = math.exp(sigma * math.sqrt(dt))
    d = 1 / u
    p = (math.exp(r * dt) - d) / (u - d)
    values = [max(S * u**j * d ** (steps - j) - K, 0.0) for j in range(steps + 1)]
    while len(values) > 1:
        values = [
            math.exp(-r * dt) * (p * hi + (1 - p) * lo)
            for lo, hi in zip(values, values[1:])  # noqa: RUF007
        ]
    return values[0]


def margrabe_exchange(S1, S2, sigma1, sigma2, rho, T):
    """Value of the option to exchange the second asset for the first.

    Source: W. Margrabe, The Value of an Option to Exchange One Asset for Another (1978).
    """
    sigma = np.sqrt(sigma1**2 + sigma2**2 - 2 * rho * sigma1 * sigma2)
    d1 = (np.log(S1 / S2) + 0.5 * sigma**2 * T) / (sigma * np.sqrt(T))
    d2 = d1 - sigma * np.sqrt(T)
    return S1 * ndtr(d1) - S2 * ndtr(d2)


def sabr_implied_vol(F, K, T, alpha, rho, nu, beta=0.5):
    """Lognormal implied volatility of the SABR model, to first order in expiry.

    Source: P. Hagan, D. Kumar, A. Lesniewski, D. Woodward, Managing Smile Risk, eq. (2.17).
    """
    omb = 1 - beta
    fk = (F * K) ** (omb / 2)
    log_fk = np.log(F / K)
    if abs(log_fk) < 1e-9:
        ratio = 1.0
    else:
        z = nu / alpha * fk * log_fk
        ratio = z / np.log((np.sqrt(1 - 2 * rho * z + z**2) + z - rho) / (1 - rho))
    denominator = fk * (1 + omb**2 / 24 * log_fk**2 + omb**4 / 1920 * log_fk**4)
    correction = (
        omb**2 / 24 * alpha**2 / fk**2
        + rho * beta * nu * alpha / (4 * fk)
        + (2 - 3 * rho**2) / 24 * nu**2
    )
    return alpha / denominator * ratio * (1 + correction * T)


def bootstrap_discount_factors(s1, s2, s3, s5):
    """Yearly discount factors bootstrapped from par swap rates, interpolated linearly.

    Source: J. C. Hull, Options, Futures, and Other Derivatives, ch. 7 (swaps).
    """
    par_rates = np.interp(np.arange(1, 6), SWAP_PILLARS, np.array([s1, s2, s3, s5]))
    df = np.zeros(5)
    for i, s in enumerate(par_rates):
        df[i] = (1 - s * df[:i].sum()) / (1 + s)
    return df


def portfolio_volatility(w1, w2, vol1, vol2, vol3, rho12):
    """Standard deviation of a fully invested portfolio of three assets.

    Source: D. G. Luenberger, Investment Science, ch. 6 (mean-variance portfolio theory).
    """
    w = np.array([w1, w2, 1 - w1 - w2])
    vols = np.array([vol1, vol2, vol3])
    corr = np.eye(3) + ASSET_CORRELATION
    corr[0, 1] = corr[1, 0] = rho12
    cov = np.outer(vols, vols) * corr
    return np.sqrt(w @ cov @ w)


def merton_jump_call(S, T, sigma, intensity, jump_mean, jump_sd, K=100.0, r=0.03):
    """Price of a European call when lognormal jumps come at a Poisson rate.

    Source: R. C. Merton, Option Pricing When Underlying Stock Returns Are Discontinuous (1976).
    """
    k = np.exp(jump_mean + 0.5 * jump_sd**2) - 1
    lam = intensity * (1 + k)
    price = 0.0
    for n in range(20):
        sigma_n = np.sqrt(sigma**2 + n * jump_sd**2 / T)
        r_n = r - intensity * k + n * np.log(1 + k) / T
        weight = np.exp(-lam * T) * (lam * T) ** n / math.factorial(n)
        price += weight * black_scholes_call(S, K, T, r_n, sigma_n)
    return price


CASES = [
    Case(
        black_scholes_call,
        {
            "S": (80.0, 120.0),
            "K": (80.0, 120.0),
            "T": (0.1, 3.0),
            "r": (0.0, 0.08),
            "sigma": (0.1, 0.6),
            "q": (0.0, 0.05),
        },
    ),
    Case(
        black_scholes_put_greeks,
        {
            "S": (80.0, 120.0),
            "K": (80.0, 120.0),
            "T": (0.1, 3.0),
            "r": (0.0, 0.08),
            "sigma": (0.1, 0.6),
        },
    ),
    Case(
        vasicek_bond,
        {
            "r0": (0.0, 0.08),
            "kappa": (0.1, 2.0),
            "theta": (0.01, 0.08),
            "sigma": (0.005, 0.03),
            "T": (0.5, 20.0),
        },
    ),
    Case(
        cir_bond,
        {
            "r0": (0.005, 0.08),
            "kappa": (0.1, 1.5),
            "theta": (0.01, 0.08),
            "sigma": (0.05, 0.2),
            "T": (0.5, 15.0),
        },
    ),
    Case(
        growing_annuity,
        {"payment": (100.0, 1000.0), "rate": (0.04, 0.12), "growth": (0.0, 0.035)},
        {"years": 20},
    ),
    Case(
        american_put_tree,
        {
            "S": (80.0, 120.0),
            "K": (90.0, 110.0),
            "T": (0.25, 2.0),
            "r": (0.01, 0.08),
            "sigma": (0.15, 0.5),
        },
        {"steps": 40},
    ),
    Case(
        european_call_tree,
        {
            "S": (80.0, 120.0),
            "K": (90.0, 110.0),
            "T": (0.25, 2.0),
            "r": (0.01, 0.08),
            "sigma": (0.15, 0.5),
        },
        {"steps": 25},
    ),
    Case(
        margrabe_exchange,
        {
            "S1": (80.0, 120.0),
            "S2": (80.0, 120.0),
            "sigma1": (0.1, 0.5),
            "sigma2": (0.1, 0.5),
            "rho": (-0.8, 0.8),
            "T": (0.2, 3.0),
        },
    ),
    Case(
        sabr_implied_vol,
        {
            "F": (0.04, 0.06),
            "K": (0.02, 0.038),
            "T": (0.25, 5.0),
            "alpha": (0.02, 0.06),
            "rho": (-0.7, 0.5),
            "nu": (0.1, 0.8),
        },
    ),
    Case(
        bootstrap_discount_factors,
        {"s1": (0.01, 0.04), "s2": (0.015, 0.045), "s3": (0.02, 0.05), "s5": (0.02, 0.06)},
    ),
    Case(
        portfolio_volatility,
        {
            "w1": (0.1, 0.6),
            "w2": (0.1, 0.4),
            "vol1": (0.1, 0.4),
            "vol2": (0.05, 0.3),
            "vol3": (0.1, 0.5),
            "rho12": (-0.5, 0.7),
        },
    ),
    Case(
        merton_jump_call,
        {
            "S": (80.0, 120.0),
            "T": (0.25, 2.0),
            "sigma": (0.1, 0.4),
            "intensity": (0.1, 1.5),
            "jump_mean": (-0.2, 0.1),
            "jump_sd": (0.05, 0.3),
        },
    ),
]
