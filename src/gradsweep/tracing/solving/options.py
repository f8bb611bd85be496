"""The options of an equation, read: the limits of a bracket, the tolerance and the most steps."""

import math
import numbers
import operator
from typing import Any

import numpy as np

from gradsweep.request.framework import framework_of
from gradsweep.support.errors import ArgumentError, GradsweepError
from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.row import unwrapped

__all__ = ["function_in", "limits_in", "require_tolerance", "steps_in"]


def function_in(what: str, value: Any) -> Any:
    """Return the residual or the update of an equation.

    Raises:
        ArgumentError: when it is no function.
    """
    if not callable(value):
        raise ArgumentError(f"the {what} of an equation is {value!r}; give a function of y.")
    return value


def steps_in(max_steps: Any) -> int:
    """Return the most steps of a search, which any integer tells.

    Raises:
        ArgumentError: when it is none, or less than 1.
    """
    try:
        n = 0 if isinstance(max_steps, bool) else operator.index(max_steps)
    except (TypeError, GradsweepError):
        if _is_of_a_framework(max_steps):
            raise ArgumentError(
                "max_steps is a value that is swept or traced, and the steps are counted before "
                "any value is known.\nTo try several, sweep them with gs.each([50, 100])."
            ) from None
        n = 0
    if n < 1:
        raise ArgumentError(f"max_steps is {max_steps!r}; give a number of steps of at least 1.")
    return n


def require_tolerance(tol: Any) -> None:
    """Check a tolerance, as far as it is known.

    Raises:
        ArgumentError: when it is no number, or not within 0 <= tol < 1.
    """
    if tol is None:
        return
    if not _is_a_number(tol):
        raise ArgumentError(f"tol is {tol!r}; give a number, such as 1e-13.")
    if _is_known(tol) and not tol >= 0:
        raise ArgumentError(f"tol is {tol!r}; give a number of at least 0, such as 1e-13.")
    if _is_known(tol) and not tol < 1:
        raise ArgumentError(
            f"tol is {tol!r}, and steps are compared with tol * max(1, |y|): the first would be "
            f"the last.\nGive a number below 1, such as 1e-13."
        )


def limits_in(bracket: Any) -> tuple[Any, Any] | None:
    """Return the two limits of a bracket: of a tuple, a list or an array.

    Raises:
        ArgumentError: when it has not two, or they are none, as far as they are known.
    """
    if bracket is None:
        return None
    shape = tuple(bracket.shape) if _is_array(bracket) else ()
    if isinstance(bracket, tuple | list):
        shape = (len(bracket),)
    if shape != (2,):
        raise ArgumentError(f"bracket is {bracket!r}; give its two limits, (low, high).")
    low, high = (_without_dims(bracket[k]) for k in (0, 1))
    if not _is_a_number(low) or not _is_a_number(high):
        raise ArgumentError(f"bracket is {bracket!r}; its limits are two numbers, (low, high).")
    known = [limit for limit in (low, high) if _is_known(limit)]
    if not all(map(math.isfinite, known)):
        raise ArgumentError(f"bracket is {bracket!r}; its limits are finite numbers.")
    if len(known) == 2 and known[0] > known[1]:
        raise ArgumentError(
            f"bracket is {bracket!r}; its lower limit comes first: ({known[1]!r}, {known[0]!r})."
        )
    return low, high


def _without_dims(value: Any) -> Any:
    return value[()] if isinstance(value, np.ndarray) and not value.ndim else value


def _is_a_number(value: Any) -> bool:
    """Tell whether a value is a real number, or may be one once it is known."""
    if _is_of_a_framework(value):
        return True
    value = _without_dims(value)
    return isinstance(value, numbers.Number | np.bool_) and not isinstance(
        value, complex | np.complexfloating
    )


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or _is_of_a_framework(value)


def _is_of_a_framework(value: Any) -> bool:
    return isinstance(value, Array) or framework_of(unwrapped(value)) != ""


def _is_known(value: Any) -> bool:
    """Tell whether a value is a number of Python's or NumPy's, which no sweep varies."""
    return isinstance(value, int | float | np.number)
