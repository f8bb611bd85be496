"""JAX's own derivatives: jax.jacrev, and jacrev of that for the second order.

A trace of JAX does not depend on the numbers, so it is made and compiled once for each word, and
called at each point. `plainly_at` compiles nothing, and is asked before a difference counts as a
failure.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradsweep.testing.fuzz.reference.base import At, flat_outputs, in_parts

__all__ = ["JaxReference"]

# JAX's message where forward mode has a derivative and reverse mode has none.
_UNKNOWN_LENGTH = "Reverse-mode differentiation does not work for lax.while_loop"


class JaxReference:
    def __init__(self, function: Callable[..., Any], wrt: Sequence[str], dtype: str):
        self._function = function
        self._wrt = tuple(wrt)
        self._dtype = jnp.dtype(dtype)
        self._compiled: dict[tuple, Callable] = {}
        self._complex: set[str] = set()  # the arguments that enter as their parts

    def at(self, values: Mapping[str, Any], order: int) -> At:
        return self._reverse(values, order, compiled=True)

    def plainly_at(self, values: Mapping[str, Any], order: int) -> At:
        return self._reverse(values, order, compiled=False)

    def _reverse(self, values: Mapping[str, Any], order: int, compiled: bool) -> At:
        with jax.enable_x64(True):
            try:
                return self._evaluate("reverse", values, order, compiled)
            except ValueError as error:
                if _UNKNOWN_LENGTH not in str(error):
                    raise
                return self._evaluate("forward", values, order, compiled)

    def forward_at(self, values: Mapping[str, Any], order: int) -> At:
        with jax.enable_x64(True):
            return self._evaluate("forward", values, order, compiled=True)

    def _evaluate(self, mode: str, values: Mapping[str, Any], order: int, compiled: bool) -> At:
        values, self._complex = in_parts(values)
        fixed = {name: value for name, value in values.items() if isinstance(value, int | str)}
        arrays = {name: jnp.asarray(v) for name, v in values.items() if name not in fixed}
        if compiled:
            key = (mode, order, *fixed.items())
            if key not in self._compiled:
                self._compiled[key] = jax.jit(self._derivative(mode, order, fixed))
            return _at(*self._compiled[key](arrays))
        return _at(*self._derivative(mode, order, fixed)(arrays))

    def _derivative(self, mode: str, order: int, fixed: Mapping[str, Any]) -> Callable:
        joined = sorted(self._complex)

        def outputs(x: dict, others: dict) -> dict[str, jax.Array]:
            called = {**fixed, **others, **x}
            whole = {n: jax.lax.complex(called[n][..., 0], called[n][..., 1]) for n in joined}
            return dict(flat_outputs(self._function(**{**called, **whole})))

        def floating(x: dict, others: dict) -> tuple[dict, dict]:
            """Return the outputs as numbers to differentiate, and as they are."""
            y = {path: jnp.asarray(value) for path, value in outputs(x, others).items()}
            numbers = {path: self._as_float(value) for path, value in y.items()}
            return numbers, {p: v if v.dtype == bool else numbers[p] for p, v in y.items()}

        is_reverse = mode == "reverse" or order > 1
        first = (jax.jacrev if is_reverse else jax.jacfwd)(floating, has_aux=True)
        second = (jax.jacrev if mode == "reverse" else jax.jacfwd)(
            lambda x, others: first(x, others)[0]
        )

        def derivative(arrays: dict) -> tuple[dict, dict, dict]:
            x = {name: arrays[name] for name in self._wrt}
            others = {name: value for name, value in arrays.items() if name not in x}
            J, y = first(x, others) if order else ({}, floating(x, others)[1])
            H = second(x, others) if order > 1 else {}
            return y, J, H

        return derivative

    def _as_float(self, value: Any) -> jax.Array:
        value = jnp.asarray(value)
        if jnp.issubdtype(value.dtype, jnp.complexfloating):
            raise TypeError("a complex output")
        is_narrow = value.dtype.itemsize < self._dtype.itemsize
        if not jnp.issubdtype(value.dtype, jnp.floating) or is_narrow:
            return value.astype(self._dtype)
        return value


def _at(y: dict, J: dict, H: dict) -> At:
    return At(
        {path: np.asarray(value) for path, value in y.items()},
        {
            (path, first): np.asarray(value)
            for path, row in J.items()
            for first, value in row.items()
        },
        {
            (path, first, second): np.asarray(value)
            for path, block in H.items()
            for first, row in block.items()
            for second, value in row.items()
        },
    )
