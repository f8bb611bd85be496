"""The C function that computes a primitive, and how generated code calls it.

It is a vector function of glibc's libmvec where one is accurate enough; else our own, for the few
most common primitives; else the platform's libm, or scipy's C function, one lane after another.
Other libraries' functions are found by address: the user's machine needs no compiler.

Knows nothing of Programs.
"""

import ctypes
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from gradsweep.engines.fused.lowering.arithmetic.elementary import (
    ELEMENTARY,
    WRITTEN_OUT,
    write_body,
)
from gradsweep.engines.fused.lowering.arithmetic.hurwitz import POLYGAMMA, ZETA
from gradsweep.engines.fused.lowering.arithmetic.vectors import (
    BITS,
    Body,
    Vectors,
    write_in_parts,
)
from gradsweep.engines.fused.target import Isa

__all__ = ["ROUTINES", "Callee", "Routine", "find_callee", "is_written_out", "write_out"]


@dataclass(frozen=True)
class Routine:
    """One row: the C function behind a primitive.

    Attributes:
        name: its name in C, in double precision; in scipy.special, where `scipy` is set.
        n_operands: how many numbers it takes.
        vector: the dtypes in which libmvec's version is within the bounds of the tests.
        scipy: its name among the C functions that scipy.special.cython_special exports.
        ir, calls: our own definition, where neither has it, and the routines that it calls.
    """

    name: str
    n_operands: int = 1
    vector: tuple[str, ...] = ("float64", "float32")
    scipy: str = ""
    ir: str = ""
    calls: tuple["Routine", ...] = ()


_POW = Routine("pow", 2)
_PSI = Routine("psi", vector=(), scipy="__pyx_fuse_1psi")
_ZETA = Routine("zeta", 2, vector=(), ir=ZETA, calls=(_POW,))

ROUTINES: dict[str, Routine] = {
    "rem": Routine("fmod", 2, vector=()),
    "pow": _POW,
    "cbrt": Routine("cbrt"),
    "hypot": Routine("hypot", 2),
    "exp": Routine("exp"),
    "exp2": Routine("exp2"),
    "expm1": Routine("expm1"),
    "log": Routine("log"),
    "log1p": Routine("log1p"),
    "log2": Routine("log2"),
    "log10": Routine("log10"),
    "sin": Routine("sin"),
    "cos": Routine("cos"),
    "tan": Routine("tan"),
    "asin": Routine("asin"),
    "acos": Routine("acos"),
    "atan": Routine("atan"),
    "atan2": Routine("atan2", 2),
    "sinh": Routine("sinh"),
    "cosh": Routine("cosh"),
    "tanh": Routine("tanh"),
    "asinh": Routine("asinh"),
    "acosh": Routine("acosh"),
    "atanh": Routine("atanh"),
    "erf": Routine("erf"),
    "erfc": Routine("erfc"),
    "lgamma": Routine("lgamma", vector=()),
    "erfinv": Routine("erfinv", vector=(), scipy="__pyx_fuse_0erfinv"),
    "ndtri": Routine("ndtri", vector=(), scipy="ndtri"),
    "digamma": _PSI,
    "zeta": _ZETA,
    "polygamma": Routine(
        "polygamma", 2, vector=(), ir=POLYGAMMA, calls=(_POW, _PSI, _ZETA, Routine("tgamma"))
    ),
    "igamma": Routine("gammainc", 2, vector=(), scipy="gammainc"),
    "igammac": Routine("gammaincc", 2, vector=(), scipy="gammaincc"),
    "i0": Routine("i0", vector=(), scipy="i0"),
    "i0e": Routine("i0e", vector=(), scipy="i0e"),
    "i1": Routine("i1", vector=(), scipy="i1"),
    "i1e": Routine("i1e", vector=(), scipy="i1e"),
}


@dataclass(frozen=True)
class Callee:
    """A function of vectors that generated code can call.

    Attributes:
        name: its name in LLVM IR.
        definitions: IR that declares or defines it and what it calls, by name.
        symbols: the addresses of functions that the IR only declares.
    """

    name: str
    definitions: dict[str, str]
    symbols: dict[str, int]


@cache
def find_callee(primitive: str, dtype: str, lanes: int, isa: Isa) -> Callee | None:
    """Return a function of vectors of `lanes` numbers that computes a primitive, or None."""
    routine = ROUTINES.get(primitive)
    if routine is None or dtype not in BITS:
        return None
    if dtype in routine.vector:
        whole = _vector_function(routine, dtype, lanes, isa)
        if whole is not None:
            return whole
        half = find_callee(primitive, dtype, lanes // 2, isa) if lanes > 2 else None
        if half is not None and half.name.startswith(("_ZGV", _HALVES)):
            return _by_halves(routine, dtype, lanes, half)
    if primitive in ELEMENTARY and isa.has_fma:
        return _elementary(primitive, Vectors(lanes, dtype), isa)
    if dtype == "float32":
        double = find_callee(primitive, "float64", lanes, isa)
        return double and _in_double_precision(routine, lanes, double)
    scalar = _scalar_function(routine)
    return scalar and _lane_by_lane(routine, lanes, scalar)


def is_written_out(primitive: str, dtype: str, isa: Isa) -> bool:
    """Whether a primitive takes less time written out than called."""
    return isa.has_fma and dtype in BITS and primitive in WRITTEN_OUT


def write_out(
    primitive: str,
    vectors: Vectors,
    isa: Isa,
    operand: str,
    result: str,
    negated: Mapping[str, str],
) -> list[str]:
    """Write the instructions of a primitive that `is_written_out`.

    Args:
        negated: for each name that is known to be a negation, the name of its operand.
    """
    return write_body(primitive, vectors, isa, operand, result, f"{result}.", negated)


_HALVES = "halves."


def _elementary(primitive: str, vectors: Vectors, isa: Isa) -> Callee:
    body = write_body(primitive, vectors, isa, "%x0", "%y")
    return _defined(f"elementary.{primitive}.{vectors.suffix}", vectors.type, 1, body, {}, {})


def _vector_function(routine: Routine, dtype: str, lanes: int, isa: Isa) -> Callee | None:
    letters = {"e": {64: "e", 32: "d", 16: "b"}, "d": {32: "d", 16: "b"}}
    n_bytes = lanes * BITS[dtype] // 8
    letter = letters.get(isa.letter, {isa.vector_bytes: isa.letter}).get(n_bytes, "")
    suffix = "f" if dtype == "float32" else ""
    symbol = f"_ZGV{letter}N{lanes}{'v' * routine.n_operands}_{routine.name}{suffix}"
    address = letter and _address(_libraries("libmvec.so.1"), symbol)
    if not address:
        return None
    t = Vectors(lanes, dtype).type
    operands = ", ".join([t] * routine.n_operands)
    return Callee(symbol, {symbol: f"declare {t} @{symbol}({operands})"}, {symbol: address})


def _by_halves(routine: Routine, dtype: str, lanes: int, half: Callee) -> Callee:
    """Define a function that calls one for half as many lanes twice."""
    vectors, part = Vectors(lanes, dtype), Vectors(lanes // 2, dtype).type
    body = Body("")

    def call(operands: Sequence[str]) -> str:
        return f"call {part} @{half.name}({', '.join(f'{part} {o}' for o in operands)})"

    operands = [f"%x{i}" for i in range(routine.n_operands)]
    write_in_parts(body, vectors, "%y", operands, lanes // 2, call)
    name = f"{_HALVES}{routine.name}.{dtype}.{lanes}"
    return _defined(
        name, vectors.type, routine.n_operands, body.lines, half.definitions, half.symbols
    )


def _in_double_precision(routine: Routine, lanes: int, double: Callee) -> Callee:
    t, d = Vectors(lanes, "float32").type, Vectors(lanes, "float64").type
    operands = range(routine.n_operands)
    body = [f"%d{i} = fpext {t} %x{i} to {d}" for i in operands]
    body.append(f"%e = call {d} @{double.name}({', '.join(f'{d} %d{i}' for i in operands)})")
    body.append(f"%y = fptrunc {d} %e to {t}")
    name = f"widened.{routine.name}.{lanes}"
    return _defined(name, t, routine.n_operands, body, double.definitions, double.symbols)


def _scalar_function(routine: Routine) -> Callee | None:
    """Return a function of single numbers."""
    name = f"scalar.{routine.name}"
    if not routine.ir:
        address = _scalar_address(routine)
        operands = ", ".join(["double"] * routine.n_operands + _EXTRA[bool(routine.scipy)])
        declared = f"declare double @{name}({operands})"
        return None if address is None else Callee(name, {name: declared}, {name: address})
    definitions: dict[str, str] = {}
    symbols: dict[str, int] = {}
    for called in map(_scalar_function, routine.calls):
        if called is None:
            return None
        definitions |= called.definitions
        symbols |= called.symbols
    return Callee(name, {**definitions, name: routine.ir}, symbols)


# Cython's functions take one more argument, which tells methods from functions.
_EXTRA = {False: [], True: ["i32"]}


def _lane_by_lane(routine: Routine, lanes: int, scalar: Callee) -> Callee:
    t, operands = Vectors(lanes, "float64").type, range(routine.n_operands)
    body = []
    for lane in range(lanes):
        body += [f"%x{i}.{lane} = extractelement {t} %x{i}, i32 {lane}" for i in operands]
        passed = [f"double %x{i}.{lane}" for i in operands]
        passed += [f"{extra} 0" for extra in _EXTRA[bool(routine.scipy)]]
        body.append(f"%s.{lane} = call double @{scalar.name}({', '.join(passed)})")
        before = f"%y.{lane - 1}" if lane else "poison"
        name = "%y" if lane == lanes - 1 else f"%y.{lane}"
        body.append(f"{name} = insertelement {t} {before}, double %s.{lane}, i32 {lane}")
    name = f"lanes.{routine.name}.{lanes}"
    return _defined(name, t, routine.n_operands, body, scalar.definitions, scalar.symbols)


def _defined(
    name: str,
    t: str,
    n_operands: int,
    body: Sequence[str],
    definitions: dict[str, str],
    symbols: dict[str, int],
) -> Callee:
    parameters = ", ".join(f"{t} %x{i}" for i in range(n_operands))
    lines = [f"define internal {t} @{name}({parameters}) #0 {{", *body, f"ret {t} %y", "}"]
    return Callee(name, {**definitions, name: "\n".join(lines)}, symbols)


# -- addresses

# The libraries of C's mathematics: glibc, musl, macOS, Windows. The first that loads is taken.
_C_LIBRARIES = {
    "linux": ("libm.so.6", "libc.so"),
    "darwin": ("libSystem.B.dylib",),
    "win32": ("ucrtbase.dll",),
}


def _scalar_address(routine: Routine) -> int | None:
    if routine.scipy:
        return _scipy_address(routine.scipy)
    return _address(_libraries(*_C_LIBRARIES.get(sys.platform, ("libm.so",))), routine.name)


@cache
def _libraries(*names: str) -> ctypes.CDLL | None:
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def _address(library: ctypes.CDLL | None, symbol: str) -> int | None:
    function = getattr(library, symbol, None)
    return function and ctypes.cast(function, ctypes.c_void_p).value


def _scipy_address(name: str) -> int | None:
    from scipy.special import cython_special

    capsule = getattr(cython_special, "__pyx_capi__", {}).get(name)
    if capsule is None:
        return None
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
