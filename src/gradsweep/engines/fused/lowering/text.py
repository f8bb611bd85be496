"""The body of a function in LLVM IR, line by line: types, constants, loads and stores.

Every value is a vector with a lane for each point. `%kept` is memory of the thread's own, in places
of one vector each; `%table` has a word for each array or number that a nest reads or writes.

Knows nothing of equations.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from gradsweep.engines.fused.lowering.arithmetic.libm import Callee
from gradsweep.engines.fused.lowering.arithmetic.vectors import (
    SCALAR,
    Body,
    Vectors,
    hexadecimal,
)
from gradsweep.engines.fused.target import Isa
from gradsweep.program.program import Constant

__all__ = [
    "KEPT",
    "STORED",
    "Array",
    "Move",
    "Place",
    "Text",
    "Word",
    "literal",
    "stored",
]

# How LLVM spells a dtype as an element in memory.
STORED = {**SCALAR, "bool": "i8"}
# The address of the memory of a thread's own.
KEPT = "%kept"
_ALIGNMENT = {"float64": 8, "float32": 4, "int64": 8, "bool": 1}

# Shorter copies are written one by one.
_LEAST_REPEATED = 8


class Place(NamedTuple):
    """A vector in memory: so many vectors from an address on."""

    base: str
    number: int

    def after(self, n: int) -> "Place":
        return Place(self.base, self.number + n)


class Word(NamedTuple):
    """A word of the table: a number that is the same in every lane, or the address of an array."""

    number: int

    def after(self, n: int) -> "Word":
        return Word(self.number + n)


class Array(NamedTuple):
    """A word of the table: the address of an array with a number for each point."""

    number: int

    def after(self, n: int) -> "Array":
        return Array(self.number + n)


class Move(NamedTuple):
    """A vector that is copied: to memory that is kept, or to an array; from there, or a number."""

    target: Place | Word
    source: Place | Word
    dtype: str

    def steps_to(self, other: "Move") -> tuple[int, int] | None:
        """Return how far another move is from here, in memory of the same kind; else None."""
        steps = []
        for here, there in zip(self[:2], other[:2]):
            if type(here) is not type(there) or here[:-1] != there[:-1]:
                return None
            steps.append(there.number - here.number)
        return (steps[0], steps[1]) if self.dtype == other.dtype else None


class Text(Body):
    """The body of a function, as it is written.

    Attributes:
        callees: the functions that are called, by name; each is added at its first call.
    """

    def __init__(self, lanes: int, isa: Isa, callees: dict[str, Callee]):
        super().__init__("body")
        self.lanes, self.isa, self.callees = lanes, isa, callees
        self._n_loops = self._n_moves = 0

    def type(self, dtype: str, spelling: Mapping[str, str] = SCALAR) -> str:
        return f"<{self.lanes} x {spelling[dtype]}>"

    def vectors(self, dtype: str) -> Vectors:
        return Vectors(self.lanes, dtype)

    def suffix(self, dtype: str) -> str:
        """Return the spelling of the type in the names of intrinsics."""
        return self.vectors(dtype).suffix

    def split_block(self, label: str) -> None:
        """Begin a new basic block, before the last becomes too long for LLVM.

        LLVM moves no load or store past its beginning: else it would compare each with every other.
        """
        self.next_block(label)
        self.lines.append('fence syncscope("singlethread") seq_cst')  # makes no instruction

    def begin_loop(self) -> str:
        """Return a name that no other loop of the function has."""
        self._n_loops += 1
        return f"loop{self._n_loops}"

    def place(self, name: str, place: Place) -> str:
        """Return the address of a vector that is kept."""
        offset = place.number * self.lanes
        self.lines.append(f"{name}.a = getelementptr i64, ptr {place.base}, i64 {offset}")
        return f"{name}.a"

    def place_at(self, name: str, first: Place, step: int, index: str) -> str:
        """Return the address of the vector that is `index` steps from the place `first`."""
        self.lines += [
            f"{name}.n = mul i64 {index}, {step * self.lanes}",
            f"{name}.o = add i64 {name}.n, {first.number * self.lanes}",
            f"{name}.a = getelementptr i64, ptr {first.base}, i64 {name}.o",
        ]
        return f"{name}.a"

    def repeat(self, n_times: int, write: Callable[[str], None]) -> None:
        """Write lines that run again and again.

        Args:
            write: writes the lines, in which an index counts from 0.
        """
        name, before = self.begin_loop(), self.block
        index = f"%{name}.i"
        self.next_block(f"{name}.step")
        self.lines.append(f"{index} = phi i64 [ 0, %{before} ], [ {index}.next, %{name}.step ]")
        write(index)
        self.lines += [
            f"{index}.next = add i64 {index}, 1",
            f"{index}.done = icmp eq i64 {index}.next, {n_times}",
            f"br i1 {index}.done, label %{name}.after, label %{name}.step",
        ]
        self.begin_block(f"{name}.after")

    def move(self, moves: Sequence[Move]) -> None:
        """Write copies of vectors; those that go on by equal steps are one loop."""
        first = 0
        while first < len(moves):
            begun, n = moves[first], 1
            steps = begun.steps_to(moves[first + 1]) if first + 1 < len(moves) else None
            while (
                steps is not None
                and first + n < len(moves)
                and moves[first + n - 1].steps_to(moves[first + n]) == steps
            ):
                n += 1
            if steps is not None and n >= _LEAST_REPEATED:
                self.repeat(n, partial(self._move, begun, steps))
            else:
                n = max(1, n - 1)  # the last may be the first of a loop
                for move in moves[first : first + n]:
                    self._move(move, (0, 0), "0")
            first += n

    def _move(self, move: Move, steps: tuple[int, int], index: str) -> None:
        self._n_moves += 1
        name, (target, source, dtype) = f"%moved{self._n_moves}", move
        load = self.load if isinstance(source, Place) else self.load_same
        value = load(name, self._at(f"{name}.from", source, steps[1], index), dtype)
        address = self._at(f"{name}.to", target, steps[0], index)
        if isinstance(target, Word):
            address = self.along(name, address, dtype)
        self.store(name, address, dtype, value)

    def _at(self, name: str, first: Place | Word, step: int, index: str) -> str:
        if isinstance(first, Place):
            return self.place_at(name, first, step, index)
        return self.word_at(name, first, step, index)

    def word_at(self, name: str, first: Word, step: int, index: str) -> str:
        """Return the address of the word of the table that is `index` steps from `first`."""
        self.lines += [
            f"{name}.n = mul i64 {index}, {step}",
            f"{name}.o = add i64 {name}.n, {first.number}",
            f"{name}.a = getelementptr i64, ptr %table, i64 {name}.o",
        ]
        return f"{name}.a"

    def along(self, name: str, word: str, dtype: str) -> str:
        """Return the address of this vector of an array, whose own is a word of the table."""
        self.lines += [
            f"{name}.p = load ptr, ptr {word}",
            f"{name}.e = getelementptr {STORED[dtype]}, ptr {name}.p, i64 %i",
        ]
        return f"{name}.e"

    def load(self, name: str, address: str, dtype: str) -> str:
        """Load a vector."""
        return self._load(name, address, dtype, self.type(dtype, STORED))

    def load_same(self, name: str, address: str, dtype: str) -> str:
        """Load a number that is the same in every lane."""
        return self.splat(self._load(name, address, dtype, STORED[dtype]), dtype)

    def _load(self, name: str, address: str, dtype: str, t: str) -> str:
        read = f"{name}.m" if dtype == "bool" else name
        self.lines.append(f"{read} = load {t}, ptr {address}, align {_ALIGNMENT[dtype]}")
        if dtype == "bool":
            self.lines.append(f"{name} = icmp ne {t} {read}, zeroinitializer")
        return name

    def gather(self, name: str, addresses: Sequence[str], dtype: str) -> None:
        """Load a vector whose lanes are anywhere in memory."""
        t, element = self.type(dtype, STORED), STORED[dtype]
        read = f"{name}.m" if dtype == "bool" else name
        vector, last = "poison", self.lanes - 1
        for lane, address in enumerate(addresses):
            loaded = f"{name}.e{lane}"
            joined = read if lane == last else f"{name}.j{lane}"
            self.lines += [
                f"{loaded} = load {element}, ptr {address}, align {_ALIGNMENT[dtype]}",
                f"{joined} = insertelement {t} {vector}, {element} {loaded}, i32 {lane}",
            ]
            vector = joined
        if dtype == "bool":
            self.lines.append(f"{name} = icmp ne {t} {read}, zeroinitializer")

    def splat(self, name: str, dtype: str) -> str:
        t, places = self.type(dtype), f"<{self.lanes} x i32>"
        self.lines += [
            f"{name}.h = insertelement {t} poison, {SCALAR[dtype]} {name}, i32 0",
            f"{name}.s = shufflevector {t} {name}.h, {t} poison, {places} zeroinitializer",
        ]
        return f"{name}.s"

    def store(self, name: str, address: str, dtype: str, value: str) -> None:
        t = self.type(dtype, STORED)
        if dtype == "bool":
            self.lines.append(f"{name}.b = zext {self.type(dtype)} {value} to {t}")
            value = f"{name}.b"
        self.lines.append(f"store {t} {value}, ptr {address}, align {_ALIGNMENT[dtype]}")


def literal(constant: Constant) -> str:
    """Write a constant as a vector."""
    return f"splat ({SCALAR[constant.dtype]} {_number(constant, SCALAR)})"


def stored(constant: Constant) -> str:
    """Write a constant as one number in memory."""
    return f"{STORED[constant.dtype]} {_number(constant, STORED)}"


def _number(constant: Constant, spelling: Mapping[str, str]) -> str:
    value, dtype = constant
    if dtype == "bool":
        return str(int(value)) if spelling is STORED else str(bool(value)).lower()
    if dtype == "int64":
        return str(value)
    return hexadecimal(value)
