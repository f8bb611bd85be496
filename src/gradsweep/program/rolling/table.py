"""The equations of a Program as arrays, in which repetitions are sought.

A Program enters, a Table leaves.
Never sees which equations repeat.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from gradsweep.program.program import Loop, LoopResult, Program

__all__ = ["Table", "tabulate"]


@dataclass(frozen=True, eq=False)
class Table:
    """The equations of a Program, which keep the numbers of their variables.

    Attributes:
        n_inputs: how many variables are inputs; constants follow.
        first: the variable of the first equation.
        tokens: for each equation a number, equal where equations differ only in the variables
            that they read.
        marks: for each equation a number, equal where equations depend on the same.
        operands: what all equations read, one after another; the first result of a Loop reads for
            all of them.
        offsets: where the operands of each equation begin, and where those of the last end.
        is_product: whether an equation is a product.
        ahead: how far ahead of each equation the first result of the same Loop is.
        row, step: the number of the row that each equation is in, or -1, and its place there. They
            are filled in as steps are found, which leave rows.
    """

    n_inputs: int
    first: int
    tokens: np.ndarray
    marks: np.ndarray
    operands: np.ndarray
    offsets: np.ndarray
    is_product: np.ndarray
    ahead: np.ndarray
    row: np.ndarray
    step: np.ndarray

    def read(self, start: int, end: int) -> np.ndarray:
        """Return the variables that the equations from `start` to `end` read."""
        return self.operands[self.offsets[start] : self.offsets[end]]

    def places_in_rows(self, variables: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the row of each variable, or -1, and its place there."""
        place = np.maximum(variables - self.first, 0)
        return np.where(variables < self.first, -1, self.row[place]), self.step[place]

    def readers(self, start: int, end: int) -> np.ndarray:
        """Return the equation that reads each of these variables."""
        return np.repeat(np.arange(start, end), np.diff(self.offsets[start : end + 1]))


def tabulate(program: Program, depends: Sequence[Hashable]) -> Table:
    """Write the equations of a Program as arrays.

    Args:
        depends: what each variable depends on.
    """
    dtypes = [program.dtype(variable) for variable in range(program.n_leading)]
    dtypes += [equation.dtype for equation in program.equations]
    forms: dict[Hashable, int] = {}
    marks: dict[Hashable, int] = {}
    begun: dict[Loop, int] = {}
    rows: dict[Hashable, int] = {}
    read: list[int] = []
    n = len(program.equations)
    tokens, counts, ahead, row, step = np.zeros((5, n), dtype=np.int64)
    row[:] = -1
    for place, (primitive, operands, dtype) in enumerate(program.equations):
        form: Hashable
        if isinstance(primitive, LoopResult):
            loop, number = primitive
            ahead[place] = place - begun.setdefault(loop, place)
            same = loop.body.fingerprint, loop.n_steps, loop.n_given, loop.n_rows
            form = *same, number, int(ahead[place])
            operands = () if ahead[place] else operands
            if number >= loop.n_carries:
                row[place] = rows.setdefault((loop, loop.port(number)), len(rows))
                step[place] = (number - loop.n_carries) % loop.rows_length
        else:
            # Three operands are the most, and then the last two have the same dtype.
            form = primitive, dtype, len(operands), dtypes[operands[0]], dtypes[operands[-1]]
        tokens[place] = forms.setdefault(form, len(forms))
        read += operands
        counts[place] = len(operands)
    first = program.n_leading
    return Table(
        n_inputs=len(program.inputs),
        first=first,
        tokens=tokens,
        marks=np.array([marks.setdefault(d, len(marks)) for d in depends[first:]], dtype=np.int64),
        operands=np.array(read, dtype=np.int64),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        is_product=np.array([equation.primitive == "mul" for equation in program.equations]),
        ahead=ahead,
        row=row,
        step=step,
    )
