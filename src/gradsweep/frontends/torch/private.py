"""Every use of a part of torch that has no public door, each with its reason.

Nothing else in the package touches a name of torch that begins with an underscore, but for
`Tensor._make_wrapper_subclass`, which torch's documentation of tensor subclasses uses.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache

import torch

__all__ = ["FastDispatchMode", "decomposition", "schema", "without_dispatch", "without_override"]


class FastDispatchMode(torch.utils._python_dispatch.TorchDispatchMode):
    """TorchDispatchMode, the documented base class, lives in a module with an underscore."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Otherwise torch imports its compiler, and sympy with it, at the first operation: 1 s.
        return False


# What makes a subclass pass through torch functions as a plain tensor does; without it, each
# call goes through Python twice.
without_override = torch._C._disabled_torch_function_impl


def without_dispatch() -> AbstractContextManager:
    """Let an operation act on the metadata of a wrapper tensor itself."""
    return torch._C._DisableTorchDispatch()


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
