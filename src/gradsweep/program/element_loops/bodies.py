"""Roll the runs in the bodies of Loops into Loops of their own, one step for each element.

Equations enter, and leave with shorter bodies, which have the same inputs and outputs. Runs of one
length whose elements read each other's in order become one Loop: what only they read stays within
its steps. Its results are rows, which other Loops may read from any element on.

Knows nothing of how runs are found.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter

from gradsweep.program.builder import Builder
from gradsweep.program.element_loops.runs import Run, find_runs
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

__all__ = ["with_short_bodies"]


def with_short_bodies(equations: Mapping[int, Equation]) -> dict[int, Equation]:
    """Return equations of the same numbers, the bodies of whose Loops are rolled.

    What one element depends on, its whole row is then said to depend on: so the equations are to
    vary with the same axes.
    """
    new: dict[Loop, Loop] = {}
    found = {}
    for variable, equation in equations.items():
        primitive, operands, dtype = equation
        if isinstance(primitive, LoopResult):
            loop = primitive.loop
            if loop not in new:
                new[loop] = replace(loop, body=_rolled(loop.body))
            equation = Equation(LoopResult(new[loop], primitive.number), operands, dtype)
        found[variable] = equation
    return found


def _rolled(program: Program) -> Program:
    """Return a Program of the same numbers, in which runs are Loops."""
    if program.loops:
        inside = with_short_bodies(dict(program.numbered()))
        program = replace(program, equations=tuple(inside.values()))
    runs = find_runs(program)
    if not runs:
        return program
    units = _Units(program, runs)
    order: list[tuple[int, Equation]] = []
    for stage in units.stages():
        order += [(v, program.equations[v - program.n_leading]) for v in sorted(stage.single)]
        for runs_together in stage.runs.values():
            order += _loop_over(program, runs_together, units.read_outside(runs_together))
    return rewritten(program, order)


@dataclass
class _Stage:
    """What can be computed once the stages before it are: equations, and then runs.

    Attributes:
        single: equations of no run, by the variables that they define.
        runs: those that become one Loop, by their length.
    """

    single: list[int] = field(default_factory=list)
    runs: dict[int, list[Run]] = field(default_factory=dict)


class _Units:
    """Runs and other equations, each as a unit that is computed as a whole."""

    def __init__(self, program: Program, runs: Sequence[Run]):
        self.runs = runs
        # Units are numbers: the first are runs. All results of a Loop are one.
        self._of = {v: number for number, run in enumerate(runs) for v in run.variables}
        self._single: dict[int, list[int]] = {}
        self._read: dict[int, set[int]] = {number: set() for number in range(len(runs))}
        # By variable; the outputs are a reader of their own.
        self._readers: dict[int, set[int]] = {v: {-1} for o in program.outputs for v in o.variables}
        of_loops: dict[Loop, int] = {}
        for variable, equation, operands in reads(program.numbered()):
            new = len(self._read)
            if isinstance(equation.primitive, LoopResult):
                unit = of_loops.setdefault(equation.primitive.loop, new)
            else:
                unit = self._of.get(variable, new)
            self._of[variable] = unit
            self._read.setdefault(unit, set()).update(operands)
            if unit >= len(runs):
                self._single.setdefault(unit, []).append(variable)
            for operand in operands:
                self._readers.setdefault(operand, set()).add(unit)

    def stages(self) -> list[_Stage]:
        """Return stages in order: every unit as early as it can be computed."""
        before = {
            unit: {self._of[v] for v in variables if v in self._of}
            for unit, variables in self._read.items()
        }
        found: list[_Stage] = []
        place: dict[int, int] = {}
        for unit in TopologicalSorter(before).static_order():
            stage = max((place[b] + self._waits(unit, b) for b in before[unit]), default=0)
            place[unit] = stage
            found += [_Stage() for _ in range(stage + 1 - len(found))]
            if unit < len(self.runs):
                run = self.runs[unit]
                found[stage].runs.setdefault(len(run.variables), []).append(run)
            else:
                found[stage].single += self._single[unit]
        return found

    def read_outside(self, runs: Sequence[Run]) -> list[Run]:
        """Return those of some runs that anything but these runs reads."""
        own = {self._of[run.variables[0]] for run in runs}
        return [run for run in runs if any(self._readers[v] - own for v in run.variables)]

    def _waits(self, unit: int, before: int) -> bool:
        """Tell whether a unit is of a later stage than one that it reads."""
        if before >= len(self.runs):
            return False
        wanted = self.runs[before].variables
        if unit >= len(self.runs) or len(self.runs[unit].variables) != len(wanted):
            return True
        # In step with the run that it reads, or not.
        columns = self.runs[unit].columns
        return any(column != wanted and not {*column}.isdisjoint(wanted) for column in columns)


def _loop_over(
    program: Program, runs: Sequence[Run], left: Sequence[Run]
) -> Iterator[tuple[int, Equation]]:
    """Yield the results of a Loop of some runs of one length.

    Args:
        runs: each after those that it reads.
        left: those that something else reads.
    """
    inner = Builder(is_body=True)
    given: dict[int, int] = {}
    rows: dict[tuple[int, ...], int] = {}
    within: dict[tuple[int, ...], int] = {}

    def operand(column: tuple[int, ...]) -> int:
        if column in within:
            return within[column]
        first = column[0]
        if any(variable != first for variable in column):
            return inner.input(ROW, rows.setdefault(column, len(rows)), program.dtype(first))
        constant = program.constant(first)
        if constant is not None:
            return inner.constant(*constant)
        return inner.input(GIVEN, given.setdefault(first, len(given)), program.dtype(first))

    for run in runs:
        within[run.variables] = inner.emit(run.primitive, *map(operand, run.columns))
    body = inner.finish(
        [
            Output(CARRY, (0,), ()),
            Output(ROW, (len(left),), tuple(within[run.variables] for run in left)),
        ]
    )
    n = len(runs[0].variables)
    loop = Loop(body, n, len(given), len(rows))
    operands = (*given, *(variable for row in rows for variable in row))
    number = 0
    for run in left:
        for variable in run.variables:
            yield variable, Equation(LoopResult(loop, number), operands, run.dtype)
            number += 1
