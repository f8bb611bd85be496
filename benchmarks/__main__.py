"""The command: which cases, which rivals, how long; a table, JSON and a plot leave.

python -m benchmarks [--quick] [--case NAME ...] [--rival NAME ...] [--sizes N ...]
                     [--threads N] [--json FILE] [--plot FILE]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.cases import CASES, Problem
from benchmarks.first_results import first_results
from benchmarks.machine import describe_machine, headline
from benchmarks.race import Row, race
from benchmarks.rivals import RIVALS, Rival
from benchmarks.threads import available, import_frameworks, use_threads
from gradsweep.comparison.clock import FULL, QUICK, Effort

__all__ = ["main"]

_FIRST_RESULTS = "first-results"


def main(words: Sequence[str] | None = None) -> None:
    """Run the benchmark that the words ask for."""
    options = _parser().parse_args(words)
    effort = QUICK if options.quick else FULL
    use_threads(options.threads)
    import_frameworks(options.threads)
    machine = describe_machine(options.threads)
    print(headline(machine), flush=True)

    rivals = [RIVALS[name] for name in options.rival]
    rows: list[Row] = []
    for name in options.case:
        if name != _FIRST_RESULTS:
            for found in _run(name, options, rivals, effort):
                rows += found
                print(f"\n{report.table(found)}", flush=True)
    first: list[Row] = []
    if _FIRST_RESULTS in options.case:
        first = list(first_results(effort, options.threads))
        print(f"\n{report.first_results_table(first)}", flush=True)
    if rows:
        print(f"\n{report.summary(rows)}", flush=True)

    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(report.to_json(rows, first, machine))
    print(f"\nsaved in {options.json}")
    if options.plot:
        from benchmarks.plot import plot

        plot(rows, options.plot, headline(machine))
        print(f"drawn in {options.plot}")


def _run(name: str, options: argparse.Namespace, rivals: Sequence[Rival], effort: Effort):
    """Yield the rows of one case, size by size, the small sizes first."""
    case = CASES[name]
    before: list[Row] = []
    for n in sorted(options.sizes or (case.quick_sizes if options.quick else case.sizes)):
        rows = race(Problem(case, n, options.threads), rivals, effort, before)
        before += rows
        yield rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.split("\n")[0]
    )
    cases = [*CASES, _FIRST_RESULTS]
    parser.add_argument("--quick", action="store_true", help="a minute instead of ten")
    parser.add_argument("--case", nargs="+", choices=cases, default=cases, metavar="NAME")
    parser.add_argument(
        "--rival", nargs="+", choices=list(RIVALS), default=list(RIVALS), metavar="NAME"
    )
    parser.add_argument("--sizes", nargs="+", type=int, metavar="N", help="numbers of points")
    parser.add_argument("--threads", type=int, default=available(), metavar="N")
    parser.add_argument(
        "--json", type=Path, default=Path("results/benchmarks.json"), metavar="FILE"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="needs matplotlib")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
