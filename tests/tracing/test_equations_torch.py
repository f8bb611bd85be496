"""Equations solved inside functions of torch, beside closed forms, mpmath and scipy."""

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

import gradsweep as gs
from tests.support.equations import MODELS, by_mpmath, solved, swept

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


@pytest.mark.parametrize("name", MODELS)
def test_solutions_and_derivatives_are_those_of_mpmath(name):
    model = MODELS[name]
    y, sweep = solved(model, torch), swept(model)
    gradient = gs.gradient(y, sweep, engine="fused", with_value=True)
    hessian = gs.hessian(y, sweep, engine="fused")
    for k, arguments in enumerate(model.arguments):
        value, first, second = by_mpmath(model, float(gradient.y[k]), *arguments)
        at = {"point": k}
        found = [gradient.dy_da[at], gradient.dy_db[at]]
        np.testing.assert_allclose(gradient.y[at], value, rtol=1e-10)
        np.testing.assert_allclose(found, first, rtol=1e-10)
        rows = [[hessian[f"d2y_d{i}_d{j}"][at] for j in "ab"] for i in "ab"]
        np.testing.assert_allclose(rows, second, rtol=1e-9)


def call(S, K, T, r, sigma):
    d1 = (torch.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * torch.sqrt(T))
    return S * torch.special.ndtr(d1) - K * torch.exp(-r * T) * torch.special.ndtr(
        d1 - sigma * torch.sqrt(T)
    )


def implied(price, S, K, T, r):
    return gs.find_root(lambda sigma: call(S, K, T, r, sigma) - price, 0.2)


@pytest.mark.parametrize("engine", ["fused", "reference"])
def test_an_implied_volatility_has_the_derivatives_of_closed_forms(engine):
    S, T, r = 100.0, 1.5, 0.03
    K, sigma = np.array([80.0, 100.0, 130.0]), np.array([0.35, 0.2, 0.25])
    N = scipy.stats.norm
    d1 = (np.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * np.sqrt(T))
    d2 = d1 - sigma * np.sqrt(T)
    price = S * N.cdf(d1) - K * np.exp(-r * T) * N.cdf(d2)
    vega = S * N.pdf(d1) * np.sqrt(T)
    vanna, volga = -N.pdf(d1) * d2 / sigma, vega * d1 * d2 / sigma

    quotes = gs.Sweep(price=("quote", price), K=("quote", K), S=S, T=T, r=r)
    found = gs.hessian(implied, quotes, wrt=["price", "S"], engine=engine, with_value=True)
    np.testing.assert_allclose(found.implied, sigma, rtol=1e-12)
    np.testing.assert_allclose(found.d2implied_dprice_dprice, -volga / vega**3, rtol=1e-9)
    mixed = -(vanna - volga * N.cdf(d1) / vega) / vega**2
    np.testing.assert_allclose(found.d2implied_dprice_dS, mixed, rtol=1e-9)


def test_the_yield_of_a_bond_at_par_has_its_second_derivative():
    """Ten years of 5 %, paid twice a year: P'' and P' are sums over the payments."""
    k = np.arange(1.0, 21.0)
    paid = np.where(k == 20, 102.5, 2.5)

    def bond_yield(price):
        given, at = torch.from_numpy(paid), torch.from_numpy(k)
        return gs.find_root(lambda y: torch.sum(given * (1 + y / 2) ** -at) - price, 0.04)

    found = gs.hessian(bond_yield, price=[95.0, 100.0, 110.0], framework="torch", with_value=True)
    y = found.bond_yield.values[:, None]
    slope = np.sum(-k / 2 * paid * (1 + y / 2) ** (-k - 1), -1)
    bend = np.sum(k * (k + 1) / 4 * paid * (1 + y / 2) ** (-k - 2), -1)
    np.testing.assert_allclose(y[1], 0.05, rtol=1e-13)
    np.testing.assert_allclose(found.d2bond_yield_dprice_dprice, -bend / slope**3, rtol=1e-10)
    assert found.d2bond_yield_dprice_dprice[1] == pytest.approx(1.5548e-5, abs=5e-10)


def root(a, b):
    """The square root of a + b, which does not exist below zero."""
    return gs.find_root(lambda y: y * y - a - b, 1.0)


@pytest.mark.parametrize("engine", ["fused", "reference", "torch", "loop"])
def test_every_engine_has_nan_where_there_is_no_solution_and_nowhere_else(engine):
    a = np.array([4.0, -1.0, 2.0])
    found = gs.gradient(root, a=a, b=0.25, framework="torch", engine=engine, with_value=True)
    with np.errstate(invalid="ignore"):
        y = np.sqrt(a + 0.25)
    np.testing.assert_allclose(found.root, y, rtol=1e-14)
    np.testing.assert_allclose(found.droot_da, 0.5 / y, rtol=1e-14)
    np.testing.assert_allclose(found.droot_db, 0.5 / y, rtol=1e-14)


def bounded(a, low, high, start):
    return gs.find_root(lambda y: 2 * y - a, start, bracket=(low, high))


def test_a_bracket_without_a_change_of_sign_is_nan_in_derivatives_too():
    sweep = gs.Sweep(a=[1.0, 9.0, 3.0], low=0.0, high=2.0, start=0.5)
    found = gs.gradient(bounded, sweep, framework="torch", with_value=True)
    np.testing.assert_array_equal(found.bounded, [0.5, np.nan, 1.5])
    np.testing.assert_array_equal(found.dbounded_da, [0.5, np.nan, 0.5])


def test_swept_limits_that_are_no_limits_are_nan():
    low, high = [0.0, 3.0, -np.inf, 0.0, np.nan], [2.0, 0.0, 2.0, np.inf, 2.0]
    sweep = gs.Sweep(a=1.0, low=("bracket", low), high=("bracket", high), start=0.5)
    found = gs.value(bounded, sweep, framework="torch").bounded
    np.testing.assert_array_equal(found, [0.5, *[np.nan] * 4])


def test_start_and_bracket_have_derivatives_of_exactly_zero():
    sweep = gs.Sweep(a=[1.0, 2.0], low=0.0, high=2.0, start=[0.5, 0.7, 1.1])
    found = gs.gradient(bounded, sweep, framework="torch")
    for name in ("low", "high", "start"):
        assert np.all(found[f"dbounded_d{name}"] == 0)
    np.testing.assert_array_equal(found.dbounded_da, np.full_like(found.dbounded_da, 0.5))


def test_a_system_has_the_solution_of_scipy_and_the_inverse_of_its_jacobian():
    """y' = -A^-1 F_a, for two equations between a pair and an array in a container."""

    def pair(a):
        def residual(y):
            u, v = y["u"], y["v"]
            return {
                "first": torch.exp(u[0]) + v - a,
                "second": u[0] - v**3 * u[1],
                "third": u[1] - a,
            }

        y = gs.find_root(residual, {"u": torch.zeros(2), "v": 1.0})
        return {"u": y["u"], "v": y["v"]}

    found = gs.jacobian(pair, a=[1.5, 2.0, 4.0], with_value=True)
    for k, a in enumerate([1.5, 2.0, 4.0]):
        u, v = found.u[k].values, float(found.v[k])
        np.testing.assert_allclose(
            [u[0], v, u[1]],
            scipy.optimize.root(
                lambda x, a=a: [np.exp(x[0]) + x[1] - a, x[0] - x[1] ** 3 * x[2], x[2] - a],
                [u[0] + 0.1, v, a],
                tol=1e-13,
            ).x,
            rtol=1e-11,
        )
        A = [[np.exp(u[0]), 1, 0], [1, -3 * v**2 * a, -(v**3)], [0, 0, 1]]
        slope = np.linalg.solve(A, [1.0, 0.0, 1.0])
        np.testing.assert_allclose([found.du_da[k, 0], found.dv_da[k]], slope[:2], rtol=1e-12)


def test_an_equation_inside_an_equation():
    """y^2 = a inside, z + y = 3 y^2 outside: z = 3 a - sqrt(a)."""

    def outer(a):
        def residual(z):
            y = gs.find_root(lambda y: y * y - a, 1.0)
            return z + y - 3 * y**2 + 0 * torch.sin(z)

        return gs.find_root(residual, 0.0)

    found = gs.gradient(outer, a=[2.0, 5.0], with_value=True)
    a = np.array([2.0, 5.0])
    np.testing.assert_allclose(found.outer, 3 * a - np.sqrt(a), rtol=1e-14)
    np.testing.assert_allclose(found.douter_da, 3 - 0.5 / np.sqrt(a), rtol=1e-13)


def test_third_derivatives_and_float32():
    def cube(a):
        return gs.find_root(lambda y: y**3 - a, 1.5)

    a = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    third = y = cube(a)
    for _ in range(3):
        (third,) = torch.autograd.grad(third, a, create_graph=True)
    exact = 10 / 27 * 2 ** (-8 / 3)
    assert third.item() == pytest.approx(exact, rel=1e-13)
    assert y.item() == pytest.approx(2 ** (1 / 3), rel=1e-15)
    grad = torch.func.grad
    assert grad(grad(grad(cube)))(a.detach()).item() == pytest.approx(exact, rel=1e-13)
    narrow = gs.gradient(
        cube, a=np.array([2.0, 3.0], np.float32), framework="torch", with_value=True
    )
    assert narrow.cube.dtype == narrow.dcube_da.dtype == np.float32
    np.testing.assert_allclose(narrow.cube, np.cbrt([2.0, 3.0]), rtol=3e-7)


def test_a_singular_root_has_an_infinite_derivative():
    found = gs.gradient(root, a=[0.0, 1.0], b=0.0, framework="torch", with_value=True)
    assert abs(found.root[0]) < 1e-12
    assert not abs(found.droot_da[0]) < 1e11
    assert found.droot_da[1] == 0.5


def test_an_equation_with_more_numbers_than_unknowns_is_refused():
    with pytest.raises(gs.errors.ArgumentError, match="2 numbers for 1 unknowns"):
        gs.value(lambda a: gs.find_root(lambda y: torch.stack([y, a]), 1.0), a=[1.0, 2.0])
    with pytest.raises(gs.errors.ArgumentError, match="complex"):
        gs.value(lambda a: gs.find_root(lambda y: y * y + torch.abs(a), 1.0j), a=[1.0, 2.0])


def test_no_derivative_is_said_to_be_lost(recwarn):
    gs.gradient(bounded, gs.Sweep(a=[1.0, 2.0], low=0.0, high=2.0, start=0.5), framework="torch")
    assert not recwarn.list
    with pytest.warns(gs.errors.GradsweepWarning, match="copies"):  # what is looked for
        gs.gradient(lambda a: torch.tensor([a, a]).sum() + a, a=[1.0, 2.0])


def vega(price, by):
    """1 / vega, by a derivative that the function takes itself."""

    def volatility(price):
        return gs.find_root(lambda sigma: sigma**3 - price, 1.0)

    return by(volatility, price)


def test_a_derivative_taken_inside_by_torch_func_is_of_one_more_order():
    found = gs.gradient(lambda a: vega(a, lambda f, a: torch.func.grad(f)(a)), a=[2.0, 5.0])
    (name,) = found
    np.testing.assert_allclose(found[name], -2 / 9 * np.array([2.0, 5.0]) ** (-5 / 3), rtol=1e-13)


def test_a_derivative_taken_inside_by_autograd_is_refused_and_never_wrong():
    def by_autograd(f, a):
        a = a if a.requires_grad else a.clone().requires_grad_()
        return torch.autograd.grad(f(a), a, create_graph=True)[0]

    with pytest.raises(gs.errors.DerivativeError, match="torch.func.grad"):
        gs.gradient(lambda a: vega(a, by_autograd), a=[2.0, 5.0])


def test_an_equation_inside_a_system_is_solved_at_many_points_at_once():
    """y^2 = u inside; u + v = a + y and v = u outside: u = v, 2 u - sqrt(u) = a."""

    def outer(a):
        def residual(w):
            y = gs.find_root(lambda y: y * y - w[0], 1.0, bracket=(0.0, 9.0))
            return w[0] + w[1] - a - y, w[1] - w[0]

        return gs.find_root(residual, (2.0, 2.0))[1]

    a = np.array([1.0, 6.0])
    found = gs.gradient(outer, a=a, engine="torch", with_value=True)
    u = ((1 + np.sqrt(1 + 8 * a)) / 4) ** 2
    np.testing.assert_allclose(found.outer, u, rtol=1e-13)
    np.testing.assert_allclose(found.douter_da, 1 / (2 - 0.5 / np.sqrt(u)), rtol=1e-13)


def test_a_residual_that_calls_methods_of_tensors_is_given_tensors():
    def f(a):
        return gs.find_root(lambda y: y.clone().square() - a, 1.0)

    found = gs.gradient(f, a=[1.0, 4.0], framework="torch", engine="fused", with_value=True)
    np.testing.assert_allclose(found.f, [1.0, 2.0], rtol=1e-14)
    np.testing.assert_allclose(found.df_da, [0.5, 0.25], rtol=1e-14)
    with pytest.raises(AttributeError, match="clone"):  # a plain call, with Python's numbers
        f(4.0)
