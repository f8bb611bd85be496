"""Read the annotations of a function and of what it takes.

A function or a class enters; types leave: those that annotations name as words are looked up.
"""

import contextlib
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from gradsweep.request.function import parameters_of

__all__ = ["annotations_of", "fields_of", "without_none"]


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotation of each parameter that has one; the type itself, where it is named."""
    names = getattr(inspect.unwrap(function), "__globals__", {})
    found = {p.name: p.annotation for p in parameters_of(function) or ()}
    return {n: _type(a, names) for n, a in found.items() if a is not inspect.Parameter.empty}


def fields_of(kind: type) -> dict[str, Any]:
    """Return the annotation of each field of a dataclass or a named tuple."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        names = getattr(sys.modules.get(base.__module__), "__dict__", {})
        own = inspect.get_annotations(base)
        found |= {name: _type(annotation, names) for name, annotation in own.items()}
    return found


def without_none(annotation: Any) -> tuple[Any, bool]:
    """Return T of `Optional[T]` and `T | None`, and whether it may be None; others as they are."""
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = annotation.__origin__
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation, annotation is None
    kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
    is_optional = len(kinds) < len(typing.get_args(annotation))
    return (kinds[0] if len(kinds) == 1 else annotation), is_optional


def _type(annotation: Any, names: Mapping[str, Any]) -> Any:
    """Return the type that an annotation names as a word; the word, where there is no such type."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        with contextlib.suppress(Exception):  # a type that only a type checker knows
            return eval(annotation, dict(names))
    return annotation
