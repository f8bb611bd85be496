"""Who holds a store, and whether that process can be shown to be gone.

This process leaves as a Holder, in JSON; JSON that may be hostile enters. Knows nothing of how a
lock is taken.

A process is looked for by its pid, which has a meaning only within one pid namespace. The name of
the host does not identify the namespace: containers and copies of a machine may share it. The boot
of the machine and the number of the namespace do: no other namespace of that boot has this number
while a process is in this one, and a namespace that is gone has taken all its processes with it. A
later process with the same pid has started at another moment.

Where the host, the boot or the namespace differs, or the system does not tell it, nothing is
concluded: the holder's lease decides (see `lease`).
"""

import os
import re
import socket
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gradsweep._version import __version__
from gradsweep.results.stores.zarr.disk import read_plain
from gradsweep.results.stores.zarr.metadata import dump, parse
from gradsweep.support.errors import StoreError

__all__ = ["Holder", "forget", "read_holder", "this_process"]

_LARGEST_BYTES = 2**16
_LONGEST_LEASE_SECONDS = 3600.0

# The tokens of the locks that this process holds: only it knows which it has released.
_OWN: set[str] = set()


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    Attributes:
        since: when the lock was taken, in UTC; for people.
        started: the boot, and the moment when the process started; "" where unknown.
        token: 32 hexadecimal digits, which no other lock has.
        namespace: the namespace of `pid`; "" where unknown, None in a lock of an older version,
            which relied on the host's name.
        lease_seconds: how long its lease lasts without a renewal; 0 where it has none.
    """

    host: str
    pid: int
    since: str
    started: str
    gradsweep: str
    token: str
    namespace: str | None = None
    lease_seconds: float = 0.0

    @property
    def state(self) -> Literal["alive", "gone", "unknown"]:
        """Whether the process still exists, as far as this one can tell."""
        if not self._would_be_seen:
            return "unknown"
        if self.pid == os.getpid() and self.started == _started("self"):
            return "alive" if self.token in _OWN else "gone"
        is_anothers = False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return "gone"
        except PermissionError:
            is_anothers = True
        if (now := _started(self.pid)) is None:
            # Another user's process may be hidden; one of our own has just ended.
            return "unknown" if is_anothers else "gone"
        return "alive" if now == self.started else "gone"

    @property
    def _would_be_seen(self) -> bool:
        """Whether this process would find that one by its pid."""
        boot, namespace = _place()
        return (
            self.host == socket.gethostname()
            and boot != ""
            and self.started.startswith(f"{boot} ")
            and self.namespace in (None, namespace)
        )

    def to_json(self) -> bytes:
        return dump({name: getattr(self, name) for name in Holder.__dataclass_fields__})

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


def this_process(lease_seconds: float) -> Holder:
    """Return this process as the holder of a new lock."""
    boot, namespace = _place()
    holder = Holder(
        host=socket.gethostname(),
        pid=os.getpid(),
        since=time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        started=(_started("self") or "") if boot else "",
        gradsweep=__version__,
        token=uuid.uuid4().hex,
        namespace=namespace,
        lease_seconds=lease_seconds,
    )
    _OWN.add(holder.token)
    return holder


def forget(holder: Holder) -> None:
    """Forget a lock that this process held: files that are left of it belong to nobody."""
    _OWN.discard(holder.token)


def _place() -> tuple[str, str]:
    """Return the boot of the machine, and the namespace of this process's pid.

    ("", "") where the system does not tell, or where /proc is that of another namespace.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        number = Path("/proc/self/stat").read_text().partition(" ")[0]
        # The moment when a process started is measured by the clock of its time namespace.
        spaces = [f"/proc/self/ns/{kind}" for kind in ("pid", "time")]
        namespace = " ".join(os.readlink(space) for space in spaces if os.path.lexists(space))
    except OSError:
        return "", ""
    return (boot, namespace) if number == str(os.getpid()) and namespace else ("", "")


def _started(pid: int | str) -> str | None:
    """Return the boot, and when a process started; None where the process cannot be seen."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    # The command, in brackets, may hold anything; after it come the state and the rest.
    state, *rest = stat.rpartition(")")[2].split()
    return "ended, and not yet waited for" if state in "ZX" else f"{boot} {rest[18]}"


def read_holder(path: Path) -> Holder | None:
    """Return the Holder that a file names; None when there is no file.

    Raises:
        StoreError: when it cannot be read.
    """
    if (text := read_plain(path, _LARGEST_BYTES)) is None:
        return None
    try:
        return _holder(parse(text))
    except (ValueError, KeyError, TypeError):
        raise StoreError(
            f"the lock {path} cannot be read. When nobody is writing to the store, "
            "remove it with `gradsweep unlock STORE --force`."
        ) from None


def _holder(found: Any) -> Holder:
    token, pid = found["token"], found["pid"]
    # The token is the name of a folder.
    if not isinstance(token, str) or not re.fullmatch("[0-9a-f]{32}", token):
        raise ValueError("it has no token")
    if type(pid) is not int or not 0 < pid < 2**31:
        raise ValueError("it has no number of a process")
    lease_seconds = found.get("lease_seconds", 0)
    if type(lease_seconds) not in (int, float) or not 0 <= lease_seconds <= _LONGEST_LEASE_SECONDS:
        raise ValueError("its lease is no time")
    host, since, started, gradsweep = (
        _text(found[key]) for key in ("host", "since", "started", "gradsweep")
    )
    namespace = None if found.get("namespace") is None else _text(found["namespace"])
    return Holder(host, pid, since, started, gradsweep, token, namespace, float(lease_seconds))


def _text(value: Any) -> str:
    """Escape the text of another, so that it cannot control the terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value)[:200])
