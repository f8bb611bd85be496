"""Names, units and scales of figures, many points, errors, and the command."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
import xarray

import gradsweep as gs
from gradsweep.cli import main
from gradsweep.errors import ArgumentError, MissingPackage, OutputError
from gradsweep.figures import KINDS
from gradsweep.figures.entries import entries_of
from gradsweep.figures.symbols import Element, partial_of
from gradsweep.figures.theme import wrap
from gradsweep.figures.thinning import envelope, farthest_in_blocks
from tests.support.figures import (
    SPOTS,
    dataset,
    grid,
    jacobian,
    ladder,
    panels,
    sample,
    words,
)

# -- names, units and scales


def test_the_axis_is_called_by_its_attributes():
    assert gs.plot(ladder()).axes[-1].get_xlabel() == "spot, $S$ (GBP)"


def test_a_long_name_of_the_users_own_is_the_title():
    ds = ladder()
    ds.dprice_dS.attrs["long_name"] = "delta in $"
    assert r"delta in \$ (USD/GBP)" in panels(gs.plot(ds))


def test_arguments_that_are_held_fixed_are_written_below():
    assert "At $K$ = 100." in words(gs.plot(ladder()))


@pytest.mark.parametrize(
    "element, symbol",
    [
        (Element("S"), "S"),
        (Element("sigma"), r"\sigma"),
        (Element("x0"), "x_{0}"),
        (Element("x0", (2,)), "x_{0,2}"),
        (Element("T_upper"), r"T_{\mathrm{upper}}"),
        (Element("price"), r"\mathrm{price}"),
        (Element("hidden_weight", (0, 1)), r"\mathrm{hidden\_weight}_{0,1}"),
    ],
)
def test_names_are_written_as_mathematics(element, symbol):
    assert element.symbol == symbol


def test_a_second_derivative_by_one_argument_has_a_square():
    f, x, y = Element("f"), Element("x1"), Element("y")
    assert partial_of(f, (x, x)) == r"$\partial^2 f/\partial {x_{1}}^2$"
    assert partial_of(f, (x, y)) == r"$\partial^2 f/\partial x_{1}\partial y$"


def test_lines_of_text_never_break_inside_a_formula():
    formula = r"$\partial \mathrm{price}/\partial S$"
    assert formula in wrap(f"Not drawn: three of {formula} and more", 10).split("\n")


@pytest.mark.parametrize(
    "values, scale",
    [(np.geomspace(1, 1000, 20), "log"), (np.linspace(1, 1000, 20), "linear")],
)
def test_an_axis_is_logarithmic_where_its_values_are(values, scale):
    ds = dataset(axes="x", coords={"x": values}, df_dx=("x", values, "f", "x", "0"))
    assert gs.plot(ds).axes[0].get_xscale() == scale


def test_words_and_dates_can_be_axes():
    days = np.datetime64("2024-01-01", "ns") + np.arange(30).astype("timedelta64[D]")
    ds = dataset(
        axes="day model",
        coords={"day": days, "model": ["normal", "shifted"]},
        df_dx=("day model", np.ones((30, 2)), "f", "x", "0"),
    )
    figure = gs.plot(ds)
    figure.canvas.draw()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["normal", "shifted"]


@pytest.mark.parametrize("kind", ["ladder", "scatter", "histogram", "bars"])
def test_titles_and_labels_of_different_panels_do_not_overlap(kind):
    ds = sample().sortby("x").assign(df_dz=sample().df_dx, df_dw=sample().df_dy)
    for name in "zw":
        ds[f"df_d{name}"].attrs |= {"wrt": name, "long_name": f"∂f/∂{name}"}
        ds = ds.assign_coords({name: ("point", 1e5 * ds.x.values)})
    figure = gs.plot(ds, kind)
    figure.canvas.draw()
    boxes = [
        text.get_window_extent()
        for axes in figure.axes
        for text in (axes._left_title, axes.xaxis.label, *axes.get_xticklabels())
        if text.get_text() and text.get_visible() and text.get_window_extent().width
    ]
    titles = [
        axes._left_title.get_window_extent() for axes in figure.axes if axes.get_title("left")
    ]
    for title in titles:
        assert sum(title.overlaps(box) for box in boxes) == 1  # itself


# -- many points, and points that are not finite


def test_a_million_points_are_thinned_and_the_extremes_stay():
    n = 10**6
    values = np.zeros(n)
    values[123_456], values[654_321] = 5.0, -4.0
    ds = dataset(axes="x", coords={"x": np.arange(float(n))}, df_dx=("x", values, "f", "x", "0"))
    figure = gs.plot(ds)
    line = figure.axes[0].lines[0]
    shown = dict(zip(line.get_xdata(), line.get_ydata()))
    assert len(line.get_xdata()) <= 6000
    assert shown[123_456.0] == 5.0 and shown[654_321.0] == -4.0
    assert "of every 500 of 1,000,000 points" in words(figure)


def test_every_second_point_misses_an_extreme_that_the_envelope_keeps():
    """The control: thinning by a step loses the extreme that the envelope keeps."""
    x, y = np.arange(100.0), np.zeros(100)
    y[51] = 1.0
    assert y[::2].max() == 0.0
    shown_x, shown_y = envelope(x, y, n_bins=10)
    assert shown_y.max() == 1.0 and shown_x[shown_y.argmax()] == 51.0
    assert (np.diff(shown_x) >= 0).all()


@pytest.mark.parametrize("n", [31, 97, 100, 101])
def test_an_envelope_covers_the_line_and_shows_its_gaps(n):
    y = np.random.default_rng(0).normal(size=n)
    y[17] = np.nan
    _, shown = envelope(np.arange(float(n)), y, n_bins=10)
    assert np.nanmin(shown) == np.nanmin(y) and np.nanmax(shown) == np.nanmax(y)
    assert np.isnan(shown).sum() == 1
    assert set(shown[np.isfinite(shown)]) <= set(y[np.isfinite(y)])


def test_a_map_keeps_both_extremes_and_its_gaps():
    z = np.zeros((103, 57))
    z[50, 20], z[7, 55] = 9.0, -6.0
    z[80:, :20] = np.nan
    x, y, shown = farthest_in_blocks(np.arange(57.0), np.arange(103.0), z, finest=20)
    assert shown.shape == (len(y), len(x)) == (18, 19)
    assert np.nanmax(shown) == 9.0 and np.nanmin(shown) == -6.0
    assert np.isnan(shown[-1, 0]) and not np.isnan(shown[0, 0])


def test_what_is_not_finite_is_a_gap_and_is_counted():
    values = np.sin(SPOTS)
    values[3:5], values[9] = np.nan, -np.inf
    figure = gs.plot(ladder(values))
    line = panels(figure)[r"$\partial \mathrm{price}/\partial S$ (USD/GBP)"].lines[0]
    assert np.flatnonzero(np.isnan(line.get_ydata())).tolist() == [3, 4, 9]
    assert r"Not drawn: 2 NaN and 1 infinite in $\partial \mathrm{price}/\partial S$." in words(
        figure
    )
    assert "Not drawn" not in words(gs.plot(ladder()))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_finite_can_still_be_drawn(kind):
    whole = grid()
    if kind == "uncertainty":
        whole = gs.uncertainty(lambda x: x * x, gs.Sweep(x=[1.0, 2.0, 3.0]), {"x": 0.1})
    ds = whole.where(False)
    ds.attrs = whole.attrs
    for name, variable in whole.data_vars.items():
        ds[name].attrs = variable.attrs
    if kind == "scatter":
        gs.plot(ds, kind, x="S").canvas.draw()
    else:
        gs.plot(ds, kind).canvas.draw()


# -- errors


@pytest.mark.parametrize(
    "options, error, says",
    [
        ({"kind": "lader"}, ArgumentError, "no kind 'lader'.*Did you mean 'ladder'"),
        ({"variables": ["dprice_ds"]}, ArgumentError, "no variable 'dprice_ds'.*'dprice_dS'"),
        ({"x": "s"}, ArgumentError, "no axis 's'; this Dataset has S"),
        ({"x": "K"}, ArgumentError, "'K' is held fixed"),
        ({"x": "S", "by": "S"}, ArgumentError, "x and by both run along 'S'"),
        ({"kind": "heatmap"}, OutputError, "'heatmap' needs 2 swept axes.*varies along S"),
        ({"variables": "dprice_dK", "x": "S"}, ArgumentError, "no axis 'S'|varies along 'S'"),
        ({"variables": "price", "kind": "matrix"}, OutputError, "a matrix is of derivatives"),
    ],
)  # fmt: skip
def test_errors_say_what_there_is(options, error, says):
    with pytest.raises(error, match=f"(?s){says}"):
        gs.plot(ladder(), **options)


def test_too_many_lines_or_panels_are_refused_with_what_to_do():
    with pytest.raises(OutputError, match=r"9 values; kind='ladder' shows at most 6(?s:.*)heatmap"):
        gs.plot(grid(), "ladder", by="sigma")
    wide = jacobian().pad(q_0=(0, 30))
    with pytest.raises(OutputError, match=r"66 panels(?s:.*)variables=.*kind='image'"):
        gs.plot(wide, "ladder")


@pytest.mark.parametrize("ds", [xarray.Dataset(), 3.0])
def test_what_is_no_result_is_refused(ds):
    with pytest.raises((OutputError, ArgumentError), match="plot"):
        gs.plot(ds)


def test_one_variable_alone_can_be_drawn():
    ds = ladder()
    np.testing.assert_array_equal(gs.plot(ds.dprice_dS).axes[0].lines[0].get_ydata(), ds.dprice_dS)


# -- beside matplotlib and xarray


def test_no_setting_of_matplotlib_and_no_figure_of_pyplot_is_left():
    import matplotlib.pyplot as plt

    before = dict(matplotlib.rcParams)
    matplotlib.rcParams["lines.linewidth"] = 7.0
    figure = gs.plot(ladder())
    assert matplotlib.rcParams["lines.linewidth"] == 7.0
    matplotlib.rcParams["lines.linewidth"] = before["lines.linewidth"]
    assert dict(matplotlib.rcParams) == before
    assert plt.get_fignums() == []
    assert figure.axes[1].lines[0].get_linewidth() != 7.0


@pytest.mark.slow
def test_pyplot_is_not_loaded():
    code = (
        "import sys, numpy as np, xarray, gradsweep as gs;"
        "ds = xarray.Dataset({'df_dx': ('x', np.arange(9.0))}, {'x': np.arange(9.0)});"
        "gs.plot(ds); print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "False", done.stderr


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingPackage, match=r"pip install 'gradsweep\[plot\]'"):
        gs.plot(ladder())


@pytest.mark.parametrize("engine", ["reference", "auto"])
def test_results_of_the_library_can_be_drawn_by_xarray_and_by_plot(engine):
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    def f(x0, x1):
        return x0**2 * x1

    ds = gs.gradient(f, gs.Sweep(x0=np.arange(1.0, 10.0), x1=[1.0, 2.0]), engine=engine)
    (line, _) = ds.df_dx0.plot.line(x="x0", add_legend=False)
    np.testing.assert_allclose(line.get_ydata(), 2 * np.arange(1.0, 10.0))
    assert line.axes.get_ylabel() == "∂f/∂x0"
    plt.close("all")
    drawn = panels(gs.plot(ds))[r"$\partial f/\partial x_{0}$"]
    np.testing.assert_allclose(drawn.lines[1].get_ydata(), 4 * np.arange(1.0, 10.0))


# -- the command line


MODEL = "def area(width, height):\n    return width**2 * height\n"


@pytest.fixture
def model(tmp_path, monkeypatch):
    (tmp_path / "area_of_plot.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("area_of_plot", None)


AREA = ["area_of_plot.py:area", "--over", "width=1:4:7", "--at", "height=2.0"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "suffix, begins", [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")]
)
def test_plot_saves_a_figure_beside_the_table(model, capsys, suffix, begins):
    assert main(["gradient", *AREA, "--plot", f"area{suffix}"]) == 0
    printed = capsys.readouterr()
    assert "darea_dwidth" in printed.out
    assert f"saved area{suffix}" in printed.err
    assert (model / f"area{suffix}").read_bytes().startswith(begins)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command, more",
    [
        ("value", []),
        ("jacobian", []),
        ("jvp", ["--along", "width=1"]),
        ("contributions", ["--along", "width=1"]),
        ("vjp", ["--along", "1"]),
        ("hessian", []),
        ("hvp", ["--along", "width=1"]),
    ],
)
def test_every_quantity_can_be_plotted(model, command, more):
    assert main([command, *AREA, *more, "--plot", f"{command}.png"]) == 0
    assert (model / f"{command}.png").stat().st_size > 1000


@pytest.mark.parametrize(
    "name, says", [("area.gif", "'.gif' is not among .png"), ("no/area.png", "no folder 'no'")]
)
def test_a_figure_that_cannot_be_saved_is_refused_before_anything_is_computed(
    model, capsys, name, says
):
    assert main(["gradient", *AREA, "--plot", name]) == 2
    printed = capsys.readouterr()
    assert says in printed.err and printed.out == ""


def test_the_command_names_the_extra_without_matplotlib(model, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["gradient", *AREA, "--plot", "area.png"]) == 1
    assert "pip install 'gradsweep[plot]'" in capsys.readouterr().err


def test_a_figure_shows_itself_in_a_notebook_without_pyplot():
    figure = gs.plot(gs.gradient(lambda x: x**2, gs.Sweep(x=np.linspace(0, 1, 5))))
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_every_statistic_of_a_derivative_is_drawn():
    def f(x, y):
        return x**2 * y

    ds = gs.gradient(
        f, gs.Sweep(x=np.linspace(1, 2, 5), y=[1.0, 2.0, 3.0]), reduce=["mean", "max"], dims="x"
    )
    drawn = {entry.variable for entry in entries_of(ds)}
    assert drawn >= {"df_dx_mean", "df_dx_max", "df_dy_mean", "df_dy_max"}
    title = gs.plot(ds).get_suptitle()
    assert title.startswith("Gradient of $f$") and "max_at" not in title
