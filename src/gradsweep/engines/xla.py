"""The xla engine: jax.jit of nested jax.vmap, one output array for each result.

Results that vary with the same axes share one compiled function, vectorised over just those
axes. They are never stacked: XLA would compute the whole function again for each row.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradsweep.engines.job import (
    Job,
    Kernel,
    Leaves,
    groups_by_dims,
    needs_framework,
    reduced,
    unknown_scratch_bytes,
    vectorised,
)
from gradsweep.support.errors import require

__all__ = ["XlaEngine"]

# XLA's usual way of fusing operations for a CPU fails for some selects among selects (jaxlib
# 0.10.2): "Unknown MLIR failure". The way that it had before takes them.
_FUSED_AS_BEFORE = {"xla_cpu_use_fusion_emitters": False}


def _compiled(jax: Any, function: Callable) -> Callable:
    """Return a jitted function, which is compiled in another way where XLA fails in the usual."""
    run = jax.jit(function)

    def call(values: Mapping[str, np.ndarray]) -> Sequence[Any]:
        nonlocal run
        try:
            return run(values)
        except jax.errors.JaxRuntimeError as error:
            if "MLIR" not in str(error):
                raise
        run = jax.jit(function, compiler_options=_FUSED_AS_BEFORE)
        return run(values)

    return call


class XlaEngine:
    name = "xla"
    runs_programs = False
    is_vectorised = True
    compiles = False

    def refuses(self, job: Job) -> str:
        if reason := needs_framework(job, "jax"):
            return reason
        jax = require("jax", "the xla engine")
        # Lowering finds rules that vmap or XLA lacks, without compiling anything.
        try:
            with job.traced.context():
                for dims, positions in groups_by_dims(job):
                    values = {k: reduced(leaf, dims)[1] for k, leaf in job.leaves.items()}
                    jax.jit(vectorised(job, dims, positions, jax.vmap)).lower(values)
        except Exception as error:
            return f"jax.vmap fails on it ({type(error).__name__}: {str(error).splitlines()[0]})"
        return ""

    def scratch_bytes(self, job: Job, block: Mapping[str, int]) -> int:
        return unknown_scratch_bytes(job, block)

    def prepare(self, job: Job) -> Kernel:
        jax = require("jax", "the xla engine")
        compiled = [
            (dims, positions, _compiled(jax, vectorised(job, dims, positions, jax.vmap)))
            for dims, positions in groups_by_dims(job)
        ]

        def kernel(leaves: Leaves, arrays: Sequence[np.ndarray]) -> None:
            with job.traced.context():
                for dims, positions, function in compiled:
                    if arrays[positions[0]].size == 0:
                        continue
                    values = {key: reduced(leaf, dims)[1] for key, leaf in leaves.items()}
                    for position, result in zip(positions, function(values)):
                        arrays[position][...] = np.asarray(result)

        return kernel
