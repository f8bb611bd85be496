"""Units of directions: a std in mm of an argument in m is no number of metres."""

import numpy as np
import pytest
import xarray

import gradsweep as gs
from gradsweep.errors import SweepError

NAMES = ["x", "y"]


def product(x, y):
    return x * y


def of(units, values=0.5):
    dims = [f"d{i}" for i in range(np.ndim(values))]
    return xarray.DataArray(values, dims=dims, attrs={"units": units} if units else {})


def swept(units):
    array = xarray.DataArray([1.0, 2.0, 4.0], dims="x", attrs={"units": units} if units else {})
    return gs.Sweep(x=array, y=2.0)


def matrix(units):
    values = np.diag([0.01, 0.0])
    return xarray.DataArray(
        values, dims=("a", "b"), coords={"a": NAMES, "b": NAMES}, attrs={"units": units}
    )


@pytest.mark.parametrize("quantity", [gs.uncertainty, gs.jvp, gs.contributions])
@pytest.mark.parametrize("form", [of, lambda units: ("x", of(units, np.full(3, 0.5)))])
def test_other_units_than_the_arguments_are_an_error_that_names_both(quantity, form):
    with pytest.raises(SweepError, match="has the units 'mm', and x has 'm'; units are not"):
        quantity(product, swept("m"), {"x": form("mm")})
    for own, given in [("m", "m"), ("m", ""), ("", "mm")]:  # the controls
        quantity(product, swept(own), {"x": form(given)})


@pytest.mark.parametrize(
    "own, given",
    [
        ("m/s", "m s-1"),
        ("m²", "m^2"),
        ("kg m**2/s**2", "kg·m²·s⁻²"),
        ("days since 2000-01-01", "days"),
        ("1/(m s)", "1/(m s)"),
        ("%", "%"),
    ],
)
def test_two_spellings_of_one_product_are_the_same(own, given):
    ds = gs.uncertainty(product, swept(own), {"x": of(given)})
    np.testing.assert_allclose(ds.product_std, 1.0, rtol=1e-15)


@pytest.mark.parametrize(
    "own, given",
    [("m/s", "m s"), ("m²", "m"), ("1/(m s)", "1/(m h)"), ("K", "mK"), ("degC", "°C")],
)
def test_other_powers_and_other_names_are_not(own, given):
    with pytest.raises(SweepError, match="units are not converted"):
        gs.uncertainty(product, swept(own), {"x": of(given)})


def test_an_entry_of_a_container_without_units_takes_any():
    ds = gs.uncertainty(lambda p: p["a"] ** 2, gs.Sweep(p={"a": 3.0}), {"p.a": of("mm")})
    assert list(ds.data_vars.values())[1].item() == pytest.approx(3.0)


@pytest.mark.parametrize("own, given", [("m", "m²"), ("m/s", "(m/s)²"), ("m/s", "m2 s-2")])
def test_a_covariance_is_in_squares_of_the_arguments_units(own, given):
    ds = gs.uncertainty(product, swept(own), covariance=matrix(given))
    np.testing.assert_allclose(ds.product_std, 0.2, rtol=1e-14)


@pytest.mark.parametrize("own, given", [("m", "mm²"), ("m", "m"), ("m/s", "(km/h)²")])
def test_a_covariance_in_other_units_is_an_error_that_names_both(own, given):
    with pytest.raises(SweepError, match=r"the covariance has the units '.*', and x has 'm"):
        gs.uncertainty(product, swept(own), covariance=matrix(given))


def test_the_tangent_of_hvp_may_be_a_gradient_with_units_of_its_own():
    gradient = of("USD/m", np.array([3.0, 12.0, 48.0])).rename(d0="x")
    found = gs.hvp(lambda x, y: y * x**3, swept("m"), {"x": gradient}, wrt="x")
    np.testing.assert_allclose(found.hvp_x, 12 * np.array([3.0, 24.0, 192.0]), rtol=1e-14)
