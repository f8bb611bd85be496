"""Write a sweep's results to a Zarr store, part by part, and continue after an interruption.

A Layout enters, then parts with their arrays; a lazily opened Dataset leaves. The data of a part
comes first, then its record in the ledger: what is recorded is complete.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gradsweep.request.partition import Part, Partition
from gradsweep.results.layout import NO_ATTRS, ArrayBytes, Layout, Variable
from gradsweep.results.stores.zarr.arrays import Array, Run, run_of
from gradsweep.results.stores.zarr.coding import coded, encode, plain
from gradsweep.results.stores.zarr.disk import Stamp, attempt, put, stamp_of, take_out, walk
from gradsweep.results.stores.zarr.ledger import History, Ledger, ledger_path, read, unfinished
from gradsweep.results.stores.zarr.locking.lease import Lease
from gradsweep.results.stores.zarr.locking.lock import Lock
from gradsweep.results.stores.zarr.metadata import KEPT, RUN_FOLDER, check_documents, documents
from gradsweep.results.stores.zarr.opening import open_dataset
from gradsweep.results.stores.zarr.scratch import empty
from gradsweep.results.stores.zarr.standing import Standing, is_place_of_ours, standing
from gradsweep.support.errors import StoreError, require, warn

if TYPE_CHECKING:
    import xarray

__all__ = ["ChunkWriter", "ZarrStore"]

_N_THREADS_FOR_COORDINATES = 4


@dataclass(frozen=True)
class ChunkWriter:
    """Writes chunks, and records nothing: this is all that a worker of a cluster needs.

    It can be pickled. Any process that sees the folder may write parts, each part by one process at
    a time; a part written twice leaves the same bytes. Once `scratch`, the folder of one session,
    is gone, nothing more can be written: neither by a task that outlives its run, nor by a run
    whose lock was taken over.
    """

    folder: Path
    run: Run
    variables: tuple[Variable, ...]
    scratch: Path

    def write(self, part: Part, arrays: Sequence[np.ndarray]) -> dict[str, Stamp]:
        """Write the chunks that a part yields.

        Returns:
            The stamp of each, by the array's name: what `ZarrStore.record` takes.

        Raises:
            StoreError: when a chunk could not be written; the message names it.
            ValueError: when the part or its arrays are not those of the run.
        """
        whole = self.run.partition[part.number]
        if dict(part.slices) != dict(whole.slices):
            raise ValueError(f"{part.describe()} is not aligned; it would be {whole.describe()}.")
        of_name = {variable.name: variable for variable in self.variables}
        return {
            array.name: self._write(array, part, of_name[array.name].of(arrays))
            for array in self.run.yielded(part)
        }

    def _write(self, array: Array, part: Part, values: np.ndarray) -> Stamp:
        index = array.index(part)
        lengths = tuple(s.stop - s.start for s in array.region(index))
        if values.shape != lengths or values.dtype.name != array.dtype:
            raise ValueError(
                f"{part.describe()} of {array.name!r} takes {array.dtype} of shape {lengths}; "
                f"it was given {values.dtype.name} of shape {values.shape}."
            )
        return self.chunk(array, index, values, f", {part.describe()}")

    def chunk(
        self, array: Array, index: tuple[int, ...], values: np.ndarray, whose: str = ""
    ) -> Stamp:
        """Write one chunk, whole or not at all."""
        data = encode(values, array.dtype, array.chunk)
        key = array.key(index)
        try:
            put(self.folder / key, data, self.scratch, f"write chunk {key}{whose}")
        except StoreError as error:
            if os.path.lexists(self.scratch):
                raise
            raise StoreError(
                f"could not write chunk {key}{whose}: this run has ended, or another has taken "
                f"{self.folder} over from it. What is finished is kept; run again with "
                "resume=True when nobody else writes."
            ) from error
        return stamp_of(data)


class ZarrStore:
    """A store that is a Zarr v3 folder: the `Store` protocol, with a ledger.

    Args:
        path: the folder, on a local or shared file system; its parent must exist.
        resume: continue a run with the same fingerprint; begin one where there is none.
        overwrite: delete an existing store first; nothing but a store of gradsweep is deleted.
        lease: how often the run shows others that it exists, by default every 15 s, and after how
            long without such a sign they may take it for gone, by default 60 s.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        resume: bool = False,
        overwrite: bool = False,
        lease: Lease | None = None,
    ):
        if resume and overwrite:
            raise StoreError(
                f"resume=True keeps what is in {os.fspath(path)} and overwrite=True deletes it; "
                "give one of them."
            )
        self._folder = Path(path)
        self._resume, self._overwrite, self._lease = resume, overwrite, lease
        self._lock: Lock | None = None
        self._ledger: Ledger | None = None
        self._writer: ChunkWriter | None = None
        self._finished: set[int] = set()

    @property
    def writer(self) -> ChunkWriter:
        """The writer of chunks, for workers; `record` then records their parts."""
        assert self._writer is not None, "begin comes first"
        return self._writer

    def try_out(self, sample: np.ndarray) -> None:
        encode(sample, sample.dtype.name, sample.shape)

    def reduces(self, axes: Iterable[str]) -> tuple[str, frozenset[str]]:
        return "", frozenset()

    def stored_partition(self) -> Partition | None:
        """Return how the stored run was cut into parts, for a run that would continue it.

        None when there is no store, or when this one does not resume.

        Raises:
            StoreError: when its ledger is corrupt.
        """
        if not self._resume or standing(self._folder) is not Standing.STORE:
            return None
        return read(self._folder).run.partition

    def held_bytes(self, axes: Mapping[str, int], arrays: Sequence[ArrayBytes]) -> int:
        return 0

    def begin(self, layout: Layout) -> frozenset[int]:
        """Begin or continue the store, and return the numbers of the parts that are finished.

        Takes over, with a warning, from a run that is gone and left its lock.

        Raises:
            StoreError: when the layout cannot be stored, the folder cannot be written to, another
                writes to it, or what is there may not be continued or replaced.
            MissingPackage: when zarr is not installed.
        """
        require("zarr", "writing a Zarr store")
        run = run_of(layout)
        self._allowed()
        attempt(lambda: (self._folder / RUN_FOLDER).mkdir(parents=True, exist_ok=True), self._what)
        self._lock = Lock.take(self._folder, self._lease)
        try:
            if self._lock.taken_over:
                warn(self._lock.taken_over)
            with self._lock.explaining():
                history = self._begin(self._lock, layout, run)
        except BaseException:
            self.abandon()
            raise
        self._finished = set(history.parts)
        return frozenset(self._finished)

    def _begin(self, lock: Lock, layout: Layout, run: Run) -> History:
        found = self._allowed()  # another may have come and gone before the lock was ours
        history = self._prepare(lock, found, run)
        # A worker of a cluster may have been started in another folder.
        folder, scratch = self._folder.absolute(), lock.scratch.absolute()
        self._writer = writer = ChunkWriter(folder, run, layout.variables, scratch)
        if history.frame is None:
            self._write_frame(writer, layout, history)
        else:
            check_documents(self._folder, run)
        return history

    def write(self, part: Part, arrays: Sequence[np.ndarray]) -> None:
        """Write a part's chunks, then record it. Several threads may call this at once.

        Raises:
            StoreError: when a chunk or the record could not be written.
            ValueError: when the part or its arrays are not those of the run.
        """
        assert self._lock is not None, "begin comes first"
        with self._lock.explaining():
            stamps = self.writer.write(part, arrays)
        self.record(part, stamps)

    def record(self, part: Part, stamps: Mapping[str, Stamp]) -> None:
        """Record a part whose chunks are all written, by `writer.write`."""
        assert self._lock is not None and self._ledger is not None, "begin comes first"
        self._lock.check()
        self._ledger.part(part.number, stamps, part.describe())
        self._finished.add(part.number)

    def abandon(self) -> None:
        """Release the store when a run ends early: recorded parts stay, and it can be resumed."""
        if self._ledger is not None:
            self._ledger.close()
        if self._lock is not None:
            self._lock.release()
        self._ledger = self._lock = None

    def finish(self, attrs: Mapping[str, Any] = NO_ATTRS) -> "xarray.Dataset":
        """Return everything as a lazily opened Dataset.

        Args:
            attrs: attributes of this Dataset, which are not stored.

        Raises:
            StoreError: when parts are missing, or the store has become another run's.
        """
        n_parts = self.writer.run.partition.n_parts
        try:
            if self._lock is not None:
                self._lock.check()
        finally:
            self.abandon()
        if len(self._finished) < n_parts:
            raise StoreError(
                f"{self._folder} is not finished: {len(self._finished):,} of {n_parts:,} parts "
                "are there. Run again with resume=True."
            )
        found = open_dataset(self._folder)
        return found.assign_attrs(attrs) if attrs else found

    @property
    def _what(self) -> str:
        return f"write to {self._folder}"

    def _allowed(self) -> Standing:
        """Return the standing of the folder, if this run may write to it."""
        if not self._folder.parent.is_dir():
            raise StoreError(f"there is no folder {str(self._folder.parent)!r} for the store.")
        match found := standing(self._folder):
            case Standing.FOREIGN:
                raise StoreError(
                    f"{self._folder} is there, and no store of gradsweep; it is left alone. "
                    "Choose another place."
                )
            case Standing.STORE if not (self._resume or self._overwrite):
                raise StoreError(
                    f"{self._folder} is there already. Continue it with resume=True, or replace "
                    "it with overwrite=True."
                )
        return found

    def _prepare(self, lock: Lock, found: Standing, run: Run) -> History:
        """Clear away what a kill or another run left, and open the ledger."""
        if found is Standing.STORE and self._resume:
            history = read(self._folder)
            if difference := history.run.difference(run):
                lines = "\n".join(difference)
                raise StoreError(
                    f"{self._folder} holds another run, which cannot be continued:\n{lines}\n"
                    "Ask for the run that is stored, or replace it with overwrite=True."
                )
            _clean(self._folder, lock.scratch)
            self._ledger = Ledger.resume(self._folder, history, lock.scratch)
            for number in unfinished(self._folder, history):
                self._ledger.strike_part(number)
                del history.parts[number]
        else:
            if found is not Standing.VACANT:
                _discard(self._folder, lock.scratch)
            _clean(self._folder, lock.scratch)
            self._ledger = Ledger.create(self._folder, run, lock.scratch)
            history = History(run)
        self._ledger.session(lock.session)
        return history

    def _write_frame(self, writer: ChunkWriter, layout: Layout, history: History) -> None:
        """Write the coordinates and the metadata; recorded chunks are not written again."""
        assert self._ledger is not None
        ledger, folder = self._ledger, self._folder
        of_arrays: dict[str, Mapping[str, Any]] = {v.name: v.attrs for v in layout.variables}
        for array in writer.run.coordinates:
            _, values, attrs = layout.coordinates[array.name]
            of_arrays[array.name] = {**attrs, **coded(array.name, values).attrs}

        def write(array: Array, index: tuple[int, ...]) -> None:
            values = layout.coordinates[array.name][1]
            piece = np.asarray(values[array.region(index)])
            ledger.coordinate(array.name, index, writer.chunk(array, index, plain(piece)))

        # Each of n threads takes every n-th chunk, so that no list of all chunks is made.
        def write_share(first: int) -> None:
            number = 0
            for array in writer.run.coordinates:
                for index in array.indices():
                    is_ours = number % _N_THREADS_FOR_COORDINATES == first
                    if is_ours and (array.name, index) not in history.coordinates:
                        write(array, index)
                    number += 1

        with ThreadPoolExecutor(_N_THREADS_FOR_COORDINATES) as threads:
            list(threads.map(write_share, range(_N_THREADS_FOR_COORDINATES)))
        texts = documents(writer.run, layout.attrs, of_arrays)
        for key, text in texts.items():
            put(folder / key, text, writer.scratch, f"write {key} of {folder}")
        _refuse_shared_folders(folder, writer.run)
        ours = f"{KEPT}/"
        ledger.frame({k: stamp_of(t) for k, t in texts.items() if not k.startswith(ours)})


def _clean(folder: Path, scratch: Path) -> None:
    """Remove the files that a killed run was writing; refuse links."""

    def clean() -> None:
        for path in walk(folder):
            # Beside our own folder there are at most those of sessions that come after this one.
            if path.name.endswith(".partial") and scratch.parent not in path.parents:
                take_out(path, scratch, f"remove {path}")

    attempt(clean, f"clean {folder}")
    for left in (_mark(folder), folder / RUN_FOLDER / "trash"):
        take_out(left, scratch, f"clean {folder}")
    empty(scratch)


def _mark(folder: Path) -> Path:
    """Return the path of the mark that says that a store is being overwritten."""
    return folder / RUN_FOLDER / "overwritten"


def _discard(folder: Path, scratch: Path) -> None:
    """Delete a store but for its lock.

    The ledger goes first, and a mark that the store is being overwritten takes its place, so that
    a kill never leaves a ledger that speaks of chunks that are gone.
    """
    for path in walk(folder):  # refuses links, before anything is deleted
        if not is_place_of_ours(path.relative_to(folder).parts):
            raise StoreError(
                f"{folder} is not overwritten: it holds {path}, which no store of gradsweep does. "
                "Move it elsewhere first."
            )
    what = f"overwrite {folder}"
    put(_mark(folder), b"", scratch, what)
    take_out(ledger_path(folder), scratch, what)
    for entry in attempt(lambda: list(folder.iterdir()), what):
        if entry.name != KEPT:
            take_out(entry, scratch, what)
    take_out(ledger_path(folder).with_suffix(".jsonl.corrupt"), scratch, what)
    empty(scratch)
    take_out(_mark(folder), scratch, what)


def _refuse_shared_folders(folder: Path, run: Run) -> None:
    """Refuse names that differ in case alone where the file system does not tell them apart."""
    of_folded: dict[str, str] = {}
    for name in (array.name for array in run.arrays):
        other = of_folded.setdefault(name.casefold(), name)
        if other != name and os.path.samefile(folder / name, folder / other):
            raise StoreError(
                f"{other!r} and {name!r} are one folder on this file system, which does not tell "
                "case apart. Rename an argument, or store elsewhere."
            )
