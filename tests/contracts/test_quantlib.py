"""Greeks of random European options against QuantLib's analytic formulas."""

import numpy as np
import pytest

import gradsweep as gs

ql = pytest.importorskip("QuantLib")

N_OPTIONS = 2000


def torch_price():
    import torch

    def price(S, K, T, r, q, sigma, call):
        deviation = sigma * torch.sqrt(T)
        d1 = (torch.log(S / K) + (r - q + sigma**2 / 2) * T) / deviation
        sign = torch.where(call, 1.0, -1.0)

        def ndtr(x):
            return torch.special.erfc(-x / 2**0.5) / 2

        spot, strike = S * torch.exp(-q * T), K * torch.exp(-r * T)
        return sign * (spot * ndtr(sign * d1) - strike * ndtr(sign * (d1 - deviation)))

    return price


def jax_price():
    import jax.numpy as jnp
    from jax.scipy.special import erfc

    def price(S, K, T, r, q, sigma, call):
        deviation = sigma * jnp.sqrt(T)
        d1 = (jnp.log(S / K) + (r - q + sigma**2 / 2) * T) / deviation
        sign = jnp.where(call, 1.0, -1.0)

        def ndtr(x):
            return erfc(-x / 2**0.5) / 2

        spot, strike = S * jnp.exp(-q * T), K * jnp.exp(-r * T)
        return sign * (spot * ndtr(sign * d1) - strike * ndtr(sign * (d1 - deviation)))

    return price


@pytest.fixture(
    params=[
        pytest.param(torch_price, marks=pytest.mark.torch, id="torch"),
        pytest.param(jax_price, marks=pytest.mark.jax, id="jax"),
    ]
)
def price(request):
    return request.param()


@pytest.fixture(scope="module")
def quotes():
    rng = np.random.default_rng(20221103)
    S, T = rng.uniform(60, 140, N_OPTIONS), rng.uniform(0.1, 3.0, N_OPTIONS)
    sigma = rng.uniform(0.1, 0.6, N_OPTIONS)
    # Strikes within two standard deviations: in the far tails QuantLib's own normal
    # distribution, 1 + erf, loses the digits that are compared.
    K = S * np.exp(sigma * np.sqrt(T) * rng.uniform(-2.0, 2.0, N_OPTIONS))
    return {
        "S": S,
        "K": K,
        "T": T,
        "r": rng.uniform(-0.02, 0.08, N_OPTIONS),
        "q": rng.uniform(0.0, 0.05, N_OPTIONS),
        "sigma": sigma,
        "call": rng.random(N_OPTIONS) < 0.5,
    }


@pytest.fixture(scope="module")
def calculators(quotes):
    """One BlackCalculator for each option, which knows no dates and so no day counts."""
    made = []
    for i in range(N_OPTIONS):
        S, K, T, r, q, sigma = (float(quotes[name][i]) for name in "S K T r q sigma".split())
        payoff = ql.PlainVanillaPayoff(ql.Option.Call if quotes["call"][i] else ql.Option.Put, K)
        forward = S * np.exp((r - q) * T)
        made.append(ql.BlackCalculator(payoff, forward, sigma * T**0.5, float(np.exp(-r * T))))
    return made


def sweep_of(quotes):
    return gs.Sweep(**{name: ("quote", values) for name, values in quotes.items()})


def test_first_order_greeks_agree_with_quantlib(price, quotes, calculators):
    ds = gs.gradient(price, sweep_of(quotes), with_value=True)
    S, T = quotes["S"], quotes["T"]

    def column(greek):
        return np.array([greek(c, float(s), float(t)) for c, s, t in zip(calculators, S, T)])

    expected = {
        "price": column(lambda c, s, t: c.value()),
        "dprice_dS": column(lambda c, s, t: c.delta(s)),
        "dprice_dsigma": column(lambda c, s, t: c.vega(t)),
        "dprice_dr": column(lambda c, s, t: c.rho(t)),
        "dprice_dq": column(lambda c, s, t: c.dividendRho(t)),
        "dprice_dK": column(lambda c, s, t: c.strikeSensitivity()),
        "dprice_dT": -column(lambda c, s, t: c.theta(s, t)),
    }
    assert set(ds.data_vars) == set(expected)
    for name, values in expected.items():
        # A theta near zero is compared with the size of the terms that it is the sum of.
        scale = 1e-9 * S if name == "dprice_dT" else 0.0
        error = np.abs(ds[name].values - values)
        assert np.all(error <= 1e-9 * np.abs(values) + scale * 1e-3), name


def test_second_order_greeks_agree_with_quantlib(price, quotes, calculators):
    ds = gs.hessian(price, sweep_of(quotes), wrt=["S", "K", "sigma"])
    S = quotes["S"]
    gamma = np.array([c.gamma(float(s)) for c, s in zip(calculators, S)])
    strike_gamma = np.array([c.strikeGamma() for c in calculators])
    np.testing.assert_allclose(ds.d2price_dS_dS, gamma, rtol=1e-9)
    np.testing.assert_allclose(ds.d2price_dK_dK, strike_gamma, rtol=1e-9)
    # Euler: price is homogeneous of degree 1 in (S, K), so S gamma + K d2/dSdK = 0.
    np.testing.assert_allclose(ds.d2price_dS_dK, -S * gamma / quotes["K"], rtol=1e-9)
