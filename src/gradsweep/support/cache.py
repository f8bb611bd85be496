"""Bounded caches that forget the least recently used value, and the list of all caches."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Generic, TypeVar

from gradsweep.support.locks import give_locks

__all__ = ["Cache", "clear_all", "set_all_aside"]

T = TypeVar("T")


# Every cache there is: each lives as long as its module.
_CACHES: list["Cache[Any]"] = []


class Cache(Generic[T]):
    """Keeps up to `size` values by key, for any number of threads. Each belongs to a module.

    Attributes:
        n_made: how many values were not found and had to be made; for tests.
    """

    _lock: threading.Lock

    def __init__(self, size: int):
        self.size = size
        self.n_made = 0
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        give_locks(self, "_lock")
        _CACHES.append(self)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value under a key, making it if it is not there."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()  # may take seconds, and may be made twice: both are the same
        with self._lock:
            self.n_made += 1
            self._values[key] = value
            while len(self._values) > self.size:
                self._values.popitem(last=False)
        return value

    def put(self, key: Hashable, value: T) -> None:
        """Keep a value under a key, in place of any that is there."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self.size:
                self._values.popitem(last=False)

    @property
    def values(self) -> tuple[T, ...]:
        """What is kept, the latest used last; for tests."""
        with self._lock:
            return tuple(self._values.values())

    def clear(self) -> None:
        with self._lock:
            self._values.clear()
            self.n_made = 0

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Empty the cache for a while, to measure how long values take to make; then refill it."""
        with self._lock:
            held, self._values = self._values, OrderedDict()
        try:
            yield
        finally:
            with self._lock:
                self._values = OrderedDict({**self._values, **held})
                while len(self._values) > self.size:
                    self._values.popitem(last=False)


def clear_all() -> None:
    """Forget everything that any cache holds."""
    for cache in _CACHES:
        cache.clear()


@contextmanager
def set_all_aside() -> Iterator[None]:
    """Empty all caches for a while, as if no function had been seen; then refill them."""
    with ExitStack() as stack:
        for cache in _CACHES:
            stack.enter_context(cache.set_aside())
        yield
