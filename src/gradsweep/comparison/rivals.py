"""The table of rivals: every engine of gradsweep, and every way that people write by hand.

A Problem enters, a call that computes it leaves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from gradsweep.comparison import by_hand
from gradsweep.comparison.by_hand import Work
from gradsweep.comparison.problem import Problem
from gradsweep.compiled import CompiledQuantity
from gradsweep.labels import variable_name
from gradsweep.planner import make_plan

__all__ = ["RIVALS", "Rival"]


@dataclass(frozen=True)
class Rival:
    """One row: a way to compute a derivative over a sweep.

    Attributes:
        name: what it is called.
        family: whose way it is: "gradsweep", "JAX" or "torch".
        prepare: returns a call, and what reads one array for each result from what it returns;
            raises `Unavailable` with the reason why it does not take part.
        starts_slowly: whether its first call may take many seconds.
        loops: whether it takes one point after another.
    """

    name: str
    family: str
    prepare: Callable[[Problem], Work]
    starts_slowly: bool = False
    loops: bool = False


def _engine(problem: Problem, engine: str, compile: bool = False) -> Work:
    """A kernel of an engine, as gs.compile returns it, called with new values."""
    options = replace(problem.options, engine=engine, compile=compile)
    kernel = CompiledQuantity(problem.request, options)
    values: dict[str, Any] = {
        argument.name: leaf.whole() if leaf.dims or leaf.shape else float(leaf.whole())
        for argument in problem.request.bound.arguments
        if argument.is_single and not argument.leaves[0].parts
        for leaf in [problem.request.leaves[argument.name]]
        if leaf.is_floating
    }

    def read(found: Any) -> list[np.ndarray]:
        plan = kernel.plan
        names = [variable_name(plan.labels, result) for result in plan.results]
        return _broadcast(plan, [np.asarray(found[name]) for name in names])

    return lambda: kernel.into(None, **values), read


def _labelled(problem: Problem) -> Work:
    """The call as a user writes it: planned, computed, labelled."""
    plan = problem.plan

    def call() -> Any:
        return make_plan(problem.request, problem.options).run()

    def read(_: Any) -> Sequence[np.ndarray]:
        arrays = plan.allocate()
        plan.fill(arrays)
        return _broadcast(plan, arrays)

    return call, read


def _broadcast(plan: Any, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return results with every swept axis, as those who do not know of fewer have them."""
    axes, whole = plan.axes, []
    for array, dims, result in zip(arrays, plan.dims, plan.results):
        place = tuple(slice(None) if axis in dims else np.newaxis for axis in axes)
        whole.append(np.broadcast_to(array[place], (*axes.values(), *result.shape)))
    return whole


RIVALS: tuple[Rival, ...] = (
    Rival("fused", "gradsweep", partial(_engine, engine="fused")),
    Rival("gradsweep, labelled", "gradsweep", _labelled),
    Rival("reference", "gradsweep", partial(_engine, engine="reference")),
    Rival("xla", "gradsweep", partial(_engine, engine="xla")),
    Rival("torch", "gradsweep", partial(_engine, engine="torch")),
    Rival("loop", "gradsweep", partial(_engine, engine="loop"), loops=True),
    Rival("jit(vmap(grad))", "JAX", partial(by_hand.jitted_vmap, derive="grad")),
    Rival("jit(vmap(jacrev))", "JAX", partial(by_hand.jitted_vmap, derive="jacrev")),
    Rival("jit(vmap(jacfwd))", "JAX", partial(by_hand.jitted_vmap, derive="jacfwd")),
    Rival("jit(grad of the sum)", "JAX", partial(by_hand.sum_trick, framework="jax")),
    Rival("vmap(grad)", "torch", partial(by_hand.vmapped, derive="grad")),
    Rival("vmap(jacrev)", "torch", partial(by_hand.vmapped, derive="jacrev")),
    Rival("vmap(jacfwd)", "torch", partial(by_hand.vmapped, derive="jacfwd")),
    Rival("grad of the sum", "torch", partial(by_hand.sum_trick, framework="torch")),
    Rival(
        "compile(vmap(grad))",
        "torch",
        partial(by_hand.compiled_vmap, derive="grad"),
        starts_slowly=True,
    ),
    Rival(
        "compile(vmap(jacrev))",
        "torch",
        partial(by_hand.compiled_vmap, derive="jacrev"),
        starts_slowly=True,
    ),
    Rival("the loop", "torch", partial(by_hand.loop, derive="grad"), loops=True),
    Rival("the loop (jacrev)", "torch", partial(by_hand.loop, derive="jacrev"), loops=True),
)
