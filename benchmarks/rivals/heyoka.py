"""heyoka: a compiled function of the derivatives of an expression, into given outputs."""

from functools import partial
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from benchmarks.cases import Problem
from benchmarks.rivals.base import Rival, Work

__all__ = ["RIVALS"]


def _prepare(problem: Problem) -> Work:
    import heyoka

    case = problem.case
    f = case.function("heyoka")
    symbols: list[Any] = []
    flat: list[Any] = []
    for name, value in problem.values.items():
        n = np.size(value[0]) if np.ndim(value) > 1 else 1
        own = [heyoka.expression(f"{name}_{k}") for k in range(n)]
        symbols.append(own if np.ndim(value) > 1 else own[0])
        flat += own
    y = f(*symbols)
    order = 2 if case.quantity == "hessian" else 1
    tensors = heyoka.diff_tensors(y if isinstance(y, list) else [y], flat, order)

    heyoka.set_nthreads(problem.threads)
    kernel = heyoka.cfunc(
        _RESULTS[case.quantity](tensors),
        flat,
        fp_type=np.dtype(case.dtype).type,
        compact_mode=case.is_long,  # heyoka's advice for long expressions
    )
    inputs = _inputs(problem)
    outputs = np.empty((len(kernel.fn), problem.n_points), case.dtype)
    return Work(lambda: kernel(inputs, outputs=outputs), partial(_read, problem))


def _inputs(problem: Problem) -> np.ndarray:
    """Return a row for each variable, with a number for every point: heyoka has no other form."""
    rows: list[np.ndarray] = []
    for value in problem.broadcastable(problem.case.dtype).values():
        n_axes = len(problem.case.axes)
        own_shape = value.shape[n_axes:] if value.ndim > n_axes else ()
        full = np.broadcast_to(value, (*problem.sizes.values(), *own_shape))
        rows += list(full.reshape(problem.n_points, -1).T)
    return np.ascontiguousarray(rows)


_RESULTS = {
    "gradient": lambda tensors: list(tensors.gradient),
    "jacobian": lambda tensors: list(np.ravel(tensors.jacobian)),
    "hessian": lambda tensors: [
        tensors.hessian(0)[i, j] for i, j in combinations_with_replacement(range(tensors.nargs), 2)
    ],
}


def _read(problem: Problem, outputs: np.ndarray) -> list[np.ndarray]:
    sizes = tuple(problem.sizes.values())
    if problem.case.quantity != "jacobian":
        return [row.reshape(sizes) for row in outputs]
    (like,) = problem.expected
    return [outputs.T.reshape(like.shape)]


RIVALS = (Rival("heyoka", "heyoka", _prepare, reuses_buffers=True, starts_slowly="long"),)
