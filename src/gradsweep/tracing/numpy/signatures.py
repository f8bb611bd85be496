"""Read a call of NumPy's by NumPy's own signature: the operands, and the options by their names.

Arguments enter as they were written; the same call leaves with every option under its name, so that
a row need not have them in NumPy's order. Knows no row and no framework.
"""

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

__all__ = ["read_call"]

# Options that choose no numbers: how a result lies in memory, which casts NumPy allows, how it
# sorts, and whether it may overwrite or need not look at what it was given.
_IGNORED = frozenset(
    "order subok casting like device kind stable optimize "
    "check_finite overwrite_a overwrite_b overwrite_input".split()
)
_PLAIN = bool | int | float | str | tuple | None


def read_call(
    function: Any, args: tuple, kwargs: Mapping[str, Any], takes: frozenset[str] = frozenset()
) -> tuple[tuple, dict[str, Any]]:
    """Return the operands of a call, and the options that are not what NumPy has without them.

    Operands are the arguments that have no default, and those that have no name. Options that
    choose no numbers are left out, but for those that the caller `takes`.

    Raises:
        TypeError: as NumPy does, when the arguments do not fit the function.
    """
    if isinstance(function, np.ufunc):
        operands, options = args[: function.nin], dict(kwargs)
        if out := args[function.nin :]:
            options["out"] = out
        defaults: Mapping[str, Any] = {"out": None, "where": True, "dtype": None, "axis": None}
    elif (signature := _signature(function)) is None:
        operands, options, defaults = args, dict(kwargs), {}
    else:
        operands, options = _bound(function, signature, args, kwargs)
        defaults = {name: one.default for name, one in signature.parameters.items()}
    return operands, {
        name: value
        for name, value in options.items()
        if (name in takes or name not in _IGNORED) and not _is_default(value, defaults.get(name))
    }


def _bound(
    function: Any, signature: inspect.Signature, args: tuple, kwargs: Mapping[str, Any]
) -> tuple[tuple, dict[str, Any]]:
    operands: list[Any] = []
    options: dict[str, Any] = {}
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{getattr(function, '__name__', function)}() {error}") from None
    for name, value in bound.arguments.items():
        one = signature.parameters[name]
        if one.kind is one.VAR_POSITIONAL:
            operands.extend(value)
        elif one.kind is one.VAR_KEYWORD:
            options.update(value)
        elif one.default is one.empty or one.kind is one.POSITIONAL_ONLY:
            operands.append(value)
        else:
            options[name] = value
    return tuple(operands), options


@cache
def _signature(function: Any) -> inspect.Signature | None:
    """Return NumPy's own signature; None where a function written in C tells none."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _is_default(value: Any, default: Any) -> bool:
    if value is default:
        return True
    return isinstance(value, _PLAIN) and type(value) is type(default) and value == default
