"""Guards as parts of a Program: outputs that tell whether all of them hold.

Programs with guards enter; one without leaves.
Never sees the code that the guards stand for.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradsweep.program.builder import Builder
from gradsweep.program.program import Loop, Output, Program

__all__ = ["guards_of", "together", "with_holds"]


def guards_of(program: Program) -> Program:
    """Return a Program of one output, `holds`: whether every guard of a Program holds."""
    return with_holds(replace(program, outputs=()))


def with_holds(program: Program) -> Program:
    """Return a Program with no guards and one more output, `holds`: whether all of them hold."""
    return together([program])


def together(ways: Sequence[Program]) -> Program:
    """Return one Program for several ways through a function's Python branches.

    Each of its outputs is that of the way whose guards hold at a point, and of any where none
    does. After these come the outputs `holds`, one for each way: whether its guards hold.

    Args:
        ways: with the same outputs, whose variables have the same dtypes. At most one of them
            holds at a point.
    """
    b = Builder()
    variables = [_written(b, way) for way in ways]
    holds = [_holds(b, way, own) for way, own in zip(ways, variables)]
    outputs = []
    for number, output in enumerate(ways[0].outputs):
        *others, chosen = (
            [own[variable] for variable in way.outputs[number].variables]
            for way, own in zip(ways, variables)
        )
        for is_chosen, other in zip(reversed(holds[:-1]), reversed(others)):
            chosen = [b.emit("select", is_chosen, *pair) for pair in zip(other, chosen)]
        outputs.append(output._replace(variables=tuple(chosen)))
    return b.finish([*outputs, *(Output("holds", (), (variable,)) for variable in holds)])


def _written(b: Builder, program: Program) -> list[int]:
    """Write a Program, and return the Builder's variable for each of its own."""
    numbers = [b.input(*entry) for entry in program.inputs]
    numbers += [b.constant(*constant) for constant in program.constants]
    runs: dict[Loop, list[int]] = {}
    for equation in program.equations:
        numbers.append(b.again(equation, numbers.__getitem__, runs))
    return numbers


def _holds(b: Builder, program: Program, numbers: Sequence[int]) -> int:
    """Write whether every guard of a Program holds."""
    holds = b.constant(True, "bool")
    for variable, expected, _ in program.guards:
        value = numbers[variable]
        dtype = b.dtype(value)
        if dtype == "bool":
            kept = value if expected else b.emit("not", value)
        elif np.isnan(expected):
            kept = b.emit("ne", value, value)
        else:
            kept = b.emit("eq", value, b.constant(expected, dtype))
            if expected == 0 and dtype.startswith("float"):  # which the two zeros are alike for
                sign = b.emit("div", b.constant(math.copysign(1.0, expected), dtype), value)
                kept = b.emit("and", kept, b.emit("gt", sign, b.constant(0.0, dtype)))
        holds = b.emit("and", holds, kept)
    return holds
