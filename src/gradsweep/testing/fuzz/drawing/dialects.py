"""The grammars by dialect; each imports its framework when it is first asked for."""

from functools import cache

from gradsweep.testing.fuzz.drawing.scope import Dialect

__all__ = ["dialect_of"]


@cache
def dialect_of(framework: str, dtype: str = "float64") -> Dialect:
    """Return a framework's grammar.

    Args:
        dtype: the dtype that numbers without one are computed in.
    """
    if framework == "torch":
        from gradsweep.testing.fuzz.drawing.torch.dialect import TorchDialect

        return TorchDialect(dtype)
    if framework == "numpy":
        from gradsweep.testing.fuzz.drawing.numpy.dialect import NumpyDialect

        return NumpyDialect()
    from gradsweep.testing.fuzz.drawing.jax.dialect import JaxDialect

    return JaxDialect()
