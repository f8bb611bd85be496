"""Find the user's own line that an operation comes from.

Nothing enters; "file.py:12: if x > 0:" leaves.
"""

import linecache
import os
import sys
from types import FrameType

import torch

__all__ = ["user_line"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_TORCH = os.path.dirname(os.path.abspath(torch.__file__))
# Functions that are traced stand here too.
_EXAMPLES = tuple(os.path.join(_PACKAGE, name) for name in ("examples", "testing"))


def user_line() -> str:
    """Return file, line and text of the innermost frame outside torch and this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        path = os.path.abspath(frame.f_code.co_filename)
        within = path.startswith((_PACKAGE, _TORCH)) and not path.startswith(_EXAMPLES)
        if not within and not path.endswith("contextlib.py"):
            text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
            return f"{os.path.basename(path)}:{frame.f_lineno}" + (f": {text}" if text else "")
        frame = frame.f_back
    return "an unknown line"
