"""Roll what a Program repeats into Loops: the same equations, step after step, are written once.

A Program enters, and one that computes the same leaves. The variables that it keeps vary with
what they varied with. First and last steps that differ from the others stay as they are.

Knows nothing of frameworks.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from gradsweep.program.program import Constant, Equation, LoopResult, Program, reads
from gradsweep.program.pruning import rewritten
from gradsweep.program.rolled_loops import MOST_UNROLLED
from gradsweep.program.rolling.repeats import Repeat, find_repeats
from gradsweep.program.rolling.steps import Steps, find_steps
from gradsweep.program.rolling.table import Table, tabulate
from gradsweep.program.rolling.writing import Written, write

__all__ = ["rolled"]

# How many equations a Loop saves at least. Measured, a longer one runs no slower than the same
# equations of a long Program written out, and its rows stay in the cache.
_LEAST_SAVED = 500

# How many repetitions are looked at, the longest first, and how often anew.
_MOST_REPEATS = 64
_MOST_TIMES = 8


def rolled(program: Program, sets: Iterable[Iterable[Hashable]]) -> Program:
    """Return a Program in which Loops stand for what is repeated, where that is long.

    Args:
        sets: a set for each input, such as its axes. The union of the sets of all inputs that a
            variable is computed from stays what it was.
    """
    sets = list(sets)
    for _ in range(_MOST_TIMES):
        if program.n_written <= MOST_UNROLLED:
            break
        loops = _find_loops(program, sets)
        if not loops:
            break
        program = _replaced(program, loops)
    return program


def _find_loops(program: Program, sets: Sequence[Iterable[Hashable]]) -> list[Written]:
    """Return Loops that stand for steps of a Program, which do not overlap."""
    depends = [*program.propagate(sets, range(program.n_variables)).values()]
    table = tabulate(program, depends)
    leaving = {variable for output in program.outputs for variable in output.variables}
    leaving |= {guard.variable for guard in program.guards}
    left = np.array(sorted(leaving), dtype=np.int64)
    found: list[Written] = []
    for steps in _find_steps(table):
        written = write(program, steps, _read_after(table, steps, left))
        if _depends_alike(written, depends):
            body = rolled(written.loop.body, [[k] for k in range(len(written.loop.body.inputs))])
            found.append(replace(written, loop=replace(written.loop, body=body)))
    return found


def _find_steps(table: Table) -> list[Steps]:
    """Return steps that do not overlap; those that leave rows come before those that read them."""
    found: list[Steps] = []
    for repeat in _choose(find_repeats(table.tokens, _LEAST_SAVED)):
        begin = max(repeat.start, found[-1].end if found else 0)
        for steps in find_steps(table, repeat._replace(start=begin), _LEAST_SAVED):
            found.append(steps)
            place = np.arange(steps.end - steps.start)
            table.row[steps.start : steps.end] = table.row.max() + 1 + place % steps.size
            table.step[steps.start : steps.end] = place // steps.size
    return found


def _choose(repeats: Iterable[Repeat]) -> list[Repeat]:
    """Return the longest Repeats, each without what a longer one has, in order."""
    chosen: list[Repeat] = []
    for repeat in sorted(repeats, key=lambda r: r.start - r.end)[:_MOST_REPEATS]:
        for other in chosen:
            if other.start <= repeat.start < other.end:
                repeat = repeat._replace(start=other.end)
            if other.start < repeat.end <= other.end:
                repeat = repeat._replace(end=other.start)
        if repeat.end - repeat.start >= 3 * repeat.period:
            chosen.append(repeat)
    return sorted(chosen)


def _read_after(table: Table, steps: Steps, leaving: np.ndarray) -> list[int]:
    """Return the variables of steps that are read after them, or leave the Program."""
    first, end = table.first + steps.start, table.first + steps.end
    read = np.concatenate([table.read(steps.end, len(table.tokens)), leaving])
    return np.unique(read[(first <= read) & (read < end)]).tolist()


def _depends_alike(written: Written, depends: Sequence[frozenset]) -> bool:
    """Tell whether the results of a Loop depend on what the variables do that they stand for."""
    loop = written.loop
    by_port = {loop.port(number): (v, number) for v, number in written.results.items()}
    for variable, number in by_port.values():
        read = [written.operands[i] for i in loop.reached(number)]
        union = frozenset().union(*(depends[v] for v in read if not isinstance(v, Constant)))
        if union != depends[variable]:
            return False
    return True


def _replaced(program: Program, loops: Sequence[Written]) -> Program:
    """Return a Program with Loops in place of their steps."""
    added: dict[str, Constant] = {}
    kept: dict[int, Equation] = {}
    starts = [0, *(written.steps.end for written in loops)]
    ends = [*(written.steps.start for written in loops), len(program.equations)]
    for start, end in zip(starts, ends):
        kept.update(enumerate(program.equations[start:end], start=program.n_leading + start))
    for written in loops:
        operands = tuple(
            _number(program, added, operand) if isinstance(operand, Constant) else operand
            for operand in written.operands
        )
        for variable, number in written.results.items():
            result = LoopResult(written.loop, number)
            kept[variable] = Equation(result, operands, program.dtype(variable))
    equations = sorted(kept.items())
    read = {operand for _, _, operands in reads(equations) for operand in operands}
    read.update(variable for output in program.outputs for variable in output.variables)
    constants = dict(enumerate(program.constants, start=len(program.inputs)))
    constants = {variable: constant for variable, constant in constants.items() if variable in read}
    constants |= enumerate(added.values(), start=program.n_variables)
    return rewritten(program, equations, constants)


def _number(program: Program, added: dict[str, Constant], constant: Constant) -> int:
    """Return the variable of a constant that is added to a Program."""
    added.setdefault(repr(constant), constant)
    return program.n_variables + [*added].index(repr(constant))
