"""The figure of an uncertainty: its kind, and that the band and the shares are the Dataset's."""

import numpy as np
import pytest
import xarray

import gradsweep as gs
from gradsweep.errors import OutputError
from gradsweep.figures.arrangement import arrange
from gradsweep.figures.entries import entries_of, swept_dims

pytest.importorskip("matplotlib")

X = np.linspace(1.0, 3.0, 41)


def area(x, y):
    return x * y


def measured(x=X, correlation=-0.9):
    pair = {("x", "y"): correlation}
    return gs.uncertainty(area, gs.Sweep(x=x, y=2.0), {"x": 0.1, "y": 0.2}, correlation=pair)


def kind_of(ds):
    return arrange(ds, entries_of(ds), swept_dims(ds), None, None, None).kind


def test_the_band_is_two_standard_deviations_around_the_value():
    ds = measured()
    top, _ = gs.plot(ds).axes
    np.testing.assert_array_equal(top.lines[0].get_ydata(), ds.area)
    drawn = top.collections[0].get_datalim(top.transData)
    low, high = ds.area - 2 * ds.area_std, ds.area + 2 * ds.area_std
    np.testing.assert_allclose([drawn.y0, drawn.y1], [low.min(), high.max()], rtol=1e-12)


def test_negative_shares_hang_below_zero_and_all_of_them_add_up_to_1():
    ds = measured()
    assert ds.variance_share_x.min() < 0, "control: there is a negative one"
    _, below = gs.plot(ds).axes
    heights = {}
    for fill in below.collections:
        for path in fill.get_paths():
            for at, height in path.vertices:
                low, high = heights.get(at, (0.0, 0.0))
                heights[at] = min(low, height), max(high, height)
    ends = np.array([heights[at] for at in X])
    np.testing.assert_allclose(ends.sum(axis=1), 1, rtol=1e-12)
    negative = sum(np.clip(ds[f"variance_share_{name}"], None, 0) for name in "xy")
    np.testing.assert_allclose(ends[:, 0], negative, atol=1e-12)


def test_words_have_bars_and_no_band_joins_them():
    samples = xarray.DataArray([1.0, 2.0, 4.0], dims="s", coords={"s": ["A", "B", "C"]})
    ds = measured(samples, 0.0)
    _, below = gs.plot(ds).axes
    heights = [bar.get_height() for bar in below.patches if bar.get_height()]
    shares = np.concatenate([ds.variance_share_x, ds.variance_share_y])
    np.testing.assert_allclose(heights, shares, rtol=1e-12)
    assert [text.get_text() for text in below.get_xticklabels()] == ["A", "B", "C"]


def test_one_point_is_written_out():
    figure = gs.plot(measured(1.5, 0.0))
    # std = hypot(0.2, 0.3)
    assert [text.get_text() for text in figure.axes[0].texts] == ["3 ± 0.3606"]
    widths = [bar.get_width() for bar in figure.axes[1].patches]
    np.testing.assert_allclose(widths, [0.04 / 0.13, 0.09 / 0.13], rtol=1e-12)


def test_the_least_of_many_shares_are_one():
    def total(**x):
        return sum(x.values())

    names = [f"x{i}" for i in range(10)]
    ds = gs.uncertainty(
        total,
        gs.Sweep(dict.fromkeys(names, 1.0)),
        {name: float(i + 1) for i, name in enumerate(names)},
    )
    figure = gs.plot(ds)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["others", *(f"$x_{{{i}}}$" for i in range(9, 3, -1))]
    widths = [bar.get_width() for bar in figure.axes[1].patches]
    # The first four of 1, 4, 9, ... 100 over their sum, 385.
    assert widths[-1] == pytest.approx(30 / 385, rel=1e-12)
    assert sum(widths) == pytest.approx(1, rel=1e-12)


def test_the_share_of_the_second_order_is_stacked_too():
    ds = gs.uncertainty(area, gs.Sweep(x=1.5, y=2.0), {"x": 0.4, "y": 0.5}, order=2)
    figure = gs.plot(ds)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["second order", "$y$", "$x$"]
    assert "First order" not in figure.get_supxlabel(), "control: its share is 0.03"
    widths = [bar.get_width() for bar in figure.axes[1].patches]
    np.testing.assert_allclose(np.array(widths) * 1.2425, [0.64, 0.5625, 0.04], rtol=1e-12)


def test_a_note_counts_the_points_where_first_order_is_not_enough():
    # The share of the second order is 2 s^4 / (4 x^2 s^2 + 2 s^4) = s^2 / (2 x^2 + s^2).
    ds = gs.uncertainty(lambda x: x**2, gs.Sweep(x=[1.0, 2.0, 3.0]), {"x": 1.0}, order=2)
    note = gs.plot(ds).get_supxlabel().replace("\n", " ")
    assert ds.variance_share_second_order.values == pytest.approx([1 / 3, 1 / 9, 1 / 19])
    assert note.endswith("at 2 of 3.") and "First order is not enough for" in note


def test_the_dims_choose_the_kind():
    ds = measured()
    assert kind_of(ds) == kind_of(measured(1.5)) == "uncertainty"
    assert kind_of(ds[["variance_share_x", "variance_share_y"]]) == "ladder"
    grid = gs.uncertainty(area, gs.Sweep(x=X, y=X), {"x": 0.1, "y": 0.2})
    assert kind_of(grid) == "heatmap"


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(OutputError, match="draws what gs.uncertainty returns"):
        gs.plot(gs.gradient(area, gs.Sweep(x=X, y=2.0)), kind="uncertainty")
    many = gs.uncertainty(area, gs.Sweep(x=X, y=np.arange(7.0)), {"x": 0.1, "y": 0.2})
    with pytest.raises(OutputError, match="kind='uncertainty' shows at most 6 as lines"):
        gs.plot(many, kind="uncertainty", by="y")


def reach_of(band):
    vertices = band.get_paths()[0].vertices[:, 1]
    return vertices.min(), vertices.max()


def test_each_of_a_few_values_has_a_band_and_shares_of_its_own():
    ds = gs.uncertainty(area, gs.Sweep(x=X, y=[1.0, 2.0, 4.0]), {"x": 0.1, "y": 0.2})
    figure = gs.plot(ds)
    top, *below = figure.axes
    assert len(top.collections) == len(below) == 3
    for n, y in enumerate([1.0, 2.0, 4.0]):
        one = ds.isel(y=n)
        np.testing.assert_array_equal(top.lines[n].get_ydata(), one.area)
        low, high = one.area - 2 * one.area_std, one.area + 2 * one.area_std
        np.testing.assert_allclose(reach_of(top.collections[n]), [low.min(), high.max()])
        assert below[n].get_title(loc="left").endswith(f"= {y:g}")
        # The first of two stacked shares reaches from 0 to the largest.
        largest = reach_of(below[n].collections[0])[1]
        assert largest == pytest.approx(one.variance_share_x.max().item(), rel=1e-12)
    labels = [text.get_text() for text in figure.legends[1].get_texts()]
    assert labels == ["4", "2", "1"]


def test_without_room_for_their_shares_a_note_says_that_they_are_means():
    def both(x, y):
        return {"a": x * y, "b": x + y}

    ds = gs.uncertainty(both, gs.Sweep(x=X, y=np.arange(1.0, 5.0)), {"x": 0.1, "y": 0.2})
    figure = gs.plot(ds)
    assert [len(axes.lines) for axes in figure.axes] == [4, 1, 4, 1]
    assert "Shares are means over $y$ (4 values)." in figure.get_supxlabel().replace("\n", " ")


def test_no_band_is_a_mean_over_a_third_axis():
    def volume(x, y, z):
        return x * y * z

    sweep = gs.Sweep(x=X, y=[1.0, 2.0, 3.0], z=[1.0, 5.0])
    ds = gs.uncertainty(volume, sweep, {"x": 0.1})
    figure = gs.plot(ds)
    held = ds.isel(z=1)
    drawn = [line.get_ydata() for line in figure.axes[0].lines]
    np.testing.assert_array_equal(drawn, held.volume.transpose("y", "x"))
    _, high = reach_of(figure.axes[0].collections[2])
    assert high == pytest.approx((held.volume + 2 * held.volume_std).max().item(), rel=1e-12)
    note = figure.get_supxlabel().replace("\n", " ")
    assert "Drawn at $z$ = 5, one of 2 values." in note and "mean" not in str(figure._suptitle)


def test_a_band_to_second_order_is_about_the_expectation():
    ds = gs.uncertainty(lambda x: x**2, gs.Sweep(x=X), {"x": 0.5}, order=2)
    top, _ = gs.plot(ds).axes
    value, expectation = (line.get_ydata() for line in top.lines)
    np.testing.assert_array_equal(value, ds.f)
    np.testing.assert_allclose(expectation, X**2 + 0.25, rtol=1e-14)
    std = np.sqrt(4 * X**2 * 0.25 + 2 * 0.5**4)
    low, high = (X**2 + 0.25 - 2 * std).min(), (X**2 + 0.25 + 2 * std).max()
    np.testing.assert_allclose(reach_of(top.collections[0]), [low, high], rtol=1e-12)


def test_one_point_to_second_order_shows_the_value_and_the_expectation_with_its_std():
    ds = gs.uncertainty(lambda x: x**2, gs.Sweep(x=1.5), {"x": 0.8}, order=2)
    top, _ = gs.plot(ds).axes
    # 2.25 + 0.64, and the root of 4 x^2 s^2 + 2 s^4
    assert [text.get_text() for text in top.texts] == ["2.25, expected 2.89 ± 2.565"]


def test_error_bars_of_two_values_stand_beside_each_other():
    samples = xarray.DataArray([1.0, 2.0, 4.0], dims="s", coords={"s": ["A", "B", "C"]})
    ds = gs.uncertainty(area, gs.Sweep(x=samples, y=[1.0, 2.0]), {"x": 0.5, "y": 0.8})
    top, *below = gs.plot(ds, x="s").axes
    left, right = (bars.lines[0] for bars in top.containers)
    assert len(below) == 2 and (left.get_xdata() < right.get_xdata()).all()
    np.testing.assert_array_equal(left.get_ydata(), ds.area.isel(y=0))
    np.testing.assert_array_equal(right.get_ydata(), ds.area.isel(y=1))
