"""Builder: what a frontend writes a Program with, one equation at a time.

It simplifies as it goes: an equation already written is not written again, constants are folded,
and the rules of `simplify` are applied. What no output needs is dropped when the Program is
finished.

A *structural* zero is one that stands for "nothing here": an entry of a one-hot seed, of
`zeros((4, 4))`, of a tangent that was never set. Its product with anything is nothing, as in
sparse automatic differentiation. A zero that the user wrote as a number is not structural, so
that 0.0 * inf is still NaN.

Knows nothing of frameworks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from gradsweep.program.cases import find_mask
from gradsweep.program.loop import Loop, LoopResult
from gradsweep.program.primitives import PRIMITIVES
from gradsweep.program.program import (
    Constant,
    Equation,
    Guard,
    Input,
    Output,
    Program,
    ancestors,
    renumbered,
)
from gradsweep.program.rules import simplify
from gradsweep.support.errors import NotAProgram, TooLong

__all__ = ["MAX_EQUATIONS", "Builder", "guards_of", "with_holds"]

# Beyond this a framework's own array code is the better engine, and tracing takes seconds.
MAX_EQUATIONS = 50_000

# So many terms may be looked at for each equation, and so many rules may be applied one inside
# another: what simplifies takes time in proportion to what is written.
_CREDIT = 100
_DEEPEST = 32


class Builder:
    """Grow a Program. Variables are handed out as integers, in order of creation.

    Attributes:
        masks: what a variable is zero for some values of, as `masks` defines it.
        n_equations: how many it has written, whether or not an output needs them.
        is_body: whether it writes the body of a Loop, which is the same at every step.
        credit: how many terms `masks` may look at: so many for each equation that is asked for.
        is_linear: whether what is written is linear in seeds, so that a zero chosen in place of
            one is structural.
        is_transposing: whether it is the transpose of a linear map.
    """

    def __init__(self, max_equations: int = MAX_EQUATIONS, is_body: bool = False):
        self.max_equations = max_equations
        self.is_body = is_body
        self.masks: dict[int, int] = {}
        self.credit = 0
        self.is_linear = self.is_transposing = False
        self._depth = 0
        self._earns = True
        self._definitions: list[Input | Constant | Equation] = []
        self._dtypes: list[str] = []
        self._numbers: dict[tuple, int] = {}
        self._structural_zeros: set[int] = set()
        self._guards: list[Guard] = []
        self._loops: dict[tuple, Loop] = {}
        self._results: dict[Loop, list[int]] = {}
        self.n_equations = 0

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
        scalar = np.dtype(dtype).type(value)
        # The bytes tell -0.0 from 0.0 and make NaN equal to itself.
        key = ("constant", dtype, scalar.tobytes())
        return self._intern(key, Constant(scalar.item(), dtype))

    def constants(self, values: np.ndarray, dtype: str) -> np.ndarray:
        """Return the variables of an array of constants, in its shape."""
        if values.size > self.max_equations:
            raise NotAProgram(f"a constant has {values.size:,} elements, too many to unroll")
        variables = [self.constant(value, dtype) for value in values.ravel()]
        return np.array(variables, dtype=np.int64).reshape(values.shape)

    def structural_zero(self, dtype: str) -> int:
        zero = np.dtype(dtype).type(0).item()
        variable = self._intern(("structural zero", dtype), Constant(zero, dtype))
        self._structural_zeros.add(variable)
        return variable

    # -- questions

    def dtype(self, variable: int) -> str:
        return self._dtypes[variable]

    def is_constant(self, variable: int) -> bool:
        return isinstance(self._definitions[variable], Constant)

    def is_structural_zero(self, variable: int) -> bool:
        return variable in self._structural_zeros

    def is_zero(self, variable: int) -> bool:
        return self.is_constant(variable) and self.value(variable) == 0

    def value(self, variable: int) -> float | int | bool:
        """Return the value of a variable that is a constant."""
        definition = self._definitions[variable]
        assert isinstance(definition, Constant)
        return definition.value

    def equation(self, variable: int) -> Equation | None:
        """Return the equation of a variable, or None if it is an input or a constant."""
        definition = self._definitions[variable]
        return definition if isinstance(definition, Equation) else None

    def equals(self, variable: int, value: float) -> bool:
        """Tell whether a variable is the constant `value`, the sign of zero included."""
        return (
            self.is_constant(variable)
            and self.value(variable) == value
            and bool(np.signbit(self.value(variable))) == bool(np.signbit(value))
        )

    def operand_of(self, primitive: str, variable: int) -> int | None:
        """Return x when the variable is `primitive` of x."""
        equation = self.equation(variable)
        return equation.operands[0] if equation and equation.primitive == primitive else None

    def negated(self, variable: int) -> int | None:
        """Return x when the variable is -x."""
        return self.operand_of("neg", variable)

    def inputs_of(self, variables: Sequence[int]) -> list[Input]:
        """Return the inputs that some variables are computed from."""
        reached = (self._definitions[v] for v in self._ancestors(variables))
        return [definition for definition in reached if isinstance(definition, Input)]

    # -- equations

    def emit(self, name: str, *operands: int) -> int:
        """Return the variable that `name` of `operands` is, writing an equation if need be."""
        primitive = PRIMITIVES[name]
        if self.is_constant(operands[0]) and all(map(self.is_constant, operands)):
            return self._fold(name, operands)
        if self._earns:
            self.credit += _CREDIT
        if self._depth < _DEEPEST:
            self._depth += 1
            try:
                simpler = simplify(self, name, operands)
            finally:
                self._depth -= 1
            if simpler is not None:
                return simpler
        if primitive.commutes and operands[0] > operands[1]:
            operands = (operands[1], operands[0])
        if (name, operands) in self._numbers:
            return self._numbers[name, operands]
        self._count(1)
        dtype = self._result_dtype(name, operands)
        variable = self._intern((name, operands), Equation(name, operands, dtype))
        mask = find_mask(self, name, operands)
        if mask is not None:
            self.masks[variable] = mask
        return variable

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Earn no credit for equations that a rule asks for."""
        earns, self._earns = self._earns, False
        try:
            yield
        finally:
            self._earns = earns

    @contextmanager
    def linear(self, transposed: bool = False) -> Iterator[None]:
        """Write a linear map of seeds, or the transpose of one.

        In a transpose, what multiplies a choice between x and nothing multiplies x.
        """
        outside = self.is_linear, self.is_transposing
        self.is_linear, self.is_transposing = True, transposed
        try:
            yield
        finally:
            self.is_linear, self.is_transposing = outside

    def results(self, loop: Loop, operands: Sequence[int]) -> list[int]:
        """Return the variables of every result of a Loop."""
        operands = tuple(operands)
        key = (loop.body.fingerprint, loop.n_steps, loop.n_given, loop.n_rows, operands)
        if key not in self._loops:
            self._count(loop.body.n_written + loop.n_results)
            # A Loop stands for one run of it: with other operands it is another.
            loop = self._loops[key] = replace(loop)
            ports = [loop.body.dtype(variable) for variable in loop.ports]
            self._results[loop] = [
                self._append(Equation(LoopResult(loop, number), operands, ports[loop.port(number)]))
                for number in range(loop.n_results)
            ]
        return self._results[self._loops[key]]

    def again(
        self, equation: Equation, new: Callable[[int], int], runs: dict[Loop, list[int]]
    ) -> int:
        """Return the variable of an equation of another Program, or of this one, written anew.

        Args:
            new: what its operands are now.
            runs: the results of Loops that were written anew already.
        """
        primitive, operands, _ = equation
        if isinstance(primitive, str):
            return self.emit(primitive, *map(new, operands))
        loop, number = primitive
        if loop not in runs:
            runs[loop] = self.results(loop, [*map(new, operands)])
        return runs[loop][number]

    def _count(self, n_equations: int) -> None:
        self.n_equations += n_equations
        if self.n_equations > self.max_equations:
            raise TooLong(f"it takes more than {self.max_equations:,} scalar equations")

    def product(self, a: int, b: int) -> int:
        """Multiply entries of matrices: there, a constant zero is a structural one."""
        for factor in (a, b):
            if self.is_zero(factor):
                return self.structural_zero(self.dtype(a))
        return self.emit("mul", a, b)

    def cast(self, variable: int, dtype: str) -> int:
        if self.dtype(variable) == dtype:
            return variable
        return self.emit(f"to_{dtype}", variable)

    def guard(self, variable: int, expected: float | bool, where: str) -> None:
        """Record that Python code saw `expected` as the value of `variable`."""
        if not self.is_constant(variable):
            self._guards.append(Guard(variable, expected, where))

    def substitute(
        self, variables: Sequence[int], replacements: Sequence[Mapping[int, int]]
    ) -> list[list[int]]:
        """Write `variables`, linear in some others, anew for each mapping of those."""
        reached = set().union(*replacements)
        order = []
        for variable in self._ancestors(variables):
            definition = self._definitions[variable]
            if isinstance(definition, Equation) and not reached.isdisjoint(definition.operands):
                reached.add(variable)
                order.append((variable, definition))
        with self.linear():
            return [self._written(variables, order, replaced) for replaced in replacements]

    def _written(
        self,
        variables: Sequence[int],
        order: Sequence[tuple[int, Equation]],
        replaced: Mapping[int, int],
    ) -> list[int]:
        """Write the equations of `order` anew, and return what `variables` are then."""
        new = dict(replaced)
        runs: dict[Loop, list[int]] = {}

        def renamed(operand: int) -> int:
            return new.get(operand, operand)

        for variable, equation in order:
            new[variable] = self.again(equation, renamed, runs)
        return [*map(renamed, variables)]

    # -- the end

    def finish(self, outputs: Sequence[Output]) -> Program:
        """Return the Program of what `outputs` and the guards need."""
        roots = [v for output in outputs for v in output.variables]
        roots += [guard.variable for guard in self._guards]
        needed = self._ancestors(roots)
        kinds = (Input, Constant, Equation)
        order = [v for kind in kinds for v in needed if isinstance(self._definitions[v], kind)]
        number = {old: new for new, old in enumerate(order)}

        def renumber(variables: Sequence[int]) -> tuple[int, ...]:
            return tuple(number[variable] for variable in variables)

        definitions = [self._definitions[variable] for variable in order]
        return Program(
            inputs=tuple(d for d in definitions if isinstance(d, Input)),
            constants=tuple(d for d in definitions if isinstance(d, Constant)),
            equations=renumbered([d for d in definitions if isinstance(d, Equation)], number),
            outputs=tuple(o._replace(variables=renumber(o.variables)) for o in outputs),
            guards=tuple(
                dict.fromkeys(g._replace(variable=number[g.variable]) for g in self._guards)
            ),
        )

    def _ancestors(self, roots: Sequence[int]) -> list[int]:
        """Return, in order, the variables that some are computed from, themselves included."""
        equations = [(v, d) for v, d in enumerate(self._definitions) if isinstance(d, Equation)]
        return sorted(ancestors(equations, roots))

    def _intern(self, key: tuple, definition: Input | Constant | Equation) -> int:
        variable = self._numbers.get(key)
        if variable is None:
            variable = self._numbers[key] = self._append(definition)
        return variable

    def _append(self, definition: Input | Constant | Equation) -> int:
        self._definitions.append(definition)
        self._dtypes.append(definition.dtype)
        return len(self._definitions) - 1

    def _result_dtype(self, name: str, operands: tuple[int, ...]) -> str:
        match PRIMITIVES[name].result:
            case "same":
                return self._dtypes[operands[0]]
            case "chosen":
                return self._dtypes[operands[1]]
            case dtype:
                return dtype

    def _fold(self, name: str, operands: tuple[int, ...]) -> int:
        if name == "mul" and any(map(self.is_structural_zero, operands)):
            return self.structural_zero(self._dtypes[operands[0]])
        if name == "select":
            chosen = operands[1] if self.value(operands[0]) else operands[2]
            is_nothing = self.is_linear and self.is_zero(chosen) and self.dtype(chosen)[0] == "f"
            return self.structural_zero(self.dtype(chosen)) if is_nothing else chosen
        if name == "div" and self.is_structural_zero(operands[0]):
            return operands[0]
        if name in ("add", "neg", "sub") and all(map(self.is_structural_zero, operands)):
            return operands[0]
        if name.startswith("to_") and self.is_structural_zero(operands[0]):
            return self.structural_zero(name.removeprefix("to_"))
        values = [np.dtype(self._dtypes[o]).type(self.value(o)) for o in operands]
        with np.errstate(all="ignore"):
            result = PRIMITIVES[name].numpy(*values)
        return self.constant(result, self._result_dtype(name, operands))


def guards_of(program: Program) -> Program:
    """Return a Program of one output, `holds`: whether every guard of a Program holds."""
    return with_holds(replace(program, outputs=()))


def with_holds(program: Program) -> Program:
    """Return a Program with no guards and one more output, `holds`: whether all of them hold."""
    b = Builder()
    numbers = [b.input(*entry) for entry in program.inputs]
    numbers += [b.constant(*constant) for constant in program.constants]
    runs: dict[Loop, list[int]] = {}
    for equation in program.equations:
        numbers.append(b.again(equation, numbers.__getitem__, runs))
    holds = b.constant(True, "bool")
    for variable, expected, _ in program.guards:
        value = numbers[variable]
        dtype = b.dtype(value)
        if dtype == "bool":
            kept = value if expected else b.emit("not", value)
        elif np.isnan(expected):
            kept = b.emit("ne", value, value)
        else:
            kept = b.emit("eq", value, b.constant(expected, dtype))
        holds = b.emit("and", holds, kept)
    outputs = [
        o._replace(variables=tuple(numbers[v] for v in o.variables)) for o in program.outputs
    ]
    return b.finish([*outputs, Output("holds", (), (holds,))])
