"""Whether torch's derivatives of third and higher order are the derivatives of those below them.

A derivative of third order differentiates torch's formulas for second derivatives, and some of
these must not be differentiated: layer_norm's silently takes the mean for a constant. Differences
of the derivatives below show it, at a point beside the one asked for, where no kink is met.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch

from gradsweep.request.quantities import Derivative
from gradsweep.tracing.torch.recording import Point, Values, values_at

__all__ = ["agree_with_differences"]

Call = Callable[[Values], tuple[torch.Tensor, ...]]
Word = tuple[str, ...]

# A wrong formula is wrong by more than this; differences are good to half of the digits.
_MOST = 0.02

# The rounding errors that a derivative may have.
_ROUNDINGS = 1e3

# In units of the cube root of a rounding error, where central differences are mostly best. Where
# the first ones agree, no other is made; a function that oscillates fast needs smaller ones.
_STEPS = (1.0, 8.0, 2.0**-5, 2.0**-10)


def agree_with_differences(
    derivative: Derivative, at_point: Callable[[Derivative], Call], point: Point
) -> bool:
    """Tell whether derivatives agree with differences of those that their words begin with.

    They do not where differences by two steps agree with each other alone. Where these do not
    either, nothing is known.

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
        slopes: dict[Word, list[list[_Slope]]] = {word: [] for word in begins}
        for step in _STEPS:
            low, high = (
                _by_word(inner, at_point, beside.moved(letter, sign * step)) for sign in (-1, 1)
            )
            for word, made in slopes.items():
                ends = zip(low[word], high[word])
                made.append([_slope(a, b, step, beside.epsilon) for a, b in ends])
            pending = {
                word: made
                for word, made in slopes.items()
                if not _agrees(_along(found[*word, letter], beside.move(letter, 1.0)), made)
            }
            if not pending:
                break
        if any(_agree_among_themselves(made) for made in pending.values()):
            return False
    return True


@dataclass(frozen=True)
class _Slope:
    """A difference quotient, and its error by rounding."""

    value: np.ndarray
    noise: float


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
    arrays = at_point(replace(derivative, with_value=False))(values_at(point))
    n = len(derivative.of)
    return {
        word: [array.detach().numpy() for array in arrays[i::n]]
        for i, word in enumerate(derivative.of)
    }


def _along(arrays: Sequence[np.ndarray], move: np.ndarray) -> list[np.ndarray]:
    """Return the change of each output that a derivative by an argument gives for a step of it."""
    return [np.sum(a * move, axis=tuple(range(a.ndim - move.ndim, a.ndim))) for a in arrays]


def _slope(low: np.ndarray, high: np.ndarray, step: float, epsilon: float) -> _Slope:
    sizes = np.maximum(np.abs(low), np.abs(high))
    largest = float(np.max(sizes, initial=0.0, where=np.isfinite(sizes)))
    # The error of a smaller step would be large enough to hide everything.
    return _Slope((high - low) / (2 * step), _ROUNDINGS * epsilon * largest / max(step, 1.0))


def _agrees(expected: Sequence[np.ndarray], made: Sequence[Sequence[_Slope]]) -> bool:
    """Tell whether the derivatives of all outputs agree with the differences by some step."""
    return any(
        all(_is_close(a, slope.value, slope.noise) for a, slope in zip(expected, slopes))
        for slopes in made
    )


def _agree_among_themselves(made: Sequence[Sequence[_Slope]]) -> bool:
    """Tell whether the differences by two steps, one after the other, agree."""
    return any(
        all(_is_close(a.value, b.value, max(a.noise, b.noise)) for a, b in zip(first, second))
        for first, second in pairwise(made)
    )


def _is_close(a: np.ndarray, b: np.ndarray, noise: float) -> bool:
    """Tell whether numbers agree to two digits of the largest, where both are finite."""
    known = np.isfinite(a) & np.isfinite(b)
    if not known.any():
        return True
    a, b = a[known], b[known]
    most = np.max(np.maximum(np.abs(a), np.abs(b)))
    return bool(np.all(np.abs(a - b) <= _MOST * most + noise))
