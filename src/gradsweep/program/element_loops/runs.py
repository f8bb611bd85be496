"""Find runs: equations that do the same to one element of some arrays after another.

A Program enters, Runs leave. Two equations are alike where their operands are computed alike, from
inputs of the same leaf or from constants. A Run is a sequence of them whose operands go on by equal
steps: p * v[1], p * v[2], p * v[3].

Knows nothing of loops, nor of how arrays are written in a framework.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from gradsweep.program.program import Equation, LoopResult, Program

__all__ = ["LEAST_ELEMENTS", "Run", "find_runs"]

# A shorter run is about as short written out, and then its values stay in registers.
LEAST_ELEMENTS = 16

# How many runs may begin in turns.
_MOST_LOOSE = 8

# Whether an operand is a constant; and its place among those of its kind, or where the constant is
# written, or anywhere.
_Position = tuple[bool, int]
_ANYWHERE: _Position = (True, -1)


class Run(NamedTuple):
    """Equations of one primitive, one for each element.

    Attributes:
        variables: those that they define.
        columns: for each operand of the primitive, the variables that are read.
    """

    primitive: str
    dtype: str
    variables: tuple[int, ...]
    columns: tuple[tuple[int, ...], ...]


class _Place(NamedTuple):
    """The kind of a variable, and its number among those of its kind.

    Invariant: a variable depends on none of its own kind, since an equation's kind tells how deep
    it is.
    """

    kind: int
    number: int


def find_runs(program: Program) -> list[Run]:
    """Return the runs of at least LEAST_ELEMENTS, each after those that it reads."""
    places, alike = _sort(program)
    runs = [run for equations in alike for run in _runs_among(program, places, equations)]
    return [run for run in _fitted(runs) if len(run.variables) >= LEAST_ELEMENTS]


def _sort(program: Program) -> tuple[list[_Place], Iterable[list[tuple[int, Equation]]]]:
    """Return the place of every variable, and the equations of each kind, deeper kinds last."""
    kinds: dict[object, int] = {}
    places = [
        _Place(kinds.setdefault((entry.leaf, entry.dtype), len(kinds)), entry.element)
        for entry in program.inputs
    ]
    for number, constant in enumerate(program.constants):
        places.append(_Place(kinds.setdefault(constant.dtype, len(kinds)), number))
    alike: dict[int, list[tuple[int, Equation]]] = {}
    for variable, equation in program.numbered():
        primitive, operands, dtype = equation
        if isinstance(primitive, LoopResult):
            loop, number = primitive
            kind = kinds.setdefault((loop, loop.port(number)), len(kinds))
            places.append(_Place(kind, number))
            continue
        key = (primitive, dtype, *(places[operand].kind for operand in operands))
        kind = kinds.setdefault(key, len(kinds))
        same = alike.setdefault(kind, [])
        places.append(_Place(kind, len(same)))
        same.append((variable, equation))
    return places, alike.values()


def _runs_among(
    program: Program, places: Sequence[_Place], equations: Sequence[tuple[int, Equation]]
) -> list[Run]:
    """Put equations of one kind into runs; those of several runs may take turns."""
    runs: list[list[tuple[int, Equation]]] = []
    expected: dict[tuple[_Position, ...], int] = {}
    awaited: dict[int, tuple[_Position, ...]] = defaultdict(tuple)
    loose: list[int] = []  # the runs of one or two equations, the last ones
    for entry in equations:
        here = _positions(program, places, entry[1])
        number = expected.pop(here, -1)
        if number < 0:
            number = expected.pop(_anywhere(here), -1)
        if number < 0:
            before = [_positions(program, places, runs[k][-1][1]) for k in loose]
            order = sorted(range(len(loose)), key=lambda k: (_distance(before[k], here), -k))
            if order:
                # What came first may be by itself: then its step to the second meant nothing.
                taken = loose[order[0]]
                last = runs[taken].pop()
                if expected.get(awaited[taken]) == taken:
                    del expected[awaited[taken]]
                runs.append([last])
            else:
                runs.append([])
            number = len(runs) - 1
        run = runs[number]
        if run:
            awaited[number] = _following(_positions(program, places, run[-1][1]), here)
            expected[awaited[number]] = number
        run.append(entry)
        loose = [k for k in loose if 0 < len(runs[k]) < 3 and k != number][-_MOST_LOOSE:]
        loose += [number] if len(run) < 3 else []
    found = [_run(run) for run in runs if run]
    return sorted(found, key=lambda run: run.variables[0])


def _positions(
    program: Program, places: Sequence[_Place], equation: Equation
) -> tuple[_Position, ...]:
    return tuple(
        [
            (True, operand) if program.constant(operand) else (False, places[operand].number)
            for operand in equation.operands
        ]
    )


def _anywhere(positions: Sequence[_Position]) -> tuple[_Position, ...]:
    return tuple(_ANYWHERE if p[0] else p for p in positions)


def _following(before: Sequence[_Position], here: Sequence[_Position]) -> tuple[_Position, ...]:
    """Return what comes after two equations of a run; constants that differ make a row."""
    step = [(p[0], 2 * p[1] - q[1]) for p, q in zip(here, before)]
    is_same = all(p == q for p, q in zip(here, before) if p[0])
    return tuple(
        (p if is_same else _ANYWHERE) if p[0] else following for p, following in zip(here, step)
    )


def _distance(before: Sequence[_Position], here: Sequence[_Position]) -> tuple[int, int, int]:
    """Tell how unlikely it is that an equation follows another: the more, the larger."""
    steps = [p[1] - q[1] for p, q in zip(here, before) if not p[0]]
    n_other_constants = sum(p != q for p, q in zip(here, before) if p[0])
    return sum(step < 0 for step in steps), n_other_constants, sum(map(abs, steps))


def _run(equations: Sequence[tuple[int, Equation]]) -> Run:
    primitive, _, dtype = equations[0][1]
    assert isinstance(primitive, str)
    columns = zip(*(equation.operands for _, equation in equations))
    return Run(primitive, dtype, tuple(v for v, _ in equations), tuple(columns))


def _fitted(runs: Sequence[Run]) -> list[Run]:
    """Cut runs where those begin and end that they read, or that read them.

    One loop then computes both, and the values between them need no memory.
    """
    cut: list[Run] = []
    home: dict[int, tuple[int, int]] = {}  # the run of a variable, and its place there
    for run in runs:
        ends = {0, len(run.variables)}
        for column in run.columns:
            numbers = [home.get(variable, (-1, 0))[0] for variable in column]
            ends |= {i for i in range(1, len(numbers)) if numbers[i] != numbers[i - 1]}
        for part in _parts(run, ends):
            home |= {v: (len(cut), i) for i, v in enumerate(part.variables)}
            cut.append(part)
    wanted: list[set[tuple[int, int]]] = [set() for _ in cut]
    fitted: list[Run] = []
    # From the last: a run that is cut asks for less of those that it reads.
    for run, intervals in zip(reversed(cut), reversed(wanted)):
        ends = {0, len(run.variables)}
        in_order = sorted(intervals)
        if all(end <= first for (_, end), (first, _) in pairwise(in_order)):
            ends |= {place for interval in in_order for place in interval}
        parts = _parts(run, ends)
        fitted += reversed(parts)
        for part in parts:
            if len(part.variables) < LEAST_ELEMENTS:
                continue
            for column in part.columns:
                number, first = home.get(column[0], (-1, 0))
                end = first + len(column)
                if number >= 0 and home.get(column[-1]) == (number, end - 1) and end > first + 1:
                    wanted[number].add((first, end))
    return fitted[::-1]


def _parts(run: Run, ends: Iterable[int]) -> list[Run]:
    """Cut a run at some places, which include its beginning and its end."""
    order = sorted(ends)
    return [
        Run(
            run.primitive,
            run.dtype,
            run.variables[first:end],
            tuple(column[first:end] for column in run.columns),
        )
        for first, end in pairwise(order)
    ]
