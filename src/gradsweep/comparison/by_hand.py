"""The ways that people write a derivative over a sweep by hand, in torch and in JAX.

A Problem enters; a call leaves, with how to read its results: one array for each result of the
plan, with all swept axes leading.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradsweep.comparison.problem import Problem, Unavailable

__all__ = ["Work", "compiled_vmap", "jitted_vmap", "loop", "sum_trick", "vmapped"]

Call = Callable[[], Any]
Read = Callable[[Any], Sequence[np.ndarray]]
Work = tuple[Call, Read]

_BY_HAND = ("value", "gradient", "jacobian", "hessian")


def jitted_vmap(problem: Problem, derive: str) -> Work:
    """jax.jit(jax.vmap(jax.grad(f))), or jacrev or jacfwd in place of grad."""
    import jax

    function = problem.at_point("jax")
    context = _x64()
    with context():
        values = problem.arrays("jax")
        compiled = jax.jit(_over_axes(problem, jax.vmap, _at_point(problem, jax, function, derive)))

    def call() -> Any:
        with context():
            return jax.block_until_ready(compiled(values))

    return call, _read_jax


def vmapped(problem: Problem, derive: str) -> Work:
    """torch.func.vmap(torch.func.grad(f)), or jacrev or jacfwd in place of grad."""
    over = _torch_vmap(problem, derive)
    values = problem.arrays("torch")
    return lambda: over(values), _read_torch


def compiled_vmap(problem: Problem, derive: str) -> Work:
    """torch.compile of the same."""
    import torch

    over = torch.compile(_torch_vmap(problem, derive))
    values = problem.arrays("torch")
    return lambda: over(values), _read_torch


def loop(problem: Problem, derive: str) -> Work:
    """The question's own: the derivative at one point after another."""
    import torch

    function = problem.at_point("torch")
    at_point = _at_point(problem, torch.func, function, derive)
    values = problem.arrays("torch")
    axes = problem.request.axes
    leaves = problem.request.leaves

    def call() -> list[Any]:
        rows = []
        for index in np.ndindex(*axes.values()):
            place = dict(zip(axes, index))
            point = {
                key: value[tuple(place[dim] for dim in leaves[key].dims)]
                for key, value in values.items()
            }
            rows.append(at_point(point))
        return [
            torch.stack(entries).reshape(*axes.values(), *entries[0].shape)
            for entries in zip(*rows)
        ]

    return call, _read_torch


def sum_trick(problem: Problem, framework: str) -> Work:
    """The gradient of the sum over all points, for a function that works elementwise."""
    if problem.quantity != "gradient":
        raise Unavailable("the sum trick is for gradients")
    function = problem.at_point(framework)
    leaves, axes = problem.request.leaves, problem.request.axes
    if any(leaf.shape for leaf in leaves.values()):
        raise Unavailable("the function takes arrays, and is not elementwise")
    sizes = tuple(axes.values())
    whole = {}
    for key, leaf in leaves.items():
        shape = [axes[axis] if axis in leaf.dims else 1 for axis in axes]
        order = [leaf.dims.index(axis) for axis in axes if axis in leaf.dims]
        whole[key] = np.broadcast_to(leaf.whole().transpose(order).reshape(shape), sizes).copy()
    wrt = problem.wrt
    if framework == "torch":
        import torch

        tensors = {key: torch.from_numpy(values) for key, values in whole.items()}

        def call() -> Any:
            active = [tensors[key].requires_grad_() for key in wrt]
            total = function(tensors).sum()
            return torch.autograd.grad(total, active, materialize_grads=True)

        return call, _read_torch

    import jax

    context = _x64()
    with context():
        values = {key: jax.numpy.asarray(array) for key, array in whole.items()}

        def summed(active: Any, rest: Any) -> Any:
            return function({**rest, **dict(zip(wrt, active))}).sum()

        compiled = jax.jit(jax.grad(summed))

    def call_jax() -> Any:
        with context():
            return jax.block_until_ready(compiled([values[key] for key in wrt], values))

    return call_jax, _read_jax


def _at_point(problem: Problem, transforms: Any, function: Callable, derive: str) -> Callable:
    """Return a function of all values at one point, which gives the plan's results in order."""
    wrt, quantity = problem.wrt, problem.quantity
    if quantity not in _BY_HAND or problem.request.derivative.with_value:
        raise Unavailable(f"there is no customary way to write {quantity} like this by hand")
    results = problem.plan.results
    if any(result.output for result in results):
        raise Unavailable("the function has several outputs")
    if quantity == "value":
        return lambda values: (function(values),)
    if derive == "grad" and quantity != "gradient":
        raise Unavailable("grad is for first derivatives of a function that returns a number")

    def of_active(active: Mapping[str, Any], rest: Mapping[str, Any]) -> Any:
        return function({**rest, **active})

    if quantity == "hessian":
        derived = getattr(transforms, derive)(transforms.grad(of_active))

        def second(values: Mapping[str, Any]) -> tuple:
            rows = derived({key: values[key] for key in wrt}, values)
            return tuple(rows[r.wrt[0]][r.wrt[1]] for r in results)

        return second
    derived = getattr(transforms, derive)(of_active)

    def first(values: Mapping[str, Any]) -> tuple:
        partials = derived({key: values[key] for key in wrt}, values)
        return tuple(partials[result.wrt[0]] for result in results)

    return first


def _over_axes(problem: Problem, vmap: Callable, at_point: Callable) -> Callable:
    """Return nested vmaps, the first axis outermost."""
    axes = list(problem.request.axes)
    function = at_point
    for depth in reversed(range(len(axes))):
        function = vmap(function, (problem.in_axes(axes[depth], axes[:depth]),))
    return function


def _torch_vmap(problem: Problem, derive: str) -> Callable:
    import torch

    function = problem.at_point("torch")
    at_point = _at_point(problem, torch.func, function, derive)
    return _over_axes(problem, torch.func.vmap, at_point)


def _x64() -> Callable:
    """Return JAX's scoped x64: no global flag is touched."""
    from gradsweep.frontends.jax.operators import scoped_x64

    return scoped_x64


def _read_jax(results: Sequence[Any]) -> list[np.ndarray]:
    return [np.asarray(result) for result in results]


def _read_torch(results: Sequence[Any]) -> list[np.ndarray]:
    return [result.detach().numpy() for result in results]
