"""Every row of the Sweep's table, and the error when a value fits none."""

import inspect
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import gradsweep as gs
from gradsweep.errors import ArgumentError, SweepError


class Point(NamedTuple):
    a: object
    b: object


def leaf(sweep, name):
    (found,) = sweep.arguments[name].leaves
    return found


def test_a_number_is_held_fixed():
    fixed = leaf(gs.Sweep(K=100.0), "K")
    assert (fixed.dims, fixed.shape, fixed.values) == ((), (), 100.0)


def test_a_bare_array_is_swept_along_its_own_name():
    assert gs.Sweep(S=[1.0, 2.0, 3.0]).axes == {"S": 3}


def test_the_same_dim_zips_and_different_dims_multiply():
    sweep = gs.Sweep(S=("quote", [1.0, 2.0]), K=("quote", [3.0, 4.0]), sigma=np.ones(3))
    assert sweep.axes == {"quote": 2, "sigma": 3}
    assert sweep.n_points == 6


def test_dims_name_the_leading_axes_and_the_rest_is_the_argument():
    q = leaf(gs.Sweep(q=("pose", np.ones((4, 6)))), "q")
    assert (q.dims, q.shape) == (("pose",), (6,))
    m = leaf(gs.Sweep(m=(("a", "b"), np.ones((2, 3, 5)))), "m")
    assert (m.dims, m.shape) == (("a", "b"), (5,))


def test_a_container_is_taken_apart_by_path():
    sweep = gs.Sweep(params=((), {"w": np.ones((2, 3)), "layers": [1.0, {"b": 2.0}], "n": 3}))
    assert [leaf.key for leaf in sweep.leaves] == [
        "params.w",
        "params.layers.0",
        "params.layers.1.b",
    ]


def test_components_each_have_their_own_dims():
    x = leaf(gs.Sweep(x=gs.components(("u", [1.0, 2.0]), 5.0)), "x")
    assert x.shape == (2,)
    assert [x.element(i)[0] for i in range(2)] == [("u",), ()]
    np.testing.assert_array_equal(x.whole(), [[1.0, 5.0], [2.0, 5.0]])


@pytest.mark.parametrize("value", ["call", True, None, print, 3])
def test_static_values_have_no_leaf(value):
    assert gs.Sweep(kind=value).arguments["kind"].is_static


def test_a_data_array_brings_dims_coordinates_and_attributes():
    spots = xr.DataArray(
        [1.0, 2.0], dims="quote", coords={"quote": ["x", "y"]}, attrs={"units": "USD"}
    )
    argument = gs.Sweep(S=spots).arguments["S"]
    assert argument.leaves[0].dims == ("quote",)
    assert list(argument.coordinates["quote"].values) == ["x", "y"]
    assert argument.attrs["units"] == "USD"


@pytest.mark.parametrize(
    "value",
    [
        [1, 2],
        range(1, 3),
        np.array([1, 2], dtype="uint8"),
        pd.Series([1, 2], index=["a", "b"]),
        np.array([1.0, 2.0], dtype=np.longdouble),
    ],
    ids=["list", "range", "uint8", "Series", "longdouble"],
)
def test_swept_values_become_floats(value):
    swept = leaf(gs.Sweep(n=value), "n")
    assert swept.dtype == "float64"
    np.testing.assert_array_equal(swept.values, [1.0, 2.0])


@pytest.mark.parametrize("dtype, becomes", [("float16", "float32"), ("float32", "float32")])
def test_narrow_floats_stay_single(dtype, becomes):
    assert leaf(gs.Sweep(x=np.ones(2, dtype)), "x").dtype == becomes


def test_numbers_of_other_types_are_numbers():
    sweep = gs.Sweep(a=Decimal("1.5"), b=np.float32(2.0))
    assert [leaf.values for leaf in sweep.leaves] == [1.5, 2.0]


@pytest.mark.torch
def test_torch_tensors_are_read_and_remembered():
    import torch

    sweep = gs.Sweep(x=torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True))
    assert sweep.arguments["x"].origin == "torch"
    np.testing.assert_array_equal(leaf(sweep, "x").values, [1.0, 2.0])
    assert leaf(gs.Sweep(x=torch.ones(2, dtype=torch.bfloat16)), "x").dtype == "float32"


@pytest.mark.jax
def test_jax_arrays_are_read_and_remembered():
    import jax.numpy as jnp

    sweep = gs.Sweep(x=jnp.array([1.0, 2.0]))
    assert sweep.arguments["x"].origin == "jax"
    assert leaf(sweep, "x").dtype == "float32"


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: gs.Sweep(q=np.ones((2, 3))), ["'q'", "(2, 3)", 'q=("point", array)']),
        (lambda: gs.Sweep(S=("t", [1.0, 2.0]), K=("t", [1.0])), ["'S'", "'K'", "2", "1", "'t'"]),
        (lambda: gs.Sweep(x=(1.0, 2.0)), ["'x'", "(dims, values)"]),
        (lambda: gs.Sweep(x=["a", 1.0]), ["'x'", "not of numbers"]),
        (lambda: gs.Sweep(x=np.array(["2020"], dtype="datetime64")), ["'x'", "datetime64"]),
        (lambda: gs.Sweep(x=(("a", "b"), [1.0])), ["'x'", "'a', 'b'", "(1,)"]),
        (lambda: gs.Sweep(x=(("a", "a"), np.ones((2, 2)))), ["'x'", "twice"]),
        (lambda: gs.Sweep(x=gs.components([1.0, 2.0])), ["x[0]", "dim"]),
        (lambda: gs.Sweep(x=("a", "call")), ["'x'", "swept"]),
    ],
)
def test_a_value_of_no_known_form_is_refused_by_name(make, words):
    with pytest.raises(SweepError) as caught:
        make()
    for word in words:
        assert word in str(caught.value)


def test_different_coordinates_of_one_dim_are_refused():
    a = xr.DataArray([1.0, 2.0], dims="t", coords={"t": [0, 1]})
    b = xr.DataArray([1.0, 2.0], dims="t", coords={"t": [0, 2]})
    with pytest.raises(SweepError, match="'a' and 'b' have different coordinates along 't'"):
        gs.Sweep(a=a, b=b)


def test_arguments_may_be_called_like_anything():
    names = ["self", "wrt", "engine", "out", "n", "rng", "arguments", "axes"]
    assert list(gs.Sweep(**dict.fromkeys(names, 1.0)).arguments) == names


def test_the_repr_tells_the_axes_and_the_values():
    text = repr(gs.Sweep(S=np.linspace(50, 150, 3), sigma=[0.1, 0.2], K=100.0, kind="call"))
    assert "S: 3 x sigma: 2" in text and "6 points" in text
    assert "3 values from 50 to 150" in text and "'call'" in text and "100" in text


@pytest.mark.parametrize("method", ["sobol", "halton", "latin", "uniform"])
def test_a_sample_is_zipped_along_point_within_its_bounds(method):
    sweep = gs.Sweep.sample(13, S=(50, 150), sigma=(0.1, 0.5), K=100.0, rng=1, method=method)
    assert sweep.axes == {"point": 13}
    assert np.all((leaf(sweep, "S").values >= 50) & (leaf(sweep, "S").values <= 150))
    again = gs.Sweep.sample(13, S=(50, 150), sigma=(0.1, 0.5), K=100.0, rng=1, method=method)
    np.testing.assert_array_equal(leaf(sweep, "S").values, leaf(again, "S").values)
    other = gs.Sweep.sample(13, S=(50, 150), sigma=(0.1, 0.5), K=100.0, rng=2, method=method)
    assert not np.array_equal(leaf(sweep, "S").values, leaf(other, "S").values)


def test_a_sobol_sample_fills_each_half_alike():
    values = leaf(gs.Sweep.sample(64, x=(0.0, 1.0), y=(0.0, 1.0), rng=3), "x").values
    assert np.count_nonzero(values < 0.5) == 32


def test_a_sample_takes_names_of_its_own_options():
    sweep = gs.Sweep.sample(4, {"rng": (0.0, 1.0)}, n=(0.0, 1.0), rng=0)
    assert set(sweep.arguments) == {"rng", "n"}


def test_replace_keeps_the_other_arguments():
    sweep = gs.Sweep(S=[1.0, 2.0], K=100.0).replace(K=[90.0, 110.0, 120.0])
    assert sweep.axes == {"S": 2, "K": 3}


def test_a_named_tuple_is_a_pytree_and_a_dict_too():
    point = Point(a=1.5, b=np.array([2.0, 3.0]))
    for value in (point, point._asdict()):
        sweep = gs.Sweep(p=value)
        assert [(leaf.key, leaf.dims, leaf.shape) for leaf in sweep.leaves] == [
            ("p.a", (), ()),
            ("p.b", (), (2,)),
        ]
    swept = gs.Sweep(p=("trial", Point(np.ones(4), np.ones((4, 2)))))
    assert swept.axes == {"trial": 4}
    with pytest.raises(SweepError, match=r"'p.a.0' has shape \(\).*\n.*give arrays"):
        gs.Sweep(p=("trial", Point([1.0, 2.0], [3.0, 4.0])))


def test_defaults_that_change_are_seen():
    def f(x, a=2.0):
        return a * x

    sweep = gs.Sweep(x=[1.0, 3.0])
    assert gs.value(f, sweep).f.values.tolist() == [2.0, 6.0]
    f.__defaults__ = (4.0,)
    assert gs.value(f, sweep).f.values.tolist() == [4.0, 12.0]
    f.__defaults__ = (4,)  # equal, and held fixed as an integer
    assert "df_da" not in gs.gradient(f, sweep)
    f.__defaults__ = None
    with pytest.raises(ArgumentError, match="needs 'a'"):
        gs.value(f, sweep)
    f.__signature__ = inspect.Signature(
        [inspect.Parameter("x", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    )
    f.__defaults__ = (5.0,)
    assert gs.value(f, sweep).f.values.tolist() == [5.0, 15.0]
