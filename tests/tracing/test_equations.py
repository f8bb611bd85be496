"""Equations solved inside functions of either framework, beside closed forms, mpmath and scipy."""

import importlib

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

import gradsweep as gs
from tests.support.equations import MODELS, by_mpmath, solved, swept
from tests.support.frameworks import ENGINES, library

NDTR = {"torch": "torch.special", "jax": "jax.scipy.special"}


@pytest.mark.parametrize("name", MODELS)
def test_solutions_and_derivatives_are_those_of_mpmath(name, framework):
    model = MODELS[name]
    y, sweep = solved(model, library(framework)), swept(model)
    gradient = gs.gradient(y, sweep, engine="fused", with_value=True)
    hessian = gs.hessian(y, sweep, engine="fused")
    for k, arguments in enumerate(model.arguments):
        value, first, second = by_mpmath(model, float(gradient.y[k]), *arguments)
        at = {"point": k}
        found = [gradient.dy_da[at], gradient.dy_db[at]]
        np.testing.assert_allclose(gradient.y[at], value, rtol=1e-10)
        np.testing.assert_allclose(found, first, rtol=1e-10)
        rows = [[hessian[f"d2y_d{i}_d{j}"][at] for j in "ab"] for i in "ab"]
        np.testing.assert_allclose(rows, second, rtol=1e-9)


def implied_volatility(framework):
    """Return Black and Scholes's price, solved for the volatility."""
    xp = library(framework)
    ndtr = importlib.import_module(NDTR[framework]).ndtr

    def call(S, K, T, r, sigma):
        d1 = (xp.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * xp.sqrt(T))
        return S * ndtr(d1) - K * xp.exp(-r * T) * ndtr(d1 - sigma * xp.sqrt(T))

    def implied(price, S, K, T, r):
        return gs.find_root(lambda sigma: call(S, K, T, r, sigma) - price, 0.2)

    return implied


@pytest.mark.parametrize("engine", ["fused", "reference"])
def test_an_implied_volatility_has_the_derivatives_of_closed_forms(framework, engine):
    S, T, r = 100.0, 1.5, 0.03
    K, sigma = np.array([80.0, 100.0, 130.0]), np.array([0.35, 0.2, 0.25])
    N = scipy.stats.norm
    d1 = (np.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * np.sqrt(T))
    d2 = d1 - sigma * np.sqrt(T)
    price = S * N.cdf(d1) - K * np.exp(-r * T) * N.cdf(d2)
    vega = S * N.pdf(d1) * np.sqrt(T)
    vanna, volga = -N.pdf(d1) * d2 / sigma, vega * d1 * d2 / sigma

    quotes = gs.Sweep(price=("quote", price), K=("quote", K), S=S, T=T, r=r)
    implied = implied_volatility(framework)
    found = gs.hessian(implied, quotes, wrt=["price", "S"], engine=engine, with_value=True)
    np.testing.assert_allclose(found.implied, sigma, rtol=1e-12)
    np.testing.assert_allclose(found.d2implied_dprice_dprice, -volga / vega**3, rtol=1e-9)
    mixed = -(vanna - volga * N.cdf(d1) / vega) / vega**2
    np.testing.assert_allclose(found.d2implied_dprice_dS, mixed, rtol=1e-9)


def test_the_yield_of_a_bond_at_par_has_its_second_derivative(framework):
    """Ten years of 5 %, paid twice a year: P'' and P' are sums over the payments."""
    k = np.arange(1.0, 21.0)
    paid = np.where(k == 20, 102.5, 2.5)
    xp = library(framework)

    def bond_yield(price):
        given, at = xp.asarray(paid), xp.asarray(k)
        return gs.find_root(lambda y: xp.sum(given * (1 + y / 2) ** -at) - price, 0.04)

    found = gs.hessian(bond_yield, price=[95.0, 100.0, 110.0], framework=framework, with_value=True)
    y = found.bond_yield.values[:, None]
    slope = np.sum(-k / 2 * paid * (1 + y / 2) ** (-k - 1), -1)
    bend = np.sum(k * (k + 1) / 4 * paid * (1 + y / 2) ** (-k - 2), -1)
    np.testing.assert_allclose(y[1], 0.05, rtol=1e-13)
    np.testing.assert_allclose(found.d2bond_yield_dprice_dprice, -bend / slope**3, rtol=1e-10)
    assert found.d2bond_yield_dprice_dprice[1] == pytest.approx(1.5548e-5, abs=5e-10)


def root(a, b):
    """The square root of a + b, which does not exist below zero."""
    return gs.find_root(lambda y: y * y - a - b, 1.0)


@pytest.mark.parametrize("framework, engine", ENGINES)
def test_every_engine_has_nan_where_there_is_no_solution_and_nowhere_else(framework, engine):
    library(framework)
    a = np.array([4.0, -1.0, 2.0])
    found = gs.gradient(root, a=a, b=0.25, framework=framework, engine=engine, with_value=True)
    with np.errstate(invalid="ignore"):
        y = np.sqrt(a + 0.25)
    np.testing.assert_allclose(found.root, y, rtol=1e-14)
    np.testing.assert_allclose(found.droot_da, 0.5 / y, rtol=1e-14)
    np.testing.assert_allclose(found.droot_db, 0.5 / y, rtol=1e-14)


def bounded(a, low, high, start):
    return gs.find_root(lambda y: 2 * y - a, start, bracket=(low, high))


def test_a_bracket_without_a_change_of_sign_is_nan_in_derivatives_too(framework):
    sweep = gs.Sweep(a=[1.0, 9.0, 3.0], low=0.0, high=2.0, start=0.5)
    found = gs.gradient(bounded, sweep, framework=framework, with_value=True)
    np.testing.assert_array_equal(found.bounded, [0.5, np.nan, 1.5])
    np.testing.assert_array_equal(found.dbounded_da, [0.5, np.nan, 0.5])


def test_swept_limits_that_are_no_limits_are_nan(framework):
    low, high = [0.0, 3.0, -np.inf, 0.0, np.nan], [2.0, 0.0, 2.0, np.inf, 2.0]
    sweep = gs.Sweep(a=1.0, low=("bracket", low), high=("bracket", high), start=0.5)
    found = gs.value(bounded, sweep, framework=framework).bounded
    np.testing.assert_array_equal(found, [0.5, *[np.nan] * 4])


def test_start_and_bracket_have_derivatives_of_exactly_zero(framework):
    sweep = gs.Sweep(a=[1.0, 2.0], low=0.0, high=2.0, start=[0.5, 0.7, 1.1])
    found = gs.gradient(bounded, sweep, framework=framework)
    for name in ("low", "high", "start"):
        assert np.all(found[f"dbounded_d{name}"] == 0)
    np.testing.assert_array_equal(found.dbounded_da, np.full_like(found.dbounded_da, 0.5))


def test_a_system_has_the_solution_of_scipy_and_the_inverse_of_its_jacobian(framework):
    """y' = -A^-1 F_a, for two equations between a pair and an array in a container."""

    xp = library(framework)

    def pair(a):
        def residual(y):
            u, v = y["u"], y["v"]
            return {"first": xp.exp(u[0]) + v - a, "second": u[0] - v**3 * u[1], "third": u[1] - a}

        y = gs.find_root(residual, {"u": xp.zeros(2), "v": 1.0})
        return {"u": y["u"], "v": y["v"]}

    found = gs.jacobian(pair, a=[1.5, 2.0, 4.0], with_value=True)
    for k, a in enumerate([1.5, 2.0, 4.0]):
        u, v = found.u[k].values, float(found.v[k])
        np.testing.assert_allclose(
            [u[0], v, u[1]],
            scipy.optimize.root(
                lambda x, a=a: [np.exp(x[0]) + x[1] - a, x[0] - x[1] ** 3 * x[2], x[2] - a],
                [u[0] + 0.1, v, a],
                tol=1e-13,
            ).x,
            rtol=1e-11,
        )
        A = [[np.exp(u[0]), 1, 0], [1, -3 * v**2 * a, -(v**3)], [0, 0, 1]]
        slope = np.linalg.solve(A, [1.0, 0.0, 1.0])
        np.testing.assert_allclose([found.du_da[k, 0], found.dv_da[k]], slope[:2], rtol=1e-12)


def test_a_singular_root_has_an_infinite_derivative(framework):
    found = gs.gradient(root, a=[0.0, 1.0], b=0.0, framework=framework, with_value=True)
    assert abs(found.root[0]) < 1e-12
    assert not abs(found.droot_da[0]) < 1e11
    assert found.droot_da[1] == 0.5


def test_an_equation_with_more_numbers_than_unknowns_is_refused(framework):
    xp = library(framework)
    with pytest.raises(gs.errors.ArgumentError, match="2 numbers for 1 unknowns"):
        gs.value(lambda a: gs.find_root(lambda y: xp.stack([y, a]), 1.0), a=[1.0, 2.0])
    with pytest.raises(gs.errors.ArgumentError, match="complex"):
        gs.value(lambda a: gs.find_root(lambda y: y * y + xp.abs(a), 1.0j), a=[1.0, 2.0])
