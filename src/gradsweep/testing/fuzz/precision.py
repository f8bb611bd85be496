"""Compare a function's Programs, evaluated in mpmath, with the framework's own derivative.

A Program enters as a frontend writes it, before any engine has it; a difference leaves as text. An
error that is found here is in the Program; the error of an engine is not found here.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from gradsweep.interpreters import evaluate
from gradsweep.interpreters import mpmath as mp
from gradsweep.planning.options import requested
from gradsweep.request.quantities import Derivative, Result
from gradsweep.support.errors import EngineError, GradsweepError
from gradsweep.testing.fuzz.comparison import Judge
from gradsweep.testing.fuzz.counts import Counts
from gradsweep.testing.fuzz.drawing.functions import DrawnFunction
from gradsweep.testing.fuzz.reference.base import At
from gradsweep.tracing.trace import trace

__all__ = ["check_programs"]

_DIGITS = 50

# The framework rounds to the dtype of each number, and mpmath does not.
_RTOL = {8: 1e-8, 4: 1e-2, 2: 1e-1}


def check_programs(
    function: Callable[..., Any], drawn: DrawnFunction, judge: Judge, counts: Counts
) -> str:
    """Return how the Programs of value and Jacobian differ at the first point, or ""."""
    try:
        request, _ = requested("jacobian", function, drawn.arguments.sweep, (), {})
    except GradsweepError:
        return ""
    where = drawn.arguments.points()[0]
    if any(isinstance(value, str) for value in drawn.arguments.at(where).values()):
        return ""  # there is a Program for each word
    point = {
        key: np.asarray(leaf.at({dim: where[dim] for dim in leaf.dims}))
        for key, leaf in request.leaves.items()
    }
    for derivative in (
        Derivative("value", ()),
        Derivative("jacobian", request.derivative.wrt, mode="reverse"),
    ):
        try:
            traced = trace(request.bound, derivative, point, drawn.computed_by)
        except Exception:
            return ""  # a trace that fails is judged where the quantity is asked for
        if traced.program is None:
            continue
        with mp.CONTEXT.workdps(_DIGITS):
            inputs = [
                mp.number(np.ravel(point[entry.leaf])[entry.element])
                for entry in traced.program.inputs
            ]
            try:
                found = evaluate(traced.program, mp.OPERATIONS, inputs, mp.constant)
            except (EngineError, mp.CONTEXT.NoConvergence):
                continue
        counts.n_programs += 1
        for result, values in zip(traced.results, found):
            array = np.array([_float(v) for v in values]).reshape(result.shape)
            told = _differs(result, array, judge, drawn)
            if told:
                return told
    return ""


def _differs(result: Result, found: np.ndarray, judge: Judge, drawn: DrawnFunction) -> str:
    name_of = {path: name for name, path in drawn.arguments.paths.items()}

    def of(at: At) -> np.ndarray:
        if result.kind == "value":
            return np.asarray(at.y[result.output]).astype(np.float64)
        return at.J[result.output, name_of.get(result.wrt[0], result.wrt[0])]

    expected = of(judge.at(0, 1))
    with np.errstate(all="ignore"):
        apart = np.abs(found - expected)
        scale = np.max(np.abs(expected), initial=1e-3, where=np.isfinite(expected))
    if np.all((apart <= _RTOL[drawn.n_bytes] * scale) | ~np.isfinite(expected)):
        return ""
    values = drawn.arguments.at(drawn.arguments.points()[0])
    if any(np.any(np.asarray(value) == 0) for value in values.values()):
        judge.counts.excluded["a zero, of which mpmath has one"] += 1
        return ""
    if judge.is_unsettled(0, found, expected, of, 1):
        judge.counts.excluded["unsettled by rounding, in mpmath"] += 1
        return ""
    name = "y" if result.kind == "value" else f"dy/d{result.wrt[0]}"
    return "in mpmath, the Program's " + judge.told(0, name, found, expected, [])


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf
