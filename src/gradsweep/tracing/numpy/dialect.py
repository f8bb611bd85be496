"""Call a function that is written with NumPy on a framework's arrays.

A bound function enters. One leaves that wraps the framework's arrays that it is called with, runs
the function's code on them, and unwraps what it returns.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gradsweep.request import pytree
from gradsweep.request.framework import names_numpy
from gradsweep.request.function import BoundFunction
from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.code import Code
from gradsweep.tracing.numpy.library import Library, library_of

__all__ = ["in_dialect"]


def in_dialect(bound: BoundFunction) -> BoundFunction:
    """Return a function that frameworks can trace, where it is written with NumPy or math."""
    if bound.call is not bound.function or not names_numpy(bound.function):
        return bound
    return replace(bound, call=_InDialect(bound.function))


class _InDialect:
    """A function written with NumPy, which takes a framework's arrays and returns them."""

    def __init__(self, function: Callable[..., Any]):
        self._function = function
        self._code = Code().replaced(function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        libraries: list[Library] = []

        def wrapped(_: pytree.Path, value: Any) -> Any:
            library = library_of(value)
            if library is None:
                return value
            libraries.append(library)
            return Array(value)

        args = tuple(pytree.map_leaves(wrapped, value) for value in args)
        kwargs = {name: pytree.map_leaves(wrapped, value) for name, value in kwargs.items()}
        if not libraries:  # called with plain numbers
            return self._function(*args, **kwargs)

        def unwrapped(_: pytree.Path, value: Any) -> Any:
            if isinstance(value, Array):
                value = value.value
            return libraries[0].asarray(value) if isinstance(value, np.ndarray) else value

        return pytree.map_leaves(unwrapped, self._code(*args, **kwargs))
