"""What the command line accepts: subcommands, options and their help.

Words enter, an argparse.Namespace leaves. Nothing is computed here; of the library it knows only
the table of quantities.
"""

import argparse
from collections.abc import Callable
from typing import NamedTuple

from gradsweep._version import __version__
from gradsweep.cli.epilog import GENERAL, epilog
from gradsweep.cli.taken import add_taken
from gradsweep.request.quantities import QUANTITIES, Quantity

__all__ = ["STORE_COMMANDS", "make_parser"]

_SYMBOLS = "y = f(x), J = dy/dx and H = d2y/dx2"

_DESCRIPTION = f"""\
Derivatives of a function over a sweep of its arguments. The function is called
for one point; it may be written with torch, JAX, NumPy or operators alone.

Below, {_SYMBOLS}; v is a tangent, w a cotangent.
`gradsweep COMMAND --help` tells a command's own options."""

# The commands on a store, each with its help and its one option. None runs a user's code.
STORE_COMMANDS = {
    "show": (
        "tell what a store holds, how far it is and who wrote it",
        ("--parts", "tell of every part whether it is finished"),
    ),
    "verify": (
        "check every chunk of a store against its ledger",
        ("--repair", "mark what is damaged, so that a run with --resume computes it again"),
    ),
    "unlock": (
        "remove the lock of a process that is gone, which --resume does by itself",
        ("--force", "even where it cannot be told whether its process is gone"),
    ),
}


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of every subcommand."""
    parser = argparse.ArgumentParser(
        prog="gradsweep",
        description=_DESCRIPTION,
        epilog=epilog(GENERAL),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"gradsweep {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for quantity in QUANTITIES.values():
        command = _add_command(
            commands,
            quantity.name,
            f"compute {quantity.meaning}",
            f"at every point of a sweep.\n\nHere {_SYMBOLS}",
        )
        _add_sweep(command)
        add_taken(command, quantity)
        _add_computing(command, quantity)
        _add_destination(command)
        _add_printing(command)
    for name, tool in _TOOLS.items():
        command = _add_command(commands, name, tool.help, tool.where)
        command.add_argument(
            "--quantity",
            choices=list(QUANTITIES),
            default="gradient",
            metavar="QUANTITY",
            help=f"{', '.join(QUANTITIES)}; by default gradient",
        )
        _add_sweep(command)
        add_taken(command, None)
        _add_computing(command, None)
        tool.add_own(command)
    for name, (meaning, (option, does)) in STORE_COMMANDS.items():
        command = commands.add_parser(
            name,
            help=meaning,
            description=f"{meaning[0].upper()}{meaning[1:]}.",
            epilog=epilog([name], on_store=True),
            formatter_class=argparse.RawDescriptionHelpFormatter,
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
        epilog=epilog([name]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument(
        "function",
        metavar="FILE:FUNC",
        help="the function: model.py:price, or package.module:price; FUNC may have dots",
    )
    return command


def _add_sweep(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("the sweep")
    group.add_argument(
        "--over",
        action="append",
        default=[],
        metavar="NAME[@DIM]=VALUES",
        help="sweep an argument: start:stop:count, log:start:stop:count, a,b,c of numbers or "
        "words, or each:a,b,c (repeat)",
    )
    group.add_argument(
        "--at",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="hold an argument fixed: a number, 100.0 or 1+2j, a JSON array, a word (repeat)",
    )
    group.add_argument(
        "--from",
        dest="table",
        metavar="FILE[:DIM]",
        help="rows of a .csv or .parquet file are points along DIM (row), and columns of numbers "
        "or words arguments",
    )
    group.add_argument(
        "--sample",
        type=int,
        metavar="N",
        help="draw N points of a scrambled Sobol sequence, along a dim named point",
    )
    group.add_argument(
        "--range",
        dest="ranges",
        action="append",
        default=[],
        metavar="NAME=LOW:HIGH",
        help="with --sample: draw this argument between two bounds (repeat)",
    )
    group.add_argument("--seed", type=int, metavar="N", help="draw the same points every time")


def _add_computing(command: argparse.ArgumentParser, quantity: Quantity | None) -> None:
    """Add how to compute one quantity; None for any."""
    group = command.add_argument_group("computing")
    differentiates = quantity is None or quantity.order > 0
    takes = quantity.takes if quantity else ""
    if differentiates and takes not in ("std", "of"):  # these name the arguments themselves
        group.add_argument(
            "--wrt",
            metavar="A,B",
            help="arguments to differentiate; by default those of --along, or every float",
        )
    if differentiates and takes != "std":
        group.add_argument(
            "--with-value",
            action="store_true",
            default=None,
            help="return the value of the function too",
        )
    if differentiates:
        group.add_argument(
            "--mode",
            choices=["auto", "forward", "reverse"],
            help="accumulation of a first derivative; auto takes the one that costs less",
        )
    group.add_argument("--engine", help="auto (default), fused, reference, xla, torch, loop")
    group.add_argument(
        "--framework",
        choices=["torch", "jax"],
        help="which one the function is written for, where it cannot be told",
    )
    group.add_argument(
        "--threads", type=int, metavar="N", help="of the fused engine; by default all there are"
    )


def _add_destination(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("large sweeps")
    group.add_argument(
        "--store",
        metavar="PATH",
        help="write results to a .zarr store while they are computed, or to a .nc file",
    )
    group.add_argument(
        "--resume",
        action="store_true",
        default=None,
        help="go on with an unfinished .zarr store, or begin one: after a kill, the same words",
    )
    group.add_argument(
        "--reduce",
        metavar="A,B",
        help="keep statistics only: mean, variance, min, max, quantile, mean_square",
    )
    group.add_argument("--dims", metavar="A,B", help="the dims to reduce; by default all swept")
    group.add_argument("--quantiles", metavar="Q,Q", help="which ones, for --reduce quantile")
    group.add_argument(
        "--memory-limit", metavar="BYTES", help="the memory it may take, such as 2GB"
    )
    group.add_argument(
        "--cluster",
        dest="scheduler",
        metavar="ADDRESS",
        help="compute on the workers of a Dask scheduler",
    )
    group.add_argument(
        "--on-error",
        choices=["raise", "mask"],
        help="where a point cannot be computed: stop (default), or leave NaN there",
    )
    group.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show how far it is; by default for longer runs, in a terminal",
    )


def _add_printing(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("printing and saving")
    form = group.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument(
        "--csv", action="store_true", help="print one table as CSV, a row for each point"
    )
    form.add_argument(
        "--rows", type=int, default=20, metavar="N", help="rows to print of a table (20; 0 for all)"
    )
    group.add_argument(
        "--output", metavar="FILE", help="save as .nc, .zarr, .csv, .parquet or .json"
    )
    group.add_argument(
        "--overwrite", action="store_true", help="replace a .zarr store or folder that is there"
    )
    group.add_argument("--plot", metavar="FILE", help="save a figure as .png, .svg or .pdf")


def _add_planning(command: argparse.ArgumentParser) -> None:
    _add_destination(command)
    command.add_argument("--overwrite", action="store_true", help="replace an existing store")


def _add_checking(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("checking")
    group.add_argument(
        "--points",
        type=int,
        default=10,
        metavar="N",
        help="how many points of the sweep to look at (10)",
    )
    group.add_argument(
        "--rtol",
        type=float,
        metavar="X",
        help="relative difference allowed (1e-9, or 1e-4 in float32)",
    )
    group.add_argument(
        "--atol",
        type=float,
        metavar="X",
        help="absolute difference allowed; by default that of rounding",
    )
    group.add_argument(
        "--estimates",
        metavar="A,B",
        help="of mpmath, scipy, and other (the other framework); by default all",
    )
    group.add_argument("--json", action="store_true", help="print one JSON document")


def _add_comparing(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("comparing")
    group.add_argument(
        "--points", metavar="N,N", help="sizes to which the sweep is stretched; by default as it is"
    )
    group.add_argument(
        "--rivals", metavar="A,B", help="ways to race, such as fused,xla; by default all"
    )
    group.add_argument(
        "--budget",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="about how long it may take (60)",
    )
    group.add_argument("--json", action="store_true", help="print one JSON document")
    group.add_argument("--plot", metavar="FILE", help="save a figure as .png, .svg or .pdf")


class _Tool(NamedTuple):
    """A command about a quantity, which --quantity names."""

    help: str
    where: str
    add_own: Callable[[argparse.ArgumentParser], None]


_TOOLS = {
    "plan": _Tool("print how a quantity would be computed, and why", "over a sweep", _add_planning),
    "check": _Tool(
        "compare a quantity with independent estimates of it",
        "at points of a sweep",
        _add_checking,
    ),
    "compare": _Tool(
        "race gradsweep's engines, torch and JAX at a quantity",
        "over a sweep",
        _add_comparing,
    ),
}
