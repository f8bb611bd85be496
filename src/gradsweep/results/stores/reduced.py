"""Running statistics in place of results: a sweep of any size in the memory of a few numbers.

A Layout enters, then parts with their arrays; a Dataset of statistics leaves.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradsweep.request.lazy import load
from gradsweep.request.partition import Part
from gradsweep.results.layout import NO_ATTRS, ArrayBytes, Layout, Variable
from gradsweep.results.names import real_variables
from gradsweep.results.statistics import REDUCTIONS, Tree
from gradsweep.support.errors import ArgumentError, StoreError, nearest

if TYPE_CHECKING:
    import xarray

__all__ = ["Reduced"]

_QUARTILES = (0.25, 0.5, 0.75)

# The states of one part: by the name of each variable that it owns, then by kind.
Receipt = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class _Reducer:
    """Makes the states of parts, in this process or, pickled, in another.

    Attributes:
        dims: the swept dims that are reduced.
    """

    variables: tuple[Variable, ...]
    axes: dict[str, int]
    reductions: tuple[str, ...]
    dims: frozenset[str]

    def write(self, part: Part, arrays: Sequence[np.ndarray]) -> Receipt:
        return {
            variable.name: self._states(variable, part, variable.of(arrays))
            for variable in self.variables
            if part.owns(variable.swept)
        }

    def _states(self, variable: Variable, part: Part, values: np.ndarray) -> dict[str, Any]:
        gone = [axis for axis, dim in enumerate(variable.swept) if dim in self.dims]
        kept = [axis for axis in range(values.ndim) if axis not in gone]
        lengths = [values.shape[axis] for axis in kept]
        # A mean may add its points in any order; the order of memory is fastest.
        n_points = math.prod(values.shape[axis] for axis in gone)
        rows = values.transpose(kept + gone).reshape(*lengths, n_points)
        points = self._points(variable, part, gone) if {"min", "max"} & {*self.reductions} else None
        # Variance comes last, so that its state replaces the one that serves a mean alone.
        names = sorted(self.reductions, key=("variance",).count)
        kinds = {_kind(name): REDUCTIONS[name] for name in names}
        return {kind: reduction.state(rows, points) for kind, reduction in kinds.items()}

    def _points(self, variable: Variable, part: Part, gone: Sequence[int]) -> np.ndarray:
        """Return the number of each of a part's points, in C order over the reduced dims."""
        numbers = np.zeros((), dtype=np.int64)
        for axis in gone:
            dim = variable.swept[axis]
            along = part.slices[dim]
            numbers = numbers[..., None] * self.axes[dim] + np.arange(along.start, along.stop)
        return numbers.ravel()


def _kind(reduction: str) -> str:
    """Return the kind of state that a statistic is read from; mean and variance share one."""
    return "moments" if reduction in ("mean", "variance") else reduction


class Reduced:
    """Keeps statistics of every variable over swept dims.

    Args:
        names: "mean", "variance" (of the population), "min" and "max" with their locations,
            "quantile", "mean_square", or several.
        dims: the swept dims to reduce; by default all.
        quantiles: numbers between 0 and 1; by default the quartiles.

    Raises:
        ArgumentError: when a name is unknown, or a quantile is not between 0 and 1.
    """

    def __init__(
        self,
        names: str | Sequence[str],
        dims: str | Sequence[str] | None = None,
        quantiles: Sequence[float] | None = None,
    ):
        if isinstance(names, str) or not isinstance(names, Iterable):
            names = [names]
        self._names = tuple(dict.fromkeys(names))
        for name in self._names:
            if name not in REDUCTIONS:
                raise ArgumentError(
                    f"there is no reduction {name!r}; there are {', '.join(REDUCTIONS)}."
                    f"{nearest(str(name), REDUCTIONS)}"
                )
        if not self._names:
            raise ArgumentError(f"reduce is empty; there are {', '.join(REDUCTIONS)}.")
        if quantiles is not None and "quantile" not in self._names:
            raise ArgumentError("quantiles=... goes with reduce='quantile'.")
        try:
            self._quantiles = _QUARTILES if quantiles is None else tuple(map(float, quantiles))
        except (TypeError, ValueError):
            raise ArgumentError(
                f"quantiles={quantiles!r}: give numbers between 0 and 1, such as [0.05, 0.95]."
            ) from None
        if not all(0 <= q <= 1 for q in self._quantiles):
            raise ArgumentError(f"quantiles are between 0 and 1, not {self._quantiles}.")
        self._dims = (dims,) if isinstance(dims, str) else dims

    def try_out(self, sample: np.ndarray) -> None:
        for kind in {*map(_kind, self._names)}:
            REDUCTIONS.get(kind, REDUCTIONS["variance"]).state(sample, np.arange(sample.size))

    def reduces(self, axes: Iterable[str]) -> tuple[str, frozenset[str]]:
        return ", ".join(self._names), frozenset(axes if self._dims is None else self._dims)

    def stored_partition(self) -> None:
        return None

    def held_bytes(self, axes: Mapping[str, int], arrays: Sequence[ArrayBytes]) -> int:
        _, gone = self.reduces(axes)
        kinds = {_kind(name): REDUCTIONS[name].state_bytes for name in self._names}
        n_numbers = sum(
            n_bytes * math.prod(axes[dim] for dim in dims if dim not in gone) / 8
            for dims, n_bytes in arrays
        )
        return int(n_numbers) * sum(kinds.values())

    def begin(self, layout: Layout) -> frozenset[int]:
        partition = layout.partition
        dims = tuple(partition.axes) if self._dims is None else tuple(self._dims)
        for dim in dims:
            if dim not in partition.axes:
                raise ArgumentError(
                    f"dims names {dim!r}, which is not swept; {', '.join(partition.axes)} are."
                    f"{nearest(str(dim), partition.axes)}"
                )
        # Each part has statistics of its own: complex numbers have no order.
        layout = replace(layout, variables=tuple(real_variables(layout.variables)))
        self._layout = layout
        self._reducer = _Reducer(
            layout.variables, dict(partition.axes), self._names, frozenset(dims)
        )
        # By variable and block of the dims that it keeps, then by kind of state.
        self._trees: dict[tuple[str, tuple[int, ...]], dict[str, Tree]] = {}
        self._n_missing = partition.n_parts
        return frozenset()

    @property
    def writer(self) -> _Reducer:
        return self._reducer

    def record(self, part: Part, receipt: Receipt) -> None:
        partition, dims = self._layout.partition, self._reducer.dims
        index = dict(zip(partition.axes, np.unravel_index(part.number, partition.counts)))
        counts = dict(zip(partition.axes, partition.counts))
        for variable in self._layout.variables:
            if variable.name not in receipt:
                continue
            gone = [dim for dim in variable.swept if dim in dims]
            start = tuple(part.slices[d].start for d in variable.swept if d not in dims)
            number = 0
            for dim in gone:
                number = number * counts[dim] + int(index[dim])
            trees = self._trees.setdefault((variable.name, start), {})
            for kind, state in receipt[variable.name].items():
                if kind not in trees:
                    trees[kind] = Tree(math.prod(counts[dim] for dim in gone))
                trees[kind].add(number, state)
        self._n_missing -= 1

    def abandon(self) -> None:
        self._trees.clear()

    def finish(self, attrs: Mapping[str, Any] = NO_ATTRS) -> "xarray.Dataset":
        """Return the statistics.

        Raises:
            StoreError: when parts are missing.
        """
        import xarray

        if self._n_missing:
            raise StoreError(f"{self._n_missing:,} parts are missing from the statistics.")
        data: dict[str, Any] = {}
        for variable in self._layout.variables:
            for name in self._names:
                data |= self._statistic(variable, name)
        left = {dim for dims, _, _ in data.values() for dim in dims} | {
            axis for axis in self._layout.partition.axes if axis not in self._reducer.dims
        }
        around = {
            name: (dims, np.array(load(values)), dict(attrs))
            for name, (dims, values, attrs) in self._layout.coordinates.items()
            if set(dims) <= left
        }
        if "quantile" in self._names:
            around["quantile"] = (("quantile",), np.array(self._quantiles), {})
        axes = " ".join(a for a in self._layout.partition.axes if a not in self._reducer.dims)
        return xarray.Dataset(data, around, {**self._layout.attrs, "axes": axes, **attrs})

    def _statistic(self, variable: Variable, name: str) -> dict[str, Any]:
        """Return the variables of one statistic, ready for a Dataset."""
        kind, row = _kind(name), REDUCTIONS[name]
        dims = tuple(dim for dim in variable.dims if dim not in self._reducer.dims)
        states = [(s, trees[kind].result()) for (v, s), trees in self._trees.items()
                  if v == variable.name]  # fmt: skip
        attrs = self._attrs(variable, row)
        match name:
            case "mean":
                found = self._gathered(variable, [(s, m.means()) for s, m in states])
            case "mean_square":
                found = self._gathered(variable, [(s, m.means()) for s, m in states])
            case "variance":
                found = self._gathered(variable, [(s, m.variances()) for s, m in states])
            case "quantile":
                dims = (*dims, "quantile")
                found = self._gathered(
                    variable, [(s, d.quantiles(self._quantiles)) for s, d in states]
                )
            case "min" | "max":
                sign = -1 if name == "max" else 1
                found = self._gathered(variable, [(s, sign * e.value) for s, e in states])
                place = self._gathered(variable, [(s, e.point) for s, e in states])
                return {f"{variable.name}_{name}": (dims, found, attrs)} | dict(
                    self._locations(variable, name, dims, place)
                )
            case _:
                raise AssertionError(f"{name} has no case here")
        return {f"{variable.name}_{name}": (dims, found, attrs)}

    def _gathered(
        self, variable: Variable, blocks: Sequence[tuple[tuple[int, ...], np.ndarray]]
    ) -> np.ndarray:
        """Join the blocks along the dims that are kept."""
        kept = [dim for dim in variable.swept if dim not in self._reducer.dims]
        (_, first), *_ = blocks
        shape = [self._layout.partition.axes[dim] for dim in kept] + list(first.shape[len(kept) :])
        whole = np.empty(shape, first.dtype)
        for start, block in blocks:
            place = tuple(slice(s, s + n) for s, n in zip(start, block.shape))
            whole[place] = block
        return whole

    def _locations(
        self, variable: Variable, name: str, dims: tuple[str, ...], place: np.ndarray
    ) -> Iterator[tuple[str, Any]]:
        """Yield, for each reduced dim, the coordinate of the extremum, else its index."""
        partition, coordinates = self._layout.partition, self._layout.coordinates
        gone = [dim for dim in variable.swept if dim in self._reducer.dims]
        lengths = [max(1, partition.axes[dim]) for dim in gone]
        is_found = place >= 0
        indices = np.unravel_index(np.where(is_found, place, 0), lengths) if gone else ()
        for dim, index in zip(gone, indices):
            values: Any = np.asarray(index)
            own = coordinates.get(dim)
            attrs = {"long_name": f"{dim} where {variable.name} is {REDUCTIONS[name].meaning}"}
            if "of" in variable.attrs:
                attrs["of"] = variable.attrs["of"]
            if own is not None and own[0] == (dim,) and partition.axes[dim]:
                flat = [np.asarray(own[1][int(i)]) for i in values.ravel()]
                values = np.array(flat).reshape(values.shape)
                if "units" in own[2]:
                    attrs["units"] = own[2]["units"]
            if not is_found.all():
                values = np.where(is_found, values.astype(np.float64), np.nan)
            yield f"{variable.name}_{name}_at_{dim}", (dims, values, attrs)

    def _attrs(self, variable: Variable, row: Any) -> dict[str, Any]:
        attrs = dict(variable.attrs)
        attrs["long_name"] = f"{row.meaning} of {attrs.get('long_name', variable.name)}"
        if "units" in attrs and row.power == 2:
            attrs["units"] = f"({attrs['units']})^2"
        gone = [dim for dim in variable.swept if dim in self._reducer.dims]
        if gone:
            attrs["cell_methods"] = f"{' '.join(f'{dim}:' for dim in gone)} {row.method}"
        return attrs
