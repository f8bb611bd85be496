"""Which way is fastest: gradsweep's engines and what people write by hand, on the user's machine.

A function, a Sweep and a quantity enter, as for the quantity itself; a Comparison leaves.
"""

import os
import platform
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from gradsweep import api
from gradsweep.comparison.problem import Problem, resized
from gradsweep.comparison.race import run_race
from gradsweep.comparison.result import Comparison
from gradsweep.comparison.rivals import RIVALS, Rival
from gradsweep.errors import ArgumentError, SweepError, nearest
from gradsweep.sweep import Sweep

__all__ = ["Comparison", "Rival", "compare"]


def compare(
    f: Callable[..., Any],
    sweep: Sweep,
    *directions: Any,
    quantity: Callable[..., Any] | str = "gradient",
    rivals: Sequence[str | Rival] | None = None,
    points: Sequence[int] | None = None,
    budget_seconds: float = 60.0,
    progress: bool | None = None,
    rtol: float | None = None,
    **options: Any,
) -> Comparison:
    """Race the ways to compute a quantity of f over a sweep.

    They are gradsweep's engines, and what people write by hand in torch and in JAX. A function of
    torch races in JAX too, and the other way round, as the Program of its value. All must agree
    before any is timed; calls are timed in turns.

    Args:
        f: a function.
        sweep: its arguments.
        directions: the tangent or cotangent, for the quantities that take one.
        quantity: `gs.gradient`, say, or its name.
        rivals: names of those to race, or Rivals of your own; by default all.
        points: sizes; the swept axes are stretched or thinned to each by interpolation. By
            default the sweep as it is.
        budget_seconds: about how long it may take.
        progress: whether to show what is being done; by default in a terminal.
        rtol: how far results may differ, relative to the largest of each.
        options: as for the quantity: `wrt`, `framework`, `threads`, ...

    Returns:
        A Comparison. Printing it gives the answer in a sentence, then a table for each size, then
        who did not take part and why.

    Raises:
        ArgumentError: when a rival's name is unknown, or as the quantity raises it.
        SweepError: when the sweep has no points, or fewer than one is asked for.
    """
    chosen = _chosen(rivals)
    request, computing, where = api.requested(quantity, f, sweep, directions, options)
    if where:
        raise ArgumentError(f"compare has no option {next(iter(where))!r}.")
    if 0 in request.axes.values():
        raise SweepError(f"the sweep has no points to race over: {dict(request.axes)}.")
    if points is not None and (not points or min(points) < 1):
        raise SweepError(f"points={list(points)}: give sizes of one point or more.")
    requests = [request] if points is None else [resized(request, n) for n in sorted(points)]
    problems = [Problem(each, computing) for each in requests]
    with _Spinner(progress) as advance:
        rows = run_race(problems, chosen, budget_seconds, advance, rtol)
    plan = problems[0].plan
    return Comparison(
        function=plan.bound.name,
        quantity=plan.derivative.quantity,
        written_for=plan.framework,
        picked={problem.n_points: problem.plan.engine for problem in problems},
        rows=tuple(rows),
        machine=_machine(),
    )


def _chosen(rivals: Sequence[str | Rival] | None) -> list[Rival]:
    if rivals is None:
        return list(RIVALS)
    known = {rival.name: rival for rival in RIVALS}
    chosen = []
    for rival in rivals:
        if isinstance(rival, str) and rival not in known:
            raise ArgumentError(
                f"there is no rival {rival!r}; there are {', '.join(map(repr, known))}."
                f"{nearest(rival, known)}"
            )
        chosen.append(known[rival] if isinstance(rival, str) else rival)
    return chosen


def _machine() -> str:
    processor = platform.processor() or platform.machine()
    if sys.platform == "linux":
        with open("/proc/cpuinfo") as cpuinfo:
            models = [line.partition(":")[2].strip() for line in cpuinfo if "model name" in line]
        processor = models[0] if models else processor
    version = platform.python_version()
    return f"{processor}, {os.cpu_count()} processors, {platform.system()}, Python {version}"


class _Spinner:
    """Shows what is being done: a line that is written over in a terminal."""

    def __init__(self, wanted: bool | None):
        self._wanted = sys.stderr.isatty() if wanted is None else wanted
        self._shown: AbstractContextManager[Any] = nullcontext()
        self._lock = threading.Lock()

    def __enter__(self) -> Callable[[str], None]:
        if not self._wanted:
            return lambda _: None
        if not sys.stderr.isatty():
            return lambda doing: print(f"gradsweep: {doing}", file=sys.stderr, flush=True)
        try:
            from rich.console import Console
        except ModuleNotFoundError:
            return lambda doing: print(f"gradsweep: {doing}", file=sys.stderr, flush=True)
        status = Console(stderr=True).status("racing")
        self._shown = status
        status.__enter__()
        return lambda doing: status.update(doing)

    def __exit__(self, *error: Any) -> None:
        self._shown.__exit__(*error)
