"""NumPy's functions that torch lacks, or that it means otherwise, written in torch."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

__all__: list[str] = []

Axis = int | Sequence[int] | None


def _tensor(value: Any, like: torch.Tensor) -> Any:
    """Return a number or NumPy's array as a tensor; a float takes the dtype of `like`."""
    if isinstance(value, torch.Tensor):
        return value
    array = torch.from_numpy(np.array(value))
    return array.to(like.dtype) if isinstance(value, float) else array


def _floating(x: torch.Tensor) -> torch.Tensor:
    return x if x.is_floating_point() or x.is_complex() else x.to(torch.float64)


def _whole(x: torch.Tensor) -> torch.Tensor:
    """Return truth values, which torch often computes nothing of, as integers."""
    return x.to(torch.int64) if x.dtype == torch.bool else x


def _dims(x: torch.Tensor, axis: Axis) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(x.ndim))
    return tuple(axis) if isinstance(axis, Sequence) else (axis,)


# -- of each element


def cbrt(x: torch.Tensor) -> torch.Tensor:
    x = _floating(x)
    is_zero = x == 0
    safe = torch.where(is_zero, 1.0, x)
    root = torch.sign(safe) * torch.abs(safe) ** (1 / 3)
    # One step of Newton's: 1/3 is rounded.
    root = root - (root * root * root - safe) / (3.0 * root * root)
    root = torch.where(torch.isinf(x), x, root)
    # At 0 the derivative is infinite, as that of sqrt(x).
    return torch.where(is_zero, torch.sqrt(torch.where(is_zero, x, 1.0)), root)


def _or_truth(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Return a function that leaves truth values as they are."""
    return lambda x: x if x.dtype == torch.bool else function(x)


floor, ceil, trunc = map(_or_truth, (torch.floor, torch.ceil, torch.trunc))
absolute = _or_truth(torch.abs)


def rint(x: torch.Tensor) -> torch.Tensor:
    if x.is_complex():
        return torch.complex(torch.round(x.real), torch.round(x.imag))
    return torch.round(x)


def sign(x: torch.Tensor) -> torch.Tensor:
    return torch.sgn(x) if x.is_complex() else torch.where(torch.isnan(x), x, torch.sign(x))


def subtract(a: Any, b: Any) -> torch.Tensor:
    """Return a - b, where one of them may be truth values."""

    def is_truth(value: Any) -> bool:
        kind = value.dtype if isinstance(value, torch.Tensor) else type(value)
        return kind in (torch.bool, bool)

    if is_truth(a) and not is_truth(b):
        a = a * 1
    elif is_truth(b) and not is_truth(a):
        b = b * 1
    return a - b


def floor_divide(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    a, b = map(_whole, _alike((a, b)))
    if not (a.is_floating_point() or b.is_floating_point()):
        return torch.floor_divide(a, b)
    quotient = torch.round((a - torch.remainder(a, b)) / b)
    below = (a != 0) & ((a < 0) != (b < 0))
    quotient = torch.where(
        torch.isinf(b) & torch.isfinite(a), torch.where(below, -1.0, 0.0), quotient
    )
    return torch.where(b == 0, (a / b).detach(), quotient)


def where(condition: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.where(condition.to(torch.bool), a, b)


def clip(
    x: torch.Tensor, a_min: Any = None, a_max: Any = None, min: Any = None, max: Any = None
) -> torch.Tensor:
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    low, high = (None if end is None else _tensor(end, x) for end in (low, high))
    return x if low is None and high is None else torch.clamp(x, low, high)


# -- over axes


def _over(
    function: Callable[..., torch.Tensor],
    x: torch.Tensor,
    axis: Axis,
    keepdims: bool,
    **options: Any,
) -> torch.Tensor:
    dims = _dims(x, axis)
    if not dims:
        return function(x.reshape(1), (0,), keepdim=False, **options)
    return function(x, dims, keepdim=keepdims, **options)


def _reduction(
    function: Callable[..., torch.Tensor], neutral: Any, join: Any = None
) -> Callable[..., torch.Tensor]:
    """Return a reduction with NumPy's options.

    Args:
        neutral: what counts for nothing, in place of elements that `where` leaves out.
        join: what takes in `initial`; None where NumPy has no such option.
    """

    def reduced(
        x: torch.Tensor,
        axis: Axis = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = True,
    ) -> torch.Tensor:
        if where is not True:
            x = torch.where(_tensor(where, x).to(torch.bool), x, _tensor(neutral, x))
        found = _over(function, x, axis, keepdims)
        return found if initial is None else join(found, _tensor(initial, x))

    return reduced


def _prod(x: torch.Tensor, dims: Sequence[int], keepdim: bool) -> torch.Tensor:
    for dim in sorted((dim % x.ndim for dim in dims), reverse=True):
        x = torch.prod(x, dim, keepdim=keepdim)
    return x


def mean(
    x: torch.Tensor, axis: Axis = None, keepdims: bool = False, where: Any = True
) -> torch.Tensor:
    if where is True:
        return _over(torch.mean, _floating(x), axis, keepdims)
    chosen = torch.broadcast_to(_tensor(where, x).to(torch.bool), x.shape)
    total = sum(_floating(x), axis, keepdims, where=chosen)
    return total / _over(torch.sum, chosen, axis, keepdims)


def _spread(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    def spread(
        x: torch.Tensor,
        axis: Axis = None,
        ddof: float = 0,
        keepdims: bool = False,
        correction: float | None = None,
    ) -> torch.Tensor:
        correction = ddof if correction is None else correction
        return _over(function, _floating(x), axis, keepdims, correction=correction)

    return spread


sum = _reduction(torch.sum, 0.0, torch.add)
prod = _reduction(_prod, 1.0, torch.mul)
max, min = (
    _reduction(torch.amax, -torch.inf, torch.maximum),
    _reduction(torch.amin, torch.inf, torch.minimum),
)
var, std = _spread(torch.var), _spread(torch.std)
any = _reduction(lambda x, dims, keepdim: torch.any(x != 0, dims, keepdim=keepdim), False)
all = _reduction(lambda x, dims, keepdim: torch.all(x != 0, dims, keepdim=keepdim), True)


def _along(
    function: Callable[..., torch.Tensor], default: int | None = None
) -> Callable[..., torch.Tensor]:
    """Return a function along one axis; where that is None, of all elements in a row."""

    def along(x: torch.Tensor, axis: int | None = default) -> torch.Tensor:
        return function(x.reshape(-1), 0) if axis is None else function(x, axis)

    return along


cumsum, cumprod = _along(torch.cumsum), _along(torch.cumprod)


def _place(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    def place(x: torch.Tensor, axis: int | None = None, keepdims: bool = False) -> torch.Tensor:
        x = _whole(x)
        found = function(x.reshape(-1), 0) if axis is None else function(x, axis)
        if not keepdims:
            return found
        return found.reshape((1,) * x.ndim) if axis is None else found.unsqueeze(axis)

    return place


argmax, argmin = _place(torch.argmax), _place(torch.argmin)
sort = _along(lambda x, axis: torch.sort(x, axis).values, -1)
argsort = _along(lambda x, axis: torch.argsort(x, dim=axis, stable=True), -1)


# -- shapes


def concatenate(arrays: Sequence[torch.Tensor], axis: int | None = 0) -> torch.Tensor:
    arrays = _alike(arrays)
    if axis is None:
        return torch.cat([array.reshape(-1) for array in arrays])
    return torch.cat(arrays, axis)


def stack(arrays: Sequence[torch.Tensor], axis: int = 0) -> torch.Tensor:
    return torch.stack(_alike(arrays), axis)


def _alike(arrays: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    dtype = arrays[0].dtype
    for array in arrays[1:]:
        dtype = torch.promote_types(dtype, array.dtype)
    return [array.to(dtype) for array in arrays]


def roll(x: torch.Tensor, shift: Any, axis: Any = None) -> torch.Tensor:
    return torch.roll(x, shift, axis)


def tile(x: torch.Tensor, reps: Any) -> torch.Tensor:
    return torch.tile(x, tuple(reps) if isinstance(reps, Sequence) else (int(reps),))


def repeat(x: torch.Tensor, repeats: Any, axis: int | None = None) -> torch.Tensor:
    x = x.reshape(-1) if axis is None else x
    return torch.repeat_interleave(x, _counts(repeats), axis or 0)


def _counts(repeats: Any) -> Any:
    return int(repeats) if np.ndim(repeats) == 0 else torch.from_numpy(np.array(repeats))


def tril(x: torch.Tensor, k: int = 0) -> torch.Tensor:
    return torch.tril(x, k)


def triu(x: torch.Tensor, k: int = 0) -> torch.Tensor:
    return torch.triu(x, k)


# -- Fourier transforms


def _transform(name: str) -> Callable[..., torch.Tensor]:
    function = getattr(torch.fft, name)

    def transform(
        a: torch.Tensor, n: int | None = None, axis: int = -1, norm: str | None = None
    ) -> torch.Tensor:
        return function(a, n, axis, norm)

    return transform


fft, ifft, rfft, irfft = map(_transform, ("fft", "ifft", "rfft", "irfft"))


# -- linear algebra


def _product(function: Callable[..., torch.Tensor], arrays: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return a sum of products; of truth values it is whether any of the products holds."""
    arrays = _alike(arrays)
    found = function(*map(_whole, arrays))
    return found != 0 if arrays[0].dtype == torch.bool else found


def matmul(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return _product(torch.matmul, (a, b))


def einsum(subscripts: str, *operands: Any) -> torch.Tensor:
    tensors = [one for one in operands if isinstance(one, torch.Tensor)]
    operands = tuple(_tensor(one, tensors[0]) for one in operands)
    return _product(partial(torch.einsum, subscripts), operands)


def tensordot(a: torch.Tensor, b: torch.Tensor, axes: Any = 2) -> torch.Tensor:
    if not isinstance(axes, int):
        axes = [[one] if isinstance(one, int) else list(one) for one in axes]
    return _product(partial(torch.tensordot, dims=axes), (a, b))


def solve(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    a, b = _alike((a, b))
    if b.ndim == 1:
        return torch.linalg.solve(a, b[:, None])[..., 0]
    return torch.linalg.solve(a, b)


def _hermitian(a: torch.Tensor, is_lower: bool) -> torch.Tensor:
    """Return the matrix of which NumPy reads one triangle, and torch's derivatives both."""
    half = torch.tril if is_lower else torch.triu
    return half(a) + half(a, -1 if is_lower else 1).mH


def cholesky(a: torch.Tensor, upper: bool = False) -> torch.Tensor:
    return torch.linalg.cholesky(_hermitian(a, not upper), upper=upper)


def eigvalsh(a: torch.Tensor, UPLO: str = "L") -> torch.Tensor:
    return torch.linalg.eigvalsh(_hermitian(a, UPLO.upper() == "L"))


def eigh(a: torch.Tensor, UPLO: str = "L") -> Any:
    return torch.linalg.eigh(_hermitian(a, UPLO.upper() == "L"))


def svd(a: torch.Tensor, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    return torch.linalg.svd(a, full_matrices) if compute_uv else torch.linalg.svdvals(a)


def qr(a: torch.Tensor, mode: str = "reduced") -> Any:
    # The derivative needs Q, which torch does not compute with mode="r".
    found = torch.linalg.qr(a, "reduced" if mode == "r" else mode)
    return found.R if mode == "r" else found


def norm(
    x: torch.Tensor, ord: Any = None, axis: Any = None, keepdims: bool = False
) -> torch.Tensor:
    return torch.linalg.norm(_floating(x), ord, axis, keepdims)


# -- tables


def searchsorted(
    a: torch.Tensor, v: torch.Tensor, side: Any = "left", sorter: Any = None
) -> torch.Tensor:
    a, v = map(_whole, _alike((a, v)))
    if sorter is not None:
        a = a[_tensor(sorter, a)]
    return torch.searchsorted(a, v, side=side)


# -- special functions


def logsumexp(a: torch.Tensor, axis: Axis = None, keepdims: bool = False) -> torch.Tensor:
    return torch.logsumexp(a.reshape(1) if a.ndim == 0 else a, _dims(a, axis) or 0, keepdims)


def _keeping_shape(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Return a function along one axis; where that is None, of all elements together."""

    def kept(x: torch.Tensor, axis: int | None = None) -> torch.Tensor:
        return function(x.reshape(-1), 0).reshape(x.shape) if axis is None else function(x, axis)

    return kept


softmax, log_softmax = _keeping_shape(torch.softmax), _keeping_shape(torch.log_softmax)
