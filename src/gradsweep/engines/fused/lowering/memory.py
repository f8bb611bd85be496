"""Know which variables are in memory, and write moves between its places.

Variables of a Program enter, lines of a function's body leave.

Knows nothing of how loops are written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from gradsweep.engines.fused.lowering.arithmetic.libm import Callee
from gradsweep.engines.fused.lowering.equations import BLOCK_EQUATIONS, EquationWriter
from gradsweep.engines.fused.lowering.text import KEPT, STORED, Move, Place, Word, stored

__all__ = ["MemoryWriter", "Row"]


@dataclass(frozen=True)
class Row:
    """Where a loop reads a row, `step` by `step`.

    Attributes:
        first: a place, a word, or the name of an array of constants.
    """

    dtype: str
    first: Place | Word | str
    step: int


class MemoryWriter(EquationWriter):
    """Writes equations, and moves of what is in memory."""

    _n_put = 0

    @cached_property
    def _placed(self) -> dict[int, Place]:
        """The place of each variable that was put into memory, or left there by a loop."""
        return {}

    # -- methods to override

    def place(self, variable: int) -> Place | None:
        """Return the place of a variable that is in memory, or None."""
        return self._placed.get(variable)

    def word(self, variable: int) -> Word | None:
        """Return the word that holds a variable which is the same in every lane, or None."""
        return None

    # -- moves

    def row(self, variables: Sequence[int], first: int, as_vectors: bool) -> Row:
        """Return where a loop reads a row, and write it there if it is not in memory yet.

        Args:
            first: the first place that it may be written to.
            as_vectors: whether it must be in places, also where it is the same in every lane.
        """
        dtype = self.program.dtype(variables[0])
        constants = [self.program.constant(variable) for variable in variables]
        if all(constants):
            name = f"constants{len(self.text.callees)}"
            values = ", ".join(stored(c) for c in constants if c)
            array = f"@{name} = internal constant [{len(variables)} x {STORED[dtype]}] [{values}]"
            self.text.callees[name] = Callee(name, {name: array}, {})
            return Row(dtype, f"@{name}", 1)
        for find in (self.place,) if as_vectors else (self.place, self.word):
            where = [find(variable) for variable in variables]
            begun, second = where[0], where[min(1, len(where) - 1)]
            if begun is not None and second is not None:
                step = second.number - begun.number
                if where == [begun.after(i * step) for i in range(len(where))]:
                    return Row(dtype, begun, step)
        start = Place(KEPT, first)
        self.put([(start.after(i), variable) for i, variable in enumerate(variables)])
        return Row(dtype, start, 1)

    def put(self, variables: Sequence[tuple[Place, int]]) -> None:
        """Write variables to places."""
        moves = []
        for target, variable in variables:
            source = self.place(variable) or self.word(variable)
            dtype = self.program.dtype(variable)
            if source is not None:
                moves.append(Move(target, source, dtype))
                continue
            self._n_put += 1
            name = f"{self.prefix}put{self._n_put}"
            if self._n_put % BLOCK_EQUATIONS == 0:
                self.text.split_block(name[1:])
            self.text.store(name, self.text.place(name, target), dtype, self.value(variable))
        self.text.move(moves)
