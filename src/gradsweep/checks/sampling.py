"""Choose the points of a sweep at which derivatives are checked.

Leaves enter; the same leaves at a few values of each axis leave, and a few points among those.
The axes remain, so that the thinned sweep is computed in the same way as the whole one.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from gradsweep.request.leaf import Leaf

__all__ = ["draw", "share", "thin"]

# About the most points of the thinned sweep, which is computed whole though few points are drawn.
_MAX_GRID = 4096


def thin(
    leaves: Mapping[str, Leaf], axes: Mapping[str, int], n: int, rng: np.random.Generator
) -> dict[str, Leaf]:
    """Keep at most `n` values of every axis, its ends among them."""
    chosen: dict[str, np.ndarray] = {}
    budget = max(_MAX_GRID, n)
    # Short axes come first: the rest of the budget goes to the long ones.
    for left, axis in zip(range(len(axes), 0, -1), sorted(axes, key=axes.__getitem__)):
        most = int(np.ceil(budget ** (1 / left)))
        chosen[axis] = _choose(axes[axis], min(n, most), rng)
        budget = max(1, budget // len(chosen[axis]))
    thinned = {}
    for key, leaf in leaves.items():
        for axis in reversed(leaf.dims):  # gather puts each axis before the others
            leaf = leaf.gather({axis: chosen[axis]}, axis)
        thinned[key] = leaf
    return thinned


def draw(axes: Mapping[str, int], n: int, rng: np.random.Generator) -> list[dict[str, int]]:
    """Draw at most `n` different points of a product of axes; return the index along each."""
    shape = tuple(axes.values())
    n_grid = int(np.prod(shape, dtype=np.int64))
    flat = np.sort(rng.choice(n_grid, size=min(n, n_grid), replace=False))
    index = np.unravel_index(flat, shape) if shape else ()
    return [{axis: int(along[i]) for axis, along in zip(axes, index)} for i in range(len(flat))]


def share(n: int, sizes: Sequence[int]) -> list[int]:
    """Return how many of n points come from each case: the same number, and at least one.

    Args:
        sizes: how many each case has; what small ones leave goes to the larger ones.
    """
    shares = [0] * len(sizes)
    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    for n_left, case in zip(range(len(sizes), 0, -1), order):
        shares[case] = min(sizes[case], max(1, n // n_left))
        n -= shares[case]
    return shares


def _choose(length: int, n: int, rng: np.random.Generator) -> np.ndarray:
    if length <= n:
        return np.arange(length)
    if n < 3:
        return np.sort(rng.choice(length, size=n, replace=False))
    within = 1 + rng.choice(length - 2, size=n - 2, replace=False)
    return np.concatenate([[0], np.sort(within), [length - 1]])
