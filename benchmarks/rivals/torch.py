"""torch: vmap of torch.func's derivatives, eager and through torch.compile; the question's loop."""

from functools import partial

import numpy as np

from benchmarks.cases import Problem
from benchmarks.rivals.base import Rival, Unavailable, Work
from benchmarks.rivals.transforms import over_the_sweep

__all__ = ["RIVALS"]


def _prepare(problem: Problem, mode: str, compiles: bool = False) -> Work:
    import torch

    case = problem.case
    if compiles and case.is_long:
        raise Unavailable("unrolled, the function takes torch.compile minutes")
    function = over_the_sweep(torch.func, torch.func.vmap, case.function("torch"), case, mode)
    if compiles:
        torch.compiler.reset()
        function = torch.compile(function)
    arguments = _tensors(problem)
    return Work(lambda: function(*arguments), _read)


def _prepare_loop(problem: Problem) -> Work:
    """Make the question's own loop: torch.autograd's Jacobian at one point after another."""
    import torch

    case = problem.case
    if len(case.axes) > 1 or case.quantity != "gradient":
        raise Unavailable("the question's loop is for a gradient along one axis")
    f, tensors = case.function("torch"), _tensors(problem)
    is_swept = [name in case.dims for name in problem.values]

    def loop():
        points = (
            tuple(value[i] if swept else value for value, swept in zip(tensors, is_swept))
            for i in range(problem.n_points)
        )
        gradients = [torch.autograd.functional.jacobian(f, point) for point in points]
        return [torch.stack(partials) for partials in zip(*gradients)]

    return Work(loop, _read)


def _tensors(problem: Problem) -> list:
    import torch

    dtype = getattr(torch, problem.case.dtype)
    return [torch.tensor(value, dtype=dtype) for value in problem.values.values()]


def _read(results) -> list[np.ndarray]:
    return [result.detach().numpy() for result in results]


RIVALS = (
    Rival("torch, reverse", "torch", partial(_prepare, mode="reverse")),
    Rival("torch, forward", "torch", partial(_prepare, mode="forward")),
    Rival(
        "torch.compile",
        "torch.compile",
        partial(_prepare, mode="reverse", compiles=True),
        starts_slowly="always",
    ),
    Rival("the question's loop", "loop", _prepare_loop, loops=True),
)
