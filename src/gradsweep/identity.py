"""Tell whether a function may still do what it did when it was traced.

A function enters, a hashable value leaves: equal values mean the same code, over the same
captured values. What a function refers to counts as well as what it says: closures, globals,
defaults, the attributes of the object that a method belongs to, the numbers in a captured array.

Knows nothing of sweeps or Programs.
"""

import functools
import inspect
import sys
import types
from collections.abc import Hashable
from typing import Any

import numpy as np

__all__ = ["Unknown", "identity", "names_in"]

# Arrays up to this size are compared by their bytes at every call; a larger one is not cached on.
_LARGEST_ARRAY_BYTES = 2**20
_LARGEST_CONTAINER = 1000
_DEEPEST = 12
_MOST_OBJECTS = 5000


class Unknown(Exception):
    """Something that may change in ways that cannot be seen."""


class _Same:
    """Hashes as the very object it holds, and keeps it alive so that its id is not given away."""

    def __init__(self, held: Any):
        self.held = held

    def __hash__(self) -> int:
        return id(self.held)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.held is other.held


def identity(value: Any) -> Hashable:
    """Return something hashable that is equal for functions that do the same.

    Raises:
        Unknown: when the function refers to something whose state cannot be read.
    """
    return _identity(value, 0, {})


def _identity(value: Any, depth: int, seen: dict[int, tuple[int, Any]]) -> Hashable:
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        # 1 == 1.0 == True, and code may tell them apart; repr tells -0.0 and NaN.
        return type(value), repr(value) if isinstance(value, float) else value
    if isinstance(value, type | types.BuiltinFunctionType | np.ufunc | np.dtype):
        return _Same(value)
    if isinstance(value, types.ModuleType):
        return _Same(value)
    if id(value) in seen:
        return "seen", seen[id(value)][0]
    # Held with its number: the id of an object that is gone may be given to another.
    seen[id(value)] = len(seen), value
    if depth > _DEEPEST or len(seen) > _MOST_OBJECTS:
        raise Unknown("it refers to too many objects")
    below = functools.partial(_identity, depth=depth + 1, seen=seen)
    array = _array_bytes(value)
    if array is not None:
        return array
    if isinstance(value, list | tuple | dict | set | frozenset) and len(value) > _LARGEST_CONTAINER:
        raise Unknown("it refers to a large container")
    match value:
        case dict():
            return type(value), tuple((below(k), below(v)) for k, v in value.items())
        case list() | tuple():
            return type(value), tuple(map(below, value))
        case set() | frozenset():
            return type(value), frozenset(map(below, value))
        case functools.partial():
            return "partial", below(value.func), below(value.args), below(value.keywords)
        case types.MethodType():
            return "method", below(value.__func__), below(value.__self__)
        case types.FunctionType():
            return _function(value, below)
    if hasattr(value, "__wrapped__") and callable(value):
        # Two custom_vjp of one function may have different rules. What is private is the
        # library's own bookkeeping, anew for every jit of the same function.
        state = getattr(value, "__dict__", {})
        rules = below({name: part for name, part in state.items() if name[:1] != "_"})
        return "wrapped", _Same(type(value)), below(inspect.unwrap(value)), rules
    state = getattr(value, "__dict__", None)
    if state is None and not hasattr(type(value), "__slots__"):
        if type(value).__module__.partition(".")[0] in _OPAQUE:
            return _Same(value)
        raise Unknown(f"it refers to a {type(value).__name__}")
    slots = [n for kind in type(value).__mro__ for n in getattr(kind, "__slots__", ())]
    attributes = {**(state or {}), **{n: getattr(value, n) for n in slots if hasattr(value, n)}}
    return "object", _Same(type(value)), below(attributes)


# Their functions are what they were when they were imported.
_LIBRARIES = {"torch", "jax", "jaxlib", "numpy", "scipy", "equinox"}

# Objects without a state that Python can see, which their libraries do not change.
_OPAQUE = {*_LIBRARIES, "builtins", "_operator", "operator", "functools"}


def _array_bytes(value: Any) -> Hashable | None:
    jax = sys.modules.get("jax")
    if jax is not None and isinstance(value, jax.Array):
        return _Same(value)  # cannot be written to
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        if value.dtype is torch.bfloat16:
            value = value.float()
        value = value.numpy()
    if isinstance(value, np.ndarray | np.generic):
        if value.nbytes > _LARGEST_ARRAY_BYTES or value.dtype.hasobject:
            raise Unknown("it refers to a large array")
        return value.dtype.str, value.shape, value.tobytes()
    return None


def _function(value: types.FunctionType, below: Any) -> Hashable:
    if str(value.__module__).partition(".")[0] in _LIBRARIES:
        return _Same(value)
    names = names_in(value.__code__)
    captured = []
    for name in names:
        if name in value.__globals__:
            found = value.__globals__[name]
            captured.append((name, below(found)))
            if isinstance(found, types.ModuleType) and not _is_library(found):
                # config.alpha, where config is a module of the user's
                captured += [(n, below(getattr(found, n))) for n in names if hasattr(found, n)]
    cells = tuple(below(cell.cell_contents) for cell in value.__closure__ or () if _filled(cell))
    own = below(value.__dict__) if value.__dict__ else ()
    defaults = below(value.__defaults__), below(value.__kwdefaults__)
    return "function", value.__code__, tuple(captured), cells, defaults, own


def _is_library(module: types.ModuleType) -> bool:
    return module.__name__.partition(".")[0] in {*_LIBRARIES, "math"}


def names_in(code: types.CodeType) -> tuple[str, ...]:
    """Return the globals and attributes that code refers to, nested functions included."""
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return tuple(dict.fromkeys([*code.co_names, *(n for c in inner for n in names_in(c))]))


def _filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False
