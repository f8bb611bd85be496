"""Convolutions along any number of dims, as torch and JAX have them: the kernel is not reversed.

Arrays have dims (batch, channels, ...), kernels (channels of the result, channels of a group, ...).
Knows nothing of frameworks.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gradsweep.program.arrays import Variables, dot_general
from gradsweep.program.builder import Builder
from gradsweep.program.windows.sliding import Pairs, padded, windows
from gradsweep.support.errors import NotAProgram

__all__ = ["Places", "convolved", "kernel_gradient", "spread_back"]


class Places(NamedTuple):
    """Where a kernel is laid: one number, or one pair, for each dim along which it slides.

    Attributes:
        strides: how far it moves.
        padding: how many zeros stand before and after the array.
        dilations: how far its own elements lie apart.
        spread: how far the array's elements lie apart, zeros between them.
        n_groups: how many groups the channels are in; each is convolved by itself.
    """

    strides: Sequence[int]
    padding: Pairs
    dilations: Sequence[int]
    spread: Sequence[int]
    n_groups: int


def convolved(b: Builder, x: Variables, kernel: Variables, places: Places) -> Variables:
    """Return y, (batch, channels of the result, ...): sums over channels and windows of x w."""
    n = kernel.ndim - 2
    every = _windows(b, x, kernel.shape[2:], places)
    parts = [
        dot_general(b, part, weights, ((1, *range(n + 2, 2 * n + 2)), range(1, n + 2)))
        for part, weights in zip(
            np.split(every, places.n_groups, axis=1), np.split(kernel, places.n_groups)
        )
    ]
    return np.concatenate([np.moveaxis(part, -1, 1) for part in parts], axis=1)


def kernel_gradient(
    b: Builder, x: Variables, g: Variables, sizes: Sequence[int], places: Places
) -> Variables:
    """Return the gradient by the kernel, for the gradient g by the result.

    Args:
        sizes: the lengths of the kernel.
    """
    n = len(sizes)
    every = _windows(b, x, sizes, places)
    over = (0, *range(2, n + 2))
    parts = [
        dot_general(b, own, part, (over, over))
        for own, part in zip(
            np.split(g, places.n_groups, axis=1), np.split(every, places.n_groups, axis=1)
        )
    ]
    return np.concatenate(parts)


def spread_back(
    b: Builder, g: Variables, kernel: Variables, lengths: Sequence[int], places: Places
) -> Variables:
    """Return the transpose of a convolution, which takes y to x of some lengths.

    Args:
        g: (batch, channels of y, ...).
        places: those of the convolution, whose array is not spread.
    """
    sizes, n_groups = kernel.shape[2:], places.n_groups
    padding = []
    for k, length in enumerate(lengths):
        reach = (sizes[k] - 1) * places.dilations[k]
        low = reach - places.padding[k][0]
        high = length + reach - low - (g.shape[2 + k] - 1) * places.strides[k] - 1
        padding.append((low, high))
    by_group = kernel.reshape(n_groups, -1, *kernel.shape[1:])
    turned = np.flip(np.swapaxes(by_group, 1, 2), tuple(range(3, kernel.ndim + 1)))
    ones = [1] * len(sizes)
    return convolved(
        b,
        g,
        turned.reshape(-1, *turned.shape[2:]),
        Places(ones, padding, places.dilations, places.strides, n_groups),
    )


def _windows(b: Builder, x: Variables, sizes: Sequence[int], places: Places) -> Variables:
    if not x.size:
        raise NotAProgram("it convolves an empty array")
    nothing = b.structural_zero(b.dtype(int(x.flat[0])))
    whole = padded(x, places.padding, nothing, places.spread)
    return windows(whole, sizes, places.strides, places.dilations)
