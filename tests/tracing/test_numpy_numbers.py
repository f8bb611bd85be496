"""Arguments without dims are numbers of Python's, and what NumPy makes of them NumPy's.

What a plain call with Python's floats gives is what is claimed of every function here.
"""

import copy
import importlib
import math
import numbers

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.request.framework import works_on_numbers
from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.call import apply
from gradsweep.tracing.numpy.kinds import kind_of
from gradsweep.tracing.numpy.operations import table
from gradsweep.tracing.numpy.row import shown

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("torch", "jax")]
X = np.array([0.37, 0.81, 2.43])


def array_of_no_dims(x):
    a = np.array(x)
    b = a
    b *= 3  # a changes, x does not
    return a + x


def element_seen(x):
    a = np.array([x, 2.0])
    v = a[0, ...]
    v += x
    return a[0] * 2.0


def zeros_of_no_dims(x):
    z = np.zeros(())
    y = z
    z += x
    return y + z


def result_of_where(x):
    a = np.where(np.array([x, x]).sum() > 0, x, 1.0)
    b = a
    b += 1
    return a


def number_of_numpys(x):
    y = np.exp(x)
    z = y
    z **= 2
    s = np.sum(np.array([x, 2.0]))
    t = s
    t += 1
    return y + z + s + t


def seen_with_a_dim(x):
    y = np.atleast_1d(x)
    y[0] = 5.0
    z = np.asarray(x)[None]
    z += 2.0
    return x + y[0] + z[0]


def copies(x):
    a = np.array([x, 1.0])
    b, c = copy.copy(a), copy.deepcopy(a)
    b[0] = 7.0
    c += 1.0
    return a.sum()


def truth_values(x):
    of_python = (x > 0.5) + (x > 0.2) * 10 - (x > 2.0) + (-(x > 0.5)) + sum([x > 0.1, x > 1])
    of_numpy = ((np.exp(x) > 1.0) + (np.exp(x) > 1.2)) * 100.0
    of_math = ((math.exp(x) > 1.0) + (math.exp(x) > 1.2)) * 1000.0
    of_numpy += divmod(np.exp(x) > 1.5, 0.37)[0]
    return of_python + of_numpy + of_math + ~(np.exp(x) > 2.0) + (x > 1) / 2 + (x > 1) ** 2


def types(x):
    y, a = np.exp(x), np.array(x)
    known = [
        isinstance(x, float), isinstance(y, float), isinstance(a, float),
        isinstance(x, np.ndarray), isinstance(a, np.ndarray), isinstance(np.array([x]), np.ndarray),
        isinstance(x, np.floating), isinstance(y, np.float64), isinstance(y, np.generic),
        isinstance(x, int | float), isinstance(x, (int, np.ndarray)), isinstance(x, numbers.Real),
        isinstance(math.floor(a), int), isinstance(x > 1, bool), isinstance(y > 1, np.bool_),
        type(x) is float, type(a) is np.ndarray, type(y) is np.float64, isinstance(type(x), type),
        hasattr(x, "shape"), hasattr(y, "shape"), hasattr(x, "__len__"), hasattr(a, "__len__"),
        np.isscalar(x), np.isscalar(y), np.isscalar(a), np.iterable(x), np.iterable(np.array([x])),
    ]  # fmt: skip
    return sum(2.0**i for i, one in enumerate(known) if one) + 0.0 * x


def rounded(x):
    return round(x) / 4 + math.floor(x) / 2 + divmod(x, 0.2)[0] + round(np.exp(x)) // 2


TOGETHER = [
    array_of_no_dims, element_seen, zeros_of_no_dims, result_of_where, number_of_numpys,
    seen_with_a_dim, copies, truth_values, types, rounded,
]  # fmt: skip


def together(x):
    return np.array([f(x) * 1.0 for f in TOGETHER])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_numbers_and_arrays_of_no_dims_are_those_of_a_plain_call(framework):
    found = gs.jacobian(together, gs.Sweep(x=X), framework=framework, with_value=True)
    for f, values in zip(TOGETHER, found.together.values.T, strict=True):
        expected = [float(f(float(x))) for x in X]
        np.testing.assert_allclose(values, expected, rtol=1e-14, err_msg=f.__name__)
    slopes = (together(1.43 + 1e-6) - together(1.43 - 1e-6)) / 2e-6
    at = gs.jacobian(together, gs.Sweep(x=1.43), framework=framework).dtogether_dx
    np.testing.assert_allclose(at, slopes, rtol=1e-7, atol=1e-7)


# Of operators alone, without a name of NumPy's.


def doubled(y):
    y *= 2
    return y


def helper_in_place(x):
    return doubled(x) + x


def signs(x):
    return x * ((x > 0) - (x < 0)) + (x > 0.5) + (x > 0.2)


def told_by_type(x):
    return x**2 if isinstance(x, float) else 0.0 * x


def of_rounding(x):
    return round(x) * x + divmod(x, 0.2)[1]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("f", [helper_in_place, signs, told_by_type, of_rounding])
def test_operators_alone_work_on_pythons_numbers(f, framework):
    found = gs.gradient(lambda x: f(x), gs.Sweep(x=X), framework=framework, with_value=True)
    value, derivative = found.data_vars.values()
    np.testing.assert_allclose(value, [f(float(x)) for x in X], rtol=1e-14)
    slopes = [(f(x + 1e-6) - f(x - 1e-6)) / 2e-6 for x in map(float, X)]
    np.testing.assert_allclose(derivative, slopes, rtol=1e-8)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_inverted_comparison_is_the_other_as_for_arrays(framework):
    def f(x):
        return np.where((x > 0.5) & ~(x > 1.0), x, -x)

    found = gs.value(f, gs.Sweep(x=X), framework=framework).f
    np.testing.assert_allclose(found, f(X))


def test_control_operators_that_mean_the_same_to_tensors_stay_theirs():
    assert works_on_numbers(signs) and works_on_numbers(helper_in_place)
    assert not works_on_numbers(lambda x: x**2 if 0 < x < 1 else x.sin())
    assert not works_on_numbers(lambda x: np.exp(doubled(x)))


def results(function, x):
    """Yield what a function gives of numbers without dims, by how many it takes."""
    for args in ((x,), (x, x), (x, x, x), ([x], [x])):
        try:
            yield len(args), function(*args)
        except Exception:
            continue


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning")
def test_every_row_gives_a_number_where_numpy_does_and_an_array_where_it_does():
    import torch

    traced = Array(torch.tensor(0.5, dtype=torch.float64), "python")
    wrong, n_seen = [], 0
    for function in table():
        own = dict(results(function, 0.5))
        for n, ours in results(lambda *args, function=function: apply(function, args, {}), traced):
            one = ours[0] if isinstance(ours, tuple) and ours else ours
            numpys = own.get(n)
            numpys = numpys[0] if isinstance(numpys, tuple) and numpys else numpys
            if isinstance(one, Array) and not one.ndim and np.ndim(numpys) == 0 and n in own:
                n_seen += 1
                own_type = type(numpys)
                if kind_of(one).__module__ != own_type.__module__ or (
                    (kind_of(one) is np.ndarray) != (own_type is np.ndarray)
                ):
                    wrong.append((shown(function), n))
    assert n_seen > 100
    assert wrong == [("np.flip", 1)]  # an array of no dims in place of its number


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_function_may_find_its_framework_while_it_runs(framework):
    def f(x):
        xp = importlib.import_module({"torch": "torch", "jax": "jax.numpy"}[framework])
        is_large = x > 1.0  # what Python's numbers alone would do otherwise
        return xp.where(is_large, xp.sqrt(x), 0 * x) + xp.exp(x)

    x = np.array([0.3, 1.7])
    found = gs.gradient(f, gs.Sweep(x=x), framework=framework)
    slope = np.exp(x) + np.where(x > 1, 0.5 / np.sqrt(x), 0.0)
    np.testing.assert_allclose(found.df_dx, slope, rtol=1e-14)


DECIMALS = [2.675, 1.005, 0.125, -2.675, 0.5, 2.5, -0.0, 1e300, -1.115, np.nan, np.inf, 4.35, 1e-9]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("n_digits", [0, 1, 2, 3, 15])
def test_a_float_is_rounded_by_its_own_digits(n_digits, framework):
    """To np.round 2.675 is 2.68, since it multiplies first; to Python it is a little less."""
    found = gs.value(lambda x: round(x, n_digits), gs.Sweep(x=DECIMALS), framework=framework)
    own = np.array([round(x, n_digits) for x in DECIMALS])
    (rounded,) = found.to_array().values
    np.testing.assert_array_equal(rounded, own)
    np.testing.assert_array_equal(np.signbit(rounded), np.signbit(own))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_sign_of_a_zero_tells_the_side_of_the_cut_of_arccosh(framework):
    points = np.array([complex(-2, -0.0), complex(-2, 0.0), complex(0.5, -0.0), -3 + 1e-9j])
    found = gs.value(lambda z: np.arccosh(z), gs.Sweep(z=points), framework=framework)
    np.testing.assert_allclose(found.to_array().values[0], np.arccosh(points), rtol=1e-14)
