"""The engines, and the choice among them."""

from collections.abc import Mapping
from dataclasses import dataclass

from gradsweep.engines.base import Engine, Job
from gradsweep.engines.loop import LoopEngine
from gradsweep.engines.reference import ReferenceEngine
from gradsweep.engines.torch import TorchEngine
from gradsweep.engines.xla import XlaEngine
from gradsweep.errors import ArgumentError, EngineError, nearest

__all__ = ["ENGINES", "Choice", "choose"]

# In order of preference: the first that does not refuse is the one.
ENGINES: dict[str, Engine] = {
    engine.name: engine for engine in (ReferenceEngine(), XlaEngine(), TorchEngine(), LoopEngine())
}


@dataclass(frozen=True)
class Choice:
    """The engine for a job, and why each one before it was not taken."""

    engine: Engine
    refused: Mapping[str, str]


def choose(job: Job, wanted: str, compile: bool = False) -> Choice:
    """Pick an engine by name, or the first that can run the job.

    Raises:
        ArgumentError: when there is no engine of that name.
        EngineError: when the engine asked for cannot run the job.
    """
    engines = dict(ENGINES)
    if compile:
        if wanted not in ("auto", "torch"):
            raise ArgumentError(f"compile=True is for engine='torch', not {wanted!r}")
        engines, wanted = {**engines, "torch": TorchEngine(compile=True)}, "torch"
    if wanted == "auto":
        refused: dict[str, str] = {}
        for engine in engines.values():
            reason = engine.refuses(job)
            if not reason:
                return Choice(engine, refused)
            refused[engine.name] = reason
        raise AssertionError("the loop engine refuses nothing")
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
