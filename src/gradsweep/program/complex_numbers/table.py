"""The primitives of complex operands, each written as equations of the parts.

The name of a primitive and its operands enter, of which one at least is complex; the variable of
the result leaves. A real operand stands for a complex number with the imaginary part 0.0.

The names are those of PRIMITIVES where a function exists there, and beside them "conj", "angle",
"reciprocal" and "isinf". "sign" is z / |z|. Of two dtypes, the wider one is the result's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradsweep.program.complex_numbers import arithmetic, elementary, inverse
from gradsweep.program.complex_numbers.number import Complex, Real
from gradsweep.program.equations import PART_DTYPES, Equations
from gradsweep.support.errors import NotAProgram

__all__ = ["emit_complex", "result_dtype"]


def emit_complex(b: Equations, name: str, operands: Sequence[int]) -> int:
    """Return the variable for `name` of `operands`.

    Raises:
        NotAProgram: when no complex function has this name.
    """
    function = _FUNCTIONS.get(name) or _TO_REAL.get(name) or _TO_BOOL.get(name)
    if name == "select":
        condition, *cases = operands
        return _variable(b, arithmetic.select(Real(b, condition), *_numbers(b, cases)))
    if name == "lookup":
        place, *entries = operands
        numbers = _numbers(b, entries)
        parts = ([z.re.variable for z in numbers], [z.im.variable for z in numbers])
        return b.pair(*(b.emit("lookup", place, *column) for column in parts))
    if function is None:
        raise NotAProgram(f"it computes {name} of complex numbers")
    return _variable(b, function(*_numbers(b, operands)))


def result_dtype(name: str, dtype: str) -> str:
    """Return the dtype of `name` of complex numbers of a dtype."""
    if name in _TO_BOOL:
        return "bool"
    return PART_DTYPES[dtype] if name in _TO_REAL else dtype


def _numbers(b: Equations, operands: Sequence[int]) -> list[Complex]:
    """Return operands as complex numbers of one dtype."""
    parts = [b.parts(operand) for operand in operands]
    is_wide = any(b.dtype(pair[0]) == "float64" for pair in parts if len(pair) == 2)
    dtype = "float64" if is_wide else "float32"
    return [Complex(*(Real(b, part) for part in _pair(b, pair, dtype))) for pair in parts]


def _pair(b: Equations, parts: tuple[int, ...], dtype: str) -> tuple[int, int]:
    re, *im = (part if b.dtype(part) == dtype else b.emit(f"to_{dtype}", part) for part in parts)
    if im:
        return re, im[0]
    is_nothing = b.is_structural_zero(re)
    return re, b.structural_zero(dtype) if is_nothing else b.constant(0.0, dtype)


def _variable(b: Equations, result: Complex | Real) -> int:
    if isinstance(result, Real):
        return result.variable
    return b.pair(result.re.variable, result.im.variable)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "add": arithmetic.add,
    "sub": arithmetic.sub,
    "mul": arithmetic.mul,
    "div": arithmetic.div,
    "neg": arithmetic.neg,
    "conj": arithmetic.conj,
    "reciprocal": arithmetic.reciprocal,
    "sign": arithmetic.sgn,
    "exp": elementary.exp,
    "exp2": elementary.exp2,
    "expm1": elementary.expm1,
    "log": elementary.log,
    "log1p": elementary.log1p,
    "log2": elementary.log2,
    "log10": elementary.log10,
    "sqrt": elementary.sqrt,
    "pow": elementary.pow,
    "sin": elementary.sin,
    "cos": elementary.cos,
    "tan": elementary.tan,
    "sinh": elementary.sinh,
    "cosh": elementary.cosh,
    "tanh": elementary.tanh,
    "asin": inverse.asin,
    "acos": inverse.acos,
    "atan": inverse.atan,
    "asinh": inverse.asinh,
    "acosh": inverse.acosh,
    "atanh": inverse.atanh,
}

_TO_REAL: Mapping[str, Callable[..., Any]] = {
    "abs": arithmetic.absolute,
    "angle": arithmetic.angle,
}

_TO_BOOL: Mapping[str, Callable[..., Any]] = {
    "eq": arithmetic.eq,
    "ne": arithmetic.ne,
    "isfinite": arithmetic.isfinite,
    "isinf": arithmetic.isinf,
}
