"""Memory that was dropped is used again: new pages cost more than the numbers that fill them.

A shape and a dtype enter; an array leaves, whose memory nothing else has for as long as anything
refers to it. Knows nothing of what arrays are for.

A block of memory is held by one array, its root. All that is made of it refers to the root: views,
memoryviews, tensors that share memory. So a block is idle when its root ends, and not before.
"""

import math
import mmap
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import cache

import numpy as np

from gradsweep.support.locks import give_locks
from gradsweep.support.memory import free_bytes, parse_bytes, present_bytes

__all__ = ["POOL", "MemoryPool", "empty"]

_VARIABLE = "GRADSWEEP_POOL_LIMIT"

# What may lie idle: a sixteenth of the machine's memory, and no more than this.
_SHARE, _MOST_BYTES = 16, 2**30

# Smaller arrays are left to the allocator of C, which keeps what is dropped by itself.
_LEAST_BYTES = 2**18

# How much larger than an array its block may be.
_MOST_WASTE = 1.25

# Between two looks at how much memory the machine has left.
_LOOK_SECONDS = 1.0

_HUGE_PAGE_BYTES = 2**21


def limit_bytes() -> int:
    """Return how much memory may lie idle: as the environment says, or by the machine's.

    Raises:
        MemoryLimitError: when the variable is no amount of memory.
    """
    written = os.environ.get(_VARIABLE, "")
    if not written:
        return _default_limit()
    return 0 if written.strip() == "0" else parse_bytes(written, _VARIABLE)


@cache
def _default_limit() -> int:
    return int(min(present_bytes() / _SHARE, _MOST_BYTES))


class _Root(weakref.ref[np.ndarray]):
    """Refers weakly to the array that holds a block."""

    __slots__ = ("block",)
    block: mmap.mmap


class MemoryPool:
    """Blocks of memory that nothing refers to any more, kept for a while. Safe for threads.

    Args:
        idle_seconds: for how long after its last use.

    Attributes:
        idle_bytes: how much it keeps now.
    """

    _lock: threading.Lock
    _is_watched: threading.Lock  # which the thread that watches holds

    def __init__(self, idle_seconds: float = 10.0) -> None:
        self.idle_seconds = idle_seconds
        self.idle_bytes = 0
        self._idle: list[mmap.mmap] = []  # what ended last stands last
        # A root may end anywhere, within this class's own code too, and so may a user's object that
        # computes once more. So nobody waits for the lock: what has ended is noted here, and kept
        # or dropped by whoever has the lock next.
        self._ended: deque[mmap.mmap] = deque()
        self._roots: dict[int, _Root] = {}  # a weak reference has to be held to be called
        self._last_use, self._limit_bytes = -math.inf, 0
        give_locks(self, "_lock", "_is_watched")
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.clear)

    def empty(self, shape: Sequence[int], dtype: np.dtype | str) -> np.ndarray:
        """Return an array of any values, as numpy.empty does.

        Raises:
            MemoryError: when there is not as much memory.
        """
        dtype = np.dtype(dtype)
        n_bytes = math.prod(shape) * dtype.itemsize
        if n_bytes < _LEAST_BYTES:
            return np.empty(shape, dtype)
        self._limit_bytes = limit_bytes()
        if not self._limit_bytes:
            return np.empty(shape, dtype)
        self._last_use = time.monotonic()
        block = self._take(n_bytes) or self._made(n_bytes)
        if self._ended:
            self._settle()
        self._begin_watch()
        array = np.frombuffer(block, np.uint8, n_bytes)
        root = _Root(array, self._end)
        root.block = block
        self._roots[id(root)] = root
        return array.view(dtype).reshape(shape)

    def clear(self) -> None:
        """Give back all that is idle."""
        self._settle(0)

    def shrink(self, n_bytes: int) -> None:
        """Give back so many bytes at least, or all that are idle; none where that is below 0."""
        if n_bytes > 0:
            self._settle(max(0, self.idle_bytes - n_bytes))

    def _take(self, n_bytes: int) -> mmap.mmap | None:
        """Return the smallest idle block that is large enough and not much larger."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            fitting = [b for b in self._idle if n_bytes <= len(b) <= _MOST_WASTE * n_bytes]
            if not fitting:
                return None
            block = min(reversed(fitting), key=len)  # of equals, what the cache may still hold
            self._idle.remove(block)
            self.idle_bytes -= len(block)
            return block
        finally:
            self._lock.release()

    def _made(self, n_bytes: int) -> mmap.mmap:
        if self.idle_bytes and free_bytes() < n_bytes + present_bytes() / _SHARE:
            self.clear()
        try:
            return _mapped(n_bytes)
        except OSError:
            self.clear()
        try:
            return _mapped(n_bytes)
        except OSError as error:
            raise MemoryError(f"there are no {n_bytes:,} bytes of memory: {error}") from None

    def _end(self, root: "_Root") -> None:
        """Note that nothing refers to a root any more. May be called within any other method."""
        del self._roots[id(root)]
        self._ended.append(root.block)
        self._settle()

    def _settle(self, most_bytes: float = math.inf) -> None:
        """Keep or drop the blocks that have ended, unless the lock is held: its holder will.

        Args:
            most_bytes: how much may stay, where that is less than the limit.
        """
        while self._lock.acquire(blocking=False):
            try:
                while self._ended:
                    block = self._ended.popleft()
                    self._idle.append(block)
                    self.idle_bytes += len(block)
                while self.idle_bytes > min(most_bytes, self._allowed_bytes):
                    self.idle_bytes -= len(self._idle.pop(0))
            finally:
                self._lock.release()
            if not self._ended:
                break

    @property
    def _allowed_bytes(self) -> int:
        is_used = time.monotonic() < self._last_use + self.idle_seconds
        return self._limit_bytes if is_used else 0

    def _begin_watch(self) -> None:
        """Have a thread give back what lies idle for too long, unless there is one."""
        if self._is_watched.acquire(blocking=False):
            with suppress(RuntimeError):  # the interpreter is ending
                threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        """Give everything back when it is not used for a while, or the machine needs it."""
        while (left := self._last_use + self.idle_seconds - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_SECONDS))
            if self.idle_bytes and free_bytes() < present_bytes() / _SHARE:
                self.clear()
        self._is_watched.release()
        if time.monotonic() < self._last_use + self.idle_seconds:  # used again meanwhile
            self._begin_watch()
        self._settle()


def _mapped(n_bytes: int) -> mmap.mmap:
    """Return new memory of this process alone, in huge pages where the system gives them."""
    if sys.platform == "win32":
        return mmap.mmap(-1, n_bytes)
    block = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if n_bytes >= _HUGE_PAGE_BYTES and hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel may be built without them
            block.madvise(mmap.MADV_HUGEPAGE)
    return block


POOL = MemoryPool()
empty = POOL.empty
