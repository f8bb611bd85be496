"""Categories: values that are swept one by one, each traced as it is.

Words, truth values, and whatever the function's structure depends on: a number of steps, a table, a
function. Values enter; an Argument leaves that holds the distinct ones, with a label for each, and
a leaf that holds the number of the one at each position.

Knows nothing of functions, derivatives or frameworks.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gradsweep.request.argument import Argument, Categories, Coordinate, LeafMark
from gradsweep.request.identity import Same, Unknown, identity
from gradsweep.request.leaf import Leaf
from gradsweep.support.errors import SweepError

__all__ = ["Each", "are_categories", "each", "parse_categories"]

# A value whose text is longer is labelled by its number.
_LONGEST_LABEL = 40

_TRUTHS = (bool, np.bool_)


class Each:
    """The values that `each` was given."""

    # No dataclass: pytree would take it apart.
    def __init__(self, values: tuple[Any, ...]):
        self.values = values

    def __repr__(self) -> str:
        return f"each({list(self.values)!r})"


def each(values: Iterable[Any]) -> Each:
    """Sweep values that the function's structure depends on: it is traced with each as it is.

    Args:
        values: numbers of steps, lengths, functions, tables: anything. `n=gs.each([10, 20, 50])`
            sweeps them along an axis of its own, `n=("trade", gs.each([10, 20, 10]))` along one
            that is shared.

    Returns:
        A value that becomes an argument in a Sweep. It is never differentiated.

    Raises:
        SweepError: when there are no values.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise SweepError(f"each takes several values, such as gs.each([10, 20]), not {values!r}")
    is_flat = getattr(values, "ndim", 0) == 1 and hasattr(values, "tolist")
    listed = tuple(values.tolist() if is_flat else values)  # type: ignore[attr-defined]
    if not listed:
        raise SweepError("each needs at least one value")
    return Each(listed)


def parse_categories(
    name: str, dims: tuple[str, ...], value: Any, attrs: Mapping[str, Any] | None = None
) -> Argument | None:
    """Read words, truth values or `each(...)` along some dims; None when a value is none of them.

    Raises:
        SweepError: when the values have another number of dims.
    """
    values: Sequence[Any]
    shape: tuple[int, ...]
    if isinstance(value, Each):
        values, shape = value.values, (len(value.values),)
    else:
        words = _words_in(value)
        is_bool = words is not None and words.dtype.kind == "b"
        if words is None or (is_bool and words.ndim != len(dims)):
            return None  # an array of truth values may be an argument at every point
        values, shape = words.ravel().tolist(), words.shape
    if len(shape) != len(dims):
        raise SweepError(
            f"{name!r} has values of shape {shape} and the dims {', '.join(dims) or 'none'}.\n"
            f'Name a dim for each of its axes, such as {name}=("{name}", values) for one: what is '
            f"swept one by one has no shape of its own."
        )
    found, codes = _categorised(values)
    leaf = Leaf(name, dims, (), codes.reshape(shape))
    own = Coordinate(dims, found.labels[leaf.whole()], attrs or {})
    shown = f"{found} along {' x '.join(dims)}"
    return Argument(
        name, LeafMark(name), (leaf,), {name: own}, attrs or {}, shown=shown, categories=found
    )


def are_categories(value: Any) -> bool:
    """Tell whether values, along dims, would be swept one by one: words, or a list of truths."""
    return isinstance(value, Each) or _words_in(value) is not None


def _categorised(values: Sequence[Any]) -> tuple[Categories, np.ndarray]:
    """Return the distinct ones among some values, and the number of each value's own."""
    are_words = all(type(value) is str for value in values)
    keys = values if are_words else [_key(_plain(value)) for value in values]
    firsts: dict[Hashable, int] = {}
    # One pass in C: a column may have millions of words.
    found = np.fromiter(map(firsts.setdefault, keys, range(len(values))), np.int64, len(values))
    numbers = np.empty(len(values), dtype=np.int64)
    numbers[[*firsts.values()]] = np.arange(len(firsts))
    distinct = tuple(_plain(values[first]) for first in firsts.values())
    return Categories(distinct, tuple(firsts), _labels(distinct)), numbers[found]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _key(value: Any) -> Hashable:
    """Return what two values have in common that are one category."""
    if type(value) is str:
        return value
    try:
        return type(value), identity(value)
    except Unknown:
        return Same(value)


def _labels(values: Sequence[Any]) -> np.ndarray:
    kinds = {type(value) for value in values}
    if kinds == {str}:
        return np.array(values, dtype=np.str_)
    if kinds == {bool} or kinds == {int} or kinds == {float}:
        array = np.array(values)
        if array.dtype.kind in "bif":  # an integer may be too large for any dtype
            return array
    texts = [_text(value) for value in values]
    if len(set(texts)) < len(texts) or max(map(len, texts)) > _LONGEST_LABEL:
        texts = [f"{type(value).__name__} {number}" for number, value in enumerate(values)]
    return np.array(texts)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    name = getattr(value, "__name__", None)
    return name if isinstance(name, str) else " ".join(repr(value).split())


def _words_in(value: Any) -> np.ndarray | None:
    """Return the words of a list, an array or a Series of them, or the truth values of a list.

    An array of Python's objects may hold truth values as a list does. None when there are none, or
    anything else among them.
    """
    if isinstance(value, list):
        first: Any = value
        while isinstance(first, list) and first:
            first = first[0]
        if not isinstance(first, (str, *_TRUTHS)):
            return None
        allowed: tuple[type, ...] = (str,) if isinstance(first, str) else _TRUTHS
        if not all(isinstance(entry, allowed) for entry in _entries(value)):
            return None
        try:
            return np.array(value)
        except ValueError:  # lists of different lengths
            return None
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    if kind not in ("U", "O", "T"):
        return None
    array = np.asarray(value)
    if not array.ndim or not array.size:
        return None
    if array.dtype.kind != "O" or all(isinstance(entry, str) for entry in array.flat):
        return array
    return array.astype(bool) if all(isinstance(e, _TRUTHS) for e in array.flat) else None


def _entries(value: list) -> Iterable[Any]:
    for entry in value:
        if isinstance(entry, list):
            yield from _entries(entry)
        else:
            yield entry
