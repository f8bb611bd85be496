"""Operations that move elements and compute nothing.

torch's own operation is applied to the numbers of the variables in place of their values: reshape,
flip, concatenate, gather and the like need only a list of the operands that they move. The numbers
start at 1, so that a 0 was filled in by torch: a structural zero. An index that depends on the
leaves becomes selects.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from gradsweep.support.errors import NotAProgram
from gradsweep.tracing.torch.recorder.expression import Expression, apply, where

__all__ = ["RULES"]

# A traced index into an axis of n elements costs n selects.
_LARGEST_SELECTED_AXIS = 1024

# The operands that each operation moves; the others are shapes and indices.
_MOVES: dict[str, tuple[int, ...]] = {
    "clone": (0,), "contiguous": (0,), "_unsafe_view": (0,), "_reshape_copy": (0,),
    "_reshape_alias": (0,), "reshape": (0,), "view_copy": (0,), "expand_copy": (0,),
    "permute_copy": (0,), "select_copy": (0,), "slice_copy": (0,), "unsqueeze_copy": (0,),
    "squeeze_copy": (0,), "transpose_copy": (0,), "t_copy": (0,), "detach_copy": (0,),
    "diagonal_copy": (0,), "unfold_copy": (0,), "alias_copy": (0,), "as_strided_copy": (0,),
    "unbind_copy": (0,), "split_copy": (0,),
    "flip": (0,), "roll": (0,), "rot90": (0,), "repeat": (0,), "tril": (0,), "triu": (0,),
    "cat": (0,), "stack": (0,), "diag_embed": (0,), "repeat_interleave.self_Tensor": (0,),
    "repeat_interleave.self_int": (0,), "_unsafe_index": (0,), "channel_shuffle": (0,),
    "pixel_shuffle": (0,), "take": (0,), "block_diag": (0,),
    "select_backward": (0,), "slice_backward": (0,), "diagonal_backward": (0,),
    "select_scatter": (0, 1), "slice_scatter": (0, 1), "diagonal_scatter": (0, 1),
    "as_strided_scatter": (0, 1), "unsafe_split": (0,), "unsafe_chunk": (0,),
    "lift_fresh_copy": (0,), "index_copy": (0, 3), "masked_scatter": (0, 2),
    "index_fill.int_Tensor": (0, 3), "masked_select": (0,), "embedding": (0,),
    "reflection_pad1d": (0,), "replication_pad1d": (0,),
}  # fmt: skip


def numbered(expression: Expression) -> torch.Tensor:
    """Return the numbers of variables as a tensor that torch can move."""
    return torch.from_numpy(np.array(expression.variables + 1, order="C"))


def placed(like: Expression, moved: torch.Tensor) -> Expression:
    """Return numbers that torch moved as variables again."""
    variables = np.asarray(moved.numpy() - 1)
    if (variables < 0).any():
        zero = like.builder.structural_zero(like.dtype)
        variables = np.where(variables < 0, zero, variables)
    return like.of(variables)


def _move(call, moved: tuple[int, ...], args: tuple, kwargs: dict) -> Any:
    dtype = call.dtype
    like = call(0, dtype)

    def numbers(operand: Any) -> Any:
        if isinstance(operand, list | tuple):
            return [numbers(item) for item in operand]
        return numbered(call(operand, dtype))

    def index(operand: Any) -> Any:
        if isinstance(operand, list | tuple):
            return [index(item) for item in operand]
        return call.known(operand) if isinstance(operand, torch.Tensor) else operand

    given = [numbers(a) if i in moved else index(a) for i, a in enumerate(args)]
    out = call.op(*given, **{key: index(value) for key, value in kwargs.items()})
    if isinstance(out, torch.Tensor):
        return placed(like, out)
    return tuple(placed(like, part) for part in out)


def _mover(moved: tuple[int, ...]) -> Callable:
    return lambda call, *args, **kwargs: _move(call, moved, args, kwargs)


def _cast(call, x, *args, **kwargs) -> Expression:
    x = call(x)  # a result is cast to its own dtype
    if x.is_complex and not call.out.is_complex():
        return x.parts()[..., 0]
    return x


def _fill(call, x, value) -> Expression:
    return call.out_like(call(value, call.dtype))


def _constant_pad(call, x, pad, value=0) -> Expression:
    expression = call(x)
    number = 0 if value == 0 else int(call(value, call.dtype).variables) + 1
    padded = torch.ops.aten.constant_pad_nd.default(numbered(expression), pad, number)
    return placed(expression, padded)


def _where(call, condition, if_true, if_false) -> Expression:
    dtype = call.dtype
    return where(call(condition).cast("bool"), call(if_true, dtype), call(if_false, dtype))


def _masked_fill(call, x, mask, value) -> Expression:
    dtype = call.dtype
    return where(call(mask), call(value, dtype), call(x, dtype))


def _chain(index: Expression, entries: list[Expression]) -> Expression:
    """Select entries[index], one comparison for each; index is not negative."""
    if len(entries) > _LARGEST_SELECTED_AXIS:
        raise NotAProgram(f"a traced index selects from {len(entries):,} elements")
    chosen = entries[-1]
    for position in reversed(range(len(entries) - 1)):
        chosen = where(index.equals(position), entries[position], chosen)
    return chosen


def _wrapped(index: Expression, n: int) -> Expression:
    return where(index < 0, index + n, index)


def _gather(call, x, dim, index, sparse_grad=False) -> Expression:
    if not call.is_traced(index):
        return _move(call, (0,), (x, dim, index), {})
    source, position = call(x), call(index)
    if not source.shape:
        return source
    dim = dim % len(source.shape)
    # The window of the source that each entry of the index may select from.
    window = tuple(slice(n) for n in position.shape)
    entries = []
    for i in range(source.shape[dim]):
        part = source[(*window[:dim], slice(i, i + 1), *window[dim + 1 :])]
        entries.append(part.of(np.broadcast_to(part.variables, position.shape)))
    return _chain(position, entries)


def _index_select(call, x, dim, index) -> Expression:
    if not call.is_traced(index):
        return _move(call, (0,), (x, dim, index), {})
    source, position = call(x), call(index)
    entries = np.moveaxis(source.variables, dim, 0)
    axes = tuple(range(1, entries.ndim))
    column = position.of(np.expand_dims(position.variables, axes))
    chosen = _chain(column, [source.of(entries[i]) for i in range(len(entries))])
    return source.of(np.moveaxis(chosen.variables, 0, dim))


def _index(call, x, indices) -> Expression:
    """Index with tensors: masks become guards, a traced integer becomes selects."""
    traced = [
        axis
        for axis, index in enumerate(indices)
        if index is not None and index.dtype != torch.bool and call.is_traced(index)
    ]
    if not traced:
        return _move(call, (0,), (x, indices), {})
    if len([index for index in indices if index is not None]) > 1:
        raise NotAProgram("it indexes several axes with traced integers")
    (axis,) = traced
    source, position = call(x), call(indices[axis])
    position = _wrapped(position, source.shape[axis])
    entries = np.moveaxis(source.variables, axis, 0)
    n_index, n_rest = len(position.shape), entries.ndim - 1
    column = position.of(
        np.expand_dims(position.variables, tuple(range(n_index, n_index + n_rest)))
    )
    chosen = _chain(column, [source.of(entries[i]) for i in range(len(entries))]).variables
    return source.of(np.moveaxis(chosen, range(n_index), range(axis, axis + n_index)))


def _accumulate(target: Expression, places: torch.Tensor, source: Expression) -> Expression:
    """Add each entry of the source to the target's entry at its place, counted in C order."""
    result = np.array(target.variables).reshape(-1)
    emit = target.builder.emit
    entries = np.broadcast_to(source.variables, tuple(places.shape)).ravel().tolist()
    for place, entry in zip(places.reshape(-1).tolist(), entries):
        result[place] = emit("add", int(result[place]), entry)
    return target.of(result.reshape(target.shape))


def _places(expression: Expression) -> torch.Tensor:
    return torch.arange(expression.variables.size).reshape(expression.shape)


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
    known = [None if i is None else call.known(i) for i in indices]
    if not accumulate:
        moved = torch.ops.aten.index_put.default(numbered(target), known, numbered(source))
        return placed(target, moved)
    return _accumulate(target, torch.ops.aten.index.Tensor(_places(target), known), source)


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
            spread = entries.of(np.broadcast_to(entries.variables, _at_least(entries, index)))
            return placed(
                target,
                # The overload is named: torch finds a packet's by trial and error, which can crash.
                torch.ops.aten.scatter.src(
                    numbered(target), dim, call.known(index), numbered(spread)
                ),
            )
        window = entries[tuple(slice(n) for n in index.shape)] if entries.shape else entries
        return _accumulate(target, torch.gather(_places(target), dim, call.known(index)), window)
    return _scatter_traced(target, dim, call(index), entries, reduce == "add")


def _at_least(entries: Expression, index: torch.Tensor) -> tuple[int, ...]:
    return entries.shape or tuple(index.shape)


def _scatter_traced(
    target: Expression, dim: int, index: Expression, entries: Expression, adds: bool
) -> Expression:
    """Write to places that depend on the leaves, with a select for every possible place."""
    n = target.shape[dim]
    if n > _LARGEST_SELECTED_AXIS:
        raise NotAProgram(f"a traced index scatters over {n:,} elements")
    result = np.array(target.variables)
    source = np.broadcast_to(entries.variables, _broadcastable(entries, index))
    for at in np.ndindex(index.shape):
        meant = index[at]
        entry = target.of(np.asarray(source[at]))
        for place in range(n):
            cell = (*at[:dim], place, *at[dim + 1 :])
            old = target.of(np.asarray(result[cell]))
            chosen = meant.equals(place)
            new = old + where(chosen, entry, old.zeros()) if adds else where(chosen, entry, old)
            result[cell] = int(new.variables)
    return target.of(result)


def _broadcastable(entries: Expression, index: Expression) -> tuple[int, ...]:
    return entries.shape or index.shape


def _index_add(call, x, dim, index, source, *, alpha=1) -> Expression:
    dtype = call.dtype
    target, entries = call(x, dtype), call(source, dtype)
    entries = entries if alpha == 1 else entries * alpha
    places = torch.index_select(_places(target), dim, call.known(index))
    return _accumulate(target, places, entries)


def _unfold_backward(call, g, sizes, dim, size, step) -> Expression:
    entries = call(g)
    target = entries.zeros(sizes)
    return _accumulate(target, _places(target).unfold(dim, size, step), entries)


def _embedding_backward(call, g, indices, n_rows, padding_idx, scale) -> Expression:
    entries, rows = call(g), call.known(indices).reshape(-1)
    entries = entries.of(entries.variables.reshape(len(rows), -1))
    kept = np.flatnonzero(rows.numpy() != padding_idx)
    entries, rows = entries[kept], rows[kept]
    if scale and len(rows):
        counts = torch.bincount(rows, minlength=n_rows)[rows].tolist()
        scaled = [(entries[i] / float(n)).variables for i, n in enumerate(counts)]
        entries = entries.of(np.stack(scaled))
    target = entries.zeros((n_rows, entries.shape[-1]))
    return _accumulate(target, _places(target)[rows], entries)


def _searchsorted(call, sequence, values, *, right=False, **options) -> Expression:
    """Count the entries of a sorted sequence that lie before each value."""
    if options.get("side") == "right":
        right = True
    knots, x = call(sequence), call(values)
    if len(knots.shape) != 1 or options.get("sorter") is not None:
        raise NotAProgram("it searches many sorted sequences at once")
    dtype = call.promoted(sequence, values)
    knots, x = knots.cast(dtype), x.cast(dtype).expand_dims([-1])
    # The comparison is negated, since NaN counts as larger than every number.
    before = ~apply("gt" if right else "ge", knots, x)
    return before.cast("int64").reduce("add", [-1])


def _bucketize(call, values, boundaries, *, right=False, **options) -> Expression:
    return _searchsorted(call, boundaries, values, right=right)


RULES: dict[str, Callable] = {
    **{name: _mover(moved) for name, moved in _MOVES.items()},
    "_to_copy": _cast,
    "copy": lambda call, x, source, non_blocking=False: call.out_like(call(source)),
    "fill": _fill,
    "constant_pad_nd": _constant_pad,
    "where": _where,
    "masked_fill": _masked_fill,
    "gather": _gather,
    "index_select": _index_select,
    "index": _index,
    "index_put": _index_put,
    "_index_put_impl": _index_put,
    "_unsafe_index_put": _index_put,
    "scatter": _scatter,
    "scatter_add": lambda call, *args: _scatter(call, *args, reduce="add"),
    "index_add": _index_add,
    "unfold_backward": _unfold_backward,
    "embedding_dense_backward": _embedding_backward,
    "searchsorted": _searchsorted,
    "bucketize": _bucketize,
}
