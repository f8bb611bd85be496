"""The body of a function in LLVM IR, line by line: types, constants, loads and stores.

Every value is a vector with a lane for each point. `%kept` is memory of the thread's own, in places
of one vector each.

Knows nothing of equations.
"""

from collections.abc import Mapping

from gradsweep.engines.fused.lowering.arithmetic.libm import Callee
from gradsweep.engines.fused.lowering.arithmetic.vectors import (
    SCALAR,
    SUFFIX,
    Body,
    Vectors,
    hexadecimal,
)
from gradsweep.engines.fused.target import Isa
from gradsweep.program.program import Constant

__all__ = ["STORED", "Text", "literal", "stored"]

# How LLVM spells a dtype as an element in memory.
STORED = {**SCALAR, "bool": "i8"}
_ALIGNMENT = {"float64": 8, "float32": 4, "int64": 8, "bool": 1}


class Text(Body):
    """The body of a function, as it is written.

    Attributes:
        callees: the functions that are called, by name; each is added at its first call.
    """

    def __init__(self, lanes: int, isa: Isa, callees: dict[str, Callee]):
        super().__init__("body")
        self.lanes, self.isa, self.callees = lanes, isa, callees
        self._n_loops = 0

    def type(self, dtype: str, spelling: Mapping[str, str] = SCALAR) -> str:
        return f"<{self.lanes} x {spelling[dtype]}>"

    def vectors(self, dtype: str) -> Vectors:
        return Vectors(self.lanes, dtype)

    def suffix(self, dtype: str) -> str:
        """Return the spelling of the type in the names of intrinsics."""
        return f"v{self.lanes}{SUFFIX[dtype]}"

    def next_block(self, label: str) -> None:
        """End the basic block, and go on with another."""
        self.lines.append(f"br label %{label}")
        self.begin_block(label)

    def split_block(self, label: str) -> None:
        """Begin a new basic block, before the last becomes too long for LLVM.

        LLVM moves no load or store past its beginning: else it would compare each with every other.
        """
        self.next_block(label)
        self.lines.append('fence syncscope("singlethread") seq_cst')  # makes no instruction

    def begin_loop(self) -> str:
        """Return a name that no other loop of the function has."""
        self._n_loops += 1
        return f"loop{self._n_loops}"

    def place(self, name: str, place: int) -> str:
        """Return the address of a vector that is kept."""
        offset = place * self.lanes
        self.lines.append(f"{name}.a = getelementptr i64, ptr %kept, i64 {offset}")
        return f"{name}.a"

    def place_at(self, name: str, first: int, step: int, index: str) -> str:
        """Return the address of the vector that is `index` steps from the place `first`."""
        self.lines += [
            f"{name}.n = mul i64 {index}, {step * self.lanes}",
            f"{name}.o = add i64 {name}.n, {first * self.lanes}",
            f"{name}.a = getelementptr i64, ptr %kept, i64 {name}.o",
        ]
        return f"{name}.a"

    def load(self, name: str, address: str, dtype: str) -> str:
        """Load a vector."""
        return self._load(name, address, dtype, self.type(dtype, STORED))

    def load_same(self, name: str, address: str, dtype: str) -> str:
        """Load a number that is the same in every lane."""
        return self.splat(self._load(name, address, dtype, STORED[dtype]), dtype)

    def _load(self, name: str, address: str, dtype: str, t: str) -> str:
        read = f"{name}.m" if dtype == "bool" else name
        self.lines.append(f"{read} = load {t}, ptr {address}, align {_ALIGNMENT[dtype]}")
        if dtype == "bool":
            self.lines.append(f"{name} = icmp ne {t} {read}, zeroinitializer")
        return name

    def splat(self, name: str, dtype: str) -> str:
        t, places = self.type(dtype), f"<{self.lanes} x i32>"
        self.lines += [
            f"{name}.h = insertelement {t} poison, {SCALAR[dtype]} {name}, i32 0",
            f"{name}.s = shufflevector {t} {name}.h, {t} poison, {places} zeroinitializer",
        ]
        return f"{name}.s"

    def store(self, name: str, address: str, dtype: str, value: str) -> None:
        t = self.type(dtype, STORED)
        if dtype == "bool":
            self.lines.append(f"{name}.b = zext {self.type(dtype)} {value} to {t}")
            value = f"{name}.b"
        self.lines.append(f"store {t} {value}, ptr {address}, align {_ALIGNMENT[dtype]}")


def literal(constant: Constant) -> str:
    """Write a constant as a vector."""
    return f"splat ({SCALAR[constant.dtype]} {_number(constant, SCALAR)})"


def stored(constant: Constant) -> str:
    """Write a constant as one number in memory."""
    return f"{STORED[constant.dtype]} {_number(constant, STORED)}"


def _number(constant: Constant, spelling: Mapping[str, str]) -> str:
    value, dtype = constant
    if dtype == "bool":
        return str(int(value)) if spelling is STORED else str(bool(value)).lower()
    if dtype == "int64":
        return str(value)
    return hexadecimal(value)
