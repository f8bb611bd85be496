"""Laplacian, divergence and curl: closed forms, names, dims, engines and what is refused."""

import importlib

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.cli import main
from gradsweep.errors import ArgumentError, OutputError
from tests.support.controls import must_fail
from tests.support.frameworks import ENGINES, FRAMEWORKS, library

MODES = ["auto", "forward", "reverse"]

POINTS = np.random.default_rng(0).normal(size=(20, 3))
R2 = (POINTS**2).sum(1)
X, Y, Z = POINTS.T
BY_NAME = gs.Sweep(x=("point", X), y=("point", Y), z=("point", Z))
AT_POINTS = gs.Sweep(q=("point", POINTS))


# -- the Laplacian


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_laplacian_of_a_potential_is_zero(framework, mode):
    xp = library(framework)
    potential = lambda x, y, z: 1 / xp.sqrt(x**2 + y**2 + z**2)  # noqa: E731
    found = gs.laplacian(potential, BY_NAME, mode=mode).laplacian
    assert found.dims == ("point",)
    assert np.all(np.abs(found) <= 1e-14 / R2**1.5)


@pytest.mark.parametrize("framework, engine", ENGINES)
@pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning")
def test_the_laplacian_of_a_gaussian_by_every_engine(framework, engine):
    xp = library(framework)
    f = lambda q: xp.exp(-(q**2).sum() / 2)  # noqa: E731
    found = gs.laplacian(f, AT_POINTS, wrt="q", engine=engine, with_value=True)
    assert found.laplacian.dims == ("point",)
    np.testing.assert_allclose(found.laplacian, (R2 - 3) * np.exp(-R2 / 2), atol=1e-13)
    np.testing.assert_allclose(found.data_vars[next(iter(found))], np.exp(-R2 / 2), rtol=1e-13)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_output_has_its_own_and_wrt_says_what_is_summed(framework, mode):
    xp = library(framework)

    def f(q, s, t):
        return {"u": xp.stack([q[0] ** 3 * s, q[0] * q[1]]), "v": (q**2).sum() * s**3 * t**2}

    sweep = gs.Sweep(q=("point", POINTS[:3]), s=2.0, t=5.0)
    found = gs.laplacian(f, sweep, wrt=["q", "s"], mode=mode)
    assert list(found.data_vars) == ["laplacian_u", "laplacian_v"]
    assert found.laplacian_u.dims == ("point", "u_0")
    full = gs.broadcast(found)
    np.testing.assert_allclose(full.laplacian_u[:, 0], 6 * X[:3] * 2, rtol=1e-12)
    np.testing.assert_allclose(full.laplacian_u[:, 1], 0, atol=1e-14)
    exact = (6 * 2**3 + R2[:3] * 6 * 2) * 25
    np.testing.assert_allclose(found.laplacian_v, exact, rtol=1e-12)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_mixed_derivatives_are_not_computed(framework):
    xp = library(framework)
    f = lambda q: xp.exp(-(q * q).sum()) * xp.sin(q).sum()  # noqa: E731

    def n_equations(quantity):
        text = str(gs.plan(quantity, f, gs.Sweep(q=((), np.arange(1.0, 7.0)))))
        return int(text.partition("program")[2].split()[0].replace(",", ""))

    assert n_equations("laplacian") < 0.6 * n_equations("hessian")


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_function_that_is_no_program_has_a_laplacian_too(framework):
    xp = library(framework)
    weights = np.random.default_rng(1).normal(size=(200, 200)) / 15
    W = xp.asarray(weights)
    q = np.random.default_rng(2).normal(size=(2, 200))
    plan = gs.plan(gs.laplacian, lambda q: (xp.tanh(W @ q) ** 2).sum(), gs.Sweep(q=("sample", q)))
    assert plan.engine == ("torch" if framework == "torch" else "xla")
    u = q @ weights.T
    second = 2 / np.cosh(u) ** 4 - 4 * np.tanh(u) ** 2 / np.cosh(u) ** 2
    exact = (second[:, :, None] * weights**2).sum((1, 2))
    precision = 1e-10 if framework == "torch" else 1e-5  # W is float32 outside of a sweep in JAX
    np.testing.assert_allclose(plan.run().laplacian, exact, rtol=precision)


def test_units_are_those_of_second_derivatives():
    library("jax")
    xarray = pytest.importorskip("xarray")
    metres = xarray.DataArray(X, dims="point", attrs={"units": "m"})
    f = lambda x, y: x**2 * y**2  # noqa: E731
    f.units = "V"
    same = gs.laplacian(f, gs.Sweep(x=metres, y=metres), framework="jax").laplacian
    assert same.attrs["units"] == "V/(m·m)"
    assert same.attrs["long_name"].startswith("∇²")
    other = gs.laplacian(f, gs.Sweep(x=metres, y=2.0), framework="jax").laplacian
    assert "units" not in other.attrs


# -- divergence and curl


def by_names(xp):
    return lambda x, y, z: (x**2 * y, xp.sin(y) * z, z**3 * x)


def in_array(xp):
    return lambda q: xp.stack([q[0] ** 2 * q[1], xp.sin(q[1]) * q[2], q[2] ** 3 * q[0]])


DIVERGENCE = 2 * X * Y + np.cos(Y) * Z + 3 * Z**2 * X
CURL = np.stack([-np.sin(Y), -(Z**3), -(X**2)], 1)
FIELDS = {"numbers": (by_names, BY_NAME, ["x", "y", "z"]), "an array": (in_array, AT_POINTS, "q")}


@pytest.mark.parametrize("framework, engine", ENGINES)
@pytest.mark.parametrize("field, sweep, wrt", FIELDS.values(), ids=FIELDS)
@pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning")
def test_divergence_and_curl_of_a_field_by_every_engine(field, sweep, wrt, framework, engine):
    F = field(library(framework))
    found = gs.divergence(F, sweep, wrt=wrt, engine=engine)
    assert list(found.data_vars) == ["divergence"]
    assert found.divergence.dims == ("point",)
    np.testing.assert_allclose(found.divergence, DIVERGENCE, rtol=1e-13, atol=1e-13)
    found = gs.curl(F, sweep, wrt=wrt, engine=engine)
    assert list(found.data_vars) == ["curl"]
    assert found.curl.dims[0] == "point"
    assert found.curl.shape == (20, 3)
    np.testing.assert_allclose(found.curl, CURL, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_curl_of_a_gradient_is_zero_and_that_of_a_rotation_twice_its_rate(framework, mode):
    xp = library(framework)
    # The gradient of x^2 y + y exp(z).
    gradient = lambda q: xp.stack([2 * q[0] * q[1], q[0] ** 2 + xp.exp(q[2]), q[1] * xp.exp(q[2])])  # noqa: E731
    found = gs.broadcast(gs.curl(gradient, AT_POINTS, mode=mode)).curl
    np.testing.assert_allclose(found, 0, atol=1e-15)
    rotation = lambda x, y, z: {"u": -y, "v": x, "w": 0 * z}  # noqa: E731
    found = gs.curl(rotation, BY_NAME, mode=mode).curl
    assert found.dims == (found.dims[-1],)
    np.testing.assert_array_equal(found, [0.0, 0.0, 2.0])


def test_coordinates_go_by_the_order_of_wrt():
    library("jax")
    F = lambda x, y, t: (x**2 * t, y**3)  # noqa: E731
    sweep = gs.Sweep(x=2.0, y=3.0, t=5.0)
    straight = gs.divergence(F, sweep, wrt=["x", "y"], framework="jax").divergence
    assert float(straight) == 2 * 2 * 5 + 3 * 9
    crossed = gs.divergence(F, sweep, wrt=["y", "x"], framework="jax").divergence
    assert float(crossed) == 0
    single = gs.divergence(lambda x: x**2, gs.Sweep(x=[1.0, 2.0]), framework="jax").divergence
    np.testing.assert_array_equal(single, [2.0, 4.0])


REFUSED = {
    "too few coordinates": ("divergence", BY_NAME, ["x", "y"], ["returns 3", "are 2 (x, y)"]),
    "too many": ("divergence", BY_NAME.replace(w=1.0), None, ["coordinates are 4", "Name them"]),
    "a curl in the plane": ("curl", BY_NAME, ["x", "y"], ["3 components", "are 2 (x, y)"]),
    "two arrays": ("divergence", AT_POINTS.replace(p=((), np.ones(3))), None, ["has shape (3,)"]),
    "a matrix": ("divergence", gs.Sweep(q=((), np.ones((3, 2)))), None, ["(3, 2)", "shape (n,)"]),
}


@pytest.mark.jax
@pytest.mark.parametrize("quantity, sweep, wrt, said", REFUSED.values(), ids=REFUSED)
def test_another_number_of_coordinates_is_told(quantity, sweep, wrt, said):
    jnp = library("jax")

    def F(**x):
        return jnp.stack([sum(value.sum() for value in x.values())] * 3)

    with pytest.raises(OutputError) as refused:
        gs.plan(quantity, F, sweep, wrt=wrt)
    for part in said:
        assert part in str(refused.value)


@pytest.mark.jax
def test_what_is_no_field_is_told():
    jnp = library("jax")
    sweep = gs.Sweep(x=1.0, y=2.0)
    with pytest.raises(OutputError, match=r"of shape \(2, 2\)"):
        gs.divergence(lambda x, y: jnp.ones((2, 2)) * x * y, sweep)
    with pytest.raises(OutputError, match="of a real field"):
        gs.divergence(lambda x, y: jnp.stack([1j * x, y]), sweep)
    with pytest.raises(ArgumentError, match="Did you mean 'xx'"):
        gs.laplacian(lambda xx, y: xx * y, gs.Sweep(xx=1.0, y=2.0), wrt="x")


# -- kept, drawn, checked, compared, commanded


def test_they_are_stored_reduced_compiled_and_drawn(tmp_path):
    pytest.importorskip("zarr")
    pytest.importorskip("matplotlib")
    f = lambda x, y: x**3 * y**2  # noqa: E731
    sweep = gs.Sweep(x=[1.0, 2.0, 3.0], y=[1.0, 4.0])
    exact = 6 * np.array([[1.0], [2.0], [3.0]]) * [1, 16] + 2 * np.array([[1.0], [8.0], [27.0]])
    found = gs.laplacian(f, sweep, store=tmp_path / "f.zarr")
    np.testing.assert_allclose(found.laplacian, exact)
    found = gs.laplacian(f, sweep, reduce="mean")
    np.testing.assert_allclose(found.laplacian_mean, exact.mean())
    kernel = gs.compile(gs.laplacian, f, sweep)
    np.testing.assert_allclose(kernel(y=[2.0, 0.0])["laplacian"][:, 0], [26.0, 64.0, 126.0])
    figure = gs.plot(gs.laplacian(f, sweep))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert any("∇²" in title for title in titles)


CHECKED = {
    "laplacian": (lambda x, y: x**3 * y**2, gs.Sweep(x=[1.0, 2.0], y=3.0)),
    "divergence": (lambda x, y: (x**3 * y, y**2), gs.Sweep(x=[1.0, 2.0], y=3.0)),
    "curl": (lambda x, y, z: (y * z, x**2, y**3), gs.Sweep(x=[1.0, 2.0], y=3.0, z=0.5)),
}


@pytest.mark.parametrize("quantity", CHECKED)
def test_check_agrees_by_every_estimate(quantity):
    pytest.importorskip("mpmath")
    f, sweep = CHECKED[quantity]
    found = gs.check(f, sweep, quantity=quantity, n_points=1)
    assert found.ok, found
    assert {row.verdict for row in found.rows} == {"agrees"}
    assert {"mpmath", "scipy"} <= {row.estimate for row in found.rows}


@pytest.mark.parametrize("quantity", CHECKED)
def test_control_a_term_of_another_sign_is_noticed(quantity, monkeypatch):
    module = importlib.import_module("gradsweep.tracing.point")
    total = module.Point.sum
    monkeypatch.setattr(module.Point, "sum", staticmethod(lambda terms: -total(terms)))
    operators = importlib.import_module("gradsweep.tracing.operators")
    field = operators._jacobian_of_field
    if quantity == "curl":
        monkeypatch.setattr(
            operators,
            "_jacobian_of_field",
            lambda point, n=None: [[-entry for entry in row] for row in field(point, n)],
        )
    must_fail(test_check_agrees_by_every_estimate, quantity)


@pytest.mark.torch
@pytest.mark.jax
@pytest.mark.parametrize("quantity", CHECKED)
def test_rivals_written_by_hand_agree(quantity):
    f, sweep = CHECKED[quantity]
    rivals = ["fused", "jit(vmap(jacfwd))", "vmap(jacrev)"]
    found = gs.compare(
        f, sweep, quantity=quantity, rivals=rivals, budget_seconds=0.05, progress=False
    )
    assert {row.rival: row.reason for row in found.rows if row.reason} == {}


def test_the_command_computes_them(tmp_path, monkeypatch, capsys):
    (tmp_path / "field_model.py").write_text("def F(x, y):\n    return x**2 * y, y**3\n")
    monkeypatch.chdir(tmp_path)
    words = ["field_model.py:F", "--over", "x=1,2,3", "--at", "y=2.0", "--csv"]
    assert main(["divergence", *words, "--wrt", "x,y"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split(",")[-1] == "divergence"
    assert [float(row.split(",")[-1]) for row in rows] == [16.0, 20.0, 24.0]
    assert main(["curl", *words]) == 1
    assert "3 components" in capsys.readouterr().err
