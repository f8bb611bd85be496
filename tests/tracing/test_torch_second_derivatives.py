"""Second derivatives where a formula of torch's must not be differentiated once more.

The Hessian of a pushforward differentiates torch's formulas for second derivatives. layer_norm's
takes the mean for a constant then, and logcumsumexp's is 0 / 0.
"""

import importlib
from functools import cache

import numpy as np
import pytest
import sympy as sp

import gradsweep as gs
from tests.support.controls import must_fail

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

X = np.array([0.3, 1.1, -0.7])
START, SLOPE, WEIGHT = (0.3, -1.2, 0.7), (0.5, 0.1, -0.4), (1.5, 0.2, -0.3)
EPS = 1e-5


def _along(x):
    return torch.stack([s + x * d for s, d in zip(START, SLOPE)])


def _weighted(values):
    return sum(w * v for w, v in zip(WEIGHT, values))


def _layer_norm(x):
    return _weighted(torch.nn.functional.layer_norm(_along(x), (3,)))


def _module(x):
    norm = torch.nn.LayerNorm(3).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor(WEIGHT))
    return norm(_along(x)).sum()


def _instance_norm(x):
    return _weighted(torch.nn.functional.instance_norm(_along(x).view(1, 1, 3)).view(3))


def _batch_norm(x):
    return _weighted(
        torch.nn.functional.batch_norm(_along(x).view(3, 1), None, None, training=True).view(3)
    )


def _group_norm(x):
    return _weighted(torch.nn.functional.group_norm(_along(x).view(1, 3), 1).view(3))


def _logcumsumexp(x):
    return _weighted(torch.logcumsumexp(_along(x), 0))


def _flat_logcumsumexp(x):
    return torch.relu(torch.logcumsumexp(_along(x), 0) - 10.0).sum() + x**2


def _cut_logcumsumexp(x):
    return torch.logcumsumexp(_along(x), 0)[1]


def _normal(values):
    mean = sum(values) / 3
    variance = sum((v - mean) ** 2 for v in values) / 3
    return [(v - mean) / sp.sqrt(variance + EPS) for v in values]


def _sums(values):
    return [sp.log(sum(sp.exp(v) for v in values[: n + 1])) for n in range(3)]


FORMULAS = {
    **dict.fromkeys(
        [_layer_norm, _module, _instance_norm, _batch_norm, _group_norm],
        lambda values: _weighted(_normal(values)),
    ),
    _logcumsumexp: lambda values: _weighted(_sums(values)),
    _flat_logcumsumexp: lambda values: ((values[0] - START[0]) / SLOPE[0]) ** 2,
    _cut_logcumsumexp: lambda values: _sums(values)[1],
}


@cache
def _second_derivative(f):
    x = sp.Symbol("x")
    along = [sp.Float(s, 30) + x * sp.Float(d, 30) for s, d in zip(START, SLOPE)]
    second = sp.diff(FORMULAS[f](along), x, 2)
    return np.array([float(second.subs(x, sp.Float(float(v), 30)).evalf(25)) for v in X])


@pytest.mark.parametrize("engine", ["auto", "loop"])
@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
@pytest.mark.parametrize("f", FORMULAS, ids=lambda f: f.__name__[1:])
@pytest.mark.filterwarnings("ignore::gradsweep.errors.GradsweepWarning")
def test_second_derivatives_are_those_of_the_formula(f, mode, engine):
    hessian = gs.hessian(f, gs.Sweep(x=X), mode=mode, engine=engine)
    (found,) = gs.broadcast(hessian).data_vars.values()
    np.testing.assert_allclose(found, _second_derivative(f), rtol=1e-7, atol=1e-9)
    product = gs.hvp(f, gs.Sweep(x=X), {"x": 2.0}, mode=mode, engine=engine)
    (found,) = gs.broadcast(product).data_vars.values()
    np.testing.assert_allclose(found, 2 * _second_derivative(f), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
@pytest.mark.parametrize("quantity", [gs.jacobian, gs.hessian])
def test_derivatives_of_a_truth_value_are_zeros_of_the_arguments_dtype(quantity, mode):
    found = quantity(lambda x: x > 0.5, gs.Sweep(x=X), mode=mode, with_value=True)
    value, derivative = found.data_vars.values()
    np.testing.assert_array_equal(value, X > 0.5)
    assert derivative.item() == 0.0 and derivative.dtype == np.float64


@pytest.mark.parametrize("f", [_layer_norm, _instance_norm], ids=lambda f: f.__name__[1:])
def test_control_formulas_that_are_differentiated_once_more_are_noticed(f, monkeypatch):
    module = importlib.import_module("gradsweep.tracing.torch.trace")
    monkeypatch.setattr(module, "_agree_with_rows", lambda values, by_rows, point: True)
    must_fail(test_second_derivatives_are_those_of_the_formula, f, "forward", "auto")


def test_control_logarithms_of_nothing_are_noticed(monkeypatch):
    trace = importlib.import_module("gradsweep.tracing.torch.trace")
    graph = importlib.import_module("gradsweep.tracing.torch.graph")
    monkeypatch.setattr(trace, "_agree_with_rows", lambda *_: True)
    monkeypatch.setattr(graph.Graph, "rules_of", lambda *_: graph.Rules())
    must_fail(
        test_second_derivatives_are_those_of_the_formula, _cut_logcumsumexp, "forward", "auto"
    )


# -- products along a direction, where a row of the Hessian that they do not need is 0 / 0

UNWEIGHTED = (0.0, 1.0, 0.0)


def _unweighted_logcumsumexp(x, w):
    """The weight of two terms is zero: torch's rule takes the logarithm of it for df/dw."""
    weight = torch.tensor(UNWEIGHTED, dtype=torch.float64)
    return (weight * torch.logcumsumexp(w, 0)).sum() * x


def _weighted_by_an_argument(x, w):
    return x * torch.logcumsumexp(w, 0)[2] + (x - x) * torch.logcumsumexp(w * 2.0, 0)[1]


def _beside_an_unused_argument(x, w, unused):
    return _unweighted_logcumsumexp(x, w)


def _of_two_outputs(x, w):
    weight = torch.tensor(UNWEIGHTED, dtype=torch.float64)
    return {"p": (weight * torch.logcumsumexp(w, 0)).sum() * x, "q": x * weight}


W = np.array([[0.3, -0.7, 1.1], [2.0, 0.1, -0.4]])


def _softmax(w, n):
    e = np.exp(w[:, :n])
    return np.pad(e / e.sum(1, keepdims=True), ((0, 0), (0, 3 - n)))


# d/dw of df/dx is the softmax of the first n numbers.
PRODUCTS = {
    _unweighted_logcumsumexp: 2,
    _weighted_by_an_argument: 3,
    _beside_an_unused_argument: 2,
    _of_two_outputs: 2,
}


@pytest.mark.parametrize("engine", ["fused", "reference", "torch", "loop"])
@pytest.mark.parametrize("mode", ["auto", "reverse"])
@pytest.mark.parametrize("f", PRODUCTS, ids=lambda f: f.__name__[1:])
def test_a_product_along_a_direction_needs_no_other_row(f, mode, engine):
    more = {"unused": 1.5} if f is _beside_an_unused_argument else {}
    sweep = gs.Sweep(x=("point", X[:2]), w=("point", W), **more)
    found = gs.broadcast(gs.hvp(f, sweep, {"x": 2.0}, mode=mode, engine=engine))
    arguments = {name: name.split("_")[-1] for name in found.data_vars}
    by_w = next(found[name] for name, argument in arguments.items() if argument == "w")
    np.testing.assert_allclose(by_w, 2 * _softmax(W, PRODUCTS[f]), rtol=1e-12)
    for name, argument in arguments.items():
        if argument != "w":
            np.testing.assert_array_equal(found[name], 0.0)


def test_control_a_product_by_rows_is_noticed(monkeypatch):
    module = importlib.import_module("gradsweep.tracing.torch.basis")
    monkeypatch.setattr(module.RecordedAD, "along", "forward")
    must_fail(
        test_a_product_along_a_direction_needs_no_other_row,
        _unweighted_logcumsumexp,
        "reverse",
        "reference",
    )


# -- operations whose first derivative by one argument is chosen by the value of the other

# Each with points where it is chosen, and d/dx of df/dy there, which torch's backward says. What it
# says of d/dy of df/dx is 0: the choice counts as a constant.
ONE_SIDED = {
    "x ** y": (lambda x, y: (x * x + 0.3) ** y, [(1.5, 0.0), (-0.7, -0.0)], "2*x / (x**2 + 0.3)"),
    "float_power": (lambda x, y: torch.float_power(x, y), [(0.4, 0.0), (2.5, -0.0)], "1 / x"),
    "xlogy": (lambda x, y: torch.xlogy(x, y), [(0.0, -0.5), (-0.0, -4.0)], "1 / y"),
    "xlog1py": (lambda x, y: torch.special.xlog1py(x, y), [(0.0, -3.0)], "1 / (1 + y)"),
}


@pytest.mark.parametrize("engine", ["fused", "reference", "torch", "loop"])
@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
@pytest.mark.parametrize("name", ONE_SIDED)
def test_mixed_second_derivatives_are_those_of_their_own_order(name, mode, engine):
    f, points, formula = ONE_SIDED[name]
    x, y = (np.array([1.25, *column]) for column in zip(*points))
    sweep = gs.Sweep(x=("point", x), y=("point", y))
    found = gs.hessian(lambda x, y: f(x, y), sweep, mode=mode, engine=engine)
    mixed = [v.values[1:] for k, v in found.data_vars.items() if k.endswith(("dx_dy", "dy_dx"))]
    by_y, by_x = mixed
    at = sp.lambdify(sp.symbols("x y"), sp.sympify(formula))
    np.testing.assert_allclose(by_x, at(x[1:], y[1:]), rtol=1e-12)
    np.testing.assert_array_equal(by_y, np.zeros(len(points)))


@pytest.mark.parametrize("name", ONE_SIDED)
def test_control_one_order_for_both_is_noticed(name, monkeypatch):
    module = importlib.import_module("gradsweep.tracing.torch.graph")
    monkeypatch.setattr(module, "_ONE_SIDED", frozenset())
    must_fail(test_mixed_second_derivatives_are_those_of_their_own_order, name, "reverse", "fused")


def test_an_operation_of_one_argument_keeps_its_hessian_symmetric():
    found = gs.hessian(lambda x, y: (x * y) ** 3 + 2.0**x, gs.Sweep(x=X, y=2.0))
    upper, lower = (v for k, v in found.data_vars.items() if k.endswith(("dx_dy", "dy_dx")))
    assert np.shares_memory(upper.values, lower.values)
