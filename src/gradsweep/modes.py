"""Choose between forward and reverse mode, by what each would cost over a sweep.

A Request and a point enter, the derivative traced in one of them leaves.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from gradsweep import frontends
from gradsweep.dependence import analyse
from gradsweep.derivative import Mode
from gradsweep.leaf import Leaf
from gradsweep.memory import n_points
from gradsweep.request import Request
from gradsweep.stages import make_stages
from gradsweep.traced import Traced

__all__ = ["trace_cheapest"]


def trace_cheapest(
    request: Request, framework: str | None, point: Mapping[str, np.ndarray]
) -> Traced:
    """Trace a derivative, in forward or reverse mode as costs less over this sweep."""
    derivative, leaves = request.derivative, request.leaves

    def trace(mode: Mode) -> Traced:
        return frontends.trace(request.bound, replace(derivative, mode=mode), point, framework)

    if derivative.mode != "auto":
        return trace(derivative.mode)
    n_inputs = sum(leaves[key].n_elements for key in derivative.wrt)
    if derivative.quantity == "gradient":
        reverse = trace("reverse")
        if not _may_gain(reverse, n_inputs):
            return reverse
        return _cheaper(reverse, trace("forward"), leaves)
    if derivative.quantity not in ("jacobian", "contributions"):
        return trace("reverse")
    if n_inputs == 1:
        return trace("forward")
    reverse = trace("reverse")
    shapes = {r.output: r.output_shape for r in reverse.results}
    n_outputs = sum(int(np.prod(shape)) for shape in shapes.values())
    # Forward mode costs in proportion to the inputs: with many more of them it cannot win.
    if n_inputs > 4 * n_outputs or n_outputs == 1:
        return reverse
    try:
        forward = trace("forward")
    except (NotImplementedError, RuntimeError) as error:
        # torch has no forward rule for some operations.
        if not _has_no_rule(error):
            raise
        return reverse
    if forward.program is None and reverse.program is None:
        return forward if n_inputs < n_outputs else reverse
    return _cheaper(reverse, forward, leaves)


def _has_no_rule(error: Exception) -> bool:
    message = str(error)
    return "derivative for" in message or "forward AD" in message


# Of a gradient with more inputs than this, forward mode computes more than reverse mode.
_FEW_INPUTS = 8


def _may_gain(reverse: Traced, n_inputs: int) -> bool:
    """Tell whether forward mode may be better for a gradient: it keeps nothing of a loop's steps,
    where reverse mode reads them all again.
    """
    if reverse.program is None:
        return reverse.is_too_long and n_inputs <= _FEW_INPUTS
    return any(loop.n_rows_left for loop in reverse.program.loops) and n_inputs <= _FEW_INPUTS


def _cheaper(reverse: Traced, forward: Traced, leaves: Mapping[str, Leaf]) -> Traced:
    if forward.program is None or reverse.program is None:
        return reverse if forward.program is None else forward
    return min(reverse, forward, key=lambda traced: _total_flops(traced, leaves))


def _total_flops(traced: Traced, leaves: Mapping[str, Leaf]) -> int:
    """Estimate the floating-point operations of a Program over a sweep."""
    program = traced.program
    assert program is not None
    sizes = {dim: size for leaf in leaves.values() for dim, size in leaf.sizes.items()}
    return sum(
        stage.flops * n_points(stage.axes, sizes)
        for stage in make_stages(program, analyse(program, leaves))
    )
