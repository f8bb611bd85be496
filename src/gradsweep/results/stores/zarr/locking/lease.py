"""The lease of a lock: a count in a file, which its holder raises and others watch.

The path of the file enters, and whether it is renewed leaves. A watcher measures on its own
monotonic clock how long the count stays the same: no two clocks are ever compared, and a watcher
that has just begun knows nothing of a lease. Knows nothing of locks.
"""

import contextlib
import itertools
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from gradsweep.results.stores.zarr.disk import attempt, read_plain

__all__ = ["Lease", "Renewal", "is_renewed"]

_SECONDS = 60.0
_EVERY_SECONDS = 15.0

_LARGEST_BYTES = 64
_LONGEST_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Lease:
    """How long a holder may be silent before another may take its lock.

    Attributes:
        seconds: the lease.
        every_seconds: how often it is renewed: several times a lease, so that a slow device or a
            thread that has to wait does not lose it.
    """

    seconds: float = _SECONDS
    every_seconds: float = _EVERY_SECONDS


class Renewal:
    """Renews a lease in a thread of this process, until `stop` or until its file is gone.

    A forked child has no such thread, and renews nothing.
    """

    def __init__(self, path: Path, lease: Lease):
        self._path, self._every_seconds = path, lease.every_seconds
        self._counts = itertools.count()
        self._stopped = threading.Event()
        self._renewed = time.monotonic()
        attempt(lambda: self._write(os.O_CREAT), f"write the lease {path}")

    def start(self) -> None:
        threading.Thread(target=self._run, name="gradsweep-lease", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def catch_up(self) -> None:
        """Renew the lease if the thread is late: other threads may leave it no time."""
        if time.monotonic() - self._renewed > self._every_seconds:
            with contextlib.suppress(OSError):
                self._write()

    def _run(self) -> None:
        while not self._stopped.wait(self._every_seconds):
            try:
                self._write()
            except FileNotFoundError:  # the lock is another's
                return
            except OSError:  # tried again at the next renewal: a lease lasts for several
                continue

    def _write(self, flags: int = 0) -> None:
        # Of the same length and in place, so that it takes no space on a full disk. Opened and
        # closed, because that is when other hosts see it on NFS.
        descriptor = os.open(self._path, os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | flags, 0o666)
        try:
            os.write(descriptor, b"%020d" % next(self._counts))
        finally:
            os.close(descriptor)
        self._renewed = time.monotonic()


def is_renewed(path: Path, seconds: float) -> bool:
    """Watch a lease; return True once it is renewed, False once `seconds` pass without that.

    A lease without a file counts as not renewed: without its folder its holder writes nothing.
    """
    first = read_plain(path, _LARGEST_BYTES)
    since = time.monotonic()
    while True:
        time.sleep(min(_LONGEST_PAUSE_SECONDS, seconds / 20))
        now = time.monotonic()
        if read_plain(path, _LARGEST_BYTES) != first:
            return True
        if now - since >= seconds:
            return False
