"""Find equations that matter only where some condition holds.

The equations of a nest enter; the conditions under which anything depends on each of them leave.
Where they hold in no lane of a vector, a costly call is skipped: `where(x > 0, log1p(x), expm1(x))`
then costs one call, not two, wherever neighbouring points take the same branch. `select` would drop
the skipped values, so no result changes.

Knows nothing of machine code.
"""

from collections.abc import Collection, Mapping

from gradsweep.program.program import Equation, reads

__all__ = ["Demand", "find_demands"]

# Conditions that hold together: each a variable and the bool that it must be. Empty means always.
Demand = frozenset[tuple[int, bool]]

_ALWAYS: Demand = frozenset()


def find_demands(
    equations: Mapping[int, Equation], leaving: Collection[int], present: Collection[int]
) -> dict[int, Demand]:
    """Return the demand of every equation.

    An equation is needed where any of its readers is: under the conditions that all readers have
    in common. A `select` that reads it as an arm adds its own condition.

    Invariant: a condition in the demand of a variable does not depend on that variable. If it did,
    the condition would be needed only under itself, and so would the first select that reads it.

    Args:
        equations: in an order in which they can be computed.
        leaving: variables that are stored, and so needed at every point.
        present: variables read from memory, which may be conditions too.
    """
    demands: dict[int, Demand] = {}

    def need(variable: int, demand: Demand) -> None:
        demands[variable] = demands.get(variable, demand) & demand

    for variable, (primitive, _, _), operands in reads(reversed(list(equations.items()))):
        own = _ALWAYS if variable in leaving else demands.get(variable, _ALWAYS)
        demands[variable] = own
        if primitive == "select" and (operands[0] in equations or operands[0] in present):
            condition, if_true, if_false = operands
            need(condition, own)
            need(if_true, own | {(condition, True)})
            need(if_false, own | {(condition, False)})
        else:
            # A loop always runs, for all of its results.
            demand = own if isinstance(primitive, str) else _ALWAYS
            for operand in operands:
                need(operand, demand)
    return {variable: demands[variable] for variable in equations}
