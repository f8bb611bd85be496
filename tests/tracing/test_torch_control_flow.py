"""torch's own control flow, torch.compile, and transformations of functions."""

import functools

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import DerivativeError
from tests.support.plain_loop import POINTS, assert_as_a_loop, in_torch

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning"),
]

SWEEP = gs.Sweep(x=POINTS)


def chosen(x):
    return torch.cond(x > 1.0, lambda y: y**2, lambda y: 3 * y**3, (x,))


def repeated(x):
    from torch._higher_order_ops.while_loop import while_loop

    return while_loop(
        lambda k, y: k < 3, lambda k, y: (k + 1, y * torch.sin(x)), (torch.tensor(0), x)
    )[1]


def scanned(x):
    from torch._higher_order_ops.scan import scan

    last, rows = scan(
        lambda c, row: (c * row, c + row), x.clone(), torch.stack([x, 2 * x, torch.exp(x)])
    )
    return last + rows.pow(2).sum()


@pytest.mark.parametrize(
    "f, expected",
    [
        (chosen, np.where(POINTS > 1, 2 * POINTS, 9 * POINTS**2)),
        (
            repeated,  # x sin(x)^3
            np.sin(POINTS) ** 3 + 3 * POINTS * np.sin(POINTS) ** 2 * np.cos(POINTS),
        ),
    ],
    ids=["cond", "while_loop"],
)
def test_control_flow_of_torch_is_followed(f, expected):
    for engine in ("auto", "loop"):
        found = gs.gradient(f, SWEEP, engine=engine).to_array()[0]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@torch.no_grad()
def factor_by_cond(x):
    return torch.cond(x > 1.0, lambda y: y, lambda y: 3 * y, (x,))


@torch.no_grad()
def factor_by_while_loop(x):
    from torch._higher_order_ops.while_loop import while_loop

    return while_loop(lambda y: y < 5.0, lambda y: (2 * y,), (x,))[0]


@torch.no_grad()
def factor_by_scan(x):
    from torch._higher_order_ops.scan import scan

    return scan(lambda c, row: (c * row, c), x.clone(), torch.stack([x, x]))[0]


@pytest.mark.parametrize(
    "factor, expected",
    [
        (factor_by_cond, np.where(POINTS > 1, POINTS, 3 * POINTS)),
        (factor_by_while_loop, POINTS * np.exp2(np.ceil(np.log2(5 / POINTS)))),
        (factor_by_scan, POINTS**3),
    ],
    ids=["cond", "while_loop", "scan"],
)
def test_control_flow_of_torch_without_grad_is_a_constant(factor, expected):
    def f(x):
        return factor(x) * x

    for engine in ("fused", "loop"):
        for mode in ("forward", "reverse"):
            found = gs.jacobian(f, SWEEP, engine=engine, mode=mode).df_dx
            np.testing.assert_allclose(found, expected, rtol=1e-12)
    with pytest.raises(DerivativeError, match="no_grad"):
        gs.gradient(factor, SWEEP)


def test_control_flow_that_torch_compiles_is_found(monkeypatch):
    """The control of the test above, and of the scan below."""
    monkeypatch.setattr("gradsweep.tracing.torch.meaning.control_flow", lambda function: None)
    with pytest.raises(DerivativeError, match="has no len"):  # inside torch's own
        test_control_flow_of_torch_is_followed(
            lambda x: torch.cond(x > 1.0, lambda y: y**2, lambda y: 3 * y**3, (x,)),
            np.where(POINTS > 1, 2 * POINTS, 9 * POINTS**2),
        )


def test_a_scan_of_torch_is_followed():
    x, e = POINTS, np.exp(POINTS)
    # 2 x^3 e + (2x)^2 + (x^2 + 2x)^2 + (2x^3 + e)^2
    slope = (6 * x**2 + 2 * x**3) * e + 8 * x
    slope += 2 * (x**2 + 2 * x) * (2 * x + 2) + 2 * (2 * x**3 + e) * (6 * x**2 + e)
    np.testing.assert_allclose(gs.gradient(scanned, SWEEP).dscanned_dx, slope, rtol=1e-12)
    found = gs.jacobian(scanned, SWEEP, mode="forward").dscanned_dx
    np.testing.assert_allclose(found, slope, rtol=1e-12)


def test_plain_calls_work_as_before_after_a_sweep():
    gs.gradient(chosen, SWEEP)
    assert torch._C._len_torch_function_stack() == 0
    assert torch._C._len_torch_dispatch_stack() == 0
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    x = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.grad(torch.sin(x) * x, x)[0].item() == pytest.approx(
        np.sin(2.0) + 2 * np.cos(2.0), rel=1e-15
    )


@torch.compile
def compiled(x):
    return torch.sin(x) * x


def calls_a_compiled_function(x):
    return compiled(x) * x


class Twice(torch.nn.Module):
    def forward(self, x):
        return torch.sin(x) * 2 * x


def test_what_torch_compile_was_called_on_is_followed_as_it_is_written():
    slope = np.sin(POINTS) + POINTS * np.cos(POINTS)
    module = Twice()
    module.compile()
    for f, factor in ((compiled, 1), (torch.compile(Twice()), 2), (module, 2)):
        for quantity in (gs.gradient, gs.jacobian):
            found = quantity(f, SWEEP).to_array()[0]
            np.testing.assert_allclose(found, factor * slope, rtol=1e-14)
    assert [*gs.gradient(torch.compile(Twice()), SWEEP)] == ["dTwice_dx"]
    assert_as_a_loop_of_sines(calls_a_compiled_function)


def assert_as_a_loop_of_sines(f):
    found = gs.gradient(f, SWEEP).to_array()[0]
    slope = 2 * POINTS * np.sin(POINTS) + POINTS**2 * np.cos(POINTS)
    np.testing.assert_allclose(found, slope, rtol=1e-13)


def test_functions_that_take_their_arguments_by_position_are_given_them_so():
    cube = torch.func.grad(lambda x: x**3)
    np.testing.assert_allclose(gs.gradient(cube, SWEEP).to_array()[0], 6 * POINTS)
    both = gs.value(torch.func.grad_and_value(lambda x: x**3), SWEEP)
    np.testing.assert_allclose(both.to_array()[0], 3 * POINTS**2)
    scaled = functools.partial(torch.func.grad(lambda x, y: y * x**3), y=2.0)
    np.testing.assert_allclose(gs.gradient(scaled, SWEEP, wrt="x").to_array()[0], 12 * POINTS)


def test_names_where_positions_are_wanted_are_found(monkeypatch):
    monkeypatch.setattr("gradsweep.request.function._takes_positions", lambda function: False)
    with pytest.raises(RuntimeError, match="positional"):
        gs.gradient(torch.func.grad(lambda x: x**4 + x), SWEEP)


def test_decorators_that_pass_names_on_are_given_names():
    def by_name(f):
        @functools.wraps(f)
        def wrapper(**arguments):
            return f(**arguments)

        return wrapper

    @by_name
    def f(x, y):
        return x * y**2

    np.testing.assert_allclose(gs.gradient(f, gs.Sweep(x=POINTS, y=2.0)).df_dy, 4 * POINTS)


# -- functions that torch.vmap cannot map, or maps wrongly


def test_an_operation_that_vmap_rolls_along_the_points_is_not_mapped():
    def f(x):
        matrix = torch.stack([x, x * x, x * x, x]).view(2, 2)
        return torch.roll(torch.linalg.eigvals(matrix).real.min(), 1)

    expected = POINTS - POINTS**2
    np.testing.assert_allclose(gs.value(f, SWEEP).f, expected, rtol=1e-12)


def test_a_jacobian_without_a_program_takes_the_mode_that_can_be_mapped():
    image = torch.arange(16.0, dtype=torch.float64).view(1, 1, 4, 4)

    def sampled(x):
        grid = torch.stack([x * 0.1, x * 0.05]).view(1, 1, 1, 2)
        return torch.nn.functional.grid_sample(
            image, grid, mode="bicubic", align_corners=True
        ).sum()

    points = torch.tensor(POINTS, requires_grad=True)
    expected = [torch.autograd.grad(sampled(x), points)[0].sum() for x in points]
    for found in (gs.jacobian(sampled, SWEEP), gs.jvp(sampled, SWEEP, {"x": 1.0})):
        assert found.attrs["engine"] == "torch"
        np.testing.assert_allclose(found.to_array()[0], expected, rtol=1e-12)


def test_derivatives_along_a_tangent_are_taken_by_rows_where_there_are_no_columns():
    def distances(x):
        rows = torch.stack([x, 2 * x]).view(2, 1), torch.stack([x * x, x + 1]).view(2, 1)
        return torch.cdist(*rows).sum()

    def segments(x):
        lengths = torch.tensor([1, 2])
        rows = torch.stack([x, x * x, 2 * x])
        return torch.segment_reduce(rows, "sum", lengths=lengths).pow(2).sum()

    def bag(x):
        weights = torch.stack([x, 2 * x, x * x, x + 1]).view(2, 2)
        ids, starts = torch.tensor([0, 1, 1]), torch.tensor([0, 2])
        return torch.nn.functional.embedding_bag(ids, weights, starts, mode="sum").pow(2).sum()

    for f in (distances, segments, bag):
        expected = in_torch(f)[1]
        np.testing.assert_allclose(gs.jvp(f, SWEEP, {"x": 1.0}).jvp, expected, rtol=1e-12)


def test_hooks_and_kept_gradients_are_allowed_on_intermediate_values():
    def f(x):
        y = x * x
        y.retain_grad()
        return y * torch.sin(y)

    assert_as_a_loop(f, "torch")
