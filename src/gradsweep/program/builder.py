"""Builder: writes a Program, one equation at a time.

It simplifies as it goes: no equation is written twice, constants are folded, and the rules of
`simplification` are applied. Equations that no output needs are dropped at the end.

A *structural* zero stands for "nothing here": an entry of a one-hot seed, of
`zeros((4, 4))`, of a tangent that was never set. Its product with anything is nothing, as in
sparse automatic differentiation. A zero that the user wrote as a number is not structural, so
that 0.0 * inf is still NaN.

A primitive of complex numbers becomes equations of their parts, by `complex_numbers`.

Knows nothing of frameworks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from gradsweep.program.cases import find_mask
from gradsweep.program.complex_numbers.table import emit_complex
from gradsweep.program.equations import MAX_EQUATIONS, PART_DTYPES, Equations
from gradsweep.program.primitives import PRIMITIVES
from gradsweep.program.program import (
    Constant,
    Equation,
    Guard,
    Input,
    Loop,
    LoopResult,
    Output,
    Program,
)
from gradsweep.program.pruning import renumbered
from gradsweep.program.simplification import nearest_entry, simplify
from gradsweep.support.errors import TooLong

__all__ = ["Builder"]

# How many terms `cases` may visit for each equation, and how deeply rules may nest: so the time to
# simplify is proportional to the number of equations.
_CREDIT = 100
_DEEPEST = 32

# A lookup counts as one equation for each so many entries, which all are held in memory.
_OPERANDS_OF_ONE = 64


class Builder(Equations):
    """Writes a Program.

    Attributes:
        n_equations: how many it has written, also those that no output needs.
        is_body: whether it writes the body of a Loop, which is the same at every step.
    """

    def __init__(self, max_equations: int = MAX_EQUATIONS, is_body: bool = False):
        super().__init__(max_equations)
        self.is_body = is_body
        self._depth = 0
        self._guards: list[Guard] = []
        self._loops: dict[tuple, Loop] = {}
        self._results: dict[Loop, list[int]] = {}
        self.n_equations = 0

    # -- equations

    def emit(self, name: str, *operands: int) -> int:
        """Return the variable for `name` of `operands`, writing an equation if need be."""
        if self._pairs and not self._pairs.keys().isdisjoint(operands):
            return emit_complex(self, name, operands)
        primitive = PRIMITIVES[name]
        if operands[0] in self._values and all(map(self.is_constant, operands)):
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
        key = (name, operands)
        known = self._numbers.get(key)
        if known is not None:
            return known
        self._count(1 + len(operands) // _OPERANDS_OF_ONE)
        dtype = self._result_dtype(name, operands)
        variable = self._numbers[key] = self._append(Equation(name, operands, dtype))
        if self.masks or name == "select":  # where every mask begins
            mask = find_mask(self, name, operands)
            if mask is not None:
                self.masks[variable] = mask
        return variable

    def results(self, loop: Loop, operands: Sequence[int]) -> list[int]:
        """Return the variables of every result of a Loop."""
        operands = tuple(operands)
        key = (loop.body.fingerprint, loop.n_steps, loop.n_given, loop.n_rows, operands)
        if key not in self._loops:
            self._count(loop.body.n_written + loop.n_results)
            # A Loop object stands for one run: other operands need an object of their own.
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
        """Write an equation of this Program or another with new operands; return its variable.

        Args:
            new: returns the new variable for an operand.
            runs: the results of Loops that are already rewritten.
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
        """Multiply entries of matrices, where every constant zero counts as structural."""
        for factor in (a, b):
            if self.is_zero(factor):
                return self.structural_zero(self.dtype(a))
        if not self.is_complex(a):
            return self.emit("mul", a, b)
        (a_re, a_im), (b_re, b_im) = self.parts(a), self.parts(b)
        re = self.emit("sub", self.product(a_re, b_re), self.product(a_im, b_im))
        im = self.emit("add", self.product(a_re, b_im), self.product(a_im, b_re))
        return self.pair(re, im)

    def cast(self, variable: int, dtype: str) -> int:
        if self.dtype(variable) == dtype:
            return variable
        if part := PART_DTYPES.get(dtype):
            re, *im = [self.cast(v, part) for v in self.parts(variable)]
            if not im:
                is_nothing = self.is_structural_zero(re)
                im = [self.structural_zero(part) if is_nothing else self.constant(0.0, part)]
            return self.pair(re, *im)
        return self.emit(f"to_{dtype}", variable)

    def guard(self, variable: int, expected: float | bool, where: str) -> None:
        """Record that Python code saw `expected` as the value of `variable`."""
        if not self.is_constant(variable):
            self._guards.append(Guard(variable, expected, where))

    def substitute(
        self, variables: Sequence[int], replacements: Sequence[Mapping[int, int]]
    ) -> list[list[int]]:
        """Rewrite `variables`, which are linear in some others, for each mapping of these."""
        reached = set().union(*replacements)
        order = []
        for variable in self._ancestors(variables):
            definition = self._definitions[variable]
            if isinstance(definition, Equation) and not reached.isdisjoint(definition.operands):
                reached.add(variable)
                order.append((variable, definition))
        with self.linear():
            return [self._rewrite(variables, order, replaced) for replaced in replacements]

    def _rewrite(
        self,
        variables: Sequence[int],
        order: Sequence[tuple[int, Equation]],
        replaced: Mapping[int, int],
    ) -> list[int]:
        """Rewrite the equations of `order`, and return the new variables for `variables`."""
        new = dict(replaced)
        runs: dict[Loop, list[int]] = {}

        def renamed(operand: int) -> int:
            return new.get(operand, operand)

        for variable, equation in order:
            new[variable] = self.again(equation, renamed, runs)
        return [*map(renamed, variables)]

    # -- the end

    def finish(self, outputs: Sequence[Output]) -> Program:
        """Return a Program of the equations that `outputs` and the guards need."""
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

    def _result_dtype(self, name: str, operands: tuple[int, ...]) -> str:
        result = PRIMITIVES[name].result
        if result == "same":
            return self._dtypes[operands[0]]
        return self._dtypes[operands[1]] if result == "chosen" else result

    def _fold(self, name: str, operands: tuple[int, ...]) -> int:
        if name == "mul" and any(map(self.is_structural_zero, operands)):
            return self.structural_zero(self._dtypes[operands[0]])
        if name in ("select", "lookup"):
            first, *entries = operands
            place = self.value(first) if name == "lookup" else not self.value(first)
            chosen = nearest_entry(place, entries)
            is_nothing = self.is_linear and self.is_zero(chosen) and self.dtype(chosen)[0] == "f"
            return self.structural_zero(self.dtype(chosen)) if is_nothing else chosen
        if name == "div" and self.is_structural_zero(operands[0]):
            # Nothing divided by nothing is NaN, but where it stands for a term that is not there.
            if self.is_linear or not self.is_structural_zero(operands[1]):
                return operands[0]
        if name in ("add", "neg", "sub") and all(map(self.is_structural_zero, operands)):
            return operands[0]
        if name.startswith("to_") and self.is_structural_zero(operands[0]):
            return self.structural_zero(name.removeprefix("to_"))
        values = [np.dtype(self._dtypes[o]).type(self.value(o)) for o in operands]
        with np.errstate(all="ignore"):
            result = PRIMITIVES[name].numpy(*values)
        return self.constant(result, self._result_dtype(name, operands))
