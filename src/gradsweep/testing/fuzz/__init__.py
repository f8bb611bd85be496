"""Find errors by random functions, put on trial.

    python -m gradsweep.testing.fuzz --seconds 120 --seed 1

draws functions of torch, JAX and NumPy from a grammar, runs them through gradsweep's engines, modes
and quantities, and compares every number at every point with the framework's own derivative, or for
NumPy with differences in long doubles. A failure is shrunk and printed as a function that can be
pasted. In a test:

    @given(functions("torch", chosen("torch")))
    def test_something(drawn):
        ...

It needs hypothesis, which comes with the extra `test`.
"""

from gradsweep.support.errors import require

require("hypothesis", "gradsweep.testing.fuzz")

from gradsweep.testing.fuzz.campaign import Campaign, Failure  # noqa: E402
from gradsweep.testing.fuzz.counts import Counts  # noqa: E402
from gradsweep.testing.fuzz.drawing.features import FEATURES, chosen  # noqa: E402
from gradsweep.testing.fuzz.drawing.functions import DrawnFunction, functions  # noqa: E402
from gradsweep.testing.fuzz.wrong import Wrong  # noqa: E402

__all__ = [
    "FEATURES",
    "Campaign",
    "Counts",
    "DrawnFunction",
    "Failure",
    "Wrong",
    "chosen",
    "functions",
]
