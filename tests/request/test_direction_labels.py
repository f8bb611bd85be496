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
