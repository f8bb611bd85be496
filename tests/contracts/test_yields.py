"""Yields of bonds against QuantLib, with first and second derivatives by the price."""

import numpy as np
import pytest

import gradsweep as gs

ql = pytest.importorskip("QuantLib")

YEARS = 10
COUPONS = np.array([0.05, 0.04, 0.06, 0.0])
PRICES = np.array([100.0, 96.0, 104.0, 62.0])  # the first is at par


def in_quantlib(coupon, price):
    """Return the yield, compounded twice a year, and its derivatives by the price.

    For P(y) with duration D = -P' / P and convexity C = P'' / P they are 1 / P' and -P'' / P'^3.
    """
    today = ql.Date(15, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    schedule = ql.Schedule(
        today,
        today + ql.Period(YEARS, ql.Years),
        ql.Period(ql.Semiannual),
        ql.NullCalendar(),
        ql.Unadjusted,
        ql.Unadjusted,
        ql.DateGeneration.Backward,
        False,
    )
    days = ql.Thirty360(ql.Thirty360.BondBasis)
    bond = ql.FixedRateBond(0, 100.0, schedule, [coupon], days)
    functions, clean = ql.BondFunctions, ql.BondPrice(price, ql.BondPrice.Clean)
    found = functions.bondYield(bond, clean, days, ql.Compounded, ql.Semiannual, today, 1e-15, 1000)
    rate = ql.InterestRate(found, days, ql.Compounded, ql.Semiannual)
    first = -price * functions.duration(bond, rate, ql.Duration.Modified, today)
    second = price * functions.convexity(bond, rate, today)
    return found, 1 / first, -second / first**3


def torch_yield():
    import torch

    return torch.arange(1, 2 * YEARS + 1, dtype=torch.float64)


def jax_yield():
    import jax

    with jax.enable_x64(True):
        return jax.numpy.arange(1.0, 2 * YEARS + 1)


@pytest.mark.parametrize(
    "half_years",
    [
        pytest.param(torch_yield, marks=pytest.mark.torch, id="torch"),
        pytest.param(jax_yield, marks=pytest.mark.jax, id="jax"),
    ],
)
def test_yields_and_their_derivatives_are_quantlibs(half_years):
    pytest.importorskip(half_years.__name__.partition("_")[0])
    k = half_years()

    def bond_yield(price, coupon):
        def residual(y):
            discount = (1 + y / 2) ** -k
            return 50 * coupon * discount.sum() + 100 * discount[-1] - price

        return gs.find_root(residual, 0.05)

    bonds = gs.Sweep(price=("bond", PRICES), coupon=("bond", COUPONS))
    found = gs.partials(bond_yield, bonds, "price", "price price", with_value=True)
    expected = np.array([in_quantlib(*bond) for bond in zip(COUPONS, PRICES)]).T
    for array, exact in zip(found.values(), expected):
        np.testing.assert_allclose(array, exact, rtol=1e-9)
    assert found.d2bond_yield_dprice_dprice[0] == pytest.approx(1.5548e-5, rel=1e-4)
