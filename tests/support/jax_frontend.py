"""Functions of JAX, traced and evaluated."""

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.engines.numpy import evaluate
from gradsweep.planning.branches import first_point
from gradsweep.request.request import make_request
from gradsweep.tracing.jax import trace

jax = pytest.importorskip("jax")


def traced_and_request(quantity, f, direction=None, *, mode="reverse", wrt=None, **arguments):
    request = make_request(quantity, f, gs.Sweep(**arguments), direction, wrt=wrt, mode=mode)
    return trace(request.bound, request.derivative, first_point(request.leaves)), request


def traced(quantity, f, direction=None, **arguments):
    return traced_and_request(quantity, f, direction, **arguments)[0]


def computed(quantity, f, direction=None, **arguments):
    """Return the results of a Program at every point of a sweep over at most one axis."""
    t, request = traced_and_request(quantity, f, direction, **arguments)
    assert t.program is not None, t.reason
    axes = tuple(request.axes)
    wanted = {v for output in t.program.outputs for v in output.variables}
    values = evaluate(t.program, request.leaves, axes, list(t.program.numbered()), wanted)
    size = tuple(request.axes.values())
    results = []
    for output, row in zip(t.program.outputs, t.results):
        assert output.shape == row.shape
        columns = [np.broadcast_to(values[v], size) for v in output.variables]
        results.append(np.stack(columns, axis=-1).reshape((*size, *output.shape)))
    return results
