"""The ways that people write a derivative over a sweep by hand, in torch and in JAX.

A Problem enters; a call leaves, and a function that reads from its return value one array for each
result of the plan, with all swept axes leading.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gradsweep.comparison.at_point import at_point
from gradsweep.comparison.conditions import why_xla_has_more_threads
from gradsweep.comparison.problem import PointFunction, Problem, Unavailable
from gradsweep.engines.frameworks import offered_by
from gradsweep.engines.torch import with_code_of_its_own
from gradsweep.request.quantities import direction_key
from gradsweep.request.request import Selection
from gradsweep.support.errors import require

__all__ = [
    "LOOPS",
    "Work",
    "compiled_vmap",
    "jitted_vmap",
    "loop",
    "over_categories",
    "sum_trick",
    "vmapped",
]

Call = Callable[[], Any]
Read = Callable[[Any], Sequence[np.ndarray]]
Work = tuple[Call, Read]


def jitted_vmap(problem: Problem, derive: str) -> Work:
    """jax.jit(jax.vmap(jax.grad(f))), or another transform in place of grad."""
    jax, context = _jax(problem)
    with context():
        values = problem.arrays("jax")
        over = _over_axes(problem, jax.vmap, at_point(problem, "jax", derive))
        compiled = jax.jit(over)
    return _awaited(jax, context, lambda: compiled(values)), _reader("jax")


def vmapped(problem: Problem, derive: str) -> Work:
    """torch.func.vmap(torch.func.grad(f)), or another transform in place of grad."""
    over, values = _torch_vmap(problem, derive), problem.arrays("torch")
    return lambda: over(values), _reader("torch")


def compiled_vmap(problem: Problem, derive: str) -> Work:
    """torch.compile(torch.func.vmap(torch.func.grad(f))), or another transform in place of grad."""
    over = _torch_vmap(problem, derive)
    import torch

    # As for a new function: compiled for this shape alone, and not read from the cache on disk.
    compiled = torch.compile(
        with_code_of_its_own(over), dynamic=False, options={"fx_graph_cache": False}
    )
    values = problem.arrays("torch")
    return lambda: compiled(values), _reader("torch")


def loop(problem: Problem, derive: str) -> Work:
    """The derivative at one point after another, by torch.autograd.

    Args:
        derive: a row of `LOOPS`.
    """
    quantity = problem.quantity
    if quantity not in LOOPS[derive]:
        raise Unavailable(f"{quantity} is not written with {derive}")
    if any(result.output for result in problem.plan.results):
        raise Unavailable("the function returns a container of outputs")
    if derive == "autograd.grad" and problem.is_complex:
        raise Unavailable("grad is for a real number, and the function returns complex numbers")
    function, values = problem.at_point("torch"), problem.arrays("torch")
    import torch

    results_at = LOOPS[derive][quantity]
    has_value = problem.request.derivative.with_value
    sizes = tuple(problem.request.axes.values())

    def call() -> list[Any]:
        rows = []
        for point in _points(problem, values):
            found = results_at(torch.autograd, problem, function, point)
            rows.append((function(point), *found) if has_value else found)
        return [torch.stack(e).reshape(*sizes, *e[0].shape) for e in zip(*rows)]

    return call, _reader("torch")


def _points(problem: Problem, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    axes, leaves = problem.request.axes, problem.request.leaves
    for index in np.ndindex(*axes.values()):
        place = dict(zip(axes, index))
        yield {key: v[tuple(place[dim] for dim in leaves[key].dims)] for key, v in values.items()}


def _call_with(
    problem: Problem, function: PointFunction, point: Mapping[str, Any]
) -> tuple[Callable, tuple]:
    """Return the function of the differentiated arguments alone, and their values."""

    def of_active(*active: Any) -> Any:
        return function({**point, **dict(zip(problem.wrt, active))})

    return of_active, tuple(point[key] for key in problem.wrt)


def _tangent(problem: Problem, point: Mapping[str, Any]) -> tuple:
    import torch

    given = {key: point[direction_key("tangent", key)] for key in problem.request.derivative.along}
    return tuple(torch.zeros_like(point[key]) + given.get(key, 0.0) for key in problem.wrt)


def _loop_jacobian(autograd: Any, problem: Problem, function: Any, point: Any) -> tuple:
    return autograd.functional.jacobian(*_call_with(problem, function, point))


def _loop_contributions(autograd: Any, problem: Problem, function: Any, point: Any) -> tuple:
    partials = _loop_jacobian(autograd, problem, function, point)
    return tuple(partial * v for partial, v in zip(partials, _tangent(problem, point)))


def _loop_jvp(autograd: Any, problem: Problem, function: Any, point: Any) -> tuple:
    f, x = _call_with(problem, function, point)
    return (autograd.functional.jvp(f, x, _tangent(problem, point))[1],)


def _loop_vjp(autograd: Any, problem: Problem, function: Any, point: Any) -> tuple:
    f, x = _call_with(problem, function, point)
    (name,) = problem.request.derivative.along
    w = point[direction_key("cotangent", name)].expand(f(*x).shape)
    return autograd.functional.vjp(f, x, w)[1]


def _loop_hessian(autograd: Any, problem: Problem, function: Any, point: Any) -> tuple:
    rows = autograd.functional.hessian(*_call_with(problem, function, point))
    place = {key: i for i, key in enumerate(problem.wrt)}
    seconds = [result for result in problem.plan.results if result.kind == "partial"]
    return tuple(rows[place[r.wrt[0]]][place[r.wrt[1]]] for r in seconds)


def _loop_hvp(autograd: Any, problem: Problem, function: Any, point: Any) -> tuple:
    f, x = _call_with(problem, function, point)
    return autograd.functional.hvp(f, x, _tangent(problem, point))[1]


def _loop_grad(autograd: Any, problem: Problem, function: Any, point: Any) -> tuple:
    f, x = _call_with(problem, function, point)
    active = [value.clone().requires_grad_() for value in x]
    return autograd.grad(f(*active), active, materialize_grads=True)


# By the way that the derivative at a point is written, then by quantity.
LOOPS: dict[str, dict[str, Callable[..., tuple]]] = {
    "autograd.functional": {
        "gradient": _loop_jacobian,
        "jacobian": _loop_jacobian,
        "contributions": _loop_contributions,
        "jvp": _loop_jvp,
        "vjp": _loop_vjp,
        "hessian": _loop_hessian,
        "hvp": _loop_hvp,
    },
    "autograd.grad": {"gradient": _loop_grad},
}


def sum_trick(problem: Problem, framework: str) -> Work:
    """The gradient of the sum over all points, for a function that works elementwise."""
    derivative = problem.request.derivative
    if problem.quantity != "gradient" or derivative.with_value:
        raise Unavailable("the sum trick is for gradients alone")
    if problem.is_complex:
        raise Unavailable("the function returns complex numbers")
    leaves = problem.request.leaves.values()
    if any(leaf.numbers_shape for leaf in leaves):
        raise Unavailable("the function takes arrays, and is not elementwise")
    if any(leaf.is_complex for leaf in leaves):
        raise Unavailable("the function takes complex numbers, which are passed as pairs")
    return _SUM_TRICKS[framework](problem, _on_every_point(problem))


def _sum_trick_torch(problem: Problem, whole: Mapping[str, np.ndarray]) -> Work:
    function = problem.at_point("torch")
    import torch

    tensors = {key: torch.from_numpy(values) for key, values in whole.items()}

    def call() -> Any:
        active = [tensors[key].requires_grad_() for key in problem.wrt]
        return torch.autograd.grad(function(tensors).sum(), active, materialize_grads=True)

    return call, _reader("torch")


def _sum_trick_jax(problem: Problem, whole: Mapping[str, np.ndarray]) -> Work:
    jax, context = _jax(problem)
    function, wrt = problem.at_point("jax"), problem.wrt

    def summed(active: Any, rest: Any) -> Any:
        return function({**rest, **dict(zip(wrt, active))}).sum()

    with context():
        values = {key: jax.numpy.asarray(array) for key, array in whole.items()}
        compiled = jax.jit(jax.grad(summed))
    return _awaited(jax, context, lambda: compiled([values[k] for k in wrt], values)), _reader(
        "jax"
    )


_SUM_TRICKS = {"torch": _sum_trick_torch, "jax": _sum_trick_jax}


def _on_every_point(problem: Problem) -> dict[str, np.ndarray]:
    """Return every argument's values with all axes, repeated along the axes that it lacks."""
    axes = problem.request.axes
    whole = {}
    for key, leaf in problem.request.leaves.items():
        shape = [axes[axis] if axis in leaf.dims else 1 for axis in axes]
        order = [leaf.dims.index(axis) for axis in axes if axis in leaf.dims]
        spread = leaf.whole().transpose(order).reshape(shape)
        whole[key] = np.broadcast_to(spread, tuple(axes.values())).copy()
    return whole


def _over_axes(problem: Problem, vmap: Callable, written: Callable) -> Callable:
    """Return nested vmaps, the first axis outermost."""
    axes = list(problem.request.axes)
    function = written
    for depth in reversed(range(len(axes))):
        function = vmap(function, (problem.in_axes(axes[depth], axes[:depth]),))
    return function


def _torch_vmap(problem: Problem, derive: str) -> Callable:
    written = at_point(problem, "torch", derive)
    import torch

    return _over_axes(problem, torch.func.vmap, written)


def _jax(problem: Problem) -> tuple[Any, Callable]:
    """Return JAX and its scoped x64, so that no global flag is touched."""
    jax = require("jax", "this way")
    if reason := why_xla_has_more_threads(problem.options.threads):
        raise Unavailable(reason)
    from gradsweep.tracing.jax.operators import scoped_x64

    return jax, scoped_x64


def _awaited(jax: Any, context: Callable, compute: Call) -> Call:
    """Return a call that waits until JAX, which computes asynchronously, has the results."""

    def call() -> Any:
        with context():
            return jax.block_until_ready(compute())

    return call


def over_categories(prepare: Callable[[Problem], Work], problem: Problem) -> Work:
    """One category after another, as the points of each are computed without the others."""
    works = [prepare(own) for _, own in problem.by_category]
    calls = [call for call, _ in works]

    def read(found: Sequence[Any]) -> Sequence[np.ndarray]:
        whole: list[np.ndarray] = []
        for (selection, own), (_, read_own), results in zip(problem.by_category, works, found):
            arrays = [np.asarray(array) for array in read_own(results)]
            if not whole:
                axes, n = problem.request.axes, len(own.request.axes)
                whole = [np.empty((*axes.values(), *a.shape[n:]), a.dtype) for a in arrays]
            for array, place in zip(arrays, whole):
                _put(array, own.request.axes, place, problem.request.axes, selection)
        return whole

    return lambda: [call() for call in calls], read


def _put(
    array: np.ndarray,
    own: Mapping[str, int],
    whole: np.ndarray,
    axes: Mapping[str, int],
    selection: Selection,
) -> None:
    """Write the results of a category, along its own axes, to their points among all."""
    assert selection.places.points is not None
    index = selection.places.points.index
    first, rest = next(iter(index)), [axis for axis in axes if axis not in index]
    if first not in own:  # no number varies from one of these points to another
        array, own = array[np.newaxis], {first: 1, **own}
    _leading(whole, axes, index)[(*index.values(),)] = _leading(array, own, (first, *rest))


def _leading(array: np.ndarray, axes: Iterable[str], wanted: Collection[str]) -> np.ndarray:
    """Return a view of an array along some axes, with the wanted ones before the others."""
    placed = [*axes]
    return np.moveaxis(array, [placed.index(axis) for axis in wanted], range(len(wanted)))


def _reader(framework: str) -> Read:
    to_numpy = offered_by(framework).to_numpy
    return lambda results: [to_numpy(result) for result in results]
