"""Functions as the machine that tries random ones draws them."""

import numpy as np

from gradsweep.testing.fuzz.drawing.arguments import Arguments, Drawn
from gradsweep.testing.fuzz.drawing.functions import DrawnFunction
from gradsweep.testing.fuzz.drawing.scope import Statement


def drawn_function(framework, lines, result, module=(), **values):
    """Return a function as the machine draws it, of arguments swept along i."""
    arguments = Arguments(
        tuple(
            Drawn(name, ("i",) if np.ndim(value) else (), value) for name, value in values.items()
        )
    )
    statements = tuple(Statement("arithmetic", (line,)) for line in lines)
    return DrawnFunction(framework, arguments, tuple(module), statements, result, frozenset())
