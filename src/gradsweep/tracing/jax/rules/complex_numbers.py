"""JAX's primitives that make complex numbers, take them apart, or transform them.

What the other tables compute of real numbers holds for complex ones where `program.complex_numbers`
has the function; else the Builder raises NotAProgram.
"""

import math
from typing import Any

from gradsweep.program.arrays import Variables, cast, elementwise
from gradsweep.program.builder import Builder
from gradsweep.program.complex_numbers.transforms import (
    fourier,
    scaled,
    to_reals,
    without_imaginary,
)
from gradsweep.support.errors import NotAProgram
from gradsweep.tracing.jax.dtypes import require_dtype
from gradsweep.tracing.jax.rules.elementwise import Rule, by_element, real_part

__all__ = ["COMPLEX_NUMBERS"]


def _real(b: Builder, equation: Any, z: Variables) -> Variables:
    return by_element(real_part, b, z)


def _imaginary(b: Builder, equation: Any, z: Variables) -> Variables:
    return by_element(lambda b, z: b.parts(z)[1], b, z)


def _complex(b: Builder, equation: Any, re: Variables, im: Variables) -> Variables:
    return by_element(lambda b, re, im: b.pair(re, im), b, re, im)


def _conjugate(b: Builder, equation: Any, z: Variables) -> Variables:
    # Of a real number JAX takes it too, and returns a complex one.
    whole = cast(b, z, require_dtype(equation.outvars[0].aval.dtype))
    return elementwise(b, "conj", whole)


def _fft(b: Builder, equation: Any, operand: Variables) -> Variables:
    kind, lengths = equation.params["fft_type"].name, equation.params["fft_lengths"]
    axes = range(operand.ndim - len(lengths), operand.ndim)
    dtype = require_dtype(equation.outvars[0].aval.dtype)
    match kind:
        case "FFT":
            return _along(b, operand, axes)
        case "IFFT":
            return scaled(b, _along(b, operand, axes, True), 1.0 / math.prod(lengths), dtype)
        case "RFFT":
            whole = _along(b, without_imaginary(b, operand), axes)
            return whole[..., : lengths[-1] // 2 + 1]
        case "IRFFT":
            whole = to_reals(b, operand, axes, lengths[-1])
            return scaled(b, whole, 1.0 / math.prod(lengths), dtype)
    raise NotAProgram(f"it takes a transform of the kind {kind}")


def _along(b: Builder, z: Variables, axes: range, is_inverse: bool = False) -> Variables:
    for axis in axes:
        z = fourier(b, z, axis, is_inverse)
    return z


COMPLEX_NUMBERS: dict[str, Rule] = {
    "real": _real,
    "imag": _imaginary,
    "complex": _complex,
    "conj": _conjugate,
    "fft": _fft,
}
