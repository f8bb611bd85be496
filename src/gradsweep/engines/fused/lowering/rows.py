"""Find places for the vectors that loops keep in memory.

The equations of a nest enter; places leave, in a thread's own memory, each as long as a vector.
Kept are the numbers of every step that a loop reads or leaves, and the carries of a loop that has
more of them than there are registers.

Knows nothing of machine code.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from gradsweep.program.program import CARRY, GIVEN, ROW, Equation, Loop, LoopResult

__all__ = ["NO_ROWS", "LoopPlaces", "Rows", "lay_out", "place_rows", "results_together"]

# With more carries than this, most are in memory anyway; then it is better to know where.
_MOST_IN_REGISTERS = 32


@dataclass(frozen=True)
class Rows:
    """Places of rows.

    Attributes:
        places: the place of each number that a loop leaves, by variable.
        first: for each loop, the first of the places that it and the loops inside it need.
    """

    places: Mapping[int, int]
    first: Mapping[Loop, int]
    n_places: int


NO_ROWS = Rows({}, {}, 0)


@dataclass(frozen=True)
class LoopPlaces:
    """The places of a loop, from its first on.

    Attributes:
        left: of what the first step leaves; the next step's follow.
        copied: of the rows that it reads, where they are not in memory yet: row after row.
        carries: of the carries before a step, and after it; each becomes the other in the next.
            None where they are in registers.
        given: of the given numbers that loops inside read as rows or lookups as tables, by input
            of the body.
        inside: of the loops inside.
        end: the first place that is free again.
    """

    left: int
    copied: int
    carries: tuple[int, int] | None
    given: Mapping[int, int]
    inside: Rows
    end: int


@lru_cache(maxsize=256)
def lay_out(loop: Loop, first: int) -> LoopPlaces:
    """Lay out the places of a loop.

    Args:
        first: the first free place.
    """
    steps, read = loop.rows_length, _read_as_rows(loop)
    copied = first + loop.n_rows_left * steps
    end = copied + loop.n_rows * steps
    carries = None
    inputs = loop.body.inputs
    if loop.n_carries > _MOST_IN_REGISTERS or any(inputs[v].leaf == CARRY for v in read):
        carries = end, end + loop.n_carries
        end += 2 * loop.n_carries
    given = {v: end + k for k, v in enumerate(v for v in read if inputs[v].leaf == GIVEN)}
    inside = place_rows(loop.body.numbered(), end + len(given))
    return LoopPlaces(first, copied, carries, given, inside, inside.n_places)


def place_rows(equations: Iterable[tuple[int, Equation]], start: int = 0) -> Rows:
    """Find a place for every number of every row.

    Args:
        start: the first free place.
    """
    places: dict[int, int] = {}
    first: dict[Loop, int] = {}
    for variable, (primitive, _, _) in equations:
        if not isinstance(primitive, LoopResult):
            continue
        loop, number = primitive
        if loop not in first:
            first[loop] = start
            start = lay_out(loop, start).end
        if number >= loop.n_carries:
            row, step = divmod(number - loop.n_carries, loop.rows_length)
            places[variable] = first[loop] + step * loop.n_rows_left + row
    return Rows(places, first, start)


def _read_as_rows(loop: Loop) -> list[int]:
    """Return the inputs that loops inside a loop read as rows, or its lookups as tables."""
    inputs, n_inputs = loop.body.inputs, len(loop.body.inputs)
    found: set[int] = set()
    for primitive, operands, _ in loop.body.equations:
        if primitive == "lookup" and all(v < n_inputs for v in operands[1:]):
            found.update(v for v in operands[1:] if inputs[v].leaf != ROW)
    for inner, operands in loop.body.loops.items():
        for entry, places in zip(inner.body.inputs, inner.places):
            if entry.leaf == ROW:
                found.update(operands[place] for place in places)
    return sorted(variable for variable in found if variable < n_inputs)


def results_together(equations: Iterable[tuple[int, Equation]]) -> dict[int, list[int]]:
    """Return, for each result of a loop, all results of the same loop."""
    found: dict[Loop, list[int]] = {}
    for variable, (primitive, _, _) in equations:
        if isinstance(primitive, LoopResult):
            found.setdefault(primitive.loop, []).append(variable)
    return {variable: results for results in found.values() for variable in results}
