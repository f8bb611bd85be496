"""Find points where Python's own numbers raise, and tensors do not.

`try: y = a / b` with `except ZeroDivisionError` is written for floats: 1.0 / 0.0 raises, and a
tensor is infinite instead, so that the `except` branch can no longer be taken. A function and
points enter, sentences leave.
"""

import linecache
import os
import sys
from collections.abc import Iterable, Mapping
from types import FrameType
from typing import Any

import numpy as np

from gradsweep.request.function import BoundFunction

__all__ = ["raised_by_floats"]

# The errors of float arithmetic where array arithmetic gives NaN or infinity.
_ARITHMETIC = (ZeroDivisionError, OverflowError, ValueError)


def raised_by_floats(
    bound: BoundFunction, points: Iterable[tuple[str, Mapping[str, np.ndarray]]]
) -> list[str]:
    """Return a sentence for each line that raises when the function is called with floats.

    Args:
        points: each point as text, and the value of every argument there.
    """
    found: dict[tuple[str, str], tuple[str, bool]] = {}
    for described, values in points:
        if any(value.ndim or value.dtype.kind == "c" for value in values.values()):
            return []  # a function of arrays is not written for floats
        for line, name, is_caught in _raised(bound, values):
            found.setdefault((line, name), (described, is_caught))
    return [
        f"at {described}, Python's own numbers raise {name} at {line}, and arrays do not"
        + ("; the branch that catches it can no longer be taken" if is_caught else "")
        for (line, name), (described, is_caught) in found.items()
    ]


def _raised(bound: BoundFunction, values: Mapping[str, np.ndarray]) -> list[tuple[str, str, bool]]:
    """Call the function with floats; return where it raised, what, and whether it was caught."""
    seen: dict[int, tuple[str, str]] = {}
    kept = []  # errors stay alive, so that no id is used twice

    def on_call(frame: FrameType, event: str, argument: Any) -> Any:
        frame.f_trace_lines = False
        return on_exception

    def on_exception(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "exception" and issubclass(argument[0], _ARITHMETIC):
            error = argument[1]
            if isinstance(error, BaseException) and id(error) not in seen:
                kept.append(error)
                seen[id(error)] = _line(frame), type(error).__name__
        return on_exception

    before, is_caught = sys.gettrace(), True
    sys.settrace(on_call)
    try:
        bound({key: value.item() for key, value in values.items()})
    except _ARITHMETIC:
        is_caught = False
    except Exception:
        return []  # it is not written for floats
    finally:
        sys.settrace(before)
    return [(line, name, is_caught) for line, name in seen.values()]


def _line(frame: FrameType) -> str:
    text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    place = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
    return f"{place} ({text})" if text else place
