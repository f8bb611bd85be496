"""The framework's own derivative of a function, at one point after another.

A function and the values of its arguments enter; arrays leave. This is what everything is compared
with: the framework's reverse mode, called as a user would call it; for NumPy, which has none,
differences. Nothing of gradsweep is used.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

__all__ = ["At", "ByForwardMode", "Reference", "flat_outputs", "in_parts"]


@dataclass(frozen=True, eq=False)
class At:
    """The value and derivatives of a function at a point.

    Attributes:
        y: the outputs, by path; "" for a bare one.
        J: by path and argument, shape (output's shape, argument's shape); a complex argument counts
            as its parts, along a last dim.
        H: by path and two arguments; empty for first order.
    """

    y: Mapping[str, np.ndarray]
    J: Mapping[tuple[str, str], np.ndarray] = field(default_factory=dict)
    H: Mapping[tuple[str, str, str], np.ndarray] = field(default_factory=dict)


class Reference(Protocol):
    def at(self, values: Mapping[str, Any], order: int) -> At:
        """Return values, and derivatives up to an order, by reverse mode where there is one."""

    def plainly_at(self, values: Mapping[str, Any], order: int) -> At:
        """Return the same, with nothing compiled."""

    def forward_at(self, values: Mapping[str, Any], order: int) -> At:
        """Return the same by forward mode; for the second order, by forward over reverse mode."""


@dataclass(frozen=True)
class ByForwardMode:
    """A Reference by forward mode alone, for functions that reverse mode refuses."""

    reference: Reference

    def at(self, values: Mapping[str, Any], order: int) -> At:
        y = self.reference.at(values, 0).y
        return At(y, self.reference.forward_at(values, order).J if order else {})

    plainly_at = forward_at = at


def in_parts(values: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return arguments with complex ones as their parts, along a last dim, and their names."""
    names = {name for name, value in values.items() if np.asarray(value).dtype.kind == "c"}
    parts = {name: np.stack([np.real(values[name]), np.imag(values[name])], -1) for name in names}
    return {name: parts.get(name, value) for name, value in values.items()}, names


def flat_outputs(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield the outputs of a function by path: the keys joined by "_"."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flat_outputs(item, (*path, str(key)))
    elif isinstance(value, tuple | list):
        for place, item in enumerate(value):
            yield from flat_outputs(item, (*path, str(place)))
    else:
        yield "_".join(path), value
