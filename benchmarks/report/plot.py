"""A plot of the time of a point against points, a panel for each case, both axes logarithmic.

Rows enter, an image file leaves. A family's line is the fastest of its forms at each size, and
ours the slower of torch and JAX. It is as wide as a page of the documentation.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES
from benchmarks.race import Row
from benchmarks.report.families import FAMILIES, OURS
from benchmarks.report.verdict import fastest, slowest

__all__ = ["plot"]

# A page is 736 pixels wide: an inch of the figure is 100 of them, and a point 1.4.
_WIDTH, _PANEL_HEIGHT, _LEGEND_HEIGHT = 7.36, 2.5, 1.3
_N_COLUMNS = 2
_OUR_LINES = dict(zip(OURS, ("-", "--", ":")))
_DOTS_PER_INCH = 200
_SIZES = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8.5,
}


def plot(rows: Sequence[Row], path: Path, caption: str) -> None:
    """Draw every case that has times.

    Raises:
        ImportError: when matplotlib is not installed.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    names = [name for name in CASES if any(row.case == name and row.samples for row in rows)]
    n_columns = min(_N_COLUMNS, len(names))
    n_rows = math.ceil(len(names) / n_columns)
    with rc_context(_SIZES):
        height = _PANEL_HEIGHT * n_rows + _LEGEND_HEIGHT
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
        for panel, name in zip(panels, names):
            _draw(panel, CASES[name].title, [row for row in rows if row.case == name])
        for panel in panels[len(names) :]:
            panel.set_visible(False)
        drawn = {
            text: line for panel in panels for line, text in zip(*panel.get_legend_handles_labels())
        }
        order = [family.label for family in FAMILIES.values() if family.label in drawn]
        figure.legend(
            [drawn[text] for text in order],
            order,
            loc="outside lower center",
            ncols=4,
            frameon=False,
        )
        figure.suptitle(f"Nanoseconds a point, against points\n{_in_lines(caption)}", fontsize=8)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=_DOTS_PER_INCH)


def _draw(panel: Any, title: str, rows: Sequence[Row]) -> None:
    sizes = sorted({row.n_points for row in rows})
    for name, family in FAMILIES.items():
        is_ours = name in OURS
        choose = slowest if is_ours else fastest
        found = [choose([row for row in rows if row.n_points == size], [name]) for size in sizes]
        timed = [row for row in found if row is not None and row.seconds is not None]
        if not family.label or not timed:
            continue
        panel.plot(
            [row.n_points for row in timed],
            [1e9 * (row.seconds or math.nan) / row.n_points for row in timed],
            color=family.color,
            marker=family.marker,
            ls=_OUR_LINES.get(name, "-"),
            lw=2.0 if is_ours else 1.1,
            ms=5 if is_ours else 4,
            label=family.label,
            zorder=5 if is_ours else 3,
        )
    panel.set(xscale="log", yscale="log", title=title)
    panel.set_xlabel("points")
    panel.set_ylabel("ns a point")
    panel.grid(which="major", color="#DDDDDD", lw=0.6)
    panel.spines[["top", "right"]].set_visible(False)


def _in_lines(caption: str) -> str:
    """Break the machine's line, which is longer than a page is wide."""
    return caption.replace("; ", "\n", 1)
