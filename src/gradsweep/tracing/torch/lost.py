"""Refuse a derivative that gets lost on the way from the arguments to the outputs.

A Watch of the derivative's run enters; an error, a warning or nothing leaves.
"""

import warnings
from collections.abc import Callable

from gradsweep.request.function import BoundFunction
from gradsweep.support.errors import DerivativeError, GradsweepWarning
from gradsweep.tracing.torch.meaning import Cut, Watch
from gradsweep.tracing.torch.recording import Recording, agree
from gradsweep.tracing.torch.source import instead

__all__ = ["require_no_cut", "require_whole"]

# The relative changes made to numbers that Python reads, to see whether results change.
_SHIFTS = 2.0**-26, 2.0**-25


def require_whole(bound: BoundFunction, watch: Watch, value: Callable[[Watch], Recording]) -> None:
    """Check that no derivative got lost on the way from the arguments to the outputs.

    Args:
        watch: the Watch under which the derivative was run.
        value: runs the function itself, watched.

    Raises:
        DerivativeError: when one did; it names the line.
    """
    require_no_cut(bound, watch)
    of_kind = {kind: [c for c in watch.reached if c.kind == kind] for kind in _ADVICE}
    for kind in ("no_grad", "copy"):
        if of_kind[kind] and not watch.is_connected:
            raise _lost(bound, of_kind[kind][0])
    if watch.reads and (line := _line_that_matters(watch, value)):
        read = next(read for read in watch.reads if read.line == line)
        raise DerivativeError(
            f"{bound.name} makes {read.name} of a traced value at {line}, and its result depends "
            f"on it: no derivative passes through.\n{instead(line, bound.is_numpys)}; or x.item(), "
            f"if a constant is meant."
        )
    for cut in of_kind["copy"]:
        warnings.warn(
            f"{cut.name} copies numbers out of traced values at {cut.line}, and no derivative "
            f"passes through it. Write torch.stack; or .detach(), if constants are meant.",
            GradsweepWarning,
            stacklevel=2,
        )


def require_no_cut(bound: BoundFunction, watch: Watch) -> None:
    """Check that no operation without a derivative lies before an output.

    Raises:
        DerivativeError: when one does; it names the operation and the line.
    """
    for cut in watch.reached:
        if cut.kind == "operation":
            raise _lost(bound, cut)


_ADVICE = {
    "operation": (
        "and torch has no derivative of {name}, at {line}.\nWrite the function without it, or "
        "x.detach() there if a constant is meant."
    ),
    "no_grad": (
        "and all of it is computed under torch.no_grad() or in inference mode, first at {line}: "
        "it has no derivative.\nLeave the context out, or compute its value with gs.value."
    ),
    "copy": (
        "and {name} copies numbers out of traced values, at {line}: no derivative passes "
        "through.\nWrite torch.stack, or torch.cat."
    ),
}


def _lost(bound: BoundFunction, cut: Cut) -> DerivativeError:
    advice = _ADVICE[cut.kind].format(name=cut.name, line=cut.line)
    return DerivativeError(f"a derivative of {bound.name} was asked for, {advice}")


def _line_that_matters(watch: Watch, value: Callable[[Watch], Recording]) -> str:
    """Return the first line whose numbers change what the function returns, or ""."""
    for line in dict.fromkeys(read.line for read in watch.reads):
        # Two changes are compared: with the unchanged numbers a comparison may hold by a hair.
        first, second = (value(Watch(perturbed=(frozenset([line]), by))) for by in _SHIFTS)
        if not agree(first, second):
            return line
    return ""
