"""plot: the kind of figure of a Dataset, its words, and that its numbers are the Dataset's."""

import numpy as np
import pytest
import xarray

import gradsweep as gs
from gradsweep.figures.arrangement import arrange
from gradsweep.figures.entries import entries_of, swept_dims
from tests.support.figures import (
    SIGMAS,
    SPOTS,
    dataset,
    grid,
    jacobian,
    ladder,
    panels,
    sample,
    words,
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


def at_a_point() -> xarray.Dataset:
    return dataset(df_dx=("", 2.0, "f", "x", "0"), df_dy=("", -3.0, "f", "y", "0"))


def kind_of(ds, kind=None, x=None, by=None):
    return arrange(ds, entries_of(ds), swept_dims(ds), kind, x, by).kind


# -- the kind of figure


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
    """A curve over one of them would suggest that the others stay constant."""
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
