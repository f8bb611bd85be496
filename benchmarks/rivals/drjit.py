"""Dr.Jit: the derivatives of its LLVM back end, into new arrays at every call.

Dr.Jit traces at every call, which belongs to its time; where the call is frozen, it traces once.
A Jacobian stays as Dr.Jit lays it out, one array for each entry.
"""

import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from benchmarks.cases import Problem
from benchmarks.rivals.base import Rival, Unavailable, Work

__all__ = ["RIVALS"]

# Without a libLLVM that suits it, Dr.Jit may end the process: so another one tries it first.
_TRIAL = """
import numpy as np
from drjit.llvm.ad import Float64
print((Float64(np.ones(2)) + 1.0).numpy())
"""


def _prepare(problem: Problem, mode: str, freezes: bool = False) -> Work:
    import drjit as dr

    case = problem.case
    if case.quantity == "hessian":
        raise Unavailable("Dr.Jit has no second derivatives")
    f = case.function("drjit")
    dr.set_thread_count(problem.threads)
    dr.flush_malloc_cache()  # what other problems left is no help to this one
    arguments = _arguments(dr, problem)

    def derivative(arguments: Sequence[Any]) -> list[list[Any]]:
        return _ROWS[mode](dr, f, _over_the_points(dr, problem, arguments))

    rows = dr.freeze(derivative) if freezes else derivative

    def call() -> list[list[Any]]:
        results = rows(arguments)
        dr.eval(results)
        dr.sync_thread()
        return results

    return Work(call, partial(_read, problem))


def _require_llvm() -> None:
    """Raise Unavailable where Dr.Jit's LLVM back end does not run."""
    import drjit  # noqa: F401  Where it is not installed, that is the reason.

    if reason := _failure_of_the_trial():
        raise Unavailable(
            f"no libLLVM for Dr.Jit (DRJIT_LIBLLVM_PATH may name one, 15 or later): {reason}"
        )


@cache
def _failure_of_the_trial() -> str:
    done = subprocess.run([sys.executable, "-c", _TRIAL], capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]


def _arguments(dr: Any, problem: Problem) -> list[Any]:
    """Return an array for each argument, or one for each component of it.

    One that is held fixed is a number in memory, as it is for the others: a constant would be
    compiled into the kernel.
    """
    from drjit.llvm import ad

    real = {"float64": ad.Float64, "float32": ad.Float32}[problem.case.dtype]
    found: list[Any] = []
    for name, value in problem.values.items():
        if name not in problem.case.dims:
            found.append(dr.opaque(real, value))
        elif np.ndim(value) == 1:
            found.append(real(value))
        else:
            found.append([real(np.ascontiguousarray(column)) for column in np.transpose(value)])
    return found


def _over_the_points(dr: Any, problem: Problem, arguments: Sequence[Any]) -> list[Any]:
    """Give every argument a number for each point of the sweep, its last axis the fastest."""
    case, sizes = problem.case, problem.sizes
    points = []
    for name, argument in zip(problem.values, arguments):
        if name not in case.dims:
            points.append(argument + dr.zeros(type(argument), problem.n_points))
        elif len(sizes) > 1:
            (axis,) = case.dims[name]
            later = list(sizes)[list(sizes).index(axis) + 1 :]
            index = dr.arange(dr.llvm.UInt32, problem.n_points)
            index = index // math.prod(sizes[other] for other in later) % sizes[axis]
            points.append(dr.gather(type(argument), argument, index))
        else:
            points.append(dr.copy(argument))
    return points


def _outputs(f: Callable[..., Any], points: Sequence[Any]) -> list[Any]:
    y = f(*points)
    return y if isinstance(y, list) else [y]


def _components(points: Sequence[Any]) -> list[Any]:
    return [x for point in points for x in (point if isinstance(point, list) else [point])]


def _by_reverse(dr: Any, f: Callable[..., Any], points: list[Any]) -> list[list[Any]]:
    """Return the derivatives of each output, by a pass for each."""
    dr.enable_grad(points)
    rows = []
    for y in _outputs(f, points):
        # The edges of the graph stay, for the next output.
        dr.backward_from(y, flags=dr.ADFlag.ClearInterior | dr.ADFlag.ClearInput)
        rows.append([dr.grad(x) for x in _components(points)])
        dr.clear_grad(points)
    return rows


def _by_forward(dr: Any, f: Callable[..., Any], points: list[Any]) -> list[list[Any]]:
    """Return the derivatives of each output, by a pass for each component of the arguments.

    Every pass evaluates f. Dr.Jit computes what two passes have in common once, but for loops.
    """
    columns = []
    for k in range(len(_components(points))):
        own = dr.copy(points)
        x = _components(own)[k]
        dr.enable_grad(x)
        outputs = _outputs(f, own)
        dr.forward_from(x)
        columns.append([dr.grad(y) for y in outputs])
    return [list(row) for row in zip(*columns)]


_ROWS = {"reverse": _by_reverse, "forward": _by_forward}


def _read(problem: Problem, rows: Sequence[Sequence[Any]]) -> list[np.ndarray]:
    sizes = tuple(problem.sizes.values())
    entries = [
        [np.broadcast_to(entry.numpy(), problem.n_points).reshape(sizes) for entry in row]
        for row in rows
    ]
    if problem.case.quantity == "gradient":
        return entries[0]
    return [np.stack([np.stack(row, axis=-1) for row in entries], axis=-2)]


RIVALS = tuple(
    Rival(
        f"Dr.Jit, {mode}" + (", frozen" if freezes else ""),
        "Dr.Jit",
        partial(_prepare, mode=mode, freezes=freezes),
        require=_require_llvm,
    )
    for freezes in (False, True)
    for mode in _ROWS
)
