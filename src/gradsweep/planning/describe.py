"""A Decision as text: the text that a plan prints, and the code that it will run.

A Decision enters, text leaves.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from gradsweep.engines.cost import compiling_seconds, running_seconds
from gradsweep.planning.decision import Decision, PlannedBranch
from gradsweep.program.program import Program, count_written
from gradsweep.program.source import source as program_source
from gradsweep.request.argument import held_fixed
from gradsweep.request.partition import Partition
from gradsweep.results.layout import seconds_to_store
from gradsweep.results.names import variable_name
from gradsweep.running.run import Destination
from gradsweep.support.duration import format_seconds
from gradsweep.support.memory import format_bytes
from gradsweep.support.words import listed

__all__ = ["describe", "source"]


def source(decision: Decision) -> str:
    """Return the Program of each branch as readable straight-line code, stage by stage."""
    names = [variable_name(decision.labels, result) for result in decision.results]
    parts = []
    for number, planned in enumerate(decision.branches, start=1):
        program = planned.branch.traced.program
        title = [f"# {_title(number, planned)}"] if len(decision.branches) > 1 else []
        if program is None:
            parts.append("\n".join([*title, f"# no program: {planned.branch.traced.reason}"]))
            continue
        outputs = tuple(o._replace(name=name) for o, name in zip(program.outputs, names))
        code = program_source(
            replace(program, outputs=outputs),
            (
                (_along(stage.axes, planned.branch.axes), stage.equations)
                for stage in planned.prepared.job.stages
            ),
        )
        parts.append("\n".join([*title, code]))
    return "\n\n".join(parts)


def describe(decision: Decision) -> str:
    """Return a plan as text: engine and why, stages, dims, chunks, bytes, notes."""
    quantity, meaning = decision.derivative.quantity, decision.derivative.meaning
    axes = " x ".join(f"{axis}: {size:,}" for axis, size in decision.axes.items()) or "one point"
    lines = [
        f"{quantity} of {decision.bound.name} ({meaning}) over {axes}",
        f"  traced       with {decision.framework}, in {format_seconds(decision.trace_seconds)}",
    ]
    several = len(decision.branches) > 1
    if several:
        lines.append(f"  branches     {len(decision.branches)}, by {_what_divides(decision)}")
    if decision.partition is not None:
        assert decision.destination is not None
        lines += [_parts(decision, decision.partition), _cost(decision, decision.destination)]
    for number, planned in enumerate(decision.branches, start=1):
        lines += [f"  {_title(number, planned)}"] if several else []
        lines += [("  " if several else "") + line for line in _branch(planned)]
    statistics, gone = _reduction(decision)
    into = (
        f"; {statistics} over {', '.join(a for a in decision.axes if a in gone)}"
        if statistics
        else ""
    )
    lines += [
        f"  memory       {format_bytes(decision.projected_bytes)} projected",
        f"  results      {format_bytes(decision.result_bytes)} of {decision.dtype}{into}",
    ]
    names = [variable_name(decision.labels, result) for result in decision.results]
    width = max(map(len, names), default=0)
    for name, result, dims in zip(names, decision.results, decision.dims):
        along = " x ".join(dim for dim in dims if dim not in gone) or "no axis"
        shape = f", shape {result.numbers_shape}" if result.numbers_shape else ""
        kind = ", complex" if result.is_complex else ""
        lines.append(f"    {name:<{width}}  {along}{shape}{kind}")
    lines += [f"  note         {note}" for note in _notes(decision)]
    return "\n".join(lines)


def _title(number: int, planned: PlannedBranch) -> str:
    category = planned.branch.category
    return f"branch {number}: {category}" if category else f"branch {number}"


def _what_divides(decision: Decision) -> str:
    """Say what points are divided by: categories, Python branches, or both."""
    categories = {planned.branch.category for planned in decision.branches}
    names = [argument.name for argument in decision.bound.arguments]
    named = [n for n in names if any(f", {n}=" in f", {category}" for category in categories)]
    by = [f"the categories of {listed(named)}"] if categories != {""} else []
    if len(decision.branches) > len(categories):
        by.append("the function's own Python branches")
    return " and ".join(by)


def _parts(decision: Decision, partition: Partition) -> str:
    block = " x ".join(f"{axis}: {size:,}" for axis, size in partition.block.items())
    branches = ""
    if decision.replan is not None:
        is_kernel = decision.branches[0].prepared.choice.engine.runs_programs
        branches = "; each is " + ("checked for other branches" if is_kernel else "traced anew")
        if decision.branches[0].branch.category:
            branches = "; each is split by its categories"
    line = (
        f"  parts        {partition.n_parts:,} of {block or 'one point'}, "
        f"{format_bytes(decision.part_bytes)} of results each{branches}"
    )
    assert decision.destination is not None
    if decision.destination.travels:
        is_data = decision.replan is None and decision.branches[0].branch.traced.program is not None
        what = "program travels to the workers as data"
        line += f"\n  cluster      the {what if is_data else _AS_PICKLE}"
    return line


_AS_PICKLE = "function travels to the workers by cloudpickle; they need its framework too"


def _cost(decision: Decision, destination: Destination) -> str:
    """Write the time of computing, by the primitive table, and of storing, by a trial."""
    storing = decision.result_bytes * seconds_to_store(destination.store)
    told = f"{format_seconds(storing, 2)} {'reducing' if _reduction(decision)[0] else 'storing'}"
    if decision.branches[0].prepared.choice.engine.compiles:
        computing = running_seconds(decision.branches[0].prepared.job, decision.axes)
        told = f"{format_seconds(computing, 2)} computing, {told}"
    return f"  cost         about {told}, of one thread; they overlap"


def _reduction(decision: Decision) -> tuple[str, frozenset[str]]:
    """Return the statistics that are made of results, and their axes."""
    return (
        decision.destination.store.reduces(decision.axes)
        if decision.destination
        else ("", frozenset())
    )


def _notes(decision: Decision) -> Iterator[str]:
    """Yield facts that a user may want to know."""
    for key, leaf in decision.leaves.items():
        values = [values for _, values in leaf.parts] if leaf.parts else [leaf.values]
        arrays = [array for array in values if isinstance(array, np.ndarray)]  # none is loaded
        n_bad = 0
        for array in arrays if leaf.is_floating else ():
            bad = np.asarray(~np.isfinite(array))
            # A number counts once, though both of its parts are here.
            of_numbers = bad.any(-1) if leaf.is_complex and not leaf.parts else bad
            n_bad += int(np.count_nonzero(of_numbers))
        if n_bad:
            values_are = "values of {} are" if n_bad > 1 else "value of {} is"
            yield f"{n_bad:,} {values_are.format(key)} NaN or infinite"
    for result, number in zip(decision.results, range(len(decision.results))):
        if result.wrt and all(_is_zero(planned, number) for planned in decision.branches):
            name = variable_name(decision.labels, result)
            yield f"{name} is zero everywhere"
    if decision.derivative.wrt:
        for key, reason, _ in held_fixed(decision.bound.arguments, decision.derivative.wrt):
            what = "is an integer" if reason == "integer" else "has its default"
            yield (
                f"{key} {what} and is held fixed; "
                f"name it in wrt to differentiate with respect to it"
            )


def _branch(planned: PlannedBranch) -> Iterator[str]:
    traced = planned.branch.traced
    engine = planned.prepared.choice.engine
    yield f"  engine       {engine.name}"
    if engine.compiles:
        seconds = planned.prepared.compile_seconds
        expected = compiling_seconds(planned.prepared.job)
        yield (
            f"  compiled     in {format_seconds(seconds)}"
            if seconds
            else f"  compiled     when it is first run, in about {format_seconds(expected, 2)}"
        )
    for name, reason in planned.prepared.choice.refused.items():
        yield f"    not {name}: {reason}"
    if traced.program is not None:
        yield (
            f"  program      {_count(traced.program.n_written, 'equation')}, "
            f"about {_count(traced.program.flops, 'flop')} a point"
        )
        yield from _guards(traced.program)
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


def _guards(program: Program) -> Iterator[str]:
    """Write how many values the function's Python code has read, and at which lines."""
    if program.guards:
        yield f"    {_count(len(program.guards), 'guard')}, checked at every point"
    lines = [*dict.fromkeys(guard.where for guard in program.guards)]
    for line in lines[:_MOST_LINES]:
        yield f"      {line.rstrip(':')}"
    if len(lines) > _MOST_LINES:
        yield f"      and at {_count(len(lines) - _MOST_LINES, 'line')} more"


# The most lines of guards that are named.
_MOST_LINES = 3


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
