"""Tell which framework an object, or a function's code, belongs to.

No framework is imported: modules are recognised by their names.
"""

import functools
import inspect
import types
from collections.abc import Iterator
from typing import Any, Literal, get_args

from gradsweep.request.identity import names_in

__all__ = ["FRAMEWORKS", "FrameworkName", "framework_of", "frameworks_named"]

FrameworkName = Literal["torch", "jax"]
FRAMEWORKS = get_args(FrameworkName)

# The framework of a library, by the first part of its modules' names.
_LIBRARIES = {
    "torch": "torch",
    **dict.fromkeys(["jax", "jaxlib", "equinox", "flax", "diffrax", "optax", "lineax"], "jax"),
}


def framework_of(value: Any) -> str:
    """Return the framework that a value belongs to, by its module or its type's; "" for none."""
    if isinstance(value, types.ModuleType):
        modules = [value.__name__]
    elif isinstance(value, types.FunctionType):
        # A transformed function names the original's module; its globals are the framework's.
        modules = [value.__module__, value.__globals__.get("__name__", "")]
    elif isinstance(value, types.BuiltinFunctionType | type):
        modules = [value.__module__]
    else:
        modules = [kind.__module__ for kind in type(value).__mro__]
    found = (_LIBRARIES.get(str(module).partition(".")[0], "") for module in modules)
    return next(filter(None, found), "")


def frameworks_named(function: Any) -> tuple[str, ...]:
    """Return the frameworks that a function's code refers to, in order of appearance.

    The user's own functions and objects that the code refers to are followed.
    """
    return tuple(dict.fromkeys(_named(function, set())))


def _named(value: Any, seen: set[int]) -> Iterator[str]:
    if id(value) in seen:
        return
    seen.add(id(value))
    framework = framework_of(value)
    if framework:
        yield framework
    if isinstance(value, functools.partial):
        yield from _named(value.func, seen)
    elif isinstance(value, types.MethodType):
        yield from _named(value.__self__, seen)
        yield from _named(value.__func__, seen)
    elif hasattr(value, "__wrapped__"):
        yield from _named(inspect.unwrap(value), seen)
    elif isinstance(value, types.FunctionType):
        if not framework:
            yield from _named_in_code(value, seen)
    elif callable(value) and not isinstance(value, type):
        for name in ("forward", "__call__"):
            method = getattr(type(value), name, None)
            if isinstance(method, types.FunctionType):
                yield from _named(method, seen)


def _named_in_code(function: types.FunctionType, seen: set[int]) -> Iterator[str]:
    names = names_in(function.__code__)
    for name in names:
        if name in function.__globals__:
            yield from _named(function.__globals__[name], seen)
    for cell in function.__closure__ or ():
        try:
            yield from _named(cell.cell_contents, seen)
        except ValueError:  # not yet filled
            continue
    # An import statement inside the function names its module too, as in "jax.scipy".
    for name in names:
        if library := _LIBRARIES.get(name.partition(".")[0]):
            yield library
