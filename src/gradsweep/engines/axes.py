"""Find which swept axes each variable varies with.

A Program and the leaves of a sweep enter, a Dependence leaves. To claim an axis too many costs
time; to miss one would give wrong numbers.

Knows nothing of engines, chunks or memory.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gradsweep.program.program import Program
from gradsweep.program.trace import Trace
from gradsweep.request.leaf import Leaf

__all__ = ["Axes", "Dependence", "analyse", "result_dims"]

Axes = frozenset[str]


@dataclass(frozen=True)
class Dependence:
    """The axes that each variable of a Program varies with, by its number."""

    axes: tuple[Axes, ...]

    def of(self, variables: Iterable[int]) -> Axes:
        """Return the axes that any of some variables varies with."""
        return frozenset().union(*(self.axes[variable] for variable in variables))


def analyse(program: Program, leaves: Mapping[str, Leaf]) -> Dependence:
    """Return the axes of every variable: for an equation, the union of its operands' axes."""
    sets = (leaves[entry.leaf].dims_of(entry.element) for entry in program.inputs)
    return Dependence(tuple(program.propagate(sets, range(program.n_variables)).values()))


def result_dims(
    traced: Trace, dependence: Dependence | None, leaves: Mapping[str, Leaf], axes: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    """Return the axes of each result, in the sweep's order.

    Without a Program, a result varies with the axes of every leaf that it may depend on.
    """
    if traced.program is not None:
        assert dependence is not None
        sets = [dependence.of(output.variables) for output in traced.program.outputs]
    else:
        sets = [
            frozenset(dim for key in keys for dim in leaves[key].dims) for keys in traced.depends
        ]
    return tuple(tuple(axis for axis in axes if axis in found) for found in sets)
