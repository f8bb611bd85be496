"""Project the bytes that a derivative needs, and cut a sweep into chunks that fit.

Knows nothing of engines or stores.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from gradsweep.program import Program
from gradsweep.stages import Stage

__all__ = ["SCRATCH_BYTES", "Chunk", "make_chunks", "n_points", "project_bytes"]

# What an engine's intermediates may take. Larger chunks are no faster, smaller ones cost calls.
SCRATCH_BYTES = 2**28

Chunk = Mapping[str, slice]


def n_points(axes: Iterable[str], sizes: Mapping[str, int]) -> int:
    """Count the points of some axes."""
    return math.prod(sizes[axis] for axis in axes)


def project_bytes(program: Program, stages: Sequence[Stage], sizes: Mapping[str, int]) -> int:
    """Bound the bytes of intermediates alive at once, every one held as an array.

    A variable that varies along axes (a, b) counts sizes[a] * sizes[b] numbers.

    Reference: Appel (1998), Modern Compiler Implementation, ch. 10, liveness.
    """
    order = [(v, equation, stage.axes) for stage in stages for v, equation in stage.equations]
    last = {operand: v for v, equation, _ in order for operand in equation.operands}
    kept = {v for output in program.outputs for v in output.variables}
    alive: dict[int, int] = {}
    total = peak = 0
    for variable, equation, axes in order:
        alive[variable] = n_points(axes, sizes) * np.dtype(equation.dtype).itemsize
        total += alive[variable]
        peak = max(peak, total)
        for operand in set(equation.operands):
            if last[operand] == variable and operand not in kept:
                total -= alive.pop(operand, 0)
    return peak


def make_chunks(
    axes: Mapping[str, int], bytes_of: Callable[[Mapping[str, int]], int], limit_bytes: int
) -> tuple[dict[str, int], tuple[Chunk, ...]]:
    """Cut the axes into equal blocks until one block fits.

    Args:
        bytes_of: projects the bytes of a block, from its length along each axis.

    Returns:
        The length of a block along each axis, and the chunks, which cover every point once.
    """
    block = dict(axes)
    while bytes_of(block) > limit_bytes and any(size > 1 for size in block.values()):
        longest = max(block, key=lambda axis: block[axis])
        block[longest] = -(-block[longest] // 2)
    return block, tuple(_blocks(axes, block))


def _blocks(axes: Mapping[str, int], block: Mapping[str, int]) -> Iterator[Chunk]:
    counts = [max(1, -(-axes[axis] // max(1, block[axis]))) for axis in axes]
    for index in np.ndindex(*counts):
        yield {
            axis: slice(i * block[axis], min((i + 1) * block[axis], axes[axis]))
            for axis, i in zip(axes, index)
        }
