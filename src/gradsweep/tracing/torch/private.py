"""Every use of a part of torch that has no public door, each with its reason.

Nothing else in the package touches a name of torch that begins with an underscore, but for three of
Tensor: `_make_wrapper_subclass`, which torch's documentation of tensor subclasses uses, `_version`
and `_is_zerotensor`.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from types import FrameType
from typing import Any

import torch
from torch.autograd import forward_ad

__all__ = [
    "LINEARIZE",
    "FastDispatchMode",
    "Within",
    "decomposition",
    "dispatch_modes",
    "ends_derivatives",
    "has_tangent",
    "higher_order_name",
    "is_batched",
    "is_linearizing",
    "is_transforming",
    "is_wrapped",
    "n_derivatives_around",
    "outside_transformations",
    "schema",
    "set_grad_enabled",
    "unwrapped",
    "with_functions",
    "without_dispatch",
    "without_functions",
    "without_override",
]


class FastDispatchMode(torch.utils._python_dispatch.TorchDispatchMode):
    """TorchDispatchMode, the documented base class, lives in a module with an underscore."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Otherwise torch imports its compiler, and sympy with it, at the first operation: 1 s.
        return False


def dispatch_modes() -> list[Any]:
    """Return the active modes of dispatch, the innermost last."""
    return torch.utils._python_dispatch._get_current_dispatch_mode_stack()


# With this a subclass passes through torch functions as a plain tensor does; without it, each call
# goes through Python twice.
without_override = torch._C._disabled_torch_function_impl


# no_grad and its like call this when they begin and end, and modes of torch functions see it.
set_grad_enabled = torch._C._set_grad_enabled


def without_dispatch() -> AbstractContextManager:
    """Let an operation act on the metadata of a wrapper tensor itself."""
    return torch._C._DisableTorchDispatch()


# Torch functions call no Python function in their place, and those of modes neither, or do again.
without_functions: Callable[[], AbstractContextManager] = torch._C.DisableTorchFunction
with_functions: Callable[[], AbstractContextManager] = torch._C._EnableTorchFunction


def schema(op: torch._ops.OpOverload) -> torch._C.FunctionSchema:
    """Return an operation's arguments and returns, and which of them share memory."""
    return op._schema


@cache
def decomposition(op: torch._ops.OpOverload) -> Callable | None:
    """Return torch's own decomposition of an operation into simpler ones, or None."""
    if torch._C._dispatch_has_kernel_for_dispatch_key(op.name(), "CompositeImplicitAutograd"):
        return op.decompose
    # The import takes a second, so it waits for an operation that needs it.
    from torch import _refs  # noqa: F401  # registers more of them
    from torch._decomp import decomposition_table

    return decomposition_table.get(op)


def is_wrapped(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor belongs to a transformation of torch.func."""
    return torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def is_batched(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor stands for those of many points at once, under torch.func.vmap."""
    functorch = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(tensor):
        if functorch.is_batchedtensor(tensor):
            return True
        tensor = functorch.get_unwrapped(tensor)
    return False


def unwrapped(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor within the transformations of torch.func, those of all points at once."""
    functorch = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(tensor):
        tensor = functorch.get_unwrapped(tensor)
    return tensor


Within = Callable[[], AbstractContextManager[None]]


@contextmanager
def outside_transformations() -> Iterator[Within]:
    """Compute with plain tensors as outside torch.func, whose results are tensors of its own.

    Yields:
        what enters the transformations again for a while.
    """
    if not is_transforming():
        yield nullcontext
        return
    from torch._functorch import pyfunctorch

    with pyfunctorch.temporarily_clear_interpreter_stack() as layers:
        yield lambda: pyfunctorch.temporarily_restore_interpreter_stack(layers)


def is_transforming() -> bool:
    """Tell whether a transformation of torch.func is active."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def n_derivatives_around() -> int:
    """Return how many transformations of torch.func that differentiate are active."""
    kinds = torch._C._functorch.TransformType
    stack = torch._C._functorch.get_interpreter_stack() or []
    return sum(one.key() in (kinds.Grad, kinds.Jvp) for one in stack)


LINEARIZE = "torch.func.linearize"

_FRAMES_UP_TO_LINEARIZE = 5


def is_linearizing() -> bool:
    """Tell whether torch.func.linearize is giving tangents the form of its arguments.

    Its result takes the point for a constant. It is a plain function that no mode sees.
    """
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_FRAMES_UP_TO_LINEARIZE):
        if frame is not None:
            if frame.f_code is torch.func.linearize.__code__:
                return True
            frame = frame.f_back
    return False


def ends_derivatives(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor's node in autograd's graph stands for a missing rule."""
    return type(tensor.grad_fn).__name__ in ("NotImplemented", "WarnNotImplemented")


def higher_order_name(function: Any) -> str:
    """Return the name of an operator that takes functions, such as torch.cond's; "" of others."""
    is_one = isinstance(function, torch._ops.HigherOrderOperator)
    return function.name() if is_one else ""


def has_tangent(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor is a dual number."""
    level = forward_ad._current_level
    return level >= 0 and forward_ad.unpack_dual(tensor, level=level).tangent is not None
