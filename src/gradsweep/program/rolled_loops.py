"""Loops: made of a step that is written once, where all steps written out would be too long.

A Builder, what the loop begins with and a function that writes a step enter; a Body leaves, and
when it is rolled, the variables of its results. A carry that stays what it was is none, and what
is the same at every step is computed once, before the loop. `iterate` runs a Loop in the numbers
of any system.

Knows nothing of frameworks.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
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

__all__ = ["Body", "Operands", "Step", "find_body", "iterate"]


class Operands(NamedTuple):
    """What a loop begins with and reads, as variables of the Builder that it is written into.

    Attributes:
        initial: what each carry is at first.
        given: what every step reads.
        rows: for each row, what each step reads.
    """

    initial: Sequence[int]
    given: Sequence[int]
    rows: Sequence[Sequence[int]]


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
        program: the step; elements of its inputs are numbered as `operands`.
        n_steps: None where the values decide.
        carries: for each of the step's carries, which of the loop's it is.
        left: for each row that the step leaves, which of the loop's it is.
        constant_carries, constant_rows: the others, by what they are at every step.
    """

    program: Program
    n_steps: int | None
    operands: Operands
    carries: Sequence[int]
    left: Sequence[int]
    constant_carries: dict[int, int]
    constant_rows: dict[int, int]

    @property
    def n_computed(self) -> int:
        """How many equations all steps take."""
        _, given, rows = self.operands
        steps = Loop(self.program, self.n_steps, len(given), len(rows)).steps
        return steps * self.program.n_computed

    def roll(self, b: Builder) -> tuple[dict[int, int], dict[int, Sequence[int]]]:
        """Write the loop; return its carries in the end, and the rows that it leaves."""
        loop, operands = self._hoist(b)
        results = b.results(loop, operands)
        n, steps = loop.n_carries, loop.rows_length
        rows = [results[first : first + steps] for first in range(n, len(results), steps or 1)]
        carries = self.constant_carries | dict(zip(self.carries, results))
        left: dict[int, Sequence[int]] = dict(zip(self.left, rows))
        return carries, left | {row: [v] * steps for row, v in self.constant_rows.items()}

    def _hoist(self, b: Builder) -> tuple[Loop, list[int]]:
        """Write what is the same at every step; return a Loop of the rest, and its operands."""
        inner, step = _StepBuilder(b), self.program
        # Each variable of the step: outside, where it is the same at every step, or else within.
        outside: dict[int, int] = {}
        within: dict[int, int] = {}
        for variable, entry in enumerate(step.inputs):
            if entry.leaf == GIVEN:
                outside[variable] = self.operands.given[entry.element]
            else:
                within[variable] = inner.input(*entry)
        for variable, constant in enumerate(step.constants, start=len(step.inputs)):
            outside[variable] = b.constant(*constant)

        def inside(variable: int) -> int:
            return within[variable] if variable in within else inner.give(outside[variable])

        runs_outside: dict[Loop, list[int]] = {}
        runs_within: dict[Loop, list[int]] = {}
        for variable, equation, operands in reads(step.numbered()):
            loop = equation.primitive.loop if isinstance(equation.primitive, LoopResult) else None
            if loop in runs_within or not within.keys().isdisjoint(operands):
                within[variable] = inner.again(equation, inside, runs_within)
            else:
                outside[variable] = b.again(equation, outside.__getitem__, runs_outside)
        outputs = [o._replace(variables=tuple(map(inside, o.variables))) for o in step.outputs]
        initial, _, rows = self.operands
        rest = Loop(inner.finish(outputs), self.n_steps, len(inner.given), len(rows))
        return rest, [*initial, *inner.given, *(variable for row in rows for variable in row)]


def find_body(
    b: Builder, write: Write, operands: Operands, n_steps: int | None, wanted: Collection[int]
) -> Body:
    """Write a step of a loop.

    Args:
        wanted: which carries are read after the loop.

    Reference: Wegman and Zadeck (1991), Constant propagation with conditional branches: carries
    are taken for constant until a step makes something else of them.
    """
    same = {k for k, v in enumerate(operands.initial) if b.is_constant(v)}
    changing: set[int] = set()
    while True:
        written = _write_step(b, write, operands, same)
        # One that was kept beside a constant that is none may change after all.
        changing |= same - written.kept
        following = (same | written.kept) - changing
        if following == same:
            return _make_body(written, operands, n_steps, wanted)
        same = following


class _StepBuilder(Builder):
    """Writes the step of a loop that another Builder writes.

    Attributes:
        given: the variables of the other that the step reads, each with its number.
    """

    def __init__(self, outside: Builder):
        super().__init__(outside.max_equations, is_body=True)
        self.outside = outside
        self.given: dict[int, int] = {}

    def give(self, variable: int) -> int:
        """Return what a variable of the other is here: the same constant, or one that is given."""
        if self.outside.is_constant(variable):
            return _copy(self.outside, self, variable)
        number = self.given.setdefault(variable, len(self.given))
        return self.input(GIVEN, number, self.outside.dtype(variable))


class _Written(NamedTuple):
    """A step, as it is while some carries are taken to stay what they are at first.

    Attributes:
        same: which carries those are.
        carries: what each carry is in the step.
    """

    inner: _StepBuilder
    same: set[int]
    carries: Sequence[int]
    step: Step

    @property
    def kept(self) -> set[int]:
        """Which carries the step leaves as they are."""
        return {k for k, v in enumerate(self.carries) if self.step.carries[k] == v}


def _write_step(b: Builder, write: Write, operands: Operands, same: set[int]) -> _Written:
    """Write a step, where the carries `same` are what they are at first."""
    inner = _StepBuilder(b)
    carries = [
        inner.give(v) if k in same else inner.input(CARRY, k, b.dtype(v))
        for k, v in enumerate(operands.initial)
    ]
    rows = [
        inner.give(row[0]) if len(set(row)) == 1 else inner.input(ROW, k, b.dtype(row[0]))
        for k, row in enumerate(operands.rows)
    ]
    given = [inner.give(v) for v in operands.given]
    return _Written(inner, same, carries, write(inner, carries, given, rows))


def _make_body(
    written: _Written, operands: Operands, n_steps: int | None, wanted: Collection[int]
) -> Body:
    """Return the Body of a step, without carries and rows that nothing reads."""
    inner, same, _, step = written
    constant_rows = {
        k: _copy(inner, inner.outside, v) for k, v in enumerate(step.rows) if inner.is_constant(v)
    }
    left = [k for k in range(len(step.rows)) if k not in constant_rows]
    carries = _carries_read(inner, step, [step.rows[k] for k in left], set(wanted) - same)
    outputs = [
        Output(CARRY, (len(carries),), tuple(step.carries[k] for k in carries)),
        Output(ROW, (len(left),), tuple(step.rows[k] for k in left)),
    ]
    if step.going is not None:
        outputs.append(Output(GOING, (), (step.going,)))
    program = inner.finish(outputs)
    rows = [entry.element for entry in program.inputs if entry.leaf == ROW]
    position = {(CARRY, k): i for i, k in enumerate(carries)}
    position |= {(ROW, k): i for i, k in enumerate(rows)}
    inputs = tuple(
        entry._replace(element=position.get((entry.leaf, entry.element), entry.element))
        for entry in program.inputs
    )
    return Body(
        replace(program, inputs=inputs),
        n_steps,
        Operands(
            initial=[operands.initial[k] for k in carries],
            given=list(inner.given),
            rows=[operands.rows[k] for k in rows],
        ),
        carries=carries,
        left=left,
        constant_carries={k: operands.initial[k] for k in same},
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
