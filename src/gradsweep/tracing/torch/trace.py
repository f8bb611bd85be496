"""Trace a derivative of a torch function at one point.

A bound function, a Derivative and a point enter; a Trace leaves: a Program where the function's
operations allow one, and the derivative in torch's own operations.
Never sees a sweep's axes, nor an engine.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial

import torch

from gradsweep.program.equations import MAX_EQUATIONS
from gradsweep.program.trace import Trace
from gradsweep.request.function import BoundFunction
from gradsweep.request.quantities import Derivative
from gradsweep.support.errors import GradsweepError, MissingRule
from gradsweep.tracing.compose import compose
from gradsweep.tracing.point import AD
from gradsweep.tracing.torch.ad import FunctionalAD, TorchAD, float_dtype
from gradsweep.tracing.torch.control import is_compiler_loaded
from gradsweep.tracing.torch.dtype import Float64Mode
from gradsweep.tracing.torch.graph import Rules
from gradsweep.tracing.torch.higher import agree_with_differences
from gradsweep.tracing.torch.lost import require_no_cut, require_whole
from gradsweep.tracing.torch.meaning import Watch
from gradsweep.tracing.torch.recorder.indices import WritesIntoCopy
from gradsweep.tracing.torch.recording import (
    VALUE,
    Function,
    Point,
    Recording,
    Values,
    agree,
    evaluate,
    keeps_state,
    record,
    values_at,
)
from gradsweep.tracing.torch.solved.orders import differentiating

__all__ = ["trace"]

Call = Callable[[Values], tuple[torch.Tensor, ...]]


def trace(
    bound: BoundFunction,
    derivative: Derivative,
    point: Point,
    max_equations: int = MAX_EQUATIONS,
) -> Trace:
    """Trace a derivative at one point.

    Args:
        point: the value of every leaf, directions included.
        max_equations: how many its Program may have.

    Raises:
        StatefulFunction: when the function draws random numbers, changes a tensor that it does not
            own, or returns different values for the same arguments.
        OutputError: when the quantity is not defined for the function's outputs.
    """
    start = time.perf_counter()
    dtype = float_dtype([value.dtype.name for value in point.values()])
    context = partial(_computing_in, dtype)
    order = derivative.order
    with _with_notes(bound, point), context(), differentiating(order):
        run = partial(_run, bound, dtype=dtype, point=point, max_equations=max_equations)
        # The value comes first, since a function's first call may do something else.
        first, watch = run(VALUE, Watch()), Watch()
        try:
            recording = run(derivative, watch)
        except Exception as error:
            _require_stateless(bound, first, run)
            if isinstance(error, MissingRule):
                require_no_cut(bound, watch)  # which names the line
            raise
        if not _did_the_same(first, recording):
            _require_stateless(bound, first, run)
        if order:
            require_whole(bound, watch, partial(run, VALUE))
        asked = derivative
        if order > 2 or (order > 1 and derivative.mode == "forward"):
            safe = _by_rows(derivative)
            rows = _at_point(bound, safe, TorchAD(dtype, True, recording.rules))
            if not _agree_with_rows(recording.values, rows, point):
                derivative, recording = safe, run(safe, Watch())
        if not _are_derivatives(bound, derivative, dtype, recording.rules, point):
            raise MissingRule(
                f"torch has no {derivative.quantity} of {bound.name} of third or higher order: a "
                f"formula for second derivatives in it is not meant to be differentiated, and "
                f"differences show another derivative.\nCompose what it does of other operations, "
                f"or write it with JAX."
            )
    rules = recording.rules
    found = Trace(
        framework="torch",
        results=recording.results,
        program=recording.program,
        reason=recording.reason,
        depends=recording.depends,
        call=_at_point(bound, derivative, FunctionalAD(dtype, rules)),
        eager=_at_point(bound, derivative, TorchAD(dtype, order > 1, rules)),
        context=context,
        seconds=time.perf_counter() - start,
        mode=asked.mode,
        is_unbranched=recording.is_unbranched,
        function=bound.function,
    )
    if not _is_transposed(derivative, rules):
        return found
    safe = _by_rows(derivative)
    by_rows = replace(
        found,
        call=_at_point(bound, safe, FunctionalAD(dtype, rules)),
        eager=_at_point(bound, safe, TorchAD(dtype, order > 1, rules)),
    )
    return replace(found, by_rows=by_rows)


def _did_the_same(first: Recording, second: Recording) -> bool:
    """Tell whether the function is known to have done the same in two runs."""
    if first.course is None or second.course is None:
        return False
    return agree(first.course, second.course)


def _require_stateless(
    bound: BoundFunction, first: Recording, run: Callable[[Derivative, Watch], Recording]
) -> None:
    """Compare runs of the value, where a derivative takes other operations than the value does.

    Raises:
        StatefulFunction: when two runs differ.
    """
    # Two more, one right after the other: a function may return to its state in every other call.
    second, third = (run(VALUE, Watch()) for _ in range(2))
    if not (agree(first, second) and agree(second, third)):
        raise keeps_state(bound)


def _run(
    bound: BoundFunction,
    derivative: Derivative,
    watch: Watch,
    dtype: torch.dtype,
    point: Point,
    max_equations: int,
    gathers: bool = True,
) -> Recording:
    again = partial(_run, bound, derivative, watch, dtype, point, max_equations)
    is_loaded = is_compiler_loaded()
    try:
        return record(bound, derivative, dtype, point, watch, max_equations, gathers)
    except GradsweepError:
        raise
    except WritesIntoCopy:
        return again(gathers=False)
    except Exception as error:
        if is_compiler_loaded() and not is_loaded:  # the function loaded it
            return again(gathers)
        # Perhaps it fails only on recorded tensors; else it fails here too.
        return evaluate(bound, derivative, dtype, point, error, watch)


@contextmanager
def _computing_in(dtype: torch.dtype) -> Iterator[None]:
    """Compute in a dtype, and with derivatives even if the caller is in inference mode."""
    with torch.inference_mode(False), Float64Mode() if dtype is torch.float64 else nullcontext():
        yield


def _at_point(bound: BoundFunction, derivative: Derivative, ad: AD) -> Call:
    function = Function.of(bound)
    # torch.func counts its own.
    order = 0 if isinstance(ad, FunctionalAD) else derivative.order

    def call(values: Values) -> tuple[torch.Tensor, ...]:
        with differentiating(order):
            return tuple(array for _, array in compose(derivative, function, ad, values))

    return call


def _by_rows(derivative: Derivative) -> Derivative:
    return replace(derivative, mode="reverse", outer="reverse")


def _agree_with_rows(values: Sequence[torch.Tensor], by_rows: Call, point: Point) -> bool:
    """Tell whether derivatives of pushforwards agree with torch's backward of backward.

    A pushforward consists of torch's formulas for second derivatives, and some of these must not be
    differentiated: layer_norm's silently takes the mean for a constant.
    """
    try:
        rows = by_rows(values_at(point))
    except (NotImplementedError, RuntimeError):  # there are none
        return True
    return all(map(_is_close, values, rows))


def _are_derivatives(
    bound: BoundFunction, derivative: Derivative, dtype: torch.dtype, rules: Rules, point: Point
) -> bool:
    """Tell whether derivatives of third and higher order are derivatives of those below."""

    def at_point(derivative: Derivative) -> Call:
        return _at_point(bound, derivative, TorchAD(dtype, True, rules))

    try:
        return agree_with_differences(derivative, at_point, point)
    except (NotImplementedError, RuntimeError):  # it cannot be computed beside the point
        return True


def _is_close(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Tell whether numbers are the same to a third of their digits, where `b` is finite."""
    known = b.isfinite()
    if not b.is_floating_point() or not known.any():
        return True
    tolerance = torch.finfo(b.dtype).eps ** (1 / 3) * b[known].abs().max().item()
    return bool(((a - b)[known].abs() <= tolerance).all())


def _is_transposed(derivative: Derivative, rules: Rules) -> bool:
    """Tell whether a derivative takes pushforwards, which are transposes of pullbacks.

    A formula of torch's may end with a choice, because its factors are NaN where nothing is chosen:
    sinc's at 0, or a norm's at zeros. Its transpose begins with the choice, so it is NaN there.
    """
    if derivative.quantity == "jvp":
        return derivative.mode != "reverse"
    if derivative.quantity == "hvp" and derivative.outer == "auto" and not rules.are_symmetric:
        return True
    return "forward" in (derivative.mode, derivative.outer)


@contextmanager
def _with_notes(bound: BoundFunction, point: Point) -> Iterator[None]:
    """Add the point, and advice, to an error of the function itself."""
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
        if "must be Tensor, not bool" in str(error) or "got (bool, Tensor" in str(error):
            error.add_note(
                "A truth value, and a list of them, is passed to the function as Python's own: "
                "give an array, np.array([True, False]), for a tensor at each point."
            )
        if "same dtype" in str(error) or "expected scalar type" in str(error):
            error.add_note(
                "The arguments are float64 where the function has float32 weights: "
                "call .double() on the module, or pass float32 arguments."
            )
        raise
