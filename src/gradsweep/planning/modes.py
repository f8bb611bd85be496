"""Choose between forward and reverse mode, by their costs over a sweep.

A Request and a point enter; the derivative, traced in one of the modes, leaves.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from gradsweep.engines.axes import analyse, result_dims
from gradsweep.engines.choice import is_mapped
from gradsweep.engines.frameworks import offered_by
from gradsweep.engines.job import Job
from gradsweep.engines.loop import at_point
from gradsweep.engines.stages import flops_over, make_stages
from gradsweep.interpreters import evaluate
from gradsweep.program.equations import MAX_EQUATIONS
from gradsweep.program.primitives import PRIMITIVES
from gradsweep.program.trace import Trace
from gradsweep.request.leaf import Leaf
from gradsweep.request.quantities import Derivative, Mode
from gradsweep.request.request import Request
from gradsweep.support.errors import MissingRule
from gradsweep.tracing.trace import trace

__all__ = ["trace_cheapest"]

# The other mode may gain by its loops, whose bodies are written once. Of one that is as long as
# this, most stands outside loops, and writing it takes seconds.
_MOST_OF_THE_OTHER = 50_000


def trace_cheapest(
    request: Request, framework: str | None, point: Mapping[str, np.ndarray]
) -> Trace:
    """Trace a derivative in the mode, forward or reverse, that costs less over this sweep.

    Where a framework has no rule for one way of differentiating, another is tried.

    Raises:
        MissingRule: when it has none in any mode; the error is the first mode's.
    """
    derivative, leaves = request.derivative, request.leaves

    def in_mode(mode: Mode, outer: Mode = "auto", max_equations: int = MAX_EQUATIONS) -> Trace:
        asked = replace(derivative, mode=mode, outer=outer)
        traced = trace(request.bound, asked, point, framework, max_equations)
        return _without_wrong_program(traced, point) if derivative.order > 2 else traced

    if derivative.quantity == "value":
        return in_mode("auto")
    if derivative.order > 1:
        inner: tuple[Mode, ...] = ("reverse", "forward")
        if derivative.mode != "auto":
            inner = (derivative.mode,)
        pairs: list[tuple[Mode, Mode]] = [(i, "auto") for i in inner]
        pairs += [(i, o) for i in inner for o in ("reverse", "forward")]
        first = _first_that_has_rules([partial(in_mode, *pair) for pair in pairs])
        if derivative.quantity != "laplacian" or first.framework != "jax":
            return first
        if derivative.mode != "auto" or first.mode == "forward":
            return first
        # Forward twice along each coordinate no other second derivative is formed. In torch a
        # pushforward is the transpose of a pullback, and forms them.
        try:
            other = in_mode("forward")
        except MissingRule:
            return first
        return other if first.program is None else _cheaper(first, other, leaves)
    if derivative.mode != "auto":
        try:
            return in_mode(derivative.mode)
        except MissingRule as error:
            raise MissingRule(f"{error}\nLeave mode out to have one picked.") from error
    n_inputs = sum(leaves[key].n_elements for key in derivative.wrt)
    n_outputs = 0
    modes: tuple[Mode, Mode] = ("reverse", "forward")
    if derivative.quantity == "jvp" or (derivative.quantity in _FULL and n_inputs == 1):
        modes = ("forward", "reverse")
    first = _first_that_has_rules([partial(in_mode, mode) for mode in modes])
    if derivative.quantity in _FULL and modes[0] == "reverse":
        shapes = {r.output: r.output_shape for r in first.results}
        n_outputs = sum(int(np.prod(shape)) for shape in shapes.values())
    if first.mode != modes[0]:
        return first
    is_slow = first.program is None and not _is_mapped(first, request)
    if not is_slow and not _may_gain(first, derivative, n_inputs, n_outputs):
        return first
    try:
        other = in_mode(modes[1], max_equations=_MOST_OF_THE_OTHER)
    except MissingRule:
        return first
    if first.program is not None or other.program is not None:
        return _cheaper(first, other, leaves)
    if is_slow:
        return other if _is_mapped(other, request) else first
    return other if n_inputs < n_outputs and _is_mapped(other, request) else first


# How far apart two computations of a result may be: of its largest number, and where all are 0.
_MOST_APART = 1e-3
_LEAST = 1e-9


def _without_wrong_program(traced: Trace, point: Mapping[str, np.ndarray]) -> Trace:
    """Return a trace, without its Program where that is not what torch computes at its point.

    torch's formulas for second derivatives choose between what is right and what would be infinite,
    and are not made to be differentiated: a Program of their derivatives may be NaN for it.
    """
    program = traced.program
    if program is None or traced.framework != "torch":
        return traced
    operations = {name: row.numpy for name, row in PRIMITIVES.items()}
    inputs = [np.ravel(point[leaf])[element] for leaf, element, _ in program.inputs]
    with np.errstate(all="ignore"):
        found = evaluate(program, operations, inputs, lambda c: np.dtype(c.dtype).type(c.value))
    with traced.context():
        results = at_point(traced, point)
    own = offered_by(traced.framework)
    for values, result in zip(found, results):
        exact = np.ravel(own.to_numpy(result)).astype(np.float64)
        known = np.isfinite(exact)
        apart = np.abs(np.asarray(values, np.float64)[known] - exact[known])
        if not np.all(apart <= _MOST_APART * np.max(np.abs(exact[known]), initial=0.0) + _LEAST):
            reason = "where it was traced, its Program does not give what torch does"
            return replace(traced, program=None, reason=reason)
    return traced


def _is_mapped(traced: Trace, request: Request) -> bool:
    """Tell whether a derivative without a Program runs over many points at once."""
    few = {key: leaf.head(3) for key, leaf in request.leaves.items()}
    axes = tuple(request.axes)
    return is_mapped(Job(traced, few, axes, result_dims(traced, None, few, axes), ()))


# The quantities that take all columns, or all rows: forward mode may take fewer.
_FULL = ("jacobian", "contributions", "uncertainty", "partials", "divergence", "curl")


def _first_that_has_rules(ways: Sequence[Callable[[], Trace]]) -> Trace:
    """Return the Trace of the first way that the framework has rules for."""
    missing: MissingRule | None = None
    for way in ways:
        try:
            return way()
        except MissingRule as error:
            missing = missing or error
    assert missing is not None
    raise missing


# For a gradient with more inputs than this, forward mode computes more than reverse mode.
_FEW_INPUTS = 8


def _may_gain(traced: Trace, derivative: Derivative, n_inputs: int, n_outputs: int) -> bool:
    """Tell whether the other mode may be better than the first."""
    if derivative.quantity in _FULL and n_outputs > 1:
        # Forward mode costs in proportion to the inputs: with many more of them it cannot win.
        return n_inputs <= 4 * n_outputs
    if derivative.quantity != "gradient" or n_inputs > _FEW_INPUTS:
        return False
    # Forward mode stores nothing at a loop's steps, while reverse mode reads them all again.
    if traced.program is None:
        return traced.is_too_long
    return any(loop.n_rows_left for loop in traced.program.loops)


def _cheaper(reverse: Trace, forward: Trace, leaves: Mapping[str, Leaf]) -> Trace:
    if forward.program is None or reverse.program is None:
        return reverse if forward.program is None else forward
    return min(reverse, forward, key=lambda traced: _flops(traced, leaves))


def _flops(traced: Trace, leaves: Mapping[str, Leaf]) -> int:
    """Estimate the floating-point operations of a Program over a sweep."""
    program = traced.program
    assert program is not None
    sizes = {dim: size for leaf in leaves.values() for dim, size in leaf.sizes.items()}
    return flops_over(make_stages(program, analyse(program, leaves)), sizes)
