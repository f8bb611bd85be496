"""Group the equations of a Program by the axes they vary with.

A Program and its Dependence enter, Stages leave: on a grid, each equation is then computed once
per point of the axes it depends on, not once per point of the grid.

Knows nothing of engines or memory.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from gradsweep.engines.axes import Axes, Dependence
from gradsweep.program.program import Equation, Program, total_flops
from gradsweep.program.pruning import without_other_results
from gradsweep.request.partition import n_points

__all__ = ["Stage", "flops_over", "make_stages"]


@dataclass(frozen=True)
class Stage:
    """The equations that vary with exactly these axes.

    Attributes:
        axes: the axes that they vary with.
        equations: each with the number of the variable it defines, in an order in which they
            can be computed once every stage with fewer axes is done.
    """

    axes: Axes
    equations: tuple[tuple[int, Equation], ...]

    @cached_property
    def flops(self) -> int:
        """Estimate the floating-point operations of one point."""
        return total_flops(equation for _, equation in self.equations)


def flops_over(stages: Iterable[Stage], axes: Mapping[str, int]) -> int:
    """Count the flops of stages over a sweep, each equation once per point of its own axes."""
    return sum(n_points(stage.axes, axes) * stage.flops for stage in stages)


def make_stages(program: Program, dependence: Dependence) -> tuple[Stage, ...]:
    """Return the stages in an order in which they can run.

    An equation's axes contain those of its operands, so a stage reads only stages whose axes
    are a subset of its own, and these come first when fewer axes come first.
    """
    groups: dict[Axes, list[tuple[int, Equation]]] = {}
    for variable, equation in program.numbered():
        groups.setdefault(dependence.axes[variable], []).append((variable, equation))
    order = sorted(groups, key=lambda axes: (len(axes), sorted(axes)))
    # A Loop's other results may vary with more axes, and so may operands that only they depend on.
    return tuple(Stage(axes, tuple(without_other_results(groups[axes]))) for axes in order)
