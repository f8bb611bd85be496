"""Truth values and integers in NumPy's functions give what NumPy gives of them."""

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import BranchError

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("torch", "jax")]
X = np.array([0.5, 1.5, -0.7, 3.0])


def known(x):
    return np.array([x > 0, x > 1])


def products(x):
    a, b = known(x), np.array([1, 2])
    of_truth = [a.dot(a), a @ a, np.inner(a, a), np.vdot(a, a), np.einsum("i,i->", a, a)]
    of_both = [a.dot(b), a @ b, np.inner(a, b), np.vdot(a, b), np.einsum("i,i->", a, b)]
    tables = [np.outer(a, a), np.kron(a, a), np.tensordot(a, a, 0), np.outer(a, b)]
    return sum(of_truth) + sum(of_both) + sum(one.sum() for one in tables)


def places(x):
    far = np.array([x, 1, 3]) > 2
    sorted_place = np.searchsorted(np.array([False, True]), x > 0)
    return np.argmax(far) + 10 * np.argmin(far) + 100 * sorted_place


def elements(x):
    whole = [np.floor(x > 1), np.ceil(x > 1), np.trunc(x > 1), np.absolute(x > 1), np.rint(x > 1)]
    return sum(3.0**i * one for i, one in enumerate(whole)) + np.floor_divide(x > 1, True)


def of_two(x):
    return np.hypot(x > 1, 2.0) + np.arctan2(x > 1, x) + np.copysign(2, x) + np.fmod(x > 1, 2)


def shifted(x):
    a = np.array([x > 0, x > 1]) * 5
    a <<= 1
    return ((x > 0) << 2) + (a << 3).sum() + (a >> 1).sum() + (8 >> (x > 1)) + np.exp(x > 0) * 0.0


def whole(x):
    return x.is_integer() + np.floor(np.exp(x)).is_integer() * 2.0


CASES = [products, places, elements, of_two, shifted, whole]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("of_truth", CASES)
def test_numpy_computes_the_same_of_truth_values(of_truth, framework):
    def f(x):
        return of_truth(x) * x**2

    found = gs.gradient(f, gs.Sweep(x=X), framework=framework, with_value=True)
    expected = [f(x) for x in X.tolist()]
    # np.hypot of a truth value and a number of Python's is half precision in NumPy.
    np.testing.assert_allclose(found.f, expected, rtol=1e-3 if of_truth is of_two else 1e-13)
    slopes = [(f(x + 1e-6) - f(x - 1e-6)) / 2e-6 for x in X.tolist()]
    if of_truth is not whole:  # it jumps
        np.testing.assert_allclose(found.df_dx, slopes, rtol=1e-3)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_method_of_pythons_floats_alone_is_known(framework):
    found = gs.value(lambda x: x.is_integer() * x, gs.Sweep(x=X), framework=framework)
    (value,) = found.data_vars.values()
    np.testing.assert_array_equal(value, [0.0, 0.0, -0.0, 3.0])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_complex_numbers_are_rounded_by_their_parts(framework):
    def f(z):
        return np.round(z, 1) + np.rint(z) * z + np.around(100 * z, -1)

    z = np.array([0.557 + 1.263j, -1.5j, 2.5 - 0.5j])
    found = gs.value(f, gs.Sweep(z=z), framework=framework).f
    np.testing.assert_allclose(found, f(z), rtol=1e-14)


def by_place(x):
    return [10.0, 20.0][x > 0] * np.exp(x) + (1.0, x)[x > 1]


@pytest.mark.torch
def test_a_truth_value_is_an_index():
    found = gs.value(by_place, gs.Sweep(x=X), framework="torch").by_place
    np.testing.assert_allclose(found, [by_place(x) for x in X.tolist()], rtol=1e-14)


@pytest.mark.jax
def test_control_jax_refuses_it_as_it_refuses_a_branch():
    with pytest.raises(BranchError, match="truth value"):
        gs.value(by_place, gs.Sweep(x=X), framework="jax")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_float_is_not_shifted(framework):
    with pytest.raises(Exception, match="left_shift.*integers"):
        gs.value(lambda x: np.exp(x) * (x << 2), gs.Sweep(x=X), framework=framework)
