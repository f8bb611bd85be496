"""The LLVM IR of each primitive that a few instructions compute.

Each row is a template. It is filled with {r}, the name of the result; {0}, {1}, {2}, the operands;
{t}, the vector type of the last operand, {e} its element, and {s} its spelling in intrinsics; {k},
a vector of integers as wide; {b}, a vector of truth values; {u} and {us}, the type of the result
and its spelling. Names that begin with {r} are local to the row.

NaN, infinities and signed zeros come out as in NumPy.
"""

import platform

__all__ = ["INSTRUCTIONS", "LOADED"]

Rows = dict[str, str]


def _intrinsic(name: str, n_operands: int = 1) -> str:
    operands = ", ".join(f"{{t}} {{{i}}}" for i in range(n_operands))
    return f"{{r}} = call {{t}} @llvm.{name}.{{s}}({operands})"


def _operation(opcode: str) -> str:
    return f"{{r}} = {opcode} {{t}} {{0}}, {{1}}"


_SELECT = "{r} = select {b} {0}, {t} {1}, {t} {2}"
_SAME = "{r} = bitcast {t} {0} to {u}"


def _convert(opcode: str) -> str:
    return f"{{r}} = {opcode} {{t}} {{0}} to {{u}}"


def _extremum(comparison: str) -> str:
    # NaN in either operand wins: the comparison passes on the second, the select the first.
    return (
        f"{{r}}.c = fcmp {comparison} {{t}} {{0}}, {{1}}\n"
        "{r}.m = select {b} {r}.c, {t} {0}, {t} {1}\n"
        "{r}.n = fcmp uno {t} {0}, {0}\n"
        "{r} = select {b} {r}.n, {t} {0}, {t} {r}.m"
    )


# A number that does not fit converts as in NumPy: on x86-64 to the processor's "integer
# indefinite", elsewhere to the nearest int64.
_TO_INTEGER = (
    "{r}.a = call {t} @llvm.fabs.{s}({t} {0})\n"
    "{r}.f = fcmp olt {t} {r}.a, splat ({e} 0x43E0000000000000)\n"
    "{r}.x = select {b} {r}.f, {t} {0}, {t} zeroinitializer\n"
    "{r}.i = fptosi {t} {r}.x to {u}\n"
    "{r} = select {b} {r}.f, {u} {r}.i, {u} splat (i64 -9223372036854775808)"
    if platform.machine().lower() in ("x86_64", "amd64")
    else "{r} = call {u} @llvm.fptosi.sat.{us}.{s}({t} {0})"
)

_FLOAT: Rows = {
    "add": _operation("fadd"),
    "sub": _operation("fsub"),
    "mul": _operation("fmul"),
    "div": _operation("fdiv"),
    "neg": "{r} = fneg {t} {0}",
    "abs": _intrinsic("fabs"),
    # x + 0.0 is NaN for NaN, and 0.0 for both zeros.
    "sign": (
        "{r}.z = fadd {t} {0}, zeroinitializer\n"
        "{r}.p = fcmp ogt {t} {0}, zeroinitializer\n"
        "{r}.n = fcmp olt {t} {0}, zeroinitializer\n"
        "{r}.s = select {b} {r}.p, {t} splat ({e} 1.0), {t} {r}.z\n"
        "{r} = select {b} {r}.n, {t} splat ({e} -1.0), {t} {r}.s"
    ),
    "max": _extremum("ogt"),
    "min": _extremum("olt"),
    "floor": _intrinsic("floor"),
    "ceil": _intrinsic("ceil"),
    "round": _intrinsic("rint"),
    "trunc": _intrinsic("trunc"),
    "copysign": _intrinsic("copysign", 2),
    "sqrt": _intrinsic("sqrt"),
    "eq": _operation("fcmp oeq"),
    "ne": _operation("fcmp une"),
    "lt": _operation("fcmp olt"),
    "le": _operation("fcmp ole"),
    "gt": _operation("fcmp ogt"),
    "ge": _operation("fcmp oge"),
    "isfinite": (
        "{r}.a = call {t} @llvm.fabs.{s}({t} {0})\n"
        "{r} = fcmp olt {t} {r}.a, splat ({e} 0x7FF0000000000000)"
    ),
    "signbit": "{r}.i = bitcast {t} {0} to {k}\n{r} = icmp slt {k} {r}.i, zeroinitializer",
    "select": _SELECT,
    "to_int64": _TO_INTEGER,
    "to_bool": "{r} = fcmp une {t} {0}, zeroinitializer",
}

_INTEGER: Rows = {
    "add": _operation("add"),
    "sub": _operation("sub"),
    "mul": _operation("mul"),
    "neg": "{r} = sub {t} zeroinitializer, {0}",
    "abs": "{r} = call {t} @llvm.abs.{s}({t} {0}, i1 false)",
    "sign": (
        "{r}.h = call {t} @llvm.smin.{s}({t} {0}, {t} splat (i64 1))\n"
        "{r} = call {t} @llvm.smax.{s}({t} {r}.h, {t} splat (i64 -1))"
    ),
    "max": _intrinsic("smax", 2),
    "min": _intrinsic("smin", 2),
    # A remainder of division by 0 is 0 for NumPy; by -1 it is 0, and the processor may trap.
    "rem": (
        "{r}.m = add {t} {1}, splat (i64 1)\n"
        "{r}.c = icmp ult {t} {r}.m, splat (i64 2)\n"
        "{r}.d = select {b} {r}.c, {t} splat (i64 1), {t} {1}\n"
        "{r} = srem {t} {0}, {r}.d"
    ),
    # The same two divisors are special here.
    "quotient": (
        "{r}.m = add {t} {1}, splat (i64 1)\n"
        "{r}.c = icmp ult {t} {r}.m, splat (i64 2)\n"
        "{r}.d = select {b} {r}.c, {t} splat (i64 1), {t} {1}\n"
        "{r}.q = sdiv {t} {0}, {r}.d\n"
        "{r}.n = mul {t} {0}, {1}\n"
        "{r} = select {b} {r}.c, {t} {r}.n, {t} {r}.q"
    ),
    # Shifted up and down again, which fills with the sign or with zeros.
    **{
        f"wrap_{sign}int{n}": (
            f"{{r}}.s = shl {{t}} {{0}}, splat (i64 {64 - n})\n"
            f"{{r}} = {shift} {{t}} {{r}}.s, splat (i64 {64 - n})"
        )
        for n in (8, 16, 32)
        for sign, shift in (("", "ashr"), ("u", "lshr"))
    },
    **dict.fromkeys(["floor", "ceil", "round", "trunc"], _SAME),
    "eq": _operation("icmp eq"),
    "ne": _operation("icmp ne"),
    "lt": _operation("icmp slt"),
    "le": _operation("icmp sle"),
    "gt": _operation("icmp sgt"),
    "ge": _operation("icmp sge"),
    "isfinite": "{r} = icmp eq {t} {0}, {0}",
    "signbit": "{r} = icmp slt {t} {0}, zeroinitializer",
    "select": _SELECT,
    "to_float64": _convert("sitofp"),
    "to_float32": _convert("sitofp"),
    "to_int64": _SAME,
    "to_bool": "{r} = icmp ne {t} {0}, zeroinitializer",
}

_TRUTH: Rows = {
    **{name: _operation(name) for name in ("and", "or", "xor")},
    "not": "{r} = xor {t} {0}, splat (i1 true)",
    "max": _operation("or"),
    "min": _operation("and"),
    "eq": "{r}.x = xor {t} {0}, {1}\n{r} = xor {t} {r}.x, splat (i1 true)",
    "ne": _operation("xor"),
    "lt": _operation("icmp ult"),
    "le": _operation("icmp ule"),
    "gt": _operation("icmp ugt"),
    "ge": _operation("icmp uge"),
    "select": _SELECT,
    "to_float64": _convert("uitofp"),
    "to_float32": _convert("uitofp"),
    "to_int64": _convert("zext"),
    "to_bool": _SAME,
}

# By the dtype of the last operand.
INSTRUCTIONS: dict[str, Rows] = {
    "float64": {**_FLOAT, "to_float64": _SAME, "to_float32": _convert("fptrunc")},
    "float32": {**_FLOAT, "to_float64": _convert("fpext"), "to_float32": _SAME},
    "int64": _INTEGER,
    "bool": _TRUTH,
}
# The primitives that are no arithmetic, but loads from memory.
LOADED = frozenset({"lookup"})
