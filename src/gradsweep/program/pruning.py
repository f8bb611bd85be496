"""Reduce a Program, or a Loop, to the equations that some of its results need.

A Program and the wanted outputs enter, or a Loop and the numbers of the wanted results; a Program
or a Loop that yields only these leaves.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from gradsweep.program.program import (
    CARRY,
    GIVEN,
    ROW,
    Constant,
    Equation,
    Input,
    Loop,
    LoopResult,
    Output,
    Program,
)

__all__ = ["Part", "ancestors", "only", "pruned", "renumbered"]


def pruned(program: Program, outputs: Sequence[Output]) -> Program:
    """Return a Program of these outputs and the equations they need, without guards."""
    roots = {variable for output in outputs for variable in output.variables}
    needed = sorted(ancestors(list(program.numbered()), roots))
    number = {old: new for new, old in enumerate(needed)}
    entries = [*program.inputs, *program.constants, *program.equations]
    kept = [entries[variable] for variable in needed]
    return Program(
        inputs=tuple(entry for entry in kept if isinstance(entry, Input)),
        constants=tuple(entry for entry in kept if isinstance(entry, Constant)),
        equations=renumbered([e for e in kept if isinstance(e, Equation)], number),
        outputs=tuple(o._replace(variables=tuple(number[v] for v in o.variables)) for o in outputs),
    )


def ancestors(equations: Sequence[tuple[int, Equation]], roots: Collection[int]) -> set[int]:
    """Return `roots` and the variables that they are computed from.

    Args:
        equations: each with the variable it defines, and after those that it reads.
    """
    needed = set(roots)
    run: set[Loop] = set()
    for variable, (primitive, operands, _) in reversed(equations):
        if variable not in needed:
            continue
        if isinstance(primitive, LoopResult):
            if primitive.loop in run:
                continue
            run.add(primitive.loop)
        needed.update(operands)
    return needed


def renumbered(equations: Iterable[Equation], number: Mapping[int, int]) -> tuple[Equation, ...]:
    """Return equations with new numbers for operands; results of a Loop share one tuple."""
    found = []
    of_loops: dict[Loop, tuple[int, ...]] = {}
    for equation in equations:
        primitive, operands, _ = equation
        new = of_loops.get(primitive.loop) if isinstance(primitive, LoopResult) else None
        if new is None:
            new = tuple([number[operand] for operand in operands])
        if isinstance(primitive, LoopResult):
            of_loops[primitive.loop] = new
        found.append(equation._replace(operands=new))
    return tuple(found)


class Part(NamedTuple):
    """A Loop that yields some of another Loop's results.

    Attributes:
        operands: the positions of its operands among the other's.
        numbers: for each of these results, its number in the other and here.
    """

    loop: Loop
    operands: Sequence[int]
    numbers: Mapping[int, int]


def only(loop: Loop, numbers: Collection[int]) -> Part:
    """Return the smallest Loop that yields some results."""
    ports = sorted({loop.port(number) for number in numbers})
    inputs = loop.body.inputs
    read = [inputs[i] for i in loop.inputs_of(loop.ports[port] for port in ports)]
    carries = {port for port in ports if port < loop.n_carries}
    carries |= {entry.element for entry in read if entry.leaf == CARRY}
    elements = {
        CARRY: sorted(carries),
        GIVEN: sorted({entry.element for entry in read if entry.leaf == GIVEN}),
        ROW: sorted({entry.element for entry in read if entry.leaf == ROW}),
    }
    left = [port for port in ports if port >= loop.n_carries]
    if len(carries) + len(left) == len(loop.ports):
        return Part(loop, range(loop.n_operands), {number: number for number in numbers})
    outputs = [
        output._replace(shape=(len(chosen),), variables=tuple(loop.ports[p] for p in chosen))
        for output, chosen in zip(loop.body.outputs, (elements[CARRY], left))
    ]
    body = pruned(loop.body, [*outputs, *loop.body.outputs[2:]])
    body = replace(
        body,
        inputs=tuple(
            entry._replace(element=elements[entry.leaf].index(entry.element))
            for entry in body.inputs
        ),
    )
    part = Loop(body, loop.n_steps, len(elements[GIVEN]), len(elements[ROW]))
    first, n = loop.n_carries + loop.n_given, loop.rows_length
    operands = [*elements[CARRY], *(loop.n_carries + k for k in elements[GIVEN])]
    operands += [first + k * n + step for k in elements[ROW] for step in range(n)]
    order = {port: place for place, port in enumerate([*elements[CARRY], *left])}
    new = {}
    for number in numbers:
        place, step = order[loop.port(number)], max(0, number - loop.n_carries) % max(1, n)
        is_row = number >= loop.n_carries
        new[number] = len(carries) + (place - len(carries)) * n + step if is_row else place
    return Part(part, operands, new)
