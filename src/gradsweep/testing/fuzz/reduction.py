"""Leave out the lines of a failing function that the failure does not need.

hypothesis shrinks the choices; here lines of the source are left out.
"""

import time
from collections.abc import Callable, Iterator

from gradsweep.testing.fuzz.drawing.functions import DrawnFunction
from gradsweep.testing.fuzz.wrong import Wrong

__all__ = ["reduced"]


def reduced(
    wrong: Wrong, again: Callable[[DrawnFunction, Wrong], Wrong | None], until: float
) -> Wrong:
    """Return the failure of a function with fewer lines.

    Args:
        again: returns the failure of a function if it is of the same kind as this one, else None.
        until: when to stop, by the clock of `time.monotonic`.
    """
    is_done = False
    while not is_done:
        is_done = True
        for smaller in _smaller(wrong.drawn):
            if time.monotonic() > until:
                return wrong
            found = again(smaller, wrong) if _is_closed(smaller) else None
            if found is not None:
                wrong, is_done = found, False
                break
    return wrong


def _smaller(drawn: DrawnFunction) -> Iterator[DrawnFunction]:
    yield from drawn.unpacked()
    for position in reversed(range(len(drawn.statements))):
        yield drawn.without(position)
    for position in reversed(range(len(drawn.statements))):
        yield from drawn.bypassing(position)
    for position in reversed(range(len(drawn.statements))):
        for line in range(len(drawn.statements[position].lines)):
            if len(drawn.statements[position].lines) > 1:
                yield drawn.without(position, line)
    terms = drawn.result.split(" + ")
    if len(terms) > 1 and not drawn.result.startswith(("{", "(")):
        for left_out in range(len(terms)):
            kept = [term for place, term in enumerate(terms) if place != left_out]
            yield drawn.returning(" + ".join(kept))
    for position in range(len(drawn.module)):
        yield drawn.without_module(position)


def _is_closed(drawn: DrawnFunction) -> bool:
    try:
        return drawn.is_closed
    except SyntaxError:
        return False
