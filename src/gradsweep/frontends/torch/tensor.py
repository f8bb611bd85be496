"""The tensor that a traced function computes with, and what walks through its arguments.

Knows nothing of how operations are recorded.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from gradsweep.errors import GradsweepWarning, StatefulFunction
from gradsweep.frontends.torch import private
from gradsweep.frontends.torch.source import user_line

__all__ = ["DTYPES", "RecordedTensor", "from_numpy", "map_tensors", "plain", "tensors_in"]

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
}


class RecordedTensor(torch.Tensor):
    """A tensor without data, while a function is traced.

    Attributes:
        value: its concrete value; a view of the value of what it is a view of.
        storage: the variable of each element of the value's storage; None when the trace is
            no Program any more.
        depends: the leaves it may depend on, shared with what it is a view of.
    """

    value: torch.Tensor
    storage: np.ndarray | None
    depends: set[str]

    @staticmethod
    def __new__(cls, value: torch.Tensor, storage: np.ndarray | None, depends: set[str]):
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            value.shape,
            strides=value.stride(),
            storage_offset=value.storage_offset(),
            dtype=value.dtype,
            device=value.device,
        )
        tensor.value, tensor.storage, tensor.depends = value, storage, depends
        return tensor

    __torch_function__ = private.without_override

    @property
    def variables(self) -> np.ndarray:
        """The variable of each element; writing into it writes into the storage."""
        assert self.storage is not None
        value, n_bytes = self.value, self.storage.itemsize
        return np.ndarray(
            tuple(value.shape),
            self.storage.dtype,
            self.storage.data,
            value.storage_offset() * n_bytes,
            tuple(n_bytes * stride for stride in value.stride()),
        )

    def __float__(self) -> float:
        if self.requires_grad:
            warnings.warn(
                f"a traced number becomes a Python float at {user_line()}, and no derivative "
                f"passes through it. Write torch.sin, say, for math.sin; or x.item(), if a "
                f"constant is meant.",
                GradsweepWarning,
                stacklevel=2,
            )
        return super().__float__() if not self.requires_grad else float(self.detach())

    def __repr__(self, **_) -> str:
        return f"<traced {self.value!r}>"

    @classmethod
    def __torch_dispatch__(cls, op, types, args=(), kwargs=None):
        raise StatefulFunction(
            "the function keeps a tensor of one call and uses it in another.\n"
            "Pass it as an argument, or compute it anew in every call."
        )


def from_numpy(array: np.ndarray) -> torch.Tensor:
    """Return an array as a concrete value; while recording, torch's own way records it."""
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
    return out
