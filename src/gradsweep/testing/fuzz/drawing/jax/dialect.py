"""JAX's grammar: its rows, its blocks, and questions about its values."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from gradsweep.support.errors import require
from gradsweep.testing.fuzz.drawing.jax import arrays, blocks, types
from gradsweep.testing.fuzz.drawing.rows import Row, Type, Variable
from gradsweep.testing.fuzz.drawing.scope import Block

__all__ = ["JaxDialect"]

T = TypeVar("T")


class JaxDialect:
    name = "jax"
    computed_by = "jax"
    imports: tuple[str, ...] = (
        "from functools import partial",
        "",
        "import jax",
        "import jax.flatten_util",
        "import jax.numpy as jnp",
        "import numpy as np",
    )
    rows: tuple[Row, ...] = (*arrays.ROWS, *types.ROWS)
    blocks: Mapping[str, tuple[Block, ...]] = blocks.BLOCKS

    def __init__(self) -> None:
        self._jax = require("jax", "a random JAX function")

    def running(self) -> AbstractContextManager:
        return self._jax.enable_x64(True)

    def type_of(self, value: Any) -> Type | None:
        if not (isinstance(value, self._jax.Array) or self.is_ref(value)):
            return None
        return Type(value.dtype.name, tuple(value.shape))

    def is_ref(self, value: Any) -> bool:
        return isinstance(value, self._jax.Ref)

    def is_bounded(self, value: Any) -> bool:
        return True  # nothing is computed while a function is drawn

    def memory_of(self, value: Any) -> int | None:
        return None

    def drawing(self, draw: Callable[[dict[str, Any]], T], arguments: Mapping[str, Any]) -> T:
        drawn: list[T] = []

        def traced(arrays: dict[str, Any]) -> None:
            drawn.append(draw(arrays))

        # Only types are needed, and to compute would be to compile every statement.
        with self.running():
            self._jax.eval_shape(traced, dict(arguments))
        return drawn[0]

    def number(self, variable: Variable, how: int) -> str:
        name, (dtype, shape) = variable.name, variable.type
        if variable.is_ref:
            name = f"{name}[...]"
        if dtype.startswith("complex"):
            return f"({name}.real.sum() + 0.5 * {name}.imag.sum())"
        if not dtype.startswith("float"):
            return f"0.5 * {name}.sum()"
        if not shape:
            return name
        n = math.prod(shape)
        weighted = f"({name}.reshape(-1) * np.linspace(0.5, 1.5, {n})).sum()"
        return (weighted, f"{name}.sum()", f"({name} * {name}).mean()")[how]

    def output(self, variable: Variable) -> str:
        if variable.is_ref:
            return f"{variable.name}[...]"
        if variable.type.dtype.startswith("complex"):
            return f"{variable.name}.real"
        return variable.name
