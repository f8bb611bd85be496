"""Uncertainty to second order: exact for quadratic functions of jointly normal arguments."""

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import ArgumentError

ENGINES = [
    pytest.param(framework, engine, marks=getattr(pytest.mark, framework))
    for framework in ("torch", "jax")
    for engine in ("fused", "reference", "loop", {"torch": "torch", "jax": "xla"}[framework])
]

X = np.array([0.0, 1.0, -3.0])


def square(x):
    return x**2


def product(x, y):
    return x * y


@pytest.mark.parametrize("framework, engine", ENGINES)
def test_a_square_of_a_normal_number_has_its_exact_mean_and_variance(framework, engine):
    s = np.array([0.5, 2.0])
    ds = gs.uncertainty(
        square, gs.Sweep(x=X), {"x": ("case", s)}, order=2, framework=framework, engine=engine
    )
    x, linear = X[:, None], 4 * X[:, None] ** 2 * s**2
    variance = linear + 2 * s**4
    np.testing.assert_allclose(ds.square_expectation, x**2 + s**2, rtol=1e-14)
    np.testing.assert_allclose(ds.square_std, np.sqrt(variance), rtol=1e-14)
    np.testing.assert_allclose(ds.variance_share_x, linear / variance, rtol=1e-13)
    np.testing.assert_allclose(ds.variance_share_second_order, 2 * s**4 / variance, rtol=1e-13)


@pytest.mark.parametrize("r", [0.0, 0.4, -1.0])
def test_a_product_of_normal_numbers_has_its_exact_mean_and_variance(r):
    """Goodman (1960), with the covariance c: mean x y + c, and c^2 beside the product of both."""
    s, t, y = 0.5, 0.3, 2.0
    more = {"correlation": {("x", "y"): r}} if r else {}
    ds = gs.uncertainty(product, gs.Sweep(x=X, y=y), {"x": s, "y": t}, order=2, **more)
    c = r * s * t
    variance = y**2 * s**2 + X**2 * t**2 + 2 * X * y * c + s**2 * t**2 + c**2
    np.testing.assert_allclose(ds.product_expectation, X * y + c, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(ds.product_std, np.sqrt(variance), rtol=1e-13)
    shares = ds.variance_share_x + ds.variance_share_y + ds.variance_share_second_order
    np.testing.assert_allclose(shares, 1, rtol=1e-13)


# A quadratic function of four numbers in two arguments, an array and a number.
RNG = np.random.default_rng(3)
A = RNG.normal(size=(4, 4))
B = RNG.normal(size=4)
STD = np.array([0.3, 0.1, 0.6, 0.2])
ROOT = RNG.normal(size=(4, 2))
R = ROOT @ ROOT.T + np.diag([0.5, 0.2, 0.4, 0.1])
R = R / np.sqrt(np.outer(np.diag(R), np.diag(R)))
R[np.arange(4), np.arange(4)] = 1.0
R = (R + R.T) / 2
CENTRE = np.array([0.7, -1.2, 0.4, 2.0])


def quadratic(q, k):
    z = np.stack([q[0], q[1], q[2], k])
    return B @ z + z @ A @ z / 2


def propagated(correlation, **more):
    sweep = gs.Sweep(q=("pose", np.stack([CENTRE[:3], 0 * CENTRE[:3]])), k=CENTRE[3])
    std = {"q": STD[:3], "k": STD[3]}
    return gs.uncertainty(quadratic, sweep, std, correlation=correlation, order=2, **more)


PAIRS = {("q", "q"): R[:3, :3], ("k", "q"): R[3, :3]}


@pytest.mark.parametrize("correlation", [PAIRS, {("q", "q"): R[:3, :3]}, None])
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_arrays_and_correlations_are_those_of_the_quadratic_form(correlation, mode):
    ds = propagated(correlation, mode=mode)
    r = R.copy()
    if correlation is not PAIRS:
        r[3, :3] = r[:3, 3] = 0
    if correlation is None:
        r = np.eye(4)
    C, H = np.outer(STD, STD) * r, (A + A.T) / 2
    for n, z in enumerate([CENTRE, np.append(np.zeros(3), CENTRE[3])]):
        g = B + H @ z
        variance = g @ C @ g + np.trace(H @ C @ H @ C) / 2
        mean = B @ z + z @ A @ z / 2 + np.trace(H @ C) / 2
        assert ds.quadratic_expectation[n].item() == pytest.approx(mean, rel=1e-12)
        assert ds.quadratic_std[n].item() == pytest.approx(np.sqrt(variance), rel=1e-12)
        assert ds.variance_share_k[n].item() == pytest.approx(
            g[3] * (C @ g)[3] / variance, rel=1e-10
        )


def test_samples_have_this_mean_and_std_and_not_those_of_first_order():
    n = 1_000_000
    drawn = np.random.default_rng(0).multivariate_normal(CENTRE, np.outer(STD, STD) * R, n)
    values = drawn @ B + np.einsum("ni,ij,nj->n", drawn, A, drawn) / 2
    ds = propagated(PAIRS).isel(pose=0)
    error = values.std() / np.sqrt(n)
    assert abs(ds.quadratic_expectation.item() - values.mean()) < 5 * error
    assert abs(ds.quadratic.item() - values.mean()) > 5 * error, "control: y is not the mean"
    # The relative error of a std is sqrt((kurtosis - 1) / 4 n), with a kurtosis below 15.
    assert ds.quadratic_std.item() == pytest.approx(values.std(), rel=5 * np.sqrt(14 / 4 / n))


@pytest.mark.torch
def test_second_derivatives_of_rules_of_the_users_own_are_symmetrised():
    import torch

    class Times(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return x * y

        @staticmethod
        def backward(ctx, w):
            x, y = ctx.saved_tensors
            return w * y, w * x

    def times(x, y):
        return Times.apply(x, y) ** 2

    ds = gs.uncertainty(
        times, gs.Sweep(x=X, y=2.0), {"x": 0.5, "y": 0.3}, correlation={("x", "y"): 0.4}, order=2
    )
    C = np.array([[0.25, 0.06], [0.06, 0.09]])
    for n, x in enumerate(X):
        g, H = np.array([8 * x, 4 * x**2]), np.array([[8, 8 * x], [8 * x, 2 * x**2]])
        variance = g @ C @ g + np.trace(H @ C @ H @ C) / 2
        assert ds.times_std[n].item() == pytest.approx(np.sqrt(variance), rel=1e-12)
        mean = 4 * x**2 + np.trace(H @ C) / 2
        assert ds.times_expectation[n].item() == pytest.approx(mean, rel=1e-12)


def test_several_outputs_have_names_of_their_own_and_units():
    def both(x):
        return {"a": x**2, "b": 3 * x}

    ds = gs.uncertainty(both, gs.Sweep(x=X), {"x": 0.5}, order=2)
    assert [*ds.data_vars] == [
        "a", "b", "a_expectation", "a_std", "variance_share_a_x", "variance_share_a_second_order",
        "b_expectation", "b_std", "variance_share_b_x", "variance_share_b_second_order",
    ]  # fmt: skip
    np.testing.assert_array_equal(ds.variance_share_b_second_order, 0)

    def length(x):
        return x**2

    length.units = "m"
    found = gs.uncertainty(length, gs.Sweep(x=X), {"x": 0.5}, order=2).length_expectation
    assert found.attrs["units"] == "m"
    assert found.attrs["long_name"] == "expectation of length, to second order"


def test_the_mean_over_the_sweep_and_the_expectation_have_names_of_their_own():
    ds = gs.uncertainty(square, gs.Sweep(x=X), {"x": 0.5}, order=2, reduce="mean")
    assert ds.square_mean.item() == pytest.approx((X**2).mean(), rel=1e-14)
    assert ds.square_expectation_mean.item() == pytest.approx((X**2).mean() + 0.25, rel=1e-14)


@pytest.mark.parametrize("order", [0, 3, True, "2"])
def test_there_is_no_other_order(order):
    with pytest.raises(ArgumentError, match="uncertainty is of order 1 or 2"):
        gs.uncertainty(square, gs.Sweep(x=X), {"x": 0.5}, order=order)


def test_kernels_and_stores_have_the_second_order(tmp_path):
    pytest.importorskip("zarr")
    asked = (product, gs.Sweep(x=X, y=2.0), {"x": 0.5, "y": 0.3})
    kernel = gs.compile(gs.uncertainty, *asked, order=2)
    assert kernel(x=np.array([5.0]))["product_std"] == pytest.approx(np.sqrt(1 + 2.25 + 0.0225))
    path = tmp_path / "found.zarr"
    gs.uncertainty(*asked, order=2, store=path)
    with pytest.raises(gs.errors.StoreError):  # of another order, it is another run
        gs.uncertainty(*asked, store=path, resume=True)
