"""One style for every figure: colours, sizes, and how a figure begins and ends.

Figures are made with matplotlib's own classes; pyplot and its list of open figures are never
touched, and matplotlib's settings are restored when a figure is done.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from gradsweep.support.errors import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "ACCENT",
    "DIVERGING",
    "GREY",
    "LETTER_INCHES",
    "NEGATIVE",
    "OKABE_ITO",
    "POSITIVE",
    "SEQUENTIAL",
    "SMALL",
    "WIDTH_INCHES",
    "add_note",
    "add_title",
    "line_colours",
    "mark_gaps",
    "new_figure",
    "panel_inches",
    "settings",
    "style",
    "visible_length",
    "wrap",
]

# Okabe and Ito (2008), Color Universal Design: told apart with any form of colour blindness.
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
ACCENT = POSITIVE = OKABE_ITO[0]
NEGATIVE = OKABE_ITO[1]
GREY = "#5f6368"
SEQUENTIAL = "viridis"
DIVERGING = "RdBu_r"  # red and blue, not red and green

# The width of text on a page of A4 or letter paper; sizes are in points at that width.
WIDTH_INCHES = 6.5
SMALL = 7.0
LETTER_INCHES = 0.072  # a letter of a panel's title, on average

_SETTINGS: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, and has ∂ and the Greek letters
    "font.size": 8.5,
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": 9.0,
    "axes.titlepad": 4.0,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.7,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": True,
    "axes.formatter.limits": (-3, 5),
    "axes.prop_cycle": "cycler('color', [" + ", ".join(map(repr, OKABE_ITO)) + "])",
    "axes.unicode_minus": True,
    "grid.color": "#d9dbde",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.4,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "legend.title_fontsize": 8.5,
    "figure.facecolor": "white",
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "figure.titlesize": 10.5,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
}


@contextmanager
def settings() -> Iterator[None]:
    """Build a figure in this style, and leave matplotlib's settings as they were.

    Raises:
        MissingPackage: when matplotlib is not installed.
    """
    matplotlib = require("matplotlib", "drawing a figure")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def new_figure(height_inches: float, width_inches: float = WIDTH_INCHES) -> "Figure":
    """Return an empty figure that pyplot does not know."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from gradsweep.figures.notebook import NotebookFigure

    layout = ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05, wspace=0.03, hspace=0.04)
    return NotebookFigure(figsize=(width_inches, height_inches), dpi=150, layout=layout)


def style(axes: "Axes", *, grid: bool = True) -> None:
    """Fix the settings that matplotlib would otherwise read when the figure is drawn."""
    for side in ("x", "y"):
        axes.tick_params(axis=side, which="major", labelsize=SMALL, length=2.5, width=0.6)
        axes.tick_params(axis=side, which="both", color=GREY, labelcolor="#202124")
    axes.tick_params(which="minor", length=1.5, width=0.4)
    axes.grid(False)
    if grid:
        axes.grid(True, which="major", color="#d9dbde", linewidth=0.5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_offset_text().set_fontsize(SMALL)


def mark_gaps(axes: "Axes") -> None:
    """Hatch the background, so that a gap is not taken for a colour."""
    axes.patch.set(facecolor="#dfe1e5", edgecolor="#9aa0a6", hatch="//////", linewidth=0.0)


def add_title(figure: "Figure", title: str) -> None:
    """Write the figure's title, broken into lines that fit."""
    figure.suptitle(wrap(title, 12.5 * figure.get_figwidth()), x=0.012, ha="left", fontsize=10.5)


def add_note(figure: "Figure", sentences: Sequence[str]) -> None:
    """Write notes for the reader below the figure."""
    if not sentences:
        return
    text = wrap(" ".join(sentences), 18.5 * figure.get_figwidth())
    figure.supxlabel(text, x=0.012, ha="left", fontsize=SMALL, color=GREY)


def line_colours(n: int, *, has_order: bool = True) -> list[str]:
    """Return colours for lines: equal steps of the sequential scale where they have an order."""
    import matplotlib
    from matplotlib.colors import to_hex

    if n == 1 or not has_order:
        return list(OKABE_ITO[:n])
    # The end of viridis is too light for a line on white.
    scale = matplotlib.colormaps[SEQUENTIAL]
    return [to_hex(scale(at)) for at in np.linspace(0.0, 0.85, n)]


def wrap(text: str, width: float) -> str:
    """Break text into lines of about `width` letters, never inside a formula."""
    lines = [""]
    for word in re.findall(r"(?:\$[^$]*\$|\\\$|[^\s$])+", text):
        if lines[-1] and visible_length(f"{lines[-1]} {word}") > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".lstrip()
    return "\n".join(lines)


def visible_length(text: str) -> int:
    """Return roughly how many letters a text with formulas shows."""
    letters = re.sub(r"\\mathrm|\\times 10", "", text)
    letters = re.sub(r"\\[a-zA-Z]+ ?", "x", letters)  # one sign each: \\partial, \\sigma
    return len(re.sub(r"[${}\\_^]", "", letters))


def panel_inches(axes: "Axes") -> float:
    """Return about how wide a panel is, without the labels on its left."""
    figure, place = axes.get_figure(root=True), axes.get_subplotspec()
    width = WIDTH_INCHES if figure is None else figure.get_figwidth()
    share = 1.0 if place is None else len(place.colspan) / place.get_gridspec().ncols
    return max(0.5, width * share - 0.45)
