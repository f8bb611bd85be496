"""Draw a result into a file, as --plot asks.

A Dataset enters; a .png, .svg or .pdf leaves.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from gradsweep.cli.files import OutputFileError
from gradsweep.results.dataset import in_real_numbers
from gradsweep.support.errors import SweepError, require

if TYPE_CHECKING:
    import xarray

__all__ = ["check_figure", "save_figure"]

_SUFFIXES = (".png", ".svg", ".pdf")

# Enough for print, and for the maps inside a PDF.
_DOTS_PER_INCH = 300


def check_figure(written: str) -> None:
    """Refuse, before anything is computed, a figure that could not be saved.

    Raises:
        SweepError: when the suffix is unknown, or the folder cannot be written to.
        MissingPackage: when matplotlib is not installed.
    """
    path = Path(written)
    if path.suffix.lower() not in _SUFFIXES:
        raise SweepError(
            f"--plot {written}: {path.suffix or 'no suffix'!r} is not among {', '.join(_SUFFIXES)}."
        )
    if not path.parent.is_dir():
        raise SweepError(f"--plot {written}: there is no folder {str(path.parent)!r}.")
    if path.is_dir():
        raise SweepError(f"--plot {written}: this is a folder.")
    if not os.access(path.parent, os.W_OK):
        raise SweepError(f"--plot {written}: {str(path.parent)!r} cannot be written to.")
    require("matplotlib", f"--plot {written}")


def save_figure(dataset: "xarray.Dataset", written: str) -> None:
    """Draw a result and save it.

    Raises:
        OutputError: when nothing in it can be drawn.
        OutputFileError: when the file cannot be written.
    """
    from gradsweep.figures import plot

    figure = plot(in_real_numbers(dataset))
    try:
        figure.savefig(written, dpi=_DOTS_PER_INCH)
    except OSError as error:
        raise OutputFileError(f"--plot {written}: {error}") from error
