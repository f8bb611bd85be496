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
from collections.abc import Sequence
from contextlib import suppress
from functools import cache

import numpy as np

from gradsweep.support.memory import free_bytes, parse_bytes, present_bytes

__all__ = ["POOL", "MemoryPool", "empty"]

_VARIABLE = "GRADSWEEP_POOL_LIMIT"

# What may lie idle: a sixteenth of the machine's memory, and no more than this.
_SHARE, _MOST_BYTES = 16, 2**30

# Smaller arrays are left to the allocator of C, which keeps what is dropped by itself.
_LEAST_BYTES = 2**18

# More blocks are not kept, however small they are: each is looked at.
_MOST_BLOCKS = 256

# How much larger than an array its block may be.
_MOST_WASTE = 1.25

# Between two looks at how much memory the machine has left.
_LOOK_SECONDS = 1.0

_HUGE_PAGE_BYTES = 2**21


def _limit() -> int:
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

    A root may end anywhere, within this class's own code too, and Ctrl-C and forks come at any
    moment. So there is no lock, and no number beside the list that it counts: each step is one
    operation on a list or a dict, and whatever comes between two of them finds both whole.

    Args:
        idle_seconds: for how long after its last use.
    """

    def __init__(self, idle_seconds: float = 10.0) -> None:
        self.idle_seconds = idle_seconds
        self._idle: list[mmap.mmap] = []  # what ended last stands last
        self._roots: dict[int, _Root] = {}  # a weak reference has to be held to be called
        self._last_use, self._limit_bytes = -math.inf, 0
        self._watch: threading.Thread | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.clear)

    @property
    def idle_bytes(self) -> int:
        """How much it keeps now."""
        return sum(map(len, tuple(self._idle)))

    def empty(self, shape: Sequence[int], dtype: np.dtype | str) -> np.ndarray:
        """Return an array of any values, as numpy.empty does.

        Raises:
            MemoryError: when there is not as much memory.
        """
        dtype = np.dtype(dtype)
        n_bytes = math.prod(shape) * dtype.itemsize
        if n_bytes < _LEAST_BYTES:
            return np.empty(shape, dtype)
        self._limit_bytes = _limit()
        if not self._limit_bytes:
            return np.empty(shape, dtype)
        self._last_use = time.monotonic()
        block = self._take(n_bytes) or self._made(n_bytes)
        if self._watch is None or not self._watch.is_alive():
            self._begin_watch()
        array = np.frombuffer(block, np.uint8, n_bytes)
        root = _Root(array, self._end)
        root.block = block
        self._roots[id(root)] = root
        return array.view(dtype).reshape(shape)

    def clear(self) -> None:
        """Give back all that is idle."""
        self._idle.clear()

    def shrink(self, n_bytes: int) -> None:
        """Give back so many bytes at least, or all that are idle; none where that is below 0."""
        if n_bytes > 0:
            self._drop(self.idle_bytes - n_bytes)

    def _take(self, n_bytes: int) -> mmap.mmap | None:
        """Return the smallest idle block that is large enough and not much larger."""
        idle = reversed(tuple(self._idle))  # of equals, what the cache may still hold
        fitting = [block for block in idle if n_bytes <= len(block) <= _MOST_WASTE * n_bytes]
        for block in sorted(fitting, key=len):
            with suppress(ValueError):  # another thread has taken it
                self._idle.remove(block)
                if not _is_held(block):
                    return block
        return None

    def _made(self, n_bytes: int) -> mmap.mmap:
        if self._idle and free_bytes() < n_bytes + present_bytes() / _SHARE:
            self.clear()
        try:
            return _mapped(n_bytes)
        except OSError:
            self.clear()
        try:
            return _mapped(n_bytes)
        except OSError as error:
            raise MemoryError(f"there are no {n_bytes:,} bytes of memory: {error}") from None

    def _end(self, root: _Root) -> None:
        """Keep the block of a root that nothing refers to any more, or drop it."""
        self._roots.pop(id(root), None)
        if time.monotonic() < self._last_use + self.idle_seconds:
            self._idle.append(root.block)
            self._drop(self._limit_bytes)

    def _drop(self, most_bytes: int) -> None:
        """Give back what has been idle longest, until no more than so much is."""
        while self._idle and (len(self._idle) > _MOST_BLOCKS or self.idle_bytes > most_bytes):
            with suppress(IndexError):  # another thread has taken the last
                self._idle.pop(0)

    def _begin_watch(self) -> None:
        watch = threading.Thread(target=self._keep_watch, daemon=True)
        with suppress(RuntimeError):  # there can be no more threads: tried again at the next use
            watch.start()
            self._watch = watch

    def _keep_watch(self) -> None:
        """Give everything back when it is not used for a while, or the machine needs it."""
        while (left := self._last_use + self.idle_seconds - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_SECONDS))
            if self._idle and free_bytes() < present_bytes() / _SHARE:
                self.clear()
        self._watch = None  # before the last look, so that a use in between begins another
        self.clear()


def _is_held(block: mmap.mmap) -> bool:
    """Tell whether a buffer of a block is held still, by who went below the root for it."""
    if sys.platform != "linux":
        return False
    try:
        block.resize(len(block))  # which changes nothing, and is refused while there is one
    except BufferError:
        return True
    return False


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
