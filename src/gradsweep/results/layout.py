"""Store: takes the results of a sweep part by part, and returns a Dataset at the end.

Knows nothing of functions, engines or schedulers.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gradsweep.request.lazy import joined
from gradsweep.request.partition import Part, Partition, n_points
from gradsweep.request.quantities import Result

if TYPE_CHECKING:
    import xarray

__all__ = [
    "NO_ATTRS",
    "ArrayBytes",
    "Coordinates",
    "Layout",
    "Store",
    "Variable",
    "Writer",
    "bytes_of_arrays",
    "seconds_to_store",
    "total_bytes",
]

NO_ATTRS: Mapping[str, Any] = MappingProxyType({})

# The swept dims of a result, and its bytes at one point.
ArrayBytes = tuple[tuple[str, ...], int]

# Of each coordinate its dims, its values (an array, or something lazy with a `shape` and a `dtype`
# that gives arrays when sliced along every dim) and its attributes.
Coordinates = Mapping[str, tuple[tuple[str, ...], Any, Mapping[str, Any]]]


def bytes_of_arrays(
    results: Sequence[Result], dims: Sequence[tuple[str, ...]], dtype: str
) -> list[ArrayBytes]:
    """Return the swept dims of each result, and its bytes at one point.

    Args:
        dtype: the dtype of every result that is no bool.
    """
    itemsize = np.dtype(dtype).itemsize
    return [
        (of, math.prod(result.shape) * (1 if result.is_bool else itemsize))
        for result, of in zip(results, dims)
    ]


def total_bytes(arrays: Sequence[ArrayBytes], axes: Mapping[str, int]) -> int:
    """Return the bytes of all arrays together, over axes of these lengths."""
    return sum(n_points(dims, axes) * n_bytes for dims, n_bytes in arrays)


@dataclass(frozen=True)
class Variable:
    """One variable of the Dataset that is to be made.

    Attributes:
        name: its name.
        dims: its dims: the swept axes that it varies with, then those of its own shape.
        n_swept: how many of them are swept.
        shape: its lengths along `dims`.
        dtype: "float64", "float32", "complex128", "complex64" or "bool".
        attrs: long_name, units and the like.
        result: the number of the array that it shows, in the order of a plan's results.
        order: the order of that array's axes that shows it; None for the array as it is.
        parts: the axis, in this order, of the real and imaginary parts of complex numbers.
        part: which of them it shows; None for the complex numbers themselves.
        part_dims: those dims along which the parts of a complex argument lie.
    """

    name: str
    dims: tuple[str, ...]
    n_swept: int
    shape: tuple[int, ...]
    dtype: str
    attrs: Mapping[str, Any]
    result: int
    order: tuple[int, ...] | None = None
    parts: int | None = None
    part: int | None = None
    part_dims: tuple[str, ...] = ()

    @property
    def swept(self) -> tuple[str, ...]:
        return self.dims[: self.n_swept]

    def of(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Return the variable's values, from the arrays of a plan's results."""
        array = arrays[self.result]
        array = array if self.order is None else array.transpose(self.order)
        if self.parts is None:
            return array
        both = np.moveaxis(array, self.parts, 0)
        return joined(*both) if self.part is None else both[self.part]

    def region(self, part: Part) -> tuple[slice, ...]:
        """Return the place of a part's values in the whole variable."""
        own = (slice(0, length) for length in self.shape[self.n_swept :])
        return (*(part.slices[axis] for axis in self.swept), *own)


@dataclass(frozen=True, eq=False)
class Layout:
    """Everything that will be stored, before any of it is computed.

    Attributes:
        coordinates: by name.
        attrs: attributes of the Dataset.
        fingerprint: plain texts that identify the run, by readable names: "function", "program",
            "quantity", "dtype", "gradsweep" and the like.
    """

    partition: Partition
    variables: tuple[Variable, ...]
    coordinates: Coordinates
    attrs: Mapping[str, Any]
    fingerprint: Mapping[str, str]


class Writer(Protocol):
    """Writes the results of parts, in any process; it can be pickled."""

    def write(self, part: Part, arrays: Sequence[np.ndarray]) -> Any:
        """Take a part's results: an array for each result, of the part's own lengths.

        Several threads may call this, each with other parts. A variable is written by the parts
        that own its dims (`Part.owns`). The arrays are reused once this returns. A part that is
        written twice is as if written once.

        Returns:
            A receipt, small plain data, for `Store.record`.
        """
        ...


class Store(Protocol):
    """Takes results part by part, one at a time in one process; its writer works anywhere."""

    def try_out(self, sample: np.ndarray) -> None:
        """Do a thread's work for some results and keep nothing, to measure its time."""
        ...

    def reduces(self, axes: Iterable[str]) -> tuple[str, frozenset[str]]:
        """Return the statistics that it makes of results, such as "mean, max", and their axes."""
        ...

    def stored_partition(self) -> Partition | None:
        """Return the partition of a stored run that is to be continued, or None."""
        ...

    def held_bytes(self, axes: Mapping[str, int], arrays: Sequence[ArrayBytes]) -> int:
        """Project the bytes it keeps in memory, from the dims and bytes at a point of results."""
        ...

    def begin(self, layout: Layout) -> frozenset[int]:
        """Prepare for a run, and return the numbers of the parts that are already stored.

        Raises:
            StoreError: before anything is computed, when the store cannot be written to.
        """
        ...

    @property
    def writer(self) -> Writer:
        """The writer of parts, once `begin` has returned."""
        ...

    def record(self, part: Part, receipt: Any) -> None:
        """Count a part as done. Until this returns it is as if the part had never begun."""
        ...

    def abandon(self) -> None:
        """Release the store when a run ends early: finished parts stay, and can be resumed."""
        ...

    def finish(self, attrs: Mapping[str, Any] = NO_ATTRS) -> "xarray.Dataset":
        """Return everything as a Dataset, once all parts are written.

        Args:
            attrs: attributes beside those of the Layout, which only the results could tell.
        """
        ...


def seconds_to_store(store: Store) -> float:
    """Measure a thread's time to store a byte of results, without the device's own time."""
    sample = np.sqrt(np.arange(1.0, 2**17))
    store.try_out(sample)  # work that is done only once is not counted
    started = time.perf_counter()
    store.try_out(sample)
    return (time.perf_counter() - started) / sample.nbytes
