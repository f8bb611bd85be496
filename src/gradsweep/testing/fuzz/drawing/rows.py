"""Templates of statements, and how their slots are filled with variables in scope.

A template is source text with slots, `torch.where({a:f} > {k:number}, {b:f~}, {a})`: `a` is some
floating tensor, `k` a number, `b` a floating tensor whose shape broadcasts with those before. Text
leaves. Knows nothing of its meaning; whether it is valid shows when it is run.

The kind of a slot for a variable is a letter, then perhaps a rank, a relation, and `!`:

    f floating    c complex    z floating or complex    i integer    w integer of few bits
    l int64       b bool       n floating or integer    r a ref      v anything
    d float64     s float32
    0 1 2 number of dims    + one or more      q square
    ~ broadcasts with the operands before      = of the first operand's dtype and shape
    ! its own memory, which may be written

The others are literals, by name: see `_LITERALS`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gradsweep.testing.fuzz.drawing.choices import Choices
from gradsweep.testing.fuzz.drawing.features import FEATURES

__all__ = ["Row", "Type", "Variable", "fill", "rows_of"]


class Type(NamedTuple):
    """What is known of a value before anything runs."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Variable:
    """A name in scope.

    Attributes:
        is_own: whether the function made its memory and may write into it.
        is_ref: whether it is a mutable array of JAX.
    """

    name: str
    type: Type
    is_own: bool = False
    is_ref: bool = False


@dataclass(frozen=True)
class Row:
    """A template of a statement.

    Attributes:
        feature: the feature that it belongs to.
        is_write: whether it changes an operand and has no value of its own.
    """

    feature: str
    template: str
    is_write: bool = False


def rows_of(tables: Mapping[str, str]) -> tuple[Row, ...]:
    """Read rows from text: by feature, one template a line, with "! " before one that writes."""
    if unknown := tables.keys() - FEATURES.keys():
        raise AssertionError(f"{sorted(unknown)} are no features: features.py has none of the name")
    rows = []
    for feature, text in tables.items():
        for line in filter(None, map(str.strip, text.splitlines())):
            is_write = line.startswith("! ")
            rows.append(Row(feature, line.removeprefix("! "), is_write))
    return tuple(rows)


_SLOT = re.compile(r"\{(\w+)(?::([^{}]+))?\}")

_FLOATING = ("float64", "float32")
_COMPLEX = ("complex128", "complex64")
_NARROW = ("int32", "int16", "int8", "uint8", "uint16", "uint32")

_DTYPES: dict[str, tuple[str, ...]] = {
    "f": _FLOATING,
    "d": ("float64",),
    "s": ("float32",),
    "c": _COMPLEX,
    "z": (*_FLOATING, *_COMPLEX),
    "i": ("int64", *_NARROW),
    "w": _NARROW,
    "l": ("int64",),
    "b": ("bool",),
    "n": (*_FLOATING, "int64", *_NARROW),
    "r": _FLOATING,
    "v": (*_FLOATING, *_COMPLEX, "int64", *_NARROW, "bool"),
}

_NUMBERS = ("2.0", "0.5", "-1.5", "0.25", "3.0", "-0.7", "1.25", "0.1")


def _axis(choices: Choices, like: Type, counters: Sequence[str]) -> str | None:
    if not like.shape:
        return None
    return str(choices.one_of(range(-1, len(like.shape))))


def _index(choices: Choices, like: Type, counters: Sequence[str]) -> str | None:
    if not like.shape or not like.shape[0]:
        return None
    length = like.shape[0]
    if counters and choices.rarely(2):
        return f"{choices.one_of(counters)} % {length}"
    return str(choices.one_of([*range(length), -1]))


def _slice(choices: Choices, like: Type, counters: Sequence[str]) -> str | None:
    if not like.shape or like.shape[0] < 2:
        return None
    return choices.one_of(["1:", ":-1", "::2", ":1", "1::2", "-2:"])


def _places(choices: Choices, like: Type, counters: Sequence[str]) -> str | None:
    """Places along the first dim, perhaps one of them twice."""
    if not like.shape or not like.shape[0]:
        return None
    places = [choices.between(0, like.shape[0] - 1) for _ in range(choices.between(1, 3))]
    return repr(places)


def _distinct(choices: Choices, like: Type, counters: Sequence[str]) -> str | None:
    """Different places along the first dim: one that is written twice has no derivative."""
    if not like.shape or not like.shape[0]:
        return None
    n = choices.between(1, min(2, like.shape[0]))
    return repr(choices.distinct(range(like.shape[0]), n))


def _length(choices: Choices, like: Type, counters: Sequence[str]) -> str | None:
    return str(like.shape[0]) if like.shape else None


def _one(*options: str) -> Callable[[Choices, Type, Sequence[str]], str]:
    return lambda choices, like, counters: choices.one_of(options)


def _count(choices: Choices, like: Type, counters: Sequence[str]) -> str:
    if counters and choices.rarely(2):
        return choices.one_of(counters)
    return choices.one_of(["1", "2", "3"])


# What draws a literal, given the type of the first operand and the Python integers in scope.
_LITERALS: dict[str, Callable[[Choices, Type, Sequence[str]], str | None]] = {
    "number": _one(*_NUMBERS),
    "positive": _one("1.0", "0.5", "2.0", "0.3"),
    "exponent": _one("2", "3", "2.0", "-1", "0.5", "1", "0"),
    "count": _count,
    "digits": _one("1", "0", "2", "-1"),
    "small": _one("1", "2", "3", "-1", "-2"),
    "large": _one("100", "7", "120", "-90"),
    "axis": _axis,
    "index": _index,
    "slice": _slice,
    "places": _places,
    "distinct": _distinct,
    "length": _length,
    "truth": _one("True", "False"),
    "comparison": _one(">", "<", ">=", "<=", "==", "!="),
    "sign": _one("+", "-"),
}


def fill(
    template: str,
    variables: Sequence[Variable],
    choices: Choices,
    counters: Sequence[str] = (),
) -> str | None:
    """Fill the slots of a template, or return None where nothing in scope fits one.

    Args:
        variables: those in scope, the simplest choice first.
        counters: the Python integers in scope.
    """
    filled: dict[str, str] = {}
    operands: list[Variable] = []
    for name, kind in _SLOT.findall(template):
        if not kind:
            continue
        if kind in _LITERALS:
            like = operands[0].type if operands else Type("float64", ())
            text = _LITERALS[kind](choices, like, counters)
        else:
            fitting = [v for v in variables if _fits(v, kind, operands)]
            if not fitting:
                return None
            operands.append(choices.one_of(fitting))
            text = operands[-1].name
        if text is None:
            return None
        filled[name] = text
    return _SLOT.sub(lambda slot: filled[slot[1]], template)


def _fits(variable: Variable, kind: str, before: Sequence[Variable]) -> bool:
    dtype, shape = variable.type
    if variable.is_ref != (kind[0] == "r") or dtype not in _DTYPES[kind[0]]:
        return False
    for mark in kind[1:]:
        match mark:
            case "0" | "1" | "2":
                fits = len(shape) == int(mark)
            case "+":
                fits = len(shape) > 0 and 0 not in shape
            case "q":
                fits = len(shape) == 2 and shape[0] == shape[1]
            case "~":
                fits = _broadcast(shape, [operand.type.shape for operand in before])
            case "=":
                fits = variable.type == before[0].type
            case "!":
                fits = variable.is_own
            case _:
                raise AssertionError(kind)
        if not fits:
            return False
    return True


def _broadcast(shape: tuple[int, ...], others: Sequence[tuple[int, ...]]) -> bool:
    try:
        np.broadcast_shapes(shape, *others)
    except ValueError:
        return False
    return True
