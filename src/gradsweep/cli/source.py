"""Find the function that a command names.

FILE:FUNC or package.module:FUNC enters, the function leaves. A name that leads nowhere is an
ArgumentError; an error inside the user's file passes through.
"""

import contextlib
import difflib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from gradsweep.support.errors import ArgumentError, nearest

__all__ = ["load_function", "search_path"]


def load_function(written: str) -> Callable[..., Any]:
    """Import the function that `written` names.

    Raises:
        ArgumentError: when there is no such file, module or function.
    """
    place, colon, name = written.rpartition(":")
    if not (place and colon and name):
        raise ArgumentError(
            f"{written!r} names no function. Write FILE:FUNC, such as model.py:price, "
            f"or package.module:FUNC."
        )
    module = _load_file(place) if _is_file_name(place) else _load_module(place)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            functions = [n for n, v in vars(found).items() if callable(v) and n[0] != "_"]
            raise ArgumentError(
                f"{place} has no function {name!r}; it has "
                f"{', '.join(functions) or 'none'}.{nearest(part, functions)}"
            )
        found = getattr(found, part)
    if not callable(found):
        raise ArgumentError(f"{name!r} of {place} is a {type(found).__name__}, not a function.")
    return found


@contextlib.contextmanager
def search_path(written: str) -> Iterator[None]:
    """Search for imports where Python would if it ran the file, or the module with -m."""
    place = written.rpartition(":")[0]
    folder = str(_root(Path(place).resolve())) if _is_file_name(place) else os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def _is_file_name(place: str) -> bool:
    return place.endswith(".py") or os.sep in place


def _root(path: Path) -> Path:
    """Return the folder that holds a file, or the top package that the file belongs to."""
    folder = path.parent
    while (folder / "__init__.py").is_file() and folder != folder.parent:
        folder = folder.parent
    return folder


def _load_file(place: str) -> ModuleType:
    path = Path(place).resolve()
    if not path.is_file():
        beside = [p.name for p in path.parent.glob("*.py")]
        # The hint spells the folder as the user did.
        close = difflib.get_close_matches(path.name, beside, n=1)
        hint = f" Did you mean {str(Path(place).with_name(close[0]))!r}?" if close else ""
        raise ArgumentError(f"there is no file {place!r}.{hint}")
    *packages, stem = path.relative_to(_root(path)).with_suffix("").parts
    name = ".".join([*packages, stem.replace(".", "_")])
    importlib.invalidate_caches()
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.origin == str(path):
        return importlib.import_module(name)
    # Another module has this name, such as one of the standard library; it keeps the name.
    spec = importlib.util.spec_from_file_location(f"{name} (file)", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _load_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Where the module exists and imports one that does not, the error is the user's to mend.
        if error.name is None or not (name + ".").startswith(error.name + "."):
            raise
        hint = f" Did you mean '{name}.py'?" if Path(f"{name}.py").is_file() else ""
        raise ArgumentError(f"there is no module {name!r}.{hint}") from None
