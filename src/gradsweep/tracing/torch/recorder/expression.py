"""Arithmetic on arrays of variables, so that a formula in a table reads like mathematics.

An Expression holds variables of a Builder; arithmetic on it writes equations.
Knows nothing of torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Union

import numpy as np

from gradsweep.program import arrays
from gradsweep.program.builder import Builder
from gradsweep.program.complex_numbers.table import result_dtype
from gradsweep.program.equations import PART_DTYPES
from gradsweep.program.primitives import PRIMITIVES

__all__ = ["Expression", "Operand", "Variables", "apply", "where"]

Operand = Union["Expression", complex, float, int, bool]


# A number alone needs no array around its variable.
Variables = Any  # np.ndarray | int


@dataclass(eq=False, slots=True)  # not frozen, which would make it twice as slow to make
class Expression:
    """An array of variables of one dtype, or a single one."""

    builder: Builder
    variables: Variables
    dtype: str

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.variables)

    @property
    def is_floating(self) -> bool:
        return self.dtype.startswith(("float", "complex"))

    @property
    def is_complex(self) -> bool:
        return self.dtype in PART_DTYPES

    def of(self, variables: Variables) -> "Expression":
        """Return other variables of the same dtype."""
        return Expression(self.builder, variables, self.dtype)

    def lift(self, operand: Operand) -> "Expression":
        """Return a number as a constant of this expression's dtype."""
        if isinstance(operand, Expression):
            return operand
        return self.of(self.builder.constant(operand, self.dtype))

    def cast(self, dtype: str) -> "Expression":
        if dtype == self.dtype:
            return self
        if isinstance(self.variables, int):
            return Expression(self.builder, self.builder.cast(self.variables, dtype), dtype)
        return Expression(self.builder, arrays.cast(self.builder, self.variables, dtype), dtype)

    def parts(self) -> "Expression":
        """Return the real numbers in it: of complex ones both parts, along a last axis."""
        dtype = PART_DTYPES.get(self.dtype, self.dtype)
        return Expression(
            self.builder, arrays.parted(self.builder, self.variables, self.dtype), dtype
        )

    def zeros(self, shape: Sequence[int] = ()) -> "Expression":
        """Return structural zeros of this expression's dtype."""
        return self.of(arrays.zeros(self.builder, shape, self.dtype))

    def reduce(self, primitive: str, axes: Sequence[int]) -> "Expression":
        return self.of(arrays.reduce(self.builder, primitive, self.variables, axes))

    def expand_dims(self, axes: Sequence[int]) -> "Expression":
        return self.of(np.expand_dims(self.variables, tuple(axes)))

    def __getitem__(self, index) -> "Expression":
        return self.of(np.asarray(self.variables[index]))

    def __add__(self, other: Operand) -> "Expression":
        return apply("add", self, other)

    def __radd__(self, other: Operand) -> "Expression":
        return apply("add", self.lift(other), self)

    def __sub__(self, other: Operand) -> "Expression":
        return apply("sub", self, other)

    def __rsub__(self, other: Operand) -> "Expression":
        return apply("sub", self.lift(other), self)

    def __mul__(self, other: Operand) -> "Expression":
        return apply("mul", self, other)

    def __rmul__(self, other: Operand) -> "Expression":
        return apply("mul", self.lift(other), self)

    def __truediv__(self, other: Operand) -> "Expression":
        return apply("div", self, other)

    def __rtruediv__(self, other: Operand) -> "Expression":
        return apply("div", self.lift(other), self)

    def __neg__(self) -> "Expression":
        return apply("neg", self)

    def __abs__(self) -> "Expression":
        return apply("abs", self)

    def __pow__(self, exponent: Operand) -> "Expression":
        return apply("pow", self, exponent)

    def __lt__(self, other: Operand) -> "Expression":
        return apply("lt", self, other)

    def __le__(self, other: Operand) -> "Expression":
        return apply("le", self, other)

    def __gt__(self, other: Operand) -> "Expression":
        return apply("gt", self, other)

    def __ge__(self, other: Operand) -> "Expression":
        return apply("ge", self, other)

    def equals(self, other: Operand) -> "Expression":
        return apply("eq", self, other)

    def differs(self, other: Operand) -> "Expression":
        return apply("ne", self, other)

    def __and__(self, other: "Expression") -> "Expression":
        return apply("and", self, other)

    def __or__(self, other: "Expression") -> "Expression":
        return apply("or", self, other)

    def __xor__(self, other: "Expression") -> "Expression":
        return apply("xor", self, other)

    def __invert__(self) -> "Expression":
        return apply("not", self)


def apply(primitive: str, first: Expression, *others: Operand) -> Expression:
    """Apply a primitive to every element of operands that broadcast."""
    builder = first.builder
    operands = [first, *(o if type(o) is Expression else first.lift(o) for o in others)]
    dtype = _result_dtype(primitive, [operand.dtype for operand in operands])
    variables = [operand.variables for operand in operands]
    if all(type(variable) is int for variable in variables):
        return Expression(builder, builder.emit(primitive, *variables), dtype)
    arrays_of = map(np.asarray, variables)
    return Expression(builder, arrays.elementwise(builder, primitive, *arrays_of), dtype)


def _result_dtype(primitive: str, dtypes: Sequence[str]) -> str:
    for dtype in PART_DTYPES:  # the wider one first
        if dtype in dtypes:
            return result_dtype(primitive, dtype)
    result = PRIMITIVES[primitive].result
    if result == "same":
        return dtypes[0]
    return dtypes[-1] if result == "chosen" else result


def where(condition: Expression, if_true: Operand, if_false: Operand) -> Expression:
    if not isinstance(if_true, Expression):
        assert isinstance(if_false, Expression)
        if_true = if_false.lift(if_true)
    return apply("select", condition, if_true, if_true.lift(if_false))
