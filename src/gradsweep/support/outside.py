"""Notice when a function reads outside the program: files, the network, other processes.

A trace of such a function holds only for what was read then, so it is not kept. The clock and the
environment raise no audit event; `identity` finds them in the function's code.

Knows nothing of functions or traces.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["Seen", "watched"]

# Python's audit events for reading something outside the program.
_EVENTS = frozenset(
    """
    open os.listdir os.scandir os.walk os.system os.posix_spawn os.exec subprocess.Popen
    socket.connect socket.getaddrinfo urllib.Request sqlite3.connect mmap.__new__
    """.split()
)

# Who reads files and folders to load code, or to show a line of it.
_LOADERS = ("importlib", "<frozen importlib", "linecache", "tokenize", "zipimport")

_PACKAGES = tuple({sys.prefix, sys.base_prefix, sys.exec_prefix})


class Seen(threading.local):
    """The reads of a thread while it is watched.

    Attributes:
        events: each read, such as "open: rates.csv"; None while nobody watches.
    """

    events: list[str] | None = None


_SEEN = Seen()
_INSTALL = threading.Lock()
_is_installed = False


@contextmanager
def watched() -> Iterator[list[str]]:
    """Yield a list to which every read outside the program is added while the context lasts."""
    _install()
    before, events = _SEEN.events, list[str]()
    _SEEN.events = events
    try:
        yield events
    finally:
        _SEEN.events = before
        if before is not None:
            before += events


def _install() -> None:
    global _is_installed
    with _INSTALL:
        if not _is_installed:  # a hook stays as long as the process
            sys.addaudithook(_hook)
            _is_installed = True


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event not in _EVENTS or _SEEN.events is None:
        return
    what = str(args[0]) if args else ""
    if (event == "open" and what.startswith(_PACKAGES)) or _is_loading(sys._getframe(1)):
        return
    _SEEN.events.append(f"{event}: {what}")


def _is_loading(frame: FrameType | None) -> bool:
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith(_LOADERS) or frame.f_code.co_filename.startswith(_LOADERS):
            return True
        frame = frame.f_back
    return False
