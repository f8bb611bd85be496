"""Modules that the program has imported already: what is not imported made none of its values."""

import sys
from types import ModuleType

__all__ = ["imported"]


def imported(name: str) -> ModuleType | None:
    """Return a module, unless it is not imported, or being imported by another thread just now."""
    module = sys.modules.get(name)
    is_under_way = getattr(getattr(module, "__spec__", None), "_initializing", False)
    return None if is_under_way else module
