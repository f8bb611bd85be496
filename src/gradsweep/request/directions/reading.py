"""Read one direction: a tangent or std of an argument, or a cotangent of an output."""

from typing import Any

from gradsweep.request.argument import Argument, Components, LeafMark
from gradsweep.request.leaf import Leaf
from gradsweep.request.parsing import as_array, is_data_array, parse_argument
from gradsweep.request.quantities import direction_key
from gradsweep.support.errors import SweepError

__all__ = ["read_direction"]


def read_direction(kind: str, name: str, value: Any, like: Leaf | None) -> Argument:
    """Read one direction: a number, an array of its leaf's shape, or swept values.

    It is an argument of one leaf, whose coordinates are the labels that its value has.

    Args:
        kind: "tangent", "std", "cotangent" or "correlation".
        like: the leaf that it belongs to; None for one of an output or of a pair.

    Raises:
        SweepError: when it is not an array of numbers, or complex where the leaf is real.
    """
    read = _read_direction(kind, name, value, like)
    if like is None:
        return read
    (leaf,) = read.leaves
    if leaf.is_complex and not like.is_complex:
        raise SweepError(f"the {kind} of {name!r} is complex, and {name} is real.")
    return read.with_leaves([leaf.as_complex()]) if like.is_complex else read


def _read_direction(kind: str, name: str, value: Any, like: Leaf | None) -> Argument:
    key = direction_key(kind, name)
    if isinstance(value, tuple | Components) or is_data_array(value):
        argument = parse_argument(key, value)
        is_number = argument.categories is None and len(argument.leaves) == 1
        if not is_number or argument.leaves[0].dtype == "bool":
            raise SweepError(f"the {key} is not an array of numbers: {argument.written}")
        (leaf,) = argument.leaves
        return argument.with_leaves([leaf.astype("float64")]) if leaf.dtype == "int64" else argument
    array = as_array(key, value)
    if array is None or array.dtype.kind == "b":
        raise SweepError(f"the {key} is {value!r}; give a number, an array, or (dims, values).")
    if array.dtype.kind == "i":
        array = array.astype("float64")
    dims: tuple[str, ...] = ()
    if like is not None and not like.numbers_shape and array.ndim:
        # A bare array for a swept scalar can only mean one value for each of its points.
        if tuple(like.sizes.values()) != array.shape:
            raise SweepError(
                f"the {key} has shape {array.shape}, and {name} is a number at each point.\n"
                f'Name the dims it is swept along: ("dim", values).'
            )
        dims = like.dims
    return Argument(key, LeafMark(key), (Leaf.of(key, dims, array),)).labelled(dims, value)
