"""Tell which framework an object, or a function's code, belongs to.

No framework is imported: modules are recognised by their names. Complex numbers are put together
here too, by the framework that their parts belong to.
"""

import dis
import functools
import inspect
import sys
import types
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, Literal, get_args

from gradsweep.request.identity import is_filled, names_in
from gradsweep.request.lazy import numbers_of
from gradsweep.support.imported import imported

__all__ = [
    "FRAMEWORKS",
    "FrameworkName",
    "entries_of",
    "framework_of",
    "frameworks_named",
    "instructions_of",
    "is_numpy",
    "is_table",
    "is_users",
    "is_users_class",
    "is_users_module",
    "join_parts",
    "names_numpy",
    "works_on_numbers",
]

FrameworkName = Literal["torch", "jax"]
FRAMEWORKS = get_args(FrameworkName)

# The framework of a library, by the first part of its modules' names.
_LIBRARIES = {
    "torch": "torch",
    **dict.fromkeys(["jax", "jaxlib", "equinox", "flax", "diffrax", "optax", "lineax"], "jax"),
}

# The dialect of functions that compute with NumPy and with Python's own mathematics.
_NUMPY = "numpy"
_NUMPY_LIBRARIES = frozenset({"numpy", "math", "cmath", "scipy"})

# What code names that does to Python's numbers what no framework does to its arrays.
_PYTHON = "python"
_OF_NUMBERS = frozenset({"isinstance", "type", "hasattr", "round", "divmod", "complex"})
_METHODS = frozenset({"conjugate", "is_integer"})

# What is ours that f may call, and works in every framework.
_OURS = "gradsweep.tracing."

# Packages whose code is not the user's own.
_KNOWN = frozenset({*_LIBRARIES, *_NUMPY_LIBRARIES, *sys.stdlib_module_names, "gradsweep"}) - {
    "__main__"
}


def framework_of(value: Any) -> str:
    """Return the framework that a value belongs to, by its module or its type's; "" for none."""
    return next(filter(None, (_LIBRARIES.get(name, "") for name in _packages_of(value))), "")


def join_parts(parts: Any) -> Any:
    """Return the complex numbers whose parts lie along the last dim of any framework's array.

    Not as x + 1j * y, where an infinite y makes x NaN.
    """
    match framework_of(parts):
        case "torch":
            torch: Any = imported("torch")
            return torch.complex(*parts.unbind(-1))
        case "jax":
            jax: Any = imported("jax")
            real, imag = (jax.lax.index_in_dim(parts, i, -1, keepdims=False) for i in (0, 1))
            return jax.lax.complex(real, imag)
    return numbers_of(parts)


def is_numpy(value: Any) -> bool:
    """Tell whether a value is a module, a function or an array of NumPy, or of math or SciPy."""
    return not _NUMPY_LIBRARIES.isdisjoint(_packages_of(value))


def _packages_of(value: Any) -> list[str]:
    """Return the packages that a value comes from."""
    if isinstance(value, types.ModuleType):
        modules = [value.__name__]
    elif isinstance(value, types.FunctionType):
        # A transformed function names the original's module; its globals are the framework's.
        modules = [value.__module__, value.__globals__.get("__name__", "")]
    elif isinstance(value, types.BuiltinFunctionType | type):
        modules = [value.__module__]
    else:
        modules = [kind.__module__ for kind in type(value).__mro__]
    return [str(module).partition(".")[0] for module in modules]


def frameworks_named(function: Any) -> tuple[str, ...]:
    """Return the frameworks that a function's code refers to, in order of appearance.

    The user's own functions and objects that the code refers to are followed.
    """
    return tuple(name for name in dict.fromkeys(_named(function, set())) if name in FRAMEWORKS)


def names_numpy(function: Any) -> bool:
    """Tell whether a function is written with NumPy, math or SciPy, and with no framework."""
    return {*_named(function, set())} - {_PYTHON} == {_NUMPY}


def works_on_numbers(function: Any) -> bool:
    """Tell whether a function of operators alone does what Python's numbers alone would do.

    It works in place, computes with truth values, rounds, asks for a type, makes a complex number
    of its parts, or calls a method of Python's numbers.
    """
    return {*_named(function, set())} == {_PYTHON}


@functools.lru_cache(1024)
def _is_of_numbers(code: types.CodeType) -> bool:
    # What comes last returns or jumps, and is none of these.
    return any(
        (step.opname == "BINARY_OP" and step.argrepr.endswith("="))
        or (step.opname == "LOAD_GLOBAL" and step.argval in _OF_NUMBERS)
        or (step.opname in ("LOAD_ATTR", "LOAD_METHOD") and step.argval in _METHODS)
        or (step.opname == "COMPARE_OP" and "JUMP" not in after.opname)
        for step, after in pairwise(instructions_of(code))
    )


def _named(value: Any, seen: set[int]) -> Iterator[str]:
    if id(value) in seen:
        return
    seen.add(id(value))
    if str(getattr(value, "__module__", "")).startswith(_OURS):
        return
    framework = framework_of(value)
    if framework:
        yield framework
    elif is_numpy(value):
        yield _NUMPY
        return
    if isinstance(value, functools.partial):
        yield from _named(value.func, seen)
    elif isinstance(value, types.MethodType):
        yield from _named(value.__self__, seen)
        yield from _named_in_methods(type(value.__self__), (value.__name__,), seen)
        yield from _named(value.__func__, seen)
    elif is_table(value):
        for _, held in entries_of(value):
            yield from _named(held, seen)
    elif hasattr(value, "__wrapped__"):
        yield from _named(inspect.unwrap(value), seen)
    elif isinstance(value, types.FunctionType):
        if not framework:
            yield from _named_in_code(value, seen)
    elif callable(value) and not isinstance(value, type):
        yield from _named_in_methods(type(value), ("forward", "__call__"), seen)


def _named_in_code(function: types.FunctionType, seen: set[int]) -> Iterator[str]:
    if _is_of_numbers(function.__code__):
        yield _PYTHON
    names = names_in(function.__code__)
    held = [function.__globals__[name] for name in names if name in function.__globals__]
    held += [cell.cell_contents for cell in function.__closure__ or () if is_filled(cell)]
    held += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    for value in held:
        yield from _named(value, seen)
        if is_users_module(value):
            members = vars(value)
            for member in filter(members.__contains__, names):
                yield from _named(members[member], seen)
        elif is_users_class(kind := value if isinstance(value, type) else type(value)):
            yield from _named_in_methods(kind, ("__init__", "__call__", *names), seen)
    # An import statement inside the function names its module too, as in "jax.scipy".
    for name in names:
        package = name.partition(".")[0]
        if library := _LIBRARIES.get(package):
            yield library
        elif package in _NUMPY_LIBRARIES and package in _imported_in(function.__code__):
            yield _NUMPY  # x.numpy() has the name too, and imports nothing


def _named_in_methods(kind: type, names: Iterable[str], seen: set[int]) -> Iterator[str]:
    """Yield what some methods of a class refer to, and the methods of it that these call."""
    for name in names:
        method = inspect.getattr_static(kind, name, None)
        method = getattr(method, "fget", None) or getattr(method, "__func__", method)
        if isinstance(method, types.FunctionType) and id(method) not in seen:
            yield from _named(method, seen)
            yield from _named_in_methods(kind, names_in(method.__code__), seen)


def is_users_module(value: Any) -> bool:
    """Tell whether a value is a module of the user's own, or of a library that is not known."""
    return isinstance(value, types.ModuleType) and is_users(value.__name__)


def is_users(module: Any) -> bool:
    """Tell whether the name of a module is of the user's own code, or of an unknown library."""
    return str(module).partition(".")[0] not in _KNOWN


def is_users_class(kind: type) -> bool:
    """Tell whether a class is the user's own, not one of an installed package."""
    if not is_users(kind.__module__):
        return False
    return "site-packages" not in str(getattr(sys.modules.get(kind.__module__), "__file__", ""))


def is_table(value: Any) -> bool:
    """Tell whether a value is a dict, list or tuple of functions, from which code chooses one."""
    is_container = type(value) in (dict, list, tuple)
    return (
        is_container and 0 < len(value) < 100 and all(callable(one) for _, one in entries_of(value))
    )


def entries_of(table: Any) -> list[tuple[Any, Any]]:
    """Return the keys and the functions of a table."""
    return list(table.items()) if isinstance(table, dict) else list(enumerate(table))


def _imported_in(code: types.CodeType) -> set[str]:
    """Return the packages that code imports, nested functions included."""
    imports = (i.argval for i in instructions_of(code) if i.opname == "IMPORT_NAME")
    return {name.partition(".")[0] for name in imports}


def instructions_of(code: types.CodeType) -> Iterator[dis.Instruction]:
    """Yield the instructions of code, nested functions included."""
    yield from dis.get_instructions(code)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from instructions_of(constant)
