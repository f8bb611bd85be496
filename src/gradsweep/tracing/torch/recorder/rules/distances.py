"""Distances between the rows of matrices, `cdist` and `pdist` and their derivatives."""

from collections.abc import Callable

import numpy as np

from gradsweep.support.errors import NotAProgram
from gradsweep.tracing.torch.recorder.expression import Expression, apply, where
from gradsweep.tracing.torch.recorder.rules.reductions import norm, total

__all__ = ["RULES"]


def _differences(a: Expression, b: Expression) -> Expression:
    """Return every row of a minus every row of b, with dims rows of a, rows of b, columns."""
    return a.expand_dims([-2]) - b.expand_dims([-3])


def _pull_back(g: Expression, d: Expression, order: float, distance: Expression) -> Expression:
    """Return the cotangents of differences from those of distances; 0 for two equal rows."""
    g, distance = g.expand_dims([-1]), distance.expand_dims([-1])
    match order:
        case 1:
            return g * apply("sign", d)
        case 2:
            return where(distance.equals(0), 0.0, g * d / distance)
        case _:
            raise NotAProgram(f"it differentiates a distance of order {order}")


def _cdist(call, a, b, order, compute_mode) -> Expression:
    return norm(_differences(call(a), call(b)), order, [-1])


def _cdist_backward(call, g, a, b, order, distance) -> Expression:
    d = _differences(call(a), call(b))
    return total(_pull_back(call(g), d, order, call(distance)), [-2])


def _pdist(call, x, order=2.0) -> Expression:
    x = call(x)
    first, second = np.triu_indices(x.shape[0], 1)
    return norm(x[first] - x[second], order, [-1])


def _pdist_backward(call, g, x, order, distance) -> Expression:
    x = call(x)
    first, second = np.triu_indices(x.shape[0], 1)
    pulled = _pull_back(call(g), x[first] - x[second], order, call(distance))
    rows = [
        total(pulled[first == row], [0]) - total(pulled[second == row], [0])
        for row in range(x.shape[0])
    ]
    return x.of(np.array([row.variables for row in rows]).reshape(x.shape))


RULES: dict[str, Callable] = {
    "_cdist_forward": _cdist,
    "_cdist_backward": _cdist_backward,
    "_pdist_forward": _pdist,
    "_pdist_backward": _pdist_backward,
}
