"""Nested containers (pytrees): take them apart into leaves with paths, and rebuild them.

Dicts, lists, tuples, named tuples and dataclasses are containers. Once the user has imported JAX,
so is any type registered with JAX's pytrees, such as an Equinox module. Everything else is a leaf.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from gradsweep.support.imported import imported

__all__ = ["Path", "flatten", "map_leaves"]

Path = tuple[str, ...]


class _Container(NamedTuple):
    children: Sequence[tuple[Path, Any]]
    rebuild: Callable[[list], Any]


def map_leaves(function: Callable[[Path, Any], Any], tree: Any, path: Path = ()) -> Any:
    """Return a container of the same form, with `function(path, leaf)` in place of each leaf."""
    container = _open(tree)
    if container is None:
        return function(path, tree)
    return container.rebuild(
        [map_leaves(function, child, path + key) for key, child in container.children]
    )


def flatten(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield the leaves of a container with their paths, in order."""
    container = _open(tree)
    if container is None:
        yield path, tree
    else:
        for key, child in container.children:
            yield from flatten(child, path + key)


def _open(tree: Any) -> _Container | None:
    """Return the children of a container, or None for a leaf."""
    kind = type(tree)
    if isinstance(tree, dict):
        keys = list(tree)
        return _Container(
            [((str(key),), tree[key]) for key in keys],
            lambda children: _like_dict(kind, zip(keys, children)),
        )
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        named = [((name,), child) for name, child in zip(tree._fields, tree)]
        return _Container(named, lambda children: kind(*children))
    if isinstance(tree, list | tuple):
        return _Container([((str(i),), child) for i, child in enumerate(tree)], kind)
    registered = _open_with_jax(tree)
    is_array = hasattr(tree, "__array__")  # zarr's arrays are dataclasses
    if registered is None and _is_instance_of_dataclass(tree) and not is_array:
        names = [field.name for field in dataclasses.fields(tree) if field.init]
        named = [((name,), getattr(tree, name)) for name in names]

        def rebuild(children: list) -> Any:
            if all(new is old for new, (_, old) in zip(children, named)):
                return tree  # a constructor may do more than copy
            return dataclasses.replace(tree, **dict(zip(names, children)))

        return _Container(named, rebuild)
    return registered


def _is_instance_of_dataclass(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _like_dict(kind: type, items: Any) -> dict:
    items = list(items)
    try:
        return kind(items)
    except TypeError:  # a defaultdict's constructor takes its factory first
        return dict(items)


def _open_with_jax(tree: Any) -> _Container | None:
    jax: Any = imported("jax")
    if jax is None or tree is None or jax.tree_util.all_leaves([tree]):
        return None
    leaves, form = jax.tree_util.tree_flatten_with_path(tree)
    return _Container(
        [(tuple(_key_text(key) for key in path), leaf) for path, leaf in leaves],
        lambda children: jax.tree_util.tree_unflatten(form, children),
    )


def _key_text(key: Any) -> str:
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)
