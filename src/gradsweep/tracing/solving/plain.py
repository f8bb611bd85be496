"""Solve an equation in NumPy's numbers, in a plain call of the function outside a sweep.

The search is that of a sweep, with finite differences for the derivative of the residual.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradsweep.support.errors import warn
from gradsweep.tracing.solving.numbers import Equation, Function
from gradsweep.tracing.solving.unknowns import require_as_many

__all__ = ["solve"]

# How the errors of math's functions begin, outside the numbers that they are defined for.
_NO_VALUE = ("math domain error", "expected a ")


def solve(equation: Equation) -> list[Any]:
    """Return the leaves of the solution; NaN where none is found, with a warning."""
    given = equation.start
    start = [np.asarray(leaf) for leaf in given]
    dtype = np.result_type(*(leaf.dtype for leaf in start), np.float32)
    flat = _flat(start).astype(dtype)
    ends = np.cumsum([leaf.size for leaf in start])[:-1]

    def parts(y: Any) -> list[Any]:
        blocks = zip(np.split(np.ravel(y), ends), start)
        return [block.reshape(leaf.shape)[()] for block, leaf in blocks]

    errors: list[Exception] = []
    n_values = 0

    def on_vector(function: Callable[[Sequence[Any]], list[Any]]) -> Function:
        def of_vector(y: Any) -> Any:
            nonlocal n_values
            try:
                values = _flat(function(parts(y))).astype(dtype)
            except (ArithmeticError, ValueError) as error:
                # Where functions of math have no value, those of frameworks have NaN.
                if isinstance(error, ValueError) and not str(error).startswith(_NO_VALUE):
                    raise
                errors.append(error)
                return np.full_like(y, np.nan)[()]
            n_values += 1
            require_as_many(flat.size, values.size)
            return values.reshape(np.shape(y))[()]

        return of_vector

    searched = on_vector(equation.searched)
    with np.errstate(all="ignore"):
        begun = flat[0] if flat.size == 1 else flat
        found = equation.find(_Numbers(dtype, equation.bracket), searched, begun)
        if not found.is_found:
            why = _raised(errors[0]) if not n_values else _why(equation, searched)
            warn(f"an equation has no solution that is found, and NaN stands for it: {why}")
    y = found.y if found.is_found else np.full_like(flat, np.nan)
    return [
        number.item() if type(leaf) in (int, float) else number
        for number, leaf in zip(parts(y), given)
    ]


def _raised(error: Exception) -> str:
    return f"its function raises {type(error).__name__}: {error}, wherever the search computes it."


def _why(equation: Equation, searched: Function) -> str:
    """Say why no solution was found."""
    if equation.bracket is not None:
        ends = [(float(searched(np.float64(limit))), limit) for limit in equation.bracket]
        if not ends[0][0] * ends[1][0] <= 0:
            shown = " and ".join(f"{value:.6g} at {limit:.6g}" for value, limit in ends)
            return f"its residual is {shown}, the limits of its bracket, and changes no sign."
    return f"the search from {equation.start} found none in {equation.max_steps} steps."


def _flat(leaves: Sequence[Any]) -> np.ndarray:
    return np.concatenate([np.ravel(np.asarray(leaf)) for leaf in leaves])


class _Numbers:
    """NumPy's numbers of one dtype, for one search.

    Args:
        bracket: limits that no difference goes beyond.
    """

    def __init__(self, dtype: np.dtype, bracket: tuple[Any, Any] | None):
        self._dtype = dtype
        self._bracket = bracket
        self._last: Any = None
        self.epsilon = float(np.finfo(dtype).eps)

    def number(self, value: Any) -> Any:
        return np.bool_(value) if isinstance(value, bool) else self._dtype.type(value)

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        return np.where(condition, x, y)[()]

    def is_finite(self, x: Any) -> Any:
        return np.all(np.isfinite(x))

    def largest(self, x: Any) -> Any:
        return np.max(x)

    def sloped(self, function: Function, y: Any) -> tuple[Any, Any]:
        values = function(y)
        columns = []
        for k, each in enumerate(self._lengths(y)):
            slopes = []
            for h in each:
                moved = np.array(y, self._dtype)
                moved.reshape(-1)[k] += h
                length = moved.reshape(-1)[k] - np.ravel(y)[k]
                slopes.append((function(moved[()]) - values) / length)
            # Of two the lower: the other may lead over a jump, which would look like a zero.
            columns.append(min(slopes, key=lambda slope: np.max(abs(slope))))
        self._last = y
        return values, np.stack(columns, axis=-1).reshape(np.shape(y) * 2)[()]

    def _lengths(self, y: Any) -> list[list[float]]:
        """Return by how much each unknown is moved, to both sides within a bracket.

        A small part of the number itself, or of the last step: near a solution at zero, what is
        small beside the number is lost beside the terms of the residual.
        """
        y = np.ravel(y)
        step = 0 * y if self._last is None else y - np.ravel(self._last)
        least = self.epsilon**0.5 * np.where(y == 0, 1.0, abs(y))
        lengths = np.maximum(least, abs(step) * 2.0**-10)
        if self._bracket is None:
            return [[length] for length in lengths]
        (low, high), (length,), (at,) = self._bracket, lengths, y
        return [[h for h in (min(length, high - at), -min(length, at - low)) if h]]

    def unit(self, y: Any) -> Any:
        return np.eye(np.size(y), dtype=self._dtype) if np.ndim(y) else self._dtype.type(1)

    def norm(self, slope: Any) -> Any:
        return np.max(np.sum(abs(slope), -1)) if np.ndim(slope) else abs(slope)

    def solve(self, slope: Any, x: Any) -> Any:
        if not np.ndim(x):
            return x / slope
        try:
            return np.linalg.solve(slope, x)
        except np.linalg.LinAlgError:
            return np.full_like(x, np.nan)

    def loop(
        self,
        goes_on: Callable[..., Any],
        step: Callable[..., tuple],
        carried: tuple,
        max_steps: int,
    ) -> tuple:
        for _ in range(max_steps):
            if not goes_on(*carried):
                break
            carried = step(*carried)
        return carried
