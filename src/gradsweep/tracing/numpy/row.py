"""A row of the tables: a function of NumPy's, and what computes it in each framework."""

import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, ClassVar

import numpy as np

from gradsweep.support.errors import UntraceableError
from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.library import Library, library_of, resolve
from gradsweep.tracing.numpy.lines import user_line
from gradsweep.tracing.numpy.operators import Number

__all__ = [
    "Composed",
    "Native",
    "Row",
    "View",
    "array_of",
    "as_array",
    "detached",
    "shown",
    "unwrapped",
]


def shown(function: Any) -> str:
    """Return the name of a function as people write it: np.linalg.det, math.exp."""
    module = str(getattr(function, "__module__", "") or "numpy")
    if isinstance(function, np.ufunc):
        if function.__name__.endswith(" (vectorized)"):
            return "what np.frompyfunc has made"
        is_numpys = getattr(np, function.__name__, None) is function
        module = "numpy" if is_numpys else "scipy.special"
    name = getattr(function, "__name__", type(function).__name__)
    module = ".".join(part for part in module.split(".") if not part.startswith("_"))
    return f"{module.replace('numpy', 'np', 1)}.{name}"


def unwrapped(value: Any) -> Any:
    """Return arrays in place of the Arrays in an argument, or in a list or tuple."""
    if isinstance(value, Array):
        return value.value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(unwrapped, value))
    if isinstance(value, list | tuple):
        return type(value)(map(unwrapped, value))
    return value


def as_array(value: Any) -> Any:
    """Return a list or tuple, whose numbers may be traced, as an Array; anything else as it is."""
    return Array.apply(np.array, (value,), {}) if isinstance(value, list | tuple) else value


def array_of(value: Any) -> Array:
    """Return what NumPy makes an array of as an Array; a number as one of no dims."""
    found = Array.apply(np.asarray, (value,), {})
    return found if isinstance(found, Array) else Array(np.asarray(found))


def detached(a: Array) -> Any:
    """Return an Array of the same numbers, which have no derivative."""
    library = library_of(a.value)
    return a if library is None else Array(library.detached(a.value))


def _wrapped(result: Any) -> Any:
    if library_of(result) is not None or isinstance(result, np.ndarray):
        return Array(result)
    if isinstance(result, list | tuple):
        return tuple(map(_wrapped, result))
    return result


@dataclass(frozen=True, eq=False)
class Row:
    """What stands for a function of NumPy's where an argument is traced.

    Attributes:
        function: NumPy's own, or that of math or scipy.special.
        number: whose number a result without dims is; "" where NumPy makes an array of it, and
            None where it is what it was.
    """

    function: Any
    number: Number | None = field(default="numpy", kw_only=True)

    # Whether the result may share memory with the first argument, as a view does.
    is_view: ClassVar[bool] = False

    @property
    def is_ufunc(self) -> bool:
        return isinstance(self.function, np.ufunc)

    @property
    def own(self) -> frozenset[str]:
        """The names of options that mean something to it and nothing to most others, as dtype."""
        return frozenset()

    def takes(self, library: Library | None) -> frozenset[str]:
        """The names of the options that it computes in a framework, "**" for any."""
        raise NotImplementedError

    def call(self, library: Library | None, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Compute it; without a library nothing is traced.

        Raises:
            UntraceableError: when an option is none of those that it takes.
        """
        takes = self.takes(library)
        for name in kwargs:
            if name not in takes and "**" not in takes:
                raise UntraceableError(
                    f"the function calls {shown(self.function)} with {name}=, which has no "
                    f"counterpart, at {user_line()}.\nWrite it without {name}=."
                )
        return self._as_numbers(self.compute(library, args, kwargs))

    def _as_numbers(self, result: Any) -> Any:
        if self.number is None:
            return result
        if isinstance(result, Array):
            return result.as_number(self.number)
        if isinstance(result, tuple) and hasattr(result, "_fields"):
            return type(result)(*map(self._as_numbers, result))
        if isinstance(result, tuple):
            return tuple(map(self._as_numbers, result))
        return result

    def compute(self, library: Library | None, args: tuple, kwargs: dict[str, Any]) -> Any:
        raise NotImplementedError


@cache
def _named(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names of a function's parameters, "**" for any; none where it tells none."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return frozenset()
    return frozenset("**" if one.kind is one.VAR_KEYWORD else one.name for one in parameters)


# Options that are arrays: NumPy takes lists for them, and a framework may not.
_ARRAYS = frozenset("where b sorter a_min a_max min max".split())

# What takes Python's numbers as they are.
_KEEPS_NUMBERS = ("operator.", "own.subtract")


@dataclass(frozen=True, eq=False)
class Native(Row):
    """An operation of each framework.

    Attributes:
        torch, jax: the dotted name of the framework's own, or a function of its arrays.
        n_arrays: how many of the first arguments are arrays; the others choose, as axis does.
        is_sequence: whether the first argument is a list of arrays.
        names: the named tuple that NumPy returns, where it does.
    """

    torch: str | Callable[..., Any]
    jax: str | Callable[..., Any]
    n_arrays: int = 1
    is_sequence: bool = False
    names: Callable[..., tuple] | None = None

    def _own(self, library: Library | None) -> tuple[str, Callable[..., Any]]:
        """Return a framework's function, and its name where it has one."""
        assert library is not None
        found = self.torch if library.name == "torch" else self.jax
        return (found, resolve(found)) if isinstance(found, str) else ("", found)

    def takes(self, library: Library | None) -> frozenset[str]:
        return _named(self._own(library)[1])

    @cached_property
    def _gives_floats(self) -> bool:
        """Whether NumPy's function makes floats of integers."""
        whole = np.eye(2, dtype=np.int64)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = self.function(*(whole,) * self.n_arrays)
            except (TypeError, ValueError):
                return False
        found = found[-1] if isinstance(found, tuple) else found
        return np.asarray(found).dtype.kind in "fc"

    def compute(self, library: Library | None, args: tuple, kwargs: dict[str, Any]) -> Any:
        assert library is not None
        name, function = self._own(library)
        given = tuple(map(unwrapped, args))
        arrays, rest = given[: self.n_arrays], given[self.n_arrays :]
        if self.is_sequence:
            arrays = ([library.asarray(part) for part in arrays[0]],)
        else:
            arrays = _operands(arrays, library, name.startswith(_KEEPS_NUMBERS))
            if self._gives_floats:
                arrays = _as_floats(arrays, library)
        options = {name: unwrapped(value) for name, value in kwargs.items()}
        for name in _ARRAYS & options.keys():
            if isinstance(options[name], list | tuple):
                options[name] = library.asarray(options[name])
        try:
            found = _wrapped(function(*arrays, *rest, **options))
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            if type(error) in (RuntimeError, TypeError, ValueError, IndexError):
                shapes = " and ".join(str(tuple(np.shape(one))) for one in given[: self.n_arrays])
                error.add_note(f"in {shown(self.function)} of {shapes}, at {user_line()}")
            raise
        if self.is_ufunc and self.function.signature is None:  # it works element by element
            _lay_out(found, args[: self.n_arrays])
        is_named = self.names is not None and isinstance(found, tuple)
        return self.names(*found) if is_named else found  # type: ignore[misc]


def _lay_out(result: Array, operands: tuple) -> None:
    """Let the axes of a result lie in memory as NumPy's would, which keeps the order of operands.

    Whether a later change of its shape is a view depends on it.
    """
    layouts = [one.memory.layout for one in operands if isinstance(one, Array)]
    if not all(layout.flags.c_contiguous for layout in layouts):
        model = np.empty_like(sum(layouts, start=np.bool_(False)), dtype=bool)
        if model.shape == result.shape:
            result.memory.root.model = model


def _operands(values: tuple, library: Library, keeps_numbers: bool) -> tuple:
    """Return values as arrays of a library; a number takes the dtype of what stands beside it."""
    found = []
    floating = _floating(values, library)
    for value in values:
        if library_of(value) is None:
            if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim):
                value = value.item()
            is_number = isinstance(value, bool | int | float | complex)
            if not is_number or (library.name == "torch" and not keeps_numbers):
                is_float = isinstance(value, float) and floating is not None
                value = library.asarray(value)
                value = library.cast(value, floating) if is_float else value
        found.append(value)
    return tuple(found)


def _floating(values: tuple, library: Library, default: np.dtype | None = None) -> np.dtype | None:
    """Return the dtype of the first of the arrays that holds floats or complex numbers."""
    dtypes = (library.dtype(one) for one in values if library_of(one) is not None)
    return next((dtype for dtype in dtypes if dtype.kind in "fc"), default)


def _as_floats(values: tuple, library: Library) -> tuple:
    """Return integers and truth values with the dtype of the floats beside them, or as float64.

    A framework may make float32 of them, and torch has no derivative beside a truth value.
    """
    floating = _floating(values, library, np.dtype(np.float64))

    def as_float(value: Any) -> Any:
        is_whole = library_of(value) is not None and library.dtype(value).kind in "biu"
        return library.cast(value, floating) if is_whole else value

    return tuple(map(as_float, values))


@dataclass(frozen=True, eq=False)
class Composed(Row):
    """An operation that is written with other functions of NumPy's, on Arrays.

    Attributes:
        written: takes NumPy's arguments; Arrays, and NumPy's own values, enter and leave.
        n_arrays: how many of the first arguments are arrays where NumPy takes lists for them.
    """

    written: Callable[..., Any]
    n_arrays: int = 0

    @property
    def own(self) -> frozenset[str]:
        return _named(self.written)

    def takes(self, library: Library | None) -> frozenset[str]:
        return self.own

    def compute(self, library: Library | None, args: tuple, kwargs: dict[str, Any]) -> Any:
        arrays = map(as_array, args[: self.n_arrays])
        return _wrapped(self.written(*arrays, *args[self.n_arrays :], **kwargs))


@dataclass(frozen=True, eq=False)
class View(Composed):
    """A Composed row that NumPy makes a view for: what is written into it is seen in its base."""

    is_view: ClassVar[bool] = True
    number: Number | None = field(default="", kw_only=True)
