"""Axes of words, and of points in no order: marks that no line joins, and labels that are words."""

import itertools
import re

import numpy as np
import pytest

import gradsweep as gs
from tests.support.figures import dataset, ladder, sample

KINDS = ["call", "put", "forward"]


def of_words(words=KINDS, n=4):
    """A value and two partials over words and four strikes."""
    numbers = np.arange(float(len(words) * n)).reshape(len(words), n)
    return dataset(
        axes="kind K",
        coords={"kind": list(words), "K": np.linspace(90.0, 110.0, n)},
        price=("kind K", numbers, "price", "", ""),
        dprice_dS=("kind K", -numbers, "price", "S", "0"),
        dprice_dK=("kind", numbers[:, 0], "price", "K", "0"),
    )


def book(**labels):
    """Three trades in no order, with two numbers and a word each."""
    coords = {"S": [95.0, 105.0, 100.0], "K": [90.0, 110.0, 100.0], "kind": ["put", "call", "put"]}
    value = np.array([3.0, 1.0, 2.0])
    return dataset(
        axes="trade",
        coords={**{name: ("trade", v) for name, v in coords.items()}, **labels},
        price=("trade", value, "price", "", ""),
        dprice_dS=("trade", -value, "price", "S", "0"),
        dprice_dK=("trade", 2 * value, "price", "K", "0"),
    )


def marks(axes):
    """Return the lines of a panel that show data, and not where zero is."""
    return [line for line in axes.lines if line.get_transform() == axes.transData]


def tick_labels(axes):
    axes.figure.canvas.draw()
    low, high = axes.get_xlim()
    inside = [t for t in axes.get_xticklabels() if low <= t.get_position()[0] <= high]
    shown = [text.get_text() for text in inside if text.get_visible()]
    return [re.sub(r"^\$\\mathdefault{(.*)}\$$", r"\1", text) for text in shown]


@pytest.mark.parametrize(
    "ds, options",
    [
        (of_words(), {"x": "kind"}),
        (of_words(n=1), {}),
        (book(trade=["a", "b", "c"]), {}),
        (book(), {"x": "trade"}),
        (book(), {"kind": "ladder"}),
        (book(trade=[True, False, True]), {}),
    ],
)
def test_words_and_points_in_no_order_are_not_joined(ds, options):
    drawn = [line for axes in gs.plot(ds, **options).axes for line in marks(axes)]
    assert drawn
    assert {line.get_linestyle() for line in drawn} == {"None"}
    assert {line.get_marker() for line in drawn} <= {"o", "."}


def test_numbers_in_order_are_joined():
    drawn = [line for axes in gs.plot(ladder()).axes for line in marks(axes)]
    assert {line.get_linestyle() for line in drawn} == {"-", "--"}


def test_each_mark_stands_at_its_word():
    (_, axes, _) = gs.plot(of_words(n=1)).axes
    (line,) = marks(axes)
    np.testing.assert_array_equal(line.get_xdata(), [0, 1, 2])
    np.testing.assert_array_equal(line.get_ydata(), [0, -1, -2])


def test_values_of_a_second_axis_stand_side_by_side_at_each_word():
    (_, axes, *_) = gs.plot(of_words(), x="kind").axes
    at = np.array([line.get_xdata() for line in marks(axes)])
    assert at.shape == (4, 3)
    np.testing.assert_array_equal(np.rint(at), np.broadcast_to([0, 1, 2], (4, 3)))
    assert len(np.unique(at)) == at.size


def test_the_panel_on_top_has_labels_of_its_own():
    for ds in (of_words(n=1), ladder()):
        top, *_, below = gs.plot(ds).axes
        assert tick_labels(top) and tick_labels(below)
        assert not top.get_xlabel() and below.get_xlabel()
    assert tick_labels(gs.plot(of_words(n=1)).axes[0]) == KINDS


LONG = [f"{n} calls of ACME, £{n}" for n in range(9)]


@pytest.mark.parametrize("words", [LONG, ["a $ b", "c $"]])
def test_labels_are_words_and_do_not_overlap(words):
    for axes in gs.plot(of_words(words, n=1)).axes:
        shown = tick_labels(axes)
        starts = [word.replace("$", r"\$")[:10] for word in words]
        assert shown and all(any(text.startswith(s) for s in starts) for text in shown)
        texts = [text for text in axes.get_xticklabels() if text.get_text()]
        assert all(text.get_window_extent().width for text in texts)
        if not texts[0].get_rotation():
            boxes = [text.get_window_extent() for text in texts]
            assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes))


def test_numbers_of_points_are_whole():
    for axes in gs.plot(book(), x="trade").axes:
        assert {*tick_labels(axes)} <= {"0", "1", "2"}


def test_a_scatter_over_words_has_a_place_for_each():
    figure = gs.plot(book(), x="kind")
    for axes in figure.axes:
        assert tick_labels(axes) == ["put", "call"]
        (points,) = axes.collections
        np.testing.assert_array_equal(points.get_offsets()[:, 0], [0, 1, 0])


def test_a_scatter_over_dates_has_the_dates():
    days = np.array(["2026-01-03", "2026-01-01", "2026-01-02"], "datetime64[ns]")
    figure = gs.plot(book(day=("trade", days)), x="day")
    (points,) = figure.axes[0].collections
    at = points.get_offsets()[:, 0]
    np.testing.assert_array_equal(at - at.min(), [2, 0, 1])
    assert gs.plot(sample(), x="x").axes[0].get_xlim()[1] < 1.2
