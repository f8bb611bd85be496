"""Controls: a test has to fail when its protection is taken away."""

from collections.abc import Callable

import pytest

from gradsweep.errors import ClusterError, StoreError

__all__ = ["must_fail"]


def must_fail(test: Callable[..., None], *arguments: object, **named: object) -> None:
    """Run a test whose protection is taken away, and check that it fails."""
    with pytest.raises((AssertionError, StoreError, ClusterError, pytest.fail.Exception)):
        test(*arguments, **named)
