"""Functions of our own in LLVM IR, step by step: arithmetic alone, the same in every lane.

Knows nothing of Programs.
"""

from collections.abc import Mapping, Sequence

from gradsweep.engines.fused.lowering.arithmetic.coefficients import COEFFICIENTS
from gradsweep.engines.fused.lowering.arithmetic.vectors import Body, Vectors, write_in_parts
from gradsweep.engines.fused.target import Isa

__all__ = ["Name", "Writer"]

Name = str

# Vectors that are multiplied by powers of 2 in one instruction: their lanes, how it is called.
SCALED_LANES = {"float64": 8, "float32": 16}
_SCALE = {
    "float64": ("<8 x double>", "llvm.x86.avx512.mask.scalef.pd.512", "i8"),
    "float32": ("<16 x float>", "llvm.x86.avx512.mask.scalef.ps.512", "i16"),
}


class Writer(Body):
    """Writes a function's body: most methods add a line and return the name of its result.

    Args:
        prefix: the beginning of all names.
        negated: for each name that is known to be a negation, the name of its operand.

    Attributes:
        scales: whether `scale` can be used.
        coefficients: the numbers of the vectors' dtype.
    """

    def __init__(self, vectors: Vectors, isa: Isa, prefix: str, negated: Mapping[Name, Name]):
        super().__init__("")
        self.scales = isa.scales and vectors.lanes % SCALED_LANES[vectors.dtype] == 0
        self.coefficients = COEFFICIENTS[vectors.dtype]
        self._negated = negated
        self._prefix = prefix
        self._vectors = vectors
        self._t, self._k = vectors.type, vectors.integers
        self._b, self._s = vectors.truths, vectors.suffix

    def line(self, text: str) -> Name:
        name = self._next()
        self.lines.append(f"{name} = {text}")
        return name

    def _next(self) -> Name:
        return f"{self._prefix}{len(self.lines)}"

    def constant(self, value: float) -> Name:
        return self._vectors.constant(value)

    def add(self, a: Name, b: Name) -> Name:
        return self.line(f"fadd {self._t} {a}, {b}")

    def sub(self, a: Name, b: Name) -> Name:
        return self.line(f"fsub {self._t} {a}, {b}")

    def mul(self, a: Name, b: Name) -> Name:
        return self.line(f"fmul {self._t} {a}, {b}")

    def div(self, a: Name, b: Name) -> Name:
        return self.line(f"fdiv {self._t} {a}, {b}")

    def neg(self, a: Name) -> Name:
        return self.line(f"fneg {self._t} {a}")

    def abs(self, a: Name) -> Name:
        return self.line(f"call {self._t} @llvm.fabs.{self._s}({self._t} {a})")

    def copysign(self, a: Name, sign: Name) -> Name:
        return self.line(
            f"call {self._t} @llvm.copysign.{self._s}({self._t} {a}, {self._t} {sign})"
        )

    def square(self, a: Name) -> Name:
        """a², written as b² where a is -b: LLVM then finds it equal to b² elsewhere."""
        a = self._negated.get(a, a)
        return self.mul(a, a)

    def fma(self, a: Name, b: Name, c: Name) -> Name:
        """a b + c, rounded once."""
        return self.line(
            f"call {self._t} @llvm.fma.{self._s}({self._t} {a}, {self._t} {b}, {self._t} {c})"
        )

    def compare(self, a: Name, how: str, b: Name) -> Name:
        return self.line(f"fcmp {how} {self._t} {a}, {b}")

    def select(self, condition: Name, a: Name, b: Name) -> Name:
        return self.line(f"select {self._b} {condition}, {self._t} {a}, {self._t} {b}")

    def at_most(self, a: Name, bound: float) -> Name:
        """The lesser of the two; NaN stays."""
        c = self.constant(bound)
        return self.select(self.compare(c, "olt", a), c, a)

    def at_least(self, a: Name, bound: float) -> Name:
        c = self.constant(bound)
        return self.select(self.compare(c, "ogt", a), c, a)

    def scale(self, a: Name, n: Name) -> Name:
        """a 2^n for integers n, rounded once; only where `scales`."""
        name = self._next()
        n_lanes = SCALED_LANES[self._vectors.dtype]
        t, called, mask = _SCALE[self._vectors.dtype]

        def call(operands: Sequence[Name]) -> str:
            kept = f"{t} zeroinitializer, {mask} -1, i32 4"  # value where masked, mask, rounding
            return f"call {t} @{called}({t} {operands[0]}, {t} {operands[1]}, {kept})"

        write_in_parts(self, self._vectors, name, [a, n], n_lanes, call)
        return name

    def bits(self, a: Name) -> Name:
        return self.line(f"bitcast {self._t} {a} to {self._k}")

    def from_bits(self, a: Name) -> Name:
        return self.line(f"bitcast {self._k} {a} to {self._t}")

    def integer(self, operation: str, a: Name, b: int) -> Name:
        return self.line(f"{operation} {self._k} {a}, {self._vectors.integer(b)}")

    def integers(self, operation: str, a: Name, b: Name) -> Name:
        return self.line(f"{operation} {self._k} {a}, {b}")

    def polynomial(self, x: Name, coefficients: Sequence[float]) -> Name:
        """Evaluate a polynomial, its constant term first. Even and odd powers are summed side by
        side, so that neither waits for the other.
        """
        square = self.mul(x, x)
        even, odd = (self._horner(square, coefficients[i::2]) for i in range(2))
        return self.fma(x, odd, even)

    def _horner(self, x: Name, coefficients: Sequence[float]) -> Name:
        *rest, found = (self.constant(c) for c in coefficients)
        while rest:
            found = self.fma(x, found, rest.pop())
        return found
