"""Loops that are found in what a Program repeats, and Loops that are joined into one.

Knows nothing of frameworks.
"""

from gradsweep.program.rolling.roll import rolled

__all__ = ["rolled"]
