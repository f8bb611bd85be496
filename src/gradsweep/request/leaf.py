"""Leaves: the arrays of an argument, with named swept axes.

Plain NumPy from here on. Knows nothing of arguments, functions, derivatives or frameworks.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from gradsweep.request.lazy import Lazy, Values, joined, load, numbers_of, parts_of
from gradsweep.support.errors import SweepError

__all__ = ["Leaf", "axes_of", "dtype_name", "spread", "union", "working_dtype"]


@dataclass(frozen=True, eq=False)
class Leaf:
    """One array that the function reads, at every point of the axes it is swept along.

    Attributes:
        key: its name: the argument's name, then its path inside a pytree, such as "params.w1".
        dims: the axes it is swept along, which lead the shape of `values`.
        shape: its own shape, which its value has at one point; complex numbers have one more dim
            at its end, for their real and imaginary parts.
        values: an array of shape (length of each axis in dims..., *shape), which may be lazy.
        parts: for an argument put together from components, the dims and values of each
            element, in order; `dims` is then their union and `values` is not broadcast yet.
        is_complex: whether it holds the parts of complex numbers.
    """

    key: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    values: Values | None
    parts: tuple[tuple[tuple[str, ...], Values], ...] = ()
    is_complex: bool = False

    @classmethod
    def of(cls, key: str, dims: tuple[str, ...], array: Values) -> "Leaf":
        """Return the leaf of an array whose leading axes are `dims`; it may be complex."""
        own = array.shape[len(dims) :]
        if array.dtype.kind != "c":
            return cls(key, dims, own, array)
        return cls(key, dims, (*own, 2), parts_of(array), is_complex=True)

    @cached_property
    def dtype(self) -> str:
        array = self.values if self.values is not None else self.parts[0][1]
        return dtype_name(array.dtype)

    @cached_property
    def is_floating(self) -> bool:
        return self.dtype.startswith("float")

    @property
    def numbers_shape(self) -> tuple[int, ...]:
        """Its own shape as the function sees it, where a complex number is one."""
        return self.shape[:-1] if self.is_complex else self.shape

    @property
    def numbers(self) -> Values:
        """The values as the function sees them, not loaded: complex numbers are whole."""
        values = self.whole() if self.values is None else self.values
        return numbers_of(values) if self.is_complex else values

    @property
    def components(self) -> tuple[tuple[tuple[str, ...], Values], ...]:
        """The dims and values of each component that it was put together from, as numbers."""
        if not self.is_complex:
            return self.parts
        return tuple(
            # One that was given as real has a constant imaginary part.
            (dims, joined(load(real), load(imag)) if of == dims else real)
            for (dims, real), (of, imag) in zip(self.parts[::2], self.parts[1::2])
        )

    @property
    def span(self) -> str:
        """Its values as text: how many, from where to where."""
        values = self.values
        assert values is not None
        if isinstance(values, Lazy):
            return values.written
        counts = " x ".join(f"{n:,}" for n in values.shape[: len(self.dims)])
        if values.size == 0:
            return f"{counts} values"
        if self.is_complex:
            return f"{counts} complex values"
        if values.dtype.kind == "b":
            return f"{counts} bools"
        finite = values[np.isfinite(values)]
        if finite.size == 0:
            return f"{counts} values, none finite"
        return f"{counts} values from {finite.min():g} to {finite.max():g}"

    @property
    def n_elements(self) -> int:
        return math.prod(self.shape)

    @property
    def part_dims(self) -> tuple[tuple[str, ...], ...]:
        return tuple(dims for dims, _ in self.parts)

    @property
    def sizes(self) -> dict[str, int]:
        """The lengths of the axes it is swept along."""
        return dict(_sizes(self))

    @property
    def is_empty(self) -> bool:
        """Whether an axis that it is swept along has no points."""
        return 0 in self.sizes.values()

    def dims_of(self, index: int) -> tuple[str, ...]:
        """Return the dims that one scalar element is swept along."""
        return self.parts[index][0] if self.parts else self.dims

    def element(self, index: int) -> tuple[tuple[str, ...], np.ndarray]:
        """Return one scalar element: the dims it is swept along, and its values along them."""
        if self.parts:
            dims, part = self.parts[index]
            return dims, load(part)
        values = self.whole()
        lead = values.shape[: len(self.dims)]
        return self.dims, values.reshape(*lead, self.n_elements)[..., index]

    def whole(self) -> np.ndarray:
        """Return the values with every axis of `dims` leading, then the leaf's own shape."""
        if self.values is not None:
            return load(self.values)
        sizes = self.sizes
        columns = []
        for dims, values in self.parts:
            placed = spread(load(values), dims, self.dims)
            columns.append(np.broadcast_to(placed, [sizes[dim] for dim in self.dims]))
        stacked = np.stack(columns, axis=-1)
        return stacked.reshape(*stacked.shape[:-1], *self.shape)

    def at(self, position: Mapping[str, int]) -> np.ndarray:
        """Return the value at one point, given its index along each axis."""
        if self.parts:
            found = [v[tuple(position[d] for d in dims)] for dims, v in self.parts]
            return np.array(found).reshape(self.shape)
        assert self.values is not None
        return self.values[tuple(position[dim] for dim in self.dims)]

    @property
    def pieces(self) -> tuple[tuple[tuple[str, ...], np.ndarray], ...]:
        """The arrays that hold its values, and the axes that lead each."""
        if self.parts:
            return tuple((dims, load(values)) for dims, values in self.parts)
        assert self.values is not None
        return ((self.dims, load(self.values)),)

    @property
    def is_lazy(self) -> bool:
        """Whether some of its values are not in memory yet."""
        return any(isinstance(v, Lazy) for v in (self.values, *(v for _, v in self.parts)))

    @property
    def n_bytes(self) -> int:
        """How much memory its values take once they are loaded."""
        everything = [v for _, v in self.parts] if self.parts else [self.values]
        return sum(values.nbytes for values in everything if values is not None)

    @property
    def fingerprint(self) -> str:
        """Text that differs between leaves of different values, as far as lazy values can tell."""
        texts = []
        for dims, values in self.parts or ((self.dims, self.values),):
            if isinstance(values, Lazy):
                found = values.written
            else:
                array = np.ascontiguousarray(values)
                found = f"{array.dtype.name} {hashlib.sha256(array.tobytes()).hexdigest()[:16]}"
            shape = "" if values is None else f" of shape {values.shape}"
            texts.append(f"{found}{shape}{f' along {dims}' if dims else ''}")
        return "; ".join(texts) + (", complex" if self.is_complex else "")

    def loaded(self) -> "Leaf":
        """Return the leaf with its values in memory."""
        if not self.parts and isinstance(self.values, np.ndarray | np.generic):
            return self
        if self.parts:
            return replace(self, parts=self.pieces)
        return replace(self, values=self.whole())

    def take(self, selection: Mapping[str, slice]) -> "Leaf":
        """Return the leaf with slices taken along some axes."""

        def cut(dims: tuple[str, ...], values: Values) -> Values:
            return values[tuple(selection.get(dim, slice(None)) for dim in dims)]

        if self.parts:
            return replace(self, parts=tuple((dims, cut(dims, v)) for dims, v in self.parts))
        assert self.values is not None
        return replace(self, values=cut(self.dims, self.values))

    def head(self, n: int) -> "Leaf":
        """Return a copy of the leaf with the first `n` points of every axis."""
        few = self.take({dim: slice(0, n) for dim in self.dims})
        if few.parts:
            return replace(few, parts=tuple((dims, np.array(v)) for dims, v in few.parts))
        return replace(few, values=np.array(few.values))

    def gather(self, axes: Mapping[str, np.ndarray], dim: str) -> "Leaf":
        """Return the leaf at chosen points of some axes, which become the one axis `dim`."""

        def pick(dims: tuple[str, ...], values: Values) -> tuple[tuple[str, ...], Values]:
            kept = tuple(d for d in dims if d not in axes)
            if kept == dims:
                return dims, values
            chosen = [i for i, d in enumerate(dims) if d in axes]
            first = np.moveaxis(load(values), chosen, range(len(chosen)))
            return (dim, *kept), first[tuple(axes[d] for d in dims if d in axes)]

        if self.parts:
            parts = tuple(pick(dims, values) for dims, values in self.parts)
            return replace(self, dims=union(dims for dims, _ in parts), parts=parts)
        assert self.values is not None
        dims, values = pick(self.dims, self.values)
        return replace(self, dims=dims, values=values)

    def as_complex(self) -> "Leaf":
        """Return the leaf as complex numbers, whose imaginary parts are zero if it is real."""
        if self.is_complex:
            return self
        if not self.parts:
            dtype = "complex64" if self.dtype == "float32" else "complex128"
            assert self.values is not None
            return Leaf.of(self.key, self.dims, self.values.astype(dtype))
        zero: tuple[tuple[str, ...], Values] = ((), np.zeros((), self.dtype))
        parts = tuple(part for real in self.parts for part in (real, zero))
        return replace(self, shape=(*self.shape, 2), parts=parts, is_complex=True)

    def astype(self, dtype: str) -> "Leaf":
        if dtype == self.dtype and not self.parts:
            return self
        if self.parts:
            return replace(
                self, parts=tuple((dims, v.astype(dtype, copy=False)) for dims, v in self.parts)
            )
        assert self.values is not None
        return replace(self, values=self.values.astype(dtype, copy=False))


def axes_of(leaves: Iterable[Leaf]) -> dict[str, int]:
    """Collect the axes of leaves and their lengths, in order of first appearance.

    Raises:
        SweepError: when two leaves disagree on a length.
    """
    sizes: dict[str, int] = {}
    first: dict[str, str] = {}
    for leaf in leaves:
        for dim, size in _sizes(leaf):
            if sizes.setdefault(dim, size) != size:
                raise SweepError(
                    f"{first[dim]!r} has {sizes[dim]} values along {dim!r} and {leaf.key!r} has "
                    f"{size}. Arguments swept along the same dim need the same length; "
                    f"give one of them a dim of its own to sweep every combination."
                )
            first.setdefault(dim, leaf.key)
    return sizes


def working_dtype(leaves: Iterable[Leaf]) -> str:
    """Return float32 when every floating array is, else float64.

    Single numbers decide only when there are no arrays.
    """
    floating = [leaf for leaf in leaves if leaf.is_floating]
    arrays = [leaf for leaf in floating if leaf.dims or leaf.numbers_shape]
    dtypes = {leaf.dtype for leaf in arrays or floating}
    return "float32" if dtypes == {"float32"} else "float64"


@lru_cache(maxsize=64)
def dtype_name(dtype: np.dtype) -> str:
    """Return NumPy's name of a dtype, which NumPy composes at every call."""
    return dtype.name


def _sizes(leaf: Leaf) -> Iterable[tuple[str, int]]:
    if leaf.values is not None:
        yield from zip(leaf.dims, leaf.values.shape)
    for dims, values in leaf.parts:
        yield from zip(dims, values.shape)


def union(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(dim for dims in groups for dim in dims))


def spread(values: np.ndarray, dims: tuple[str, ...], wanted: tuple[str, ...]) -> np.ndarray:
    """Move leading dims to their places among the wanted ones, with length 1 where absent."""
    order = sorted(range(len(dims)), key=lambda i: wanted.index(dims[i]))
    moved = values.transpose(*order, *range(len(dims), values.ndim))
    sizes = iter(moved.shape)
    lead = [next(sizes) if dim in dims else 1 for dim in wanted]
    return moved.reshape(*lead, *sizes)
