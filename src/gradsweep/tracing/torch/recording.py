"""Run a derivative once: on recorded tensors, or on plain ones where these do not suit.

A bound function, a Derivative and a point enter; a Recording leaves.
Never sees a sweep's axes, nor an engine.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from gradsweep.program.program import Output, Program
from gradsweep.request import pytree
from gradsweep.request.function import BoundFunction
from gradsweep.request.quantities import Derivative, Result
from gradsweep.support.errors import GradsweepError, MissingRule, NotAProgram, StatefulFunction
from gradsweep.tracing.compose import compose
from gradsweep.tracing.torch.ad import TorchAD
from gradsweep.tracing.torch.basis import RecordedAD
from gradsweep.tracing.torch.control import without_compiling
from gradsweep.tracing.torch.graph import Rules
from gradsweep.tracing.torch.meaning import AsBackward, Watch
from gradsweep.tracing.torch.recorder.record import Recorder
from gradsweep.tracing.torch.recorder.tensor import RecordedTensor
from gradsweep.tracing.torch.solved.orders import calling

__all__ = [
    "VALUE",
    "Function",
    "Point",
    "Recording",
    "Values",
    "agree",
    "evaluate",
    "keeps_state",
    "record",
    "values_at",
]

Point = Mapping[str, np.ndarray]
Values = Mapping[str, torch.Tensor]

VALUE = Derivative("value", ())


def values_at(point: Point) -> Values:
    """Return the value of every leaf as a tensor, with memory of its own."""
    return {key: torch.from_numpy(np.array(value)) for key, value in point.items()}


@dataclass(frozen=True, eq=False)
class Course:
    """What a function did in one call.

    Attributes:
        program: its operations, if a Program can hold them.
        values: what it returned.
    """

    program: Program | None
    values: tuple[torch.Tensor, ...]


@dataclass(frozen=True, eq=False)
class Recording:
    """The outcome of one run of a derivative.

    Attributes:
        values: the results at the point.
        course: what the function did when it was first called; None when that is not known.
        rules: what is known of the rules that the function is differentiated with.
    """

    results: tuple[Result, ...]
    values: tuple[torch.Tensor, ...]
    program: Program | None
    reason: str
    depends: tuple[frozenset[str], ...]
    is_unbranched: bool
    rules: Rules
    course: Course | None = None


@dataclass(frozen=True, eq=False)
class Function(BoundFunction):
    """A function as it is differentiated: on copies, with the meaning that backward gives it.

    Its writes into its arguments harm no other call. Contexts around the call, such as the caller's
    no_grad, do not count; contexts that it enters do.
    """

    watch: Watch | None = None

    @classmethod
    def of(cls, bound: BoundFunction, watch: Watch | None = None) -> "Function":
        return cls(bound.function, bound.name, bound.sweep, bound.parameters, bound.call, watch)

    def __call__(self, values: Values) -> Any:
        copies = {key: tensor.clone() for key, tensor in values.items()}
        with calling(), without_compiling():
            outputs = self._as_backward(copies)
        if self.watch is not None:
            self.watch.returned([output for _, output in pytree.flatten(outputs)])
        return outputs

    @torch.enable_grad()
    def _as_backward(self, values: Values) -> Any:
        with AsBackward(self.watch):
            return super().__call__(values)


def record(
    bound: BoundFunction,
    derivative: Derivative,
    dtype: torch.dtype,
    point: Point,
    watch: Watch,
    max_equations: int,
    gathers: bool = True,
) -> Recording:
    """Run a derivative on recorded tensors.

    Args:
        max_equations: how many its Program may have.
        gathers: whether indices that are traced numbers stay such; else they are read.

    Raises:
        WritesIntoCopy: when the function writes where that needs them to be read.
    """
    recorder = Recorder(gathers, max_equations)
    courses: list[Course | None] = []

    def follow(outputs: Sequence[Any]) -> None:
        courses.append(_course(recorder, outputs) if not courses else None)

    watch.begin(recorder, follow, bound.is_numpys)
    leaves = {key: recorder.input(key, value) for key, value in point.items()}
    operators = RecordedAD(recorder, dtype, derivative.order > 1, watch)
    with recorder:
        rows = compose(derivative, Function.of(bound, watch), operators, leaves)
        # An output that no operation made, such as a closed-over tensor, is a constant.
        tensors = [recorder.recorded(array) for _, array in rows]
    outputs = recorder.outputs([_name(row) for row, _ in rows], tensors)
    program = None if recorder.reason else recorder.builder.finish(outputs)
    depends = (frozenset(point),) * len(rows)
    if program is not None:
        depends = _leaves_reached(program)
    elif not recorder.has_branches:
        depends = tuple(frozenset(tensor.depends) for tensor in tensors)
    return Recording(
        results=tuple(row for row, _ in rows),
        values=tuple(tensor.value for tensor in tensors),
        program=program,
        reason=recorder.reason,
        depends=depends,
        is_unbranched=not recorder.has_branches,
        rules=operators.rules,
        course=courses[0] if courses else None,
    )


def _course(recorder: Recorder, outputs: Sequence[Any]) -> Course | None:
    """Return what a function has done that has just returned; None when that cannot be told."""
    if not all(isinstance(output, RecordedTensor) for output in outputs):
        return None
    values = tuple(output.value for output in outputs)
    if recorder.reason:
        return Course(None, values)
    try:
        variables = [output.variables for output in outputs]
    except NotAProgram:
        return None
    results = [Output("", v.shape, tuple(v.ravel().tolist())) for v in variables]
    return Course(recorder.builder.finish(results), values)


def evaluate(
    bound: BoundFunction,
    derivative: Derivative,
    dtype: torch.dtype,
    point: Point,
    error: Exception,
    watch: Watch,
) -> Recording:
    """Run a derivative on plain tensors, for functions that recorded tensors do not suit.

    Args:
        error: the error on recorded tensors.

    Raises:
        MissingRule: when torch has no derivative of a function that it can compute.
    """
    leaves = values_at(point)
    operators = TorchAD(dtype, derivative.order > 1, watch=watch)
    once, again = (compose(VALUE, Function.of(bound), operators, leaves) for _ in range(2))
    if not _are_equal([array for _, array in once], [array for _, array in again]):
        raise keeps_state(bound) from None
    watch.begin(is_numpys=bound.is_numpys)
    with _refused(bound, derivative) if derivative != VALUE else nullcontext():
        rows = compose(derivative, Function.of(bound, watch), operators, leaves)
    return Recording(
        results=tuple(row for row, _ in rows),
        values=tuple(array for _, array in rows),
        program=None,
        reason=f"it cannot be recorded ({type(error).__name__}: {_first_line(error)})",
        depends=(frozenset(point),) * len(rows),
        is_unbranched=False,
        rules=operators.rules,
        course=Course(None, tuple(array for _, array in once)),
    )


@contextmanager
def _refused(bound: BoundFunction, derivative: Derivative) -> Iterator[None]:
    """Raise MissingRule where torch fails to differentiate a function that it can compute."""
    try:
        yield
    except GradsweepError:
        raise
    except Exception as error:
        raise MissingRule(
            f"torch has no {derivative.quantity} of {bound.name} in {derivative.mode} mode: "
            f"{_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def agree(first: Recording | Course, second: Recording | Course) -> bool:
    """Tell whether two runs did the same."""
    if first.program is not None and second.program is not None:
        return _is_same(first.program, second.program)
    return _are_equal(first.values, second.values)


def _is_same(a: Program, b: Program) -> bool:
    """Tell whether two Programs have the same fingerprint."""
    if a.equations != b.equations:
        return a.fingerprint == b.fingerprint
    # Equal equations are the same text, and there are many; equal numbers may be two zeros.
    first, second = (replace(program, equations=()) for program in (a, b))
    return first.fingerprint == second.fingerprint


# The last digits of LAPACK's results may depend on where the memory lies.
_ROUNDINGS = 2.0**12


def _are_equal(first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> bool:
    """Tell whether tensors are the same but for rounding; state changes them by more."""
    return len(first) == len(second) and all(map(_is_equal, first, second))


def _is_equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    if a.shape != b.shape or not a.is_floating_point():
        return torch.equal(a, b)
    finite = a[a.isfinite()].abs()
    scale = finite.max().item() if len(finite) else 0.0
    tolerance = _ROUNDINGS * torch.finfo(a.dtype).eps * scale
    return torch.allclose(a, b, rtol=0.0, atol=tolerance, equal_nan=True)


def keeps_state(bound: BoundFunction) -> StatefulFunction:
    return StatefulFunction(
        f"{bound.name} gives different results for the same arguments: it keeps state, or "
        f"draws random numbers, or reads the clock.\nPass what changes as an argument."
    )


def _leaves_reached(program: Program) -> tuple[frozenset[str], ...]:
    """Return, for each output, the leaves that its variables are computed from."""
    variables = [variable for output in program.outputs for variable in output.variables]
    reached = program.propagate(([entry.leaf] for entry in program.inputs), variables)
    return tuple(
        frozenset().union(*(reached[variable] for variable in output.variables))
        for output in program.outputs
    )


def _name(row: Result) -> str:
    """Name a Program's output: by its kind, its path, and the leaves in its `wrt`."""
    return " ".join(part for part in (row.kind, row.output, *row.wrt) if part)
