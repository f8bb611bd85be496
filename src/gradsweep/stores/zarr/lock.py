"""One writer to a store at a time.

The lock is a file, `lock`, that says who holds it; whoever makes it first has it. It is linked into
place whole, which is atomic on local file systems and on NFS alike, where flock is not to be relied
on. Being a file it outlives a process that is killed. Such a lock is recognised as stale when its
host is this one and its process is gone; it is removed by `unlock` alone, so that nobody takes a
store from a writer by mistake. Whether a process on another host still lives cannot be told from
here: `unlock` then needs force, the word of a person.

A writer whose lock was taken by force notices before it records the next part.
"""

import contextlib
import errno
import os
import socket
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gradsweep._version import __version__
from gradsweep.errors import NotAStore, StoreError
from gradsweep.stores.zarr.disk import attempt, read_plain
from gradsweep.stores.zarr.metadata import RUN_FOLDER, dump, parse
from gradsweep.stores.zarr.standing import Standing, standing

__all__ = ["Holder", "Lock", "holder_of", "unlock"]

_LARGEST_BYTES = 2**16


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    Attributes:
        since: when it was taken, in UTC.
        started: what tells the process from a later one with its number; "" where unknown.
    """

    host: str
    pid: int
    since: str
    started: str
    gradsweep: str
    token: str

    @property
    def state(self) -> Literal["alive", "gone", "unknown"]:
        """Whether the process still is there, as far as this host can tell."""
        if self.host != socket.gethostname() or os.name != "posix":
            return "unknown"
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return "gone"
        except (PermissionError, OverflowError):
            pass
        now = _started(self.pid)
        return "gone" if now in ("gone", "zombie") or self.started not in ("", now) else "alive"

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


def _this_process() -> Holder:
    return Holder(
        host=socket.gethostname(),
        pid=os.getpid(),
        since=time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        started=_started(os.getpid()),
        gradsweep=__version__,
        token=uuid.uuid4().hex,
    )


def _started(pid: int) -> str:
    """Return the boot and the moment that a process started at, where Linux tells them."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "gone" if Path("/proc/self/stat").exists() else ""
    # The command, in brackets, may hold anything; after it come the state and the rest.
    state, *rest = stat.rpartition(")")[2].split()
    return "zombie" if state in "ZX" else f"{boot} {rest[18]}"


def _lock_path(folder: Path) -> Path:
    return folder / RUN_FOLDER / "lock"


def holder_of(folder: Path) -> Holder | None:
    """Return who holds the lock of a store, or None.

    Raises:
        StoreError: when the lock cannot be read.
    """
    if (text := read_plain(_lock_path(folder), _LARGEST_BYTES)) is None:
        return None
    try:
        found = parse(text)
        return Holder(
            **{key: str(found[key])[:200] for key in ("host", "since", "started", "gradsweep")},
            pid=int(found["pid"]),
            token=str(found["token"]),
        )
    except (ValueError, KeyError, TypeError):
        raise StoreError(
            f"the lock {_lock_path(folder)} cannot be read. When nobody is writing to the store, "
            "remove it with `gradsweep unlock STORE --force`."
        ) from None


class Lock:
    """The lock of a store, held until `release`."""

    def __init__(self, folder: Path, holder: Holder):
        self._folder, self.holder = folder, holder

    @classmethod
    def take(cls, folder: Path) -> "Lock":
        """Take the lock.

        Raises:
            StoreError: when another has it, with who that is and what to do.
        """
        path, me = _lock_path(folder), _this_process()
        whole = path.with_name(f"{me.token}.partial")
        text = dump(_public(me))
        attempt(lambda: whole.write_bytes(text), f"lock {folder}")
        try:
            is_ours = attempt(lambda: _link(whole, path), f"lock {folder}")
        finally:
            whole.unlink(missing_ok=True)
        if not is_ours:
            raise _held(folder, holder_of(folder))
        return cls(folder, me)

    @property
    def session(self) -> Mapping[str, str]:
        """Who writes, for the ledger."""
        return {key: str(value) for key, value in _public(self.holder).items()}

    def check(self) -> None:
        """Make sure that the lock still is ours.

        Raises:
            StoreError: when somebody took it by force.
        """
        # Not by its inode, which a new file may be given again.
        if (found := holder_of(self._folder)) is None or found.token != self.holder.token:
            raise StoreError(
                f"the lock of {self._folder} was taken from this run by `gradsweep unlock`. "
                "What is finished is kept; run again with resume=True when nobody else writes."
            )

    def release(self) -> None:
        """Let go, unless the lock has become another's; what cannot be removed becomes stale."""
        with contextlib.suppress(OSError):
            self.check()
            _lock_path(self._folder).unlink(missing_ok=True)


def unlock(path: str | os.PathLike[str], force: bool = False) -> Holder | None:
    """Remove the lock that a process left behind when it was killed.

    Args:
        path: the store.
        force: remove it too when its process is on another host, or when it cannot be read. Only
            for when it is known that nobody is writing.

    Returns:
        Who held it; None when nobody did, or when that cannot be read.

    Raises:
        NotAStore: when there is nothing of ours.
        StoreError: when its process is running, or may be.
    """
    folder = Path(path)
    if standing(folder) is Standing.FOREIGN or not folder.is_dir():
        raise NotAStore(f"there is no store of gradsweep {str(folder)!r}.")
    try:
        holder = holder_of(folder)
    except StoreError:
        if not force:
            raise
        holder = None
    if holder is not None and holder.state == "alive":
        raise StoreError(f"{folder} is being written to by {holder}, which is running: stop it.")
    if holder is not None and holder.state == "unknown" and not force:
        raise StoreError(
            f"{folder} is locked by {holder}, and whether it is running cannot be told from "
            f"{socket.gethostname()}. If it is not: `gradsweep unlock {folder} --force`."
        )
    attempt(lambda: _lock_path(folder).unlink(missing_ok=True), f"unlock {folder}")
    return holder


def _held(folder: Path, holder: Holder | None) -> StoreError:
    match holder.state if holder else "gone":
        case "alive":
            advice = "Wait for it, or stop it."
        case "gone":
            advice = f"It is gone and left its lock: `gradsweep unlock {folder}`, then run again."
        case _:
            advice = (
                "If it is running, wait for it. Whether it is cannot be told from this host; "
                f"if it is not: `gradsweep unlock {folder} --force`."
            )
    return StoreError(f"{folder} is locked by {holder or 'a run that just ended'}.\n{advice}")


def _public(holder: Holder) -> dict[str, Any]:
    return {name: getattr(holder, name) for name in Holder.__dataclass_fields__}


def _link(whole: Path, path: Path) -> bool:
    """Give a whole file a second name, and tell whether nobody had it."""
    try:
        os.link(whole, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        # No links on this file system: make the name first, then fill it.
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            return False
        with open(descriptor, "wb") as file:
            file.write(whole.read_bytes())
    return True
