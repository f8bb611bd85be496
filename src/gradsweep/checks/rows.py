"""Compare every computed number with every estimate of it.

A Plan and the estimates of its numbers enter, rows with verdicts leave.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from gradsweep.checks.findings import Row
from gradsweep.checks.judgement import Finding, Tolerance, judge
from gradsweep.checks.problem import Entry, Problem
from gradsweep.checks.reading import Estimated, Reading, Unavailable
from gradsweep.planning.plan import Plan
from gradsweep.request.quantities import Result
from gradsweep.results.names import PARTS, variable_name

__all__ = ["rows_of"]


def rows_of(
    plan: Plan,
    problem: Problem,
    positions: Sequence[dict[str, int]],
    made: Mapping[str, Estimated | Unavailable],
    tolerance: Tolerance,
) -> Iterator[Row]:
    """Yield every comparison, point by point."""
    arrays = plan.allocate()
    plan.fill(arrays)
    names = [variable_name(plan.labels, result) for result in plan.results]
    found = {name: e for name, e in made.items() if isinstance(e, Estimated)}
    typical = _typical_sizes(problem, found)
    for number, position in enumerate(positions):
        for place, entry in enumerate(problem.entries):
            dims = plan.dims[entry.result]
            array = arrays[entry.result]
            computed = float(array[(*(position[dim] for dim in dims), *entry.place)])
            given = {
                name: (reading, estimated.suspicion)
                for name, estimated in found.items()
                if (readings := estimated.readings[number]) is not None
                and (reading := readings[place]) is not None
            }
            findings = [
                (name, reading, _judge(computed, reading, suspicion, tolerance, typical[entry]))
                for name, (reading, suspicion) in given.items()
            ]
            if not findings:
                nothing = Reading(float("nan"), float("nan"))
                findings = [
                    ("", nothing, Finding("unchecked", nothing.value, nothing.error, "no estimate"))
                ]
            kink = next((f for _, _, f in findings if f.verdict == "kink"), None)
            for name, reading, finding in findings:
                if kink is not None and finding.verdict == "differs":
                    finding = finding._replace(verdict="kink", reason=kink.reason)
                yield Row(
                    variable=names[entry.result],
                    index=_labelled(problem.results[entry.result], entry.place),
                    point=number,
                    estimate=name,
                    computed=computed,
                    estimated=finding.estimated,
                    error=reading.error,
                    allowed=finding.allowed,
                    verdict=finding.verdict,
                    reason=finding.reason,
                )


def _labelled(result: Result, place: tuple[int, ...]) -> tuple[int | str, ...]:
    """Return the place of a number, with words for the parts of complex numbers."""
    groups = [(len(result.output_shape), result.is_complex)]
    groups += [(len(s), key in result.complex_wrt) for key, s in zip(result.wrt, result.wrt_shapes)]
    index: list[int | str] = list(place)
    end = 0
    for n_dims, is_complex in groups:
        end += n_dims
        if is_complex:
            index[end - 1] = PARTS[place[end - 1]]
    return tuple(index)


def _judge(
    computed: float, reading: Reading, suspicion: str, tolerance: Tolerance, typical: float
) -> Finding:
    finding = judge(computed, reading, tolerance, typical)
    # Noisy values make a noisy derivative, even where no estimate is good enough to show it.
    if suspicion and finding.verdict in ("agrees", "unsure"):
        return finding._replace(verdict="differs", reason=suspicion)
    return finding


def _typical_sizes(problem: Problem, found: dict[str, Estimated]) -> dict[Entry, float]:
    """Return for each entry the largest size of its result over all points and entries."""
    largest = [0.0] * len(problem.results)
    for estimated in found.values():
        for readings in estimated.readings:
            for entry, reading in zip(problem.entries, readings or ()):
                if reading is None:
                    continue
                # An estimate no larger than its own error says nothing about the size.
                if np.isfinite(reading.value) and reading.error < abs(reading.value):
                    largest[entry.result] = max(largest[entry.result], abs(reading.value))
    return {entry: largest[entry.result] for entry in problem.entries}
