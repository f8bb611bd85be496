"""What a frontend hands on: a derivative traced at one point.

Knows nothing of how it was traced, nor of sweeps or engines.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

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
        is_too_long: whether that is its length, so that another mode may have one.
        depends: for each result, the keys of the leaves it may depend on. A leaf too many
            costs time; one missing would give wrong numbers.
        call: computes the results at one point with the framework's own operators, from its
            own arrays by leaf key, in a form that the framework can vectorise.
        eager: the same at one point and no more, for a loop over points: whatever the function
            does.
        by_rows: another Trace of it, for points where `call` and `eager` give NaN and need not;
            or None.
        context: what `call` and `eager` must run under, such as JAX's scoped x64.
        seconds: how long tracing took.
        mode: forward or reverse accumulation, as it was traced.
        is_unbranched: whether no Python code of the function read a traced value, so that it does
            the same at every point, Program or not.
        function: the user's, which `call` and `eager` call.
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
    by_rows: "Trace | None" = None
    function: Any = None
