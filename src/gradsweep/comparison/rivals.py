"""The table of rivals: every engine of gradsweep, and every way that people write by hand.

A Problem enters, a call that computes it leaves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from gradsweep.comparison import by_hand
from gradsweep.comparison.at_point import WAYS
from gradsweep.comparison.by_hand import LOOPS, Work
from gradsweep.comparison.conditions import why_xla_has_more_threads
from gradsweep.comparison.problem import Problem, Unavailable
from gradsweep.planning.compiled import CompiledQuantity
from gradsweep.planning.plan import Plan
from gradsweep.planning.planner import make_plan
from gradsweep.request.lazy import load, parts_of
from gradsweep.request.quantities import QUANTITIES
from gradsweep.results.names import variable_name

__all__ = ["LABELLED", "RIVALS", "Rival"]

# What a call of ours is: a kernel as gs.compile returns it, or what gs.gradient and the like do.
_KERNEL = "compiled kernel"
LABELLED = "labelled call"


@dataclass(frozen=True)
class Rival:
    """One row: a way to compute a derivative over a sweep.

    Attributes:
        name: its name, without commas.
        family: whose way it is: "gradsweep", "JAX" or "torch".
        prepare: returns a call, and a function that reads one array for each result from the
            call's return value; raises `Unavailable` with the reason why it does not take part.
        starts_slowly: whether its first call may take many seconds.
        loops: whether it takes one point after another.
        reuses_buffers: whether it writes into the arrays of its call before, where the others
            allocate new ones: it is shown, and cannot win.
        timed: what a call of it is, where there may be a doubt: "compiled kernel".
        sweeps_categories: whether it sweeps categories itself; any other is prepared for each, and
            takes one after another.
        quantities: the quantities that it races for; for any other it must be named.
    """

    name: str
    family: str
    prepare: Callable[[Problem], Work]
    starts_slowly: bool = False
    loops: bool = False
    reuses_buffers: bool = False
    timed: str = ""
    sweeps_categories: bool = False
    quantities: tuple[str, ...] = tuple(QUANTITIES)

    def work(self, problem: Problem) -> Work:
        """Prepare it for a problem; see `prepare`."""
        if self.sweeps_categories or not problem.request.categorical:
            return self.prepare(problem)
        return by_hand.over_categories(self.prepare, problem)


def _engine(problem: Problem, engine: str, compile: bool = False, reuses: bool = False) -> Work:
    """Prepare a kernel of an engine, as gs.compile returns it, to be called with new values."""
    if engine == "xla" and (reason := why_xla_has_more_threads(problem.options.threads)):
        raise Unavailable(reason)
    options = replace(problem.options, engine=engine, compile=compile)
    kernel = CompiledQuantity(problem.request, options)
    values: dict[str, Any] = {
        argument.name: numbers if numbers.ndim else numbers.item()
        for argument in problem.request.bound.arguments
        if argument.is_single and not argument.leaves[0].parts
        for leaf in [problem.request.leaves[argument.name]]
        for numbers in [load(leaf.numbers)]
        if leaf.is_floating
    }
    held: dict[str, Any] | None = None

    def call() -> dict[str, Any]:
        nonlocal held
        found = kernel.into(held, **values)
        held = found if reuses else None
        return found

    return call, lambda found: _broadcast(kernel.plan, found)


def _labelled(problem: Problem) -> Work:
    """Prepare the call as a user writes it, which plans, computes and labels."""

    def call() -> Any:
        return make_plan(problem.request, problem.options).run()

    return call, lambda dataset: _broadcast(problem.plan, dataset)


def _broadcast(plan: Plan, found: Any) -> Sequence[np.ndarray]:
    """Return results with every swept axis, as the ways written by hand have them."""
    axes, whole = plan.axes, []
    for dims, result in zip(plan.dims, plan.results):
        array = np.asarray(found[variable_name(plan.labels, result)])
        if result.is_complex:
            array = np.moveaxis(parts_of(array), -1, len(dims) + len(result.output_shape) - 1)
        place = tuple(slice(None) if axis in dims else np.newaxis for axis in axes)
        whole.append(np.broadcast_to(array[place], (*axes.values(), *result.shape)))
    return whole


def _ours(name: str, engine: str, **more: Any) -> Rival:
    settings = {key: more.pop(key) for key in ("compile", "reuses") if key in more}
    prepare = partial(_engine, engine=engine, **settings)
    return Rival(name, "gradsweep", prepare, timed=_KERNEL, sweeps_categories=True, **more)


_TRANSFORMS = tuple(dict.fromkeys(derive for ways in WAYS.values() for derive in ways))
# torch.compile needs seconds for each, and makes nearly the same of jacfwd as of jacrev.
_COMPILED = tuple(derive for derive in _TRANSFORMS if derive != "jacfwd")


def _by_transform(
    family: str,
    form: str,
    prepare: Callable[..., Work],
    transforms: Sequence[str] = _TRANSFORMS,
    **more: Any,
) -> list[Rival]:
    """Return a rival for each transform, for the quantities that are written with it."""
    return [
        Rival(
            form.format(derive),
            family,
            partial(prepare, derive=derive),
            quantities=tuple(quantity for quantity, ways in WAYS.items() if derive in ways),
            **more,
        )
        for derive in transforms
    ]


RIVALS: tuple[Rival, ...] = (
    _ours("fused", "fused"),
    _ours("fused (out=)", "fused", reuses=True, reuses_buffers=True),
    Rival(LABELLED, "gradsweep", _labelled, timed=LABELLED, sweeps_categories=True),
    _ours("reference", "reference"),
    _ours("xla", "xla"),
    _ours("torch", "torch"),
    _ours("torch (compile=True)", "torch", compile=True, starts_slowly=True),
    _ours("loop", "loop", loops=True),
    *_by_transform("JAX", "jit(vmap({}))", by_hand.jitted_vmap),
    Rival(
        "jit(grad of the sum)",
        "JAX",
        partial(by_hand.sum_trick, framework="jax"),
        quantities=("gradient",),
    ),
    *_by_transform("torch", "vmap({})", by_hand.vmapped),
    *_by_transform(
        "torch", "compile(vmap({}))", by_hand.compiled_vmap, _COMPILED, starts_slowly=True
    ),
    Rival(
        "grad of the sum",
        "torch",
        partial(by_hand.sum_trick, framework="torch"),
        quantities=("gradient",),
    ),
    *(
        Rival(
            f"loop of {derive}",
            "torch",
            partial(by_hand.loop, derive=derive),
            loops=True,
            quantities=tuple(quantities),
        )
        for derive, quantities in LOOPS.items()
    ),
)
