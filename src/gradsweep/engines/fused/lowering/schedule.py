"""Lay a Program out as loops over memory: which loop computes what, and what it reads and writes.

A Job enters, a Schedule leaves. Each stage becomes a Nest, a loop over the points of its axes. A
value that a nest with more axes needs is kept in a buffer, or computed again where that is as cheap
as reading it.

Knows nothing of machine code, nor of how long the axes are.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple

from gradsweep.engines.axes import Axes, Dependence, analyse
from gradsweep.engines.fused.lowering.demand import Demand, find_demands
from gradsweep.engines.fused.lowering.rows import Rows, place_rows, results_together
from gradsweep.engines.fused.lowering.segments import Segment, cut
from gradsweep.engines.job import Job
from gradsweep.program.element_loops.bodies import with_short_bodies
from gradsweep.program.program import Equation, Program, reads, total_flops
from gradsweep.program.pruning import ancestors

__all__ = ["Nest", "Schedule", "Slot", "make_schedule"]

Equations = Mapping[int, Equation]

# An equation that costs this much is a call, worth the test of a condition that may save it.
_CALL_FLOPS = 10


class Slot(NamedTuple):
    """An array that nests read or write: one scalar variable along the axes it varies with.

    Attributes:
        kind: an input of the Program, a buffer between nests, or an entry of an output.
        variable: the variable whose values it holds.
        axes: in the order of the loops.
        place: for an output, its number and the index of the entry in it.
    """

    kind: Literal["input", "buffer", "output"]
    variable: int
    axes: tuple[str, ...]
    dtype: str
    place: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Nest:
    """A loop nest that computes equations once per point of its axes.

    Attributes:
        axes: its loops, the vectorised one last.
        equations: by the variable each defines, in the order in which they are computed.
        reads: the slots read, by number.
        writes: the slots written, by number.
        demands: for each equation that costs a call, the conditions without which it is skipped.
        segments: the equations cut into functions.
        rows: the places of the vectors that loops read and leave.
        n_places: how many vectors are kept in memory, for loops and between segments.
    """

    axes: tuple[str, ...]
    equations: Equations
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    demands: Mapping[int, Demand]
    segments: tuple[Segment, ...]
    rows: Rows
    n_places: int

    def varies(self, slot: Slot) -> bool:
        """Tell whether a slot varies along the vectorised axis; a written one always does."""
        return bool(self.axes) and self.axes[-1] in slot.axes

    @cached_property
    def flops(self) -> int:
        """Estimate the cost of one point, loads and stores included."""
        computed = total_flops(self.equations.values())
        return computed + len(self.reads) + 2 * len(self.writes)


@dataclass(frozen=True)
class Schedule:
    """The nests of a Program, in an order in which they can run.

    Attributes:
        axes: every axis of the sweep, in the order of the loops.
    """

    program: Program
    axes: tuple[str, ...]
    slots: tuple[Slot, ...]
    nests: tuple[Nest, ...]


@lru_cache(maxsize=32)
def make_schedule(job: Job, axes: tuple[str, ...]) -> Schedule:
    """Lay out the Program of a job.

    Args:
        axes: the axes of the job in the order of the loops: a nest vectorises the last of its own.
    """
    program = job.traced.program
    assert program is not None
    dependence = analyse(program, job.leaves)
    outputs: dict[Axes, list[Slot]] = {}
    for number, (output, dims) in enumerate(zip(program.outputs, job.dims)):
        own = tuple(axis for axis in axes if axis in dims)
        for entry, variable in enumerate(output.variables):
            slot = Slot("output", variable, own, program.dtype(variable), (number, entry))
            outputs.setdefault(frozenset(dims), []).append(slot)
    needed = _needed(program)
    computed: dict[Axes, Equations] = {group: {} for group in outputs}
    for stage in job.stages:
        kept = {v: equation for v, equation in stage.equations if v in needed}
        if kept:
            computed[stage.axes] = with_short_bodies(kept)
    order = sorted(computed, key=lambda group: (len(group), sorted(group)))
    read: dict[Axes, Collection[int]] = {}
    for group in order:
        stored = [slot.variable for slot in outputs.get(group, ())]
        again, read[group] = _read(program, dependence, computed[group], stored)
        computed[group] = {**again, **computed[group]}

    slots: list[Slot] = []
    numbers: dict[int, int] = {}
    for variable in sorted(set().union(*read.values())):
        numbers[variable] = len(slots)
        own = tuple(axis for axis in axes if axis in dependence.axes[variable])
        kind: Literal["input", "buffer"] = "input" if variable < len(program.inputs) else "buffer"
        slots.append(Slot(kind, variable, own, program.dtype(variable)))
    nests = []
    for group in order:
        buffered = [v for v in computed[group] if v in numbers and dependence.axes[v] == group]
        writes = [numbers[v] for v in buffered]
        for slot in outputs.get(group, ()):
            writes.append(len(slots))
            slots.append(slot)
        leaving = {slots[number].variable for number in writes}
        equations, demands = _in_sequence(computed[group], leaving, read[group])
        rows = place_rows(equations.items())
        segments, n_places = cut(equations, demands, rows)
        nests.append(
            Nest(
                axes=tuple(axis for axis in axes if axis in group),
                equations=equations,
                reads=tuple(numbers[v] for v in read[group]),
                writes=tuple(writes),
                demands=demands,
                segments=segments,
                rows=rows,
                n_places=n_places,
            )
        )
    return Schedule(program, axes, tuple(slots), tuple(nests))


def _needed(program: Program) -> set[int]:
    """Return the variables that the outputs depend on, without those that only guards read."""
    roots = {variable for output in program.outputs for variable in output.variables}
    return ancestors(list(program.numbered()), roots)


def _read(
    program: Program, dependence: Dependence, equations: Equations, stored: Iterable[int]
) -> tuple[Equations, Collection[int]]:
    """Find the other nests' equations that a nest computes again, and the variables it reads.

    The choice must not depend on the order of the loops, or the rounding would too.
    """
    needed = {o for _, _, operands in reads(equations.items()) for o in operands} | set(stored)
    outside = sorted(v for v in needed if v not in equations and program.constant(v) is None)
    present = set(outside)
    again: dict[int, Equation] = {}
    for variable in outside:
        if variable < len(program.inputs) or not dependence.axes[variable]:
            continue
        equation = program.equations[variable - program.n_leading]
        # One operation on values at hand costs no more than the load that it saves.
        if equation.flops <= 1 and all(
            operand in present or program.constant(operand) for operand in equation.operands
        ):
            again[variable] = equation
    return again, [v for v in outside if v not in again]


def _in_sequence(
    equations: Equations, leaving: Collection[int], present: Collection[int]
) -> tuple[Equations, Mapping[int, Demand]]:
    """Order equations so that each comes after its operands and the conditions of its demand.

    Calls come first, with what they read, since any other value that is alive then has to be saved
    across them. Otherwise equations stay in the order in which they were traced. Also returns the
    conditions without which calls are skipped.

    The results of a loop come one after another, since they are computed together.
    """
    costly = [v for v, equation in equations.items() if equation.flops >= _CALL_FLOPS]
    demands = find_demands(equations, leaving, present) if costly else {}
    demands = {
        variable: demands[variable]
        for variable in costly
        if demands[variable] and isinstance(equations[variable].primitive, str)
    }
    together = results_together(equations.items())
    ordered: dict[int, Equation] = {}
    waiting = [*costly, *equations][::-1]
    while waiting:
        variable = waiting[-1]
        if variable in ordered:
            waiting.pop()
            continue
        before = list(equations[variable].operands)
        before += [condition for condition, _ in demands.get(variable, ())]
        missing = [v for v in before if v in equations and v not in ordered]
        waiting.extend(missing)
        if not missing:
            waiting.pop()
            for result in together.get(variable, [variable]):
                ordered.setdefault(result, equations[result])
    return ordered, demands
