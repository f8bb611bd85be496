"""Estimate how long an engine takes, from the primitive table.

A Job and the lengths of its axes enter; seconds leave. The rates were measured once, on two cores
of an AVX-512 processor (`python -m benchmarks` prints yours): they need only tell seconds from
milliseconds.
"""

from collections.abc import Mapping

from gradsweep.engines.job import Job
from gradsweep.engines.stages import flops_over

__all__ = ["compiling_seconds", "interpreting_seconds", "running_seconds"]

_SECONDS_PER_MODULE = 8e-3
_SECONDS_PER_COMPILED_EQUATION = 6e-5
_SECONDS_PER_COMPILED_FLOP = 1e-10
_SECONDS_PER_NUMPY_CALL = 2e-6
_SECONDS_PER_NUMPY_FLOP = 1e-9


def compiling_seconds(job: Job) -> float:
    """Estimate compiling a Program."""
    program = job.traced.program
    assert program is not None
    return _SECONDS_PER_MODULE + _SECONDS_PER_COMPILED_EQUATION * program.n_written


def running_seconds(job: Job, axes: Mapping[str, int]) -> float:
    """Estimate running a compiled Program."""
    return _SECONDS_PER_COMPILED_FLOP * flops_over(job.stages, axes)


def interpreting_seconds(job: Job, axes: Mapping[str, int]) -> float:
    """Estimate running a Program in NumPy, one call for each equation."""
    program = job.traced.program
    assert program is not None
    flops = flops_over(job.stages, axes)
    return _SECONDS_PER_NUMPY_CALL * program.n_computed + _SECONDS_PER_NUMPY_FLOP * flops
