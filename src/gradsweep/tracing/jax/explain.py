"""Say which line of the user's code JAX could not trace, and what to write instead.

Exceptions enter, the errors that a user meets leave.
"""

import importlib.util
import linecache
import os
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType, TracebackType
from typing import Any

import jax
import numpy as np

from gradsweep.request.function import BoundFunction
from gradsweep.support.errors import BranchError, GradsweepError, StatefulFunction, UntraceableError

__all__ = ["explained", "kept_value"]

_BRANCH = (
    "For `if`, `while`, `and`, `or` or `not` write jnp.where(condition, a, b), "
    "jax.lax.cond or jax.lax.while_loop, and for logic jnp.logical_and, & or |. "
    "To trace each value of an argument by itself, sweep it with gs.each([...])."
)
_NUMBER = (
    "Leave the value as JAX holds it: no float(), int(), range(), .item() or math.sin of it; "
    "for a loop write jax.lax.fori_loop or jax.lax.scan."
)
_ARRAY = "Call jax.numpy instead of NumPy: a NumPy function needs the numbers themselves."

_MASK = "The number of elements would vary from point to point: write jnp.where(mask, x, 0)."

# The same for a function that is written with NumPy, and knows nothing of JAX.
_IN_NUMPY = {
    _BRANCH: (
        "For `if`, `and`, `or` or `not` write np.where(condition, a, b), and for logic "
        "np.logical_and, & or |; torch follows branches. To trace each value of an argument by "
        "itself, sweep it with gs.each([...])."
    ),
    _NUMBER: (
        "Leave the value as it is: no float(), int(), range() or .item() of it, and functions that "
        "have a counterpart (docs/how_to/numpy.md lists them)."
    ),
    _ARRAY: "Write it with functions that have a counterpart: docs/how_to/numpy.md lists them.",
    _MASK: _MASK.replace("jnp.", "np."),
}

# What to write instead, for each of JAX's own errors; the most specific class comes first.
_ADVICE: dict[type[Exception], tuple[str, str]] = {
    jax.errors.TracerBoolConversionError: ("takes the truth value of", _BRANCH),
    jax.errors.TracerArrayConversionError: ("makes a NumPy array of", _ARRAY),
    jax.errors.TracerIntegerConversionError: ("makes a Python integer of", _NUMBER),
    jax.errors.NonConcreteBooleanIndexError: ("selects by a mask that depends on", _MASK),
    jax.errors.ConcretizationTypeError: ("makes a Python number of", _NUMBER),
}

# A function of NumPy or math, called by the names that these modules usually have.
_NUMERIC_CALL = re.compile(r"\b(?:math|np|numpy)\.(?:\w+\.)*(\w+)\(")


@contextmanager
def explained(bound: BoundFunction, point: Mapping[str, Any]) -> Iterator[None]:
    """Turn what JAX raises while tracing into an error that a user can act on.

    An exception of the function itself passes through, with a note of the point.
    """
    try:
        yield
    except GradsweepError as error:
        # JAX adds a note on the frames it hides to every exception that passes through it.
        error.__dict__.pop("__notes__", None)
        raise
    except tuple(_ADVICE) as error:
        raise BranchError(_describe(bound, error)) from error
    except jax.errors.UnexpectedTracerError as error:
        if "nondiff_argnums" in str(error):
            raise UntraceableError(
                f"{bound.name} passes a traced value to a custom rule as an argument that "
                f"nondiff_argnums names{_at(error.__traceback__)}.\nJAX takes such an argument for "
                f"static: leave it out of nondiff_argnums, and give it a derivative in the rule."
            ) from error
        raise kept_value(bound, _at(error.__traceback__)) from error
    except Exception as error:
        error.add_note(f"while tracing {bound.name} at {bound.describe(point)}")
        raise


def kept_value(bound: BoundFunction, where: str = "") -> StatefulFunction:
    """Return the error of a function that uses a value it stored during an earlier trace."""
    return StatefulFunction(
        f"{bound.name} uses a value that it kept from an earlier call{where}.\n"
        f"Keep no state between calls: pass it in as an argument."
    )


def _describe(bound: BoundFunction, error: Exception) -> str:
    does, advice = next(row for kind, row in _ADVICE.items() if isinstance(error, kind))
    call = _NUMERIC_CALL.search(_user_line(error.__traceback__)[1])
    if bound.is_numpys:
        advice = _IN_NUMPY[advice]
    elif call and advice in (_ARRAY, _NUMBER):
        module = call.group(0).partition(".")[0]
        advice = f"Write jnp.{call.group(1)} (jax.numpy) instead of {module}'s {call.group(1)}."
    return (
        f"{bound.name} {does} a value that is traced{_at(error.__traceback__)}.\n"
        f"JAX traces it once for all points and cannot see the numbers. {advice}"
    )


def _at(trace: TracebackType | None) -> str:
    place, line = _user_line(trace)
    return f', at {place}: "{line}"' if place else ""


def _user_line(trace: TracebackType | None) -> tuple[str, str]:
    """Return the place and text of the innermost line outside JAX and this package."""
    for frame in reversed(traceback.extract_tb(trace)):
        if not frame.filename.startswith((*_INTERNAL, "<")):
            line = frame.line or linecache.getline(frame.filename, frame.lineno or 0)
            return f"{frame.filename}:{frame.lineno}", line.strip()
    return "", ""


def _folder(module: ModuleType) -> str:
    return os.path.dirname(os.path.abspath(module.__file__ or "")) + os.sep


def _installed_folders(*names: str) -> tuple[str, ...]:
    found = (importlib.util.find_spec(name) for name in names)
    return tuple(os.path.dirname(s.origin) + os.sep for s in found if s and s.origin)


_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

_INTERNAL = (
    _PACKAGE + os.sep,
    *(_folder(module) for module in (jax, np)),
    *_installed_folders("jaxlib", "equinox"),
)
