"""Call a function that is written with NumPy on a framework's arrays.

A bound function enters. One leaves that wraps the framework's arrays that it is called with, runs
the function's code on them, and unwraps what it returns.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gradsweep.request import pytree
from gradsweep.request.framework import names_numpy, works_on_numbers
from gradsweep.request.function import BoundFunction
from gradsweep.support.errors import GradsweepError
from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.code import Code
from gradsweep.tracing.numpy.library import Library, library_of

__all__ = ["in_dialect"]


def in_dialect(bound: BoundFunction) -> BoundFunction:
    """Return a function that frameworks can trace, where it is written with NumPy or math.

    Or with operators alone that mean something else to Python's numbers than to a framework's
    arrays: after `y = x; y += 1` x is what it was, and a tensor would have been written into.
    """
    if bound.call is not bound.function:
        return bound
    if names_numpy(bound.function):
        return replace(bound, call=_InDialect(bound.function))
    # With tensors or JAX's arrays it may ask them for what is theirs alone.
    is_given_theirs = any(argument.origin for argument in bound.arguments)
    if works_on_numbers(bound.function) and not is_given_theirs:
        return replace(bound, call=_OnNumbers(bound.function))
    return bound


class _InDialect:
    """A function written with NumPy, which takes a framework's arrays and returns them."""

    def __init__(self, function: Callable[..., Any]):
        self._function = function
        self._own = Code()
        self._code = self._own.replaced(function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        libraries: list[Library] = []

        def wrapped(_: pytree.Path, value: Any) -> Any:
            library = library_of(value)
            if library is None:  # a function, or an array of integers
                return self._own.replaced(value)
            libraries.append(library)
            return Array(value, "python")

        args = tuple(pytree.map_leaves(wrapped, value) for value in args)
        kwargs = {name: pytree.map_leaves(wrapped, value) for name, value in kwargs.items()}
        if not libraries:  # called with plain numbers
            return self._function(*args, **kwargs)

        def unwrapped(_: pytree.Path, value: Any) -> Any:
            if isinstance(value, Array):
                value = value.value
            return libraries[0].asarray(value) if isinstance(value, np.ndarray) else value

        return pytree.map_leaves(unwrapped, self._code(*args, **kwargs))


class _OnNumbers(_InDialect):
    """A function of operators alone, as far as its code tells.

    It may find its framework while it runs, by importlib or from what it is given. Functions of a
    framework do not take what stands for NumPy's numbers, but they take its own arrays.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except GradsweepError:
            raise
        except (AttributeError, TypeError, ValueError) as error:
            try:
                return self._function(*args, **kwargs)
            except Exception:
                raise error from None
