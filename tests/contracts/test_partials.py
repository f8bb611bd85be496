"""Any partial derivatives: numbers against closed forms, names, dims and engines."""

import importlib
import math

import numpy as np
import pytest
import sympy as sp

import gradsweep as gs
from tests.support.controls import must_fail
from tests.support.frameworks import ENGINES, FRAMEWORKS, library

# -- twelve Greeks


def priced_with(framework):
    xp = library(framework)
    erfc = (
        xp.special.erfc if framework == "torch" else pytest.importorskip("jax").scipy.special.erfc
    )

    def price(S, K, T, r, sigma):
        d1 = (xp.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * xp.sqrt(T))
        d2 = d1 - sigma * xp.sqrt(T)
        return S * erfc(-d1 / 2**0.5) / 2 - K * xp.exp(-r * T) * erfc(-d2 / 2**0.5) / 2

    return price


def greeks(S, K, T, r, sigma):
    """Greeks of a European call, by the words of the derivatives; T is the time to expiry.

    Source: E. G. Haug, The Complete Guide to Option Pricing Formulas, 2nd ed., ch. 2.
    """
    root = sigma * np.sqrt(T)
    d1 = (np.log(S / K) + (r + sigma**2 / 2) * T) / root
    d2 = d1 - root
    n1, n2 = (np.exp(-(d**2) / 2) / np.sqrt(2 * np.pi) for d in (d1, d2))
    discount = np.exp(-r * T)
    gamma, vega = n1 / (S * root), S * n1 * np.sqrt(T)
    drift = 2 * r * T - d2 * root
    erfc = np.vectorize(math.erfc)
    return {
        "S sigma": -n1 * d2 / sigma,  # vanna
        "sigma sigma": vega * d1 * d2 / sigma,  # volga
        "S T": n1 * drift / (2 * T * root),  # charm
        "sigma T": -vega * (r * d1 / root - (1 + d1 * d2) / (2 * T)),  # veta
        "sigma r": -K * T * discount * n2 * d1 / sigma,  # vera
        "S S S": -gamma / S * (d1 / root + 1),  # speed
        "S S sigma": gamma * (d1 * d2 - 1) / sigma,  # zomma
        "S S T": -gamma / (2 * T) * (1 + drift / root * d1),  # color
        "sigma sigma sigma": -vega / sigma**2 * (d1 * d2 * (1 - d1 * d2) + d1**2 + d2**2),  # ultima
        "K": -discount * erfc(-d2 / np.sqrt(2)) / 2,  # dual delta
        "K K": discount * n2 / (K * root),  # dual gamma
        "K sigma": discount * n2 * d1 / sigma,  # dual vanna
    }


MARKET = {"S": np.array([80.0, 101.0, 130.0]), "K": 100.0, "T": 0.7, "r": 0.03, "sigma": 0.25}


@pytest.mark.parametrize("word, n", [("sigma sigma", (0, 0, 0, 0, 2)), ("S S T", (2, 0, 1, 0, 0))])
def test_the_closed_forms_are_derivatives(word, n):
    mp = pytest.importorskip("mpmath")

    def price(S, K, T, r, sigma):
        d1 = (mp.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * mp.sqrt(T))
        return S * mp.ncdf(d1) - K * mp.exp(-r * T) * mp.ncdf(d1 - sigma * mp.sqrt(T))

    at = [130.0, 100.0, 0.7, 0.03, 0.25]
    with mp.workdps(40):
        exact = float(mp.diff(price, tuple(map(mp.mpf, at)), n))
    np.testing.assert_allclose(greeks(**MARKET)[word][2], exact, rtol=1e-12)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_twelve_greeks_are_those_of_the_textbook(framework):
    exact = greeks(**MARKET)
    found = gs.partials(priced_with(framework), gs.Sweep(MARKET), *exact)
    for word, variable in zip(exact, found.data_vars.values(), strict=True):
        np.testing.assert_allclose(variable, exact[word], rtol=1e-9, atol=1e-13, err_msg=word)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_five_greeks_do_not_cost_a_hessian(framework):
    """The issue's bound for time, counted in operations: twice the gradient's."""

    def flops(quantity, *of):
        text = str(gs.plan(quantity, price, gs.Sweep(MARKET), *of))
        return int(text.partition("about ")[2].partition("flops a point")[0].split()[-1])

    price = priced_with(framework)
    five = flops(gs.partials, ["S", "S S", "sigma", "S sigma", "T"])
    assert five <= 2 * flops(gs.gradient)
    assert five < 0.6 * flops(gs.hessian)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_one_number_under_several_names_is_computed_once(framework):
    def n_equations(*of):
        text = str(gs.plan(gs.partials, price, gs.Sweep(MARKET), of))
        return text.partition("program")[2].split()[0]

    price = priced_with(framework)
    assert n_equations("S S sigma") == n_equations("S S sigma", "S sigma S", "sigma S S")


# -- any function


def smooth(xp):
    return lambda x, y: xp.exp(x * y) * x**3 + xp.sin(y)


def exactly(words, points):
    x, y = symbols = sp.symbols("x y")
    formula = sp.exp(x * y) * x**3 + sp.sin(y)
    for word in words:
        by = sp.lambdify(symbols, sp.diff(formula, *word.split()), "mpmath")
        yield word, [float(by(*map(sp.Float, point))) for point in points]


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_derivatives_up_to_the_fourth_order_are_those_of_sympy(framework, mode):
    points = [(0.5, -0.7), (1.5, 0.2)]
    x, y = map(np.array, zip(*points))
    words = ["x x y y", "y", "x x x x", "y x y"]
    sweep = gs.Sweep(x=("point", x), y=("point", y))
    found = gs.partials(smooth(library(framework)), sweep, words, mode=mode)
    for (word, exact), variable in zip(exactly(words, points), found.data_vars.values()):
        np.testing.assert_allclose(variable, exact, rtol=1e-11, err_msg=word)


def arrays(xp):
    return lambda q, s: {"a": xp.stack([q[0] ** 3 * s, q[0] * q[1] * s**2]), "b": s * q[1] ** 3}


Q, S = np.array([[1.0, 2.0], [0.5, -1.0], [2.0, 3.0]]), np.array([0.5, 1.5])


@pytest.mark.parametrize("framework, engine", ENGINES)
@pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning")
def test_arrays_have_the_dims_of_a_hessian_by_every_engine(framework, engine):
    f = arrays(library(framework))
    sweep = gs.Sweep(q=("pose", Q), s=("scale", S))
    found = gs.partials(f, sweep, "s q", "q s", "q q q", "s", engine=engine, with_value=True)
    assert list(found.data_vars) == [
        *("a", "b", "d2a_ds_dq", "d2a_dq_ds", "d3a_dq_dq_dq", "da_ds"),
        *("d2b_ds_dq", "d2b_dq_ds", "d3b_dq_dq_dq", "db_ds"),
    ]
    full = gs.broadcast(found)
    a, b, s = Q[:, None, 0], Q[:, None, 1], S
    o = 0 * a * s
    mixed = np.array([[3 * a**2 + o, o], [2 * s * b, 2 * s * a]])
    assert full.d2a_ds_dq.dims == ("pose", "scale", "a_0", "q_0")
    np.testing.assert_allclose(full.d2a_ds_dq, np.moveaxis(mixed, [2, 3], [0, 1]))
    np.testing.assert_allclose(full.d2a_dq_ds.transpose(*full.d2a_ds_dq.dims), full.d2a_ds_dq)
    assert found.d3a_dq_dq_dq.dims[-4:] == ("a_0", "q_0", "q_0_2", "q_0_3")
    third = np.zeros((3, 2, 2, 2, 2, 2))
    third[:, :, 0, 0, 0, 0] = 6 * s
    np.testing.assert_allclose(full.d3a_dq_dq_dq, third, atol=1e-14)
    third = np.zeros((3, 2, 2, 2, 2))
    third[:, :, 1, 1, 1] = 6 * s
    np.testing.assert_allclose(full.d3b_dq_dq_dq, third, atol=1e-14)
    np.testing.assert_allclose(full.db_ds, b**3 + o)


def test_dims_come_in_the_order_of_the_word():
    library("jax")
    f = lambda u, v: (u[0] * u[1]) * (v**2).sum()  # noqa: E731
    sweep = gs.Sweep(u=((), np.array([2.0, 3.0])), v=((), np.array([1.0, 4.0, 5.0])))
    found = gs.partials(f, sweep, "v u v", "u v v", framework="jax")

    first, second = found.data_vars.values()
    assert first.shape == (3, 2, 3)
    assert second.shape == (2, 3, 3)
    exact = np.einsum("u,vw->vuw", [3.0, 2.0], 2 * np.eye(3))
    np.testing.assert_allclose(first, exact)
    np.testing.assert_allclose(second, exact.swapaxes(0, 1))


def test_dims_are_minimal_and_attributes_tell_the_derivative():
    library("jax")

    def price(S, sigma):
        return S**3 * sigma**2

    spots = gs.Sweep(S=("S", [1.0, 2.0]), sigma=("sigma", [0.1, 0.2, 0.3]))
    found = gs.partials(price, spots, "S S S S", "S S S", "sigma sigma S", framework="jax")
    assert found.d4price_dS_dS_dS_dS.dims == ()
    assert found.d3price_dS_dS_dS.dims == ("sigma",)
    assert found.d3price_dS_dS_dS.attrs["long_name"] == "∂³price/∂S³"
    assert found.d3price_dsigma_dsigma_dS.attrs["long_name"] == "∂³price/∂sigma²∂S"
    assert found.d3price_dsigma_dsigma_dS.attrs["wrt"] == "sigma sigma S"
    np.testing.assert_allclose(found.d3price_dS_dS_dS, 6 * np.array([0.1, 0.2, 0.3]) ** 2)


def test_units_follow():
    library("jax")
    xarray = pytest.importorskip("xarray")
    days = xarray.DataArray([1.0, 2.0], dims="t", attrs={"units": "s"})
    f = lambda t, m: m * t**3  # noqa: E731
    f.units = "kg"
    mass = xarray.DataArray(2.0, attrs={"units": "kg"})
    found = gs.partials(f, gs.Sweep(t=days, m=mass), "t t", "m t", framework="jax")
    assert [v.attrs["units"] for v in found.data_vars.values()] == ["kg/(s·s)", "kg/(kg·s)"]


# -- kinds of functions


@pytest.mark.torch
@pytest.mark.parametrize("engine", ["auto", "loop"])
def test_each_branch_has_its_own_derivatives(engine):
    library("torch")
    f = lambda x: x**3 if x > 0 else x**4  # noqa: E731
    x = np.array([-2.0, 1.0, 3.0])
    (found,) = gs.partials(f, gs.Sweep(x=x), "x x x", engine=engine).data_vars.values()
    np.testing.assert_allclose(found, np.where(x > 0, 6.0, 24 * x))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_function_of_numpy_has_third_derivatives(framework):
    library(framework)
    f = lambda x, y: np.sin(x) * np.exp(2 * y)  # noqa: E731
    sweep = gs.Sweep(x=[0.3, 1.0], y=0.5)
    (found,) = gs.partials(f, sweep, "x x y", framework=framework).data_vars.values()
    np.testing.assert_allclose(found, -2 * np.sin([0.3, 1.0]) * np.exp(1.0), rtol=1e-14)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_entries_of_containers_and_complex_numbers(framework):
    library(framework)
    f = lambda p, z: p["b"] ** 3 * p["g"] * z.real**2 * z.imag  # noqa: E731
    sweep = gs.Sweep(p={"b": ("b", [1.0, 2.0]), "g": 5.0}, z=1.0 + 2.0j)
    found = gs.partials(f, sweep, "p.b p.b p.g", "z z", framework=framework)
    first, second = found.data_vars.values()
    assert first.name.endswith("_dp_b_dp_b_dp_g")
    np.testing.assert_allclose(first, 6 * np.array([1.0, 2.0]) * 2.0)
    assert second.dims == ("b", "z_part", "z_part_2")
    block = np.array([[4.0, 2.0], [2.0, 0.0]])
    np.testing.assert_allclose(second, 5 * np.array([1.0, 8.0])[:, None, None] * block)


@pytest.mark.jax
def test_the_order_written_is_taken_where_a_rule_of_the_users_own_is_in_the_way():
    """JAX is told that df/dx = y and df/dy = 3 x: the mixed derivatives are 1 and 3."""
    jax = pytest.importorskip("jax")

    @jax.custom_jvp
    def f(x, y):
        return x * y

    f.defjvp(lambda x, v: (f(*x), x[1] * v[0] + 3 * x[0] * v[1]))
    found = gs.partials(lambda x, y: f(x, y), gs.Sweep(x=2.0, y=5.0), "x y", "y x")
    assert [float(v) for v in found.data_vars.values()] == [1.0, 3.0]


@pytest.mark.torch
def test_the_order_written_is_taken_in_torch_too():
    torch = pytest.importorskip("torch")

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return x * y

        @staticmethod
        def backward(ctx, w):
            x, y = ctx.saved_tensors
            return w * y, 3 * w * x

    found = gs.partials(lambda x, y: Product.apply(x, y), gs.Sweep(x=2.0, y=5.0), "x y", "y x")
    assert [float(v) for v in found.data_vars.values()] == [1.0, 3.0]


@pytest.mark.torch
def test_a_formula_that_must_not_be_differentiated_is_refused():
    """torch's third derivative of layer_norm is wrong, and says nothing."""
    torch = pytest.importorskip("torch")
    slope, weight = torch.tensor([0.5, 0.1, -0.4]), torch.tensor([1.5, 0.2, -0.3])

    def f(x):
        values = torch.tensor([0.3, -1.2, 0.7]) + x * slope
        return (torch.nn.functional.layer_norm(values, (3,)) * weight).sum()

    with pytest.raises(gs.errors.MissingRule, match="not meant to be differentiated"):
        gs.partials(f, gs.Sweep(x=0.3), "x x x")


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning")
def test_a_program_that_is_nan_where_torch_is_not_gives_way_to_torch():
    """det of a matrix of x: torch's formula chooses, and its derivatives are 0 / 0 as equations."""
    torch = pytest.importorskip("torch")

    def volume(x):
        matrix = torch.diag(torch.stack([x**2, x**3])) + torch.full((2, 2), 0.25)
        return torch.linalg.det(matrix)

    x = sp.Symbol("x")
    exact = sp.diff((sp.diag(x**2, x**3) + sp.ones(2, 2) / 4).det(), x, 3).subs(x, 1.5)
    plan = gs.plan(gs.partials, volume, gs.Sweep(x=1.5), ["x x x"])
    np.testing.assert_allclose(plan.run().d3volume_dx_dx_dx, float(exact), rtol=1e-10)
    assert plan.engine == "loop"
    assert "does not give what torch does" in str(plan)


@pytest.mark.torch
def test_control_without_differences_the_formula_is_not_noticed(monkeypatch):
    module = importlib.import_module("gradsweep.tracing.torch.trace")

    monkeypatch.setattr(module, "_are_derivatives", lambda *_: True)
    must_fail(test_a_formula_that_must_not_be_differentiated_is_refused)


@pytest.mark.torch
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "name, x, exact",
    [
        ("oscillates", 1.0, lambda x: -(1e6**3) * np.cos(1e6 * x)),
        ("is flat", 2.0, lambda x: 0.0),
        ("bends sharply", 1.0, lambda x: -15 / 8 * (x - 0.999) ** -3.5),
        ("has a kink there", 0.0, lambda x: 0.0),
    ],
)
def test_differences_raise_no_false_alarm(name, x, exact, dtype):
    torch = pytest.importorskip("torch")
    f = {
        "oscillates": lambda x: torch.sin(1e6 * x),
        "is flat": lambda x: 3 * x**2 + x,
        "bends sharply": lambda x: 1 / torch.sqrt(x - 0.999),
        "has a kink there": lambda x: torch.relu(x) ** 2,
    }[name]
    (found,) = gs.partials(f, gs.Sweep(x=dtype(x)), "x x x").data_vars.values()
    assert found.dtype == dtype
    if dtype == np.float64:
        np.testing.assert_allclose(found, exact(x), rtol=1e-9)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_equation_solved_inside_has_higher_derivatives(framework):
    """The cube root of x, whose derivatives are powers."""
    library(framework)
    x = np.array([0.5, 2.0, 3.0])

    def root(x):
        return gs.find_root(lambda y: y**3 - x, 1.0)

    found = gs.partials(root, gs.Sweep(x=x), "x x", "x x x", framework=framework)
    np.testing.assert_allclose(found.d2root_dx_dx, -2 / 9 * x ** (-5 / 3), rtol=1e-12)
    np.testing.assert_allclose(found.d3root_dx_dx_dx, 10 / 27 * x ** (-8 / 3), rtol=1e-12)


@pytest.mark.jax
@pytest.mark.parametrize("loop", ["fori_loop", "while_loop", "scan"])
@pytest.mark.parametrize("mode", ["auto", "forward"])
def test_loops_have_third_derivatives(loop, mode):
    """Three steps of the logistic map: a polynomial of degree eight."""
    lax = pytest.importorskip("jax").lax
    step = lambda y: 1.5 * y * (1 - y)  # noqa: E731
    f = {
        "fori_loop": lambda x: lax.fori_loop(0, 3, lambda _, y: step(y), x),
        "while_loop": lambda x: lax.while_loop(
            lambda c: c[0] < 3, lambda c: (c[0] + 1, step(c[1])), (0, x)
        )[1],
        "scan": lambda x: lax.scan(lambda y, _: (step(y), None), x, None, length=3)[0],
    }[loop]
    formula = x = sp.Symbol("x")
    for _ in range(3):
        formula = sp.Rational(3, 2) * formula * (1 - formula)
    points = np.array([0.2, 0.5])
    exact = [float(sp.diff(formula, x, 3).subs(x, sp.Rational(str(v)))) for v in points]
    (found,) = gs.partials(f, gs.Sweep(x=points), "x x x", mode=mode).data_vars.values()
    np.testing.assert_allclose(found, exact, rtol=1e-12)


# -- compiled, planned, by name


def test_a_kernel_takes_words_in_a_list():
    library("jax")
    f = lambda x, y: x**3 * y  # noqa: E731
    sweep = gs.Sweep(x=[1.0, 2.0], y=3.0)
    kernel = gs.compile(gs.partials, f, sweep, ["x x", "y x"], framework="jax")
    found = kernel(x=np.array([4.0, 5.0, 6.0]), y=2.0)
    np.testing.assert_allclose(found["d2f_dx_dx"], [48.0, 60.0, 72.0])
    np.testing.assert_allclose(found["d2f_dy_dx"], [48.0, 75.0, 108.0])
    plan = gs.plan("partials", f, sweep, "x x", "y x", framework="jax")
    assert [*plan.run().data_vars] == ["d2f_dx_dx", "d2f_dy_dx"]


def test_arguments_may_be_given_by_name():
    library("jax")
    f = lambda x, y: x**3 * y  # noqa: E731
    found = gs.partials(f, x=[1.0, 2.0], y=3.0, of=["x x"], framework="jax")
    np.testing.assert_allclose(found.d2f_dx_dx, [18.0, 36.0])
