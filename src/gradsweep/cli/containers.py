"""Put entries of containers, such as `p.beta`, into the containers that the function takes.

Values by name or path enter, values for a `Sweep` leave. A parameter that is annotated with a
dataclass or a named tuple is given one.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from gradsweep.cli.annotations import fields_of, without_none
from gradsweep.support.errors import SweepError

__all__ = ["put_together"]


def put_together(given: Mapping[str, Any], annotations: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for each argument: entries are put into those that are given whole.

    Args:
        given: by the name of an argument, or by the path of an entry: "p.beta", "links.0.k".
        annotations: of the parameters.

    Raises:
        SweepError: when an argument has no such entry, or its type cannot be made of its entries.
    """
    whole = {name: value for name, value in given.items() if "." not in name}
    for path, value in given.items():
        name, *keys = path.split(".")
        if keys:
            _put(whole, path, [name, *keys], value)
    for name, value in whole.items():
        made = _made(name, _bare(value), annotations.get(name))
        whole[name] = value if made is _bare(value) else ((), made)
    return whole


def _put(whole: dict[str, Any], path: str, keys: list[str], value: Any) -> None:
    name, *inner, last = keys
    container = _copied(_bare(whole.get(name, {})))
    whole[name] = ((), container)
    for key in inner:
        if isinstance(container, dict):
            container.setdefault(key, {})
        container = container[_key(path, container, key)]
    container[_key(path, container, last)] = _bare(value)


def _key(path: str, container: Any, key: str) -> Any:
    """Return what a container calls an entry, which may be a new one of a dict."""
    if isinstance(container, dict):
        return key
    if isinstance(container, list) and key.isdecimal() and int(key) < len(container):
        return int(key)
    raise SweepError(
        f"{path}: there is no entry {key!r}. Give what holds it as a JSON object or array, "
        f"--at {path.partition('.')[0]}='{{...}}', or give entries alone."
    )


def _bare(value: Any) -> Any:
    """Return what is held fixed, ((), value), as an entry of a container has it."""
    is_fixed = isinstance(value, tuple) and len(value) == 2 and value[0] == ()
    return value[1] if is_fixed else value


def _copied(container: Any) -> Any:
    if isinstance(container, dict):
        return {key: _copied(child) for key, child in container.items()}
    return [*map(_copied, container)] if isinstance(container, list) else container


def _made(name: str, entries: Any, annotation: Any) -> Any:
    """Return a dict of entries as the dataclass or named tuple that the function takes."""
    kind, _ = without_none(annotation)
    if not (isinstance(entries, dict) and isinstance(kind, type) and _is_record(kind)):
        return entries
    inner = fields_of(kind)
    try:
        return kind(**{n: _made(f"{name}.{n}", e, inner.get(n)) for n, e in entries.items()})
    except SweepError:
        raise
    except Exception as error:  # the constructor is the user's
        raise SweepError(
            f"{name}: {kind.__name__} cannot be made of {', '.join(entries)}: {error}"
        ) from None


def _is_record(kind: type) -> bool:
    is_named_tuple = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return is_named_tuple or dataclasses.is_dataclass(kind)
