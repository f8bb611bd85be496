"""The command: which cases, which rivals, how long; tables, JSON and a plot leave.

python -m benchmarks [--quick] [--case NAME ...] [--rival NAME ...] [--sizes N ...]
                     [--threads N] [--folder FOLDER] [--continue]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.cases import CASES, Problem
from benchmarks.first_results import first_results
from benchmarks.machine import describe_machine, headline
from benchmarks.race import race
from benchmarks.record import DifferentMachine, Record
from benchmarks.report import tables
from benchmarks.rivals import RIVALS
from benchmarks.threads import available, import_frameworks, use_threads
from gradsweep.comparison.clock import FULL, QUICK, Effort

__all__ = ["main"]

_FIRST_RESULTS = "first-results"


def main(words: Sequence[str] | None = None) -> None:
    """Run the benchmark that the words ask for."""
    parser = _parser()
    options = parser.parse_args(words)
    use_threads(options.threads)
    import_frameworks(options.threads)
    machine = describe_machine(options.threads) | {"effort": "quick" if options.quick else "full"}
    try:
        continued = Record.continued(options.folder, machine) if options.continues else None
    except DifferentMachine as different:
        parser.error(str(different))
    record = continued or Record(options.folder, machine)
    print(headline(machine), flush=True)

    effort = QUICK if options.quick else FULL
    for name in options.case:
        if name == _FIRST_RESULTS:
            _time_first_results(record, effort, options.threads)
        else:
            _race(name, options, effort, record)
    if record.rows:
        print(f"\n{tables.summary(record.rows)}")
    for file in record.publish():
        print(f"saved in {file}")


def _race(name: str, options: argparse.Namespace, effort: Effort, record: Record) -> None:
    """Time one case, size by size, the small sizes first; leave out what the record has."""
    case = CASES[name]
    for n in sorted(options.sizes or (case.quick_sizes if options.quick else case.sizes)):
        problem = Problem(case, n, options.threads)
        if not record.has(name, problem.n_points, options.rival):
            rivals = [RIVALS[rival] for rival in options.rival]
            smaller = [row for row in record.of(name) if row.n_points < problem.n_points]
            record.put(race(problem, rivals, effort, smaller))
        print(f"\n{tables.table(record.of(name, problem.n_points))}", flush=True)


def _time_first_results(record: Record, effort: Effort, threads: int) -> None:
    done = {(row.case, row.rival) for row in record.first}
    for row in first_results(effort, threads, done):
        record.put_first(row)
    print(f"\n{tables.first_results_table(record.first)}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.split("\n")[0]
    )
    cases = [*CASES, _FIRST_RESULTS]
    parser.add_argument("--quick", action="store_true", help="minutes instead of an hour")
    parser.add_argument("--case", nargs="+", choices=cases, default=cases, metavar="NAME")
    parser.add_argument(
        "--rival", nargs="+", choices=list(RIVALS), default=list(RIVALS), metavar="NAME"
    )
    parser.add_argument("--sizes", nargs="+", type=int, metavar="N", help="numbers of points")
    parser.add_argument("--threads", type=int, default=available(), metavar="N")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("results"),
        help="for times.json, times.txt, page.md, and times.png if matplotlib is installed",
    )
    parser.add_argument(
        "--continue",
        dest="continues",
        action="store_true",
        help="keep what the folder's times.json has, and time only what it lacks",
    )
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
