"""The table of equations that a Builder writes, and the questions that rules ask about it.

Definitions enter one by one, and each becomes one variable. Rules ask how a variable is defined,
and write further equations with `emit`, which the Builder implements.
Never sees a rule.

A complex number is a variable too, a name for two others: its real and imaginary part. Equations
are written of these alone, so a finished Program holds no complex number.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from gradsweep.program.program import Constant, Equation, Input
from gradsweep.program.pruning import ancestors
from gradsweep.support.errors import NotAProgram

__all__ = ["MAX_EQUATIONS", "PART_DTYPES", "Equations"]

# Beyond this a framework's own array code is the better engine, and tracing takes seconds. The
# likelihood of a Gaussian process of 32 points and its gradient stay below.
MAX_EQUATIONS = 2**17

_NUMBERS = (float, int, bool)

# The dtype of both parts of a complex number.
PART_DTYPES = {"complex128": "float64", "complex64": "float32"}
_COMPLEX_DTYPES = {part: whole for whole, part in PART_DTYPES.items()}


class _Pair(NamedTuple):
    """A complex number: two variables, and the dtype of both together."""

    real: int
    imaginary: int
    dtype: str


class Equations(ABC):
    """Variables, as integers in order of creation, and what defines each.

    Attributes:
        masks: the variable that masks a variable, as `cases` defines it.
        credit: how many more terms `cases` may visit; every equation that is asked for adds some.
        is_linear: whether the equations are linear in seeds now, so that a zero chosen in place
            of a seed is structural.
        is_transposing: whether they are the transpose of a linear map.
    """

    def __init__(self, max_equations: int = MAX_EQUATIONS):
        self.max_equations = max_equations
        self.masks: dict[int, int] = {}
        self.credit = 0
        self.is_linear = self.is_transposing = False
        self._earns = True
        self._definitions: list[Input | Constant | Equation | _Pair] = []
        self._dtypes: list[str] = []
        self._numbers: dict[tuple, int] = {}
        self._constants: dict[tuple | None, int] = {}
        self._values: dict[int, Any] = {}  # of the constants, by variable
        self._structural_zeros: set[int] = set()
        self._pairs: dict[int, tuple[int, int]] = {}

    @abstractmethod
    def emit(self, name: str, *operands: int) -> int:
        """Return the variable for `name` of `operands`, writing an equation if need be."""

    # -- leaves

    def input(self, leaf: str, element: int, dtype: str) -> int:
        return self._intern(("input", leaf, element), Input(leaf, element, dtype))

    def inputs(self, leaf: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """Return the variables of every element of a leaf, in its shape."""
        n_elements = int(np.prod(shape, dtype=np.int64))
        if n_elements > self.max_equations:
            raise NotAProgram(f"{leaf} has {n_elements:,} elements, too many to unroll")
        variables = [self.input(leaf, element, dtype) for element in range(n_elements)]
        return np.array(variables, dtype=np.int64).reshape(shape)

    def constant(self, value, dtype: str) -> int:
        # Equal Python numbers of one type are one constant, but for the two zeros.
        known = (type(value), value, dtype) if type(value) in _NUMBERS and value else None
        variable = self._constants.get(known)
        if variable is None:
            if part := PART_DTYPES.get(dtype):
                whole = np.dtype(dtype).type(value)
                return self.pair(self.constant(whole.real, part), self.constant(whole.imag, part))
            scalar = np.dtype(dtype).type(value)
            # By their bytes, -0.0 differs from 0.0 and NaN equals itself.
            key = ("constant", dtype, scalar.tobytes())
            variable = self._intern(key, Constant(scalar.item(), dtype))
            if known is not None:
                self._constants[known] = variable
        return variable

    def constants(self, values: np.ndarray, dtype: str) -> np.ndarray:
        """Return the variables of an array of constants, in its shape."""
        if values.size > self.max_equations:
            raise NotAProgram(f"a constant has {values.size:,} elements, too many to unroll")
        variables = [self.constant(value, dtype) for value in values.ravel()]
        return np.array(variables, dtype=np.int64).reshape(values.shape)

    def structural_zero(self, dtype: str) -> int:
        if part := PART_DTYPES.get(dtype):
            nothing = self.structural_zero(part)
            return self.pair(nothing, nothing)
        zero = np.dtype(dtype).type(0).item()
        variable = self._intern(("structural zero", dtype), Constant(zero, dtype))
        self._structural_zeros.add(variable)
        return variable

    # -- complex numbers

    def pair(self, real: int, imaginary: int) -> int:
        """Return the variable of the complex number of two real ones, which share a dtype."""
        parts = real, imaginary
        pair = _Pair(*parts, _COMPLEX_DTYPES[self.dtype(real)])
        variable = self._intern(("pair", *parts), pair)
        self._pairs[variable] = parts
        if all(map(self.is_constant, parts)):
            self._values[variable] = complex(*map(self.value, parts))
        if all(map(self.is_structural_zero, parts)):
            self._structural_zeros.add(variable)
        return variable

    def parts(self, variable: int) -> tuple[int, ...]:
        """Return the real and the imaginary part of a complex number; of another, itself alone."""
        return self._pairs.get(variable, (variable,))

    def is_complex(self, variable: int) -> bool:
        return variable in self._pairs

    # -- questions

    def dtype(self, variable: int) -> str:
        return self._dtypes[variable]

    def is_constant(self, variable: int) -> bool:
        return variable in self._values

    def is_structural_zero(self, variable: int) -> bool:
        return variable in self._structural_zeros

    def is_zero(self, variable: int) -> bool:
        return self._values.get(variable) == 0

    def value(self, variable: int) -> Any:
        """Return the value of a variable that is a constant."""
        return self._values[variable]

    def equation(self, variable: int) -> Equation | None:
        """Return the equation of a variable, or None if it is an input or a constant."""
        definition = self._definitions[variable]
        return definition if type(definition) is Equation else None

    def equals(self, variable: int, value: float) -> bool:
        """Tell whether a variable is the constant `value`, the sign of zero included."""
        own = self._values.get(variable)
        if own is None or own != value:
            return False
        if self.is_complex(variable):
            real, imaginary = self.parts(variable)
            return self.equals(real, value) and self.equals(imaginary, 0.0)
        return value != 0 or bool(np.signbit(own)) == bool(np.signbit(value))

    def operand_of(self, primitive: str, variable: int) -> int | None:
        """Return x when the variable is `primitive` of x."""
        definition = self._definitions[variable]
        if type(definition) is Equation and definition[0] == primitive:
            return definition[1][0]
        return None

    def negated(self, variable: int) -> int | None:
        """Return x when the variable is -x."""
        return self.operand_of("neg", variable)

    def inputs_of(self, variables: Sequence[int]) -> list[Input]:
        """Return the inputs that some variables are computed from."""
        reached = (self._definitions[v] for v in self._ancestors(variables))
        return [definition for definition in reached if isinstance(definition, Input)]

    # -- the credit and the licence of rules

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Earn no credit for the equations that a rule asks for."""
        earns, self._earns = self._earns, False
        try:
            yield
        finally:
            self._earns = earns

    @contextmanager
    def linear(self, transposed: bool = False) -> Iterator[None]:
        """Write a linear map of seeds, or the transpose of one.

        In a transpose, a factor of a choice between x and nothing becomes a factor of x.
        """
        outside = self.is_linear, self.is_transposing
        self.is_linear, self.is_transposing = True, transposed
        try:
            yield
        finally:
            self.is_linear, self.is_transposing = outside

    # -- the table

    def _ancestors(self, roots: Sequence[int]) -> list[int]:
        """Return, in order, `roots` and the variables that they are computed from."""
        equations = [(v, d) for v, d in enumerate(self._definitions) if isinstance(d, Equation)]
        return sorted(ancestors(equations, roots))

    def _intern(self, key: tuple, definition: Input | Constant | Equation | _Pair) -> int:
        variable = self._numbers.get(key)
        if variable is None:
            variable = self._numbers[key] = self._append(definition)
        return variable

    def _append(self, definition: Input | Constant | Equation | _Pair) -> int:
        variable = len(self._definitions)
        self._definitions.append(definition)
        self._dtypes.append(definition.dtype)
        if type(definition) is Constant:
            self._values[variable] = definition.value
        return variable
