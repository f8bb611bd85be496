"""Compute a part where one trace may not hold for all parts.

Leaves, a part and the arrays to fill enter; the arrays are filled, by a kernel where its trace
holds, else by a new plan for the part.
"""

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Protocol

import numpy as np

from gradsweep.engines.prepared import Prepared
from gradsweep.request.leaf import Leaf
from gradsweep.request.partition import Part
from gradsweep.running.chunks import allocate
from gradsweep.running.program_work import compute

__all__ = ["Replan", "checked", "replanned"]


class Fillable(Protocol):
    """A plan for one part: it allocates arrays with dims of their own, and fills them."""

    @property
    def dims(self) -> tuple[tuple[str, ...], ...]: ...

    def allocate(self) -> list[np.ndarray]: ...

    @property
    def solves(self) -> bool: ...

    def fill(self, arrays: Sequence[np.ndarray]) -> None: ...


Dims = tuple[str, ...]
# Plans a part from its leaves.
Replan = Callable[[Mapping[str, Leaf]], Fillable]
Compute = Callable[[Mapping[str, Leaf], Part, Sequence[np.ndarray]], bool]


def checked(
    prepared: Prepared,
    replanned: Compute,
    leaves: Mapping[str, Leaf],
    part: Part,
    arrays: Sequence[np.ndarray],
) -> bool:
    """Fill a part's arrays by one trace, or by a new plan where the trace does not hold.

    Args:
        prepared: has the kernel of a Program whose last output tells where it holds.

    Returns:
        Whether the function solves equations there.
    """
    lengths = part.lengths
    *dims, guarded = prepared.job.dims
    holds = allocate(lengths, guarded, (), "bool")
    own = [
        array if len(of) == len(lengths) else allocate(lengths, of, shape, array.dtype.name)
        for array, of in zip(arrays, dims)
        for shape in [array.shape[len(lengths) :]]
    ]
    solves = compute(prepared, leaves, part, [*own, holds])
    if not holds.all():
        return replanned(leaves, part, arrays)
    _spread(own, dims, arrays, [tuple(part.slices)] * len(arrays))
    return solves


# Frameworks trace in one thread at a time.
_REPLANNING = Lock()


def replanned(
    replan: Replan,
    dims: Sequence[Dims],
    leaves: Mapping[str, Leaf],
    part: Part,
    arrays: Sequence[np.ndarray],
) -> bool:
    """Fill a part's arrays by a plan of its own.

    Args:
        dims: the axes of each array.

    Returns:
        Whether the function solves equations there.
    """
    with _REPLANNING:
        planned = replan(leaves)
        found = planned.allocate()
        planned.fill(found)
    _spread(found, planned.dims, arrays, dims)
    return planned.solves


def _spread(
    found: Sequence[np.ndarray],
    dims: Sequence[Dims],
    arrays: Sequence[np.ndarray],
    whole: Sequence[Dims],
) -> None:
    """Fill arrays of the axes `whole`, by repeating values along those that they lack."""
    for array, values, of, axes in zip(arrays, found, dims, whole):
        if values is not array:
            # What the whole does not vary along makes no difference here, whatever a plan claims.
            values = values[tuple(slice(None) if d in axes else 0 for d in of)]
            array[...] = values[tuple(slice(None) if d in of else np.newaxis for d in axes)]
