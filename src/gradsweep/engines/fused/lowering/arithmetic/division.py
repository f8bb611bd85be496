"""Quotients without the divider, bit for bit as IEEE division has them.

Some processors divide a vector in the time of 32 products (`Isa.divides_slowly`). There, with
z = 1 / d, rounded to nearest, and fused multiply-adds,

    q = x z,  x / d = q + (x - q d) z

is rounded as x / d is, wherever x - q d has no digit below the smallest number. So z is computed
once for all quotients by one d. Where q or d has an extreme exponent, or q is infinite or NaN, in
any lane, the vector takes a real division: that is a branch. In a loop that is `watched`, the
processor's flags tell the same.

z itself comes from a division, or from the processor's approximation and Newton's steps. These give
1 / d rounded to nearest but for one mantissa, all ones, which is tested for.

Reference: Markstein (1990), Computation of elementary functions on the IBM RISC System/6000
processor, theorems 7 and 8; Brisebarre, Muller and Raina (2004), Accelerating correctly rounded
floating-point division when the divisor is known in advance, algorithm 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gradsweep.engines.fused.lowering.arithmetic.vectors import (
    BITS,
    Body,
    Vectors,
    write_in_parts,
)

__all__ = [
    "BRANCH_WEIGHTS",
    "DIVISORS",
    "Approximation",
    "find_reciprocal",
    "write_by_newton",
    "write_quotient",
    "write_rcp14",
    "write_reciprocal",
    "write_watched_quotient",
]

# Writes into a body, under a name, 1 / d for each lane of d, within a factor of 1 +- 2^-14.
Approximation = Callable[[Body, Vectors, str, str], None]

# Metadata of a module that writes quotients: the slow path lies apart.
BRANCH_WEIGHTS = '!0 = !{!"branch_weights", i32 1, i32 100000}'


@dataclass(frozen=True)
class _Format:
    """A dtype's digits, and the exponents with which quotients need no real division.

    Attributes:
        fraction_bits: the digits after the first.
        bias: what is added to exponents.
        divisors, quotients: |d| and |q| are at least 2 to the first, less than 2 to the second.
    """

    fraction_bits: int
    bias: int
    divisors: tuple[int, int]
    quotients: tuple[int, int]


# The last digit of x - q d is at least that of q times that of d. With the least exponents of both
# it is not below 2^-1074, or 2^-149.
_FORMATS = {
    "float64": _Format(52, 1023, (-350, 350), (-600, 1000)),
    "float32": _Format(23, 127, (-31, 31), (-72, 120)),
}

# For each dtype, the exponents between which |d| has to lie: from the first up to the second.
DIVISORS = {dtype: form.divisors for dtype, form in _FORMATS.items()}


def find_reciprocal(d: float, dtype: str) -> float | None:
    """Return what `write_quotient` multiplies by to divide by a constant; None if it cannot."""
    low, high = _FORMATS[dtype].divisors
    if not 2.0**low <= abs(d) < 2.0**high:
        return None
    scalar = np.dtype(dtype).type
    return float(scalar(1) / scalar(d))


def write_reciprocal(body: Body, vectors: Vectors, result: str, d: str) -> None:
    """Write 1 / d for `write_quotient`; NaN where the exponent of d is extreme."""
    t = vectors.type
    body.lines.append(f"{result}.z = fdiv {t} {vectors.constant(1.0)}, {d}")
    outside = _outside(body, vectors, f"{result}.o", d, _FORMATS[vectors.dtype].divisors)
    nan = vectors.constant(float("nan"))
    chosen = f"select {vectors.truths} {outside}, {t} {nan}, {t} {result}.z"
    body.lines.append(f"{result} = {chosen}")


def write_watched_quotient(
    body: Body, vectors: Vectors, result: str, x: str, d: str, z: str
) -> None:
    """Write x / d for a positive d, where z is what `find_reciprocal` has for d.

    Where a digit might be lost, or x is infinite, one of the processor's flags is raised.
    """
    _write_corrected(body, vectors, result, x, d, z, into=result)


def _write_corrected(
    body: Body, vectors: Vectors, result: str, x: str, d: str, z: str, into: str
) -> None:
    """Write q = x z, as `result`.q, and q + (x - q d) z. A positive d has a zero keep its sign."""
    body.lines += [
        f"{result}.q = fmul {vectors.type} {x}, {z}",
        f"{result}.m = fneg {vectors.type} {x}",
        vectors.fma(f"{result}.r", f"{result}.q", d, f"{result}.m"),
        f"{result}.n = fneg {vectors.type} {result}.r",
        vectors.fma(into, f"{result}.n", z, f"{result}.q"),
    ]


def write_quotient(
    body: Body, vectors: Vectors, result: str, x: str, d: str, z: str, outside: str = ""
) -> None:
    """Write x / d, where z is what `write_reciprocal` or `find_reciprocal` has for d.

    Args:
        outside: the lanes where z must not be trusted, if it is not NaN there.
    """
    t, b, label = vectors.type, vectors.truths, result.removeprefix("%")
    _write_corrected(body, vectors, result, x, d, z, into=f"{result}.s")
    body.lines += [
        # A zero keeps its sign, which the sum may lose.
        f"{result}.c = fcmp une {t} {result}.q, zeroinitializer",
        f"{result}.p = select {b} {result}.c, {t} {result}.s, {t} {result}.q",
    ]
    window = _FORMATS[vectors.dtype].quotients
    extreme = _outside(body, vectors, f"{result}.w", f"{result}.q", window)
    body.lines.append(f"{result}.u = and {b} {extreme}, {result}.c")
    extreme = f"{result}.u"
    if outside:
        body.lines.append(f"{result}.v = or {b} {extreme}, {outside}")
        extreme = f"{result}.v"
    called = f"@llvm.vector.reduce.or.v{vectors.lanes}i1({b} {extreme})"
    body.lines += [
        f"{result}.any = call i1 {called}",
        f"br i1 {result}.any, label %{label}.exact, label %{label}.done, !prof !0",
    ]
    before = body.block
    body.begin_block(f"{label}.exact")
    body.lines.append(f"{result}.x = fdiv {t} {x}, {d}")
    body.next_block(f"{label}.done")
    arms = f"[ {result}.p, %{before} ], [ {result}.x, %{label}.exact ]"
    body.lines.append(f"{result} = phi {t} {arms}")


def write_by_newton(
    body: Body, vectors: Vectors, result: str, x: str, d: str, approximation: Approximation
) -> None:
    """Write x / d of doubles without any division.

    The relative error of 1 / d is squared by each step: 2^-14, 2^-28, 2^-56. The last step rounds
    to nearest what is within one unit of the last place.
    """
    t, k, b = vectors.type, vectors.integers, vectors.truths
    one = vectors.constant(1.0)
    body.lines.append(f"{result}.l = fneg {t} {d}")
    approximation(body, vectors, f"{result}.y0", d)
    for step, following in enumerate(["y1", "y2", "z"]):
        y, e = f"{result}.y{step}", f"{result}.e{step}"
        body.lines += [
            vectors.fma(e, f"{result}.l", y, one),
            vectors.fma(f"{result}.{following}", y, e, y),
        ]
    form = _FORMATS[vectors.dtype]
    outside = _outside(body, vectors, f"{result}.o", d, form.divisors)
    all_but_fraction = vectors.integer(-1 << form.fraction_bits)
    body.lines += [
        f"{result}.b = bitcast {t} {d} to {k}",
        f"{result}.f = or {k} {result}.b, {all_but_fraction}",
        f"{result}.h = icmp eq {k} {result}.f, {vectors.integer(-1)}",
        f"{result}.g = or {b} {outside}, {result}.h",
    ]
    write_quotient(body, vectors, result, x, d, f"{result}.z", f"{result}.g")


def _outside(body: Body, vectors: Vectors, result: str, value: str, window: tuple[int, int]) -> str:
    """Write whether 2^low <= |value| < 2^high fails, by one comparison of the bits, shifted.

    The shift drops the sign, the sum makes the least number of the window the least integer.
    """
    form, n = _FORMATS[vectors.dtype], BITS[vectors.dtype]
    low, high = (form.bias + exponent << form.fraction_bits + 1 for exponent in window)
    least = -1 << n - 1
    # As a number of n bits with a sign: least - low, around the circle.
    offset = least - low if low <= 0 else -least - low
    t, k = vectors.type, vectors.integers
    body.lines += [
        f"{result}.b = bitcast {t} {value} to {k}",
        f"{result}.s = shl {k} {result}.b, {vectors.integer(1)}",
        f"{result}.a = add {k} {result}.s, {vectors.integer(offset)}",
        f"{result} = icmp sgt {k} {result}.a, {vectors.integer(least + high - low - 1)}",
    ]
    return result


_APPROXIMATED_LANES = 8


def write_rcp14(body: Body, vectors: Vectors, result: str, d: str) -> None:
    """Write AVX-512's own approximation."""
    t = f"<{_APPROXIMATED_LANES} x double>"

    def call(operands: Sequence[str]) -> str:
        kept = f"{t} zeroinitializer, i8 -1"  # value where masked, mask
        return f"call {t} @llvm.x86.avx512.rcp14.pd.512({t} {operands[0]}, {kept})"

    write_in_parts(body, vectors, result, [d], _APPROXIMATED_LANES, call)
