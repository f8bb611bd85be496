"""Call: one operation, whose operands a rule reads as expressions.

Every rule of `rules` takes a Call, and the operation's arguments as torch passes them. Knows of the
recorder only the protocol `Recording`.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch

from gradsweep.program import arrays
from gradsweep.program.builder import Builder
from gradsweep.program.primitives import WRAPS
from gradsweep.tracing.torch.recorder.expression import Expression, apply, where
from gradsweep.tracing.torch.recorder.tensor import DTYPES, RecordedTensor, dtype_of, plain

__all__ = ["Call", "fitted"]


class Recording(Protocol):
    """The part of the recorder that a Call uses; the methods are those of `record`."""

    builder: Builder

    def variables_of(self, tensor: torch.Tensor) -> np.ndarray: ...

    def guard(self, tensor: RecordedTensor) -> None: ...


class Call:
    """One operation while it is recorded; a rule reads its operands through it."""

    def __init__(self, recorder: Recording, op: Callable, out: Any):
        self.recorder = recorder
        self.op = op
        self.builder = recorder.builder
        self.out = out

    @property
    def dtype(self) -> str:
        """The dtype of the result, or of the first one."""
        first = self.out if isinstance(self.out, torch.Tensor) else self.out[0]
        return dtype_of(first)

    def __call__(self, operand: Any, dtype: str | None = None) -> Expression:
        """Return an operand as variables: a tensor, or a number as a constant."""
        if isinstance(operand, torch.Tensor):
            own = dtype_of(operand)
            variables = arrays.joined(self.builder, self.recorder.variables_of(operand), own)
            return Expression(self.builder, variables, own).cast(dtype or own)
        dtype = dtype or _PYTHON_DTYPES.get(type(operand), "float64")
        return Expression(self.builder, np.array(self.builder.constant(operand, dtype)), dtype)

    def out_like(self, expression: Expression) -> Expression:
        """Spread an expression over the shape of the result."""
        return expression.of(np.broadcast_to(expression.variables, tuple(self.out.shape)))

    def promoted(self, *operands: Any) -> str:
        """Return the dtype in which torch computes with operands."""
        dtype = torch.result_type(*(plain(operand) for operand in operands[:2]))
        return DTYPES.get(dtype, "float64")

    def is_traced(self, operand: Any) -> bool:
        """Tell whether an operand, such as an index, depends on the leaves."""
        if not isinstance(operand, RecordedTensor):
            return False
        constants = map(self.builder.is_constant, operand.variables.ravel().tolist())
        return not all(constants)

    def known(self, operand: Any) -> torch.Tensor:
        """Return a tensor's value, and guard it: the Program holds only for this value."""
        if isinstance(operand, RecordedTensor):
            self.recorder.guard(operand)
            return operand.value
        return operand


_PYTHON_DTYPES = {bool: "bool", int: "int64", complex: "complex128"}

_NARROW = {getattr(torch, dtype): dtype for dtype in WRAPS}


def fitted(expression: Expression, like: torch.Tensor) -> Expression:
    """Return an expression in the dtype of a tensor, narrow integers wrapped."""
    result = expression.cast(dtype_of(like))
    wrap = WRAPS.get(_NARROW.get(like.dtype, ""))
    if wrap is None:
        return result
    if expression.is_floating:
        # By way of 32 bits, where a number that does not fit becomes -2**31, as on x86-64.
        fits = (result >= -(2**31)) & (result < 2**31)
        result = where(fits, result, -(2**31))
    return apply(wrap, result)
