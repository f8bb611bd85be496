"""NumPy's grammar: its rows, its blocks, and questions about its values."""

import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from gradsweep.testing.fuzz.drawing.numpy import arrays, blocks
from gradsweep.testing.fuzz.drawing.rows import Row, Type, Variable
from gradsweep.testing.fuzz.drawing.scope import LARGEST, Block

__all__ = ["NumpyDialect"]

T = TypeVar("T")


class NumpyDialect:
    name = "numpy"
    imports: tuple[str, ...] = ("import cmath", "import math", "", "import numpy as np")
    rows: tuple[Row, ...] = arrays.ROWS
    blocks: Mapping[str, tuple[Block, ...]] = blocks.BLOCKS

    @property
    def computed_by(self) -> str:
        return "torch" if importlib.util.find_spec("torch") is not None else "jax"

    @contextmanager
    def running(self) -> Iterator[None]:
        with np.errstate(all="ignore"):
            yield

    def type_of(self, value: Any) -> Type | None:
        if isinstance(value, float | complex):
            return Type("float64" if isinstance(value, float) else "complex128", ())
        if not isinstance(value, np.ndarray | np.generic):
            return None
        return Type(value.dtype.name, tuple(value.shape))

    def is_ref(self, value: Any) -> bool:
        return False

    def is_bounded(self, value: Any) -> bool:
        array = np.asarray(value)
        return array.dtype.kind not in "fc" or bool((np.abs(array) <= LARGEST).all())

    def memory_of(self, value: Any) -> int | None:
        if not isinstance(value, np.ndarray) or not value.flags.writeable:
            return None
        while isinstance(value.base, np.ndarray):
            value = value.base
        return value.ctypes.data

    def drawing(self, draw: Callable[[dict[str, Any]], T], arguments: Mapping[str, Any]) -> T:
        return draw({name: np.asarray(value)[()] for name, value in arguments.items()})

    def number(self, variable: Variable, how: int) -> str:
        name, (dtype, shape) = variable.name, variable.type
        if dtype.startswith("complex"):
            return f"(np.sum({name}.real) + 0.5 * np.sum({name}.imag))"
        if not dtype.startswith("float"):
            return f"0.5 * np.sum({name})"
        if not shape:
            return name
        n = math.prod(shape)
        weighted = f"np.sum(np.reshape({name}, -1) * np.linspace(0.5, 1.5, {n}))"
        return (weighted, f"{name}.sum()", f"np.mean({name} ** 2)")[how]

    def output(self, variable: Variable) -> str:
        is_complex = variable.type.dtype.startswith("complex")
        return f"{variable.name}.real" if is_complex else variable.name
