"""The loops around a nest's own function, in LLVM IR: blocks and rows.

They are the same for every Program and compiled once in a process. A frame (see fields.py) says
what they loop over.

A row is one walk along the vectorised axis. For each row the runtime fills the table that the
nest's function reads. An operand whose elements are not side by side, or too few for one vector,
goes through a tile: a contiguous copy that is read or written in its place (see tiles.py).
"""

from functools import cache
from threading import Lock

from gradsweep.engines.fused.runtime.fields import (
    FRAME,
    NEST,
    OPERAND,
    PHASE,
    RANGE,
    Mode,
    load,
    store,
)
from gradsweep.engines.fused.runtime.tiles import TILES
from gradsweep.engines.fused.target import MachineCode, compile_ir

__all__ = ["runtime"]


def _point_at_range(axis: str, prefix: str = "") -> str:
    """Return the IR that points at the range of an axis: %first.p and %end.p, with a prefix."""
    return f"""%{prefix}twice = shl i64 {axis}, {len(RANGE).bit_length() - 1}
  %{prefix}first.i = add i64 %{prefix}twice, {len(FRAME) + RANGE.first}
  %{prefix}end.i = add i64 %{prefix}twice, {len(FRAME) + RANGE.end}
  %{prefix}first.p = getelementptr i64, ptr %frame, i64 %{prefix}first.i
  %{prefix}end.p = getelementptr i64, ptr %frame, i64 %{prefix}end.i"""


# Runs blocks of one phase until none is left (and returns 0) or `budget` of them are done (1).
# Threads share `next`, the number of the next block, and have a frame each. At the end the axis has
# its whole range again, which nests of later phases loop over.
_RUN = f"""
define i64 @run(ptr %frame, i64 %word, ptr %next, i64 %budget) {{
entry:
  %phase = getelementptr i64, ptr %frame, i64 %word
  {load("%axis", "%phase", PHASE.axis)}
  {load("%length", "%phase", PHASE.length)}
  {load("%block", "%phase", PHASE.block)}
  {load("%n", "%phase", PHASE.n_blocks)}
  {load("%nests", "%phase", PHASE.n_nests)}
  {_point_at_range("%axis")}
  br label %blocks
blocks:
  %left = phi i64 [ %budget, %entry ], [ %left.next, %done ]
  %k = atomicrmw add ptr %next, i64 1 monotonic
  %over = icmp sge i64 %k, %n
  br i1 %over, label %finished, label %start
start:
  %first = mul i64 %k, %block
  %k.next = add i64 %k, 1
  %is.last = icmp eq i64 %k.next, %n
  %end.block = add i64 %first, %block
  %end = select i1 %is.last, i64 %length, i64 %end.block
  {store("%origin", "%frame", FRAME.origin, "%first")}
  store i64 %first, ptr %first.p
  store i64 %end, ptr %end.p
  br label %nest
nest:
  %j = phi i64 [ 0, %start ], [ %j.next, %nest ]
  %j.word = add i64 %j, {len(PHASE)}
  %nest.p = getelementptr i64, ptr %phase, i64 %j.word
  %nest.word = load i64, ptr %nest.p
  %nest.at = getelementptr i64, ptr %frame, i64 %nest.word
  call void @rows(ptr %frame, ptr %nest.at)
  %j.next = add i64 %j, 1
  %j.more = icmp slt i64 %j.next, %nests
  br i1 %j.more, label %nest, label %done
done:
  %left.next = sub i64 %left, 1
  %stop = icmp eq i64 %left.next, 0
  br i1 %stop, label %paused, label %blocks
paused:
  ret i64 1
finished:
  store i64 0, ptr %first.p
  store i64 %length, ptr %end.p
  ret i64 0
}}"""

# Runs `count` phases, one after another, on this thread.
_RUN_ALL = f"""
define void @run_all(ptr %frame, i64 %word, i64 %count) {{
entry:
  %next = alloca i64
  br label %phase
phase:
  %i = phi i64 [ 0, %entry ], [ %i.next, %run.it ]
  %at = phi i64 [ %word, %entry ], [ %at.next, %run.it ]
  %over = icmp sge i64 %i, %count
  br i1 %over, label %exit, label %run.it
run.it:
  store i64 0, ptr %next
  %state = call i64 @run(ptr %frame, i64 %at, ptr %next, i64 -1)
  %nests.word = add i64 %at, {PHASE.n_nests}
  %nests.p = getelementptr i64, ptr %frame, i64 %nests.word
  %nests = load i64, ptr %nests.p
  %header = add i64 %at, {len(PHASE)}
  %at.next = add i64 %header, %nests
  %i.next = add i64 %i, 1
  br label %phase
exit:
  ret void
}}"""

# Runs one nest over its rows in this block: an odometer of the outer axes.
_ROWS = f"""
define internal void @rows(ptr %frame, ptr %nest) {{
entry:
  {load("%function", "%nest", NEST.function, "ptr")}
  {load("%axis", "%nest", NEST.vector_axis)}
  {load("%tile", "%nest", NEST.tile_length)}
  {load("%n.outer", "%nest", NEST.n_outer)}
  {load("%n.operands", "%nest", NEST.n_operands)}
  {load("%table.word", "%nest", NEST.table_word)}
  %table = getelementptr i64, ptr %frame, i64 %table.word
  %axes = getelementptr i64, ptr %nest, i64 {len(NEST)}
  %index = getelementptr i64, ptr %axes, i64 %n.outer
  %operands = getelementptr i64, ptr %index, i64 %n.outer
  %size = add i64 %n.outer, {len(OPERAND)}
  {load("%origin", "%frame", FRAME.origin)}
  {_point_at_range("%axis")}
  %first = load i64, ptr %first.p
  %end = load i64, ptr %end.p
  %empty = icmp sge i64 %first, %end
  br i1 %empty, label %exit, label %start
start:
  %a = phi i64 [ 0, %entry ], [ %a.next, %begin ]
  %a.more = icmp slt i64 %a, %n.outer
  br i1 %a.more, label %begin, label %row
begin:
  %a.axis.p = getelementptr i64, ptr %axes, i64 %a
  %a.axis = load i64, ptr %a.axis.p
  {_point_at_range("%a.axis", "a.")}
  %a.first = load i64, ptr %a.first.p
  %a.end = load i64, ptr %a.end.p
  %a.index.p = getelementptr i64, ptr %index, i64 %a
  store i64 %a.first, ptr %a.index.p
  %a.next = add i64 %a, 1
  %a.empty = icmp sge i64 %a.first, %a.end
  br i1 %a.empty, label %exit, label %start
row:
  br label %operand
operand:
  %o = phi i64 [ 0, %row ], [ %o.next, %placed ]
  %o.more = icmp slt i64 %o, %n.operands
  br i1 %o.more, label %place, label %call
place:
  %o.word = mul i64 %o, %size
  %op = getelementptr i64, ptr %operands, i64 %o.word
  {load("%op.mode", "%op", OPERAND.mode)}
  {load("%op.bytes", "%op", OPERAND.n_bytes)}
  {load("%op.base", "%op", OPERAND.address)}
  {load("%op.shift", "%op", OPERAND.origin_stride)}
  %op.strides = getelementptr i64, ptr %op, i64 {len(OPERAND)}
  %op.back = mul i64 %origin, %op.shift
  %op.start = sub i64 %op.base, %op.back
  br label %along
along:
  %d = phi i64 [ 0, %place ], [ %d.next, %move ]
  %address = phi i64 [ %op.start, %place ], [ %address.next, %move ]
  %d.more = icmp slt i64 %d, %n.outer
  br i1 %d.more, label %move, label %set
move:
  %d.index.p = getelementptr i64, ptr %index, i64 %d
  %d.index = load i64, ptr %d.index.p
  %d.stride.p = getelementptr i64, ptr %op.strides, i64 %d
  %d.stride = load i64, ptr %d.stride.p
  %d.offset = mul i64 %d.index, %d.stride
  %address.next = add i64 %address, %d.offset
  %d.next = add i64 %d, 1
  br label %along
set:
  %entry.p = getelementptr i64, ptr %table, i64 %o
  %is.value = icmp eq i64 %op.mode, {Mode.VALUE}
  br i1 %is.value, label %value, label %pointer
pointer:
  {store("%row", "%op", OPERAND.row, "%address")}
  store i64 %address, ptr %entry.p
  br label %placed
value:
  %source = inttoptr i64 %address to ptr
  switch i64 %op.bytes, label %value1 [ i64 8, label %value8
                                        i64 4, label %value4 ]
value8:
  %v8 = load i64, ptr %source
  store i64 %v8, ptr %entry.p
  br label %placed
value4:
  %v4 = load i32, ptr %source
  store i32 %v4, ptr %entry.p
  br label %placed
value1:
  %v1 = load i8, ptr %source
  store i8 %v1, ptr %entry.p
  br label %placed
placed:
  %o.next = add i64 %o, 1
  br label %operand
call:
  %no.tiles = icmp eq i64 %tile, 0
  br i1 %no.tiles, label %whole, label %tiled
whole:
  call void %function(ptr %table, i64 %first, i64 %end)
  br label %advance
tiled:
  call void @tiles(ptr %nest, ptr %table, ptr %operands, i64 %first, i64 %end)
  br label %advance
advance:
  %b = phi i64 [ %n.outer, %whole ], [ %n.outer, %tiled ], [ %b.axis, %carry ]
  %b.axis = sub i64 %b, 1
  %b.none = icmp eq i64 %b, 0
  br i1 %b.none, label %exit, label %turn
turn:
  %b.axis.p = getelementptr i64, ptr %axes, i64 %b.axis
  %b.number = load i64, ptr %b.axis.p
  {_point_at_range("%b.number", "b.")}
  %b.first = load i64, ptr %b.first.p
  %b.end = load i64, ptr %b.end.p
  %b.index.p = getelementptr i64, ptr %index, i64 %b.axis
  %b.index = load i64, ptr %b.index.p
  %b.next = add i64 %b.index, 1
  %b.over = icmp sge i64 %b.next, %b.end
  br i1 %b.over, label %carry, label %turned
carry:
  store i64 %b.first, ptr %b.index.p
  br label %advance
turned:
  store i64 %b.next, ptr %b.index.p
  br label %row
exit:
  ret void
}}"""


# Its addresses are taken once, so it must be made once, also when several threads ask at first.
_MAKING = Lock()


def runtime() -> MachineCode:
    """Return the compiled loops: `run` and `run_all`."""
    with _MAKING:
        return _runtime()


@cache
def _runtime() -> MachineCode:
    return compile_ir("\n".join([_RUN, _RUN_ALL, _ROWS, TILES, ""]))
