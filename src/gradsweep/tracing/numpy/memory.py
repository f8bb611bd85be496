"""Where the numbers of an Array lie: in memory of its own, or in part of another's.

NumPy's slices, transposes and reshaped arrays are views: what is written into one is seen in all.
A framework's arrays cannot be written into while they are traced, so a write makes a new array, and
views read it anew. Numbers that do not depend on an argument stay in NumPy's own memory until a
traced value is written among them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from gradsweep.support.errors import UntraceableError
from gradsweep.tracing.numpy.library import Library, library_of
from gradsweep.tracing.numpy.lines import user_line

__all__ = [
    "Broadcast",
    "Index",
    "Memory",
    "Part",
    "PartOfComplex",
    "Permuted",
    "Places",
    "Reshaped",
    "Step",
    "Whole",
    "library_in_index",
    "write",
]


@dataclass(frozen=True)
class Index:
    """An index of integers, slices, None and Ellipsis."""

    index: Any

    def get(self, value: Any, library: Library | None) -> Any:
        return value[self.index] if library is None else library.get(value, self.index)

    def put(self, whole: Any, part: Any, library: Library) -> Any:
        return library.put(whole, self.index, part)


@dataclass(frozen=True)
class Permuted:
    axes: tuple[int, ...]

    def get(self, value: Any, library: Library | None) -> Any:
        return value.transpose(self.axes) if library is None else library.permute(value, self.axes)

    def put(self, whole: Any, part: Any, library: Library) -> Any:
        return library.permute(part, tuple(np.argsort(self.axes).tolist()))


@dataclass(frozen=True)
class Reshaped:
    shape: tuple[int, ...]

    def get(self, value: Any, library: Library | None) -> Any:
        return value.reshape(self.shape)

    def put(self, whole: Any, part: Any, library: Library) -> Any:
        return part.reshape(tuple(whole.shape))


@dataclass(frozen=True, eq=False)
class Places:
    """Some of the elements, by their numbers in a row: a diagonal.

    Attributes:
        own: NumPy's function, whose result is a view.
    """

    places: np.ndarray
    own: Callable[[np.ndarray], np.ndarray]

    def get(self, value: Any, library: Library | None) -> Any:
        if library is None:
            return self.own(value)
        return library.get(value.reshape((-1,)), self.places)

    def put(self, whole: Any, part: Any, library: Library) -> Any:
        row = library.put(whole.reshape((-1,)), self.places, part)
        return row.reshape(tuple(whole.shape))


@dataclass(frozen=True)
class Broadcast:
    """Elements seen again and again, which NumPy does not write into."""

    shape: tuple[int, ...]

    def get(self, value: Any, library: Library | None) -> Any:
        if library is None:
            return np.broadcast_to(value, self.shape)
        return library.broadcast(value, self.shape)

    def put(self, whole: Any, part: Any, library: Library) -> Any:
        raise ValueError("assignment destination is read-only")


@dataclass(frozen=True)
class PartOfComplex:
    """The real part of complex numbers, or the imaginary one."""

    name: Literal["real", "imag"]

    def get(self, value: Any, library: Library | None) -> Any:
        return getattr(value, self.name)

    def put(self, whole: Any, part: Any, library: Library) -> Any:
        parts = {"real": whole.real, "imag": whole.imag, self.name: part}
        return library.complex(parts["real"], parts["imag"])


Step = Index | Permuted | Reshaped | Places | Broadcast | PartOfComplex


@dataclass(eq=False)
class Whole:
    """Memory of its own.

    Attributes:
        value: NumPy's array, or the framework's.
        is_fixed: whether no traced value may be written into it: it exists outside the function, or
            shares memory with an Array in a way that is not followed.
        version: how often it was written into.
        model: an array whose axes lie in memory as NumPy's would; None where in C's order.
    """

    value: Any
    is_fixed: bool = False
    version: int = 0
    model: np.ndarray | None = None

    def __post_init__(self) -> None:
        value = self.value
        if isinstance(value, np.ndarray) and not value.flags.c_contiguous:
            self.model = np.empty_like(value, dtype=bool)

    is_read_only: ClassVar[bool] = False

    @property
    def root(self) -> "Whole":
        return self

    def read(self) -> Any:
        return self.value

    @property
    def layout(self) -> np.ndarray:
        """An array of the same shape and strides, whose numbers mean nothing."""
        return np.empty(tuple(self.value.shape), dtype=bool) if self.model is None else self.model

    def replace(self, new: Any) -> None:
        self.value = new
        self.version += 1


@dataclass(eq=False)
class Part:
    """Memory that is seen through a step from a base."""

    base: "Memory"
    step: Step
    layout: np.ndarray
    is_read_only: bool = False
    _seen: tuple[int, Any] | None = field(default=None, init=False)

    @property
    def root(self) -> Whole:
        return self.base.root

    def read(self) -> Any:
        version = self.root.version
        if self._seen is None or self._seen[0] != version:
            base = self.base.read()
            self._seen = version, self.step.get(base, library_of(base))
        return self._seen[1]

    def replace(self, new: Any) -> None:
        base = self.base.read()
        library = library_of(base)
        assert library is not None
        self.base.replace(self.step.put(base, new, library))


Memory = Whole | Part


def write(memory: Memory, index: Any, new: Any) -> None:
    """Write into memory: memory[index] = new, where `new` is NumPy's or a framework's.

    Raises:
        UntraceableError: when the memory is not the function's own, or its dtype cannot hold `new`.
        ValueError: as NumPy does, when it is read-only.
    """
    root = memory.root
    if memory.is_read_only:
        raise ValueError("assignment destination is read-only")
    library = library_of(root.value) or library_of(new) or library_in_index(index)
    if library is None:
        memory.read()[index] = new
        return
    if root.is_fixed:
        raise UntraceableError(
            f"the function writes into an array that exists outside it, or that shares memory with "
            f"another, at {user_line()}.\nCopy it first, inside the function: a = np.array(a)."
        )
    if library_of(root.value) is None:
        root.replace(library.asarray(root.value))
    value = memory.read()
    kind = library.dtype(value).kind
    given = library.dtype(library.asarray(new)).kind
    if kind in "biuf" and given == "c":
        raise UntraceableError(
            f"the function writes a complex number into an array of real ones, at {user_line()}.\n"
            f"Make the array of complex numbers: np.zeros(3, dtype=complex)."
        )
    if kind in "biu" and given == "f":
        raise UntraceableError(
            f"the function writes a floating number into an array of integers, at {user_line()}: "
            f"NumPy cuts its fraction off.\nMake the array of floats: np.zeros(3), or "
            f"np.array([1, 2], dtype=float)."
        )
    memory.replace(library.put(value, index, library.cast(new, library.dtype(value))))


def library_in_index(index: Any) -> Library | None:
    """Return the library of a traced array in an index; None where there is none."""
    items = index if isinstance(index, tuple) else (index,)
    return next(filter(None, map(library_of, items)), None)
