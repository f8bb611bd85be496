"""Write the LLVM IR of a Schedule: one function for each nest, one SIMD lane for each point.

A Schedule enters, the text of a module leaves. Every intermediate is a value of a vector type.
Memory holds what the nest writes, the rows of loops, and values between segments.

A function takes a table with one word for each slot of its nest, and a range of the vectorised
axis, at least one vector long. The word is the address of the slot's values along that axis, or the
value itself where it is constant along it. The last vector ends where the range does and may
overlap the one before it: the same results are then written twice.

Knows nothing of threads, nor of where arrays are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gradsweep.engines.fused.lowering.arithmetic.division import BRANCH_WEIGHTS
from gradsweep.engines.fused.lowering.arithmetic.instructions import INSTRUCTIONS, LOADED
from gradsweep.engines.fused.lowering.arithmetic.libm import Callee, find_callee
from gradsweep.engines.fused.lowering.contraction import Contractions, find_contracted
from gradsweep.engines.fused.lowering.demand import Demand
from gradsweep.engines.fused.lowering.equations import BLOCK_EQUATIONS
from gradsweep.engines.fused.lowering.loops import LoopWriter
from gradsweep.engines.fused.lowering.schedule import Nest, Schedule
from gradsweep.engines.fused.lowering.segments import Segment
from gradsweep.engines.fused.lowering.text import KEPT, Array, Move, Place, Text, Word
from gradsweep.engines.fused.lowering.watched import (
    EXACT,
    WATCHED_LOOP,
    find_steady,
    write_reciprocals,
)
from gradsweep.engines.fused.target import Isa
from gradsweep.program.program import Loop, Program

__all__ = ["Module", "find_lanes", "find_missing", "nest_name", "write_module"]

# In a Program of up to this many operations most form one chain, where each waits for the one
# before: a second vector fills the waits. More operations fill each other's, and all registers.
_SHORT_PROGRAM = 256

# After this many equations, loading again costs less than a register that is held or spilled.
_RELOAD_AFTER = 64

# Without the second of these LLVM may split a vector of 64 bytes, which libmvec takes whole.
# Without the third, spilled vectors may cross cache lines, depending on the caller's stack.
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
    is_narrow = bool(program.dtypes) and program.dtypes <= {"float32", "bool"}
    own = program.n_written - sum(loop.body.n_written for loop in program.loops)
    # What stands beside long loops takes little of the time.
    n_own = own * own / max(1, program.n_computed)
    is_short = program.n_written - own + n_own <= _SHORT_PROGRAM
    return isa.lanes * (2 if is_narrow else 1) * (2 if is_short else 1)


def find_missing(program: Program, lanes: int, isa: Isa) -> str:
    """Return a primitive that has no machine code, such as "zeta of float64", or ""."""
    for primitive, dtype in sorted(program.primitives):
        if primitive in INSTRUCTIONS[dtype] or primitive in LOADED:
            continue
        if not find_callee(primitive, dtype, lanes, isa):
            return f"{primitive} of {dtype}"
    return ""


def nest_name(number: int) -> str:
    """Return the name of the function of a nest."""
    return f"nest{number}"


def write_module(schedule: Schedule, lanes: int, isa: Isa) -> Module:
    callees: dict[str, Callee] = {}
    contracted = find_contracted(
        schedule.program, [item for nest in schedule.nests for item in nest.equations.items()]
    )

    def text(lanes: int) -> Text:
        return Text(lanes, isa, callees)

    functions: list[str] = []
    for number, nest in enumerate(schedule.nests):
        functions += _write_nest(schedule, nest, nest_name(number), contracted, lanes, text)
    definitions = {n: ir for c in callees.values() for n, ir in c.definitions.items()}
    symbols = {n: address for c in callees.values() for n, address in c.symbols.items()}
    return Module(
        "\n\n".join([*definitions.values(), *functions, _ATTRIBUTES, BRANCH_WEIGHTS, ""]), symbols
    )


def _write_nest(
    schedule: Schedule,
    nest: Nest,
    name: str,
    contracted: Contractions,
    lanes: int,
    text: Callable[[int], Text],
) -> list[str]:
    """Write the function of a nest, and those that it calls.

    Args:
        text: makes the body of a function for a number of lanes.
    """

    def bodies(lanes: int, per: Mapping[int, str] | None = None) -> list[str]:
        return [
            _SegmentWriter(schedule, nest, segment, contracted, text(lanes), per).write()
            for segment in nest.segments
        ]

    steady = find_steady(schedule, nest, text(lanes).isa)
    if steady is not None:
        entry = text(lanes)
        (body,) = bodies(lanes, write_reciprocals(schedule, steady, entry))
        # Few points take real divisions: for these, shorter code will do.
        narrow = max(lanes // 2, entry.isa.lanes)
        (exact,) = bodies(narrow)
        return [
            _LOOP.format(name + EXACT, exact, lanes=narrow),
            WATCHED_LOOP.format(
                name=name,
                exact=name + EXACT,
                lanes=lanes,
                reciprocals="\n".join(entry.lines),
                body=body,
            ),
        ]
    written = bodies(lanes)
    if len(written) == 1:
        return [_LOOP.format(name, *written, lanes=lanes)]
    parts = [f"{name}.segment{i}" for i in range(len(written))]
    calls = [f"call void @{part}(ptr %table, i64 %i)" for part in parts]
    return [
        *map(_SEGMENT.format, parts, written),
        _LOOP.format(name, "\n".join(calls), lanes=lanes),
    ]


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


class _SegmentWriter(LoopWriter):
    """Writes the code of one segment of a nest for one vector of points."""

    def __init__(
        self,
        schedule: Schedule,
        nest: Nest,
        segment: Segment,
        contracted: Contractions,
        text: Text,
        per: Mapping[int, str] | None,
    ):
        super().__init__(schedule.program, None, segment.equations, contracted, text, "%v", per)
        self.nest, self.segment = nest, segment
        self._position = 0
        # By variable read: its word in the table, and whether it varies along the vectorised axis.
        self._words: dict[int, tuple[int, bool]] = {}
        self._loaded: dict[int, tuple[str, int]] = {}
        self._stores: dict[int, list[int]] = {}
        for word, number in enumerate(nest.reads):
            slot = schedule.slots[number]
            self._words[slot.variable] = word, nest.varies(slot)
        for word, number in enumerate(nest.writes, start=len(nest.reads)):
            self._stores.setdefault(schedule.slots[number].variable, []).append(word)

    def write(self) -> str:
        if self.nest.n_places:
            # Loaded once: LLVM would assume that any store may change this pointer.
            word = len(self.nest.reads) + len(self.nest.writes)
            self.lines.append(f"{KEPT} = load ptr, ptr {self._entry(KEPT, word)}")
        if self.segment is self.nest.segments[0]:
            for variable in self._stores:
                if variable not in self.nest.equations:
                    self._store(variable)
        moves: list[Move] = []
        for position, (variable, equation) in enumerate(self.segment.equations.items()):
            if position and position % BLOCK_EQUATIONS == 0:
                self.text.split_block(f"part{position}")
            self._position = position
            self.compute(variable, equation)
            place, dtype = self.place(variable), equation.dtype
            if place is not None:  # it stays there
                moves += [Move(Word(w), place, dtype) for w in self._stores.get(variable, ())]
                if variable in self.segment.kept:
                    kept = Place(KEPT, self.segment.kept[variable])
                    moves.append(Move(kept, place, dtype))
                continue
            if variable in self._stores:
                self._store(variable)
            if variable in self.segment.kept:
                self._keep(variable)
        self.text.move(moves)
        return "\n".join(self.lines)

    def demand(self, variable: int) -> Demand:
        return self.nest.demands.get(variable, frozenset())

    def place(self, variable: int) -> Place | None:
        number = self.segment.restored.get(variable, self.nest.rows.places.get(variable))
        return super().place(variable) if number is None else Place(KEPT, number)

    def word(self, variable: int) -> Word | None:
        number, varies = self._words.get(variable, (0, True))
        return None if varies or self.place(variable) is not None else Word(number)

    def array(self, variable: int) -> Array | None:
        number, varies = self._words.get(variable, (0, False))
        return Array(number) if varies and self.place(variable) is None else None

    def first_place(self, loop: Loop) -> int:
        return self.nest.rows.first[loop]

    def value(self, variable: int) -> str:
        """Return the vector that holds a variable, loading it first where it is in memory."""
        is_here = variable in self.segment.equations and self.place(variable) is None
        if is_here or self.program.constant(variable) is not None:
            return super().value(variable)
        name, position = self._loaded.get(variable, ("", -_RELOAD_AFTER))
        if self._position - position >= _RELOAD_AFTER:
            name = self._load(variable)
            self._loaded[variable] = name, self._position
        return name

    def _load(self, variable: int) -> str:
        dtype = self.program.dtype(variable)
        name = f"%l{variable}.{self._position}"
        place = self.place(variable)
        if place is not None:
            return self.text.load(name, self.text.place(name, place), dtype)
        word, varies = self._words[variable]
        if varies:
            return self.text.load(name, self._address(name, word, dtype), dtype)
        return self.text.load_same(name, self._entry(name, word), dtype)

    def _store(self, variable: int) -> None:
        dtype, value = self.program.dtype(variable), self.value(variable)
        for word in self._stores[variable]:
            name = f"%s{word}"
            self.text.store(name, self._address(name, word, dtype), dtype, value)

    def _keep(self, variable: int) -> None:
        name = f"%k{variable}"
        address = self.text.place(name, Place(KEPT, self.segment.kept[variable]))
        self.text.store(name, address, self.program.dtype(variable), self.value(variable))

    def _entry(self, name: str, word: int) -> str:
        self.lines.append(f"{name}.w = getelementptr i64, ptr %table, i64 {word}")
        return f"{name}.w"

    def _address(self, name: str, word: int, dtype: str) -> str:
        return self.text.along(name, self._entry(name, word), dtype)
