"""Find the sums that have to be rounded as Python rounds them.

A machine may round a product and a sum once in place of twice, which is faster and mostly better.
Then x * x - y is no longer zero where y was computed as x * x. What only adds to the result does
not mind; but a comparison, a quotient or a square root tells zero from 1e-17.

Equations enter; the variables whose zeros count leave.
"""

from collections.abc import Collection, Mapping, Sequence

from gradsweep.program.primitives import PRIMITIVES
from gradsweep.program.program import CARRY, Equation, Loop, LoopResult

__all__ = ["sharp_variables"]

# The variables of the equations, under None, and those of the bodies of their Loops.
_Found = dict[Loop | None, set[int]]


def sharp_variables(
    equations: Sequence[tuple[int, Equation]],
) -> Mapping[Loop | None, Collection[int]]:
    """Return the variables whose last bit may change a result by far.

    They are the sharp operands of primitives, and what these are computed from, up to primitives
    that blur.

    Args:
        equations: each with the variable it defines, and after those that it reads.

    Returns:
        The variables of the equations, under None, and of the body of each Loop.
    """
    found: _Found = {}
    _find(equations, None, set(), found)
    return found


def _find(
    equations: Sequence[tuple[int, Equation]], own: Loop | None, wanted: set[int], found: _Found
) -> set[int]:
    """Find the sharp variables of equations, or of a Loop's body, `wanted` among them."""
    sharp = found.setdefault(own, set())
    sharp |= wanted
    first: dict[Loop, int] = {}
    for variable, (primitive, _, _) in equations:
        if isinstance(primitive, LoopResult):
            first.setdefault(primitive.loop, variable)
    leaving: dict[Loop, set[int]] = {}  # of the body of each Loop, the sharp ones that leave it
    for variable, (primitive, operands, _) in reversed(equations):
        if isinstance(primitive, str):
            row = PRIMITIVES[primitive]
            if variable in sharp and not row.blurs:
                sharp.update(operands)
            else:
                sharp.update(operands[position] for position in row.sharp)
            continue
        loop, number = primitive
        left = leaving.setdefault(loop, set())
        if variable in sharp:
            left.add(loop.ports[loop.port(number)])
        if variable == first[loop]:  # all that read its results were met before
            sharp.update(operands[position] for position in _find_in_loop(loop, left, found))
    return sharp


def _find_in_loop(loop: Loop, wanted: set[int], found: _Found) -> set[int]:
    """Find the sharp variables of a Loop's body; return the positions of its sharp operands."""
    body = list(loop.body.numbered())
    carried = loop.body.outputs[0].variables
    while True:
        sharp = _find(body, loop, wanted, found)
        entries = [(n, entry) for n, entry in enumerate(loop.body.inputs) if n in sharp]
        # A carry that is sharp in one step has to be so in the step that computes it.
        more = {carried[entry.element] for _, entry in entries if entry.leaf == CARRY} - sharp
        if not more:
            return {position for number, _ in entries for position in loop.places[number]}
        wanted = wanted | more
