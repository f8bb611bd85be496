"""A function of a textbook, and the values that it is tried with."""

from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Case"]


@dataclass(frozen=True)
class Case:
    """One function with the range of each float argument and the arguments left as they are."""

    function: Callable[..., object]
    ranges: dict[str, tuple[float, float]]
    fixed: dict[str, object] = field(default_factory=dict)
