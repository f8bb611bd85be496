"""Loops made from a step that is written once, where all steps written out would be too long.

A Builder, the loop's operands and a function that writes a step enter. A Body leaves, which rolls
into the variables of its results. A carry that never changes is dropped, and equations that are the
same at every step are computed once, before the loop. `iterate` runs a Loop in the numbers of any
system.

Knows nothing of frameworks.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from gradsweep.program.builder import Builder
from gradsweep.program.loop_steps.step_builder import StepBuilder
from gradsweep.program.program import (
    CARRY,
    GIVEN,
    GOING,
    ROW,
    Equation,
    Loop,
    LoopResult,
    Output,
    Program,
    reads,
)

__all__ = ["MOST_UNROLLED", "Body", "Operands", "Step", "find_body", "iterate"]

# Beyond it, integers may wrap around.
_LARGEST_NUMBER = 2**62

# A longer row of numbers that only count takes more than to count.
_LONGEST_COUNT = 2**16

# A loop of up to this many equations is written out: constants are folded, and steps overlap.
MOST_UNROLLED = 2_000


class Operands(NamedTuple):
    """The operands of a loop, as variables of the Builder that it is written into.

    Attributes:
        initial: the initial carries.
        given: the numbers that every step reads.
        rows: for each row, the number that each step reads.
    """

    initial: Sequence[int]
    given: Sequence[int]
    rows: Sequence[Sequence[int]]


class Step(NamedTuple):
    """The outputs of one step, as variables of the Builder that writes it.

    Attributes:
        going: whether this step takes place; None where the number of steps is known.
    """

    carries: Sequence[int]
    rows: Sequence[int]
    going: int | None = None


# Writes a step from the variables of the carries, the given numbers and the rows; the builder gives
# it others of outside.
Write = Callable[[StepBuilder, list[int], list[int], list[int]], Step]


@dataclass(frozen=True, eq=False)
class Body:
    """A step that is written once, and the operands of its loop.

    It has only the carries and rows that vary and are read.

    Attributes:
        program: the step; the elements of its inputs are numbered as in `operands`.
        n_steps: None where the values decide.
        carries: the number of each carry of the step among all carries.
        left: the number of each row that the step leaves among all rows.
        known_carries: the final values of the others, by number.
        known_rows: the other rows, by number: a variable for each step.
    """

    program: Program
    n_steps: int | None
    operands: Operands
    carries: Sequence[int]
    left: Sequence[int]
    known_carries: dict[int, int]
    known_rows: dict[int, Sequence[int]]

    @property
    def n_computed(self) -> int:
        """How many equations all steps compute together."""
        _, given, rows = self.operands
        steps = Loop(self.program, self.n_steps, len(given), len(rows)).steps
        return steps * self.program.n_computed

    def roll(self, b: Builder) -> tuple[dict[int, int], dict[int, Sequence[int]]]:
        """Write the loop; return its final carries and the rows that it leaves, by number."""
        loop, operands = self._hoist(b)
        results = b.results(loop, operands)
        n, steps = loop.n_carries, loop.rows_length
        rows = [results[first : first + steps] for first in range(n, len(results), steps or 1)]
        carries = self.known_carries | dict(zip(self.carries, results))
        left: dict[int, Sequence[int]] = dict(zip(self.left, rows))
        return carries, left | self.known_rows

    def _hoist(self, b: Builder) -> tuple[Loop, list[int]]:
        """Write the equations that are the same at every step; return a Loop of the others."""
        inner, step = StepBuilder(b), self.program
        # The variables of the step: outside the loop if the same at every step, else within it.
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

    A carry that counts the steps becomes a row of constants; and what is looked up at a place that
    only such rows decide, a row of what is there.

    Args:
        wanted: the carries that are read after the loop.

    Reference: Wegman and Zadeck (1991), Constant propagation with conditional branches: carries
    are taken for constant until a step changes them, and for counters until one changes otherwise.
    """
    same = {k for k, v in enumerate(operands.initial) if b.is_constant(v)}
    counters: dict[int, int] = {}
    changing: set[int] = set()
    while True:
        written = _write_step(b, write, operands, n_steps, same, counters)
        counting = written.counting(n_steps)
        # A carry that is kept now may change once another is no longer taken for constant.
        changing |= same - written.kept - counting.keys()
        changing |= {k for k in counters if counting.get(k) != counters[k]}
        counting = {k: by for k, by in counting.items() if k not in changing}
        following = (same | written.kept) - changing - counting.keys()
        if following == same and counting == counters:
            body = _make_body(written, operands, n_steps, wanted)
            rows = body.operands.rows
            if n_steps is None or n_steps <= _LONGEST_COUNT or not any(map(_counts, rows)):
                return replace(body, operands=body.operands._replace(rows=_in_constants(b, rows)))
            changing |= {
                k
                for k, by in counters.items()
                if _numbers(b, operands.initial[k], by, n_steps) in rows
            }
            counting = {k: by for k, by in counters.items() if k not in changing}
        same, counters = following, counting


class _Written(NamedTuple):
    """A step, written as if some carries never changed.

    Attributes:
        same: the numbers of those carries.
        counters: the numbers of carries that are rows, each with what a step adds to it.
        carries: the variable of each carry in the step.
    """

    inner: StepBuilder
    same: set[int]
    counters: Mapping[int, int]
    carries: Sequence[int]
    step: Step

    @property
    def kept(self) -> set[int]:
        """The carries that the step leaves unchanged."""
        return {k for k, v in enumerate(self.carries) if self.step.carries[k] == v}

    def counting(self, n_steps: int | None) -> dict[int, int]:
        """Return the carries that seem to count the steps, each with what a step adds to it."""
        found: dict[int, int] = {}
        if n_steps is None:
            return found
        for k, carry in enumerate(self.carries):
            following = self.step.carries[k]
            if self.inner.dtype(carry) != "int64" or following == carry:
                continue
            if k in self.same and self.inner.is_constant(following):
                begun, by = self.inner.value(carry), self.inner.value(following)
                by -= begun
                if abs(begun) + n_steps * abs(by) < _LARGEST_NUMBER:
                    found[k] = by
            elif k in self.counters:
                match self.inner.equation(following):
                    case Equation("add", (x, y)) if carry in (x, y):
                        other = y if x == carry else x
                        if self.inner.is_constant(other):
                            found[k] = self.inner.value(other)
        return found


def _write_step(
    b: Builder,
    write: Write,
    operands: Operands,
    n_steps: int | None,
    same: set[int],
    counters: Mapping[int, int],
) -> _Written:
    """Write a step as if the carries `same` never changed, and `counters` by as much each time."""
    inner = StepBuilder(b, operands.rows)
    carries = []
    for k, v in enumerate(operands.initial):
        if k in same:
            carries.append(inner.give(v))
        elif k in counters and n_steps is not None:
            carries.append(inner.add_count(_numbers(b, v, counters[k], n_steps)))
        else:
            carries.append(inner.input(CARRY, k, b.dtype(v)))
    rows = [
        inner.give(row[0]) if len(set(row)) == 1 else inner.input(ROW, k, b.dtype(row[0]))
        for k, row in enumerate(operands.rows)
    ]
    given = [inner.give(v) for v in operands.given]
    return _Written(inner, same, counters, carries, write(inner, carries, given, rows))


def _numbers(b: Builder, begun: int, by: int, n_steps: int) -> range:
    """Return the numbers of a carry that counts, at every step."""
    first = b.value(begun)
    return range(first, first + n_steps * by, by)


def _in_constants(b: Builder, rows: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    """Return rows whose numbers are variables of a Builder, those that count too."""
    return [
        [b.constant(number, "int64") for number in row] if _counts(row) else row for row in rows
    ]


def _counts(row: Sequence[int]) -> bool:
    """Tell whether a row is of numbers, which only count, and not of variables."""
    return isinstance(row, range)


def _make_body(
    written: _Written, operands: Operands, n_steps: int | None, wanted: Collection[int]
) -> Body:
    """Return the Body of a step, without carries and rows that nothing reads."""
    inner, same, counters, _, step = written
    outside = inner.outside
    known_rows: dict[int, Sequence[int]] = {
        k: row
        for k, v in enumerate(step.rows)
        if n_steps is not None and (row := inner.known_row(v, n_steps)) is not None
    }
    left = [k for k in range(len(step.rows)) if k not in known_rows]
    changing = set(wanted) - same - counters.keys()
    carries = _carries_read(inner, step, [step.rows[k] for k in left], changing)
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
            rows=[inner.rows[k] for k in rows],
        ),
        carries=carries,
        left=left,
        known_carries={k: operands.initial[k] for k in same}
        | {
            k: outside.constant(outside.value(operands.initial[k]) + n_steps * by, "int64")
            for k, by in counters.items()
            if n_steps is not None
        },
        known_rows=known_rows,
    )


def _carries_read(
    inner: Builder, step: Step, left: Sequence[int], wanted: Collection[int]
) -> list[int]:
    """Return the wanted carries, and those that they, the rows left or `going` depend on."""
    found: set[int] = set()
    waiting = set(wanted)
    roots = [*left, *([] if step.going is None else [step.going])]
    while waiting or roots:
        found |= waiting
        roots += [step.carries[k] for k in waiting]
        reached = {entry.element for entry in inner.inputs_of(roots) if entry.leaf == CARRY}
        waiting, roots = reached - found, []
    return sorted(found)


def iterate(
    loop: Loop,
    operands: Sequence[Any],
    step: Callable[[Program, Sequence[Any]], Sequence[Any]],
    is_any: Callable[[Any], bool],
    choose: Callable[[Any, Any, Any], Any],
) -> list[Any]:
    """Return the results of a Loop.

    Args:
        step: computes the outputs of the body, in order, from its inputs.
        is_any: tells whether any point is going.
        choose: takes its second argument at points that are going, its third elsewhere.
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
