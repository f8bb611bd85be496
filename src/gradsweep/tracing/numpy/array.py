"""What a function written with NumPy gets in place of NumPy's arrays and numbers.

An Array holds a framework's array, or NumPy's where nothing depends on an argument. Operators,
methods and NumPy's own functions on it are looked up in the tables of operations/.
"""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from gradsweep.support.errors import UntraceableError
from gradsweep.tracing.numpy.library import is_basic, library_of
from gradsweep.tracing.numpy.lines import user_line
from gradsweep.tracing.numpy.memory import (
    Index,
    Memory,
    Part,
    Places,
    Step,
    Whole,
    library_in_index,
    write,
)
from gradsweep.tracing.numpy.operators import Number, Operators

__all__ = ["Array"]


def _call(function: Any, *args: Any, **kwargs: Any) -> Any:
    return Array.apply(function, args, kwargs)


def _method(function: Any) -> Callable:
    def method(self: "Array", *args: Any, **kwargs: Any) -> Any:
        return _call(function, self, *args, **kwargs)

    return method


def _setter(name: str) -> Callable:
    def write_part(self: "Array", new: Any) -> None:
        if self.number:
            raise AttributeError(f"the part {name!r} of a number cannot be written")
        getattr(self, name)[...] = new

    return write_part


class Array(Operators):
    """A framework's array, as NumPy's.

    Args:
        memory: where its numbers lie, or the array itself.
        number: whose number a framework's array without dims is.

    Attributes:
        number: "" for an array, which may have no dims too.
    """

    __slots__ = ("memory", "number")

    # `call` sets it: the call of a method of a ufunc.
    apply_method: ClassVar[Callable[[np.ufunc, str, tuple, dict], Any]]

    def __init__(self, memory: Any, number: Number = "numpy"):
        self.memory: Memory = memory if isinstance(memory, Whole | Part) else Whole(memory)
        is_value = self.memory is not memory and not isinstance(memory, np.ndarray)
        self.number: Number = number if is_value and not memory.shape else ""

    def as_number(self, number: Number) -> "Array":
        """Return the same number as Python's or NumPy's, or as an array of its own for ""."""
        if self.number == number or self.ndim:
            return self
        return Array(self.value if number else Whole(self.value), number)

    # -- what it is

    @property
    def value(self) -> Any:
        """The framework's array, or NumPy's."""
        return self.memory.read()

    @property
    def is_traced(self) -> bool:
        return library_of(self.memory.root.value) is not None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.shape)

    @shape.setter
    def shape(self, new: Any) -> None:
        self.memory = self.reshape(new, copy=False).memory

    @property
    def ndim(self) -> int:
        return len(self.value.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    @property
    def dtype(self) -> np.dtype:  # type: ignore[override]
        value = self.value
        library = library_of(value)
        return value.dtype if library is None else library.dtype(value)

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return repr(self.value)

    def __format__(self, spec: str) -> str:
        try:
            return format(self.value, spec)
        except TypeError:  # JAX has no digits of a traced number to show
            return str(self.value)

    # -- NumPy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return Array.apply_method(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict) -> Any:
        return _call(function, *args, **kwargs)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if not self.is_traced:
            return np.array(self.value, dtype=dtype, copy=copy)
        raise UntraceableError(
            f"the function gives a traced value to code that makes a NumPy array of it, at "
            f"{user_line()}: no derivative passes through.\nThat code has no counterpart here: "
            f"write it with functions of NumPy's that have one (docs/how_to/numpy.md lists them); "
            f"or x.item(), if a constant is meant."
        )

    # -- what Python reads

    def _read(self) -> Any:
        """Return the value; a truth value as Python's, which it reads as `if` does."""
        return bool(self) if self.dtype.kind == "b" else self.value

    def __bool__(self) -> bool:
        return bool(self.value)

    def __int__(self) -> int:
        return int(self._read())

    def __float__(self) -> float:
        return float(self._read())

    def __complex__(self) -> complex:
        return complex(self._read())

    def __index__(self) -> int:
        return self._read().__index__()

    # -- elements

    def __getitem__(self, index: Any) -> Any:
        index = self._place(index)
        if is_basic(index):
            layout = self.memory.layout[index]
            if isinstance(layout, np.ndarray):
                return self.seen(Index(index), layout)
        value = self.value
        library = library_of(value) or library_in_index(index)
        found = value[index] if library is None else library.get(library.asarray(value), index)
        return found if library is None and not np.ndim(found) else Array(found)

    def __setitem__(self, index: Any, new: Any) -> None:
        index, new = self._place(index), _plain(new)
        if isinstance(new, list | tuple):
            new = _plain(_call(np.array, new))
        library = library_of(index)
        if library is not None and library.dtype(index).kind == "b" and np.ndim(new) == 0:
            spread = (1,) * (self.ndim - len(index.shape))
            mask = Array(index.reshape((*index.shape, *spread)))
            index, new = ..., _call(np.where, mask, new, self).value
        write(self.memory, index, new)

    def _place(self, index: Any) -> Any:
        """Return an index of arrays.

        Raises:
            IndexError: as NumPy does; JAX itself would take the nearest element.
        """
        items = index if isinstance(index, tuple) else (index,)
        found = [_plain(_call(np.array, i) if isinstance(i, list) else i) for i in items]
        if not any(map(library_of, found)):
            self.memory.layout[tuple(found)]
        return tuple(found) if isinstance(index, tuple) else found[0]

    def seen(self, step: Step, layout: np.ndarray, is_read_only: bool = False) -> "Array":
        """Return an Array over the same memory, and one of its own where NumPy would copy."""
        if self.number:
            return self.as_number("").seen(step, layout, is_read_only)
        is_read_only = is_read_only or self.memory.is_read_only
        memory = Part(self.memory, step, layout, is_read_only)
        # A block of memory in C's order has a view for every step.
        is_block = isinstance(self.memory, Whole) and self.memory.model is None
        if is_block or np.may_share_memory(layout, self.memory.layout):
            return Array(memory)
        return Array(Whole(memory.read()))

    # -- methods

    T = property(_method(np.transpose))
    real = property(_method(np.real), _setter("real"))
    imag = property(_method(np.imag), _setter("imag"))
    sum, prod, mean = _method(np.sum), _method(np.prod), _method(np.mean)
    var, std, max, min = _method(np.var), _method(np.std), _method(np.max), _method(np.min)
    any, all = _method(np.any), _method(np.all)
    cumsum, cumprod, dot = _method(np.cumsum), _method(np.cumprod), _method(np.dot)
    argmax, argmin, argsort = _method(np.argmax), _method(np.argmin), _method(np.argsort)
    ravel, squeeze, swapaxes = _method(np.ravel), _method(np.squeeze), _method(np.swapaxes)
    diagonal, trace, repeat = _method(np.diagonal), _method(np.trace), _method(np.repeat)
    take, clip, round = _method(np.take), _method(np.clip), _method(np.round)
    conj = conjugate = _method(np.conj)

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> "Array":
        wanted = shape[0] if len(shape) == 1 else shape
        return _call(np.reshape, self, wanted, order=order, copy=copy)

    def view(self, *kinds: Any, **named: Any) -> "Array":
        """Return an Array over the same memory.

        Raises:
            UntraceableError: when it is to be seen as another dtype or type.
        """
        if kinds not in ((), (self.dtype,), (self.dtype.type,)) or named:
            raise UntraceableError(
                f"the function takes a view of an array as another type, at {user_line()}: traced "
                f"numbers have no bytes.\nWrite a.astype(dtype)."
            )
        return self[...]

    def transpose(self, *axes: Any) -> "Array":
        if not axes or axes == (None,):
            return _call(np.transpose, self)
        return _call(np.transpose, self, axes[0] if len(axes) == 1 else axes)

    def copy(self, order: Any = "C") -> "Array":
        value = self.value
        if self.number:
            return self.as_number("numpy")
        if library_of(value) is None:
            return Array(Whole(value.copy(order)))
        model = np.empty_like(self.memory.layout, order=order) if self.ndim > 1 else None
        return Array(Whole(value, model=model))

    def __copy__(self) -> "Array":
        return self.copy()

    def __deepcopy__(self, memo: dict) -> "Array":
        return self.copy()

    def flatten(self, order: str = "C") -> "Array":
        return self.copy().reshape(-1, order=order)

    def astype(self, dtype: Any, *_: Any, copy: bool = True, **__: Any) -> "Array":
        value = self.value
        if not copy and np.dtype(dtype) == self.dtype:
            return self
        library = library_of(value)
        if self.number:
            return Array(library.cast(value, dtype), self.number)  # type: ignore[union-attr]
        found = np.array(value, dtype) if library is None else library.cast(value, dtype)
        return Array(Whole(found, model=np.empty_like(self.memory.layout)))

    @property
    def flat(self) -> "Array":
        if self.memory.layout.flags.c_contiguous:
            return self.reshape(-1)
        if not self.is_traced:
            raise UntraceableError(
                f"the function takes .flat of an array that is no block of memory, at "
                f"{user_line()}.\nTake a copy first, or write a[i, j] = x."
            )
        in_a_row = Places(np.arange(self.size), np.ravel)
        return Array(Part(self.memory, in_a_row, np.empty(self.size, dtype=bool)))

    def fill(self, value: Any) -> None:
        self[...] = value

    def sort(self, axis: int = -1) -> None:
        self[...] = _call(np.sort, self, axis=axis)

    def item(self, *index: Any) -> Any:
        return (self[index if len(index) > 1 else index[0]] if index else self).value.item()

    def tolist(self) -> Any:
        return self.value.tolist()

    def __getattr__(self, name: str) -> Any:
        """Return what NumPy's arrays have besides, or the framework's alone, as x.sigmoid().

        Raises:
            UntraceableError: for what NumPy's have and no row computes.
            AttributeError: for what neither has.
        """
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "is_integer" and self.number and self.dtype.kind != "c":
            return lambda: (self % 1.0 == 0).as_number("python")
        value = self.value
        library = library_of(value)
        if library is not None and hasattr(np.ndarray, name):
            return _of_numpy(self, name)
        if library is not None and not hasattr(value, name):
            raise AttributeError(
                f"neither NumPy's arrays nor {library.name}'s have an attribute {name!r}, at "
                f"{user_line()}",
                name=name,
                obj=value,
            )
        found = getattr(value, name)
        if not callable(found):
            return found if library_of(found) is None else Array(found)

        def method(*args: Any, **kwargs: Any) -> Any:
            result = found(*map(_plain, args), **{k: _plain(v) for k, v in kwargs.items()})
            return result if library_of(result) is None else Array(result)

        return method


def _of_numpy(array: Array, name: str) -> Any:
    """Return a method that is a function of NumPy's too, or what an attribute tells."""
    if name in ("itemsize", "nbytes"):
        return array.dtype.itemsize * (array.size if name == "nbytes" else 1)
    if name == "mT":
        return _call(np.swapaxes, array, -1, -2)
    function = getattr(np, name, None)
    if not callable(function):
        raise UntraceableError(
            f"the function takes .{name} of a traced array, at {user_line()}: "
            f"it has no counterpart."
        )
    return lambda *args, **kwargs: _call(function, array, *args, **kwargs)


def _plain(value: Any) -> Any:
    """Return arrays in place of the Arrays in an index or an argument."""
    if isinstance(value, Array):
        held = value.value
        return held.item() if isinstance(held, np.ndarray) and not held.ndim else held
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if isinstance(value, slice):
        return slice(*(_end(part) for part in (value.start, value.stop, value.step)))
    return value


def _end(value: Any) -> Any:
    return value if value is None else int(value.__index__())
