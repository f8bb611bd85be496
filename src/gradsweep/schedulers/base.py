"""What a scheduler is: it has every part computed and written, in any order.

Knows nothing of functions or engines.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from gradsweep.parts import Part
from gradsweep.progress import Meter
from gradsweep.stores.base import Store

__all__ = ["Scheduler", "Work"]


class Work(Protocol):
    """Computes any part of one sweep."""

    def allocate(self, part: Part, memory: list[np.ndarray]) -> list[np.ndarray]:
        """Return arrays for a part's results.

        Args:
            memory: where to put them; an empty list is filled, and one that an earlier call
                filled is used again.
        """
        ...

    def compute(self, part: Part, arrays: Sequence[np.ndarray]) -> None:
        """Fill a part's arrays."""
        ...


class Scheduler(Protocol):
    def run(self, work: Work, parts: Iterable[Part], store: Store, meter: Meter) -> None:
        """Compute and write every part; raise the first error, when all that runs has ended."""
        ...
