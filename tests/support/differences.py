"""Derivatives by differences, of functions that have no closed form."""

from collections.abc import Callable
from typing import Any

# Central differences of eighth order.
_WEIGHTS = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}


def by_difference(f: Callable[[Any], Any], x: Any, h: float = 2e-3) -> Any:
    """Differentiate at x by values at four steps of h on both sides."""
    return sum(w * (f(x + k * h) - f(x - k * h)) for k, w in _WEIGHTS.items()) / h
