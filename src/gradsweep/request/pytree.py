"""Nested containers (pytrees): take them apart into leaves with paths, and rebuild them.

Dicts, lists, tuples, named tuples and dataclasses are containers. Once the user has imported JAX,
so is any type registered with JAX's pytrees, such as an Equinox module. Everything else is a leaf,
and so is what the caller says.
"""

import copy
import dataclasses
import numbers
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradsweep.support.errors import SweepError
from gradsweep.support.imported import imported

__all__ = ["Mark", "Path", "flatten", "is_record", "map_leaves", "mark_leaves"]

Path = tuple[str, ...]

# Tells whether what stands at a path is a leaf, though it may look like a container.
IsLeaf = Callable[[Path, Any], bool]


class Mark:
    """The base of what marks the place of a leaf."""


class _Container(NamedTuple):
    """A container that was opened.

    Attributes:
        rebuild: makes one like it of other children, as its constructor does.
        copied: the same, and no constructor is called; None where it never computes.
        again: makes it anew of its own children, where `copied` is given.
    """

    children: Sequence[tuple[Path, Any]]
    rebuild: Callable[[list], Any]
    copied: Callable[[list], Any] | None = None
    again: Callable[[], Any] | None = None


def _never(path: Path, tree: Any) -> bool:
    return False


def map_leaves(function: Callable[[Path, Any], Any], tree: Any, path: Path = ()) -> Any:
    """Return a container of the same form, with `function(path, leaf)` in place of each leaf.

    Dataclasses are made by their constructors, which may compute with what they are given.
    """
    container = _open(path, tree, _never)
    if container is None:
        return function(path, tree)
    return container.rebuild(
        [map_leaves(function, child, path + key) for key, child in container.children]
    )


def mark_leaves(
    mark: Callable[[Path, Any], Any],
    tree: Any,
    path: Path = (),
    is_leaf: IsLeaf = _never,
    is_checked: bool = False,
) -> Any:
    """Return a container of the same form with marks in place of leaves, which no code may read.

    Args:
        is_checked: whether the dataclasses in it are known to be what their constructors make.

    Raises:
        SweepError: when a dataclass or named tuple could not be made again by its constructor.
    """
    container = _open(path, tree, is_leaf)
    if container is None:
        return mark(path, tree)
    children = [
        mark_leaves(mark, child, path + key, is_leaf, is_checked)
        for key, child in container.children
    ]
    if container.copied is None or container.again is None:
        return container.rebuild(children)
    is_marked = any(new is not old for new, (_, old) in zip(children, container.children))
    if is_marked and not is_checked:
        _require_made_again(path, tree, container.again)
    return container.copied(children)


def flatten(tree: Any, path: Path = (), is_leaf: IsLeaf = _never) -> Iterator[tuple[Path, Any]]:
    """Yield the leaves of a container with their paths, in order."""
    container = _open(path, tree, is_leaf)
    if container is None:
        yield path, tree
    else:
        for key, child in container.children:
            yield from flatten(child, path + key, is_leaf)


def is_record(value: Any) -> bool:
    """Tell whether a value can be nothing but a container whose entries have names.

    Dicts, named tuples and dataclasses are; a type registered with JAX may be anything.
    """
    if isinstance(value, dict) or (isinstance(value, tuple) and hasattr(value, "_fields")):
        return True
    return _is_dataclass(value) and _open_with_jax((), value, _never) is None


def _open(path: Path, tree: Any, is_leaf: IsLeaf) -> _Container | None:
    """Return the children of a container, or None for a leaf."""
    if is_leaf(path, tree):
        return None
    kind = type(tree)
    if isinstance(tree, dict):
        keys = list(tree)
        return _Container(
            [((str(key),), tree[key]) for key in keys],
            lambda children: _like_dict(tree, zip(keys, children)),
        )
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        named = [((name,), child) for name, child in zip(tree._fields, tree)]
        return _Container(
            named,
            lambda children: kind(*children),
            lambda children: tuple.__new__(kind, children),
            lambda: kind(*tree),
        )
    if isinstance(tree, list | tuple):
        return _Container([((str(i),), child) for i, child in enumerate(tree)], kind)
    if _is_known_leaf(tree):
        return None
    registered = _open_with_jax(path, tree, is_leaf)
    if registered is None and _is_dataclass(tree):
        return _open_dataclass(tree)
    return registered


def _open_dataclass(tree: Any) -> _Container:
    names = [field.name for field in dataclasses.fields(tree) if field.init]
    named = [((name,), getattr(tree, name)) for name in names]

    def is_same(children: list) -> bool:
        return all(new is old for new, (_, old) in zip(children, named))

    def rebuild(children: list) -> Any:
        if is_same(children):
            return tree  # a constructor may do more than copy
        return dataclasses.replace(tree, **dict(zip(names, children)))

    def copied(children: list) -> Any:
        if is_same(children):
            return tree
        made = copy.copy(tree)
        for name, child in zip(names, children):
            object.__setattr__(made, name, child)  # a frozen one's own refuses
        return made

    return _Container(named, rebuild, copied, lambda: dataclasses.replace(tree))


def _require_made_again(path: Path, tree: Any, again: Callable[[], Any]) -> None:
    """Check that a dataclass or a named tuple is what its constructor makes of its fields.

    What a constructor turns into something else (a percentage into a fraction), or what was changed
    after it, would come out as other numbers.

    Raises:
        SweepError: when it is not.
    """
    what = f"{'.'.join(path)!r}: this {type(tree).__name__}"
    try:
        made = again()
    except Exception as error:
        raise SweepError(f"{what} cannot be made again from its fields: {error}") from None
    fields = getattr(tree, "_fields", None) or [field.name for field in dataclasses.fields(tree)]
    held = [*fields, *getattr(tree, "__dict__", {})]
    for name in dict.fromkeys(held):
        if _differ(getattr(tree, name, None), getattr(made, name, None)):
            raise SweepError(
                f"{what} is not what its constructor makes of its fields: {name!r} becomes "
                f"{getattr(made, name, None)!r}.\nGive a dataclass that keeps what it is given, "
                f"or a dict."
            )


def _differ(one: Any, other: Any) -> bool:
    """Tell whether two values are known to be different: numbers, words and containers of them."""
    if one is other:
        return False
    leaves, others = dict(flatten(one)), dict(flatten(other))
    if leaves.keys() != others.keys():
        return True
    return any(_leaves_differ(leaf, others[path]) for path, leaf in leaves.items())


def _leaves_differ(one: Any, other: Any) -> bool:
    if one is other:
        return False
    if all(hasattr(v, "__array__") or isinstance(v, numbers.Number) for v in (one, other)):
        one, other = (np.asarray(v.detach() if hasattr(v, "detach") else v) for v in (one, other))
        return one.shape != other.shape or not bool(np.all((one == other) | (one != one)))
    # Other objects may be made anew by every constructor.
    return type(one) is not type(other) or (isinstance(one, str) and one != other)


def _is_dataclass(value: Any) -> bool:
    is_array = hasattr(value, "__array__")  # zarr's arrays are dataclasses
    return dataclasses.is_dataclass(value) and not isinstance(value, type) and not is_array


def _like_dict(tree: dict, items: Iterable[tuple[Any, Any]]) -> dict:
    """Return a dict with other values, and with all else that is the tree's: its factory, say."""
    if type(tree) is dict:
        return dict(items)
    try:
        made = copy.copy(tree)
    except TypeError:
        return dict(items)
    dict.update(made, items)  # a Counter's own update counts
    return made


def _is_known_leaf(tree: Any) -> bool:
    """Tell whether JAX need not be asked, which it cannot be while torch.compile traces."""
    torch: Any = imported("torch")
    is_tensor = torch is not None and isinstance(tree, torch.Tensor)
    return is_tensor or isinstance(tree, Mark) or type(tree) in _NUMBERS_AND_WORDS


_NUMBERS_AND_WORDS = {bool, int, float, complex, str, bytes, type(None)}


def _open_with_jax(path: Path, tree: Any, is_leaf: IsLeaf) -> _Container | None:
    jax: Any = imported("jax")
    if jax is None or jax.tree_util.all_leaves([tree]):
        return None
    leaves, form = jax.tree_util.tree_flatten_with_path(
        # JAX opens the lists and tuples inside of it, too.
        tree,
        is_leaf=lambda inner: inner is not tree and is_leaf(path, inner),
    )
    return _Container(
        [(tuple(_key_text(key) for key in path), leaf) for path, leaf in leaves],
        lambda children: jax.tree_util.tree_unflatten(form, children),
    )


def _key_text(key: Any) -> str:
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)
