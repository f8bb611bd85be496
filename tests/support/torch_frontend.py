"""Functions of torch, traced and evaluated."""

import numpy as np
import pytest

from gradsweep.program.primitives import PRIMITIVES
from gradsweep.request.function import bind
from gradsweep.request.quantities import Derivative
from gradsweep.request.sweep import Sweep
from gradsweep.tracing.torch import trace

torch = pytest.importorskip("torch")


F = torch.nn.functional
special = torch.special
VECTOR = np.array([0.3, -0.7, 1.9])
MATRIX = np.array([[0.3, -0.7, 1.9], [1.1, 0.6, -0.2]])


def traced(f, quantity="gradient", **point):
    point = {name: np.asarray(value) for name, value in point.items()}
    sweep = Sweep(**{name: ((), value) for name, value in point.items()})
    wrt = tuple(name for name, value in point.items() if value.dtype.kind == "f")
    return trace(bind(f, sweep), Derivative(quantity, wrt), point)


def evaluate(program, **point):
    """Return the outputs of a Program at a point, and whether its guards hold there."""
    values = [np.asarray(point[i.leaf]).ravel()[i.element] for i in program.inputs]
    values += [np.dtype(c.dtype).type(c.value) for c in program.constants]
    with np.errstate(all="ignore"):
        for primitive, operands, dtype in program.equations:
            result = PRIMITIVES[primitive].numpy(*(values[o] for o in operands))
            assert np.asarray(result).dtype == dtype, (primitive, dtype)
            values.append(result)
    outputs = [np.array([values[v] for v in o.variables]).reshape(o.shape) for o in program.outputs]
    return outputs, all(values[g.variable] == g.expected for g in program.guards)


def assert_agrees(f, x, quantity, expected, rtol=1e-9):
    result = traced(f, quantity, x=x)
    assert result.program is not None, result.reason
    (found,), holds = evaluate(result.program, x=x)
    assert holds
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-12)
    assert found.dtype == np.float64


def weigh(y):
    """Return a scalar in which every element of y counts differently."""
    weights = torch.cos(torch.arange(y.numel(), dtype=torch.float64)).reshape(y.shape)
    return (y.double() * weights).sum()
