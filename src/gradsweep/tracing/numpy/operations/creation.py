"""Functions that make arrays, which ask no array for a protocol: np.zeros, np.array, np.linspace.

Where nothing that they are given is traced, the Array that they make holds NumPy's own numbers.
"""

from typing import Any

import numpy as np

from gradsweep.support.errors import UntraceableError
from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.lines import user_line
from gradsweep.tracing.numpy.row import Composed, Row, View, as_array

__all__ = ["ROWS"]


def _array(
    object: Any, dtype: Any = None, copy: bool | None = True, order: str = "K", ndmin: int = 0
) -> Array:
    found = _asarray(object, dtype, order, copy)
    return found.reshape((1,) * (ndmin - found.ndim) + found.shape) if ndmin else found


def _asarray(
    a: Any, dtype: Any = None, order: str | None = None, copy: bool | None = None
) -> Array:
    found = _put_together(a)
    if dtype is not None and np.dtype(dtype) != found.dtype:
        found = found.astype(dtype)
    if order in ("C", "F") and not found.memory.layout.flags[f"{order}_CONTIGUOUS"]:
        found = found.copy(order)
    if copy is False and found is not a:
        raise ValueError("Unable to avoid copy while creating an array as requested.")
    return found.copy(order or "K") if copy and found is a else found


def _ascontiguousarray(a: Any, dtype: Any = None) -> Array:
    found = _asarray(a, dtype, "C")
    return found if found.ndim else found.reshape(1)


def _put_together(value: Any) -> Any:
    """Return nested lists, some of whose numbers are traced, as one array."""
    if isinstance(value, Array):
        return value.as_number("")
    if isinstance(value, list | tuple) and any(_holds_arrays(item) for item in value):
        return np.stack([_put_together(item) for item in value])
    return Array(np.asarray(value))


def _holds_arrays(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_holds_arrays, value))
    return isinstance(value, Array)


def _full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    _require_known(np.full, shape)
    found = np.where(np.ones(shape, dtype=bool), fill_value, fill_value)
    return found if dtype is None else found.astype(dtype)


def _full_like(a: Any, fill_value: Any, dtype: Any = None, shape: Any = None) -> Any:
    return _full(
        a.shape if shape is None else shape, fill_value, a.dtype if dtype is None else dtype
    )


def _constant_like(function: Any) -> Any:
    def like(a: Any, dtype: Any = None, shape: Any = None) -> np.ndarray:
        return function(
            np.shape(a) if shape is None else shape, a.dtype if dtype is None else dtype
        )

    return like


def _linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    _require_known(np.linspace, num)
    between = max(1, num - 1 if endpoint else num)
    step = (stop - start) / between
    steps = np.arange(num, dtype=float).reshape(-1, *(1,) * np.ndim(step))
    places = steps * step + start
    if endpoint and num > 1:
        places = np.where(steps == between, stop, places)  # rounding must not move the end
    places = np.moveaxis(places, 0, axis) if axis else places
    if dtype is not None:
        places = (np.floor(places) if np.dtype(dtype).kind in "iu" else places).astype(dtype)
    return (places, step) if retstep else places


def _logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    _require_known(np.logspace, num)
    base = as_array(base)
    if np.ndim(base):  # it has an axis for each base besides
        shape = np.broadcast_shapes(*map(np.shape, (start, stop, base)))
        start, base = np.broadcast_to(start, shape), np.expand_dims(base, axis)
    found = np.power(base, _linspace(start, stop, num, endpoint, axis=axis))
    return found if dtype is None else found.astype(dtype)


def _geomspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    _require_known(np.geomspace, num)
    ratio = stop / start
    parts = np.linspace(0.0, 1.0, num, endpoint).reshape(-1, *(1,) * np.ndim(ratio))
    found = np.moveaxis(start * np.power(ratio, parts), 0, axis)
    return found if dtype is None else found.astype(dtype)


def _arange(*args: Any, **kwargs: Any) -> Any:
    raise UntraceableError(
        f"the function calls np.arange with a traced value as its length, at {user_line()}: it "
        f"would vary from point to point.\nWrite start + step * np.arange(n), with a number n."
    )


def _of_size(function: Any) -> Any:
    """Return what refuses a function whose arguments are sizes."""

    def refused(*args: Any, **kwargs: Any) -> Any:
        _require_known(function, [*args, *kwargs.values()])

    return refused


def _require_known(function: Any, value: Any) -> None:
    if _holds_arrays(value):
        raise UntraceableError(
            f"the function calls np.{function.__name__} with a traced value as its size, at "
            f"{user_line()}: its length would vary from point to point.\nGive a fixed integer."
        )


def _fromiter(iter: Any, dtype: Any, count: int = -1) -> Array:
    if count > len(iter):
        raise ValueError(f"iterator too short: Expected {count} but iterator had only {len(iter)}")
    return _array(iter if count < 0 else iter[:count], dtype)


def _vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    powers = np.arange(len(x) if N is None else N)
    return np.power(x[:, None], powers if increasing else powers[::-1])


ROWS: tuple[Row, ...] = (
    Composed(np.array, _array, number=""),
    View(np.asarray, _asarray),
    View(np.asanyarray, _asarray),
    View(np.ascontiguousarray, _ascontiguousarray),
    Composed(np.copy, lambda a, order="K": a.copy(order), 1, number=""),
    Composed(np.full, _full, number=""),
    Composed(np.full_like, _full_like, number=""),
    Composed(np.zeros_like, _constant_like(np.zeros), number=""),
    Composed(np.empty_like, _constant_like(np.zeros), number=""),
    Composed(np.ones_like, _constant_like(np.ones), number=""),
    Composed(np.linspace, _linspace, 2),
    Composed(np.logspace, _logspace, 2),
    Composed(np.geomspace, _geomspace, 2),
    Composed(np.arange, _arange),
    *(Composed(f, _of_size(f)) for f in (np.zeros, np.ones, np.empty, np.eye, np.identity, np.tri)),
    Composed(np.vander, _vander, 1),
    Composed(np.fromiter, _fromiter),
)
