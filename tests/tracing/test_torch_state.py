"""torch functions that keep state, read numbers, or are called in another mode of torch's."""

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import StatefulFunction

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

X = np.array([1.0, 2.0, 3.0])


def slope(f, **options):
    (partial,) = gs.gradient(f, gs.Sweep(x=X), **options).values()
    return partial.values


@pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning")
def test_state_is_found_where_nothing_can_be_recorded():
    n_calls = 0

    def counts(x):
        nonlocal n_calls
        n_calls += 1
        assert type(x) is torch.Tensor  # a recorded one is not
        return x * n_calls

    with pytest.raises(StatefulFunction):
        slope(counts)


def test_a_function_that_does_something_else_when_first_called_is_refused():
    calls = []

    def warms_up(x):
        calls.append(1)
        return 5 * x if len(calls) == 1 else x

    with pytest.raises(StatefulFunction):
        slope(warms_up)


@pytest.mark.parametrize("quantity", [gs.value, gs.gradient, gs.hessian])
@pytest.mark.parametrize("period", [2, 3])
def test_a_function_that_returns_to_its_state_is_refused(quantity, period):
    n_calls = 0

    def turns(x):
        nonlocal n_calls
        n_calls += 1
        return x**3 * (2.0 if n_calls % period == 1 else 1.0)

    with pytest.raises(StatefulFunction):
        quantity(turns, gs.Sweep(x=X))


def test_a_function_with_state_is_refused_before_any_error_of_its_derivative():
    n_calls = 0

    def fails(x):
        nonlocal n_calls
        n_calls += 1
        if x.requires_grad:
            raise ValueError("differentiated")
        return x * n_calls

    with pytest.raises(StatefulFunction):
        slope(fails)


def test_a_function_that_computes_otherwise_when_it_is_differentiated_has_no_state():
    def twice(x):
        return x * 2 if x.requires_grad else x + x

    np.testing.assert_array_equal(slope(twice), 2.0)


def test_a_trace_runs_a_function_for_its_value_and_for_its_derivative():
    """Two runs find state: one of the value, and that of the derivative."""
    n_calls = 0

    def cube(x):
        nonlocal n_calls
        n_calls += 1
        return x * x * x

    np.testing.assert_allclose(slope(cube), 3 * X**2, rtol=1e-15)
    assert n_calls == 2


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
@pytest.mark.parametrize("engine", ["fused", "torch", "loop"])
def test_derivatives_are_right_where_torch_follows_none(mode, engine):
    with mode():
        found = slope(lambda x: 1.25 * x**3, engine=engine)
    np.testing.assert_allclose(found, 3.75 * X**2, rtol=1e-15)


def test_a_narrow_default_dtype_of_torch_loses_no_digits():
    torch.set_default_dtype(torch.float16)
    try:
        np.testing.assert_array_equal(slope(lambda x: x * torch.tensor(0.1)), 0.1)
    finally:
        torch.set_default_dtype(torch.float32)


def test_an_integer_where_torch_wants_a_tensor_is_told_of():
    with pytest.raises(TypeError) as caught:
        gs.gradient(lambda x, T: x * torch.sqrt(T), gs.Sweep(x=X, T=1))
    assert any("write 1.0 for 1" in note for note in caught.value.__notes__)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_attention_that_drops_nothing_is_no_random_operation():
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).double()

    def attention(x):
        return layer(torch.stack([x, x * x, x + 1, torch.sin(x)]).view(1, 1, 4)).pow(3).sum()

    with pytest.raises(StatefulFunction, match="random"):
        slope(attention)
    layer.eval()
    points = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in X]
    expected = [torch.autograd.grad(attention(x), x)[0].item() for x in points]
    np.testing.assert_allclose(slope(attention), expected, rtol=1e-10)


@pytest.mark.jax
def test_code_decides_the_framework_where_values_are_of_the_other():
    import jax.numpy as jnp

    np.testing.assert_allclose(
        gs.gradient(lambda x: torch.sin(x), gs.Sweep(x=jnp.array(X, "float32"))).df_dx,
        np.cos(X),
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        gs.gradient(lambda x: jnp.sin(x), gs.Sweep(x=torch.tensor(X))).df_dx, np.cos(X), rtol=1e-14
    )


@pytest.mark.parametrize(("change", "is_state"), [(2.0**-50, False), (2.0**-30, True)])
def test_roundings_that_differ_between_calls_are_no_state(change, is_state):
    """LAPACK's last digits depend on where its arrays lie."""
    calls = iter(range(1000))

    def largest(x):
        matrix = torch.stack([torch.stack([x, x**2]), torch.stack([x**2, 1 + x])])
        return torch.linalg.eigvals(matrix).real.max() * (1 + change * (next(calls) % 2))

    def computed():
        return gs.value(largest, gs.Sweep(x=[0.5, 1.5]), engine="torch").largest.values

    if is_state:
        with pytest.raises(StatefulFunction):
            computed()
    else:
        x = np.array([0.5, 1.5])
        expected = (1 + 2 * x + np.sqrt(1 + 4 * x**4)) / 2
        np.testing.assert_allclose(computed(), expected, rtol=1e-14)


def test_a_tensor_of_one_call_is_not_used_in_another():
    kept = []

    def f(x):
        kept.append(x)
        return kept[0] * x

    for quantity in (gs.value, gs.gradient):
        kept.clear()
        with pytest.raises(StatefulFunction, match="keeps a tensor of one call"):
            quantity(f, gs.Sweep(x=X))
