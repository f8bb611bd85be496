"""Cut the equations of a long nest into segments, each a function of its own.

LLVM takes time more than in proportion to the length of a function; in segments, compiling stays
linear. What one segment computes and a later one reads is kept in between, in places that are used
again once their value is read for the last time.

Knows nothing of machine code.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gradsweep.engines.fused.demand import Demand
from gradsweep.program import Equation

__all__ = ["Segment", "cut"]

# Long enough that few values cross, short enough that LLVM's time stays in proportion.
_SEGMENT_EQUATIONS = 1_000


@dataclass(frozen=True)
class Segment:
    """Some consecutive equations of a nest.

    Attributes:
        restored: the variables of earlier segments that are read, and the place of each.
        kept: the variables that later segments read, and the place of each.
    """

    equations: Mapping[int, Equation]
    restored: Mapping[int, int]
    kept: Mapping[int, int]


def cut(
    equations: Mapping[int, Equation],
    demands: Mapping[int, Demand],
    length: int = _SEGMENT_EQUATIONS,
) -> tuple[tuple[Segment, ...], int]:
    """Return the segments, and how many places they need in between.

    The places are assigned as registers are by linear scan.

    Args:
        demands: the conditions that an equation reads besides its operands.

    Reference: Poletto and Sarkar (1999), Linear scan register allocation.
    """
    parts = list(_parts(equations, length))
    if len(parts) <= 1:
        return (Segment(equations, {}, {}),), 0
    home = {variable: number for number, part in enumerate(parts) for variable in part}
    reads = [
        {o for e in part.values() for o in e.operands}
        | {condition for v in part for condition, _ in demands.get(v, ())}
        for part in parts
    ]
    last_reader = {v: number for number, read in enumerate(reads) for v in read}
    segments: list[Segment] = []
    places: dict[int, int] = {}
    free: list[int] = []
    n_places = 0
    for number, part in enumerate(parts):
        read = {v for v in reads[number] if home.get(v, number) < number}
        restored = {variable: places[variable] for variable in sorted(read)}
        kept = {}
        for variable in part:
            if last_reader.get(variable, number) > number:
                if not free:
                    free.append(n_places)
                    n_places += 1
                kept[variable] = places[variable] = free.pop()
        segments.append(Segment(part, restored, kept))
        free += [places[variable] for variable in read if last_reader[variable] == number]
    return tuple(segments), n_places


def _parts(equations: Mapping[int, Equation], length: int) -> Iterator[dict[int, Equation]]:
    pairs = list(equations.items())
    for start in range(0, len(pairs), length):
        yield dict(pairs[start : start + length])
