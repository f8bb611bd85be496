"""The arguments of one operation, looked at once.

What torch dispatches enters; the same with concrete values leaves, and the recorded tensors in it.
"""

from typing import Any

import torch

from gradsweep.support.errors import StatefulFunction, UntraceableError
from gradsweep.tracing.torch.recorder.operation import Operation
from gradsweep.tracing.torch.recorder.tensor import KEPT, RecordedTensor
from gradsweep.tracing.torch.source import user_line

__all__ = ["Operands"]


class Operands:
    """The arguments of one operation.

    Attributes:
        args, kwargs: as torch passes them.
        values, keywords: the same with concrete values in place of recorded tensors.
        recorded: the recorded tensors among them.
        are_complex: whether a tensor among them is complex.

    Raises:
        StatefulFunction: when a tensor belongs to another call.
        UntraceableError: when another library made a tensor from the memory of a traced one, which
            has none.
    """

    __slots__ = ("_recorder", "are_complex", "args", "keywords", "kwargs", "recorded", "values")

    def __init__(self, recorder: object, args: tuple, kwargs: dict[str, Any]):
        self._recorder = recorder
        self.args, self.kwargs = args, kwargs
        self.recorded: list[RecordedTensor] = []
        self.are_complex = False
        self.values = [self._value(argument) for argument in args]
        self.keywords = {name: self._value(value) for name, value in kwargs.items()}

    def _value(self, argument: Any) -> Any:
        kind = type(argument)
        if kind is float or kind is int:
            return argument
        if kind is RecordedTensor:
            if argument.recorder is not self._recorder:
                raise StatefulFunction(KEPT)
            self.recorded.append(argument)
            self.are_complex = self.are_complex or argument.value.is_complex()
            return argument.value
        if isinstance(argument, torch.Tensor):
            _require_memory(argument)
            self.are_complex = self.are_complex or argument.is_complex()
        elif isinstance(argument, tuple | list):
            return type(argument)([self._value(item) for item in argument])
        elif isinstance(argument, dict):
            return {key: self._value(item) for key, item in argument.items()}
        return argument

    @property
    def depends(self) -> set[str]:
        """The leaves that any of them may depend on."""
        found: set[str] = set()
        for tensor in self.recorded:
            found |= tensor.depends
        return found

    def written(self, operation: Operation) -> list[Any]:
        """Return the arguments that the operation writes into."""
        return [
            self.args[place] if isinstance(place, int) else self.kwargs.get(place)
            for place in operation.written
        ]


def _require_memory(tensor: torch.Tensor) -> None:
    if tensor.device.type == "cpu" and tensor.numel() and not tensor._is_zerotensor():
        if tensor.data_ptr() == 0:
            raise UntraceableError(
                f"the function uses the memory of a traced tensor through another library, at "
                f"{user_line()}.\nA tensor has no memory while the function is traced: compute "
                f"with torch's own functions."
            )
