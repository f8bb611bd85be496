"""Calls of a compiled quantity with few points, in microseconds.

For each form of a call, values are copied into arrays that the machine code was bound to
beforehand, and results out of one: with few points that costs less than telling it where new
arrays are. A Plan enters; values by name enter at each call, and arrays by name leave.
"""

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from gradsweep.derivative import Result
from gradsweep.labels import symmetric, variable_name
from gradsweep.leaf import Leaf, axes_of
from gradsweep.plans import Plan

__all__ = ["SmallCalls", "can_bind"]

# Up to so many numbers in all.
_SMALL = 2**13

_FORMS_KEPT = 8

# A call's form: the name, shape and dtype of each value. A float has neither of the last two.
_Form = tuple[tuple[str, tuple[int, ...] | None, Any], ...]


def can_bind(plan: Plan) -> bool:
    """Tell whether one Program holds for every point, and its machine code can be bound."""
    (first, *others) = plan.branches
    program = first.branch.traced.program
    holds = program is not None and not program.guards and not others
    return bool(holds) and hasattr(first.prepared.kernel, "bind")


class SmallCalls:
    """Computes a plan's results at new values, where they are few."""

    def __init__(self, plan: Plan):
        self._plan = plan
        self._forms: dict[_Form, _Bound | None] = {}
        self._lock = threading.Lock()
        # Numbers and arrays alone: containers and components take the general way.
        self._names = {
            a.name for a in plan.bound.arguments if a.is_single and not a.leaves[0].parts
        }

    def __call__(self, values: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
        """Return the results, or None when this is not a call of this kind."""
        form = []
        for name, value in values.items():
            if type(value) is np.ndarray:
                form.append((name, value.shape, value.dtype))
            elif type(value) is float:
                form.append((name, None, None))
            else:
                return None
        key = tuple(form)
        with self._lock:
            if key not in self._forms:
                if len(self._forms) >= _FORMS_KEPT:
                    self._forms.clear()
                self._forms[key] = self._bind(key)
            bound = self._forms[key]
            return None if bound is None else bound(values)

    def _bind(self, form: _Form) -> "_Bound | None":
        plan = self._plan
        leaves = dict(plan.leaves)
        for name, shape, dtype in form:
            if name not in self._names:
                return None
            leaf = leaves[name]
            shape, dtype = shape or (), dtype or leaf.dtype
            n_swept = len(leaf.dims)
            fits = len(shape) == n_swept + len(leaf.shape) and shape[n_swept:] == leaf.shape
            if not fits or dtype != leaf.dtype:
                return None  # the general way converts it, or says what is wrong
            leaves[name] = replace(leaf, values=np.empty(shape, dtype))
        bound = _Bound(plan, leaves, [name for name, _, _ in form])
        return bound if bound.n_numbers <= _SMALL else None


class _View(NamedTuple):
    """Where a variable lies in the block of all results."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int
    strides: tuple[int, ...]


class _Bound:
    """Machine code bound to arrays of its own."""

    def __init__(self, plan: Plan, leaves: Mapping[str, Leaf], changed: list[str]):
        axes = axes_of(leaves.values())
        self._inputs: dict[str, Any] = {name: leaves[name].values for name in changed}
        like = plan.with_axes(axes).allocate()
        n_bytes = [array.nbytes for array in like]
        starts = np.cumsum([0, *(-(-n // 8) * 8 for n in n_bytes)]).tolist()
        self._block = np.empty(starts[-1], np.uint8)
        self.n_numbers = starts[-1] // 8 + sum(v.size for v in self._inputs.values())
        arrays = [
            np.ndarray(array.shape, array.dtype, self._block, start, array.strides)
            for array, start in zip(like, starts)
        ]
        self._views = [
            _View(_name(plan, view), v.shape, v.dtype, start + _offset(v, array), v.strides)
            for result, dims, array, start in zip(plan.results, plan.dims, arrays, starts)
            for view, v in symmetric(result, len(dims), array)
        ]
        kernel: Any = plan.branches[0].prepared.kernel
        self._run = kernel.bind(leaves, arrays)

    def __call__(self, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        for name, array in self._inputs.items():
            array[...] = values[name]
        self._run()
        block = self._block.copy()
        return {
            name: np.ndarray(shape, dtype, block, offset, strides)
            for name, shape, dtype, offset, strides in self._views
        }


def _name(plan: Plan, result: Result) -> str:
    return variable_name(plan.labels, result)


def _offset(view: np.ndarray, array: np.ndarray) -> int:
    """Return how far into an array's memory a view of it begins, in bytes."""
    return view.__array_interface__["data"][0] - array.__array_interface__["data"][0]
