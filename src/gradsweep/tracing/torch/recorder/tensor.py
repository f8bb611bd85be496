"""The tensor that a traced function computes with, and walks through nested arguments.

Knows nothing of how operations are recorded.
"""

from collections.abc import Callable, Hashable, Iterator
from typing import Any

import numpy as np
import torch

from gradsweep.support.errors import NotAProgram, StatefulFunction
from gradsweep.tracing.torch import private
from gradsweep.tracing.torch.recorder.expression import Expression

__all__ = [
    "DTYPES",
    "KEPT",
    "Cells",
    "RecordedTensor",
    "dtype_of",
    "from_numpy",
    "lies_in",
    "map_tensors",
    "memory_of",
    "plain",
    "tensors_in",
]

# Narrow integers hold indices; a Program has one integer dtype.
DTYPES = {
    torch.float64: "float64",
    torch.float32: "float32",
    torch.int64: "int64",
    torch.int32: "int64",
    torch.int16: "int64",
    torch.int8: "int64",
    torch.uint8: "int64",
    torch.bool: "bool",
    torch.complex128: "complex128",
    torch.complex64: "complex64",
}


def dtype_of(tensor: torch.Tensor) -> str:
    """Return the dtype of a tensor's variables.

    Raises:
        NotAProgram: when a Program has no such dtype.
    """
    dtype = DTYPES.get(tensor.dtype)
    if dtype is None:
        raise NotAProgram(f"it computes with {str(tensor.dtype).removeprefix('torch.')}")
    return dtype


KEPT = (
    "the function keeps a tensor of one call and uses it in another.\nPass it as an argument, or "
    "compute it anew in every call."
)


class Cells:
    """The memory that a tensor and its views share: a variable for each number in it.

    Attributes:
        dtype: the dtype of these numbers; a complex tensor's are its real and imaginary parts.
        number: the variable of a memory of one number; None once it was looked at as an array,
            which may be written into.
        is_mirrored: whether other cells hold the conjugates of these numbers. torch has one memory
            for both, so a write into one would show in the other.
    """

    __slots__ = ("_variables", "dtype", "is_mirrored", "number")

    def __init__(
        self, variables: np.ndarray | None, dtype: torch.dtype, number: Expression | None = None
    ):
        self._variables, self.dtype, self.number = variables, dtype, number
        self.is_mirrored = False

    @property
    def variables(self) -> np.ndarray:
        """The variables; writing here writes into the memory."""
        if self.number is not None:
            self._variables, self.number = np.array([self.number.variables]), None
        assert self._variables is not None
        return self._variables

    @classmethod
    def of(cls, value: torch.Tensor) -> "Cells":
        """Return cells for the memory that a tensor spans from its first element on."""
        last = sum((n - 1) * stride for n, stride in zip(value.shape, value.stride()))
        n_cells = 0 if value.numel() == 0 else (last + 1) * (2 if value.is_complex() else 1)
        return cls(np.zeros(n_cells, dtype=np.int64), value.dtype.to_real())

    def seen_as(self, value: torch.Tensor) -> np.ndarray:
        """Return the variables of a tensor that lies in this memory; writing there writes here.

        A complex tensor has one more dim at the end, for real and imaginary parts.

        Raises:
            NotAProgram: when it sees the memory as another dtype.
        """
        is_complex = value.is_complex()
        if (value.dtype.to_real() if is_complex else value.dtype) is not self.dtype:
            name = str(value.dtype).removeprefix("torch.")
            raise NotAProgram(f"it looks at memory as {name} that holds other numbers")
        n_bytes, width = self.variables.itemsize, 2 if is_complex else 1
        shape, strides = tuple(value.shape), tuple([width * n_bytes * s for s in value.stride()])
        if is_complex:
            shape, strides = (*shape, 2), (*strides, n_bytes)
        offset = width * n_bytes * value.storage_offset()
        return np.ndarray(shape, np.int64, self.variables.data, offset, strides)


class RecordedTensor(torch.Tensor):
    """A tensor without data, while a function is traced.

    Attributes:
        recorder: the recorder of the call that it belongs to.
        value: its concrete value; a view has a view of its base's value.
        cells: the variables in the value's memory; None when the trace is no Program any more.
        depends: the leaves it may depend on; a view shares this set with its base.
        cuts: the cuts that lie before it; a view shares this set with its base.
    """

    __slots__ = ("cells", "cuts", "depends", "recorder", "value")

    recorder: object
    value: torch.Tensor
    cells: Cells | None
    depends: set[str]
    cuts: set[Hashable]

    @staticmethod
    def __new__(
        cls,
        recorder: object,
        value: torch.Tensor,
        cells: Cells | None,
        depends: set[str],
        cuts: set[Hashable] | None = None,
    ):
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            value.shape,
            strides=value.stride(),
            storage_offset=value.storage_offset(),
            dtype=value.dtype,
            device=value.device,
        )
        tensor.recorder = recorder
        tensor.value, tensor.cells, tensor.depends = value, cells, depends
        tensor.cuts = set() if cuts is None else cuts
        return tensor

    __torch_function__ = private.without_override

    @property
    def variables(self) -> np.ndarray:
        """The variable of each element; writing into it writes into the memory."""
        assert self.cells is not None
        return self.cells.seen_as(self.value)

    def __deepcopy__(self, memo: dict[int, Any]) -> torch.Tensor:
        if not self.is_leaf:
            return super().__deepcopy__(memo)  # which torch refuses
        # torch's own method copies the memory, and there is none.
        memo[id(self)] = copied = self.detach().clone().requires_grad_(self.requires_grad)
        return copied

    def __repr__(self, **_) -> str:
        return f"<traced {self.value!r}>"

    @classmethod
    def __torch_dispatch__(cls, op, types, args=(), kwargs=None):
        raise StatefulFunction(KEPT)


def from_numpy(array: np.ndarray) -> torch.Tensor:
    """Return an array as a concrete value, where torch.from_numpy may record it."""
    return plain(torch.from_numpy(array))


def plain(tree: Any) -> Any:
    """Replace the recorded tensors in arguments by their values."""
    if isinstance(tree, RecordedTensor):
        return tree.value
    if isinstance(tree, tuple | list):
        return type(tree)([plain(item) for item in tree])
    if isinstance(tree, dict):
        return {key: plain(item) for key, item in tree.items()}
    return tree


def tensors_in(tree: Any) -> Iterator[torch.Tensor]:
    if isinstance(tree, torch.Tensor):
        yield tree
    elif isinstance(tree, tuple | list):
        for item in tree:
            yield from tensors_in(item)
    elif isinstance(tree, dict):
        yield from tensors_in(list(tree.values()))


def map_tensors(function: Callable, out: Any) -> Any:
    if isinstance(out, torch.Tensor):
        return function(out)
    if isinstance(out, tuple | list):
        return type(out)([map_tensors(function, item) for item in out])
    if isinstance(out, dict):
        return {key: map_tensors(function, item) for key, item in out.items()}
    return out


def lies_in(args: tuple, out: Any) -> bool:
    """Tell whether a possible view is one: `contiguous`, `reshape` and `to` copy at times."""
    base = next(tensors_in(plain(args)), None)
    if base is None or base._is_zerotensor():
        return False
    return all(memory_of(tensor) == memory_of(base) for tensor in tensors_in((out,)))


def memory_of(tensor: torch.Tensor) -> int:
    """Return where the memory begins that a tensor shares with its views."""
    return tensor.untyped_storage().data_ptr()
