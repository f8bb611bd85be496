"""The closed table of elementary primitives that a Program is written in.

Each is a function of scalars. `numpy` is its meaning: the reference engine calls it, and every
other engine must agree with it. To add a primitive, add a row here, and one in each engine and
frontend that supports it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["DTYPES", "INTEGER_ONLY", "PRIMITIVES", "WRAPS", "Primitive"]

DTYPES = ("float64", "float32", "int64", "bool")

Result = Literal["same", "float64", "float32", "int64", "bool", "chosen"]


@dataclass(frozen=True)
class Primitive:
    """One row: a scalar function and its properties.

    Attributes:
        name: how equations refer to it.
        n_inputs: how many operands it takes; a lookup takes more entries too.
        numpy: its meaning, on arrays that broadcast.
        result: the dtype of its result: its first operand's ("same"), its second's ("chosen",
            for select), or a fixed one.
        flops: a rough cost in floating-point operations, for cost models.
        commutes: whether its two operands may be exchanged without changing a bit.
        sharp: the operands whose last bit may change the result by far: at a jump, at a pole, at
            the edge of its domain.
        blurs: whether its result tells no longer whether an operand was zero.
    """

    name: str
    n_inputs: int
    numpy: Callable[..., np.ndarray]
    result: Result = "same"
    flops: int = 1
    commutes: bool = False
    sharp: tuple[int, ...] = ()
    blurs: bool = False


def _special(name: str) -> Callable[..., np.ndarray]:
    """Look a function up in scipy.special when it is first called: importing it takes 0.1 s."""

    def call(*operands):
        import scipy.special

        return getattr(scipy.special, name)(*operands)

    call.__name__ = name
    return call


def _cast(dtype: str) -> Callable[..., np.ndarray]:
    def call(x):
        # No integer stands for NaN; the frameworks give some value without a warning, as this does.
        with np.errstate(invalid="ignore"):
            return np.asarray(x).astype(dtype)

    return call


def _wrap(dtype: str) -> Callable[..., np.ndarray]:
    return lambda x: np.asarray(x).astype(dtype).astype("int64")


def _quotient(x, y):
    # The lowest number divided by -1 wraps around; any number divided by 0 is 0, as in NumPy.
    y = np.asarray(y)
    by_one = np.where((y == 0) | (y == -1), 1, y)
    whole = (x - np.fmod(x, by_one)) // by_one
    return np.where(y == 0, 0, np.where(y == -1, -np.asarray(x), whole))


def _select(condition, if_true, if_false):
    return np.where(condition, if_true, if_false)


def _lookup(place, *entries):
    # Beyond the ends of the table, the first entry or the last.
    found = entries[-1]
    for number in reversed(range(len(entries) - 1)):
        found = np.where(np.asarray(place) <= number, entries[number], found)
    return found


def _lgamma(x):
    # scipy overflows where log(1 / |x|) does not, and its limit at -inf has the wrong sign.
    tiny = np.abs(x) < np.finfo(np.float32).tiny
    value = np.where(tiny, -np.log(np.abs(x)), _special("gammaln")(np.where(tiny, 1.0, x)))
    return np.where(x == -np.inf, np.inf, value).astype(np.asarray(x).dtype)


_ROWS = [
    # arithmetic
    Primitive("add", 2, np.add, commutes=True),
    Primitive("sub", 2, np.subtract),
    Primitive("mul", 2, np.multiply, commutes=True),
    Primitive("div", 2, np.divide, flops=4, sharp=(1,)),
    Primitive("neg", 1, np.negative),
    Primitive("abs", 1, np.abs),
    Primitive("sign", 1, np.sign, sharp=(0,)),
    Primitive("max", 2, np.maximum),  # NaN in either operand wins; +-0.0: no commuting
    Primitive("min", 2, np.minimum),
    Primitive("rem", 2, np.fmod, flops=20, sharp=(0, 1)),  # C's fmod: the sign of the first operand
    Primitive("floor", 1, np.floor, sharp=(0,)),
    Primitive("ceil", 1, np.ceil, sharp=(0,)),
    Primitive("round", 1, np.rint, sharp=(0,)),  # half to even
    Primitive("trunc", 1, np.trunc, sharp=(0,)),
    Primitive("copysign", 2, np.copysign, sharp=(1,)),
    # powers and roots
    Primitive("pow", 2, np.power, flops=40, sharp=(0, 1)),
    Primitive("sqrt", 1, np.sqrt, flops=4, sharp=(0,)),
    Primitive("cbrt", 1, np.cbrt, flops=20),
    Primitive("hypot", 2, np.hypot, flops=10),
    # exponentials and logarithms
    Primitive("exp", 1, np.exp, flops=10, blurs=True),
    Primitive("exp2", 1, np.exp2, flops=10, blurs=True),
    Primitive("expm1", 1, np.expm1, flops=15),
    Primitive("log", 1, np.log, flops=10, sharp=(0,)),
    Primitive("log1p", 1, np.log1p, flops=15, sharp=(0,)),
    Primitive("log2", 1, np.log2, flops=10, sharp=(0,)),
    Primitive("log10", 1, np.log10, flops=10, sharp=(0,)),
    # trigonometric and hyperbolic
    Primitive("sin", 1, np.sin, flops=10),
    Primitive("cos", 1, np.cos, flops=10, blurs=True),
    Primitive("tan", 1, np.tan, flops=15),
    Primitive("asin", 1, np.arcsin, flops=15, sharp=(0,)),
    Primitive("acos", 1, np.arccos, flops=15, sharp=(0,)),
    Primitive("atan", 1, np.arctan, flops=15),
    Primitive("atan2", 2, np.arctan2, flops=20, sharp=(0, 1)),
    Primitive("sinh", 1, np.sinh, flops=15),
    Primitive("cosh", 1, np.cosh, flops=15, blurs=True),
    Primitive("tanh", 1, np.tanh, flops=15),
    Primitive("asinh", 1, np.arcsinh, flops=20),
    Primitive("acosh", 1, np.arccosh, flops=20, sharp=(0,)),
    Primitive("atanh", 1, np.arctanh, flops=20, sharp=(0,)),
    # special functions
    Primitive("erf", 1, _special("erf"), flops=15),
    Primitive("erfc", 1, _special("erfc"), flops=20, blurs=True),
    Primitive("erfinv", 1, _special("erfinv"), flops=40, sharp=(0,)),
    Primitive("ndtri", 1, _special("ndtri"), flops=40, sharp=(0,)),
    Primitive("lgamma", 1, _lgamma, flops=40, sharp=(0,)),
    Primitive("digamma", 1, _special("digamma"), flops=40, sharp=(0,)),
    Primitive("polygamma", 2, _special("polygamma"), flops=100, sharp=(0, 1)),  # order, x
    Primitive("zeta", 2, _special("zeta"), flops=100, sharp=(0, 1)),  # Hurwitz: s, q
    Primitive(
        "igamma", 2, _special("gammainc"), flops=100, sharp=(0, 1)
    ),  # regularised lower: a, x
    Primitive(
        "igammac", 2, _special("gammaincc"), flops=100, sharp=(0, 1)
    ),  # regularised upper: a, x
    Primitive("i0", 1, _special("i0"), flops=30, blurs=True),
    Primitive("i0e", 1, _special("i0e"), flops=30, blurs=True),
    Primitive("i1", 1, _special("i1"), flops=30),
    Primitive("i1e", 1, _special("i1e"), flops=30),
    # integers
    Primitive("quotient", 2, _quotient, flops=20),  # C's: towards zero
    *(
        Primitive(f"wrap_{dtype}", 1, _wrap(dtype))  # the number of that type with the same bits
        for dtype in ("int8", "int16", "int32", "uint8", "uint16", "uint32")
    ),
    # comparisons
    Primitive("eq", 2, np.equal, "bool", commutes=True, sharp=(0, 1)),
    Primitive("ne", 2, np.not_equal, "bool", commutes=True, sharp=(0, 1)),
    Primitive("lt", 2, np.less, "bool", sharp=(0, 1)),
    Primitive("le", 2, np.less_equal, "bool", sharp=(0, 1)),
    Primitive("gt", 2, np.greater, "bool", sharp=(0, 1)),
    Primitive("ge", 2, np.greater_equal, "bool", sharp=(0, 1)),
    Primitive("isfinite", 1, np.isfinite, "bool", sharp=(0,)),
    Primitive("signbit", 1, np.signbit, "bool", sharp=(0,)),
    # logic, of bools alone
    Primitive("and", 2, np.logical_and, "bool", commutes=True),
    Primitive("or", 2, np.logical_or, "bool", commutes=True),
    Primitive("xor", 2, np.logical_xor, "bool", commutes=True),
    Primitive("not", 1, np.logical_not, "bool"),
    Primitive("select", 3, _select, "chosen"),  # condition, if true, if false
    Primitive("lookup", 3, _lookup, "chosen", flops=4, sharp=(0,)),  # place, entries of a table
    # casts
    Primitive("to_float64", 1, _cast("float64"), "float64"),
    Primitive("to_float32", 1, _cast("float32"), "float32"),
    Primitive("to_int64", 1, _cast("int64"), "int64", sharp=(0,)),
    Primitive("to_bool", 1, _cast("bool"), "bool", sharp=(0,)),
]

PRIMITIVES: dict[str, Primitive] = {row.name: row for row in _ROWS}

# The primitives that wrap an integer to a narrower type, by the name of that type. A Program
# computes in int64, and wraps around after every operation of a narrower type.
WRAPS = {name.removeprefix("wrap_"): name for name in PRIMITIVES if name.startswith("wrap_")}

# The primitives whose operands are integers, never floats.
INTEGER_ONLY = frozenset({"quotient", *WRAPS.values()})
