"""What a store is: it takes the results of a sweep part by part, and gives a Dataset at the end.

Knows nothing of functions, engines or schedulers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gradsweep.parts import Part, Partition

if TYPE_CHECKING:
    import xarray

__all__ = ["Layout", "Store", "Variable"]


@dataclass(frozen=True)
class Variable:
    """One variable of the Dataset to be.

    Attributes:
        name: what it is called.
        dims: its dims: the swept axes that it varies with, then those of its own shape.
        n_swept: how many of them are swept.
        shape: its lengths along `dims`.
        dtype: "float64", "float32" or "bool".
        attrs: long_name, units and the like.
        result: the number of the array that it shows, in the order of a plan's results.
        order: the order of that array's axes that shows it; None for the array as it is.
    """

    name: str
    dims: tuple[str, ...]
    n_swept: int
    shape: tuple[int, ...]
    dtype: str
    attrs: Mapping[str, Any]
    result: int
    order: tuple[int, ...] | None = None

    @property
    def swept(self) -> tuple[str, ...]:
        return self.dims[: self.n_swept]

    def of(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Return the variable's values, from the arrays of a plan's results."""
        array = arrays[self.result]
        return array if self.order is None else array.transpose(self.order)

    def region(self, part: Part) -> tuple[slice, ...]:
        """Return where a part's values stand in the whole variable."""
        own = (slice(0, length) for length in self.shape[self.n_swept :])
        return (*(part.slices[axis] for axis in self.swept), *own)


@dataclass(frozen=True, eq=False)
class Layout:
    """Everything that will be stored, before any of it is computed.

    Attributes:
        coordinates: for each, its dims, its values (an array, or something lazy with a `shape`
            and a `dtype` that gives arrays when sliced along every dim) and its attributes.
        attrs: attributes of the Dataset.
        fingerprint: what makes it this run and no other, by what a person calls it: "function",
            "sweep", "quantity", "dtype", "gradsweep" and the like. Plain text.
    """

    partition: Partition
    variables: tuple[Variable, ...]
    coordinates: Mapping[str, tuple[tuple[str, ...], Any, Mapping[str, Any]]]
    attrs: Mapping[str, Any]
    fingerprint: Mapping[str, str]


class Store(Protocol):
    """Takes results part by part. One thread at a time calls `begin`, `finish` and `abandon`;
    several may call `write`, each with other parts."""

    def begin(self, layout: Layout) -> frozenset[int]:
        """Make room, and return the numbers of the parts that are there already.

        Raises:
            StoreError: before anything is computed, when the store cannot be written to.
        """
        ...

    def write(self, part: Part, arrays: Sequence[np.ndarray]) -> None:
        """Take a part's results: an array for each result, of the part's own lengths.

        A variable is written by the parts that own its dims (`Part.owns`). When this returns, the
        part is stored for good; until then it is as if it had never begun.
        """
        ...

    def abandon(self) -> None:
        """Let go, when a run ends early: what was written stays, and can be resumed."""
        ...

    def finish(self) -> "xarray.Dataset":
        """Return everything as a Dataset, once all parts are written."""
        ...
