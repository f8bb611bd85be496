"""Estimate how long an engine takes, from the primitive table.

A Job and the lengths of its axes enter; seconds leave. The rates were measured once, those of
running on an AVX-512 processor, those of compiling on one with AVX2 (`python -m benchmarks` prints
yours): they need only tell seconds from milliseconds.
"""

from collections.abc import Mapping

from gradsweep.engines.fused.lowering.schedule import make_schedule
from gradsweep.engines.job import Job
from gradsweep.engines.stages import flops_over
from gradsweep.program.program import count_written

__all__ = ["compiling_seconds", "interpreting_seconds", "running_seconds"]

_SECONDS_PER_MODULE = 3.5e-2
_SECONDS_PER_COMPILED_EQUATION = 7e-5
_SECONDS_PER_SLOT = 6e-5
_SECONDS_PER_CARRY = 2.5e-4
_SECONDS_PER_COMPILED_FLOP = 1e-10
_SECONDS_PER_NUMPY_CALL = 2e-6
_SECONDS_PER_NUMPY_FLOP = 1e-9


def compiling_seconds(job: Job) -> float:
    """Estimate compiling a Program, within a factor of 2.

    It grows with the equations as they are written, with the arrays and numbers that pass between
    memory and registers, and with the carries that loops begin with; not with the steps of a loop,
    nor with the points. The rates were fitted to 17 Programs of 75 to 17,500 equations.
    """
    program = job.traced.program
    assert program is not None
    nests = make_schedule(job, job.axes).nests
    return (
        _SECONDS_PER_MODULE
        + _SECONDS_PER_COMPILED_EQUATION * sum(count_written(n.equations.values()) for n in nests)
        + _SECONDS_PER_SLOT * sum(len(nest.reads) + len(nest.writes) for nest in nests)
        + _SECONDS_PER_CARRY * sum(loop.n_carries for loop in program.loops)
    )


def running_seconds(job: Job, axes: Mapping[str, int]) -> float:
    """Estimate running a compiled Program."""
    return _SECONDS_PER_COMPILED_FLOP * flops_over(job.stages, axes)


def interpreting_seconds(job: Job, axes: Mapping[str, int]) -> float:
    """Estimate running a Program in NumPy, one call for each equation."""
    program = job.traced.program
    assert program is not None
    flops = flops_over(job.stages, axes)
    return _SECONDS_PER_NUMPY_CALL * program.n_computed + _SECONDS_PER_NUMPY_FLOP * flops
