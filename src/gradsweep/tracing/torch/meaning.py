"""Give a function's operations the meaning that they have for torch's backward, and watch them.

A function runs under `AsBackward`. Results computed under `no_grad` or in inference mode are
constants in every mode, and so are numbers that a constructor copies out of tensors. A Watch notes
where a derivative ends silently: at an operation that has none, at a number that Python reads, at
an array that NumPy gets.

Knows nothing of how operations are recorded, nor of Programs.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils.hooks import RemovableHandle

from gradsweep.support.errors import DerivativeError, UntraceableError
from gradsweep.support.meanwhile import meanwhile
from gradsweep.tracing.torch import private
from gradsweep.tracing.torch.control import control_flow
from gradsweep.tracing.torch.recorder.indices import gathered, holds_places
from gradsweep.tracing.torch.recorder.tensor import RecordedTensor, map_tensors, tensors_in
from gradsweep.tracing.torch.source import instead, user_line

__all__ = ["AsBackward", "Cut", "Read", "Watch", "unwatched"]

CutKind = Literal["operation", "no_grad", "copy"]


@dataclass(frozen=True)
class Cut:
    """A place where a derivative ends.

    Attributes:
        kind: an operation without a derivative, no_grad, or a constructor that copies numbers.
        name: the name of the operation.
        line: the user's line.
    """

    kind: CutKind
    name: str
    line: str


@dataclass(frozen=True)
class Read:
    """A place where Python reads numbers out of a tensor: into what, and at which line."""

    name: str
    line: str


def _shifted(value: Any, by: float) -> Any:
    """Return floating numbers changed a little; integers and bools stay."""
    if isinstance(value, list):
        return [_shifted(item, by) for item in value]
    if isinstance(value, float | complex):
        return value * (1.0 + by) + by
    if isinstance(value, np.ndarray) and value.dtype.kind in "fc":
        return np.asarray(value * (1.0 + by) + by, dtype=value.dtype)
    return value


# The methods that read numbers out of a tensor, and what each returns. `item` is none of them: it
# says that a constant is meant.
_NUMBERS = {
    torch.Tensor.__float__: "a Python float",
    torch.Tensor.__complex__: "a Python number",
    torch.Tensor.tolist: "a list of numbers",
    torch.Tensor.__format__: "text",
}
_ARRAYS = {torch.Tensor.numpy, torch.Tensor.__array__}

# The methods that hand out the memory of a tensor, which a traced one does not have.
_MEMORY = {
    torch.Tensor.__dlpack__: "DLPack",
    torch.Tensor.data_ptr: "data_ptr()",
    torch.Tensor.untyped_storage: "untyped_storage()",
    torch.Tensor.storage: "storage()",
    torch.Tensor.share_memory_: "share_memory_()",
    torch.Tensor.__cuda_array_interface__.__get__: "the CUDA array interface",
}

# Constructors that copy numbers out of tensors as constants; torch warns at most.
_COPIES = {torch.tensor, torch.as_tensor, torch.asarray, torch.Tensor.new_tensor}

# Functions that say that a constant is meant, or that take only the form of a tensor.
_MEANT = {
    torch.Tensor.detach, torch.Tensor.detach_, torch.Tensor.data.__get__, torch.detach,
    torch.zeros_like, torch.ones_like, torch.empty_like, torch.full_like, torch.rand_like,
    torch.randn_like, torch.randint_like, torch.Tensor.new_zeros, torch.Tensor.new_ones,
    torch.Tensor.new_empty, torch.Tensor.new_full, torch.Tensor.new_empty_strided,
    torch.Tensor.zero_, torch.zero_, torch.Tensor.requires_grad_, torch.Tensor.grad.__get__,
}  # fmt: skip

# Functions that give their first argument the form of another.
_IN_THE_FORM_OF = {
    torch.Tensor.to, torch.Tensor.type_as, torch.Tensor.expand_as, torch.Tensor.view_as,
    torch.Tensor.reshape_as,
}  # fmt: skip

# Operations where torch lacks the derivative of some results only. In others a result without one
# loses nothing: its own operands have none (meshgrid), or it is constant around a point (the sign
# of slogdet, P of lu).
_PARTLY_DIFFERENTIABLE = {"lstsq"}

# Methods that torch allows only for tensors that are differentiated, and what they return.
_HOOKS: dict[Any, Callable[[], Any]] = {
    torch.Tensor.register_hook: lambda: RemovableHandle(OrderedDict()),
    torch.Tensor.retain_grad: lambda: None,
}

# All functions that have a meaning of their own here, but for getters of properties.
_SPECIAL = {
    private.set_grad_enabled,
    *_NUMBERS, *_ARRAYS, *_MEMORY, *_COPIES, *_MEANT, *_IN_THE_FORM_OF, *_HOOKS,
}  # fmt: skip
_SPECIAL = {function for function in _SPECIAL if function.__name__ != "__get__"}


def _is_special(function: Any) -> bool:
    # torch.compile can look for no getter in a set, nor in a set with getters.
    return getattr(function, "__name__", "") == "__get__" or function in _SPECIAL


class Recorder(Protocol):
    """The part of a recorder that a Watch uses."""

    def guard(self, tensor: RecordedTensor) -> None:
        """Note that Python sees the numbers of a tensor."""

    def refuse(self, reason: str) -> None:
        """Give the Program up."""

    has_branches: bool
    has_cuts: bool


class Watch:
    """Watches a function while it is traced.

    Args:
        perturbed: the lines at which the numbers read are changed a little, and by how much.

    Attributes:
        reads: the places where numbers are read that may lose a derivative.
        reached: the cuts that lie before some output.
        is_connected: whether a derivative reaches some output.
        is_hooked: whether the function changes derivatives by a hook.
        recorder: the active recorder, while tensors are recorded.
    """

    def __init__(self, perturbed: tuple[frozenset[str], float] = (frozenset(), 0.0)):
        self._lines, self._shift = perturbed
        self.begin()

    def begin(
        self,
        recorder: Recorder | None = None,
        follow: Callable[[Sequence[Any]], None] = lambda outputs: None,
        is_numpys: bool = False,
    ) -> None:
        """Forget everything that was seen, before the function runs again.

        Args:
            follow: is given the function's outputs whenever it returns.
            is_numpys: whether it is written with NumPy, and knows of no tensor.
        """
        self.reads: dict[Read, None] = {}
        self.reached: dict[Cut, None] = {}
        self.is_connected = self.is_hooked = False
        self.recorder, self._follow, self._is_numpys = recorder, follow, is_numpys
        # Arrays that were handed out, each with the array that it is a copy of.
        self._handed: list[tuple[np.ndarray, np.ndarray]] = []

    def read(self, function: Callable, tensor: torch.Tensor, args: tuple, kwargs: dict) -> Any:
        """Return the numbers of a tensor, and note the place."""
        is_array, line = function in _ARRAYS, user_line()
        if is_array and tensor.requires_grad and torch.is_grad_enabled():
            raise DerivativeError(
                f"the function makes a NumPy array of a traced value, at {line}: no derivative "
                f"passes through NumPy.\n{instead(line, self._is_numpys)}; or x.item(), if a "
                f"constant is meant."
            )
        # torch itself advises .detach().numpy(), so detach does not say that a constant is meant.
        is_lost = torch.is_grad_enabled() and (tensor.requires_grad or is_array)
        if is_lost and getattr(tensor, "depends", True) and _is_differentiable(tensor):
            self.reads[Read(_NUMBERS.get(function, "a NumPy array"), line)] = None
        if function is torch.Tensor.__format__ and tensor.ndim == 0:
            number = tensor.detach().item()
            # A changed number has all its digits, so that the change shows.
            return (
                str(_shifted(number, self._shift)) if line in self._lines else format(number, *args)
            )
        numbers = self._numbers(function, tensor.detach(), args, kwargs)
        return _shifted(numbers, self._shift) if line in self._lines else numbers

    def _numbers(self, function: Callable, tensor: torch.Tensor, args: tuple, kwargs: dict) -> Any:
        is_one = function in _NUMBERS and function is not torch.Tensor.tolist
        if is_one or not isinstance(tensor, RecordedTensor):
            return function(tensor, *args, **kwargs)  # one number: recorded as a question
        assert self.recorder is not None
        if function is torch.Tensor.tolist:
            self.recorder.guard(tensor)
            return tensor.value.tolist()
        if tensor.depends:
            self.recorder.refuse("it makes a NumPy array of a traced value")
            self.recorder.has_branches = True
        array = function(tensor.value, *args, **kwargs)
        handed = array.copy()
        self._handed.append((handed, array))
        return handed

    def look(self, function: Any, given: Any, result: Any) -> None:
        """Note an operation whose results have no derivative although its arguments have.

        Args:
            given: the arguments whose values the results depend on.
        """
        if isinstance(result, torch.Tensor) and result.requires_grad:
            if not private.ends_derivatives(result):
                return
        results = [t for t in tensors_in(result) if _is_differentiable(t)]
        ended = [t for t in results if not t.requires_grad or private.ends_derivatives(t)]
        if not ended or not _is_differentiated(given):
            return
        if any(map(private.is_wrapped, (*results, *tensors_in(given)))):
            return  # torch.func inside the function does its own bookkeeping
        name = private.LINEARIZE if private.is_linearizing() else _name(function)
        if len(ended) < len(results) and name.rpartition(".")[2] not in _PARTLY_DIFFERENTIABLE:
            return
        self.cut("copy" if function in _COPIES else "operation", name, ended)

    def cut(self, kind: CutKind, name: str, tensors: list[torch.Tensor]) -> None:
        """Note that a derivative ends at some tensors."""
        cut = Cut(kind, name, user_line())
        for tensor in tensors:
            if isinstance(tensor, RecordedTensor):
                tensor.cuts.add(cut)
                if self.recorder is not None:
                    self.recorder.has_cuts = True
            else:
                self.reached[cut] = None  # nothing follows where a plain tensor goes

    def returned(self, outputs: Sequence[Any]) -> None:
        """Look at the function's outputs.

        Raises:
            RuntimeError: when it wrote into a NumPy array that a tensor would have shared.
        """
        if not all(np.array_equal(*pair, equal_nan=True) for pair in self._handed):
            raise RuntimeError("it writes into the memory of a tensor through NumPy")
        for output in outputs:
            if isinstance(output, torch.Tensor):
                self.is_connected |= output.requires_grad
                self.reached |= dict.fromkeys(getattr(output, "cuts", ()))
        self._follow(outputs)


def _is_differentiated(given: Any) -> bool:
    """Tell whether a derivative is taken of any tensor among arguments."""
    if isinstance(given, torch.Tensor):
        return given.requires_grad
    if isinstance(given, dict):
        given = given.values()
    elif not isinstance(given, tuple | list):
        return False
    return any(_is_differentiated(item) for item in given)


def _is_differentiable(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _name(function: Any) -> str:
    return resolve_name(function) or getattr(function, "__name__", str(function))


_IS_UNWATCHED = ContextVar("is_unwatched", default=False)


def unwatched() -> AbstractContextManager[bool]:
    """Mean constants by all that is computed meanwhile: no Watch sees a derivative end."""
    return meanwhile(_IS_UNWATCHED, True)


class AsBackward(TorchFunctionMode):
    """While active, torch's functions mean in every mode what they mean for backward."""

    def __init__(self, watch: Watch | None = None):
        super().__init__()
        self._watch = watch

    def __torch_function__(self, function, types, args=(), kwargs=None):
        # Without a Watch torch.compile may run this, which knows no context variables.
        watch = None if self._watch is None or _IS_UNWATCHED.get() else self._watch
        kwargs = kwargs or {}
        if function is torch.Tensor.__getitem__ and holds_places(args[1], watch is None):
            function = gathered
        if not _is_special(function) and torch.is_grad_enabled() and not control_flow(function):
            result = function(*args, **kwargs)
            if watch is not None:
                with private.without_functions():
                    watch.look(function, (args, kwargs), result)
            return result
        if self._watch is not None and function in _MEMORY and isinstance(args[0], RecordedTensor):
            raise UntraceableError(
                f"the function hands the memory of a traced tensor to other code, by "
                f"{_MEMORY[function]}, at {user_line()}.\nA tensor has no memory while the "
                f"function is traced: compute with torch's own functions."
            )
        if watch is not None and (function in _NUMBERS or function in _ARRAYS):
            return watch.read(function, args[0], args[1:], kwargs)
        if in_python := control_flow(function):
            with self:
                result = in_python(*args, **kwargs)
            if torch.is_grad_enabled():
                return result
            return map_tensors(lambda t: _constant(watch, torch.clone, (t,), {}), result)
        if not torch.is_grad_enabled() and function is not private.set_grad_enabled:
            return _constant(watch, function, args, kwargs)
        if function in _HOOKS and not args[0].requires_grad:
            return _HOOKS[function]()  # nobody differentiates this value
        if watch is not None and function is torch.Tensor.register_hook:
            watch.is_hooked = True
        if function in _COPIES and args and _holds_tensors(args[0]):
            result = _copied(function, *args, **kwargs)
        else:
            result = function(*args, **kwargs)
        if watch is not None and function not in _MEANT:
            given = _valued(function, args, kwargs)
            with private.without_functions():
                watch.look(function, given, result)
        return result


def _constant(watch: Watch | None, function: Callable, args: tuple, kwargs: dict) -> Any:
    """Call a function under no_grad: its result has no derivative in any mode."""
    originals: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def detached(tensor: torch.Tensor) -> torch.Tensor:
        if not private.has_tangent(tensor):  # no_grad lets tangents through
            return tensor
        constant = tensor.detach()
        originals[id(constant)] = tensor, constant
        return constant

    # Tensors that inference mode makes could not be used outside it.
    with torch.inference_mode(False), torch.no_grad():
        result = function(*map_tensors(detached, args), **map_tensors(detached, kwargs))
    if watch is not None and any(t.requires_grad for t in tensors_in((args, kwargs))):
        written = args[0] if function is torch.Tensor.__setitem__ else None
        made = [t for t in tensors_in((result, written)) if id(t) not in originals]
        if made := [*filter(_is_differentiable, made)]:
            watch.cut("no_grad", _name(function), made)
    return map_tensors(lambda t: originals[id(t)][0] if id(t) in originals else t, result)


def _valued(function: Callable, args: tuple, kwargs: dict) -> Any:
    """Return the arguments of which a function takes the values, not only the form."""
    if function in _IN_THE_FORM_OF and not private.is_linearizing():
        return args[:1]
    return args, kwargs


def _holds_tensors(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_holds_tensors, value))
    return isinstance(value, torch.Tensor)


def _copied(function: Callable, data: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
    """Return a constructor's result from tensors; torch itself reads their numbers one by one."""
    if function is torch.Tensor.new_tensor:
        data, args = args[0], args[1:]
    if isinstance(data, torch.Tensor) and function in (torch.as_tensor, torch.asarray):
        return function(data, *args, **kwargs)
    stacked = _stacked(data)
    dtype = next((a for a in args if isinstance(a, torch.dtype)), kwargs.get("dtype"))
    return stacked if dtype is None else stacked.to(dtype)


def _stacked(value: Any) -> torch.Tensor:
    if isinstance(value, list | tuple):
        rows = [_stacked(row) for row in value]
        dtype = rows[0].dtype
        for row in rows[1:]:
            dtype = torch.promote_types(dtype, row.dtype)
        return torch.stack([row.to(dtype) for row in rows])
    return value.detach().clone() if isinstance(value, torch.Tensor) else torch.tensor(value)
