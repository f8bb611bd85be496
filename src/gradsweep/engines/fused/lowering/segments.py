"""Cut the equations of a long nest into segments, each a function of its own.

LLVM's time grows faster than the length of a function; in segments, compiling stays linear. A value
that a later segment reads is kept in a place, which is free again after its last reader.

Knows nothing of machine code.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gradsweep.engines.fused.lowering.demand import Demand
from gradsweep.engines.fused.lowering.rows import NO_ROWS, Rows, results_together
from gradsweep.program.program import Equation, reads

__all__ = ["Segment", "cut"]

# Long enough that few values cross, short enough that LLVM's time stays linear.
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
    rows: Rows = NO_ROWS,
    length: int = _SEGMENT_EQUATIONS,
) -> tuple[tuple[Segment, ...], int]:
    """Return the segments, and how many places they need in between.

    The places are assigned as registers are by linear scan.

    Args:
        demands: the conditions that an equation reads besides its operands.
        rows: the places that are taken in any case.

    Reference: Poletto and Sarkar (1999), Linear scan register allocation.
    """
    parts = list(_parts(equations, length))
    if len(parts) <= 1:
        return (Segment(equations, {}, {}),), rows.n_places
    home = {variable: number for number, part in enumerate(parts) for variable in part}
    read = [
        {operand for _, _, operands in reads(part.items()) for operand in operands}
        | {condition for v in part for condition, _ in demands.get(v, ())}
        for part in parts
    ]
    last_reader = {v: number for number, variables in enumerate(read) for v in variables}
    segments: list[Segment] = []
    places: dict[int, int] = dict(rows.places)
    free: list[int] = []
    n_places = rows.n_places
    for number, part in enumerate(parts):
        earlier = {v for v in read[number] if home.get(v, number) < number}
        restored = {variable: places[variable] for variable in sorted(earlier)}
        kept = {}
        for variable in part:
            if last_reader.get(variable, number) > number and variable not in rows.places:
                if not free:
                    free.append(n_places)
                    n_places += 1
                kept[variable] = places[variable] = free.pop()
        segments.append(Segment(part, restored, kept))
        free += [
            places[variable]
            for variable in earlier
            if last_reader[variable] == number and variable not in rows.places
        ]
    return tuple(segments), n_places


def _parts(equations: Mapping[int, Equation], length: int) -> Iterator[dict[int, Equation]]:
    """Yield the equations in parts of this length, longer where a loop's results end a part."""
    together = results_together(equations.items())
    part: dict[int, Equation] = {}
    for variable, equation in equations.items():
        is_begun = variable in together and together[variable][0] != variable
        if len(part) >= length and not is_begun:
            yield part
            part = {}
        part[variable] = equation
    yield part
