"""Thin a line or a map of many points to as many as print can show.

Arrays enter and leave. Knows nothing of figures or Datasets.
"""

import numpy as np

__all__ = ["FINEST_LINE", "FINEST_MAP", "envelope", "farthest_in_blocks"]

# A panel is at most 6.5 inches wide: at 300 dots per inch, finer than this cannot be printed.
FINEST_LINE = 2000
FINEST_MAP = 400


def envelope(x: np.ndarray, y: np.ndarray, n_bins: int = FINEST_LINE) -> tuple:
    """Reduce a line to the least and the greatest value of each of `n_bins` runs of points.

    Both keep their places and their order, so that the line through them covers what the whole
    line covers. A run with a value that is not finite ends in a gap.

    Args:
        x, y: shape (n,).

    Returns:
        x and y, of at most 3 * n_bins points; as they are where there are no more than that.
    """
    n = len(y)
    if n <= 3 * n_bins:
        return x, np.where(np.isfinite(y), y, np.nan)
    size = -(-n // n_bins)
    n_bins = -(-n // size)
    padding = n_bins * size - n
    rows = np.concatenate([y, np.repeat(y[-1:], padding)]).reshape(n_bins, size)
    finite = np.isfinite(rows)
    starts = np.arange(n_bins) * size
    least = np.where(finite, rows, np.inf).argmin(axis=1) + starts
    greatest = np.where(finite, rows, -np.inf).argmax(axis=1) + starts
    ends = np.minimum(starts + size, n) - 1
    kept = np.stack([np.minimum(least, greatest), np.maximum(least, greatest), ends], axis=1)
    kept = np.minimum(kept, n - 1)
    shown = y[kept].astype(float)
    # The third place is a gap where one is needed; else it repeats the second.
    has_gap = ~finite.all(axis=1)
    kept[~has_gap, 2] = kept[~has_gap, 1]
    shown[:, 2] = np.where(has_gap, np.nan, shown[:, 1])
    shown[~np.isfinite(shown)] = np.nan
    return x[kept].ravel(), shown.ravel()


def farthest_in_blocks(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, finest: int = FINEST_MAP
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reduce a map to blocks, each shown by its value farthest from the median of the map.

    The extremes of the whole map stay. A block is a gap where at least half of it is missing.

    Args:
        x, y: shapes (n,) and (m,).
        z: shape (m, n).

    Returns:
        x and y at the middle of the blocks, and z; as they are where none is above `finest`.
    """
    step_y, step_x = (-(-n // finest) for n in z.shape)
    z = np.where(np.isfinite(z), z, np.nan)
    if step_x == step_y == 1:
        return x, y, z
    tall, wide = -(-z.shape[0] // step_y), -(-z.shape[1] // step_x)
    padded = np.full((tall * step_y, wide * step_x), np.nan)
    padded[: z.shape[0], : z.shape[1]] = z
    inside = np.zeros(padded.shape, bool)
    inside[: z.shape[0], : z.shape[1]] = True
    blocks, within = (
        array.reshape(tall, step_y, wide, step_x).swapaxes(1, 2).reshape(tall, wide, -1)
        for array in (padded, inside)
    )
    missing = np.isnan(blocks)
    middle = np.nanmedian(z) if not missing.all() else 0.0
    distance = np.where(missing, -1.0, np.abs(blocks - middle))
    shown = np.take_along_axis(blocks, distance.argmax(axis=2)[..., None], axis=2)[..., 0]
    is_gap = 2 * (missing & within).sum(axis=2) >= within.sum(axis=2)
    return x[_middles(len(x), step_x)], y[_middles(len(y), step_y)], np.where(is_gap, np.nan, shown)


def _middles(n: int, step: int) -> np.ndarray:
    starts = np.arange(0, n, step)
    return (starts + np.minimum(starts + step, n) - 1) // 2
