"""Durations as people read them. Seconds enter, text leaves."""

import math

__all__ = ["format_seconds"]

# Each unit in seconds, and from how many of them on it is used.
_UNITS = (("h", 3600.0, 2), ("min", 60.0, 2), ("s", 1.0, 1), ("ms", 1e-3, 1), ("µs", 1e-6, 0))


def format_seconds(seconds: float, digits: int = 3) -> str:
    """Write a duration in the unit that suits it: "13.1 µs", "4.8 ms", "10 s", "3.5 h".

    Args:
        digits: how many are told. Whole units are always told whole, and never as a power of ten.
    """
    for unit, size, least in _UNITS if math.isfinite(seconds) else ():
        value = seconds / size
        value = float(f"{value:.{digits}g}") if value < 10**digits else float(f"{value:.0f}")
        if value >= least:
            return f"{value:,.12g} {unit}"
    return f"{seconds:g} s"  # not a number, or less than nothing
