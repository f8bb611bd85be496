"""Trace a derivative of a torch function at one point.

A bound function, a Derivative and a point enter; a Traced leaves: a Program where the function's
operations allow one, and the function itself in torch's own forms.
Never sees a sweep's axes, nor an engine.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from gradsweep.compose import AD, compose
from gradsweep.derivative import QUANTITIES, Derivative, Result
from gradsweep.errors import GradsweepError, StatefulFunction
from gradsweep.frontends.torch.ad import FunctionalAD, TorchAD, float_dtype
from gradsweep.frontends.torch.basis import RecordedAD
from gradsweep.frontends.torch.dtype import Float64Mode
from gradsweep.frontends.torch.record import Recorder
from gradsweep.function import BoundFunction
from gradsweep.program import Output, Program
from gradsweep.traced import Traced

__all__ = ["trace"]

Point = Mapping[str, np.ndarray]
Values = Mapping[str, torch.Tensor]
Function = Callable[[Values], tuple[torch.Tensor, ...]]

_VALUE = Derivative("value", ())


def trace(bound: BoundFunction, derivative: Derivative, point: Point) -> Traced:
    """Trace a derivative at one point.

    Args:
        point: the value of every leaf, directions included.

    Raises:
        StatefulFunction: when the function draws random numbers, changes what is not its own, or
            returns different things for the same arguments.
        OutputError: when the quantity is not defined for what the function returns.
    """
    start = time.perf_counter()
    dtype = float_dtype([value.dtype.name for value in point.values()])
    context = partial(_as_asked, dtype)
    operators = TorchAD(dtype, _is_second(derivative))
    with _told_where(bound, point), context():
        try:
            # First, since a function may do something else when it is called first.
            _require_same_value(bound, dtype, point)
            recording = _record(bound, derivative, dtype, point)
        except GradsweepError:
            raise
        except Exception as error:
            # Perhaps only a recorded tensor cannot do it; else the function fails here too.
            recording = _evaluate(bound, derivative, operators, point, error)
    return Traced(
        framework="torch",
        results=recording.results,
        program=recording.program,
        reason=recording.reason,
        depends=recording.depends,
        call=_at_point(bound, derivative, FunctionalAD(dtype)),
        eager=_at_point(bound, derivative, operators),
        context=context,
        seconds=time.perf_counter() - start,
        is_unbranched=recording.is_unbranched,
        function=bound.function,
    )


@dataclass(frozen=True, eq=False)
class _Recording:
    """What one run of the derivative showed.

    Attributes:
        values: the results at the point.
    """

    results: tuple[Result, ...]
    values: tuple[torch.Tensor, ...]
    program: Program | None
    reason: str
    depends: tuple[frozenset[str], ...]
    is_unbranched: bool


def _record(
    bound: BoundFunction, derivative: Derivative, dtype: torch.dtype, point: Point
) -> _Recording:
    """Run the derivative on recorded tensors."""
    recorder = Recorder()
    leaves = {key: recorder.input(key, value) for key, value in point.items()}
    operators = RecordedAD(recorder, dtype, _is_second(derivative))
    with recorder:
        rows = compose(derivative, _own_arguments(bound), operators, leaves)
        # An output that no operation made, such as a closed-over tensor, is a constant.
        tensors = [recorder.recorded(array) for _, array in rows]
    results = tuple(row for row, _ in rows)
    values = tuple(tensor.value for tensor in tensors)
    if recorder.reason:
        every = frozenset(point)
        depends = tuple(
            every if recorder.has_branches else frozenset(tensor.depends) for tensor in tensors
        )
        return _Recording(
            results, values, None, recorder.reason, depends, not recorder.has_branches
        )
    outputs = [
        Output(_name(row), tuple(tensor.shape), tuple(tensor.variables.ravel().tolist()))
        for row, tensor in zip(results, tensors)
    ]
    program = recorder.builder.finish(outputs)
    reached = _leaves_reached(program)
    return _Recording(results, values, program, "", reached, not recorder.has_branches)


def _evaluate(
    bound: BoundFunction, derivative: Derivative, ad: AD, point: Point, error: Exception
) -> _Recording:
    """Run the derivative on plain tensors, for functions that recorded tensors do not suit."""
    leaves = {key: torch.from_numpy(np.array(value)) for key, value in point.items()}
    once, again = (compose(_VALUE, _own_arguments(bound), ad, leaves) for _ in range(2))
    if not _are_equal([array for _, array in once], [array for _, array in again]):
        raise _keeps_state(bound) from None
    rows = compose(derivative, _own_arguments(bound), ad, leaves)
    first_line = str(error).partition("\n")[0]
    return _Recording(
        results=tuple(row for row, _ in rows),
        values=tuple(array for _, array in rows),
        program=None,
        reason=f"it cannot be recorded ({type(error).__name__}: {first_line})",
        depends=(frozenset(point),) * len(rows),
        is_unbranched=False,
    )


def _require_same_value(bound: BoundFunction, dtype: torch.dtype, point: Point) -> None:
    """Refuse a function that keeps state: two calls with the same arguments have to agree."""
    first, second = (_record(bound, _VALUE, dtype, point) for _ in range(2))
    if first.program is not None and second.program is not None:
        agree = first.program.fingerprint == second.program.fingerprint
    else:
        agree = _are_equal(first.values, second.values)
    if not agree:
        raise _keeps_state(bound)


# What LAPACK does may depend on where the memory lies, in the last digits.
_ROUNDINGS = 2.0**12


def _are_equal(first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> bool:
    """Tell whether tensors are the same but for roundings, which functions with state are not."""
    return len(first) == len(second) and all(map(_is_equal, first, second))


def _is_equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    if a.shape != b.shape or not a.is_floating_point():
        return torch.equal(a, b)
    finite = a[a.isfinite()].abs()
    scale = finite.max().item() if len(finite) else 0.0
    tolerance = _ROUNDINGS * torch.finfo(a.dtype).eps * scale
    return torch.allclose(a, b, rtol=0.0, atol=tolerance, equal_nan=True)


def _keeps_state(bound: BoundFunction) -> StatefulFunction:
    return StatefulFunction(
        f"{bound.name} gives different results for the same arguments: it keeps state, or "
        f"draws random numbers.\nPass what changes as an argument."
    )


@contextmanager
def _as_asked(dtype: torch.dtype) -> Iterator[None]:
    """Compute in a dtype, and with derivatives whatever mode the caller of gradsweep is in."""
    with torch.inference_mode(False), Float64Mode() if dtype is torch.float64 else nullcontext():
        yield


def _is_second(derivative: Derivative) -> bool:
    return QUANTITIES[derivative.quantity].order > 1


def _at_point(bound: BoundFunction, derivative: Derivative, ad: AD) -> Function:
    function = _own_arguments(bound)

    def call(values: Values) -> tuple[torch.Tensor, ...]:
        return tuple(array for _, array in compose(derivative, function, ad, values))

    return call


def _own_arguments(bound: BoundFunction) -> BoundFunction:
    """Return the function of copies: what it does to them in place harms no other call."""
    return _Copying(bound.function, bound.name, bound.sweep, bound.parameters)


class _Copying(BoundFunction):
    def __call__(self, values: Values) -> Any:
        return super().__call__({key: tensor.clone() for key, tensor in values.items()})


def _leaves_reached(program: Program) -> tuple[frozenset[str], ...]:
    """Return, for each output, the leaves that its variables are computed from."""
    keys = list(dict.fromkeys(entry.leaf for entry in program.inputs))
    # A set of leaves is a bit mask: the equations may be many.
    reached = [1 << keys.index(entry.leaf) for entry in program.inputs]
    reached += [0] * len(program.constants)
    for equation in program.equations:
        mask = 0
        for operand in equation.operands:
            mask |= reached[operand]
        reached.append(mask)
    return tuple(
        frozenset(key for i, key in enumerate(keys) if any(reached[v] >> i & 1 for v in variables))
        for variables in (output.variables for output in program.outputs)
    )


def _name(row: Result) -> str:
    """Name a Program's output: its kind, its output's path, what it is with respect to."""
    return " ".join(part for part in (row.kind, row.output, *row.wrt) if part)


@contextmanager
def _told_where(bound: BoundFunction, point: Point) -> Iterator[None]:
    """Add the point to what the function itself raises."""
    try:
        yield
    except GradsweepError:
        raise
    except Exception as error:
        error.add_note(f"while tracing {bound.name} at {bound.describe(point)}")
        if "Can't call numpy()" in str(error):
            error.add_note(
                "NumPy's functions cannot be differentiated: call torch.sin, say, for np.sin; or "
                "write the function with jax.numpy."
            )
        if "must be Tensor, not int" in str(error):
            error.add_note(
                "A fixed Python integer is passed as it is: write 1.0 for 1, or name the argument "
                "in wrt."
            )
        if "same dtype" in str(error) or "expected scalar type" in str(error):
            error.add_note(
                "The arguments are float64 where the function has float32 weights: "
                "call .double() on the module, or pass float32 arguments."
            )
        raise
