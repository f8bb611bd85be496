"""Solve an equation that is written with NumPy, on the arrays of the framework underneath."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.library import library_of
from gradsweep.tracing.numpy.operators import Number
from gradsweep.tracing.numpy.row import unwrapped
from gradsweep.tracing.solving.numbers import Equation

__all__ = ["solver_in_dialect"]

_Solve = Callable[[Equation], list[Any]]
_OfLeaves = Callable[[Sequence[Any]], list[Any]]


def solver_in_dialect(solve: _Solve) -> _Solve:
    """Return what solves an equation between NumPy's numbers by what solves one of a framework."""

    def solved(equation: Equation) -> list[Any]:
        numbers = [*map(_number_of, equation.start)]

        def on_values(function: _OfLeaves) -> _OfLeaves:
            def of_values(leaves: Sequence[Any]) -> list[Any]:
                given = [Array(leaf, number) for leaf, number in zip(leaves, numbers)]
                library = next(filter(None, map(library_of, leaves)))
                return [library.asarray(unwrapped(value)) for value in function(given)]

            return of_values

        of_values = replace(
            equation,
            residual=on_values(equation.residual),
            searched=on_values(equation.searched),
            start=[*map(unwrapped, equation.start)],
        )
        return [Array(leaf, number) for leaf, number in zip(solve(of_values), numbers)]

    return solved


def _number_of(leaf: Any) -> Number:
    """Return whose number an unknown is, by its start."""
    if isinstance(leaf, Array):
        return leaf.number or "numpy"
    return "python" if isinstance(leaf, int | float) else "numpy"
