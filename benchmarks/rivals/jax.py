"""JAX: jit of nested vmaps of its own derivatives, one output for each result."""

from functools import partial

import numpy as np

from benchmarks.cases import Problem
from benchmarks.rivals.base import Rival, Unavailable, Work
from benchmarks.rivals.transforms import over_the_sweep

__all__ = ["RIVALS"]


def _prepare(problem: Problem, mode: str, donates: bool = False, minimal: bool = False) -> Work:
    import jax

    case = problem.case
    if minimal and all(set(dims) == set(case.axes) for dims in case.results.values()):
        raise Unavailable("every result varies with every axis")
    arguments = [jax.numpy.asarray(value, case.dtype) for value in problem.values.values()]
    f = case.function("jax")
    over_sweep = over_the_sweep(jax, jax.vmap, f, case, mode, minimal)
    call = _donating(over_sweep, arguments) if donates else _returning(over_sweep, arguments)
    return Work(call, lambda results: [np.asarray(result) for result in results])


def _returning(over_sweep, arguments):
    import jax

    compiled = jax.jit(over_sweep)
    return lambda: jax.block_until_ready(compiled(*arguments))


def _donating(over_sweep, arguments):
    """Return a call that gives JAX the memory of the results before, to write the next into."""
    import jax

    jitted = jax.jit(
        lambda _, arguments: over_sweep(*arguments), donate_argnums=0, keep_unused=True
    )
    shapes = jax.eval_shape(over_sweep, *arguments)
    held = tuple(jax.numpy.empty(shape.shape, shape.dtype) for shape in shapes)

    def call():
        nonlocal held
        held = jax.block_until_ready(jitted(held, arguments))
        return held

    return call


RIVALS = (
    Rival("jax, reverse", "JAX", partial(_prepare, mode="reverse")),
    Rival("jax, forward", "JAX", partial(_prepare, mode="forward")),
    Rival(
        "jax, reverse, donated",
        "JAX",
        partial(_prepare, mode="reverse", donates=True),
        reuses_buffers=True,
    ),
    Rival(
        "jax, forward, donated",
        "JAX",
        partial(_prepare, mode="forward", donates=True),
        reuses_buffers=True,
    ),
    Rival("jax, dims by hand", "JAX", partial(_prepare, mode="reverse", minimal=True)),
)
