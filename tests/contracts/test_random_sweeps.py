"""Random sweeps through every engine, against a plain loop of the framework's own derivative."""

import importlib.util

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gradsweep as gs

SETTINGS = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

# Each is smooth where values are drawn, and written with operators alone.
FUNCTIONS = {
    "polynomial": lambda a, b, c: a**2 * b - c * a / (b**2 + 1.0) + 3.0,
    "separable": lambda a, b, c: a**3 + b**2 + 2.0 * c,
    "ignores b": lambda a, b, c: (a * c) ** 2,
    "two outputs": lambda a, b, c: {"y": a * b, "z": {"w": c**2}},
}


@st.composite
def sweeps(draw):
    """Three scalar arguments: each fixed, swept alone, zipped with another, or on two axes."""
    dims = draw(st.lists(st.sampled_from(["i", "j", "k"]), min_size=1, max_size=3, unique=True))
    sizes = {dim: draw(st.integers(1, 4)) for dim in dims}
    dtype = draw(st.sampled_from(["float64", "float64", "float32"]))
    arguments, axes_of = {}, {}
    for name in "abc":
        own = tuple(draw(st.lists(st.sampled_from(dims), max_size=2, unique=True)))
        shape = tuple(sizes[dim] for dim in own)
        values = draw(
            hnp.arrays(dtype, shape, elements=st.floats(-2.0, 2.0, width=32, allow_subnormal=False))
        )
        arguments[name] = (own, values) if own else dtype and np.dtype(dtype).type(values)
        axes_of[name] = own
    return arguments, axes_of


def loop_gradient(framework, f, values):
    """Return the derivative at one point, as a user of the framework would write it."""
    if framework == "torch":
        import torch

        x = {n: torch.tensor(v, requires_grad=True) for n, v in values.items()}
        outputs = f(**x)
        outputs = (
            {"f": outputs}
            if not isinstance(outputs, dict)
            else {"y": outputs["y"], "z_w": outputs["z"]["w"]}
        )
        return {
            (o, n): g
            for o, y in outputs.items()
            for n, g in zip(
                x,
                torch.autograd.grad(y, list(x.values()), allow_unused=True, materialize_grads=True),
            )
        }
    import jax

    with jax.enable_x64(True):
        g = jax.jacrev(lambda x: f(**x))({n: jax.numpy.asarray(v) for n, v in values.items()})
        outputs = {"f": g} if "y" not in g else {"y": g["y"], "z_w": g["z"]["w"]}
        return {(o, n): np.asarray(v) for o, row in outputs.items() for n, v in row.items()}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    "framework, engine",
    [
        pytest.param("torch", "fused", marks=pytest.mark.torch),
        pytest.param("torch", "reference", marks=[pytest.mark.torch, pytest.mark.slow]),
        pytest.param("torch", "torch", marks=[pytest.mark.torch, pytest.mark.slow]),
        pytest.param("torch", "loop", marks=[pytest.mark.torch, pytest.mark.slow]),
        pytest.param("jax", "fused", marks=pytest.mark.jax),
        pytest.param("jax", "reference", marks=[pytest.mark.jax, pytest.mark.slow]),
        pytest.param("jax", "xla", marks=[pytest.mark.jax, pytest.mark.slow]),
    ],
)
def test_random_sweeps_agree_with_a_plain_loop(framework, engine, name):
    if importlib.util.find_spec(framework) is None:
        pytest.skip(framework)
    f = FUNCTIONS[name]

    @SETTINGS
    @given(sweeps())
    def check(drawn):
        arguments, axes_of = drawn
        sweep = gs.Sweep(**arguments)
        ds = gs.broadcast(gs.gradient(f, sweep, engine=engine, framework=framework))
        axes = list(sweep.axes)
        double = all(v.dtype == "float32" for v in map(values_of, arguments.values()))
        rtol = 1e-4 if double else 1e-12
        for index in np.ndindex(*sweep.axes.values()):
            where = dict(zip(axes, index))
            point = {
                n: values_of(arguments[n])[tuple(where[d] for d in axes_of[n])] for n in arguments
            }
            for (output, argument), expected in loop_gradient(framework, f, point).items():
                found = ds[f"d{output}_d{argument}"].isel(where)
                np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)

    check()


def values_of(written):
    return np.asarray(written[1] if isinstance(written, tuple) else written)
