"""Calls of a compiled quantity that go straight into machine code.

For each form of a call, the shapes and dtypes of its values, a kernel is bound once. With few
points, values are copied into arrays of its own and results out of one, in microseconds all told;
with many, the kernel is pointed at the caller's arrays. A Plan enters; values by name enter at each
call, and arrays by name leave.

Where the function's Python code has branches, one kernel computes all ways that the points go, and
tells which of them each point goes. Where a point goes a way that is not known, nothing leaves.
"""

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import is_
from typing import Any

import numpy as np

from gradsweep.engines.choice import ComputeOptions
from gradsweep.engines.job import Bindable
from gradsweep.engines.prepared import Prepared
from gradsweep.planning.branches import Branch
from gradsweep.planning.plan import Plan
from gradsweep.planning.preparing import prepared_for
from gradsweep.program.guards import flops_apart, join_ways
from gradsweep.program.program import Program
from gradsweep.program.trace import Trace
from gradsweep.request.leaf import Leaf, axes_of
from gradsweep.request.partition import n_points
from gradsweep.results.names import variable_name, views
from gradsweep.running.chunks import allocate
from gradsweep.support.addresses import address_of, overlap
from gradsweep.support.locks import give_locks
from gradsweep.support.memory_pool import empty

__all__ = ["DirectCalls"]

# Up to so many numbers in all.
_SMALL = 2**13

# How many kernels are kept, and for each how many forms of call.
_KERNELS_KEPT = _FORMS_KEPT = 8

# A call's form: the name, shape and dtype of each value. A float has neither of the last two.
_Form = tuple[tuple[str, tuple[int, ...] | None, Any], ...]

# The ways through the function's Python branches that one kernel computes.
_Ways = tuple[Trace, ...]

# What it costs to compute each way's points apart: in flops, for each number moved and each way.
_FLOPS_A_NUMBER_MOVED, _FLOPS_A_WAY = 100, 1_000_000

# What a call returns when its points go other ways than it computed.
_OTHER_WAYS: dict[str, np.ndarray] = {}


class DirectCalls:
    """Computes a plan's results at new values, where machine code can be given them as they are.

    Args:
        plan: what is computed, with the ways that it knows through the function's branches.
        known: all ways that are known; others may be added to the list.
    """

    _lock: threading.Lock  # what a kernel is bound to is one call's at a time

    def __init__(self, plan: Plan, known: list[Trace], options: ComputeOptions):
        self._plan, self._known, self._options = plan, known, options
        # The points of the next call mostly go the ways that those of the last one went.
        self._ways: _Ways = tuple(planned.branch.traced for planned in plan.branches)
        self._kernels: dict[_Ways, _Kernel | None] = {}
        give_locks(self, "_lock")

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
        with self._lock:
            return self._follow(tuple(form), values, out)

    def _follow(
        self, form: _Form, values: Mapping[str, Any], out: Mapping[str, Any] | None
    ) -> dict[str, np.ndarray] | None:
        """Compute by the ways that the points go: as last time, or as the kernel then tells."""
        ways = self._ways
        tried: list[_Ways] = []
        while ways not in tried:
            kernel = self._kernel(ways)
            bound = None if kernel is None else kernel.bound(form)
            if bound is None:
                return None
            found = bound(values, out)
            if found is not _OTHER_WAYS:
                self._ways = ways
                return found
            tried.append(ways)
            is_used = bound.results.ways_used()
            used = tuple(way for way, is_taken in zip(ways, is_used) if is_taken)
            if not bound.results.are_everywhere():
                used = tuple(way for way in self._known if way.program is not None)
            ways = used
        return None

    def _kernel(self, ways: _Ways) -> "_Kernel | None":
        if ways not in self._kernels:
            if len(self._kernels) >= _KERNELS_KEPT:
                self._kernels.clear()
            self._kernels[ways] = self._make_kernel(ways)
        return self._kernels[ways]

    def _make_kernel(self, ways: _Ways) -> "_Kernel | None":
        if any(way.results != ways[0].results for way in ways):
            return None  # the general way says what is wrong
        programs = [way.program for way in ways if way.program is not None]
        program = join_ways(programs) if len(programs) == len(ways) else None
        if program is None:
            return None
        plan = self._plan
        is_alone = program is ways[0].program
        traced = ways[0] if is_alone else replace(ways[0], program=program)
        # All points of the sweep, along its own axes: those of one branch have another.
        branch = Branch(traced, plan.leaves, plan.axes, None)
        prepared = prepared_for(branch, self._options)
        if not isinstance(prepared.kernel, Bindable):
            return None
        n = len(plan.results)
        own, guarded = prepared.job.dims[:n], prepared.job.dims[n:]
        # Which of several ways a point goes counts too, even where they compute the same.
        more = {axis for dims in guarded for axis in dims} if len(ways) > 1 else set()
        dims = tuple(tuple(axis for axis in plan.axes if axis in {*of, *more}) for of in own)
        return _Kernel(replace(plan, dims=dims), prepared, programs)


class _Kernel:
    """What computes the results by some ways, bound to arrays once for each form of call.

    Args:
        plan: with the dims that the results have by these ways.
        ways: the Program of each.
    """

    def __init__(self, plan: Plan, prepared: Prepared, ways: Sequence[Program]):
        self._plan, self._prepared, self._ways = plan, prepared, ways
        self._forms: dict[_Form, _Small | _Large | None] = {}
        # Numbers and arrays alone: containers and components take the general way.
        self._names = {
            a.name for a in plan.bound.arguments if a.is_single and not a.leaves[0].parts
        }

    def bound(self, form: _Form) -> "_Small | _Large | None":
        """Return what computes calls of a form, or None when they take the general way."""
        try:
            return self._forms[form]
        except KeyError:
            pass
        if len(self._forms) >= _FORMS_KEPT:
            self._forms.clear()
        bound = self._forms[form] = self._bind(form)
        return bound

    def _bind(self, form: _Form) -> "_Small | _Large | None":
        leaves = dict(self._plan.leaves)
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
        plan = self._plan.with_axes(axes_of(leaves.values()))
        changed = [name for name, _, _ in form]
        n_numbers = plan.result_bytes // 8 + sum(leaves[name].whole().size for name in changed)
        of_size = _Small if n_numbers <= _SMALL else _Large
        if of_size is _Large and len(self._ways) > 1 and self._is_dear(plan):
            return None  # the general way computes each point by its own way alone
        return of_size(plan, self._prepared, leaves, changed)

    def _is_dear(self, plan: Plan) -> bool:
        """Tell whether all ways at every point cost more than the points of each way apart."""
        together = sum(stage.flops for stage in self._prepared.job.stages)
        n_moved = sum(leaf.n_elements for leaf in plan.leaves.values() if leaf.dims)
        n_moved += sum(math.prod(result.shape) for result in plan.results)
        apart = flops_apart(self._ways) + _FLOPS_A_NUMBER_MOVED * n_moved
        n = n_points(plan.axes, plan.axes)
        return (together - apart) * n > _FLOPS_A_WAY * len(self._ways)


class _Results:
    """The arrays of one form of call: their names, and their shapes in memory.

    Attributes:
        names: the name of each result that is computed.
        like: an array for each, of the shape that the caller gets.
        targets: views of these, with the axes that the kernel computes along.
        holds: for each way through the function's branches, the points that go it; none where
            there are no branches.
    """

    def __init__(self, plan: Plan, prepared: Prepared):
        self.names = [variable_name(plan.labels, result) for result in plan.results]
        self.like = plan.allocate(np.empty)
        dims = prepared.job.dims[len(plan.results) :]
        self.holds = [allocate(plan.axes, of, (), "bool") for of in dims]
        # The same, in shapes that broadcast.
        self._aligned = [
            holds[tuple(slice(None) if axis in of else np.newaxis for axis in plan.axes)]
            for holds, of in zip(self.holds, dims)
        ]
        # Where the kernel writes in arrays with more axes than it computes along.
        self._written = [
            tuple(slice(None) if axis in of else slice(1) for axis in dims)
            for dims, of in zip(plan.dims, prepared.job.dims)
        ]
        self.targets = [
            array[(*(slice(None) if axis in of else 0 for axis in dims), ...)]
            for array, dims, of in zip(self.like, plan.dims, prepared.job.dims)
        ]
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

    def spread(self, arrays: Sequence[np.ndarray]) -> None:
        """Repeat what the kernel wrote along the axes that it does not compute along."""
        for array, written in zip(arrays, self._written):
            if any(each.stop == 1 for each in written):
                array[...] = array[written]

    def hold(self) -> bool:
        """Tell whether every point goes one of the ways, and every way is gone by some point."""
        if len(self.holds) < 2:
            return all(holds.all() for holds in self.holds)
        return all(self.ways_used()) and self.are_everywhere()

    def ways_used(self) -> list[bool]:
        """Return for each way whether any point goes it."""
        return [bool(holds.any()) for holds in self.holds]

    def are_everywhere(self) -> bool:
        """Tell whether every point goes one of the ways."""
        return bool(reduce(np.logical_or, self._aligned).all())

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
        return arrays

    def given_as_laid_out(self, out: Mapping[str, Any]) -> list[np.ndarray] | None:
        """Return the caller's arrays, or None when they are not such as `allocate` gives."""
        arrays = self.given(out)
        for array, (_, _, strides) in zip(arrays or (), self._forms):
            if not (array.flags.behaved and array.strides == strides):
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

    def __init__(
        self, plan: Plan, prepared: Prepared, leaves: Mapping[str, Leaf], changed: Sequence[str]
    ):
        self._inputs: dict[str, Any] = {name: leaves[name].values for name in changed}
        self.results = _Results(plan, prepared)
        self._own = self.results.like
        kernel: Any = prepared.kernel
        self._run = kernel.bind(leaves, [*self.results.targets, *self.results.holds])
        self._known: Sequence[Any] = ()  # the caller's arrays of the last call

    def __call__(
        self, values: Mapping[str, Any], out: Mapping[str, Any] | None
    ) -> dict[str, np.ndarray] | None:
        given = None if out is None else self._arrays_of(out)
        if out is not None and given is None:
            return None  # the general way says what is wrong
        for name, array in self._inputs.items():
            array[...] = values[name]
        self._run()
        if self.results.holds:
            if not self.results.hold():
                return _OTHER_WAYS
            self.results.spread(self._own)
        if given is None:
            return self.results.named([own.copy("K") for own in self._own])
        try:
            for array, own in zip(given, self._own):
                array[...] = own
        except ValueError:  # one cannot be written into
            return None
        return self.results.named(given)

    def _arrays_of(self, out: Mapping[str, Any]) -> Sequence[Any] | None:
        """Return the caller's arrays, or None; looked at once where they are those of before."""
        arrays = [*map(out.get, self.results.names)]
        if len(arrays) != len(self._known) or not all(map(is_, arrays, self._known)):
            given = self.results.given(out) or ()
            self._known = () if overlap(given, ()) else given
        return self._known or None


class _Large:
    """A kernel that is pointed at the arrays of each call."""

    def __init__(
        self, plan: Plan, prepared: Prepared, leaves: Mapping[str, Leaf], changed: Sequence[str]
    ):
        self.results = _Results(plan, prepared)
        kernel: Any = prepared.kernel
        self._run = kernel.bind(leaves, [*self.results.targets, *self.results.holds])
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
        arrays = self.results.allocate() if out is None else self.results.given_as_laid_out(out)
        if arrays is None:
            return None  # the general way copies, or says what is wrong
        addresses = [address_of(array) for array in (*given, *arrays)]
        if addresses != self._addresses:
            if out is not None and overlap(arrays, [*given, *self._fixed]):
                return None
            self._point_at(given, arrays)
            self._addresses = addresses
        self._run()
        if not self.results.hold():
            return _OTHER_WAYS
        self.results.spread(arrays)
        return self.results.named(arrays)

    def _point_at(self, given: Sequence[np.ndarray], arrays: Sequence[np.ndarray]) -> None:
        self._addresses = []
        moved = dict(enumerate(arrays, start=self._n_read))
        for name, array in zip(self._changed, given):
            if name in self._reads:
                moved[self._reads[name]] = array
        self._run.point_at(moved)
        self._run.release()  # the caller holds them while it runs
