"""Guards as part of a Program: an output that tells whether all of them hold.

A Program with guards enters, one without leaves. Never sees the code that the guards stand for.
"""

from dataclasses import replace

import numpy as np

from gradsweep.program.builder import Builder
from gradsweep.program.program import Loop, Output, Program

__all__ = ["guards_of", "with_holds"]


def guards_of(program: Program) -> Program:
    """Return a Program of one output, `holds`: whether every guard of a Program holds."""
    return with_holds(replace(program, outputs=()))


def with_holds(program: Program) -> Program:
    """Return a Program with no guards and one more output, `holds`: whether all of them hold."""
    b = Builder()
    numbers = [b.input(*entry) for entry in program.inputs]
    numbers += [b.constant(*constant) for constant in program.constants]
    runs: dict[Loop, list[int]] = {}
    for equation in program.equations:
        numbers.append(b.again(equation, numbers.__getitem__, runs))
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
        holds = b.emit("and", holds, kept)
    outputs = [
        o._replace(variables=tuple(numbers[v] for v in o.variables)) for o in program.outputs
    ]
    return b.finish([*outputs, Output("holds", (), (holds,))])
