"""Read what a user writes in a Sweep, a tangent or a cotangent.

A value enters, an Argument leaves. Arrays of torch, JAX, pandas and xarray are recognised by their
attributes; none of the four is imported here.
"""

import numbers
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

# np.ma may recurse without end when two threads first use it at once (NumPy 2.4).
from numpy.ma import MaskedArray, filled

from gradsweep.request import pytree
from gradsweep.request.argument import (
    Argument,
    Components,
    Coordinate,
    LeafMark,
    require_same_coordinates,
)
from gradsweep.request.categories import Each, are_categories, parse_categories
from gradsweep.request.framework import framework_of
from gradsweep.request.lazy import Lazy, Values, as_lazy, is_lazy
from gradsweep.request.leaf import Leaf, union
from gradsweep.support.errors import SweepError
from gradsweep.support.refusals import in_container, no_dims, no_values_along, not_numbers

__all__ = ["as_array", "is_data_array", "names_dims", "origin_of", "parse_argument"]

_LARGEST_INTEGER = np.iinfo(np.int64).max

# The imaginary part of a real component among complex ones, and the axes that it varies along.
_ZERO: tuple[tuple[str, ...], Values] = ((), np.zeros(()))


def parse_argument(name: str, value: Any) -> Argument:
    """Read one value of a Sweep.

    Raises:
        SweepError: when it has none of the forms of the Sweep's table.
    """
    argument, origin = _parse(name, value), origin_of(value)
    return replace(argument, origin=origin) if origin else argument


def _parse(name: str, value: Any) -> Argument:
    if isinstance(value, float):  # by far the most common fixed value
        return _parse_fixed(name, np.asarray(value))
    if isinstance(value, Components):
        return _parse_components(name, value)
    if hasattr(value, "data_vars"):
        raise SweepError(
            f"{name!r} is a Dataset. Pass one of its variables, {name}=ds[{name!r}] say."
        )
    if is_data_array(value):
        return _parse_data_array(name, value)
    if pytree.is_record(value):  # a named tuple's names are no dims
        return _parse_tree(name, (), value, is_held=False)
    if isinstance(value, tuple):
        return _parse_with_dims(name, value)
    if isinstance(value, bool | np.bool_ | str | bytes) or value is None:
        return Argument(name, value, (), shown=repr(value))
    if isinstance(value, numbers.Integral):
        return Argument(name, int(value), (), shown=repr(int(value)))
    if isinstance(value, range):
        value = np.arange(value.start, value.stop, value.step)
    if found := parse_categories(name, (name,), value):
        return found.labelled((name,), value)
    array = as_array(name, value)
    if array is None:
        return Argument(name, value, (), shown=f"{type(value).__name__}, static")
    if array.ndim == 0 and not isinstance(array, Lazy):
        if array.dtype.kind == "i":
            return Argument(name, int(array), (), shown=str(int(array)))
        return _parse_fixed(name, array)
    if array.ndim > 1:
        dims = ", ".join(f'"{name}_{axis}"' for axis in range(array.ndim))
        raise SweepError(
            f"{name!r} is an array of shape {array.shape}, and its swept dims are not named.\n"
            f'Write {name}=("point", array) to sweep along the first axis, '
            f"{name}=(({dims}), array) to sweep along all, or {name}=((), array) to hold it fixed."
        )
    return _parse_swept(name, (name,), array).labelled((name,), value)


def as_array(name: str, value: Any) -> Values | None:
    """Return a value as an array of floats, complex numbers, int64 or bool; None if it is none.

    Raises:
        SweepError: when it is an array of something else.
    """
    read = _read_array(name, value)
    if read is None:
        return None
    array = _converted(read)
    if array is not None:
        return array
    raise not_numbers(name, value, np.asarray(read))


def _read_array(name: str, value: Any) -> Values | None:
    """Return a value as an array of any dtype; None if it is no array."""
    if is_lazy(value):
        return as_lazy(value) if value.ndim else np.asarray(value)
    if isinstance(value, np.ndarray | np.generic):
        if isinstance(value, MaskedArray):
            value = filled(value.astype(np.result_type(value.dtype, np.float32)), np.nan)
        return np.asarray(value)
    if isinstance(value, numbers.Real) or hasattr(value, "as_integer_ratio"):
        return np.asarray(float(value))
    if isinstance(value, numbers.Complex):
        return np.asarray(complex(value))
    if hasattr(value, "detach") and hasattr(value, "cpu"):  # torch
        return _read_tensor(name, value)
    if hasattr(value, "__array__") or isinstance(value, list):
        return _read_other(name, value)
    return None


def _read_tensor(name: str, value: Any) -> np.ndarray:
    value = value.detach().cpu()
    if value.dtype.itemsize == 2 and value.is_floating_point():
        value = value.float()
    try:
        return value.resolve_conj().resolve_neg().numpy()
    except RuntimeError:  # inside torch.func
        raise _has_no_values(name) from None


def _read_other(name: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except (ValueError, TypeError) as error:
        if framework_of(error) == "jax":  # inside a transformation
            raise _has_no_values(name) from None
        if isinstance(value, list):
            raise SweepError(f"{name!r} is a list of lists of different lengths.") from None
        raise SweepError(f"{name!r} is not an array of numbers: {error}") from None


def _has_no_values(name: str) -> SweepError:
    return SweepError(
        f"{name!r} has no values yet: a transformation of its framework (jit, vmap, grad) is "
        f"tracing it. Call gradsweep outside of it."
    )


def _converted(array: Values) -> Values | None:
    """Return an array in the dtype that its numbers are computed in; None if it has none."""
    match array.dtype.kind:
        case "f":
            # float16 is too narrow to differentiate in; long double has no vector code.
            dtype = "float32" if array.dtype.itemsize in (2, 4) else "float64"
            return array.astype(dtype, copy=False)
        case "i" | "u":
            # Numbers too large for int64 would come out negative.
            is_large = (array.dtype.kind, array.dtype.itemsize) == ("u", 8) and (
                isinstance(array, Lazy) or np.any(array > _LARGEST_INTEGER)
            )
            return array.astype("float64" if is_large else "int64", copy=False)
        case "c":
            dtype = "complex64" if array.dtype.itemsize == 8 else "complex128"
            return array.astype(dtype, copy=False)
        case "b":
            return array
        case "V" if array.dtype.name.startswith(("bfloat", "float8")):
            return array.astype("float32")
    return None


def _parse_fixed(name: str, array: np.ndarray) -> Argument:
    if array.dtype.kind == "b":
        return Argument(name, bool(array), (), shown=repr(bool(array)))
    leaf = Leaf.of(name, (), array)
    return Argument(name, LeafMark(name), (leaf,), shown=f"{array[()]:g}")


def _parse_swept(name: str, dims: tuple[str, ...], array: Values) -> Argument:
    if array.ndim < len(dims):
        raise SweepError(
            f"{name!r} names the swept dims {', '.join(map(repr, dims))}, "
            f"and its array has shape {array.shape}."
        )
    leaf = _swept_leaf(name, dims, array)
    return Argument(name, LeafMark(name), (leaf,), shown=partial(_shown_swept, leaf))


def _shown_swept(leaf: Leaf) -> str:
    shape = f", shape {leaf.numbers_shape}" if leaf.numbers_shape else ""
    return f"{leaf.span} along {' x '.join(leaf.dims)}{shape}" if leaf.dims else f"fixed{shape}"


def _swept_leaf(key: str, dims: tuple[str, ...], array: Values) -> Leaf:
    # Swept integers are values like any other; a fixed integer array may be a table of indices.
    if array.dtype.kind == "i" and dims:
        array = array.astype(np.float64)
    return Leaf.of(key, dims, array)


def _parse_with_dims(name: str, value: tuple) -> Argument:
    dims = value[0] if len(value) == 2 else None
    if isinstance(dims, str):
        dims = (dims,)
    elif isinstance(dims, list):
        dims = tuple(dims)
    if not isinstance(dims, tuple) or not all(isinstance(dim, str) for dim in dims):
        raise no_dims(name, value)
    if len(set(dims)) != len(dims):
        raise SweepError(f"{name!r} names a dim twice: {dims}")
    inner = value[1]
    if is_data_array(inner):
        inner = _data_of(inner)
    if isinstance(inner, Components):
        raise SweepError(
            f"{name!r}: components name their own dims; write {name}=gs.components(...)"
        )
    attrs = _attrs(value[1])
    if dims or isinstance(inner, Each):
        if found := parse_categories(name, dims, inner, attrs):
            return found.labelled(dims, inner)
    if _is_container(inner) and not (isinstance(inner, list) and (dims or _is_numeric(inner))):
        return _parse_tree(name, dims, inner)
    array = as_array(name, list(inner) if isinstance(inner, range) else inner)
    if dims and (array is None or not array.ndim):
        raise no_values_along(name, dims, inner)
    if array is None:
        return _parse_tree(name, dims, inner)
    return replace(_parse_swept(name, dims, array), attrs=attrs).labelled(dims, inner)


def _parse_tree(name: str, dims: tuple[str, ...], value: Any, is_held: bool = True) -> Argument:
    """Read a container; in one that is written with dims, ((), value), words are static."""
    entries: list[Argument] = []

    def read(path: pytree.Path, entry: Any) -> Any:
        if isinstance(entry, bool | str | int) or entry is None:
            return entry
        key = ".".join(path)
        if names_dims(entry):
            own = _parse(key, entry)
            if own.categories is not None:
                raise in_container(key)
            entries.append(own)
            return own.form
        if not is_held and are_categories(entry):
            raise in_container(key)
        if (array := as_array(key, entry)) is None:
            return entry
        if array.ndim < len(dims):
            raise SweepError(
                f"{key!r} has shape {array.shape}, and its argument is swept along {dims}.\n"
                f"Inside a container, give arrays, such as np.array([1.0, 2.0]): a list is a "
                f"container too."
            )
        leaf, mark = _swept_leaf(key, dims, array), LeafMark(key)
        entries.append(Argument(key, mark, (leaf,)).labelled(dims, entry))
        return mark

    def is_entry(path: pytree.Path, entry: Any) -> bool:
        # The whole is no entry: of p=((), ("a", x)), "a" is no dim.
        return path != (name,) and (names_dims(entry) or (not is_held and are_categories(entry)))

    form = pytree.mark_leaves(read, value, (name,), is_entry)
    require_same_coordinates(entries)
    leaves = tuple(leaf for own in entries for leaf in own.leaves)
    coordinates = {n: c for own in entries for n, c in own.coordinates.items()}
    swept = union(leaf.dims for leaf in leaves)
    along = f" along {' x '.join(swept)}" if swept else ""
    count = f"{len(leaves)} array" + ("s" if len(leaves) != 1 else "")
    written = f"{type(value).__name__} of {count}{along}" if leaves else f"{type(value).__name__}"
    return Argument(name, form, leaves, coordinates, shown=written)


def names_dims(entry: Any) -> bool:
    """Tell whether an entry of a container names its own swept dims, as an argument may.

    A tuple of two that begins with a word, or with a tuple of words, is (dims, values); any other
    tuple is a container. So are DataArrays and what `components` and `each` return.
    """
    if type(entry) is not tuple:
        return isinstance(entry, Components | Each) or is_data_array(entry)
    dims = entry[0] if len(entry) == 2 else ()
    words = (dims,) if isinstance(dims, str) else dims
    return isinstance(words, tuple) and words != () and all(isinstance(w, str) for w in words)


def _parse_components(name: str, value: Components) -> Argument:
    leaves = []
    for index, part in enumerate(value.parts):
        label = f"{name}[{index}]"
        if isinstance(part, numbers.Integral) and not isinstance(part, bool):
            part = float(part)
        argument = parse_argument(label, part)
        if len(argument.leaves) != 1 or argument.leaves[0].numbers_shape or argument.categories:
            raise SweepError(
                f"{label} is a component and must be a number or a swept scalar, "
                f'such as ("{name}{index}", values)'
            )
        leaf = argument.leaves[0]
        if leaf.dims == (label,):
            raise SweepError(f'{label} is a bare array. Name its dim: ("{name}{index}", values)')
        leaves.append(leaf)
    is_complex = any(leaf.is_complex for leaf in leaves)
    parts = []
    for leaf in leaves:
        assert leaf.values is not None
        if leaf.is_complex:
            parts += [(leaf.dims, part) for part in np.moveaxis(leaf.whole(), -1, 0)]
        else:
            parts += [(leaf.dims, leaf.values), *([_ZERO] if is_complex else [])]
    dtype = np.result_type(*(values for _, values in parts))
    leaf = Leaf(
        key=name,
        dims=union(dims for dims, _ in parts),
        shape=(len(leaves), 2) if is_complex else (len(leaves),),
        values=None,
        parts=tuple((dims, values.astype(dtype, copy=False)) for dims, values in parts),
        is_complex=is_complex,
    )
    return Argument(name, LeafMark(name), (leaf,), shown=partial(_shown_components, leaf))


def _shown_components(leaf: Leaf) -> str:
    each = (
        _shown_swept(Leaf.of(leaf.key, dims, values)) if dims else f"{values[()]:g}"
        for dims, values in leaf.components
    )
    return f"({', '.join(each)})"


def _parse_data_array(name: str, value: Any) -> Argument:
    dims, data = tuple(str(dim) for dim in value.dims), _data_of(value)
    coordinates = {
        str(label): Coordinate(tuple(map(str, c.dims)), np.asarray(c.values), dict(c.attrs))
        for label, c in value.coords.items()
        if set(c.dims) <= set(value.dims)
    }
    if dims and (found := parse_categories(name, dims, data, dict(value.attrs))):
        return replace(found, coordinates=coordinates | dict(found.coordinates))
    array = as_array(name, data)
    assert array is not None
    argument = _parse_swept(name, dims, array) if dims else parse_argument(name, array)
    return replace(argument, coordinates=coordinates, attrs=dict(value.attrs))


def origin_of(value: Any) -> str:
    """Return the framework whose arrays a value is made of, "torch" or "jax"; "" for none."""
    if value is None or isinstance(value, bool | int | float | str):
        return ""
    value = value.parts if isinstance(value, Components) else value
    value = value.values if isinstance(value, Each) else value
    for _, leaf in pytree.flatten(value):
        if framework := framework_of(leaf):
            return framework
    return ""


def _attrs(value: Any) -> dict:
    return dict(value.attrs) if is_data_array(value) else {}


def is_data_array(value: Any) -> bool:
    return all(hasattr(value, name) for name in ("dims", "coords", "attrs", "values"))


def _data_of(value: Any) -> Any:
    """Return a DataArray's values: a dask array as it is, any other loaded."""
    return value.values if value.chunks is None else value.data


def _is_container(value: Any) -> bool:
    leaves = list(pytree.flatten(value))
    return not (len(leaves) == 1 and leaves[0][0] == ())


def _is_numeric(value: list) -> bool:
    try:
        return np.asarray(value).dtype.kind in "fiubc"
    except (ValueError, TypeError, RuntimeError):
        return False
