"""Write the LLVM IR of a Schedule: one function for each nest, one SIMD lane for each point.

A Schedule enters, the text of a module leaves. Every intermediate is a value of a vector type; only
what the nest writes goes to memory.

A function is given a table with one word for each slot that its nest touches, and a range of the
vectorised axis, at least one vector long. The word is the address of the slot's values along that
axis, or the value itself where it is the same all along. The last vector ends where the range does,
overlapping the one before it: the same results are written twice.

Knows nothing of threads, nor of where arrays are.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gradsweep.engines.fused.instructions import INSTRUCTIONS
from gradsweep.engines.fused.libm import Callee, find_callee, is_written_out, write_out
from gradsweep.engines.fused.schedule import Nest, Schedule
from gradsweep.engines.fused.segments import Segment
from gradsweep.engines.fused.target import Isa
from gradsweep.program import Constant, Equation, Program

__all__ = ["Module", "find_lanes", "find_missing", "nest_name", "write_module"]

# How LLVM spells a dtype: as a scalar, as an element in memory, in the name of an intrinsic, and
# the integer that is as wide.
_SCALAR = {"float64": "double", "float32": "float", "int64": "i64", "bool": "i1"}
_STORED = {**_SCALAR, "bool": "i8"}
_SUFFIX = {"float64": "f64", "float32": "f32", "int64": "i64", "bool": "i1"}
_AS_INTEGER = {"float64": "i64", "float32": "i32", "int64": "i64", "bool": "i1"}
_ALIGNMENT = {"float64": 8, "float32": 4, "int64": 8, "bool": 1}

# A longer basic block makes LLVM's instruction selection more than linear.
_BLOCK_EQUATIONS = 250

# So few operations are mostly one chain, in which each waits for the one before: a second vector
# fills the waits. More of them fill those of each other, and all registers.
_SHORT_PROGRAM = 256

# Over a longer stretch than this, loading once more costs less than a register held or spilled.
_RELOAD_AFTER = 64

# With more of them, what writing functions out saves is not worth the time to compile it.
_MOST_WRITTEN_OUT = 64

# Without the second of these LLVM may split a vector of 64 bytes, which libmvec takes whole.
# Without the third, spilled vectors cross cache lines where the caller's stack happens to be so.
_ATTRIBUTES = 'attributes #0 = { nounwind "min-legal-vector-width"="512" "stackrealign" }'


@dataclass(frozen=True)
class Module:
    """LLVM IR, and the addresses of the functions that it only declares."""

    ir: str
    symbols: Mapping[str, int]


def find_lanes(program: Program, isa: Isa) -> int:
    """Return how many points a vector holds.

    It fills one register of the processor, or two where the Program is short. Twice as many fit
    where no number takes 64 bits.
    """
    dtypes = {entry.dtype for entry in program.inputs}
    dtypes |= {equation.dtype for equation in program.equations}
    is_narrow = bool(dtypes) and dtypes <= {"float32", "bool"}
    is_short = len(program.equations) <= _SHORT_PROGRAM
    return isa.lanes * (2 if is_narrow else 1) * (2 if is_short else 1)


def find_missing(program: Program, lanes: int, isa: Isa) -> str:
    """Return what there is no machine code for, such as "zeta of float64", or ""."""
    used = {(e.primitive, program.dtype(e.operands[-1])) for e in program.equations}
    for primitive, dtype in sorted(used):
        if primitive not in INSTRUCTIONS[dtype] and not find_callee(primitive, dtype, lanes, isa):
            return f"{primitive} of {dtype}"
    return ""


def nest_name(number: int) -> str:
    """Return the name of the function of a nest."""
    return f"nest{number}"


def write_module(schedule: Schedule, lanes: int, isa: Isa) -> Module:
    callees: dict[str, Callee] = {}
    functions: list[str] = []
    for number, nest in enumerate(schedule.nests):
        name = nest_name(number)
        bodies = [
            _Writer(schedule, nest, segment, lanes, isa, callees).write()
            for segment in nest.segments
        ]
        if len(bodies) > 1:
            parts = [f"{name}.segment{i}" for i in range(len(bodies))]
            functions += map(_SEGMENT.format, parts, bodies)
            bodies = [f"call void @{part}(ptr %table, i64 %i)" for part in parts]
        functions.append(_LOOP.format(name, "\n".join(bodies), lanes=lanes))
    definitions = {n: text for c in callees.values() for n, text in c.definitions.items()}
    symbols = {n: address for c in callees.values() for n, address in c.symbols.items()}
    return Module("\n\n".join([*definitions.values(), *functions, _ATTRIBUTES, ""]), symbols)


_LOOP = """
define void @{0}(ptr %table, i64 %first, i64 %end) #0 {{
entry:
%last = sub i64 %end, {lanes}
br label %body
body:
%i = phi i64 [ %first, %entry ], [ %next, %bottom ]
{1}
br label %bottom
bottom:
%step = add i64 %i, {lanes}
%next = call i64 @llvm.smin.i64(i64 %step, i64 %last)
%done = icmp eq i64 %i, %last
br i1 %done, label %exit, label %body
exit:
ret void
}}"""

_SEGMENT = """
define internal void @{0}(ptr %table, i64 %i) #0 {{
body:
{1}
ret void
}}"""


class _Writer:
    """Writes what one segment of a nest does with one vector of points."""

    def __init__(
        self,
        schedule: Schedule,
        nest: Nest,
        segment: Segment,
        lanes: int,
        isa: Isa,
        callees: dict[str, Callee],
    ):
        self.program, self.nest, self.segment = schedule.program, nest, segment
        self.lanes, self.isa, self.callees = lanes, isa, callees
        self._lines: list[str] = []
        self._block = "body"
        self._position = 0
        could = [is_written_out(e.primitive, e.dtype, isa) for e in segment.equations.values()]
        self._writes_out = sum(could) <= _MOST_WRITTEN_OUT
        # For what is read: its word in the table, and whether it varies along the vectorised axis.
        self._negated = {
            f"%v{variable}": f"%v{e.operands[0]}"
            for variable, e in segment.equations.items()
            if e.primitive == "neg" and e.operands[0] in segment.equations
        }
        self._words: dict[int, tuple[int, bool]] = {}
        self._loaded: dict[int, tuple[str, int]] = {}
        self._stores: dict[int, list[int]] = {}
        for word, number in enumerate(nest.reads):
            slot = schedule.slots[number]
            self._words[slot.variable] = word, nest.varies(slot)
        for word, number in enumerate(nest.writes, start=len(nest.reads)):
            self._stores.setdefault(schedule.slots[number].variable, []).append(word)

    def write(self) -> str:
        if self.segment.restored or self.segment.kept:
            # Once: LLVM would take every store for one that may move what it points to.
            word = len(self.nest.reads) + len(self.nest.writes)
            self._lines.append(f"%kept = load ptr, ptr {self._entry('%kept', word)}")
        if self.segment is self.nest.segments[0]:
            for variable in self._stores:
                if variable not in self.nest.equations:
                    self._store(variable)
        for position, (variable, equation) in enumerate(self.segment.equations.items()):
            if position and position % _BLOCK_EQUATIONS == 0:
                self._lines.append(f"br label %part{position}")
                self._begin_block(f"part{position}")
            self._position = position
            self._compute(variable, equation)
            if variable in self._stores:
                self._store(variable)
            if variable in self.segment.kept:
                self._keep(variable)
        return "\n".join(self._lines)

    def _compute(self, variable: int, equation: Equation) -> None:
        name, operands, dtype = equation
        last = self.program.dtype(operands[-1])
        values = [self._value(operand) for operand in operands]
        template = INSTRUCTIONS[last].get(name)
        if template is None:
            self._evaluate(variable, name, last, values)
            return
        self._lines.append(
            template.format(
                *values,
                r=f"%v{variable}",
                t=self._type(last),
                e=_SCALAR[last],
                s=f"v{self.lanes}{_SUFFIX[last]}",
                k=f"<{self.lanes} x {_AS_INTEGER[last]}>",
                b=self._type("bool"),
                u=self._type(dtype),
                us=f"v{self.lanes}{_SUFFIX[dtype]}",
            )
        )

    def _evaluate(self, variable: int, primitive: str, dtype: str, values: Sequence[str]) -> None:
        """Write what takes more than a few instructions, skipped where no lane needs its result."""
        demand = self.nest.demands.get(variable)
        if not demand:
            self._lines += self._evaluation(primitive, dtype, values, f"%v{variable}")
            return
        b, name = self._type("bool"), f"%d{variable}"
        needed = "splat (i1 true)"
        for number, (condition, expected) in enumerate(sorted(demand)):
            holds = self._value(condition)
            if not expected:
                self._lines.append(f"{name}.not{number} = xor {b} {holds}, splat (i1 true)")
                holds = f"{name}.not{number}"
            self._lines.append(f"{name}.all{number} = and {b} {needed}, {holds}")
            needed = f"{name}.all{number}"
        reduce = f"@llvm.vector.reduce.or.v{self.lanes}i1"
        self._lines += [
            f"{name} = call i1 {reduce}({b} {needed})",
            f"br i1 {name}, label %call{variable}, label %after{variable}",
            f"call{variable}:",
            *self._evaluation(primitive, dtype, values, f"%c{variable}"),
            f"br label %after{variable}",
        ]
        before = self._block
        self._begin_block(f"after{variable}")
        arms = f"[ %c{variable}, %call{variable} ], [ zeroinitializer, %{before} ]"
        self._lines.append(f"%v{variable} = phi {self._type(dtype)} {arms}")

    def _evaluation(
        self, primitive: str, dtype: str, values: Sequence[str], result: str
    ) -> list[str]:
        if self._writes_out and is_written_out(primitive, dtype, self.isa):
            return write_out(primitive, values[0], result, self.lanes, self.isa, self._negated)
        t = self._type(dtype)
        passed = ", ".join(f"{t} {value}" for value in values)
        return [f"{result} = call {t} @{self._callee(primitive, dtype)}({passed})"]

    def _begin_block(self, label: str) -> None:
        self._block = label
        self._lines.append(f"{label}:")

    def _callee(self, primitive: str, dtype: str) -> str:
        found = find_callee(primitive, dtype, self.lanes, self.isa)
        assert found is not None
        self.callees[found.name] = found
        return found.name

    def _value(self, variable: int) -> str:
        """Return the vector that holds a variable, loading it first where it is in memory."""
        constant = self.program.constant(variable)
        if constant is not None:
            return _literal(constant)
        if variable in self.segment.equations:
            return f"%v{variable}"
        name, position = self._loaded.get(variable, ("", -_RELOAD_AFTER))
        if self._position - position >= _RELOAD_AFTER:
            name = self._load(variable)
            self._loaded[variable] = name, self._position
        return name

    def _load(self, variable: int) -> str:
        dtype = self.program.dtype(variable)
        name = f"%l{variable}.{self._position}"
        if variable in self.segment.restored:
            address = self._place(name, self.segment.restored[variable])
            return self._load_from(name, address, dtype, self._type(dtype, _STORED))
        word, varies = self._words[variable]
        if varies:
            address = self._address(name, word, dtype)
            return self._load_from(name, address, dtype, self._type(dtype, _STORED))
        return self._splat(
            self._load_from(name, self._entry(name, word), dtype, _STORED[dtype]), dtype
        )

    def _load_from(self, name: str, address: str, dtype: str, t: str) -> str:
        read = f"{name}.m" if dtype == "bool" else name
        self._lines.append(f"{read} = load {t}, ptr {address}, align {_ALIGNMENT[dtype]}")
        if dtype == "bool":
            self._lines.append(f"{name} = icmp ne {t} {read}, zeroinitializer")
        return name

    def _splat(self, name: str, dtype: str) -> str:
        t, places = self._type(dtype), f"<{self.lanes} x i32>"
        self._lines += [
            f"{name}.h = insertelement {t} poison, {_SCALAR[dtype]} {name}, i32 0",
            f"{name}.s = shufflevector {t} {name}.h, {t} poison, {places} zeroinitializer",
        ]
        return f"{name}.s"

    def _store(self, variable: int) -> None:
        dtype, value = self.program.dtype(variable), self._value(variable)
        for word in self._stores[variable]:
            name = f"%s{word}"
            self._store_to(name, self._address(name, word, dtype), dtype, value)

    def _keep(self, variable: int) -> None:
        name = f"%k{variable}"
        address = self._place(name, self.segment.kept[variable])
        self._store_to(name, address, self.program.dtype(variable), f"%v{variable}")

    def _store_to(self, name: str, address: str, dtype: str, value: str) -> None:
        t = self._type(dtype, _STORED)
        if dtype == "bool":
            self._lines.append(f"{name}.b = zext {self._type(dtype)} {value} to {t}")
            value = f"{name}.b"
        self._lines.append(f"store {t} {value}, ptr {address}, align {_ALIGNMENT[dtype]}")

    def _place(self, name: str, place: int) -> str:
        """Return the address of what is kept between segments."""
        offset = place * self.lanes
        self._lines.append(f"{name}.a = getelementptr i64, ptr %kept, i64 {offset}")
        return f"{name}.a"

    def _entry(self, name: str, word: int) -> str:
        self._lines.append(f"{name}.w = getelementptr i64, ptr %table, i64 {word}")
        return f"{name}.w"

    def _address(self, name: str, word: int, dtype: str) -> str:
        entry = self._entry(name, word)
        self._lines += [
            f"{name}.p = load ptr, ptr {entry}",
            f"{name}.a = getelementptr {_STORED[dtype]}, ptr {name}.p, i64 %i",
        ]
        return f"{name}.a"

    def _type(self, dtype: str, spelling: Mapping[str, str] = _SCALAR) -> str:
        return f"<{self.lanes} x {spelling[dtype]}>"


def _literal(constant: Constant) -> str:
    value, dtype = constant
    if dtype == "bool":
        return f"splat (i1 {'true' if value else 'false'})"
    if dtype == "int64":
        return f"splat (i64 {value})"
    # A float is written as the double of the same value, in hexadecimal so that no bit is lost.
    bits = struct.unpack("<Q", struct.pack("<d", value))[0]
    return f"splat ({_SCALAR[dtype]} 0x{bits:016X})"
