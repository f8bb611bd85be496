"""Plan: how a derivative will be computed over a sweep; it can be printed and run.

What was decided enters, labelled results leave. Nothing is decided here.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gradsweep._version import __version__
from gradsweep.branches import Branch
from gradsweep.derivative import QUANTITIES, Derivative, Result
from gradsweep.engines import Choice
from gradsweep.engines.base import Job, Kernel
from gradsweep.execute import Task, allocate, execute
from gradsweep.function import BoundFunction
from gradsweep.labels import Labels, dataset, variable_name
from gradsweep.leaf import Leaf
from gradsweep.memory import SCRATCH_BYTES, Chunk, make_chunks

if TYPE_CHECKING:
    import xarray

__all__ = ["Plan", "PlannedBranch", "Prepared", "labels_of"]


def labels_of(bound: BoundFunction) -> Labels:
    """Return what results of a function are called after."""
    return Labels(bound.name, str(getattr(bound.function, "units", "")), bound.arguments)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A traced derivative with the engine that runs it, whatever the lengths of the axes."""

    job: Job
    choice: Choice
    _chunks: dict = field(default_factory=dict)

    @cached_property
    def kernel(self) -> Kernel:
        return self.choice.engine.prepare(self.job)

    def scratch_bytes(self, block: Mapping[str, int]) -> int:
        """Project what the engine's intermediates take on a block of the axes."""
        return self.choice.engine.scratch_bytes(self.job, block)

    def chunks(self, axes: Mapping[str, int]) -> tuple[Mapping[str, int], tuple[Chunk, ...], int]:
        """Cut the axes so that intermediates fit: the block, the chunks, and its bytes."""
        lengths = tuple(axes.items())
        if lengths not in self._chunks:
            block, chunks = make_chunks(axes, self.scratch_bytes, SCRATCH_BYTES)
            self._chunks.clear()  # the last one is the one asked for again
            self._chunks[lengths] = block, chunks, self.scratch_bytes(block)
        return self._chunks[lengths]


@dataclass(frozen=True, eq=False)
class PlannedBranch:
    """One branch of the function, with the engine and the chunks it will run in."""

    branch: Branch
    prepared: Prepared
    block: Mapping[str, int]
    chunks: tuple[Chunk, ...]
    scratch_bytes: int


@dataclass(frozen=True, eq=False)
class Plan:
    """How a derivative will be computed over a sweep.

    Attributes:
        results: the arrays it will yield, and `dims` the swept axes of each, in order.
        branches: one, or one for each way through the function's Python branches.
        dtype: that of every result but truth values.
    """

    bound: BoundFunction
    derivative: Derivative
    leaves: Mapping[str, Leaf]
    axes: Mapping[str, int]
    results: tuple[Result, ...]
    dims: tuple[tuple[str, ...], ...]
    branches: tuple[PlannedBranch, ...]
    dtype: str

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
        return sum(
            int(np.prod([self.axes[d] for d in dims] + list(result.shape), dtype=object))
            * (1 if result.is_bool else np.dtype(self.dtype).itemsize)
            for result, dims in zip(self.results, self.dims)
        )

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

    def run(self) -> "xarray.Dataset":
        """Compute the sweep and label it."""
        arrays = self.allocate()
        self.fill(arrays)
        attrs = {
            "function": self.bound.name,
            "quantity": self.derivative.quantity,
            "engine": self.engine,
            "framework": self.framework,
            "gradsweep": __version__,
        }
        return dataset(self.labels, self.results, self.dims, arrays, self.axes, attrs)

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
            code = replace(program, outputs=outputs).to_source(
                (_along(stage.axes, planned.branch.axes), stage.equations)
                for stage in planned.prepared.job.stages
            )
            parts.append("\n".join([*title, code]))
        return "\n\n".join(parts)

    def __str__(self) -> str:
        return _describe(self)


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
    for number, planned in enumerate(plan.branches):
        lines += [f"  branch {number + 1}"] if several else []
        lines += [("  " if several else "") + line for line in _branch(planned)]
    lines += [f"  results      {_bytes(plan.result_bytes)} of {plan.dtype}"]
    names = [variable_name(plan.labels, result) for result in plan.results]
    width = max(map(len, names), default=0)
    for name, result, dims in zip(names, plan.results, plan.dims):
        along = " x ".join(dims) if dims else "no axis"
        shape = f", shape {result.shape}" if result.shape else ""
        lines.append(f"    {name:<{width}}  {along}{shape}")
    lines += [f"  note         {note}" for note in _notes(plan)]
    return "\n".join(lines)


def _notes(plan: Plan) -> Iterator[str]:
    """Yield what a user may want to know and has not asked."""
    for key, leaf in plan.leaves.items():
        values = [values for _, values in leaf.parts] if leaf.parts else [leaf.whole()]
        n_bad = (
            sum(int(np.count_nonzero(~np.isfinite(v))) for v in values) if leaf.is_floating else 0
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
    yield f"  engine       {planned.prepared.choice.engine.name}"
    for name, reason in planned.prepared.choice.refused.items():
        yield f"    not {name}: {reason}"
    if traced.program is not None:
        yield (
            f"  program      {len(traced.program.equations):,} equations, "
            f"about {traced.program.flops:,} flops a point"
        )
        for stage in planned.prepared.job.stages:
            along = _along(stage.axes, planned.branch.axes)
            yield f"    stage {along}: {len(stage.equations):,} equations"
    else:
        yield f"  no program   {traced.reason}"
    n_chunks = len(planned.chunks)
    block = " x ".join(f"{axis}: {size:,}" for axis, size in planned.block.items()) or "one point"
    yield f"  chunks       {n_chunks:,} of {block}, {_bytes(planned.scratch_bytes)} of scratch each"


def _along(axes: Iterable[str], order: Iterable[str]) -> str:
    """Write the axes of a stage, in the sweep's order."""
    return " x ".join(axis for axis in order if axis in set(axes)) or "once"


def _is_zero(planned: PlannedBranch, number: int) -> bool:
    program = planned.branch.traced.program
    if program is None:
        return False
    constants = [program.constant(variable) for variable in program.outputs[number].variables]
    return all(constant is not None and constant.value == 0 for constant in constants)


def _bytes(n_bytes: int) -> str:
    if n_bytes < 1000:
        return f"{n_bytes} bytes"
    units = ["kB", "MB", "GB", "TB"]
    power = min(len(units), int(math.log(n_bytes, 1000)))
    return f"{n_bytes / 1000**power:.1f} {units[power - 1]}"
