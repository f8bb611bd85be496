"""Real and complex numbers of a Program, so that formulas read like mathematics.

A Real is one variable of a Builder, a Complex is two; arithmetic on them writes equations.
"""

from typing import NamedTuple, Union

from gradsweep.program.equations import Equations

__all__ = ["Complex", "Real", "Scalar", "where"]

Scalar = Union["Real", float]


class Real:
    """One variable of a Builder. Comparisons give Reals whose dtype is bool."""

    __slots__ = ("builder", "variable")

    def __init__(self, builder: Equations, variable: int):
        self.builder, self.variable = builder, variable

    def apply(self, primitive: str, *others: Scalar) -> "Real":
        operands = [self.lift(other).variable for other in others]
        return Real(self.builder, self.builder.emit(primitive, self.variable, *operands))

    def lift(self, number: Scalar) -> "Real":
        """Return a number as a constant of this one's dtype."""
        if isinstance(number, Real):
            return number
        return Real(self.builder, self.builder.constant(number, self.dtype))

    @property
    def dtype(self) -> str:
        return self.builder.dtype(self.variable)

    @property
    def is_zero(self) -> bool:
        """Whether it is the constant 0 or -0."""
        return self.builder.is_zero(self.variable)

    @property
    def constant(self) -> float | None:
        """Its value, if it is a constant."""
        if self.builder.is_constant(self.variable):
            return self.builder.value(self.variable)
        return None

    @property
    def negated(self) -> "Real | None":
        """x where it is -x."""
        variable = self.builder.negated(self.variable)
        return None if variable is None else Real(self.builder, variable)

    def __add__(self, other: Scalar) -> "Real":
        return self.apply("add", other)

    def __radd__(self, other: float) -> "Real":
        return self.lift(other) + self

    def __sub__(self, other: Scalar) -> "Real":
        return self.apply("sub", other)

    def __rsub__(self, other: float) -> "Real":
        return self.lift(other) - self

    def __mul__(self, other: Scalar) -> "Real":
        return self.apply("mul", other)

    def __rmul__(self, other: float) -> "Real":
        return self.lift(other) * self

    def __truediv__(self, other: Scalar) -> "Real":
        return self.apply("div", other)

    def __rtruediv__(self, other: float) -> "Real":
        return self.lift(other) / self

    def __neg__(self) -> "Real":
        return self.apply("neg")

    def __abs__(self) -> "Real":
        return self.apply("abs")

    def __lt__(self, other: Scalar) -> "Real":
        return self.apply("lt", other)

    def __ge__(self, other: Scalar) -> "Real":
        return self.apply("ge", other)

    def __gt__(self, other: Scalar) -> "Real":
        return self.apply("gt", other)

    def equals(self, other: Scalar) -> "Real":
        return self.apply("eq", other)

    def __and__(self, other: "Real") -> "Real":
        return self.apply("and", other)

    def __or__(self, other: "Real") -> "Real":
        return self.apply("or", other)

    def copysign(self, sign: "Real") -> "Real":
        return self.apply("copysign", sign)


class Complex(NamedTuple):
    """A real and an imaginary part."""

    re: Real
    im: Real


def where(condition: Real, if_true: Scalar, if_false: Scalar) -> Real:
    if not isinstance(if_true, Real):
        assert isinstance(if_false, Real)
        if_true = if_false.lift(if_true)
    return condition.apply("select", if_true, if_true.lift(if_false))
