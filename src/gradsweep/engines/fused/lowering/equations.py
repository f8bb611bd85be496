"""Write equations in LLVM IR: each one a few instructions, a call, or a whole loop.

The equations of a Program enter, lines of a function's body leave. A class derived from
`EquationWriter` says where operands come from that none of these equations computes.

Knows nothing of nests, nor of where arrays are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gradsweep.engines.fused.lowering.arithmetic.instructions import INSTRUCTIONS
from gradsweep.engines.fused.lowering.arithmetic.libm import (
    Callee,
    find_callee,
    is_written_out,
    write_out,
)
from gradsweep.engines.fused.lowering.arithmetic.vectors import AS_INTEGER, SCALAR
from gradsweep.engines.fused.lowering.contraction import Contracted, Contractions
from gradsweep.engines.fused.lowering.demand import Demand
from gradsweep.engines.fused.lowering.quotients import Quotients, is_quotient
from gradsweep.engines.fused.lowering.rows import place_rows, results_together
from gradsweep.engines.fused.lowering.text import STORED, Text, literal, stored
from gradsweep.program.program import CARRY, GIVEN, ROW, Equation, Loop, LoopResult, Program
from gradsweep.program.pruning import ancestors

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
        self._together = results_together(equations.items())

    # -- methods to override

    def value(self, variable: int) -> str:
        """Return the vector that holds a variable."""
        constant = self.program.constant(variable)
        return self.name(variable) if constant is None else literal(constant)

    def demand(self, variable: int) -> Demand:
        """Return the conditions under which a call is needed; without them it is skipped."""
        return frozenset()

    def place(self, variable: int) -> int | None:
        """Return the place of a number that a loop leaves, or None."""
        raise NotImplementedError

    def first_place(self, loop: Loop) -> int:
        """Return the first place of a loop."""
        raise NotImplementedError

    # -- equations

    def name(self, variable: int) -> str:
        return f"{self.prefix}{variable}"

    def compute(self, variable: int, equation: Equation) -> None:
        primitive, operands, dtype = equation
        if isinstance(primitive, LoopResult):
            if self._together[variable][0] == variable:
                self._loop(primitive.loop, operands, self._together[variable])
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
            self._any(name, needed),
            f"br i1 {name}, label %call{variable}, label %after{variable}",
        ]
        before = self.text.block
        self.text.begin_block(f"call{variable}")
        self._evaluation(primitive, dtype, values, f"%c{variable}")
        self.text.next_block(f"after{variable}")
        arms = f"[ %c{variable}, %call{variable} ], [ zeroinitializer, %{before} ]"
        self.lines.append(f"{self.name(variable)} = phi {self.text.type(dtype)} {arms}")

    def _any(self, name: str, condition: str) -> str:
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

    # -- loops

    def _loop(self, loop: Loop, operands: tuple[int, ...], results: Sequence[int]) -> None:
        """Write a loop, and name its final carries."""
        name = self.text.begin_loop()
        first = self.first_place(loop)
        initial = [self.value(operand) for operand in operands[: loop.n_carries]]
        given: dict[int, str] = {}
        rows: dict[int, _Row] = {}
        for number, (entry, places) in enumerate(zip(loop.body.inputs, loop.places)):
            if entry.leaf == GIVEN:
                given[number] = self.value(operands[places[0]])
            elif entry.leaf == ROW:
                kept = first + (loop.n_rows_left + entry.element) * len(places)
                rows[number] = self._row([operands[o] for o in places], kept)
        ends = _LoopWriter(loop, self.text, name, given, rows, first, self.contracted).write(
            initial
        )
        for variable in results:
            equation = self.equations[variable]
            assert isinstance(equation.primitive, LoopResult)
            number = equation.primitive.number
            if number < loop.n_carries:
                t = self.text.type(equation.dtype)
                self.lines.append(f"{self.name(variable)} = bitcast {t} {ends[number]} to {t}")

    def _row(self, variables: Sequence[int], first: int) -> "_Row":
        """Return where a loop reads a row, and write it there if it is not in memory yet.

        Args:
            first: the first place that it may be written to.
        """
        dtype = self.program.dtype(variables[0])
        constants = [self.program.constant(variable) for variable in variables]
        if all(constants):
            name = f"constants{len(self.text.callees)}"
            values = ", ".join(stored(c) for c in constants if c)
            array = f"@{name} = internal constant [{len(variables)} x {STORED[dtype]}] [{values}]"
            self.text.callees[name] = Callee(name, {name: array}, {})
            return _Row(dtype, name, 0, 1)
        places = [self.place(variable) for variable in variables]
        start = places[0]
        for step in (1, -1):
            if start is not None and places == [start + i * step for i in range(len(places))]:
                return _Row(dtype, "", start, step)
        for place, variable in enumerate(variables, start=first):
            if place > first and (place - first) % BLOCK_EQUATIONS == 0:
                self.text.split_block(f"put{place}")
            name = f"%put{place}"
            self.text.store(name, self.text.place(name, place), dtype, self.value(variable))
        return _Row(dtype, "", first, 1)


@dataclass(frozen=True)
class _Row:
    """Where a loop reads a row: in an array of constants, or from a place on, `step` by `step`."""

    dtype: str
    constants: str
    place: int
    step: int


class _LoopWriter(EquationWriter):
    """Writes the body of a loop, and the blocks around it.

    Args:
        name: the beginning of its names and labels.
        given: the vectors that every step reads, by input of the body.
        rows: the places of the rows that it reads, by input of the body.
        first: the first of its places.
    """

    def __init__(
        self,
        loop: Loop,
        text: Text,
        name: str,
        given: Mapping[int, str],
        rows: Mapping[int, _Row],
        first: int,
        contracted: Contractions,
    ):
        super().__init__(
            loop.body, loop, dict(loop.body.numbered()), contracted, text, f"%{name}.v"
        )
        self.loop, self._name, self._rows, self._first = loop, name, rows, first
        self._inputs = dict(given)
        for number, entry in enumerate(loop.body.inputs):
            if entry.leaf == CARRY:
                self._inputs[number] = self._carry(entry.element)
        own = (loop.n_rows_left + loop.n_rows) * (loop.n_steps or 0)
        self._inside = place_rows(loop.body.numbered(), first + own)
        self._n_loaded = 0

    def _carry(self, number: int) -> str:
        return f"%{self._name}.carry{number}"

    def value(self, variable: int) -> str:
        if variable in self._inputs:
            return self._inputs[variable]
        place = self.place(variable)
        if place is None:
            return super().value(variable)
        self._n_loaded += 1
        name = f"%{self._name}.l{self._n_loaded}"
        return self.text.load(name, self.text.place(name, place), self.program.dtype(variable))

    def place(self, variable: int) -> int | None:
        return self._inside.places.get(variable)

    def first_place(self, loop: Loop) -> int:
        return self._inside.first[loop]

    def write(self, initial: Sequence[str]) -> list[str]:
        """Write the loop, and return the names of the final carries."""
        text, name, loop = self.text, self._name, self.loop
        before = text.block
        text.next_block(f"{name}.step")
        head = len(self.lines)
        index = f"%{name}.i"
        self._load_rows(index)
        if loop.going is None:
            self._compute(self.equations)
            self._store_rows(index)
            ends = [self.value(variable) for variable in loop.ports[: loop.n_carries]]
            following = ends
        else:
            first = self._needed([loop.going])
            self._compute({v: e for v, e in self.equations.items() if v in first})
            going = self.value(loop.going)
            self.lines += [
                self._any(f"%{name}.any", going),
                f"br i1 %{name}.any, label %{name}.rest, label %{name}.after",
            ]
            text.begin_block(f"{name}.rest")
            self._compute({v: e for v, e in self.equations.items() if v not in first})
            ends = [self._carry(k) for k in range(loop.n_carries)]
            following = [self._going_on(k, going) for k in range(loop.n_carries)]
        self._end(loop.n_steps)
        heads = [f"{index} = phi i64 [ 0, %{before} ], [ {index}.next, %{name}.end ]"]
        for k, (begun, goes_on) in enumerate(zip(initial, following)):
            t = text.type(self.program.dtype(loop.ports[k]))
            arms = f"[ {begun}, %{before} ], [ {goes_on}, %{name}.end ]"
            heads.append(f"{self._carry(k)} = phi {t} {arms}")
        self.lines[head:head] = heads
        return ends

    def _end(self, n_steps: int | None) -> None:
        name = self._name
        self.text.next_block(f"{name}.end")
        self.lines.append(f"%{name}.i.next = add i64 %{name}.i, 1")
        if n_steps is None:
            self.lines.append(f"br label %{name}.step")
        else:
            self.lines += [
                f"%{name}.done = icmp eq i64 %{name}.i.next, {n_steps}",
                f"br i1 %{name}.done, label %{name}.after, label %{name}.step",
            ]
        self.text.begin_block(f"{name}.after")

    def _compute(self, equations: Mapping[int, Equation]) -> None:
        for position, (variable, equation) in enumerate(equations.items()):
            if position and position % BLOCK_EQUATIONS == 0:
                self.text.split_block(f"{self._name}.part{variable}")
            self.compute(variable, equation)

    def _needed(self, variables: Sequence[int]) -> set[int]:
        """Return `variables` and all that they are computed from, every loop whole."""
        needed = ancestors(list(self.equations.items()), variables)
        together = [self._together.get(variable, ()) for variable in needed]
        return needed.union(*together)

    def _going_on(self, number: int, going: str) -> str:
        """Write a carry of the next step; a lane that is not going keeps its value."""
        variable = self.loop.ports[number]
        t, name = self.text.type(self.program.dtype(variable)), f"{self._carry(number)}.next"
        arms = f"{t} {self.value(variable)}, {t} {self._carry(number)}"
        self.lines.append(f"{name} = select {self.text.type('bool')} {going}, {arms}")
        return name

    def _load_rows(self, index: str) -> None:
        text = self.text
        for number, row in self._rows.items():
            name = f"%{self._name}.row{number}"
            if row.constants:
                at = f"{STORED[row.dtype]}, ptr @{row.constants}, i64 {index}"
                self.lines.append(f"{name}.a = getelementptr {at}")
                self._inputs[number] = text.load_same(name, f"{name}.a", row.dtype)
            else:
                address = text.place_at(name, row.place, row.step, index)
                self._inputs[number] = text.load(name, address, row.dtype)

    def _store_rows(self, index: str) -> None:
        loop = self.loop
        for k, variable in enumerate(loop.ports[loop.n_carries :]):
            name = f"%{self._name}.left{k}"
            value = self.value(variable)
            address = self.text.place_at(name, self._first + k * loop.steps, 1, index)
            self.text.store(name, address, self.program.dtype(variable), value)
