"""From the first call to the first result, in fresh processes with the frameworks imported.

A case and rivals enter, a Row for each rival leaves. In the process of the race itself much is
warm by then; here nothing is.

    python -m benchmarks.first_results CASE N_POINTS THREADS RIVAL
"""

import json
import subprocess
import sys
from collections.abc import Collection, Iterator
from dataclasses import asdict, replace
from statistics import median

from benchmarks.cases import CASES, LONG_PROGRAM, Case, Problem
from benchmarks.race import Row, start
from benchmarks.rivals import RIVALS
from benchmarks.threads import import_frameworks, use_threads
from gradsweep.comparison.clock import Effort
from gradsweep.support.duration import format_seconds

__all__ = ["FIRST_RESULTS", "first_results"]

_N_POINTS = 1_000
_TIMEOUT_SECONDS = 60.0

_OURS = ("gradsweep fused, jax", "gradsweep fused, torch")
FIRST_RESULTS: tuple[tuple[Case, tuple[str, ...]], ...] = (
    (
        CASES["black-scholes"],
        (*_OURS, "Dr.Jit, reverse", "heyoka", "jax, reverse", "torch.compile"),
    ),
    (CASES["black-scholes-hessian"], (*_OURS, "heyoka", "jax, reverse", "torch.compile")),
    (LONG_PROGRAM, (*_OURS, "jax, reverse")),
)
_CASES = {case.name: case for case, _ in FIRST_RESULTS}


def first_results(
    effort: Effort, threads: int, done: Collection[tuple[str, str]] = ()
) -> Iterator[Row]:
    """Yield a row for each case and rival; its samples are first results, a process each.

    Args:
        done: cases and rivals to leave out.
    """
    for case, names in FIRST_RESULTS:
        for name in names:
            rival = RIVALS[name]
            if (case.name, name) in done:
                continue
            if not effort.waits and (rival.is_slow_to_start(case) or case is LONG_PROGRAM):
                row = _row(case, name)
                yield replace(row, status="skipped", reason="not in a quick run")
                continue
            found = [_in_fresh_process(case, name, threads) for _ in range(effort.n_processes)]
            seconds = tuple(row.first_seconds for row in found if row.first_seconds is not None)
            first = median(seconds) if seconds else None
            yield replace(found[0], first_seconds=first, samples=seconds)


def _in_fresh_process(case: Case, rival: str, threads: int) -> Row:
    command = [sys.executable, "-m", __name__, case.name, str(_N_POINTS), str(threads), rival]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        reason = f"no result in {format_seconds(_TIMEOUT_SECONDS)}"
        return replace(_row(case, rival), status="failed", reason=reason)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return replace(_row(case, rival), status="failed", reason=reason)
    return Row(**json.loads(done.stdout.splitlines()[-1]))


def _row(case: Case, name: str) -> Row:
    rival = RIVALS[name]
    return Row(case.name, _N_POINTS, name, rival.family, rival.reuses_buffers, rival.is_ours)


def main(case: str, n_points: str, threads: str, rival: str) -> None:
    """Time one first result in this process and print its row as JSON."""
    use_threads(int(threads))
    import_frameworks(int(threads))
    problem = Problem(_CASES[case], int(n_points), int(threads))
    # What a user has at hand before the first call: the function's module, and the values.
    for framework in ("torch", "jax"):
        problem.case.function(framework)
    problem.expected  # noqa: B018
    row, _ = start(problem, RIVALS[rival])
    print(json.dumps(asdict(row)))


if __name__ == "__main__":
    main(*sys.argv[1:])
