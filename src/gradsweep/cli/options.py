"""What the command line accepts: subcommands, options and their help.

Words enter, an argparse.Namespace leaves. Nothing is computed or imported here; the table of
quantities is all that it knows of the library.
"""

import argparse
from collections.abc import Callable
from typing import NamedTuple

from gradsweep._version import __version__
from gradsweep.derivative import QUANTITIES

__all__ = ["STORE_COMMANDS", "make_parser"]

_DESCRIPTION = "Derivatives of a function over a sweep of its arguments."

_EPILOG = """\
examples:
  # the Greeks of a call over 101 spots and 3 volatilities
  gradsweep gradient examples/black_scholes.py:price \\
      --over S=50:150:101 --over sigma=0.1,0.2,0.3 --at K=100 --at T=1 --at r=0.05

  # J v: how the price moves when the spot moves by 1 and the volatility by 0.01
  gradsweep jvp examples/black_scholes.py:price \\
      --over S=50:150:101 --at K=100 --at T=1 --at r=0.05 --at sigma=0.2 \\
      --along S=1 --along sigma=0.01

  # the same in one figure: a panel for each Greek, a line for each volatility
  gradsweep gradient examples/black_scholes.py:price --with-value --plot greeks.pdf \\
      --over S=50:150:101 --over sigma=0.1,0.2,0.3 --at K=100 --at T=1 --at r=0.05

  # every row of a file is a point; the columns are the function's arguments
  gradsweep hessian model.py:price --from quotes.csv:quote --output greeks.parquet

  # which engine would run, and why
  gradsweep plan model.py:price --quantity hessian --from quotes.csv:quote

  # a sweep larger than memory, which may be killed and continued with --resume
  gradsweep gradient model.py:price --over S=50:150:100000 --over sigma=0.1:0.5:10000 \\
      --at K=100 --at T=1 --at r=0.05 --store greeks.zarr

  # how far a store is, and whether its chunks are as they were written
  gradsweep show greeks.zarr
  gradsweep verify greeks.zarr
  # is JAX better at this? gradsweep, torch and JAX race on this machine, at three sizes
  gradsweep compare model.py:price --over S=50:150:101 --at K=100 --points 9,1000,1000000

  # how far the derivatives are from independent estimates, at 20 of the points
  gradsweep check model.py:price --quantity hessian --from quotes.csv:quote --points 20

values:
  --over S=50:150:101        101 values from 50 to 150, both included
  --over S=log:1:1000:4      4 values from 1 to 1000, evenly spaced in their logarithm
  --over S=90,100,110        these values
  --over S@quote=90,100,110  swept along a dim named quote; what shares a dim is zipped, and
                             different dims give every combination
  --over q[2]=0:1:11         one element of an array argument, given by --at q=[0,0,0]
  --at K=100                 a fixed number: a float, unless the parameter is annotated int
  --at kind=call             a string; true, false and none mean what they do in Python;
                             --at code='"7"' is the string 7
  --at q=[0,1,2]             a fixed array; JSON objects make nested arguments

numbers:
  Tables show 6 significant digits; --json, --csv and --output keep every digit. JSON has no
  NaN or infinity, which are written as the strings "NaN", "Infinity" and "-Infinity".

exit codes:
  0 done, 1 an error while computing, a derivative that check finds suspicious, or a store that
  is damaged or incomplete,
  2 the command was not understood, 130 interrupted, 143 terminated
"""

_DIRECTION_HELP = {
    "tangent": "the tangent v: an argument's name and its share (repeat; zero for the others)",
    "cotangent": "the cotangent w: a number, or OUTPUT=W for each output of a container",
}


# What can be done with a store, and the one option of each. None of it runs a user's code.
STORE_COMMANDS = {
    "show": (
        "tell what a store holds, how far it is and who wrote it",
        ("--parts", "tell of every part whether it is finished"),
    ),
    "verify": (
        "check every chunk of a store against its ledger",
        ("--repair", "mark what is damaged, so that a run with resume=True computes it again"),
    ),
    "unlock": (
        "remove the lock that a killed process left on a store",
        ("--force", "even if its process ran on another host, where it cannot be looked for"),
    ),
}


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of every subcommand."""
    parser = argparse.ArgumentParser(
        prog="gradsweep",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"gradsweep {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for quantity in QUANTITIES.values():
        command = _add_command(
            commands, quantity.name, f"compute {quantity.meaning}", "at every point of a sweep"
        )
        _add_sweep(command)
        if quantity.direction:
            _add_direction(command, quantity.direction, required=True)
        _add_computing(command, differentiates=quantity.order > 0)
        _add_destination(command)
        _add_printing(command)
    for name, tool in _TOOLS.items():
        command = _add_command(commands, name, tool.help, tool.where)
        command.add_argument(
            "--quantity", choices=list(QUANTITIES), default="gradient", help="default: gradient"
        )
        _add_sweep(command)
        _add_direction(command, "tangent", required=False)
        _add_computing(command, differentiates=True)
        tool.add_own(command)
    for name, (meaning, (option, does)) in STORE_COMMANDS.items():
        command = commands.add_parser(
            name,
            help=meaning,
            description=f"{meaning[0].upper()}{meaning[1:]}.",
            allow_abbrev=False,
        )
        command.add_argument("store", metavar="STORE", help="a folder, such as greeks.zarr")
        command.add_argument(option, action="store_true", help=does)
    return parser


def _add_command(commands, name: str, help: str, where: str) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}, {where}.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument(
        "function", metavar="FILE:FUNC", help="or package.module:FUNC; FUNC may have dots"
    )
    return command


def _add_sweep(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("the sweep")
    group.add_argument(
        "--over",
        action="append",
        default=[],
        metavar="NAME[@DIM]=VALUES",
        help="sweep an argument: start:stop:count, log:start:stop:count, or a,b,c (repeat)",
    )
    group.add_argument(
        "--at",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="hold an argument fixed: a number, a JSON array, a word (repeat)",
    )
    group.add_argument(
        "--from",
        dest="table",
        metavar="FILE[:DIM]",
        help="the columns of a .csv or .parquet file are arguments, zipped along DIM (row)",
    )
    group.add_argument("--sample", type=int, metavar="N", help="draw N points along dim point")
    group.add_argument(
        "--range",
        dest="ranges",
        action="append",
        default=[],
        metavar="NAME=LOW:HIGH",
        help="draw an argument between two bounds, with --sample (repeat)",
    )
    group.add_argument("--seed", type=int, help="draw the same points again")


def _add_direction(command: argparse.ArgumentParser, direction: str, required: bool) -> None:
    metavar = "[OUTPUT=]W" if direction == "cotangent" else "NAME=V"
    command.add_argument(
        "--along",
        action="append",
        default=[],
        required=required,
        metavar=metavar,
        help=_DIRECTION_HELP[direction] + "; a column of --from gives one for each row",
    )


def _add_computing(command: argparse.ArgumentParser, differentiates: bool) -> None:
    group = command.add_argument_group("computing")
    if differentiates:
        group.add_argument("--wrt", metavar="A,B", help="the arguments to differentiate")
        group.add_argument("--with-value", action="store_true", help="compute the value too")
        group.add_argument("--mode", choices=["auto", "forward", "reverse"])
    group.add_argument("--engine", help="auto, fused, reference, xla, torch or loop")
    group.add_argument("--framework", choices=["torch", "jax"])
    group.add_argument("--threads", type=int, metavar="N", help="threads of the fused engine")


def _add_destination(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("large sweeps")
    group.add_argument(
        "--store",
        metavar="PATH",
        help="write results to a .zarr store as they are computed, or .nc",
    )
    group.add_argument("--resume", action="store_true", help="continue an unfinished .zarr store")
    group.add_argument(
        "--reduce",
        metavar="A,B",
        help="keep statistics only: mean, variance, min, max, quantile, mean_square",
    )
    group.add_argument("--dims", metavar="A,B", help="the dims to reduce; by default all swept")
    group.add_argument("--quantiles", metavar="Q,Q", help="which, for --reduce quantile")
    group.add_argument(
        "--memory-limit", metavar="BYTES", help="what the process may take, such as 2GB"
    )
    group.add_argument("--cluster", metavar="ADDRESS", help="compute on a Dask scheduler's workers")
    group.add_argument(
        "--on-error", choices=["raise", "mask"], help="mask: NaN where a point cannot be computed"
    )
    group.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show how far a run is; by default in a terminal",
    )


def _add_printing(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("printing and saving")
    form = group.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument("--csv", action="store_true", help="print one table, broadcast, as CSV")
    form.add_argument(
        "--rows", type=int, default=20, metavar="N", help="rows shown of a table (20; 0: all)"
    )
    group.add_argument(
        "--output", metavar="FILE", help="save as .nc, .zarr, .csv, .parquet or .json"
    )
    group.add_argument(
        "--overwrite", action="store_true", help="replace an existing store or .zarr folder"
    )
    group.add_argument("--plot", metavar="FILE", help="draw it, as .png, .svg or .pdf")


def _add_planning(command: argparse.ArgumentParser) -> None:
    _add_destination(command)
    command.add_argument("--overwrite", action="store_true", help="replace an existing store")


def _add_checking(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("checking")
    group.add_argument(
        "--points", type=int, default=10, metavar="N", help="points that are looked at (10)"
    )
    group.add_argument("--rtol", type=float, help="the relative difference that is allowed")
    group.add_argument("--atol", type=float, help="the absolute difference that is allowed")
    group.add_argument(
        "--estimates", metavar="A,B", help="of mpmath, scipy and other; by default all"
    )
    group.add_argument("--json", action="store_true", help="print one JSON document")


def _add_comparing(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("comparing")
    group.add_argument(
        "--points", metavar="N,N", help="sizes to which the sweep is stretched; as it is without"
    )
    group.add_argument("--rivals", metavar="A,B", help="those to race; by default all")
    group.add_argument(
        "--budget", type=float, default=60.0, metavar="SECONDS", help="how long it may take (60)"
    )
    group.add_argument("--json", action="store_true", help="print one JSON document")
    group.add_argument("--plot", metavar="FILE", help="save a figure: .png, .svg or .pdf")


class _Tool(NamedTuple):
    """A command about a quantity, which --quantity names."""

    help: str
    where: str
    add_own: Callable[[argparse.ArgumentParser], None]


_TOOLS = {
    "plan": _Tool("print how a quantity would be computed, and why", "over a sweep", _add_planning),
    "check": _Tool(
        "compare a quantity with independent estimates of it",
        "at points drawn from a sweep",
        _add_checking,
    ),
    "compare": _Tool(
        "race gradsweep's engines, torch and JAX at a quantity",
        "over a sweep",
        _add_comparing,
    ),
}
