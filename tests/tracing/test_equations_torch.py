"""Equations solved inside functions of torch: what torch alone has, its autograd and torch.func."""

import numpy as np
import pytest

import gradsweep as gs

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def bounded(a, low, high, start):
    return gs.find_root(lambda y: 2 * y - a, start, bracket=(low, high))


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
