"""Check that tracing grows linearly with the length of a function.

A random body, from a type to itself, is repeated k, 2k and 4k times. While its derivative is
traced, the calls of gradsweep's own functions are counted. Counts are exact and the same on every
machine; a bound on time ends a trace that would not return.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import gradsweep
from gradsweep.planning.options import requested
from gradsweep.testing.fuzz.counts import Counts
from gradsweep.testing.fuzz.drawing.choices import Choices
from gradsweep.testing.fuzz.drawing.functions import REPEATED, DrawnFunction, draw_repeated
from gradsweep.testing.fuzz.drawing.scope import Statement
from gradsweep.testing.fuzz.limits import Late, at_most
from gradsweep.testing.fuzz.trial import Limits
from gradsweep.testing.fuzz.wrong import kind_of
from gradsweep.tracing.trace import trace

__all__ = ["calls_of_tracing", "check_body", "check_growth", "is_linear"]

_LENGTHS = (4, 8, 16)

# The most growth from 2k to 4k repetitions, relative to that from k to 2k: linear is 2, quadratic
# is 4.
_MOST_GROWTH = 2.8

# An excess of fewer calls than this is no concern.
_FEW_CALLS = 2000

_ROOT = str(Path(gradsweep.__file__).parent)


def check_growth(
    choices: Choices,
    framework: str,
    features: frozenset[str],
    counts: Counts,
    limits: Limits,
) -> None:
    """Draw a body and trace it at three lengths.

    Raises:
        Wrong: when tracing grows faster than linearly, or does not return.
    """
    body = draw_repeated(choices, framework, features)
    if body is not None:
        check_body(body, counts, limits)


def check_body(body: DrawnFunction, counts: Counts, limits: Limits) -> None:
    """Trace a body at three lengths.

    Raises:
        Wrong: as `check_growth` does.
    """
    found: list[int] = []
    for n in _LENGTHS:
        drawn = repeated(body, n)
        try:
            with at_most(limits.seconds):
                found.append(calls_of_tracing(drawn))
        except Late as late:
            told = f"tracing {n} repetitions took {late}; fewer took {found} calls"
            raise kind_of("growth")(drawn, None, told) from None
        except Exception:
            return  # judged where values are compared
    counts.n_growths += 1
    if not is_linear(found):
        told = f"tracing {_LENGTHS} repetitions took {tuple(found)} calls"
        raise kind_of("growth")(repeated(body, _LENGTHS[-1]), None, told)


def repeated(body: DrawnFunction, n: int) -> DrawnFunction:
    """Return the function whose one loop runs n times."""
    (loop,) = body.statements
    lines = (REPEATED.format(n), *loop.lines[1:])
    return replace(body, statements=(Statement(loop.feature, lines),))


def is_linear(found: list[int]) -> bool:
    """Tell whether counts at k, 2k and 4k grow linearly."""
    k, two_k, four_k = found
    return four_k - two_k <= _MOST_GROWTH * (two_k - k) + _FEW_CALLS


def calls_of_tracing(drawn: DrawnFunction) -> int:
    """Trace a Jacobian at the first point and count the calls of gradsweep's functions."""
    request, _ = requested("jacobian", drawn.make(), drawn.arguments.sweep, (), {})
    where = drawn.arguments.points()[0]
    point = {
        key: leaf.at({dim: where[dim] for dim in leaf.dims}) for key, leaf in request.leaves.items()
    }
    derivative = replace(request.derivative, mode="reverse")
    counter = _Counter()
    before = sys.getprofile()
    sys.setprofile(counter)
    try:
        trace(request.bound, derivative, point, drawn.computed_by)
    finally:
        sys.setprofile(before)
    return counter.n


@dataclass
class _Counter:
    n: int = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(_ROOT):
            self.n += 1
