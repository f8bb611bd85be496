"""A covariance matrix of arguments, and that of outputs: names, elements, swept dims, errors."""

import numpy as np
import pandas
import pytest
import xarray

import gradsweep as gs
from gradsweep.errors import ArgumentError, OutputError, SweepError

X = np.array([1.0, 2.0, -3.0])
C = np.array([[0.04, -0.01], [-0.01, 0.09]])


def product(x, y):
    return x * y


SWEEP = gs.Sweep(x=X, y=5.0)


def named(values, rows=("x", "y"), dims=("a", "b"), columns=None):
    coords = {"a": [*rows], "b": [*(rows if columns is None else columns)]}
    return xarray.DataArray(values, dims=dims, coords=coords)


def test_a_matrix_is_the_stds_and_the_correlation_that_it_holds():
    ds = gs.uncertainty(product, SWEEP, covariance=named(C))
    g = np.stack([np.full(3, 5.0), X])
    variance = np.einsum("ip,ij,jp->p", g, C, g)
    np.testing.assert_allclose(ds.product_std, np.sqrt(variance), rtol=1e-13)
    np.testing.assert_allclose(ds.variance_share_y, g[1] * (C @ g)[1] / variance, rtol=1e-12)
    frame = gs.uncertainty(product, SWEEP, covariance=pandas.DataFrame(C, ["x", "y"], ["x", "y"]))
    np.testing.assert_array_equal(frame.product_std, ds.product_std)
    turned = gs.uncertainty(product, SWEEP, covariance=named(C[::-1, ::-1], ("y", "x")))
    np.testing.assert_allclose(turned.product_std, ds.product_std, rtol=1e-14)


def test_its_other_dims_are_swept():
    scales = np.array([1.0, 4.0, 0.0])
    matrix = named(C[:, None, :] * scales[:, None], dims=("a", "day", "b"))
    ds = gs.uncertainty(product, SWEEP, covariance=matrix)
    one = gs.uncertainty(product, SWEEP, covariance=named(C)).product_std
    assert ds.product_std.dims == ("x", "day")
    np.testing.assert_allclose(ds.product_std, one.values[:, None] * np.sqrt(scales), rtol=1e-13)


def test_words_may_label_a_swept_dim():
    matrix = named(np.stack([C, 4 * C]), dims=("day", "a", "b")).assign_coords(day=["mon", "tue"])
    ds = gs.uncertainty(product, SWEEP, covariance=matrix)
    np.testing.assert_allclose(ds.product_std[:, 1], 2 * ds.product_std[:, 0], rtol=1e-14)


def test_elements_of_an_array_are_named_and_those_left_out_are_exact():
    root = np.random.default_rng(0).normal(size=(3, 3))
    matrix = root @ root.T

    def weighted(q, k):
        return 2 * q[0] + 3 * q[1] - q[2] + 5 * k

    sweep = gs.Sweep(q=("pose", np.ones((4, 3))), k=1.0)
    ds = gs.uncertainty(weighted, sweep, covariance=named(matrix, ("q[2]", "k", "q[0]")))
    g = np.array([-1.0, 5.0, 2.0])
    variance = g @ matrix @ g
    assert ds.weighted_std.item() == pytest.approx(np.sqrt(variance), rel=1e-13)
    share = g[1] * (matrix @ g)[1] / variance
    assert ds.variance_share_k.item() == pytest.approx(share, rel=1e-11)
    assert ds.variance_share_q.item() == pytest.approx(1 - share, rel=1e-11)


def test_its_swept_dims_have_the_labels_of_the_arguments():
    x = xarray.DataArray([1.0, 2.0], dims="day", coords={"day": ["mon", "tue"]})
    matrix = named(np.stack([C, 4 * C]), dims=("day", "a", "b"))
    for days in (["mon", "tue"], ["tue", "mon"]):
        labelled = matrix.assign_coords(day=days)
        if days[0] == "mon":
            gs.uncertainty(product, gs.Sweep(x=x, y=5.0), covariance=labelled)
            continue
        with pytest.raises(SweepError, match="'x' and 'covariance' have different coordinates"):
            gs.uncertainty(product, gs.Sweep(x=x, y=5.0), covariance=labelled)


@pytest.mark.parametrize(
    "error, matrix, said",
    [
        (SweepError, named([[1, 2.0], [3, 4]]), "the covariance is not symmetric"),
        (SweepError, named([[-1, 0.0], [0, 1]]), "the variance of 'x' in the covariance is -1; "),
        (SweepError, named([[0, 0.1], [0.1, 1]]), "numbers beside a variance of 0"),
        (SweepError, named([[1, np.nan], [np.nan, 1]]), "numbers that are NaN"),
        (SweepError, named([[1, 2.0], [2, 1]]), "the correlation of 'x' and 'y' is 2; it lies"),
        (SweepError, named(C, ("x", "x")), "the covariance names 'x' twice"),
        (SweepError, named(C, columns=("y", "x")), "give both in one order"),
        (SweepError, xarray.DataArray(C, dims=("a", "b")), "it has 0 among 'a', 'b'"),
        (SweepError, C, "the covariance is a ndarray; give a DataArray or a DataFrame"),
        (ArgumentError, named(C, ("x", "z")), "'z', which is no number among the arguments"),
        (ArgumentError, named(C, ("x", "y[0]")), "y has shape (); name its elements, such as 'y'"),
    ],
)
def test_what_is_no_covariance_is_said(error, matrix, said):
    with pytest.raises(error) as found:
        gs.uncertainty(product, SWEEP, covariance=matrix)
    assert said in str(found.value)


def test_three_that_cannot_be_are_refused_by_their_correlations():
    matrix = np.array([[1, 0.9, 0.9], [0.9, 1, -0.9], [0.9, -0.9, 1]])
    sweep = gs.Sweep(a=1.0, b=1.0, c=1.0)
    with pytest.raises(SweepError, match="'a', 'b' and 'c' is not positive semidefinite"):
        gs.uncertainty(lambda a, b, c: a + b + c, sweep, covariance=named(matrix, "abc"))


def test_it_comes_in_place_of_std_and_correlation():
    with pytest.raises(ArgumentError, match="give a covariance, or std and correlation; not both"):
        gs.uncertainty(product, SWEEP, {"x": 1.0}, covariance=named(C))
    with pytest.raises(ArgumentError, match="uncertainty takes f, a sweep and a std"):
        gs.uncertainty(product, SWEEP)
    with pytest.raises(ArgumentError, match="gradient has no option 'covariance'"):
        gs.plan("gradient", product, SWEEP, covariance=named(C))


# -- of outputs


def impedance(V, I, phi):  # noqa: E741, the field's letter
    return {"R": V / I * np.cos(phi), "X": V / I * np.sin(phi), "Z": V / I}


def test_outputs_have_the_covariance_that_the_package_uncertainties_gives():
    ds = gs.uncertainty(
        impedance,
        gs.Sweep(V=4.9990, I=19.6610e-3, phi=1.04446),
        {"V": 0.0032, "I": 9.5e-6, "phi": 0.00075},
        correlation={("V", "I"): -0.36, ("V", "phi"): 0.86, ("I", "phi"): -0.65},
        output_covariance=True,
    )
    # uncertainties 3.2.3: correlated_values_norm, umath and covariance_matrix.
    theirs = {"R_X": -0.01224011592769764, "R_Z": -0.008123345865146823, "X_Z": 0.0694635373698546}
    for pair, covariance in theirs.items():
        assert ds[f"covariance_{pair}"].item() == pytest.approx(covariance, rel=1e-10)
    # JCGM 100:2008, table H.3: r(R, X), r(R, Z) and r(X, Z), of inputs that are less rounded.
    for (a, b), r in {"RX": -0.588, "RZ": -0.485, "XZ": 0.993}.items():
        own = ds[f"covariance_{a}_{b}"] / (ds[f"{a}_std"] * ds[f"{b}_std"])
        assert own.item() == pytest.approx(r, abs=0.006)


@pytest.mark.parametrize(
    "framework, engine, order",
    [
        pytest.param(framework, engine, order, marks=getattr(pytest.mark, framework))
        for framework, engine, order in [
            ("torch", "fused", 1),
            ("torch", "torch", 2),
            ("torch", "loop", 2),
            ("jax", "fused", 2),
            ("jax", "xla", 1),
            ("jax", "reference", 2),
        ]
    ],
)
def test_an_array_has_the_covariance_matrix_of_its_elements(framework, engine, order):
    def pair(x, y):
        return np.stack([x * y, x + 3 * y])

    how = {"framework": framework, "engine": engine, "order": order}
    ds = gs.uncertainty(pair, SWEEP, covariance=named(C), output_covariance=True, **how)
    matrix = ds.covariance_pair
    assert matrix.dims == ("x", "pair_0", "pair_0_2")
    J = np.stack([np.stack([np.full(3, 5.0), X]), np.broadcast_to([[1.0], [3.0]], (2, 3))])
    expected = np.einsum("aip,ij,bjp->pab", J, C, J)
    if order == 2:  # tr(H C H C) / 2, of the product alone
        expected[:, 0, 0] += C[0, 0] * C[1, 1] + C[0, 1] ** 2
    np.testing.assert_allclose(matrix, expected, rtol=1e-12)
    roots = np.sqrt(np.diagonal(matrix, axis1=1, axis2=2))
    np.testing.assert_allclose(roots, ds.pair_std, rtol=1e-13)


def test_an_array_and_a_number_have_the_dims_of_both():
    def both(x, y):
        return {"v": np.stack([x, y, x * y]), "s": x - y}

    ds = gs.uncertainty(both, SWEEP, {"x": 0.1, "y": 0.2}, output_covariance=True)
    assert ds.covariance_v_s.dims == ("x", "v_0")
    expected = np.stack([np.full(3, 0.01), np.full(3, -0.04), 5 * 0.01 - X * 0.04], axis=1)
    np.testing.assert_allclose(ds.covariance_v_s, expected, rtol=1e-13)
    assert "covariance_s" not in ds, "it is the square of s_std"


def test_a_covariance_has_squared_units_and_a_name_of_its_own():
    def length(x):
        return np.stack([x, 2 * x])

    length.units = "m"
    ds = gs.uncertainty(length, gs.Sweep(x=X), {"x": 0.1}, output_covariance=True)
    assert ds.covariance_length.attrs["units"] == "m²"
    assert ds.covariance_length.attrs["long_name"] == "covariance of length"

    def clash(x):
        return {"y": x, "z": 2 * x, "covariance_y_z": x}

    with pytest.raises(OutputError, match="would both be called 'covariance_y_z'"):
        gs.uncertainty(clash, gs.Sweep(x=X), {"x": 0.1}, output_covariance=True)
