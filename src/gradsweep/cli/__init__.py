"""The command line: words enter, a table or a file leaves, and an exit code.

An option is added in options.py; what it does stands in command.py. Never sees a Program or an
engine: it calls the quantities as any user does.

Only argparse is loaded until the words are known to be well-formed, so that --help is instant.

Exit codes: 0 done; 1 an error while computing, a derivative that a check finds suspicious, or a
store that is damaged or incomplete; 2 the command was not understood; 130 Ctrl-C; 143 SIGTERM.
"""

import argparse
import io
import os
import sys
import traceback
import warnings
from collections.abc import Sequence

from gradsweep.cli.options import STORE_COMMANDS, make_parser
from gradsweep.support.errors import (
    ArgumentError,
    GradsweepError,
    GradsweepWarning,
    NotAStore,
    SweepError,
)

__all__ = ["main"]

# These say that the command's own words do not fit the function, or name no store.
_USAGE_ERRORS = (ArgumentError, NotAStore, SweepError)


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        words: the command line after the program's name; by default the process's own.
    """
    try:
        options = make_parser().parse_args(words)
    except SystemExit as stop:  # argparse has printed the help, or the error
        return stop.code if isinstance(stop.code, int) else 2
    code = 0
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A character that the terminal lacks, such as "∂", is written as JSON writes it, \u2202.
        sys.stdout.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            code = _run(options)
            # The buffer is written here, where a closed pipe is still caught.
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader has seen enough. Python would complain again when it closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        except KeyboardInterrupt:
            print("gradsweep: interrupted", file=sys.stderr)
            return 130
        except _USAGE_ERRORS as error:
            print(f"gradsweep: {error}", file=sys.stderr)
            return 2
        except GradsweepError as error:
            print(f"gradsweep: {error}", file=sys.stderr)
            return 1
        except Exception as error:
            _print_own_frames(error, getattr(options, "function", ""))
            return 1
    return code


def _run(options: argparse.Namespace) -> int:
    """Run a command; the commands on stores load nothing that computes."""
    if options.command in STORE_COMMANDS:
        from gradsweep.cli.stores import run_on_store

        return run_on_store(options)
    from gradsweep.cli.command import run

    return run(options)


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    where = "" if issubclass(category, GradsweepWarning) else f"{filename}:{lineno}: "
    print(f"gradsweep: warning: {where}{message}", file=sys.stderr)


def _print_own_frames(error: Exception, function: str) -> None:
    """Print a traceback from the user's first frame on, or all of it where no frame is theirs."""
    path = os.path.realpath(function.rpartition(":")[0])
    package = os.path.dirname(os.path.dirname(__file__))
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename != path:
        frame = frame.tb_next
    if frame is None:  # given as package.module: the first frame after gradsweep's own
        frame = error.__traceback__
        while frame is not None and _is_within(frame.tb_frame.f_code.co_filename, package):
            frame = frame.tb_next
    # A cause that the user gave is shown; an error that gradsweep was handling is not.
    from_cause = error.__cause__ is not None
    traceback.print_exception(type(error), error, frame or error.__traceback__, chain=from_cause)


def _is_within(filename: str, folder: str) -> bool:
    return filename.startswith((folder + os.sep, "<frozen importlib"))
