"""Know which variables are in memory, and write moves between its places, and lookups in it.

Variables of a Program enter, lines of a function's body leave.

Knows nothing of how loops are written.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from gradsweep.engines.fused.lowering.arithmetic.libm import Callee
from gradsweep.engines.fused.lowering.equations import BLOCK_EQUATIONS, EquationWriter
from gradsweep.engines.fused.lowering.text import KEPT, STORED, Array, Move, Place, Word, stored

__all__ = ["MemoryWriter", "Row"]

Find = Callable[[int], Place | Word | Array | None]


@dataclass(frozen=True)
class Row:
    """Where a loop reads a row, `step` by `step`.

    Attributes:
        first: a place, a word, the word of an array, or the name of an array of constants.
    """

    dtype: str
    first: Place | Word | Array | str
    step: int


class MemoryWriter(EquationWriter):
    """Writes equations, and moves of what is in memory."""

    _n_put = 0

    @cached_property
    def _placed(self) -> dict[int, Place]:
        """The place of each variable that was put into memory, or left there by a loop."""
        return {}

    @cached_property
    def _arrays(self) -> dict[tuple[int, ...], str]:
        """The names of arrays of constants, by their variables."""
        return {}

    # -- methods to override

    def place(self, variable: int) -> Place | None:
        """Return the place of a variable that is in memory, or None."""
        return self._placed.get(variable)

    def word(self, variable: int) -> Word | None:
        """Return the word that holds a variable which is the same in every lane, or None."""
        return None

    def array(self, variable: int) -> Array | None:
        """Return the word with the address of a variable's values, one for each lane, or None."""
        return None

    # -- moves

    def row(self, variables: Sequence[int], first: int, as_vectors: bool) -> Row:
        """Return where a loop reads a row, and write it there if it is not in memory yet.

        Args:
            first: the first place that it may be written to.
            as_vectors: whether it must be in places, also where it is the same in every lane.
        """
        dtype = self.program.dtype(variables[0])
        found = self._in_order(variables, (self.place,) if as_vectors else (self.place, self.word))
        if found is not None:
            return found
        start = Place(KEPT, first)
        self.put([(start.after(i), variable) for i, variable in enumerate(variables)])
        return Row(dtype, start, 1)

    def _in_order(self, variables: Sequence[int], finds: Sequence[Find]) -> Row | None:
        """Return where variables are in memory by equal steps; constants are put there."""
        dtype = self.program.dtype(variables[0])
        name = self._array_of(tuple(variables))
        if name is not None:
            return Row(dtype, name, 1)
        for find in finds:
            where = [find(variable) for variable in variables]
            begun, second = where[0], where[min(1, len(where) - 1)]
            if begun is not None and second is not None:
                step = second.number - begun.number
                if where == [begun.after(i * step) for i in range(len(where))]:
                    return Row(dtype, begun, step)
        return None

    def _array_of(self, variables: tuple[int, ...]) -> str | None:
        """Return the name of an array of constants, which is written once; None for others."""
        if variables in self._arrays:
            return self._arrays[variables]
        constants = [c for c in map(self.program.constant, variables) if c is not None]
        if len(constants) < len(variables):
            return None
        values = ", ".join(map(stored, constants))
        content = f"[{len(constants)} x {STORED[constants[0].dtype]}] [{values}]"
        name = f"constants.{hashlib.sha256(content.encode()).hexdigest()[:16]}"
        array = f"@{name} = internal constant {content}"
        self.text.callees[name] = Callee(name, {name: array}, {})
        self._arrays[variables] = f"@{name}"
        return self._arrays[variables]

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

    # -- lookups

    def look_up(self, name: str, operands: tuple[int, ...], dtype: str) -> None:
        """Write a lookup: a load for each lane where the table is in memory, else a choice."""
        place, *entries = operands
        row = self._in_order(entries, (self.place, self.word, self.array))
        t, s = self.text.type("int64"), self.text.suffix("int64")
        nearest, last = f"{name}.near", f"splat (i64 {len(entries) - 1})"
        self.lines += [
            f"{name}.low = call {t} @llvm.smax.{s}({t} {self.value(place)}, {t} zeroinitializer)",
            f"{nearest} = call {t} @llvm.smin.{s}({t} {name}.low, {t} {last})",
        ]
        if row is not None:
            self.text.gather(name, self._addresses(name, row, nearest), dtype)
            return
        found = self.value(entries[-1])
        for number in reversed(range(len(entries) - 1)):
            entry = self.value(entries[number])
            chosen = f"{name}.c{number}" if number else name
            arms = ", ".join(f"{self.text.type(dtype)} {arm}" for arm in (entry, found))
            self.lines += [
                f"{name}.h{number} = icmp sle {t} {nearest}, splat (i64 {number})",
                f"{chosen} = select {self.text.type('bool')} {name}.h{number}, {arms}",
            ]
            found = chosen
            if number and number % BLOCK_EQUATIONS == 0:
                self.text.split_block(f"{name[1:]}.part{number}")

    def _addresses(self, name: str, row: Row, nearest: str) -> list[str]:
        """Return the address of each lane's entry."""
        first, t, lanes = row.first, self.text.type("int64"), self.text.lanes
        scale, begin = (1, 0) if isinstance(first, str) else (row.step, first.number)
        if isinstance(first, Place):
            scale, begin = scale * lanes, begin * lanes
        self.lines += [
            f"{name}.far = mul {t} {nearest}, splat (i64 {scale})",
            f"{name}.from = add {t} {name}.far, splat (i64 {begin})",
        ]
        found = []
        for lane in range(lanes):
            of_lane = f"{name}.{lane}"
            self.lines.append(f"{of_lane}.o = extractelement {t} {name}.from, i32 {lane}")
            found.append(self._address_in(of_lane, row, lane))
        return found

    def _address_in(self, name: str, row: Row, lane: int) -> str:
        """Return the address of an entry whose offset is known as `name`.o."""
        element, offset = STORED[row.dtype], f"i64 {name}.o"
        match row.first:
            case Place(base, _):
                self.lines += [
                    f"{name}.v = getelementptr i64, ptr {base}, {offset}",
                    f"{name}.a = getelementptr {element}, ptr {name}.v, i64 {lane}",
                ]
            case Word():
                self.lines.append(f"{name}.a = getelementptr i64, ptr %table, {offset}")
            case Array():
                self.lines.append(f"{name}.w = getelementptr i64, ptr %table, {offset}")
                address = self.text.along(name, f"{name}.w", row.dtype)
                self.lines.append(f"{name}.a = getelementptr {element}, ptr {address}, i64 {lane}")
            case str(array):
                self.lines.append(f"{name}.a = getelementptr {element}, ptr {array}, {offset}")
        return f"{name}.a"
