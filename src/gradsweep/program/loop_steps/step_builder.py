"""Write the step of a loop with a Builder of its own.

Its operands are variables of the Builder outside. What is looked up at a place that is known for
every step is a row of what is there; so a step that looks something up by its own number is the
same at every step.

Knows nothing of how loops are found.
"""

from collections.abc import Sequence

import numpy as np

from gradsweep.program.builder import Builder
from gradsweep.program.primitives import PRIMITIVES
from gradsweep.program.program import GIVEN, ROW, Input, Loop
from gradsweep.program.simplification import nearest_entry

__all__ = ["StepBuilder"]

# How many equations deep to search whether known rows alone decide a value.
_DEEPEST_KNOWN = 40


class StepBuilder(Builder):
    """Writes the step of a loop that another Builder writes.

    Attributes:
        given: the variables of the other Builder that the step reads, each with its number.
        rows: for each row that the step may read, the other Builder's variable for every step; of a
            row that counts, its numbers.
    """

    def __init__(self, outside: Builder, rows: Sequence[Sequence[int]] = ()):
        super().__init__(outside.max_equations, is_body=True)
        self.outside = outside
        self.given: dict[int, int] = {}
        self.rows = [*rows]
        self._given_as: dict[int, int] = {}
        self._row_numbers: dict[tuple[int, ...] | range, int] = {}
        self._known: dict[int, np.ndarray | None] = {}

    def give(self, variable: int) -> int:
        """Return the variable here for one of the other Builder: a constant, or a given input."""
        if self.outside.is_constant(variable):
            return _copy(self.outside, self, variable)
        number = self.given.setdefault(variable, len(self.given))
        here = self.input(GIVEN, number, self.outside.dtype(variable))
        self._given_as[here] = variable
        return here

    def add_row(self, row: Sequence[int]) -> int:
        """Return the variable here for a row of the other Builder's variables."""
        if len(set(row)) == 1:
            return self.give(row[0])
        return self._row(tuple(row), self.outside.dtype(row[0]))

    def add_count(self, numbers: range) -> int:
        """Return the variable here for a row of integers, which are written where a step reads
        them as such."""
        return self._row(numbers, "int64")

    def _row(self, row: tuple[int, ...] | range, dtype: str) -> int:
        number = self._row_numbers.setdefault(row, len(self.rows))
        if number == len(self.rows):
            self.rows.append(row)
        return self.input(ROW, number, dtype)

    def emit(self, name: str, *operands: int) -> int:
        if name == "lookup" and not self.is_constant(operands[0]):
            places, entries = self._by_step(operands[0]), operands[1:]
            is_outside = all(v in self._given_as or self.is_constant(v) for v in entries)
            if places is not None and is_outside:
                found = [nearest_entry(place, entries) for place in places.tolist()]
                return self.add_row([*map(self._outside_of, found)])
        return super().emit(name, *operands)

    def _outside_of(self, variable: int) -> int:
        given = self._given_as.get(variable)
        return _copy(self, self.outside, variable) if given is None else given

    def hoisted(self, variables: Sequence[int]) -> list[int] | None:
        """Write variables with the other Builder; None where they differ from step to step."""
        if any(entry.leaf != GIVEN for entry in self.inputs_of(variables)):
            return None
        there: dict[int, int] = {}
        runs: dict[Loop, list[int]] = {}
        for variable in self._ancestors(variables):
            equation = self.equation(variable)
            there[variable] = (
                self._outside_of(variable)
                if equation is None
                else self.outside.again(equation, there.__getitem__, runs)
            )
        return [there[variable] for variable in variables]

    def known_row(self, variable: int, n_steps: int) -> list[int] | None:
        """Return the other Builder's constants for an integer at every step, or for a constant."""
        if self.is_constant(variable):
            return [_copy(self, self.outside, variable)] * n_steps
        values = self._by_step(variable) if self.dtype(variable) == "int64" else None
        if values is None:
            return None
        each = np.broadcast_to(values, n_steps).tolist()
        return [self.outside.constant(value, "int64") for value in each]

    def _by_step(self, variable: int, depth: int = 0) -> np.ndarray | None:
        """Return the value at every step, where only rows of constants decide it."""
        if variable not in self._known:
            if depth > _DEEPEST_KNOWN:
                return None
            self._known[variable] = self._find_by_step(variable, depth)
        return self._known[variable]

    def _find_by_step(self, variable: int, depth: int) -> np.ndarray | None:
        if self.is_constant(variable):
            return np.array([self.value(variable)], self.dtype(variable))
        equation = self.equation(variable)
        if equation is None:
            entry = self._definitions[variable]
            if not isinstance(entry, Input) or entry.leaf != ROW:
                return None
            row = self.rows[entry.element] if entry.element < len(self.rows) else ()
            if isinstance(row, range):
                return np.array(row, entry.dtype)
            if not row or not all(map(self.outside.is_constant, row)):
                return None
            return np.array([self.outside.value(v) for v in row], entry.dtype)
        if not isinstance(equation.primitive, str):
            return None
        operands = []
        for operand in equation.operands:
            values = self._by_step(operand, depth + 1)
            if values is None:
                return None
            operands.append(values)
        with np.errstate(all="ignore"):
            return np.asarray(PRIMITIVES[equation.primitive].numpy(*operands), equation.dtype)


def _copy(b: Builder, other: Builder, variable: int) -> int:
    """Write a constant of one Builder into another; return its variable there."""
    dtype = b.dtype(variable)
    if b.is_structural_zero(variable):
        return other.structural_zero(dtype)
    return other.constant(b.value(variable), dtype)
