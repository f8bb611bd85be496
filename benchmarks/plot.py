"""A plot of time against points, a panel for each case, both axes logarithmic.

Rows enter, an image file leaves. A family's bold line is the fastest of its forms at each size;
the others are thin.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.cases import CASES
from benchmarks.race import Row

__all__ = ["plot"]


class _Style(NamedTuple):
    color: str
    marker: str


# Okabe and Ito (2008), Color Universal Design: told apart with any colour vision, and by marker.
_FAMILIES = {
    "gradsweep": _Style("#0072B2", "o"),
    "gradsweep, labelled": _Style("#56B4E9", "h"),
    "gradsweep, other engines": _Style("#9FB7C9", "."),
    "C": _Style("#000000", "s"),
    "JAX": _Style("#D55E00", "^"),
    "torch": _Style("#E69F00", "v"),
    "torch.compile": _Style("#009E73", "D"),
    "CasADi": _Style("#CC79A7", "P"),
    "NumPy": _Style("#7F7F7F", "X"),
    "loop": _Style("#4D4D4D", "*"),
}
_LABELS = {
    "gradsweep": "gradsweep, compiled",
    "C": "C by hand",
    "NumPy": "NumPy by hand",
    "torch": "torch, eager",
    "loop": "the question's loop",
}
_N_COLUMNS = 3


def plot(rows: Sequence[Row], path: Path, caption: str) -> None:
    """Draw every case that has times.

    Raises:
        ImportError: when matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    names = [name for name in CASES if any(row.case == name and row.samples for row in rows)]
    n_columns = min(_N_COLUMNS, len(names))
    n_rows = math.ceil(len(names) / n_columns)
    figure = Figure(figsize=(5.0 * n_columns, 3.9 * n_rows + 1.2), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for panel, name in zip(panels, names):
        _draw(panel, CASES[name].title, [r for r in rows if r.case == name and r.samples])
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    drawn = {
        text: line for panel in panels for line, text in zip(*panel.get_legend_handles_labels())
    }
    order = [_LABELS.get(family, family) for family in _FAMILIES]
    figure.legend(
        [drawn[text] for text in order if text in drawn],
        [text for text in order if text in drawn],
        loc="outside lower center",
        ncols=5,
        frameon=False,
    )
    figure.suptitle(f"Seconds a call, against points in the sweep\n{caption}", fontsize=13)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, bbox_inches="tight")


def _draw(panel: Any, title: str, rows: Sequence[Row]) -> None:
    for family, style in _FAMILIES.items():
        own = [row for row in rows if row.family == family]
        if not own:
            continue
        is_ours = family == "gradsweep"
        forms = {row.rival for row in own}
        for form in forms if len(forms) > 1 else ():
            panel.plot(
                *_points(row for row in own if row.rival == form),
                color=style.color,
                lw=0.6,
                alpha=0.6,
            )
        panel.plot(
            *_points(own),
            color=style.color,
            marker=style.marker,
            lw=2.8 if is_ours else 1.6,
            ms=7 if is_ours else 5.5,
            label=_LABELS.get(family, family),
            zorder=5 if is_ours else 3,
        )
    panel.set(xscale="log", yscale="log", title=title)
    panel.set_xlabel("points")
    panel.set_ylabel("seconds")
    panel.grid(which="major", color="#DDDDDD", lw=0.6)
    panel.spines[["top", "right"]].set_visible(False)


def _points(rows: Iterable[Row]) -> tuple[list[int], list[float]]:
    """Return the sizes, and the fastest median at each."""
    best: dict[int, float] = {}
    for row in rows:
        if row.seconds is not None:
            best[row.n_points] = min(row.seconds, best.get(row.n_points, math.inf))
    return sorted(best), [best[n] for n in sorted(best)]
