"""What is decided once: a plan of a quantity, and a compiled kernel of one.

A quantity, a function, a Sweep and options enter.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gradsweep.planning.compiled import CompiledQuantity
from gradsweep.planning.options import also_by_name, requested, require_in_memory
from gradsweep.planning.plan import Plan
from gradsweep.planning.planner import make_plan
from gradsweep.request.sweep import Sweep

__all__ = ["compile", "plan"]

Function = Callable[..., Any]


@also_by_name
def compile(
    quantity: Function | str, f: Function, sweep: Sweep, *direction: Any, **options: Any
) -> CompiledQuantity:
    """Trace and compile a quantity once, to call it with new values.

    Args:
        quantity: a function such as `gs.gradient`, or its name.
        f: a function, as for `value`.
        sweep: its arguments; their dims are compiled in, their values and lengths are not.
            A Program is compiled to machine code even for few points.
        direction: the tangent, cotangent, std or words, for the quantities that take them.
        options: as for the quantity.

    Returns:
        A kernel; `kernel(S=new_spots, sigma=0.21)` returns a dict of arrays by variable name.
    """
    require_in_memory("compile", options, "a kernel returns arrays in memory")
    request, chosen = requested(quantity, f, sweep, direction, options)
    return CompiledQuantity(request, replace(chosen.computing, is_reused=True))


@also_by_name
def plan(
    quantity: Function | str, f: Function, sweep: Sweep, *direction: Any, **options: Any
) -> Plan:
    """Decide how a quantity is computed, and compute nothing yet.

    Args:
        quantity: a function such as `gs.gradient`, or its name.
        f: a function, as for `value`.
        sweep: its arguments.
        direction: the tangent, cotangent, std or words, for the quantities that take them.
        options: as for the quantity.

    Returns:
        A Plan. Printing it tells the engine and why, the stages, and the dims and bytes of the
        results; `plan.run()` computes them.
    """
    request, chosen = requested(quantity, f, sweep, direction, options)
    return make_plan(request, chosen.computing, chosen.destination)
