"""Engine, Job and Kernel: an engine turns a traced derivative into a kernel that fills arrays.

Knows nothing of chunks, stores or labels.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from gradsweep.engines.stages import Stage
from gradsweep.program.trace import Trace
from gradsweep.request.framework import frameworks_named
from gradsweep.request.leaf import Leaf
from gradsweep.request.partition import n_points

__all__ = [
    "Engine",
    "Job",
    "Kernel",
    "groups_by_dims",
    "needs_framework",
    "reduced",
    "unknown_scratch_bytes",
    "vectorised",
]

Leaves = Mapping[str, Leaf]
# Fills one array for each result: its dims lead, in the job's order, then its own shape.
Kernel = Callable[[Leaves, Sequence[np.ndarray]], None]


@dataclass(frozen=True, eq=False)
class Job:
    """The work that a kernel is made for.

    Attributes:
        traced: the derivative at one point.
        leaves: a few points of the sweep, for its dims, shapes and dtypes, and for trials.
        axes: the swept axes, in order.
        dims: for each result, the axes it varies with, in order.
        stages: the Program's equations by axes; () without a Program.
    """

    traced: Trace
    leaves: Leaves
    axes: tuple[str, ...]
    dims: tuple[tuple[str, ...], ...]
    stages: tuple[Stage, ...]


@runtime_checkable
class Bindable(Protocol):
    """A kernel of machine code, which can be bound to arrays and then called in microseconds."""

    @property
    def compile_seconds(self) -> float:
        """How long compiling has taken so far."""
        ...

    def bind(self, leaves: Leaves, arrays: Sequence[np.ndarray]) -> Any:
        """Return a call that reads and fills these arrays."""
        ...


class Engine(Protocol):
    """A way to run a derivative over a sweep."""

    @property
    def name(self) -> str: ...

    @property
    def runs_programs(self) -> bool:
        """Whether it runs the Program, not the function itself."""
        ...

    @property
    def is_vectorised(self) -> bool:
        """Whether it computes many points at once, not one after another."""
        ...

    @property
    def compiles(self) -> bool:
        """Whether it makes machine code itself: in a known time, for several threads."""
        ...

    def refuses(self, job: Job) -> str:
        """Return why this engine cannot run the job, as a clause, or "" when it can."""
        ...

    def prepare(self, job: Job) -> Kernel: ...

    def scratch_bytes(self, job: Job, block: Mapping[str, int]) -> int:
        """Project the bytes of intermediates, without results, on a block of the axes."""
        ...


def unknown_scratch_bytes(job: Job, block: Mapping[str, int]) -> int:
    """Guess the scratch of a framework, whose operators copy what they read and write."""
    n_numbers = sum(leaf.n_elements for leaf in job.leaves.values())
    n_numbers += sum(math.prod(result.shape) for result in job.traced.results)
    return 64 * n_numbers * n_points(block, block)


def groups_by_dims(job: Job) -> Iterator[tuple[tuple[str, ...], list[int]]]:
    """Yield each distinct tuple of dims with the positions of the results that have it."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for position, dims in enumerate(job.dims):
        groups.setdefault(dims, []).append(position)
    yield from groups.items()


def reduced(leaf: Leaf, dims: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the dims and values of a leaf, at the first point of every axis not in `dims`."""
    values = leaf.whole()
    index: list[Any] = []
    for axis, dim in enumerate(leaf.dims):
        if dim in dims:
            index.append(slice(None))
        elif values.shape[axis]:
            index.append(0)
        else:  # no point to take: no result wanted here depends on the value
            values = np.ones(
                [1 if i == axis else n for i, n in enumerate(values.shape)], values.dtype
            )
            index.append(0)
    return tuple(dim for dim in leaf.dims if dim in dims), values[tuple(index)]


def vectorised(job: Job, dims: tuple[str, ...], positions: list[int], vmap: Callable) -> Callable:
    """Return a function of arrays by leaf key that computes some results over all of `dims`.

    Args:
        vmap: the framework's own, as `vmap(function, axes)`, with an axis or None for each leaf.
    """

    def at_point(values: dict) -> tuple:
        results = job.traced.call(values)
        return tuple(results[position] for position in positions)

    function: Callable = at_point
    # The innermost vmap takes the last axis, when the others are gone from every leaf.
    for depth in reversed(range(len(dims))):
        function = vmap(function, (_leaf_axes(job, dims, depth),))
    return function


def _leaf_axes(job: Job, dims: tuple[str, ...], depth: int) -> dict[str, int | None]:
    """Return the position of `dims[depth]` in each leaf once the axes before it are mapped."""
    positions: dict[str, int | None] = {}
    for key, leaf in job.leaves.items():
        left = [dim for dim in leaf.dims if dim in dims[depth:]]
        positions[key] = left.index(dims[depth]) if dims[depth] in left else None
    return positions


def needs_framework(job: Job, wanted: str) -> str:
    """Return why a function that another framework traced cannot run in this one, or ""."""
    traced = job.traced.framework
    if traced == wanted:
        return ""
    if traced in frameworks_named(job.traced.function):
        return f"the function is written for {traced}"
    return f"{traced} traces the function here; framework={wanted!r} has it traced by {wanted}"
