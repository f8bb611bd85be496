"""Record the operations that torch dispatches, as equations of a Builder.

The traced function computes with RecordedTensors, which have a shape and a dtype but no data. Each
has a concrete value, which decides Python branches, and a variable for each element of its storage.
torch's own automatic differentiation runs above and is recorded with the rest. Views share storage,
so writing through one shows in the others, as in torch.

Knows nothing of derivatives or sweeps; the meaning of each operation is in `rules`.
"""

from collections.abc import Hashable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from gradsweep.program.builder import Builder
from gradsweep.program.equations import MAX_EQUATIONS
from gradsweep.program.program import Output
from gradsweep.support.errors import NotAProgram, StatefulFunction
from gradsweep.tracing.torch import private
from gradsweep.tracing.torch.recorder.call import Call, fitted
from gradsweep.tracing.torch.recorder.constants import Constants
from gradsweep.tracing.torch.recorder.expression import Expression, Variables
from gradsweep.tracing.torch.recorder.indices import WritesIntoCopy
from gradsweep.tracing.torch.recorder.operands import Operands
from gradsweep.tracing.torch.recorder.operation import Operation, describe
from gradsweep.tracing.torch.recorder.rules.pointwise import Pointwise
from gradsweep.tracing.torch.recorder.tensor import (
    Cells,
    RecordedTensor,
    dtype_of,
    from_numpy,
    lies_in,
    map_tensors,
    memory_of,
    plain,
    tensors_in,
)
from gradsweep.tracing.torch.source import user_line

__all__ = ["SEED", "ReadsSeed", "Recorder"]

# The leaf that stands for every vector of a basis at once; no argument has this name.
SEED = "basis vector"


class ReadsSeed(Exception):
    """Python code branches on a seed, so that a trace holds for one basis vector alone."""


class Recorder(private.FastDispatchMode):
    """While active, every operation is computed on concrete values and written as equations.

    Attributes:
        builder: the Builder that writes the equations.
        reason: why the trace is no Program, or "".
        has_branches: whether Python code has read a traced value.
        has_cuts: whether a derivative ended somewhere.
        gathers: whether an index that is a traced number stays one; else it is read.
    """

    def __init__(self, gathers: bool = True, max_equations: int = MAX_EQUATIONS) -> None:
        super().__init__()
        self.gathers = gathers
        # Memory of which entries were gathered, and these, by address.
        self._apart: dict[int, torch.Tensor] = {}
        self.builder = Builder(max_equations)
        self.reason = ""
        self.has_branches = self.has_cuts = False
        self._guarded: set[int] = set()
        self._constants = Constants(self.builder)

    def input(self, key: str, value: np.ndarray) -> RecordedTensor:
        """Return a leaf as a tensor to trace with."""
        tensor = from_numpy(np.array(value, order="C"))
        try:
            inputs = self.builder.inputs(key, tuple(tensor.shape), dtype_of(tensor))
        except NotAProgram as error:
            self.refuse(str(error))
            return RecordedTensor(self, tensor, None, {key})
        return self._stored(tensor, inputs, {key})

    def recorded(self, tensor: torch.Tensor) -> RecordedTensor:
        """Return any tensor as a recorded one; one that is not recorded yet is a constant."""
        return tensor if isinstance(tensor, RecordedTensor) else self._created(tensor.detach())

    def outputs(self, names: Sequence[str], tensors: Sequence[RecordedTensor]) -> list[Output]:
        """Return results as outputs of the Program; none when there is no Program."""
        if self.reason:
            return []
        try:
            numbers = [tensor.variables for tensor in tensors]
        except NotAProgram as error:
            self.refuse(str(error))
            return []
        return [
            Output(name, variables.shape, tuple(variables.ravel().tolist()))
            for name, variables in zip(names, numbers)
        ]

    def refuse(self, reason: str) -> None:
        """Give the Program up; values and dependence are still followed."""
        self.reason = self.reason or reason

    def guard(self, tensor: RecordedTensor) -> None:
        """Record that Python code, or a shape, depends on a tensor's value."""
        if not tensor.depends:
            return
        if SEED in tensor.depends:
            raise ReadsSeed
        self.has_branches = True
        if self.reason:
            return
        where = user_line()
        try:
            variables = tensor.variables.ravel().tolist()
        except NotAProgram as error:
            self.refuse(str(error))
            return
        value = tensor.value
        numbers = torch.view_as_real(value) if value.is_complex() else value
        for variable, number in zip(variables, numbers.reshape(-1)):
            if variable not in self._guarded:  # derivatives read it again, from another line
                self._guarded.add(variable)
                self.builder.guard(variable, number.item(), where)

    def keep_apart(self, tensor: RecordedTensor) -> None:
        """Refuse writes into a tensor from now on: they would have to show elsewhere too."""
        self._apart[memory_of(tensor.value)] = tensor.value

    def variables_of(self, tensor: torch.Tensor) -> np.ndarray:
        """Return the variables of a tensor, or its numbers as constants."""
        if isinstance(tensor, RecordedTensor):
            return tensor.variables
        return self._constants.of(tensor)

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        operation = describe(op)
        # A kernel of torch's own calls no function that a mode of functions has to see.
        with private.without_functions() if operation.is_aten else nullcontext():
            operands = Operands(self, args, kwargs or {})
            out = self._dispatched(operation, operands)
            if self.has_cuts:
                self._carry_cuts(operation, operands, out)
            return out

    def _carry_cuts(self, operation: Operation, operands: Operands, out: Any) -> None:
        """Pass the cuts of an operation's arguments on to its results."""
        if operation.packet == "detach":
            return  # a constant is meant
        cuts = set[Hashable]().union(*(tensor.cuts for tensor in operands.recorded))
        for tensor in tensors_in((out, operands.written(operation))):
            # Results that compare or count have no derivative to lose.
            if tensor.is_floating_point() or tensor.is_complex():
                if isinstance(tensor, RecordedTensor):
                    tensor.cuts |= cuts

    def _dispatched(self, operation: Operation, operands: Operands) -> Any:
        op = operation.op
        if operation.is_plain:
            out = op(*operands.values, **operands.keywords)
            is_number = isinstance(out, torch.Tensor) and not out.ndim
            if is_number and operation.pointwise and not (operands.kwargs or self.reason):
                return self._record_number(operation, operation.pointwise, out, operands)
            return self._record(operation, out, operands)
        args, kwargs = operands.args, operands.kwargs
        if operation.draws(args):
            raise StatefulFunction(
                f"the function draws random numbers: torch.{operation.packet.rstrip('_')}, at "
                f"{user_line()}.\nDraw them outside and pass them in as an argument."
            )
        if operation.is_question:
            return self._answer(operation, operands)
        if operation.is_lift:
            (tensor,) = args
            owned = isinstance(tensor, RecordedTensor)
            return tensor if owned else self._created(tensor.clone())
        if operation.is_metadata:
            op(*operands.values, **kwargs)
            with private.without_dispatch():
                return op(*args, **kwargs)
        if operation.written:
            return self._write(operation, operands)
        out = op(*operands.values, **operands.keywords)
        if operation.packet in _MIRRORS and not self.reason:
            return self._mirrored(operation, out, operands)
        if operation.is_view and lies_in(args, out):
            return self._view(operation, args, out)
        return self._record(operation, out, operands)

    def _answer(self, operation: Operation, operands: Operands) -> Any:
        """Answer a question that Python asks about values."""
        args, values = operands.args, operands.values
        if operation.packet == "equal":
            if not operands.depends:
                return operation.op(*values)
            if args[0].shape != args[1].shape:
                return False
            with self:
                return bool((args[0] == args[1]).all())
        if operation.packet == "allclose":
            with self:
                return bool(torch.isclose(*args, **operands.kwargs).all())
        for tensor in operands.recorded:
            self.guard(tensor)
        answer = operation.op(*values, **operands.keywords)
        return self._created(answer) if isinstance(answer, torch.Tensor) else answer

    def _view(self, operation: Operation, args: tuple, out: Any) -> Any:
        base = next(tensors_in(args), None)
        if not isinstance(base, RecordedTensor):
            return out
        # A detached tensor is meant to be a constant.
        cuts = None if operation.packet == "detach" else base.cuts

        def wrap(value: Any) -> Any:
            if isinstance(value, torch.Tensor):
                return RecordedTensor(self, value, base.cells, base.depends, cuts)
            return type(value)(map(wrap, value))

        return wrap(out)

    def _mirrored(self, operation: Operation, out: torch.Tensor, operands: Operands) -> Any:
        """Record a view that negates numbers when they are read as a copy of them."""
        mirror = self._record(operation, out.resolve_conj().resolve_neg(), operands)
        for tensor in (*operands.recorded, mirror):
            if isinstance(tensor, RecordedTensor) and tensor.cells is not None:
                tensor.cells.is_mirrored = True
        return mirror

    def _record(self, operation: Operation, out: Any, operands: Operands) -> Any:
        tensors = (out,) if isinstance(out, torch.Tensor) else tuple(tensors_in((out,)))
        if not tensors and operation.is_data_dependent:
            return self._answer(operation, operands)
        if not tensors or any(tensor.is_meta for tensor in tensors):
            return out
        if operation.creates == "uninitialised":
            return self._created(torch.zeros_like(out), structural=True)
        if all(tensor._is_zerotensor() for tensor in tensors):
            # They have no memory, but torch reads it where autograd multiplies them by a number.
            return map_tensors(lambda value: self._created(_zeros(value), structural=True), out)
        if operation.creates:
            return self._created(out, structural=operation.creates == "zeros")
        depends = operands.depends
        if operation.is_data_dependent and depends:
            self.has_branches = True
        if not self.reason:
            try:
                return self._by_rule(operation, out, operands, depends)
            except NotAProgram as error:
                self.refuse(str(error))
        return map_tensors(lambda value: RecordedTensor(self, value, None, set(depends)), out)

    def _record_number(
        self, operation: Operation, rule: Pointwise, out: torch.Tensor, operands: Operands
    ) -> RecordedTensor:
        """Record an operation on numbers without dims, as `_record` does, in less time."""
        depends, are_complex = operands.depends, operands.are_complex or out.is_complex()
        if not depends or are_complex or out._is_zerotensor() or out.is_meta:
            return self._record(operation, out, operands)
        try:
            numbers = [self._number(a) if isinstance(a, torch.Tensor) else a for a in operands.args]
            number = fitted(rule.of_numbers(dtype_of(out), numbers), out)
        except NotAProgram as error:
            self.refuse(str(error))
            return RecordedTensor(self, out, None, depends)
        return RecordedTensor(self, out, Cells(None, out.dtype, number), depends)

    def _number(self, operand: torch.Tensor) -> Expression:
        """Return the variable of a tensor without dims."""
        if isinstance(operand, RecordedTensor):
            cells, value = operand.cells, operand.value
            assert cells is not None
            if cells.number is not None and value.dtype is cells.dtype:
                return cells.number
        return Expression(self.builder, self.variables_of(operand).item(), dtype_of(operand))

    def _by_rule(
        self, operation: Operation, out: Any, operands: Operands, depends: set[str]
    ) -> Any:
        if not depends and (operation.rule is None or not _is_floating(out)):
            return map_tensors(self._created, out)
        if operation.rule is None:
            return self._decomposed(operation, operands)
        try:
            call = Call(self, operation.op, out)
            rule = operation.rule_for(operands.are_complex or _is_complex(out))
            results = rule(call, *operands.args, **operands.kwargs)
        except NotAProgram:
            if depends:
                raise
            return map_tensors(self._created, out)
        if isinstance(results, Expression) and isinstance(out, torch.Tensor):
            return self._stored(out, self._parts(results, out), depends)
        expressions = iter(results if isinstance(results, tuple) else (results,))

        def wrap(value: torch.Tensor) -> RecordedTensor:
            return self._stored(value, self._parts(next(expressions), value), set(depends))

        return map_tensors(wrap, out)

    def _parts(self, expression: Expression, like: torch.Tensor) -> Variables:
        """Return the variables of an expression as the memory of a tensor holds them."""
        return fitted(expression, like).parts().variables

    def _decomposed(self, operation: Operation, operands: Operands) -> Any:
        decomposition = private.decomposition(operation.op)
        if decomposition is not None:
            with private.with_functions(), self:
                result = decomposition(*operands.args, **operands.kwargs)
            if result is not NotImplemented:
                return result
        raise NotAProgram(f"torch.{operation.packet} is not in the table of operations")

    def _write(self, operation: Operation, operands: Operands) -> Any:
        """Record an operation in place: the same one out of place, then a copy."""
        targets = operands.written(operation)
        for target in tensors_in(targets):
            if not isinstance(target, RecordedTensor):
                raise StatefulFunction(
                    f"the function changes a tensor that it does not own, at {user_line()}.\n"
                    f"Pass the tensor as an argument, or clone() it inside the function first."
                )
            if target.cells is not None and target.cells.is_mirrored:
                raise NotImplementedError("it writes into numbers of which it took the conjugate")
            if self._apart and memory_of(target.value) in self._apart:
                raise WritesIntoCopy
        written: Any = targets[0]
        if operation.functional is not None and not self.reason:
            out = operation.functional(*operands.values, **operands.keywords)
            result = self._record(describe(operation.functional), out, operands)
            if tuple(result.shape) == tuple(written.shape):
                if not self.reason:
                    self._overwrite(operation, written, result)
                written.value.copy_(plain(result))
                written.depends |= result.depends
                return written
        self.refuse(f"torch.{operation.packet} works in place")
        operation.op(*operands.values, **operands.keywords)
        for tensor in tensors_in(targets):
            tensor.depends |= operands.depends
        return targets[0] if len(targets) == 1 else tuple(targets)

    def _overwrite(
        self, operation: Operation, written: RecordedTensor, result: torch.Tensor
    ) -> None:
        """Write the result of an operation in place into its target."""
        try:
            read = Call(self, operation.op, written.value)(result)
            written.variables[...] = self._parts(read, written.value)
        except NotAProgram as error:
            self.refuse(str(error))

    def made(
        self, value: torch.Tensor, variables: np.ndarray | None, depends: set[str]
    ) -> RecordedTensor:
        """Return a tensor with these variables, or without any when the trace is no Program."""
        if variables is None or self.reason:
            return RecordedTensor(self, value, None, depends)
        return self._stored(value, variables, depends)

    def _created(self, value: torch.Tensor, structural: bool = False) -> RecordedTensor:
        """Return a tensor that depends on no argument."""
        if self.reason:
            return RecordedTensor(self, value, None, set())
        try:
            return self._stored(value, self._constants.new(value, structural), set())
        except NotAProgram as error:
            self.refuse(str(error))
            return RecordedTensor(self, value, None, set())

    def _stored(
        self, value: torch.Tensor, variables: Variables, depends: set[str]
    ) -> RecordedTensor:
        if value.storage_offset() or 0 in value.stride():
            value = value.clone(memory_format=torch.contiguous_format)
        if not value.ndim and not value.is_complex():
            number = Expression(self.builder, int(variables), dtype_of(value))
            return RecordedTensor(self, value, Cells(None, value.dtype, number), depends)
        tensor = RecordedTensor(self, value, Cells.of(value), depends)
        tensor.variables[...] = variables
        return tensor


# Views that show other numbers than their memory holds.
_MIRRORS = {"_conj", "_neg_view"}


def _zeros(like: torch.Tensor) -> torch.Tensor:
    return torch.zeros(like.shape, dtype=like.dtype)


def _is_floating(out: Any) -> bool:
    return all(tensor.is_floating_point() or tensor.is_complex() for tensor in tensors_in((out,)))


def _is_complex(out: Any) -> bool:
    return any(tensor.is_complex() for tensor in tensors_in((out,)))
