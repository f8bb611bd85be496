"""Find where a sequence repeats itself.

A sequence of numbers enters, Repeats leave, in a time that is nearly linear in its length.
Never sees what the numbers stand for.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

__all__ = ["Repeat", "find_repeats"]


class Repeat(NamedTuple):
    """Elements from `start` to `end`, each equal to the one `period` before it, if that is here."""

    start: int
    end: int
    period: int


def find_repeats(sequence: np.ndarray, least: int) -> Iterator[Repeat]:
    """Yield where a sequence of numbers repeats itself at least three times, the longest periods
    last.

    Windows of the same elements get the same name, for lengths that double. Where a window comes
    again after a period that is no longer than itself, everything in between repeats.

    Args:
        least: how many elements a Repeat has at least.

    Reference: Karp, Miller and Rosenberg (1972), Rapid identification of repeated patterns.
    """
    names, length = sequence, 1
    while len(names) > 1:
        order = np.argsort(names, kind="stable")
        is_new = np.diff(names[order]) != 0
        if is_new.all():
            break
        yield from _at_length(order, is_new, length, least)
        names = np.empty_like(order)
        names[order] = np.append(0, np.cumsum(is_new))
        names = names[:-length] * len(names) + names[length:]
        length *= 2


def _at_length(order: np.ndarray, is_new: np.ndarray, length: int, least: int) -> Iterator[Repeat]:
    """Yield the Repeats whose period is at most the length of a window, and more than half of it.

    Args:
        order: the windows, equal ones side by side, and in the order of the sequence.
        is_new: whether each but the first differs from the one before it.
    """
    period = np.zeros(len(order), dtype=np.int64)
    period[order[:-1][~is_new]] = np.diff(order)[~is_new]
    edges = np.flatnonzero(np.diff(period)) + 1
    starts, ends = np.append(0, edges), np.append(edges, len(period))
    periods = period[starts]
    ends += periods + length - 1
    is_long = ends - starts >= np.maximum(least, 3 * periods)
    chosen = is_long & (length < 2 * periods) & (periods <= length)
    yield from map(Repeat, *(array[chosen].tolist() for array in (starts, ends, periods)))
