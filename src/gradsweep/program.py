"""Program: a derivative as straight-line scalar equations over the primitive table.

A Program is plain data. It can be printed, hashed, saved as JSON and sent to a process that has
neither torch nor JAX. Variables are numbered: the inputs first, then the constants, then one for
each equation, so an equation reads only variables with smaller numbers than its own.

Knows nothing of frameworks, sweeps or engines.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from gradsweep.primitives import PRIMITIVES

__all__ = ["Constant", "Equation", "Guard", "Input", "Output", "Program"]


class Input(NamedTuple):
    """One scalar that a Program reads: an element of a leaf of the sweep."""

    leaf: str
    element: int
    dtype: str


class Constant(NamedTuple):
    value: float | int | bool
    dtype: str


class Equation(NamedTuple):
    """The variable numbered after it is `primitive` of the operands."""

    primitive: str
    operands: tuple[int, ...]
    dtype: str


class Output(NamedTuple):
    """One array that a Program yields; `variables` fill `shape` in C order."""

    name: str
    shape: tuple[int, ...]
    variables: tuple[int, ...]


class Guard(NamedTuple):
    """What the function's Python code saw of a variable while it was traced.

    The Program holds for a point only where the variable has that value there too.
    """

    variable: int
    expected: float | int | bool
    where: str


@dataclass(frozen=True)
class Program:
    inputs: tuple[Input, ...]
    constants: tuple[Constant, ...]
    equations: tuple[Equation, ...]
    outputs: tuple[Output, ...]
    guards: tuple[Guard, ...] = ()

    @property
    def n_leading(self) -> int:
        """Count the variables that no equation defines."""
        return len(self.inputs) + len(self.constants)

    @property
    def n_variables(self) -> int:
        return self.n_leading + len(self.equations)

    def numbered(self) -> Iterator[tuple[int, Equation]]:
        """Yield each equation with the number of the variable it defines."""
        return enumerate(self.equations, start=self.n_leading)

    def dtype(self, variable: int) -> str:
        if variable < len(self.inputs):
            return self.inputs[variable].dtype
        if variable < self.n_leading:
            return self.constants[variable - len(self.inputs)].dtype
        return self.equations[variable - self.n_leading].dtype

    def constant(self, variable: int) -> Constant | None:
        """Return the constant that a variable is, or None."""
        position = variable - len(self.inputs)
        return self.constants[position] if 0 <= position < len(self.constants) else None

    @cached_property
    def flops(self) -> int:
        """Estimate the floating-point operations of one point, by the primitive table."""
        return sum(PRIMITIVES[equation.primitive].flops for equation in self.equations)

    @cached_property
    def fingerprint(self) -> str:
        """Hash what the Program computes: equal Programs have equal fingerprints."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Write the Program as JSON, floats in hexadecimal so that no bit is lost."""
        return json.dumps(
            {
                "inputs": self.inputs,
                "constants": [[_text(c.value), c.dtype] for c in self.constants],
                "equations": self.equations,
                "outputs": self.outputs,
                "guards": [[g.variable, _text(g.expected), g.where] for g in self.guards],
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> "Program":
        """Read what `to_json` wrote.

        Raises:
            ValueError: when it names a primitive outside the table, or an equation reads a
                variable that is not yet defined.
        """
        data = json.loads(text)
        program = cls(
            inputs=tuple(Input(*row) for row in data["inputs"]),
            constants=tuple(Constant(_value(v), dtype) for v, dtype in data["constants"]),
            equations=tuple(Equation(p, tuple(o), dtype) for p, o, dtype in data["equations"]),
            outputs=tuple(Output(n, tuple(s), tuple(v)) for n, s, v in data["outputs"]),
            guards=tuple(Guard(v, _value(e), where) for v, e, where in data["guards"]),
        )
        for variable, (primitive, operands, _) in program.numbered():
            if primitive not in PRIMITIVES:
                raise ValueError(f"the Program uses {primitive!r}, which is no primitive")
            if not all(0 <= operand < variable for operand in operands):
                raise ValueError(f"equation v{variable} reads a variable that is not yet defined")
        return program

    def __str__(self) -> str:
        return self.to_source([("", tuple(self.numbered()))])

    def to_source(self, stages: Iterable[tuple[str, Sequence[tuple[int, Equation]]]]) -> str:
        """Write the Program as readable straight-line code.

        Args:
            stages: the equations with their numbers, in groups with a title each.
        """
        lines = []
        for title, equations in stages:
            lines += [f"# {title}"] if title else []
            lines += [
                f"v{variable} = {_formula(primitive, [self._name(o) for o in operands])}"
                for variable, (primitive, operands, _) in equations
            ]
        lines += [
            f"guard {self._name(guard.variable)} == {guard.expected!r}  # {guard.where}"
            for guard in self.guards
        ]
        for output in self.outputs:
            values = ", ".join(map(self._name, output.variables))
            lines.append(f"{output.name} = {values if output.shape == () else f'[{values}]'}")
        return "\n".join(lines)

    def _name(self, variable: int) -> str:
        constant = self.constant(variable)
        if constant is not None:
            return repr(constant.value)
        if variable >= len(self.inputs):
            return f"v{variable}"
        leaf, element, _ = self.inputs[variable]
        return f"{leaf}[{element}]" if leaf in self._array_leaves else leaf

    @cached_property
    def _array_leaves(self) -> frozenset[str]:
        return frozenset(entry.leaf for entry in self.inputs if entry.element > 0)


_INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "eq": "==", "ne": "!=", "lt": "<", "le": "<=",
    "gt": ">", "ge": ">=",
}  # fmt: skip


def _formula(primitive: str, operands: list[str]) -> str:
    if primitive in _INFIX:
        return f" {_INFIX[primitive]} ".join(operands)
    return f"-{operands[0]}" if primitive == "neg" else f"{primitive}({', '.join(operands)})"


def _text(value: float | bool) -> str | int | bool:
    return float(value).hex() if isinstance(value, float | np.floating) else value


def _value(text: str | int | bool) -> float | int | bool:
    return float.fromhex(text) if isinstance(text, str) else text
