"""Traces that are kept, and used again where they hold.

A Request and options enter; a Tracer leaves, which returns a Trace for a point.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradsweep.engines.choice import ComputeOptions
from gradsweep.planning.branches import Tracer, holds_at
from gradsweep.planning.decision import labels_of
from gradsweep.planning.modes import trace_cheapest
from gradsweep.program.rolling import rolled
from gradsweep.program.trace import Trace
from gradsweep.request.identity import Unknown, identity
from gradsweep.request.request import Request
from gradsweep.results.names import require_distinct_names
from gradsweep.support.cache import Cache
from gradsweep.support.outside import watched

__all__ = ["TRACES", "holds_elsewhere", "tracer"]

# How many ways through a function's branches are kept: code that counts has one for each number.
_MOST_TRACES = 256

# By function and form of its arguments.
TRACES: Cache[list[Trace]] = Cache(size=256)


def tracer(request: Request, options: ComputeOptions, known: list[Trace] | None = None) -> Tracer:
    """Return what traces a request at a point, or finds a trace that holds there.

    Args:
        known: traces to use where they hold, and to add new ones to; by default those that are
            kept for functions that do the same.
    """
    kept = _kept(request, options) if known is None else known
    return _Reusing(kept, request, options.framework, is_kernel=known is not None)


def _kept(request: Request, options: ComputeOptions) -> list[Trace]:
    """Return the traces that are kept for functions that do the same, to which new ones go."""
    try:
        key = (
            identity(request.bound.function),
            tuple((a.name, a.is_single, a.origin) for a in request.bound.arguments),
            identity([a.form for a in request.bound.arguments if not a.is_single]),
            tuple(
                (key, leaf.dims, leaf.shape, leaf.dtype, leaf.is_complex)
                for key, leaf in request.leaves.items()
            ),
            request.derivative,
            options.framework,
        )
    except Unknown:
        return []
    return TRACES.get(key, list)


def holds_elsewhere(traced: Trace) -> bool:
    """Tell whether a trace may hold at other points than its own."""
    return traced.program is not None or traced.is_unbranched


@dataclass(frozen=True)
class _Reusing:
    """A Tracer that returns a known trace where it holds, and else adds a new one.

    Attributes:
        is_kernel: whether the trace of a function that read files and the like is kept too.
    """

    kept: list[Trace]
    request: Request
    framework: str | None
    is_kernel: bool

    @property
    def known(self) -> Sequence[Trace]:
        return [traced for traced in self.kept if traced.point is None and self._is_own(traced)]

    def __call__(self, point: Mapping[str, np.ndarray], /) -> Trace:
        for traced in self.kept:
            if self._is_own(traced) and holds_at(traced, point):
                return traced
        with watched() as read:
            traced = self._trace(point)
        if self.is_kernel or not read:
            traced = traced if holds_elsewhere(traced) else replace(traced, point=point)
            self.kept.append(traced)
            del self.kept[:-_MOST_TRACES]
        return traced

    def _is_own(self, traced: Trace) -> bool:
        # Without a Program, torch calls the trace's function, which must be this one.
        is_called = traced.program is None and traced.framework == "torch"
        return not is_called or traced.function is self.request.bound.function

    def _trace(self, point: Mapping[str, np.ndarray]) -> Trace:
        """Trace a derivative whose results have names of their own, what it repeats in Loops."""
        request = self.request
        traced = trace_cheapest(request, self.framework, point)
        require_distinct_names(labels_of(request.bound), traced.results, request.axes)
        if traced.program is None:
            return traced
        # A trace is kept for the dims of leaves, whatever those of their parts are.
        leaves = [(entry, request.leaves[entry.leaf]) for entry in traced.program.inputs]
        sets = [[(leaf.key, e.element)] if leaf.parts else leaf.dims for e, leaf in leaves]
        return replace(traced, program=rolled(traced.program, sets))
