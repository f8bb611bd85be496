"""The fused engine: Programs as machine code, made with LLVM.

A Job enters; a kernel leaves. `lowering/` writes a Program in LLVM IR, `runtime/` runs the machine
code over points, and `target` knows the processor.
Never sees a framework.
"""

from gradsweep.engines.fused.engine import FusedEngine

__all__ = ["FusedEngine"]
