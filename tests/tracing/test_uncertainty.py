"""Uncertainty: standard deviations and shares, against closed forms and published numbers."""

from math import sqrt

import numpy as np
import pytest
from scipy.special import ndtr

import gradsweep as gs
from gradsweep.errors import ArgumentError, OutputError

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("torch", "jax")]
ENGINES = [
    pytest.param(framework, engine, marks=getattr(pytest.mark, framework))
    for framework in ("torch", "jax")
    for engine in ("fused", "reference", "loop", {"torch": "torch", "jax": "xla"}[framework])
]


def product(x, y):
    return x * y


def ratio(x, y):
    return x / y


def total(x, y):
    return x + y


# -- closed forms

X, R = np.array([1.0, -2.0, 3.0]), np.array([0.5, -0.9])


@pytest.mark.parametrize("framework, engine", ENGINES)
def test_the_std_of_a_product_is_its_closed_form_on_every_engine(framework, engine):
    std = {"x": 0.1, "y": ("x", [0.2, 0.4, 0.0])}
    ds = gs.uncertainty(
        product,
        gs.Sweep(x=X, y=5.0),
        std,
        correlation={("x", "y"): ("case", R)},
        framework=framework,
        engine=engine,
    )
    # d = (y s_x, x s_y), and the variance is d_x^2 + 2 r d_x d_y + d_y^2.
    d_x, d_y, r = 0.5, (X * [0.2, 0.4, 0.0])[:, None], R
    variance = d_x**2 + 2 * r * d_x * d_y + d_y**2
    assert ds.attrs["engine"] == engine
    assert ds.product.dims == ("x",) and ds.product_std.dims == ("x", "case")
    np.testing.assert_allclose(ds.product, 5 * X, rtol=1e-15)
    np.testing.assert_allclose(ds.product_std, np.sqrt(variance), rtol=1e-14)
    shares = {"x": (d_x**2 + r * d_x * d_y), "y": (d_y**2 + r * d_x * d_y)}
    for name, part in shares.items():
        share = ds[f"variance_share_{name}"]
        np.testing.assert_allclose(share, part / variance, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_relative_stds_add_in_quadrature_in_a_quotient(framework, mode):
    sweep = gs.Sweep(x=X, y=[4.0, 0.5])
    ds = gs.uncertainty(ratio, sweep, {"x": 0.1, "y": 0.02}, framework=framework, mode=mode)
    x, y = X[:, None], np.array([4.0, 0.5])
    expected = np.abs(x / y) * np.sqrt((0.1 / x) ** 2 + (0.02 / y) ** 2)
    np.testing.assert_allclose(ds.ratio_std, expected, rtol=1e-14)
    np.testing.assert_allclose(ds.variance_share_x + ds.variance_share_y, 1, rtol=1e-14)


@pytest.mark.parametrize("r, expected", [(1.0, 0.3 + 0.7), (-1.0, 0.7 - 0.3), (0.0, sqrt(0.58))])
def test_stds_of_a_sum_add_subtract_or_add_in_quadrature(r, expected):
    sweep = gs.Sweep(x=1.0, y=2.0)
    ds = gs.uncertainty(total, sweep, {"x": 0.3, "y": 0.7}, correlation={("y", "x"): r})
    assert ds.total_std.item() == pytest.approx(expected, rel=1e-15)


def test_what_cancels_has_no_variance_and_shares_that_are_nan():
    sweep = gs.Sweep(x=np.linspace(0.1, 3, 7), y=0.7)
    ds = gs.uncertainty(total, sweep, {"x": 0.3, "y": 0.3}, correlation={("x", "y"): -1.0})
    assert ds.total_std.dims == () and ds.total_std.item() == 0.0
    assert np.isnan(ds.variance_share_x.item())
    constant = gs.uncertainty(lambda x: {"a": x, "b": 3.0}, gs.Sweep(x=1.0), {"x": 0.1}, order=2)
    assert constant.b_std.item() == 0.0 and np.isnan(constant.variance_share_b_x.item())
    assert np.isnan(constant.variance_share_b_second_order.item())
    assert constant.variance_share_a_second_order.item() == 0.0
    # A semidefinite matrix that no number of float64 is exact in: x - x / 3 - 2 x / 3.
    third = gs.uncertainty(
        lambda x, y, z: x - y - z,
        gs.Sweep(x=1.0, y=1.0, z=1.0),
        {"x": 0.3, "y": 0.1, "z": 0.2},
        correlation={("x", "y"): 1, ("x", "z"): 1, ("y", "z"): 1},
    )
    assert 0 <= third[[*third][1]].item() < 1e-15  # not 1e-9, the root of a rounding error


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("size", [1e-200, 1e-30, 1e180])
def test_no_square_leaves_the_range_of_numbers(framework, size):
    sweep = gs.Sweep(x=2.0, y=size)
    ds = gs.uncertainty(product, sweep, {"x": 0.3, "y": 0.2 * size}, framework=framework)
    assert ds.product_std.item() == pytest.approx(0.5 * size, rel=1e-15)
    assert ds.variance_share_x.item() == pytest.approx(0.36, rel=1e-14)
    small = gs.Sweep(x=np.float32(2), y=np.float32(1e-30))
    std = {"x": np.float32(0.3), "y": np.float32(2e-31)}
    single = gs.uncertainty(product, small, std, framework=framework)
    assert single.product_std.dtype == np.float32
    assert single.product_std.item() == pytest.approx(5e-31, rel=1e-6)


def test_a_std_of_0_and_an_argument_without_one_are_exact():
    def volume(a, b, c):
        return a * b * c

    sweep = gs.Sweep(a=[1.0, 2.0], b=3.0, c=5.0)
    ds = gs.uncertainty(volume, sweep, {"a": 0.1, "b": 0.0})
    assert set(ds.data_vars) == {"volume", "volume_std", "variance_share_a", "variance_share_b"}
    np.testing.assert_allclose(ds.volume_std, [1.5, 1.5], rtol=1e-15)
    np.testing.assert_array_equal(ds.variance_share_b, [0, 0])
    alone = gs.uncertainty(volume, sweep, {"a": 0.1})
    assert alone.volume_std.dims == ()  # b c s_a, whatever a is
    np.testing.assert_allclose([alone.volume_std, alone.variance_share_a], [1.5, 1], rtol=1e-15)


# -- arrays, containers, several outputs


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_elements_of_an_array_argument_have_a_correlation_matrix(framework):
    q = np.linspace(0.2, 1.5, 12).reshape(4, 3)
    s = np.array([0.1, 0.2, 0.05])
    matrix = np.array([[1, 0.5, -0.2], [0.5, 1, 0.1], [-0.2, 0.1, 1]])
    beside = np.array([0.3, 0.0, -0.6])

    def bowl(q, k):
        return k * (q**2).sum()

    ds = gs.uncertainty(
        bowl,
        gs.Sweep(q=("pose", q), k=2.0),
        {"q": s, "k": 0.5},
        correlation={("q", "q"): matrix, ("k", "q"): beside},
        framework=framework,
    )
    d = np.column_stack([4 * q * s, 0.5 * (q**2).sum(1)])
    whole = np.block([[matrix, beside[:, None]], [beside[None], np.ones((1, 1))]])
    variance = np.einsum("pi,ij,pj->p", d, whole, d)
    assert ds.bowl_std.dims == ("pose",)
    np.testing.assert_allclose(ds.bowl_std, np.sqrt(variance), rtol=1e-13)
    own = np.einsum("pi,ij,pj->pi", d, whole, d) / variance[:, None]
    np.testing.assert_allclose(ds.variance_share_q, own[:, :3].sum(1), rtol=1e-12)
    np.testing.assert_allclose(ds.variance_share_k, own[:, 3], rtol=1e-12)


def test_one_number_correlates_any_two_elements_of_an_array():
    ds = gs.uncertainty(
        lambda q: q.sum(),
        gs.Sweep(q=((), [1.0, 2.0, 3.0])),
        {"q": 0.1},
        correlation={("q", "q"): 1},
    )
    assert ds[[*ds][1]].item() == pytest.approx(0.3, rel=1e-14)  # not 0.1 sqrt(3)


def test_an_array_output_has_a_std_for_each_element():
    def pair(x, y):
        return np.stack([x * y, x + y])

    ds = gs.uncertainty(pair, gs.Sweep(x=X, y=5.0), {"x": 0.1, "y": 0.2})
    assert ds.pair_std.dims == ("x", "pair_0") == ds.variance_share_y.dims
    np.testing.assert_allclose(ds.pair_std[:, 0], np.hypot(0.5, 0.2 * X), rtol=1e-14)
    np.testing.assert_allclose(ds.pair_std[:, 1], np.hypot(0.1, 0.2) + 0 * X, rtol=1e-14)


def test_entries_of_containers_have_stds_and_correlations_by_their_paths():
    def growth(p, t):
        return p["rate"] * t + p["start"]

    sweep = gs.Sweep(p={"rate": ("rate", [1.0, 2.0]), "start": 3.0}, t=5.0)
    ds = gs.uncertainty(
        growth,
        sweep,
        {"p": {"rate": 0.1, "start": 0.2}},
        correlation={("p.rate", "p.start"): -0.5},
    )
    variance = 0.5**2 + 0.2**2 - 2 * 0.5 * 0.5 * 0.2
    np.testing.assert_allclose(ds.growth_std, sqrt(variance), rtol=1e-14)
    np.testing.assert_allclose(ds.variance_share_p_rate, (0.25 - 0.05) / variance, rtol=1e-13)
    alone = gs.uncertainty(growth, sweep, {"p.rate": 0.1})
    np.testing.assert_allclose(alone.growth_std, 0.5, rtol=1e-15)


def test_each_output_of_a_container_has_its_own():
    ds = gs.uncertainty(
        lambda x, y: {"sum": x + y, "product": x * y}, gs.Sweep(x=2.0, y=5.0), {"x": 0.1, "y": 0.2}
    )
    assert ds.sum_std.item() == pytest.approx(np.hypot(0.1, 0.2), rel=1e-15)
    assert ds.product_std.item() == pytest.approx(np.hypot(0.5, 0.4), rel=1e-15)
    assert ds.variance_share_product_x.item() == pytest.approx(0.25 / 0.41, rel=1e-14)
    assert ds.variance_share_sum_y.item() == pytest.approx(0.8, rel=1e-14)


def test_a_complex_output_is_refused_in_words():
    with pytest.raises(OutputError, match="wave is complex, and has no standard deviation"):
        gs.uncertainty(wave, gs.Sweep(x=1.0), {"x": 0.1})


def wave(x):
    return x * (1 + 2j)


# -- published numbers, other programs, samples

# JCGM 100:2008, table H.2: five observations of the potential (V), the current (A) and the phase.
OBSERVED = {
    "V": [5.007, 4.994, 5.005, 4.990, 4.999],
    "I": [19.663e-3, 19.639e-3, 19.640e-3, 19.685e-3, 19.678e-3],
    "phi": [1.0456, 1.0438, 1.0468, 1.0428, 1.0433],
}


def impedance(V, I, phi):  # noqa: E741, the field's letter
    return {"R": V / I * np.cos(phi), "X": V / I * np.sin(phi), "Z": V / I}


def test_the_example_h2_of_the_gum_has_its_published_numbers():
    numbers = np.array([*OBSERVED.values()])
    means, std = numbers.mean(1), numbers.std(1, ddof=1) / sqrt(5)
    r = np.corrcoef(numbers)
    names = list(OBSERVED)
    ds = gs.uncertainty(
        impedance,
        gs.Sweep(dict(zip(names, means))),
        dict(zip(names, std)),
        correlation={(a, b): r[i, j] for i, a in enumerate(names) for j, b in enumerate(names[:i])},
    )
    # Tables H.3 and H.4 of the same example, in ohms; both print 0.295 where it is 0.2956.
    published = {"R": (127.732, 0.071), "X": (219.847, 0.295), "Z": (254.260, 0.236)}
    for name, (value, uncertainty) in published.items():
        assert round(ds[name].item(), 3) == value
        assert abs(ds[f"{name}_std"].item() - uncertainty) < 0.001


def test_the_impedance_has_the_stds_that_the_package_uncertainties_gives():
    ds = gs.uncertainty(
        impedance,
        gs.Sweep(V=4.9990, I=19.6610e-3, phi=1.04446),
        {"V": 0.0032, "I": 9.5e-6, "phi": 0.00075},
        correlation={("V", "I"): -0.36, ("V", "phi"): 0.86, ("I", "phi"): -0.65},
    )
    # uncertainties 3.2.3: correlated_values_norm, and umath on the same formulas.
    theirs = {"R": 0.06997872798837179, "X": 0.29571682684612355, "Z": 0.23660297183529752}
    for name, std in theirs.items():
        assert ds[f"{name}_std"].item() == pytest.approx(std, rel=1e-11)


def call(S, sigma, T):
    d1 = (np.log(S / 100.0) + (0.05 + sigma**2 / 2) * T) / (sigma * np.sqrt(T))
    return S * ndtr(d1) - 100.0 * np.exp(-0.05 * T) * ndtr(d1 - sigma * np.sqrt(T))


def test_a_price_has_the_std_that_the_package_uncertainties_gives():
    ds = gs.uncertainty(
        call,
        gs.Sweep(S=[90.0, 100.0, 110.0], sigma=0.2, T=1.0),
        {"S": 0.5, "sigma": 0.01, "T": 0.002},
        correlation={("S", "sigma"): -0.7},
    )
    # uncertainties 3.2.3, correlated_values_norm and umath, on the same formula.
    theirs = [0.25473480805914117, 0.2740127887323243, 0.28639580071109577]
    np.testing.assert_allclose(ds.call_std, theirs, rtol=1e-11)


def test_a_million_samples_have_this_std():
    """The std of a standard deviation over n normal samples is s / sqrt(2 n)."""
    n, rng = 1_000_000, np.random.default_rng(0)
    r, s = -0.7, np.array([0.01, 0.002])
    x, y = rng.multivariate_normal([2.0, 5.0], np.outer(s, s) * [[1, r], [r, 1]], n).T
    sampled = (x / y).std()
    ds = gs.uncertainty(
        ratio, gs.Sweep(x=2.0, y=5.0), dict(zip("xy", s)), correlation={("x", "y"): r}
    )
    # Four of its own errors, and what is second order, about (s_y / y)^2 of it.
    allowed = 4 / sqrt(2 * n) + 1e-6
    assert ds.ratio_std.item() == pytest.approx(sampled, rel=allowed)
    without = gs.uncertainty(ratio, gs.Sweep(x=2.0, y=5.0), dict(zip("xy", s)))
    assert without.ratio_std.item() != pytest.approx(sampled, rel=allowed), "control"


# -- compiled, planned, stored, reduced; its words


def test_a_kernel_takes_new_values():
    sweep = gs.Sweep(x=X, y=5.0)
    kernel = gs.compile(gs.uncertainty, product, sweep, {"x": 0.1, "y": 0.2})
    found = kernel(x=np.array([3.0, 4.0]), y=2.0)
    np.testing.assert_allclose(found["product_std"], [0.2 * sqrt(10), 0.2 * sqrt(17)], rtol=1e-14)


def test_a_plan_a_store_and_a_mean_have_the_same(tmp_path):
    asked = (product, gs.Sweep(x=X, y=[5.0, 6.0]), {"x": 0.1, "y": 0.2})
    more = {"correlation": {("x", "y"): 0.5}}
    plan = gs.plan(gs.uncertainty, *asked, **more)
    assert "uncertainty of product (the std of y, from J C J', with correlation)" in str(plan)
    whole = plan.run()
    stored = gs.uncertainty(*asked, **more, store=tmp_path / "results.nc")
    np.testing.assert_array_equal(stored.product_std, whole.product_std)
    mean = gs.uncertainty(*asked, **more, reduce="mean")
    np.testing.assert_allclose(mean.product_std_mean, whole.product_std.mean(), rtol=1e-14)


def test_categories_have_an_uncertainty_each():
    def power(x, kind):
        return x**2 if kind == "square" else x**3

    ds = gs.uncertainty(power, gs.Sweep(x=X, kind=["square", "cube"]), {"x": 0.1})
    np.testing.assert_allclose(ds.power_std.sel(kind="square"), 0.2 * np.abs(X), rtol=1e-14)
    np.testing.assert_allclose(ds.power_std.sel(kind="cube"), 0.3 * X**2, rtol=1e-14)


def test_a_std_has_the_units_of_the_value_and_shares_have_none():
    import xarray

    def length(x):
        return 2 * x

    length.units = "m"
    x = xarray.DataArray(X, dims="x", attrs={"units": "s"})
    ds = gs.uncertainty(length, gs.Sweep(x=x), {"x": 0.1})
    assert ds.length_std.attrs["units"] == "m"
    assert ds.length_std.attrs["long_name"] == "standard deviation of length"
    assert ds.variance_share_x.attrs["long_name"] == "share of x in the variance of length"
    assert "units" not in ds.variance_share_x.attrs


def test_check_refuses_it_and_says_what_to_check():
    with pytest.raises(ArgumentError, match="quantity='jacobian', wrt=\\['x'\\]"):
        gs.check(product, gs.Sweep(x=X, y=5.0), {"x": 0.1}, quantity="uncertainty")
