"""The problem that every estimate solves: the points, and the numbers of a derivative at each.

A quantity's results and the values at a few points enter; a Problem leaves, in which every
number of every result is a directional derivative of the function. Knows neither how one is
estimated nor what was computed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, assert_never

import numpy as np

from gradsweep.request.function import BoundFunction
from gradsweep.request.quantities import Derivative, Result, direction_key

__all__ = ["Entry", "OutputArray", "Point", "Problem", "Step", "Term", "entries_of"]


class Step(NamedTuple):
    """A direction in the space of x, which is all differentiated arguments laid end to end.

    Attributes:
        kind: "unit", the unit vector of one element of x; "share", the unit vector times the
            element's tangent; "tangent", the whole tangent.
        element: which element, or 0 for the whole tangent.
    """

    kind: Literal["unit", "share", "tangent"]
    element: int = 0


class OutputArray(NamedTuple):
    """One output of the function; the outputs lie end to end in y.

    Attributes:
        shape: its own; of complex numbers with a last dim for their parts.
    """

    path: str
    shape: tuple[int, ...]
    is_complex: bool = False


class Term(NamedTuple):
    """A derivative of y along any number of steps.

    Attributes:
        steps: the directions that y is differentiated along, one after the other.
        output: which element of y; None for the sum over all, weighted by the cotangent.
        factor: what it is multiplied by in a sum of terms.
    """

    steps: tuple[Step, ...]
    output: int | None
    factor: float = 1.0


class Entry(NamedTuple):
    """One number of one result at a point: a sum of derivatives of y, mostly of one.

    Attributes:
        result: which of the quantity's results.
        place: its index in that result's array at a point.
    """

    result: int
    place: tuple[int, ...]
    terms: tuple[Term, ...]


@dataclass(frozen=True, eq=False)
class Point:
    """One point of a sweep: the value of every leaf there, by key; directions are leaves too."""

    values: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Problem:
    """Everything that an estimate may read.

    Attributes:
        framework: the one that the function is written for.
        dtype: the dtype that the derivative is computed in.
        results: the arrays of the quantity.
        outputs: the arrays that the function itself returns.
        entries: the numbers to be estimated at every point.
    """

    bound: BoundFunction
    derivative: Derivative
    framework: str
    dtype: str
    results: tuple[Result, ...]
    outputs: tuple[OutputArray, ...]
    points: tuple[Point, ...]
    entries: tuple[Entry, ...]

    @property
    def function_keys(self) -> tuple[str, ...]:
        """The leaves that the function itself takes."""
        return tuple(leaf.key for leaf in self.bound.sweep.leaves)

    @cached_property
    def steps(self) -> tuple[tuple[Step, ...], ...]:
        """Every distinct tuple of steps that some entry needs."""
        return tuple(dict.fromkeys(term.steps for entry in self.entries for term in entry.terms))

    @property
    def order(self) -> int:
        return max((len(steps) for steps in self.steps), default=0)

    def x(self, point: Point) -> np.ndarray:
        """Return the differentiated arguments, laid end to end."""
        parts = [np.ravel(point.values[key]).astype(np.float64) for key in self.derivative.wrt]
        return np.concatenate(parts) if parts else np.zeros(0)

    def with_x(self, point: Point, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return the values of the function's leaves with x replaced.

        Args:
            x: one row, or rows on a leading dim; the leaves then have that dim too.
        """
        values = {key: point.values[key] for key in self.function_keys}
        start = 0
        for key in self.derivative.wrt:
            shape = np.shape(values[key])
            stop = start + int(np.prod(shape, dtype=np.int64))
            values[key] = x[..., start:stop].reshape((*x.shape[:-1], *shape))
            start = stop
        return values

    def direction(self, point: Point, step: Step) -> np.ndarray:
        """Return a step as a vector of the length of x."""
        match step.kind:
            case "unit":
                vector = np.zeros(self.n_elements)
                vector[step.element] = 1.0
                return vector
            case "share":
                vector = np.zeros(self.n_elements)
                vector[step.element] = self.tangent(point)[step.element]
                return vector
            case "tangent":
                return self.tangent(point)
            case unknown:
                assert_never(unknown)

    def tangent(self, point: Point) -> np.ndarray:
        """Return the tangent at a point, laid end to end as x is."""
        parts = []
        for key in self.derivative.wrt:
            given = point.values.get(direction_key("tangent", key), np.zeros(()))
            parts.append(np.broadcast_to(given, np.shape(point.values[key])).ravel())
        return np.concatenate(parts).astype(np.float64)

    def cotangent(self, point: Point) -> np.ndarray:
        """Return the cotangent at a point, laid end to end as y is."""
        parts = []
        for path, shape, is_complex in self.outputs:
            name = path or self.bound.name
            given = point.values.get(direction_key("cotangent", name), np.zeros(()))
            if is_complex and name not in self.derivative.complex_along:
                given = np.stack([given, np.zeros_like(given)], -1)
            parts.append(np.broadcast_to(given, shape).ravel())
        return np.concatenate(parts).astype(np.float64)

    @cached_property
    def n_elements(self) -> int:
        return len(self.x(self.points[0]))

    @cached_property
    def n_outputs(self) -> int:
        return sum(int(np.prod(output.shape, dtype=np.int64)) for output in self.outputs)

    @cached_property
    def _typical(self) -> np.ndarray:
        sizes = np.abs([self.x(point) for point in self.points])
        largest = np.where(np.isfinite(sizes), sizes, 0.0).max(axis=0)
        return np.where(largest > 0, largest, 1.0)

    def scales(self, point: Point) -> np.ndarray:
        """Return the size of each element of x, the unit of steps; never zero."""
        x = np.abs(self.x(point))
        return np.where((x > 0) & np.isfinite(x), x, self._typical)

    def reach(self, point: Point, step: Step) -> float:
        """Return the multiple of a step that first moves an element of x by its own size."""
        return self._times(point, step, self.scales(point))

    def span(self, point: Point, step: Step) -> float:
        """Return the same, with each element's largest size over all points."""
        return self._times(point, step, self._typical)

    def _times(self, point: Point, step: Step, sizes: np.ndarray) -> float:
        direction = np.abs(self.direction(point, step))
        moved = direction > 0
        return float(np.min(sizes[moved] / direction[moved])) if moved.any() else 1.0


def entries_of(
    results: Sequence[Result],
    outputs: Sequence[OutputArray],
    starts: Mapping[str, int],
    n_elements: int,
    chosen: frozenset[int],
) -> Iterator[Entry]:
    """Yield every number of every result that involves chosen elements of x alone.

    Args:
        starts: where each leaf that is differentiated starts in x.
        n_elements: how many elements x has.
        chosen: the elements of x that are checked.
    """
    first: dict[str, int] = {}
    position = 0
    for output_array in outputs:
        first[output_array.path] = position
        position += int(np.prod(output_array.shape, dtype=np.int64))
    for number, result in enumerate(results):
        for index in np.ndindex(*result.shape):
            if result.kind in _OPERATORS:
                place = _ravel(index, result.output_shape)
                at = first[result.output] + place if result.kind == "laplacian" else place
                yield Entry(number, index, _OPERATORS[result.kind](at, n_elements))
                continue
            n_output = len(result.output_shape)
            output = None
            if result.kind != "vjp":
                within = _ravel(index[:n_output], result.output_shape)
                output = first[result.output] + within
            elements, rest = [], index[n_output:]
            for key, shape in zip(result.wrt, result.wrt_shapes):
                elements.append(starts[key] + _ravel(rest[: len(shape)], shape))
                rest = rest[len(shape) :]
            if chosen.issuperset(elements):
                yield Entry(number, index, (Term(_steps(result.kind, elements), output),))


def _laplacian(output: int, n: int) -> tuple[Term, ...]:
    return tuple(Term((Step("unit", i), Step("unit", i)), output) for i in range(n))


def _divergence(_: int, n: int) -> tuple[Term, ...]:
    return tuple(Term((Step("unit", i),), i) for i in range(n))


def _curl(place: int, n: int) -> tuple[Term, ...]:
    """Return d y_k/d x_j - d y_j/d x_k, where (place, j, k) go round."""
    j, k = (place + 1) % n, (place + 2) % n
    return Term((Step("unit", j),), k), Term((Step("unit", k),), j, -1.0)


# By kind of result, from the number of an output, or of a component, and that of coordinates.
_OPERATORS: dict[str, Callable[[int, int], tuple[Term, ...]]] = {
    "laplacian": _laplacian,
    "divergence": _divergence,
    "curl": _curl,
}


def _steps(kind: str, elements: Sequence[int]) -> tuple[Step, ...]:
    units = tuple(Step("unit", element) for element in elements)
    match kind:
        case "value" | "partial" | "vjp":
            return units
        case "contribution":
            return tuple(Step("share", element) for element in elements)
        case "jvp":
            return (Step("tangent"),)
        case "hvp":
            return (*units, Step("tangent"))
        case unknown:
            raise AssertionError(unknown)


def _ravel(index: tuple[int, ...], shape: tuple[int, ...]) -> int:
    return int(np.ravel_multi_index(index, shape)) if shape else 0
