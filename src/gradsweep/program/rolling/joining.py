"""Join Loops that run side by side and compute the same: what they share is computed once.

A Program enters, and one leaves that has the same inputs and outputs. In forward mode each tangent
has a Loop of its own, which also computes the values; joined, all tangents share these.

Knows nothing of arrays.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gradsweep.program.builder import Builder
from gradsweep.program.program import (
    CARRY,
    GIVEN,
    ROW,
    Equation,
    Loop,
    LoopResult,
    Output,
    Program,
    reads,
)
from gradsweep.program.pruning import rewritten

__all__ = ["with_joined_loops"]

# Joined loops have a longer state, so they are to compute at most this share of what they did.
_MOST_COMPUTED = 0.9

# A Loop, and its operands.
_Run = tuple[Loop, tuple[int, ...]]


def with_joined_loops(program: Program) -> Program:
    """Return a Program of the same numbers, in which Loops that compute the same are one."""
    stages, side_by_side = _find_stages(program)
    joints = [joint for runs in side_by_side for joint in _join(runs)]
    if not joints:
        return program
    of_loops = {loop: joint for joint in joints for loop in joint.results}
    order: dict[tuple[Loop, int] | int, tuple[int, Equation]] = {}
    same: dict[int, int] = {}  # results of several Loops that are one result of their joint
    for variable, equation in sorted(program.numbered(), key=lambda entry: stages[entry[0]]):
        primitive, _, dtype = equation
        key: tuple[Loop, int] | int = variable
        if isinstance(primitive, LoopResult) and primitive.loop in of_loops:
            joint = of_loops[primitive.loop]
            key = joint.loop, joint.results[primitive.loop][primitive.number]
            equation = Equation(LoopResult(*key), joint.operands, dtype)
        same[variable] = order.setdefault(key, (variable, equation))[0]
    return rewritten(program, [*order.values()], same=same)


def _find_stages(program: Program) -> tuple[list[tuple[int, bool, int]], list[list[_Run]]]:
    """Return a key that sorts the variables, and the Loops that can run side by side.

    A stage is the equations that need only Loops of earlier stages, and then its own Loops.
    """
    stage = [0] * program.n_leading
    of_loops: dict[Loop, int] = {}
    groups: dict[tuple[int, int | None], list[_Run]] = {}
    keys = [(0, False, 0)] * program.n_leading
    for variable, equation, operands in reads(program.numbered()):
        if isinstance(equation.primitive, str):
            stage.append(max((stage[o] for o in operands), default=0))
            keys.append((stage[-1], False, variable))
            continue
        loop = equation.primitive.loop
        if loop not in of_loops:
            of_loops[loop] = max((stage[o] for o in operands), default=0)
            groups.setdefault((of_loops[loop], loop.n_steps), []).append((loop, operands))
        stage.append(of_loops[loop] + 1)
        keys.append((of_loops[loop], True, variable))
    together = [runs for (_, n_steps), runs in groups.items() if n_steps is not None]
    return keys, [runs for runs in together if len(runs) > 1]


@dataclass(frozen=True)
class _Joint:
    """A Loop in place of several.

    Attributes:
        results: for each of these, the number here of each of its results.
    """

    loop: Loop
    operands: tuple[int, ...]
    results: Mapping[Loop, Sequence[int]]


# For each Loop, the class of each of its carries: those of one class are equal at every step.
_Classes = Sequence[Sequence[int]]


def _join(runs: Sequence[_Run]) -> Iterator[_Joint]:
    """Yield joints of those Loops that have carries in common.

    Reference: Alpern, Wegman and Zadeck (1988), Detecting equality of variables in programs: what
    begins alike is taken for equal until a step tells it apart.
    """
    numbers: dict[object, int] = {}
    classes: _Classes = [
        [numbers.setdefault(v, len(numbers)) for v in operands[: loop.n_carries]]
        for loop, operands in runs
    ]
    while True:
        written = _write(runs, classes)
        n_before, numbers = len(numbers), {}
        classes = [
            [numbers.setdefault(key, len(numbers)) for key in zip(own, following)]
            for own, following in zip(classes, written.carries)
        ]
        if len(numbers) == n_before:
            break
    for group in _sharing(classes):
        if len(group) > 1:
            joint = _joint([runs[k] for k in group], [classes[k] for k in group])
            flops = sum(loop.flops for loop in joint.results)
            if joint.loop.flops <= _MOST_COMPUTED * flops:
                yield joint


def _sharing(classes: _Classes) -> list[list[int]]:
    """Return the Loops, by number, in groups that have a class in common."""
    groups: list[tuple[set[int], list[int]]] = []
    for number, own in enumerate(classes):
        apart, begun, members = [], set(own), [number]
        for group in groups:
            if group[0].isdisjoint(begun):
                apart.append(group)
            else:
                begun, members = begun | group[0], [*group[1], *members]
        groups = [*apart, (begun, members)]
    return [members for _, members in groups]


class _Written(NamedTuple):
    """The steps of several Loops, written as one.

    Attributes:
        given, rows: the operands that it reads, each with its number.
        carries, left: for each Loop, the variables of its carries and of the rows that it leaves.
    """

    inner: Builder
    given: Mapping[int, int]
    rows: Mapping[tuple[int, ...], int]
    carries: Sequence[Sequence[int]]
    left: Sequence[Sequence[int]]


def _write(runs: Sequence[_Run], classes: _Classes) -> _Written:
    inner = Builder(is_body=True)
    given: dict[int, int] = {}
    rows: dict[tuple[int, ...], int] = {}
    carries, left = [], []
    for (loop, operands), own in zip(runs, classes):
        new: dict[int, int] = {}
        for variable, (entry, places) in enumerate(zip(loop.body.inputs, loop.places)):
            row = tuple([operands[place] for place in places])
            if entry.leaf == CARRY:
                element = own[entry.element]
            elif entry.leaf == GIVEN:
                element = given.setdefault(row[0], len(given))
            else:
                element = rows.setdefault(row, len(rows))
            new[variable] = inner.input(entry.leaf, element, entry.dtype)
        for variable, constant in enumerate(loop.body.constants, start=len(loop.body.inputs)):
            new[variable] = inner.constant(*constant)
        inside: dict[Loop, list[int]] = {}
        for variable, equation in loop.body.numbered():
            new[variable] = inner.again(equation, new.__getitem__, inside)
        found = [new[variable] for variable in loop.ports]
        carries.append(found[: loop.n_carries])
        left.append(found[loop.n_carries :])
    return _Written(inner, given, rows, carries, left)


def _joint(runs: Sequence[_Run], classes: _Classes) -> _Joint:
    """Write several Loops as one."""
    numbers: dict[int, int] = {}
    classes = [[numbers.setdefault(c, len(numbers)) for c in own] for own in classes]
    written = _write(runs, classes)
    initial, following = [0] * len(numbers), [0] * len(numbers)
    for (_, operands), own, variables in zip(runs, classes, written.carries):
        for number, begun, variable in zip(own, operands, variables):
            initial[number], following[number] = begun, variable
    rows: dict[int, int] = {}
    for variables in written.left:
        for variable in variables:
            rows.setdefault(variable, len(rows))
    outputs = [
        Output(CARRY, (len(following),), tuple(following)),
        Output(ROW, (len(rows),), tuple(rows)),
    ]
    n_steps = runs[0][0].n_steps
    body = written.inner.finish(outputs)
    loop = Loop(body, n_steps, len(written.given), len(written.rows))
    steps = range(loop.rows_length)
    results = {
        old: [*own, *(loop.n_carries + rows[v] * len(steps) + i for v in left for i in steps)]
        for (old, _), own, left in zip(runs, classes, written.left)
    }
    operands = (*initial, *written.given, *(v for row in written.rows for v in row))
    return _Joint(loop, operands, results)
