"""A derivative means what torch's backward means: in every mode, quantity and engine.

A value under no_grad, in inference mode or detached is a constant; an operation without a
derivative, a number that Python reads and a rule that gets lost are errors, not zeros.
"""

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import DerivativeError
from tests.support.plain_loop import POINTS, assert_as_a_loop
from tests.support.torch_meaning import SWEEP

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


# -- constants


def weight_under_no_grad(x):
    with torch.no_grad():
        s = torch.exp(x)
    return x * s


def weight_while_grad_is_off(x):
    torch.set_grad_enabled(False)
    s = torch.sin(x) * x
    torch.set_grad_enabled(True)
    return s * x**2


@torch.no_grad()
def decorated(x):
    return torch.exp(x) + x


def weight_of_a_decorated_function(x):
    return decorated(x) * torch.sin(x)


def weight_in_inference_mode(x):
    with torch.inference_mode():
        s = torch.cos(x)
        s = s * 2
    return x * x * s + s


def enabled_inside(x):
    with torch.no_grad():
        s = x * 2
        with torch.enable_grad():
            t = x**3
    return s * t


def written_in_place_under_no_grad(x):
    y = x * x
    with torch.no_grad():
        y.mul_(3.0)
    return y + x


def stored_under_no_grad(x):
    held = torch.zeros(2, dtype=x.dtype)
    with torch.no_grad():
        held[0] = x**2
    held = held + torch.stack([x, x * x])
    return held.sum() * x


def detached(x):
    return x.detach() * torch.exp(x) + x.data * x


def an_argument_read_under_no_grad(x):
    with torch.no_grad():
        n = float(x) * 2
    return x**3 * n


CONSTANTS = [
    weight_under_no_grad,
    weight_while_grad_is_off,
    weight_of_a_decorated_function,
    weight_in_inference_mode,
    enabled_inside,
    written_in_place_under_no_grad,
    stored_under_no_grad,
    detached,
    an_argument_read_under_no_grad,
]


@pytest.mark.parametrize("f", CONSTANTS, ids=lambda f: f.__name__)
def test_what_is_computed_without_grad_is_a_constant_everywhere(f):
    if f is weight_in_inference_mode:  # torch itself refuses to save such a tensor
        s, x = np.cos(POINTS), POINTS
        np.testing.assert_allclose(gs.gradient(f, SWEEP).to_array()[0], 4 * x * s, rtol=1e-14)
        np.testing.assert_allclose(gs.hessian(f, SWEEP).to_array()[0], 4 * s, rtol=1e-14)
        return
    assert_as_a_loop(f, "torch", second=f is not written_in_place_under_no_grad)


def test_a_mode_that_differentiates_through_no_grad_is_found(monkeypatch):
    """The control: torch's own forward formulas take the weight for a function of x."""
    from gradsweep.tracing.torch import ad

    def by_duals(self, function, x):
        push = self._by_forward_formulas(function, x, ValueError())
        return tuple(function(*x)), lambda v: push(v)[1]

    monkeypatch.setattr(ad.TorchAD, "_transposed", by_duals)
    monkeypatch.setattr(
        "gradsweep.tracing.torch.meaning._constant",
        lambda watch, function, args, kwargs: function(*args, **kwargs),
    )

    def fresh(x):
        with torch.no_grad():
            s = torch.exp(x)
        return x * s

    with pytest.raises(AssertionError, match="jacobian, forward of fresh"):
        assert_as_a_loop(fresh, "torch")


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_contexts_around_the_call_do_not_count(context):
    with context():
        found = gs.jacobian(weight_under_no_grad, SWEEP, mode="forward").to_array()[0]
    np.testing.assert_allclose(found, np.exp(POINTS), rtol=1e-14)


@torch.no_grad()
def wholly_under_no_grad(x):
    return torch.exp(x) * x


@torch.inference_mode()
def wholly_in_inference_mode(x):
    return torch.exp(x) * x


def all_but_the_sum(x):
    with torch.no_grad():
        parts = torch.stack([x, x * x])
    return parts.sum()


def through_a_buffer(x):
    held = torch.zeros(3, dtype=x.dtype)
    with torch.no_grad():
        held[1] = x * x
    return held.sum()


@pytest.mark.parametrize("quantity", [gs.gradient, gs.jacobian, gs.hessian])
@pytest.mark.parametrize(
    "f",
    [wholly_under_no_grad, wholly_in_inference_mode, all_but_the_sum, through_a_buffer],
    ids=lambda f: f.__name__,
)
def test_a_function_wholly_without_grad_is_an_error_and_has_a_value(f, quantity):
    with pytest.raises(DerivativeError, match=r"under torch\.no_grad.* at test_torch_meaning\.py"):
        quantity(f, SWEEP)
    assert gs.value(f, SWEEP).to_array()[0].dims == ("x",)


# -- operations without a derivative


special = torch.special


@pytest.mark.parametrize(
    "f, name",
    [
        (lambda x: x * special.modified_bessel_k0(x), "modified_bessel_k0"),
        (lambda x: special.bessel_j0(x), "bessel_j0"),
        (lambda x: torch.exp(-x) + special.airy_ai(x) ** 2, "airy_ai"),
        (lambda x: x + special.chebyshev_polynomial_t(x, 3), "chebyshev_polynomial_t"),
        (lambda x: x + special.spherical_bessel_j0(torch.stack([x, x * x])).sum(), "spherical"),
        (lambda x: x * torch.heaviside(x, torch.tensor(0.5, dtype=x.dtype)) * x, "heaviside"),
        (lambda x: torch.linspace(x, 2 * x, 3).sum() + x, "linspace"),
        (lambda x: x * torch.autograd.grad(_cube(x), x)[0] if x.requires_grad else x, "grad"),
        (lambda x: _stored(special.bessel_j1(x), x), "bessel_j1"),
    ],
)
@pytest.mark.parametrize("quantity", [gs.gradient, gs.jacobian, gs.hessian])
@pytest.mark.filterwarnings("ignore:Converting a tensor")
def test_an_operation_without_a_derivative_is_an_error_that_names_it_and_the_line(
    f, name, quantity
):
    with pytest.raises(DerivativeError, match=rf"{name}.* at test_torch_meaning\.py:\d+"):
        quantity(f, SWEEP)


def _cube(x):
    return x**3


def _stored(value, x):
    held = torch.zeros(2, dtype=x.dtype)
    held[1] = value
    return held.sum() * x


def test_a_value_needs_no_derivative():
    scipy_special = pytest.importorskip("scipy.special")
    found = gs.value(lambda x: x * special.modified_bessel_k0(x), SWEEP).f
    np.testing.assert_allclose(found, POINTS * scipy_special.k0(POINTS), rtol=1e-12)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * torch.floor(x * 3) + torch.round(x) * torch.sign(x),
        lambda x: x**2 * (special.bessel_j0(x) > 0.5),
        lambda x: x * torch.argmax(torch.stack([special.bessel_j0(x), 0.7 * x / x])),
        lambda x: torch.where(special.bessel_y0(x) > 0, x, x**2),
        lambda x: x * x + special.bessel_j0(x).detach(),
        lambda x: torch.linalg.slogdet(torch.stack([x, x * x, x + 1, x]).view(2, 2))[0] * x,
        lambda x: torch.linalg.lu(torch.stack([x, x**2, x + 1, x]).view(2, 2))[0][0, 0] * x,
    ],
    ids=["steps", "compared", "placed", "chosen", "detached", "sign", "permutation"],
)
def test_what_has_no_slope_or_is_only_compared_is_no_error(f):
    f.__name__ = "f"
    assert_as_a_loop(f, "torch")


TWO = torch.tensor([2.0, 3.0])


@pytest.mark.parametrize(
    "constant_like",
    [
        lambda x: TWO.to(x),
        lambda x: TWO.type_as(x),
        lambda x: TWO.double().expand_as(x),
        lambda x: TWO.double().view(2, 1).view_as(x),
        lambda x: TWO.double().view(1, 2).reshape_as(x),
    ],
    ids=["to", "type_as", "expand_as", "view_as", "reshape_as"],
)
def test_a_constant_in_the_form_of_a_traced_value_is_no_error(constant_like):
    def f(x):
        return (constant_like(torch.stack([x, x * x])) * x).sum()

    np.testing.assert_array_equal(gs.broadcast(gs.gradient(f, SWEEP)).df_dx, 5.0)


def test_control_every_argument_taken_for_its_value_makes_it_one(monkeypatch):
    monkeypatch.setattr("gradsweep.tracing.torch.meaning._IN_THE_FORM_OF", set())
    with pytest.raises(gs.errors.DerivativeError, match="torch.Tensor.to"):
        gs.gradient(lambda x: (TWO.to(x) * x).sum(), SWEEP)
