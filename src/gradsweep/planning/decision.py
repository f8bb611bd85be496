"""Decision: how a derivative over a sweep will be computed, and how large it will be.

Plain data: nothing is decided, run or written here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from gradsweep.engines.prepared import Prepared
from gradsweep.planning.branches import Branch
from gradsweep.request.function import BoundFunction
from gradsweep.request.leaf import Leaf
from gradsweep.request.partition import Partition
from gradsweep.request.quantities import Derivative, Result
from gradsweep.results.layout import ArrayBytes, bytes_of_arrays, total_bytes
from gradsweep.results.names import Labels
from gradsweep.running.part_work import Replan
from gradsweep.running.run import Destination

__all__ = ["Decision", "PlannedBranch", "labels_of"]


def labels_of(bound: BoundFunction) -> Labels:
    """Return the Labels that name the results of a function."""
    return Labels(bound.name, str(getattr(bound.function, "units", "")), bound.arguments)


@dataclass(frozen=True, eq=False)
class PlannedBranch:
    """One branch of the function, with the engine and the chunks it will run in."""

    branch: Branch
    prepared: Prepared
    chunks: Partition
    scratch_bytes: int


@dataclass(frozen=True, eq=False)
class Decision:
    """How a derivative over a sweep will be computed.

    Attributes:
        results: the arrays it will yield, and `dims` the swept axes of each, in order.
        branches: one, or one for each category and each way through the function's Python
            branches; the first way alone, where the sweep is run part by part.
        dtype: the dtype of every result that is no bool.
        partition: the parts that are run one by one; None to run it whole.
        destination: where the results of parts go.
        replan: plans a part from its leaves, where one kernel may not hold for all parts.
        count_unsolved: computes at how many points an equation that f solves was not solved, in a
            framework that is given by its name; None where that cannot be told.
    """

    bound: BoundFunction
    derivative: Derivative
    leaves: Mapping[str, Leaf]
    axes: Mapping[str, int]
    results: tuple[Result, ...]
    dims: tuple[tuple[str, ...], ...]
    branches: tuple[PlannedBranch, ...]
    dtype: str
    partition: Partition | None = None
    destination: Destination | None = None
    replan: Replan | None = None
    count_unsolved: Callable[[str], int | None] | None = None

    @property
    def engine(self) -> str:
        """The engine that runs the first branch."""
        return self.branches[0].prepared.choice.engine.name

    @property
    def framework(self) -> str:
        return self.branches[0].branch.traced.framework

    @property
    def solves(self) -> bool:
        """Whether the function solves equations, on any way through it that is known."""
        return any(planned.branch.traced.solves for planned in self.branches)

    @property
    def trace_seconds(self) -> float:
        return sum(planned.branch.traced.seconds for planned in self.branches)

    @cached_property
    def labels(self) -> Labels:
        return labels_of(self.bound)

    @property
    def result_bytes(self) -> int:
        """The bytes of all results together."""
        return total_bytes(self.array_bytes, self.axes)

    @property
    def array_bytes(self) -> list[ArrayBytes]:
        """The swept dims of each result, and its bytes at one point."""
        return bytes_of_arrays(self.results, self.dims, self.dtype)

    @property
    def part_bytes(self) -> int:
        """The bytes of the results of one part, or of all results without parts."""
        lengths = self.axes if self.partition is None else self.partition.block
        return total_bytes(self.array_bytes, lengths)

    @property
    def held_bytes(self) -> int:
        """The bytes of the results and their labels, where they stay in memory."""
        loaded = sum(leaf.n_bytes for leaf in self.leaves.values() if leaf.is_lazy)
        axes = sum(leaf.n_bytes for leaf in self.leaves.values() if len(leaf.dims) == 1)
        # While xarray makes an index of an axis, it holds the values three times.
        return self.result_bytes + max(loaded, 3 * axes, self._moved_bytes)

    @property
    def _moved_bytes(self) -> int:
        """The most bytes of results that are computed apart, to be put in their places."""
        return max(
            (
                total_bytes(
                    bytes_of_arrays(self.results, planned.prepared.job.dims, self.dtype),
                    planned.branch.axes,
                )
                for planned in self.branches
                if planned.branch.points is not None
            ),
            default=0,
        )

    @property
    def projected_bytes(self) -> int:
        """The bytes that running it takes, besides those held when it is planned."""
        scratch = max((planned.scratch_bytes for planned in self.branches), default=0)
        if self.partition is None:
            return self.held_bytes + scratch
        assert self.destination is not None
        held = self.destination.store.held_bytes(self.axes, self.array_bytes)
        return held + self.destination.copies * self.part_bytes + scratch

    def with_axes(self, axes: Mapping[str, int]) -> Self:
        """Return the decision for other lengths of the axes, to allocate arrays."""
        return replace(self, axes=axes)
