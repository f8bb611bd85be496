"""Write Steps as a Loop.

A Program, Steps of it and the variables that are read after them enter, a Written leaves.
Never sees how Steps are found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

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
from gradsweep.program.rolling.steps import Steps

__all__ = ["Written", "write"]


@dataclass(frozen=True)
class Written:
    """Steps as a Loop.

    Attributes:
        operands: variables of the Program, and constants.
        results: for each variable that is read after the steps, the number of the result that
            stands for it.
    """

    steps: Steps
    loop: Loop
    operands: Sequence[int | Constant]
    results: Mapping[int, int]


# Where a body reads a number: an input, a constant, or a place in the step.
_Source = Input | Constant | int

# A place in a step, and the values that were there before the first step, the last of them first:
# what came from there as many steps ago is carried.
_Carry = tuple[int, tuple[int | Constant, ...]]


def write(program: Program, steps: Steps, wanted: Sequence[int]) -> Written:
    """Write Steps as a Loop.

    Args:
        wanted: the variables that are read after them, in order.
    """
    writer = _Writer(program, steps)
    sources = [writer.source(column) for column in steps.read.T]
    results = writer.results(wanted)
    body = writer.body(sources)
    loop = Loop(body, steps.n_steps, len(writer.given), len(writer.rows))
    first = [initial[-1] for _, initial in writer.carries]
    rows = [variable for row in writer.rows for variable in row]
    return Written(steps, loop, [*first, *writer.given, *rows], results)


class _Writer:
    """Writes the parts of a Loop.

    Attributes:
        carries, given, rows, left: what the Loop carries, is given, reads and leaves, each with
            its number. A row that is left is named by its place in the step.
    """

    def __init__(self, program: Program, steps: Steps):
        self._program, self._steps = program, steps
        self.carries: dict[_Carry, int] = {}
        self.given: dict[int, int] = {}
        self.rows: dict[tuple[int, ...], int] = {}
        self.left: dict[int, int] = {}

    def source(self, column: np.ndarray) -> _Source:
        """Return where the body reads what all steps read at some place."""
        steps, program = self._steps, self._program
        variables = tuple(column.tolist())
        distance = variables[-1] - int(steps.base[-1])
        if distance >= 0:
            return distance
        dtype = program.dtype(variables[0])
        if variables[-1] >= steps.base[0]:
            depth, place = -(distance // steps.size), distance % steps.size
            return Input(CARRY, self._carry(place, variables[depth - 1 :: -1]), dtype)
        constant = program.constant(variables[0])
        if constant and len({repr(program.constant(variable)) for variable in variables}) == 1:
            return constant
        if len(set(variables)) == 1:
            return Input(GIVEN, self.given.setdefault(variables[0], len(self.given)), dtype)
        return Input(ROW, self.rows.setdefault(variables, len(self.rows)), dtype)

    def _carry(self, place: int, initial: tuple[int | Constant, ...]) -> int:
        """Return the number of a carry. It becomes what the carry of one step less has been."""
        if len(initial) > 1:
            self._carry(place, initial[:-1])
        return self.carries.setdefault((place, initial), len(self.carries))

    def results(self, wanted: Sequence[int]) -> dict[int, int]:
        """Choose results for variables that are read after the steps; return their numbers."""
        n_steps = self._steps.n_steps
        places = [divmod(v - int(self._steps.base[0]), self._steps.size) for v in wanted]
        carries = {(place, len(initial)): k for (place, initial), k in self.carries.items()}
        for step, place in places:
            if step < n_steps - 1 and (place, n_steps - step) not in carries:
                self.left.setdefault(place, len(self.left))
        for _, place in places:
            if place not in self.left and (place, 1) not in carries:
                # Nothing reads it in the steps: any number will do before the first.
                zero = Constant(np.dtype(self._dtype(place)).type(0).item(), self._dtype(place))
                carries[place, 1] = self._carry(place, (zero,))
        # A row is left whole, since what reads it in order need not copy it.
        return {
            variable: len(self.carries) + self.left[place] * n_steps + step
            if place in self.left
            else carries[place, n_steps - step]
            for variable, (step, place) in zip(wanted, places)
        }

    def _dtype(self, place: int) -> str:
        return self._program.equations[self._steps.start + place].dtype

    def body(self, sources: Sequence[_Source]) -> Program:
        """Return a step as a Program.

        Args:
            sources: where it reads its operands, one after another.
        """
        following: list[_Source] = [
            Input(CARRY, self.carries[place, initial[:-1]], self._dtype(place))
            if initial[:-1]
            else place
            for place, initial in self.carries
        ]
        read = [*sources, *following]
        inputs = sorted({source for source in read if isinstance(source, Input)})
        constants = {repr(source): source for source in read if isinstance(source, Constant)}
        numbers = {repr(s): number for number, s in enumerate((*inputs, *constants.values()))}

        def variables(some: Sequence[_Source]) -> tuple[int, ...]:
            n = len(numbers)
            return tuple([n + s if isinstance(s, int) else numbers[repr(s)] for s in some])

        return Program(
            inputs=tuple(inputs),
            constants=tuple(constants.values()),
            equations=tuple(self._equations(variables(sources))),
            outputs=(
                Output(CARRY, (len(following),), variables(following)),
                Output(ROW, (len(self.left),), variables([*self.left])),
            ),
        )

    def _equations(self, operands: tuple[int, ...]) -> list[Equation]:
        steps, program = self._steps, self._program
        offsets = steps.table.offsets[steps.start : steps.start + steps.size + 1]
        read_by: dict[Loop, tuple[int, ...]] = {}
        found = []
        for place, begin in enumerate((offsets[:-1] - offsets[0]).tolist()):
            equation = program.equations[steps.start + place]
            own = operands[begin : begin + int(offsets[place + 1] - offsets[place])]
            if isinstance(equation.primitive, LoopResult):
                own = read_by.setdefault(equation.primitive.loop, own)
            found.append(equation._replace(operands=own))
        return found
