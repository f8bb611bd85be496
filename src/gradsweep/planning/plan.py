"""Plan: how a derivative will be computed over a sweep; it can be printed and run.

What was decided enters, labelled results leave. Nothing is decided here.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from gradsweep._version import __version__
from gradsweep.engines.choice import EngineOptions
from gradsweep.engines.cost import compiling_seconds, running_seconds
from gradsweep.engines.prepared import Prepared
from gradsweep.planning.branches import Branch
from gradsweep.program.program import count_written
from gradsweep.program.source import source
from gradsweep.request.function import BoundFunction
from gradsweep.request.identity import code_hash, reach_hash
from gradsweep.request.leaf import Leaf
from gradsweep.request.partition import Part, Partition, n_points
from gradsweep.request.quantities import QUANTITIES, Derivative, Result
from gradsweep.results.layout import ArrayBytes, Layout, seconds_to_store
from gradsweep.results.names import Labels, coordinates, dataset, variable_name, variables
from gradsweep.running.chunks import Task, allocate, execute
from gradsweep.running.program_work import ProgramWork, compute, work_with
from gradsweep.running.run import Destination, OnError, PartResult, PartWork, run
from gradsweep.support.memory import format_bytes

if TYPE_CHECKING:
    import xarray

__all__ = ["Plan", "PlannedBranch", "labels_of"]


def labels_of(bound: BoundFunction) -> Labels:
    """Return what results of a function are called after."""
    return Labels(bound.name, str(getattr(bound.function, "units", "")), bound.arguments)


@dataclass(frozen=True, eq=False)
class PlannedBranch:
    """One branch of the function, with the engine and the chunks it will run in."""

    branch: Branch
    prepared: Prepared
    chunks: Partition
    scratch_bytes: int


@dataclass(frozen=True, eq=False)
class Plan:
    """How a derivative will be computed over a sweep.

    Attributes:
        results: the arrays it will yield, and `dims` the swept axes of each, in order.
        branches: one, or one for each way through the function's Python branches; the first
            alone, where the sweep is run part by part.
        dtype: that of every result but truth values.
        partition: the parts that are run one by one; None to run it whole.
        destination: where the results of parts go.
        replan: plans a part anew, from its leaves, where one kernel may not hold for all.
    """

    bound: BoundFunction
    derivative: Derivative
    leaves: Mapping[str, Leaf]
    axes: Mapping[str, int]
    results: tuple[Result, ...]
    dims: tuple[tuple[str, ...], ...]
    branches: tuple[PlannedBranch, ...]
    dtype: str
    partition: Partition | None = None
    destination: Destination | None = None
    replan: Callable[[Mapping[str, Leaf]], "Plan"] | None = None

    @property
    def engine(self) -> str:
        """The engine that runs the first branch."""
        return self.branches[0].prepared.choice.engine.name

    @property
    def framework(self) -> str:
        return self.branches[0].branch.traced.framework

    @property
    def trace_seconds(self) -> float:
        return sum(planned.branch.traced.seconds for planned in self.branches)

    @cached_property
    def labels(self) -> Labels:
        return labels_of(self.bound)

    @property
    def result_bytes(self) -> int:
        """The bytes of all results together."""
        return sum(n_points(dims, self.axes) * n_bytes for dims, n_bytes in self.array_bytes)

    @property
    def array_bytes(self) -> list[ArrayBytes]:
        """For each result its dims, and its bytes at a point of them."""
        itemsize = np.dtype(self.dtype).itemsize
        return [
            (dims, math.prod(result.shape) * (1 if result.is_bool else itemsize))
            for result, dims in zip(self.results, self.dims)
        ]

    @property
    def held_bytes(self) -> int:
        """The bytes of the results and their labels, where they stay in memory."""
        loaded = sum(leaf.n_bytes for leaf in self.leaves.values() if leaf.is_lazy)
        axes = sum(leaf.n_bytes for leaf in self.leaves.values() if len(leaf.dims) == 1)
        # While xarray makes an index of an axis, it holds the values three times.
        return self.result_bytes + max(loaded, 3 * axes)

    @property
    def projected_bytes(self) -> int:
        """The bytes that running it takes, beside what is held when it is planned."""
        scratch = max((planned.scratch_bytes for planned in self.branches), default=0)
        if self.partition is None:
            return self.held_bytes + scratch
        assert self.destination is not None
        held = self.destination.store.held_bytes(self.axes, self.array_bytes)
        part = self.with_axes(self.partition.block).result_bytes
        return held + self.destination.copies * part + scratch

    def with_axes(self, axes: Mapping[str, int]) -> "Plan":
        """Return the plan for other lengths of the axes, to allocate by."""
        return replace(self, axes=axes)

    def allocate(self) -> list[np.ndarray]:
        """Return an array for each result, yet to be filled."""
        return [
            allocate(self.axes, dims, result.shape, "bool" if result.is_bool else self.dtype)
            for result, dims in zip(self.results, self.dims)
        ]

    def fill(self, arrays: Sequence[np.ndarray]) -> None:
        """Compute the sweep into arrays of the shapes that `allocate` gives."""
        tasks = [
            Task(
                kernel=planned.prepared.kernel,
                leaves=planned.branch.leaves,
                axes=planned.branch.axes,
                dims=planned.prepared.job.dims,
                points=planned.branch.points,
                chunks=planned.chunks,
            )
            for planned in self.branches
        ]
        execute(tasks, arrays, self.dims)
        for planned in self.branches:
            planned.prepared.n_runs += 1

    def run(self) -> "xarray.Dataset":
        """Compute the sweep and label it.

        Raises:
            StoreError: when results cannot be stored.
        """
        if self.destination is not None:
            title = f"{self.derivative.quantity} of {self.bound.name}"
            work = self._work(self.destination.on_error)
            return run(title, self.layout, work, self.destination)
        arrays = self.allocate()
        self.fill(arrays)
        return dataset(self.labels, self.results, self.dims, arrays, self.axes, self._attrs)

    @property
    def _attrs(self) -> dict[str, str]:
        return {
            "function": self.bound.name,
            "quantity": self.derivative.quantity,
            "engine": self.engine,
            "framework": self.framework,
            "gradsweep": __version__,
        }

    @property
    def _part_results(self) -> list[PartResult]:
        return [
            PartResult(dims, result.shape, "bool" if result.is_bool else self.dtype)
            for result, dims in zip(self.results, self.dims)
        ]

    @property
    def layout(self) -> Layout:
        """What is stored, before any of it is computed."""
        assert self.partition is not None
        dtypes = [result.dtype for result in self._part_results]
        found = variables(self.labels, self.results, self.dims, dtypes, self.axes)
        return Layout(
            partition=self.partition,
            variables=tuple(found),
            coordinates=coordinates(self.labels, found, self.axes),
            attrs={**self._attrs, "axes": " ".join(self.axes)},
            fingerprint=self._fingerprint,
        )

    @property
    def _fingerprint(self) -> dict[str, str]:
        """What makes a run this one: equal texts mean equal results."""
        program = self.branches[0].branch.traced.program
        derivative = self.derivative
        assert self.partition is not None
        return {
            "function": f"{self.bound.name}, {code_hash(self.bound.function)}",
            "what it refers to": reach_hash(self.bound.function),
            **{
                f"argument {a.name}": f"{a.written}, {reach_hash(a.form)}"
                for a in self.bound.arguments
            },
            "program": program.fingerprint if program is not None else "none",
            "quantity": derivative.quantity,
            "wrt": ", ".join(derivative.wrt),
            "with_value": str(derivative.with_value),
            "mode": derivative.mode,
            **{f"argument {key}": leaf.fingerprint for key, leaf in self.leaves.items()},
            "parts": " x ".join(f"{axis}: {n}" for axis, n in self.partition.block.items()),
            "dtype": self.dtype,
            "engine": self.engine,
            "framework": self.framework,
            "gradsweep": __version__,
        }

    def _work(self, on_error: OnError) -> PartWork:
        """Return what computes a part."""
        results, first = tuple(self._part_results), self.branches[0]
        n_at_once = 1 if self.destination is None else self.destination.n_at_once
        if self.replan is not None:
            anew = partial(_replanned, self.replan)
            work = PartWork(self.leaves, results, anew, on_error)
            if first.prepared.choice.engine.runs_programs:
                checked = partial(_checked, first.prepared, anew)
                work = PartWork(self.leaves, results, checked, on_error, n_at_once)
                work.portable = PartWork(self.leaves, results, anew, on_error)
            return work
        work = work_with(first.prepared, self.leaves, results, on_error, n_at_once)
        program = first.branch.traced.program
        if program is not None:
            work.portable = ProgramWork(
                program.to_json(),
                self.results,
                self.framework,
                self.leaves,
                self.axes,
                results,
                EngineOptions(self.engine, threads=1),
                on_error,
            )
        return work

    def source(self) -> str:
        """Return the Program of each branch as readable straight-line code, stage by stage."""
        names = [variable_name(self.labels, result) for result in self.results]
        parts = []
        for number, planned in enumerate(self.branches, start=1):
            program = planned.branch.traced.program
            title = [f"# branch {number}"] if len(self.branches) > 1 else []
            if program is None:
                parts.append("\n".join([*title, f"# no program: {planned.branch.traced.reason}"]))
                continue
            outputs = tuple(o._replace(name=name) for o, name in zip(program.outputs, names))
            code = source(
                replace(program, outputs=outputs),
                (
                    (_along(stage.axes, planned.branch.axes), stage.equations)
                    for stage in planned.prepared.job.stages
                ),
            )
            parts.append("\n".join([*title, code]))
        return "\n\n".join(parts)

    def __str__(self) -> str:
        return _describe(self)

    def __repr__(self) -> str:
        return str(self)  # which a notebook shows


Compute = Callable[[Mapping[str, Leaf], Part, Sequence[np.ndarray]], None]


def _checked(
    prepared: Prepared,
    replanned: Compute,
    leaves: Mapping[str, Leaf],
    part: Part,
    arrays: Sequence[np.ndarray],
) -> None:
    """Fill a part's arrays as one trace has it, or anew where the trace does not hold.

    Args:
        prepared: of a Program whose last output tells where it holds.
    """
    lengths = part.lengths
    *dims, guarded = prepared.job.dims
    holds = allocate(lengths, guarded, (), "bool")
    own = [
        array if len(of) == len(lengths) else allocate(lengths, of, shape, array.dtype.name)
        for array, of in zip(arrays, dims)
        for shape in [array.shape[len(lengths) :]]
    ]
    compute(prepared, leaves, part, [*own, holds])
    if holds.all():
        _spread(own, dims, part, arrays)
    else:
        replanned(leaves, part, arrays)


# Frameworks trace in one thread at a time.
_REPLANNING = Lock()


def _replanned(
    replan: Callable[[Mapping[str, Leaf]], Plan],
    leaves: Mapping[str, Leaf],
    part: Part,
    arrays: Sequence[np.ndarray],
) -> None:
    """Fill a part's arrays by a plan of its own."""
    with _REPLANNING:
        plan = replan(leaves)
        found = plan.allocate()
        plan.fill(found)
    _spread(found, plan.dims, part, arrays)


def _spread(
    found: Sequence[np.ndarray],
    dims: Sequence[tuple[str, ...]],
    part: Part,
    arrays: Sequence[np.ndarray],
) -> None:
    """Fill arrays with all axes: what points have in common is the same along those it lacks."""
    for array, values, of in zip(arrays, found, dims):
        if values is not array:
            array[...] = values[tuple(slice(None) if d in of else np.newaxis for d in part.slices)]


def _describe(plan: Plan) -> str:
    """Return the plan as text: engine and why, stages, dims, chunks, bytes, notes."""
    quantity = QUANTITIES[plan.derivative.quantity]
    axes = " x ".join(f"{axis}: {size:,}" for axis, size in plan.axes.items()) or "one point"
    lines = [
        f"{quantity.name} of {plan.bound.name} ({quantity.meaning}) over {axes}",
        f"  traced       with {plan.framework}, in {plan.trace_seconds * 1e3:.1f} ms",
    ]
    several = len(plan.branches) > 1
    if several:
        lines.append(f"  branches     {len(plan.branches)}, by the function's own Python branches")
    if plan.partition is not None:
        assert plan.destination is not None
        lines += [_parts(plan, plan.partition), _cost(plan, plan.destination)]
    for number, planned in enumerate(plan.branches):
        lines += [f"  branch {number + 1}"] if several else []
        lines += [("  " if several else "") + line for line in _branch(planned)]
    statistics, gone = _reduction(plan)
    into = (
        f"; {statistics} over {', '.join(a for a in plan.axes if a in gone)}" if statistics else ""
    )
    lines += [
        f"  memory       {format_bytes(plan.projected_bytes)} projected",
        f"  results      {format_bytes(plan.result_bytes)} of {plan.dtype}{into}",
    ]
    names = [variable_name(plan.labels, result) for result in plan.results]
    width = max(map(len, names), default=0)
    for name, result, dims in zip(names, plan.results, plan.dims):
        along = " x ".join(dim for dim in dims if dim not in gone) or "no axis"
        shape = f", shape {result.shape}" if result.shape else ""
        lines.append(f"    {name:<{width}}  {along}{shape}")
    lines += [f"  note         {note}" for note in _notes(plan)]
    return "\n".join(lines)


def _parts(plan: Plan, partition: Partition) -> str:
    block = " x ".join(f"{axis}: {size:,}" for axis, size in partition.block.items())
    n_bytes = plan.with_axes(partition.block).result_bytes
    branches = ""
    if plan.replan is not None:
        is_kernel = plan.branches[0].prepared.choice.engine.runs_programs
        branches = "; each is " + ("checked for other branches" if is_kernel else "traced anew")
    line = (
        f"  parts        {partition.n_parts:,} of {block or 'one point'}, "
        f"{format_bytes(n_bytes)} of results each{branches}"
    )
    assert plan.destination is not None
    if plan.destination.travels:
        is_data = plan.replan is None and plan.branches[0].branch.traced.program is not None
        what = "program travels to the workers as data"
        line += f"\n  cluster      the {what if is_data else _AS_PICKLE}"
    return line


_AS_PICKLE = "function travels to the workers by cloudpickle; they need its framework too"


def _cost(plan: Plan, destination: Destination) -> str:
    """Tell what computing and storing take: the one by the primitive table, the other tried."""
    storing = plan.result_bytes * seconds_to_store(destination.store)
    told = f"{storing:.2g} s {'reducing' if _reduction(plan)[0] else 'storing'}"
    if plan.engine == "fused":
        computing = running_seconds(plan.branches[0].prepared.job, plan.axes)
        told = f"{computing:.2g} s computing, {told}"
    return f"  cost         about {told}, of one thread; they overlap"


def _reduction(plan: Plan) -> tuple[str, frozenset[str]]:
    """Return what is made of results, and over which axes."""
    return plan.destination.store.reduces(plan.axes) if plan.destination else ("", frozenset())


def _notes(plan: Plan) -> Iterator[str]:
    """Yield what a user may want to know and has not asked."""
    for key, leaf in plan.leaves.items():
        values = [values for _, values in leaf.parts] if leaf.parts else [leaf.values]
        arrays = [array for array in values if isinstance(array, np.ndarray)]  # none is loaded
        n_bad = (
            sum(int(np.count_nonzero(~np.isfinite(v))) for v in arrays) if leaf.is_floating else 0
        )
        if n_bad:
            values_are = "values of {} are" if n_bad > 1 else "value of {} is"
            yield f"{n_bad:,} {values_are.format(key)} NaN or infinite"
    for result, number in zip(plan.results, range(len(plan.results))):
        if result.wrt and all(_is_zero(planned, number) for planned in plan.branches):
            name = variable_name(plan.labels, result)
            yield f"{name} is zero everywhere"
    for argument in plan.bound.sweep.arguments.values():
        if argument.promotable and argument.is_static:
            yield (
                f"{argument.name} is an integer, passed as it is; "
                f"name it in wrt to differentiate with respect to it"
            )


def _branch(planned: PlannedBranch) -> Iterator[str]:
    traced = planned.branch.traced
    engine = planned.prepared.choice.engine.name
    yield f"  engine       {engine}"
    if engine == "fused":
        seconds = planned.prepared.compile_seconds
        expected = compiling_seconds(planned.prepared.job)
        yield (
            f"  compiled     in {seconds * 1e3:.1f} ms"
            if seconds
            else f"  compiled     when it is first run, in about {expected * 1e3:.0f} ms"
        )
    for name, reason in planned.prepared.choice.refused.items():
        yield f"    not {name}: {reason}"
    if traced.program is not None:
        yield (
            f"  program      {_count(traced.program.n_written, 'equation')}, "
            f"about {_count(traced.program.flops, 'flop')} a point"
        )
        for loop in traced.program.loops:
            often = f"{loop.n_steps:,} times" if loop.n_steps else "as long as the point goes on"
            yield f"    loop {often}: {_count(loop.body.n_written, 'equation')}"
        for stage in planned.prepared.job.stages:
            along = _along(stage.axes, planned.branch.axes)
            n_equations = count_written(equation for _, equation in stage.equations)
            yield f"    stage {along}: {_count(n_equations, 'equation')}"
    else:
        yield f"  no program   {traced.reason}"
    chunks = planned.chunks
    block = " x ".join(f"{axis}: {size:,}" for axis, size in chunks.block.items()) or "one point"
    scratch = format_bytes(planned.scratch_bytes)
    yield f"  chunks       {chunks.n_parts:,} of {block}, {scratch} of scratch each"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _along(axes: Iterable[str], order: Iterable[str]) -> str:
    """Write the axes of a stage, in the sweep's order."""
    return " x ".join(axis for axis in order if axis in set(axes)) or "once"


def _is_zero(planned: PlannedBranch, number: int) -> bool:
    program = planned.branch.traced.program
    if program is None:
        return False
    constants = [program.constant(variable) for variable in program.outputs[number].variables]
    return all(constant is not None and constant.value == 0 for constant in constants)
