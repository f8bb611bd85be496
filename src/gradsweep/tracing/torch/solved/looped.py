"""Loops whose number of steps the values decide.

Two functions, the first carries and a bound enter; the last carries leave, as constants: no
derivative goes through the steps. While the function is recorded the loop becomes one Loop of its
Program. On the tensors of many points under torch.func.vmap all go on until each is done.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import numpy as np
import torch

from gradsweep.program.builder import Builder
from gradsweep.program.loop_steps.step_builder import StepBuilder
from gradsweep.program.rolled_loops import Operands, Step, find_body
from gradsweep.support.errors import EngineError, NotAProgram
from gradsweep.tracing.solving.unknowns import stateful
from gradsweep.tracing.torch import private
from gradsweep.tracing.torch.meaning import unwatched
from gradsweep.tracing.torch.recorder.record import SEED, ReadsSeed, Recorder
from gradsweep.tracing.torch.recorder.step import StepRecorder
from gradsweep.tracing.torch.recorder.tensor import RecordedTensor, plain

__all__ = ["looped"]

Tensors = tuple[torch.Tensor, ...]
GoesOn = Callable[..., torch.Tensor]
Next = Callable[..., Tensors]


def looped(goes_on: GoesOn, step: Next, carried: Tensors, max_steps: int) -> Tensors:
    """Repeat a step while a condition holds, each point of a sweep as often as it needs.

    Both functions may read any tensors of the code around them, and take derivatives inside, but
    change only the tensors that they are given. They are called several times while a function is
    recorded.

    Args:
        goes_on: tells of the carries, by a bool tensor without dims, whether one more step is made.
        step: returns the next carries, in the shapes and dtypes of those that it is given.
        carried: the first carries.
        max_steps: how many steps are made at most; they are counted here.

    Returns:
        The last carries, detached.

    Raises:
        ValueError: when a carry changes its shape or dtype, or the condition has another form.
        StatefulFunction: when a step that is recorded changes a tensor of outside, or is not the
            same for the same carries.
    """
    if torch.compiler.is_compiling():
        # torch.compile then leaves the function as it is, which runs as without it.
        raise EngineError("a loop whose number of steps the values decide cannot be compiled.")
    modes = private.dispatch_modes()
    recorders = [mode for mode in modes if isinstance(mode, Recorder)]
    # The caller's no_grad is for the result: a derivative that a step takes needs its graph.
    with unwatched(), torch.inference_mode(False), torch.enable_grad():
        carried = tuple(tensor.detach() for tensor in carried)
        if not recorders:
            return _in_python(goes_on, step, carried, max_steps)
        recorder = recorders[-1]
        if modes[-1] is recorder:
            try:
                return _Loop(recorder, goes_on, step, carried, max_steps).results()
            except NotAProgram as error:
                recorder.refuse(str(error))
        else:
            recorder.refuse("it has a loop under a mode of dispatch of its own")
        # Nothing tells which leaves the steps have not read at this point and read at others.
        recorder.has_branches = True
        return _in_python(goes_on, step, carried, max_steps)


def _in_python(goes_on: GoesOn, step: Next, carried: Tensors, max_steps: int) -> Tensors:
    """Run the loop on the tensors of one point, or of all points at once."""
    for _ in range(max_steps):
        going = goes_on(*carried)
        _require_condition(going)
        if not bool(plain(private.unwrapped(going)).any()):
            break
        found = step(*(tensor.clone() for tensor in carried))
        _require_alike(carried, found)
        new = tuple(tensor.detach() for tensor in found)
        if private.is_batched(going):
            carried = tuple(torch.where(going, *pair) for pair in zip(new, carried))
        else:
            carried = new
    return tuple(tensor.clone() for tensor in carried)


class _Loop:
    """A loop of a function while it is recorded."""

    def __init__(
        self, recorder: Recorder, goes_on: GoesOn, step: Next, carried: Tensors, max_steps: int
    ):
        self._recorder, self._goes_on, self._step = recorder, goes_on, step
        self._max_steps = max_steps
        if any(map(private.is_batched, carried)):
            raise NotAProgram("it has a loop whose number of steps is found under torch.func.vmap")
        self._carried = [private.unwrapped(tensor) for tensor in carried]
        self._first: list[RecordedTensor] = []
        self._depends: set[str] = set()
        self._within: private.Within = nullcontext

    def results(self) -> Tensors:
        """Return the last carries.

        Raises:
            NotAProgram: when steps cannot be recorded, not even their values.
        """
        recorder = self._recorder
        with _suspended(recorder), private.outside_transformations() as self._within:
            self._first = [*map(recorder.recorded, self._carried)]
            self._depends = set().union(*(tensor.depends for tensor in self._first))
            values = self._followed()
            if SEED in self._depends:
                raise ReadsSeed
            if not self._depends:
                return tuple(map(recorder.recorded, values))
            variables: Sequence[np.ndarray | None] = [None] * len(values)
            if not recorder.reason:
                try:
                    variables = self._written(recorder.builder)
                except NotAProgram as error:
                    recorder.refuse(str(error))
            made = zip(values, variables)
            return tuple(recorder.made(value, own, set(self._depends)) for value, own in made)

    def _followed(self) -> list[torch.Tensor]:
        """Return the values of the last carries, and find the leaves that they depend on."""
        inner = StepRecorder(self._recorder)
        values = [tensor.value for tensor in self._first]
        if self._max_steps:
            is_going = bool(self._condition(inner, values).value)
            # One step is recorded in any case, to see what it reads. The others read the same, but
            # for Python branches, which are seen here.
            found, again = (self._next(inner, values) for _ in range(2))
            if not _are_equal(found, again):
                raise stateful()
            if is_going:
                values = self._rest([tensor.value for tensor in found])
        values = [value.clone() for value in values]  # a step may return memory of outside
        self._depends |= inner.read
        self._recorder.has_branches |= inner.has_branches
        if inner.branch:
            self._recorder.refuse(inner.branch)
        return values

    def _rest(self, values: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return the last carries' values, from those after the first step."""
        with self._within(), _OfValues():
            last = _in_python(self._goes_on, self._step, tuple(values), self._max_steps - 1)
        return [*map(private.unwrapped, last)]

    def _written(self, b: Builder) -> list[np.ndarray]:
        """Write the loop; return the real variables of the last carries."""
        arrays = [tensor.variables for tensor in self._first]
        # The first carry counts the steps.
        first = [b.constant(0, "int64"), *(v for a in arrays for v in a.ravel().tolist())]

        def write(
            inner: StepBuilder, carries: list[int], given: list[int], rows: list[int]
        ) -> Step:
            recorder = StepRecorder(self._recorder, inner)
            values = [tensor.value for tensor in self._first]
            n_steps, *flat = carries
            own = _shaped(flat, arrays)
            going = self._condition(recorder, values, own)
            following = self._next(recorder, values, own)
            if recorder.reason:
                raise NotAProgram(recorder.reason)
            more = inner.emit("lt", n_steps, inner.constant(self._max_steps, "int64"))
            return Step(
                carries=[
                    inner.emit("add", n_steps, inner.constant(1, "int64")),
                    *(v for tensor in following for v in tensor.variables.ravel().tolist()),
                ],
                rows=[],
                going=inner.emit("and", more, int(going.variables)),
            )

        wanted = range(1, len(first))
        body = find_body(b, write, Operands(first, [], []), None, wanted)
        last, _ = body.roll(b)
        return _shaped([last[k] for k in wanted], arrays)

    def _condition(
        self,
        inner: StepRecorder,
        values: Sequence[torch.Tensor],
        variables: Sequence[np.ndarray] | None = None,
    ) -> RecordedTensor:
        """Record whether one more step is made."""
        carries = _carries(inner, values, variables)
        with self._within(), inner:
            going = self._goes_on(*carries)
        _require_condition(going)
        return inner.result(going)

    def _next(
        self,
        inner: StepRecorder,
        values: Sequence[torch.Tensor],
        variables: Sequence[np.ndarray] | None = None,
    ) -> list[RecordedTensor]:
        """Record a step; return the next carries."""
        carries = _carries(inner, values, variables)
        with self._within(), inner:
            found = self._step(*carries)
        _require_alike(values, found)
        return [*map(inner.result, found)]


class _OfValues(private.FastDispatchMode):
    """While active, every operation is computed on the values of recorded tensors."""

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        with private.without_functions():
            return op(*plain(args), **plain(kwargs or {}))


@contextmanager
def _suspended(recorder: Recorder) -> Iterator[None]:
    """Let another recorder record what is done meanwhile."""
    recorder.__exit__(None, None, None)
    try:
        yield
    finally:
        recorder.__enter__()


def _carries(
    inner: StepRecorder,
    values: Sequence[torch.Tensor],
    variables: Sequence[np.ndarray] | None,
) -> list[RecordedTensor]:
    """Return carries that a step may write into."""
    every = [None] * len(values) if variables is None else variables
    return [inner.carry(value.clone(), own) for value, own in zip(values, every)]


def _shaped(variables: Sequence[int], like: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return arrays of variables, in the shapes of others."""
    ends = np.cumsum([array.size for array in like])[:-1]
    blocks = np.split(np.array(variables, dtype=np.int64), ends)
    return [block.reshape(array.shape) for block, array in zip(blocks, like)]


def _are_equal(found: Sequence[RecordedTensor], again: Sequence[RecordedTensor]) -> bool:
    """Tell whether two runs of a step from the same carries gave the same, but for rounding."""
    # The last digits of LAPACK's results may depend on where the memory lies.
    floats = [t.value.dtype for t in found if t.value.is_floating_point()]
    eps = max([torch.finfo(dtype).eps for dtype in floats], default=0.0)
    pairs = [[x.value.detach().double() for x in pair] for pair in zip(found, again)]
    scale = max([1.0, *(a[a.isfinite()].abs().sum().item() for a, _ in pairs)])
    rounding = 2.0**12 * eps
    return all(
        torch.allclose(*pair, rtol=rounding, atol=rounding * scale, equal_nan=True)
        for pair in pairs
    )


def _require_condition(going: torch.Tensor) -> None:
    if going.dtype is not torch.bool or going.ndim:
        raise ValueError(
            f"the condition of a loop has dtype {going.dtype} and shape {tuple(going.shape)}, "
            f"where it is a bool without dims."
        )


def _require_alike(carried: Sequence[torch.Tensor], found: Sequence[torch.Tensor]) -> None:
    """Check that the next carries have the form of those before."""
    before, after = ([(t.dtype, tuple(t.shape)) for t in each] for each in (carried, found))
    if before != after:
        raise ValueError(f"a step of a loop makes carries {before} into {after}.")
