"""Group the equations of a Program by the axes they vary with.

A Program and its Dependence enter, Stages leave: on a grid, each equation is then computed once
per point of the axes it depends on, not once per point of the grid.

Knows nothing of engines or memory.
"""

from dataclasses import dataclass

from gradsweep.dependence import Axes, Dependence
from gradsweep.program import Equation, Program

__all__ = ["Stage", "make_stages"]


@dataclass(frozen=True)
class Stage:
    """The equations that vary with exactly these axes.

    Attributes:
        axes: what they vary with.
        equations: each with the number of the variable it defines, in an order in which they
            can be computed once every stage with fewer axes is done.
    """

    axes: Axes
    equations: tuple[tuple[int, Equation], ...]


def make_stages(program: Program, dependence: Dependence) -> tuple[Stage, ...]:
    """Return the stages in an order in which they can run.

    An equation's axes contain those of its operands, so a stage reads only stages whose axes
    are a subset of its own, and these come first when fewer axes come first.
    """
    groups: dict[Axes, list[tuple[int, Equation]]] = {}
    for variable, equation in program.numbered():
        groups.setdefault(dependence.axes[variable], []).append((variable, equation))
    order = sorted(groups, key=lambda axes: (len(axes), sorted(axes)))
    return tuple(Stage(axes, tuple(groups[axes])) for axes in order)
