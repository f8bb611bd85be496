"""Evaluate the function itself at many points, by its own framework alone.

Values of the function's leaves enter, y leaves. No Program is run. The framework vectorises the
function where that gives the same numbers as a call for each point; otherwise it is called for
each point.
"""

from collections.abc import Sequence

import numpy as np

from gradsweep.checks.problem import Point, Problem
from gradsweep.checks.reading import Unavailable
from gradsweep.engines.job import Engine, Job, Kernel
from gradsweep.engines.loop import LoopEngine
from gradsweep.engines.torch import TorchEngine
from gradsweep.engines.xla import XlaEngine
from gradsweep.request.leaf import Leaf
from gradsweep.request.quantities import Derivative
from gradsweep.tracing.trace import trace

__all__ = ["Values"]

_AXIS = "evaluations"

# The most numbers that enter and leave the function in one vectorised call.
_BLOCK = 2_000_000


class Values:
    """y at any x near the points of a Problem, in double precision.

    Attributes:
        is_loop: whether every evaluation is a call of its own.
    """

    def __init__(self, problem: Problem):
        self._problem = problem
        first = _in_double(problem.points[0], problem.function_keys)
        try:
            self._traced = trace(problem.bound, Derivative("value", ()), first, problem.framework)
        except Exception as error:
            raise Unavailable(_describe(error)) from None
        # A value that is the same at all points may be large, and is passed once.
        self._fixed = {
            key: value
            for key, value in first.items()
            if key not in problem.derivative.wrt
            and all(np.array_equal(value, other.values[key]) for other in problem.points[1:])
        }
        self._kernel = self._make(LoopEngine())
        self.is_loop = True
        x = np.array([problem.x(point) for point in problem.points])
        which = np.arange(len(x))
        by_call = self(x, which)
        fast: Engine = TorchEngine() if problem.framework == "torch" else XlaEngine()
        try:
            self._kernel = self._make(fast)
            self.is_loop = False
            # float32 inside the function may round differently in a vectorised call.
            if np.allclose(self(x, which), by_call, rtol=1e-5, atol=1e-300, equal_nan=True):
                return
        except Exception:
            pass  # a function that cannot be vectorised is called for each point
        self._kernel = self._make(LoopEngine())
        self.is_loop = True

    def __call__(self, x: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Return y, of shape (n, length of y).

        Args:
            x: shape (n, length of x).
            which: for each row, the number of the point that its other values come from.
        """
        n = max(1, _BLOCK // max(1, x.shape[1] + self._problem.n_outputs))
        blocks = [self._block(x[i : i + n], which[i : i + n]) for i in range(0, len(x), n)]
        return np.concatenate(blocks)

    def _block(self, x: np.ndarray, which: np.ndarray) -> np.ndarray:
        n_rows = len(x)
        if not self.is_loop:
            # XLA compiles anew for every length, so lengths are rounded up to powers of two.
            more = (1 << (n_rows - 1).bit_length()) - n_rows
            x, which = (np.concatenate([a, np.repeat(a[:1], more, axis=0)]) for a in (x, which))
        leaves = self._leaves(x, which)
        arrays = [np.empty((len(x), *output.shape)) for output in self._problem.outputs]
        try:
            with np.errstate(all="ignore"):
                self._kernel(leaves, arrays)
        except Exception as error:
            raise Unavailable(_describe(error)) from None
        return np.concatenate([array.reshape(len(x), -1) for array in arrays], axis=1)[:n_rows]

    def _leaves(self, x: np.ndarray, which: np.ndarray) -> dict[str, Leaf]:
        problem = self._problem
        moved = problem.with_x(problem.points[0], x)
        leaves = {}
        for key in problem.function_keys:
            if key in self._fixed:
                value = self._fixed[key]
                leaves[key] = Leaf(key, (), value.shape, value)
                continue
            rows = moved[key]
            if key not in problem.derivative.wrt:
                rows = np.array([point.values[key] for point in problem.points])[which]
            leaves[key] = Leaf(key, (_AXIS,), rows.shape[1:], _double(rows))
        return leaves

    def _make(self, engine: Engine) -> Kernel:
        few = self._leaves(*(np.repeat(a, 2, axis=0) for a in self._first()))
        dims = ((_AXIS,),) * len(self._problem.outputs)
        job = Job(self._traced, few, (_AXIS,), dims, ())
        if reason := engine.refuses(job):
            raise Unavailable(reason)
        return engine.prepare(job)

    def _first(self) -> tuple[np.ndarray, np.ndarray]:
        return self._problem.x(self._problem.points[0])[None], np.zeros(1, dtype=np.int64)


def _in_double(point: Point, keys: Sequence[str]) -> dict[str, np.ndarray]:
    return {key: _double(point.values[key]) for key in keys}


def _double(value: np.ndarray) -> np.ndarray:
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _describe(error: Exception) -> str:
    line = str(error).partition("\n")[0].rstrip(".")
    return f"calling the function fails ({type(error).__name__}: {line})"
