"""The words that name partial derivatives: "S sigma" is that by S, then by sigma.

Words as the user wrote them and a bound function enter; the keys of their letters leave.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from gradsweep.request.function import BoundFunction
from gradsweep.request.named.arguments import (
    is_within,
    names_in,
    require_argument,
    static_parts,
)
from gradsweep.support.errors import ArgumentError
from gradsweep.support.refusals import not_differentiated
from gradsweep.support.words import listed, quoted

__all__ = ["as_words", "resolve_words"]

Words = tuple[tuple[str, ...], ...]

_EXAMPLE = 'Name arguments, one for each differentiation, as in "S" and "S sigma".'


def as_words(quantity: str, given: Any) -> Words:
    """Return words as the names in each.

    Args:
        given: one word, or several in a list.

    Raises:
        ArgumentError: when there is none, when one is empty or no word, or is there twice.
    """
    if isinstance(given, str) or not isinstance(given, Iterable) or isinstance(given, Mapping):
        given = (given,)
    written = tuple(given)
    if not written:
        raise ArgumentError(f"{quantity} was given no derivative to compute.\n{_EXAMPLE}")
    for word in written:
        if not isinstance(word, str):
            raise ArgumentError(f"{quantity} takes words, and {word!r} is none.\n{_EXAMPLE}")
        if not word.split():
            raise ArgumentError(f"{quantity} was given an empty word, {word!r}.\n{_EXAMPLE}")
    words = tuple(tuple(word.split()) for word in written)
    for word in words:
        if words.count(word) > 1:
            raise ArgumentError(f"{quantity} was given {' '.join(word)!r} twice; name it once.")
    return words


def resolve_words(bound: BoundFunction, quantity: str, words: Words) -> Words:
    """Return the keys of the leaves that words name.

    Raises:
        ArgumentError: when a name is no argument's and no entry's of one, or stands for several
            numbers of a container, or for none that can be differentiated.
    """
    for word in words:
        _require_apart(bound, quantity, word)
    names = dict.fromkeys(name for word in words for name in word)
    known = {name: _key(bound, quantity, name) for name in names}
    return tuple(tuple(known[name] for name in word) for word in words)


def _require_apart(bound: BoundFunction, quantity: str, word: tuple[str, ...]) -> None:
    """Check that no comma stands between the names of a word.

    Raises:
        ArgumentError: which says how several words are written, and how one is.
    """
    text = " ".join(word)
    names = names_in(bound, text)
    if names and "," in text and text not in {leaf.key for leaf in bound.sweep.leaves}:
        raise ArgumentError(
            f"{quantity} was given {quoted(text)}, and a word has no commas.\n"
            f"Write {', '.join(map(quoted, names))} for derivatives by each, or "
            f"{quoted(' '.join(names))} for one derivative by all of them."
        )


def _key(bound: BoundFunction, quantity: str, name: str) -> str:
    argument = bound.sweep.arguments[require_argument(bound, name, f"{quantity} names")]
    if argument.categories is not None:
        raise ArgumentError(
            f"{name!r} is swept as categories ({argument.written}) and has no derivative."
        )
    static = static_parts(argument)
    within = [leaf for leaf in argument.leaves if is_within(leaf.key, name)]
    if type(static.get(name)) is int or any(leaf.dtype == "int64" for leaf in within):
        has = f"({argument.written})" if name == argument.name else f"({static.get(name)!r})"
        raise ArgumentError(
            f"{name!r} is an integer {has}, which is passed as it is and has no derivative.\n"
            f"Write it as a float, 12.0 for 12, to differentiate it."
        )
    keys = [leaf.key for leaf in within if leaf.is_floating]
    if name in keys:
        return name
    if keys:
        raise ArgumentError(
            f"{quantity} names {name!r}, which is a container; name one of its entries: "
            f"{listed(keys, 8)}."
        )
    own = [leaf.key for leaf in argument.leaves]
    raise not_differentiated(name, argument.name, argument.written, static, own, quantity)
