"""Where arrays lie in memory.

Knows nothing but NumPy.
"""

import ctypes
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

__all__ = ["address_of", "overlap"]


def address_of(array: np.ndarray) -> int:
    """Return the address of an array's first element."""
    buffer: Any = array
    try:
        # This takes a quarter of NumPy's time.
        return ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    except (TypeError, ValueError):  # read-only, empty, or not contiguous
        return array.__array_interface__["data"][0]


def overlap(written: Sequence[np.ndarray], read: Sequence[np.ndarray]) -> bool:
    """Tell whether written arrays may overlap in memory with each other, or with read ones.

    Compares where arrays begin and end, as numpy.may_share_memory does for two.
    """
    spans = sorted(_span(array) for array in written if array.size)
    if any(end > begin for (_, end), (begin, _) in pairwise(spans)):
        return True
    begins = [begin for begin, _ in spans]
    for begin, end in (_span(array) for array in read if array.size):
        before = bisect_left(begins, end) - 1  # the last that begins before this one ends
        if before >= 0 and spans[before][1] > begin:
            return True
    return False


def _span(array: np.ndarray) -> tuple[int, int]:
    """Return the address of an array's first byte, and the one after its last."""
    begin = end = address_of(array)
    if array.flags.c_contiguous:
        return begin, end + array.nbytes
    for length, stride in zip(array.shape, array.strides):
        if stride < 0:
            begin += (length - 1) * stride
        else:
            end += (length - 1) * stride
    return begin, end + array.itemsize
