"""The derivatives that JAX and torch.func know by the same names, at one point and over a sweep.

A module of transforms and a case enter; a function of the case's arguments leaves, which returns
one array for each result. They are never stacked: XLA would compute the whole again for each row.
"""

from collections.abc import Callable
from typing import Any

from benchmarks.cases import Case

__all__ = ["over_the_sweep"]


def _first(derive: str) -> Callable:
    def results(transforms: Any, f: Callable, wrt: tuple[int, ...]) -> Callable:
        return getattr(transforms, derive)(f, wrt)

    return results


def _second(derive: str) -> Callable:
    """Return the upper triangle; what nobody asks for of the lower one is never computed."""

    def results(transforms: Any, f: Callable, wrt: tuple[int, ...]) -> Callable:
        hessian = getattr(transforms, derive)(transforms.grad(f, wrt), wrt)

        def upper_triangle(*arguments):
            rows = hessian(*arguments)
            return tuple(rows[i][j] for i in wrt for j in wrt if i <= j)

        return upper_triangle

    return results


# By quantity and the mode of the outermost transform.
_AT_POINT = {
    ("gradient", "reverse"): _first("grad"),
    ("gradient", "forward"): _first("jacfwd"),
    ("jacobian", "reverse"): _first("jacrev"),
    ("jacobian", "forward"): _first("jacfwd"),
    ("hessian", "reverse"): _second("jacrev"),
    ("hessian", "forward"): _second("jacfwd"),
}


def over_the_sweep(
    transforms: Any, vmap: Callable, f: Callable, case: Case, mode: str, minimal: bool = False
) -> Callable:
    """Return nested vmaps of a derivative, one for each axis, the first axis outermost.

    Args:
        vmap: as `vmap(f, in_axes, out_axes)`.
        minimal: whether to tell it which results have no such axis. vmap refuses to be told
            wrongly, and copies the result for every point when it is not told.
    """
    names = list(case.values(2))
    function = _AT_POINT[case.quantity, mode](transforms, f, tuple(range(len(names))))
    for axis in reversed(case.axes):
        in_axes = tuple(0 if axis in case.dims.get(name, ()) else None for name in names)
        told = tuple(0 if axis in dims else None for dims in case.results.values())
        function = vmap(function, in_axes, told if minimal else 0)
    return function
