"""How LLVM spells vectors of numbers, and the body of a function that is made of them.

Knows nothing of primitives.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

__all__ = [
    "AS_INTEGER",
    "BITS",
    "SCALAR",
    "SUFFIX",
    "Body",
    "Vectors",
    "hexadecimal",
    "write_in_parts",
]

# A dtype as a scalar, in the name of an intrinsic, and the integer that is as wide.
SCALAR = {"float64": "double", "float32": "float", "int64": "i64", "bool": "i1"}
SUFFIX = {"float64": "f64", "float32": "f32", "int64": "i64", "bool": "i1"}
AS_INTEGER = {"float64": "i64", "float32": "i32", "int64": "i64", "bool": "i1"}
BITS = {"float64": 64, "float32": 32}


def hexadecimal(value: float) -> str:
    """Write a float as the double of the same value, so that no bit is lost."""
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


@dataclass(frozen=True)
class Vectors:
    """Vectors of floats: so many lanes of one dtype."""

    lanes: int
    dtype: str

    @property
    def type(self) -> str:
        return f"<{self.lanes} x {SCALAR[self.dtype]}>"

    @property
    def integers(self) -> str:
        return f"<{self.lanes} x {AS_INTEGER[self.dtype]}>"

    @property
    def truths(self) -> str:
        return f"<{self.lanes} x i1>"

    @property
    def suffix(self) -> str:
        """The spelling of the type in the names of intrinsics."""
        return f"v{self.lanes}{SUFFIX[self.dtype]}"

    def constant(self, value: float) -> str:
        return f"splat ({SCALAR[self.dtype]} {hexadecimal(value)})"

    def fma(self, result: str, a: str, b: str, c: str) -> str:
        """Write a b + c, rounded once."""
        t = self.type
        return f"{result} = call {t} @llvm.fma.{self.suffix}({t} {a}, {t} {b}, {t} {c})"

    def integer(self, value: int) -> str:
        return f"splat ({AS_INTEGER[self.dtype]} {value})"


class Body:
    """The body of a function, as it is written.

    Attributes:
        lines: the lines written so far.
        block: the basic block that the next line belongs to.
    """

    def __init__(self, block: str):
        self.lines: list[str] = []
        self.block = block

    def begin_block(self, label: str) -> None:
        self.block = label
        self.lines.append(f"{label}:")

    def next_block(self, label: str) -> None:
        """End the basic block, and go on with another."""
        self.lines.append(f"br label %{label}")
        self.begin_block(label)


def write_in_parts(
    body: Body,
    vectors: Vectors,
    result: str,
    operands: Sequence[str],
    n_lanes: int,
    operation: Callable[[Sequence[str]], str],
) -> None:
    """Write an operation that takes vectors of `n_lanes`, for vectors of 1, 2, 4 ... times as many.

    Args:
        operation: returns the instruction for the names of its operands.
    """
    if vectors.lanes == n_lanes:
        body.lines.append(f"{result} = {operation(operands)}")
        return
    half = replace(vectors, lanes=vectors.lanes // 2)
    places = [f"i32 {lane}" for lane in range(vectors.lanes)]
    sides = []
    for side, chosen in enumerate((places[: half.lanes], places[half.lanes :])):
        name, mask = f"{result}.{side}", f"<{half.lanes} x i32> <{', '.join(chosen)}>"
        names = [f"{name}.{number}" for number in range(len(operands))]
        body.lines += [
            f"{part} = shufflevector {vectors.type} {whole}, {vectors.type} poison, {mask}"
            for part, whole in zip(names, operands)
        ]
        write_in_parts(body, half, name, names, n_lanes, operation)
        sides.append(f"{half.type} {name}")
    mask = f"<{vectors.lanes} x i32> <{', '.join(places)}>"
    body.lines.append(f"{result} = shufflevector {', '.join(sides)}, {mask}")
