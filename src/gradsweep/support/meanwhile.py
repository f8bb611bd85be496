"""Give a context variable another value for a while.

A variable and a value enter; the one that it had is back afterwards.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

__all__ = ["meanwhile"]

T = TypeVar("T")


@contextmanager
def meanwhile(variable: ContextVar[Any], value: T) -> Iterator[T]:
    """Give a context variable a value, which is yielded, in this thread or task alone."""
    token = variable.set(value)
    try:
        yield value
    finally:
        variable.reset(token)
