"""Estimate by the other framework's own differentiation.

That framework traces a function of operators alone as it is. Of any other function it runs the
Program of the value, with its own operations.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from gradsweep.checks.problem import Point, Problem
from gradsweep.checks.reading import Estimated, Reading, Unavailable
from gradsweep.engines.frameworks import offered_by
from gradsweep.engines.loop import at_point
from gradsweep.interpreters import evaluate
from gradsweep.planning.branches import holds_at
from gradsweep.program.program import Program
from gradsweep.program.trace import Trace
from gradsweep.request.framework import FRAMEWORKS, join_parts
from gradsweep.request.function import BoundFunction, candidate_frameworks
from gradsweep.request.quantities import Derivative
from gradsweep.support.errors import MissingPackage
from gradsweep.tracing.trace import trace

__all__ = ["estimate", "framework"]

# Both frameworks round as float64 does; a greater loss shows as a difference.
_ROUNDING = 1e-15


def estimate(problem: Problem) -> Estimated:
    """Differentiate in the framework that the function is not written for.

    Raises:
        Unavailable: when it is not installed, or cannot run the function.
    """
    other = framework(problem)
    try:
        import_module(f"gradsweep.tracing.{other}")
    except MissingPackage:
        raise Unavailable(f"{other} is not installed") from None
    try:
        if other in candidate_frameworks(problem.bound):
            # Names do not tell everything: x.sin() looks like operators, and only torch has it.
            with contextlib.suppress(Exception):
                return Estimated(_all_readings(problem, other))
        return Estimated(_all_readings_of_programs(problem, other))
    except Unavailable:
        raise
    except Exception as error:
        line = str(error).partition("\n")[0].rstrip(".")
        raise Unavailable(f"{other} cannot run it ({type(error).__name__}: {line})") from None


def framework(problem: Problem) -> str:
    """Return the framework that the function is not written for."""
    (other,) = (name for name in FRAMEWORKS if name != problem.framework)
    return other


def _all_readings(problem: Problem, framework: str) -> list[list[Reading]]:
    """Return the readings of the function itself, as it is, in another framework."""
    first = problem.points[0].values
    traced = trace(problem.bound, problem.derivative, first, framework)
    return [_readings(problem, point, traced) for point in problem.points]


def _all_readings_of_programs(problem: Problem, framework: str) -> list[list[Reading]]:
    """Return the readings of the function's value Program, one for each of its branches."""
    try:
        table = import_module(f"gradsweep.interpreters.{framework}")
    except ModuleNotFoundError:
        raise Unavailable(f"gradsweep has no transcription into {framework}") from None
    known: list[tuple[Trace, Trace]] = []
    readings = []
    for point in problem.points:
        values = {key: point.values[key] for key in problem.function_keys}
        there = next((there for here, there in known if holds_at(here, values)), None)
        if there is None:
            here = trace(problem.bound, Derivative("value", ()), values, problem.framework)
            if here.program is None:
                raise Unavailable(f"the function has no Program: {here.reason}")
            _require_no_number_in_python(here.program)
            bound = _Transcribed(
                **vars(problem.bound),
                program=here.program,
                problem=problem,
                framework=framework,
                table=table,
            )
            there = trace(bound, problem.derivative, point.values, framework)
            known.append((here, there))
        readings.append(_readings(problem, point, there))
    return readings


def _require_no_number_in_python(program: Program) -> None:
    """Refuse a Program in which a number is frozen because Python code has read it."""
    for guard in program.guards:
        if program.dtype(guard.variable).startswith("float"):
            raise Unavailable(f"its Python code reads a value that is swept, at {guard.where}")


def _readings(problem: Problem, point: Point, traced: Trace) -> list[Reading]:
    with traced.context():
        results = at_point(traced, point.values)
        own = offered_by(traced.framework)
        arrays = [np.asarray(own.to_numpy(result), dtype=np.float64) for result in results]
    return [_reading(arrays[entry.result][entry.place]) for entry in problem.entries]


def _reading(value: np.floating) -> Reading:
    return Reading(float(value), _ROUNDING * abs(float(value)))


@dataclass(frozen=True, eq=False)
class _Transcribed(BoundFunction):
    """The function as its Program, evaluated with the operations of a table."""

    program: Program
    problem: Problem
    framework: str
    table: Any

    def __call__(self, values: Mapping[str, Any]) -> Any:
        inputs = [values[leaf].reshape(-1)[element] for leaf, element, _ in self.program.inputs]
        found = evaluate(self.program, self.table.OPERATIONS, inputs, self.table.constant)
        outputs = {}
        for (path, shape, is_complex), scalars in zip(self.problem.outputs, found):
            array = offered_by(self.framework).stack(scalars).reshape(shape)
            outputs[path] = join_parts(array) if is_complex else array
        return outputs[""] if outputs.keys() == {""} else outputs
