"""Write the words that the runtime reads: phases, nests, operands, and the memory behind them.

fields.py says which word is which.

A Schedule, the lengths of the axes and the strides of every array enter; Frames leave, one for each
thread. Only addresses change from call to call.

Each nest runs in the phase of its longest axis, which is cut into blocks. A buffer between nests of
one phase then holds one block at a time, so it stays in the cache, and each thread has its own; a
buffer that a later phase reads holds everything.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gradsweep.engines.fused.lowering.schedule import Nest, Schedule
from gradsweep.engines.fused.runtime.fields import (
    NEST,
    OPERAND,
    AxisRange,
    FrameHeader,
    Mode,
    NestHeader,
    OperandHeader,
    PhaseHeader,
)

__all__ = ["Frames", "Phase", "Strides", "make_frames", "project_buffer_bytes"]

# The stride of an array along each of its axes, in bytes.
Strides = Mapping[str, int]

# In flops of the primitive table, of which a thread does some 20 in a nanosecond: the work that is
# worth calling another thread for, which takes 40 microseconds when it sleeps and one when it is
# looking for work; and the least and the most work of a block.
_WORK_FOR_THREADS = 2**20
_BLOCK_WORK = (2**16, 2**20)
# The work between two checks whether the user wants to stop.
_WORK_UNINTERRUPTED = 2**26

# The buffers of a block, and tiles, stay in a core's own cache.
_BLOCK_BYTES = 2**18

# Where the vectorised axis itself is cut, a block has at least this many of its points.
_LEAST_ROW = 512
_TILE_BYTES = 2**15
_TILE_POINTS = 256
# Blocks begin on cache lines, so that no two threads write to one.
_BLOCK_MULTIPLE = 64

_PADDING_WORDS = 16


@dataclass(frozen=True)
class Phase:
    """Nests that run block by block along one axis.

    Attributes:
        word: the word of the frames where it begins.
        n_blocks: how many blocks there are.
        budget: how many blocks run between two checks for interrupts.
        is_parallel: whether it is worth waking threads for.
    """

    word: int
    n_blocks: int
    budget: int
    is_parallel: bool


@dataclass(frozen=True, eq=False)
class Frames:
    """The words for each thread, and the phases that they describe.

    Attributes:
        words: a row for each thread.
        cells, slots: the words that hold the address of a slot, and the slot of each.
        memory: the buffers and tiles that the words point into.
    """

    words: np.ndarray
    cells: np.ndarray
    slots: np.ndarray
    phases: tuple[Phase, ...]
    memory: tuple[np.ndarray, ...]

    @cached_property
    def is_serial(self) -> bool:
        """Whether one uninterrupted call on one thread is best."""
        return not any(p.is_parallel or p.n_blocks > p.budget for p in self.phases)


@dataclass(frozen=True)
class _Cut:
    """How one axis is cut into blocks, and the nests that run on them."""

    axis: str
    length: int
    block: int
    n_blocks: int
    nests: tuple[int, ...]
    work: int

    @property
    def longest(self) -> int:
        """The length of the last block, which takes in the remainder."""
        return self.length - (self.n_blocks - 1) * self.block if self.n_blocks else 0


# Nests without axes run along this one, which has a single point.
_POINT = ""

# Memory that belongs to no slot, under numbers below zero.
_TILES, _KEPT = -1, -2


def make_frames(
    schedule: Schedule,
    functions: Sequence[int],
    lanes: int,
    lengths: Mapping[str, int],
    strides: Mapping[int, Strides],
    n_threads: int,
) -> Frames:
    """Lay out the frames.

    Args:
        functions: the address of each nest's function.
        lanes: how many points a vector holds.
        strides: the strides of each slot that is an input or an output, by number.
    """
    lengths = {**lengths, _POINT: 1}
    cuts = _cut(schedule, lanes, lengths, n_threads)
    buffers = _lay_out_buffers(schedule, lanes, lengths, cuts)
    words = _Words(schedule, lanes, lengths, {**strides, **buffers.strides})
    phases = []
    for cut in cuts:
        per_block = max(1, cut.work // max(1, cut.n_blocks))
        phases.append(
            Phase(
                word=len(words.words),
                n_blocks=cut.n_blocks,
                budget=max(1, _WORK_UNINTERRUPTED // per_block),
                is_parallel=cut.n_blocks > 1 and cut.work >= _WORK_FOR_THREADS,
            )
        )
        words.add_phase(cut)
    for cut in cuts:
        for number in cut.nests:
            words.add_nest(number, functions[number], cut.axis, buffers.private)

    n_frames = n_threads if any(phase.is_parallel for phase in phases) else 1
    frames = np.zeros((n_frames, len(words.words) + _PADDING_WORDS), dtype=np.int64)
    frames[:, : len(words.words)] = words.words
    cells = np.array(words.cells, dtype=np.int64).reshape(-1, 2)
    private = {**buffers.private, _TILES: words.tile_bytes, _KEPT: words.kept_bytes}
    addresses = np.zeros((n_frames, len(schedule.slots) + 2), dtype=np.int64)
    memory = []
    for rows, sizes in ([slice(None)], buffers.shared), (range(n_frames), private):
        for row in rows:
            for key, n_bytes in sizes.items():
                memory.append(np.empty(n_bytes, dtype=np.uint8))
                addresses[row, key] = memory[-1].ctypes.data
    frames[:, cells[:, 0]] = addresses[:, cells[:, 1]]
    moving = cells[np.isin(cells[:, 1], list(strides))]
    return Frames(frames, moving[:, 0], moving[:, 1], tuple(phases), tuple(memory))


def project_buffer_bytes(
    schedule: Schedule, lanes: int, lengths: Mapping[str, int], n_threads: int
) -> int:
    """Return the bytes of all buffers and kept vectors, for all threads."""
    lengths = {**lengths, _POINT: 1}
    cuts = _cut(schedule, lanes, lengths, n_threads)
    buffers = _lay_out_buffers(schedule, lanes, lengths, cuts)
    kept = max((8 * lanes * nest.n_places for nest in schedule.nests), default=0)
    return sum(buffers.shared.values()) + n_threads * (sum(buffers.private.values()) + kept)


class _Words:
    """The words of a frame, as they are written.

    Attributes:
        cells: each word that holds an address, with its slot or other memory.
        tile_bytes: the most that the tiles of a nest take.
        kept_bytes: the most that the kept vectors of a nest take.
    """

    def __init__(
        self,
        schedule: Schedule,
        lanes: int,
        lengths: Mapping[str, int],
        strides: Mapping[int, Strides],
    ):
        self.schedule, self.lanes, self.lengths, self.strides = schedule, lanes, lengths, strides
        self.axes = {axis: number for number, axis in enumerate((*schedule.axes, _POINT))}
        self.words = [*FrameHeader(origin=0)]
        for axis in self.axes:
            self.words += AxisRange(first=0, end=lengths[axis])
        self.cells: list[tuple[int, int]] = []
        self.tile_bytes = self.kept_bytes = 1
        self._table_word = len(self.words)
        # One more than the slots, for the kept vectors.
        self.words += [0] * (
            1 + max((len(n.reads) + len(n.writes) for n in schedule.nests), default=0)
        )
        self._nest_cells: dict[int, int] = {}

    def add_phase(self, cut: _Cut) -> None:
        self.words += PhaseHeader(
            axis=self.axes[cut.axis],
            length=cut.length,
            block=cut.block,
            n_blocks=cut.n_blocks,
            n_nests=len(cut.nests),
        )
        for number in cut.nests:
            self._nest_cells[number] = len(self.words)
            self.words.append(0)

    def add_nest(
        self, number: int, function: int, block_axis: str, private: Collection[int]
    ) -> None:
        nest = self.schedule.nests[number]
        self.words[self._nest_cells[number]] = len(self.words)
        *outer, vector_axis = nest.axes or (_POINT,)
        operands = [
            (slot, *self._operand(slot, nest, is_read, block_axis if slot in private else None))
            for is_read, slots in ((True, nest.reads), (False, nest.writes))
            for slot in slots
        ]
        if nest.n_places:
            bytes_kept = 8 * self.lanes * nest.n_places
            self.kept_bytes = max(self.kept_bytes, bytes_kept)
            kept = OperandHeader(
                mode=Mode.STRAIGHT, n_bytes=8, address=0, origin_stride=0, stride=0, row=0
            )
            operands.append((_KEPT, kept, [0] * len(outer)))
        n_tiled = sum(header.mode >= Mode.READ_BY_TILES for _, header, _ in operands)
        is_short = self.lengths[vector_axis] < self.lanes
        tile = _tile_points(n_tiled, self.lanes) if n_tiled or is_short else 0
        self.tile_bytes = max(self.tile_bytes, 8 * tile * n_tiled)
        self.cells.append((len(self.words) + NEST.tile_memory, _TILES))
        self.words += NestHeader(
            function=function,
            vector_axis=self.axes[vector_axis],
            tile_length=tile,
            lanes=self.lanes,
            n_outer=len(outer),
            n_operands=len(operands),
            tile_memory=0,
            table_word=self._table_word,
        )
        self.words += [self.axes[axis] for axis in outer] + [0] * len(outer)
        for slot, header, outer_strides in operands:
            self.cells.append((len(self.words) + OPERAND.address, slot))
            self.words += [*header, *outer_strides]

    def _operand(
        self, number: int, nest: Nest, is_read: bool, block_axis: str | None
    ) -> tuple[OperandHeader, list[int]]:
        """Return the header of a slot, and its strides along the outer axes."""
        slot, strides = self.schedule.slots[number], self.strides[number]
        n_bytes = np.dtype(slot.dtype).itemsize
        *outer, vector_axis = nest.axes or (_POINT,)
        stride = strides.get(vector_axis, 0)
        if is_read and not nest.varies(slot):
            mode = Mode.VALUE
        elif slot.kind == "buffer" or (
            stride == n_bytes and self.lengths[vector_axis] >= self.lanes
        ):
            mode = Mode.STRAIGHT
        else:
            mode = Mode.READ_BY_TILES if is_read else Mode.WRITTEN_BY_TILES
        header = OperandHeader(
            mode=mode,
            n_bytes=n_bytes,
            address=0,
            # A private buffer begins where the block does.
            origin_stride=0 if block_axis is None else strides.get(block_axis, 0),
            stride=stride,
            row=0,
        )
        return header, [strides.get(axis, 0) for axis in outer]


def _tile_points(n_tiled: int, lanes: int) -> int:
    """Return how many points a tile holds."""
    points = min(_TILE_POINTS, _TILE_BYTES // (8 * max(1, n_tiled)))
    return max(points // lanes, 2) * lanes


def _cut(schedule: Schedule, lanes: int, lengths: Mapping[str, int], n_threads: int) -> list[_Cut]:
    """Assign each nest to the phase of its longest axis, and cut that axis into blocks."""
    rank = {_POINT: (0, 0)} | {a: (lengths[a], -i) for i, a in enumerate(schedule.axes, start=1)}
    groups: dict[str, list[int]] = {}
    for number, nest in enumerate(schedule.nests):
        groups.setdefault(max(nest.axes, key=rank.__getitem__, default=_POINT), []).append(number)
    cuts = []
    for axis in sorted(groups, key=rank.__getitem__):
        length = lengths[axis]
        nests = [schedule.nests[number] for number in groups[axis]]
        work = sum(n.flops * math.prod(lengths[a] for a in n.axes if a != axis) for n in nests)
        low, high = _BLOCK_WORK
        wanted = min(max(work * length // (16 * n_threads), low), high)
        block = -(-wanted // max(1, work))
        kept = sum(
            8 * math.prod(lengths[a] for a in schedule.slots[slot].axes if a != axis)
            for nest in nests
            for slot in nest.writes
            if schedule.slots[slot].kind == "buffer"
        )
        # Short rows are slow to walk, so rows are not cut short, whatever the work of a block.
        is_row = axis == schedule.axes[-1] if schedule.axes else False
        least = min(_LEAST_ROW, length // (2 * n_threads), 16 * _BLOCK_BYTES // max(1, kept))
        block = max(min(block, _BLOCK_BYTES // max(1, kept)), least if is_row else 0, lanes)
        if block > _BLOCK_MULTIPLE:
            block -= block % _BLOCK_MULTIPLE
        n_blocks = max(1, length // block) if length else 0
        cuts.append(_Cut(axis, length, block, n_blocks, tuple(groups[axis]), work * length))
    return cuts


@dataclass(frozen=True)
class _Buffers:
    """The bytes of buffers by slot, one for each thread or one for all, and their strides."""

    private: dict[int, int]
    shared: dict[int, int]
    strides: dict[int, Strides]


def _lay_out_buffers(
    schedule: Schedule, lanes: int, lengths: Mapping[str, int], cuts: Sequence[_Cut]
) -> _Buffers:
    used_in: dict[int, set[_Cut]] = {}
    for cut in cuts:
        for nest in (schedule.nests[number] for number in cut.nests):
            for number in (*nest.reads, *nest.writes):
                used_in.setdefault(number, set()).add(cut)
    buffers = _Buffers({}, {}, {})
    for number, slot in enumerate(schedule.slots):
        if slot.kind != "buffer":
            continue
        here, sizes = lengths, buffers.shared
        if len(used_in[number]) == 1:
            (cut,) = used_in[number]
            here, sizes = {**lengths, cut.axis: cut.longest}, buffers.private
        stride = np.dtype(slot.dtype).itemsize
        own: dict[str, int] = {}
        for axis in reversed(slot.axes or (_POINT,)):
            # A whole vector is written even where the innermost axis is shorter.
            length = here[axis] if own else max(here[axis], lanes)
            own[axis] = stride
            stride *= length
        buffers.strides[number] = own
        sizes[number] = max(stride, 1)
    return buffers
