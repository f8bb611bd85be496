"""Functions of torch of every kind and dtype: writes, branches, state, modules, rules."""

import math

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import OutputError, StatefulFunction
from gradsweep.request.function import bind
from gradsweep.request.quantities import Derivative
from gradsweep.request.sweep import Sweep
from gradsweep.tracing.torch import trace
from tests.support.torch_frontend import (
    MATRIX,
    VECTOR,
    F,
    assert_agrees,
    evaluate,
    special,
    traced,
    weigh,
)

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def test_writing_into_zeros_is_followed_and_leaves_the_zeros_out():
    def f(q):
        matrix = torch.zeros(3, 3)
        matrix[0, 0], matrix[1, 1] = torch.cos(q), torch.sin(q)
        matrix[2, 2] = 1.0
        return matrix @ matrix @ torch.ones(3)

    result = traced(f, "jacobian", q=0.4)
    (found,), _ = evaluate(result.program, q=0.4)
    np.testing.assert_allclose(found, [-math.sin(0.8), math.sin(0.8), 0.0], atol=1e-15)
    names = [primitive for primitive, *_ in result.program.equations]
    # cos, sin, -sin, and 2 cos * -sin and 2 sin * cos; no term of any zero.
    assert len(names) <= 8, result.program


def test_views_share_what_is_written_through_them():
    def f(x):
        y = x * 1.0
        row = y[0]
        row.mul_(3.0)
        y.t()[2].add_(row[:2])
        y[:, 0] += y[:, 1]
        y[y > 100] = 0.0
        return y

    assert_agrees(
        lambda x: weigh(f(x)),
        MATRIX,
        "gradient",
        torch.func.grad(lambda x: weigh(f(x)))(torch.tensor(MATRIX)).numpy(),
    )


def test_changing_an_argument_in_place_gives_the_right_answer():
    def f(x):
        x.add_(1.0)
        return (x * x).sum()

    assert_agrees(f, VECTOR, "gradient", 2 * (VECTOR + 1))
    assert_agrees(f, VECTOR, "hessian", 2 * np.eye(3))
    eager = traced(f, "gradient", x=VECTOR).eager({"x": torch.tensor(VECTOR)})
    np.testing.assert_allclose(eager[0].detach(), 2 * (VECTOR + 1))


def test_branch_becomes_a_guard_that_names_the_line():
    def f(x, y):
        if x > y:
            return x * y
        return x - y

    result = traced(f, x=2.0, y=1.0)
    (guard,) = result.program.guards
    assert guard.expected is True
    assert guard.where.startswith("test_torch_kinds_of_functions.py:") and guard.where.endswith(
        "if x > y:"
    )
    assert evaluate(result.program, x=2.0, y=1.0)[1]
    assert not evaluate(result.program, x=1.0, y=2.0)[1]


@pytest.mark.parametrize(
    "f, n_guards",
    [
        (lambda x: x.sum() * x[1].item(), 1),
        (lambda x: x.sum() * float(x[1].detach()), 1),
        (lambda x: x[x > 0].sum(), 3),
        (lambda x: x[torch.nonzero(x > 0)].sum(), 3),
        (lambda x: x.sum() * sum(x.detach().tolist()), 3),
        (lambda x: x.sum() if torch.equal(x, x.flip(0)) else x.prod(), 1),
        (lambda x: x.sum() if torch.allclose(x, x.flip(0)) else x.prod(), 1),
    ],
    ids=["item", "float", "mask", "nonzero", "tolist", "equal", "allclose"],
)
def test_whatever_python_reads_of_a_value_is_guarded(f, n_guards):
    result = traced(f, x=VECTOR)
    assert result.program is None or len(result.program.guards) == n_guards
    if result.program is None:
        assert result.depends == (frozenset({"x"}),)


def test_branch_on_a_constant_is_no_guard():
    def f(x):
        limit = torch.tensor(3.0)
        return x * 2 if limit > 2 else x

    assert traced(f, x=1.0).program.guards == ()


def test_random_numbers_are_an_error_that_names_the_line():
    def f(x):
        return x * torch.randn(())

    with pytest.raises(
        StatefulFunction, match=r"randn.*test_torch_kinds_of_functions.py:\d+(.|\n)*argument"
    ):
        traced(f, x=1.0)


def test_dropout_while_training_is_an_error():
    with pytest.raises(StatefulFunction, match="random"):
        traced(lambda x: F.dropout(x, 0.5).sum(), x=VECTOR)


def test_writing_into_a_tensor_from_outside_is_an_error():
    counter = torch.zeros(())

    def f(x):
        counter.add_(1)
        return x * counter

    with pytest.raises(StatefulFunction, match=r"does not own(.|\n)*clone"):
        traced(f, x=1.0)


def test_hidden_state_is_an_error():
    calls = []

    def f(x):
        calls.append(1)
        return x * len(calls)

    with pytest.raises(StatefulFunction, match="different results for the same arguments"):
        traced(f, x=1.0)
    generator = np.random.default_rng(7)
    with pytest.raises(StatefulFunction):
        traced(lambda x: x * generator.normal(), x=1.0)


def test_error_of_the_function_itself_keeps_its_type_and_tells_the_point():
    def f(S, K):
        raise KeyError("vol")

    with pytest.raises(KeyError) as caught:
        traced(f, S=100.0, K=90.0)
    assert caught.value.__notes__ == ["while tracing f at S=100, K=90"]


@pytest.mark.parametrize("value", [None, "a"], ids=repr)
def test_output_that_is_no_real_number_is_an_error_that_names_it(value):
    with pytest.raises(OutputError, match="price"):
        traced(lambda x: {"price": value, "x": x}, "jacobian", x=1.0)


def test_number_and_integer_outputs_have_zero_derivatives():
    result = traced(lambda x: {"a": 3.0, "b": torch.tensor([1, 2]), "c": 2}, "jacobian", x=1.0)
    outputs, _ = evaluate(result.program, x=1.0)
    assert [o.shape for o in outputs] == [(), (2,), ()]
    assert all((o == 0).all() for o in outputs)
    assert result.depends == (frozenset(),) * 3


def test_partials_depend_on_what_they_are_computed_from():
    result = traced(lambda x, y, z: x**2 * y + z**3, x=1.0, y=2.0, z=3.0)
    assert result.depends == (frozenset("xy"), frozenset("x"), frozenset("z"))


def test_function_outside_the_table_still_tells_what_it_depends_on():
    def f(x, y):
        return special.log_ndtr(x) + y**2

    result = traced(f, x=0.5, y=2.0)
    assert result.program is None and "log_ndtr" in result.reason
    assert "x" in result.depends[0] and result.depends[1] == frozenset("y")
    call = result.call({"x": torch.tensor(0.5).double(), "y": torch.tensor(2.0).double()})
    np.testing.assert_allclose(call[1].detach(), 4.0)


def test_function_that_needs_data_runs_without_a_program():
    def f(x):
        return (x * float(np.sin(x.detach().numpy()))).sum()

    result = traced(f, "value", x=0.5)
    assert result.program is None and "NumPy" in result.reason
    assert result.depends == (frozenset("x"),)
    (found,) = result.eager({"x": torch.tensor(0.5, dtype=torch.float64)})
    np.testing.assert_allclose(found.detach(), 0.5 * math.sin(0.5), rtol=1e-15)


def test_tensors_created_without_a_dtype_are_as_wide_as_the_arguments():
    def f(x):
        weights = torch.tensor([0.1, 0.2]) + torch.linspace(0.1, 0.3, 2) + torch.arange(2) / 3
        normal = torch.distributions.Normal(0.1, 0.3)
        return (x * weights).sum() + normal.log_prob(x)

    weights = np.array([0.1, 0.2]) + np.linspace(0.1, 0.3, 2) + np.arange(2) / 3
    expected = weights.sum() - (0.7 - 0.1) / 0.3**2
    assert_agrees(f, np.array(0.7), "gradient", expected, rtol=1e-14)
    result = traced(f, x=0.7)
    for run in (result.call, result.eager):
        with result.context():
            (found,) = run({"x": torch.tensor(0.7, dtype=torch.float64)})
        np.testing.assert_allclose(found.detach(), expected, rtol=1e-14)
    assert torch.tensor([0.1]).dtype is torch.float32


def test_numbers_chosen_by_a_bool_are_as_wide_as_the_arguments():
    def f(x, call):
        return x * torch.where(call, 0.1, -0.3) + x * (call * 0.7)

    result = traced(f, x=2.0, call=np.array(True))
    (found,), _ = evaluate(result.program, x=2.0, call=np.array(True))
    np.testing.assert_allclose(found, 0.8, rtol=1e-15)


def test_float32_arguments_stay_float32():
    result = traced(lambda x: torch.sin(x) * 2.0, x=np.float32(0.5))
    (found,), _ = evaluate(result.program, x=np.float32(0.5))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, 2 * np.cos(np.float32(0.5)), rtol=1e-6)


def test_result_narrower_than_the_arguments_is_widened():
    result = traced(lambda x: x.float() ** 2, "value", x=0.5)
    assert evaluate(result.program, x=0.5)[0][0].dtype == np.float64


def test_distributions_go_through():
    distributions = torch.distributions

    def f(x):
        return (
            distributions.Normal(x, 1 + x).log_prob(torch.tensor(0.3))
            + distributions.Normal(0.0, 1.0).cdf(x)
            + distributions.Gamma(1 + x, 2.0).log_prob(torch.tensor(1.5))
            + distributions.LogNormal(0.0, x).log_prob(torch.tensor(1.5))
            + distributions.kl_divergence(
                distributions.Normal(0.0, 1.0), distributions.Normal(x, 2.0)
            )
        )

    at = torch.tensor(0.8, dtype=torch.float64)
    assert_agrees(f, at.numpy(), "value", f(at).numpy(), rtol=1e-6)
    assert_agrees(f, at.numpy(), "gradient", torch.func.grad(f)(at).numpy(), rtol=1e-6)


class Doubled(torch.autograd.Function):
    """x**2, with a derivative that is deliberately twice too large."""

    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 4 * x * g


class OldDoubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 4 * x * g


@pytest.mark.parametrize("rule", [Doubled, OldDoubled])
def test_custom_derivative_rule_is_used(rule):
    assert_agrees(rule.apply, np.array(3.0), "gradient", 12.0)
    assert_agrees(lambda x: rule.apply(x), np.array(3.0), "hessian", 4.0)


def test_module_is_a_function_of_its_input_with_weights_held_fixed():
    torch.manual_seed(3)
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)
    ).double()
    expected = torch.func.jacrev(model)(torch.tensor(VECTOR)).detach().numpy()
    bound = bind(model, Sweep(input=((), VECTOR)))
    result = trace(bound, Derivative("jacobian", ("input",)), {"input": VECTOR})
    (found,), _ = evaluate(result.program, input=VECTOR)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_float32_module_with_float64_input_says_what_to_do():
    model = torch.nn.Linear(3, 1)
    with pytest.raises(RuntimeError) as caught:
        traced(lambda x: model(x), x=VECTOR)
    assert any(".double()" in note for note in caught.value.__notes__)


def test_forward_and_reverse_give_the_same_jacobian():
    def f(x):
        return torch.stack([x[0] * x[1], torch.sin(x[2]), x.prod(), x.norm()])

    point = {"x": VECTOR}
    sweep = Sweep(x=((), VECTOR))
    found = []
    for mode in ("forward", "reverse"):
        derivative = Derivative("jacobian", ("x",), mode=mode)
        (jacobian,), _ = evaluate(trace(bind(f, sweep), derivative, point).program, **point)
        found.append(jacobian)
    np.testing.assert_allclose(*found, rtol=1e-12)
    np.testing.assert_allclose(found[0], torch.func.jacrev(f)(torch.tensor(VECTOR)), rtol=1e-12)


def test_search_takes_nan_for_the_largest_number():
    def entry(x):
        return torch.tensor([10.0, 20.0, 30.0])[torch.bucketize(x, torch.tensor([0.0, 1.0]))]

    found = gs.value(entry, gs.Sweep(x=[-1.0, np.nan, 1.0, 2.0])).entry
    np.testing.assert_array_equal(found, [10.0, 30.0, 20.0, 30.0])


def test_reverse_mode_is_taken_where_torch_has_no_forward_rule():
    points = np.random.default_rng(0).normal(size=(2, 3, 2))

    def attention(a):
        return F.scaled_dot_product_attention(a[None], a[None] ** 2, a[None])[0]

    found = gs.jacobian(attention, gs.Sweep(a=("s", points))).dattention_da
    expected = [torch.autograd.functional.jacobian(attention, torch.tensor(p)) for p in points]
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-12, atol=1e-14)


@pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning")
def test_what_torch_maps_wrongly_is_not_mapped():
    """torch.vmap of forward mode of `solve` takes one matrix's pivots for all (torch 2.13)."""
    rng = np.random.default_rng(1)
    n, p = 20, 9
    fixed, slopes = torch.tensor(rng.normal(size=(n, n))), torch.tensor(rng.normal(size=(p, n, n)))
    side, points = torch.tensor(rng.normal(size=n)), rng.normal(size=(3, p))

    def state(x):
        return torch.linalg.solve(fixed + torch.tensordot(x, slopes, 1), side)

    found = gs.jacobian(state, gs.Sweep(x=("s", points))).dstate_dx
    for jacobian, point in zip(found, points):
        matrix = (fixed + torch.tensordot(torch.tensor(point), slopes, 1)).numpy()
        inverse = np.linalg.inv(matrix)
        expected = -np.einsum("ij,pjk,k->ip", inverse, slopes, inverse @ side.numpy())
        np.testing.assert_allclose(jacobian, expected, rtol=1e-8, atol=1e-10)
