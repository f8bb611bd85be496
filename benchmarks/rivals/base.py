"""What a rival is: a way to compute a case's derivative, made ready for the clock."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from benchmarks.cases import Case, Problem

__all__ = ["Rival", "Unavailable", "Work"]


class Unavailable(Exception):
    """A rival cannot take part, and its message is the reason."""


@dataclass(frozen=True)
class Work:
    """What is timed, and how to read what it returns.

    Attributes:
        call: computes the results. It returns when they are there, not when they are promised.
        read: turns what `call` returned into one NumPy array for each result, in the case's order.
        note: what a reader of the first result's time may want to know.
    """

    call: Callable[[], Any]
    read: Callable[[Any], Sequence[np.ndarray]]
    note: Callable[[], str] = lambda: ""


@dataclass(frozen=True)
class Rival:
    """One row: a way to compute.

    Attributes:
        name: what the table calls it.
        family: whose it is; it has one colour in the plot.
        prepare: makes the Work of a Problem. It raises Unavailable, or ImportError for what is not
            installed, when it cannot.
        reuses_buffers: whether results are written into the memory of the call before.
        loops: whether it is a Python loop over the points, which is run for a few of them only.
        starts_slowly: in which cases it compiles for so long that a quick run leaves it out:
            never, in those of long functions, or always.
        is_ours: whether the others are measured against it.
        require: raises Unavailable where what it needs is absent, before its first result is timed.
    """

    name: str
    family: str
    prepare: Callable[[Problem], Work]
    reuses_buffers: bool = False
    loops: bool = False
    starts_slowly: Literal["never", "long", "always"] = "never"
    is_ours: bool = False
    require: Callable[[], None] = lambda: None

    def is_slow_to_start(self, case: Case) -> bool:
        """Tell whether a quick run leaves it out."""
        return self.starts_slowly == "always" or (self.starts_slowly == "long" and case.is_long)
