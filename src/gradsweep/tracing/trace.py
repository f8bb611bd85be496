"""Trace a derivative at one point in its framework, which is loaded when it is first used."""

import importlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from gradsweep.program.equations import MAX_EQUATIONS
from gradsweep.program.trace import Trace
from gradsweep.request.framework import FRAMEWORKS
from gradsweep.request.function import BoundFunction, candidate_frameworks
from gradsweep.request.quantities import Derivative
from gradsweep.support.errors import ArgumentError, GradsweepError, MissingPackage, nearest
from gradsweep.support.words import listed
from gradsweep.tracing.integers import advice_on_integers
from gradsweep.tracing.numpy import in_dialect
from gradsweep.tracing.solving.collected import collecting

__all__ = ["trace"]


def trace(
    bound: BoundFunction,
    derivative: Derivative,
    point: Mapping[str, np.ndarray],
    framework: str | None = None,
    max_equations: int = MAX_EQUATIONS,
) -> Trace:
    """Trace a derivative at one point, in the framework that the function is written for.

    Args:
        point: the value of every leaf, directions included.
        framework: "torch" or "jax"; None to choose by the function and its values.
        max_equations: how many a Program of it may have.

    Raises:
        MissingPackage: when no framework that could trace it is installed.
    """
    if framework is not None and framework not in FRAMEWORKS:
        raise ArgumentError(
            f"there is no framework {framework!r}; use 'torch' or 'jax'."
            f"{nearest(framework, FRAMEWORKS)}"
        )
    bound = in_dialect(bound)
    candidates = (framework,) if framework else candidate_frameworks(bound)
    missing: MissingPackage | None = None
    failure: Exception | None = None
    found: Trace | None = None
    for candidate in candidates:
        try:
            frontend = importlib.import_module(f"gradsweep.tracing.{candidate}")
        except MissingPackage as error:
            missing = missing or error
            continue
        try:
            with collecting() as solutions:
                traced = frontend.trace(bound, derivative, point, max_equations)
            traced = replace(traced, solves=bool(solutions))
        except Exception as error:
            if found is None and not _is_of_another(error):
                _advise(bound, error)
                raise
            failure = failure or error
            continue
        if traced.program is not None:
            return traced
        # Without a Program the framework runs the derivative: XLA compiles it, torch's operations
        # run one by one. A function of operators alone may run in either, so the next is tried.
        found = traced
    if found is not None:
        return found
    if failure is not None:
        raise failure
    if len(candidates) > 1:
        raise MissingPackage(
            f"tracing {bound.name} needs torch or jax, and neither is installed.\n"
            f"pip install 'gradsweep[torch]', or pip install 'gradsweep[jax]'"
        )
    assert missing is not None
    raise missing


def _advise(bound: BoundFunction, error: Exception) -> None:
    """Add advice to an error of a function that needs an integer, or a point, and has none."""
    advice = advice_on_integers(bound, error)
    if empty := [axis for axis, length in bound.sweep.axes.items() if not length]:
        advice = f"The sweep has no points along {listed(empty)}; numbers are traced as 1 there."
    if advice and isinstance(error, GradsweepError):
        error.args = (f"{error}\n{advice}",)
    elif advice:
        error.add_note(advice)


def _is_of_another(error: Exception) -> bool:
    """Tell whether a function asks an array for an attribute that this framework's lack."""
    return (
        isinstance(error, AttributeError) and isinstance(error.name, str) and _is_array(error.obj)
    )


def _is_array(value: object) -> bool:
    return hasattr(value, "__array__")
