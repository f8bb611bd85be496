"""Linear maps between tuples of tensors, as tables: their bases, rows and columns."""

from collections.abc import Sequence

import numpy as np
import torch

from gradsweep.tracing.torch.recorder.tensor import plain

__all__ = [
    "Seeds",
    "Tensors",
    "basis_first",
    "contracted",
    "filled",
    "is_differentiable",
    "require_transpose",
    "shaped",
    "standard_basis",
]

Tensors = tuple[torch.Tensor, ...]
# Tangents or cotangents; None is a structural zero.
Seeds = Sequence[torch.Tensor | None]


def standard_basis(like: Tensors) -> list[torch.Tensor]:
    """Return, for each array, its standard basis as the rows of a matrix."""
    return [torch.eye(array.numel(), dtype=array.dtype) for array in like]


def filled(seeds: Seeds, like: Tensors) -> Tensors:
    """Return seeds with zeros in place of None."""
    return tuple(
        torch.zeros_like(array) if seed is None else seed for seed, array in zip(seeds, like)
    )


def shaped(results: torch.Tensor, array: torch.Tensor) -> torch.Tensor:
    """Reshape the results for each basis vector of an array: the array's dims come first."""
    return results.reshape((*array.shape, *results.shape[1:]))


def contracted(row: Tensors, v: Seeds) -> torch.Tensor:
    """Return an output's derivative along v, from its partial derivatives."""
    given = [
        (partial * vector).sum(tuple(range(partial.ndim - vector.ndim, partial.ndim)))
        if vector.ndim
        else partial * vector
        for partial, vector in zip(row, v)
        if vector is not None
    ]
    return sum(given[1:], given[0])


def basis_first(partial: torch.Tensor, n_dims: int) -> torch.Tensor:
    """Move the last dims of a partial derivative, which are its argument's, to the front."""
    return torch.movedim(partial, tuple(range(-n_dims, 0)), tuple(range(n_dims)))


def is_differentiable(array: torch.Tensor) -> bool:
    return array.is_floating_point()


def require_transpose(x: Tensors, y: Tensors, v: Seeds, pulled: Tensors, pushed: Tensors) -> None:
    """Check that (w J) v is w (J v), for a w of ones.

    A rule of the user's own may be lost when it is differentiated again: it may compute under
    no_grad, or not be linear in the gradient.

    Raises:
        NotImplementedError: when the two differ.
    """
    given = [(a, b) for a, b in zip(pulled, v) if b is not None]
    left, left_size = _sums([plain(a) * plain(b) for a, b in given])
    right, right_size = _sums([array for array in pushed if is_differentiable(array)])
    # Where terms cancel, their rest is compared with the usual size of a derivative, y / x.
    usual = _sums(y)[1] * _sums([b for _, b in given])[1] / (_sums(x)[1] or 1.0)
    if abs(left - right) > _TOLERANCE * (left_size + right_size) + _NOTHING * usual:
        raise NotImplementedError("a rule for the gradient cannot itself be differentiated")


def _sums(tensors: Sequence[torch.Tensor]) -> tuple[float, float]:
    """Return the sum of all elements, and the sum of their absolute values."""
    total = size = 0.0
    for tensor in map(plain, tensors):
        if not tensor._is_zerotensor():
            numbers = plain(tensor.detach()).numpy()
            total, size = total + float(np.sum(numbers)), size + float(np.sum(np.abs(numbers)))
    return total, size


# The relative difference that rounding may make; a rule that is lost makes a far larger one.
_TOLERANCE = 1e-4
_NOTHING = 1e-10
