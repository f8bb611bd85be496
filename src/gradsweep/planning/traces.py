"""Traces that are kept, and used again where they hold.

A Request and options enter; a Tracer leaves, which returns a Trace for a point.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from gradsweep.engines.choice import ComputeOptions
from gradsweep.planning.branches import Tracer, holds_at
from gradsweep.planning.decision import labels_of
from gradsweep.planning.modes import trace_cheapest
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
    """Return a function that traces a request at a point, or finds a trace that holds there.

    Args:
        known: traces to use where they hold, and to add new ones to; by default those that are
            kept for functions that do the same.
    """
    anew = partial(_trace_named, request, options.framework)
    if known is not None:
        return _reusing(known, anew, request.bound.function, is_kernel=True)
    try:
        key = (
            identity(request.bound.function),
            tuple((a.name, a.is_single, a.origin) for a in request.bound.arguments),
            identity([a.form for a in request.bound.arguments if not a.is_single]),
            tuple((k, leaf.dims, leaf.shape, leaf.dtype) for k, leaf in request.leaves.items()),
            request.derivative,
            options.framework,
        )
    except Unknown:
        return anew
    return _reusing(TRACES.get(key, list), anew, request.bound.function)


def holds_elsewhere(traced: Trace) -> bool:
    """Tell whether a trace may hold at other points than its own."""
    return traced.program is not None or traced.is_unbranched


def _reusing(known: list[Trace], trace: Tracer, function: Any, is_kernel: bool = False) -> Tracer:
    """Return a Tracer that returns a known trace where it holds, and else adds a new one.

    Args:
        is_kernel: whether the trace of a function that read files and the like is kept too.
    """

    def reused(point: Mapping[str, np.ndarray]) -> Trace:
        for traced in known:
            # Without a Program, torch calls the trace's function, which must be this one.
            is_called = traced.program is None and traced.framework == "torch"
            if (traced.function is function or not is_called) and holds_at(traced, point):
                return traced
        with watched() as read:
            traced = trace(point)
        if holds_elsewhere(traced) and (is_kernel or not read):
            known.append(traced)
            del known[:-_MOST_TRACES]
        return traced

    return reused


def _trace_named(request: Request, framework: str | None, point: Mapping[str, np.ndarray]) -> Trace:
    """Trace a derivative whose results have names of their own."""
    traced = trace_cheapest(request, framework, point)
    require_distinct_names(labels_of(request.bound), traced.results, request.axes)
    return traced
