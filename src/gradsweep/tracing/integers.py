"""Say what to write where a function needs an integer and is given a float.

The error of a framework, or of Python, enters; advice leaves. Knows no framework.
"""

import linecache
import re
import traceback
from collections.abc import Iterator

import numpy as np

from gradsweep.request.function import BoundFunction
from gradsweep.request.leaf import Leaf

__all__ = ["advice_on_integers"]

# What Python, torch and JAX say where a length, a count or an index is no integer.
_NEEDS_INTEGER = re.compile(
    r"interpreted as an integer|converted to a(n| scalar) index|tuple of ints|used as indices must"
    r"|must be (Number|int), not|Tensor\), but expected one of|by non-int|'list' and '\w*Tracer'"
    r"|traced value as its (size|length)|concrete values of integer type"
    r"|Indexer must have integer|makes a Python (integer|number)"
)

# A longer leaf is not looked through.
_MOST_VALUES = 1000


def advice_on_integers(bound: BoundFunction, error: Exception) -> str:
    """Return what to write where a float stands for an integer; "" where none does."""
    if not _NEEDS_INTEGER.search(str(error)):
        return ""
    arguments = bound.sweep.arguments.values()
    whole = [leaf for a in arguments if a.is_single for leaf in a.leaves if _is_whole(leaf)]
    line = set(re.findall(r"\w+", _line(bound, error.__cause__ or error)))
    whole = [leaf for leaf in whole if leaf.key in line] or whole
    swept = [leaf for leaf in whole if leaf.dims]
    fixed = " or ".join(leaf.key for leaf in whole if not leaf.dims)
    advice = []
    if fixed:
        advice.append(
            f"{fixed} is a float here. An integer that counts or is a length is passed as it is: "
            f"write it without a point, and leave it out of wrt."
        )
    if swept:
        written = " or ".join(f"{leaf.key}={_each(leaf)}" for leaf in swept)
        advice.append(
            f"Swept integers become floats. Where the structure of {bound.name} depends on one, "
            f"such as a number of steps or a length, sweep it as it is: {written}."
        )
    return " ".join(advice)


def _line(bound: BoundFunction, error: BaseException) -> str:
    """Return the last line of the function's own file that an error went through."""
    code = getattr(bound.function, "__code__", None)
    lines = [
        linecache.getline(frame.f_code.co_filename, number)
        for frame, number in traceback.walk_tb(error.__traceback__)
        if code is not None and frame.f_code.co_filename == code.co_filename
    ]
    return lines[-1] if lines else ""


def _is_whole(leaf: Leaf) -> bool:
    values = leaf.values
    if leaf.shape or not isinstance(values, np.ndarray | np.generic) or values.size > _MOST_VALUES:
        return False
    return bool(np.all(np.equal(np.mod(values, 1), 0)))


def _each(leaf: Leaf) -> str:
    numbers = ", ".join(_first_numbers(leaf))
    own = f"gs.each([{numbers}])"
    if leaf.dims == (leaf.key,):
        return own
    dims = f'"{leaf.dims[0]}"' if len(leaf.dims) == 1 else repr(leaf.dims)
    return f"({dims}, {own})"


def _first_numbers(leaf: Leaf) -> Iterator[str]:
    assert leaf.values is not None
    values = np.ravel(np.asarray(leaf.values))
    yield from (str(int(value)) for value in values[:3])
    if len(values) > 3:
        yield "..."
