"""The arrays of a store, and where a part's values stand in them.

A Layout enters; a Run leaves: everything that it takes to write, verify and continue. It is plain
data, kept as the first record of the ledger. Knows nothing of files.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gradsweep.request.partition import Part, Partition
from gradsweep.results.layout import Layout
from gradsweep.results.stores.zarr.coding import DTYPES, Coded, coded
from gradsweep.support.errors import StoreError

__all__ = ["FORMAT", "Array", "Run", "run_of"]

FORMAT = 1

# Limits that no run of ours comes near, and that a file which was tampered with may exceed.
_MOST_DIMS = 64
_LONGEST = 2**53
_LARGEST_CHUNK_BYTES = 2**37


@dataclass(frozen=True)
class Array:
    """One array of the store.

    Attributes:
        dims: names of its axes; those of the sweep are cut into chunks, the others are not.
        chunk: the lengths of a chunk: those of the partition's block, and whole other axes.
        dtype: a key of `DTYPES`.
        is_coordinate: whether it is written before any part is.
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: str
    is_coordinate: bool

    def index(self, part: Part) -> tuple[int, ...]:
        """Return the place of a part's chunk in the grid."""
        return tuple(
            part.slices[dim].start // length if dim in part.slices else 0
            for dim, length in zip(self.dims, self.chunk)
        )

    def indices(self) -> Iterator[tuple[int, ...]]:
        """Yield every chunk's place in the grid."""
        return itertools.product(
            *(range(-(-length // chunk)) for length, chunk in zip(self.shape, self.chunk))
        )

    def region(self, index: tuple[int, ...]) -> tuple[slice, ...]:
        """Return where a chunk's values stand in the array."""
        return tuple(
            slice(i * chunk, min((i + 1) * chunk, length))
            for i, chunk, length in zip(index, self.chunk, self.shape)
        )

    def key(self, index: tuple[int, ...]) -> str:
        """Return the path of a chunk within the store: "dprice_dS/c/0/1"."""
        return "/".join([self.name, "c", *map(str, index)])


@dataclass(frozen=True)
class Run:
    """A run, as the ledger keeps it.

    Attributes:
        partition: which parts there are.
        arrays: variables and coordinates.
        fingerprint: what tells this run from any other.
    """

    partition: Partition
    arrays: tuple[Array, ...]
    fingerprint: Mapping[str, str]

    @cached_property
    def coordinates(self) -> tuple[Array, ...]:
        return tuple(array for array in self.arrays if array.is_coordinate)

    @cached_property
    def variable_names(self) -> frozenset[str]:
        return frozenset(array.name for array in self.arrays if not array.is_coordinate)

    def yielded(self, part: Part) -> tuple[Array, ...]:
        """Return the variables that a part yields a chunk of."""
        return tuple(
            array
            for array in self.arrays
            if not array.is_coordinate
            and part.owns(array.dims)
            and all(s.stop > s.start for s in array.region(array.index(part)))
        )

    def difference(self, other: "Run") -> list[str]:
        """Return a line for each difference between this run, which is stored, and another."""
        return [
            f"  {what}: {found} is stored, {asked} is asked for"
            for what, found, asked in _compare(self._described, other._described)
        ]

    @property
    def _described(self) -> dict[str, str]:
        axes, block = self.partition.axes, self.partition.block
        arrays = {
            f"{'coordinate' if array.is_coordinate else 'variable'} {array.name}": (
                f"{array.dtype} along ({', '.join(array.dims)}) of shape {array.shape}"
            )
            for array in self.arrays
        }
        return {
            **self.fingerprint,
            "axes": _ranges(axes),
            "points in a part": _ranges({axis: min(block[axis], axes[axis]) for axis in axes}),
            **arrays,
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "axes": dict(self.partition.axes),
            "block": {axis: self.partition.block[axis] for axis in self.partition.axes},
            "arrays": [
                {
                    "name": array.name,
                    "dims": list(array.dims),
                    "shape": list(array.shape),
                    "dtype": array.dtype,
                    "is_coordinate": array.is_coordinate,
                }
                for array in self.arrays
            ],
            "fingerprint": dict(self.fingerprint),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Run":
        """Read what `to_json` wrote, and trust none of it.

        Raises:
            StoreError: when it is not what a run of this package writes.
        """
        try:
            if document["format"] != FORMAT:
                raise StoreError(
                    f"its format is {document['format']!r}; this version reads {FORMAT}"
                )
            axes, block = (
                {str(axis): _length(n) for axis, n in document[key].items()}
                for key in ("axes", "block")
            )
            partition = Partition(axes, {axis: block[axis] for axis in axes})
            arrays = tuple(
                _make_array(
                    partition,
                    Coded(row["dtype"], {}),
                    row["name"],
                    tuple(map(str, row["dims"])),
                    tuple(map(_length, row["shape"])),
                    bool(row["is_coordinate"]),
                )
                for row in document["arrays"]
            )
            fingerprint = {str(k): str(v) for k, v in document["fingerprint"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoreError(f"it is malformed ({type(error).__name__}: {error})") from None
        _check_names(arrays)
        return cls(partition, arrays, fingerprint)


def run_of(layout: Layout) -> Run:
    """Return the Run of a Layout.

    Raises:
        StoreError: when Zarr cannot hold it.
    """
    partition = layout.partition
    variables = (
        _make_array(partition, Coded(v.dtype, {}), v.name, tuple(v.dims), tuple(v.shape), False)
        for v in layout.variables
    )
    coordinates = (
        _make_array(partition, coded(name, values), name, tuple(dims), tuple(values.shape), True)
        for name, (dims, values, _) in layout.coordinates.items()
    )
    arrays = (*coordinates, *variables)
    _check_names(arrays)
    return Run(partition, arrays, {str(k): str(v) for k, v in layout.fingerprint.items()})


def _make_array(
    partition: Partition,
    as_coded: Coded,
    name: str,
    dims: tuple[str, ...],
    shape: tuple[int, ...],
    is_coordinate: bool,
) -> Array:
    if len(dims) != len(shape) or len(dims) != len(set(dims)) or len(dims) > _MOST_DIMS:
        raise StoreError(f"{name!r} has dims {dims} and shape {shape}, which do not fit.")
    for dim, length in zip(dims, shape):
        if partition.axes.get(dim, length) != length:
            raise StoreError(
                f"{name!r} has length {length} along {dim!r}, whose length in the sweep is "
                f"{partition.axes[dim]}."
            )
    if as_coded.dtype not in DTYPES:
        raise StoreError(
            f"{name!r} has dtype {as_coded.dtype!r}; a Zarr store takes {', '.join(DTYPES)}."
        )
    # Zarr has no chunk of length 0: an empty axis has a chunk length of 1, and no chunks.
    chunk = tuple(
        max(1, min(partition.block[dim], length) if dim in partition.axes else length)
        for dim, length in zip(dims, shape)
    )
    n_bytes = math.prod(chunk) * DTYPES[as_coded.dtype].numpy.itemsize
    if n_bytes > _LARGEST_CHUNK_BYTES:
        raise StoreError(
            f"a chunk of {name!r} has shape {chunk}, {n_bytes:,} bytes. Cut the sweep into "
            "smaller parts, with a smaller memory_limit."
        )
    return Array(str(name), dims, shape, chunk, as_coded.dtype, is_coordinate)


def _check_names(arrays: tuple[Array, ...]) -> None:
    """Refuse names that cannot be the name of a folder."""
    seen: set[str] = set()
    for name in (array.name for array in arrays):
        if (
            not name
            or not name.isprintable()
            or name.startswith((".", "__"))
            or set(name) & set("/\\:")
            or len(name.encode()) > 200
            or name == "zarr.json"
        ):
            raise StoreError(
                f"{name!r} cannot be the name of an array in a Zarr store, where it is a folder."
            )
        if name in seen:
            raise StoreError(f"two arrays are called {name!r}.")
        seen.add(name)


def _length(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LONGEST:
        raise ValueError(f"{value!r:.40} is no length")
    return value


def _ranges(lengths: Mapping[str, int]) -> str:
    return ", ".join(f"{axis} {length}" for axis, length in lengths.items()) or "none"


def _compare(stored: Mapping[str, str], asked: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for what in dict.fromkeys([*stored, *asked]):
        found, wanted = stored.get(what, "nothing"), asked.get(what, "nothing")
        if found != wanted:
            yield what, found, wanted
