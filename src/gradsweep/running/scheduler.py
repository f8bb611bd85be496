"""The protocol of a scheduler, which has every part computed and written, in any order.

Knows nothing of functions or engines.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from gradsweep.request.partition import Part
from gradsweep.results.layout import Store
from gradsweep.support.progress import Meter

__all__ = ["Portable", "Scheduler", "Work"]


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
    ) -> int:
        """Fill a part's arrays, and return how many points hold NaN in place of a result.

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
    def run(self, work: Work, parts: Iterable[Part], store: Store, meter: Meter) -> int:
        """Compute and store every part; raise the first error, once no part is running.

        Returns:
            How many points hold NaN in place of a result.
        """
        ...
