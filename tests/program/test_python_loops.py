"""Python loops that are long: traced step by step, and rolled into Loops."""

from itertools import pairwise

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.program.rolling import roll
from tests.support.controls import must_fail
from tests.support.plain_loop import in_torch

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("torch", "jax")]
A = np.array([0.5, 1.25, 3.0])


def program_of(plan):
    return plan.branches[0].branch.traced.program


def steps_of(plan):
    """Return how often each Loop of a plan's Program runs."""
    return [loop.n_steps for loop in program_of(plan).loops]


def root(a):
    x = a
    for _ in range(300):
        x = x - (x * x - a) / (2 * x)
    return x


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_iteration_written_in_python_is_two_loops_forth_and_back(framework):
    plans = [
        gs.plan(gs.gradient, root, gs.Sweep(a=A), framework=framework, engine=engine)
        for engine in ("fused", "reference")
    ]
    for plan in plans:
        forth, back = steps_of(plan)
        assert min(forth, back) > 290 and program_of(plan).n_written < 200
        np.testing.assert_allclose(plan.run().droot_da, 0.5 / np.sqrt(A), rtol=1e-14)
    assert f"loop {forth} times" in str(plans[0])


def population(r, k):
    """Grow towards k, by growing steps and with a counter."""
    x = 0.1 * k
    for i in range(120):
        x = x + 0.002 * (i + 1) * r * x * (1 - x / k) + (i % 2) * 1e-3 * r
    return x


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("quantity", ["value", "gradient", "hessian", "jvp"])
def test_every_quantity_agrees_with_a_plain_loop_of_torch(framework, quantity):
    rows = in_torch(lambda r: population(r, 2.0), A)
    number = {"value": 0, "gradient": 1, "jvp": 1, "hessian": 2}[quantity]
    extra = {"tangent": {"r": 1.0}} if quantity == "jvp" else {}
    wrt = {} if quantity in ("value", "jvp") else {"wrt": ["r"]}
    sweep = gs.Sweep(r=A, k=2.0)
    plan = gs.plan(getattr(gs, quantity), population, sweep, framework=framework, **wrt, **extra)
    assert quantity == "value" or steps_of(plan)
    (found,) = plan.run().values()
    np.testing.assert_allclose(found, rows[number], rtol=1e-10)


def heat(a, b):
    """Let heat flow along five cells; return the first one's after every step."""
    cells = [a, 0.5 * a, 0.2 * a, 0.1 * a, b]
    path = []
    for _ in range(150):
        flows = [0.1 * (right - left) for left, right in pairwise(cells)]
        cells = [c + i - o for c, i, o in zip(cells, [*flows, 0.0], [0.0, *flows])]
        path.append(cells[0])
    return {"second": path[1], "last": path[-1]}


def heat_is_rolled_with_its_dims():
    plan = gs.plan(gs.value, heat, gs.Sweep(a=A, b=[1.0, 2.0, 4.0]), engine="reference")
    assert steps_of(plan)
    found = plan.run()
    assert found.second.dims == ("a",)
    assert found.last.dims == ("a", "b")
    flow = np.zeros((5, 5))
    for i in range(4):
        flow[i, i] -= 0.1
        flow[i, i + 1] += 0.1
        flow[i + 1, i] += 0.1
        flow[i + 1, i + 1] -= 0.1
    first = np.linalg.matrix_power(np.eye(5) + flow, 150)[0]
    expected = A[:, None] * (first[:4] @ [1, 0.5, 0.2, 0.1]) + first[4] * np.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(found.last, expected, rtol=1e-12)


def test_a_result_from_before_an_argument_arrives_has_no_such_dim():
    heat_is_rolled_with_its_dims()


def test_control_without_what_equations_depend_on_dims_are_wrong(monkeypatch):
    def blind(program, depends):
        return tabulate(program, [0] * len(depends))

    tabulate = roll.tabulate
    monkeypatch.setattr(roll, "tabulate", blind)
    monkeypatch.setattr(roll, "_depends_alike", lambda written, depends: True)
    must_fail(heat_is_rolled_with_its_dims)


def switch(a):
    """Decay faster above 1, as Python code decides at every step."""
    x = 3 * a
    for _ in range(500):
        x = x - 0.02 * x * x - 0.01 * x * a if x > 1 else x - 0.004 * x * a - 0.002 * x
    return x


@pytest.mark.parametrize("framework", FRAMEWORKS[:1])
def test_a_python_branch_in_every_step_is_checked_at_every_step(framework):
    slopes = in_torch(switch, A)[1]
    sweep = gs.Sweep(a=A)
    kernel = gs.compile(gs.gradient, switch, sweep, framework=framework)
    traces = [branch.branch.traced.program for branch in kernel.plan.branches]
    assert len(traces) > 1 and all(len(t.guards) == 500 and t.loops for t in traces)
    for values in (A, A[::-1].copy()):
        found = kernel(a=values)["dswitch_da"]
        np.testing.assert_allclose(found, slopes[:: 1 if values is A else -1], rtol=1e-12)


def pyramid(s):
    """Average neighbours until one number is left, as a tree of prices does."""
    values = [s * (0.5 + 0.01 * j) for j in range(40)]
    while len(values) > 1:
        values = [0.51 * b + 0.48 * a for a, b in pairwise(values)]
    return values[0]


def test_steps_of_changing_length_stay_written_out():
    plan = gs.plan(gs.value, pyramid, gs.Sweep(s=A))
    assert not steps_of(plan)
    weights = np.poly1d([0.51, 0.48]) ** 39
    expected = weights.coeffs[::-1] @ (0.5 + 0.01 * np.arange(40))
    np.testing.assert_allclose(plan.run().pyramid, A * expected, rtol=1e-12)
