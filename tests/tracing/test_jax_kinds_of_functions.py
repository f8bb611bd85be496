"""Functions of JAX of every kind and dtype, and the errors of those that cannot be traced."""

import functools
import math
import random

import jax.numpy as jnp
import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import BranchError, OutputError, StatefulFunction
from gradsweep.tracing.jax.operators import scoped_x64
from tests.support.jax_frontend import computed, traced

jax = pytest.importorskip("jax")
pytestmark = pytest.mark.jax


# -- kinds of functions, and dtypes


class Model:
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, x):
        return self.scale * x**2

    def method(self, x, power=2):
        return self.scale * x**power


@jax.custom_jvp
def with_own_jvp(x):
    return x**2


@jax.custom_vjp
def with_own_vjp(x):
    return x**2


with_own_jvp.defjvp(lambda x, v: (x[0] ** 2, 7.0 * v[0]))
with_own_vjp.defvjp(lambda x: (x**2, x), lambda x, w: (7.0 * w * x,))


def scaled_by(c):
    return lambda x: c * x**2


CALLABLES = {
    "lambda": (lambda x: 3.0 * x**2, 12.0),
    "jitted": (jax.jit(lambda x: 3.0 * x**2), 12.0),
    "partial": (functools.partial(Model(3.0).method, power=3), 36.0),
    "method": (Model(3.0).method, 12.0),
    "object": (Model(3.0), 12.0),
    "custom_jvp": (with_own_jvp, 7.0),
    "custom_vjp": (with_own_vjp, 14.0),
    "numpy_constant": (lambda x: np.float64(3.0) * x**2, 12.0),
    "closed_over_float32": (scaled_by(jnp.float32(3.0)), 12.0),
}


@pytest.mark.parametrize("name", CALLABLES)
def test_callable_is_differentiated_by_its_own_rule(name):
    f, expected = CALLABLES[name]
    assert computed("gradient", f, wrt=["x"], x=2.0)[0] == pytest.approx(expected, rel=1e-15)


def test_equinox_module_is_a_function():
    equinox = pytest.importorskip("equinox")
    with scoped_x64():
        layer = equinox.nn.MLP(2, "scalar", 4, 1, key=jax.random.key(0))
        point = np.array([0.3, -0.7])
        expected = jax.grad(layer)(jnp.asarray(point))
    (got,) = computed("gradient", layer, x=((), point), wrt=["x"])
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_pytrees_go_in_and_come_out():
    def f(p):
        return {"sum": p["a"] * p["b"][0].sum(), "pair": (p["a"] ** 2, p["b"][0])}

    tree = {"a": 2.0, "b": [np.array([1.0, 3.0])]}
    t = traced("jacobian", f, p=((), tree))
    assert [(r.output, r.wrt) for r in t.results][:2] == [("sum", ("p.a",)), ("sum", ("p.b.0",))]
    results = computed("jacobian", f, p=((), tree))
    assert results[0] == 4.0
    np.testing.assert_array_equal(results[1], [2.0, 2.0])


def test_float64_in_never_comes_out_float32():
    def f(x):
        return jnp.sin(x.astype(jnp.float32))

    t = traced("gradient", f, x=1.0)
    assert {t.program.dtype(v) for o in t.program.outputs for v in o.variables} == {"float64"}
    with t.context():
        assert t.call({"x": jnp.asarray(1.0)})[0].dtype == "float64"
    assert computed("gradient", f, x=1.0)[0] == pytest.approx(math.cos(1.0), rel=1e-6)


def test_float32_in_stays_float32():
    t = traced("gradient", lambda x: jnp.sin(x) * 2.0, x=np.ones(3, "float32"))
    assert {t.program.dtype(v) for v in range(t.program.n_variables)} == {"float32"}


def test_global_precision_is_left_alone():
    before = jax.config.jax_enable_x64
    traced("gradient", jnp.sin, x=1.0)
    assert jax.config.jax_enable_x64 == before


def test_integer_output_becomes_floating_and_a_bool_stays_one():
    def f(x):
        return {"count": 3, "sign": jnp.int32(x), "positive": x > 0}

    t = traced("value", f, x=1.5)
    dtypes = [t.program.dtype(output.variables[0]) for output in t.program.outputs]
    assert dtypes == ["float64", "float64", "bool"]
    assert [r.is_bool for r in t.results] == [False, False, True]
    assert computed("gradient", lambda x: x > 0, x=1.5) == [0.0]


# -- errors


def branches(x):
    if x > 0:
        return x
    return -x


def calls_math(x):
    return math.sin(x)


def calls_numpy(x):
    return np.sin(x)


def makes_float(x):
    return x * float(x)


def masks(x):
    return x[x > 0].sum()


@pytest.mark.parametrize(
    ("f", "x", "line", "advice"),
    [
        (branches, 1.0, "if x > 0:", "jnp.where"),
        (calls_math, 1.0, "return math.sin(x)", "jnp.sin (jax.numpy) instead of math's sin"),
        (calls_numpy, 1.0, "return np.sin(x)", "jnp.sin (jax.numpy) instead of np's sin"),
        (makes_float, 1.0, "return x * float(x)", "no float()"),
        (masks, ((), np.ones(3)), "return x[x > 0].sum()", "jnp.where(mask, x, 0)"),
    ],
)
def test_branch_error_names_the_line_and_what_to_write(f, x, line, advice):
    with pytest.raises(BranchError) as caught:
        traced("gradient", f, x=x)
    message = str(caught.value)
    number = f.__code__.co_firstlineno + 1
    assert f"{__file__}:{number}" in message
    assert f'"{line}"' in message
    assert advice in message
    assert isinstance(caught.value.__cause__, TypeError | IndexError)


def test_integer_needed_by_python_is_a_branch_error():
    with pytest.raises(BranchError, match="Python integer"):
        traced("value", lambda n, x: x * range(3)[n], n=((), np.int64(1)), x=1.0)


def test_error_of_the_function_itself_passes_with_the_point():
    def fails(S, K):
        raise KeyError("no such quote")

    with pytest.raises(KeyError) as caught:
        traced("gradient", fails, S=50.0, K=100.0)
    assert "while tracing fails at S=50, K=100" in caught.value.__notes__


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: {"price": x, "name": "call"}, "output 'name' is 'call' (str)"),
        (lambda x: None, "the output is None"),
        (lambda x: [x, object()], "output '1' is <object"),
        (lambda x: jax.random.key(0), "not a number"),
    ],
)
def test_output_that_is_no_number_is_named(f, message):
    with pytest.raises(OutputError) as caught:
        traced("value", f, x=1.0)
    assert message in str(caught.value)
    assert not getattr(caught.value, "__notes__", [])


calls = [0]


def counter(x):
    calls[0] += 1
    return x * calls[0]


@pytest.mark.parametrize(
    "f",
    [
        counter,
        jax.jit(counter),
        lambda x: x * np.random.rand(),
        lambda x: x * random.random(),
        lambda x: jnp.linalg.eigh(jnp.outer(x, x))[0].sum() * np.random.rand(),
        lambda x: jnp.linalg.eigh(jnp.outer(x, x) * np.random.rand(3, 3))[0].sum(),
    ],
)
def test_state_is_found(f):
    with pytest.raises(StatefulFunction, match="different results for the same arguments"):
        traced("value", f, x=((), np.ones(3)))


def test_traced_value_kept_from_an_earlier_call_is_named():
    kept = []

    def leaks(x):
        kept.append(x)
        return sum(kept)

    with pytest.raises(StatefulFunction, match="kept from an earlier call"):
        traced("gradient", leaks, x=1.0)


def test_traced_value_that_is_kept_and_not_used_does_no_harm():
    model = Model(3.0)

    def remembers(x):
        model.last = x
        return x**2

    assert computed("gradient", remembers, x=2.0) == [4.0]


def test_random_key_that_is_closed_over_is_a_constant():
    key = jax.random.key(7)

    def f(x):
        return jnp.linalg.eigh(jnp.outer(x, x))[0].sum() * jax.random.uniform(key)

    assert "eigenvalues" in traced("value", f, x=((), np.ones(9))).reason


@pytest.mark.torch
def test_a_function_of_operators_that_is_no_program_is_compiled_by_xla():
    def total(x, a):
        return ((x * a) @ (x * a)).sum()

    a = np.random.default_rng(0).normal(size=(36, 36))  # 46,656 multiplications
    found = gs.gradient(total, gs.Sweep(x=np.linspace(1.0, 2.0, 5), a=((), a)), wrt="x")
    assert found.attrs["framework"] == "jax" and found.attrs["engine"] == "xla"
    np.testing.assert_allclose(found.dtotal_dx, 2 * found.x * (a @ a).sum(), rtol=1e-11)


@pytest.mark.torch
def test_what_jax_cannot_trace_stays_with_torch():
    def area(x, y):
        size = abs((x + 1j * y) * (2 - 1j)) ** 2
        return size if x > 1.5 else 2 * size

    found = gs.gradient(area, gs.Sweep(x=np.array([1.0, 2.0]), y=3.0))
    assert found.attrs["framework"] == "torch"
    np.testing.assert_allclose(found.darea_dx, [20.0, 20.0], rtol=1e-14)


@pytest.mark.parametrize("quantity", [gs.gradient, gs.value])
def test_a_module_imported_inside_the_function_names_its_framework(quantity):
    def f(x):
        import jax.numpy as xp
        from jax.scipy.special import gammaln

        return xp.sin(x) + gammaln(x + 1.0)

    found = quantity(f, gs.Sweep(x=[0.0, 1.0]))
    assert found.attrs["framework"] == "jax"
    # By the closed forms at 0 and 1: psi(1) = -gamma, psi(2) = 1 - gamma; log 0! = log 1! = 0.
    if quantity is gs.gradient:
        expected = [1 - np.euler_gamma, math.cos(1.0) + 1 - np.euler_gamma]
        np.testing.assert_allclose(found.df_dx, expected, rtol=1e-13)
    else:
        np.testing.assert_allclose(found.f, [0.0, math.sin(1.0)], atol=1e-15)


def test_function_applied_to_an_entry_is_left_to_jax():
    def applied(x):
        return jnp.stack([x, 2 * x]).at[1].apply(jnp.sin)

    found = gs.value(applied, gs.Sweep(x=[0.5, 1.0]))
    assert found.engine == "xla"
    np.testing.assert_allclose(found.applied[:, 1], np.sin([1.0, 2.0]), rtol=1e-15)
