"""Run one command: from its options to what is printed and saved."""

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gradsweep import api
from gradsweep.cli.columns import choose_columns, read_columns
from gradsweep.cli.figure import check_figure, save_figure
from gradsweep.cli.files import check_output, save, to_csv, to_json
from gradsweep.cli.source import load_function, search_path
from gradsweep.cli.table import print_tables
from gradsweep.cli.values import (
    annotations_of,
    read_direction,
    read_fixed,
    read_ranges,
    read_swept,
)
from gradsweep.derivative import QUANTITIES
from gradsweep.errors import SweepError
from gradsweep.sweep import Sweep

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Do what a command line asks for, and return the exit code.

    Raises:
        ArgumentError, SweepError: when its words do not fit the function.
        GradsweepError: when the quantity cannot be computed.
    """
    with search_path(options.function):
        return _TOOLS.get(options.command, _compute)(options)


def _compute(options: argparse.Namespace) -> int:
    """Compute the quantity that the command is called after."""
    if options.output:
        check_output(options.output, options.overwrite)
    if options.plot:
        check_figure(options.plot)
    request = _read_request(options, options.command)
    dataset = api.plan(*request.positional, **request.options).run()
    if options.output:
        save(dataset, options.output)
        print(f"gradsweep: saved {options.output}", file=sys.stderr)
    if options.json:
        print(to_json(dataset))
    elif options.csv:
        print(to_csv(dataset), end="")
    else:
        print_tables(dataset, options.rows)
    # Last, so that what was computed is not lost where it cannot be drawn.
    if options.plot:
        save_figure(dataset, options.plot)
        print(f"gradsweep: saved {options.plot}", file=sys.stderr)
    return 0


def _plan(options: argparse.Namespace) -> int:
    request = _read_request(options, options.quantity)
    print(api.plan(*request.positional, **request.options))
    return 0


def _check(options: argparse.Namespace) -> int:
    """Print a check; the exit code says whether it found something."""
    from gradsweep.checks import check

    request = _read_request(options, options.quantity)
    names = options.estimates
    found = check(
        request.function,
        request.sweep,
        *request.directions,
        quantity=request.quantity,
        n_points=options.points,
        rng=options.seed or 0,
        rtol=options.rtol,
        atol=options.atol,
        estimates=[name.strip() for name in names.split(",")] if names else None,
        **request.options,
    )
    print(found.to_json() if options.json else found)
    return 0 if found.ok else 1


# The commands that are no quantities.
_TOOLS: dict[str, Callable[[argparse.Namespace], int]] = {"plan": _plan, "check": _check}


@dataclass(frozen=True)
class _Request:
    """What the words ask of a quantity, as its function in `api` takes it."""

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
    fixed = read_fixed(options.at, annotations_of(function))
    # An array of which some elements are swept takes the place of the fixed one.
    given = fixed | read_swept(options.over, fixed)
    ranges = read_ranges(options.ranges)
    columns = read_columns(options.table) if options.table else {}
    along = getattr(options, "along", [])
    kind = QUANTITIES[quantity].direction or "tangent"
    directions = (read_direction(along, kind, columns),) if along else ()
    used, unused = choose_columns(
        columns,
        function,
        given=given.keys() | ranges.keys(),
        directions=[share.rpartition("=")[2].strip() for share in along],
    )
    if unused:
        print(f"gradsweep: columns not used: {', '.join(unused)}", file=sys.stderr)
    sweep = _make_sweep({**given, **used}, ranges, options.sample, options.seed)
    return _Request(quantity, function, sweep, directions, _computing(options, quantity))


def _make_sweep(
    arguments: Mapping[str, Any],
    ranges: Mapping[str, tuple[float, float]],
    n_drawn: int | None,
    seed: int | None,
) -> Sweep:
    if bool(ranges) != (n_drawn is not None):
        raise SweepError("--sample N and --range NAME=LOW:HIGH go together.")
    if n_drawn is None:
        return Sweep(**arguments)
    if n_drawn < 1:
        raise SweepError(f"--sample {n_drawn}: draw at least one point.")
    for name in ranges.keys() & arguments.keys():
        raise SweepError(f"{name!r} is drawn with --range and given with --over or --at.")
    return Sweep.sample(n_drawn, {**arguments, **ranges}, rng=seed)


def _computing(options: argparse.Namespace, quantity: str) -> dict[str, Any]:
    """Return the library's own options, where the command line gives them."""
    given = {"engine": options.engine, "framework": options.framework}
    if quantity != "value":
        wrt = [name.strip() for name in options.wrt.split(",")] if options.wrt else None
        given |= {"wrt": wrt, "mode": options.mode, "with_value": options.with_value or None}
    return {name: value for name, value in given.items() if value is not None}
