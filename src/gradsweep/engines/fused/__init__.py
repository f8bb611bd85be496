"""The fused engine: Programs as machine code, made with LLVM."""

from gradsweep.engines.fused.engine import FusedEngine

__all__ = ["FusedEngine"]
