"""Equations solved inside functions of NumPy, math and operators alone, in both frameworks."""

import math

import numpy as np
import pytest
import scipy.optimize

import gradsweep as gs
from gradsweep import find_root
from tests.support.equations import MODELS, by_mpmath, solved, swept


@pytest.mark.parametrize("module", [math, np], ids=["math", "numpy"])
def test_solutions_and_derivatives_are_those_of_mpmath(module, framework):
    model = MODELS["van der Waals"]
    hessian = gs.hessian(solved(model, module), swept(model), framework=framework, with_value=True)
    for k, arguments in enumerate(model.arguments):
        value, _, second = by_mpmath(model, float(hessian.y[k]), *arguments)
        np.testing.assert_allclose(hessian.y[k], value, rtol=1e-12)
        rows = [[hessian[f"d2y_d{i}_d{j}"][k] for j in "ab"] for i in "ab"]
        np.testing.assert_allclose(rows, second, rtol=1e-9)


def cube_root(a, start):
    """Of operators alone: which framework it is in, the residual's value tells."""
    return gs.find_root(lambda y: y * y * y - a, start, bracket=(0.0, a + 1))


def test_a_function_of_operators_alone(framework):
    a = np.array([2.0, 5.0])
    sweep = gs.Sweep(a=a, start=[1.0, 0.5, 1.5])
    found = gs.hessian(cube_root, sweep, framework=framework, with_value=True)
    y = np.cbrt(a)
    np.testing.assert_allclose(found.cube_root.T, np.broadcast_to(y, (3, 2)), rtol=1e-14)
    second = found.d2cube_root_da_da
    np.testing.assert_allclose(second.T, np.broadcast_to(-2 / 9 * y**-5, (3, 2)), rtol=1e-12)
    assert np.all(found.d2cube_root_da_dstart == 0)


def test_arrays_and_containers_of_numpy_and_a_number_that_stays_pythons(framework):
    """Two springs in a row: forces balance, in an array; its stretch in a dict."""
    kinds = []

    def springs(k, load):
        def residual(x):
            kinds.append(isinstance(x["sum"], float))
            stretch = x["stretch"]
            force = k * np.sinh(stretch)
            return {"force": force - load, "sum": x["sum"] - np.sum(stretch)}

        return find_root(residual, {"stretch": np.zeros(2), "sum": 0.0})["sum"]

    k = np.array([1.5, 3.0])
    sweep = gs.Sweep(k=((), k), load=[1.0, 2.0, 4.0])
    found = gs.gradient(springs, sweep, wrt="load", framework=framework, with_value=True)
    ratio = np.array([1.0, 2.0, 4.0])[:, None] / k
    np.testing.assert_allclose(found.springs, np.arcsinh(ratio).sum(-1), rtol=1e-13)
    slope = (1 / k / np.sqrt(1 + ratio**2)).sum(-1)
    np.testing.assert_allclose(found.dsprings_dload, slope, rtol=1e-13)
    assert all(kinds)


def test_a_system_of_six_unknowns_has_the_solution_of_scipy(framework):
    """A chain of six masses on springs that stiffen, pulled at its end."""

    def pulled(x, force, m=np):
        inner = m.diff(m.concatenate([m.zeros(1), x]))
        tension = inner + 0.1 * inner**3
        return m.concatenate([tension[:-1] - tension[1:], tension[-1:] - force])

    def chain(force):
        return gs.find_root(lambda x: pulled(x, force), np.zeros(6))[5]

    found = gs.gradient(chain, force=[0.5, 2.0], framework=framework, with_value=True)
    for k, force in enumerate([0.5, 2.0]):
        x = scipy.optimize.root(lambda x, f=force: pulled(x, f), np.zeros(6), tol=1e-13).x
        stretch = x[5] / 6
        np.testing.assert_allclose(found.chain[k], x[5], rtol=1e-11)
        np.testing.assert_allclose(found.dchain_dforce[k], 6 / (1 + 0.3 * stretch**2), rtol=1e-11)


def test_an_equation_of_constants_alone_is_a_constant(framework):
    def f(a):
        return a * find_root(lambda y: np.exp(y) - 2.0, 1.0)

    found = gs.gradient(f, a=[1.0, 3.0], framework=framework)
    assert float(found.df_da) == pytest.approx(math.log(2), rel=1e-12)
    assert found.df_da.dims == ()
