"""A quantity compiled for one function and one form of sweep: new values in, plain arrays out.

A Request enters. What is made of it takes values that have the dims that the sweep gave them, of
any length, and neither traces nor compiles again.
"""

from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from gradsweep.engines.choice import ComputeOptions
from gradsweep.engines.frameworks import offered_by
from gradsweep.planning.branches import goes_one_way
from gradsweep.planning.decision import PlannedBranch
from gradsweep.planning.direct_calls import DirectCalls
from gradsweep.planning.plan import Plan
from gradsweep.planning.planner import Known, make_plan
from gradsweep.planning.traces import holds_elsewhere
from gradsweep.program.trace import Trace
from gradsweep.request.argument import Argument
from gradsweep.request.identity import Unknown, identity
from gradsweep.request.lazy import joined, parts_of
from gradsweep.request.parsing import origin_of
from gradsweep.request.partition import Points
from gradsweep.request.request import Request, Selection, selections
from gradsweep.request.sweep import Sweep, renewed
from gradsweep.results.names import symmetric, variable_name, views
from gradsweep.running.chunks import scatter
from gradsweep.support.addresses import overlap
from gradsweep.support.errors import ArgumentError, StatefulFunction, SweepError, nearest

__all__ = ["CompiledQuantity"]


class CompiledQuantity:
    """What `gradsweep.compile` returns: call it with new values of some arguments, by name::

        kernel = gs.compile(gs.gradient, price, sweep)
        greeks = kernel(S=new_spots, sigma=0.21)
        greeks = kernel(S=newer_spots, out=greeks)

    The other arguments keep their values. A value has the dims that its argument has in the
    sweep, and may have other lengths along them; so have the entries of a container. What is
    passed as it is, such as a word or an integer, keeps its value too. `out` takes the arrays of an
    earlier call, to be written into; where the function has an argument of that name, use `into`.

    What the function reads beside its arguments, such as globals, is read when it is compiled.

    A call returns a dict of arrays by variable name, torch tensors or JAX arrays where the values
    are, else NumPy arrays.

    Attributes:
        plan: how the sweep that it was compiled for is computed.
        dims: for each variable, the swept axes that lead its array.
    """

    def __init__(self, request: Request, options: ComputeOptions):
        self._request = request
        self._options = options
        self._arguments = {argument.name: argument for argument in request.bound.arguments}
        self._takes_out = "out" not in self._arguments
        self._complex = {
            argument.name
            for argument in request.bound.arguments
            if any(leaf.is_complex for leaf in argument.leaves)
        }
        self._traces: Known = {}
        # Those of every category are kept, also where the plan needs one of them alone.
        is_categorical = bool(request.categorical)
        self.plan = make_plan(request, options, known=self._traces if is_categorical else None)
        branches: dict[Hashable, list[PlannedBranch]] = {}
        for planned in self.plan.branches:
            branches.setdefault(planned.branch.chosen, []).append(planned)
        for chosen, own in branches.items():
            self._traces[chosen] = _lasting(own)
        self._identity = _identity_of(request.bound.function)
        untouched = self.plan.allocate(np.empty)
        self.dims = {name: dims for name, dims, _ in _named(self.plan, untouched)}
        self._transposes = self.dims.keys() - {*_names(self.plan)}
        # Of complex results, the indices of both parts in the array of real numbers.
        self._parts: dict[str, list[Any]] = {
            variable_name(self.plan.labels, view): [
                (..., part, *(slice(None) for shape in view.wrt_shapes for _ in shape))
                for part in (0, 1)
            ]
            for result in self.plan.results
            for view, _ in views(result, 0)
            if result.is_complex
        }
        self._origin = next(filter(None, (a.origin for a in self._arguments.values())), "")
        self._direct = self._directly()

    def _directly(self) -> "DirectCalls | _EachDirectly | None":
        """Return what computes without a plan, where something can."""
        request, options = self._request, self._options
        if not request.categorical:
            return DirectCalls(self.plan, self._traces[request.chosen], options)
        found = selections(request)
        if not all(selection.dims <= request.category_axes for selection in found):
            return None  # whose points are told apart by the values of a call
        # Request.at keeps the axes of the whole sweep; with_leaves takes those that are left.
        plans = [
            make_plan(one.with_leaves(one.leaves), options, known=self._traces)
            for one in (selection.request for selection in found)
        ]
        if not all(goes_one_way([p.branch for p in plan.branches]) for plan in plans):
            return None  # the dims of a call are those of the ways that its points go
        calls = [
            DirectCalls(plan, self._traces[selection.request.chosen], options)
            for plan, selection in zip(plans, found)
        ]
        return _EachDirectly(self.plan, found, plans, calls)

    def __repr__(self) -> str:
        what = f"{self.plan.derivative.quantity} of {self.plan.bound.name}"
        return f"<compiled {what}; call it with new values of {', '.join(self._arguments)}>"

    def __deepcopy__(self, memo: dict) -> "CompiledQuantity":
        return self  # which gives the same for the same values, always

    def __call__(self, /, **values: Any) -> dict[str, Any]:
        return self._compute(values.pop("out", None) if self._takes_out else None, values)

    def into(self, out: Mapping[str, Any] | None, /, **values: Any) -> dict[str, Any]:
        """Compute with new values, into the arrays `out` unless it is None.

        Raises:
            ArgumentError: when a name is unknown.
            SweepError: when a value has other dims than its argument, or `out` other shapes
                than the results.
            StatefulFunction: when new values take a branch that is not compiled yet, and the
                function is no longer what it was.
        """
        return self._compute(out, values)

    def _compute(self, out: Mapping[str, Any] | None, values: Mapping[str, Any]) -> dict[str, Any]:
        if not (out is None or type(out) is dict or isinstance(out, Mapping)):
            raise SweepError(
                f"out is {type(out).__name__}; give a dict of arrays by variable name, such as an "
                f"earlier call returned."
            )
        if self._parts:
            kind, found = self._computed(None, values)
            for name, (real, imag) in self._parts.items():
                found[name] = joined(found[name][real], found[name][imag])
            return _of_kind(kind, found if out is None else self._copied(out, found))
        kind, found = self._computed(out, values)
        if out is not None:
            for name in self._transposes.intersection(out):
                # Derivatives by two numbers are one array, which an earlier call returned twice.
                if out[name] is not found[name]:
                    found[name] = _written(out, name, found[name])
        return _of_kind(kind, found)

    def _computed(
        self, out: Mapping[str, Any] | None, values: Mapping[str, Any]
    ) -> tuple[str, dict[str, np.ndarray]]:
        """Return whose arrays the results are to be, and the results as real numbers."""
        found = None
        if self._direct is not None and not self._origin:
            real = values if self._complex.isdisjoint(values) else self._in_parts(values)
            found = None if real is None else self._direct(real, out)
        if found is not None:
            return "", found
        origins = map(origin_of, values.values())
        return next(filter(None, origins), self._origin), self._filled(out, values)

    def _copied(
        self, out: Mapping[str, Any], found: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Return the caller's arrays with the results, which were computed in others."""
        wanted = [name for name in found if name in out or name not in self._transposes]
        buffers = {name: _buffer(out, name, found[name]) for name in wanted}
        originals = [name for name in wanted if name not in self._transposes]
        _refuse_overlapping(originals, [buffers[name] for name in originals])
        for name, buffer in buffers.items():
            buffer[...] = found[name]
        return {**found, **buffers}

    def _in_parts(self, values: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return values with the parts of complex arguments.

        None where one is neither an array of complex numbers nor a complex number.
        """
        real = dict(values)
        for name in self._complex.intersection(values):
            value = values[name]
            is_array = type(value) is np.ndarray and value.dtype.kind == "c"
            if not is_array and type(value) is not complex:
                return None
            real[name] = parts_of(value)
        return real

    def _filled(
        self, out: Mapping[str, Any] | None, values: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        """Compute by a plan of its own, which takes whatever a kernel does not."""
        request = self._with([self._read(name, value) for name, value in values.items()])
        plan = self._planned(request)
        arrays = plan.allocate() if out is None else plan.allocate(np.empty)
        if out is None:
            plan.fill(arrays)
        else:
            buffers = [_buffer(out, name, array) for name, array in zip(_names(plan), arrays)]
            _refuse_overlapping(_names(plan), buffers)
            read = [values for leaf in request.leaves.values() for _, values in leaf.pieces]
            # What is read must not be written over: as NumPy's own `out` does, through a copy.
            is_read = overlap(buffers, [np.asarray(values) for values in read])
            plan.fill(arrays if is_read else buffers)
            if is_read:
                for buffer, array in zip(buffers, arrays):
                    buffer[...] = array
            arrays = buffers
        return {name: array for name, _, array in _named(plan, arrays)}

    def _with(self, arguments: Sequence[Argument]) -> Request:
        """Return the request for new values of some arguments."""
        new = {argument.name: argument for argument in arguments}
        changed = {leaf.key: leaf for argument in arguments for leaf in argument.leaves}
        request = self._request
        if any(argument.categories is not None for argument in arguments):
            # Numbers stand for the categories, and these are the arguments' own.
            every = (
                new.get(name, replace(a, coordinates={})) for name, a in self._arguments.items()
            )
            bound = request.bound.with_sweep(Sweep.from_arguments(every))
            request = replace(request, bound=bound)
        return request.with_leaves({**request.leaves, **changed})

    def _planned(self, request: Request) -> Plan:
        """Plan for new values with the traces there are, adding what other branches need."""
        counts = {chosen: len(traces) for chosen, traces in self._traces.items()}
        plan = make_plan(request, self._options, known=self._traces)
        new = [trace for key, own in self._traces.items() for trace in own[counts.get(key, 0) :]]
        if not new or _identity_of(request.bound.function) == self._identity:
            return plan
        for chosen, own in self._traces.items():
            del own[counts.get(chosen, 0) :]
        if any(traced.point is None for traced in new):
            raise StatefulFunction(
                f"{self.plan.bound.name} takes another branch at these values, and what it reads "
                f"beside its arguments has changed since it was compiled.\nCompile it again."
            )
        return plan

    def _read(self, name: str, value: Any) -> Argument:
        """Return an argument with a new value, which has to have the dims of the old one."""
        argument = self._arguments.get(name)
        if argument is None:
            names = list(self._arguments)
            raise ArgumentError(
                f"{self.plan.bound.name} has no argument {name!r}; it takes {', '.join(names)}."
                f"{nearest(name, names)}"
            )
        read = renewed(argument, value)
        dtype = self._request.dtype
        return read.with_leaves(
            leaf.astype(dtype) if leaf.is_floating else leaf for leaf in read.leaves
        )


class _EachDirectly:
    """Direct calls for each category, where categories have axes of their own.

    Args:
        plan: of all of them together; its dims are those of the results.
        found: the points of each, and `plans` and `calls` what computes these.
    """

    def __init__(
        self,
        plan: Plan,
        found: Sequence[Selection],
        plans: Sequence[Plan],
        calls: Sequence[DirectCalls],
    ):
        self._plan = plan
        self._names = _names(plan)
        self._categorical = {
            argument.name for argument in plan.bound.arguments if argument.categories
        }
        self._lengths = {axis: plan.axes[axis] for axis in found[0].dims}
        self._parts = [
            (selection.places.points or Points({}), one.dims, call)
            for selection, one, call in zip(found, plans, calls)
        ]

    def __call__(
        self, values: Mapping[str, Any], out: Mapping[str, Any] | None
    ) -> dict[str, np.ndarray] | None:
        """Return the results, or None when this is not a call of this kind."""
        if out is not None or not self._categorical.isdisjoint(values):
            return None
        made = []
        for _, _, call in self._parts:
            found = call(values, None)
            if found is None:
                return None
            made.append([found[name] for name in self._names])
        arrays = []
        for number, whole in enumerate(self._plan.dims):
            own = [(of[number], part[number]) for (_, of, _), part in zip(self._parts, made)]
            sizes = {d: n for of, array in own for d, n in zip(of, array.shape)} | self._lengths
            of, first = own[0]
            shape = (*(sizes[dim] for dim in whole), *first.shape[len(of) :])
            array = np.empty(shape, first.dtype)
            for (points, _, _), (of, part) in zip(self._parts, own):
                scatter(part, of, array, whole, points)
            arrays.append(array)
        return {name: array for name, _, array in _named(self._plan, arrays)}


def _lasting(branches: Sequence[PlannedBranch]) -> list[Trace]:
    """Return the traces of branches that may hold for values of later calls."""
    # What torch maps over many points at once does the same at all of them.
    is_mapped = all(planned.prepared.choice.engine.name == "torch" for planned in branches)
    traces = [planned.branch.traced for planned in branches]
    return [
        replace(traced, point=None) if is_mapped else traced
        for traced in traces
        if is_mapped or holds_elsewhere(traced) or traced.point is not None
    ]


def _identity_of(function: Any) -> Hashable:
    """Return what tells whether a function has changed; None where nothing can."""
    try:
        return identity(function)
    except Unknown:
        return None


def _names(plan: Plan) -> list[str]:
    return [variable_name(plan.labels, result) for result in plan.results]


def _named(plan: Plan, arrays: Sequence[np.ndarray]):
    """Yield the name, the swept dims and the array of every variable."""
    for result, dims, array in zip(plan.results, plan.dims, arrays):
        for view, values in symmetric(result, len(dims), array):
            yield variable_name(plan.labels, view), dims, values


def _buffer(out: Mapping[str, Any], name: str, like: np.ndarray) -> np.ndarray:
    given: Any = out.get(name)
    is_plain = hasattr(given, "numpy") and not getattr(given, "requires_grad", False)
    array = given.numpy() if is_plain else given
    if not isinstance(array, np.ndarray) or not array.flags.writeable:
        raise SweepError(
            f"out[{name!r}] is {type(given).__name__}, which cannot be written into; "
            f"give NumPy arrays or torch tensors, such as an earlier call returned."
        )
    if array.shape != like.shape or array.dtype != like.dtype:
        raise SweepError(
            f"out[{name!r}] has shape {array.shape} and dtype {array.dtype}; these values give "
            f"{like.shape} and {like.dtype}."
        )
    return array


def _written(out: Mapping[str, Any], name: str, values: np.ndarray) -> np.ndarray:
    """Return the caller's array for the other order of a mixed derivative, which is written.

    It may be a view of the first order's array, as an earlier call returned it.
    """
    array = _buffer(out, name, values)
    if not np.shares_memory(array, values):
        array[...] = values
    elif (array.ctypes.data, array.strides) != (values.ctypes.data, values.strides):
        raise SweepError(
            f"out[{name!r}] shares memory with another result; give it an array of its own."
        )
    return array


def _refuse_overlapping(names: Sequence[str], buffers: Sequence[np.ndarray]) -> None:
    for number, buffer in enumerate(buffers):
        for name, other in zip(names[:number], buffers):
            if np.shares_memory(buffer, other):
                raise SweepError(
                    f"out[{names[number]!r}] and out[{name!r}] share memory; give each result an "
                    f"array of its own."
                )


def _of_kind(kind: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return arrays of the framework that the values came from, sharing memory with torch."""
    if not kind:
        return arrays
    context: AbstractContextManager = nullcontext()
    if kind == "jax":
        from gradsweep.tracing.jax.operators import scoped_x64

        context = scoped_x64()
    with context:
        return {name: offered_by(kind).asarray(array) for name, array in arrays.items()}
