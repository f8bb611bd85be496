"""Run torch's own control flow as Python's: torch.cond, while_loop and scan.

torch compiles each of them where it is called, even outside torch.compile, and its compiler would
trace this package's own code. Here Python runs them as branches and loops, and reads their
conditions as in any `if`.

Knows nothing of how operations are recorded.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from gradsweep.tracing.torch import private

__all__ = ["control_flow", "is_compiler_loaded", "without_compiling"]

Flat = Sequence[Any]


def is_compiler_loaded() -> bool:
    return "torch._dynamo" in sys.modules


def without_compiling() -> AbstractContextManager:
    """Let functions that torch.compile was called on run as they are written."""
    # While the compiler is not loaded nothing is compiled, and loading it takes a second.
    if torch.compiler.is_compiling() or not is_compiler_loaded():
        return nullcontext()
    try:
        return torch.compiler.set_stance("force_eager")
    except RuntimeError:  # this runs in what the compiler could not compile, and it knows
        return nullcontext()


def control_flow(function: Any) -> Callable | None:
    """Return the replacement of one of torch's operators of control flow; None for others."""
    name = private.higher_order_name(function)
    return _IN_PYTHON.get(name) if name else None


def _cond(predicate: Any, if_true: Callable, if_false: Callable, operands: Flat = ()) -> Any:
    return if_true(*operands) if predicate else if_false(*operands)


def _while_loop(goes_on: Callable, body: Callable, carried: Flat, additional: Flat = ()) -> tuple:
    while goes_on(*carried, *additional):
        carried = body(*carried, *additional)
    return tuple(carried)


def _scan(combine: Callable, carried: Flat, rows: Flat, additional: Flat = ()) -> tuple:
    n, left = len(carried), []
    for row in zip(*(array.unbind(0) for array in rows)):
        results = combine(*carried, *row, *additional)
        carried = results[:n]
        left.append(results[n:])
    return (*carried, *(torch.stack(column) for column in zip(*left)))


_IN_PYTHON: dict[str, Callable] = {"cond": _cond, "while_loop": _while_loop, "scan": _scan}
