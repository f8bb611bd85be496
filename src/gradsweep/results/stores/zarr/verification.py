"""Check every file of a store against the ledger, and mark damage.

A path enters, a Report leaves. Bytes are compared as they are stored: nothing is decompressed. A
repair strikes damage from the ledger. To compute it again takes the function, so it is left to a
run with resume=True.
"""

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gradsweep.request.partition import Part
from gradsweep.results.stores.zarr.disk import Stamp, open_plain, take_out, walk
from gradsweep.results.stores.zarr.ledger import (
    CorruptLedger,
    History,
    Ledger,
    read,
    rebuild,
    stamps_of_parts,
)
from gradsweep.results.stores.zarr.locking.lock import Lock
from gradsweep.results.stores.zarr.metadata import KEPT, check_documents
from gradsweep.results.stores.zarr.standing import is_place_of_ours, require_store
from gradsweep.support.errors import StoreError, warn

__all__ = ["Damage", "Report", "verify"]

_PIECE_BYTES = 2**22
_N_SHOWN = 20


@dataclass(frozen=True)
class Damage:
    """A file that is not what the ledger says.

    Attributes:
        key: its path within the store.
        problem: "missing", "truncated: ...", "changed" and the like.
        part: the part that yielded it; None for coordinates, metadata and foreign files.
        coordinate: the name and place of a chunk of a coordinate; None for all else.
        is_metadata: whether it is a zarr.json.
    """

    key: str
    problem: str
    part: Part | None = None
    coordinate: tuple[str, tuple[int, ...]] | None = None
    is_metadata: bool = False

    def __str__(self) -> str:
        whose = f" of {self.part.describe()}" if self.part is not None else ""
        return f"{self.key}{whose}: {self.problem}"


@dataclass(frozen=True)
class Report:
    """The findings of a verification.

    Attributes:
        n_finished: how many parts the ledger said are finished when it was read.
        n_files, n_bytes: how much was checked.
        damages: every file that is not what the ledger says.
        n_strays: files that were being written when a run was killed; harmless.
        n_records_lost: lines of a corrupt ledger that a repair had to leave out.
        is_repaired: whether damage was marked, and strays were removed.
    """

    path: str
    n_parts: int
    n_finished: int
    n_files: int
    n_bytes: int
    damages: tuple[Damage, ...]
    n_strays: int = 0
    n_records_lost: int = 0
    is_repaired: bool = False

    @property
    def is_sound(self) -> bool:
        """Whether everything that is finished is as it was written."""
        return not self.damages and not self.n_records_lost

    @property
    def is_complete(self) -> bool:
        return self.n_finished == self.n_parts

    @property
    def damaged_parts(self) -> tuple[int, ...]:
        return tuple(sorted({d.part.number for d in self.damages if d.part is not None}))

    def __str__(self) -> str:
        finished = f"{self.n_finished:,} of {self.n_parts:,} parts finished"
        checked = f"{self.n_files:,} files of {self.n_bytes:,} bytes checked"
        lines = [f"{self.path}: {finished}; {checked}"]
        if self.n_records_lost:
            lines.append(f"the ledger was corrupt: rebuilt without {self.n_records_lost:,} records")
        if self.n_strays:
            was = "removed" if self.is_repaired else "ignored"
            lines.append(f"{self.n_strays:,} unfinished files of a killed run, {was}")
        if self.damages:
            lines.append(f"{len(self.damages):,} damaged, in {len(self.damaged_parts):,} parts:")
            lines += [f"  {damage}" for damage in self.damages[:_N_SHOWN]]
            if len(self.damages) > _N_SHOWN:
                lines.append(f"  … {len(self.damages) - _N_SHOWN:,} more")
        match self.is_sound, self.is_repaired, self.is_complete:
            case True, _, True:
                lines.append("sound and complete")
            case True, _, False:
                lines.append("sound, not finished: run again with resume=True")
            case False, True, _:
                lines.append("marked to be computed again: run again with resume=True")
            case False, False, _:
                lines.append(
                    f"`gradsweep verify {self.path} --repair` marks it to be computed again"
                )
        return "\n".join(lines)


def verify(path: str | os.PathLike[str], repair: bool = False) -> Report:
    """Check every finished chunk of a store, its coordinates and its metadata.

    Args:
        repair: strike damage from the ledger, so that a run with resume=True computes it again;
            rebuild the ledger if it is corrupt; remove unfinished files. Needs the lock.

    Raises:
        NotAStore: when there is no store.
        CorruptLedger: when its ledger is corrupt, without `repair`.
        StoreError: when the store holds what gradsweep never writes, or is locked.
    """
    folder = require_store(path)
    if not repair:
        return _check(folder, read(folder), 0, None)
    lock = Lock.take(folder)
    try:
        if lock.taken_over:
            warn(lock.taken_over)
        with lock.explaining():
            return _repair(folder, lock)
    finally:
        lock.release()


def _repair(folder: Path, lock: Lock) -> Report:
    n_records_lost = 0
    try:
        history = read(folder)
    except CorruptLedger:
        n_records_lost = rebuild(folder, lock.scratch)
        history = read(folder)
    report = _check(folder, history, n_records_lost, lock)
    _strike(folder, history, report, lock)
    return report


def _check(folder: Path, history: History, n_records_lost: int, lock: Lock | None) -> Report:
    strays, strangers = _others(folder, history, lock)
    damages, n_files, n_bytes = [*strangers], 0, 0
    for expected, stamp in _files(folder, history):
        problem = "not in the ledger" if stamp is None else _problem(folder / expected.key, stamp)
        n_files += 1
        n_bytes += stamp.n_bytes if stamp else 0
        if problem:
            damages.append(
                Damage(
                    expected.key, problem, expected.part, expected.coordinate, expected.is_metadata
                )
            )
    if history.frame is not None and not any(damage.is_metadata for damage in damages):
        try:
            check_documents(folder, history.run)
        except StoreError as error:
            damages.append(Damage("zarr.json", str(error).splitlines()[0], is_metadata=True))
    return Report(
        path=str(folder),
        n_parts=history.run.partition.n_parts,
        n_finished=len(history.parts),
        n_files=n_files,
        n_bytes=n_bytes,
        damages=tuple(damages),
        n_strays=strays + (lock.n_strays if lock else 0),
        n_records_lost=n_records_lost,
        is_repaired=lock is not None,
    )


def _files(folder: Path, history: History) -> Iterator[tuple[Damage, Stamp | None]]:
    """Yield every file that must be there, as a Damage with no problem yet, and its stamp."""
    run = history.run
    if history.frame is not None:
        for key, stamp in history.frame.items():
            yield Damage(key, "", is_metadata=True), stamp
        for array in run.coordinates:
            for index in array.indices():
                place = (array.name, index)
                damage = Damage(array.key(index), "", coordinate=place)
                yield damage, history.coordinates.get(place)
    for number, stamps in stamps_of_parts(folder, history):
        part = run.partition[number]
        for array in run.yielded(part):
            yield Damage(array.key(array.index(part)), "", part), stamps.get(array.name)


def _problem(path: Path, stamp: Stamp) -> str:
    """Return what is wrong with a file; "" when nothing is."""
    n_bytes = crc32 = 0
    try:
        with open(open_plain(path), "rb") as file:
            while piece := file.read(_PIECE_BYTES):
                n_bytes += len(piece)
                crc32 = zlib.crc32(piece, crc32)
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"unreadable: {error.strerror or error}"
    if n_bytes < stamp.n_bytes:
        return f"truncated: {n_bytes:,} of {stamp.n_bytes:,} bytes"
    if n_bytes > stamp.n_bytes:
        return f"too long: {n_bytes:,} instead of {stamp.n_bytes:,} bytes"
    return "" if f"{crc32:08x}" == stamp.crc32 else "changed"


def _others(folder: Path, history: History, lock: Lock | None) -> tuple[int, list[Damage]]:
    """Count unfinished files, and remove them under a lock; find foreign files.

    Raises:
        StoreError: at a link.
    """
    names = {array.name for array in history.run.arrays}
    n_strays, strangers = 0, []
    for path in walk(folder):
        parts = path.relative_to(folder).parts
        if path.name.endswith(".partial"):
            n_strays += 1
            if lock is not None:
                take_out(path, lock.scratch, f"remove {path}")
        elif not is_place_of_ours(parts) or (len(parts) > 1 and parts[0] not in {*names, KEPT}):
            strangers.append(Damage("/".join(parts), "not of this store; remove it by hand"))
    return n_strays, strangers


def _strike(folder: Path, history: History, report: Report, lock: Lock) -> None:
    ledger = Ledger.resume(folder, history, lock.scratch)
    try:
        if any(damage.is_metadata for damage in report.damages):
            ledger.strike_frame()
        for damage in report.damages:
            if damage.coordinate is not None:
                ledger.strike_coordinate(*damage.coordinate)
        for number in report.damaged_parts:
            ledger.strike_part(number)
    finally:
        ledger.close()
