"""Find the user's own line that a call comes from, without any framework."""

import linecache
import os
import sys
from types import FrameType

import numpy as np
import scipy

__all__ = ["user_line"]

_TRACING = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_INTERNAL = tuple(
    folder + os.sep
    for folder in (
        _TRACING,
        *(os.path.dirname(os.path.abspath(module.__file__ or "")) for module in (np, scipy)),
    )
)


def user_line() -> str:
    """Return file, line and text of the innermost frame outside NumPy, SciPy and tracing."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and os.path.abspath(frame.f_code.co_filename).startswith(_INTERNAL):
        frame = frame.f_back
    if frame is None:
        return "an unknown line"
    name, number = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(name, number).strip()
    return f"{os.path.basename(name)}:{number}" + (f": {text}" if text else "")
