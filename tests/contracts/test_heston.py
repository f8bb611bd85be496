"""Heston's price by its characteristic function, in torch and JAX, against QuantLib.

Reference: Lewis (2001), "A simple option formula for general jump-diffusion and other exponential
Lévy processes"; Albrecher et al. (2007), "The little Heston trap".
"""

import numpy as np
import pytest
from scipy.special import roots_laguerre

import gradsweep as gs

ql = pytest.importorskip("QuantLib")

N_NODES = 64
N_OPTIONS = 12
DAYS = 365
NAMES = ["S", "r", "v0", "kappa", "theta", "sigma", "rho"]

x, weight = roots_laguerre(N_NODES)
STRETCH = 0.4  # so that the nodes lie where the integrand does: it falls about as exp(-u / 0.4)
U = x * STRETCH
WEIGHT = weight * np.exp(x) * STRETCH / (np.pi * (U**2 + 0.25))


def make_price(xp, array):
    """Return the price of a call, written with the functions of torch or jax.numpy."""

    def price(S, r, v0, kappa, theta, sigma, rho, K, T):
        u = array(U)
        xi = kappa - rho * sigma * array(0.5 + 1j * U)
        d = xp.sqrt(xi**2 + sigma**2 * (u**2 + 0.25))
        e = xp.exp(-d * T)
        q = xi + d - (xi - d) * e
        drift = kappa * theta / sigma**2 * ((xi - d) * T - 2 * xp.log(q / (2 * d)))
        phi = xp.exp(drift - v0 * (u**2 + 0.25) * (1 - e) / q)
        turn = xp.exp(array(1j * U) * (xp.log(S / K) + r * T))
        integral = (array(WEIGHT) * (turn * phi).real).sum()
        return S - xp.sqrt(S * K) * xp.exp(-r * T / 2) * integral

    return price


def torch_price():
    import torch

    return make_price(torch, torch.as_tensor)


def jax_price():
    import jax.numpy as jnp

    return make_price(jnp, jnp.asarray)


@pytest.fixture(
    params=[
        pytest.param((torch_price, "torch"), marks=pytest.mark.torch, id="torch"),
        pytest.param((jax_price, "jax"), marks=pytest.mark.jax, id="jax"),
    ]
)
def price_and_framework(request):
    make, framework = request.param
    pytest.importorskip(framework)
    return make(), framework


@pytest.fixture(scope="module")
def quotes():
    rng = np.random.default_rng(19930601)
    S = rng.uniform(80, 120, N_OPTIONS)
    return {
        "S": S,
        "r": rng.uniform(0.0, 0.06, N_OPTIONS),
        "v0": rng.uniform(0.02, 0.12, N_OPTIONS),
        "kappa": rng.uniform(0.8, 3.0, N_OPTIONS),
        "theta": rng.uniform(0.03, 0.12, N_OPTIONS),
        "sigma": rng.uniform(0.2, 0.6, N_OPTIONS),
        "rho": rng.uniform(-0.8, 0.0, N_OPTIONS),
        "K": S * np.exp(rng.uniform(-0.2, 0.2, N_OPTIONS)),
    }


def quantlib_price(S, r, v0, kappa, theta, sigma, rho, K):
    """Return QuantLib's price of a call of one year, integrated until it has converged."""
    today = ql.Date(1, 6, 2023)
    ql.Settings.instance().evaluationDate = today
    curves = [
        ql.YieldTermStructureHandle(ql.FlatForward(today, float(rate), ql.Actual365Fixed()))
        for rate in (r, 0.0)
    ]
    spot = ql.QuoteHandle(ql.SimpleQuote(float(S)))
    rest = map(float, (v0, kappa, theta, sigma, rho))
    model = ql.HestonModel(ql.HestonProcess(*curves, spot, *rest))
    option = ql.VanillaOption(
        ql.PlainVanillaPayoff(ql.Option.Call, float(K)), ql.EuropeanExercise(today + DAYS)
    )
    option.setPricingEngine(ql.AnalyticHestonEngine(model, 1e-13, 1_000_000))
    return option.NPV()


def rows(quotes):
    return [{name: column[i] for name, column in quotes.items()} for i in range(N_OPTIONS)]


def slopes(quotes, name):
    """Return differences of fourth order of QuantLib's price, in one argument."""
    h = 1e-2 if name == "rho" else 1e-2 * quotes[name].mean()
    terms = [(1, -2), (-8, -1), (8, 1), (-1, 2)]
    return [
        sum(c * quantlib_price(**{**row, name: row[name] + k * h}) for c, k in terms) / (12 * h)
        for row in rows(quotes)
    ]


def test_prices_and_seven_derivatives_are_those_of_quantlib(price_and_framework, quotes):
    price, framework = price_and_framework
    columns = {name: ("quote", column) for name, column in quotes.items()}
    found = gs.gradient(
        price,
        gs.Sweep(**columns, T=DAYS / 365),
        wrt=NAMES,
        framework=framework,
        engine="fused",
        with_value=True,
    )
    expected = [quantlib_price(**row) for row in rows(quotes)]
    np.testing.assert_allclose(found.price, expected, rtol=1e-9)
    for name in NAMES:
        np.testing.assert_allclose(
            found[f"dprice_d{name}"], slopes(quotes, name), rtol=1e-5, atol=1e-7, err_msg=name
        )


def test_a_wrong_sign_of_the_correlation_is_seen(price_and_framework, quotes):
    """The control."""
    price, framework = price_and_framework
    columns = {n: ("quote", c) for n, c in {**quotes, "rho": -quotes["rho"]}.items()}
    found = gs.value(price, gs.Sweep(**columns, T=DAYS / 365), framework=framework, engine="fused")
    expected = [quantlib_price(**row) for row in rows(quotes)]
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(found.price, expected, rtol=1e-9)
