"""The ledger: which parts are finished, and what the bytes of their chunks must be.

A text file of JSON, with one record on each line. A record is appended in one write, after its data
is in place. So a process that is killed at any moment leaves a ledger that is true. Every line
begins with the CRC-32 of everything after its first comma:

    {"crc32":"0ded73ec","kind":"part","holder":1,"part":3,"chunks":{"dprice_dS":[8012,"9ae0daaf"]}}

A session writes to a file of its own: a copy of the ledger, which takes the ledger's place when the
session begins. A session that has been superseded still writes to the old file, which nobody reads,
whatever the file system makes of two writers. Every record also has its holder's number, which is
one more than that of any session before. A record with a lower number than a record before it was
written by a holder that had been superseded, and is ignored. A record without a number has 0.

The kinds of records:

    run         first, and for safety twice: what `Run.to_json` writes, fingerprint included
    session     a process begins to write: host, pid, since, and the version of gradsweep
    coordinate  a chunk of a coordinate is written: name, chunk, stamp
    frame       all coordinates and metadata are written: files, the stamp of each zarr.json
    part        a part is finished: its number and the stamp of each chunk
    strike      damage was found: the part, the coordinate or the frame is undone

A stamp is the number of bytes as stored, and their CRC-32. A last line without a newline was torn
by a kill and is ignored; any other line that is not as it was written makes the ledger corrupt.
"""

import os
import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradsweep.results.stores.zarr.arrays import Run
from gradsweep.results.stores.zarr.disk import Stamp, append, attempt, open_plain, put, put_open
from gradsweep.results.stores.zarr.metadata import RUN_FOLDER, dump, parse
from gradsweep.support.errors import StoreError

__all__ = [
    "CorruptLedger",
    "History",
    "Ledger",
    "as_line",
    "ledger_path",
    "read",
    "rebuild",
    "stamps_of_parts",
    "unfinished",
]

_PREFIX = b'{"crc32":"'
_CHECKED_FROM = len(_PREFIX) + 8 + 2
_LONGEST_LINE_BYTES = 2**26
_PIECE_BYTES = 2**20
_MOST_HOLDERS = 2**53


# The errors that reading a foreign record may raise.
_MALFORMED = (StoreError, ValueError, KeyError, TypeError, AttributeError)


class CorruptLedger(StoreError):
    """A ledger is not as it was written."""


@dataclass(eq=False)
class History:
    """The content of a ledger, as far as it was read.

    Attributes:
        sessions: the processes that wrote to the store, oldest first.
        frame: the stamp of each metadata document; None while the frame is not finished.
        coordinates: the stamp of each chunk of a coordinate, by name and place.
        parts: for each finished part, where its record starts, and the bytes stored for it.
        holder: the highest number of a holder.
        end: where the last whole record ends.
    """

    run: Run
    sessions: list[dict[str, Any]] = field(default_factory=list)
    frame: dict[str, Stamp] | None = None
    coordinates: dict[tuple[str, tuple[int, ...]], Stamp] = field(default_factory=dict)
    parts: dict[int, tuple[int, int]] = field(default_factory=dict)
    holder: int = 0
    end: int = 0


def ledger_path(folder: Path) -> Path:
    return folder / RUN_FOLDER / "ledger.jsonl"


def read(folder: Path) -> History:
    """Read the ledger of a store.

    Raises:
        CorruptLedger: names the first line that is not as it was written.
        StoreError: when it cannot be read.
    """
    return attempt(lambda: _read(folder), f"read the ledger of {folder}")


def _read(folder: Path) -> History:
    path = ledger_path(folder)
    history: History | None = None
    for number, (start, line) in enumerate(_lines(path), 1):
        try:
            record = _record(line)
            if number <= 2 and record["kind"] == "run":
                run = Run.from_json(record)
                if history is not None and history.run != run:
                    raise ValueError("it differs from the first")
                history = History(run)
            elif number <= 2 or history is None:
                raise ValueError("the first two records are not the run's")
            else:
                _take(history, record, start)
        except _MALFORMED as error:
            reason = f"{error}" if isinstance(error, ValueError | StoreError) else repr(error)
            raise _corrupt(path, f"line {number}: {reason}") from None
        history.end = start + len(line)
    if history is None:
        raise _corrupt(path, "it has no whole record")
    return history


def _corrupt(path: Path, what: str) -> CorruptLedger:
    return CorruptLedger(
        f"the ledger of this store is corrupt: {path}, {what}.\n"
        "`gradsweep verify STORE --repair` rebuilds it from the records that are whole; what the "
        "others spoke of is then computed again by a run with resume=True."
    )


def rebuild(folder: Path, scratch: Path) -> int:
    """Rebuild a corrupt ledger from its whole records, and keep the old one beside it.

    Args:
        scratch: the folder of the session.

    Returns:
        How many records were lost.

    Raises:
        StoreError: when not even one of the two copies of the first record is whole.
    """
    path = ledger_path(folder)
    run: tuple[Run, bytes] | None = None
    others: list[tuple[dict[str, Any], bytes]] = []
    n_lost = 0
    for _, line in _lines(path):
        try:
            record = _record(line)
            if record["kind"] == "run":
                run = run or (Run.from_json(record), line)
            else:
                others.append((record, line))
        except _MALFORMED:
            n_lost += 1
    if run is None:
        raise StoreError(
            f"{path} cannot be rebuilt: neither copy of its first record is whole. "
            "Compute again with overwrite=True."
        )
    kept = [run[1], run[1]]
    history = History(run[0])
    for record, line in others:
        try:
            _take(history, record, 0)
            kept.append(line)
        except _MALFORMED:
            n_lost += 1
    what = "rebuild the ledger"
    size = attempt(lambda: path.stat().st_size, what)
    beside = path.with_suffix(".jsonl.corrupt")
    os.close(put_open(beside, lambda: _pieces(path, size), scratch, False, what))
    put(path, b"".join(kept), scratch, what)
    return n_lost


def stamps_of_parts(folder: Path, history: History) -> Iterator[tuple[int, dict[str, Stamp]]]:
    """Yield every finished part, and the stamps of its chunks by the names of their arrays."""
    with open(open_plain(ledger_path(folder)), "rb") as file:
        for number in sorted(history.parts):
            file.seek(history.parts[number][0])
            chunks = _record(file.readline(_LONGEST_LINE_BYTES))["chunks"]
            yield number, {name: _stamp(written) for name, written in chunks.items()}


def unfinished(folder: Path, history: History) -> list[int]:
    """Return the parts that have a chunk which is missing or of another length.

    The bytes themselves are not read; `verify` does that.
    """
    found = []
    for number, stamps in stamps_of_parts(folder, history):
        part = history.run.partition[number]
        for array in history.run.yielded(part):
            stamp = stamps.get(array.name)
            if stamp is None or _length(folder / array.key(array.index(part))) != stamp.n_bytes:
                found.append(number)
                break
    return found


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    with open(open_plain(path), "rb") as file:
        while piece := file.read(min(size, _PIECE_BYTES)):
            size -= len(piece)
            yield piece


def _length(path: Path) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return -1


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the start and text of every line that has its end."""
    with open(open_plain(path), "rb") as file:
        start = 0
        while line := file.readline(_LONGEST_LINE_BYTES):
            if line.endswith(b"\n"):
                yield start, line
            elif len(line) == _LONGEST_LINE_BYTES:
                raise _corrupt(path, f"a line of more than {_LONGEST_LINE_BYTES:,} bytes")
            start += len(line)


def as_line(record: Mapping[str, Any]) -> bytes:
    """Return a record as a line of the file."""
    checked = dump(record)[1:] + b"\n"
    return _PREFIX + b'%08x",' % zlib.crc32(checked) + checked


def _record(line: bytes) -> dict[str, Any]:
    checked = line[_CHECKED_FROM:]
    if line[:_CHECKED_FROM] != _PREFIX + b'%08x",' % zlib.crc32(checked):
        raise ValueError("its checksum does not agree")
    record = parse(line)
    if not isinstance(record, dict):
        raise ValueError("it is no object")
    return record


def _take(history: History, record: dict[str, Any], start: int) -> None:
    """Add one record to a history."""
    number = record.get("holder", 0)
    if type(number) is not int or not 0 <= number < _MOST_HOLDERS:
        raise ValueError("its holder has no number")
    if _is_superseded(number, history):
        return
    history.holder = number
    match record["kind"]:
        case "session":
            history.sessions.append({key: str(record[key])[:200] for key in _SESSION})
        case "coordinate":
            history.coordinates[_coordinate(history.run, record)] = _stamp(record["stamp"])
        case "frame":
            stamps = {name: _stamp(written) for name, written in record["files"].items()}
            names = {f"{array.name}/zarr.json" for array in history.run.arrays}
            if stamps.keys() != names | {"zarr.json"}:
                raise ValueError("it names files that are no metadata of this store")
            history.frame = stamps
        case "part":
            number, chunks = _part(history.run, record), record["chunks"]
            if not chunks.keys() <= history.run.variable_names:
                raise ValueError("it names chunks of no variable")
            n_bytes = sum(_stamp(written).n_bytes for written in chunks.values())
            history.parts[number] = (start, n_bytes)
        case "strike" if "part" in record:
            history.parts.pop(_part(history.run, record), None)
        case "strike":
            if "name" in record:
                history.coordinates.pop(_coordinate(history.run, record), None)
            history.frame = None
        case kind:
            raise ValueError(f"its kind is {str(kind)[:40]!r}, which this version does not know")


def _is_superseded(number: int, history: History) -> bool:
    """Whether another holder had taken over before this one wrote."""
    return number < history.holder


_SESSION = ("host", "pid", "since", "gradsweep")


def _part(run: Run, record: Mapping[str, Any]) -> int:
    number = record["part"]
    if type(number) is not int or not 0 <= number < run.partition.n_parts:
        raise ValueError(f"there is no part {str(number)[:40]} of {run.partition.n_parts}")
    return number


def _coordinate(run: Run, record: Mapping[str, Any]) -> tuple[str, tuple[int, ...]]:
    name, index = str(record["name"]), tuple(record["chunk"])
    array = next((array for array in run.coordinates if array.name == name), None)
    if array is None or len(index) != len(array.shape):
        raise ValueError(f"there is no coordinate {name[:40]!r} with chunk {str(index)[:40]}")
    for place, chunk, length in zip(index, array.chunk, array.shape):
        if type(place) is not int or not 0 <= place * chunk < max(1, length):
            raise ValueError(f"coordinate {name[:40]!r} has no chunk {str(index)[:40]}")
    return name, index


def _stamp(written: Any) -> Stamp:
    n_bytes, crc32 = written
    if type(n_bytes) is not int or n_bytes < 0 or not isinstance(crc32, str) or len(crc32) != 8:
        raise ValueError("a stamp is malformed")
    return Stamp(n_bytes, crc32)


class Ledger:
    """A ledger that is being written, by the one process that holds the lock."""

    def __init__(self, descriptor: int, size: int, holder: int):
        self._descriptor, self._size, self._holder = descriptor, size, holder
        self._writing = threading.Lock()

    @classmethod
    def create(cls, folder: Path, run: Run, scratch: Path) -> "Ledger":
        """Start a ledger; before this returns there is none, and afterwards a whole one."""
        first = as_line({"kind": "run", **run.to_json()})
        descriptor = put_open(
            ledger_path(folder), lambda: [first, first], scratch, False, "begin the ledger"
        )
        return cls(descriptor, 2 * len(first), 1)

    @classmethod
    def resume(cls, folder: Path, history: History, scratch: Path) -> "Ledger":
        """Continue a ledger in a copy, without a torn last line and out of reach of other writers.

        The copy is flushed, so that a power cut loses nothing that was recorded before.
        """
        path = ledger_path(folder)
        descriptor = put_open(
            path, lambda: _pieces(path, history.end), scratch, True, "continue the ledger"
        )
        return cls(descriptor, history.end, history.holder + 1)

    def session(self, who: Mapping[str, str]) -> None:
        self._append({"kind": "session", **{key: who[key] for key in _SESSION}}, "a session")

    def coordinate(self, name: str, index: tuple[int, ...], stamp: Stamp) -> None:
        record = {"kind": "coordinate", "name": name, "chunk": index, "stamp": stamp}
        self._append(record, f"coordinate {name!r}")

    def frame(self, files: Mapping[str, Stamp]) -> None:
        self._append({"kind": "frame", "files": files}, "the metadata")

    def part(self, number: int, chunks: Mapping[str, Stamp], what: str) -> None:
        self._append({"kind": "part", "part": number, "chunks": chunks}, what)

    def strike_part(self, number: int) -> None:
        self._append({"kind": "strike", "part": number}, f"the damage to part {number}")

    def strike_frame(self) -> None:
        self._append({"kind": "strike"}, "the damage to the metadata")

    def strike_coordinate(self, name: str, index: tuple[int, ...]) -> None:
        record = {"kind": "strike", "name": name, "chunk": index}
        self._append(record, f"the damage to coordinate {name!r}")

    def _append(self, record: Mapping[str, Any], what: str) -> None:
        kind, *others = record.items()
        line = as_line(dict([kind, ("holder", self._holder), *others]))
        with self._writing:
            append(self._descriptor, line, self._size, f"record {what} in the ledger")
            self._size += len(line)

    def close(self) -> None:
        with self._writing:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
