"""Solve an equation in JAX, with the derivatives of the implicit function theorem.

An Equation enters, the leaves of its solution leave. Knows nothing of derivatives that are asked
for: `lax.custom_root` has them all, of every order and in both modes.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gradsweep.tracing.solving.numbers import Equation, Function
from gradsweep.tracing.solving.unknowns import require_as_many, stateful

__all__ = ["solve"]

Array = Any


def solve(equation: Equation) -> list[Array]:
    """Return the leaves of the solution; NaN where none is found."""
    start = [jnp.asarray(leaf) for leaf in equation.start]
    start = [leaf if leaf.dtype.kind == "f" else leaf * 1.0 for leaf in start]
    shapes = [leaf.shape for leaf in start]
    # A number of Python's takes the dtype of what it is computed with.
    likes = _like_values(equation, start)
    dtype = jnp.result_type(likes, 1.0)
    n = sum(map(math.prod, shapes))
    require_as_many(n, likes.size)

    def on_leaves(function: Callable[[Sequence[Any]], list[Any]]) -> Function:
        def on_vector(y: Array) -> Array:
            return _flat(function(_parts(y, shapes))).reshape(y.shape).astype(dtype)

        return on_vector

    residual = on_leaves(equation.residual)
    searched = on_leaves(equation.searched)
    flat = _flat(start).astype(dtype)
    flat = flat[0] if n == 1 else flat

    def search(_: Function, y: Array) -> Array:
        found = equation.find(_Numbers(dtype), searched, y)
        return jnp.where(found.is_found, found.y, jnp.nan)

    y = lax.custom_root(residual, flat, search, _tangent)
    # A residual that is linear in y has a slope where there is no solution too.
    y = y * lax.stop_gradient(jnp.where(jnp.isnan(y), jnp.nan, 1.0).astype(dtype))
    return _parts(y + _nothing(equation.givens, jnp.isnan(y)).astype(dtype), shapes)


def _like_values(equation: Equation, start: Sequence[Array]) -> jax.ShapeDtypeStruct:
    """Return the shape and dtype of what is searched, traced twice.

    Raises:
        StatefulFunction: when the traces differ: the search would keep one of them.
    """

    def trace() -> tuple[jax.ShapeDtypeStruct, str, list[Any]]:
        # A new function each time: JAX would return the cached jaxpr of an old one.
        def values(*leaves: Array) -> Array:
            return _flat(equation.searched(leaves))

        closed, likes = jax.make_jaxpr(values, return_shape=True)(*start)
        # Functions that the jaxpr refers to are printed with their addresses.
        return likes, re.sub(r" at 0x[0-9a-f]+", "", str(closed.jaxpr)), closed.consts

    (likes, first, consts), (_, second, others) = trace(), trace()
    if first != second or not all(map(_is_same, consts, others)):
        raise stateful()
    return likes


def _is_same(constant: Any, other: Any) -> bool:
    """Tell whether two constants are the same, as far as they are known."""
    if any(isinstance(value, jax.core.Tracer) for value in (constant, other)):
        return True
    if jnp.issubdtype(constant.dtype, jax.dtypes.prng_key):
        constant, other = map(jax.random.key_data, (constant, other))
    return np.asarray(constant).tobytes() == np.asarray(other).tobytes()


def _nothing(givens: Sequence[Any], is_unsolved: Array) -> Array:
    """Return zero, whose derivatives by what the search is given are NaN where it found nothing.

    Where it did they are zero. A residual that does not depend on them has no derivative to be NaN.
    """
    apart = jnp.zeros(())
    for given in givens:
        if isinstance(given, jax.Array) and given.dtype.kind == "f":
            apart += jnp.sum(given - lax.stop_gradient(given))
    # No derivative of sqrt(x^2) at zero is a number, of any order.
    x = jnp.where(is_unsolved, apart, 1.0)
    return jnp.sqrt(x * x) - lax.stop_gradient(jnp.where(is_unsolved, 0.0, 1.0))


def _tangent(linear: Function, x: Array) -> Array:
    """Return where a linear function takes the value x."""
    if not x.shape:
        return x / linear(jnp.ones((), x.dtype))
    return jnp.linalg.solve(_jacobian(linear, x), x)


def _jacobian(linear: Function, like: Array) -> Array:
    return jax.vmap(linear, out_axes=1)(jnp.eye(like.size, dtype=like.dtype))


def _flat(leaves: Sequence[Any]) -> Array:
    return jnp.concatenate([jnp.ravel(jnp.asarray(leaf)) for leaf in leaves])


def _parts(y: Array, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """Return the leaves of the unknowns, the inverse of `_flat`."""
    if not y.shape:
        return [y.reshape(shape) for shape in shapes]
    places = np.cumsum([math.prod(shape) for shape in shapes])[:-1].tolist()
    return [part.reshape(shape) for part, shape in zip(jnp.split(y, places), shapes)]


class _Numbers:
    """JAX's arrays of one dtype, for the searches."""

    def __init__(self, dtype: Any):
        self._dtype = dtype
        self.epsilon = float(jnp.finfo(dtype).eps)

    def number(self, value: Any) -> Array:
        is_truth = isinstance(value, bool)
        return jnp.asarray(value, bool if is_truth else self._dtype)

    def where(self, condition: Array, x: Any, y: Any) -> Array:
        return jnp.where(condition, x, y)

    def is_finite(self, x: Array) -> Array:
        return jnp.all(jnp.isfinite(x))

    def largest(self, x: Array) -> Array:
        return jnp.max(x)

    def sloped(self, function: Function, y: Array) -> tuple[Array, Array]:
        if not y.shape:
            return jax.jvp(function, (y,), (jnp.ones_like(y),))
        values, linear = jax.linearize(function, y)
        return values, _jacobian(linear, y)

    def unit(self, y: Array) -> Array:
        return jnp.eye(y.size, dtype=y.dtype) if y.shape else jnp.ones_like(y)

    def norm(self, slope: Array) -> Array:
        return jnp.max(jnp.sum(jnp.abs(slope), -1)) if slope.shape else jnp.abs(slope)

    def solve(self, slope: Array, x: Array) -> Array:
        return jnp.linalg.solve(slope, x) if x.shape else x / slope

    def loop(
        self,
        goes_on: Callable[..., Array],
        step: Callable[..., tuple],
        carried: tuple,
        max_steps: int,
    ) -> tuple:
        def counted(state: tuple[Array, tuple]) -> tuple[Array, tuple]:
            n_steps, now = state
            following = step(*now)
            return n_steps + 1, tuple(new.astype(old.dtype) for new, old in zip(following, now))

        def counts_on(state: tuple[Array, tuple]) -> Array:
            n_steps, now = state
            return (n_steps < max_steps) & goes_on(*now)

        begun = (jnp.asarray(0, jnp.int32), tuple(map(jnp.asarray, carried)))
        return lax.while_loop(counts_on, counted, begun)[1]
