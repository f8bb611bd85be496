"""The engines, and the choice among them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Literal

import numpy as np

from gradsweep.engines.cost import compiling_seconds, interpreting_seconds, running_seconds
from gradsweep.engines.fused import FusedEngine
from gradsweep.engines.job import Engine, Job, Kernel, Leaves
from gradsweep.engines.loop import LoopEngine
from gradsweep.engines.numpy import ReferenceEngine
from gradsweep.engines.torch import TorchEngine
from gradsweep.engines.xla import XlaEngine
from gradsweep.support.duration import format_seconds
from gradsweep.support.errors import ArgumentError, EngineError, nearest

__all__ = [
    "ENGINES",
    "Choice",
    "ComputeOptions",
    "EngineName",
    "choose",
    "is_mapped",
    "make_kernel",
]

EngineName = Literal["auto", "fused", "reference", "xla", "torch", "loop"]

# In order of preference: the first that does not refuse is taken.
ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (FusedEngine(), ReferenceEngine(), XlaEngine(), TorchEngine(), LoopEngine())
}

# Compiling that takes longer than this has to save time.
_NOTICEABLE_SECONDS = 0.5


@dataclass(frozen=True)
class ComputeOptions:
    """How to compute, not what.

    Attributes:
        engine: a name, or "auto".
        framework: "torch" or "jax"; None to choose by the function and its values.
        compile: whether the torch engine goes through torch.compile.
        threads: how many threads the fused engine may use; None for as many as the process may.
        is_reused: whether the kernel runs so often that compiling is worth any time it takes.
    """

    engine: str = "auto"
    framework: str | None = None
    compile: bool = False
    threads: int | None = None
    is_reused: bool = False

    def __post_init__(self) -> None:
        n = self.threads
        if n is not None and (not isinstance(n, Integral) or isinstance(n, bool) or n < 1):
            raise ArgumentError(f"threads={n!r}: give a whole number, 1 or more")
        if not isinstance(self.engine, str):
            raise ArgumentError(f"there is no engine {self.engine!r}; name one, or 'auto'.")


@dataclass(frozen=True)
class Choice:
    """The engine for a job, and why each one before it was not taken.

    Attributes:
        most_runs: after how many runs compiling would have cost less; infinite if never.
    """

    engine: Engine
    refused: Mapping[str, str]
    most_runs: float = math.inf


def choose(job: Job, axes: Mapping[str, int], options: ComputeOptions) -> Choice:
    """Pick an engine by name, or the first that can run the job and is worth preparing.

    Raises:
        ArgumentError: when there is no engine of that name, or an option is not for it.
        EngineError: when the engine asked for cannot run the job.
    """
    engines = _with_options(options)
    wanted = "torch" if options.compile else options.engine
    if wanted == "auto":
        return _first_suitable(engines, job, axes, options.is_reused)
    if wanted not in engines:
        raise ArgumentError(
            f"there is no engine {wanted!r}; there are auto, {', '.join(engines)}."
            f"{nearest(wanted, engines)}"
        )
    reason = engines[wanted].refuses(job)
    if reason:
        raise EngineError(
            f"engine={wanted!r} cannot run this: {reason}.\nUse engine='auto' to have one picked."
        )
    return Choice(engines[wanted], {})


def is_mapped(job: Job) -> bool:
    """Tell whether the function's own framework runs it over many points at once."""
    own = ENGINES["xla" if job.traced.framework == "jax" else "torch"]
    return not own.refuses(job)


def make_kernel(engine: Engine, job: Job) -> Kernel:
    """Prepare an engine for a job.

    An engine that runs the function itself computes a result at the first point of each axis that
    it does not vary with. Zero times infinity may be NaN there but 0 in the Program, which knows
    that the zero is structural: so the Program's value replaces a NaN of such a result.
    """
    kernel = engine.prepare(job)
    is_held = [len(dims) < len(job.axes) for dims in job.dims]
    if engine.runs_programs or job.traced.program is None or not any(is_held):
        return kernel

    def settled(leaves: Leaves, arrays: Sequence[np.ndarray]) -> None:
        kernel(leaves, arrays)
        chosen = [k for k, array in enumerate(arrays) if is_held[k] and array.dtype.kind == "f"]
        if any(np.isnan(arrays[k]).any() for k in chosen):
            found = [np.empty_like(array) for array in arrays]
            ENGINES["reference"].prepare(job)(leaves, found)
            for k in chosen:
                np.copyto(arrays[k], found[k], where=np.isnan(arrays[k]))

    return settled


def _with_options(options: ComputeOptions) -> dict[str, Engine]:
    """Return the engines with the user's options."""
    engines = dict(ENGINES)
    if options.compile:
        if options.engine not in ("auto", "torch"):
            raise ArgumentError(f"compile=True is for engine='torch', not {options.engine!r}")
        engines["torch"] = TorchEngine(compile=True)
    if options.threads is not None:
        engines["fused"] = FusedEngine(threads=options.threads)
    return engines


def _first_suitable(
    engines: Mapping[str, Engine], job: Job, axes: Mapping[str, int], is_reused: bool
) -> Choice:
    refused: dict[str, str] = {}
    most_runs = math.inf
    for engine in engines.values():
        reason = engine.refuses(job)
        if not reason and engine.compiles and not is_reused:
            reason, most_runs = _not_worth_it(job, axes)
        if not reason:
            return Choice(engine, refused, most_runs)
        refused[engine.name] = reason
    raise AssertionError("the loop engine refuses nothing")


def _not_worth_it(job: Job, axes: Mapping[str, int]) -> tuple[str, float]:
    """Return why compiling costs more than a run saves, or "", and how many runs pay for it."""
    compiling, interpreting = compiling_seconds(job), interpreting_seconds(job, axes)
    running = running_seconds(job, axes)
    if compiling + running < max(_NOTICEABLE_SECONDS, interpreting):
        return "", math.inf
    saved = interpreting - running
    most_runs = math.ceil(compiling / saved) if saved > 0 else math.inf
    return (
        f"compiling it takes about {format_seconds(compiling, 2)}, and so few points take about "
        f"{format_seconds(interpreting, 2)} without; after {most_runs} runs it is compiled"
    ), most_runs
