"""Arguments: the values that the user named, as leaves and the container that holds them.

Knows nothing of frameworks, nor of how a function is called.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from gradsweep.request import pytree
from gradsweep.request.lazy import Values, load
from gradsweep.request.leaf import Leaf
from gradsweep.support.errors import SweepError
from gradsweep.support.words import listed

__all__ = [
    "Argument",
    "Categories",
    "Components",
    "Coordinate",
    "HeldFixed",
    "LeafMark",
    "at_place",
    "components",
    "held_fixed",
    "labels_along",
    "require_same_coordinates",
]

# How many categories a text names.
_MOST_SHOWN = 8


@dataclass(frozen=True)
class Coordinate:
    """Values that label an axis, as xarray understands them."""

    dims: tuple[str, ...]
    values: Values
    attrs: Mapping[str, Any] = field(default_factory=dict)


class LeafMark(pytree.Mark):
    """Marks the place of the leaf `key` in an argument's form."""

    # No dataclass: pytree would take it apart.
    def __init__(self, key: str):
        self.key = key


@dataclass(frozen=True)
class Components:
    """The parts that `components` puts together."""

    parts: tuple[Any, ...]


def components(*parts: Any) -> Components:
    """Put an array argument together from scalar components, each fixed or swept.

    Args:
        parts: for each element, a number (held fixed), `("dim", values)` or a DataArray
            (swept). For f(x) with x in R^3: `x=gs.components(("x0", a), 1.0, 1.0)`.

    Returns:
        A value that becomes an argument of shape (len(parts),) in a Sweep.
    """
    if not parts:
        raise SweepError("components needs at least one component")
    return Components(parts)


@dataclass(frozen=True, eq=False)
class Categories:
    """The distinct values of an argument that is swept one by one, in the order of their coming.

    Attributes:
        keys: what tells each from any other value, in this argument and another.
        labels: what stands for each in results: words, truth values or numbers, else texts.
    """

    values: tuple[Any, ...]
    keys: tuple[Hashable, ...]
    labels: np.ndarray

    def shown(self, number: int) -> str:
        """Return the text of one of them in messages."""
        value = self.values[number]
        return repr(value) if isinstance(value, str) else str(self.labels[number])

    def __str__(self) -> str:
        texts = [str(label) for label in self.labels[:_MOST_SHOWN]]
        n_more = len(self.values) - len(texts)
        return ", ".join(texts) + (f" and {n_more:,} more" if n_more else "")


@dataclass(frozen=True, eq=False)
class Argument:
    """One argument: its leaves, and the container that holds them.

    Attributes:
        form: the value as the function takes it, with each leaf replaced by its `LeafMark`.
        shown: the text that a Sweep prints for it, or a function that makes a slow text.
        origin: the framework whose arrays the value is made of, "torch", "jax" or "".
        categories: where it is swept one by one, its distinct values; its leaf then holds the
            number of the one at each point.
        is_default: whether the function gives the value itself, and the sweep does not name it.
    """

    name: str
    form: Any
    leaves: tuple[Leaf, ...]
    coordinates: Mapping[str, Coordinate] = field(default_factory=dict)
    attrs: Mapping[str, Any] = field(default_factory=dict)
    shown: str | Callable[[], str] = ""
    origin: str = ""
    categories: Categories | None = None
    is_default: bool = False

    @property
    def written(self) -> str:
        """The text that a Sweep prints for it."""
        return self.shown if isinstance(self.shown, str) else self.shown()

    @property
    def is_static(self) -> bool:
        return not self.leaves

    @property
    def is_single(self) -> bool:
        """Whether it is one array, not a container of them."""
        return isinstance(self.form, LeafMark)

    def category(self, number: int) -> "Argument":
        """Return the argument with one of its categories, which is static."""
        assert self.categories is not None
        value, text = self.categories.values[number], self.categories.shown(number)
        return Argument(self.name, value, (), attrs=self.attrs, shown=text, origin=self.origin)

    def with_leaves(self, leaves: Iterable[Leaf]) -> "Argument":
        return replace(self, leaves=tuple(leaves))

    @property
    def is_axis(self) -> bool:
        """Whether it is a number at each point of a swept axis of its own name."""
        if self.categories is not None or len(self.leaves) != 1:
            return False
        (leaf,) = self.leaves
        return leaf.key == self.name and leaf.dims == (self.name,) and not leaf.shape

    def labelled(self, dims: tuple[str, ...], value: Any) -> "Argument":
        """Return the argument with the labels that pandas gives to the dims of its value."""
        labels = _labels_of(self.name, dims, value)
        return replace(self, coordinates={**labels, **self.coordinates}) if labels else self

    def promoted(self, key: str) -> "Argument":
        """Return the argument with its fixed integer `key`, if it is one, as a floating number."""
        found: list[Leaf] = []

        def mark(path: pytree.Path, part: Any) -> Any:
            if type(part) is not int or ".".join((self.name, *path)) != key:
                return part
            found.append(Leaf(key, (), (), np.asarray(part, dtype=np.float64)))
            return LeafMark(key)

        form = pytree.mark_leaves(mark, self.form, is_checked=True)
        return replace(self, form=form, leaves=(*self.leaves, *found)) if found else self


class HeldFixed(NamedTuple):
    """A number that the function takes, and that is not differentiated.

    Attributes:
        reason: "integer" or "default".
        as_float: how it is written to be differentiated: "K=100.0".
    """

    key: str
    reason: str
    as_float: str


def held_fixed(arguments: Iterable[Argument], wrt: Collection[str]) -> Iterator[HeldFixed]:
    """Yield the fixed integers, and the numbers that a function has by default.

    Args:
        wrt: the keys of the leaves that are differentiated.
    """
    for argument in arguments:
        for leaf in argument.leaves:
            if leaf.key in wrt or leaf.dims:
                continue
            if leaf.dtype == "int64":
                yield HeldFixed(leaf.key, "integer", f"{leaf.key} as floats")
            elif argument.is_default and leaf.is_floating:
                number = load(leaf.numbers)
                value = f"={number.item()!r}" if not number.ndim else " in the Sweep"
                yield HeldFixed(leaf.key, "default", f"{leaf.key}{value}")
        if argument.is_single or (argument.is_default and not isinstance(argument.form, int)):
            continue  # what is a container by default is static: a shape, say
        for path, part in pytree.flatten(argument.form):
            if type(part) is int:
                key = ".".join((argument.name, *path))
                yield HeldFixed(key, "integer", f"{key}={part}.0")


def _labels_of(name: str, dims: tuple[str, ...], value: Any) -> dict[str, Coordinate]:
    """Return the labels that a pandas Series or DataFrame gives to the dims it is swept along.

    A dim takes its index as its own coordinate. Where the values are that already, as those of
    `S=series` are along S, the index is "S_index", or has its own name: "S_date". Each level of an
    index of several is a coordinate. A bare count of the rows is no label.
    """
    if not (hasattr(value, "iloc") and hasattr(value, "index")):
        return {}
    found = {}
    for dim, index in zip(dims, (value.index, getattr(value, "columns", None))):
        if index is None or _is_count(index):
            continue
        if index.nlevels > 1:
            own = [level or f"{dim}_{number}" for number, level in enumerate(index.names)]
        elif dim == name:
            own = [f"{dim}_{index.name or 'index'}"]
        else:
            own = [dim]
        for number, label in enumerate(own):
            values = np.asarray(index.get_level_values(number))
            found[str(label)] = Coordinate((dim,), _plain(values))
    return found


def _is_count(index: Any) -> bool:
    """Tell whether an index only counts the rows, as that of a table without labels does."""
    is_range = hasattr(index, "start") and hasattr(index, "step")
    return is_range and (index.start, index.step, index.name) == (0, 1, None)


def _plain(labels: np.ndarray) -> np.ndarray:
    """Return words as an array of them, which every kind of file can hold."""
    is_text = labels.dtype == object and all(isinstance(label, str) for label in labels)
    return labels.astype(str) if is_text else labels


def require_same_coordinates(arguments: Iterable[Argument]) -> None:
    """Check that arguments that share a dim have the same labels along it.

    An argument that is swept along a dim of its own name is the label of that dim, by its values;
    others may have the labels that it has itself, such as the index of its table.

    Raises:
        SweepError: when two do not.
    """
    arguments = list(arguments)
    labels: dict[str, tuple[np.ndarray, str]] = {}
    for argument in arguments:
        for dim, coordinate in argument.coordinates.items():
            if coordinate.dims != (dim,):
                continue
            values, other = labels.setdefault(dim, (load(coordinate.values), argument.name))
            if not _same_labels(values, load(coordinate.values)):
                raise _different(other, argument.name, dim)
    for argument in arguments:
        name = argument.name
        if name not in labels or name in argument.coordinates or not argument.is_axis:
            continue
        values, other = labels[name]
        own = [argument.leaves[0].values, *(c.values for c in argument.coordinates.values())]
        if not any(_same_labels(load(each), values) for each in own if each is not None):
            raise _different(name, other, name)


def labels_along(arguments: Iterable[Argument]) -> dict[str, np.ndarray]:
    """Return the labels that arguments have along dims, by dim."""
    found: dict[str, np.ndarray] = {}
    for argument in arguments:
        for dim, coordinate in argument.coordinates.items():
            if coordinate.dims == (dim,) and dim not in found:
                found[dim] = load(coordinate.values)
    return found


def at_place(place: Sequence[int], dims: Sequence[str], labels: Mapping[str, np.ndarray]) -> str:
    """Write a place: its position along each swept dim and its label there, then an element's."""
    parts = []
    for dim, index in zip(dims, place):
        label = f" ({labels[dim][index]})" if dim in labels else ""
        parts.append(f"{dim} number {index}{label}")
    if own := place[len(dims) :]:
        parts.append(f"element {list(own)}")
    return f" at {listed(parts)}, counted from 0" if parts else ""


def _different(one: str, other: str, dim: str) -> SweepError:
    return SweepError(
        f"{one!r} and {other!r} have different coordinates along {dim!r}. "
        f"Align them first (xarray.align), or rename one of the dims."
    )


def _same_labels(one: np.ndarray, other: np.ndarray) -> bool:
    """Tell whether two arrays hold the same labels, missing ones included."""
    if one is other:
        return True
    if one.dtype.kind == other.dtype.kind == "f":  # labels of float32 are not those of float64
        narrow = min(one.dtype, other.dtype, key=lambda dtype: dtype.itemsize)
        one, other = one.astype(narrow, copy=False), other.astype(narrow, copy=False)
    missing = (one != one) & (other != other) if one.shape == other.shape else False
    return one.shape == other.shape and bool(((one == other) | missing).all())
