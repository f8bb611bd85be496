"""The unknowns of an equation: a number, an array, or a container of them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gradsweep.request import pytree
from gradsweep.support.errors import ArgumentError

__all__ = ["Unknowns", "require_as_many", "require_real"]


class Unknowns:
    """The form of the unknowns, which the start has."""

    def __init__(self, start: Any):
        self._start = start
        named = list(pytree.flatten(start))
        self._paths = [path for path, _ in named]
        self.leaves = [leaf for _, leaf in named]
        if not named:
            raise ArgumentError("the start of an equation has no numbers in it.")

    @property
    def size(self) -> int:
        """How many numbers they are."""
        return sum(int(np.prod(np.shape(leaf))) for leaf in self.leaves)

    def put_together(self, leaves: Sequence[Any]) -> Any:
        """Return unknowns of the same form, of other leaves."""
        following = iter(leaves)
        return pytree.map_leaves(lambda path, leaf: next(following), self._start)

    def in_order(self, unknowns: Any) -> list[Any]:
        """Return the leaves of unknowns that a function returns, in the order of the start's.

        Raises:
            ArgumentError: when they have another form.
        """
        named = dict(pytree.flatten(unknowns))
        if {*named} != {*self._paths}:
            raise ArgumentError(
                f"the update of a fixed point returns {_shown(named)}, and its start is "
                f"{_shown(self._paths)}.\nReturn what the start is like."
            )
        return [named[path] for path in self._paths]


def _shown(paths: Iterable[pytree.Path]) -> str:
    return ", ".join(".".join(path) for path in paths) or "one array"


def require_real(kinds: Iterable[str]) -> None:
    """Refuse a start that is no real number, given the kinds of its dtypes."""
    if "c" in kinds:
        raise ArgumentError(
            "the unknowns of an equation are complex numbers.\nMake their real and imaginary parts "
            "the unknowns, and return both parts of the residual."
        )


def require_as_many(n_unknowns: int, n_equations: int) -> None:
    """Refuse an equation that has not one number for each unknown."""
    if n_unknowns != n_equations:
        raise ArgumentError(
            f"the residual has {n_equations} numbers for {n_unknowns} unknowns.\nReturn as many "
            f"numbers as the start has, each zero at the solution."
        )
