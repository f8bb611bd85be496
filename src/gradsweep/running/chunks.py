"""Run kernels over the chunks of a sweep: the only loop over chunks.

Tasks and the arrays to fill enter; the arrays are filled.
Knows nothing of how a kernel was made, nor of labels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gradsweep.engines.job import Kernel, Leaves
from gradsweep.request.partition import SELECTED, Partition, Points
from gradsweep.support import memory_pool

__all__ = ["Task", "allocate", "execute", "scatter"]

Dims = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Task:
    """A kernel and the points it is run on.

    Attributes:
        leaves: the values at these points.
        axes: their axes and lengths.
        dims: for each result, the axes it varies with.
        points: where the points stand in the whole sweep; None when they are all of it.
        chunks: the axes cut so that intermediates fit.
    """

    kernel: Kernel
    leaves: Leaves
    axes: Mapping[str, int]
    dims: tuple[Dims, ...]
    points: Points | None
    chunks: Partition


def allocate(
    axes: Mapping[str, int],
    dims: Dims,
    shape: tuple[int, ...],
    dtype: str,
    empty: Callable[..., np.ndarray] = memory_pool.empty,
) -> np.ndarray:
    """Return an array with `dims` leading and `shape` after them.

    In memory the dims come last: the elements of one entry of a Jacobian stand side by side
    along the sweep, which is how a kernel writes them.

    Args:
        empty: makes the memory, from a shape and a dtype.
    """
    array = empty((*shape, *(axes[dim] for dim in dims)), dtype)
    return np.moveaxis(array, range(len(shape)), range(-len(shape), 0)) if shape else array


def execute(tasks: Sequence[Task], arrays: Sequence[np.ndarray], dims: Sequence[Dims]) -> None:
    """Fill the arrays of a whole sweep, result by result with dims `dims`."""
    for task in tasks:
        if task.points is None:
            _run(task, arrays)
            continue
        own = [
            allocate(task.axes, task_dims, array.shape[len(whole) :], array.dtype.name)
            for task_dims, whole, array in zip(task.dims, dims, arrays)
        ]
        _run(task, own)
        for task_dims, values, whole, array in zip(task.dims, own, dims, arrays):
            scatter(values, task_dims, array, whole, task.points)


def _run(task: Task, arrays: Sequence[np.ndarray]) -> None:
    if task.chunks.n_parts == 1:
        task.kernel({key: leaf.loaded() for key, leaf in task.leaves.items()}, arrays)
        return
    for chunk in task.chunks:
        leaves = {key: leaf.take(chunk.slices).loaded() for key, leaf in task.leaves.items()}
        windows = [
            array[tuple(chunk.slices[dim] for dim in dims)] if dims else array
            for array, dims in zip(arrays, task.dims)
        ]
        task.kernel(leaves, windows)


def scatter(values: np.ndarray, dims: Dims, array: np.ndarray, whole: Dims, points: Points) -> None:
    """Write the values at chosen points to their places in the array of the whole sweep."""
    chosen = [dim for dim in whole if dim in points.index]
    rest = [dim for dim in whole if dim not in points.index]
    # Advanced indices that stand together at the front keep the other dims in order.
    front = np.moveaxis(array, [whole.index(dim) for dim in chosen], range(len(chosen)))
    lead = [SELECTED, *rest] if chosen else rest
    index = tuple(slice(None) if dim in dims else np.newaxis for dim in lead)
    front[tuple(points.index[dim] for dim in chosen)] = values[index]
