"""Results in memory, for a sweep that is computed part by part and returned whole."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradsweep.request.lazy import load
from gradsweep.request.partition import Part
from gradsweep.results.layout import NO_ATTRS, ArrayBytes, Layout

if TYPE_CHECKING:
    import xarray

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keeps every variable as an array."""

    def begin(self, layout: Layout) -> frozenset[int]:
        self._layout = layout
        self._arrays = {v.name: np.empty(v.shape, v.dtype) for v in layout.variables}
        return frozenset()

    def try_out(self, sample: np.ndarray) -> None:
        sample.copy()

    def reduces(self, axes: Iterable[str]) -> tuple[str, frozenset[str]]:
        return "", frozenset()

    def stored_partition(self) -> None:
        return None

    def held_bytes(self, axes: Mapping[str, int], arrays: Sequence[ArrayBytes]) -> int:
        return sum(n_bytes * math.prod(axes[dim] for dim in dims) for dims, n_bytes in arrays)

    @property
    def writer(self) -> "MemoryStore":
        return self

    def write(self, part: Part, arrays: Sequence[np.ndarray]) -> None:
        for variable in self._layout.variables:
            if part.owns(variable.swept):
                self._arrays[variable.name][variable.region(part)] = variable.of(arrays)

    def record(self, part: Part, receipt: None) -> None:
        """Do nothing: the arrays hold the results already."""

    def abandon(self) -> None:
        self._arrays.clear()

    def finish(self, attrs: Mapping[str, Any] = NO_ATTRS) -> "xarray.Dataset":
        import xarray

        layout = self._layout
        data = {v.name: (v.dims, self._arrays[v.name], dict(v.attrs)) for v in layout.variables}
        around = {
            name: (dims, np.array(load(values)), dict(attrs))
            for name, (dims, values, attrs) in layout.coordinates.items()
        }
        return xarray.Dataset(data, around, {**layout.attrs, **attrs})
