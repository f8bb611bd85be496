"""Reduce a Program, or a Loop, to the equations that some of its results need; number them anew.

A Program and the wanted outputs enter, or a Loop and the numbers of the wanted results; a Program
or a Loop that yields only these leaves.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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

__all__ = [
    "Part",
    "ancestors",
    "only",
    "pruned",
    "renumbered",
    "rewritten",
    "without_other_results",
]


def pruned(program: Program, outputs: Sequence[Output]) -> Program:
    """Return a Program of these outputs and the equations they need, without guards."""
    roots = {variable for output in outputs for variable in output.variables}
    needed = _needed(program, roots)
    leading = [*program.inputs, *program.constants]
    kept = [(v, entry) for v, entry in enumerate(leading) if v in needed]
    equations = [*without_other_results([(v, e) for v, e in program.numbered() if v in needed])]
    order = [v for v, _ in kept] + [v for v, _ in equations]
    number = {old: new for new, old in enumerate(order)}
    return Program(
        inputs=tuple(entry for _, entry in kept if isinstance(entry, Input)),
        constants=tuple(entry for _, entry in kept if isinstance(entry, Constant)),
        equations=renumbered([equation for _, equation in equations], number),
        outputs=tuple(o._replace(variables=tuple(number[v] for v in o.variables)) for o in outputs),
    )


def without_other_results(
    equations: Sequence[tuple[int, Equation]],
) -> Iterator[tuple[int, Equation]]:
    """Yield equations, each Loop reduced to what its results among them depend on."""
    operands_of: dict[Loop, tuple[int, ...]] = {}
    wanted: dict[Loop, list[int]] = {}
    for _, (primitive, operands, _) in equations:
        if isinstance(primitive, LoopResult):
            wanted.setdefault(primitive.loop, []).append(primitive.number)
            operands_of[primitive.loop] = operands
    parts = {loop: only(loop, numbers) for loop, numbers in wanted.items()}
    taken = {
        loop: tuple([operands_of[loop][i] for i in part.operands]) for loop, part in parts.items()
    }
    for variable, equation in equations:
        if isinstance(equation.primitive, LoopResult):
            loop, number = equation.primitive
            result = LoopResult(parts[loop].loop, parts[loop].numbers[number])
            equation = Equation(result, taken[loop], equation.dtype)
        yield variable, equation


def _needed(program: Program, roots: Collection[int]) -> set[int]:
    """Return `roots` and what they are computed from; of a Loop, what its read results need."""
    first: dict[Loop, int] = {}
    for variable, (primitive, _, _) in program.numbered():
        if isinstance(primitive, LoopResult):
            first.setdefault(primitive.loop, variable)
    needed = set(roots)
    wanted: dict[Loop, list[int]] = {}
    for variable, (primitive, operands, _) in reversed(list(program.numbered())):
        if isinstance(primitive, str):
            needed.update(operands if variable in needed else ())
            continue
        loop, number = primitive
        if variable in needed:
            wanted.setdefault(loop, []).append(number)
        # All that read a Loop's results come after the first.
        if first[loop] == variable and loop in wanted:
            needed.update(operands[i] for i in only(loop, wanted[loop]).operands)
    return needed


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


_NONE: Mapping[int, int] = {}


def rewritten(
    program: Program,
    equations: Sequence[tuple[int, Equation]],
    constants: Mapping[int, Constant] | None = None,
    same: Mapping[int, int] = _NONE,
) -> Program:
    """Return a Program with other equations between its inputs and what it yields.

    All variables have the numbers of the Program's own, or any others, and are numbered anew.

    Args:
        equations: each with the variable it defines, after those that it reads.
        constants: each with the variable it defines; by default the Program's.
        same: for each variable that is gone, the one that has its value.
    """
    n_inputs = len(program.inputs)
    if constants is None:
        constants = dict(enumerate(program.constants, start=n_inputs))
    order = [*range(n_inputs), *constants, *(variable for variable, _ in equations)]
    number = {old: new for new, old in enumerate(order)}
    number |= {gone: number[other] for gone, other in same.items()}
    return replace(
        program,
        constants=tuple(constants.values()),
        equations=renumbered([equation for _, equation in equations], number),
        outputs=tuple(
            o._replace(variables=tuple(number[v] for v in o.variables)) for o in program.outputs
        ),
        guards=tuple(g._replace(variable=number[g.variable]) for g in program.guards),
    )


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
