"""Every parameter of every operation is used by its rule, or refused: none is silently ignored."""

import ast
import inspect
import textwrap

import numpy as np
import pytest

import gradsweep as gs
from tests.support.plain_loop import POINTS

# Parameters of torch's operations that change where a result lies or how fast it is made; a dtype
# is the result's, to which every result is cast.
WITHOUT_MEANING = {
    "buffer", "call", "check_errors", "compute_mode", "dtype", "half_to_float", "non_blocking",
    "sorted", "sparse_grad", "stable", "unsafe",
}  # fmt: skip

# Other parameters that a rule need not read, and why.
ALLOWED = {
    "_to_copy": {"args", "kwargs"},  # dtype, layout and device of the result
    "copy": {"x"},  # it is overwritten
    "fill": {"x"},
    "bucketize": {"options"},  # the width of the resulting integers
    "leaky_relu_backward": {"is_result"},  # the sign of the result is that of the argument
    "special_log_ndtr": {"x"},  # refused
    "_linalg_svd": {"driver"},  # which routine of LAPACK
    "linalg_lstsq": {"driver"},
    "convolution": {"output_padding", "hints"},  # the shape of the result; how to compute it
    "_convolution": {"output_padding", "hints"},
    "convolution_backward": {"bias_sizes", "output_padding"},  # shapes
    "max_pool2d_with_indices": {"ceil_mode"},  # the shape of the result
    "max_pool2d_with_indices_backward": {"ceil_mode"},
    "avg_pool2d": {"ceil_mode"},
    "avg_pool2d_backward": {"ceil_mode"},
    # A probability that is not 0 is refused; the sum can be computed again.
    "_scaled_dot_product_flash_attention_for_cpu": {"dropout_p"},
    "_scaled_dot_product_flash_attention_for_cpu_backward": {"dropout_p", "logsumexp"},
}


def unread(rule) -> set[str]:
    """Return the parameters of a rule that its code never reads."""
    function = rule
    if not inspect.isfunction(function):
        return set()
    source = textwrap.dedent(inspect.getsource(function))
    node = next(
        n
        for n in ast.walk(ast.parse(_parseable(source)))
        if isinstance(n, ast.FunctionDef | ast.Lambda) and _names(n) == _signature(function)
    )
    body = node.body if isinstance(node.body, list) else [node.body]
    read = {n.id for part in body for n in ast.walk(part) if isinstance(n, ast.Name)}
    return {*_signature(function)} - read - WITHOUT_MEANING


def _parseable(source: str) -> str:
    """Wrap a row of a table, since Python returns only the line as its source."""
    try:
        ast.parse(source)
    except SyntaxError:
        return f"{{{source.strip().rstrip(',')}}}"
    return source


def _signature(function) -> list[str]:
    return list(inspect.signature(function).parameters)


def _names(node) -> list[str]:
    a = node.args
    every = [*a.posonlyargs, *a.args, a.vararg, *a.kwonlyargs, a.kwarg]
    return [argument.arg for argument in every if argument is not None]


@pytest.mark.torch
def test_rules_of_torch_read_all_that_they_are_given():
    pytest.importorskip("torch")
    from gradsweep.tracing.torch.recorder.rules import RULES

    for name, rule in RULES.items():
        assert unread(rule) <= ALLOWED.get(name, set()), name


@pytest.mark.torch
def test_formulas_of_torch_read_all_that_they_are_given():
    pytest.importorskip("torch")
    from gradsweep.tracing.torch.recorder.rules import pointwise

    for name, formula in {**pointwise._FORMULAS, **pointwise._COMPARISONS}.items():
        assert unread(formula) <= ALLOWED.get(name, set()), name


def test_a_rule_that_ignores_a_parameter_is_found():
    """The control."""

    def rule(call, x, weight, padding=0):
        return call(x) * call(weight)

    assert unread(rule) == {"padding"}
    assert unread(lambda x, eps: x) == {"eps"}


@pytest.mark.jax
def test_a_parameter_that_no_rule_of_jax_reads_is_refused(monkeypatch):
    jnp = pytest.importorskip("jax.numpy")
    from gradsweep.tracing.jax import lower

    # As it was before: the order of dims in the derivative of a product was not read.
    def without_order(b, equation, operand):
        return operand.reshape(equation.outvars[0].aval.shape)

    def products(x):
        return (jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]) + x).prod(-1)

    a, b = POINTS + 1, POINTS + 4
    first = (a + 1) * (a + 2) + a * (a + 2) + a * (a + 1)
    second = (b + 1) * (b + 2) + b * (b + 2) + b * (b + 1)
    expected = np.stack([first, second], axis=-1)
    sweep = gs.Sweep(x=POINTS)
    found = gs.jacobian(products, sweep)
    assert found.attrs["engine"] == "fused"
    np.testing.assert_allclose(found.dproducts_dx, expected, rtol=1e-13)

    monkeypatch.setitem(lower.RULES, "reshape", without_order)

    def fresh(x):
        return products(x)

    plan = gs.plan(gs.jacobian, fresh, sweep)
    assert "reshape with dimensions" in plan.branches[0].branch.traced.reason
    np.testing.assert_allclose(plan.run().dfresh_dx, expected, rtol=1e-13)


@pytest.mark.torch
@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("padding", [None, 0, 1, -2])
def test_an_embedding_leaves_padding_out_and_scales_by_frequency(padding, scale):
    torch = pytest.importorskip("torch")
    ids = torch.tensor([[0, 1, 1], [2, 1, 0]])

    def f(x, w):
        rows = torch.nn.functional.embedding(
            ids, w * x, padding_idx=padding, scale_grad_by_freq=scale
        )
        return (rows * rows).sum()

    weights = np.array([[0.6, -0.5], [1.8, 1.0], [-0.3, 0.7]])
    w = torch.tensor(weights, requires_grad=True)
    expected = [torch.autograd.grad(f(x, w), w)[0].numpy() for x in POINTS]
    found = gs.gradient(f, gs.Sweep(x=POINTS, w=((), weights)), framework="torch")
    np.testing.assert_allclose(found.df_dw, expected, rtol=1e-13)
    assert found.attrs["engine"] == "fused"
