"""The values and methods of a lowering that the rules of control flow know."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gradsweep.program.arrays import Variables
from gradsweep.program.builder import Builder

__all__ = ["Control", "Known", "Lowering", "Value"]


@dataclass(frozen=True, eq=False)
class Known:
    """An array of constants, of any dtype of JAX, not yet made into variables."""

    array: Any


Value = Variables | Known


class Lowering(Protocol):
    """Lowers a jaxpr into a Builder; the methods are those of `lower`."""

    builder: Builder

    def variables(self, value: Value, aval: Any) -> Variables: ...

    def known(self, value: Value, aval: Any) -> Any | None: ...

    def inline(
        self, jaxpr: Any, operands: Sequence[Any], wanted: Sequence[bool] | None = None
    ) -> list[Any]: ...

    def within(self, builder: Builder) -> "Lowering": ...


# A rule of control flow takes the lowering, the equation, the values of its operands and a flag for
# each result that tells whether it is used, and returns the results.
Control = Callable[[Lowering, Any, list[Any], list[bool]], list[Any]]
