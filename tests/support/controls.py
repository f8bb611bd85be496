"""Controls: a test of which the protection was taken away has to fail."""

from collections.abc import Callable

import pytest

from gradsweep.errors import ClusterError, StoreError

__all__ = ["must_fail"]


def must_fail(test: Callable[..., None], *arguments: object) -> None:
    """Run a test whose protection was taken away."""
    with pytest.raises((AssertionError, StoreError, ClusterError, pytest.fail.Exception)):
        test(*arguments)
