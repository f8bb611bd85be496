"""The loops around a nest's own function, in LLVM IR: blocks and rows.

They are the same for every Program and compiled once in a process. What they loop over is written
in a *frame*, an array of 64-bit words that `frame.py` fills:

    [0]              where the block begins, along the axis that is cut into blocks
    [1 + 2a, 2 + 2a] first and end of axis a in this block
    phases           each: axis, length, points per block, blocks, nests, word of each nest
    nests            each: function, vectorised axis, points per tile (0: no tiles), lanes,
                     outer axes, operands, address of the tiles, word of the table;
                     number of each outer axis; index along it; then the operands
    operands         each: mode, bytes per element, address, stride of the origin, stride along the
                     vectorised axis, address of the row, stride along each outer axis

A row is one walk along the vectorised axis. For each row the runtime fills the table that the
nest's function reads. An operand whose elements are not side by side, or too few for one vector,
goes through a tile: a contiguous copy that is read or written in its place (see tiles.py).
"""

from functools import cache
from threading import Lock

from gradsweep.engines.fused.runtime.tiles import TILES
from gradsweep.engines.fused.target import MachineCode, compile_ir

__all__ = ["MODES", "NEST_HEADER", "OPERAND_HEADER", "runtime"]

# Words before what there is a variable number of.
NEST_HEADER, OPERAND_HEADER = 8, 6

# How an operand reaches the function: by value, by address, or through a tile.
MODES = {"value": 0, "straight": 1, "read by tiles": 2, "written by tiles": 3}

# Runs blocks of one phase until none is left (and returns 0) or `budget` of them are done (1).
# Threads share `next`, the number of the next block, and have a frame each. At the end the axis has
# its whole range again, which nests of later phases loop over.
_RUN = """
define i64 @run(ptr %frame, i64 %word, ptr %next, i64 %budget) {
entry:
  %phase = getelementptr i64, ptr %frame, i64 %word
  %axis = load i64, ptr %phase
  %length.p = getelementptr i64, ptr %phase, i64 1
  %length = load i64, ptr %length.p
  %block.p = getelementptr i64, ptr %phase, i64 2
  %block = load i64, ptr %block.p
  %n.p = getelementptr i64, ptr %phase, i64 3
  %n = load i64, ptr %n.p
  %nests.p = getelementptr i64, ptr %phase, i64 4
  %nests = load i64, ptr %nests.p
  %twice = shl i64 %axis, 1
  %first.i = add i64 %twice, 1
  %end.i = add i64 %twice, 2
  %first.p = getelementptr i64, ptr %frame, i64 %first.i
  %end.p = getelementptr i64, ptr %frame, i64 %end.i
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
  store i64 %first, ptr %frame
  store i64 %first, ptr %first.p
  store i64 %end, ptr %end.p
  br label %nest
nest:
  %j = phi i64 [ 0, %start ], [ %j.next, %nest ]
  %j.word = add i64 %j, 5
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
}"""

# Runs `count` phases, one after another, on this thread.
_RUN_ALL = """
define void @run_all(ptr %frame, i64 %word, i64 %count) {
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
  %nests.word = add i64 %at, 4
  %nests.p = getelementptr i64, ptr %frame, i64 %nests.word
  %nests = load i64, ptr %nests.p
  %header = add i64 %at, 5
  %at.next = add i64 %header, %nests
  %i.next = add i64 %i, 1
  br label %phase
exit:
  ret void
}"""

# Runs one nest over its rows in this block: an odometer of the outer axes.
_ROWS = """
define internal void @rows(ptr %frame, ptr %nest) {
entry:
  %function = load ptr, ptr %nest
  %axis.p = getelementptr i64, ptr %nest, i64 1
  %axis = load i64, ptr %axis.p
  %tile.p = getelementptr i64, ptr %nest, i64 2
  %tile = load i64, ptr %tile.p
  %n.outer.p = getelementptr i64, ptr %nest, i64 4
  %n.outer = load i64, ptr %n.outer.p
  %n.operands.p = getelementptr i64, ptr %nest, i64 5
  %n.operands = load i64, ptr %n.operands.p
  %table.word.p = getelementptr i64, ptr %nest, i64 7
  %table.word = load i64, ptr %table.word.p
  %table = getelementptr i64, ptr %frame, i64 %table.word
  %axes = getelementptr i64, ptr %nest, i64 8
  %index = getelementptr i64, ptr %axes, i64 %n.outer
  %operands = getelementptr i64, ptr %index, i64 %n.outer
  %size = add i64 %n.outer, 6
  %origin = load i64, ptr %frame
  %twice = shl i64 %axis, 1
  %first.i = add i64 %twice, 1
  %end.i = add i64 %twice, 2
  %first.p = getelementptr i64, ptr %frame, i64 %first.i
  %end.p = getelementptr i64, ptr %frame, i64 %end.i
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
  %a.twice = shl i64 %a.axis, 1
  %a.first.i = add i64 %a.twice, 1
  %a.end.i = add i64 %a.twice, 2
  %a.first.p = getelementptr i64, ptr %frame, i64 %a.first.i
  %a.end.p = getelementptr i64, ptr %frame, i64 %a.end.i
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
  %op.mode = load i64, ptr %op
  %op.bytes.p = getelementptr i64, ptr %op, i64 1
  %op.bytes = load i64, ptr %op.bytes.p
  %op.base.p = getelementptr i64, ptr %op, i64 2
  %op.base = load i64, ptr %op.base.p
  %op.shift.p = getelementptr i64, ptr %op, i64 3
  %op.shift = load i64, ptr %op.shift.p
  %op.strides = getelementptr i64, ptr %op, i64 6
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
  %is.value = icmp eq i64 %op.mode, 0
  br i1 %is.value, label %value, label %pointer
pointer:
  %row.p = getelementptr i64, ptr %op, i64 5
  store i64 %address, ptr %row.p
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
  %b.twice = shl i64 %b.number, 1
  %b.first.i = add i64 %b.twice, 1
  %b.end.i = add i64 %b.twice, 2
  %b.first.p = getelementptr i64, ptr %frame, i64 %b.first.i
  %b.end.p = getelementptr i64, ptr %frame, i64 %b.end.i
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
}"""


# Addresses in it are taken once, so it must be made once, whatever threads ask for it first.
_MAKING = Lock()


def runtime() -> MachineCode:
    """Return the compiled loops: `run` and `run_all`."""
    with _MAKING:
        return _runtime()


@cache
def _runtime() -> MachineCode:
    return compile_ir("\n".join([_RUN, _RUN_ALL, _ROWS, TILES, ""]))
