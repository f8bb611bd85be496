"""Quotients in machine code, of arrays of any numbers, and pairs that are hard to divide."""

import ctypes
from collections.abc import Callable

import numpy as np

from gradsweep.engines.fused.lowering.arithmetic import division
from gradsweep.engines.fused.lowering.arithmetic.vectors import SCALAR, Body, Vectors
from gradsweep.engines.fused.target import compile_ir

LANES = 8

# Writes a quotient into a body: the vectors' kind, the names of x, d and an approximation of 1 / d.
Written = Callable[[Body, Vectors, str, str, str], None]

_LOOP = """
define void @quotients(ptr %x.all, ptr %d.all, ptr %y.all, ptr %found, i64 %n) {{
entry:
br label %body
body:
%i = phi i64 [ 0, %entry ], [ %next, %bottom ]
{loads}
{body}
%at = getelementptr {e}, ptr %found, i64 %i
store {t} %quotient, ptr %at, align {size}
br label %bottom
bottom:
%next = add i64 %i, {lanes}
%more = icmp slt i64 %next, %n
br i1 %more, label %body, label %exit
exit:
ret void
}}

{weights}
"""


def by_reciprocal(body, vectors, x, d, y):
    division.write_reciprocal(body, vectors, "%per", d)
    division.write_quotient(body, vectors, "%quotient", x, d, "%per")


def by_newton(body, vectors, x, d, y):
    def at_hand(body, vectors, result, d):
        body.lines.append(f"{result} = bitcast {vectors.type} {y} to {vectors.type}")

    division.write_by_newton(body, vectors, "%quotient", x, d, at_hand)


def by_constant(constant: float) -> Written:
    def write(body, vectors, x, d, y):
        z = division.find_reciprocal(constant, vectors.dtype)
        assert z is not None
        division.write_quotient(body, vectors, "%quotient", x, d, vectors.constant(z))

    return write


class Quotients:
    """A compiled function of arrays of one dtype."""

    def __init__(self, write: Written, dtype: str):
        vectors, body = Vectors(LANES, dtype), Body("body")
        e, size = SCALAR[dtype], np.dtype(dtype).itemsize
        loads = "\n".join(
            f"%{v}.at = getelementptr {e}, ptr %{v}.all, i64 %i\n"
            f"%{v} = load {vectors.type}, ptr %{v}.at, align {size}"
            for v in "xdy"
        )
        write(body, vectors, "%x", "%d", "%y")
        self._dtype = dtype
        self._code = compile_ir(
            _LOOP.format(
                loads=loads,
                body="\n".join(body.lines),
                e=e,
                t=vectors.type,
                size=size,
                lanes=LANES,
                weights=division.BRANCH_WEIGHTS,
            )
        )

    def __call__(self, x: np.ndarray, d: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
        assert len(x) % LANES == 0
        arrays = [np.ascontiguousarray(a, self._dtype) for a in (x, d, x if y is None else y)]
        found = np.empty_like(arrays[0])
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4, ctypes.c_int64)
        function = kind(self._code.address("quotients"))
        function(*(a.ctypes.data for a in (*arrays, found)), len(x))
        return found


def same_bits(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Tell where numbers have the same bits; any NaN is as good as another."""
    kind = {8: np.int64, 4: np.int32}[found.dtype.itemsize]
    return (found.view(kind) == expected.view(kind)) | (np.isnan(found) & np.isnan(expected))


def approximations(rng: np.random.Generator, d: np.ndarray) -> np.ndarray:
    """Return 1 / d, wrong by up to 2^-14, as vrcp14pd documents, often by just that."""
    with np.errstate(all="ignore"):
        error = rng.choice([-1.0, 1.0, 0.0, rng.uniform(-1, 1)], len(d)) * 2.0**-14
        exact = 1 / d
        return np.where(np.isfinite(exact), exact * (1 + error * (1 - 2.0**-30)), exact)


def pairs(rng: np.random.Generator, dtype: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers and divisors of every kind, in any order."""
    float_type = np.finfo(dtype)
    kind = {"float64": np.uint64, "float32": np.uint32}[dtype]
    digits = float_type.nmant + 1

    def any_bits(size):
        return rng.integers(0, np.iinfo(kind).max, size, dtype=kind, endpoint=True).view(dtype)

    def usual(size, spread=30):
        return (
            np.ldexp(rng.uniform(1, 2, size), rng.integers(-spread, spread, size))
            * rng.choice([-1, 1], size)
        ).astype(dtype)

    def hard(size):
        # d m = c modulo 2^k, with c small and m halfway between two quotients: so x / d lies next
        # to m, where x = (d m - c) / 2^k.
        k = digits + 1
        d = [2 * int(half) + 1 for half in rng.integers(2 ** (digits - 2), 2 ** (digits - 1), size)]
        c = [2 * int(half) + 1 for half in rng.integers(-4, 4, size)]
        m = [pow(a, -1, 2**k) * b % 2**k for a, b in zip(d, c)]
        x = [(a * b - e) >> k for a, b, e in zip(d, m, c)]
        return np.array(x, dtype), np.array(d, dtype)

    def special(size):
        known = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 3.0, 2 - float_type.eps]
        known += [float_type.tiny, float_type.smallest_subnormal, float_type.max, -float_type.max]
        return rng.choice(np.array(known, dtype), size)

    n_hard = min(n // 4, 50_000)
    n_each = (n - n_hard) // 4
    hard_x, hard_d = hard(n_hard)
    near_ones = np.ldexp(2 - float_type.eps * rng.integers(0, 3, n_each), 3).astype(dtype)
    x = [hard_x, any_bits(n_each), usual(n_each), special(n_each)]
    d = [hard_d, any_bits(n_each), usual(n_each), special(n_each)]
    rest = n - n_hard - 3 * n_each
    powers = np.ldexp(np.ones(rest, dtype), rng.integers(-9, 9, rest))
    x.append(np.where(rng.random(rest) < 0.5, powers, usual(rest)))
    d.append(np.resize(near_ones, rest))
    x, d = (np.concatenate(parts) for parts in (x, d))
    assert x.dtype == d.dtype == dtype
    # Vectors of one kind, so that some take no branch; and some where one lane does.
    order = np.arange(n)
    rng.shuffle(order[n // 2 :])
    return x[order], d[order]
