"""gradsweep: compiled kernels of the fused engine, the labelled result, and the other engines."""

from functools import partial
from typing import Any

import numpy as np

import gradsweep as gs
from benchmarks.cases import Case, Problem
from benchmarks.rivals.base import Rival, Unavailable, Work
from gradsweep.engines.choice import ENGINES
from gradsweep.planning.preparing import PREPARED
from gradsweep.planning.traces import TRACES
from gradsweep.support.duration import format_seconds

__all__ = ["RIVALS"]


def _prepare(problem: Problem, engine: str, framework: str, reuses: bool = True) -> Work:
    """Compile a kernel; the same arrays go in at every call, and its own come back if it reuses."""
    function, options = _prepared(problem, engine, framework)
    kernel = gs.compile(problem.case.quantity, function, _sweep(problem), **options)
    swept = problem.swept
    held: dict[str, Any] | None = None

    def call():
        nonlocal held
        results = kernel.into(held, **swept)
        held = results if reuses else None
        return results

    def note() -> str:
        program = kernel.plan.branches[0].branch.traced.program
        size = f"{len(program.equations):,} equations" if program else "no Program"
        return f"{size}, traced in {format_seconds(kernel.plan.trace_seconds)}"

    return Work(call, partial(_read, problem.case), note)


def _prepare_labelled(problem: Problem, framework: str) -> Work:
    """Call the quantity as a user does: from a new Sweep to an xarray.Dataset."""
    function, options = _prepared(problem, "auto", framework)
    quantity = getattr(gs, problem.case.quantity)
    return Work(
        lambda: quantity(function, _sweep(problem), **options), partial(_read, problem.case)
    )


def _prepared(problem: Problem, engine: str, framework: str):
    """Return the function and the options, with nothing remembered from another rival."""
    case = problem.case
    if engine not in ("auto", *ENGINES):
        raise Unavailable(f"there is no engine {engine!r}")
    TRACES.clear()
    PREPARED.clear()
    options = {"engine": engine, "framework": framework, "mode": case.mode}
    return case.function(framework), options


def _sweep(problem: Problem) -> gs.Sweep:
    dims = problem.case.dims
    return gs.Sweep(**{n: (dims[n], v) if n in dims else v for n, v in problem.values.items()})


def _read(case: Case, results) -> list[np.ndarray]:
    """Return the arrays of a dict or a Dataset in the case's order."""
    return [np.asarray(results[name]) for name in case.results]


def _kernel(engine: str, framework: str, family: str, reuses: bool = True, **more: Any) -> Rival:
    return Rival(
        name=f"gradsweep {engine}, {framework}" + ("" if reuses else ", new arrays"),
        family=family,
        prepare=partial(_prepare, engine=engine, framework=framework, reuses=reuses),
        reuses_buffers=reuses,
        **more,
    )


RIVALS = (
    *(
        _kernel("fused", framework, family, reuses, is_ours=True)
        for family, reuses in {"gradsweep, out=": True, "gradsweep, new arrays": False}.items()
        for framework in ("jax", "torch")
    ),
    *(
        Rival(
            f"gradsweep labelled, {framework}",
            "gradsweep, labelled",
            partial(_prepare_labelled, framework=framework),
        )
        for framework in ("jax", "torch")
    ),
    *(
        _kernel(engine, framework, "gradsweep, other engines", loops=engine == "loop")
        for engine, framework in {
            "reference": "jax",
            "xla": "jax",
            "torch": "torch",
            "loop": "torch",
        }.items()
    ),
)
