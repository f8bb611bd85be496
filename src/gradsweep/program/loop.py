"""Loop: a Program that is run step after step, each with what the one before left.

Each result of a Loop is an equation of its own, with all of the Loop's operands: what reads it
need know nothing of loops, and which operands it truly depends on is told by `Loop.reached`. In a
Program a Loop stands for one run of it: the operands of its results are one and the same tuple,
which may be long, and `reads` tells that they are read once.

Knows nothing of frameworks or engines.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import or_
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from gradsweep.program.program import Equation, Program

__all__ = ["CARRY", "GIVEN", "GOING", "ROW", "Loop", "LoopResult", "iterate", "reads"]

# The leaves that the body reads, and the outputs that it has.
CARRY, GIVEN, ROW, GOING = "carry", "given", "row", "going"

# How often a loop is taken to run whose length the values decide.
_USUAL_STEPS = 10


@dataclass(frozen=True, eq=False)
class Loop:
    """A body, and how often it is run.

    The operands of a result are what each carry is at first, then what is given to every step
    alike, then the rows: for each of them, the number that each step is given.

    The body's inputs are elements of the leaves CARRY, GIVEN and ROW, those that it reads. Its
    outputs are CARRY: what each carry is in the next step; ROW: what the step leaves; and, where
    the values decide how many steps there are, GOING: whether there is this one.

    The results are what each carry is in the end, then the rows that are left: for each of them,
    the number of every step.

    Attributes:
        n_steps: how many steps there are, one or more; None where each point goes on for as long
            as it is GOING. Such a loop has no rows.
        n_given: how many numbers are given to every step alike.
        n_rows: how many numbers each step is given of its own.
    """

    body: Program
    n_steps: int | None
    n_given: int
    n_rows: int

    @property
    def steps(self) -> int:
        """How many steps there are, or are taken to be."""
        return _USUAL_STEPS if self.n_steps is None else self.n_steps

    @property
    def flops(self) -> int:
        return self.steps * self.body.flops

    @property
    def n_carries(self) -> int:
        return len(self.body.outputs[0].variables)

    @property
    def n_rows_left(self) -> int:
        """How many numbers each step leaves."""
        return len(self.body.outputs[1].variables)

    @property
    def going(self) -> int | None:
        """The variable of the body that tells whether there is this step."""
        return self.body.outputs[2].variables[0] if self.n_steps is None else None

    @property
    def n_operands(self) -> int:
        return self.n_carries + self.n_given + self.n_rows * self._rows_length

    @property
    def n_results(self) -> int:
        return self.n_carries + self.n_rows_left * self._rows_length

    @property
    def _rows_length(self) -> int:
        return self.n_steps or 0

    @cached_property
    def places(self) -> tuple[range, ...]:
        """Which operands each input of the body is: of a row, one for every step."""
        starts = {CARRY: 0, GIVEN: self.n_carries, ROW: self.n_carries + self.n_given}
        found = []
        for leaf, element, _ in self.body.inputs:
            n = self._rows_length if leaf == ROW else 1
            first = starts[leaf] + element * n
            found.append(range(first, first + n))
        return tuple(found)

    def port(self, number: int) -> int:
        """Return where a result leaves the body: which of the carries, or after them, the rows."""
        n = self.n_carries
        return number if number < n else n + (number - n) // self._rows_length

    @property
    def ports(self) -> tuple[int, ...]:
        """The variables of the body that leave it, carries first."""
        return tuple(v for output in self.body.outputs[:2] for v in output.variables)

    def reached(self, number: int) -> tuple[int, ...]:
        """Return which operands a result depends on."""
        return self._reached[self.port(number)]

    @cached_property
    def _reached(self) -> tuple[tuple[int, ...], ...]:
        found = []
        for port, variable in enumerate(self.ports):
            operands = {o for i in self.inputs_of([variable]) for o in self.places[i]}
            if port < self.n_carries:
                operands.add(port)  # where the body reads it or not
            found.append(tuple(sorted(operands)))
        return tuple(found)

    def only(self, numbers: Collection[int]) -> Part:
        """Return the Loop that yields no more than some results, and what they depend on."""
        ports = sorted({self.port(number) for number in numbers})
        inputs = self.body.inputs
        read = [inputs[i] for i in self.inputs_of(self.ports[port] for port in ports)]
        carries = {port for port in ports if port < self.n_carries}
        carries |= {entry.element for entry in read if entry.leaf == CARRY}
        elements = {
            CARRY: sorted(carries),
            GIVEN: sorted({entry.element for entry in read if entry.leaf == GIVEN}),
            ROW: sorted({entry.element for entry in read if entry.leaf == ROW}),
        }
        left = [port for port in ports if port >= self.n_carries]
        if len(carries) + len(left) == len(self.ports):
            return Part(self, range(self.n_operands), {number: number for number in numbers})
        outputs = [
            output._replace(shape=(len(chosen),), variables=tuple(self.ports[p] for p in chosen))
            for output, chosen in zip(self.body.outputs, (elements[CARRY], left))
        ]
        body = self.body.pruned([*outputs, *self.body.outputs[2:]])
        body = replace(
            body,
            inputs=tuple(
                entry._replace(element=elements[entry.leaf].index(entry.element))
                for entry in body.inputs
            ),
        )
        loop = Loop(body, self.n_steps, len(elements[GIVEN]), len(elements[ROW]))
        first, n = self.n_carries + self.n_given, self._rows_length
        operands = [*elements[CARRY], *(self.n_carries + k for k in elements[GIVEN])]
        operands += [first + k * n + step for k in elements[ROW] for step in range(n)]
        order = {port: place for place, port in enumerate([*elements[CARRY], *left])}
        new = {}
        for number in numbers:
            place, step = order[self.port(number)], max(0, number - self.n_carries) % max(1, n)
            is_row = number >= self.n_carries
            new[number] = len(carries) + (place - len(carries)) * n + step if is_row else place
        return Part(loop, operands, new)

    def inputs_of(self, variables: Iterable[int]) -> frozenset[int]:
        """Return the inputs that variables of the body depend on, in this step or before."""
        waiting = [*variables, *([] if self.going is None else [self.going])]
        found: set[int] = set()
        while waiting:
            mask = self._inputs_of[waiting.pop()]
            for number, entry in enumerate(self.body.inputs):
                if mask >> number & 1 and number not in found:
                    found.add(number)
                    if entry.leaf == CARRY:
                        waiting.append(self.ports[entry.element])
        return frozenset(found)

    @cached_property
    def _inputs_of(self) -> tuple[int, ...]:
        """For each variable of the body, the inputs it is computed from in a step: a bit mask."""
        masks = [1 << number for number in range(len(self.body.inputs))]
        masks += [0] * len(self.body.constants)
        of_rows: dict[tuple[Loop, int], int] = {}  # all numbers of a row depend on the same
        for primitive, operands, _ in self.body.equations:
            if isinstance(primitive, LoopResult):
                loop, number = primitive
                port = loop, loop.port(number)
                if port not in of_rows:
                    of_rows[port] = _union(masks[operands[i]] for i in loop.reached(number))
                masks.append(of_rows[port])
            else:
                masks.append(_union(masks[operand] for operand in operands))
        return tuple(masks)


def _union(masks: Iterable[int]) -> int:
    return reduce(or_, masks, 0)


class Part(NamedTuple):
    """A Loop that yields some of the results of another.

    Attributes:
        operands: which of the other's operands it takes.
        numbers: which of its results each of the other's is.
    """

    loop: Loop
    operands: Sequence[int]
    numbers: Mapping[int, int]


class LoopResult(NamedTuple):
    """The result of a Loop that an equation is, in place of a primitive of its operands."""

    loop: Loop
    number: int


def reads(
    equations: Iterable[tuple[int, Equation]],
) -> Iterator[tuple[int, Equation, tuple[int, ...]]]:
    """Yield equations with the operands that are read when each is computed.

    All results of a Loop are computed with the first.
    """
    run: set[Loop] = set()
    for variable, equation in equations:
        primitive, operands, _ = equation
        if isinstance(primitive, LoopResult):
            if primitive.loop in run:
                operands = ()
            run.add(primitive.loop)
        yield variable, equation, operands


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
