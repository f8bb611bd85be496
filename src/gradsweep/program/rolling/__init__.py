"""A body that a Program repeats is found and becomes a Loop.

Knows nothing of frameworks.
"""

from gradsweep.program.rolling.roll import rolled

__all__ = ["rolled"]
