"""Calls of a compiled quantity that go straight into machine code.

For each form of a call, the shapes and dtypes of its values, a kernel is bound once. With few
points, values are copied into arrays of its own and results out of one, in microseconds all told;
with many, the kernel is pointed at the caller's arrays. A Plan enters; values by name enter at each
call, and arrays by name leave.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from gradsweep.derivative import Result
from gradsweep.labels import symmetric, variable_name
from gradsweep.leaf import Leaf, axes_of
from gradsweep.plans import Plan

__all__ = ["DirectCalls", "can_bind"]

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


class DirectCalls:
    """Computes a plan's results at new values, where machine code can be given them as they are."""

    def __init__(self, plan: Plan):
        self._plan = plan
        self._forms: dict[_Form, _Small | _Large | None] = {}
        # What a kernel is bound to is one call's at a time.
        self._lock = threading.Lock()
        # Numbers and arrays alone: containers and components take the general way.
        self._names = {
            a.name for a in plan.bound.arguments if a.is_single and not a.leaves[0].parts
        }

    def __call__(
        self, values: Mapping[str, Any], out: Mapping[str, Any] | None
    ) -> dict[str, np.ndarray] | None:
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
            return None if bound is None else bound(values, out)

    def _bind(self, form: _Form) -> "_Small | _Large | None":
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
        plan = plan.with_axes(axes_of(leaves.values()))
        changed = [name for name, _, _ in form]
        n_numbers = plan.result_bytes // 8 + sum(leaves[name].whole().size for name in changed)
        return (_Small if n_numbers <= _SMALL else _Large)(plan, leaves, changed)


class _View(NamedTuple):
    """Where a variable lies in the block of all results."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int
    strides: tuple[int, ...]


class _Small:
    """A kernel bound to arrays of its own, which values are copied into."""

    def __init__(self, plan: Plan, leaves: Mapping[str, Leaf], changed: Sequence[str]):
        self._inputs: dict[str, Any] = {name: leaves[name].values for name in changed}
        like = plan.allocate()
        n_words = [-(-array.nbytes // 8) for array in like]
        starts = (8 * np.cumsum([0, *n_words])).tolist()
        self._block = np.empty(starts[-1], np.uint8)
        arrays = [
            np.ndarray(array.shape, array.dtype, self._block, start, array.strides)
            for array, start in zip(like, starts)
        ]
        self._plan = plan
        self._own = {_name(plan, result): array for result, array in zip(plan.results, arrays)}
        self._views = [
            _View(_name(plan, view), v.shape, v.dtype, start + _offset(v, array), v.strides)
            for result, dims, array, start in zip(plan.results, plan.dims, arrays, starts)
            for view, v in symmetric(result, len(dims), array)
        ]
        kernel: Any = plan.branches[0].prepared.kernel
        self._run = kernel.bind(leaves, arrays)

    def __call__(
        self, values: Mapping[str, Any], out: Mapping[str, Any] | None
    ) -> dict[str, np.ndarray] | None:
        if out is not None and not self._fits(out):
            return None  # the general way says what is wrong
        for name, array in self._inputs.items():
            array[...] = values[name]
        self._run()
        if out is not None:
            return self._copied_into(out)
        block = self._block.copy()
        return {
            name: np.ndarray(shape, dtype, block, offset, strides)
            for name, shape, dtype, offset, strides in self._views
        }

    def _fits(self, out: Mapping[str, Any]) -> bool:
        arrays = ((out.get(name), own) for name, own in self._own.items())
        return all(
            type(array) is np.ndarray
            and array.shape == own.shape
            and array.dtype == own.dtype
            and array.flags.writeable
            for array, own in arrays
        )

    def _copied_into(self, out: Mapping[str, Any]) -> dict[str, np.ndarray]:
        for name, own in self._own.items():
            out[name][...] = own
        return {
            _name(self._plan, view): values
            for result, dims in zip(self._plan.results, self._plan.dims)
            for view, values in symmetric(result, len(dims), out[_name(self._plan, result)])
        }


class _Large:
    """A kernel that is pointed at the arrays of each call."""

    def __init__(self, plan: Plan, leaves: Mapping[str, Leaf], changed: Sequence[str]):
        self._plan = plan
        self._names = [_name(plan, result) for result in plan.results]
        kernel: Any = plan.branches[0].prepared.kernel
        like = plan.allocate()
        self._run = kernel.bind(leaves, like)
        self._run.release()
        self._reads: list[np.ndarray] = []
        self._positions: dict[str, int] = {}
        for key in kernel.reads:
            self._positions[key] = len(self._reads)
            self._reads += [values for _, values in leaves[key].pieces]
        self._changed = list(changed)
        self._strides = [leaves[name].whole().strides for name in changed]
        self._forms = [(array.shape, array.dtype, array.strides) for array in like]

    def __call__(
        self, values: Mapping[str, Any], out: Mapping[str, Any] | None
    ) -> dict[str, np.ndarray] | None:
        given = [np.asarray(values[name]) for name in self._changed]
        if [array.strides for array in given] != self._strides:
            return None
        arrays: list[Any] = (
            [*self._plan.allocate()] if out is None else [out.get(name) for name in self._names]
        )
        for array, form in zip(arrays, self._forms):
            if type(array) is not np.ndarray or (array.shape, array.dtype, array.strides) != form:
                return None  # the general way copies, or says what is wrong
            if not (array.flags.writeable and array.flags.aligned):
                return None
        reads = list(self._reads)
        for name, array in zip(self._changed, given):
            if name in self._positions:
                reads[self._positions[name]] = array
        self._run.point_at([*reads, *arrays])
        self._run()
        self._run.release()
        return {
            variable_name(self._plan.labels, view): values
            for result, dims, array in zip(self._plan.results, self._plan.dims, arrays)
            for view, values in symmetric(result, len(dims), array)
        }


def _name(plan: Plan, result: Result) -> str:
    return variable_name(plan.labels, result)


def _offset(view: np.ndarray, array: np.ndarray) -> int:
    """Return how far into an array's memory a view of it begins, in bytes."""
    return view.__array_interface__["data"][0] - array.__array_interface__["data"][0]
