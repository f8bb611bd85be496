"""Comparisons with times that are made up."""

import numpy as np

import gradsweep as gs
from gradsweep.comparison.race import Row
from gradsweep.comparison.result import Comparison


def f(x, y):
    return x**3 * y + y**2


SWEEP = gs.Sweep(x=np.linspace(1, 2, 5), y=2.0)
QUICK = {"budget_seconds": 0.1, "progress": False}


def row(rival, family, n_points, *milliseconds):
    of_ours = "labelled call" if rival == "labelled call" else "compiled kernel"
    timed = of_ours if family == "gradsweep" else ""
    return Row(rival, family, n_points, 0.1, tuple(m / 1000 for m in milliseconds), timed=timed)


def comparison(*rows, picked="fused"):
    sizes = dict.fromkeys(r.n_points for r in rows)
    return Comparison("f", "gradient", "torch", dict.fromkeys(sizes, picked), rows, "a machine")
