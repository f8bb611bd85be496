"""Operations that move elements and compute nothing.

torch's own operation is applied to the numbers of the variables in place of their values: reshape,
flip, concatenate, gather and the like need only a list of the operands that they move. The numbers
start at 1, so that a 0 was filled in by torch: a structural zero. An index that depends on the
leaves is read here; the operations of `indexing` keep it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from gradsweep.tracing.torch.recorder.expression import Expression, where

__all__ = ["RULES", "accumulated", "move", "numbered", "placed", "places"]

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
    "pixel_shuffle": (0,), "block_diag": (0,),
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


def move(call, moved: tuple[int, ...], args: tuple, kwargs: dict) -> Any:
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
    return lambda call, *args, **kwargs: move(call, moved, args, kwargs)


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


def accumulated(target: Expression, places: torch.Tensor, source: Expression) -> Expression:
    """Add each entry of the source to the target's entry at its place, counted in C order."""
    result = np.array(target.variables).reshape(-1)
    emit = target.builder.emit
    entries = np.broadcast_to(source.variables, tuple(places.shape)).ravel().tolist()
    for place, entry in zip(places.reshape(-1).tolist(), entries):
        result[place] = emit("add", int(result[place]), entry)
    return target.of(result.reshape(target.shape))


def places(expression: Expression) -> torch.Tensor:
    return torch.arange(expression.variables.size).reshape(expression.shape)


def _unfold_backward(call, g, sizes, dim, size, step) -> Expression:
    entries = call(g)
    target = entries.zeros(sizes)
    return accumulated(target, places(target).unfold(dim, size, step), entries)


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
    return accumulated(target, places(target)[rows], entries)


RULES: dict[str, Callable] = {
    **{name: _mover(moved) for name, moved in _MOVES.items()},
    "_to_copy": _cast,
    "copy": lambda call, x, source, non_blocking=False: call.out_like(call(source)),
    "fill": _fill,
    "constant_pad_nd": _constant_pad,
    "where": _where,
    "masked_fill": _masked_fill,
    "unfold_backward": _unfold_backward,
    "embedding_dense_backward": _embedding_backward,
}
