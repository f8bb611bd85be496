"""NumPy by hand: the closed form of each case, in the case's own dtype."""

from benchmarks.cases import Problem
from benchmarks.rivals.base import Rival, Work

__all__ = ["RIVALS"]


def _prepare(problem: Problem) -> Work:
    closed_form = problem.case.closed_form
    arguments = problem.broadcastable(problem.case.dtype)
    return Work(lambda: closed_form(**arguments), list)


RIVALS = (Rival("NumPy by hand", "NumPy", _prepare),)
