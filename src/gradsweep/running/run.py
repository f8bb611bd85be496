"""Run a sweep part by part: compute, store and show the progress.

A plan for one part, a partition and a destination enter; a Dataset leaves. Knows neither what is
computed nor how a store keeps it.
"""

import math
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gradsweep.request.leaf import Leaf
from gradsweep.request.partition import Part, Partition, n_points
from gradsweep.results.layout import Layout, Store
from gradsweep.running.scheduler import Outcome, Portable, Scheduler
from gradsweep.running.threads import n_buffers
from gradsweep.support.errors import warn
from gradsweep.support.progress import Meter

if TYPE_CHECKING:
    import xarray

__all__ = ["Destination", "OnError", "PartResult", "PartWork", "holds_nan", "run", "run_parts"]

OnError = Literal["raise", "mask"]


@dataclass(frozen=True, eq=False)
class Destination:
    """Where the results of a sweep go, and how it is run.

    Attributes:
        store: what takes the results.
        scheduler: where parts are computed.
        progress: whether to show the progress; None to show it in a terminal, for longer runs.
        on_error: "raise" stops at the first point that cannot be computed; "mask" leaves NaN
            there and goes on.
        n_at_once: how many parts are computed at once.
        part_bytes: how large the results of a part may be: enough to amortise a task.
        keep_rows: whether parts are cut along the outer axes first, which is fastest to compute.
            Chunks of a store are easier to read when they have the same length along every axis.
        travels: whether parts are computed in other processes.
    """

    store: Store
    scheduler: Scheduler
    progress: bool | None = None
    on_error: OnError = "raise"
    n_at_once: int = 1
    part_bytes: int = 2**26
    keep_rows: bool = False
    travels: bool = False

    @property
    def copies(self) -> int:
        """How many parts' results are in memory at once."""
        return n_buffers(self.n_at_once)


@dataclass(frozen=True)
class PartResult:
    """One array of a part: the swept axes it varies with, its own shape, and its dtype."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str


class PartWork:
    """Computes parts of a sweep, from the leaves of the whole.

    Args:
        compute: fills the arrays of a part, and tells whether the function solves equations there.

    Attributes:
        n_at_once: how many parts may be computed at once, by threads of this process.
        portable: what is sent to another process to do the work there: this object, pickled,
            unless the work can be data.
    """

    def __init__(
        self,
        leaves: Mapping[str, Leaf],
        results: Sequence[PartResult],
        compute: Callable[[Mapping[str, Leaf], Part, Sequence[np.ndarray]], bool],
        on_error: OnError = "raise",
        n_at_once: int = 1,
    ):
        self._leaves, self._results, self._compute = leaves, results, compute
        self.on_error = on_error
        self.n_at_once = n_at_once
        self.portable: Portable = self
        # The slice of each leaf that was read last: parts have most of them in common.
        self._read: dict[str, tuple[list[slice], Leaf]] = {}

    def open(self) -> "PartWork":
        return self

    def allocate(self, part: Part, memory: list[np.ndarray]) -> list[np.ndarray]:
        lengths = part.lengths
        shapes = [(*r.shape, *(lengths[dim] for dim in r.dims)) for r in self._results]
        sizes = [math.prod(shape) for shape in shapes]
        if not memory:
            memory += [np.empty(n, r.dtype) for n, r in zip(sizes, self._results)]
        for number, n in enumerate(sizes):
            if memory[number].size < n:
                memory[number] = np.empty(n, memory[number].dtype)
        arrays = [whole[:n].reshape(shape) for whole, n, shape in zip(memory, sizes, shapes)]
        # In memory the swept axes come last, as a kernel writes them.
        return [
            np.moveaxis(array, range(len(r.shape)), range(-len(r.shape), 0)) if r.shape else array
            for array, r in zip(arrays, self._results)
        ]

    def compute(
        self,
        part: Part,
        arrays: Sequence[np.ndarray],
        pieces: int = 1,
        skip: Sequence[Part] = (),
    ) -> Outcome:
        """Fill a part's arrays, and tell what came of it.

        Args:
            pieces: how many pieces the part is cut into, to take less memory.
            skip: single points that are not computed.
        """
        if self.on_error == "mask":
            # A result with fewer axes is not lost with one point: any other point fills it.
            for array, result in zip(arrays, self._results):
                if len(result.dims) < len(part.slices):
                    _mask(array)
        found = (self._compute_piece(part, piece, arrays, skip) for piece in part.pieces(pieces))
        outcome = sum(found, Outcome())
        return replace(outcome, may_be_unsolved=outcome.solves and holds_nan(arrays))

    def _compute_piece(
        self, whole: Part, piece: Part, arrays: Sequence[np.ndarray], skip: Sequence[Part]
    ) -> Outcome:
        inside = [point for point in skip if piece.holds(point)]
        windows = self._windows(whole, piece, arrays)
        if not inside:
            leaves = {key: self._leaf(key, piece) for key in self._leaves}
            try:
                return Outcome(solves=self._compute(leaves, piece, windows))
            except Exception:
                if self.on_error == "raise":
                    raise
        if piece.n_points == 1:
            for window, result in zip(windows, self._results):
                if len(result.dims) == len(piece.slices):
                    _mask(window)
            return Outcome(n_masked=1)
        found = (self._compute_piece(whole, half, arrays, inside) for half in piece.halves())
        return sum(found, Outcome())

    def _leaf(self, key: str, piece: Part) -> Leaf:
        """Return the values of a leaf at a piece's points, in memory."""
        whole = self._leaves[key]
        slices = [piece.slices[dim] for dim in whole.dims]
        known = self._read.get(key)
        if known is None or known[0] != slices:
            known = self._read[key] = slices, whole.take(piece.slices).loaded()
        return known[1]

    def _windows(
        self, whole: Part, piece: Part, arrays: Sequence[np.ndarray]
    ) -> Sequence[np.ndarray]:
        if piece == whole:
            return arrays
        place = piece.within(whole)
        return [
            array[tuple(place[dim] for dim in result.dims)] if result.dims else array
            for array, result in zip(arrays, self._results)
        ]


def _mask(array: np.ndarray) -> None:
    array[...] = False if array.dtype.kind == "b" else np.nan


def holds_nan(arrays: Sequence[np.ndarray]) -> bool:
    """Tell whether any result is NaN."""
    return any(a.dtype.kind == "f" and bool(np.isnan(a).any()) for a in arrays)


def run(
    title: str,
    layout: Layout,
    work: PartWork,
    destination: Destination,
    attributes: Callable[[Outcome, bool], Mapping[str, Any]],
) -> "xarray.Dataset":
    """Compute every part that the store does not have yet, and return the store's Dataset.

    Args:
        attributes: returns further attributes of the Dataset once all parts are computed, from
            what came of them, and whether others were computed by an earlier run.
    """
    store = destination.store
    with _terminating():
        finished = store.begin(layout)
        try:
            outcome = run_parts(title, layout.partition, work, destination, finished)
            attrs = attributes(outcome, bool(finished))
        except BaseException:
            store.abandon()
            raise
    if outcome.n_masked:
        points = "point" if outcome.n_masked == 1 else "points"
        warn(f"{outcome.n_masked:,} {points} could not be computed and hold NaN.")
    return store.finish(attrs)


def run_parts(
    title: str,
    partition: Partition,
    work: PartWork,
    destination: Destination,
    finished: frozenset[int] = frozenset(),
) -> Outcome:
    """Compute every part into a store that has begun, but for those that are finished."""
    axes = partition.axes
    n_done = sum(partition[number].n_points for number in finished)
    pending = (part for part in partition if part.number not in finished)
    with Meter(title, n_points(axes, axes), n_done, destination.progress) as meter:
        return destination.scheduler.run(work, pending, destination.store, meter)


@contextmanager
def _terminating() -> Iterator[None]:
    """Turn SIGTERM into an orderly end, exit status 143, unless the program handles it itself."""

    def terminate(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
