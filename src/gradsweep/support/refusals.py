"""Say why an argument's value is refused, and what to write in its place.

Its name and its value enter; an error leaves. Nothing is decided here.
"""

import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gradsweep.support.errors import ArgumentError, SweepError, nearest
from gradsweep.support.words import listed

__all__ = [
    "in_container",
    "no_argument",
    "no_dims",
    "no_direction",
    "no_values_along",
    "not_differentiated",
    "not_numbers",
    "one_value",
]

# The most types that a message names.
_MOST_NAMED = 4

# The longest text of a value in a message.
_LONGEST = 60


def not_numbers(name: str, value: Any, read: np.ndarray) -> SweepError:
    """Return the error of values that are neither numbers nor words alone.

    Args:
        read: the value as an array.
    """
    if not isinstance(value, list) and read.dtype.kind != "O":
        return SweepError(f"{name!r} is an array of {read.dtype}, not of numbers.")
    entries = [*_flat(value)] if isinstance(value, list) else [*read.flat]
    missing = [place for place, entry in enumerate(entries) if _is_missing(entry)]
    rest = [entry for entry in entries if not _is_missing(entry)]
    if missing and all(isinstance(entry, str) for entry in rest):
        return SweepError(
            f"{name!r} has words, and {entries[missing[0]]!r} at position {missing[0]}, counted "
            f"from 0. Give a word there, or leave the point out."
        )
    kinds = listed([*dict.fromkeys(type(e).__name__ for e in entries)], _MOST_NAMED)
    what = "a list" if isinstance(value, list) else "an array"
    if any(isinstance(entry, dict | tuple) for entry in entries):
        advice = f"Write {name}=((), value) to hold a container fixed."
    elif all(isinstance(entry, bytes) for entry in entries):
        advice = "Decode them: words are str."
    else:
        advice = f"To sweep any values one by one, write {name}=gs.each([...])."
    # A tangent is no argument that could be swept so.
    return SweepError(
        f"{name!r} is {what} of {kinds}, not of numbers{'.' if ' ' in name else f'. {advice}'}"
    )


def no_dims(name: str, value: tuple) -> SweepError:
    """Return the error of a tuple that is not (dims, values)."""
    if all(isinstance(entry, str) for entry in value):
        advice = f"Write {name}=[{', '.join(map(repr, value))}] to sweep these words, "
    else:
        advice = f'Write {name}=("point", values) to sweep it, '
    return SweepError(
        f"{name!r} is a tuple that is not (dims, values).\n{advice}{name}=((), value) to hold it "
        f"fixed."
    )


def no_values_along(name: str, dims: tuple[str, ...], value: Any) -> SweepError:
    """Return the error of what is swept along dims and has no values along them."""
    shown = repr(value)
    shown = shown if len(shown) <= _LONGEST else f"a {type(value).__name__}"
    said = (
        f"{name!r} is a tuple of two that begins with a word, and so swept along "
        f"{listed([*map(repr, dims)])}; but its values are {shown}."
    )
    if isinstance(value, numbers.Number):
        return SweepError(
            f"{said}\nGive several values, [{value!r}, ...], or {value!r} alone to hold it fixed."
        )
    if "." in name:
        advice = "Inside a container, write a list for a tuple of other things"
        if isinstance(value, str):  # a list of words is static in such a container alone
            advice += f", and hold the container fixed: {name.partition('.')[0]}=((), container)"
        return SweepError(f"{said}\n{advice}.")
    if isinstance(value, str) and len(dims) == 1:
        words = f"[{dims[0]!r}, {value!r}]"
        return SweepError(
            f'{said}\nWrite {name}={words} to sweep two words, or {name}=("{dims[0]}", [...]) to '
            f"sweep along a dim."
        )
    return SweepError(f"{said}\nGive a list or an array of values, one for each point.")


def in_container(key: str) -> SweepError:
    """Return the error of an entry of a container that would be swept one by one."""
    name = key.partition(".")[0]
    return SweepError(
        f"{key!r} has words, truth values or each(...). They are swept one by one, as only a "
        f"whole argument can be.\nMake it an argument of its own, or write {name}=((), container) "
        f"to pass a list of words as it is."
    )


def one_value(name: str, dims: tuple[str, ...], value: Any) -> SweepError:
    """Return the error of a new value that is a single one, of what was compiled along dims."""
    return SweepError(
        f"{name!r} was compiled along {listed([*map(repr, dims)])}, and the new value is one, "
        f"{value!r}. Give a list or an array of values, or compile again to hold it fixed."
    )


def not_differentiated(
    name: str,
    argument: str,
    written: str,
    held: Mapping[str, Any],
    keys: Sequence[str],
    where: str = "wrt",
) -> ArgumentError:
    """Return the error of what is named to be differentiated and is no number.

    Args:
        argument: the argument that holds it, and `written` its text in a Sweep.
        held: the entries of it that are passed as they are, by path.
        keys: the numbers in it.
        where: what names it.
    """
    if name == argument:
        is_bool = bool(keys) or isinstance(held.get(name), bool)
        it_is = f"{name!r} is {'a bool' if is_bool else 'static'} ({written})"
    elif name in held:
        it_is = f"{name!r} is passed as it is ({held[name]!r})"
    else:
        has = ", ".join(keys) or "none"
        return ArgumentError(
            f"{where} names {name!r}, which is no number of {argument}; it has {has}."
            f"{nearest(name, keys)}"
        )
    return ArgumentError(f"{it_is} and cannot be differentiated; leave it out of {where}.")


def no_direction(kind: str, key: str, name: str, keys: Sequence[str]) -> SweepError:
    """Return the error of an entry of a direction that is none of its argument's.

    Args:
        kind: "tangent" or "std".
        keys: the numbers of the argument called `name`.
    """
    has = f"{name} has {', '.join(keys) or 'no numbers'}"
    if key == name and keys:
        entry = keys[0].removeprefix(f"{name}.")
        return SweepError(
            f"the {kind} of {name!r} is a single one; {has}.\n"
            f'Give one for each, such as {{"{name}": {{"{entry}": 1.0}}}}; zero is for the others.'
        )
    return SweepError(f"the {kind} has {key!r}; {has}.{nearest(key, keys)}")


def no_argument(function: str, given: str, named: Sequence[str]) -> ArgumentError:
    """Return the error of an argument that a function does not take.

    Args:
        named: those that it takes.
    """
    head, _, entry = given.partition(".")
    hint = nearest(given, named)
    if entry and head in named:
        hint = f'\nAn entry is given inside of its container: {head}={{"{entry}": ...}}.'
    takes = ", ".join(named) or "no arguments"
    return ArgumentError(f"{function} has no argument {given!r}; it takes {takes}.{hint}")


def _flat(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def _is_missing(entry: Any) -> bool:
    return entry is None or (isinstance(entry, float) and entry != entry)
