"""Run a function's own code with NumPy's functions replaced, where NumPy would ask no array.

A function enters; one of the same code leaves, over globals and closures in which the modules and
functions of NumPy, math, cmath and scipy are replaced, and the user's own helpers are treated
likewise.
The user's modules are only read: what the code writes into a global stays here.
"""

import builtins
import functools
import types
from typing import Any

import numpy as np

from gradsweep.request.framework import (
    entries_of,
    is_numpy,
    is_table,
    is_users,
    is_users_class,
    is_users_module,
)
from gradsweep.request.identity import is_filled
from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.call import apply, apply_method
from gradsweep.tracing.numpy.kinds import BUILTINS, NumpyArray
from gradsweep.tracing.numpy.memory import Whole
from gradsweep.tracing.numpy.operations.special import Normal
from gradsweep.tracing.numpy.vectorized import Vectorized

__all__ = ["Code"]

# What functions of NumPy's, of math and of scipy's are.
_FUNCTIONS = np.ufunc | types.FunctionType | types.BuiltinFunctionType | type(np.sum)


class Function:
    """A function of NumPy's, which is called through the tables."""

    def __init__(self, own: Any):
        self._own = own
        functools.update_wrapper(self, own, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return apply(self._own, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._own, name)
        if isinstance(self._own, np.ufunc) and callable(found):
            return lambda *args, **kwargs: apply_method(self._own, name, args, kwargs)
        return found

    # It is found in a table whose keys are NumPy's functions.
    def __eq__(self, other: object) -> bool:
        return self._own is (other._own if isinstance(other, Function) else other)

    def __hash__(self) -> int:
        return hash(self._own)

    def __repr__(self) -> str:
        return repr(self._own)


class Module:
    """A module, as the code sees it: what it takes from it is replaced.

    What it sets stays here: the module itself is the user's.
    """

    def __init__(self, own: types.ModuleType, code: "Code"):
        self._own, self._code = own, code

    def __getattr__(self, name: str) -> Any:
        return self._code.replaced(getattr(self._own, name))

    def __dir__(self) -> list[str]:
        return dir(self._own)

    def __repr__(self) -> str:
        return repr(self._own)


class _Globals(dict):
    """The globals of a function: its module's, replaced as they are read."""

    def __init__(self, own: dict[str, Any], code: "Code"):
        super().__init__(__name__=own.get("__name__"), __builtins__=_builtins(own, code))
        self._own, self._code = own, code

    def __missing__(self, name: str) -> Any:
        return self._code.replaced(self._own[name])


def _builtins(own: dict[str, Any], code: "Code") -> dict[str, Any]:
    """Return Python's builtins, of which some ask for types, and one imports modules."""

    def imported(
        name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> Any:
        return code.replaced(builtins.__import__(name, own, locals, fromlist, level))

    return {**vars(builtins), **BUILTINS, "__import__": imported}


class Code:
    """Functions and modules, each with what is run in its place."""

    def __init__(self) -> None:
        # The originals are kept, so that no id is used twice.
        self._known: dict[int, tuple[Any, Any]] = {}
        self._globals: dict[int, _Globals] = {}

    def replaced(self, value: Any) -> Any:
        """Return what stands for a value: itself, where it has nothing of NumPy's."""
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        found = self._replaced(value)
        if found is not value:
            self._known[id(value)] = value, found
        return found

    def _replaced(self, value: Any) -> Any:
        if isinstance(value, types.ModuleType):
            return Module(value, self) if is_numpy(value) or is_users_module(value) else value
        if value is np.ndarray:
            return NumpyArray
        if value is np.vectorize:
            return Vectorized
        if isinstance(value, np.vectorize):
            return Vectorized.like(value, self.replaced(value.pyfunc))
        if isinstance(value, _FUNCTIONS) and is_numpy(value):
            return Function(value)
        if type(value) is np.ndarray and value.dtype.kind in "biufc":
            # What is computed from it and copied of it is the function's own, and written into.
            return Array(Whole(value, is_fixed=True))
        if type(value).__name__ == "norm_gen" and is_numpy(value):
            return Normal(value)
        if isinstance(value, types.FunctionType):
            return self._of_function(value)
        if isinstance(value, types.MethodType) and isinstance(value.__func__, types.FunctionType):
            return types.MethodType(self.replaced(value.__func__), self.replaced(value.__self__))
        if type(value) is functools.partial:
            named = {name: self.replaced(one) for name, one in value.keywords.items()}
            return functools.partial(
                self.replaced(value.func), *map(self.replaced, value.args), **named
            )
        if is_table(value):
            held = {key: self.replaced(one) for key, one in entries_of(value)}
            return held if isinstance(value, dict) else type(value)(held.values())
        return self._of_object(value) if _is_plain_object(value) else value

    def _of_object(self, value: Any) -> Any:
        """Return an object of the same attributes, whose methods run as f does."""
        kind = type(value)
        methods = {
            name: self._of_member(member)
            for base in reversed(kind.__mro__)
            if is_users(base.__module__)
            for name, member in vars(base).items()
        }
        seen = {name: member for name, member in methods.items() if member is not None}

        own: Any = kind.__getattribute__

        def attribute(self: Any, name: str) -> Any:
            held = own(self, name)
            return code.replaced(held) if isinstance(held, np.ndarray | _FUNCTIONS) else held

        code = self
        seen |= {"__module__": kind.__module__, "__getattribute__": attribute}
        found: Any = object.__new__(type(kind.__name__, (kind,), seen))
        object.__setattr__(found, "__dict__", value.__dict__)
        return found

    def _of_member(self, member: Any) -> Any:
        """Return a method, or what is made of one; None for anything else in a class."""
        match member:
            case types.FunctionType():
                return self.replaced(member)
            case staticmethod() | classmethod():
                return type(member)(self.replaced(member.__func__))
            case property():
                return property(
                    *(self.replaced(f) for f in (member.fget, member.fset, member.fdel))
                )
        return None

    def _of_function(self, function: types.FunctionType) -> Any:
        if not is_users(function.__globals__.get("__name__", "")):
            return function
        # A cell of plain data stays: what others write into it is seen.
        closure = function.__closure__ or ()
        cells = tuple(cell if _is_data(cell) else types.CellType() for cell in closure)
        found = types.FunctionType(
            function.__code__,
            self._globals_of(function.__globals__),
            function.__name__,
            function.__defaults__ and tuple(map(self.replaced, function.__defaults__)),
            cells if function.__closure__ is not None else None,
        )
        named = function.__kwdefaults__ or {}
        found.__kwdefaults__ = {name: self.replaced(one) for name, one in named.items()}
        found.__dict__.update(function.__dict__)
        found.__qualname__, found.__module__ = function.__qualname__, function.__module__
        # Known before its closure is read, which may hold the function itself.
        self._known[id(function)] = function, found
        for cell, own in zip(cells, closure):
            if cell is not own:
                cell.cell_contents = self.replaced(own.cell_contents)
        return found

    def _globals_of(self, own: dict[str, Any]) -> _Globals:
        if id(own) not in self._globals:
            self._globals[id(own)] = _Globals(own, self)
        return self._globals[id(own)]


_DATA = int | float | complex | str | bytes | list | tuple | dict | set | np.generic


def _is_data(cell: types.CellType) -> bool:
    return (
        not is_filled(cell) or cell.cell_contents is None or isinstance(cell.cell_contents, _DATA)
    )


def _is_plain_object(value: Any) -> bool:
    """Tell whether a value is of a class of the user's own that another class may extend."""
    kind = type(value)
    return (
        type(kind) is type
        and is_users_class(kind)
        and hasattr(value, "__dict__")
        and not any("__slots__" in vars(base) for base in kind.__mro__)
        and not any("__init_subclass__" in vars(base) for base in kind.__mro__[:-1])
    )
