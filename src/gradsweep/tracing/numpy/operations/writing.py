"""Functions that write into an array which they are given: np.add.at, np.copyto, np.put."""

from typing import Any

import numpy as np

from gradsweep.support.errors import UntraceableError
from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.library import library_of
from gradsweep.tracing.numpy.lines import user_line
from gradsweep.tracing.numpy.row import Composed, Row, array_of, as_array

__all__ = ["ROWS", "write_at"]


def write_at(ufunc: np.ufunc, a: Any, indices: Any, b: Any = None) -> None:
    """Apply a ufunc to elements of an array in place, to one that is named twice two times.

    Raises:
        UntraceableError: when the array is not the function's own, or the indices are traced.
    """
    plain = np.asarray(_known(ufunc, a, indices), dtype=np.int64)
    n_times = np.zeros(a.size, dtype=np.int64)
    rounds = np.empty(plain.size, dtype=np.int64)
    for i, place in enumerate(plain.reshape(-1)):
        rounds[i] = n_times[place]
        n_times[place] += 1
    if b is not None:
        b = np.ravel(np.broadcast_to(as_array(b), plain.shape))
    for number in range(n_times.max(initial=0)):
        chosen = np.flatnonzero(rounds == number)
        places = np.unravel_index(plain.reshape(-1)[chosen], a.shape)
        old = a[places]
        a[places] = ufunc(old) if b is None else ufunc(old, b[chosen])


def _known(ufunc: np.ufunc, a: Any, indices: Any) -> np.ndarray:
    """Return the numbers of the elements that indices choose."""
    items = indices if isinstance(indices, tuple) else (indices,)
    held = tuple(item.value if isinstance(item, Array) else item for item in items)
    if not isinstance(a, Array) or any(map(library_of, held)):
        what = "with indices that are traced" if isinstance(a, Array) else "on an outside array"
        raise UntraceableError(
            f"the function calls np.{ufunc.__name__}.at {what}, at {user_line()}: it has no "
            f"counterpart.\nWrite it with an array that is made in the function and known indices."
        )
    numbers = np.arange(a.size).reshape(a.shape)
    return numbers[held if isinstance(indices, tuple) else held[0]]


def _own(a: Any, name: str) -> Array:
    if not isinstance(a, Array):
        raise UntraceableError(
            f"the function calls np.{name} on an array that exists outside it, at {user_line()}.\n"
            f"Copy it first, inside the function: a = np.array(a)."
        )
    return a


def _copyto(dst: Any, src: Any, where: Any = True) -> None:
    src = as_array(src)
    dst = _own(dst, "copyto")
    dst[...] = src if where is True else np.where(as_array(where), src, dst)


def _put(a: Any, ind: Any, v: Any) -> None:
    """Write values in turn at places of the array in a row."""
    a, places = _own(a, "put"), np.ravel(as_array(ind))
    values = np.ravel(array_of(v))
    for i, place in enumerate(places):
        a.flat[place] = values[i % len(values)]


def _putmask(a: Any, mask: Any, values: Any) -> None:
    a, values = _own(a, "putmask"), array_of(values)
    repeated = values[np.arange(a.size).reshape(a.shape) % values.size] if values.ndim else values
    a[...] = np.where(as_array(mask), repeated, a)


ROWS: tuple[Row, ...] = (
    Composed(np.copyto, _copyto),
    Composed(np.put, _put),
    Composed(np.putmask, _putmask),
)
