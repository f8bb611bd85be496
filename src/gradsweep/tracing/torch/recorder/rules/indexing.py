"""Operations that read or write at places which depend on the leaves.

Reading is a lookup in a table of all entries that may be meant; writing is a choice at each of
them. A place outside the table holds NaN, the lowest integer, or False. At a place that is known
elements are only moved, as in `moves`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from gradsweep.program import arrays
from gradsweep.support.errors import NotAProgram
from gradsweep.tracing.torch.recorder.expression import Expression, apply, where
from gradsweep.tracing.torch.recorder.rules.moves import (
    accumulated,
    move,
    numbered,
    placed,
    places,
)

__all__ = ["RULES", "looked_up", "put"]

# Among fewer knots, counting takes no longer than bisection.
_FEW_KNOTS = 8


def looked_up(place: Expression, table: Expression) -> Expression:
    """Return the rows of a table at places, and what stands for nothing outside of it.

    Args:
        table: its rows lie along the first axis.

    Returns:
        An expression whose shape is that of `place`, and then that of a row.
    """
    n, row = table.shape[0], table.shape[1:]
    if table.is_complex:
        parts = looked_up(place, table.parts())
        return table.of(arrays.joined(table.builder, parts.variables, table.dtype))
    if not n:
        raise NotAProgram("it looks up an entry of an empty table")
    if n > arrays.MOST_COMPUTED and not arrays.is_fixed(table.builder, table.variables):
        raise NotAProgram(f"a traced index selects from {n:,} elements")
    found = arrays.lookup(table.builder, np.asarray(place.variables), table.variables)
    is_inside = (place >= 0) & (place < n)
    column = is_inside.expand_dims(range(len(place.shape), len(place.shape) + len(row)))
    return where(column, table.of(found), _nothing(table.dtype))


def _nothing(dtype: str) -> float | int | bool:
    match dtype:
        case "int64":
            return int(np.iinfo(np.int64).min)
        case "bool":
            return False
        case _:
            return math.nan


def _wrapped(place: Expression, n: int) -> Expression:
    """Return places counted from the beginning, where negative ones count from the end."""
    return where(place < 0, place + n, place)


def _gather(call, x, dim, index, sparse_grad=False) -> Expression:
    if not call.is_traced(index):
        return move(call, (0,), (x, dim, index), {})
    source, place = call(x), call(index)
    if not source.shape:
        return source
    dim = dim % len(source.shape)
    entries = np.moveaxis(source.variables, dim, 0)
    found = np.empty(place.shape, dtype=np.int64)
    for at in np.ndindex(tuple(n for axis, n in enumerate(place.shape) if axis != dim)):
        line = (*at[:dim], slice(None), *at[dim:])
        found[line] = looked_up(place[line], source.of(entries[(slice(None), *at)])).variables
    return source.of(found)


def _index_select(call, x, dim, index) -> Expression:
    if not call.is_traced(index):
        return move(call, (0,), (x, dim, index), {})
    source, place = call(x), call(index)
    if not source.shape:
        return source
    found = looked_up(place, source.of(np.moveaxis(source.variables, dim, 0)))
    if not place.shape:
        found = found.expand_dims([0])
    return source.of(np.moveaxis(found.variables, 0, dim))


def _take(call, x, index) -> Expression:
    if not call.is_traced(index):
        return move(call, (0,), (x, index), {})
    source, place = call(x), call(index)
    return looked_up(_wrapped(place, source.variables.size), source.of(source.variables.ravel()))


def _cells(
    call, shape: Sequence[int], indices: Sequence[torch.Tensor | None]
) -> tuple[list[int], Expression] | None:
    """Return the axes of an array that indices are for, and the cells they mean, in C order.

    A cell outside the array is counted as one of the number of all cells.

    Returns:
        None where no index depends on the leaves.
    """
    axes = [axis for axis, index in enumerate(indices) if index is not None]
    given = [index for index in indices if index is not None]
    if not any(map(call.is_traced, given)):
        return None
    if any(index.dtype in (torch.bool, torch.uint8) for index in given):
        if len(given) == 1:
            return None  # a mask, which decides a shape
        raise NotAProgram("it indexes with a mask and with traced integers")
    lengths = [shape[axis] for axis in axes]
    along = [_wrapped(call(index), n) for index, n in zip(given, lengths)]
    if len(along) == 1:
        return axes, along[0]
    cell = along[0]
    for place, n in zip(along[1:], lengths[1:]):
        cell = cell * n + place
    for place, n in zip(along, lengths):
        cell = where((place >= 0) & (place < n), cell, math.prod(lengths))
    return axes, cell


def _first_axis(axes: Sequence[int]) -> int:
    """Return where an index's own axes stand in the result: in front where others lie between."""
    return axes[0] if axes[-1] - axes[0] == len(axes) - 1 else 0


def _index(call, x, indices) -> Expression:
    """Index with tensors: masks become guards, a traced integer becomes a lookup."""
    source = call(x)
    meant = _cells(call, source.shape, indices)
    if meant is None:
        return move(call, (0,), (x, indices), {})
    axes, cell = meant
    table = np.moveaxis(source.variables, axes, range(len(axes)))
    found = looked_up(cell, source.of(_with_one_axis(table, len(axes))))
    own = range(len(cell.shape))
    first = _first_axis(axes)
    return source.of(np.moveaxis(found.variables, own, [first + axis for axis in own]))


def _with_one_axis(array: np.ndarray, n_axes: int) -> np.ndarray:
    """Return an array whose first axes are one."""
    return array.reshape(math.prod(array.shape[:n_axes]), *array.shape[n_axes:])


def _index_put(call, x, indices, values, accumulate=False, unsafe=False) -> Expression:
    dtype = call.dtype
    target, source = call(x, dtype), call(values, dtype)
    masks = [i for i in indices if i is not None]
    if len(masks) == 1 and masks[0].dtype == torch.bool and source.variables.size == 1:
        if not accumulate and call.is_traced(masks[0]) and indices[0] is not None:
            mask = call(masks[0])
            n_rest = len(target.shape) - len(mask.shape)
            column = np.expand_dims(mask.variables, tuple(range(-n_rest, 0)) if n_rest else ())
            single = source.of(source.variables.reshape(()))
            return where(mask.of(column), single, target)
    meant = _cells(call, target.shape, indices)
    if meant is not None:
        return _put_inside(target, *meant, source, accumulate)
    known = [None if i is None else call.known(i) for i in indices]
    if not accumulate:
        moved = torch.ops.aten.index_put.default(numbered(target), known, numbered(source))
        return placed(target, moved)
    return accumulated(target, torch.ops.aten.index.Tensor(places(target), known), source)


def put(
    target: Expression, axes: list[int], cell: Expression, source: Expression, adds: bool
) -> Expression:
    """Write entries to cells that depend on the leaves, by a choice at every cell.

    What is meant for a cell outside the array is left out.
    """
    n_own, first = len(cell.shape), _first_axis(axes)
    cells = np.moveaxis(target.variables, axes, range(len(axes)))
    rest = cells.shape[len(axes) :]
    shape = (*rest[:first], *cell.shape, *rest[first:])
    entries = np.broadcast_to(source.variables, shape)
    entries = np.moveaxis(entries, range(first, first + n_own), range(n_own))
    written = np.array(_with_one_axis(cells, len(axes)))
    for at in np.ndindex(cell.shape):
        entry = target.of(entries[at])
        for number in range(len(written)):
            written[number] = _written(
                cell[at].equals(number), target.of(written[number]), entry, adds
            ).variables
    result = np.moveaxis(written.reshape(cells.shape), range(len(axes)), axes)
    return target.of(np.ascontiguousarray(result))


def _put_inside(
    target: Expression, axes: list[int], cell: Expression, source: Expression, adds: bool
) -> Expression:
    """Write entries as `put` does; all is nothing where a cell lies outside the array."""
    n = math.prod(target.shape[axis] for axis in axes)
    return _if_inside(cell, n, put(target, axes, cell, source, adds))


def _if_inside(place: Expression, n: int, result: Expression) -> Expression:
    """Return what was written, and what stands for nothing where a place is outside the array.

    Else a derivative would be 0 there, whose function is NaN or an error.
    """
    if not place.variables.size:
        return result
    is_inside = ((place >= 0) & (place < n)).reduce("and", [*range(len(place.shape))])
    everywhere = is_inside.of(np.broadcast_to(is_inside.variables, result.shape))
    nothing = result * math.nan if result.is_complex else _nothing(result.dtype)
    return where(everywhere, result, nothing)


def _written(is_meant: Expression, old: Expression, entry: Expression, adds: bool) -> Expression:
    if adds:
        return old + where(is_meant, entry, old.zeros())
    return where(is_meant, entry, old)


def _put_flat(call, x, index, source, accumulate=False) -> Expression:
    """Write into an array as if it had one axis."""
    target = call(x, call.dtype)
    flat = target.of(target.variables.reshape(-1))
    place = _wrapped(call(index), flat.shape[0])
    entries = call(source, call.dtype)
    entries = entries.of(entries.variables.reshape(place.shape))
    found = _put_inside(flat, [0], place, entries, accumulate)
    return target.of(found.variables.reshape(target.shape))


def _scatter(call, x, dim, index, source, *, reduce=None) -> Expression:
    dtype = call.dtype
    target, entries = call(x, dtype), call(source, dtype)
    if reduce not in (None, "add"):
        raise NotAProgram(f"it scatters with {reduce!r}")
    if not target.shape:
        return entries if reduce is None else target + entries
    dim = dim % len(target.shape)
    if not call.is_traced(index):
        if reduce is None:
            spread = entries.of(
                np.broadcast_to(entries.variables, entries.shape or tuple(index.shape))
            )
            return placed(
                target,
                # The overload is named: torch finds a packet's by trial and error, which can crash.
                torch.ops.aten.scatter.src(
                    numbered(target), dim, call.known(index), numbered(spread)
                ),
            )
        window = entries[tuple(slice(n) for n in index.shape)] if entries.shape else entries
        return accumulated(target, torch.gather(places(target), dim, call.known(index)), window)
    return _scatter_traced(target, dim, call(index), entries, reduce == "add")


def _index_add(call, x, dim, index, source, *, alpha=1) -> Expression:
    dtype = call.dtype
    target, entries = call(x, dtype), call(source, dtype)
    entries = entries if alpha == 1 else entries * alpha
    if target.shape and call.is_traced(index):
        axes = [dim % len(target.shape)]
        return _put_inside(target, axes, call(index), entries, adds=True)
    meant = torch.index_select(places(target), dim, call.known(index))
    return accumulated(target, meant, entries)


def _scatter_traced(
    target: Expression, dim: int, index: Expression, entries: Expression, adds: bool
) -> Expression:
    """Write to places that depend on the leaves, with a select for every possible place."""
    n = target.shape[dim]
    if n > arrays.MOST_COMPUTED:
        raise NotAProgram(f"a traced index scatters over {n:,} elements")
    result = np.array(target.variables)
    source = np.broadcast_to(entries.variables, entries.shape or index.shape)
    for at in np.ndindex(index.shape):
        meant = index[at]
        entry = target.of(np.asarray(source[at]))
        for place in range(n):
            cell = (*at[:dim], place, *at[dim + 1 :])
            old = target.of(np.asarray(result[cell]))
            result[cell] = int(_written(meant.equals(place), old, entry, adds).variables)
    return _if_inside(index, n, target.of(result))


def _searchsorted(call, sequence, values, *, right=False, **options) -> Expression:
    """Count the entries of sorted sequences that lie before each value."""
    if options.get("side") == "right":
        right = True
    if options.get("sorter") is not None:
        raise NotAProgram("it searches a sequence that another one sorts")
    dtype = call.promoted(sequence, values)
    knots, x = call(sequence).cast(dtype), call(values).cast(dtype)
    # The comparison is negated below, since NaN counts as larger than every number.
    stays = "gt" if right else "ge"
    if len(knots.shape) == 1:
        return _count_before(knots, x, stays)
    found = np.empty(x.shape, dtype=np.int64)
    for at in np.ndindex(knots.shape[:-1]):  # each sequence has values of its own
        found[at] = _count_before(knots[at], x[at], stays).variables
    return Expression(call.builder, found, "int64")


def _bucketize(call, values, boundaries, *, right=False, **options) -> Expression:
    return _searchsorted(call, boundaries, values, right=right)


def _count_before(knots: Expression, x: Expression, stays: str) -> Expression:
    """Count the knots that lie before each x: those for which `stays` does not hold.

    Bisection with the same steps for every x. What is asked beyond the last knot is answered by it,
    and may only count too many.
    """
    n, b = knots.shape[0], x.builder
    count = Expression(b, np.full(x.shape, b.constant(0, "int64")), "int64")
    if not n:
        return count
    if n < _FEW_KNOTS or not arrays.is_fixed(b, knots.variables):
        before = ~apply(stays, knots, x.expand_dims([-1]))
        return before.cast("int64").reduce("add", [-1])
    step = 1 << (n.bit_length() - 1)
    while step:
        place = count + (step - 1)
        knot = knots.of(arrays.lookup(b, place.variables, knots.variables))
        count = where(apply(stays, knot, x), count, count + step)
        step //= 2
    return apply("min", count, n)


RULES: dict[str, Callable[..., Any]] = {
    "gather": _gather,
    "index_select": _index_select,
    "take": _take,
    "index": _index,
    "index_put": _index_put,
    "_index_put_impl": _index_put,
    "_unsafe_index_put": _index_put,
    "put": _put_flat,
    "scatter": _scatter,
    "scatter_add": lambda call, *args: _scatter(call, *args, reduce="add"),
    "index_add": _index_add,
    "searchsorted": _searchsorted,
    "bucketize": _bucketize,
}
