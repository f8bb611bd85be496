"""Loops: made of a step that is written once, where all steps written out would be too long.

A Builder, what the loop begins with and a function that writes a step enter; a Body leaves, and
when it is rolled, the variables of its results. A carry that stays what it was is none, and what
is the same at every step is computed once, before the loop. `iterate` runs a Loop in the numbers
of any system.

Knows nothing of frameworks.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gradsweep.program.builder import Builder
from gradsweep.program.program import (
    CARRY,
    GIVEN,
    GOING,
    ROW,
    Loop,
    LoopResult,
    Output,
    Program,
    reads,
)

__all__ = ["Body", "Step", "find_body", "iterate"]


class Step(NamedTuple):
    """What one step yields, as variables of the Builder that writes it.

    Attributes:
        going: whether there is this step; None where it is known how many there are.
    """

    carries: Sequence[int]
    rows: Sequence[int]
    going: int | None = None


# Writes a step, from the variables of the carries, of what is given, and of the rows.
Write = Callable[[Builder, list[int], list[int], list[int]], Step]


@dataclass(frozen=True, eq=False)
class Body:
    """A step that is written once, and what the loop begins with.

    Its carries and rows are those that vary and that something reads.

    Attributes:
        program: the step; elements of its inputs are numbered as `initial`, `given` and `rows`.
        n_steps: None where the values decide.
        carries: for each of the step's carries, which of the loop's it is.
        left: for each row that the step leaves, which of the loop's it is.
        constant_carries, constant_rows: the others, by what they are at every step.
    """

    program: Program
    n_steps: int | None
    initial: Sequence[int]
    given: Sequence[int]
    rows: Sequence[Sequence[int]]
    carries: Sequence[int]
    left: Sequence[int]
    constant_carries: dict[int, int]
    constant_rows: dict[int, int]

    @property
    def n_computed(self) -> int:
        """How many equations all steps take."""
        steps = Loop(self.program, self.n_steps, len(self.given), len(self.rows)).steps
        return steps * self.program.n_computed

    def roll(self, b: Builder) -> tuple[dict[int, int], dict[int, Sequence[int]]]:
        """Write the loop; return its carries in the end, and the rows that it leaves."""
        inner = Builder(b.max_equations, is_body=True)
        given: dict[int, int] = {}
        # Each variable of the step: outside, where it is the same at every step, or else within.
        outside: dict[int, int] = {}
        within: dict[int, int] = {}
        step = self.program
        for variable, entry in enumerate(step.inputs):
            if entry.leaf == GIVEN:
                outside[variable] = self.given[entry.element]
            else:
                within[variable] = inner.input(*entry)
        for variable, constant in enumerate(step.constants, start=len(step.inputs)):
            outside[variable] = b.constant(*constant)

        def inside(variable: int) -> int:
            if variable in within:
                return within[variable]
            return _give(b, inner, given, outside[variable])

        runs_outside: dict[Loop, list[int]] = {}
        runs_within: dict[Loop, list[int]] = {}
        varying: set[int] = set(within)
        for variable, equation, operands in reads(step.numbered()):
            loop = equation.primitive.loop if isinstance(equation.primitive, LoopResult) else None
            if loop in runs_within or not varying.isdisjoint(operands):
                within[variable] = inner.again(equation, inside, runs_within)
                varying.add(variable)
            else:
                outside[variable] = b.again(equation, outside.__getitem__, runs_outside)
        outputs = [o._replace(variables=tuple(map(inside, o.variables))) for o in step.outputs]
        loop = Loop(inner.finish(outputs), self.n_steps, len(given), len(self.rows))
        read = [variable for row in self.rows for variable in row]
        results = b.results(loop, [*self.initial, *given, *read])
        n, steps = len(self.initial), self.n_steps or 0
        rows = [results[first : first + steps] for first in range(n, len(results), steps or 1)]
        carries = self.constant_carries | dict(zip(self.carries, results))
        left: dict[int, Sequence[int]] = dict(zip(self.left, rows))
        return carries, left | {row: [v] * steps for row, v in self.constant_rows.items()}


def find_body(
    b: Builder,
    write: Write,
    initial: Sequence[int],
    given: Sequence[int],
    rows: Sequence[Sequence[int]],
    n_steps: int | None,
    wanted_carries: Collection[int],
    wanted_rows: Collection[int],
) -> Body:
    """Write a step of a loop.

    Args:
        initial: what each carry is at first.
        given: what every step reads.
        rows: for each row, what each step reads.
        wanted_carries, wanted_rows: which of them are read after the loop.

    Reference: Wegman and Zadeck (1991), Constant propagation with conditional branches: carries
    are taken for constant until a step makes something else of them.
    """
    constant = {k: v for k, v in enumerate(initial) if b.is_constant(v)}
    unchanged: dict[int, int] = {}
    while True:
        inner = Builder(b.max_equations, is_body=True)
        numbers: dict[int, int] = {}
        same = constant | unchanged
        carries = [
            _give(b, inner, numbers, same[k]) if k in same else inner.input(CARRY, k, b.dtype(v))
            for k, v in enumerate(initial)
        ]
        each = [
            _give(b, inner, numbers, row[0])
            if len(set(row)) == 1
            else inner.input(ROW, k, b.dtype(row[0]))
            for k, row in enumerate(rows)
        ]
        step = write(inner, carries, [_give(b, inner, numbers, v) for v in given], each)
        changed = {k for k in constant if step.carries[k] != carries[k]}
        still = {
            k: v
            for k, v in enumerate(initial)
            if k not in same and k not in changed and step.carries[k] == carries[k]
        }
        if not changed and not still:
            break
        for k in changed:
            del constant[k]
        unchanged |= still

    left = [k for k in wanted_rows if not inner.is_constant(step.rows[k])]
    constant_rows = {
        k: _copy(inner, b, step.rows[k]) for k in wanted_rows if inner.is_constant(step.rows[k])
    }
    kept = _carries_read(inner, step, [step.rows[k] for k in left], set(wanted_carries) - {*same})
    outputs = [
        Output(CARRY, (len(kept),), tuple(step.carries[k] for k in kept)),
        Output(ROW, (len(left),), tuple(step.rows[k] for k in left)),
    ]
    if step.going is not None:
        outputs.append(Output(GOING, (), (step.going,)))
    program = inner.finish(outputs)
    read = [entry.element for entry in program.inputs if entry.leaf == ROW]
    position = {(CARRY, k): i for i, k in enumerate(kept)}
    position |= {(ROW, k): i for i, k in enumerate(read)}
    inputs = tuple(
        entry._replace(element=position.get((entry.leaf, entry.element), entry.element))
        for entry in program.inputs
    )
    return Body(
        Program(inputs, program.constants, program.equations, program.outputs),
        n_steps,
        initial=[initial[k] for k in kept],
        given=list(numbers),
        rows=[rows[k] for k in read],
        carries=kept,
        left=left,
        constant_carries=same,
        constant_rows=constant_rows,
    )


def _carries_read(
    inner: Builder, step: Step, left: Sequence[int], wanted: Collection[int]
) -> list[int]:
    """Return the carries that are wanted, or that those that are depend on, or what is left."""
    found: set[int] = set()
    waiting = set(wanted)
    roots = [*left, *([] if step.going is None else [step.going])]
    while waiting or roots:
        found |= waiting
        roots += [step.carries[k] for k in waiting]
        reached = {entry.element for entry in inner.inputs_of(roots) if entry.leaf == CARRY}
        waiting, roots = reached - found, []
    return sorted(found)


def _give(b: Builder, inner: Builder, numbers: dict[int, int], variable: int) -> int:
    """Return what a variable of `b` is within a step: a constant, or one that is given to it.

    Args:
        numbers: of those that are given, in the order in which they were.
    """
    if b.is_constant(variable):
        return _copy(b, inner, variable)
    return inner.input(GIVEN, numbers.setdefault(variable, len(numbers)), b.dtype(variable))


def _copy(b: Builder, other: Builder, variable: int) -> int:
    """Return the variable of another Builder that is the same constant."""
    dtype = b.dtype(variable)
    if b.is_structural_zero(variable):
        return other.structural_zero(dtype)
    return other.constant(b.value(variable), dtype)


def iterate(
    loop: Loop,
    operands: Sequence[Any],
    step: Callable[[Program, Sequence[Any]], Sequence[Any]],
    is_any: Callable[[Any], bool],
    choose: Callable[[Any, Any, Any], Any],
) -> list[Any]:
    """Return the results of a Loop.

    Args:
        step: computes the outputs of the body from its inputs, one after another.
        is_any: whether any point is going.
        choose: where a point is going, the second of its arguments, else the third.
    """
    carries = list(operands[: loop.n_carries])
    left: list[Sequence[Any]] = []
    while loop.n_steps is None or len(left) < loop.n_steps:
        inputs = []
        for entry, places in zip(loop.body.inputs, loop.places):
            if entry.leaf == CARRY:
                inputs.append(carries[entry.element])
            else:
                inputs.append(operands[places[len(left) if entry.leaf == ROW else 0]])
        found = step(loop.body, inputs)
        following, row = found[: loop.n_carries], found[loop.n_carries : len(loop.ports)]
        if loop.n_steps is None:
            going = found[-1]
            if not is_any(going):
                break
            carries = [choose(going, new, old) for new, old in zip(following, carries)]
        else:
            carries = list(following)
            left.append(row)
    return [*carries, *(row[k] for k in range(loop.n_rows_left) for row in left)]
