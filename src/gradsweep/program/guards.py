"""Guards as parts of a Program: outputs that tell whether all of them hold.

Programs with guards enter; one without leaves.
Never sees the code that the guards stand for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from gradsweep.program.builder import Builder
from gradsweep.program.program import Loop, Output, Program
from gradsweep.program.pruning import ancestors
from gradsweep.support.errors import TooLong

__all__ = ["flops_apart", "guards_of", "join_ways", "with_holds"]

# One Program computes all ways at every point, and what they have in common once. It is used where
# it has at most this many times the equations of the longest way, and some more.
_MOST_WAYS = 64
_MOST_GROWTH, _LITTLE = 2, 1000


def guards_of(ways: Sequence[Program]) -> Program | None:
    """Return a Program of the outputs `holds`, one for each way: whether its guards hold.

    Returns:
        None where it would be far longer than for each of several ways.
    """
    alone = [replace(way, outputs=()) for way in ways]
    return _joined(alone) if len(alone) > 1 else _together(alone)


def flops_apart(ways: Sequence[Program]) -> float:
    """Estimate the flops of a point by its own way alone, and of finding which way that is."""
    finding = guards_of(ways)
    found = sum(way.flops for way in ways) if finding is None else finding.flops
    return found + sum(way.flops for way in ways) / len(ways)


def with_holds(program: Program) -> Program:
    """Return a Program with no guards and one more output, `holds`: whether all of them hold."""
    return _together([program])


def join_ways(ways: Sequence[Program]) -> Program | None:
    """Return one Program for several ways through a function's Python branches.

    Each of its outputs is that of the way whose guards hold at a point, and of any where none
    does. After these come the outputs `holds`, one for each way: whether its guards hold. A single
    way without guards is left as it is.

    Args:
        ways: with the same outputs. At most one of them holds at a point.

    Returns:
        None where there is no way, where their dtypes differ, or where one Program would compute
        far more than each of them.
    """
    if len(ways) == 1:
        return with_holds(ways[0]) if ways[0].guards else ways[0]
    if not 0 < len(ways) <= _MOST_WAYS or any(_dtypes(w) != _dtypes(ways[0]) for w in ways):
        return None
    return _joined(ways)


def _joined(ways: Sequence[Program]) -> Program | None:
    """Return all ways in one Program, or None where it would be far longer than each of them."""
    try:
        program = _together(ways)
    except TooLong:
        return None
    most = _MOST_GROWTH * max(way.n_computed for way in ways) + _LITTLE
    return program if program.n_computed <= most else None


def _dtypes(program: Program) -> list[list[str]]:
    return [[program.dtype(v) for v in output.variables] for output in program.outputs]


def _together(ways: Sequence[Program]) -> Program:
    """Return the Program that `join_ways` describes, however long it is."""
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


def _written(b: Builder, program: Program) -> dict[int, int]:
    """Write what a Program's outputs and guards need; return the Builder's variable for each."""
    roots = {variable for output in program.outputs for variable in output.variables}
    roots |= {guard.variable for guard in program.guards}
    needed = ancestors(list(program.numbered()), roots)
    leading = [b.input(*entry) for entry in program.inputs]
    leading += [b.constant(*constant) for constant in program.constants]
    numbers = dict(enumerate(leading))
    runs: dict[Loop, list[int]] = {}
    for variable, equation in program.numbered():
        if variable in needed:
            numbers[variable] = b.again(equation, numbers.__getitem__, runs)
    return numbers


def _holds(b: Builder, program: Program, numbers: Mapping[int, int]) -> int:
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
