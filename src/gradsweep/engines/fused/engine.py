"""The fused engine: a Program compiled to one machine-code loop for each of its stages.

One SIMD lane computes one point, with intermediates in registers; memory takes the results, and the
values that another stage or segment reads. Threads split the points. No lane depends on another, so
the bits of a result depend neither on the number of threads nor on where blocks begin.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from gradsweep.engines.fused.lowering.codegen import find_lanes, find_missing
from gradsweep.engines.fused.lowering.schedule import make_schedule
from gradsweep.engines.fused.runtime.frame import project_buffer_bytes
from gradsweep.engines.fused.runtime.kernel import FusedKernel
from gradsweep.engines.fused.runtime.pool import available_threads
from gradsweep.engines.fused.target import Isa, host
from gradsweep.engines.job import Job

__all__ = ["FusedEngine"]


@dataclass(frozen=True)
class FusedEngine:
    """Compile Programs with LLVM.

    Attributes:
        threads: how many threads split the points; None for as many as the process may use.
        isa: the instruction set; None for the processor's own.
    """

    name = "fused"
    runs_programs = True
    is_vectorised = True
    compiles = True

    threads: int | None = None
    isa: Isa | None = None

    def refuses(self, job: Job) -> str:
        program = job.traced.program
        if program is None:
            return job.traced.reason
        try:
            isa = self._isa
        except ImportError as error:
            return f"llvmlite cannot be loaded ({error})"
        for output in program.outputs:
            if len({program.dtype(variable) for variable in output.variables}) > 1:
                return f"the entries of {output.name} have several dtypes"
        missing = find_missing(program, find_lanes(program, isa), isa)
        return f"it has no machine code for {missing}" if missing else ""

    def scratch_bytes(self, job: Job, block: Mapping[str, int]) -> int:
        """Project the buffers between stages, and the vectors that a stage keeps in memory."""
        assert job.traced.program is not None
        lanes = find_lanes(job.traced.program, self._isa)
        n_threads = self.threads or available_threads()
        return project_buffer_bytes(make_schedule(job, job.axes), lanes, block, n_threads)

    def prepare(self, job: Job) -> FusedKernel:
        assert job.traced.program is not None
        lanes = find_lanes(job.traced.program, self._isa)
        return FusedKernel(job, lanes, self._isa, self.threads)

    @cached_property
    def _isa(self) -> Isa:
        return self.isa or host()
