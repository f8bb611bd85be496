"""Project the bytes of intermediates that a Program needs over a block of a sweep.

A Program in stages and the length of the block along each axis enter; a number of bytes leaves.
Knows nothing of engines.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from gradsweep.engines.stages import Stage
from gradsweep.program.program import Program, reads
from gradsweep.request.partition import n_points

__all__ = ["project_bytes"]


def project_bytes(program: Program, stages: Sequence[Stage], sizes: Mapping[str, int]) -> int:
    """Bound the bytes of intermediates alive at once, every one held as an array.

    A variable that varies along axes (a, b) counts sizes[a] * sizes[b] numbers.

    Reference: Appel (1998), Modern Compiler Implementation, ch. 10, liveness.
    """
    order = [(v, equation, stage.axes) for stage in stages for v, equation in stage.equations]
    read = {v: operands for v, _, operands in reads((v, equation) for v, equation, _ in order)}
    last = {operand: variable for variable in read for operand in read[variable]}
    kept = {v for output in program.outputs for v in output.variables}
    alive: dict[int, int] = {}
    total = peak = 0
    for variable, equation, axes in order:
        alive[variable] = n_points(axes, sizes) * np.dtype(equation.dtype).itemsize
        total += alive[variable]
        peak = max(peak, total)
        for operand in set(read[variable]):
            if last[operand] == variable and operand not in kept:
                total -= alive.pop(operand, 0)
    return peak
