"""Record the operations that torch dispatches, as equations of a Builder.

A RecordedTensor is what the traced function computes with: it has a shape, a dtype and no data.
Beside it stand its concrete value, which decides Python branches, and the variable that each
element of its storage is. torch's own automatic differentiation runs above and is recorded with
the rest. Views share storage, so writing through one shows in the others, as in torch.

Knows nothing of derivatives or sweeps; what each operation means stands in `rules`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from gradsweep.builder import Builder
from gradsweep.errors import NotAProgram, StatefulFunction
from gradsweep.frontends.torch import private
from gradsweep.frontends.torch.expression import Expression
from gradsweep.frontends.torch.operation import Operation, describe
from gradsweep.frontends.torch.rules import CONSTANTS, UNINITIALISED, ZEROS
from gradsweep.frontends.torch.source import user_line
from gradsweep.frontends.torch.tensor import (
    DTYPES,
    RecordedTensor,
    from_numpy,
    map_tensors,
    plain,
    tensors_in,
)

__all__ = ["SEED", "Call", "ReadsSeed", "Recorder"]

# The leaf that stands for every vector of a basis at once; no argument has this name.
SEED = "basis vector"


class ReadsSeed(Exception):
    """Python code branches on a seed, so that a trace holds for one basis vector alone."""


class Call:
    """One operation being recorded: what a rule reads its operands with."""

    def __init__(self, recorder: "Recorder", op: Callable, out: Any):
        self.recorder = recorder
        self.op = op
        self.builder = recorder.builder
        self.out = out

    @property
    def dtype(self) -> str:
        """The dtype of the result, or of the first of them."""
        first = self.out if isinstance(self.out, torch.Tensor) else self.out[0]
        return self.recorder.dtype_of(first)

    def __call__(self, operand: Any, dtype: str | None = None) -> Expression:
        """Return an operand as variables: a tensor, or a number as a constant."""
        if isinstance(operand, torch.Tensor):
            own = self.recorder.dtype_of(operand)
            expression = Expression(self.builder, self.recorder.variables_of(operand), own)
            return expression.cast(dtype or own)
        dtype = dtype or {bool: "bool", int: "int64"}.get(type(operand), "float64")
        return Expression(self.builder, np.array(self.builder.constant(operand, dtype)), dtype)

    def out_like(self, expression: Expression) -> Expression:
        """Spread an expression over the shape of the result."""
        return expression.of(np.broadcast_to(expression.variables, tuple(self.out.shape)))

    def promoted(self, *operands: Any) -> str:
        """Return the dtype in which torch computes with operands."""
        dtype = torch.result_type(*(plain(operand) for operand in operands[:2]))
        return DTYPES.get(dtype, "float64")

    def is_traced(self, operand: Any) -> bool:
        """Tell whether an index, say, depends on the leaves at all."""
        if not isinstance(operand, RecordedTensor):
            return False
        constants = map(self.builder.is_constant, operand.variables.ravel().tolist())
        return not all(constants)

    def known(self, operand: Any) -> torch.Tensor:
        """Return a tensor's value, which the Program holds for from now on."""
        if isinstance(operand, RecordedTensor):
            self.recorder.guard(operand)
            return operand.value
        return operand


class Recorder(private.FastDispatchMode):
    """While active, every operation is computed on concrete values and written as equations.

    Attributes:
        builder: where the equations go.
        reason: why the trace is no Program, or "".
        has_branches: whether Python code has read a traced value.
    """

    def __init__(self) -> None:
        super().__init__()
        self.builder = Builder()
        self.reason = ""
        self.has_branches = False
        self._guarded: set[int] = set()
        self._constants: dict[int, tuple[torch.Tensor, int, np.ndarray]] = {}

    def input(self, key: str, value: np.ndarray) -> RecordedTensor:
        """Return a leaf as a tensor to trace with."""
        tensor = from_numpy(np.array(value, order="C"))
        storage = None
        try:
            inputs = self.builder.inputs(key, tuple(tensor.shape), self.dtype_of(tensor))
            storage = inputs.reshape(-1)
        except NotAProgram as error:
            self.refuse(str(error))
        return RecordedTensor(tensor, storage, {key})

    def recorded(self, tensor: torch.Tensor) -> RecordedTensor:
        """Return any tensor as a recorded one: what is not yet, is a constant."""
        return tensor if isinstance(tensor, RecordedTensor) else self._created(tensor.detach())

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
        for variable, value in zip(tensor.variables.ravel().tolist(), tensor.value.reshape(-1)):
            if variable not in self._guarded:  # derivatives read it again, from another line
                self._guarded.add(variable)
                self.builder.guard(variable, value.item(), where)

    def dtype_of(self, tensor: torch.Tensor) -> str:
        dtype = DTYPES.get(tensor.dtype)
        if dtype is None:
            raise NotAProgram(f"it computes with {str(tensor.dtype).removeprefix('torch.')}")
        return dtype

    def variables_of(self, tensor: torch.Tensor) -> np.ndarray:
        if isinstance(tensor, RecordedTensor):
            return tensor.variables
        # One that the function closes over is read once: a weight is used by many operations.
        known = self._constants.get(id(tensor))
        if known is None or known[1] != tensor._version:
            variables = self.constants(tensor)
            known = self._constants[id(tensor)] = (tensor, tensor._version, variables)
        return known[2]

    def constants(self, value: torch.Tensor, structural: bool = False) -> np.ndarray:
        """Return a value as constants, its zeros structural or not."""
        dtype = self.dtype_of(value)
        array = value.detach().numpy()
        variables = self.builder.constants(array, dtype)
        if structural:
            variables[array == 0] = self.builder.structural_zero(dtype)
        return variables

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        operation = describe(op)
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
            return self._view(args, out)
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

    def _view(self, args: tuple, out: Any) -> Any:
        base = next(tensors_in(args), None)
        if not isinstance(base, RecordedTensor):
            return out

        def wrap(value: Any) -> Any:
            if isinstance(value, torch.Tensor):
                return RecordedTensor(value, base.storage, base.depends)
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
        return map_tensors(lambda value: RecordedTensor(value, None, set(depends)), out)

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
            expression = next(expressions).cast(self.dtype_of(value))
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
                    cast = Call(self, operation.op, written.value)(
                        result, self.dtype_of(written.value)
                    )
                    written.variables[...] = cast.variables
                written.value.copy_(plain(result))
                written.depends |= result.depends
                return written
        self.refuse(f"torch.{operation.packet} works in place")
        operation.op(*plain(args), **plain(kwargs))
        depends = set().union(*self._depends((args, kwargs)))
        for tensor in tensors_in(targets):
            tensor.depends |= depends
        return targets[0] if len(targets) == 1 else tuple(targets)

    def made(
        self, value: torch.Tensor, variables: np.ndarray | None, depends: set[str]
    ) -> RecordedTensor:
        """Return a tensor of given variables, or of none when the trace is no Program."""
        if variables is None or self.reason:
            return RecordedTensor(value, None, depends)
        return self._stored(value, variables, depends)

    def _created(self, value: torch.Tensor, structural: bool = False) -> RecordedTensor:
        """Return a tensor that the function made of no argument."""
        if self.reason:
            return RecordedTensor(value, None, set())
        try:
            return self._stored(value, self.constants(value, structural), set())
        except NotAProgram as error:
            self.refuse(str(error))
            return RecordedTensor(value, None, set())

    def _stored(
        self, value: torch.Tensor, variables: np.ndarray, depends: set[str]
    ) -> RecordedTensor:
        if any(stride == 0 for stride in value.stride()) or value.storage_offset():
            value = value.clone(memory_format=torch.contiguous_format)
        storage = np.zeros(_extent(value), dtype=np.int64)
        tensor = RecordedTensor(value, storage, depends)
        tensor.variables[...] = variables
        return tensor

    def _depends(self, tree: Any) -> Iterator[set[str]]:
        for tensor in tensors_in(tree):
            if isinstance(tensor, RecordedTensor) and tensor.depends:
                yield tensor.depends


def _lies_in(args: tuple, out: Any) -> bool:
    """Tell whether what may be a view is one: `contiguous`, `reshape` and `to` copy at times."""
    base = next(tensors_in(plain(args)), None)
    return base is not None and all(
        tensor.dtype == base.dtype
        and tensor.untyped_storage().data_ptr() == base.untyped_storage().data_ptr()
        for tensor in tensors_in((out,))
    )


# Operations whose answer goes to Python, or into a shape.
_QUESTIONS = {"_local_scalar_dense", "equal", "is_nonzero", "nonzero", "item"}


def _extent(value: torch.Tensor) -> int:
    if value.numel() == 0:
        return 0
    return 1 + sum((n - 1) * stride for n, stride in zip(value.shape, value.stride()))


def _is_floating(out: Any) -> bool:
    return all(tensor.is_floating_point() for tensor in tensors_in((out,)))
