"""Record the operations that torch dispatches, as equations of a Builder.

The traced function computes with RecordedTensors, which have a shape and a dtype but no data. Each
has a concrete value, which decides Python branches, and a variable for each element of its storage.
torch's own automatic differentiation runs above and is recorded with the rest. Views share storage,
so writing through one shows in the others, as in torch.

Knows nothing of derivatives or sweeps; the meaning of each operation is in `rules`.
"""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from gradsweep.program.builder import Builder
from gradsweep.program.primitives import WRAPS
from gradsweep.program.program import Output
from gradsweep.support.errors import NotAProgram, StatefulFunction, UntraceableError
from gradsweep.tracing.torch import private
from gradsweep.tracing.torch.recorder.call import Call
from gradsweep.tracing.torch.recorder.expression import Expression, apply, where
from gradsweep.tracing.torch.recorder.operation import Operation, describe
from gradsweep.tracing.torch.recorder.rules import CONSTANTS, UNINITIALISED, ZEROS
from gradsweep.tracing.torch.recorder.tensor import (
    DTYPES,
    KEPT,
    Cells,
    RecordedTensor,
    from_numpy,
    map_tensors,
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
    """

    def __init__(self) -> None:
        super().__init__()
        self.builder = Builder()
        self.reason = ""
        self.has_branches = self.has_cuts = False
        self._guarded: set[int] = set()
        self._constants: dict[int, tuple[torch.Tensor, int, np.ndarray]] = {}

    def input(self, key: str, value: np.ndarray) -> RecordedTensor:
        """Return a leaf as a tensor to trace with."""
        tensor = from_numpy(np.array(value, order="C"))
        cells = None
        try:
            inputs = self.builder.inputs(key, tuple(tensor.shape), self.dtype_of(tensor))
            cells = Cells(inputs.reshape(-1), tensor.dtype)
        except NotAProgram as error:
            self.refuse(str(error))
        return RecordedTensor(self, tensor, cells, {key})

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

    def dtype_of(self, tensor: torch.Tensor) -> str:
        dtype = DTYPES.get(tensor.dtype)
        if dtype is None:
            raise NotAProgram(f"it computes with {str(tensor.dtype).removeprefix('torch.')}")
        return dtype

    def variables_of(self, tensor: torch.Tensor) -> np.ndarray:
        if isinstance(tensor, RecordedTensor):
            return tensor.variables
        # A tensor that the function closes over is read once, since many operations may use it.
        known = self._constants.get(id(tensor))
        if known is None or known[1] != tensor._version:
            variables = self.constants(tensor)
            known = self._constants[id(tensor)] = (tensor, tensor._version, variables)
        return known[2]

    def constants(self, value: torch.Tensor, structural: bool = False) -> np.ndarray:
        """Return a value as constants, its zeros structural or not."""
        dtype = DTYPES.get(value.dtype.to_real()) or self.dtype_of(value)
        if value._is_zerotensor():  # without memory; its zeros are structural
            shape = (*value.shape, 2) if value.is_complex() else tuple(value.shape)
            return np.full(shape, self.builder.structural_zero(dtype))
        array = plain(plain(value.detach().resolve_conj()).resolve_neg()).numpy()
        if value.is_complex():
            array = np.stack([array.real, array.imag], axis=-1)
        variables = self.builder.constants(array, dtype)
        if structural:
            variables[array == 0] = self.builder.structural_zero(dtype)
        return variables

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        operation = describe(op)
        self._require_own((args, kwargs))
        out = self._dispatched(operation, args, kwargs)
        if self.has_cuts:
            self._carry_cuts(operation, args, kwargs, out)
        return out

    def _carry_cuts(self, operation: Operation, args: tuple, kwargs: dict, out: Any) -> None:
        """Pass the cuts of an operation's arguments on to its results."""
        if operation.packet == "detach":
            return  # a constant is meant
        given = [t for t in tensors_in((args, kwargs)) if isinstance(t, RecordedTensor)]
        cuts = set[Hashable]().union(*(tensor.cuts for tensor in given))
        targets = [args[w] if isinstance(w, int) else kwargs.get(w) for w in operation.written]
        for tensor in tensors_in((out, targets)):
            # Results that compare or count have no derivative to lose.
            if tensor.is_floating_point() or tensor.is_complex():
                if isinstance(tensor, RecordedTensor):
                    tensor.cuts |= cuts

    def _dispatched(self, operation: Operation, args: tuple, kwargs: dict) -> Any:
        op = operation.op
        if operation.draws(args):
            raise StatefulFunction(
                f"the function draws random numbers: torch.{operation.packet.rstrip('_')}, at "
                f"{user_line()}.\nDraw them outside and pass them in as an argument."
            )
        if operation.packet in _QUESTIONS:
            return self._answer(operation, args, kwargs)
        if operation.packet in ("lift_fresh", "lift"):
            (tensor,) = args
            owned = isinstance(tensor, RecordedTensor)
            return tensor if owned else self._created(tensor.clone())
        if operation.is_metadata:
            op(*plain(args), **kwargs)
            with private.without_dispatch():
                return op(*args, **kwargs)
        if operation.written:
            return self._write(operation, args, kwargs)
        out = op(*plain(args), **plain(kwargs))
        if operation.is_view and _lies_in(args, out):
            return self._view(operation, args, out)
        return self._record(operation, out, args, kwargs)

    def _answer(self, operation: Operation, args: tuple, kwargs: dict) -> Any:
        """Answer a question that Python asks about values."""
        if operation.packet == "equal":
            if not any(self._depends(args)):
                return operation.op(*plain(args))
            if args[0].shape != args[1].shape:
                return False
            with self:
                return bool((args[0] == args[1]).all())
        if operation.packet == "allclose":
            with self:
                return bool(torch.isclose(*args, **kwargs).all())
        for tensor in tensors_in(args):
            if isinstance(tensor, RecordedTensor):
                self.guard(tensor)
        answer = operation.op(*plain(args), **plain(kwargs))
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

    def _record(self, operation: Operation, out: Any, args: tuple, kwargs: dict) -> Any:
        tensors = list(tensors_in((out,)))
        if not tensors and operation.is_data_dependent:
            return self._answer(operation, args, kwargs)
        if not tensors or any(t.device.type == "meta" for t in tensors):
            return out
        if operation.packet in UNINITIALISED:
            return self._created(torch.zeros_like(out), structural=True)
        if all(tensor._is_zerotensor() for tensor in tensors):
            # They have no memory, but torch reads it where autograd multiplies them by a number.
            return map_tensors(lambda value: self._created(_zeros(value), structural=True), out)
        if operation.packet in ZEROS or operation.packet in CONSTANTS:
            return self._created(out, structural=operation.packet in ZEROS)
        depends = set().union(*self._depends((args, kwargs)))
        if operation.is_data_dependent and depends:
            self.has_branches = True
        if not self.reason:
            try:
                return self._by_rule(operation, out, args, kwargs, depends)
            except NotAProgram as error:
                self.refuse(str(error))
        return map_tensors(lambda value: RecordedTensor(self, value, None, set(depends)), out)

    def _by_rule(
        self, operation: Operation, out: Any, args: tuple, kwargs: dict, depends: set[str]
    ) -> Any:
        if not depends and (operation.rule is None or not _is_floating(out)):
            return map_tensors(self._created, out)
        if operation.rule is None:
            return self._decomposed(operation, out, args, kwargs, depends)
        try:
            results = operation.rule(Call(self, operation.op, out), *args, **kwargs)
        except NotAProgram:
            if depends:
                raise
            return map_tensors(self._created, out)
        expressions = iter(results if isinstance(results, tuple) else (results,))

        def wrap(value: torch.Tensor) -> RecordedTensor:
            expression = self._fitted(next(expressions), value)
            return self._stored(value, expression.variables, set(depends))

        return map_tensors(wrap, out)

    def _decomposed(
        self, operation: Operation, out: Any, args: tuple, kwargs: dict, depends: set[str]
    ) -> Any:
        decomposition = private.decomposition(operation.op)
        if decomposition is not None:
            with self:
                result = decomposition(*args, **kwargs)
            if result is not NotImplemented:
                return result
        raise NotAProgram(f"torch.{operation.packet} is not in the table of operations")

    def _write(self, operation: Operation, args: tuple, kwargs: dict) -> Any:
        """Record an operation in place: the same one out of place, then a copy."""
        targets = [args[w] if isinstance(w, int) else kwargs.get(w) for w in operation.written]
        for target in tensors_in(targets):
            if not isinstance(target, RecordedTensor):
                raise StatefulFunction(
                    f"the function changes a tensor that it does not own, at {user_line()}.\n"
                    f"Pass the tensor as an argument, or clone() it inside the function first."
                )
        written: Any = targets[0]
        if operation.functional is not None and not self.reason:
            out = operation.functional(*plain(args), **plain(kwargs))
            result = self._record(describe(operation.functional), out, args, kwargs)
            if tuple(result.shape) == tuple(written.shape):
                if not self.reason:
                    self._overwrite(operation, written, result)
                written.value.copy_(plain(result))
                written.depends |= result.depends
                return written
        self.refuse(f"torch.{operation.packet} works in place")
        operation.op(*plain(args), **plain(kwargs))
        depends = set().union(*self._depends((args, kwargs)))
        for tensor in tensors_in(targets):
            tensor.depends |= depends
        return targets[0] if len(targets) == 1 else tuple(targets)

    def _overwrite(
        self, operation: Operation, written: RecordedTensor, result: torch.Tensor
    ) -> None:
        """Write the result of an operation in place into its target."""
        try:
            fitted = self._fitted(Call(self, operation.op, written.value)(result), written.value)
            written.variables[...] = fitted.variables
        except NotAProgram as error:
            self.refuse(str(error))

    def _fitted(self, expression: Expression, like: torch.Tensor) -> Expression:
        """Return an expression in the dtype of a tensor, narrow integers wrapped."""
        result = expression.cast(self.dtype_of(like))
        wrap = WRAPS.get(str(like.dtype).removeprefix("torch."))
        if wrap is None:
            return result
        if expression.is_floating:
            # By way of 32 bits, where a number that does not fit becomes -2**31, as on x86-64.
            fits = (result >= -(2**31)) & (result < 2**31)
            result = where(fits, result, -(2**31))
        return apply(wrap, result)

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
            return self._stored(value, self.constants(value, structural), set())
        except NotAProgram as error:
            self.refuse(str(error))
            return RecordedTensor(self, value, None, set())

    def _stored(
        self, value: torch.Tensor, variables: np.ndarray, depends: set[str]
    ) -> RecordedTensor:
        if any(stride == 0 for stride in value.stride()) or value.storage_offset():
            value = value.clone(memory_format=torch.contiguous_format)
        tensor = RecordedTensor(self, value, Cells.of(value), depends)
        tensor.variables[...] = variables
        return tensor

    def _require_own(self, tree: Any) -> None:
        """Refuse a tensor of another call, and one that another library made from the memory of a
        traced tensor, which has none."""
        for tensor in tensors_in(tree):
            if isinstance(tensor, RecordedTensor):
                if tensor.recorder is not self:
                    raise StatefulFunction(KEPT)
            elif tensor.device.type == "cpu" and tensor.numel() and not tensor._is_zerotensor():
                if tensor.data_ptr() == 0:
                    raise UntraceableError(
                        f"the function uses the memory of a traced tensor through another "
                        f"library, at {user_line()}.\nA tensor has no memory while the function "
                        f"is traced: compute with torch's own functions."
                    )

    def _depends(self, tree: Any) -> Iterator[set[str]]:
        for tensor in tensors_in(tree):
            if isinstance(tensor, RecordedTensor) and tensor.depends:
                yield tensor.depends


def _lies_in(args: tuple, out: Any) -> bool:
    """Tell whether a possible view is one: `contiguous`, `reshape` and `to` copy at times."""
    base = next(tensors_in(plain(args)), None)
    if base is None or base._is_zerotensor():
        return False
    return all(
        tensor.untyped_storage().data_ptr() == base.untyped_storage().data_ptr()
        for tensor in tensors_in((out,))
    )


def _zeros(like: torch.Tensor) -> torch.Tensor:
    return torch.zeros(like.shape, dtype=like.dtype)


# Operations whose answer goes to Python, or into a shape.
_QUESTIONS = {"_local_scalar_dense", "equal", "is_nonzero", "nonzero", "item"}


def _is_floating(out: Any) -> bool:
    return all(tensor.is_floating_point() for tensor in tensors_in((out,)))
