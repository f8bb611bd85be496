"""A count in place of results: at how many points a sweep's one result is true.

A Layout enters, then parts with their arrays; a Dataset without variables leaves.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gradsweep.request.partition import Part
from gradsweep.results.layout import NO_ATTRS, ArrayBytes, Layout

if TYPE_CHECKING:
    import xarray

__all__ = ["Counted"]


@dataclass(frozen=True)
class _Counter:
    """Counts in a part, in this process or, pickled, in another."""

    dims: tuple[str, ...]

    def write(self, part: Part, arrays: Sequence[np.ndarray]) -> int:
        (is_so,) = arrays
        return int(np.count_nonzero(is_so)) if part.owns(self.dims) else 0


class Counted:
    """Counts the points where the one result is true, along the axes that it depends on.

    Attributes:
        n: how many there are in the parts that are recorded.
    """

    n = 0

    def begin(self, layout: Layout) -> frozenset[int]:
        (variable,) = layout.variables
        self._writer, self.n = _Counter(variable.swept), 0
        return frozenset()

    def try_out(self, sample: np.ndarray) -> None:
        np.count_nonzero(sample)

    def reduces(self, axes: Iterable[str]) -> tuple[str, frozenset[str]]:
        return "count", frozenset(axes)

    def stored_partition(self) -> None:
        return None

    def held_bytes(self, axes: Mapping[str, int], arrays: Sequence[ArrayBytes]) -> int:
        return 0

    @property
    def writer(self) -> _Counter:
        return self._writer

    def record(self, part: Part, receipt: int) -> None:
        self.n += receipt

    def abandon(self) -> None:
        """Do nothing: nothing is held."""

    def finish(self, attrs: Mapping[str, Any] = NO_ATTRS) -> "xarray.Dataset":
        import xarray

        return xarray.Dataset(attrs={"n": self.n, **attrs})
