"""JAX's array primitives in scalars: those that move elements, and those that reduce.

A rule takes the Builder, the equation and an array of variables for each operand, and returns one
for the result, or a list of them.
"""

from functools import partial
from typing import Any

import numpy as np

from gradsweep.program.arrays import (
    Variables,
    cast,
    cumulative,
    dot_general,
    elementwise,
    reduce,
    zeros,
)
from gradsweep.program.builder import Builder
from gradsweep.support.errors import NotAProgram
from gradsweep.tracing.jax.dtypes import require_dtype
from gradsweep.tracing.jax.rules.elementwise import Rule, by_element, exceeds, log_add_exp

__all__ = ["STRUCTURE"]


def _is_nothing(b: Builder, fill: Variables) -> bool:
    """Tell whether a scalar that fills an array is a constant zero: then the zeros stand for
    nothing, as in `jnp.zeros((4, 4))` and in the transpose of a slice."""
    variable = int(fill)
    if not b.is_constant(variable):
        return False
    return not any(b.value(v) != 0 or np.signbit(b.value(v)) for v in b.parts(variable))


def _filled(b: Builder, shape: tuple[int, ...], fill: Variables) -> Variables:
    if _is_nothing(b, fill):
        return zeros(b, shape, b.dtype(int(fill)))
    return np.full(shape, int(fill), dtype=np.int64)


def _broadcast(b: Builder, equation: Any, operand: Variables) -> Variables:
    shape = equation.params["shape"]
    if operand.ndim == 0:
        return _filled(b, shape, operand) if shape else operand
    expanded = np.ones(len(shape), dtype=int)
    expanded[list(equation.params["broadcast_dimensions"])] = operand.shape
    return np.broadcast_to(operand.reshape(expanded), shape)


def _pad(b: Builder, equation: Any, operand: Variables, fill: Variables) -> Variables:
    result = _filled(b, equation.outvars[0].aval.shape, fill)
    sources, targets = [], []
    for length, padded, (low, _, interior) in zip(
        operand.shape, result.shape, equation.params["padding_config"]
    ):
        # A negative edge crops: elements that fall outside are dropped.
        target = low + np.arange(length) * (interior + 1)
        inside = (target >= 0) & (target < padded)
        sources.append(np.flatnonzero(inside))
        targets.append(target[inside])
    result[np.ix_(*targets)] = operand[np.ix_(*sources)]
    return result


def _concatenate(b: Builder, equation: Any, *operands: Variables) -> Variables:
    return np.concatenate(operands, axis=equation.params["dimension"])


def _unstack(b: Builder, equation: Any, operand: Variables) -> list[Variables]:
    return list(np.moveaxis(operand, equation.params["axis"], 0))


def _stack(b: Builder, equation: Any, *operands: Variables) -> Variables:
    return np.stack(operands, axis=equation.params["axis"])


def _slice(b: Builder, equation: Any, operand: Variables) -> Variables:
    starts, limits = equation.params["start_indices"], equation.params["limit_indices"]
    strides = equation.params["strides"] or (1,) * operand.ndim
    return operand[tuple(slice(*bounds) for bounds in zip(starts, limits, strides))]


def _split(b: Builder, equation: Any, operand: Variables) -> list[Variables]:
    edges = np.cumsum(equation.params["sizes"])[:-1]
    return np.split(operand, edges, axis=equation.params["axis"])


def _reshape(b: Builder, equation: Any, operand: Variables) -> Variables:
    order = equation.params.get("dimensions")
    if order is not None:
        operand = operand.transpose(order)
    return operand.reshape(equation.outvars[0].aval.shape)


def _squeeze(b: Builder, equation: Any, operand: Variables) -> Variables:
    return np.squeeze(operand, tuple(equation.params["dimensions"]))


def _tile(b: Builder, equation: Any, operand: Variables) -> Variables:
    return np.tile(operand, equation.params["reps"])


def _transpose(b: Builder, equation: Any, operand: Variables) -> Variables:
    return operand.transpose(equation.params["permutation"])


def _reverse(b: Builder, equation: Any, operand: Variables) -> Variables:
    return np.flip(operand, equation.params["dimensions"])


def _iota(b: Builder, equation: Any) -> Variables:
    shape, dimension = equation.params["shape"], equation.params["dimension"]
    indices = b.constants(np.arange(shape[dimension]), require_dtype(equation.params["dtype"]))
    along = [-1 if dim == dimension else 1 for dim in range(len(shape))]
    return np.broadcast_to(indices.reshape(along), shape)


def _dot_general(b: Builder, equation: Any, left: Variables, right: Variables) -> Variables:
    contract, batch = equation.params["dimension_numbers"]
    dtype = require_dtype(equation.outvars[0].aval.dtype)
    return dot_general(b, cast(b, left, dtype), cast(b, right, dtype), contract, batch)


# The value of a reduction over no elements.
_EMPTY = {"add": 0, "mul": 1, "and": True, "or": False, "xor": False, "max": -np.inf, "min": np.inf}


def _reduce(name: str, b: Builder, equation: Any, operand: Variables) -> Variables:
    result = equation.outvars[0].aval
    if operand.size == 0:
        empty = b.constant(_EMPTY[name], require_dtype(result.dtype))
        return np.full(result.shape, empty, dtype=np.int64)
    return reduce(b, name, operand, equation.params["axes"])


def _arg_extreme(name: str, b: Builder, equation: Any, operand: Variables) -> Variables:
    """Find where the first extreme element is; the first NaN counts as extreme."""
    (axis,) = equation.params["axes"]
    rows = np.moveaxis(operand, axis, 0)
    best, index = rows[0], np.full(rows.shape[1:], b.constant(0, "int64"), dtype=np.int64)
    for position, row in enumerate(rows[1:], start=1):
        better = by_element(partial(exceeds, name), b, row, best)
        here = np.array(b.constant(position, "int64"))
        index = elementwise(b, "select", better, here, index)
        best = elementwise(b, "select", better, row, best)
    return index


def _cumulative(name: str, b: Builder, equation: Any, operand: Variables) -> Variables:
    return cumulative(b, name, operand, equation.params["axis"], equation.params["reverse"])


def _cumulative_log_sum_exp(b: Builder, equation: Any, operand: Variables) -> Variables:
    result = np.array(operand)
    moved = np.moveaxis(result, equation.params["axis"], 0)
    if equation.params["reverse"]:
        moved = moved[::-1]
    for index in range(1, len(moved)):
        moved[index] = by_element(log_add_exp, b, moved[index - 1], moved[index])
    return result


def _sort(b: Builder, equation: Any, *operands: Variables) -> list[Variables]:
    """Sort by exchanging neighbours, (n - 1) n / 2 times: stable, and the same for every input."""
    if equation.params["num_keys"] != 1:
        raise NotAProgram("it sorts by more than one key")
    columns = [np.moveaxis(np.array(a), equation.params["dimension"], 0) for a in operands]
    for end in range(len(columns[0]) - 1, 0, -1):
        for i in range(end):
            key, following = columns[0][i], columns[0][i + 1]
            exchange = by_element(partial(exceeds, "gt"), b, key, following)
            for column in columns:
                first, second = np.array(column[i]), np.array(column[i + 1])
                column[i] = elementwise(b, "select", exchange, second, first)
                column[i + 1] = elementwise(b, "select", exchange, first, second)
    return [np.moveaxis(column, 0, equation.params["dimension"]) for column in columns]


STRUCTURE: dict[str, Rule] = {
    "broadcast_in_dim": _broadcast,
    "pad": _pad,
    "concatenate": _concatenate,
    "unstack": _unstack,
    "stack": _stack,
    "slice": _slice,
    "split": _split,
    "reshape": _reshape,
    "squeeze": _squeeze,
    "tile": _tile,
    "transpose": _transpose,
    "rev": _reverse,
    "iota": _iota,
    "dot_general": _dot_general,
    "reduce_sum": partial(_reduce, "add"),
    "reduce_prod": partial(_reduce, "mul"),
    "reduce_max": partial(_reduce, "max"),
    "reduce_min": partial(_reduce, "min"),
    "reduce_and": partial(_reduce, "and"),
    "reduce_or": partial(_reduce, "or"),
    "reduce_xor": partial(_reduce, "xor"),
    "argmax": partial(_arg_extreme, "gt"),
    "argmin": partial(_arg_extreme, "lt"),
    "cumsum": partial(_cumulative, "add"),
    "cumprod": partial(_cumulative, "mul"),
    "cummax": partial(_cumulative, "max"),
    "cummin": partial(_cumulative, "min"),
    "cumlogsumexp": _cumulative_log_sum_exp,
    "sort": _sort,
}
