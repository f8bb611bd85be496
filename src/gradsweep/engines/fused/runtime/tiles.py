"""Rows whose operands are copied into tiles, in LLVM IR."""

from gradsweep.engines.fused.runtime.fields import NEST, OPERAND, Mode, load

__all__ = ["TILES"]

# Runs one row tile by tile. A tile is never shorter than a vector, unless the row is: then its last
# element is repeated, and results beyond the row are dropped.
_TILES = f"""
define internal void @tiles(ptr %nest, ptr %table, ptr %operands, i64 %first, i64 %end) {{
entry:
  {load("%function", "%nest", NEST.function, "ptr")}
  {load("%tile", "%nest", NEST.tile_length)}
  {load("%lanes", "%nest", NEST.lanes)}
  {load("%n.outer", "%nest", NEST.n_outer)}
  {load("%n.operands", "%nest", NEST.n_operands)}
  {load("%memory", "%nest", NEST.tile_memory)}
  %size = add i64 %n.outer, {len(OPERAND)}
  br label %next.tile
next.tile:
  %at = phi i64 [ %first, %entry ], [ %at.next, %advance ]
  %left = sub i64 %end, %at
  %fits = icmp sle i64 %left, %tile
  %rest = sub i64 %left, %tile
  %rest.short = icmp slt i64 %rest, %lanes
  %shorter = sub i64 %left, %lanes
  %cut = select i1 %rest.short, i64 %shorter, i64 %tile
  %count = select i1 %fits, i64 %left, i64 %cut
  %padded = call i64 @llvm.smax.i64(i64 %count, i64 %lanes)
  %at.next = add i64 %at, %count
  %run.end = add i64 %at, %padded
  br label %in
in:
  %o = phi i64 [ 0, %next.tile ], [ %o.next, %in.done ]
  %place = phi i64 [ %memory, %next.tile ], [ %next.place, %in.done ]
  %o.more = icmp slt i64 %o, %n.operands
  br i1 %o.more, label %in.operand, label %compute
in.operand:
  %o.word = mul i64 %o, %size
  %op = getelementptr i64, ptr %operands, i64 %o.word
  {load("%mode", "%op", OPERAND.mode)}
  %is.tiled = icmp sge i64 %mode, {Mode.READ_BY_TILES}
  br i1 %is.tiled, label %in.tile, label %in.done
in.tile:
  {load("%bytes", "%op", OPERAND.n_bytes)}
  %back = mul i64 %at, %bytes
  %shifted = sub i64 %place, %back
  %entry.p = getelementptr i64, ptr %table, i64 %o
  store i64 %shifted, ptr %entry.p
  %tile.bytes = mul i64 %tile, %bytes
  %after = add i64 %place, %tile.bytes
  %is.read = icmp eq i64 %mode, {Mode.READ_BY_TILES}
  br i1 %is.read, label %in.copy, label %in.done
in.copy:
  {load("%stride", "%op", OPERAND.stride)}
  {load("%row", "%op", OPERAND.row)}
  %offset = mul i64 %at, %stride
  %source = add i64 %row, %offset
  call void @copy(i64 %place, i64 %bytes, i64 %source, i64 %stride, i64 %count, i64 %bytes)
  %filled = mul i64 %count, %bytes
  %pad.at = add i64 %place, %filled
  %last.index = sub i64 %count, 1
  %last.offset = mul i64 %last.index, %stride
  %last = add i64 %source, %last.offset
  %n.pad = sub i64 %padded, %count
  call void @copy(i64 %pad.at, i64 %bytes, i64 %last, i64 0, i64 %n.pad, i64 %bytes)
  br label %in.done
in.done:
  %next.place = phi i64 [ %place, %in.operand ], [ %after, %in.tile ], [ %after, %in.copy ]
  %o.next = add i64 %o, 1
  br label %in
compute:
  call void %function(ptr %table, i64 %at, i64 %run.end)
  br label %out
out:
  %w = phi i64 [ 0, %compute ], [ %w.next, %out.done ]
  %w.more = icmp slt i64 %w, %n.operands
  br i1 %w.more, label %out.operand, label %advance
out.operand:
  %w.word = mul i64 %w, %size
  %wop = getelementptr i64, ptr %operands, i64 %w.word
  {load("%w.mode", "%wop", OPERAND.mode)}
  %is.written = icmp eq i64 %w.mode, {Mode.WRITTEN_BY_TILES}
  br i1 %is.written, label %out.copy, label %out.done
out.copy:
  {load("%w.bytes", "%wop", OPERAND.n_bytes)}
  {load("%w.stride", "%wop", OPERAND.stride)}
  {load("%w.row", "%wop", OPERAND.row)}
  %w.offset = mul i64 %at, %w.stride
  %target = add i64 %w.row, %w.offset
  %w.entry.p = getelementptr i64, ptr %table, i64 %w
  %w.entry = load i64, ptr %w.entry.p
  %w.forth = mul i64 %at, %w.bytes
  %w.tile = add i64 %w.entry, %w.forth
  call void @copy(i64 %target, i64 %w.stride, i64 %w.tile, i64 %w.bytes, i64 %count, i64 %w.bytes)
  br label %out.done
out.done:
  %w.next = add i64 %w, 1
  br label %out
advance:
  %more = icmp slt i64 %at.next, %end
  br i1 %more, label %next.tile, label %exit
exit:
  ret void
}}"""

# Copies elements of `bytes` each from one stride to another.
_COPY = """
define internal void @copy(i64 %to, i64 %to.stride, i64 %from, i64 %stride, i64 %n, i64 %bytes) {
  switch i64 %bytes, label %one [ i64 8, label %eight
                                  i64 4, label %four ]
eight:
  call void @copy.i64(i64 %to, i64 %to.stride, i64 %from, i64 %stride, i64 %n)
  ret void
four:
  call void @copy.i32(i64 %to, i64 %to.stride, i64 %from, i64 %stride, i64 %n)
  ret void
one:
  call void @copy.i8(i64 %to, i64 %to.stride, i64 %from, i64 %stride, i64 %n)
  ret void
}"""

_COPY_OF = """
define internal void @copy.{t}(i64 %to, i64 %to.stride, i64 %from, i64 %stride, i64 %n) {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %body ]
  %target = phi i64 [ %to, %entry ], [ %target.next, %body ]
  %source = phi i64 [ %from, %entry ], [ %source.next, %body ]
  %more = icmp slt i64 %i, %n
  br i1 %more, label %body, label %exit
body:
  %source.p = inttoptr i64 %source to ptr
  %target.p = inttoptr i64 %target to ptr
  %value = load {t}, ptr %source.p
  store {t} %value, ptr %target.p
  %i.next = add i64 %i, 1
  %target.next = add i64 %target, %to.stride
  %source.next = add i64 %source, %stride
  br label %loop
exit:
  ret void
}}"""

# All functions that run a row in tiles.
TILES = "\n".join([_TILES, _COPY, *(_COPY_OF.format(t=t) for t in ("i64", "i32", "i8"))])
