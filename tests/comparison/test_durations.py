"""Durations as people read them, wherever they are told."""

import pytest

from gradsweep.support.duration import format_seconds


@pytest.mark.parametrize(
    "seconds, digits, written",
    [
        (0.0, 3, "0 µs"),
        (1.31e-5, 3, "13.1 µs"),
        (0.0048, 3, "4.8 ms"),
        (0.9996e-3, 3, "1 ms"),  # rounded before the unit is chosen
        (0.9996, 3, "1 s"),
        (9.7, 1, "10 s"),
        (14.4, 2, "14 s"),
        (59.96, 3, "60 s"),
        (100.4, 2, "100 s"),
        (150.0, 3, "2.5 min"),
        (12_600.0, 3, "3.5 h"),
        (3.6e9, 3, "1,000,000 h"),
        (float("nan"), 3, "nan s"),
        (float("inf"), 3, "inf s"),
    ],
)
def test_a_duration_is_told_in_the_unit_that_suits_it(seconds, digits, written):
    assert format_seconds(seconds, digits) == written


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_no_duration_is_a_power_of_ten(digits):
    lengths = [mantissa * 10.0**power for power in range(-7, 9) for mantissa in (1.0, 4.4, 9.97)]
    assert not any("e" in format_seconds(seconds, digits) for seconds in lengths)
    assert "e" in f"{9.97:.1g}"  # the control: how Python writes ten seconds
