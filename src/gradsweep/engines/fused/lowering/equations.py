"""Write equations in LLVM IR: each one a few instructions, or a call.

The equations of a Program enter, lines of a function's body leave. A class derived from
`EquationWriter` says where operands come from that none of these equations computes, and how a
loop is written.

Knows nothing of nests, nor of where arrays are.
"""

from collections.abc import Mapping, Sequence

from gradsweep.engines.fused.lowering.arithmetic.instructions import INSTRUCTIONS, LOADED
from gradsweep.engines.fused.lowering.arithmetic.libm import (
    find_callee,
    is_written_out,
    write_out,
)
from gradsweep.engines.fused.lowering.arithmetic.vectors import AS_INTEGER, SCALAR
from gradsweep.engines.fused.lowering.contraction import Contracted, Contractions
from gradsweep.engines.fused.lowering.demand import Demand
from gradsweep.engines.fused.lowering.quotients import Quotients, is_quotient
from gradsweep.engines.fused.lowering.rows import results_together
from gradsweep.engines.fused.lowering.text import Text, literal
from gradsweep.program.program import Equation, Loop, LoopResult, Program

__all__ = ["BLOCK_EQUATIONS", "EquationWriter"]

# A longer basic block makes LLVM's instruction selection more than linear.
BLOCK_EQUATIONS = 250

# With more of them, writing functions out saves less time than compiling them takes.
_MOST_WRITTEN_OUT = 64


class EquationWriter:
    """Writes equations of a Program, each after those that it reads.

    Args:
        loop: the Loop that the Program is the body of, if it is one.
        equations: the equations to write, by the variable each defines.
        contracted: what `find_contracted` finds.
        prefix: the beginning of the names of variables.
        per: in a watched loop, where the reciprocals of its steady divisors are.
    """

    def __init__(
        self,
        program: Program,
        loop: Loop | None,
        equations: Mapping[int, Equation],
        contracted: Contractions,
        text: Text,
        prefix: str,
        per: Mapping[int, str] | None = None,
    ):
        self.program, self.equations, self.text, self.prefix = program, equations, text, prefix
        self.lines = text.lines
        self.contracted = contracted
        self._contracted_here = contracted[loop] if text.isa.has_fma else {}
        self._quotients = Quotients(program, equations.values(), text, per)
        could = [
            e
            for e in equations.values()
            if isinstance(e.primitive, str) and is_written_out(e.primitive, e.dtype, text.isa)
        ]
        self._writes_out = len(could) <= _MOST_WRITTEN_OUT
        self._negated = {
            self.name(variable): self.name(e.operands[0])
            for variable, e in equations.items()
            if e.primitive == "neg" and e.operands[0] in equations
        }
        self.together = results_together(equations.items())

    # -- methods to override

    def value(self, variable: int) -> str:
        """Return the vector that holds a variable."""
        constant = self.program.constant(variable)
        return self.name(variable) if constant is None else literal(constant)

    def demand(self, variable: int) -> Demand:
        """Return the conditions under which a call is needed; without them it is skipped."""
        return frozenset()

    def write_loop(self, loop: Loop, operands: tuple[int, ...], results: Sequence[int]) -> None:
        """Write a loop.

        Args:
            results: the variables of its results.
        """
        raise NotImplementedError

    def look_up(self, name: str, operands: tuple[int, ...], dtype: str) -> None:
        """Write an entry of a table: the first operand is its place, the others are the table."""
        raise NotImplementedError

    # -- equations

    def name(self, variable: int) -> str:
        return f"{self.prefix}{variable}"

    def compute(self, variable: int, equation: Equation) -> None:
        primitive, operands, dtype = equation
        if isinstance(primitive, LoopResult):
            if self.together[variable][0] == variable:
                self.write_loop(primitive.loop, operands, self.together[variable])
            return
        if primitive in LOADED:
            self.look_up(self.name(variable), operands, dtype)
            return
        if is_quotient(equation):
            x, d = map(self.value, operands)
            self._quotients.write(self.name(variable), x, d, operands[1], dtype)
            return
        taken = self._contracted_here.get(variable)
        if taken and taken.product in self.equations:
            self._sum(variable, taken)
            return
        last = self.program.dtype(operands[-1])
        values = [self.value(operand) for operand in operands]
        template = INSTRUCTIONS[last].get(primitive)
        if template is None:
            self._evaluate(variable, primitive, last, values)
            return
        text = self.text
        self.lines.append(
            template.format(
                *values,
                r=self.name(variable),
                t=text.type(last),
                e=SCALAR[last],
                s=text.suffix(last),
                k=f"<{text.lanes} x {AS_INTEGER[last]}>",
                b=text.type("bool"),
                u=text.type(dtype),
                us=text.suffix(dtype),
            )
        )

    def _sum(self, variable: int, taken: Contracted) -> None:
        """Write a sum that takes in a product, rounded once."""
        vectors, name = self.text.vectors(self.program.dtype(variable)), self.name(variable)
        x, y = self.program.equations[taken.product - self.program.n_leading].operands
        values = [self.value(v) for v in (x, y, taken.term)]
        for i, negates in ((0, taken.negates_product), (2, taken.negates_term)):
            if negates:
                self.lines.append(f"{name}.n = fneg {vectors.type} {values[i]}")
                values[i] = f"{name}.n"
        self.lines.append(vectors.fma(name, *values))

    def _evaluate(self, variable: int, primitive: str, dtype: str, values: Sequence[str]) -> None:
        """Write a primitive of more than a few instructions, skipped where no lane needs it."""
        demand = self.demand(variable)
        if not demand:
            self._evaluation(primitive, dtype, values, self.name(variable))
            return
        b, name = self.text.type("bool"), f"%d{variable}"
        needed = "splat (i1 true)"
        for number, (condition, expected) in enumerate(sorted(demand)):
            holds = self.value(condition)
            if not expected:
                self.lines.append(f"{name}.not{number} = xor {b} {holds}, splat (i1 true)")
                holds = f"{name}.not{number}"
            self.lines.append(f"{name}.all{number} = and {b} {needed}, {holds}")
            needed = f"{name}.all{number}"
        self.lines += [
            self.any_lane(name, needed),
            f"br i1 {name}, label %call{variable}, label %after{variable}",
        ]
        before = self.text.block
        self.text.begin_block(f"call{variable}")
        self._evaluation(primitive, dtype, values, f"%c{variable}")
        self.text.next_block(f"after{variable}")
        arms = f"[ %c{variable}, %call{variable} ], [ zeroinitializer, %{before} ]"
        self.lines.append(f"{self.name(variable)} = phi {self.text.type(dtype)} {arms}")

    def any_lane(self, name: str, condition: str) -> str:
        """Return the line that tells, under a name, whether a condition holds in any lane."""
        b, suffix = self.text.type("bool"), self.text.suffix("bool")
        return f"{name} = call i1 @llvm.vector.reduce.or.{suffix}({b} {condition})"

    def _evaluation(self, primitive: str, dtype: str, values: Sequence[str], result: str) -> None:
        text, vectors = self.text, self.text.vectors(dtype)
        if self._writes_out and is_written_out(primitive, dtype, text.isa):
            self.lines += write_out(primitive, vectors, text.isa, values[0], result, self._negated)
            return
        t = vectors.type
        passed = ", ".join(f"{t} {value}" for value in values)
        self.lines.append(f"{result} = call {t} @{self._callee(primitive, dtype)}({passed})")

    def _callee(self, primitive: str, dtype: str) -> str:
        found = find_callee(primitive, dtype, self.text.lanes, self.text.isa)
        assert found is not None
        self.text.callees[found.name] = found
        return found.name
