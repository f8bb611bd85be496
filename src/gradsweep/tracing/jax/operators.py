"""JAX's own pushforward and pullback, in the form that `compose` takes.

Functions of a tuple of arrays enter, arrays leave. Every differentiation rule is JAX's.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import reduce
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gradsweep.request.quantities import Mode
from gradsweep.support.errors import OutputError
from gradsweep.tracing.point import RealOutput

__all__ = ["JaxAD", "scoped_x64"]

Array = Any


def scoped_x64() -> AbstractContextManager:
    """Return a context in which 64-bit numbers keep their bits; no global flag is touched."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    # Its place before jax 0.8.
    from jax.experimental import enable_x64

    return enable_x64()


class JaxAD:
    """The operators of `point.AD` in JAX.

    Args:
        dtype: the floating dtype of the point, which every output but a bool is cast to.
        keeps_bools: whether an output may be a truth value, which has no derivative.
        is_symmetric: whether Hessians are sure to be symmetric.
    """

    outer: Mode = "forward"
    along: Mode = "forward"
    knows_rules = True

    def __init__(self, dtype: str, keeps_bools: bool, is_symmetric: bool = True):
        self.dtype = dtype
        self.keeps_bools = keeps_bools
        self.is_symmetric = is_symmetric

    def jvp(self, function: Callable, x: tuple, v: tuple) -> tuple[tuple, tuple]:
        return jax.jvp(function, x, v)

    def columns(self, function: Callable, x: tuple) -> tuple[tuple, list[tuple]]:
        columns = self.over_basis(lambda v: self.jvp(function, x, v)[1], x)
        return function(*x), columns

    def vjp(self, function: Callable, x: tuple) -> tuple[tuple, Callable[[tuple], tuple]]:
        return jax.vjp(function, *x)

    def over_basis(self, function: Callable, like: tuple) -> list[tuple]:
        # One array at a time: a basis of all of them at once would be mostly blocks of zeros.
        blocks = []
        for position, array in enumerate(like):

            def from_one(
                seed: Array, position: int = position, zeros: tuple = self._zeros(like)
            ) -> tuple:
                return function((*zeros[:position], seed, *zeros[position + 1 :]))

            shape = tuple(array.shape)
            if not shape:
                blocks.append(tuple(from_one(jnp.ones((), array.dtype))))
                continue
            rows = jax.vmap(from_one)(_one_hot(shape, array.dtype))
            blocks.append(tuple(jnp.reshape(row, shape + row.shape[1:]) for row in rows))
        return blocks

    def as_output(self, path: str, value: Any) -> RealOutput:
        what = f"output {path!r}" if path else "the output"
        if value is None or isinstance(value, str | bytes):
            raise OutputError(_not_a_number(what, value))
        try:
            array = jnp.asarray(value)
        except jax.errors.JAXTypeError:
            raise
        except TypeError as error:
            raise OutputError(_not_a_number(what, value)) from error
        if jnp.issubdtype(array.dtype, jnp.complexfloating):
            parts = jnp.stack([jnp.real(array), jnp.imag(array)], axis=-1)
            return RealOutput(parts.astype(self.dtype), is_complex=True)
        if array.dtype == np.bool_ and self.keeps_bools:
            return RealOutput(array)
        if not (array.dtype == np.bool_ or jnp.issubdtype(array.dtype, jnp.number)):
            raise OutputError(_not_a_number(what, value))
        return RealOutput(array.astype(self.dtype))

    def paired(self, array: Array) -> Array:
        return jnp.stack([array, self.zeros_like(array)], axis=-1)

    def total(self, array: Array, axes: Sequence[int]) -> Array:
        return jnp.sum(array, tuple(axes)) if axes else array

    def zeros_like(self, array: Array) -> Array:
        # A scalar zero is made from an array of zeros: so lowering takes it for a structural zero,
        # not for a number that the user wrote.
        return jnp.reshape(lax.full((1, *array.shape), 0, array.dtype), array.shape)

    def nothing_like(self, array: Array) -> Array:
        return self.zeros_like(array)

    def moveaxis(self, array: Array, source: Sequence[int], target: Sequence[int]) -> Array:
        return jnp.moveaxis(array, tuple(source), tuple(target))

    def stack(self, arrays: Sequence[Array]) -> Array:
        return jnp.stack(tuple(arrays))

    def sqrt(self, array: Array) -> Array:
        return jnp.sqrt(array)

    def scale(self, arrays: Sequence[Array]) -> Array:
        largest = reduce(jnp.maximum, [jnp.max(jnp.abs(array), -1) for array in arrays])
        limits = jnp.finfo(largest.dtype)
        is_usual = (largest >= limits.tiny) & (largest <= 1 / limits.tiny)
        return jnp.where(is_usual, largest, jnp.ones_like(largest))

    def _zeros(self, like: tuple) -> tuple:
        return tuple(self.zeros_like(array) for array in like)


def _not_a_number(what: str, value: Any) -> str:
    return (
        f"{what} is {value!r} ({type(value).__name__}), not a number or an array.\n"
        f"Return what is to be differentiated alone."
    )


def _one_hot(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return the standard basis of a space of arrays, stacked: (n, *shape).

    It is padded with zeros, not compared with an iota, so that its zeros are structural.
    """
    n = prod(shape)
    ones = lax.full((n, 1), 1, dtype)
    padded = lax.pad(ones, jnp.zeros((), dtype), [(0, 0, 0), (0, n, 0)])
    flat = lax.slice_in_dim(jnp.reshape(padded, (n * (n + 1),)), 0, n * n)
    return jnp.reshape(flat, (n, *shape))
