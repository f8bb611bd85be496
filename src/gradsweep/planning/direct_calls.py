"""Calls of a compiled quantity that go straight into machine code.

For each form of a call, the shapes and dtypes of its values, a kernel is bound once. With few
points, values are copied into arrays of its own and results out of one, in microseconds all told;
with many, the kernel is pointed at the caller's arrays. A Plan enters; values by name enter at each
call, and arrays by name leave.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import is_
from typing import Any

import numpy as np

from gradsweep.engines.job import Bindable
from gradsweep.planning.plan import Plan
from gradsweep.request.leaf import Leaf, axes_of
from gradsweep.results.names import variable_name, views
from gradsweep.support.addresses import address_of, overlap
from gradsweep.support.locks import give_locks
from gradsweep.support.memory_pool import empty

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
    return bool(holds) and isinstance(first.prepared.kernel, Bindable)


class DirectCalls:
    """Computes a plan's results at new values, where machine code can be given them as they are."""

    _lock: threading.Lock  # what a kernel is bound to is one call's at a time

    def __init__(self, plan: Plan):
        self._plan = plan
        self._forms: dict[_Form, _Small | _Large | None] = {}
        give_locks(self, "_lock")
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
            try:
                bound = self._forms[key]
            except KeyError:
                if len(self._forms) >= _FORMS_KEPT:
                    self._forms.clear()
                bound = self._forms[key] = self._bind(key)
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


class _Results:
    """The arrays of one form of call: what they are called, and their shapes in memory.

    Attributes:
        names: of each result that is computed.
        like: an array for each, which nobody reads.
    """

    def __init__(self, plan: Plan):
        self.names = [variable_name(plan.labels, result) for result in plan.results]
        self.like = plan.untouched()
        self._forms = [(array.shape, array.dtype, array.strides) for array in self.like]
        # Each variable by the number of the result that it shows; its axes moved, if they are.
        self._shown = [
            (variable_name(plan.labels, view), number, order)
            for number, (result, dims) in enumerate(zip(plan.results, plan.dims))
            for view, order in views(result, len(dims))
        ]
        self._is_shown_once = len(self._shown) == len(self.names)
        # Axes in the order in which they lie in memory, and where each stands in the array.
        self._memory = []
        for array in self.like:
            order = np.argsort([-stride for stride in array.strides], kind="stable").tolist()
            shape = tuple(array.shape[axis] for axis in order)
            is_straight = order == [*range(array.ndim)]
            back = None if is_straight else np.argsort(order).tolist()
            self._memory.append((shape, array.dtype, back))

    def allocate(self) -> list[np.ndarray]:
        return [
            empty(shape, dtype) if back is None else empty(shape, dtype).transpose(back)
            for shape, dtype, back in self._memory
        ]

    def given(self, out: Mapping[str, Any]) -> list[np.ndarray] | None:
        """Return the caller's arrays, or None when they do not have the shapes of the results."""
        arrays = []
        for name, (shape, dtype, _) in zip(self.names, self._forms):
            array = out.get(name)
            if type(array) is not np.ndarray or array.shape != shape or array.dtype != dtype:
                return None
            arrays.append(array)
        return arrays if len({*map(id, arrays)}) == len(arrays) else None

    def given_as_laid_out(self, out: Mapping[str, Any]) -> list[np.ndarray] | None:
        """Return the caller's arrays, or None when they are not such as `allocate` gives."""
        arrays = self.given(out)
        for array, (_, _, strides) in zip(arrays or (), self._forms):
            flags = array.flags
            if not (flags.writeable and flags.aligned and array.strides == strides):
                return None
        return arrays

    def named(self, arrays: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return every variable of a call by name."""
        if self._is_shown_once:
            return dict(zip(self.names, arrays))
        return {
            name: arrays[number] if order is None else arrays[number].transpose(order)
            for name, number, order in self._shown
        }


class _Small:
    """A kernel bound to arrays of its own, which values are copied into and results out of."""

    def __init__(self, plan: Plan, leaves: Mapping[str, Leaf], changed: Sequence[str]):
        self._inputs: dict[str, Any] = {name: leaves[name].values for name in changed}
        self._results = _Results(plan)
        self._own = self._results.like
        kernel: Any = plan.branches[0].prepared.kernel
        self._run = kernel.bind(leaves, self._own)
        self._known: Sequence[Any] = ()  # the caller's arrays of the last call

    def __call__(
        self, values: Mapping[str, Any], out: Mapping[str, Any] | None
    ) -> dict[str, np.ndarray] | None:
        given = None if out is None else self._given(out)
        if out is not None and given is None:
            return None  # the general way says what is wrong
        for name, array in self._inputs.items():
            array[...] = values[name]
        self._run()
        if given is None:
            return self._results.named([own.copy("K") for own in self._own])
        try:
            for array, own in zip(given, self._own):
                array[...] = own
        except ValueError:  # one cannot be written into
            return None
        return self._results.named(given)

    def _given(self, out: Mapping[str, Any]) -> Sequence[Any] | None:
        """Return the caller's arrays, or None; looked at once where they are those of before."""
        arrays = [*map(out.get, self._results.names)]
        if len(arrays) != len(self._known) or not all(map(is_, arrays, self._known)):
            self._known = self._results.given(out) or ()
        return self._known or None


class _Large:
    """A kernel that is pointed at the arrays of each call."""

    def __init__(self, plan: Plan, leaves: Mapping[str, Leaf], changed: Sequence[str]):
        self._results = _Results(plan)
        kernel: Any = plan.branches[0].prepared.kernel
        self._run = kernel.bind(leaves, self._results.like)
        self._run.release()
        self._reads: dict[str, int] = {}
        self._fixed = []  # their memory is read at every call
        n_read = 0
        for key in kernel.reads:
            self._reads[key] = n_read
            pieces = [values for _, values in leaves[key].pieces]
            self._fixed += [] if key in changed else pieces
            n_read += len(pieces)
        self._n_read = n_read
        self._changed = list(changed)
        self._strides = [leaves[name].whole().strides for name in changed]
        self._dtypes = [leaves[name].dtype for name in changed]
        self._addresses: list[int] = []  # of the arrays that the kernel was last pointed at

    def __call__(
        self, values: Mapping[str, Any], out: Mapping[str, Any] | None
    ) -> dict[str, np.ndarray] | None:
        # A Python float takes the dtype of the leaf; an array has it, or the form is another.
        given = [np.asarray(values[n], dtype) for n, dtype in zip(self._changed, self._dtypes)]
        if [array.strides for array in given] != self._strides:
            return None
        arrays = self._results.allocate() if out is None else self._results.given_as_laid_out(out)
        if arrays is None:
            return None  # the general way copies, or says what is wrong
        addresses = [address_of(array) for array in (*given, *arrays)]
        if addresses != self._addresses:
            if out is not None and overlap(arrays, [*given, *self._fixed]):
                return None
            self._point_at(given, arrays)
            self._addresses = addresses
        self._run()
        return self._results.named(arrays)

    def _point_at(self, given: Sequence[np.ndarray], arrays: Sequence[np.ndarray]) -> None:
        self._addresses = []
        moved = dict(enumerate(arrays, start=self._n_read))
        for name, array in zip(self._changed, given):
            if name in self._reads:
                moved[self._reads[name]] = array
        self._run.point_at(moved)
        self._run.release()  # the caller holds them while it runs
