"""What np.vectorize makes: a function that is called for each element, with Python's numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from gradsweep.support.errors import UntraceableError
from gradsweep.tracing.numpy.array import Array
from gradsweep.tracing.numpy.call import apply, library_in
from gradsweep.tracing.numpy.lines import user_line

__all__ = ["Vectorized"]


class Vectorized:
    """What stands for np.vectorize.

    Args:
        pyfunc: takes numbers; without it, this is a decorator.
    """

    def __init__(self, pyfunc: Any = None, otypes: Any = None, *rest: Any, **options: Any):
        self._function, self._options = pyfunc, (otypes, rest, options)
        if pyfunc is not None:
            self._own = np.vectorize(pyfunc, otypes, *rest, **options)

    @classmethod
    def like(cls, own: np.vectorize, function: Callable[..., Any]) -> "Vectorized":
        """Return what stands for one that was made outside, with its options."""
        options = {"excluded": own.excluded, "cache": own.cache, "signature": own.signature}
        return cls(function, own.otypes, **options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._function is None:  # @np.vectorize(otypes=[float])
            otypes, rest, options = self._options
            return Vectorized(args[0], otypes, *rest, **options)
        own = self._own
        if own.signature is not None:
            return self._by_signature(args, kwargs)
        given: dict[Any, Any] = {**dict(enumerate(args)), **kwargs}
        spread = {
            key: apply(np.asarray, (one,), {})
            for key, one in given.items()
            if key not in own.excluded
        }
        shape = np.broadcast_shapes(*(one.shape for one in spread.values()))
        if not all(shape):
            return own(*args, **kwargs)
        rows = [_elements(one, shape) for one in spread.values()]
        results = []
        for elements in zip(*rows, strict=True):
            values = given | dict(zip(spread, elements, strict=True))
            positional = [values.pop(i) for i in range(len(args))]
            results.append(self._function(*positional, **values))
        if isinstance(results[0], tuple):
            columns = [[*column] for column in zip(*results, strict=True)]
            kinds = own.otypes or [None] * len(columns)
            return tuple(_put_together(c, shape, k) for c, k in zip(columns, kinds, strict=True))
        return _put_together(results, shape, own.otypes[0] if own.otypes else None)

    def _by_signature(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        if library_in((args, kwargs)) is not None:
            raise UntraceableError(
                f"the function calls what np.vectorize has made with a signature, with a traced "
                f"value, at {user_line()}: it has no counterpart.\nWrite a loop over the rows."
            )
        return self._own(*args, **kwargs)


def _elements(array: Any, shape: tuple[int, ...]) -> list[Any]:
    """Return the elements as numbers of Python's."""
    row = np.ravel(np.broadcast_to(array, shape))
    if isinstance(row, Array) and row.is_traced:
        return [one.as_number("python") for one in row]
    return row.tolist()


def _put_together(results: list[Any], shape: tuple[int, ...], kind: str | None) -> Any:
    """Return results as an array, of the type of the first one where none is given.

    Raises:
        UntraceableError: where that would cut fractions off.
    """
    found = apply(np.array, (results,), {})
    first = apply(np.array, (results[0],), {}).dtype if kind is None else np.dtype(kind)
    if kind is None and first.kind in "biu" and found.dtype.kind in "fc":
        raise UntraceableError(
            f"np.vectorize takes the type of the first result, an integer, for all of them, at "
            f"{user_line()}: it cuts the fractions of the others off.\n"
            f"Write np.vectorize(f, otypes=[float])."
        )
    found = found if found.dtype == first else found.astype(first)
    return found.reshape((*shape, *found.shape[1:]))
