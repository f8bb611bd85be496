"""Continues a stored run, and has the values that it must have."""

from pathlib import Path

import numpy as np
import pytest
import xarray

from tests.support.storing import (
    COORDINATES,
    EXPIRY,
    FULL,
    SIGMA,
    S,
    complete,
    contents,
)

zarr = pytest.importorskip("zarr")


def check_values(dataset: xarray.Dataset) -> None:
    delta, vega, rho, is_exercised, cross = FULL
    for name, expected in {
        "delta": delta,
        "vega": vega,
        "rho": rho,
        "is_exercised": is_exercised,
        "cross": cross.transpose(0, 2, 1),
    }.items():
        np.testing.assert_array_equal(dataset[name], expected, strict=True)
    assert dataset.cross.dims == ("S", "b", "a") and dataset.rho.dims == ()
    np.testing.assert_array_equal(dataset.S, S, strict=True)
    np.testing.assert_array_equal(dataset.sigma, SIGMA, strict=True)
    np.testing.assert_array_equal(dataset.expiry.values.astype("datetime64[D]"), EXPIRY)
    assert dataset.q_0.values.tolist() == ["x", "y", "zz", "é"]
    assert set(dataset.coords) == set(COORDINATES) and dataset.K.item() == 100.0
    assert dataset.delta.attrs == {"units": "1", "long_name": "Δ"}
    assert dataset.S.attrs == {"units": "USD"} and dataset.K.attrs == {"units": "USD"}
    assert dataset.attrs == {"quantity": "gradient", "function": "price", "seed": 7}


def resume(path: Path) -> dict[str, bytes]:
    """Continue a run whose process is gone, and return the bytes that it leaves."""
    np.testing.assert_array_equal(complete(path, resume=True).delta, FULL[0])
    return contents(path)
