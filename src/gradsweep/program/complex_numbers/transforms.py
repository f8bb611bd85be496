"""Fourier transforms of arrays of complex numbers, written out.

Knows nothing of frameworks.
"""

import math
from collections.abc import Sequence

import numpy as np

from gradsweep.program import arrays
from gradsweep.program.builder import Builder
from gradsweep.program.equations import PART_DTYPES
from gradsweep.support.errors import NotAProgram

__all__ = ["fourier", "scaled", "to_reals", "without_imaginary"]

# A longer transform takes thousands of equations, and the framework's own is better.
_LONGEST = 64


def fourier(
    builder: Builder, operand: np.ndarray, axis: int, is_inverse: bool = False
) -> np.ndarray:
    """Return the sums of x_j exp(-2 pi i j k / n) along an axis; +2 pi i if it is the inverse.

    Nothing is divided by n.

    Reference: Cooley and Tukey (1965), "An algorithm for the machine calculation of complex
    Fourier series".

    Raises:
        NotAProgram: when the axis is longer than 64.
    """
    rows = np.moveaxis(operand, axis, 0)
    if len(rows) > _LONGEST:
        raise NotAProgram(f"it takes a Fourier transform of {len(rows)} numbers")
    return np.moveaxis(_transformed(builder, rows, 1 if is_inverse else -1), 0, axis)


def to_reals(builder: Builder, half: np.ndarray, axes: Sequence[int], n: int) -> np.ndarray:
    """Return the inverse transform, n real numbers along the last axis, of half a spectrum.

    The other half is the conjugate of the first. An imaginary part that such a spectrum cannot have
    is left out. Nothing is divided.

    Raises:
        NotAProgram: when an axis is longer than 64.
    """
    *others, last = axes
    for axis in others:
        half = fourier(builder, half, axis, is_inverse=True)
    rows = np.moveaxis(half, last, -1)
    mirrored = arrays.elementwise(builder, "conj", rows[..., 1 : n - rows.shape[-1] + 1])
    both = _with_real_ends(builder, np.concatenate([rows, mirrored[..., ::-1]], axis=-1), n)
    whole = fourier(builder, both, -1, is_inverse=True)
    parts = [builder.parts(variable)[0] for variable in whole.ravel().tolist()]
    return np.moveaxis(np.array(parts, dtype=np.int64).reshape(whole.shape), -1, last)


def _with_real_ends(builder: Builder, rows: np.ndarray, n: int) -> np.ndarray:
    """Drop the imaginary part of the first entry of Hermitian rows, and of the middle one."""
    variables = np.array(rows)
    for place in {0, n // 2} if n % 2 == 0 else {0}:
        reals = [builder.parts(variable)[0] for variable in variables[..., place].ravel().tolist()]
        ends = without_imaginary(builder, np.array(reals, dtype=np.int64))
        variables[..., place] = ends.reshape(variables.shape[:-1])
    return variables


def without_imaginary(builder: Builder, operand: np.ndarray) -> np.ndarray:
    """Return real numbers as complex ones that have no imaginary part, rather than 0.0."""
    reals = operand.ravel().tolist()
    pairs = [builder.pair(re, builder.structural_zero(builder.dtype(re))) for re in reals]
    return np.array(pairs, dtype=np.int64).reshape(operand.shape)


def scaled(builder: Builder, operand: np.ndarray, factor: float, dtype: str) -> np.ndarray:
    """Multiply numbers of a dtype, complex or not, by a real number: each part by itself."""
    parts = arrays.parted(builder, operand, dtype)
    constant = np.array(builder.constant(factor, PART_DTYPES.get(dtype, dtype)))
    return arrays.joined(builder, arrays.elementwise(builder, "mul", parts, constant), dtype)


def _transformed(builder: Builder, rows: np.ndarray, sign: int) -> np.ndarray:
    """Transform along the first axis, by the transforms of every p-th row."""
    n = len(rows)
    p = _smallest_factor(n)
    if n <= 1:
        return rows
    m = n // p
    parts = [_transformed(builder, rows[j::p], sign) for j in range(p)]
    result = np.empty_like(rows)
    for k in range(m):
        turned = [_turned(builder, parts[j][k], sign * j * k, n) for j in range(p)]
        for q in range(p):
            terms = [_turned(builder, turned[j], sign * j * q, p) for j in range(p)]
            result[k + q * m] = arrays.reduce(builder, "add", np.stack(terms), [0])
    return result


def _smallest_factor(n: int) -> int:
    return next((p for p in range(2, math.isqrt(n) + 1) if n % p == 0), n)


def _turned(builder: Builder, rows: np.ndarray, k: int, n: int) -> np.ndarray:
    """Multiply by exp(2 pi i k / n); a quarter of a turn moves the parts."""
    quarters, rest = divmod(4 * (k % n), n)
    if not rest:
        pairs = [_quarters(builder, pair, quarters) for pair in rows.ravel().tolist()]
        return np.array(pairs, dtype=np.int64).reshape(rows.shape)
    root = _root_of_unity(k % n, n)
    constant = np.array(builder.constant(root, builder.dtype(int(rows.flat[0]))))
    return arrays.elementwise(builder, "mul", rows, constant)


def _quarters(builder: Builder, pair: int, n_quarters: int) -> int:
    for _ in range(n_quarters):
        re, im = builder.parts(pair)
        pair = builder.pair(builder.emit("neg", im), re)
    return pair


def _root_of_unity(k: int, n: int) -> complex:
    """Return exp(2 pi i k / n), which is rounded once for each part."""
    quarters = round(4 * k / n)
    angle = 2 * math.pi * (4 * k - quarters * n) / (4 * n)  # within an eighth of a turn
    c, s = math.cos(angle), math.sin(angle)
    return [complex(c, s), complex(-s, c), complex(-c, -s), complex(s, -c)][quarters % 4]
