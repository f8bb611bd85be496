"""Write files whole or not at all, try again when the device falters, and read without trust.

Paths and bytes enter and leave. Every failure is a StoreError that says what was being written and
what to do. Knows nothing of arrays or ledgers.

A file is written by a rename out of a scratch folder, and removed by a rename into it. Without that
folder neither is possible (see `scratch`).
"""

import contextlib
import errno
import os
import stat
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from gradsweep.support.errors import StoreError

__all__ = [
    "REMOVED",
    "Stamp",
    "append",
    "attempt",
    "not_plain",
    "open_plain",
    "put",
    "put_open",
    "read_plain",
    "stamp_of",
    "take_out",
    "walk",
]

_T = TypeVar("_T")

# Faults that may pass: of a device, or of a file system on a network.
_PASSING = {errno.EIO, errno.EAGAIN, errno.EBUSY, errno.ETIMEDOUT, errno.ESTALE}
_PAUSES_SECONDS = (0.05, 0.2, 0.8)

_READ_ONLY = "Nobody here may write there. Choose another place, or change its permissions."
_FULL = "Free some space, then run again with resume=True: what is finished is kept."
_WHAT_TO_DO = {
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _READ_ONLY,
    errno.EPERM: _READ_ONLY,
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
}
_OTHERWISE = "Once it is mended, run again with resume=True: what is finished is kept."

# The end of the name of a removed file or folder, in a scratch folder.
REMOVED = ".removed"

# Neither follow a link, nor wait for the other end of a pipe.
_NO_FOLLOW = (
    getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
)


class Stamp(NamedTuple):
    """What the bytes of a file must be.

    Attributes:
        n_bytes: how many.
        crc32: their CRC-32, which any single flipped bit changes.
    """

    n_bytes: int
    crc32: str


def stamp_of(data: bytes) -> Stamp:
    return Stamp(len(data), f"{zlib.crc32(data):08x}")


def attempt(operation: Callable[[], _T], what: str) -> _T:
    """Do something with a file; while the device falters, try again, three times at most.

    Args:
        what: the operation, in words that follow "could not": "write chunk c/0 of dprice_dS".

    Raises:
        StoreError: with the system's own error as its cause.
    """
    pauses = iter(_PAUSES_SECONDS)
    while True:
        try:
            return operation()
        except StoreError:  # an OSError too, and explained already
            raise
        except OSError as error:
            pause = next(pauses, None) if error.errno in _PASSING else None
            if pause is None:
                advice = _WHAT_TO_DO.get(error.errno or 0, _OTHERWISE)
                reason = error.strerror or str(error)
                failure = StoreError(f"could not {what}: {reason}.\n{advice}")
                failure.errno = error.errno
                raise failure from error
        time.sleep(pause)


def put(path: Path, data: bytes, scratch: Path, what: str) -> None:
    """Write a file so that it is there whole, or not at all.

    Args:
        scratch: a folder of the same file system, for the file while it is being written.
        what: for messages, as for `attempt`.
    """
    attempt(lambda: _put_once(path, data, scratch), what)


def _put_once(path: Path, data: bytes, scratch: Path) -> None:
    partial, descriptor = _begin_partial(scratch)
    try:
        try:
            _write_all(descriptor, data)
        finally:
            os.close(descriptor)
        try:
            os.replace(partial, path)
        except FileNotFoundError:
            if not os.path.lexists(partial):  # the scratch folder is gone
                raise
            path.parent.mkdir(parents=True, exist_ok=True)  # the first chunk of its row
            os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def put_open(
    path: Path, pieces: Callable[[], Iterable[bytes]], scratch: Path, is_flushed: bool, what: str
) -> int:
    """Write a file as `put` does, and return it open, to append to.

    Later appends go to this very file, even where another has taken its place.

    Args:
        pieces: returns the content, from the beginning at each call.
        is_flushed: whether the content is on the device before the file takes its place.
    """
    return attempt(lambda: _put_open_once(path, pieces, scratch, is_flushed), what)


def _put_open_once(
    path: Path, pieces: Callable[[], Iterable[bytes]], scratch: Path, is_flushed: bool
) -> int:
    partial, descriptor = _begin_partial(scratch, os.O_APPEND)
    try:
        for piece in pieces():
            _write_all(descriptor, piece)
        if is_flushed:
            os.fsync(descriptor)
        if os.name == "nt":  # which renames no file that is open
            os.close(descriptor)
            os.replace(partial, path)
            return os.open(path, os.O_WRONLY | os.O_APPEND)
        os.replace(partial, path)
        return descriptor
    except BaseException:
        with contextlib.suppress(OSError):
            os.close(descriptor)
        partial.unlink(missing_ok=True)
        raise


def _begin_partial(scratch: Path, flags: int = 0) -> tuple[Path, int]:
    partial = scratch / f"{uuid.uuid4().hex}.partial"
    flags |= os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW
    return partial, os.open(partial, flags, 0o666)


def take_out(path: Path, scratch: Path, what: str) -> Path | None:
    """Remove a file or a folder by a rename into a scratch folder, to be deleted there.

    Returns:
        Its new path; None when there was nothing to remove.

    Raises:
        StoreError: also when the scratch folder is gone.
    """
    return attempt(lambda: _take_out_once(path, scratch), what)


def _take_out_once(path: Path, scratch: Path) -> Path | None:
    removed = scratch / f"{uuid.uuid4().hex}{REMOVED}"
    try:
        os.replace(path, removed)
    except FileNotFoundError:
        if not os.path.lexists(scratch):
            raise
        return None
    return removed


def append(descriptor: int, data: bytes, size: int, what: str) -> None:
    """Append to a file of `size` bytes; when that fails, none of the data is left in it."""

    def write() -> None:
        try:
            _write_all(descriptor, data)
        except OSError:
            os.ftruncate(descriptor, size)
            raise

    attempt(write, what)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def open_plain(path: Path) -> int:
    """Open a regular file to read, and refuse a link or a pipe in its place.

    Raises:
        FileNotFoundError: when it is not there.
        StoreError: when it is something else.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _NO_FOLLOW)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise not_plain(path) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise not_plain(path)
    return descriptor


def read_plain(path: Path, most: int) -> bytes | None:
    """Read a regular file of at most `most` bytes; None when there is none."""

    def read() -> bytes | None:
        try:
            descriptor = open_plain(path)
        except FileNotFoundError:
            return None
        with open(descriptor, "rb") as file:
            return file.read(most + 1)

    data = attempt(read, f"read {path}")
    if data is not None and len(data) > most:
        raise StoreError(f"{path} holds more than {most:,} bytes; no store of gradsweep does that.")
    return data


def walk(folder: Path) -> Iterator[Path]:
    """Yield every file under a folder; a file that vanishes meanwhile may be left out.

    Raises:
        StoreError: at a symbolic link or a special file, which could lead anywhere.
    """
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from walk(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield Path(entry.path)
            else:
                raise not_plain(Path(entry.path))


def not_plain(path: Path) -> StoreError:
    return StoreError(
        f"{path} is no plain file but a link or the like, which gradsweep never writes. "
        "The store is not to be trusted; remove it by hand if it is yours."
    )
