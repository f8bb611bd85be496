"""Reading and writing parts of an array at known or traced positions, in scalars.

A known position moves variables and costs nothing. A traced one becomes a lookup among what all
possible positions give.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count, product
from math import prod
from typing import Any

import numpy as np

from gradsweep.program.arrays import (
    MOST_COMPUTED,
    Variables,
    elementwise,
    is_fixed,
    lookup,
)
from gradsweep.program.builder import Builder
from gradsweep.support.errors import NotAProgram
from gradsweep.tracing.jax.dtypes import require_dtype
from gradsweep.tracing.jax.rules.elementwise import Rule

__all__ = ["INDEXING"]

Take = Callable[[tuple[int, ...]], Variables]


def _at_start(
    b: Builder, start: Sequence[int], limits: Sequence[int], take: Take, writes: bool = False
) -> Variables:
    """Return `take(position)` for the position that the variables `start` hold.

    Args:
        limits: the largest position along each dim; beyond it, or below 0, the nearest is taken.
        writes: whether what is taken are copies of an array, each with a window written.
    """
    along = [
        (int(np.clip(b.value(v), 0, limit)),) if b.is_constant(v) else range(limit + 1)
        for v, limit in zip(start, limits)
    ]
    n_positions = prod(map(len, along))
    if n_positions == 1:
        return take(tuple(first for first, *_ in along))
    if writes and b.is_body:
        # Choosing everywhere at every step is slow; in a loop that is written out the position may
        # be known.
        raise NotAProgram("a long loop writes at what its steps compute the position of")
    if n_positions > (MOST_COMPUTED if writes else b.max_equations):
        raise NotAProgram(f"it looks up one of {n_positions:,} positions by a traced index")
    table = np.stack([take(position) for position in product(*along)])
    if n_positions > MOST_COMPUTED and not is_fixed(b, table):
        raise NotAProgram(f"it looks up one of {n_positions:,} positions by a traced index")
    traced = [(v, limit) for v, limit, own in zip(start, limits, along) if len(own) > 1]
    position: int | None = None
    for variable, limit in traced:
        if len(traced) > 1:  # a lookup in one dim takes the nearest itself
            variable = b.emit("max", variable, b.constant(0, "int64"))
            variable = b.emit("min", variable, b.constant(limit, "int64"))
        if position is not None:
            position = b.emit("mul", position, b.constant(limit + 1, "int64"))
            variable = b.emit("add", position, variable)
        position = variable
    return lookup(b, np.array(position), table)


def _window(start: Sequence[int], sizes: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(first, first + size) for first, size in zip(start, sizes))


def _dynamic_slice(b: Builder, equation: Any, operand: Variables, *start: Variables) -> Variables:
    sizes = equation.params["slice_sizes"]
    limits = [length - size for length, size in zip(operand.shape, sizes)]
    return _at_start(b, [int(s) for s in start], limits, lambda at: operand[_window(at, sizes)])


def _dynamic_update_slice(
    b: Builder, equation: Any, operand: Variables, update: Variables, *start: Variables
) -> Variables:
    limits = [length - size for length, size in zip(operand.shape, update.shape)]

    def replaced(at: tuple[int, ...]) -> Variables:
        result = np.array(operand)
        result[_window(at, update.shape)] = update
        return result

    return _at_start(b, [int(s) for s in start], limits, replaced, writes=True)


class _Windows:
    """Where gather reads and scatter writes: one window of the operand for each batch index.

    Reference: https://openxla.org/xla/operation_semantics#gather

    Args:
        window_dims: the dims of the batched array (gather's result, scatter's updates) that
            run over a window; the others run over the batch.
        dropped: the dims of the operand along which windows have length 1, and which they lack.
        mapped: the dims of the operand along which the index vector gives positions.
        paired: (dim of the operand, dim of the indices) that run together.
    """

    def __init__(
        self,
        b: Builder,
        indices: Variables,
        operand_shape: tuple[int, ...],
        sizes: Sequence[int],
        window_dims: Sequence[int],
        dropped: Sequence[int],
        mapped: Sequence[int],
        paired: Sequence[tuple[int, int]],
    ):
        self.b, self.indices = b, indices
        self.sizes = tuple(sizes)
        self.mapped, self.paired = mapped, paired
        self.limits = [length - size for length, size in zip(operand_shape, sizes)]
        self.batch_shape = indices.shape[:-1]
        left_out = {*dropped, *(dim for dim, _ in paired)}
        self.window_shape = tuple(s for dim, s in enumerate(sizes) if dim not in left_out)
        n_dims = len(self.batch_shape) + len(self.window_shape)
        batch, window = count(), count(len(self.batch_shape))
        # Dim i of the batched array is dim order[i] of (batch..., window...).
        self.order = [next(window if dim in window_dims else batch) for dim in range(n_dims)]

    def start(self, batch: tuple[int, ...]) -> list[int]:
        """Return the variables of the first position of a window in the operand."""
        start = [self.b.constant(0, "int64")] * len(self.sizes)
        for dim, variable in zip(self.mapped, self.indices[batch].tolist()):
            start[dim] = variable
        for dim, axis in self.paired:
            start[dim] = self.b.constant(batch[axis], "int64")
        return start

    def inside(self, start: Sequence[int]) -> int:
        """Return the variable that tells whether a window lies within the operand."""
        b = self.b
        result = b.constant(True, "bool")
        for variable, limit in zip(start, self.limits):
            low = b.emit("ge", variable, b.constant(0, "int64"))
            high = b.emit("le", variable, b.constant(limit, "int64"))
            result = b.emit("and", result, b.emit("and", low, high))
        return result


def _drops_outside(equation: Any) -> bool:
    return equation.params["mode"].name == "FILL_OR_DROP"


def _gather(b: Builder, equation: Any, operand: Variables, indices: Variables) -> Variables:
    dims = equation.params["dimension_numbers"]
    windows = _Windows(
        b,
        indices,
        operand.shape,
        equation.params["slice_sizes"],
        dims.offset_dims,
        dims.collapsed_slice_dims,
        dims.start_index_map,
        list(zip(dims.operand_batching_dims, dims.start_indices_batching_dims)),
    )
    fill = np.array(_fill_value(b, equation)) if _drops_outside(equation) else None
    result = np.empty(windows.batch_shape + windows.window_shape, dtype=np.int64)
    for batch in np.ndindex(windows.batch_shape):
        start = windows.start(batch)
        window = _at_start(b, start, windows.limits, lambda at: operand[_window(at, windows.sizes)])
        if fill is not None:
            window = elementwise(b, "select", np.array(windows.inside(start)), window, fill)
        result[batch] = window.reshape(windows.window_shape)
    return result.transpose(windows.order)


def _fill_value(b: Builder, equation: Any) -> int:
    dtype = equation.outvars[0].aval.dtype
    value = equation.params["fill_value"]
    if value is None:
        match dtype.kind:
            case "f" | "c":
                value = np.nan
            case "b":
                value = True
            case "u":
                value = np.iinfo(dtype).max
            case _:
                value = np.iinfo(dtype).min
    return b.constant(value, require_dtype(dtype))


def _applies(jaxpr: Any) -> bool:
    """Tell whether a scatter puts something other than the update in an entry's place."""
    return jaxpr is not None and jaxpr.outvars[0] is not jaxpr.invars[1]


def _scatter(
    combine: str,
    b: Builder,
    equation: Any,
    operand: Variables,
    indices: Variables,
    updates: Variables,
) -> Variables:
    if not combine and _applies(equation.params.get("update_jaxpr")):
        raise NotAProgram("it applies a function to entries of an array")
    dims = equation.params["dimension_numbers"]
    dropped = {*dims.inserted_window_dims, *dims.operand_batching_dims}
    lengths = iter([updates.shape[dim] for dim in dims.update_window_dims])
    windows = _Windows(
        b,
        indices,
        operand.shape,
        [1 if dim in dropped else next(lengths) for dim in range(operand.ndim)],
        dims.update_window_dims,
        dims.inserted_window_dims,
        dims.scatter_dims_to_operand_dims,
        list(zip(dims.operand_batching_dims, dims.scatter_indices_batching_dims)),
    )
    by_batch = updates.transpose(np.argsort(windows.order))
    result = np.array(operand)
    for batch in np.ndindex(windows.batch_shape):
        start = windows.start(batch)
        update = by_batch[batch].reshape(windows.sizes)

        def written(
            at: tuple[int, ...], update: Variables = update, before: Variables = result
        ) -> Variables:
            new = np.array(before)
            window = _window(at, windows.sizes)
            new[window] = elementwise(b, combine, new[window], update) if combine else update
            return new

        new = _at_start(b, start, windows.limits, written, writes=True)
        # A window that lies partly outside is moved inside in mode CLIP, and not written otherwise.
        inside = b.constant(True, "bool")
        if equation.params["mode"].name != "CLIP":
            inside = windows.inside(start)
        result = elementwise(b, "select", np.array(inside), new, result)
    return result


INDEXING: dict[str, Rule] = {
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "gather": _gather,
    "scatter": partial(_scatter, ""),
    "scatter-add": partial(_scatter, "add"),
    "scatter-sub": partial(_scatter, "sub"),
    "scatter-mul": partial(_scatter, "mul"),
    "scatter-min": partial(_scatter, "min"),
    "scatter-max": partial(_scatter, "max"),
}
