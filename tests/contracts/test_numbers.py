"""Forward against reverse, torch against JAX, dtypes, and special values."""

import math

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.engines.numpy import evaluate
from gradsweep.program.primitives import INTEGER_ONLY, PRIMITIVES
from gradsweep.program.program import Constant, Equation, Input, Output, Program
from gradsweep.request.sweep import Sweep
from gradsweep.testing import array_namespace


def smooth(xp):
    """From R^2 x R to R^3, smooth everywhere."""

    def smooth(q, s):
        a, b = q[0], q[1]
        return xp.stack(
            [xp.sin(a * b) + s * xp.exp(-b), xp.log(1.0 + a**2) * s**2, xp.tanh(a - b * s)]
        )

    return smooth


def scalar(xp):
    inner = smooth(xp)
    return lambda q, s: xp.sum(inner(q, s) ** 2)


def sweep(n=7):
    rng = np.random.default_rng(1)
    return gs.Sweep(q=("pose", rng.normal(size=(n, 2))), s=[0.3, 1.7, -0.4])


BOTH = [pytest.param("torch", marks=pytest.mark.torch), pytest.param("jax", marks=pytest.mark.jax)]


@pytest.mark.parametrize("framework", BOTH)
def test_forward_agrees_with_reverse(framework):
    f = smooth(array_namespace(framework))
    forward = gs.jacobian(f, sweep(), mode="forward", framework=framework)
    reverse = gs.jacobian(f, sweep(), mode="reverse", framework=framework)
    for name in forward.data_vars:
        np.testing.assert_allclose(forward[name], reverse[name], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("framework", BOTH)
def test_the_hessian_times_a_vector_agrees_with_hvp(framework):
    f = scalar(array_namespace(framework))
    v = {"q": np.array([0.5, -2.0]), "s": 3.0}
    hessian = gs.matrix(gs.hessian(f, sweep(), framework=framework))
    product = gs.matrix(gs.hvp(f, sweep(), v, framework=framework))
    expected = (hessian * [0.5, -2.0, 3.0]).sum("wrt_2")
    np.testing.assert_allclose(
        product.transpose("pose", "s", "wrt"),
        expected.transpose("pose", "s", "wrt"),
        rtol=1e-10,
        atol=1e-13,
    )


@pytest.mark.parametrize("framework", BOTH)
def test_vjp_and_jvp_are_transposes(framework):
    f = smooth(array_namespace(framework))
    w, v = np.array([1.0, -0.5, 2.0]), {"q": np.array([0.3, 0.7]), "s": -1.1}
    pulled = gs.vjp(f, sweep(), w, framework=framework)
    pushed = gs.jvp(f, sweep(), v, framework=framework).jvp
    left = (pulled.vjp_q * v["q"]).sum("q_0") + pulled.vjp_s * v["s"]
    np.testing.assert_allclose(
        left, (pushed * w).sum("f_0" if "f_0" in pushed.dims else "smooth_0"), rtol=1e-10
    )


@pytest.mark.torch
@pytest.mark.jax
@pytest.mark.parametrize("quantity", [gs.value, gs.jacobian, gs.hessian])
def test_torch_agrees_with_jax_on_a_smooth_function(quantity):
    found = [quantity(smooth(array_namespace(f)), sweep(), framework=f) for f in ("torch", "jax")]
    for name in found[0].data_vars:
        np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("framework", BOTH)
@pytest.mark.parametrize("engine", ["auto", "vectorised", "loop"])
def test_float64_in_never_comes_out_float32(framework, engine):
    if framework == "torch":
        import torch

        weights = torch.tensor([1.0, 2.0])  # float32, by torch's default

        def f(x):
            return (torch.tensor([0.1, 0.2]) * x).sum() + (weights * x).sum()
    else:
        import jax.numpy as jnp

        weights = jnp.array([1.0, 2.0])

        def f(x):
            return (jnp.array([0.1, 0.2]) * x).sum() + (weights * x).sum()

    engine = {"torch": "torch", "jax": "xla"}[framework] if engine == "vectorised" else engine
    ds = gs.gradient(f, gs.Sweep(x=[1.0, 2.0]), engine=engine, with_value=True)
    assert ds.df_dx.dtype == ds.f.dtype == "float64"
    # Numbers that f writes are in double precision too: 0.1 + 0.2, not its float32 neighbours.
    np.testing.assert_allclose(ds.df_dx, 3.3, rtol=1e-14)


@pytest.mark.parametrize("framework", BOTH)
def test_no_global_flag_is_touched(framework):
    if framework == "torch":
        import torch

        before = torch.get_default_dtype()
        gs.gradient(scalar(torch), sweep(), framework="torch")
        assert torch.get_default_dtype() is before
    else:
        import jax
        import jax.numpy as jnp

        gs.gradient(scalar(array_namespace("jax")), sweep(), framework="jax")
        assert not jax.config.jax_enable_x64
        assert jnp.ones(1).dtype == "float32"


SPECIAL = np.array(
    [math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, -5e-324, 1.0, -1.0, 1e308, 0.5]
)
SPECIAL_INTEGERS = np.array([0, 1, -1, 127, 128, -129, 2**31, -(2**31) - 1, 2**52 + 1, -(2**52)])

UNARY = [name for name, row in PRIMITIVES.items() if row.n_inputs == 1 and name != "not"]


@pytest.mark.parametrize("name", UNARY)
def test_special_values_go_through_unary_primitives_as_numpy_has_them(name):
    row = PRIMITIVES[name]
    special, read = SPECIAL, ()
    if name in INTEGER_ONLY:  # an argument is never an integer
        special, read = SPECIAL_INTEGERS, (Equation("to_int64", (0,), "int64"),)
    dtype = str(special.dtype) if row.result == "same" else row.result
    equations = (*read, Equation(name, (len(read),), dtype))
    outputs = (Output("y", (), (len(equations),)),)
    program = Program((Input("x", 0, "float64"),), (), equations, outputs)
    leaves = {leaf.key: leaf for leaf in Sweep(x=special).leaves}
    order = list(program.numbered())
    result = len(equations)
    found = evaluate(program, leaves, ("x",), order, [result])[result]
    # One value at a time, so that no vectorised path of NumPy is used.
    with np.errstate(all="ignore"):
        expected = np.array([row.numpy(np.array([value]))[0] for value in special])
    np.testing.assert_array_equal(found, expected)
    if found.dtype.kind == "f":
        number = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(found[number]), np.signbit(expected[number]))


def test_a_constant_is_no_program_input():
    program = Program((), (Constant(2.0, "float64"),), (), (Output("y", (), (0,)),))
    values = evaluate(program, {}, ("x",), [], [0])
    assert values[0].shape == (1,) and values[0].item() == 2.0
