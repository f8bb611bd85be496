"""Numbers that Python reads, rules for the gradient, and forward formulas of torch."""

import contextlib
import math
import threading
import warnings

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import DerivativeError, GradsweepWarning
from tests.support.plain_loop import POINTS
from tests.support.torch_meaning import SWEEP

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


# -- numbers that Python reads


def through_math(x):
    return torch.sin(x) * math.exp(x)


def through_numpy_as_torch_advises(x):
    return x * np.exp(x.detach().numpy())


def returned_as_numpy(x):
    return x.detach().numpy() ** 2


def through_a_float(x):
    return x + float(x) ** 2


def through_a_list(x):
    return x * sum(torch.stack([x, x * x]).tolist())


def through_text(x):
    return x * float(f"{x:.3f}")


def through_an_array_and_back(x):
    return torch.from_numpy(np.asarray(x.detach())) * x


@pytest.mark.parametrize(
    "f",
    [
        through_math,
        through_numpy_as_torch_advises,
        returned_as_numpy,
        through_a_float,
        through_a_list,
        through_text,
        through_an_array_and_back,
    ],
    ids=lambda f: f.__name__,
)
@pytest.mark.filterwarnings("ignore:Converting a tensor", "ignore:__array_wrap__")
def test_a_derivative_cut_off_in_python_is_an_error_that_names_the_line(f):
    for quantity in (gs.gradient, gs.jacobian, gs.hessian):
        with pytest.raises(
            DerivativeError, match=r"at test_torch_rules_and_numbers\.py:\d+: return"
        ):
            quantity(f, SWEEP)
    assert gs.value(f, SWEEP).to_array()[0].dims == ("x",)


def test_the_error_says_what_to_write():
    with pytest.raises(DerivativeError, match=r"Write torch\.exp for math\.exp; or x\.item\(\)"):
        gs.gradient(through_math, SWEEP)
    with pytest.raises(DerivativeError, match=r"Write torch\.sin for np\.sin"):
        gs.gradient(lambda x: np.sin(x) * torch.exp(x), SWEEP)


def compares(x):
    return x**2 if float(x) > 1.0 else x**3


def compares_where_it_is_equal(x):
    return x**2 if float(x) == POINTS[0] else x**3


def prints(x):
    assert f"{float(x):.3f} {x:.1e} {x}" and str(x.detach().numpy())
    return x**3


def counts(x):
    total = 0.0 * x
    for k in range(int(float(x) * 4)):
        total = total + x**k
    return total


def means_it(x):
    return x.item() * x**2 + float(x.detach()) * x


@pytest.mark.parametrize(
    "f",
    [compares, compares_where_it_is_equal, prints, counts, means_it],
    ids=lambda f: f.__name__,
)
@pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning")
def test_reading_a_number_to_compare_print_or_count_is_no_error(f):
    for quantity in (gs.gradient, gs.jacobian):
        found = quantity(f, SWEEP).to_array()[0]
        expected = [_torch_slope(f, x) for x in POINTS]
        np.testing.assert_allclose(found, expected, rtol=1e-13)


def _torch_slope(f, point):
    x = torch.tensor(point, dtype=torch.float64, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.autograd.grad(f(x), x)[0].item()


def test_numbers_of_what_is_not_differentiated_may_be_read():
    found = gs.gradient(lambda x, y: x**2 * math.exp(y), gs.Sweep(x=POINTS, y=0.5), wrt="x")
    np.testing.assert_allclose(found.df_dx, 2 * POINTS * math.exp(0.5), rtol=1e-14)


@pytest.mark.parametrize(
    "copy",
    [
        lambda x: torch.as_tensor([x, 2 * x]),
        lambda x: torch.tensor([x, x * x]),
        lambda x: torch.tensor([[x], [x * x]]),
        lambda x: torch.asarray([x, 3.0]),
    ],
    ids=["as_tensor", "tensor", "nested", "asarray"],
)
@pytest.mark.filterwarnings("ignore:To copy construct", "ignore:Converting a tensor")
def test_numbers_that_a_constructor_copies_are_constants_and_the_line_is_told(copy):
    def f(x):
        return copy(x).sum() * x

    expected = [_torch_slope(f, x) for x in POINTS]
    for quantity in (gs.gradient, gs.jacobian):
        with pytest.warns(
            GradsweepWarning, match=r"copies numbers.* at test_torch_rules_and_numbers\.py"
        ):
            found = quantity(f, SWEEP).df_dx
        np.testing.assert_allclose(found, expected, rtol=1e-14)
    with pytest.raises(DerivativeError, match=r"copies numbers(.|\n)*torch\.stack"):
        gs.gradient(lambda x: copy(x).sum(), SWEEP)


# -- rules for the gradient


class Arctangent(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        ctx.a = a.detach().clone()
        return torch.atan(a)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return g / (1.0 + ctx.a * ctx.a)


class WithoutGraph(Arctangent):
    @staticmethod
    def backward(ctx, g):
        with torch.no_grad():
            return g / (1.0 + ctx.a * ctx.a)


class Detached(Arctangent):
    @staticmethod
    def backward(ctx, g):
        return g.detach() / (1.0 + ctx.a * ctx.a)


class ForwardRuleAlone(torch.autograd.Function):
    @staticmethod
    def forward(a):
        return torch.atan(a)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_forward(*inputs)

    @staticmethod
    def jvp(ctx, t):
        (a,) = ctx.saved_tensors
        return t / (1.0 + a * a)


@pytest.mark.parametrize("rule", [Arctangent, WithoutGraph, Detached, ForwardRuleAlone])
@pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning")
def test_a_rule_that_cannot_be_differentiated_again_is_taken_in_the_mode_that_it_is_for(rule):
    def f(x):
        return rule.apply(x * x) * torch.stack([x, 2 * x])

    slope = np.arctan(POINTS**2) + 2 * POINTS**2 / (1 + POINTS**4)
    for found in (
        gs.jacobian(f, SWEEP).df_dx,
        gs.jvp(f, SWEEP, {"x": 1.0}).jvp,
        gs.contributions(f, SWEEP, {"x": 1.0}).contribution_x,
    ):
        np.testing.assert_allclose(found, np.stack([slope, 2 * slope], axis=-1), rtol=1e-13)


def test_a_second_derivative_that_its_author_forbids_is_an_error():
    with pytest.raises(DerivativeError, match="once_differentiable"):
        gs.hessian(lambda x: Arctangent.apply(x * x) * x, SWEEP)


def hooked(x):
    y = x * x
    y.register_hook(lambda g: 2 * g)
    y.retain_grad()
    return y * x


def test_a_hook_changes_the_derivative_in_every_mode():
    for found in (
        gs.gradient(hooked, SWEEP).dhooked_dx,
        gs.jacobian(hooked, SWEEP, mode="forward").dhooked_dx,
        gs.jvp(hooked, SWEEP, {"x": 1.0}).jvp,
    ):
        np.testing.assert_allclose(found, 5 * POINTS**2, rtol=1e-14)  # y + 2 x 2 x


class Clipped(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        return 2.0 * a

    @staticmethod
    def backward(ctx, g):
        return g.clamp(-0.5, 0.5)


def clipped_by_a_rule(x):
    return Clipped.apply(x * x)


def clipped_by_a_hook(x):
    y = x * x
    y.register_hook(lambda g: g.clamp(-0.5, 0.5))
    return 2.0 * y


@pytest.mark.parametrize("f", [clipped_by_a_rule, clipped_by_a_hook], ids=lambda f: f.__name__)
@pytest.mark.parametrize("cotangent", [0.1, 1.3, -4.0])
@pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning")
def test_what_is_not_linear_in_the_cotangent_is_given_it_as_it_is(f, cotangent):
    given = cotangent if f is clipped_by_a_rule else 2 * cotangent
    expected = 2 * POINTS * np.clip(given, -0.5, 0.5)
    np.testing.assert_allclose(gs.vjp(f, SWEEP, cotangent).vjp_x, expected, rtol=1e-14)
    for found in (gs.gradient(f, SWEEP), gs.jvp(f, SWEEP, {"x": 1.0})):
        np.testing.assert_allclose(found.to_array()[0], POINTS, rtol=1e-14)


@pytest.mark.slow
def test_a_derivative_taken_inside_by_torch_func_linearize_is_never_a_false_number():
    def f(x):
        y, j = torch.func.linearize(torch.sin, x)
        return j(y)

    expected = np.sin(POINTS) * np.cos(POINTS)
    np.testing.assert_allclose(gs.value(f, SWEEP).f, expected, rtol=1e-14)
    for options in ({}, {"with_value": True}, {"mode": "forward"}, {"engine": "loop"}):
        with pytest.raises(DerivativeError, match=r"no derivative of torch\.func\.linearize"):
            gs.jacobian(f, SWEEP, **options)


# -- forward formulas of torch's own that differ from backward


def matrix(x, n=3):
    entries = torch.stack([x ** (k % 4) + k for k in range(n * n)]).view(n, n)
    return entries @ entries.mT + torch.eye(n, dtype=x.dtype)


def with_entry(x):
    return matrix(x) + torch.stack([0 * x, x] + 7 * [0 * x]).view(3, 3)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: torch.logcumsumexp(torch.stack([x, 3 * x]), 0),
        lambda x: torch.logcumsumexp(torch.stack([3 * x, x, torch.ones_like(x)]), 0),
        lambda x: torch.linalg.cholesky(with_entry(x)),
        lambda x: torch.cholesky_inverse(torch.linalg.cholesky(matrix(x))),
        lambda x: torch.as_strided_scatter(
            torch.stack([x, x**2, x**3, x]), torch.stack([2 * x, x]), (2,), (2,), 0
        ),
        lambda x: torch.nn.functional.max_unpool1d(
            torch.stack([x, 2 * x]).view(1, 1, 2), torch.tensor([[[1, 1]]]), 2
        ).view(-1),
        lambda x: torch.linalg.eigh(with_entry(x))[0],
    ],
    ids=[
        "logcumsumexp", "logcumsumexp of a constant", "cholesky", "cholesky_inverse",
        "as_strided_scatter", "max_unpool1d", "eigh",
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning")
def test_both_modes_say_what_backward_says(f):
    expected = np.array([_jacobian_by_rows(f, x) for x in POINTS])
    for mode in ("forward", "reverse"):
        for engine in ("auto", "loop"):
            with contextlib.suppress(gs.errors.EngineError):
                found = gs.broadcast(gs.jacobian(f, SWEEP, mode=mode, engine=engine)).df_dx
                np.testing.assert_allclose(
                    found.transpose("x", ...).values.reshape(expected.shape),
                    expected,
                    rtol=1e-9,
                    atol=1e-9,
                    err_msg=f"{mode}, {engine}",
                )


def _jacobian_by_rows(f, point):
    x = torch.tensor(point, dtype=torch.float64, requires_grad=True)
    rows = [
        torch.autograd.grad(y, x, retain_graph=True, allow_unused=True)[0] for y in f(x).reshape(-1)
    ]
    return [0.0 if row is None else row.item() for row in rows]


def test_a_graph_that_was_looked_at_is_freed_node_by_node():
    """Freed by a call inside a call, 6,000 nodes would not fit into so small a stack."""
    torch = pytest.importorskip("torch")
    from gradsweep.tracing.torch.graph import Graph

    def look() -> None:
        graph, start = Graph(), torch.tensor(1.0, requires_grad=True)
        y = start
        for _ in range(3000):
            y = y.sin() * 1.01
        found.append(graph.rules_of((y,)))
        del y  # what holds the nodes goes last

    found: list = []
    usual = threading.stack_size(2**19)
    try:
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(usual)
    assert found and found[0].are_symmetric
