"""Where windows lie: an array padded, spread out and cut into windows, by moving its elements.

Knows nothing of frameworks.
"""

from collections.abc import Sequence

import numpy as np

from gradsweep.program.arrays import Variables, reduce
from gradsweep.program.builder import Builder

__all__ = ["Pairs", "accumulated", "padded", "windows"]

Pairs = Sequence[tuple[int, int]]


def padded(
    operand: Variables, padding: Pairs, fill: int, spread: Sequence[int] | None = None
) -> Variables:
    """Pad the last dims of an array with one variable.

    Args:
        padding: for each of these dims, how many to add before and after; a negative number crops.
        spread: for each, how far its elements lie apart afterwards; 1 if left out.
    """
    n_leading = operand.ndim - len(padding)
    for dim, (low, high) in enumerate(padding, start=n_leading):
        step = spread[dim - n_leading] if spread else 1
        rows = np.moveaxis(operand, dim, 0)
        length = (len(rows) - 1) * step + 1 if len(rows) else 0
        places = low + step * np.arange(len(rows))
        result = np.full((max(0, low + length + high), *rows.shape[1:]), fill, dtype=np.int64)
        inside = (places >= 0) & (places < len(result))
        result[places[inside]] = rows[inside]
        operand = np.moveaxis(result, 0, dim)
    return operand


def windows(
    operand: Variables, sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> Variables:
    """Return the windows over the last dims of an array.

    Returns:
        An array with the leading dims, then those along which windows slide, then those inside
        a window.
    """
    n = len(sizes)
    leading = operand.shape[: operand.ndim - n]
    spans = [(size - 1) * dilation + 1 for size, dilation in zip(sizes, dilations)]
    lengths = operand.shape[operand.ndim - n :]
    if any(length < span for length, span in zip(lengths, spans)):
        counts = [
            max(0, (length - span) // stride + 1)
            for length, span, stride in zip(lengths, spans, strides)
        ]
        return np.empty((*leading, *counts, *sizes), dtype=np.int64)
    every = np.lib.stride_tricks.sliding_window_view(operand, spans, tuple(range(-n, 0)))
    whole = [slice(None)] * len(leading)
    return every[(*whole, *(slice(None, None, step) for step in (*strides, *dilations)))]


def accumulated(b: Builder, terms: Variables, places: np.ndarray, zeros: Variables) -> Variables:
    """Add terms into an array.

    Args:
        terms: variables; a structural zero adds nothing.
        places: for each term, the number of its element; negative outside the array.
        zeros: the array that they are added into, of structural zeros.
    """
    per_element: dict[int, list[int]] = {}
    for term, place in zip(terms.ravel().tolist(), places.ravel().tolist()):
        if place >= 0 and not b.is_structural_zero(term):
            per_element.setdefault(place, []).append(term)
    result = np.array(zeros)
    for place, found in per_element.items():
        result.flat[place] = int(reduce(b, "add", np.array(found, dtype=np.int64), [0]))
    return result
