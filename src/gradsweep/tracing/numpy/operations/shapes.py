"""Functions that arrange elements: views, as NumPy makes them, and arrays put together."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from gradsweep.support.errors import UntraceableError
from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.library import library_of, resolve
from gradsweep.tracing.numpy.lines import user_line
from gradsweep.tracing.numpy.memory import Broadcast, Index, Permuted, Places, Reshaped
from gradsweep.tracing.numpy.row import Composed, Native, Row, View, array_of, as_array

__all__ = ["ROWS"]


def _reshaped(a: Any, shape: tuple[int, ...]) -> Array:
    a = array_of(a)
    return a.seen(Reshaped(shape), a.memory.layout.reshape(shape))


def _order(a: Array, order: str) -> str:
    """Return the order, "C" or "F", that "A" stands for.

    Raises:
        UntraceableError: where elements come as they lie in memory, which is not known.
    """
    flags = a.memory.layout.flags
    if order == "A":
        return "F" if flags.f_contiguous and not flags.c_contiguous else "C"
    if order == "K" and not flags.c_contiguous:
        raise UntraceableError(
            f"the function takes elements in the order in which they lie in memory, order='K', at "
            f"{user_line()}.\nWrite order='C' or order='F'."
        )
    return "F" if order == "F" else "C"


def _reshape(a: Any, shape: Any, order: str = "C", copy: bool | None = None) -> Array:
    a = array_of(a)
    found = _in_order(a, shape, _order(a, order))
    shares = found.memory.root is a.memory.root
    if copy is False and not shares:
        raise ValueError("Unable to avoid creating a copy while reshaping.")
    return found.copy() if copy and shares else found


def _in_order(a: Array, shape: Any, order: str) -> Array:
    wanted = a.memory.layout.reshape(shape).shape
    if order == "F":
        reversed_ = _permuted(a, tuple(range(a.ndim))[::-1])
        found = _reshaped(reversed_, wanted[::-1])
        return _permuted(found, tuple(range(found.ndim))[::-1])
    return _reshaped(a, wanted)


def _ravel(a: Any, order: str = "C") -> Array:
    a = array_of(a)
    order = _order(a, order)
    found, flags = _in_order(a, (-1,), order), a.memory.layout.flags
    return found if (flags.f_contiguous if order == "F" else flags.c_contiguous) else found.copy()


def _permuted(a: Any, axes: tuple[int, ...]) -> Array:
    return a.seen(Permuted(axes), a.memory.layout.transpose(axes))


def _like(function: Any) -> Any:
    """Return a permutation of axes that does what a function of NumPy's does."""

    def permuted(a: Any, *args: Any, **kwargs: Any) -> Array:
        a = array_of(a)
        model = np.empty((2,) * a.ndim)  # its strides tell its axes
        moved = function(model, *args, **kwargs)
        return _permuted(a, tuple(model.strides.index(stride) for stride in moved.strides))

    return permuted


def _in_the_shape_of(function: Any) -> Any:
    """Return a change of shape that does what a function of NumPy's does."""

    def reshaped(a: Any, *args: Any, **kwargs: Any) -> Array:
        a = array_of(a)
        return _reshaped(a, function(np.empty(a.shape, dtype=bool), *args, **kwargs).shape)

    return reshaped


def _flip(m: Any, axis: Any = None) -> Array:
    axes = range(m.ndim) if axis is None else np.atleast_1d(axis) % m.ndim
    index = tuple(slice(None, None, -1 if i in axes else None) for i in range(m.ndim))
    return m.seen(Index(index), m.memory.layout[index])


def _rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Array:
    for _ in range(k % 4):
        m = np.swapaxes(np.flip(m, axes[1]), *axes)
    return m


def _split(function: Any) -> Any:
    """Return what cuts an array where a function of NumPy's does."""

    def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
        axis = axis % ary.ndim
        ahead = (slice(None),) * axis
        pieces = function(np.arange(ary.shape[axis]), indices_or_sections)
        starts = (int(piece[0]) if len(piece) else 0 for piece in pieces)
        return [
            ary[(*ahead, slice(start, start + len(piece)))]
            for start, piece in zip(starts, pieces, strict=True)
        ]

    return split


def _broadcast_to(array: Any, shape: Any) -> Array:
    array = array_of(array)
    shape = (shape,) if isinstance(shape, int) else tuple(map(int, shape))
    layout = np.broadcast_to(array.memory.layout, shape)
    return array.seen(Broadcast(shape), layout, is_read_only=True)


def _broadcast_arrays(*args: Any) -> tuple:
    shape = np.broadcast_shapes(*(np.shape(value) for value in args))
    return tuple(_broadcast_to(value, shape) for value in args)


def _diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    own = partial(np.diagonal, offset=offset, axis1=axis1, axis2=axis2)
    step = Places(own(np.arange(a.size).reshape(a.shape)), own)
    return a.seen(step, own(a.memory.layout), is_read_only=True)


def _diag(v: Any, k: int = 0) -> Any:
    if v.ndim != 1:
        return _diagonal(v, k)
    library = library_of(v.value)
    if library is None:
        return np.diag(v.value, k)
    return resolve("torch.diag" if library.name == "torch" else "jnp.diag")(v.value, k)


def _at_least(function: Any) -> Any:
    """Return what adds dims as a function of NumPy's does, of one array or of several."""

    def at_least(*arys: Any) -> Any:
        found = tuple(_in_the_shape_of(function)(a) for a in arys)
        return found[0] if len(found) == 1 else found

    return at_least


def _joined(arrays: Sequence[Any], least: Any, axis: int) -> Any:
    return np.concatenate([least(array_of(a)) for a in arrays], axis=axis)


def _hstack(tup: Sequence[Any]) -> Any:
    arrays = [np.atleast_1d(array_of(a)) for a in tup]
    return np.concatenate(arrays, axis=0 if arrays[0].ndim == 1 else 1)


def _column_stack(tup: Sequence[Any]) -> Any:
    columns = [np.atleast_1d(array_of(a)) for a in tup]
    return np.concatenate([c.reshape(-1, 1) if c.ndim == 1 else c for c in columns], axis=1)


def _append(arr: Any, values: Any, axis: int | None = None) -> Any:
    arr, values = array_of(arr), array_of(values)
    if axis is None:
        arr, values, axis = np.ravel(arr), np.ravel(values), 0
    return np.concatenate([arr, values], axis=axis)


def _meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple:
    n = len(xi)
    grids: list[Any] = [
        array_of(x).reshape(tuple(-1 if j == i else 1 for j in range(n))) for i, x in enumerate(xi)
    ]
    if indexing == "xy" and n > 1:
        grids = [np.swapaxes(grid, 0, 1) for grid in grids]
    found = tuple(grids) if sparse else _broadcast_arrays(*grids)
    return tuple(grid.copy() for grid in found) if copy else found


def _take(a: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    a = np.ravel(array_of(a)) if axis is None else array_of(a)
    n = a.shape[axis or 0]
    if mode == "clip":
        indices = np.clip(indices, 0, n - 1)
    elif mode == "wrap":
        indices = np.remainder(indices, n)
    return a[(*(slice(None),) * ((axis or 0) % a.ndim), array_of(indices))]


def _fill_diagonal(a: Any, val: Any) -> None:
    if a.ndim != 2 and len({*a.shape}) != 1:
        raise ValueError("All dimensions of input must be of equal length")
    a[(np.arange(min(a.shape)),) * a.ndim] = val


def _split_along(axis: int) -> Any:
    def split(ary: Any, indices_or_sections: Any) -> Any:
        return np.split(ary, indices_or_sections, axis if ary.ndim > 1 else 0)

    return split


def _pad(array: Any, pad_width: Any, mode: Any = "constant", constant_values: Any = None) -> Any:
    """Places are padded like numbers, which says where each element comes from."""
    numbers = np.arange(array.size).reshape(array.shape)
    if mode in ("edge", "reflect", "symmetric", "wrap"):
        if constant_values is not None:
            raise ValueError(f"unsupported keyword arguments for mode '{mode}': constant_values")
        return np.ravel(array)[np.pad(numbers, pad_width, mode=mode)]
    if mode != "constant":
        raise UntraceableError(
            f"the function calls np.pad with mode={mode!r}, which has no counterpart, at "
            f"{user_line()}.\nWrite np.concatenate of the array and what stands beside it."
        )
    if not array.ndim:
        return array
    # The constants stand behind the elements, and are counted from the end.
    ends = np.arange(-2 * array.ndim, 0).reshape(-1, 2)
    constants = _pairs(array_of(0 if constant_values is None else constant_values), array.ndim)
    constants = np.ravel(constants).astype(array.dtype)
    return np.concatenate([np.ravel(array), constants])[
        np.pad(numbers, pad_width, constant_values=ends)
    ]


def _pairs(values: Any, n: int) -> Any:
    """Return, for each of n axes, what stands before and what stands after."""
    if values.size == 1 or (values.size == 2 and values.shape != (2, 1)):
        values = np.ravel(values)
    return np.broadcast_to(values, (n, 2))


def _repeat_in_jax(a: Any, repeats: Any, axis: int | None = None) -> Any:
    repeats = np.asarray(repeats) if isinstance(repeats, list | tuple) else repeats
    return resolve("jnp.repeat")(a, repeats, axis=axis)


def _take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    arr, indices = (np.ravel(arr), np.ravel(indices)) if axis is None else (arr, indices)
    along = (axis or 0) % arr.ndim
    places: list[Any] = [
        np.arange(n).reshape([-1 if j == i else 1 for j in range(arr.ndim)])
        for i, n in enumerate(arr.shape)
    ]
    places[along] = array_of(indices)
    return arr[tuple(places)]


def _apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    rows = np.moveaxis(arr, axis, -1)
    shape = rows.shape[:-1]
    found = [func1d(rows[place], *args, **kwargs) for place in np.ndindex(*shape)]
    together = as_array(found)
    together = together.reshape((*shape, *together.shape[1:]))
    n_new = together.ndim - len(shape)
    for i in range(n_new):
        together = np.moveaxis(together, len(shape) + i, axis % arr.ndim + i)
    return together


ROWS: tuple[Row, ...] = (
    View(np.reshape, _reshape),
    View(np.ravel, _ravel),
    *(View(f, _like(f)) for f in (np.transpose, np.swapaxes, np.moveaxis, np.rollaxis)),
    *(View(f, _in_the_shape_of(f)) for f in (np.squeeze, np.expand_dims)),
    *(View(f, _at_least(f)) for f in (np.atleast_1d, np.atleast_2d, np.atleast_3d)),
    View(np.flip, _flip, 1),
    View(np.flipud, lambda m: _flip(m, 0), 1),
    View(np.fliplr, lambda m: _flip(m, 1), 1),
    View(np.rot90, _rot90, 1),
    *(View(f, _split(f), 1) for f in (np.split, np.array_split)),
    View(np.vsplit, _split_along(0), 1),
    View(np.hsplit, _split_along(1), 1),
    Composed(np.pad, _pad, 1),
    Composed(np.take_along_axis, _take_along_axis, 1),
    Composed(np.apply_along_axis, _apply_along_axis),
    View(np.broadcast_to, _broadcast_to),
    View(np.broadcast_arrays, _broadcast_arrays),
    View(np.diagonal, _diagonal, 1),
    View(np.diag, _diag, 1),
    View(np.meshgrid, _meshgrid),
    Composed(np.take, _take),
    Composed(np.append, _append),
    Composed(np.hstack, _hstack),
    Composed(np.vstack, lambda tup: _joined(tup, np.atleast_2d, 0)),
    Composed(np.dstack, lambda tup: _joined(tup, np.atleast_3d, 2)),
    Composed(np.column_stack, _column_stack),
    Composed(np.fill_diagonal, _fill_diagonal),
    Composed(np.shape, lambda a: array_of(a).shape),
    Composed(np.ndim, lambda a: array_of(a).ndim),
    Composed(np.size, lambda a, axis=None: array_of(a).size if axis is None else a.shape[axis]),
    Composed(np.isscalar, lambda element: isinstance(element, Array) and bool(element.number)),
    Composed(np.iterable, lambda y: not isinstance(y, Array) or y.ndim > 0),
    Native(np.stack, "own.stack", "jnp.stack", is_sequence=True),
    Native(np.concatenate, "own.concatenate", "jnp.concatenate", is_sequence=True),
    *(
        Native(getattr(np, name), f"own.{name}", f"jnp.{name}", number="")
        for name in "roll tile tril triu".split()
    ),
    Native(np.repeat, "own.repeat", _repeat_in_jax, number=""),
)
