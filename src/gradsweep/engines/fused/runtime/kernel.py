"""The kernel of the fused engine: machine code bound to arrays, and run over their points.

A Job enters; leaves and arrays enter at each call, and the arrays are filled. The lengths of the
axes decide the order of the loops, and code is compiled when an order first occurs.
"""

import ctypes
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from gradsweep.engines.fused.lowering.codegen import nest_name, write_module
from gradsweep.engines.fused.lowering.schedule import Schedule, make_schedule
from gradsweep.engines.fused.runtime.frame import Frames, Strides, make_frames
from gradsweep.engines.fused.runtime.loops import runtime
from gradsweep.engines.fused.runtime.pool import available_threads
from gradsweep.engines.fused.runtime.team import TEAM, Share
from gradsweep.engines.fused.target import Isa, MachineCode, compile_ir
from gradsweep.engines.job import Job, Leaves
from gradsweep.support.addresses import address_of
from gradsweep.support.cache import Cache
from gradsweep.support.locks import give_locks

__all__ = ["COMPILED", "Bound", "Compiled", "FusedKernel"]

# The innermost loop is over the axis that is innermost in memory, unless that holds fewer vectors
# than the first of these, and another axis is at least the second of these times longer.
_SHORT_VECTORS = 4
_MUCH_LONGER = 4

# How many layouts are kept: calls that alternate between a few shapes find theirs again.
_LAYOUTS_KEPT = 4

# A word for the next block, on a cache line of its own.
_COUNTER_WORDS = 16


@dataclass(frozen=True, eq=False)
class Compiled:
    """A Schedule and the machine code of its nests."""

    schedule: Schedule
    code: MachineCode
    functions: tuple[int, ...]


COMPILED: Cache[Compiled] = Cache(size=256)


@dataclass(frozen=True)
class _Place:
    """The place of a slot's values: the array, the offset in it in bytes, and the strides."""

    array: int
    offset: int
    strides: Strides


class Bound:
    """A kernel bound to arrays. Calling it computes every result from their present values.

    Work that is small enough for the calling thread is a single call into machine code.
    """

    def __init__(
        self, compiled: Compiled, frames: Frames, places: Mapping[int, _Place], n_arrays: int
    ):
        self._compiled = compiled  # its code must live as long as this can be called
        self._frames = frames
        found = [places[slot] for slot in frames.slots.tolist()]
        self._sources = np.array([place.array for place in found], dtype=np.int64)
        self._offsets = np.array([place.offset for place in found], dtype=np.int64)
        self._counter = np.zeros(_COUNTER_WORDS, dtype=np.int64)
        self._counter_address = self._counter.ctypes.data
        self._addresses = np.zeros(n_arrays, dtype=np.int64)
        self._arrays: Mapping[int, np.ndarray] = {}
        self._first = frames.phases[0].word if frames.phases else 0
        self._run, self._run_all = _entry_points()
        self._frame = frames.words.ctypes.data
        self._n_phases = len(frames.phases)
        self._is_serial = frames.is_serial

    def point_at(self, arrays: Mapping[int, np.ndarray]) -> None:
        """Read and write other arrays, of the same shapes and strides.

        Args:
            arrays: by number: first those that are read, in the order of `reads`, then the
                results. An array that is left out stays the same.
        """
        for number, array in arrays.items():
            self._addresses[number] = address_of(array)
        self._frames.words[:, self._frames.cells] = self._addresses[self._sources] + self._offsets
        self._arrays = arrays

    def release(self) -> None:
        """Let go of the arrays."""
        self._arrays = {}

    def __call__(self) -> None:
        if self._is_serial:
            self._run_all(self._frame, self._first, self._n_phases)
            return
        for phase in self._frames.phases:
            self._counter[0] = 0
            n_threads = min(len(self._frames.words), phase.n_blocks) if phase.is_parallel else 1
            self._run_phase(phase.word, phase.budget, phase.n_blocks, n_threads)

    def _run_phase(self, word: int, budget: int, n_blocks: int, n_threads: int) -> None:
        counter = self._counter_address
        if n_threads <= 1:
            while self._run(self._frame, word, counter, budget):
                pass
            return
        pitch = self._frames.words.strides[0]

        def work(thread: int) -> None:
            frame = self._frame + thread * pitch
            # Between the calls Python looks for signals, such as Ctrl-C.
            while self._run(frame, word, counter, budget):
                pass

        def stop() -> None:
            self._counter[0] = n_blocks

        TEAM.run(Share(work, stop, self._frame, pitch, word, counter), n_threads)


class FusedKernel:
    """Fills arrays with the results of a Job, for any lengths of its axes.

    Attributes:
        compile_seconds: how long compiling has taken so far.
    """

    _lock: threading.Lock
    _compiling: threading.Lock

    def __init__(self, job: Job, lanes: int, isa: Isa, threads: int | None):
        program = job.traced.program
        assert program is not None
        self.job, self.program = job, program
        self.lanes, self.isa, self.threads = lanes, isa, threads
        self.compile_seconds = 0.0
        self._compiled: dict[tuple[str, ...], Compiled] = {}
        self._idle: OrderedDict[Hashable, Bound] = OrderedDict()
        give_locks(self, "_lock", "_compiling")
        self._read_dtypes = {entry.leaf: entry.dtype for entry in program.inputs}
        self._write_dtypes = [
            program.dtype(output.variables[0]) if output.variables else None
            for output in program.outputs
        ]

    @property
    def reads(self) -> tuple[str, ...]:
        """The keys of the leaves it reads, in the order in which `Bound.point_at` takes them."""
        return tuple(self._read_dtypes)

    def __call__(self, leaves: Leaves, arrays: Sequence[np.ndarray]) -> None:
        targets = [
            array if _is_plain(array, dtype) else np.empty(array.shape, dtype)
            for array, dtype in zip(arrays, self._write_dtypes)
        ]
        key, bound = self._take(leaves, targets)
        bound()  # after an interrupt it is not used again, since its frames are midway
        bound.release()
        self._keep(key, bound)
        for array, target in zip(arrays, targets):
            if array is not target:
                array[...] = target

    def bind(self, leaves: Leaves, arrays: Sequence[np.ndarray]) -> Bound:
        """Return the kernel bound to leaves and arrays, to be called again and again.

        They are read and written in place. A leaf that does not have the dtype of the Program's
        input is converted now, and the arrays must have the dtypes of its outputs.
        """
        return self._take(leaves, arrays)[1]

    def compile(self, lengths: Mapping[str, int]) -> Compiled:
        """Return the code for axes of these lengths, which decide the order of the loops."""
        axes = _loop_order(self.job.axes, lengths, self.lanes)
        with self._compiling:
            if axes not in self._compiled:
                started = time.perf_counter()
                along = [self.job.leaves[i.leaf].dims_of(i.element) for i in self.program.inputs]
                fingerprint = self.program.fingerprint
                key = (fingerprint, tuple(along), axes, self.job.dims, self.lanes, self.isa)
                self._compiled[axes] = COMPILED.get(key, lambda: self._make_code(axes))
                self.compile_seconds += time.perf_counter() - started
            return self._compiled[axes]

    def _make_code(self, axes: tuple[str, ...]) -> Compiled:
        schedule = make_schedule(self.job, axes)
        module = write_module(schedule, self.lanes, self.isa)
        code = compile_ir(module.ir, module.symbols.items())
        functions = tuple(code.address(nest_name(i)) for i in range(len(schedule.nests)))
        return Compiled(schedule, code, functions)

    def _take(self, leaves: Leaves, arrays: Sequence[np.ndarray]) -> tuple[Hashable, Bound]:
        """Return a layout for these shapes and strides, pointed at these arrays, and its key."""
        read = [
            (key, dims, values if _is_plain(values, dtype) else np.require(values, dtype, "A"))
            for key, dtype in self._read_dtypes.items()
            for dims, values in leaves[key].pieces
        ]
        everything = [values for _, _, values in read] + list(arrays)
        key = (
            tuple(dims for _, dims, _ in read),
            tuple((array.shape, array.strides) for array in everything),
            self.threads or available_threads(),
        )
        with self._lock:
            bound = self._idle.pop(key, None)
        if bound is None:
            bound = self._lay_out(leaves, read, arrays, key[-1])
        bound.point_at(dict(enumerate(everything)))
        return key, bound

    def _keep(self, key: Hashable, bound: Bound) -> None:
        with self._lock:
            self._idle[key] = bound
            if len(self._idle) > _LAYOUTS_KEPT:
                self._idle.popitem(last=False)

    def _lay_out(
        self,
        leaves: Leaves,
        read: Sequence[tuple[str, tuple[str, ...], np.ndarray]],
        arrays: Sequence[np.ndarray],
        n_threads: int,
    ) -> Bound:
        lengths = dict.fromkeys(self.job.axes, 1)  # for axes that nothing varies with
        for leaf in leaves.values():
            lengths |= leaf.sizes
        for dims, array in zip(self.job.dims, arrays):
            lengths |= dict(zip(dims, array.shape))
        compiled = self.compile(lengths)
        first: dict[str, int] = {}
        for number, (key, _, _) in enumerate(read):
            first.setdefault(key, number)
        places: dict[int, _Place] = {}
        for slot, (kind, variable, _, _, place) in enumerate(compiled.schedule.slots):
            if kind == "input":
                entry = self.program.inputs[variable]
                is_parts = bool(leaves[entry.leaf].parts)
                number = first[entry.leaf] + (entry.element if is_parts else 0)
                _, dims, values = read[number]
                places[slot] = _place(number, values, dims, 0 if is_parts else entry.element)
            elif kind == "output":
                output, entry_index = place
                array, dims = arrays[output], self.job.dims[output]
                places[slot] = _place(len(read) + output, array, dims, entry_index)
        strides = {slot: place.strides for slot, place in places.items()}
        frames = make_frames(
            compiled.schedule, compiled.functions, self.lanes, lengths, strides, n_threads
        )
        return Bound(compiled, frames, places, len(read) + len(arrays))


def _loop_order(axes: tuple[str, ...], lengths: Mapping[str, int], lanes: int) -> tuple[str, ...]:
    """Return the axes in the order of the loops, the innermost last."""
    if not axes:
        return axes
    longest = max(reversed(axes), key=lambda axis: lengths[axis])
    innermost = lengths[axes[-1]]
    if innermost >= _SHORT_VECTORS * lanes or lengths[longest] < _MUCH_LONGER * innermost:
        return axes
    return (*(axis for axis in axes if axis != longest), longest)


def _is_plain(array: np.ndarray, dtype: str | None) -> bool:
    """Tell whether machine code can read an array as it is."""
    # A slice of an array without axes is a NumPy scalar, which has no address of its own.
    return isinstance(array, np.ndarray) and (
        dtype is None or (array.dtype == dtype and array.flags.aligned)
    )


def _place(number: int, array: np.ndarray, dims: tuple[str, ...], entry: int) -> _Place:
    """Return the place of an entry of an array, whose own shape follows its `dims`."""
    own = array.shape[len(dims) :]
    index = np.unravel_index(entry, own) if own else ()
    offset = sum(int(i) * stride for i, stride in zip(index, array.strides[len(dims) :]))
    return _Place(number, offset, dict(zip(dims, array.strides)))


@cache
def _entry_points() -> tuple[Callable[..., int], Callable[..., None]]:
    code, word, pointer = runtime(), ctypes.c_int64, ctypes.c_void_p
    run = ctypes.CFUNCTYPE(word, pointer, word, pointer, word)(code.address("run"))
    run_all = ctypes.CFUNCTYPE(None, pointer, word, word)(code.address("run_all"))
    return run, run_all
