"""The options of what a quantity takes beside a function and a sweep: directions, stds and words.

A command enters; it has the options when it leaves.
"""

import argparse

from gradsweep.request.quantities import Quantity

__all__ = ["add_taken"]

# By direction: how it is written, and its help.
_DIRECTIONS = {
    "tangent": (
        "NAME=V",
        "the tangent v: an argument's name and its share (repeat; zero for the others)",
    ),
    "cotangent": (
        "[OUTPUT=]W",
        "the cotangent w: a number or an array, or OUTPUT=W for each output of a container",
    ),
    "either": (
        "NAME=V",
        "the tangent v of jvp, contributions or hvp (repeat), or the cotangent [OUTPUT=]W of vjp",
    ),
}


def add_taken(command: argparse.ArgumentParser, quantity: Quantity | None) -> None:
    """Add what one quantity takes, and has to be given; for None what any may take."""
    is_one = quantity is not None
    direction = quantity.direction if quantity else "either"
    if direction and direction != "std":
        _add_direction(command, direction, required=is_one)
    if quantity is None or direction == "std":
        _add_uncertainty(command, required=is_one)
    if quantity is None or quantity.takes_words:
        _add_words(command, required=is_one)


def _add_direction(command: argparse.ArgumentParser, direction: str, required: bool) -> None:
    metavar, meaning = _DIRECTIONS[direction]
    command.add_argument(
        "--along",
        action="append",
        default=[],
        required=required,
        metavar=metavar,
        help=f"{meaning}; a column of --from gives one for each row",
    )


def _add_uncertainty(command: argparse.ArgumentParser, required: bool) -> None:
    only = "" if required else " of uncertainty"
    command.add_argument(
        "--std",
        action="append",
        default=[],
        required=required,
        metavar="NAME=S",
        help=f"a standard deviation{only}: an argument's name and a number, or the column @COLUMN "
        f"of --from, one for each row (repeat; the others are exact)",
    )
    command.add_argument(
        "--correlation",
        action="append",
        default=[],
        metavar="A,B=R",
        help=f"the correlation of two arguments{only} that have a std (repeat; 0 for the others)",
    )
    command.add_argument(
        "--order",
        type=int,
        choices=[1, 2],
        help=f"the order{only} to which the function is expanded; by default 1",
    )
    command.add_argument(
        "--output-covariance",
        action="store_true",
        default=None,
        help=f"return the covariance of the outputs{only} too",
    )


def _add_words(command: argparse.ArgumentParser, required: bool) -> None:
    command.add_argument(
        "--of",
        action="append",
        default=[],
        required=required,
        metavar="WORD,WORD",
        help="the derivatives of partials, by their arguments: S, 'S S', 'S sigma' (repeat, or "
        "commas between them)",
    )
