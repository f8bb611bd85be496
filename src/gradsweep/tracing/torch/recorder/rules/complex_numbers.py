"""Operations that make complex numbers, take them apart, or transform them.

What other tables compute of real numbers holds for complex ones where `OF_COMPLEX_NUMBERS` says so;
what remains of it is here.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from gradsweep.program import arrays
from gradsweep.program.complex_numbers.transforms import fourier, scaled, to_reals
from gradsweep.program.equations import PART_DTYPES
from gradsweep.tracing.torch.recorder.expression import Expression, apply, where
from gradsweep.tracing.torch.recorder.rules.formulas import conj

__all__ = ["RULES"]


def _joined(call, re: Expression, im: Expression) -> Expression:
    parts = np.stack(np.broadcast_arrays(re.variables, im.variables), axis=-1)
    return Expression(call.builder, arrays.joined(call.builder, parts, call.dtype), call.dtype)


def _complex(call, re, im) -> Expression:
    dtype = PART_DTYPES[call.dtype]
    return _joined(call, call(re, dtype), call(im, dtype))


def _polar(call, size, phase) -> Expression:
    dtype = PART_DTYPES[call.dtype]
    size, phase = call(size, dtype), call(phase, dtype)
    return _joined(call, size * apply("cos", phase), size * apply("sin", phase))


def _as_complex(call, parts) -> Expression:
    parts = call(parts)
    return _joined(call, parts[..., 0], parts[..., 1])


def _as_real(call, x) -> Expression:
    return call(x).parts()


def _conj(call, x) -> Expression:
    return conj(call(x))


def _angle(call, x) -> Expression:
    x = call(x)
    if x.is_complex:
        return apply("angle", x)
    x = x.cast(call.dtype)
    return where(x < 0, math.pi, where(x.differs(x), x, 0.0))


# What torch's `normalization` divides a transform by: nothing, the root of n, or n.
_DIVISORS: tuple[Callable[[int], float], ...] = (lambda n: 1.0, math.sqrt, float)


def _normalized(x: Expression, n: int, normalization: int) -> Expression:
    """Divide both parts of each number."""
    divisor = _DIVISORS[normalization](n)
    return x if divisor == 1.0 else x.of(scaled(x.builder, x.variables, 1.0 / divisor, x.dtype))


def _transformed(x: Expression, dims: Sequence[int], normalization: int, forward: bool):
    variables = x.variables
    for dim in dims:
        variables = fourier(x.builder, variables, dim, is_inverse=not forward)
    return _normalized(x.of(variables), math.prod(x.shape[dim] for dim in dims), normalization)


def _c2c(call, x, dims, normalization, forward) -> Expression:
    return _transformed(call(x), dims, normalization, forward)


def _r2c(call, x, dims, normalization, onesided) -> Expression:
    x = call(x)
    pairs = _joined(call, x, x.zeros())  # without an imaginary part, rather than with 0.0
    full = _transformed(pairs, dims, normalization, forward=True)
    if not onesided:
        return full
    index = [slice(None)] * len(x.shape)
    index[dims[-1]] = slice(x.shape[dims[-1]] // 2 + 1)
    return full[tuple(index)]


def _c2r(call, x, dims, normalization, n) -> Expression:
    x = call(x)
    reals = to_reals(x.builder, x.variables, dims, n)
    count = n * math.prod(x.shape[dim] for dim in dims[:-1])
    return _normalized(Expression(x.builder, reals, PART_DTYPES[x.dtype]), count, normalization)


RULES: dict[str, Callable] = {
    "complex": _complex,
    "polar": _polar,
    "view_as_complex": _as_complex,
    "view_as_complex_copy": _as_complex,
    "view_as_real": _as_real,
    "view_as_real_copy": _as_real,
    "_conj": _conj,
    "_conj_physical": _conj,
    "conj_physical": _conj,
    "_neg_view": lambda call, x: -call(x),
    "angle": _angle,
    "_fft_c2c": _c2c,
    "_fft_r2c": _r2c,
    "_fft_c2r": _c2r,
}
