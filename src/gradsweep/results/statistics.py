"""Statistics of numbers that come in pieces: the state of a piece, and of two pieces together.

Arrays of shape (..., n) enter, reduced along their last axis; states leave, and in the end values.
Pieces are merged in a fixed tree, so that the order in which they arrive changes no bit.

Knows nothing of sweeps or stores.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from gradsweep.support.errors import require

__all__ = ["REDUCTIONS", "Extremum", "Mean", "Moments", "Reduction", "Statistic", "Tree"]

# How many numbers are summed, and their deviations taken, while they are in the cache: each is read
# from memory once, at about half a nanosecond.
_BLOCK = 2**14

# Centroids of a t-digest: quantiles are then off by about a ten-thousandth of the rank.
_COMPRESSION = 1000


@dataclass(frozen=True, eq=False)
class Moments:
    """How many numbers there are, their mean, and the sum of squared deviations from it.

    The mean is `mean + rest`, where `rest` is the rounding error of `mean`: means of pieces are
    close to each other, and their difference needs all its digits.

    Reference: Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance.
    """

    count: int
    mean: np.ndarray
    rest: np.ndarray
    deviations: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, _: np.ndarray | None = None) -> "Moments":
        values = np.asarray(values, dtype=np.float64)
        n = values.shape[-1]
        whole = n // _BLOCK * _BLOCK
        rest = cls._of_rows(values[..., whole:])
        if not whole:
            return rest
        blocks = values[..., :whole].reshape(*values.shape[:-1], n // _BLOCK, _BLOCK)
        return cls._of_rows(blocks)._folded().merged(rest)

    @classmethod
    def _of_rows(cls, values: np.ndarray) -> "Moments":
        """Return the state of each row; the deviations are taken from its own mean."""
        n = values.shape[-1]
        if n == 0:
            zero = np.zeros(values.shape[:-1])
            return cls(0, zero, zero, zero)
        with np.errstate(invalid="ignore", over="ignore"):
            mean = np.einsum("...i->...", values) / n
            offsets = values - mean[..., None]
            rest = np.einsum("...i->...", offsets) / n
            deviations = np.einsum("...i,...i->...", offsets, offsets) - n * rest * rest
        return cls(n, mean, np.where(np.isfinite(mean), rest, 0.0), deviations)

    def _folded(self) -> "Moments":
        """Merge the states along the last axis into one, neighbours first."""
        state, odd = self, []
        while (n := state.mean.shape[-1]) > 1:
            if n % 2:
                odd.append(state._taken(n - 1))
            even = n // 2 * 2
            state = state._taken(slice(0, even, 2)).merged(state._taken(slice(1, even, 2)))
        found = state._taken(0)
        while odd:
            found = found.merged(odd.pop())
        return found

    def _taken(self, index: int | slice) -> "Moments":
        taken = (array[..., index] for array in (self.mean, self.rest, self.deviations))
        return Moments(self.count, *taken)

    def merged(self, other: "Moments") -> "Moments":
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        share = other.count / count
        with np.errstate(invalid="ignore", over="ignore"):
            offset = (other.mean - self.mean) + (other.rest - self.rest)
            step = self.rest + offset * share
            mean = self.mean + step
            rest = step - (mean - self.mean)  # exact where |step| <= |self.mean|, and small anyway
            is_finite = np.isfinite(self.mean) & np.isfinite(other.mean)
            return Moments(
                count,
                np.where(is_finite, mean, self.mean + other.mean),
                np.where(is_finite, rest, 0.0),
                self.deviations + other.deviations + offset * offset * (self.count * share),
            )

    def means(self) -> np.ndarray:
        return self.mean + self.rest if self.count else np.full_like(self.mean, np.nan)

    def variances(self) -> np.ndarray:
        """The mean of squared deviations (numpy.var with ddof=0)."""
        return self.deviations / self.count if self.count else np.full_like(self.mean, np.nan)


@dataclass(frozen=True, eq=False)
class Mean:
    """How many numbers there are, and their mean: one pass over the numbers."""

    count: int
    mean: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, _: np.ndarray | None = None) -> "Mean":
        n = values.shape[-1]
        return cls(n, _in_blocks("...i->...", values) / max(n, 1))

    @classmethod
    def of_squares(cls, values: np.ndarray, _: np.ndarray | None = None) -> "Mean":
        """Return the state of the squares of the numbers."""
        n = values.shape[-1]
        return cls(n, _in_blocks("...i,...i->...", values, values) / max(n, 1))

    def merged(self, other: "Mean") -> "Mean":
        count = self.count + other.count
        if not self.count or not other.count:
            return self if self.count else other
        with np.errstate(invalid="ignore", over="ignore"):
            mean = self.mean * (self.count / count) + other.mean * (other.count / count)
        return Mean(count, mean)

    def means(self) -> np.ndarray:
        return self.mean if self.count else np.full_like(self.mean, np.nan)


def _in_blocks(products: str, *operands: np.ndarray) -> np.ndarray:
    """Sum along the last axis, by einsum, a block at a time.

    einsum is NumPy's fastest sum, but a single one over all numbers would lose digits: so the sums
    of blocks are added pairwise.
    """
    operands = tuple(np.asarray(operand, dtype=np.float64) for operand in operands)
    n = operands[0].shape[-1]
    whole = n // _BLOCK * _BLOCK
    blocks = [o[..., :whole].reshape(*o.shape[:-1], n // _BLOCK, _BLOCK) for o in operands]
    rest = [operand[..., whole:] for operand in operands]
    return np.einsum(products, *blocks).sum(axis=-1) + np.einsum(products, *rest)


@dataclass(frozen=True, eq=False)
class Extremum:
    """The smallest number, and the number of its first point; `Largest` takes negatives."""

    value: np.ndarray
    point: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, points: np.ndarray | None) -> "Extremum":
        assert points is not None
        values = np.asarray(values, dtype=np.float64)
        if values.shape[-1] == 0:
            nothing = np.full(values.shape[:-1], np.nan)
            return cls(nothing, np.full(nothing.shape, -1))
        # NaN counts as smaller than every number, as in numpy.min.
        first = values.argmin(axis=-1)
        return cls(np.take_along_axis(values, first[..., None], -1)[..., 0], points[first])

    def merged(self, other: "Extremum") -> "Extremum":
        mine, theirs = np.isnan(self.value), np.isnan(other.value)
        is_first = (other.point < self.point) & (other.point >= 0) | (self.point < 0)
        same = (self.value == other.value) | (mine & theirs)
        with np.errstate(invalid="ignore"):
            better = (theirs & ~mine) | (other.value < self.value)
        # An empty piece has NaN too, and no point.
        better = np.where(same, is_first, better) & (other.point >= 0) | (self.point < 0)
        return Extremum(
            np.where(better, other.value, self.value), np.where(better, other.point, self.point)
        )


class Largest(Extremum):
    @classmethod
    def of(cls, values: np.ndarray, points: np.ndarray | None) -> Extremum:
        return Extremum.of(np.negative(values, dtype=np.float64), points)


@dataclass(frozen=True, eq=False)
class Digest:
    """Sketches of the distribution, one for each entry.

    Attributes:
        sketches: sketches of the finite numbers; None where a number is NaN.
        infinities: how many are -inf, and how many inf, on a last axis.

    Reference: Dunning and Ertl (2019), Computing extremely accurate quantiles using t-digests.
    """

    sketches: np.ndarray
    infinities: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, _: np.ndarray | None = None) -> "Digest":
        crick = require("crick", "reduce='quantile'")
        shape, n = np.shape(values)[:-1], np.shape(values)[-1]
        rows = np.asarray(values, dtype=np.float64).reshape(math.prod(shape), n)
        sketches = np.empty(len(rows), dtype=object)
        for number, row in enumerate(rows):
            sketches[number] = crick.TDigest(_COMPRESSION)
            if np.isnan(row).any():
                sketches[number] = None  # as in numpy.quantile, where one NaN makes all NaN
            else:
                sketches[number].update(np.ascontiguousarray(row[np.isfinite(row)]))
        infinities = np.stack([(rows == -np.inf).sum(1), (rows == np.inf).sum(1)], axis=-1)
        return cls(sketches.reshape(shape), infinities.reshape(*shape, 2))

    def merged(self, other: "Digest") -> "Digest":
        import crick

        found = np.empty(self.sketches.shape, dtype=object)
        for index in np.ndindex(found.shape):
            one, two = self.sketches[index], other.sketches[index]
            if one is not None and two is not None:
                both = found[index] = crick.TDigest(_COMPRESSION)
                both.merge(one, two)
        return Digest(found, self.infinities + other.infinities)

    def quantiles(self, wanted: tuple[float, ...]) -> np.ndarray:
        """Return the quantiles, on a last axis."""
        found = np.full((*self.sketches.shape, len(wanted)), np.nan)
        for index in np.ndindex(self.sketches.shape):
            sketch: Any = self.sketches[index]
            if sketch is not None:
                found[index] = [_quantile(sketch, q, *self.infinities[index]) for q in wanted]
        return found


def _quantile(sketch: Any, q: float, n_below: int, n_above: int) -> float:
    """Return a quantile of finite numbers with `n_below` of -inf and `n_above` of inf."""
    n_finite = int(sketch.size())
    last = n_below + n_finite + n_above - 1
    rank = q * last - n_below  # among the finite ones, at 0 ... n_finite - 1
    if last < 0:
        return math.nan
    if rank < 0 < n_below:
        return -math.inf
    if rank > n_finite - 1 and n_above:
        return math.inf
    if not (n_below or n_above):
        return sketch.quantile(q)
    return sketch.quantile(rank / max(1, n_finite - 1))


@dataclass(frozen=True)
class Reduction:
    """One row: a statistic, and the state that it is read from.

    Attributes:
        state: makes the state of an array, from its values and the numbers of their points.
        power: the power of the values' units that the statistic has.
        method: its name in the CF conventions, for the attribute cell_methods.
        state_bytes: the bytes of the state of one number.
    """

    name: str
    meaning: str
    state: Callable[[np.ndarray, np.ndarray | None], Any]
    power: int
    method: str
    state_bytes: int


Statistic = Literal["mean", "variance", "min", "max", "quantile", "mean_square"]

_ROWS = [
    Reduction("mean", "mean", Mean.of, 1, "mean", 40),
    Reduction("variance", "variance", Moments.of, 2, "variance", 96),
    Reduction("min", "smallest", Extremum.of, 1, "minimum", 64),
    Reduction("max", "largest", Largest.of, 1, "maximum", 64),
    Reduction("quantile", "quantiles", Digest.of, 1, "median", 26_000),
    Reduction("mean_square", "mean square", Mean.of_squares, 2, "mean", 40),
]

REDUCTIONS: Mapping[str, Reduction] = {row.name: row for row in _ROWS}

State = TypeVar("State")


class Tree(Generic[State]):
    """Merges the states of numbered pieces, neighbours first, in any order of arrival.

    States are merged as the leaves of a binary tree over 0 ... n - 1, so the result depends on
    their numbers alone. Only states that wait for a neighbour are in memory: a few, when they
    arrive roughly in order.
    """

    def __init__(self, n: int):
        self._n = n
        self._waiting: dict[tuple[int, int], Any] = {}

    def add(self, number: int, state: Any) -> None:
        level = 0
        while True:
            sibling = number ^ 1
            if (sibling << level) >= self._n:  # it has none, and goes up alone
                if number == 0:
                    break
            elif (other := self._waiting.pop((level, sibling), None)) is None:
                break
            else:
                state = state.merged(other) if number < sibling else other.merged(state)
            level, number = level + 1, number >> 1
        self._waiting[level, number] = state

    def result(self) -> Any:
        """Return the state of all pieces, once each has been added."""
        ((_, state),) = self._waiting.items()
        return state
