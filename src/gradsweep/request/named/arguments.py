"""The arguments that a user names, and the keys of the leaves that are differentiated for them.

A bound function and names enter; keys leave. Nothing is traced here.
"""

from collections.abc import Iterable
from typing import Any

from gradsweep.request import pytree
from gradsweep.request.argument import Argument, LeafMark
from gradsweep.request.function import BoundFunction
from gradsweep.request.sweep import Sweep
from gradsweep.support.errors import ArgumentError, nearest
from gradsweep.support.refusals import not_differentiated
from gradsweep.support.words import quoted

__all__ = [
    "as_names",
    "is_differentiated",
    "is_within",
    "names_in",
    "require_argument",
    "resolve",
    "static_parts",
]


def as_names(wrt: Any) -> tuple[str, ...] | None:
    """Return `wrt` as names, each once; None for all."""
    if wrt is None:
        return None
    names = wrt if isinstance(wrt, Iterable) and not isinstance(wrt, str) else (wrt,)
    names = tuple(dict.fromkeys(names))
    if not all(isinstance(name, str) for name in names):
        raise ArgumentError(f"wrt={wrt!r}: give the name of an argument, or several in a list")
    return names


def require_argument(
    bound: BoundFunction, name: str, what: str, apart: str = "Write {} one by one."
) -> str:
    """Return the argument that a name stands for: its own, or the path of an entry in it.

    Args:
        apart: what to write for several names that were written as one.
    """
    names = list(bound.sweep.arguments)
    if name in names:
        return name
    head = name.partition(".")[0]
    if head in names:
        return head
    # An entry may be named without its container.
    entries = [leaf.key for leaf in bound.sweep.leaves if leaf.key.endswith(f".{name}")]
    close = f" Did you mean {entries[0]!r}?" if entries else nearest(name, names)
    if several := names_in(bound, name):
        close = f"\n{apart.format(', '.join(map(quoted, several)))}"
    raise ArgumentError(
        f"{what} {name!r}, which is no argument of {bound.name}; "
        f"it takes {', '.join(names)}.{close}"
    )


def names_in(bound: BoundFunction, text: str) -> list[str]:
    """Return the arguments that a text names, with commas or spaces between; none if not."""
    parts = text.replace(",", " ").split()
    known = {*bound.sweep.arguments, *(leaf.key for leaf in bound.sweep.leaves)}
    return parts if len(parts) > 1 and known.issuperset(parts) else []


def is_within(key: str, name: str) -> bool:
    """Tell whether a key is that of `name`, or of an entry in it."""
    return key == name or key.startswith(f"{name}.")


def is_differentiated(argument: Argument) -> bool:
    """Tell whether an argument is differentiated unasked: the floats that the sweep gives are."""
    return not argument.is_default and any(leaf.is_floating for leaf in argument.leaves)


def resolve(
    bound: BoundFunction, quantity: str, names: tuple[str, ...] | None
) -> tuple[BoundFunction, tuple[str, ...]]:
    """Return the function with the integers in `wrt` promoted, and the keys to differentiate."""
    arguments = dict(bound.sweep.arguments)
    if names is None:
        given = [argument for argument in bound.arguments if is_differentiated(argument)]
        if not given:
            raise ArgumentError(
                f"{quantity} of {bound.name} has nothing to differentiate: no argument that the "
                f"Sweep gives is a floating number.\nWrite 2.0 in place of 2, or name integers and "
                f"defaults in wrt."
            )
        return bound, tuple(leaf.key for a in given for leaf in a.leaves if leaf.is_floating)
    if not names:
        raise ArgumentError("wrt is empty; name the arguments to differentiate.")
    keys: list[str] = []
    for name in names:
        held = require_argument(bound, name, "wrt names", "Write wrt=[{}].")
        argument = arguments[held].promoted(name)
        if argument.categories is not None:
            raise ArgumentError(
                f"{name!r} is swept as categories ({argument.written}) and has no derivative; "
                f"leave it out of wrt and of the tangent."
            )
        leaves = [
            leaf.astype("float64") if leaf.dtype == "int64" and is_within(leaf.key, name) else leaf
            for leaf in argument.leaves
        ]
        floating = [leaf.key for leaf in leaves if leaf.is_floating and is_within(leaf.key, name)]
        if not floating:
            own = [leaf.key for leaf in argument.leaves]
            static = static_parts(argument)
            raise not_differentiated(name, argument.name, argument.written, static, own)
        arguments[held] = argument.with_leaves(leaves)
        keys += floating
    # Named twice, by an argument and by an entry of it, it is differentiated once.
    return bound.with_sweep(Sweep.from_arguments(arguments.values())), tuple(dict.fromkeys(keys))


def static_parts(argument: Argument) -> dict[str, Any]:
    """Return the entries of an argument that are passed as they are, by their paths."""
    parts = pytree.flatten(argument.form, (argument.name,))
    return {".".join(path): part for path, part in parts if not isinstance(part, LeafMark)}
