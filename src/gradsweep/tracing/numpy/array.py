"""What a function written with NumPy gets in place of NumPy's arrays and numbers.

An Array holds a framework's array, or NumPy's where nothing depends on an argument. Operators,
methods and NumPy's own functions on it are looked up in the tables of operations/.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from gradsweep.support.errors import UntraceableError
from gradsweep.tracing.numpy.library import is_basic, library_of
from gradsweep.tracing.numpy.lines import user_line
from gradsweep.tracing.numpy.memory import (
    Index,
    Memory,
    Part,
    Step,
    Whole,
    library_in_index,
    write,
)

__all__ = ["Array"]

_OPERANDS = (bool, int, float, complex, np.ndarray, np.generic, list, tuple)


def _call(function: Any, *args: Any, **kwargs: Any) -> Any:
    return Array.apply(function, args, kwargs)


def _forward(ufunc: np.ufunc) -> Callable:
    """Return the method of an operator with the Array on its left."""

    def method(self: "Array", other: Any) -> Any:
        return _call(ufunc, self, other) if _is_operand(other) else NotImplemented

    return method


def _operators(ufunc: np.ufunc) -> tuple[Callable, Callable, Callable]:
    """Return the methods of a binary operator: forward, reflected and in place."""

    def reflected(self: "Array", other: Any) -> Any:
        return _call(ufunc, other, self) if _is_operand(other) else NotImplemented

    def in_place(self: "Array", other: Any) -> Any:
        if not _is_operand(other):
            return NotImplemented
        new = _call(ufunc, self, other)
        if self.ndim == 0:  # a number of NumPy's: y = x; y += 1 leaves x as it is
            return new
        kinds = "biufc"
        if kinds.index(self.dtype.kind) < 3 <= kinds.index(new.dtype.kind):
            raise TypeError(
                f"Cannot cast the output of {ufunc.__name__} from {new.dtype} to {self.dtype}: "
                f"the array that is written into holds integers"
            )
        self[...] = new
        return self

    return _forward(ufunc), reflected, in_place


def _powers() -> tuple[Callable, Callable, Callable]:
    """Return the methods of `**`: an integer to a traced integer is a float, as of Python's.

    10 ** n is 0.01 where n is -2, and what n is differs from point to point.
    """
    forward, reflected, in_place = _operators(np.power)

    def is_traced_integer(value: Any) -> bool:
        return isinstance(value, Array) and value.is_traced and value.dtype.kind in "iu"

    def power(self: "Array", other: Any) -> Any:
        is_whole = self.dtype.kind in "iu" and is_traced_integer(other)
        return forward(self.astype(float) if is_whole else self, other)

    def of_other(self: "Array", other: Any) -> Any:
        is_whole = type(other) is int and is_traced_integer(self)
        return reflected(self, float(other) if is_whole else other)

    return power, of_other, in_place


def _unary(function: Any) -> Callable:
    def method(self: "Array", *args: Any, **kwargs: Any) -> Any:
        return _call(function, self, *args, **kwargs)

    return method


def _is_operand(value: Any) -> bool:
    return isinstance(value, (Array, *_OPERANDS)) or library_of(value) is not None


class Array:
    """A framework's array, as NumPy's.

    Args:
        memory: where its numbers lie, or the array itself.
    """

    __slots__ = ("memory",)

    # `call` sets them: calls of a function of NumPy's, and of a method of a ufunc.
    apply: ClassVar[Callable[[Any, tuple, Mapping[str, Any]], Any]]
    apply_method: ClassVar[Callable[[np.ufunc, str, tuple, dict], Any]]

    def __init__(self, memory: Any):
        self.memory: Memory = memory if isinstance(memory, Whole | Part) else Whole(memory)

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

    @property
    def ndim(self) -> int:
        return len(self.value.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    @property
    def dtype(self) -> np.dtype:
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

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return repr(self.value)

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

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

    def __bool__(self) -> bool:
        return bool(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __complex__(self) -> complex:
        return complex(self.value)

    def __index__(self) -> int:
        return self.value.__index__()

    # -- operators

    __add__, __radd__, __iadd__ = _operators(np.add)
    __sub__, __rsub__, __isub__ = _operators(np.subtract)
    __mul__, __rmul__, __imul__ = _operators(np.multiply)
    __truediv__, __rtruediv__, __itruediv__ = _operators(np.true_divide)
    __floordiv__, __rfloordiv__, __ifloordiv__ = _operators(np.floor_divide)
    __mod__, __rmod__, __imod__ = _operators(np.remainder)
    __pow__, __rpow__, __ipow__ = _powers()
    __matmul__, __rmatmul__, __imatmul__ = _operators(np.matmul)
    __and__, __rand__, __iand__ = _operators(np.bitwise_and)
    __or__, __ror__, __ior__ = _operators(np.bitwise_or)
    __xor__, __rxor__, __ixor__ = _operators(np.bitwise_xor)
    __divmod__, __rdivmod__, _ = _operators(np.divmod)
    __lt__, __le__ = _forward(np.less), _forward(np.less_equal)
    __gt__, __ge__ = _forward(np.greater), _forward(np.greater_equal)
    __eq__, __ne__ = _forward(np.equal), _forward(np.not_equal)  # type: ignore[assignment]
    __neg__, __pos__, __abs__ = _unary(np.negative), _unary(np.positive), _unary(np.absolute)
    __invert__ = _unary(np.invert)
    del _

    def __round__(self, ndigits: int | None = None) -> Any:
        return _call(np.round, self, ndigits or 0)

    def __floor__(self) -> Any:
        return _call(np.floor, self).astype(np.int64)

    def __ceil__(self) -> Any:
        return _call(np.ceil, self).astype(np.int64)

    def __trunc__(self) -> Any:
        return _call(np.trunc, self).astype(np.int64)

    # -- elements

    def __getitem__(self, index: Any) -> Any:
        index = self._place(index)
        if is_basic(index):
            layout = self.memory.layout[index]
            if isinstance(layout, np.ndarray):
                return self.view(Index(index), layout)
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

    def view(self, step: Step, layout: np.ndarray) -> "Array":
        """Return an Array over the same memory, and one of its own where NumPy would copy."""
        memory = Part(self.memory, step, layout)
        if np.may_share_memory(layout, self.memory.layout) or isinstance(self.memory, Whole):
            return Array(memory)
        return Array(memory.read())

    # -- methods

    T = property(_unary(np.transpose))
    real = property(_unary(np.real))
    imag = property(_unary(np.imag))
    sum, prod, mean = _unary(np.sum), _unary(np.prod), _unary(np.mean)
    var, std, max, min = _unary(np.var), _unary(np.std), _unary(np.max), _unary(np.min)
    any, all = _unary(np.any), _unary(np.all)
    cumsum, cumprod, dot = _unary(np.cumsum), _unary(np.cumprod), _unary(np.dot)
    argmax, argmin, argsort = _unary(np.argmax), _unary(np.argmin), _unary(np.argsort)
    ravel, squeeze, swapaxes = _unary(np.ravel), _unary(np.squeeze), _unary(np.swapaxes)
    diagonal, trace, repeat = _unary(np.diagonal), _unary(np.trace), _unary(np.repeat)
    take, clip, round, conj = _unary(np.take), _unary(np.clip), _unary(np.round), _unary(np.conj)
    conjugate = _unary(np.conj)

    def reshape(self, *shape: Any, order: str = "C") -> "Array":
        return _call(np.reshape, self, shape[0] if len(shape) == 1 else shape, order=order)

    def transpose(self, *axes: Any) -> "Array":
        if not axes or axes == (None,):
            return _call(np.transpose, self)
        return _call(np.transpose, self, axes[0] if len(axes) == 1 else axes)

    def copy(self, order: str = "C") -> "Array":
        value = self.value
        return Array(value.copy() if library_of(value) is None else value)

    def flatten(self, order: str = "C") -> "Array":
        return self.copy().reshape(-1, order=order)

    def astype(self, dtype: Any, **_: Any) -> "Array":
        value = self.value
        library = library_of(value)
        return Array(np.array(value, dtype) if library is None else library.cast(value, dtype))

    @property
    def flat(self) -> "Array":
        if not self.memory.layout.flags.c_contiguous:
            raise UntraceableError(
                f"the function takes .flat of an array that is no block of memory, at "
                f"{user_line()}.\nTake a copy first, or write a[i, j] = x."
            )
        return self.reshape(-1)

    def fill(self, value: Any) -> None:
        self[...] = value

    def sort(self, axis: int = -1) -> None:
        self[...] = _call(np.sort, self, axis=axis)

    def item(self, *index: Any) -> Any:
        return (self[index if len(index) > 1 else index[0]] if index else self).value.item()

    def tolist(self) -> Any:
        return self.value.tolist()

    def __getattr__(self, name: str) -> Any:
        """Return an attribute that the framework's array has and NumPy's lacks, as x.sigmoid()."""
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self.value, name)
        if not callable(found):
            return found if library_of(found) is None else Array(found)

        def method(*args: Any, **kwargs: Any) -> Any:
            result = found(*map(_plain, args), **{k: _plain(v) for k, v in kwargs.items()})
            return result if library_of(result) is None else Array(result)

        return method


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
