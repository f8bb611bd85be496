"""The unknowns of an equation: a number, an array, or a container of them."""

import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gradsweep.request import pytree
from gradsweep.support.errors import ArgumentError, StatefulFunction
from gradsweep.tracing.numpy.row import unwrapped

__all__ = ["Unknowns", "require_as_many", "require_numbers", "require_one", "stateful"]


class Unknowns:
    """The form of the unknowns, which the start has."""

    def __init__(self, start: Any):
        self._start = start
        named = list(pytree.flatten(start))
        self._paths = [path for path, _ in named]
        self.leaves = [leaf for _, leaf in named]
        kinds = {leaf is None or _kind(leaf) for leaf in self.leaves}
        if "c" in kinds:
            raise ArgumentError(
                "the unknowns of an equation are complex numbers.\nMake their real and imaginary "
                "parts the unknowns, and return both parts of the residual."
            )
        if kinds - {"f", "b"}:
            raise ArgumentError(
                f"the start of an equation is {start!r}; give a number, an array, or a container "
                f"of them."
            )
        if not self.size:
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


def require_numbers(what: str, values: Any) -> None:
    """Refuse a residual or an update that returns what is no real number.

    Args:
        what: what of an equation returns the values, to speak of.
    """
    if values is None:
        raise ArgumentError(f"the {what} of an equation returns None: it may lack a return.")
    for _, leaf in pytree.flatten(values):
        match _kind(leaf):
            case "c":
                raise ArgumentError(
                    f"the {what} of an equation is complex, where its unknowns are real.\nMake "
                    f"real and imaginary parts unknowns and numbers of their own, or return the "
                    f"part that counts."
                )
            case "b":
                raise ArgumentError(
                    f"the {what} of an equation is a truth value, which no search can solve for."
                    f"\nReturn a number: in place of y > 1, the difference y - 1."
                )
            case "O":
                raise ArgumentError(
                    f"the {what} of an equation returns {leaf!r}, which is no number.\nReturn a "
                    f"number for each unknown."
                )


def require_one(unknowns: Unknowns) -> None:
    """Refuse a bracket of several unknowns."""
    if unknowns.size != 1:
        raise ArgumentError(
            f"a bracket holds one unknown, and the start has {unknowns.size}.\nLeave bracket= out, "
            f"or solve an equation for each of them."
        )


def _kind(leaf: Any) -> str:
    """Return b for truth values, c for complex numbers, f for real ones, O for all else."""
    leaf = unwrapped(leaf)
    dtype: Any = getattr(leaf, "dtype", None)
    if dtype is None and isinstance(leaf, numbers.Number):
        is_complex = isinstance(leaf, numbers.Complex) and not isinstance(leaf, numbers.Real)
        return "b" if isinstance(leaf, bool) else "c" if is_complex else "f"
    if dtype is None or getattr(dtype, "kind", "") == "O":
        array = np.asarray(leaf)
        if array.dtype.kind != "O":
            dtype = array.dtype
        elif not array.ndim:
            return "O"
        else:
            kinds = {_kind(element) for element in array.flat}
            return next((kind for kind in "Ocb" if kind in kinds), "f")
    if not hasattr(dtype, "kind"):  # torch's
        return "c" if dtype.is_complex else "b" if str(dtype) == "torch.bool" else "f"
    return dtype.kind if dtype.kind in "bc" else "O" if dtype.kind in "OSUMm" else "f"


def require_as_many(n_unknowns: int, n_equations: int) -> None:
    """Refuse an equation that has not one number for each unknown."""
    if n_unknowns != n_equations:
        raise ArgumentError(
            f"the residual has {n_equations} numbers for {n_unknowns} unknowns.\nReturn as many "
            f"numbers as the start has, each zero at the solution."
        )


def stateful() -> StatefulFunction:
    """Return the error of a residual or update that is not the same each time it is called."""
    return StatefulFunction(
        "the residual or update of an equation gives different results for the same y: it keeps "
        "state between its calls, or draws random numbers.\nWhat changes must be an unknown, or "
        "be the same for every step."
    )
