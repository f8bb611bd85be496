"""torch's grammar: its rows, its blocks, and questions about its values."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from gradsweep.support.errors import require
from gradsweep.testing.fuzz.drawing.rows import Row, Type, Variable
from gradsweep.testing.fuzz.drawing.scope import LARGEST, Block
from gradsweep.testing.fuzz.drawing.torch import arrays, blocks, memory, types

__all__ = ["TorchDialect"]

T = TypeVar("T")


class TorchDialect:
    name = "torch"
    computed_by = "torch"
    imports: tuple[str, ...] = ("import math", "", "import numpy as np", "import torch")
    rows: tuple[Row, ...] = (*arrays.ROWS, *types.ROWS, *memory.ROWS)
    blocks: Mapping[str, tuple[Block, ...]] = blocks.BLOCKS

    def __init__(self, dtype: str = "float64"):
        self._torch = require("torch", "a random torch function")
        self._dtype = getattr(self._torch, dtype)

    @contextmanager
    def running(self) -> Iterator[None]:
        torch = self._torch
        before = torch.get_default_dtype()
        torch.set_default_dtype(self._dtype)
        try:
            yield
        finally:
            torch.set_default_dtype(before)

    def type_of(self, value: Any) -> Type | None:
        if not isinstance(value, self._torch.Tensor):
            return None
        return Type(str(value.dtype).removeprefix("torch."), tuple(value.shape))

    def is_ref(self, value: Any) -> bool:
        return False

    def is_bounded(self, value: Any) -> bool:
        value = value.detach()
        if not (value.is_floating_point() or value.is_complex()):
            return True
        return bool((value.abs() <= LARGEST).all())

    def memory_of(self, value: Any) -> int | None:
        if not isinstance(value, self._torch.Tensor):
            return None
        return value.untyped_storage().data_ptr()

    def drawing(self, draw: Callable[[dict[str, Any]], T], arguments: Mapping[str, Any]) -> T:
        tensors = {name: self._torch.tensor(value) for name, value in arguments.items()}
        for tensor in tensors.values():
            if tensor.is_floating_point() or tensor.is_complex():
                tensor.requires_grad_()
        return draw(tensors)

    def number(self, variable: Variable, how: int) -> str:
        name, (dtype, shape) = variable.name, variable.type
        if dtype.startswith("complex"):
            return f"({name}.real.sum() + 0.5 * {name}.imag.sum())"
        if not dtype.startswith("float"):
            return f"0.5 * {name}.sum()"
        if not shape:
            return name
        n = math.prod(shape)
        weighted = f"({name}.reshape(-1) * torch.linspace(0.5, 1.5, {n})).sum()"
        return (weighted, f"{name}.sum()", f"{name}.square().mean()")[how]

    def output(self, variable: Variable) -> str:
        if variable.type.dtype.startswith("complex"):
            return f"torch.view_as_real({variable.name})"
        return variable.name
