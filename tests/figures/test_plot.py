"""plot: which figure a Dataset becomes, what it says, and that its numbers are the Dataset's."""

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
from gradsweep.figures.arrangement import arrange
from gradsweep.figures.entries import entries_of, swept_dims
from gradsweep.figures.symbols import Element, partial_of
from gradsweep.figures.theme import _wrap
from gradsweep.figures.thinning import envelope, farthest_in_blocks


def dataset(quantity="gradient", axes="", coords=None, **variables) -> xarray.Dataset:
    """Label arrays as a quantity does: name=(dims, values, "of", "wrt", its number of dims)."""
    made = {}
    for name, (dims, values, of, wrt, ndim, *units) in variables.items():
        keys = wrt.split()
        long_name = of if not keys else f"∂{of}/{''.join('∂' + key for key in keys)}"
        if quantity == "contributions":
            long_name += " · v"
        attrs = {"long_name": long_name, "of": of}
        if keys:
            attrs |= {"wrt": wrt, "wrt_ndim": ndim}
        if units:
            attrs["units"] = units[0]
        made[name] = (tuple(dims.split()), values, attrs)
    return xarray.Dataset(made, coords or {}, {"axes": axes, "quantity": quantity})


SPOTS = np.linspace(50.0, 150.0, 21)
SIGMAS = np.linspace(0.1, 0.5, 9)


def ladder(values=None) -> xarray.Dataset:
    values = np.sin(SPOTS) if values is None else values
    return dataset(
        axes="S",
        coords={"S": ("S", SPOTS, {"units": "GBP", "long_name": "spot"}), "K": 100.0},
        price=("S", SPOTS**2, "price", "", "", "USD"),
        dprice_dS=("S", values, "price", "S", "0", "USD/GBP"),
        dprice_dK=("", 3.0, "price", "K", "0"),
    )


def grid(n=9) -> xarray.Dataset:
    return dataset(
        axes="S sigma",
        coords={"S": SPOTS, "sigma": SIGMAS[:n]},
        dprice_dS=("S sigma", np.outer(SPOTS, SIGMAS[:n]), "price", "S", "0"),
        dprice_dsigma=("S", SPOTS - 100, "price", "sigma", "0"),
    )


def jacobian(dims="t ", n=(30,), coords=None) -> xarray.Dataset:
    J = np.arange(float(np.prod(n) * 6)).reshape(*n, 2, 3)
    return dataset(
        "jacobian",
        dims.strip(),
        coords if coords is not None else {"t": np.arange(30.0)},
        darm_dq=(f"{dims}arm_0 q_0", J, "arm", "q", "1"),
    )


def hessian() -> xarray.Dataset:
    cross = np.cos(SPOTS)
    return dataset(
        "hessian",
        "S",
        {"S": SPOTS},
        d2f_dS_dS=("S", SPOTS, "f", "S S", "0 0"),
        d2f_dS_dr=("S", cross, "f", "S r", "0 0"),
        d2f_dr_dS=("S", cross, "f", "r S", "0 0"),
        d2f_dr_dr=("S", -SPOTS, "f", "r r", "0 0"),
    )


def contributions() -> xarray.Dataset:
    drawn = np.random.default_rng(0).normal(size=(3, 101)) + np.array([[1.0], [-8.0], [4.0]])
    return dataset(
        "contributions",
        "point",
        {"x": ("point", drawn[0])},
        contribution_x=("point", drawn[0], "f", "x", "0"),
        contribution_y=("point", drawn[1], "f", "y", "0"),
        contribution_z=("point", drawn[2], "f", "z", "0"),
    )


def sample(n=64) -> xarray.Dataset:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(size=(2, n))
    return dataset(
        axes="point",
        coords={"x": ("point", x), "y": ("point", y)},
        f=("point", x * y, "f", "", ""),
        df_dx=("point", y, "f", "x", "0"),
        df_dy=("point", x, "f", "y", "0"),
    )


def at_a_point() -> xarray.Dataset:
    return dataset(df_dx=("", 2.0, "f", "x", "0"), df_dy=("", -3.0, "f", "y", "0"))


def kind_of(ds, kind=None, x=None, by=None):
    return arrange(ds, entries_of(ds), swept_dims(ds), kind, x, by).kind


def panels(figure):
    """The panels of a figure by title, without colour bars."""
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_title(loc="left")}


def words(figure) -> str:
    """What is written at the top and at the bottom of a figure."""
    return " ".join((figure.get_suptitle() + " " + figure.get_supxlabel()).split())


# -- which figure


@pytest.mark.parametrize(
    "ds, kind",
    [
        (ladder(), "ladder"),
        (grid(n=3), "ladder"),
        (grid(n=9), "heatmap"),
        (jacobian(), "matrix"),
        (hessian(), "matrix"),
        (jacobian(coords={}), "matrix"),  # a sample: a grid of histograms
        (jacobian("", ()), "image"),
        (contributions(), "tornado"),
        (sample(), "histogram"),
        (at_a_point(), "bars"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_dims_choose_the_kind(ds, kind):
    assert kind_of(ds) == kind


def test_naming_a_sampled_argument_scatters_over_it():
    assert kind_of(sample(), x="x") == "scatter"


def test_rows_whose_only_argument_rises_are_a_curve_and_not_a_sample():
    ds = sample().sortby("x").drop_vars("y")
    assert kind_of(ds) == "ladder"
    assert gs.plot(ds).axes[-1].get_xlabel() == "$x$"


def test_rows_of_several_arguments_are_a_sample_though_one_of_them_rises():
    """A curve over one of them would say that the others stay what they are."""
    assert kind_of(sample().sortby("x")) == "histogram"


def test_many_derivatives_become_an_image():
    assert kind_of(jacobian().isel(t=slice(0, 10)).pad(q_0=(0, 30))) == "image"


@pytest.mark.parametrize("kind", ["ladder", "matrix", "image", "tornado", "bars", "histogram"])
def test_every_kind_can_be_asked_for(kind):
    assert kind_of(jacobian(), kind) == kind
    assert gs.plot(jacobian(), kind).axes


# -- the numbers drawn are the Dataset's


def test_a_ladder_draws_the_values_on_top_and_each_partial_below():
    ds = ladder()
    drawn = panels(gs.plot(ds))
    assert list(drawn) == [
        r"$\mathrm{price}$ (USD)",
        r"$\partial \mathrm{price}/\partial S$ (USD/GBP)",
        r"$\partial \mathrm{price}/\partial K$",
    ]
    price, delta, by_strike = drawn.values()
    np.testing.assert_array_equal(price.lines[0].get_ydata(), ds.price)
    np.testing.assert_array_equal(delta.lines[0].get_xdata(), SPOTS)
    np.testing.assert_array_equal(delta.lines[0].get_ydata(), ds.dprice_dS)
    np.testing.assert_array_equal(by_strike.lines[0].get_ydata(), [3.0, 3.0])
    assert by_strike.texts[0].get_text() == "3 everywhere"


def test_a_few_values_of_a_second_axis_are_lines_with_one_legend():
    ds = grid(n=3)
    figure = gs.plot(ds)
    lines = panels(figure)[r"$\partial \mathrm{price}/\partial S$"].lines
    for line, sigma in zip(lines, SIGMAS[:3]):
        np.testing.assert_allclose(line.get_ydata(), SPOTS * sigma)
    (legend,) = figure.legends
    assert legend.get_title().get_text() == r"$\sigma$"
    # The greatest is on top, in the colour of its line.
    assert [text.get_text() for text in legend.get_texts()] == ["0.2", "0.15", "0.1"]
    assert [line.get_color() for line in legend.get_lines()][::-1] == [
        line.get_color() for line in lines[:3]
    ]


def test_a_heat_map_has_the_sweeps_first_axis_to_the_right_and_the_second_upward():
    ds = grid()
    axes = gs.plot(ds).axes[0]
    np.testing.assert_allclose(axes.collections[0].get_array(), ds.dprice_dS.values.T)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("$S$", r"$\sigma$")
    swapped = gs.plot(ds, x="sigma", by="S").axes[0]
    np.testing.assert_allclose(swapped.collections[0].get_array(), ds.dprice_dS.values)


def test_colours_are_centred_on_zero_only_where_the_sign_changes():
    positive, signed = (axes.collections[0] for axes in panels(gs.plot(grid())).values())
    assert (signed.norm.vmin, signed.norm.vmax) == (-50.0, 50.0)
    assert signed.get_cmap().name == "RdBu_r"
    assert positive.norm.vmin == pytest.approx(5.0)
    assert positive.get_cmap().name == "viridis"


def test_a_matrix_has_outputs_down_and_inputs_across():
    ds = jacobian()
    drawn = panels(gs.plot(ds))
    for (i, j), title in {
        (0, 2): r"$\partial \mathrm{arm}_{0}/\partial q_{2}$",
        (1, 0): r"$\partial \mathrm{arm}_{1}/\partial q_{0}$",
    }.items():
        place = drawn[title].get_subplotspec()
        assert (place.rowspan.start, place.colspan.start) == (i, j)
        np.testing.assert_array_equal(drawn[title].lines[0].get_ydata(), ds.darm_dq[:, i, j])


def test_a_hessian_draws_each_pair_once_below_the_diagonal():
    figure = gs.plot(hessian())
    assert len(panels(figure)) == 3
    cross = panels(figure)[r"$\partial^2 f/\partial S\partial r$"]
    place = cross.get_subplotspec()
    assert (place.rowspan.start, place.colspan.start) == (1, 0)
    np.testing.assert_array_equal(cross.lines[0].get_ydata(), np.cos(SPOTS))


def test_the_image_of_a_hessian_is_symmetric():
    shown = gs.plot(hessian(), "image").axes[0].images[0].get_array()
    np.testing.assert_allclose(
        shown, [[SPOTS.mean(), np.cos(SPOTS).mean()], [np.cos(SPOTS).mean(), -SPOTS.mean()]]
    )


def test_a_tornado_has_the_largest_mean_on_top_whatever_its_sign():
    ds = contributions()
    figure = gs.plot(ds)
    (axes,) = figure.axes
    widths = [bar.get_width() for bar in axes.patches]
    means = [float(ds[f"contribution_{name}"].mean()) for name in "yzx"]
    np.testing.assert_allclose(widths, means)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["$y$", "$z$", "$x$"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    spread = axes.lines[0].get_xdata()
    np.testing.assert_allclose(spread, np.percentile(ds.contribution_y, [5, 95]))
    assert "mean over point (101 values)" in words(figure).replace("$", "").replace(
        r"\mathrm{point}", "point"
    )


def test_bars_have_the_order_and_the_numbers_of_the_dataset():
    (axes,) = gs.plot(at_a_point()).axes
    assert [bar.get_width() for bar in axes.patches] == [2.0, -3.0]


def test_a_histogram_counts_every_point_and_marks_the_mean():
    ds = sample()
    axes = panels(gs.plot(ds))[r"$\partial f/\partial x$"]
    assert axes.patches[0].get_data().values.sum() == 64
    assert axes.lines[0].get_xdata()[0] == pytest.approx(float(ds.y.mean()))


def test_a_scatter_draws_each_partial_over_its_own_argument():
    ds = sample()
    figure = gs.plot(ds, "scatter")
    drawn = panels(figure)
    for name, values in (("x", ds.df_dx), ("y", ds.df_dy)):
        points = drawn[rf"$\partial f/\partial {name}$"].collections[0].get_offsets()
        np.testing.assert_array_equal(points, np.stack([ds[name], values], axis=1))
    assert "Left out, with no argument along the sample: $f$" in words(figure)


def test_what_is_averaged_is_said_in_the_title():
    S, T = np.arange(10.0), np.arange(8.0)
    values = np.arange(10 * 8 * 12, dtype=float).reshape(10, 8, 12)
    ds = dataset(
        axes="S T r",
        coords={"S": S, "T": T, "r": np.arange(12.0)},
        df_dS=("S T r", values, "f", "S", "0"),
    )
    figure = gs.plot(ds)
    assert figure.get_suptitle() == "Gradient of $f$, mean over $T$ (8 values)"
    np.testing.assert_allclose(figure.axes[0].collections[0].get_array(), values.mean(axis=1).T)


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
    assert formula in _wrap(f"Not drawn: three of {formula} and more", 10).split("\n")


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
    """The control: thinning by a step loses what the envelope is there to keep."""
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


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_finite_can_still_be_drawn(kind):
    ds = grid().where(False)
    ds.attrs = grid().attrs
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
    with pytest.raises(OutputError, match=r"9 values; a ladder shows at most 6(?s:.*)heatmap"):
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


AREA = ["area_of_plot.py:area", "--over", "width=1:4:7", "--at", "height=2"]


@pytest.mark.parametrize(
    "suffix, begins", [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")]
)
def test_plot_saves_a_figure_beside_the_table(model, capsys, suffix, begins):
    assert main(["gradient", *AREA, "--plot", f"area{suffix}"]) == 0
    printed = capsys.readouterr()
    assert "darea_dwidth" in printed.out
    assert f"saved area{suffix}" in printed.err
    assert (model / f"area{suffix}").read_bytes().startswith(begins)


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
