"""The protocol of a scheduler, which has every part computed and written, in any order.

Knows nothing of functions or engines.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gradsweep.request.partition import Part
from gradsweep.results.layout import Store
from gradsweep.support.progress import Meter

__all__ = ["Outcome", "Portable", "Scheduler", "Work"]


@dataclass(frozen=True)
class Outcome:
    """What is told of parts that were computed, beside their results.

    Attributes:
        n_masked: how many points hold NaN in place of a result.
        solves: whether the function solved equations there.
        may_be_unsolved: whether results hold NaN in a part where it did.
    """

    n_masked: int = 0
    solves: bool = False
    may_be_unsolved: bool = False

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(
            self.n_masked + other.n_masked,
            self.solves or other.solves,
            self.may_be_unsolved or other.may_be_unsolved,
        )


class Work(Protocol):
    """Computes any part of one sweep."""

    def allocate(self, part: Part, memory: list[np.ndarray]) -> list[np.ndarray]:
        """Return arrays for a part's results.

        Args:
            memory: where to put them; an empty list is filled, and one that an earlier call
                filled is used again.
        """
        ...

    def compute(
        self,
        part: Part,
        arrays: Sequence[np.ndarray],
        pieces: int = 1,
        skip: Sequence[Part] = (),
    ) -> Outcome:
        """Fill a part's arrays, and tell what came of it.

        Args:
            pieces: how many pieces the part is cut into, to take less memory.
            skip: single points that are not computed.
        """
        ...

    @property
    def n_at_once(self) -> int:
        """How many parts may be computed at once, by threads of this process."""
        ...

    @property
    def on_error(self) -> str:
        """What becomes of a point that cannot be computed: "raise" or "mask"."""
        ...

    @property
    def portable(self) -> "Portable":
        """The form in which the work is sent to another process."""
        ...


class Portable(Protocol):
    """Work on its way to another process: data, or else a pickle."""

    def open(self) -> Work: ...


class Scheduler(Protocol):
    def run(self, work: Work, parts: Iterable[Part], store: Store, meter: Meter) -> Outcome:
        """Compute and store every part; raise the first error, once no part is running."""
        ...
