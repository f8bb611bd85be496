"""plot: the figure that suits a Dataset of derivatives.

The Dataset of any quantity enters, from memory or from a file; a matplotlib Figure leaves. A kind
of figure is a row of `KINDS` in arrangement.py, and a function in `_DRAWN_BY` here.
Never sees a function or a sweep, and never shows or saves what it returns.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from gradsweep.figures import theme
from gradsweep.figures.arrangement import KINDS, Arrangement, arrange
from gradsweep.figures.axis import held_fixed
from gradsweep.figures.bars import draw_bars, draw_tornado
from gradsweep.figures.entries import Entry, entries_of, pick, swept_dims
from gradsweep.figures.grids import draw_image, draw_matrix
from gradsweep.figures.pages import draw_heatmap, draw_histograms, draw_ladder, draw_scatter
from gradsweep.figures.symbols import Element
from gradsweep.figures.uncertainty import draw_uncertainty
from gradsweep.support.errors import ArgumentError, nearest

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

__all__ = ["KINDS", "plot"]

_Drawn = Callable[
    ["xarray.Dataset", Sequence[Entry], Arrangement, float], tuple["Figure", list[str]]
]

_DRAWN_BY: dict[str, _Drawn] = {
    "ladder": draw_ladder,
    "heatmap": draw_heatmap,
    "matrix": draw_matrix,
    "image": draw_image,
    "histogram": draw_histograms,
    "scatter": draw_scatter,
    "tornado": draw_tornado,
    "bars": draw_bars,
    "uncertainty": draw_uncertainty,
}

# How the title of a figure begins, by quantity.
_TITLES = {
    "value": "{of}",
    "gradient": "Gradient of {of}",
    "jacobian": "Jacobian of {of}",
    "jvp": "{of} along the tangent, J v",
    "contributions": "Contributions to {of}",
    "vjp": "w J of {of}",
    "hessian": "Hessian of {of}",
    "hvp": "H v of {of}",
    "uncertainty": "Uncertainty of {of}",
    "partials": "Derivatives of {of}",
    "laplacian": "Laplacian of {of}",
    "divergence": "Divergence of {of}",
    "curl": "Curl of {of}",
}


def plot(
    ds: "xarray.Dataset | xarray.DataArray",
    kind: str | None = None,
    *,
    x: str | None = None,
    by: str | None = None,
    variables: str | Iterable[str] | None = None,
    title: str | None = None,
    width: float = theme.WIDTH_INCHES,
) -> "Figure":
    """Draw derivatives, in the way that their dims suggest.

    ================================  =========================================================
    results that vary with            become
    ================================  =========================================================
    one axis                          a ladder: a panel for each derivative, the value on top
    an axis, and one of few values    the same, with a line for each value of the second
    two axes                          heat maps with contours
    an axis; many outputs and inputs  a matrix of panels: outputs by inputs; a Hessian's half
    a sample, in no order             histograms; with `x` the points over that argument
    nothing                           bars; for many outputs and inputs a coloured matrix
    ================================  =========================================================

    Words, and points in no order, have a mark each, which no line joins.
    An uncertainty becomes its value with a band, the shares stacked below it. Contributions become
    a tornado, averaged over the sweep; more than 36 derivatives an image.
    Results are averaged over all other axes, and the title says so; to see one value instead,
    select it with `ds.sel`. Numbers that are not finite are gaps, counted below the figure.

    Args:
        ds: the Dataset that a quantity returned, or one variable of it.
        kind: `"ladder"`, `"heatmap"`, `"matrix"`, `"image"`, `"histogram"`, `"scatter"`,
            `"tornado"`, `"bars"` or `"uncertainty"`; by default the one in the table.
        x: the dim or coordinate drawn to the right.
        by: the dim or coordinate drawn as lines, or upward in a heat map.
        variables: the names of the variables to draw; by default all.
        title: a title in place of the default one; `""` for none.
        width: the width of the figure, in inches.

    Returns:
        A Figure of matplotlib's. A notebook shows it after `%matplotlib inline`;
        `figure.savefig("greeks.pdf")` saves it.

    Raises:
        ArgumentError: when a kind, a variable or an axis has no such name.
        OutputError: when there is nothing to draw, or the kind needs axes that are not there.
        MissingPackage: when matplotlib is not installed.
    """
    if kind is not None and kind not in KINDS:
        raise ArgumentError(
            f"plot has no kind {kind!r}; there are {', '.join(KINDS)}.{nearest(kind, KINDS)}"
        )
    ds = pick(_as_dataset(ds), variables)
    with theme.settings():
        entries = entries_of(ds)
        arrangement = arrange(ds, entries, swept_dims(ds), kind, x, by)
        figure, notes = _DRAWN_BY[arrangement.kind](ds, entries, arrangement, width)
        theme.add_title(figure, _title(ds, entries, arrangement) if title is None else title)
        theme.add_note(figure, [*_held(ds), *dict.fromkeys(notes), *_missing(entries)])
    return figure


def _as_dataset(ds: "xarray.Dataset | xarray.DataArray") -> "xarray.Dataset":
    import xarray

    if isinstance(ds, xarray.DataArray):
        return ds.to_dataset(name=ds.name or "values")
    if isinstance(ds, xarray.Dataset):
        return ds
    raise ArgumentError(
        f"plot draws the Dataset that a quantity returned, not {type(ds).__name__}.\n"
        f"Compute one first: gs.plot(gs.gradient(f, sweep))."
    )


def _title(ds: "xarray.Dataset", entries: Sequence[Entry], arrangement: Arrangement) -> str:
    """Return the default title: what is drawn, and the axes that are averaged over."""
    names = list(dict.fromkeys(entry.of.name for entry in entries))
    of = ", ".join(Element(name).label for name in names[:4]) + (" …" if names[4:] else "")
    quantity = str(ds.attrs.get("quantity", ""))
    says = _TITLES.get(quantity, "{of}").format(of=of)
    if arrangement.sampled:
        n = 1
        for axis in arrangement.sampled:
            n *= len(axis.values)
        says += f" at {n:,} points"
    return f"{says}, {arrangement.sentence}" if arrangement.averaged else says


def _held(ds: "xarray.Dataset") -> list[str]:
    held = held_fixed(ds)
    return [f"At {held}."] if held else []


def _missing(entries: Sequence[Entry]) -> list[str]:
    """Count the values that are not finite, which no figure shows."""
    counts = {entry.label: entry.n_missing for entry in entries if any(entry.n_missing)}
    if len(counts) > 4:
        n_nan, n_infinite = (sum(n) for n in zip(*counts.values()))
        counts = {f"{len(counts)} derivatives": (n_nan, n_infinite)}
    found = [f"{_counted(*n)} in {label}" for label, n in counts.items()]
    return [f"Not drawn: {', '.join(found)}."] if found else []


def _counted(n_nan: int, n_infinite: int) -> str:
    """Write how many numbers are missing: "3 NaN and 1 infinite"."""
    named = ((n_nan, "NaN"), (n_infinite, "infinite"))
    return " and ".join(f"{n:,} {what}" for n, what in named if n)
