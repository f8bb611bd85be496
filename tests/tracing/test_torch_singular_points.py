"""Forward mode where a formula of torch's ends with a choice, since its factors are NaN there.

torch's backward for sinc at 0, a norm of zeros or 0**y is 0, chosen in place of a NaN. Forward mode
transposes that formula, and must give the same number.
"""

import contextlib
import importlib
import math

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.program.builder import Builder

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

ENGINES = ["auto", "reference", "loop", "torch"]

# Each at 0 and at 2, with its derivative there.
FUNCTIONS = {
    "sinc": (lambda x: torch.sinc(x), [0.0, 0.5]),
    "sinc of several": (
        lambda x: torch.sinc(torch.stack([0.0 * x, x, x / 4])).sum(),
        [0.0, 0.5 - 1 / math.pi],
    ),
    "norm": (lambda x: torch.linalg.vector_norm(torch.stack([x, 2 * x])), [0.0, math.sqrt(5)]),
    "std": (lambda x: torch.stack([x, 2 * x, 3 * x]).std(), [0.0, 1.0]),
    "std_mean": (lambda x: sum(torch.std_mean(torch.stack([x, 2 * x, 3 * x]))), [2.0, 3.0]),
    "dist": (
        lambda x: torch.dist(torch.stack([x, x]), torch.stack([2 * x, x])),
        [0.0, 1.0],
    ),
    "power": (lambda x: x ** (x * 2) + 3 * x, [3.0, 32 * (math.log(2) + 1) + 3]),
    "power of zeros": (
        lambda x: torch.pow(torch.stack([x, x + 1]), torch.stack([x * 0, x])).sum(),
        [math.log(1), 9 * (math.log(3) + 2 / 3)],
    ),
    "float_power": (lambda x: torch.float_power(x, x + 0 * x), [0.0, 4 * (math.log(2) + 1)]),
    "times what is large": (lambda x: torch.exp(3 * x) * torch.sinc(x), [3.0, math.exp(6) * 0.5]),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("first", [0, 1], ids=["zero-first", "zero-second"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_forward_mode_is_what_backward_is(name, first, engine):
    f, expected = FUNCTIONS[name]
    order = [first, 1 - first]
    sweep = gs.Sweep(x=np.array([0.0, 2.0])[order])
    expected = np.array(expected)[order]
    reverse = gs.gradient(f, sweep, mode="reverse", engine=engine)
    forward = gs.gradient(f, sweep, mode="forward", engine=engine)
    (product,) = gs.jvp(f, sweep, {"x": 2.0}, engine=engine).data_vars.values()
    np.testing.assert_allclose(reverse.df_dx, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(forward.df_dx, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(product, 2 * expected, rtol=1e-12, atol=1e-12)


def several(x, y):
    r = torch.stack([x, 2 * x])
    return {"near": torch.sinc(x) * y + y, "r": r / (1 + r.norm()), "root": torch.sqrt(y) + r.std()}


@pytest.mark.parametrize("engine", ENGINES)
def test_results_that_are_right_stay_as_they_are(engine):
    """A NaN of one result, or at one point, changes no other."""
    sweep = gs.Sweep(x=[0.0, 1.0], y=[4.0, -1.0])
    forward = gs.broadcast(gs.jacobian(several, sweep, mode="forward", engine=engine))
    np.testing.assert_allclose(forward.dnear_dx, [[0, 0], [-4, 1]], rtol=1e-12, atol=1e-12)
    root = [[0, math.sqrt(0.5)], [0, math.sqrt(0.5)]]
    np.testing.assert_allclose(forward.droot_dx.transpose("y", "x"), root, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(forward.droot_dy.isel(x=0), [0.25, np.nan], rtol=1e-12)
    np.testing.assert_allclose(forward.dr_dx.isel(x=0, y=0), [1.0, 2.0], rtol=1e-12)


def beside_what_overflows(x, y):
    v = (x * y) ** 4
    return {"p": torch.cosh(((v + 0.3) ** v).clamp(-2.0, 2.0)), "q": x, "r": torch.relu(v - v) * x}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_an_output_takes_no_nan_from_the_formulas_of_another(mode, engine):
    sweep = gs.Sweep(x=[1.0, 4.0], y=[3.0, 1.0])
    ds = gs.gradient(beside_what_overflows, sweep, mode=mode, engine=engine)
    assert ds.dq_dx.dims == ds.dq_dy.dims == ()
    assert (ds.dq_dx, ds.dq_dy) == (1.0, 0.0)
    np.testing.assert_array_equal(gs.broadcast(ds).dr_dy, 0.0)


def test_a_zero_that_is_computed_hides_no_nan():
    """Only a zero chosen in a derivative is nothing: the function's own 0 times infinity is NaN."""

    def f(x):
        return torch.where(x > 1, x, 0.0) / x

    found = gs.gradient(f, gs.Sweep(x=[0.0, 2.0]), mode="forward", with_value=True)
    np.testing.assert_array_equal(found.f, [np.nan, 1.0])


def test_a_program_transposed_without_it_is_found(monkeypatch):
    monkeypatch.setattr(Builder, "linear", lambda self, transposed=False: contextlib.nullcontext())
    found = gs.gradient(lambda x: torch.sinc(x), gs.Sweep(x=[2.0, 0.0]), mode="forward")
    assert np.isnan(found.df_dx[1])


@pytest.mark.parametrize("engine", ["loop", "torch"])
def test_a_call_transposed_without_its_rows_is_found(monkeypatch, engine):
    module = importlib.import_module("gradsweep.tracing.torch.trace")
    monkeypatch.setattr(module, "_is_transposed", lambda derivative, rules: False)
    # Both forms are NaN at the first point, so that they agree.
    sweep = gs.Sweep(x=[0.0, 0.0])
    found = gs.gradient(lambda x: torch.sinc(x) + x, sweep, mode="forward", engine=engine)
    assert np.isnan(found.df_dx).all()


# -- zeros without memory, which torch makes where a slope is constant

KINKED = {
    "lerp": (lambda x: torch.lerp(x * x, x, 2.0).abs(), lambda x: -2 * np.sign(2 * x - x * x)),
    "sub": (lambda x: torch.sub(x * x, x, alpha=3.0).abs(), lambda x: 2 * np.sign(x * x - 3 * x)),
    "addcmul": (
        lambda x: torch.addcmul(x, x, x, value=-2.0).abs(),
        lambda x: -4 * np.sign(x - 2 * x * x),
    ),
    "sign": (lambda x: torch.sign(x * x - 1) * x**3, lambda x: 6 * x * np.sign(x * x - 1)),
    "power": (lambda x: torch.pow(torch.abs(x), 3.0), lambda x: 6 * np.abs(x)),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
@pytest.mark.parametrize("name", KINKED)
def test_the_second_derivative_of_a_kinked_function_is_found(name, mode, engine):
    """torch's kernels read the memory that such zeros lack, which crashed the process."""
    f, second = KINKED[name]
    x = np.array([1.2893, -0.5618, 2.6353])
    options = {"mode": mode, "engine": engine}
    (hessian,) = gs.hessian(f, gs.Sweep(x=x), **options).data_vars.values()
    (product,) = gs.hvp(f, gs.Sweep(x=x), {"x": 2.0}, **options).data_vars.values()
    np.testing.assert_allclose(np.broadcast_to(hessian, 3), second(x), rtol=1e-12)
    np.testing.assert_allclose(np.broadcast_to(product, 3), 2 * second(x), rtol=1e-12)


def test_no_zero_without_memory_is_recorded():
    from gradsweep.tracing.torch.recorder.record import Recorder

    make = torch.ops.aten._efficientzerotensor.default
    assert make([3], dtype=torch.float64)._is_zerotensor()
    with Recorder() as recorder:
        made = make([3], dtype=torch.float64)
        assert not made._is_zerotensor() and made.shape == (3,)
    assert all(map(recorder.builder.is_structural_zero, made.variables.tolist()))


def clamped(x):
    return torch.logit(torch.block_diag(x, x), eps=0.1).square().mean()


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_a_second_derivative_is_zero_where_nothing_is_chosen_twice(mode, engine):
    """Half of logit(x)^2, whose derivative is chosen to be 0 outside of 0.1 to 0.9."""
    x = np.array([0.0, 0.3724, 0.926, 3.6421])
    (found,) = gs.hessian(clamped, gs.Sweep(x=x), mode=mode, engine=engine).data_vars.values()
    p = 0.3724
    inside = (1 + np.log(p / (1 - p)) * (2 * p - 1)) / (p * (1 - p)) ** 2
    np.testing.assert_allclose(found, [0.0, inside, 0.0, 0.0], rtol=1e-12)


# -- singular matrices


def matrix(rows):
    return torch.stack([torch.stack(row) for row in rows])


@pytest.mark.parametrize("engine", ["auto", "reference", "loop"])
def test_the_determinant_of_a_singular_matrix_is_zero(engine):
    def f(x):
        ones, last = matrix([[x, x, x]] * 3), matrix([[x, x], [x, x * x]])
        sign, log_size = torch.linalg.slogdet(ones)
        outer = torch.outer(torch.stack([x, 2 * x]), torch.stack([x, 2 * x]))
        return {
            "ones": torch.linalg.det(ones),
            "last": torch.linalg.det(last),  # x^3 - x^2
            "outer": torch.linalg.det(outer),
            "zeros": torch.linalg.det(x * 0.0 + torch.zeros(2, 2)),
            "sign": sign,
            "log": log_size,
        }

    ds = gs.value(f, gs.Sweep(x=[0.0, 1.0, 2.0]), engine=engine)
    np.testing.assert_allclose(ds["last"], [0.0, 0.0, 4.0], atol=1e-15)
    for name in ("ones", "outer", "zeros", "sign"):
        np.testing.assert_array_equal(gs.broadcast(ds)[name], 0.0)
    np.testing.assert_array_equal(ds["log"], -np.inf)

    def g(x):
        return torch.linalg.det(matrix([[x, 2 * x], [1 + 0 * x, x]]))  # x^2 - 2x

    slope = gs.gradient(g, gs.Sweep(x=[3.0, 4.0]), engine=engine).dg_dx
    np.testing.assert_allclose(slope, [4.0, 6.0], rtol=1e-13)
