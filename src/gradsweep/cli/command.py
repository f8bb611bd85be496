"""Run one command: options enter, printed text and saved files leave."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from gradsweep import api
from gradsweep.cli.annotations import annotations_of
from gradsweep.cli.columns import choose_columns, missing_numbers, read_columns
from gradsweep.cli.containers import put_together
from gradsweep.cli.figure import check_figure, save_figure
from gradsweep.cli.files import check_output, save, to_csv, to_json
from gradsweep.cli.source import load_function, search_path
from gradsweep.cli.table import print_tables
from gradsweep.cli.values import (
    read_correlation,
    read_direction,
    read_fixed,
    read_ranges,
    read_swept,
)
from gradsweep.planning.options import DerivativeOptions
from gradsweep.request.quantities import QUANTITIES
from gradsweep.request.sweep import Sweep
from gradsweep.support.errors import SweepError, require

if TYPE_CHECKING:
    import xarray

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Run a command and return the exit code.

    Raises:
        ArgumentError, SweepError: when its words do not fit the function.
        GradsweepError: when the quantity cannot be computed.
    """
    with search_path(options.function), _own_output(options) as out:
        return _TOOLS.get(options.command, _compute)(options, out)


@contextlib.contextmanager
def _own_output(options: argparse.Namespace) -> Iterator[TextIO]:
    """Yield where results are printed; what the function prints does not come between JSON or CSV.

    It goes to stderr then.
    """
    out = sys.stdout
    is_read_by_programs = getattr(options, "json", False) or getattr(options, "csv", False)
    elsewhere = sys.stderr if is_read_by_programs else out
    with contextlib.redirect_stdout(elsewhere):
        yield out


def _compute(options: argparse.Namespace, out: TextIO) -> int:
    """Compute the quantity that the command names."""
    if options.output:
        check_output(options.output, options.overwrite)
    if options.plot:
        check_figure(options.plot)
    request = _read_request(options, options.command)
    dataset = api.plan(*request.positional, **request.options).run()
    if options.store:
        print(f"gradsweep: stored {options.store}", file=sys.stderr)
        if not (options.output or options.json or options.csv):
            _tell_unsolved(dataset)
            return 0  # it may be too large to print
    if options.output:
        save(dataset, options.output)
        print(f"gradsweep: saved {options.output}", file=sys.stderr)
    if options.json:
        print(to_json(dataset), file=out)
    elif options.csv:
        print(to_csv(dataset), end="", file=out)
    else:
        print_tables(dataset, options.rows)
    # The figure comes last, so that no result is lost where drawing fails.
    if options.plot:
        save_figure(dataset, options.plot)
        print(f"gradsweep: saved {options.plot}", file=sys.stderr)
    _tell_unsolved(dataset)
    return 0


def _tell_unsolved(dataset: "xarray.Dataset") -> None:
    """Print, last of all, at how many points an equation was not solved."""
    if n := dataset.attrs.get("not_converged"):
        points = "1 point" if n == 1 else f"{n:,} points"
        print(f"gradsweep: an equation was not solved at {points}", file=sys.stderr)


def _plan(options: argparse.Namespace, out: TextIO) -> int:
    request = _read_request(options, options.quantity)
    print(api.plan(*request.positional, **request.options), file=out)
    return 0


def _check(options: argparse.Namespace, out: TextIO) -> int:
    """Print a check; the exit code says whether it found something."""
    from gradsweep.checks import check

    request = _read_request(options, options.quantity)
    found = check(
        request.function,
        request.sweep,
        *request.directions,
        quantity=request.quantity,
        n_points=options.points,
        rng=options.seed or 0,
        rtol=options.rtol,
        atol=options.atol,
        estimates=_names(options.estimates) if options.estimates else None,
        **request.options,
    )
    print(found.to_json() if options.json else found, file=out)
    return 0 if found.ok else 1


def _compare(options: argparse.Namespace, out: TextIO) -> int:
    """Print a comparison; the exit code says whether anything could be compared."""
    from gradsweep.comparison import compare

    request = _read_request(options, options.quantity)
    if options.plot:
        require("matplotlib", "--plot")
    found = compare(
        request.function,
        request.sweep,
        *request.directions,
        quantity=request.quantity,
        rivals=_names(options.rivals) if options.rivals else None,
        points=_sizes(options.points),
        budget_seconds=options.budget,
        **request.options,
    )
    if options.plot:
        found.plot().savefig(options.plot, dpi=200)
        print(f"gradsweep: saved {options.plot}", file=sys.stderr)
    print(found.to_json() if options.json else found, file=out)
    return 0 if found.winner else 1


def _sizes(written: str | None) -> list[int] | None:
    try:
        sizes = [float(size) for size in written.split(",")] if written else []
    except ValueError:
        sizes = [0.5]
    if not all(size.is_integer() for size in sizes):
        raise SweepError(f"--points {written}: give sizes, such as 9,1000,1000000 or 1e6.")
    return [int(size) for size in sizes] or None


# The commands that are no quantities.
_TOOLS: dict[str, Callable[[argparse.Namespace, TextIO], int]] = {
    "plan": _plan,
    "check": _check,
    "compare": _compare,
}


@dataclass(frozen=True)
class _Request:
    """A quantity and its arguments, as its function in `api` takes them."""

    quantity: str
    function: Callable[..., Any]
    sweep: Sweep
    directions: tuple[Any, ...]
    options: dict[str, Any]

    @property
    def positional(self) -> tuple[Any, ...]:
        return self.quantity, self.function, self.sweep, *self.directions


def _read_request(options: argparse.Namespace, quantity: str) -> _Request:
    function = load_function(options.function)
    annotations = annotations_of(function)
    fixed = read_fixed(options.at, annotations)
    # An array with swept elements takes the place of the fixed one.
    given = fixed | read_swept(options.over, fixed)
    ranges = read_ranges(options.ranges)
    columns = read_columns(options.table) if options.table else {}
    along, stds, pairs = (getattr(options, n, []) for n in ("along", "std", "correlation"))
    factor = "cotangent" if QUANTITIES[quantity].direction == "cotangent" else "tangent"
    directions: tuple[Any, ...] = tuple(
        read_direction(written, kind, columns)
        for kind, written in ((factor, along), ("std", stds))
        if written
    )
    if of := getattr(options, "of", []):
        directions = (*directions, [word for words in of for word in _names(words)])
    more = {"correlation": read_correlation(pairs, columns)} if pairs else {}
    shares = [
        option.rpartition("=")[2].strip().removeprefix("@") for option in (*along, *stds, *pairs)
    ]
    used, unused = choose_columns(
        options.table, columns, function, given=given.keys() | ranges.keys(), directions=shares
    )
    if unused:
        print(f"gradsweep: columns not used: {', '.join(unused)}", file=sys.stderr)
    moved = {name: columns[name] for name in shares if name in columns}
    for said in missing_numbers(options.table, used | moved):
        print(f"gradsweep: warning: {said}", file=sys.stderr)
    drawn = _draw(given | used, ranges, options.sample, options.seed)
    sweep = Sweep(put_together({**given, **used, **drawn}, annotations))
    return _Request(quantity, function, sweep, directions, {**_options(options), **more})


def _options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the library's own options, where the command line gives them."""
    names = (*DerivativeOptions.__annotations__, "order", "output_covariance")
    given = {name: getattr(options, name, None) for name in names}
    if not given["store"]:
        given["overwrite"] = None  # it is for --output alone
    return {
        name: _READ[name](value) if name in _READ else value
        for name, value in given.items()
        if value is not None
    }


def _names(written: str) -> list[str]:
    return [name.strip() for name in written.split(",")]


def _quantiles(written: str) -> list[float]:
    try:
        return [float(number) for number in written.split(",")]
    except ValueError:
        raise SweepError(f"--quantiles {written}: give numbers, such as 0.05,0.5,0.95.") from None


# How the words of an option become its value; argparse reads the other options.
_READ: dict[str, Callable[[str], Any]] = {
    "wrt": _names,
    "reduce": _names,
    "dims": _names,
    "quantiles": _quantiles,
}


def _draw(
    given: Mapping[str, Any],
    ranges: Mapping[str, tuple[float, float]],
    n_drawn: int | None,
    seed: int | None,
) -> dict[str, Any]:
    """Return the values that --sample draws, by name."""
    if bool(ranges) != (n_drawn is not None):
        raise SweepError("--sample N and --range NAME=LOW:HIGH go together.")
    if n_drawn is None:
        return {}
    if n_drawn < 1:
        raise SweepError(f"--sample {n_drawn}: draw at least one point.")
    for name in ranges.keys() & given.keys():
        raise SweepError(f"{name!r} is drawn with --range and given with --over or --at.")
    drawn = Sweep.sample(n_drawn, ranges, rng=seed)
    return {leaf.key: (leaf.dims, leaf.values) for leaf in drawn.leaves}
