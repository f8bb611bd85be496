"""A loop whose quotients are products, with no test but one for each vector.

`arithmetic.division` has x / d from the reciprocal of d. Where that would be wrong, the processor
raises a flag: of an invalid operation (x is infinite), an overflow, an underflow or a subnormal
operand (a digit may be lost). The flags are read after each vector. With the first that is raised,
the rest of the points goes through another loop, with real divisions, from that vector on.

Divisors are constants, or numbers that are the same at all points of the loop; these are looked at
before it begins. They are positive, so that zeros keep their signs.

Knows nothing of threads.
"""

from collections.abc import Mapping

from gradsweep.engines.fused.lowering.arithmetic.division import DIVISORS
from gradsweep.engines.fused.lowering.arithmetic.vectors import SCALAR, hexadecimal
from gradsweep.engines.fused.lowering.quotients import is_quotient
from gradsweep.engines.fused.lowering.schedule import Nest, Schedule
from gradsweep.engines.fused.lowering.text import Text
from gradsweep.engines.fused.target import Isa

__all__ = ["EXACT", "WATCHED_LOOP", "find_steady", "write_reciprocals"]

# With fewer quotients, the second loop takes more time to compile than it saves.
_FEWEST_QUOTIENTS = 2

# The end of the name of the loop with real divisions.
EXACT = ".exact"


def find_steady(schedule: Schedule, nest: Nest, isa: Isa) -> Mapping[int, int] | None:
    """Return the divisors that are the same throughout a loop, and their words in its table.

    Returns:
        None if a loop like this one is not worth compiling, or cannot be.
    """
    if not isa.divides_slowly or not isa.has_flags or not nest.axes or len(nest.segments) > 1:
        return None
    divisors = [e.operands[1] for e in nest.equations.values() if is_quotient(e)]
    slots = [schedule.slots[number] for number in nest.reads]
    steady = {
        slot.variable: word
        for word, slot in enumerate(slots)
        if slot.variable in divisors and not nest.varies(slot)
    }
    n_quotients = sum(d in steady or schedule.program.constant(d) is not None for d in divisors)
    return steady if n_quotients >= _FEWEST_QUOTIENTS else None


def write_reciprocals(schedule: Schedule, steady: Mapping[int, int], text: Text) -> dict[int, str]:
    """Write the reciprocals of divisors into memory; end the block, and begin the loop's own.

    Returns:
        The address of each reciprocal, by the divisor.
    """
    found: dict[int, str] = {}
    fit = "true"
    for divisor, word in steady.items():
        name, dtype = f"%per{divisor}", schedule.program.dtype(divisor)
        e, vectors = SCALAR[dtype], text.vectors(dtype)
        low, high = (hexadecimal(2.0**exponent) for exponent in DIVISORS[dtype])
        text.lines += [
            f"{name} = alloca {vectors.type}, align 64",
            f"{name}.w = getelementptr i64, ptr %table, i64 {word}",
            f"{name}.d = load {e}, ptr {name}.w",
            f"{name}.low = fcmp oge {e} {name}.d, {low}",
            f"{name}.high = fcmp olt {e} {name}.d, {high}",
            f"{name}.both = and i1 {name}.low, {name}.high",
            f"{name}.fit = and i1 {name}.both, {fit}",
            f"{name}.z = fdiv {e} 1.0, {name}.d",
        ]
        fit = f"{name}.fit"
        text.store(name, name, dtype, text.splat(f"{name}.z", dtype))
        found[divisor] = name
    text.lines.append(f"br i1 {fit}, label %watched, label %plain")
    return found


# The flags, from the lowest bit: invalid, subnormal operand, division by zero, overflow, underflow,
# and inexact. They are cleared before the loop, and those of the caller are put back after it.
WATCHED_LOOP = """
define void @{name}(ptr %table, i64 %first, i64 %end) #0 {{
entry:
%flags = alloca i32
%callers = alloca i32
%last = sub i64 %end, {lanes}
{reciprocals}
watched:
call void @llvm.x86.sse.stmxcsr(ptr %callers)
%state = load i32, ptr %callers
%clear = and i32 %state, -64
store i32 %clear, ptr %flags
call void @llvm.x86.sse.ldmxcsr(ptr %flags)
br label %body
body:
%i = phi i64 [ %first, %watched ], [ %next, %more ]
{body}
br label %bottom
bottom:
call void @llvm.x86.sse.stmxcsr(ptr %flags)
%raised = load i32, ptr %flags
%watch = and i32 %raised, 27
%any = icmp ne i32 %watch, 0
br i1 %any, label %again, label %more, !prof !0
more:
%step = add i64 %i, {lanes}
%next = call i64 @llvm.smin.i64(i64 %step, i64 %last)
%done = icmp eq i64 %i, %last
br i1 %done, label %exit, label %body
exit:
call void @llvm.x86.sse.ldmxcsr(ptr %callers)
ret void
again:
call void @llvm.x86.sse.ldmxcsr(ptr %callers)
call void @{exact}(ptr %table, i64 %i, i64 %end)
ret void
plain:
call void @{exact}(ptr %table, i64 %first, i64 %end)
ret void
}}"""
