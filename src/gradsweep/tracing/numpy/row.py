"""A row of the tables: a function of NumPy's, and what computes it in each framework."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from gradsweep.support.errors import UntraceableError
from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.library import Library, library_of, resolve
from gradsweep.tracing.numpy.lines import user_line

__all__ = ["Composed", "Native", "Row", "View", "shown", "unwrapped"]


def shown(function: Any) -> str:
    """Return the name of a function as people write it: np.linalg.det, math.exp."""
    module = str(getattr(function, "__module__", "") or "numpy")
    if isinstance(function, np.ufunc):
        is_numpys = getattr(np, function.__name__, None) is function
        module = "numpy" if is_numpys else "scipy.special"
    name = getattr(function, "__name__", type(function).__name__)
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


def _as_array(value: Any) -> Any:
    return Array.apply(np.array, (value,), {}) if isinstance(value, list | tuple) else value


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
    """

    function: Any

    # Whether the result may share memory with the first argument, as a view does.
    is_view: ClassVar[bool] = False

    @property
    def is_ufunc(self) -> bool:
        return isinstance(self.function, np.ufunc)

    @property
    def takes(self) -> frozenset[str]:
        """The names of the options that it computes itself."""
        return frozenset()

    def call(self, library: Library | None, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Compute it; without a library nothing is traced."""
        raise NotImplementedError

    def _refused(self, error: TypeError) -> Exception:
        text = str(error)
        if "unexpected keyword" not in text and "positional argument" not in text:
            return error
        return UntraceableError(
            f"the function calls {shown(self.function)} with an option that has no counterpart, at "
            f"{user_line()} ({text}).\nLeave the option out."
        )


@dataclass(frozen=True, eq=False)
class Native(Row):
    """An operation of each framework.

    Attributes:
        torch, jax: the dotted name of the framework's own, or a function of its arrays.
        n_arrays: how many of the first arguments are arrays; the others choose, as axis does.
        is_sequence: whether the first argument is a list of arrays.
    """

    torch: str | Callable[..., Any]
    jax: str | Callable[..., Any]
    n_arrays: int = 1
    is_sequence: bool = False

    def call(self, library: Library | None, args: tuple, kwargs: dict[str, Any]) -> Any:
        assert library is not None
        found = self.torch if library.name == "torch" else self.jax
        function = resolve(found) if isinstance(found, str) else found
        given = tuple(map(unwrapped, args))
        arrays, rest = given[: self.n_arrays], given[self.n_arrays :]
        if self.is_sequence:
            arrays = ([library.asarray(part) for part in arrays[0]],)
        else:
            keeps = found if isinstance(found, str) else ""
            arrays = _operands(arrays, library, keeps.startswith("operator."))
        options = {name: unwrapped(value) for name, value in kwargs.items()}
        try:
            return _wrapped(function(*arrays, *rest, **options))
        except TypeError as error:
            raise self._refused(error) from error


def _operands(values: tuple, library: Library, keeps_numbers: bool) -> tuple:
    """Return values as arrays of a library; a number takes the dtype of what stands beside it."""
    found = []
    dtypes = [library.dtype(value) for value in values if library_of(value) is not None]
    floating = next((dtype for dtype in dtypes if dtype.kind in "fc"), None)
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


@dataclass(frozen=True, eq=False)
class Composed(Row):
    """An operation that is written with other functions of NumPy's, on Arrays.

    Attributes:
        written: takes NumPy's arguments; Arrays, and NumPy's own values, enter and leave.
        n_arrays: how many of the first arguments are arrays where NumPy takes lists for them.
    """

    written: Callable[..., Any]
    n_arrays: int = 0

    @cached_property
    def _options(self) -> frozenset[str]:
        return frozenset(inspect.signature(self.written).parameters)

    @property
    def takes(self) -> frozenset[str]:
        return self._options

    def call(self, library: Library | None, args: tuple, kwargs: dict[str, Any]) -> Any:
        try:
            arrays = map(_as_array, args[: self.n_arrays])
            return _wrapped(self.written(*arrays, *args[self.n_arrays :], **kwargs))
        except TypeError as error:
            raise self._refused(error) from error


@dataclass(frozen=True, eq=False)
class View(Composed):
    """A Composed row that NumPy makes a view for: what is written into it is seen in its base."""

    is_view: ClassVar[bool] = True
