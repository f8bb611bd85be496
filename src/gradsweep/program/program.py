"""Program: a derivative as straight-line scalar equations over the primitive table.

A Program is plain data. It can be printed, hashed, saved as JSON and sent to a process that has
neither torch nor JAX. Variables are numbered: the inputs first, then the constants, then one for
each equation, so an equation reads only variables with smaller numbers than its own.

An equation is a primitive of its operands, or one result of a Loop: a Program that runs step after
step, each from the carries of the step before. Each result of a Loop is an equation of its own,
with all of the Loop's operands, so that its readers need know nothing of loops; `Loop.reached`
tells which operands it depends on. A Loop object stands for one run: the operands of all its
results are one tuple, which may be long, and `reads` yields it once.

Knows nothing of frameworks, sweeps or engines.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_
from typing import Any, NamedTuple, TypeVar

import numpy as np

from gradsweep.program.primitives import PRIMITIVES

__all__ = [
    "CARRY",
    "GIVEN",
    "GOING",
    "ROW",
    "Constant",
    "Equation",
    "Guard",
    "Input",
    "Loop",
    "LoopResult",
    "Output",
    "Program",
    "count_written",
    "reads",
    "total_flops",
]

T = TypeVar("T")

# The names of the leaves and outputs of a Loop's body.
CARRY, GIVEN, ROW, GOING = "carry", "given", "row", "going"

# The assumed number of steps of a loop whose length depends on values.
_USUAL_STEPS = 10


class Input(NamedTuple):
    """One scalar that a Program reads: an element of a leaf of the sweep."""

    leaf: str
    element: int
    dtype: str


class Constant(NamedTuple):
    value: float | int | bool
    dtype: str


class Equation(NamedTuple):
    """Defines the variable of its number as `primitive` of operands, or as a Loop's result."""

    primitive: str | LoopResult
    operands: tuple[int, ...]
    dtype: str

    @property
    def flops(self) -> int:
        """Estimate the floating-point operations at one point; a Loop's are for all its results."""
        if isinstance(self.primitive, LoopResult):
            return self.primitive.loop.flops
        return PRIMITIVES[self.primitive].flops


class Output(NamedTuple):
    """One array that a Program yields; `variables` fill `shape` in C order."""

    name: str
    shape: tuple[int, ...]
    variables: tuple[int, ...]


class Guard(NamedTuple):
    """The value of a variable that the function's Python code saw while it was traced.

    The Program holds only at points where the variable has that value.
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
        """Return the constant that defines a variable, or None."""
        position = variable - len(self.inputs)
        return self.constants[position] if 0 <= position < len(self.constants) else None

    def propagate(
        self, sets: Iterable[Iterable[T]], variables: Iterable[int]
    ) -> dict[int, frozenset[T]]:
        """Return, for each of `variables`, the union of `sets`, one of each input it depends on."""
        # Sets stay bit masks until the end: there are many equations, and may be many items.
        bits: dict[T, int] = {}
        masks = [sum({bits.setdefault(item, 1 << len(bits)) for item in own}) for own in sets]
        masks += [0] * len(self.constants)

        def union(variables: Iterable[int]) -> int:
            return reduce(or_, map(masks.__getitem__, variables), 0)

        of_rows: dict[tuple[Loop, int], int] = {}  # a row depends on the same inputs throughout
        for primitive, operands, _ in self.equations:
            if isinstance(primitive, str):
                masks.append(union(operands))
                continue
            loop, number = primitive
            port = loop, loop.port(number)
            if port not in of_rows:
                of_rows[port] = union([operands[i] for i in loop.reached(number)])
            masks.append(of_rows[port])
        found = {variable: masks[variable] for variable in variables}
        unions = {m: frozenset(i for i, bit in bits.items() if m & bit) for m in {*found.values()}}
        return {variable: unions[mask] for variable, mask in found.items()}

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
        """Count the equations as they are written: a Loop has those of its body."""
        return count_written(self.equations)

    @cached_property
    def n_computed(self) -> int:
        """Count the equations as they are computed: a Loop has its body's once for every step."""
        own, loops = _apart(self.equations)
        return len(own) + sum(loop.steps * loop.body.n_computed for loop in loops)

    @cached_property
    def dtypes(self) -> frozenset[str]:
        """The dtypes of inputs and equations, also inside Loops."""
        own = {entry.dtype for entry in self.inputs} | {e.dtype for e in self.equations}
        return frozenset(own.union(*(loop.body.dtypes for loop in self.loops)))

    @cached_property
    def primitives(self) -> frozenset[tuple[str, str]]:
        """The primitives of all equations, each with the dtype of its last operand."""
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


@dataclass(frozen=True, eq=False)
class Loop:
    """A body, and how often it runs.

    The operands of a result are the initial carries, then the numbers that every step is given,
    then the rows: for each row, the number of every step.

    The body's inputs are the elements that it reads of the leaves CARRY, GIVEN and ROW. Its outputs
    are CARRY: the carries of the next step; ROW: the numbers that the step leaves; and, where the
    values decide how many steps there are, GOING: whether this step takes place.

    The results are the final carries, then the rows that are left: for each row, the number of
    every step.

    Attributes:
        n_steps: how many steps there are, one or more; None where each point goes on while GOING
            is true. Such a loop has no rows.
        n_given: how many numbers every step is given.
        n_rows: how many rows there are, each with one number for every step.
    """

    body: Program
    n_steps: int | None
    n_given: int
    n_rows: int

    @property
    def steps(self) -> int:
        """How many steps there are, or are assumed."""
        return _USUAL_STEPS if self.n_steps is None else self.n_steps

    @property
    def flops(self) -> int:
        return self.steps * self.body.flops

    @property
    def n_carries(self) -> int:
        return len(self.body.outputs[0].variables)

    @property
    def n_rows_left(self) -> int:
        """How many numbers each step leaves."""
        return len(self.body.outputs[1].variables)

    @property
    def going(self) -> int | None:
        """The variable of the body that tells whether a step takes place; None if all do."""
        return self.body.outputs[2].variables[0] if self.n_steps is None else None

    @property
    def n_operands(self) -> int:
        return self.n_carries + self.n_given + self.n_rows * self.rows_length

    @property
    def n_results(self) -> int:
        return self.n_carries + self.n_rows_left * self.rows_length

    @property
    def rows_length(self) -> int:
        """How many numbers a row has: one for every step."""
        return self.n_steps or 0

    @cached_property
    def places(self) -> tuple[range, ...]:
        """The positions of the operands of each input of the body; a row has one for every step."""
        starts = {CARRY: 0, GIVEN: self.n_carries, ROW: self.n_carries + self.n_given}
        found = []
        for leaf, element, _ in self.body.inputs:
            n = self.rows_length if leaf == ROW else 1
            first = starts[leaf] + element * n
            found.append(range(first, first + n))
        return tuple(found)

    def port(self, number: int) -> int:
        """Return the position in `ports` of the variable that a result comes from."""
        n = self.n_carries
        return number if number < n else n + (number - n) // self.rows_length

    @property
    def ports(self) -> tuple[int, ...]:
        """The variables of the body that leave it: the carries, then one for each row."""
        return tuple(v for output in self.body.outputs[:2] for v in output.variables)

    def reached(self, number: int) -> tuple[int, ...]:
        """Return the positions of the operands that a result depends on."""
        return self._reached[self.port(number)]

    @cached_property
    def _reached(self) -> tuple[tuple[int, ...], ...]:
        # Many ports read the same in a step, such as the elements of an array.
        shared: dict[frozenset[int], tuple[int, ...]] = {}
        found = []
        for port, variable in enumerate(self.ports):
            read = self._read_in_a_step[variable]
            if read not in shared:
                inputs = self.inputs_of([variable])
                shared[read] = tuple(sorted(o for i in inputs for o in self.places[i]))
            found.append(shared[read])
            if port < self.n_carries and port not in shared[read]:
                found[-1] = tuple(sorted((*shared[read], port)))  # whether it is read or not
        return tuple(found)

    def inputs_of(self, variables: Iterable[int]) -> frozenset[int]:
        """Return the inputs that leaving variables depend on, in their step or an earlier one."""
        carried, read = self.body.outputs[0].variables, self._read_in_a_step
        waiting = {read[v] for v in (*variables, *([] if self.going is None else [self.going]))}
        seen, found = set(waiting), set[int]()
        while waiting:
            new = waiting.pop() - found
            found |= new
            entries = [self.body.inputs[number] for number in new]
            following = {read[carried[e.element]] for e in entries if e.leaf == CARRY} - seen
            waiting |= following
            seen |= following
        return frozenset(found)

    @cached_property
    def _read_in_a_step(self) -> dict[int, frozenset[int]]:
        """For each variable that leaves the body, the inputs it is computed from in a step."""
        leaving = (variable for output in self.body.outputs for variable in output.variables)
        return self.body.propagate(([number] for number in range(len(self.body.inputs))), leaving)


class LoopResult(NamedTuple):
    """One result of a Loop; an equation has it in place of a primitive."""

    loop: Loop
    number: int


def reads(
    equations: Iterable[tuple[int, Equation]],
) -> Iterator[tuple[int, Equation, tuple[int, ...]]]:
    """Yield equations with the operands that are read when each is computed.

    All results of a Loop are computed with its first.
    """
    run: set[Loop] = set()
    for variable, equation in equations:
        primitive, operands, _ = equation
        if isinstance(primitive, LoopResult):
            if primitive.loop in run:
                operands = ()
            run.add(primitive.loop)
        yield variable, equation, operands


def count_written(equations: Iterable[Equation]) -> int:
    """Count equations; a Loop has those of its body."""
    own, loops = _apart(equations)
    return len(own) + sum(loop.body.n_written for loop in loops)


def total_flops(equations: Iterable[Equation]) -> int:
    """Estimate the floating-point operations of some equations at one point."""
    own, loops = _apart(equations)
    return sum(equation.flops for equation in own) + sum(loop.flops for loop in loops)


def _apart(equations: Iterable[Equation]) -> tuple[list[Equation], set[Loop]]:
    """Return the equations of primitives, and the Loops that have the others."""
    equations = list(equations)
    own = [equation for equation in equations if isinstance(equation.primitive, str)]
    return own, {e.primitive.loop for e in equations if isinstance(e.primitive, LoopResult)}


def _text(value: float | bool) -> str | int | bool:
    return float(value).hex() if isinstance(value, float | np.floating) else value
