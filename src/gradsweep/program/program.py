"""Program: a derivative as straight-line scalar equations over the primitive table.

A Program is plain data. It can be printed, hashed, saved as JSON and sent to a process that has
neither torch nor JAX. Variables are numbered: the inputs first, then the constants, then one for
each equation, so an equation reads only variables with smaller numbers than its own.

An equation is a primitive of its operands, or one result of a Loop of them.

Knows nothing of frameworks, sweeps or engines.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from gradsweep.program.loop import Loop, LoopResult, reads
from gradsweep.program.primitives import PRIMITIVES

__all__ = [
    "Constant",
    "Equation",
    "Guard",
    "Input",
    "Output",
    "Program",
    "ancestors",
    "count_written",
    "renumbered",
    "total_flops",
]


class Input(NamedTuple):
    """One scalar that a Program reads: an element of a leaf of the sweep."""

    leaf: str
    element: int
    dtype: str


class Constant(NamedTuple):
    value: float | int | bool
    dtype: str


class Equation(NamedTuple):
    """The variable numbered after it is `primitive` of the operands, or a Loop's result."""

    primitive: str | LoopResult
    operands: tuple[int, ...]
    dtype: str

    @property
    def flops(self) -> int:
        """Estimate the floating-point operations of one point; of a Loop, for all its results."""
        if isinstance(self.primitive, LoopResult):
            return self.primitive.loop.flops
        return PRIMITIVES[self.primitive].flops


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
        return total_flops(self.equations)

    @cached_property
    def loops(self) -> dict[Loop, tuple[int, ...]]:
        """Every Loop whose results are among the equations, with its operands."""
        return {
            equation.primitive.loop: equation.operands
            for equation in self.equations
            if isinstance(equation.primitive, LoopResult)
        }

    @cached_property
    def n_written(self) -> int:
        """Count what is computed as it is written: the body of a Loop in place of its results."""
        return count_written(self.equations)

    @cached_property
    def n_computed(self) -> int:
        """Count what is computed as often as it is: the body of a Loop once for every step."""
        own = sum(isinstance(equation.primitive, str) for equation in self.equations)
        return own + sum(loop.steps * loop.body.n_computed for loop in self.loops)

    @cached_property
    def dtypes(self) -> frozenset[str]:
        """The dtypes of what is read and computed."""
        own = {entry.dtype for entry in self.inputs} | {e.dtype for e in self.equations}
        return frozenset(own.union(*(loop.body.dtypes for loop in self.loops)))

    @cached_property
    def primitives(self) -> frozenset[tuple[str, str]]:
        """The primitives that are used, each with the dtype of its last operand."""
        own = {
            (e.primitive, self.dtype(e.operands[-1]))
            for e in self.equations
            if isinstance(e.primitive, str)
        }
        return frozenset(own.union(*(loop.body.primitives for loop in self.loops)))

    @cached_property
    def fingerprint(self) -> str:
        """Hash what the Program computes: equal Programs have equal fingerprints."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def pruned(self, outputs: Sequence[Output]) -> "Program":
        """Return a Program of these outputs alone, and of what they need."""
        roots = {variable for output in outputs for variable in output.variables}
        needed = sorted(ancestors(list(self.numbered()), roots))
        number = {old: new for new, old in enumerate(needed)}
        entries = [*self.inputs, *self.constants, *self.equations]
        kept = [entries[variable] for variable in needed]
        return Program(
            inputs=tuple(entry for entry in kept if isinstance(entry, Input)),
            constants=tuple(entry for entry in kept if isinstance(entry, Constant)),
            equations=renumbered([e for e in kept if isinstance(e, Equation)], number),
            outputs=tuple(
                o._replace(variables=tuple(number[v] for v in o.variables)) for o in outputs
            ),
        )

    def to_json(self) -> str:
        """Write the Program as JSON, floats in hexadecimal so that no bit is lost."""
        return json.dumps(self._to_data(), separators=(",", ":"))

    def _to_data(self) -> dict[str, Any]:
        numbers = {loop: number for number, loop in enumerate(self.loops)}
        return {
            "inputs": self.inputs,
            "constants": [[_text(c.value), c.dtype] for c in self.constants],
            "loops": [
                [loop.n_steps, loop.n_given, loop.n_rows, operands, loop.body._to_data()]
                for loop, operands in self.loops.items()
            ],
            "equations": [
                (p, operands, dtype)
                if isinstance(p, str)
                else ([numbers[p.loop], p.number], (), dtype)
                for p, operands, dtype in self.equations
            ],
            "outputs": self.outputs,
            "guards": [[g.variable, _text(g.expected), g.where] for g in self.guards],
        }

    @classmethod
    def from_json(cls, text: str) -> "Program":
        """Read what `to_json` wrote.

        Raises:
            ValueError: when it names a primitive outside the table, or an equation reads a
                variable that is not yet defined.
        """
        return cls._from_data(json.loads(text))

    @classmethod
    def _from_data(cls, data: Mapping[str, Any]) -> "Program":
        loops = [
            (Loop(cls._from_data(body), *numbers), tuple(operands))
            for *numbers, operands, body in data["loops"]
        ]

        def equation(primitive: Any, operands: Sequence[int], dtype: str) -> Equation:
            if isinstance(primitive, str):
                return Equation(primitive, tuple(operands), dtype)
            loop, given = loops[primitive[0]]
            return Equation(LoopResult(loop, primitive[1]), given, dtype)

        program = cls(
            inputs=tuple(Input(*row) for row in data["inputs"]),
            constants=tuple(Constant(_value(v), dtype) for v, dtype in data["constants"]),
            equations=tuple(equation(*row) for row in data["equations"]),
            outputs=tuple(Output(n, tuple(s), tuple(v)) for n, s, v in data["outputs"]),
            guards=tuple(Guard(v, _value(e), where) for v, e, where in data["guards"]),
        )
        for variable, (primitive, _, _), operands in reads(program.numbered()):
            if isinstance(primitive, LoopResult):
                loop, number = primitive
                is_whole = not operands or len(operands) == loop.n_operands
                if not is_whole or not 0 <= number < loop.n_results:
                    raise ValueError(f"equation v{variable} is no result of its loop")
            elif primitive not in PRIMITIVES:
                raise ValueError(f"the Program uses {primitive!r}, which is no primitive")
            if not all(0 <= operand < variable for operand in operands):
                raise ValueError(f"equation v{variable} reads a variable that is not yet defined")
        return program

    def __str__(self) -> str:
        return self.to_source([("", tuple(self.numbered()))])

    def to_source(self, stages: Iterable[tuple[str, Sequence[tuple[int, Equation]]]]) -> str:
        """Write the Program as readable straight-line code, Loops where they are run.

        Args:
            stages: the equations with their numbers, in groups with a title each.
        """
        lines = []
        names: dict[Loop, str] = {}
        for title, equations in stages:
            lines += [f"# {title}"] if title else []
            for variable, (primitive, operands, _) in equations:
                if isinstance(primitive, LoopResult):
                    loop, number = primitive
                    if loop not in names:
                        names[loop] = f"loop{len(names)}"
                        lines += self._loop_source(names[loop], loop, operands)
                    right = f"{names[loop]}[{number}]"
                else:
                    right = _formula(primitive, [*map(self._name, operands)])
                lines.append(f"v{variable} = {right}")
        lines += [
            f"guard {self._name(guard.variable)} == {guard.expected!r}  # {guard.where}"
            for guard in self.guards
        ]
        for output in self.outputs:
            values = ", ".join(map(self._name, output.variables))
            lines.append(f"{output.name} = {values if output.shape == () else f'[{values}]'}")
        return "\n".join(lines)

    def _loop_source(self, name: str, loop: Loop, operands: tuple[int, ...]) -> Iterator[str]:
        """Yield the lines that say what a Loop begins with, and its body."""
        often = "while going" if loop.n_steps is None else f"{loop.n_steps:,} times"
        yield f"{name}: {often}, where"
        for entry, places in sorted(zip(loop.body.inputs, loop.places)):
            first, last = self._name(operands[places[0]]), self._name(operands[places[-1]])
            values = f"{first} .. {last}" if len(places) > 1 else first
            yield f"    {entry.leaf}[{entry.element}] = {values}"
        yield from (f"    {line}" for line in str(loop.body).splitlines())

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


def count_written(equations: Iterable[Equation]) -> int:
    """Count equations, the body of a Loop in place of its results."""
    primitives = [equation.primitive for equation in equations]
    loops = {primitive.loop for primitive in primitives if isinstance(primitive, LoopResult)}
    own = sum(isinstance(primitive, str) for primitive in primitives)
    return own + sum(loop.body.n_written for loop in loops)


def total_flops(equations: Iterable[Equation]) -> int:
    """Estimate the floating-point operations of some equations at one point."""
    loops: set[Loop] = set()
    total = 0
    for equation in equations:
        if isinstance(equation.primitive, LoopResult):
            if equation.primitive.loop in loops:
                continue
            loops.add(equation.primitive.loop)
        total += equation.flops
    return total


def ancestors(equations: Sequence[tuple[int, Equation]], roots: Collection[int]) -> set[int]:
    """Return the variables that some are computed from, themselves included.

    Args:
        equations: by the variable each defines, each after those that it reads.
    """
    needed = set(roots)
    run: set[Loop] = set()
    for variable, (primitive, operands, _) in reversed(equations):
        if variable not in needed:
            continue
        if isinstance(primitive, LoopResult):
            if primitive.loop in run:
                continue
            run.add(primitive.loop)
        needed.update(operands)
    return needed


def renumbered(equations: Iterable[Equation], number: Mapping[int, int]) -> tuple[Equation, ...]:
    """Return equations with operands numbered anew, which the results of a Loop share."""
    found = []
    of_loops: dict[Loop, tuple[int, ...]] = {}
    for equation in equations:
        primitive, operands, _ = equation
        new = of_loops.get(primitive.loop) if isinstance(primitive, LoopResult) else None
        if new is None:
            new = tuple([number[operand] for operand in operands])
        if isinstance(primitive, LoopResult):
            of_loops[primitive.loop] = new
        found.append(equation._replace(operands=new))
    return tuple(found)


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
