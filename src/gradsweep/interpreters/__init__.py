"""Evaluate a Program with the operations of mpmath, JAX or torch, for checks and comparisons.

A Program, a table of operations by primitive, and a value for each input enter; the values of
the outputs leave. What a value is, only the table knows. Never sees axes: it computes at one point.

Each module here holds one system's table: `OPERATIONS`, with a callable of scalars for each
primitive it has, and `constant`, which makes a value of a Program's constant.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradsweep.program.program import Constant, Loop, Program, reads
from gradsweep.program.rolled_loops import iterate
from gradsweep.support.errors import EngineError

__all__ = ["evaluate"]


def evaluate(
    program: Program,
    operations: Mapping[str, Callable],
    inputs: Sequence[Any],
    constant: Callable[[Constant], Any],
) -> list[tuple[Any, ...]]:
    """Compute a Program's outputs at one point.

    Args:
        operations: by the name of a primitive, the callable that stands for it.
        inputs: a value for each of the Program's inputs, in order.
        constant: makes a value of a constant.

    Returns:
        For each output, in order, the values of its variables.

    Raises:
        EngineError: when the table lacks a primitive that the Program uses.
    """
    if len(inputs) != len(program.inputs):
        raise ValueError(f"the Program has {len(program.inputs)} inputs; {len(inputs)} were given.")
    missing = {primitive for primitive, _ in program.primitives} - operations.keys()
    if missing:
        raise EngineError(
            f"the Program uses {', '.join(sorted(missing))}, for which the other system has no "
            f"operation."
        )
    values = _values(program, operations, inputs, constant)
    return [tuple(values[variable] for variable in output.variables) for output in program.outputs]


def _values(
    program: Program,
    operations: Mapping[str, Callable],
    inputs: Sequence[Any],
    constant: Callable[[Constant], Any],
) -> list[Any]:
    """Compute every variable of a Program."""

    def step(body: Program, inputs: Sequence[Any]) -> list[Any]:
        within = _values(body, operations, inputs, constant)
        return [within[variable] for output in body.outputs for variable in output.variables]

    values = [*inputs, *map(constant, program.constants)]
    of_loops: dict[Loop, list[Any]] = {}
    for _, (primitive, _, _), operands in reads(program.numbered()):
        given = [values[operand] for operand in operands]
        if isinstance(primitive, str):
            values.append(operations[primitive](*given))
            continue
        loop, number = primitive
        if loop not in of_loops:
            of_loops[loop] = iterate(loop, given, step, bool, _newer)
        values.append(of_loops[loop][number])
    return values


def _newer(going: bool, new: Any, old: Any) -> Any:
    return new  # at one point, a loop that has ended takes no step
