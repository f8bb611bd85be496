"""Values that are not in memory: ranges by formula, and arrays that are read in slices.

A slice stays lazy until `numpy.asarray` loads it. So a sweep of 10^9 points takes memory for the
values of one part only.

Knows nothing of sweeps.
"""

from typing import Any

import numpy as np

__all__ = [
    "Lazy",
    "Range",
    "Values",
    "as_lazy",
    "geomspace",
    "is_lazy",
    "joined",
    "linspace",
    "load",
    "numbers_of",
    "parts_of",
]

_SOURCES = ("dask", "zarr", "h5py")


class Lazy:
    """An array of known shape and dtype, whose slices can be taken and loaded.

    Attributes:
        shape, dtype: as an array's.
        written: text that shows and identifies it: equal texts mean equal values, as far as its
            source can tell.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    written: str

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=object))

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        """Return a lazy array for slices of step 1, and a number for integers."""
        raise NotImplementedError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise NotImplementedError

    def astype(self, dtype: Any, copy: bool = True) -> "Lazy":
        return _Converted(self, np.dtype(dtype))


class Range(Lazy):
    """Numbers evenly spaced, in themselves or in their logarithms.

    In any slice, each number has the bits that numpy.linspace or numpy.geomspace gives it.
    """

    def __init__(self, start: float, stop: float, num: int, log: bool, window: slice | None = None):
        self._ends = float(start), float(stop), int(num)
        self._log = log
        self._window = window or slice(0, int(num))
        self.shape = (self._window.stop - self._window.start,)
        self.dtype = np.dtype(np.float64)
        name = "geomspace" if log else "linspace"
        self.written = f"{name}({float(start)!r}, {float(stop)!r}, {num})"

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, tuple):
            (index,) = index or (slice(None),)
        if isinstance(index, slice):
            first, stop, step = index.indices(len(self))
            if step != 1:
                raise IndexError("a range is sliced with step 1")
            start = self._window.start
            window = slice(start + first, start + max(first, stop))
            return Range(*self._ends, self._log, window)
        position = int(index) + (len(self) if index < 0 else 0)
        if not 0 <= position < len(self):
            raise IndexError(f"there is no value {index} of {len(self)}")
        return np.asarray(self[position : position + 1])[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        start, stop, num = self._ends
        if self._log:
            # As numpy.geomspace does it: powers of ten, with both ends exact.
            sign = np.sign(start)
            low, high = np.log10(start * sign), np.log10(stop * sign)
            values = sign * 10.0 ** _spaced(low, high, num, self._window)
        else:
            values = _spaced(start, stop, num, self._window)
        if num > 1:
            for position, end in ((0, start), (num - 1, stop)):
                if self._window.start <= position < self._window.stop:
                    values[position - self._window.start] = end
        return values if dtype is None else values.astype(dtype)

    def __repr__(self) -> str:
        return self.written


class _Source(Lazy):
    """A slice of another library's array."""

    def __init__(self, source: Any, window: tuple[slice, ...] | None = None):
        self._source = source
        self._window = window or tuple(slice(0, length) for length in source.shape)
        self.shape = tuple(part.stop - part.start for part in self._window)
        self.dtype = np.dtype(source.dtype)
        kind = type(source).__module__.partition(".")[0]
        # A name inside a file or a store says little without the place of the file or store.
        places = (getattr(source, "store_path", ""), getattr(source, "file", ""))
        name = " ".join(filter(None, [str(getattr(source, "name", "")), *map(str, places)]))
        self.written = f"{kind} array {name} of shape {tuple(source.shape)}, {source.dtype}"

    def __getitem__(self, index: Any) -> Any:
        index = index if isinstance(index, tuple) else (index,)
        if any(not isinstance(part, slice) for part in index):
            return np.asarray(self._source[self._moved(index)])[()]
        return _Source(self._source, self._moved(index))

    def _moved(self, index: tuple[Any, ...]) -> tuple[Any, ...]:
        full = index + (slice(None),) * (self.ndim - len(index))
        moved: list[Any] = []
        for part, window in zip(full, self._window):
            if isinstance(part, slice):
                first, stop, _ = part.indices(window.stop - window.start)
                moved.append(slice(window.start + first, window.start + max(first, stop)))
            else:
                moved.append(window.start + int(part))
        return tuple(moved)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._source[self._window], dtype)


class _Converted(Lazy):
    """The values of another lazy array, in another dtype."""

    def __init__(self, source: Lazy, dtype: np.dtype):
        self._source, self.shape, self.dtype = source, source.shape, dtype
        self.written = f"{source.written} as {dtype.name}"

    def __getitem__(self, index: Any) -> Any:
        found = self._source[index]
        return found.astype(self.dtype.name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._source).astype(dtype or self.dtype, copy=False)


class _Parts(Lazy):
    """The parts of the complex numbers of another lazy array, along a last dim."""

    def __init__(self, source: Lazy):
        self.source, self.shape = source, (*source.shape, 2)
        self.dtype = np.dtype(f"float{4 * source.dtype.itemsize}")
        self.written = f"parts of {source.written}"

    def __getitem__(self, index: Any) -> Any:
        return parts_of(self.source[index])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return parts_of(np.asarray(self.source)).astype(dtype or self.dtype, copy=False)


Values = np.ndarray | Lazy


def parts_of(values: Any) -> Any:
    """Return the real and imaginary parts of complex numbers, along a last dim."""
    if isinstance(values, Lazy):
        return _Parts(values)
    array = np.asarray(values)
    parts = np.empty((*array.shape, 2), array.real.dtype)
    parts[..., 0], parts[..., 1] = array.real, array.imag
    return parts


def numbers_of(parts: Any) -> Any:
    """Return the complex numbers whose parts lie along a last dim."""
    if isinstance(parts, _Parts):
        return parts.source
    array = np.asarray(parts)
    return joined(array[..., 0], array[..., 1])


def joined(real: np.ndarray, imag: np.ndarray) -> np.ndarray:
    """Return the complex numbers that have these parts, of float32 or float64."""
    numbers = np.empty(real.shape, "complex64" if real.dtype == np.float32 else "complex128")
    numbers.real, numbers.imag = real, imag
    return numbers


def linspace(start: float, stop: float, num: int) -> Range:
    """Return `num` evenly spaced numbers from `start` to `stop`, both included, made when needed.

    They are the numbers of numpy.linspace without their memory, for sweeps with very long axes.
    """
    return _range("linspace", start, stop, num, log=False)


def geomspace(start: float, stop: float, num: int) -> Range:
    """Return `num` numbers from `start` to `stop`, evenly spaced in their logarithms.

    They are the numbers of numpy.geomspace without their memory.
    """
    return _range("geomspace", start, stop, num, log=True)


def _range(name: str, start: float, stop: float, num: int, log: bool) -> Range:
    if isinstance(start, complex) or isinstance(stop, complex):
        raise ValueError(f"{name} makes real numbers: for complex ones write np.{name}")
    if log and not start * stop > 0:
        raise ValueError(f"{name}({start}, {stop}): both ends need the same sign, and not zero")
    if num < 0:
        raise ValueError(f"{name} of {num} numbers: give a count that is not negative")
    return Range(start, stop, num, log)


def _spaced(start: float, stop: float, num: int, window: slice) -> np.ndarray:
    """Return a slice of numpy.linspace(start, stop, num), by numpy's own formula."""
    values = np.arange(window.start, window.stop, dtype=np.float64)
    step = stop - start if num <= 1 else (stop - start) / (num - 1)
    if step == 0 and num > 1:
        values /= num - 1
        step = stop - start
    values *= step  # in place: the array may fill most of the memory
    values += start
    return values


def is_lazy(value: Any) -> bool:
    """Tell whether a value is an array that is better not loaded whole."""
    if isinstance(value, Lazy):
        return True
    source = type(value).__module__.partition(".")[0]
    return source in _SOURCES and all(hasattr(value, name) for name in ("shape", "dtype"))


def as_lazy(value: Any) -> Lazy:
    return value if isinstance(value, Lazy) else _Source(value)


def load(values: Values) -> np.ndarray:
    """Return an array of values that may be lazy."""
    return np.asarray(values)
