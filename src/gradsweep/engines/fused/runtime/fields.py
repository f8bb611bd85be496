"""The words of a frame by name, for `frame.py`, which writes them, and for the IR that reads them.

A frame is an array of 64-bit words:

    FrameHeader
    AxisRange       of each axis
    the table       that the function of a nest reads: a word for each of its operands
    phases          each a PhaseHeader, then the word of each of its nests
    nests           each a NestHeader, then the number of each outer axis, the index along each,
                    and the operands
    operands        each an OperandHeader, then the stride along each outer axis

To move a field, change its class alone; to add one, have frame.py write it as well. FRAME, RANGE,
PHASE, NEST and OPERAND have the position of each field: NEST.lanes is the word with a nest's lanes,
and len(NEST) counts the words.
"""

from enum import IntEnum
from typing import NamedTuple, TypeVar

__all__ = [
    "FRAME",
    "NEST",
    "OPERAND",
    "PHASE",
    "RANGE",
    "AxisRange",
    "FrameHeader",
    "Mode",
    "NestHeader",
    "OperandHeader",
    "PhaseHeader",
    "load",
    "store",
]

Header = TypeVar("Header", bound=NamedTuple)


def _numbered(header: type[Header]) -> Header:
    """Return a header that has the position of each field."""
    return header._make(range(len(header._fields)))


class FrameHeader(NamedTuple):
    """The beginning of a frame.

    Attributes:
        origin: where the block begins, along the axis that is cut into blocks.
    """

    origin: int


class AxisRange(NamedTuple):
    """The range of an axis in this block. It has 2 words, so that a shift finds it."""

    first: int
    end: int


class PhaseHeader(NamedTuple):
    """Nests that run block by block.

    Attributes:
        axis: the number of the axis that is cut into blocks.
        length: how many points it has.
        block: how many of them a block has.
    """

    axis: int
    length: int
    block: int
    n_blocks: int
    n_nests: int


class NestHeader(NamedTuple):
    """A function, and how to loop around it.

    Attributes:
        function: its address.
        vector_axis: the number of the vectorised axis.
        tile_length: how many points a tile holds; 0 where there are no tiles.
        lanes: how many points a vector holds.
        n_outer: how many axes there are besides the vectorised one.
        tile_memory: the address of the tiles.
        table_word: the word of the frame where the table begins.
    """

    function: int
    vector_axis: int
    tile_length: int
    lanes: int
    n_outer: int
    n_operands: int
    tile_memory: int
    table_word: int


class OperandHeader(NamedTuple):
    """An array that a nest reads or writes.

    Attributes:
        n_bytes: the bytes of one element.
        address: the address of the first element.
        origin_stride: the stride along the axis that is cut into blocks, if the array begins with
            the block; 0 if it has the whole axis.
        stride: the stride along the vectorised axis.
        row: the address of the current row, which the loops write.
    """

    mode: int
    n_bytes: int
    address: int
    origin_stride: int
    stride: int
    row: int


class Mode(IntEnum):
    """How an operand reaches the function: by value, by address, or through a tile."""

    VALUE = 0
    STRAIGHT = 1
    READ_BY_TILES = 2
    WRITTEN_BY_TILES = 3


FRAME = _numbered(FrameHeader)
RANGE = _numbered(AxisRange)
PHASE = _numbered(PhaseHeader)
NEST = _numbered(NestHeader)
OPERAND = _numbered(OperandHeader)


def load(name: str, header: str, number: int, dtype: str = "i64") -> str:
    """Return the IR that reads a header's word and calls it `name`."""
    line, pointer = _point(name, header, number)
    return f"{line}{name} = load {dtype}, ptr {pointer}"


def store(name: str, header: str, number: int, value: str) -> str:
    """Return the IR that writes `value` into a header's word, which it calls `name`."""
    line, pointer = _point(name, header, number)
    return f"{line}store i64 {value}, ptr {pointer}"


def _point(name: str, header: str, number: int) -> tuple[str, str]:
    """Return the line of IR that points at a word, and the pointer; word 0 needs no line."""
    if number == 0:
        return "", header
    return f"{name}.p = getelementptr i64, ptr {header}, i64 {number}\n  ", f"{name}.p"
