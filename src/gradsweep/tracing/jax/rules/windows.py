"""Convolutions of JAX, and reductions over windows that slide.

A rule takes the Builder, the equation and an array of variables for each operand, and returns one
for the result.
"""

from functools import partial
from typing import Any

import numpy as np

from gradsweep.program.arrays import Variables, cast, elementwise, reduce
from gradsweep.program.builder import Builder
from gradsweep.program.windows.convolution import Places, convolved
from gradsweep.program.windows.sliding import accumulated, padded, windows
from gradsweep.tracing.jax.dtypes import require_dtype
from gradsweep.tracing.jax.rules.elementwise import Rule

__all__ = ["WINDOWS"]


def _convolve(b: Builder, equation: Any, left: Variables, right: Variables) -> Variables:
    params = equation.params
    dims = params["dimension_numbers"]
    dtype = require_dtype(equation.outvars[0].aval.dtype)
    x = cast(b, left, dtype).transpose(dims.lhs_spec)
    kernel = cast(b, right, dtype).transpose(dims.rhs_spec)
    places = Places(
        params["window_strides"],
        params["padding"],
        params["rhs_dilation"],
        params["lhs_dilation"],
        params["feature_group_count"],
    )
    n_batches = params["batch_group_count"]
    parts = [
        convolved(b, of_x, of_kernel, places)
        for of_x, of_kernel in zip(np.split(x, n_batches), np.split(kernel, n_batches))
    ]
    return np.concatenate(parts, axis=1).transpose(np.argsort(dims.out_spec))


def _cut(equation: Any, operand: Variables, fill: int) -> Variables:
    """Return windows of an operand, the last dim running over their elements."""
    params = equation.params
    sizes = params["window_dimensions"]
    n = len(sizes)
    whole = padded(operand, params["padding"], fill, params.get("base_dilation"))
    dilations = params.get("window_dilation") or (1,) * n
    found = windows(whole, sizes, params["window_strides"], dilations)
    return found.reshape(*found.shape[:n], -1)


# The value of a window that lies outside the array.
_OUTSIDE = {"max": -np.inf, "min": np.inf}


def _filled(b: Builder, equation: Any, operand: Variables, name: str) -> Variables:
    """Return the windows of the last operand, filled up with what a reduction passes over."""
    aval = equation.invars[-1].aval
    dtype = require_dtype(aval.dtype)
    if name not in _OUTSIDE:
        return _cut(equation, operand, b.structural_zero(dtype))
    limit = _OUTSIDE[name]
    if aval.dtype.kind in "iu":
        limit = np.iinfo(aval.dtype).min if name == "max" else np.iinfo(aval.dtype).max
    return _cut(equation, operand, b.constant(limit, dtype))


def _reduce_window(name: str, b: Builder, equation: Any, operand: Variables) -> Variables:
    return reduce(b, name, _filled(b, equation, operand, name), [-1])


def _chosen(b: Builder, equation: Any, operand: Variables) -> list[Variables]:
    """Return, for each place in a window, whether the extreme that JAX chooses stands there."""
    prefers = equation.params["select_prim"].name
    entries = _filled(b, equation, operand, "max" if prefers == "ge" else "min")
    best = entries[..., 0]
    index = np.full(best.shape, b.constant(0, "int64"), dtype=np.int64)
    for k in range(1, entries.shape[-1]):
        entry = entries[..., k]
        is_kept = elementwise(b, prefers, best, entry)
        best = elementwise(b, "select", is_kept, best, entry)
        index = elementwise(b, "select", is_kept, index, np.array(b.constant(k, "int64")))
    numbers = [np.array(b.constant(k, "int64")) for k in range(entries.shape[-1])]
    return [elementwise(b, "eq", index, number) for number in numbers]


def _select_and_gather(
    b: Builder, equation: Any, tangents: Variables, operand: Variables
) -> Variables:
    """Return the tangent of the element that is chosen in each window."""
    every = _cut(equation, tangents, b.structural_zero(b.dtype(int(tangents.flat[0]))))
    result = every[..., 0]
    for k, is_chosen in enumerate(_chosen(b, equation, operand)[1:], start=1):
        result = elementwise(b, "select", is_chosen, every[..., k], result)
    return result


def _select_and_scatter(
    b: Builder, equation: Any, source: Variables, operand: Variables
) -> Variables:
    """Add what each window is given to the element that is chosen in it."""
    nothing = b.structural_zero(b.dtype(int(source.flat[0])))
    chosen = _chosen(b, equation, operand)
    terms = [elementwise(b, "select", here, source, np.array(nothing)) for here in chosen]
    places = _cut(equation, np.arange(operand.size).reshape(operand.shape), -1)
    return accumulated(b, np.stack(terms, axis=-1), places, np.full(operand.shape, nothing))


WINDOWS: dict[str, Rule] = {
    "conv_general_dilated": _convolve,
    "reduce_window_sum": partial(_reduce_window, "add"),
    "reduce_window_max": partial(_reduce_window, "max"),
    "reduce_window_min": partial(_reduce_window, "min"),
    "select_and_gather_add": _select_and_gather,
    "select_and_scatter_add": _select_and_scatter,
}
