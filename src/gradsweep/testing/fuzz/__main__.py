"""`python -m gradsweep.testing.fuzz`: words enter; progress, failures and a line of counts leave.

Exit codes: 0 nothing is wrong, 1 something is, 2 the words were not understood.
"""

import argparse
import importlib.util
import sys
import time
from collections.abc import Sequence
from itertools import pairwise

from gradsweep.support.errors import ArgumentError
from gradsweep.testing.fuzz.campaign import Campaign, Failure
from gradsweep.testing.fuzz.counts import Counts
from gradsweep.testing.fuzz.drawing.dialects import dialect_of
from gradsweep.testing.fuzz.drawing.features import FEATURES, chosen
from gradsweep.testing.fuzz.trial import Limits

__all__ = ["main"]

_FRAMEWORKS = ("torch", "jax", "numpy")

_PROGRESS_SECONDS = 30.0


def main(words: Sequence[str] | None = None) -> int:
    """Run campaigns, one for each framework, and return the exit code."""
    options = _parser().parse_args(words)
    frameworks = [options.framework]
    if options.framework == "all":
        frameworks = [name for name in _FRAMEWORKS if importlib.util.find_spec(name) is not None]
    try:
        features = {f: chosen(f, options.without, options.only) for f in frameworks}
    except ArgumentError as error:
        print(error, file=sys.stderr)
        return 2
    is_wrong = False
    for framework in frameworks:
        if dialect_of(framework).computed_by == "torch":
            _use_one_thread()
        campaign = Campaign(
            framework,
            features[framework],
            seed=options.seed,
            depth=options.depth,
            seconds=options.seconds / len(frameworks),
            n_functions=options.functions,
            keeps_going=options.keep_going,
            limits=Limits(options.limit),
            shrink_seconds=options.shrink,
            report=_Progress(framework),
        )
        for failure in campaign.run():
            is_wrong = True
            print(_describe(failure, options.depth, words), flush=True)
        print(f"{framework}: {campaign.counts.line}", flush=True)
    return int(is_wrong)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gradsweep.testing.fuzz",
        description="Random functions through gradsweep, beside derivatives that are not its own.",
        epilog="Features: " + ", ".join(FEATURES),
    )
    add = parser.add_argument
    add("--seconds", type=float, default=60.0, help="for all frameworks together (60)")
    add("--functions", type=int, help="stop after so many of a framework")
    add("--seed", type=int, default=0, help="of the first batch; the next has the next (0)")
    add("--depth", choices=("sampled", "full"), default="sampled", help="what is asked of each")
    add("--framework", choices=(*_FRAMEWORKS, "all"), default="all")
    add("--without", type=_names, default=(), metavar="A,B", help="leave these features out")
    add("--only", type=_names, metavar="A,B", help="draw statements from these features alone")
    add("--limit", type=float, default=20.0, help="seconds that one derivative may take (20)")
    add("--shrink", type=float, default=60.0, help="seconds to make a failure smaller in (60)")
    add("--keep-going", action="store_true", help="go on after a failure")
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _use_one_thread() -> None:
    """Let torch use one thread: small tensors are slower on many, and campaigns run in parallel."""
    import torch

    torch.set_num_threads(1)


def _describe(failure: Failure, depth: str, words: Sequence[str] | None) -> str:
    """Return the text of a failure, with the command that finds it again."""
    given = list(sys.argv[1:] if words is None else words)
    kept = [
        f"{name} {value}"
        for name, value in pairwise(given)
        if name in ("--without", "--only", "--limit")
    ]
    again = " ".join(
        [
            f"--framework {failure.framework} --depth {depth} --seed {failure.seed}",
            "--functions 250 --seconds 3600",
            *kept,
        ]
    )
    return (
        f"\n{failure.wrong.text}\n# Wrong: {failure.wrong.what}. Found by\n"
        f"#   python -m gradsweep.testing.fuzz {again}\n"
    )


class _Progress:
    """Prints the counts of a campaign now and then."""

    def __init__(self, framework: str):
        self._framework = framework
        self._next = time.monotonic() + _PROGRESS_SECONDS

    def __call__(self, counts: Counts) -> None:
        if time.monotonic() > self._next:
            self._next = time.monotonic() + _PROGRESS_SECONDS
            print(
                f"{self._framework}: {counts.n_functions:,} functions, "
                f"{counts.n_points:,} points, {counts.n_failures} wrong",
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(main())
