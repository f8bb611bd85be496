"""Find the user's own line that an operation comes from.

Nothing enters; "file.py:12: if x > 0:" leaves.
"""

import linecache
import math
import os
import re
import sys
from types import FrameType

import numpy as np
import torch

from gradsweep.support.imported import imported

__all__ = ["instead", "user_line"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Folders of this package with functions that are traced.
_EXAMPLES = tuple(os.path.join(_PACKAGE, name) for name in ("examples", "testing"))


def _internal() -> tuple[str, ...]:
    """Return the folders whose code is not the user's."""
    libraries = (torch, np, imported("jax"), imported("scipy"))
    files = [file for library in libraries if library and (file := library.__file__)]
    return (_PACKAGE, *(os.path.dirname(os.path.abspath(file)) + os.sep for file in files))


def user_line() -> str:
    """Return file, line and text of the innermost frame outside torch and this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        path = os.path.abspath(frame.f_code.co_filename)
        within = path.startswith(_internal()) and not path.startswith(_EXAMPLES)
        if not within and not path.endswith("contextlib.py"):
            text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
            return f"{os.path.basename(path)}:{frame.f_lineno}" + (f": {text}" if text else "")
        frame = frame.f_back
    return "an unknown line"


# A function of NumPy or math, called by the names that these modules usually have.
_NUMERIC_CALL = re.compile(r"\b(math|np|numpy)\.(?:\w+\.)*(\w+)\(")


def instead(line: str, is_numpys: bool) -> str:
    """Return advice for a line of the user's that makes numbers or NumPy's arrays of tensors.

    Args:
        is_numpys: whether the function is written with NumPy, and knows of no tensor.
    """
    if is_numpys:
        return (
            "Write it without float() and the like, with functions that have a counterpart "
            "(docs/how_to/numpy.md lists them)"
        )
    call = _NUMERIC_CALL.search(line)
    if call is None:
        return "Write torch.exp, say, for math.exp"
    module, name = call.groups()
    is_of_numbers = hasattr(math, name) or isinstance(getattr(np, name, None), np.ufunc)
    if not (is_of_numbers and hasattr(torch, name)):
        return "Compute it with torch's own functions"
    return f"Write torch.{name} for {module}.{name}"
