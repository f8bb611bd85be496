"""Arguments: the values that the user named, as leaves and the container that holds them.

Knows nothing of functions, derivatives or frameworks.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradsweep.request.lazy import Values, load
from gradsweep.request.leaf import Leaf
from gradsweep.support.errors import SweepError

__all__ = ["Argument", "Categories", "Coordinate", "LeafMark", "require_same_coordinates"]

# How many categories a text names.
_MOST_SHOWN = 8


@dataclass(frozen=True)
class Coordinate:
    """Values that label an axis, as xarray understands them."""

    dims: tuple[str, ...]
    values: Values
    attrs: Mapping[str, Any] = field(default_factory=dict)


class LeafMark:
    """Marks the place of the leaf `key` in an argument's form."""

    # No dataclass: pytree would take it apart.
    def __init__(self, key: str):
        self.key = key


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
        promotable: whether it is a fixed integer, which becomes a float if it is differentiated.
        origin: the framework whose arrays the value is made of, "torch", "jax" or "".
        categories: where it is swept one by one, its distinct values; its leaf then holds the
            number of the one at each point.
    """

    name: str
    form: Any
    leaves: tuple[Leaf, ...]
    coordinates: Mapping[str, Coordinate] = field(default_factory=dict)
    attrs: Mapping[str, Any] = field(default_factory=dict)
    shown: str | Callable[[], str] = ""
    promotable: bool = False
    origin: str = ""
    categories: Categories | None = None

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

    def promoted(self) -> "Argument":
        """Return the argument with its fixed integer as a floating number."""
        leaf = Leaf(self.name, (), (), np.asarray(self.form, dtype=np.float64))
        return replace(self, form=LeafMark(self.name), leaves=(leaf,), promotable=False)


def require_same_coordinates(arguments: Iterable[Argument]) -> None:
    """Check that arguments that share a dim have the same labels along it.

    Raises:
        SweepError: when two do not.
    """
    labels: dict[str, tuple[np.ndarray, str]] = {}
    for argument in arguments:
        for dim, coordinate in argument.coordinates.items():
            if coordinate.dims != (dim,):
                continue
            values, other = labels.setdefault(dim, (load(coordinate.values), argument.name))
            if not _same_labels(values, load(coordinate.values)):
                raise SweepError(
                    f"{other!r} and {argument.name!r} have different coordinates along {dim!r}. "
                    f"Align them first (xarray.align), or rename one of the dims."
                )


def _same_labels(one: np.ndarray, other: np.ndarray) -> bool:
    """Tell whether two arrays hold the same labels, missing ones included."""
    if one is other:
        return True
    missing = (one != one) & (other != other) if one.shape == other.shape else False
    return one.shape == other.shape and bool(((one == other) | missing).all())
