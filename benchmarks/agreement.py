"""Whether a rival's values are those of the closed form: a fast wrong answer is no result."""

from collections.abc import Sequence

import numpy as np

from benchmarks.cases import Problem

__all__ = ["disagreement"]


def disagreement(problem: Problem, results: Sequence[np.ndarray]) -> str:
    """Return how the results of a rival differ from the closed form, or "" when they agree.

    A result may lack an axis that it does not vary with. Its error is measured against its
    largest value, since second derivatives pass through zero.
    """
    case = problem.case
    if len(results) != len(case.results):
        return f"it has {len(results)} results, not {len(case.results)}"
    for name, found, expected in zip(case.results, results, problem.expected):
        if found.dtype != case.dtype:
            return f"{name} is {found.dtype}, not {case.dtype}"
        whole = (*problem.sizes.values(), *expected.shape[len(case.axes) :])
        try:
            np.broadcast_to(found, whole)
        except ValueError:
            return f"{name} has shape {found.shape}, not {whole}"
        scale = np.max(np.abs(expected))
        if not np.allclose(found, expected, rtol=case.rtol, atol=case.rtol * scale):
            error = np.max(np.abs(found - expected)) / scale
            return f"{name} is off by {error:.1e} of its largest value"
    return ""
