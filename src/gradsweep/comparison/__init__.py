"""Race gradsweep's engines and the ways that people write by hand, on the user's machine.

A function, a Sweep and a quantity enter; a Comparison leaves.
A rival is a row of the table in rivals.py.
Never sees whether a derivative is right: it checks only that the rivals agree.
"""

import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral
from typing import Any

from gradsweep.comparison.conditions import alike
from gradsweep.comparison.meter import Meter
from gradsweep.comparison.problem import Problem, resized
from gradsweep.comparison.race import Row, run_race, warm_up
from gradsweep.comparison.result import Comparison
from gradsweep.comparison.rivals import RIVALS, Rival
from gradsweep.engines.fused.runtime.pool import available_threads
from gradsweep.planning.options import also_by_name, requested, require_in_memory
from gradsweep.request.request import Request
from gradsweep.request.sweep import Sweep
from gradsweep.support.errors import ArgumentError, SweepError, nearest

__all__ = ["RIVALS", "Comparison", "Rival", "Row", "compare"]


@also_by_name
def compare(
    f: Callable[..., Any],
    sweep: Sweep,
    *directions: Any,
    quantity: Callable[..., Any] | str = "gradient",
    rivals: str | Iterable[str | Rival] | None = None,
    points: Iterable[int] | None = None,
    budget_seconds: float = 60.0,
    progress: bool | None = None,
    rtol: float | None = None,
    **options: Any,
) -> Comparison:
    """Race the ways to compute a quantity of f over a sweep.

    The rivals are gradsweep's engines, and the ways that people write by hand in torch and in JAX.
    A torch function races in JAX too, and a JAX function in torch, as the Program of its value.
    Over categories, what is written by hand takes one after another, in a plain loop. A rival must
    agree with the reference before it is timed. Calls are timed in turns, all with the same number
    of threads.

    Args:
        f: a function.
        sweep: its arguments.
        directions: the tangent or cotangent, for the quantities that take one.
        quantity: `gs.gradient`, say, or its name.
        rivals: names of rivals, or Rivals of your own; by default every rival for the quantity.
        points: numbers of points; the swept axes are stretched or thinned to each of them by
            interpolation, but for axes of categories alone. By default the sweep as it is.
        budget_seconds: about how long it may take.
        progress: whether to show the progress; by default in a terminal.
        rtol: how far results may differ, relative to the largest value of each; by default 1e-9,
            or 2e-4 in float32.
        options: as for the quantity: `wrt`, `framework`, `threads`, ...

    Returns:
        A Comparison. Printing it gives the answer in a sentence, then a table for each size, then
        the rivals that did not take part, and why.

    Raises:
        ArgumentError: when a rival's name is unknown, an option is not for a race, or as the
            quantity raises it.
        SweepError: when the sweep has no points, or a size in `points` is less than 1.
    """
    require_in_memory("compare", options, "it computes in memory alone")
    _refuse(options, budget_seconds)
    request, asked = requested(quantity, f, sweep, directions, options)
    computing = asked.computing
    chosen = _chosen(rivals, request.derivative.quantity)
    if 0 in request.axes.values():
        raise SweepError(f"the sweep has no points to race over: {dict(request.axes)}.")
    problems = [Problem(each, computing) for each in _sized(request, points)]
    families = {rival.family for rival in chosen}
    n_steps = len(problems) * (len(chosen) + 1)
    with alike(families, computing.threads), Meter(n_steps, progress) as meter:
        warm_up(chosen)
        rows = run_race(problems, chosen, budget_seconds, meter.advance, rtol)
    plan = problems[0].plan
    return Comparison(
        function=plan.bound.name,
        quantity=plan.derivative.quantity,
        written_for=plan.framework,
        picked={problem.n_points: problem.plan.engine for problem in problems},
        rows=tuple(rows),
        machine=_machine(),
        n_threads=computing.threads or available_threads(),
    )


def _refuse(options: Mapping[str, Any], budget_seconds: float) -> None:
    """Refuse what makes no sense of a race."""
    for name in ("engine", "compile"):
        if name in options:
            raise ArgumentError(
                f"compare has no option {name!r}: every engine is raced. Name those to race in "
                f"rivals=[...]."
            )
    if not budget_seconds > 0:
        raise ArgumentError(f"budget_seconds={budget_seconds!r}: give some time, such as 60.")


def _sized(request: Request, points: Iterable[int] | None) -> list[Request]:
    """Return the request at each size, from the smallest, each once."""
    if points is None:
        return [request]
    sizes = list(points) if isinstance(points, Iterable) else [points]
    if not sizes or not all(isinstance(size, Integral) and size >= 1 for size in sizes):
        raise SweepError(
            f"points={points!r}: give sizes of one point or more, such as [9, 1000, 100_000]."
        )
    # An axis has a whole number of points, so two sizes may come to the same.
    found = {r.n_points: r for r in (resized(request, n) for n in sizes)}
    return [found[size] for size in sorted(found)]


def _chosen(rivals: str | Iterable[str | Rival] | None, quantity: str) -> list[Rival]:
    """Return the rivals to race: by default every rival for the quantity."""
    if rivals is None:
        return [rival for rival in RIVALS if quantity in rival.quantities]
    known = {rival.name: rival for rival in RIVALS}
    chosen: dict[str, Rival] = {}
    for rival in [rivals] if isinstance(rivals, str | Rival) else rivals:
        if isinstance(rival, str) and rival not in known:
            raise ArgumentError(
                f"there is no rival {rival!r}; there are {', '.join(map(repr, known))}."
                f"{nearest(rival, known)}"
            )
        found = known[rival] if isinstance(rival, str) else rival
        if chosen.setdefault(found.name, found) is not found:
            raise ArgumentError(f"two rivals are called {found.name!r}; rename one of them.")
    if not chosen:
        raise ArgumentError(f"rivals is empty; name some of {', '.join(map(repr, known))}.")
    return list(chosen.values())


def _machine() -> str:
    processor = platform.processor() or platform.machine()
    if sys.platform == "linux":
        with open("/proc/cpuinfo") as cpuinfo:
            models = [line.partition(":")[2].strip() for line in cpuinfo if "model name" in line]
        processor = models[0] if models else processor
    version = platform.python_version()
    return f"{processor}, {os.cpu_count()} processors, {platform.system()}, Python {version}"
