"""Tell what a store holds, how far it is and who wrote it, without reading any of its data.

A path enters, a Summary leaves.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from gradsweep.request.partition import Part
from gradsweep.results.stores.zarr.arrays import Array
from gradsweep.results.stores.zarr.ledger import read
from gradsweep.results.stores.zarr.locking.holder import Holder
from gradsweep.results.stores.zarr.locking.lock import holder_of
from gradsweep.results.stores.zarr.metadata import check_documents
from gradsweep.results.stores.zarr.standing import require_store

__all__ = ["Summary", "show", "status"]

_N_RANGES = 8


@dataclass(frozen=True)
class Summary:
    """What a store holds.

    Attributes:
        fingerprint: what tells its run from any other.
        axes: the swept axes and their lengths.
        finished: numbers of the finished parts, sorted.
        n_bytes: the bytes of the finished parts, as stored.
        sessions: the processes that wrote to it, oldest first.
        holder: who holds its lock now; None when nobody does.
    """

    path: str
    fingerprint: Mapping[str, str]
    axes: Mapping[str, int]
    arrays: tuple[Array, ...]
    n_parts: int
    finished: Sequence[int]
    n_bytes: int
    sessions: Sequence[Mapping[str, str]]
    holder: Holder | None

    @property
    def is_complete(self) -> bool:
        return len(self.finished) == self.n_parts

    def __str__(self) -> str:
        share = len(self.finished) / self.n_parts
        axes = " x ".join(f"{axis}: {length:,}" for axis, length in self.axes.items())
        rows = [
            ("store", self.path),
            ("sweep of", axes or "one point"),
            ("finished", f"{len(self.finished):,} of {self.n_parts:,} parts ({share:.1%})"),
            *([] if self.is_complete else [("parts there", _ranges(self.finished))]),
            ("stored", f"{self.n_bytes:,} bytes"),
            *self.fingerprint.items(),
            *(("written by", _session(session)) for session in self.sessions[-_N_RANGES:]),
            *([("locked by", f"{self.holder} ({self.holder.state})")] if self.holder else []),
        ]
        width = max(len(name) for name, _ in rows)
        lines = [f"{_printable(name):<{width}}  {_printable(text)}" for name, text in rows]
        for array in self.arrays:
            kind = "coordinate" if array.is_coordinate else "variable"
            dims = ", ".join(f"{dim}: {length:,}" for dim, length in zip(array.dims, array.shape))
            lines.append(f"{kind:<{width}}  {array.name} ({_printable(dims)}) {array.dtype}")
        return "\n".join(lines)


def show(path: str | os.PathLike[str]) -> Summary:
    """Tell what a store holds, from its ledger.

    Raises:
        NotAStore: when there is no store.
        StoreError: when its ledger is corrupt, or its metadata not what gradsweep wrote.
    """
    folder = require_store(path)
    history = read(folder)
    if history.frame is not None:
        check_documents(folder, history.run)
    return Summary(
        path=str(folder),
        fingerprint=history.run.fingerprint,
        axes=history.run.partition.axes,
        arrays=history.run.arrays,
        n_parts=history.run.partition.n_parts,
        finished=tuple(sorted(history.parts)),
        n_bytes=sum(n_bytes for _, n_bytes in history.parts.values()),
        sessions=tuple(history.sessions),
        holder=holder_of(folder),
    )


def status(path: str | os.PathLike[str]) -> Iterator[tuple[Part, Literal["finished", "missing"]]]:
    """Yield every part of a store's run, and whether it is finished.

    Raises:
        NotAStore, StoreError: as `show` does.
    """
    folder = require_store(path)
    history = read(folder)
    for part in history.run.partition:
        yield part, "finished" if part.number in history.parts else "missing"


def _ranges(numbers: Sequence[int]) -> str:
    """Write sorted numbers as ranges: "0-12, 14"."""
    if not numbers:
        return "none"
    breaks = [i + 1 for i, (a, b) in enumerate(pairwise(numbers)) if b != a + 1]
    ranges = [
        f"{numbers[start]:,}-{numbers[stop - 1]:,}" if stop - start > 1 else f"{numbers[start]:,}"
        for start, stop in pairwise([0, *breaks, len(numbers)])
    ]
    hidden = [f"… {len(ranges) - _N_RANGES:,} more ranges"] if len(ranges) > _N_RANGES else []
    return ", ".join([*ranges[:_N_RANGES], *hidden])


def _session(session: Mapping[str, str]) -> str:
    return (
        f"process {session['pid']} on {session['host']}, since {session['since']}, "
        f"gradsweep {session['gradsweep']}"
    )


def _printable(text: str) -> str:
    """Escape a stored text, so that it cannot control the terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text)[:2000])
