"""Find a module if it is imported already: if it is not, no value can come from it."""

import sys
from types import ModuleType

__all__ = ["imported"]


def imported(name: str) -> ModuleType | None:
    """Return a module; None when it is not imported, or another thread is still importing it."""
    module = sys.modules.get(name)
    is_under_way = getattr(getattr(module, "__spec__", None), "_initializing", False)
    return None if is_under_way else module
