"""Parts of a sweep: blocks that are computed, written and remembered as a whole.

Axes and the length of a block along each enter; Parts leave. A part of a run is one task of a
scheduler, and one chunk of every array in a store; a kernel works through it in chunks of its own,
whose intermediates fit into memory.

Knows nothing of functions, engines or stores.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gradsweep.request.leaf import Leaf

__all__ = ["SELECTED", "Part", "Partition", "Points", "Subset", "choose_block", "n_points"]

# The name of the axis along which chosen points lie.
SELECTED = "selected points"


def n_points(axes: Iterable[str], sizes: Mapping[str, int]) -> int:
    """Count the points that some axes span."""
    return math.prod(sizes[axis] for axis in axes)


@dataclass(frozen=True)
class Part:
    """A block of the points of a sweep.

    Attributes:
        number: its place in the partition, from 0.
        slices: its range along every axis.
    """

    number: int
    slices: Mapping[str, slice]

    @property
    def lengths(self) -> dict[str, int]:
        return {axis: part.stop - part.start for axis, part in self.slices.items()}

    @property
    def n_points(self) -> int:
        return math.prod(self.lengths.values())

    def owns(self, dims: Collection[str]) -> bool:
        """Tell whether this part yields the results that have these dims.

        A result is constant along an axis that it lacks, so only the parts that come first along
        every such axis yield it.
        """
        return all(part.start == 0 for axis, part in self.slices.items() if axis not in dims)

    def halves(self) -> tuple["Part", ...]:
        """Return the two halves along the longest axis; a single point, or none, as it is."""
        if self.n_points <= 1:
            return (self,)
        axis = max(self.slices, key=lambda axis: self.lengths[axis])
        whole = self.slices[axis]
        middle = (whole.start + whole.stop) // 2
        ends = slice(whole.start, middle), slice(middle, whole.stop)
        return tuple(Part(self.number, {**self.slices, axis: end}) for end in ends)

    def pieces(self, n: int) -> tuple["Part", ...]:
        """Return at least `n` pieces, or single points, by halving again and again."""
        found: tuple[Part, ...] = (self,)
        while len(found) < n and any(piece.n_points > 1 for piece in found):
            found = tuple(half for piece in found for half in piece.halves())
        return found

    def holds(self, other: "Part") -> bool:
        """Tell whether this part holds all points of another."""
        return all(
            whole.start <= other.slices[axis].start and other.slices[axis].stop <= whole.stop
            for axis, whole in self.slices.items()
        )

    def within(self, whole: "Part") -> dict[str, slice]:
        """Return the slices of these points within a part that holds them."""
        return {
            axis: slice(part.start - whole.slices[axis].start, part.stop - whole.slices[axis].start)
            for axis, part in self.slices.items()
        }

    def describe(self) -> str:
        """Write the part for messages: "part 3 (S 0:1000, sigma 20:40)"."""
        ranges = ", ".join(f"{axis} {part.start}:{part.stop}" for axis, part in self.slices.items())
        return f"part {self.number} ({ranges})" if ranges else f"part {self.number}"


@dataclass(frozen=True)
class Partition:
    """A sweep cut into parts, in C order of their blocks.

    Attributes:
        axes: the axes and their lengths.
        block: the length of a part along each; the last part along an axis may be shorter.
    """

    axes: Mapping[str, int]
    block: Mapping[str, int]

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """How many parts there are along each axis; an empty axis has one, without points."""
        return tuple(
            max(1, -(-length // max(1, self.block[axis]))) for axis, length in self.axes.items()
        )

    @cached_property
    def n_parts(self) -> int:
        """How many parts there are, even where `len` fails because there are too many."""
        return math.prod(self.counts)

    def __len__(self) -> int:
        return self.n_parts

    def __getitem__(self, number: int) -> Part:
        if not 0 <= number < self.n_parts:
            raise IndexError(f"there is no part {number} of {self.n_parts}")
        rest, slices = number, {}
        for (axis, length), count in zip(reversed(list(self.axes.items())), reversed(self.counts)):
            rest, index = divmod(rest, count)
            start = index * self.block[axis]
            slices[axis] = slice(start, min(start + self.block[axis], length))
        return Part(number, {axis: slices[axis] for axis in self.axes})

    def __iter__(self) -> Iterator[Part]:
        return map(self.__getitem__, range(self.n_parts))


@dataclass(frozen=True, eq=False)
class Points:
    """Chosen points of some axes: for each axis, the index of every point along it."""

    index: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Subset:
    """Some points of a sweep.

    Attributes:
        leaves: the values at these points.
        axes: the axes of the leaves and their lengths.
        points: the indices of the points in the sweep, along the axis `SELECTED` of the leaves;
            None when they are the whole sweep.
    """

    leaves: Mapping[str, Leaf]
    axes: Mapping[str, int]
    points: Points | None = None

    def where(self, chosen: np.ndarray, dims: tuple[str, ...]) -> "Subset":
        """Choose points of some axes, which become the axis SELECTED.

        Args:
            chosen: a bool for each point that the axes `dims` span.
        """
        if SELECTED in self.axes and SELECTED not in dims:
            # Points that were chosen before are to be chosen from again.
            chosen, dims = np.repeat(chosen[None], self.axes[SELECTED], axis=0), (SELECTED, *dims)
        return self.choose(dict(zip(dims, np.nonzero(chosen))))

    def choose(self, index: Mapping[str, np.ndarray]) -> "Subset":
        """Choose points by their indices along some axes, which become the axis SELECTED."""
        gathered = {key: leaf.gather(index, SELECTED) for key, leaf in self.leaves.items()}
        left = {axis: n for axis, n in self.axes.items() if axis not in index}
        original = {axis: i for axis, i in index.items() if axis != SELECTED}
        if self.points is not None:
            original |= {axis: i[index[SELECTED]] for axis, i in self.points.index.items()}
        axes = {SELECTED: len(next(iter(index.values()))), **left}
        return Subset(gathered, axes, Points(original))

    def position(self, place: Mapping[str, int]) -> dict[str, int]:
        """Return the index in the sweep, along each axis, of a place along these axes."""
        found = {axis: index for axis, index in place.items() if axis != SELECTED}
        if self.points is not None:
            # Among no points there is no first one.
            chosen = self.points.index.items()
            found |= {axis: int(i[place[SELECTED]]) if len(i) else 0 for axis, i in chosen}
        return found

    def without(self, key: str) -> "Subset":
        """Return the same points without the values of one leaf."""
        return replace(self, leaves={k: leaf for k, leaf in self.leaves.items() if k != key})


def choose_block(
    axes: Mapping[str, int],
    bytes_of: Callable[[Mapping[str, int]], int],
    limit_bytes: int,
    keep_rows: bool = False,
) -> dict[str, int]:
    """Halve the axes until a block of them fits; return its length along each.

    Args:
        bytes_of: projects the bytes of a block, from its length along each axis.
        keep_rows: whether to cut the outer axes first, so that rows stay long.
    """
    block = dict(axes)
    while bytes_of(block) > limit_bytes and any(size > 1 for size in block.values()):
        longest = max(block, key=lambda axis: block[axis])
        outermost = next(axis for axis in block if block[axis] > 1)
        axis = outermost if keep_rows else longest
        block[axis] = -(-block[axis] // 2)
    return block
