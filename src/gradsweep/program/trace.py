"""Trace: a derivative traced at one point, all that an engine sees of a framework's tracing.

Knows nothing of how it was traced, nor of sweeps or engines.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradsweep.program.program import Program
from gradsweep.request.quantities import Mode, Result

__all__ = ["Trace"]


@dataclass(frozen=True, eq=False)
class Trace:
    """A derivative at one point, as a Program where it can be one.

    Attributes:
        framework: "torch" or "jax", whose operators differentiated it.
        results: the arrays it yields; the Program's outputs are in the same order.
        program: the Program, or None.
        reason: why there is no Program; "" when there is one.
        is_too_long: whether the reason is its length, so that another mode may give a Program.
        depends: for each result, the keys of the leaves it may depend on. A leaf too many
            costs time; one missing would give wrong numbers.
        call: computes the results at one point with the framework's own operators, from its
            own arrays by leaf key, in a form that the framework can vectorise.
        eager: the same for a plain loop over points; it need not be vectorised.
        by_rows: another Trace of the derivative, for points where `call` and `eager` give a
            needless NaN; or None.
        context: returns the context that `call` and `eager` must run in, such as JAX's scoped x64.
        seconds: how long tracing took.
        mode: forward or reverse accumulation, as it was traced.
        is_unbranched: whether no Python code of the function read a traced value, so that it does
            the same at every point, with or without a Program.
        solves: whether the function solves equations, which may have no solution at some points.
        function: the user's function, which `call` and `eager` call.
        point: the value of every leaf at the only point that it is known to hold at; None where it
            may hold at others.
    """

    framework: str
    results: tuple[Result, ...]
    program: Program | None
    reason: str
    depends: tuple[frozenset[str], ...]
    call: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    eager: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    context: Callable[[], AbstractContextManager]
    seconds: float
    mode: Mode = "auto"
    is_unbranched: bool = False
    is_too_long: bool = False
    solves: bool = False
    by_rows: "Trace | None" = None
    function: Any = None
    point: Mapping[str, np.ndarray] | None = None
