"""What a search for a solution asks of a framework, and what it is handed and hands back."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from gradsweep.support.meanwhile import meanwhile

__all__ = [
    "Equation",
    "Found",
    "Function",
    "Numbers",
    "Search",
    "in_high_precision",
    "is_small",
    "scaled",
]

Array = Any

# A function of the unknowns, a number or a vector, that returns as many numbers.
Function = Callable[[Array], Array]


_IS_PRECISE: ContextVar[bool] = ContextVar("is_precise", default=False)


def in_high_precision() -> AbstractContextManager[bool]:
    """Have searches that are traced meanwhile go on to 40 digits and more, where numbers have them.

    A Program evaluated with more digits would else have those of its tolerance.
    """
    return meanwhile(_IS_PRECISE, True)


class Numbers(Protocol):
    """The arrays of one framework, besides the operators of Python's that they share.

    Attributes:
        epsilon: the distance from 1 to the next larger number of their dtype.
    """

    epsilon: float

    def number(self, value: Any) -> Array:
        """Return an array without dims, of their dtype; of truth values for a truth value."""

    def where(self, condition: Array, x: Any, y: Any) -> Array: ...

    def is_finite(self, x: Array) -> Array:
        """Tell whether every element is finite."""

    def largest(self, x: Array) -> Array:
        """Return the largest element; NaN where one is NaN."""

    def sloped(self, function: Function, y: Array) -> tuple[Array, Array]:
        """Return a function's values, and its derivative: a number, or its Jacobian."""

    def unit(self, y: Array) -> Array:
        """Return the derivative of the identity, a number or a matrix."""

    def norm(self, slope: Array) -> Array:
        """Return the largest sum of the magnitudes in a row of a derivative."""

    def solve(self, slope: Array, x: Array) -> Array:
        """Return slope^-1 x, infinity or NaN where the slope is singular."""

    def loop(
        self,
        goes_on: Callable[..., Array],
        step: Callable[..., tuple],
        carried: tuple,
        max_steps: int,
    ) -> tuple:
        """Take steps while `goes_on` holds, at most so many."""


class Found(NamedTuple):
    """What a search came to.

    Attributes:
        y: the solution where one was found.
        is_found: whether it was.
    """

    y: Array
    is_found: Array


# Takes numbers, a function, the start, the tolerance and the most steps.
Search = Callable[[Numbers, Function, Array, Any, int], Found]


@dataclass(frozen=True, eq=False)
class Equation:
    """An equation to be solved, between leaves: the arrays that the unknowns consist of.

    Attributes:
        residual: is zero at the solution; it takes and returns leaves.
        searched: what the search takes in its place: for a fixed point, the update.
        start: a leaf for each unknown or array of unknowns.
        search: finds the solution.
        max_steps: how many steps the search may take.
        tol: the tolerance; None for the one of the dtype.
        bracket: the limits that the search keeps to; nothing is computed outside them.
    """

    residual: Callable[[Sequence[Any]], list[Any]]
    searched: Callable[[Sequence[Any]], list[Any]]
    start: Sequence[Any]
    search: Search
    max_steps: int
    tol: Any = None
    bracket: tuple[Any, Any] | None = None

    @property
    def givens(self) -> list[Any]:
        """What the search is given besides the residual; on it depends whether it finds y."""
        return [*self.start, *(self.bracket or ()), self.tol]

    def find(self, numbers: Numbers, searched: Function, start: Array) -> Found:
        """Search for the solution, with the unknowns and what is searched as a number or vector."""
        tol = self.tol
        if _IS_PRECISE.get():
            tol = 1e-40
        elif tol is None:
            tol = 1e-13 if numbers.epsilon < 1e-10 else 1e-6
        return self.search(numbers, searched, start, numbers.number(tol), self.max_steps)


def scaled(numbers: Numbers, step: Array, y: Array) -> Array:
    """Return max |step| / max(1, |y|), the size of a step, which tolerances are compared with."""
    return numbers.largest(abs(step) / numbers.where(abs(y) > 1, abs(y), 1))


def is_small(numbers: Numbers, step: Array, y: Array) -> Array:
    """Tell whether a step is one that rounding of the residual may ask for at a solution."""
    return scaled(numbers, step, y) <= numbers.epsilon**0.5
