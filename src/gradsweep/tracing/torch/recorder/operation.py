"""The properties of an operation of torch that recording depends on.

An overload enters; an Operation leaves, read once from torch's own schema.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal

import torch

from gradsweep.support.errors import NotAProgram
from gradsweep.tracing.torch import private
from gradsweep.tracing.torch.recorder.rules import CREATIONS, OF_COMPLEX_NUMBERS, RULES
from gradsweep.tracing.torch.recorder.rules.pointwise import Pointwise

__all__ = ["Operation", "describe"]


@dataclass(frozen=True, eq=False)
class Operation:
    """The properties of one overload of an operation.

    Attributes:
        is_question: whether its answer goes to Python, or into a shape.
        dropout: the position of the argument that is the probability of dropping an element.
        creates: what tensors it creates that depend on no value of its arguments.
    """

    op: Callable
    packet: str
    is_aten: bool
    is_question: bool
    is_lift: bool
    is_random: bool
    dropout: int | None
    is_data_dependent: bool
    is_view: bool
    is_metadata: bool
    written: tuple[int | str, ...]
    functional: Callable | None
    rule: Callable | None
    creates: Literal["", "uninitialised", "zeros", "constants"]

    @cached_property
    def pointwise(self) -> Pointwise | None:
        """Its rule, if it acts on each element alone."""
        return self.rule if isinstance(self.rule, Pointwise) and self.is_plain else None

    @cached_property
    def is_plain(self) -> bool:
        """Whether it does nothing but compute new tensors."""
        others = (self.is_random, self.is_question, self.is_lift, self.is_metadata, self.is_view)
        return not (any(others) or self.written)

    def rule_for(self, are_complex: bool) -> Callable:
        """Return its rule.

        Raises:
            NotAProgram: when it takes or returns complex numbers, and the rule is of real ones.
        """
        assert self.rule is not None
        if are_complex and self.packet not in OF_COMPLEX_NUMBERS:
            raise NotAProgram(f"it takes torch.{self.packet} of complex numbers")
        return self.rule

    def draws(self, args: tuple) -> bool:
        """Tell whether it draws random numbers when it is called with these arguments."""
        if not self.is_random or self.dropout is None:
            return self.is_random
        # Attention may drop nothing; an argument that is left out has its default, 0.
        return len(args) > self.dropout and args[self.dropout] != 0.0


_QUESTIONS = {"_local_scalar_dense", "equal", "is_nonzero", "nonzero", "item"}

# The overloads that have another name in place.
_FUNCTIONAL = {"pow_.Scalar": "pow.Tensor_Scalar", "pow_.Tensor": "pow.Tensor_Tensor"}


@cache
def describe(op: Any) -> Operation:
    schema = private.schema(op)
    namespace, _, packet = schema.name.partition("::")
    overload = schema.overload_name or "default"
    written = tuple(
        argument.name if argument.kwarg_only else position
        for position, argument in enumerate(schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    )
    functional = None
    if written == (0,) and packet.endswith("_"):
        default = f"{packet.rstrip('_')}.{overload}"
        base, _, default = _FUNCTIONAL.get(f"{packet}.{overload}", default).partition(".")
        functional = getattr(getattr(torch.ops.aten, base, None), default, None)
    names = [argument.name for argument in schema.arguments]
    is_aten = namespace == "aten"
    name = packet if is_aten else f"{namespace}.{packet}"
    return Operation(
        op=op,
        packet=name,
        is_aten=is_aten,
        is_question=name in _QUESTIONS,
        is_lift=name in ("lift_fresh", "lift"),
        is_random=torch.Tag.nondeterministic_seeded in op.tags,
        dropout=names.index("dropout_p") if "dropout_p" in names else None,
        is_data_dependent=bool(
            {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(op.tags)
        ),
        is_view=any(r.alias_info and not r.alias_info.is_write for r in schema.returns),
        is_metadata=torch.Tag.inplace_view in op.tags,
        written=written,
        functional=functional,
        rule=RULES.get(f"{packet}.{overload}", RULES.get(packet)) if is_aten else None,
        creates=CREATIONS.get(name, ""),
    )
