"""What equations a function solves while it runs, and whether they were solved."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from gradsweep.request.function import BoundFunction
from gradsweep.support.meanwhile import meanwhile
from gradsweep.tracing.numpy import in_dialect
from gradsweep.tracing.numpy.row import unwrapped

__all__ = ["collecting", "note", "uncollected", "whether_unsolved"]

# The leaves of the solutions that were found, or of NaN, where they are collected.
_FOUND: ContextVar[list[Any] | None] = ContextVar("found", default=None)


def collecting() -> AbstractContextManager[list[Any]]:
    """Collect the leaves of solutions that are found meanwhile."""
    found: list[Any] = []
    return meanwhile(_FOUND, found)


def uncollected() -> AbstractContextManager[None]:
    """Collect nothing meanwhile: an equation inside another is no equation of the function."""
    return meanwhile(_FOUND, None)


def note(leaves: Sequence[Any]) -> None:
    """Note the leaves of a solution, where they are collected."""
    found = _FOUND.get()
    if found is not None:
        found += leaves


def whether_unsolved(bound: BoundFunction) -> BoundFunction:
    """Return a function of the same arguments that tells whether any equation was not solved."""
    # jit would return its first trace again, and nothing would be solved meanwhile.
    call = in_dialect(bound.without_jit()).call
    function = _WhetherUnsolved(bound.function)
    return replace(bound, function=function, call=_WhetherUnsolved(call))


@dataclass(frozen=True)
class _WhetherUnsolved:
    function: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with collecting() as found:
            self.function(*args, **kwargs)
        note(found)
        is_unsolved: Any = False
        for leaf in map(unwrapped, found):
            is_nan = leaf != leaf
            is_unsolved = (is_nan.any() if hasattr(is_nan, "any") else is_nan) | is_unsolved
        return is_unsolved
