"""Values that are not in memory: NumPy's own bits, slice by slice."""

import numpy as np
import pytest
import xarray as xr

import gradsweep as gs
from gradsweep.request.lazy import Range, load


@pytest.mark.parametrize(
    "ours, numpys, ends",
    [
        (gs.linspace, np.linspace, (50.0, 150.0)),
        (gs.linspace, np.linspace, (0.1, -0.7)),
        (gs.linspace, np.linspace, (3.0, 3.0)),
        (gs.geomspace, np.geomspace, (1e-3, 1e5)),
        (gs.geomspace, np.geomspace, (-2.0, -7.0)),
    ],
)
@pytest.mark.parametrize("num", [0, 1, 2, 1001])
def test_a_range_has_the_bits_of_numpys_own(ours, numpys, ends, num):
    lazy, expected = ours(*ends, num), numpys(*ends, num)
    np.testing.assert_array_equal(load(lazy), expected)
    for first, stop in [(0, num), (0, num // 2), (num // 3, num), (num // 3, num // 2)]:
        part = lazy[first:stop]
        assert isinstance(part, Range) and part.shape == expected[first:stop].shape
        np.testing.assert_array_equal(load(part), expected[first:stop])
        np.testing.assert_array_equal(load(part[1:-1]), expected[first:stop][1:-1])
    if num:
        assert lazy[num - 1] == expected[-1] and lazy[-1] == expected[-1]


def test_a_range_takes_no_memory():
    lazy = gs.linspace(0.0, 1.0, 10**15)
    assert len(lazy) == 10**15
    np.testing.assert_allclose(load(lazy[10**14 : 10**14 + 2]), [0.1, 0.1 + 1e-15], rtol=1e-14)


def test_a_range_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="not zero"):
        gs.geomspace(0.0, 1.0, 5)
    with pytest.raises(ValueError, match="not negative"):
        gs.linspace(0.0, 1.0, -5)
    with pytest.raises(IndexError, match="step 1"):
        gs.linspace(0.0, 1.0, 5)[::2]


def f(x, y):
    return x**3 * y


def test_a_swept_range_gives_what_the_same_array_gives():
    lazy = gs.gradient(f, gs.Sweep(x=gs.linspace(1.0, 2.0, 11), y=("k", gs.geomspace(1.0, 4.0, 3))))
    eager = gs.gradient(f, gs.Sweep(x=np.linspace(1, 2, 11), y=("k", np.geomspace(1, 4, 3))))
    xr.testing.assert_identical(lazy, eager)


def test_a_sweep_shows_a_range_as_it_was_written():
    assert "linspace(1.0, 2.0, 1000000)" in repr(gs.Sweep(x=gs.linspace(1.0, 2.0, 10**6)))


def test_a_dask_array_is_swept_as_its_values():
    dask_array = pytest.importorskip("dask.array")
    values = np.linspace(1.0, 2.0, 12).reshape(4, 3)
    lazy = dask_array.from_array(values, chunks=(2, 3))
    label = xr.DataArray(lazy, dims=("a", "b"), coords={"a": [1.0, 2.0, 3.0, 5.0]})
    expected = 3 * values**2 * 2.0
    for written in (("a", "b"), lazy), label:
        found = gs.gradient(f, gs.Sweep(x=written, y=2.0)).df_dx
        np.testing.assert_allclose(found, expected, rtol=1e-15)
    points = gs.gradient(lambda q: q[0] * q[1] * q[2], gs.Sweep(q=("pose", lazy)))
    np.testing.assert_allclose(points.df_dq[:, 0], values[:, 1] * values[:, 2], rtol=1e-15)


def test_an_array_of_zarr_is_no_container_where_its_dim_is_named():
    zarr = pytest.importorskip("zarr")
    values = np.linspace(1, 2, 5)

    def square(q):
        return q**2

    found = gs.gradient(square, gs.Sweep(q=("time", zarr.array(values))))
    np.testing.assert_allclose(found.dsquare_dq, 2 * values)


def test_a_range_is_the_same_whether_its_ends_are_integers_or_floats():
    assert gs.linspace(50, 150, 7).written == gs.linspace(50.0, 150.0, 7).written
