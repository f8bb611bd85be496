"""How many times a solved equation is differentiated, which decides how its derivatives are made.

What runs a function says how often it differentiates it; transformations of torch.func that are
active around an equation say so themselves.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

import torch

from gradsweep.support.errors import DerivativeError
from gradsweep.support.meanwhile import meanwhile
from gradsweep.tracing.torch import private

__all__ = ["calling", "differentiating", "order_here", "require_no_derivative"]

# What a plain call of the function may be differentiated, of which nothing is known.
_IN_A_PLAIN_CALL = 3

_ORDER: ContextVar[int] = ContextVar("order", default=_IN_A_PLAIN_CALL)

# Whether the function itself runs, rather than what differentiates it.
_IS_CALLED: ContextVar[bool] = ContextVar("is_called", default=False)


def differentiating(order: int) -> AbstractContextManager[None]:
    """Say how often autograd differentiates what is computed meanwhile."""
    return _within(order, is_called=False)


def order_here() -> int:
    """Return how often what is computed here may be differentiated."""
    return _ORDER.get() + private.n_derivatives_around()


def calling() -> AbstractContextManager[None]:
    """Say that a function runs meanwhile, all of whose derivatives are counted."""
    return _within(None, is_called=True)


def _within(order: int | None, is_called: bool) -> AbstractContextManager[None]:
    # torch.compile knows no context variables; a function that solves equations it leaves alone.
    return nullcontext() if torch.compiler.is_compiling() else _setting(order, is_called)


@contextmanager
def _setting(order: int | None, is_called: bool) -> Iterator[None]:
    order = _ORDER.get() if order is None else order
    with meanwhile(_ORDER, order), meanwhile(_IS_CALLED, is_called):
        yield


def require_no_derivative(y: torch.Tensor) -> None:
    """Refuse that the function itself differentiates a solution by autograd: it counts no more.

    Raises:
        DerivativeError: once it does so, as long as it runs.
    """
    if not _IS_CALLED.get() or not y.requires_grad or private.is_transforming():
        return

    def hook(gradient: torch.Tensor) -> None:
        if _IS_CALLED.get():
            raise DerivativeError(
                "the function differentiates the solution of an equation by torch.autograd, and "
                "its own derivatives would lack a term.\nWrite torch.func.grad, torch.func.vjp or "
                "torch.func.jacrev there."
            )

    with private.without_functions():
        y.register_hook(hook)
