"""What a function written with NumPy cannot do is said in words, never a silent number."""

import math
import sys

import numpy as np
import pytest
import scipy.optimize

import gradsweep as gs
from gradsweep.errors import BranchError, DerivativeError, UntraceableError

pytest.importorskip("torch")
pytest.importorskip("jax")

FRAMEWORKS = ["torch", "jax"]
X = np.array([0.3, 0.8, 1.7])
RATES = np.array([1.0, 2.0, 3.0])


def through_scipy(x):
    return scipy.optimize.brentq(lambda y: y**3 - x, 0.0, 9.0)


REFUSED = {
    "a function without a counterpart": (
        lambda x: np.linalg.eigvals(np.array([[x, 1.0], [2.0, x]]))[0].real,
        "np.linalg.eigvals",
    ),
    "unwrap": (lambda x: np.unwrap(np.array([x, 9.0]))[1], "np.unwrap"),
    "ldexp": (lambda x: np.ldexp(x, 2), "np.ldexp"),
    "math.nextafter": (lambda x: math.nextafter(x, 2.0), "math.nextafter"),
    "an option": (lambda x: np.array([x, x], ndmax=2).sum(), "ndmax="),
    "arange": (lambda x: np.arange(0.0, x, 0.1).sum(), "length would vary"),
    "linspace": (lambda x: np.linspace(0.0, 1.0, x).sum(), "fixed integer"),
    "integers": (lambda x: _written(np.zeros(3, dtype=int), x), "array of integers"),
    "an outside array": (lambda x: _written(np.asarray(RATES), x), "exists outside"),
    "a view that is not followed": (lambda x: _layers(x), "shares memory"),
    "a view as another type": (lambda x: np.full(2, x).view(np.int64).sum(), "another type"),
    "einsum by lists": (lambda x: np.einsum(np.full(2, x), [0], [0])[0], "as letters"),
    "scipy": (through_scipy, "traced|NumPy array|Python float"),
    "frompyfunc": (
        lambda x: np.frompyfunc(lambda y: 2 * y, 1, 1)(x) * np.exp(x),
        r"what np.frompyfunc has made [\s\S]*np.vectorize",
    ),
    "polyfit": (lambda x: np.polyfit(np.arange(3.0), np.array([x, 1.0, 2.0]), 1)[0], "np.polyfit"),
}


def _layers(x):
    a = np.ones((2, 2, 2))
    layer = np.dsplit(a, 2)[0]
    a[0, 0, 0] = x
    return layer.sum()


def _written(a, x):
    a[0] = x
    return a.sum()


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_counterpart_is_an_error_that_names_it(name, framework):
    f, words = REFUSED[name]
    with pytest.raises((UntraceableError, DerivativeError, BranchError), match=words):
        gs.gradient(f, gs.Sweep(x=X), framework=framework)
    assert RATES.tolist() == [1.0, 2.0, 3.0]


def test_a_number_that_is_written_into_an_array_of_the_users_is_no_constant():
    outside = np.ones(3)
    with pytest.raises(UntraceableError, match=r"exists outside .* a\[0\] = x"):
        gs.gradient(lambda x: _written(outside, np.exp(x)), gs.Sweep(x=X), framework="torch")
    held = {"of an object": np.ones(3)}
    with pytest.raises(DerivativeError, match=r"a Python float .* a\[0\] = x"):
        gs.gradient(
            lambda x: _written(held["of an object"], np.exp(x)), gs.Sweep(x=X), framework="torch"
        )


def test_the_error_names_the_function_and_the_users_line():
    def f(x):
        return np.nanmedian(np.array([x, 1.0]))

    with pytest.raises(UntraceableError, match=r"np.nanmedian .*_errors.py:\d+: return np"):
        gs.gradient(f, gs.Sweep(x=X))


SIZES = [
    lambda x, n: np.zeros(n).sum() * x,
    lambda x, n: np.ones((n, 2)).sum() * x,
    lambda x, n: np.arange(n).sum() * x,
    lambda x, n: np.eye(n).sum() * x,
    lambda x, n: np.full(n, x).sum(),
    lambda x, n: np.linspace(0.0, x, n).sum(),
    lambda x, n: sum([x] * n) * np.pi,
]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_swept_length_is_told_to_be_each(framework):
    for f in SIZES:
        sweep = gs.Sweep(x=1.0, n=[2, 3])
        with pytest.raises((UntraceableError, TypeError)) as caught:
            gs.gradient(f, sweep, framework=framework)
        told = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
        assert "n=gs.each([2, 3])" in told


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_advice_to_a_function_of_numpys_names_no_framework(framework):
    for f in (
        lambda x: np.exp(x) * float(x),
        lambda x: np.sin(x) if framework == "jax" and x > 0 else np.float64(x) * x,
    ):
        with pytest.raises((DerivativeError, BranchError)) as caught:
            gs.gradient(f, gs.Sweep(x=0.7), framework=framework)
        assert "torch.exp" not in str(caught.value) and "jnp" not in str(caught.value)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_shapes_that_do_not_fit_are_told_with_the_line(framework):
    def f(x):
        return (np.array([x, 1.0]) @ np.ones((3, 3))).sum()

    with pytest.raises((ValueError, TypeError, RuntimeError)) as caught:
        gs.value(f, gs.Sweep(x=X), framework=framework)
    notes = "\n".join(caught.value.__notes__)
    assert "np.matmul of (2,) and (3, 3), at test_numpy_errors.py" in notes


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_attributes_are_numpys_and_what_none_has_is_named(framework):
    def f(x):
        a = np.array([[x, 1.0, 2.0], [3.0, x, 5.0]])
        return a.mT[2, 0] * x + a.itemsize + a.nbytes

    np.testing.assert_allclose(gs.value(f, gs.Sweep(x=X), framework=framework).f, 2 * X + 56)
    with pytest.raises(AttributeError, match=r"neither NumPy's .* 'nonsense', at test_numpy"):
        gs.value(lambda x: np.array([x]).nonsense(), gs.Sweep(x=X), framework=framework)
    # A tensor's own .data and .nonzero mean something else.
    for f in (lambda x: np.array([x]).data[0], lambda x: np.array([x]).nonzero()[0] * x):
        with pytest.raises(UntraceableError, match="no counterpart"):
            gs.value(f, gs.Sweep(x=X), framework=framework)


def test_a_function_of_numpys_that_is_a_default_is_followed():
    def f(x, g=math.exp, weights=RATES):
        w = weights.copy()
        w[0] = g(x)
        return w.sum()

    np.testing.assert_allclose(gs.gradient(f, gs.Sweep(x=X)).df_dx, np.exp(X), rtol=1e-14)


def test_an_index_outside_a_table_gives_no_element():
    def f(x):
        return np.array([1.0, 2.0])[np.floor(x).astype(int)] * x

    assert np.isnan(gs.value(f, gs.Sweep(x=5.5), framework="jax").f)
    with pytest.raises(IndexError):
        gs.value(f, gs.Sweep(x=5.5), framework="torch")
    with pytest.raises(IndexError):
        gs.value(lambda x: np.array([x, x])[2], gs.Sweep(x=5.5), framework="jax")


def test_a_number_that_python_reads_is_no_constant():
    with pytest.raises(DerivativeError, match="Python float"):
        gs.gradient(lambda x: np.exp(x) * float(x), gs.Sweep(x=X), framework="torch")
    with pytest.raises(BranchError):
        gs.gradient(lambda x: np.exp(x) * float(x), gs.Sweep(x=X), framework="jax")


def test_a_function_that_names_a_framework_is_not_in_the_dialect():
    import torch

    def f(x):
        return torch.exp(x) * np.pi + math.exp(1.0)

    np.testing.assert_allclose(gs.gradient(f, gs.Sweep(x=X)).df_dx, np.pi * np.exp(X), rtol=1e-14)


def test_without_a_framework_the_error_says_what_to_install(monkeypatch):
    for name in ("torch", "jax"):
        monkeypatch.setitem(sys.modules, f"gradsweep.tracing.{name}", None)
        monkeypatch.delitem(sys.modules, f"gradsweep.tracing.{name}")
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(gs.errors.MissingPackage, match="pip install"):
        gs.gradient(lambda x: np.exp(x), gs.Sweep(x=X))
