"""The reference by framework; each imports its framework when it is first asked for."""

from collections.abc import Callable, Sequence
from typing import Any

from gradsweep.testing.fuzz.reference.base import Reference

__all__ = ["make_reference"]


def make_reference(
    framework: str, function: Callable[..., Any], wrt: Sequence[str], dtype: str
) -> Reference:
    """Return the Reference of a function.

    Args:
        wrt: the arguments to differentiate.
        dtype: the precision of the sweep.
    """
    if framework == "torch":
        from gradsweep.testing.fuzz.reference.torch import TorchReference

        return TorchReference(function, wrt, dtype)
    if framework == "numpy":
        from gradsweep.testing.fuzz.reference.numpy import NumpyReference

        return NumpyReference(function, wrt)
    from gradsweep.testing.fuzz.reference.jax import JaxReference

    return JaxReference(function, wrt, dtype)
