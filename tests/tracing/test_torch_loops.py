"""Loops of torch functions whose number of steps the values decide."""

import numpy as np
import pytest
from scipy.special import lambertw

import gradsweep as gs
from gradsweep.errors import DerivativeError
from tests.support.controls import must_fail
from tests.support.torch_frontend import traced

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from gradsweep.tracing.torch.recorder.step import StepRecorder  # noqa: E402
from gradsweep.tracing.torch.solved.looped import looped  # noqa: E402

ENGINES = "fused", "reference", "torch", "loop"

X = np.array([0.5, 2.0, 1e6, 1e-8])
Z = np.array([1.0, 3.0, 2.0])


def newton(x, start=1.0):
    """Return the square root of x as a constant."""
    with torch.no_grad():
        (y,) = looped(
            lambda y: (y * y - x).abs() > 1e-15 * x,
            lambda y: (0.5 * (y + x / y),),
            (start + torch.zeros_like(x),),
            60,
        )
    return y


def root(x):
    """Return the square root of x, with a derivative by one more step of Newton's method."""
    y = newton(x)
    return y - (y * y - x) / (2 * y)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_point_makes_the_steps_that_it_needs(engine):
    def f(x, z):
        return root(x) * z

    found = gs.gradient(f, gs.Sweep(x=X, z=Z), engine=engine, with_value=True)
    roots = np.sqrt(X)
    np.testing.assert_allclose(found.f, np.multiply.outer(roots, Z), rtol=1e-14)
    np.testing.assert_allclose(found.df_dx, np.multiply.outer(0.5 / roots, Z), rtol=1e-14)
    np.testing.assert_allclose(found.df_dz, roots, rtol=1e-14)
    assert found.df_dz.dims == ("x",)


def test_a_loop_is_one_loop_of_the_program():
    program = traced(root, "gradient", x=2.0).program
    (loop,) = program.loops
    assert loop.n_steps is None and loop.n_carries == 2  # y, and the number of steps
    assert not program.guards


def test_a_loop_runs_outside_a_sweep_too():
    x = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    y = root(x)
    assert y.item() == pytest.approx(np.sqrt(2.0), rel=1e-15)
    (slope,) = torch.autograd.grad(y, x)
    assert slope.item() == pytest.approx(0.5 / np.sqrt(2.0), rel=1e-15)
    assert not newton(x).requires_grad


# -- dependence


def halvings(x, z):
    """Return how often x is halved until it is below z, by a loop that only compares with z."""
    with torch.no_grad():
        n, _ = looped(
            lambda n, y: y > z, lambda n, y: (n + 1, y / 2), (torch.zeros(()), x.detach()), 100
        )
    return n


@pytest.mark.parametrize("engine", ENGINES)
def test_a_condition_makes_the_result_depend_on_what_it_reads(engine):
    x, z = np.array([3.0, 9.0, 100.0]), np.array([1.0, 2.5])
    expected = np.ceil(np.log2(x[:, None] / z))
    found = gs.value(lambda x, z: halvings(x, z), gs.Sweep(x=x, z=z), engine=engine)
    (array,) = found.values()
    assert array.dims == ("x", "z")
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_step_reads_counts_where_the_traced_point_makes_none(engine):
    def f(u, x, z):
        with torch.no_grad():
            (y,) = looped(lambda y: y < u, lambda y: (y + x,), (torch.zeros(()),), 10)
        return y * z

    u, x = np.array([-1.0, 1.0, 2.5]), np.array([1.0, 2.0])
    found = gs.gradient(f, gs.Sweep(u=u, x=x, z=Z), wrt="z", engine=engine).df_dz
    assert found.dims == ("u", "x")
    np.testing.assert_array_equal(found, [[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]])


def test_a_step_whose_reads_are_forgotten_is_found(monkeypatch):
    """The control of the two tests above."""
    given = StepRecorder._taken

    def forgets(self, tensor):
        tensor = given(self, tensor)
        self.read.clear()
        return tensor

    monkeypatch.setattr(StepRecorder, "_taken", forgets)
    must_fail(test_what_a_step_reads_counts_where_the_traced_point_makes_none, "loop")


def test_start_and_rest_have_dims_of_their_own():
    def f(x, start, z):
        return newton(x, start.detach()) * z, newton(x) * z, root(z)

    sweep = gs.Sweep(x=X, start=("start", [1.0, 3.0, 8.0]), z=[2.0, 5.0])
    found = gs.jacobian(f, sweep, wrt="z")
    dims = [array.dims for array in found.values()]
    assert dims == [("x", "start"), ("x",), ("z",)]
    expected = np.broadcast_to(np.sqrt(X)[:, None], (4, 3))
    np.testing.assert_allclose(next(iter(found.values())), expected, rtol=1e-14)


# -- what a step may do


def by_jvp(f, y):
    value, slope = torch.func.jvp(f, (y,), (torch.ones_like(y),))
    return value, slope


def by_vjp(f, y):
    value, pull = torch.func.vjp(f, y)
    return value, pull(torch.ones_like(value))[0]


def by_autograd(f, y):
    y = y.detach().requires_grad_()
    value = f(y)
    return value, torch.autograd.grad(value, y)[0]


def lambert(a, slope_of):
    """Return the y with y exp(y) = a, with derivatives by one more step."""

    def residual(y):
        return y * torch.exp(y) - a

    def step(y, change):
        value, slope = slope_of(residual, y)
        change = -value / slope
        return y + change, change

    with torch.no_grad():
        first = torch.log1p(a), torch.ones_like(a)
        y, _ = looped(lambda y, change: change.abs() > 1e-15 * (1 + y.abs()), step, first, 60)
    return y - residual(y) / ((1 + y) * torch.exp(y))


A = np.array([0.1, 1.0, 50.0, 1e4])


@pytest.mark.parametrize("slope_of", [by_jvp, by_vjp, by_autograd])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_may_take_a_derivative(slope_of, engine):
    if engine == "torch" and slope_of is by_autograd:
        pytest.skip("torch.func.vmap takes derivatives by torch.func alone")
    w = lambertw(A).real
    found = gs.gradient(
        lambda a: lambert(a, slope_of), gs.Sweep(a=A), engine=engine, with_value=True
    )
    slope, value = (found[name].values for name in sorted(found))
    np.testing.assert_allclose(value, w, rtol=1e-14)
    np.testing.assert_allclose(slope, w / (A * (1 + w)), rtol=1e-13)


def test_a_step_that_takes_a_derivative_stays_a_loop_of_the_program():
    for slope_of in (by_jvp, by_vjp, by_autograd):
        assert traced(lambda a, s=slope_of: lambert(a, s), a=1.0).program.loops


def crossing(r, a, jacobian):
    """Return the point where y0^2 + y1^2 = r^2 meets y0 = a y1."""

    def residual(y):
        return torch.stack([y[0] ** 2 + y[1] ** 2 - r**2, y[0] - a * y[1]])

    def step(y, change):
        change = torch.linalg.solve(jacobian(residual)(y), residual(y))
        return y - change, change

    with torch.no_grad():
        first = torch.stack([r, r]), torch.ones(2)
        y, _ = looped(lambda y, change: change.abs().max() > 1e-14, step, first, 60)
    return y


@pytest.mark.parametrize("jacobian", [torch.func.jacfwd, torch.func.jacrev])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_system_of_equations_is_solved(jacobian, engine):
    r, a = np.array([1.0, 2.0, 5.0]), np.array([0.5, -0.25])
    sweep = gs.Sweep(r=r, a=a)
    found = gs.value(lambda r, a: crossing(r, a, jacobian), sweep, engine=engine)
    (array,) = found.values()
    y1 = r[:, None] / np.sqrt(1 + a**2)
    np.testing.assert_allclose(array, np.stack([a * y1, y1], axis=-1), rtol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_may_run_a_loop_of_its_own(engine):
    def f(x, z):
        def step(y, change):  # y = sqrt(x + y)
            better = newton(x + y, y)
            return better, better - y

        first = torch.ones(()), torch.ones(())
        with torch.no_grad():
            y, _ = looped(lambda y, change: change.abs() > 1e-15, step, first, 100)
        return y * z

    x = np.array([1.0, 6.0, 0.3])
    found = gs.gradient(f, gs.Sweep(x=x, z=Z), wrt="z", engine=engine).df_dz
    assert found.dims == ("x",)
    np.testing.assert_allclose(found, (1 + np.sqrt(1 + 4 * x)) / 2, rtol=1e-14)


@pytest.mark.parametrize("engine", ENGINES)
def test_carries_have_any_shape_and_dtype(engine):
    def f(x):
        turn = torch.complex(torch.cos(torch.ones(())), torch.sin(torch.ones(())))
        first = torch.tensor(0), torch.tensor(True), torch.complex(x, 0 * x), torch.zeros(2, 2)
        with torch.no_grad():
            n, _, z, sums = looped(
                lambda n, is_below, z, sums: is_below,
                lambda n, is_below, z, sums: (n + 1, n < 2, z * turn, sums + z.imag),
                first,
                60,
            )
        return n, z, sums

    found = gs.value(f, gs.Sweep(x=[1.0, 2.0]), engine=engine)
    n, z, sums = found.values()
    assert n.item() == 3
    np.testing.assert_allclose(z, np.exp(3j) * np.array([1.0, 2.0]), rtol=1e-14)
    expected = np.multiply.outer([1.0, 2.0], np.full((2, 2), np.sin(1) + np.sin(2)))
    np.testing.assert_allclose(sums, expected, rtol=1e-14)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_may_change_the_carries_in_place(engine):
    def f(x):
        def step(powers):
            powers[1:] = powers[:-1] * x
            return (powers.mul_(1.0),)

        with torch.no_grad():
            first = torch.stack([torch.ones(()), x, x])
            (powers,) = looped(lambda powers: powers[2] < 20.0, step, (first,), 10)
        return powers

    found = gs.value(f, gs.Sweep(x=[3.0, 5.0, 30.0]), engine=engine).f
    # From (1, x, x) by (1, x, x^2) to (1, x, x^2): the third is x^2 after one step and stays.
    np.testing.assert_array_equal(found, [[1.0, 3.0, 9.0], [1.0, 5.0, 25.0], [1.0, 30.0, 30.0]])


@pytest.mark.parametrize("engine", ENGINES)
def test_at_most_max_steps_are_made(engine):
    def f(x, most):
        with torch.no_grad():
            (y,) = looped(lambda y: y < x, lambda y: (y + 1,), (torch.zeros(()),), most)
        return y

    for most in (0, 1, 4):
        found = gs.value(f, gs.Sweep(x=[2.5, -1.0, 9.0], most=most), engine=engine).f
        expected = np.minimum([3.0, 0.0, 9.0], most)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_carry_may_be_an_index(engine):
    def f(x):
        table = torch.stack([x, 2 * x, 3 * x, 5 * x])
        first = torch.tensor(0), torch.zeros(())
        with torch.no_grad():
            n, _ = looped(
                lambda n, total: (total < 6) & (n < 4), lambda n, s: (n + 1, s + table[n]), first, 9
            )
        return n

    x = np.array([0.1, 1.0, 2.0, 6.0])  # sums of x, 2x, 3x, 5x
    np.testing.assert_array_equal(gs.value(f, gs.Sweep(x=x), engine=engine).f, [4, 3, 2, 1])


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_loop_returns_shares_no_memory(engine):
    def f(x):
        first = x.detach(), torch.zeros(())
        with torch.no_grad():
            y, z = looped(lambda y, z: y < 3 * x, lambda y, z: (y + x, x), first, 10)
        z += 1
        y *= 2
        return x * z + y  # x (x + 1) + 6x, with constants for x + 1 and 6x

    x = np.array([0.5, 2.0, 7.0])
    found = gs.gradient(f, gs.Sweep(x=x), engine=engine, with_value=True)
    np.testing.assert_allclose(found.f, x * (x + 1) + 6 * x, rtol=1e-14)
    np.testing.assert_allclose(found.df_dx, x + 1, rtol=1e-14)


# -- derivatives


def test_a_loop_cuts_no_derivative_that_is_meant():
    def f(x):
        def step(y):  # torch has no derivative of zeta by its first argument
            return (y + 1.0 + 0.0 * torch.special.zeta(x, y),)

        with torch.no_grad():
            (y,) = looped(lambda y: y < 3.0, step, (torch.ones(()),), 10)
        return y * x

    np.testing.assert_array_equal(gs.gradient(f, gs.Sweep(x=[2.0, 3.0])).df_dx, 3.0)
    with pytest.raises(DerivativeError, match="zeta"):
        gs.gradient(lambda x: f(x) * torch.special.zeta(x, x.detach()), gs.Sweep(x=[2.0, 3.0]))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_loop_runs_inside_the_transformations_of_torch(engine):
    def slope(x):
        return torch.func.grad(root)(x)

    def second(x):  # of x^2 times a constant
        return torch.func.hessian(lambda x: newton(x) * x**2)(x)

    def column(x):
        def both(v):
            return torch.stack([root(v[0]) * v[1], root(v[1])])

        return torch.func.jacfwd(both)(torch.stack([x, x * x]))[:, 0]

    roots = np.sqrt(X)
    for f, expected in (
        (slope, 0.5 / roots),
        (second, 2 * roots),
        (column, np.stack([0.5 * X**1.5, 0 * X], axis=1)),
    ):
        (found,) = gs.value(f, gs.Sweep(x=X), engine=engine).values()
        np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert traced(slope, "value", x=2.0).program.loops


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_loop_is_a_constant_in_every_mode(mode):
    def f(x):
        return newton(x) * x**2

    for engine in ENGINES:
        found = gs.jacobian(f, gs.Sweep(x=X), mode=mode, engine=engine).df_dx
        np.testing.assert_allclose(found, 2 * X**1.5, rtol=1e-14)
        found = gs.hessian(f, gs.Sweep(x=X), mode=mode, engine=engine).d2f_dx_dx
        np.testing.assert_allclose(found, 2 * np.sqrt(X), rtol=1e-14)


def test_a_branch_after_a_loop_is_followed():
    def f(x):
        y = newton(x)
        return x * y if y > 1.2 else -x * y

    expected = np.sqrt(X) * np.where(np.sqrt(X) > 1.2, 1, -1)
    np.testing.assert_allclose(gs.gradient(f, gs.Sweep(x=X)).df_dx, expected, rtol=1e-14)


def test_a_loop_in_a_function_that_cannot_be_recorded_runs():
    def f(x):
        assert type(x) is torch.Tensor  # a recorded one is not
        return root(x)

    found = gs.gradient(f, gs.Sweep(x=X))
    assert found.attrs["engine"] in ("torch", "loop")
    np.testing.assert_allclose(found.df_dx, 0.5 / np.sqrt(X), rtol=1e-14)


def test_a_loop_of_constants_is_a_constant():
    def f(x):
        with torch.no_grad():
            (y,) = looped(lambda y: y < 10, lambda y: (y * 2,), (torch.ones(()),), 100)
        return y * x

    assert not traced(f, "gradient", x=2.0).program.equations


def test_narrow_floats_stay_narrow():
    def f(x):
        with torch.no_grad():
            (y,) = looped(lambda y: y * y < x, lambda y: (y + 0.5,), (torch.zeros(()),), 100)
        return y * x

    x = np.array([2.0, 5.0], np.float32)
    for engine in ENGINES:
        found = gs.gradient(f, gs.Sweep(x=x), engine=engine).df_dx
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, [1.5, 2.5])


@pytest.mark.filterwarnings("ignore:Dynamo does not know how to trace:UserWarning")
def test_torch_compile_leaves_a_loop_as_it_is():
    x = torch.tensor(9.0, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(torch.compile(root, backend="eager")(x), x)
    assert slope.item() == pytest.approx(1 / 6, rel=1e-14)


def test_a_mapped_loop_inside_a_function_has_right_values():
    def f(x, z):
        return torch.func.vmap(lambda a: newton(a * x))(torch.tensor([1.0, 4.0, 100.0])).sum() * z

    found = gs.gradient(f, gs.Sweep(x=X, z=Z), wrt="z").df_dz
    np.testing.assert_allclose(found.isel(z=0), 13 * np.sqrt(X), rtol=1e-14)
