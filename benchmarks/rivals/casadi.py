"""CasADi: the derivative of a symbolic expression, mapped over the points by its threads."""

from functools import partial

import numpy as np

from benchmarks.cases import Problem
from benchmarks.rivals.base import Rival, Unavailable, Work

__all__ = ["RIVALS"]


def _prepare(problem: Problem) -> Work:
    import casadi

    case = problem.case
    if len(case.axes) > 1:
        raise Unavailable("CasADi maps over one axis")
    if case.dtype != "float64":
        raise Unavailable("CasADi computes in double precision only")
    symbols = [
        casadi.SX.sym(name, *np.shape(value)[len(case.dims.get(name, ())) :])
        for name, value in problem.values.items()
    ]
    y, x = case.function("casadi")(*symbols), casadi.vertcat(*symbols)
    results = _RESULTS[case.quantity](casadi, y, x)
    derivative = casadi.Function("derivative", symbols, results)
    mapped = derivative.map(problem.n_points, "thread", problem.threads)
    # Points are columns; an argument held fixed is one column.
    arguments = [casadi.DM(np.transpose(value)) for value in problem.values.values()]
    arguments = [a.T if a.shape[0] == problem.n_points else a for a in arguments]
    return Work(lambda: mapped.call(arguments), partial(_read, problem))


def _upper_triangle(casadi, y, x) -> list:
    hessian, _ = casadi.hessian(y, x)
    n = x.shape[0]
    return [hessian[i, j] for i in range(n) for j in range(i, n)]


_RESULTS = {
    "gradient": lambda casadi, y, x: casadi.vertsplit(casadi.gradient(y, x)),
    "jacobian": lambda casadi, y, x: [casadi.densify(casadi.jacobian(y, x))],
    "hessian": _upper_triangle,
}


def _read(problem: Problem, results) -> list[np.ndarray]:
    """Return arrays whose first axis is the points: CasADi puts their blocks side by side."""
    arrays = []
    for result, like in zip(results, problem.expected):
        full = np.asarray(result.full())
        own_shape = like.shape[1:] if like.ndim > 1 else ()
        blocks = full.reshape(-1, problem.n_points, *own_shape[1:])
        arrays.append(np.moveaxis(blocks, 1, 0) if own_shape else full.ravel())
    return arrays


RIVALS = (Rival("CasADi", "CasADi", _prepare),)
