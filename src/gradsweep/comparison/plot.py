"""Draw a comparison: time against points, a line for each way.

Times enter, a figure leaves.
"""

from typing import TYPE_CHECKING

from gradsweep.comparison.times import Times
from gradsweep.support.errors import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw"]

# One colour for each family, of Okabe and Ito's, which the colour-blind can tell apart.
_COLOURS = {"gradsweep": "#0072B2", "JAX": "#D55E00", "torch": "#009E73"}
_STYLES = ["-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 3))]
_MARKERS = "osD^v<>ph"


def draw(times: Times) -> "Figure":
    """Return a figure of the median time of every way, on logarithmic axes.

    A band spans the quartiles. Needs the extra `plot`.
    """
    require("matplotlib", "drawing a comparison")
    from matplotlib.ticker import NullFormatter

    from gradsweep.figures.notebook import NotebookFigure

    figure = NotebookFigure(figsize=(7.5, 4.8), layout="constrained")
    axes = figure.add_subplot()
    ranked = times.at(times.sizes[-1])
    names = list(dict.fromkeys([r.rival for r in ranked] + [r.rival for r in times.rows]))
    used: dict[str, int] = {}
    for name in names:
        rows = [row for row in times.rows if row.rival == name and row.seconds]
        if not rows:
            continue
        family = rows[0].family
        number = used.setdefault(family, 0)
        used[family] += 1
        sizes = [row.n_points for row in rows]
        low, high = zip(*(row.quartiles for row in rows))
        axes.fill_between(sizes, low, high, color=_COLOURS[family], alpha=0.12, linewidth=0)
        axes.plot(
            sizes,
            [row.median for row in rows],
            color=_COLOURS[family],
            linestyle=_STYLES[number % len(_STYLES)],
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=4.5,
            linewidth=1.5,
            label=name if family == "gradsweep" else f"{family}: {name}",
        )
    axes.set(xscale="log", yscale="log", xlabel="points", ylabel="seconds")
    axes.set_title(
        f"{times.quantity} of {times.function}\n{times.machine}",
        loc="left",
        fontsize=9,
    )
    axes.grid(True, which="major", color="0.9", linewidth=0.8)
    axes.xaxis.set_minor_formatter(NullFormatter())
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.legend(loc="outside right center", fontsize=8, frameon=False)
    return figure
