"""A traced derivative made ready to run: its stages, its engine, its kernel.

A Trace and the form of its leaves enter, a Prepared leaves. It outlives a sweep, so it holds only a
few of the sweep's points.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from gradsweep.engines.axes import analyse, result_dims
from gradsweep.engines.choice import Choice, ComputeOptions, choose, make_kernel
from gradsweep.engines.job import Bindable, Job, Kernel
from gradsweep.engines.stages import make_stages
from gradsweep.program.trace import Trace
from gradsweep.request.leaf import Leaf
from gradsweep.request.partition import Partition, choose_block
from gradsweep.support.memory import SCRATCH_BYTES

__all__ = ["Prepared", "prepare"]

# How many ways of cutting are kept: the parts of a sweep have few different lengths.
_CHUNKINGS_KEPT = 64


@dataclass(eq=False)
class Prepared:
    """A traced derivative with the engine that runs it, for any lengths of the axes.

    Attributes:
        n_runs: how often a sweep was run with it.
    """

    job: Job
    choice: Choice
    n_runs: int = 0
    _chunks: dict = field(default_factory=dict)

    def __deepcopy__(self, memo: dict) -> "Prepared":
        return self  # machine code is not copied, and none of this depends on a sweep's values

    @cached_property
    def kernel(self) -> Kernel:
        return make_kernel(self.choice.engine, self.job)

    @property
    def compile_seconds(self) -> float:
        """How long the engine has compiled so far, where it compiles by itself."""
        kernel = self.__dict__.get("kernel")  # it is not made only to tell
        return kernel.compile_seconds if isinstance(kernel, Bindable) else 0.0

    def scratch_bytes(self, block: Mapping[str, int]) -> int:
        """Project the bytes of the engine's intermediates on a block of the axes."""
        return self.choice.engine.scratch_bytes(self.job, block)

    def chunks(
        self, axes: Mapping[str, int], limit_bytes: int = SCRATCH_BYTES
    ) -> tuple[Partition, int]:
        """Cut the axes into chunks whose intermediates fit; return also the bytes of these."""
        key = (*axes.items(), limit_bytes)
        found = self._chunks.get(key)
        if found is None:
            block = choose_block(axes, self.scratch_bytes, limit_bytes)
            if len(self._chunks) >= _CHUNKINGS_KEPT:
                self._chunks.clear()
            found = self._chunks[key] = Partition(dict(axes), block), self.scratch_bytes(block)
        return found


def prepare(
    traced: Trace, leaves: Mapping[str, Leaf], axes: Mapping[str, int], options: ComputeOptions
) -> Prepared:
    """Find the stages of a derivative and choose its engine."""
    program = traced.program
    dependence = analyse(program, leaves) if program else None
    stages = make_stages(program, dependence) if program and dependence else ()
    dims = result_dims(traced, dependence, leaves, tuple(axes))
    few = {key: leaf.head(3) for key, leaf in leaves.items()}
    job = Job(traced, few, tuple(axes), dims, stages)
    return Prepared(job, choose(job, axes, options))
