"""Whether torch's derivatives of third and higher order are the derivatives of those below them.

A derivative of third order differentiates torch's formulas for second derivatives, and some of
these must not be differentiated: layer_norm's silently takes the mean for a constant. Differences
of the derivatives below show it, at a point beside the one asked for, where no kink is met.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from gradsweep.request.quantities import Derivative

__all__ = ["agree_with_differences"]

Point = Mapping[str, np.ndarray]
Call = Callable[[Mapping[str, torch.Tensor]], tuple[torch.Tensor, ...]]
Word = tuple[str, ...]

# A wrong formula is wrong by more than this; differences are good to half of the digits.
_MOST = 0.02

# The rounding errors that a derivative may have.
_ROUNDINGS = 1e3

# In units of the cube root of a rounding error, where central differences are best. One is enough.
_STEPS = (1.0, 8.0)


def agree_with_differences(
    derivative: Derivative, at_point: Callable[[Derivative], Call], point: Point
) -> bool:
    """Tell whether derivatives agree with differences of those that their words begin with.

    Args:
        derivative: one with words.
        at_point: returns a derivative as a function of all values.
        point: the value of every leaf.
    """
    long = [word for word in derivative.of if len(word) > 2]
    if not long:
        return True
    below = replace(derivative, of=tuple(dict.fromkeys(word[:-1] for word in long)))
    if not agree_with_differences(below, at_point, point):
        return False
    beside = _Beside(point, derivative.wrt)
    found = _by_word(derivative, at_point, beside.here)
    for letter in dict.fromkeys(word[-1] for word in long):
        begins = tuple(word[:-1] for word in long if word[-1] == letter)
        inner = replace(below, of=begins)
        pending = set(begins)
        for step in _STEPS:
            low, high = (
                _by_word(inner, at_point, beside.moved(letter, sign * step)) for sign in (-1, 1)
            )
            move = beside.move(letter, step)
            pending -= {
                word
                for word in begins
                if all(
                    _is_close(_along(whole, move), a, b, beside.epsilon)
                    for whole, a, b in zip(found[*word, letter], low[word], high[word])
                )
            }
        if pending:
            return False
    return True


@dataclass(frozen=True)
class _Beside:
    """A point beside another, and steps from it."""

    point: Point
    wrt: Sequence[str]

    @property
    def epsilon(self) -> float:
        return max(float(np.finfo(self.point[key].dtype).eps) for key in self.wrt)

    def move(self, key: str, step: float) -> np.ndarray:
        """Return a step of one argument, every element by a different share of its own size."""
        value = self.point[key]
        share = np.random.default_rng(len(key)).uniform(0.5, 1.0, value.shape)
        size = np.where((value == 0) | ~np.isfinite(value), 1.0, np.abs(value))
        return (step * self.epsilon ** (1 / 3) * share * size).astype(value.dtype)

    @property
    def here(self) -> Point:
        moved = {key: self.point[key] + self.move(key, 16.0) for key in self.wrt}
        return {**self.point, **moved}

    def moved(self, key: str, step: float) -> Point:
        return {**self.here, key: self.here[key] + self.move(key, step)}


def _by_word(
    derivative: Derivative, at_point: Callable[[Derivative], Call], point: Point
) -> Mapping[Word, Sequence[np.ndarray]]:
    """Return the derivatives of all outputs, by their words."""
    values = {key: torch.from_numpy(np.array(value)) for key, value in point.items()}
    arrays = at_point(replace(derivative, with_value=False))(values)
    n = len(derivative.of)
    return {
        word: [array.detach().numpy() for array in arrays[i::n]]
        for i, word in enumerate(derivative.of)
    }


def _along(array: np.ndarray, move: np.ndarray) -> np.ndarray:
    """Return the change that a derivative by an argument gives for a step of it."""
    last = tuple(range(array.ndim - move.ndim, array.ndim))
    return np.sum(array * move, axis=last)


def _is_close(change: np.ndarray, low: np.ndarray, high: np.ndarray, epsilon: float) -> bool:
    """Tell whether a change agrees with half of that between both ends, where all are finite."""
    known = np.isfinite(change) & np.isfinite(low) & np.isfinite(high)
    if not known.any():
        return True
    change, low, high = change[known], low[known], high[known]
    difference = (high - low) / 2
    noise = _ROUNDINGS * epsilon * np.max(np.maximum(np.abs(low), np.abs(high)))
    most = np.max(np.maximum(np.abs(change), np.abs(difference)))
    return bool(np.all(np.abs(change - difference) <= _MOST * most + noise))
