"""Places for the numbers that loops read or leave at every step.

The equations of a nest enter; Rows leave: places in a thread's own memory, each as long as a
vector. The places of one row are side by side.

Knows nothing of machine code.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gradsweep.program.program import Equation, Loop, LoopResult

__all__ = ["NO_ROWS", "Rows", "place_rows", "results_together"]


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
            start += count_places(loop)
        if number >= loop.n_carries:
            places[variable] = first[loop] + number - loop.n_carries
    return Rows(places, first, start)


def count_places(loop: Loop) -> int:
    """Count the places of a loop: for the rows that it leaves, then for the rows that it reads,
    then for the loops inside it.
    """
    own = (loop.n_rows_left + loop.n_rows) * (loop.n_steps or 0)
    return own + place_rows(loop.body.numbered()).n_places


def results_together(equations: Iterable[tuple[int, Equation]]) -> dict[int, list[int]]:
    """Return, for each result of a loop, all results of the same loop."""
    found: dict[Loop, list[int]] = {}
    for variable, (primitive, _, _) in equations:
        if isinstance(primitive, LoopResult):
            found.setdefault(primitive.loop, []).append(variable)
    return {variable: results for results in found.values() for variable in results}
