"""The dtype of a Program's variables for each dtype of a jaxpr."""

from typing import Any

import numpy as np

from gradsweep.support.errors import NotAProgram

__all__ = ["program_dtype", "require_dtype"]

# An integer of fewer bits is exact in 64. A Program holds no uint64, random keys or floats narrower
# than float32: these may only be constants.
_DTYPES = {
    **{name: name for name in ("float64", "float32", "complex128", "complex64", "bool")},
    **dict.fromkeys(["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"], "int64"),
}


def program_dtype(dtype: Any) -> str | None:
    """Return the dtype of variables that hold every value of a jaxpr's dtype, or None."""
    return _DTYPES.get(dtype.name) if isinstance(dtype, np.dtype) else None


def require_dtype(dtype: Any) -> str:
    found = program_dtype(dtype)
    if found is None:
        raise NotAProgram(f"it computes with values of dtype {dtype}")
    return found
