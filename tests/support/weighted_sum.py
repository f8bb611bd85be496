"""A scalar of arrays of any shape."""

import numpy as np


def weighted_sum(xp, y):
    """Return a scalar in which every element of y counts differently."""
    weights = np.cos(np.arange(np.prod(y.shape))).reshape(y.shape)
    return (y * xp.asarray(weights)).sum()
