"""Draw from lists with hypothesis, which shrinks to the first entry: it is the simplest."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

__all__ = ["Choices"]

T = TypeVar("T")


class Choices:
    """Draws everything that is random.

    Args:
        draw: draws from a strategy, as in a function under `hypothesis.strategies.composite`.
    """

    def __init__(self, draw: Callable[[Any], Any]):
        self._draw = draw

    def between(self, low: int, high: int) -> int:
        return self._draw(st.integers(low, high))

    def one_of(self, options: Sequence[T]) -> T:
        return options[self.between(0, len(options) - 1)] if len(options) > 1 else options[0]

    def weighted(self, options: Sequence[T], weights: Sequence[int]) -> T:
        place = self.between(0, sum(weights) - 1)
        for option, weight in zip(options, weights):
            place -= weight
            if place < 0:
                return option
        raise AssertionError(weights)

    def rarely(self, one_in: int) -> bool:
        """Return True once in `one_in` times."""
        return self.between(0, one_in - 1) == one_in - 1

    def distinct(self, options: Sequence[T], n: int) -> list[T]:
        """Return n of the options, none of them twice."""
        left, found = list(options), []
        for _ in range(n):
            found.append(left.pop(self.between(0, len(left) - 1)))
        return found
