"""Record the step of a loop: a Recorder within another, whose tensors the step may read.

Tensors of the recorder outside become numbers that every step is given. Writes into them are
errors. A Python branch on what is the same at every step is one of the code outside; another cannot
stand in a step.

Knows nothing of how loops are found, nor of derivatives.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from gradsweep.program.loop_steps.step_builder import StepBuilder
from gradsweep.support.errors import NotAProgram, StatefulFunction
from gradsweep.tracing.torch import private
from gradsweep.tracing.torch.recorder.constants import Constants
from gradsweep.tracing.torch.recorder.operation import describe
from gradsweep.tracing.torch.recorder.record import Recorder
from gradsweep.tracing.torch.recorder.tensor import (
    KEPT,
    RecordedTensor,
    map_tensors,
    memory_of,
    tensors_in,
)
from gradsweep.tracing.torch.source import user_line

__all__ = ["StepRecorder"]

# Each recorder has a number.
_NUMBERS = itertools.count()


class StepRecorder(Recorder):
    """Records one step, written with `builder`; without one, only values are followed.

    Attributes:
        read: the leaves that the tensors of outside depend on which the step has read.
        branch: why it has to be given up: a Python branch on a value, with its line; or "".
    """

    def __init__(self, outside: Recorder, builder: StepBuilder | None = None):
        super().__init__(outside.gathers, outside.builder.max_equations)
        self._outside, self._step = outside, builder
        # What a carry depends on besides leaves: it changes from step to step, so no constant is
        # made of it, and no Python branch on it is left out.
        self._carried = f"carry of loop {next(_NUMBERS)}"
        if builder is None:
            self.refuse("only its values are followed")
        else:
            self.builder, self._constants = builder, Constants(builder)
        self.read: set[str] = set()
        self.branch = ""
        # Each tensor of outside with the one that stands for it here, by identity; and the memory
        # of these.
        self._given: dict[int, tuple[RecordedTensor, RecordedTensor]] = {}
        self._not_own: dict[int, torch.Tensor] = {}

    def carry(self, value: torch.Tensor, variables: np.ndarray | None) -> RecordedTensor:
        """Return a carry as a tensor to compute the step with.

        Args:
            variables: the real variables of its elements.
        """
        return self.made(value, variables, {self._carried})

    def result(self, tensor: torch.Tensor) -> RecordedTensor:
        """Return what the step has computed, or what it took from outside, as a tensor of it.

        Raises:
            NotAProgram: when it stands for many points, under torch.func.vmap.
        """
        if private.is_batched(tensor):
            raise NotAProgram("it has a loop whose number of steps is found under torch.func.vmap")
        tensor = private.unwrapped(tensor)
        return self._owned(tensor) if isinstance(tensor, RecordedTensor) else self.recorded(tensor)

    def guard(self, tensor: RecordedTensor) -> None:
        # A carry is a constant while nothing is known to change it; then its value is that.
        if not tensor.depends or self._is_constant(tensor):
            return
        self.has_branches = True
        if self._carried not in tensor.depends and self._guards_outside(tensor):
            return
        if not self.branch:
            self.branch = f"it has a Python branch in the step of a loop, at {user_line()}"
        self.refuse(self.branch)

    def _guards_outside(self, tensor: RecordedTensor) -> bool:
        """Guard what is the same at every step as a tensor of outside; tell whether it is one."""
        if self._step is None or self.reason:
            return True  # where equations are written it is guarded
        try:
            variables = tensor.variables
        except NotAProgram as error:
            self.refuse(str(error))
            return True
        found = self._step.hoisted(variables.ravel().tolist())
        if found is None:
            return False
        there = np.array(found, dtype=np.int64).reshape(variables.shape)
        self._outside.guard(self._outside.made(tensor.value, there, set(tensor.depends)))
        return True

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        args, kwargs = map_tensors(self._own, args), map_tensors(self._own, kwargs or {})
        for place in describe(op).written:
            target = args[place] if isinstance(place, int) else kwargs.get(place)
            self._require_own(tensors_in(target))
        return super().__torch_dispatch__(op, types, args, kwargs)

    def _require_own(self, targets: Iterator[torch.Tensor]) -> None:
        for tensor in targets:
            if isinstance(tensor, RecordedTensor) and memory_of(tensor.value) in self._not_own:
                raise StatefulFunction(
                    f"the step of a loop changes a tensor that was made outside the loop, at "
                    f"{user_line()}.\nclone() it inside the step first."
                )

    def _own(self, tensor: torch.Tensor) -> torch.Tensor:
        return self._owned(tensor) if isinstance(tensor, RecordedTensor) else tensor

    def _owned(self, tensor: RecordedTensor) -> RecordedTensor:
        """Return the tensor of this step that stands for one of outside."""
        if tensor.recorder is self:
            return tensor
        if id(tensor) not in self._given:
            self._given[id(tensor)] = tensor, self._taken(tensor)
        return self._given[id(tensor)][1]

    def _taken(self, tensor: RecordedTensor) -> RecordedTensor:
        outside = self._outside
        if tensor.recorder is not outside:
            if not isinstance(outside, StepRecorder):
                raise StatefulFunction(KEPT)
            tensor = outside._owned(tensor)
        self.read |= tensor.depends
        own = self.made(tensor.value, self._variables_given(tensor), set(tensor.depends))
        self._not_own[memory_of(own.value)] = own.value
        return own

    def _is_constant(self, tensor: RecordedTensor) -> bool:
        if tensor.cells is None:
            return False
        return all(map(self.builder.is_constant, tensor.variables.ravel().tolist()))

    def _variables_given(self, tensor: RecordedTensor) -> np.ndarray | None:
        if self.reason or self._step is None:
            return None
        try:
            variables = tensor.variables
        except NotAProgram as error:
            self.refuse(str(error))
            return None
        given: Sequence[int] = [self._step.give(v) for v in variables.ravel().tolist()]
        return np.array(given, dtype=np.int64).reshape(variables.shape)
