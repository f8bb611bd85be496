"""Tell whether a function may still do what it did when it was traced.

A function enters, a hashable value leaves: equal values mean the same code, over the same
captured values. Everything that a function refers to counts, as well as its code: closures,
globals, defaults, modules, classes and their methods, the attributes of objects, the numbers in a
captured array. A value that cannot be read is refused, never assumed to be unchanged.

Knows nothing of sweeps or Programs.
"""

import collections
import datetime
import functools
import hashlib
import inspect
import os
import sys
import sysconfig
import time
import types
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import numpy as np

from gradsweep.support.imported import imported

__all__ = ["Same", "Unknown", "code_hash", "identity", "is_filled", "names_in", "reach_hash"]

# Arrays are compared at every call: short ones by their bytes, longer ones by a digest, which takes
# half a nanosecond a byte. A function that refers to a larger one is not cached.
_LONGEST_BYTES = 2**12
_LARGEST_ARRAY_BYTES = 2**28
_LARGEST_CONTAINER = 1000
_DEEPEST = 24
_MOST_OBJECTS = 5000

# Libraries whose code does not change after they are imported, and what is ours that f may call.
_LIBRARIES = {"torch", "jax", "jaxlib", "numpy", "scipy", "equinox"}
_OURS = "gradsweep.tracing."

# Modules of C code whose objects hold no state that changes.
_CONSTANT = {*_LIBRARIES, "_abc", "_operator", "_thread", "datetime", "decimal", "operator", "re"}

# Entries of a class that are no state: they lead to the attributes of its objects.
_DESCRIPTORS = (
    types.MemberDescriptorType
    | types.GetSetDescriptorType
    | types.WrapperDescriptorType
    | types.MethodDescriptorType
    | types.ClassMethodDescriptorType
    | type(vars(collections.namedtuple("_", "field"))["field"])
)

# Names with which code can reach objects that it does not name.
_DYNAMIC = {"globals", "vars", "eval", "exec", "__import__", "importlib"}

# Functions whose answer may change between calls, and that raise no audit event (see `outside`).
_OUTSIDE = {
    time.time, time.time_ns, time.perf_counter, time.perf_counter_ns, time.monotonic,
    time.monotonic_ns, time.process_time, time.process_time_ns, time.thread_time, time.localtime,
    time.gmtime, time.ctime, time.strftime, time.asctime, os.stat, os.lstat, os.access, os.getcwd,
    os.getpid, os.getenv, os.path.exists, os.path.isfile, os.path.isdir, os.path.getmtime,
    os.path.getsize,
}  # fmt: skip
_CLOCKS = (datetime.date, datetime.datetime)
_TELLS_TIME = {"now", "today", "utcnow"}

_STANDARD_LIBRARY = sysconfig.get_path("stdlib")

# Set for types made in C, whose objects may hold state that Python cannot see.
_IMMUTABLE_TYPE = 1 << 8

# Named once: a union that is written inside a function is made again at every call.
_SCALARS = (bool, int, float, complex, str, bytes)
_LASTING = types.ModuleType | np.ufunc | np.dtype | _DESCRIPTORS
_SIZED = list | tuple | dict | set | frozenset | types.MappingProxyType
_METHODS = types.FunctionType | staticmethod | classmethod | property


class Unknown(Exception):
    """Something that may change in ways that cannot be seen."""


class Same:
    """Compares by the identity of its object, and keeps it alive so that its id is not reused."""

    def __init__(self, held: Any):
        self.held = held

    def __hash__(self) -> int:
        return id(self.held)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.held is other.held


def identity(value: Any) -> Hashable:
    """Return something hashable that is equal for functions that do the same.

    Raises:
        Unknown: when the function refers to something whose state cannot be read.
    """
    try:
        return _identity(value, 0, {})
    except Unknown:
        raise
    except Exception as error:  # from code of the user's own, such as a property that raises
        raise Unknown(f"it refers to something that cannot be read ({error})") from error


def _identity(value: Any, depth: int, seen: dict[int, tuple[int, Any]]) -> Hashable:
    kind = type(value)
    if kind in (types.FunctionType, types.BuiltinFunctionType) and value in _OUTSIDE:
        raise Unknown(f"it reads what is outside the program, by {value.__name__}")
    if value is None or kind in _SCALARS:
        # 1 == 1.0 == True, and code may tell them apart; repr distinguishes -0.0 and NaN.
        return kind, repr(value) if kind is float else value
    if isinstance(value, _LASTING):
        return Same(value)
    if kind is object or value is Ellipsis or value is NotImplemented or _is_of_a_library(value):
        return Same(value)
    if id(value) in seen:
        return "seen", seen[id(value)][0]
    # The value is kept beside its number: the id of a deleted object may be reused.
    seen[id(value)] = len(seen), value
    if depth > _DEEPEST or len(seen) > _MOST_OBJECTS:
        raise Unknown("it refers to too many objects")
    below = functools.partial(_identity, depth=depth + 1, seen=seen)
    array = _array_bytes(value)
    if array is not None:
        return array
    match value:
        case type():
            return "class", Same(value), tuple(map(below, _of_class(value)))
        case types.FunctionType():
            return _function(value, below)
        case types.MethodType():
            return "method", below(value.__func__), below(value.__self__)
        case types.BuiltinFunctionType() | types.MethodWrapperType():
            held = value.__self__
            return "built in", value.__qualname__, Same(held) if held is None else below(held)
        case staticmethod() | classmethod():
            return kind, below(value.__func__)
        case property():
            return kind, below((value.fget, value.fset, value.fdel))
        case functools.partial():
            return "partial", below(value.func), below(value.args), below(value.keywords)
    content = _content(value, below)
    if content is not None and kind.__module__ == "builtins":
        return kind, content
    return "object", below(kind), content, below(_state(value, content is not None))


def _content(value: Any, below: Callable[[Any], Hashable]) -> Hashable | None:
    """Return the content of a value whose type is built in or derives from a built-in one."""
    if isinstance(value, _SIZED) and len(value) > _LARGEST_CONTAINER:
        raise Unknown("it refers to a large container")
    match value:
        case int() | float() | complex() | str() | bytes() | bytearray():
            kinds = (int, float, complex, str, bytes, bytearray)
            return next(kind.__repr__(value) for kind in kinds if isinstance(value, kind))
        case dict() | types.MappingProxyType():
            return tuple((below(k), below(v)) for k, v in value.items())
        case list() | tuple():
            return tuple(map(below, value))
        case set() | frozenset():
            return frozenset(map(below, value))
        case range() | slice():
            return below((value.start, value.stop, value.step))
    return None


def _state(value: Any, has_content: bool) -> dict[str, Any]:
    """Return the attributes that an object holds itself.

    Raises:
        Unknown: when it may hold more than these.
    """
    kind = type(value)
    if kind.__module__.partition(".")[0] not in _CONSTANT:
        opaque = [base for base in kind.__mro__[:-1] if base.__flags__ & _IMMUTABLE_TYPE]
        if opaque and not has_content:
            raise Unknown(f"it refers to a {kind.__name__}")
    state = dict(getattr(value, "__dict__", None) or {})
    for base in kind.__mro__:
        for name, slot in vars(base).items():
            if isinstance(slot, types.MemberDescriptorType) and hasattr(value, name):
                state[f"{base.__qualname__}.{name}"] = slot.__get__(value)
    return state


def _of_class(kind: type) -> Iterator[Any]:
    """Yield the attributes and methods of a class and its bases."""
    for base in kind.__mro__:
        if _is_imported(base.__module__):
            yield base.__name__
            continue
        for name, held in vars(base).items():
            # Of names with two underscores only methods count: the rest is Python's bookkeeping.
            if not (name.startswith("__") and name.endswith("__")) or isinstance(held, _METHODS):
                yield name
                yield held


def _is_library(module: Any) -> bool:
    return str(module).partition(".")[0] in _LIBRARIES or str(module).startswith(_OURS)


def _is_imported(module: Any) -> bool:
    """Tell whether a module is Python's own or a library's, not the user's."""
    return _is_library(module) or _is_pythons_own(str(module).partition(".")[0])


@functools.cache
def _is_pythons_own(package: str) -> bool:
    # A user may have a profile.py or a statistics.py too.
    file = getattr(sys.modules.get(package), "__file__", None) or _STANDARD_LIBRARY
    return package in sys.stdlib_module_names and file.startswith(_STANDARD_LIBRARY)


def _is_of_a_library(value: Any) -> bool:
    """Tell whether Python's own modules or a library's hold this value under its name."""
    module = getattr(value, "__module__", None)
    if not _is_imported(module):
        return False
    if isinstance(value, type):
        return True
    held: Any = sys.modules.get(str(module))
    for name in str(getattr(value, "__qualname__", "")).split("."):
        held = getattr(held, name, None)
    return held is value


def _array_bytes(value: Any) -> Hashable | None:
    jax: Any = imported("jax")
    if jax is not None and isinstance(value, jax.Array):
        return Same(value)  # cannot be written to
    torch: Any = imported("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        if value.dtype is torch.bfloat16:
            value = value.float()
        value = value.numpy()
    if isinstance(value, np.ndarray | np.generic):
        if value.nbytes > _LARGEST_ARRAY_BYTES or value.dtype.hasobject:
            raise Unknown("it refers to a large array")
        if value.nbytes <= _LONGEST_BYTES:
            return value.dtype.str, value.shape, value.tobytes()
        content: Any = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        return value.dtype.str, value.shape, hashlib.sha256(content).digest()
    return None


def _function(value: types.FunctionType, below: Callable[[Any], Hashable]) -> Hashable:
    names = names_in(value.__code__)
    captured: list[Any] = []
    if not _is_imported(value.__globals__.get("__name__")):
        if not _DYNAMIC.isdisjoint(names):
            raise Unknown("it reaches what it does not name")
        for name in names:
            found = value.__globals__.get(name, value)
            if found is value:
                found = sys.modules.get(name, value)  # imported where it is used
            if found is not value:
                captured.append(name)
                captured += _reached(found, names)
    cells = [cell.cell_contents for cell in value.__closure__ or () if is_filled(cell)]
    held = (captured, cells, value.__defaults__, value.__kwdefaults__, value.__dict__)
    return "function", value.__code__, tuple(below(part) if part else None for part in held)


def _reached(found: Any, names: tuple[str, ...]) -> list[Any]:
    """Return a value and, for a module that is no library, the members that code may take."""
    reached, modules = [found], [found]
    if not _TELLS_TIME.isdisjoint(names) and any(found in (clock, datetime) for clock in _CLOCKS):
        raise Unknown("it reads the clock")
    for module in modules:
        if not isinstance(module, types.ModuleType) or _is_library(module.__name__):
            continue
        if "getattr" in names and not _is_imported(module.__name__):
            raise Unknown("it may take anything from a module")
        for name in names:  # package.config.rate
            if hasattr(module, name):
                inner = getattr(module, name)
                reached += [name, inner]
                if not any(inner is known for known in modules):
                    modules.append(inner)
    return reached


@functools.lru_cache(maxsize=4096)
def names_in(code: types.CodeType) -> tuple[str, ...]:
    """Return the globals and attributes that code refers to, nested functions included."""
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return tuple(dict.fromkeys([*code.co_names, *(n for c in inner for n in names_in(c))]))


def code_hash(function: Any) -> str:
    """Return a short hash of a function's code, the same in every process."""
    function = inspect.unwrap(function)
    while isinstance(function, functools.partial | types.MethodType):
        function = function.func if isinstance(function, functools.partial) else function.__func__
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    text = repr(type(function)) if code is None else _text(code)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def reach_hash(*values: Any) -> str:
    """Return a short hash of values and all that they refer to, the same in every process.

    It is "unknown" when something cannot be read.
    """
    try:
        text = _text(identity(values))
    except Unknown:
        return "unknown"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _text(part: Any) -> str:
    """Write part of an identity as text that is the same in every process."""
    match part:
        case Same():
            held = part.held
            array = _array_bytes(np.asarray(held)) if hasattr(held, "__array__") else None
            name = getattr(held, "__qualname__", getattr(held, "__name__", ""))
            return f"{_text(type(held))} {getattr(held, '__module__', '')} {name} {array}"
        case types.CodeType():
            of_code = part.co_code, part.co_consts, part.co_names, part.co_varnames
            return f"code{_text(of_code)}"
        case type():
            return f"{part.__module__}.{part.__qualname__}"
        case frozenset():
            return f"{{{', '.join(sorted(map(_text, part)))}}}"
        case tuple():
            return f"({', '.join(map(_text, part))})"
    return repr(part)


def is_filled(cell: types.CellType) -> bool:
    """Tell whether a variable of a closure has a value yet."""
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False
