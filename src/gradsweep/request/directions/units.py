"""Compare the units of a direction with those of the argument that it belongs to.

Units are text, as `attrs["units"]` has it, and are not converted. Two spellings of one product of
powers are the same, "m/s" and "m s-1"; two names of one unit are not.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from gradsweep.request.argument import Argument
from gradsweep.request.quantities import direction_key
from gradsweep.support.errors import SweepError

__all__ = ["of_difference", "require_covariance_units", "require_units", "units_of"]

# A factor of a product: "m", "/s", "·kg^2", " s-1", "m²" once its exponent is in plain digits.
_FACTOR = re.compile(r"\s*([·*./]?)\s*([^\W\d_]+|[%°]\w*)(?:\^?([+-]?\d+))?")

_PLAIN = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def units_of(attrs: Mapping[str, Any]) -> str:
    return str(attrs.get("units", ""))


def of_difference(units: str) -> str:
    """Return the units of a difference: "days" for values in "days since 2000-01-01"."""
    return units.partition(" since ")[0]


def require_units(kind: str, read: Mapping[str, Argument], arguments: Iterable[Argument]) -> None:
    """Check that tangents or stds have the units of their arguments, where both have any.

    Args:
        read: the directions by the key of what they belong to.

    Raises:
        SweepError: which names both.
    """
    own = {argument.name: units_of(argument.attrs) for argument in arguments}
    for key, direction in read.items():
        given, units = units_of(direction.attrs), own.get(key.partition(".")[0], "")
        if given and units and _powers(of_difference(given)) != _powers(of_difference(units)):
            raise SweepError(
                f"the {direction_key(kind, key)} has the units {given!r}, and {key} has {units!r}; "
                f"units are not converted.\nGive the {kind} in {of_difference(units)!r}, or "
                f"without units."
            )


def require_covariance_units(
    attrs: Mapping[str, Any], names: Iterable[str], arguments: Iterable[Argument]
) -> None:
    """Check that the units of a covariance matrix are the squares of those of its arguments.

    Args:
        attrs: of the matrix.
        names: of its rows: arguments, or elements of them.

    Raises:
        SweepError: which names both.
    """
    given = units_of(attrs)
    own = {argument.name: units_of(argument.attrs) for argument in arguments}
    for name in names:
        units = of_difference(own.get(re.split(r"[.\[]", name)[0], ""))
        if not (given and units):
            continue
        powers, whole = _powers(units), _powers(given)
        if whole not in (_times(powers, 2), _powers(f"({units})²"), _powers(f"({units})^2")):
            raise SweepError(
                f"the covariance has the units {given!r}, and {name} has {units!r}, whose square "
                f"is ({units})²; units are not converted.\nGive the covariance in the units of its "
                f"arguments, or without units."
            )


def _powers(units: str) -> Mapping[str, int] | str:
    """Return the exponent of each factor; what is no product of powers as it is."""
    text = units.translate(_PLAIN).replace("**", "^").strip()
    found, place = Counter[str](), 0
    while place < len(text):
        factor = _FACTOR.match(text, place)
        if factor is None:
            return text
        sign, name, exponent = factor.groups()
        found[name] += int(exponent or 1) * (-1 if sign == "/" else 1)
        place = factor.end()
    return found


def _times(powers: Mapping[str, int] | str, n: int) -> Mapping[str, int] | str:
    if isinstance(powers, str):
        return ""
    return Counter({name: n * exponent for name, exponent in powers.items()})
