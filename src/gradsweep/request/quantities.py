"""The table of quantities, the request for one (Derivative) and one array of it (Result).

Knows nothing of functions, sweeps, Programs or engines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gradsweep.support.words import listed

__all__ = [
    "QUANTITIES",
    "Derivative",
    "Mode",
    "Quantity",
    "Result",
    "correlation_key",
    "direction_key",
]

Mode = Literal["auto", "forward", "reverse"]


@dataclass(frozen=True)
class Quantity:
    """One row of the table of quantities.

    Attributes:
        order: how many times the function is differentiated.
        direction: the factor that it takes: a "tangent" or a "std" for each argument, a "cotangent"
            for each output, or "" for none.
        scalar_only: whether it is defined for functions with scalar outputs alone.
        meaning: its formula, for y = f(x), J = dy/dx, H = d2y/dx2.
        takes_words: whether it takes words that name derivatives. It is differentiated as many
            times as the longest has letters, and `order` is the least.
    """

    name: str
    order: int
    direction: Literal["", "tangent", "cotangent", "std"]
    scalar_only: bool
    meaning: str
    takes_words: bool = False

    @property
    def takes(self) -> str:
        """The name of what it takes beside a function and a sweep, "" for nothing."""
        return "of" if self.takes_words else self.direction


QUANTITIES: dict[str, Quantity] = {
    row.name: row
    for row in (
        Quantity("value", 0, "", False, "y"),
        Quantity("gradient", 1, "", True, "dy/dx of a scalar y"),
        Quantity("jacobian", 1, "", False, "J"),
        Quantity("jvp", 1, "tangent", False, "J v"),
        Quantity("contributions", 1, "tangent", False, "J * v, term by term"),
        Quantity("vjp", 1, "cotangent", False, "w J"),
        Quantity("hessian", 2, "", False, "H"),
        Quantity("hvp", 2, "tangent", False, "H v"),
        Quantity("uncertainty", 1, "std", False, "the std of y, from J C J'"),
        Quantity("partials", 1, "", False, "any partial derivatives of y", takes_words=True),
        Quantity("laplacian", 2, "", False, "the sum of d2y/dx_i2"),
        Quantity("divergence", 1, "", False, "the sum of dy_i/dx_i"),
        Quantity("curl", 1, "", False, "the curl of a field y of three components"),
    )
}


@dataclass(frozen=True)
class Derivative:
    """A request: which quantity, with respect to which leaves.

    Attributes:
        quantity: a row of QUANTITIES.
        wrt: the keys of the leaves that are differentiated.
        with_value: whether the function's value is wanted too.
        mode: forward or reverse accumulation of a first derivative.
        outer: the mode that differentiates a gradient; "auto" for the framework's usual way.
        along: the keys of the leaves, or the names of the outputs, that have a direction; all
            others have zero. `direction_key` names the leaf that holds a direction.
        complex_along: those whose direction is complex, and has both parts along a last dim.
        correlated: groups of keys whose arguments vary together. `correlation_key` names the leaf
            that holds the factor B of the correlation matrix B B' of a group's elements.
        of: the words of partial derivatives: of each its letters, which are keys in `wrt`, in the
            order in which the function is differentiated.
        expansion: the order to which an uncertainty is propagated.
        output_covariance: whether the covariance of its outputs is wanted too.
    """

    quantity: str
    wrt: tuple[str, ...]
    with_value: bool = False
    mode: Mode = "auto"
    outer: Mode = "auto"
    along: tuple[str, ...] = ()
    complex_along: frozenset[str] = frozenset()
    correlated: tuple[tuple[str, ...], ...] = ()
    of: tuple[tuple[str, ...], ...] = ()
    expansion: int = 0
    output_covariance: bool = False

    @property
    def meaning(self) -> str:
        """The formula of its quantity, and what was chosen beside it."""
        second = ["to second order"] if self.expansion > 1 else []
        together = ["with correlation"] if self.correlated else []
        return ", ".join([QUANTITIES[self.quantity].meaning, *second, *together])

    @property
    def lighter(self) -> str:
        """What a user may ask for that takes less memory, "" where there is nothing less."""
        row = QUANTITIES[self.quantity]
        if row.takes_words:
            return "ask for fewer derivatives at a time"
        if row.direction == "std":
            return "give fewer arguments a std"
        return "differentiate fewer arguments at a time (wrt=...)" if row.order else ""

    @property
    def order(self) -> int:
        """How many times the function is differentiated."""
        least = max(QUANTITIES[self.quantity].order, self.expansion)
        return max(map(len, self.of), default=least)

    @property
    def direction(self) -> str:
        return QUANTITIES[self.quantity].direction


def direction_key(direction: str, name: str) -> str:
    """Return the key of the leaf that holds the tangent, std or cotangent of `name`."""
    # The spaces keep it apart from every argument's name.
    return f"{direction} of {name}" if name else direction


def correlation_key(group: Sequence[str]) -> str:
    """Return the key of the leaf that holds how the arguments of a group vary together."""
    return direction_key("correlation", listed(group))


@dataclass(frozen=True)
class Result:
    """One array that a quantity yields at a point.

    Attributes:
        kind: "value", "partial" (of any order), "jvp", "contribution", "vjp", "hvp", "laplacian",
            "divergence" or "curl"; of an uncertainty "expectation", "std", "share", "curvature" or
            "covariance".
        output: the path of its output; "" when the function returns a bare one.
        wrt: the keys of the leaves that it is taken with respect to, in order.
        output_shape: the shape of that output, or () where the quantity sums over it; complex
            numbers have one more dim at its end, for their real and imaginary parts.
        wrt_shapes: for each key in `wrt`, the dims it adds, which follow the output's; the last one
            of a complex argument is for its parts.
        is_bool: whether it is a truth value; every other result is a floating number.
        is_symmetric: whether it is a block of a Hessian that serves both orders of two arguments.
        is_complex: whether its numbers are complex.
        complex_wrt: those keys in `wrt` that are complex arguments.
        beside: of a covariance, the path of the second output, whose dims come last.
        beside_shape: the shape of that output.
        summed: the keys of the arguments that it is summed over, of an operator.
    """

    kind: str
    output: str
    wrt: tuple[str, ...]
    output_shape: tuple[int, ...]
    wrt_shapes: tuple[tuple[int, ...], ...]
    is_bool: bool = False
    is_symmetric: bool = False
    is_complex: bool = False
    complex_wrt: frozenset[str] = frozenset()
    beside: str = ""
    beside_shape: tuple[int, ...] = ()
    summed: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        own = tuple(n for shape in (self.output_shape, *self.wrt_shapes) for n in shape)
        return own + self.beside_shape

    @property
    def output_numbers_shape(self) -> tuple[int, ...]:
        """The output's shape as it is labelled, where a complex number is one."""
        return self.output_shape[:-1] if self.is_complex else self.output_shape

    @property
    def numbers_shape(self) -> tuple[int, ...]:
        """Its shape as it is labelled, where a complex number is one."""
        own = tuple(n for shape in (self.output_numbers_shape, *self.wrt_shapes) for n in shape)
        return own + self.beside_shape
