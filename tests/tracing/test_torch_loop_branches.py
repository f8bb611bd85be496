"""What the step of a torch loop may not do, and Python branches in it."""

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import StatefulFunction
from tests.support.controls import must_fail
from tests.support.torch_frontend import traced

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from gradsweep.tracing.torch.recorder.step import StepRecorder  # noqa: E402
from gradsweep.tracing.torch.solved.looped import looped  # noqa: E402


def test_a_step_that_changes_a_tensor_of_outside_is_refused():
    def f(x):
        total = x * 2

        def step(y):
            total.add_(y)
            return (y + 1,)

        with torch.no_grad():
            (y,) = looped(lambda y: y < 3, step, (torch.zeros(()),), 10)
        return total + y

    with pytest.raises(StatefulFunction, match=r"made outside the loop, at .*total\.add_"):
        gs.value(f, gs.Sweep(x=[1.0, 2.0]))


@pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning")
def test_a_python_branch_in_a_step_is_no_program_and_right():
    def f(x, z):
        def step(y):
            if y > x:
                return (y - 1.0,)
            return (y + 0.5,)

        with torch.no_grad():
            (y,) = looped(lambda y: (y - x).abs() > 0.5, step, (torch.zeros(()),), 60)
        return y * z

    result = traced(f, "gradient", x=2.2, z=1.0)
    assert result.program is None
    assert (
        "Python branch in the step of a loop, at" in result.reason and "if y > x" in result.reason
    )
    found = gs.gradient(f, gs.Sweep(x=[2.2, 5.4], z=1.5), wrt="z", engine="auto").df_dz
    np.testing.assert_array_equal(found, [2.0, 5.0])


def power(x, n):
    """Return the n-th root of x by Newton's method, in a step that branches on x and on n."""

    def step(y):
        if n > 2.5:
            y = y - (y**3 - x) / (3 * y**2)
        else:
            y = y - (y * y - x) / (2 * y)
        return (torch.where(y > 0, y, y.abs()) if x > 1 else y,)

    with torch.no_grad():
        (y,) = looped(lambda y: (y**n - x).abs() > 1e-14 * x, step, (torch.ones(()),), 80)
    return y


def test_a_python_branch_on_what_no_step_changes_is_followed():
    def f(x, n, z):
        return power(x, n) * z

    x, n = np.array([0.3, 5.0, 40.0]), np.array([2.0, 3.0])
    expected = x[:, None] ** (1 / n)
    sweep = gs.Sweep(x=x, n=n, z=1.5)
    for engine in ("fused", "loop"):
        found = gs.gradient(f, sweep, wrt="z", engine=engine).df_dz
        assert found.dims == ("x", "n")
        np.testing.assert_allclose(found, expected, rtol=1e-14)
    program = traced(f, "gradient", x=5.0, n=3.0, z=1.0).program
    assert program.loops and len(program.guards) == 2
    # A loop inside a loop branches on what the outer one does not change either.
    nested = traced(lambda x, n: outer(x, n), "value", x=5.0, n=3.0)
    assert len(nested.program.guards) == 2


def outer(x, n):
    def step(y, k):
        return y + power(x, n), k + 1

    with torch.no_grad():
        y, _ = looped(lambda y, k: k < x, step, (torch.zeros(()), torch.zeros(())), 10)
    return y


def test_a_branch_in_a_step_that_is_dropped_is_found(monkeypatch):
    """The control of the two tests above."""
    monkeypatch.setattr(StepRecorder, "guard", lambda self, tensor: None)
    must_fail(test_a_python_branch_in_a_step_is_no_program_and_right)
    must_fail(test_a_python_branch_on_what_no_step_changes_is_followed)


def test_other_shapes_and_conditions_are_errors():
    x = torch.tensor(2.0)
    with pytest.raises(ValueError, match="carries"):
        looped(lambda y: y < 3, lambda y: (y[None],), (x,), 10)
    with pytest.raises(ValueError, match="bool without dims"):
        looped(lambda y: y, lambda y: (y,), (x,), 10)


def test_an_equation_that_branches_on_an_argument_is_solved_as_a_program():
    def friction(Re):
        """Darcy's factor: 64 / Re in a laminar flow, else by Blasius, 0.3164 / Re^(1/4)."""

        def residual(f):
            return f * Re - 64 if Re < 2300 else f**4 * Re - 0.3164**4

        return gs.find_root(residual, 0.05, bracket=(1e-4, 1.0))

    Re = np.array([500.0, 2000.0, 4000.0, 1e5])
    found = gs.gradient(friction, gs.Sweep(Re=Re), with_value=True, framework="torch")
    assert found.attrs["engine"] in ("fused", "reference")
    factor = np.where(Re < 2300, 64 / Re, 0.3164 * Re**-0.25)
    np.testing.assert_allclose(found.friction, factor, rtol=1e-12)
    slope = np.where(Re < 2300, -1.0, -0.25) * factor / Re
    np.testing.assert_allclose(found.dfriction_dRe, slope, rtol=1e-12)
