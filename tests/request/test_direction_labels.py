"""Labels of directions: a tangent, a std or a cotangent in another order is no silent zip."""

import numpy as np
import pandas as pd
import pytest
import xarray

import gradsweep as gs
from gradsweep.errors import SweepError

LABELS = ["u", "v", "w"]
VALUES = np.array([1.0, 2.0, 4.0])


def product(x, y):
    return x * y


def array(labels=LABELS, values=VALUES):
    return xarray.DataArray(values, dims="p", coords={"p": labels})


def series(labels=LABELS, values=VALUES):
    return pd.Series(values, index=labels)


SWEEP = gs.Sweep(x=array(), y=2.0)

# By quantity: the direction that a value along p makes.
DIRECTIONS = {
    "jvp": lambda value: {"x": value},
    "contributions": lambda value: {"x": value},
    "hvp": lambda value: {"x": value},
    "vjp": lambda value: value,
    "uncertainty": lambda value: {"x": value},
}


@pytest.mark.parametrize("quantity", DIRECTIONS)
@pytest.mark.parametrize("make", [array, lambda *labels: ("p", series(*labels))])
def test_a_direction_has_the_labels_of_the_sweep(quantity, make):
    name = {"vjp": "cotangent of product", "uncertainty": "std of x"}.get(quantity, "tangent of x")
    turned = DIRECTIONS[quantity](make(LABELS[::-1]))
    with pytest.raises(SweepError, match=f"'x' and '{name}' have different coordinates along 'p'"):
        gs.plan(quantity, product, SWEEP, turned)
    gs.plan(quantity, product, SWEEP, DIRECTIONS[quantity](make()))


def test_so_has_a_bare_series_for_a_swept_number():
    assert gs.uncertainty(product, SWEEP, {"x": series()}).product_std.values.tolist() == [2, 4, 8]
    with pytest.raises(SweepError, match="'x' and 'std of x' have different coordinates"):
        gs.uncertainty(product, SWEEP, {"x": series(LABELS[::-1])})


def test_correlations_have_the_labels_of_arguments_and_of_stds():
    r = array(LABELS[::-1], [0.1, 0.2, 0.3])
    with pytest.raises(SweepError, match="'x' and 'correlation of x and y' have different"):
        gs.uncertainty(product, SWEEP, {"x": 0.1, "y": 0.1}, correlation={("x", "y"): r})
    with pytest.raises(SweepError, match="'std of y' and 'correlation of x and y' have different"):
        gs.uncertainty(
            product,
            gs.Sweep(x=1.0, y=2.0),
            {"x": 0.1, "y": array()},
            correlation={("x", "y"): r},
        )


# -- the values of an argument label the dim that is called like it


def test_an_argument_that_is_its_own_axis_is_compared_with_labels_along_it():
    y = xarray.DataArray(VALUES, dims="x", coords={"x": [3.0, 2.0, 1.0]})
    with pytest.raises(SweepError, match="'x' and 'y' have different coordinates along 'x'"):
        gs.Sweep(x=[1.0, 2.0, 3.0], y=y)
    found = gs.value(product, gs.Sweep(x=[3.0, 2.0, 1.0], y=y))
    assert found.product.sel(x=2.0).item() == 4.0
    single = np.array([0.1, 0.2, 0.3], np.float32)
    near = xarray.DataArray(VALUES, dims="x", coords={"x": [0.1, 0.2, 0.3]})
    gs.Sweep(x=single, y=near)  # the same numbers, as far as float32 has them


def test_the_index_of_a_table_does_not_take_the_place_of_the_values_along_an_axis():
    table = pd.DataFrame({"x": [100.0, 101.0], "y": [0.1, 0.2]}, index=[3, 7])
    found = gs.value(product, gs.Sweep(x=table.x, y=("x", table.y)))
    assert found.x.values.tolist() == [100, 101]
    assert found.x_index.values.tolist() == [3, 7]
    assert found.product.sel(x=101.0).item() == pytest.approx(20.2)
    with pytest.raises(SweepError, match="'x' and 'y' have different coordinates along 'x'"):
        gs.Sweep(x=table.x, y=("x", table.y.rename(index={7: 8})))
