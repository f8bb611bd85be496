"""What code is told that asks for a type: isinstance, type, hasattr, complex and np.ndarray.

An Array stands for a number of Python's, a number of NumPy's or an array; each answers as what it
stands for.
"""

from typing import Any

import numpy as np

from gradsweep.tracing.numpy.array import Array

__all__ = ["BUILTINS", "NumpyArray", "kind_of"]

_PYTHONS = {"b": bool, "i": int, "u": int, "f": float, "c": complex}


def kind_of(value: Any) -> type:
    """Return the type that a value has in a plain call."""
    if not isinstance(value, Array):
        return type(value)
    if not value.number:
        return np.ndarray
    return _PYTHONS[value.dtype.kind] if value.number == "python" else value.dtype.type


def _isinstance(value: Any, kinds: Any, /) -> bool:
    if isinstance(value, Array):
        return issubclass(kind_of(value), kinds)
    return isinstance(value, kinds)


def _hasattr(value: Any, name: str, /) -> bool:
    if not isinstance(value, Array):
        return hasattr(value, name)
    # What a framework's array has besides, such as x.sigmoid(), works too.
    return hasattr(kind_of(value), name) or (name not in dir(np.ndarray) and hasattr(value, name))


class _Named(type):
    """The type of what stands for a class: what belongs to that belongs to this."""

    own: type

    def __instancecheck__(cls, instance: Any) -> bool:
        return _isinstance(instance, cls.own)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return subclass is cls or issubclass(subclass, cls.own)


class _OfArrays(_Named):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return np.ndarray(*args, **kwargs)


class NumpyArray(metaclass=_OfArrays):
    """What stands for np.ndarray."""

    own = np.ndarray


class _OfTypes(_Named):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if len(args) != 1 or kwargs:
            return type(*args, **kwargs)
        found = kind_of(args[0])
        return _STANDING.get(found, found)


class _Type(metaclass=_OfTypes):
    """What stands for `type`."""

    own = type


class _OfComplex(_Named):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return Array.apply(complex, args, kwargs)


class _Complex(metaclass=_OfComplex):
    """What stands for `complex`, which makes a number of traced parts."""

    own = complex
    dtype = np.dtype(complex)  # so that NumPy takes it for a dtype


# By class, what stands for it.
_STANDING: dict[type, type] = {np.ndarray: NumpyArray, complex: _Complex}

BUILTINS = {"isinstance": _isinstance, "hasattr": _hasattr, "type": _Type, "complex": _Complex}
