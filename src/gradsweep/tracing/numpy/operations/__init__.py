"""The tables: for each function of NumPy, math and scipy.special, what computes it.

A row is `Native`, an operation of each framework, or `Composed`, written with other functions of
NumPy's on Arrays. To add a function, add a row to the table of its kind.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from gradsweep.tracing.numpy.operations import (
    creation,
    decompositions,
    elementwise,
    linear,
    mathematics,
    reductions,
    sampled,
    shapes,
    special,
    statistics,
    writing,
)
from gradsweep.tracing.numpy.operations.writing import write_at
from gradsweep.tracing.numpy.row import Row

__all__ = ["ONE_BY_ONE", "REDUCED_BY", "table", "write_at"]

# The methods of ufuncs, as functions.
REDUCED_BY: dict[tuple[np.ufunc, str], Any] = {
    (np.add, "reduce"): np.sum,
    (np.multiply, "reduce"): np.prod,
    (np.maximum, "reduce"): np.max,
    (np.minimum, "reduce"): np.min,
    (np.logical_and, "reduce"): np.all,
    (np.logical_or, "reduce"): np.any,
    (np.add, "accumulate"): np.cumsum,
    (np.multiply, "accumulate"): np.cumprod,
}

# Other ufuncs of two numbers go along an axis one by one.
ONE_BY_ONE = (np.maximum, np.minimum, np.fmax, np.fmin, np.logaddexp, np.hypot, np.subtract)


@cache
def table() -> Mapping[Any, Row]:
    """Return the rows by function."""
    kinds = (
        creation, decompositions, elementwise, linear, mathematics, reductions, sampled, shapes,
        special, statistics, writing,
    )  # fmt: skip
    return {row.function: row for kind in kinds for row in kind.ROWS}
