"""exp, log, erf and erfc in LLVM IR: arithmetic alone, the same steps in every lane.

They serve systems without a vector libm, which are macOS, Windows and musl. exp and erfc serve
everywhere: written out in place they take less time than calls, and exp(-x²) beside erfc(x), its
integral, is computed once.

They need a fused multiply-add. In double precision erfc is within 3.4 ulp of the exact value, the
others within 1.1. The coefficients interpolate, at Chebyshev nodes and in 80 digits, the function
that the comment above them names; the comment ends with the error.
"""

from collections.abc import Callable, Mapping

from gradsweep.engines.fused.lowering.arithmetic.vectors import Vectors
from gradsweep.engines.fused.lowering.arithmetic.writer import Name, Writer
from gradsweep.engines.fused.target import Isa

__all__ = ["ELEMENTARY", "WRITTEN_OUT", "write_body"]

# Adding this to a number rounds it to an integer, which is then in the last bits of the sum.
_ROUNDER = 1.5 * 2.0**52

_FRACTION_BITS = 52
_EXPONENT = -(2**_FRACTION_BITS)  # the sign and the exponent

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 0.6931471805599453
_LN2_LOW = 2.3190468138462996e-17

# (exp(r) - 1 - r) / r² for |r| < ln(2)/2: 1.7e-17.
_EXP = (
    0.5000000000000001, 0.16666666666666669, 0.04166666666662399, 0.008333333333330051,
    0.0013888888917281794, 0.00019841269863105968, 2.480152119021773e-05,
    2.7557268378684192e-06, 2.7620138719733994e-07, 2.5100424157005067e-08,
)  # fmt: skip

# exp is 0 below this range, and infinite above.
_EXP_RANGE = (-784.0, 710.0)


class _Exp:
    """exp(x) = 2^n (1 + (exp(r) - 1)), where n is an integer and |r| < ln(2)/2.

    Attributes:
        x: the argument, moved into `_EXP_RANGE`.
        less_one: exp(r) - 1.
        fraction: exp(r).
    """

    def __init__(self, w: Writer, x: Name):
        self._w = w
        self.x = w.at_least(w.at_most(x, _EXP_RANGE[1]), _EXP_RANGE[0])
        self._rounded = w.fma(self.x, w.constant(_LOG2_E), w.constant(_ROUNDER))
        self._n = w.sub(self._rounded, w.constant(_ROUNDER))
        r = w.fma(self._n, w.constant(-_LN2_HIGH), self.x)
        r = w.fma(self._n, w.constant(-_LN2_LOW), r)
        self.less_one = w.fma(w.mul(r, r), w.polynomial(r, _EXP), r)
        self.fraction = w.add(self.less_one, w.constant(1.0))

    def scale(self, fraction: Name) -> Name:
        """Return 2^n times a fraction."""
        w = self._w
        if w.scales:
            return w.scale(fraction, self._n)
        # In two steps, since 2^n may be out of range where the result is not: first half of n.
        bits = w.bits(self._rounded)
        half = w.integer("and", w.integer("shl", bits, _FRACTION_BITS - 1), _EXPONENT)
        rest = w.integers("sub", w.integer("shl", bits, _FRACTION_BITS), half)
        power = w.from_bits(w.integer("add", rest, 1023 << _FRACTION_BITS))
        return w.mul(w.from_bits(w.integers("add", w.bits(fraction), half)), power)


def _exp(w: Writer, x: Name) -> Name:
    exp = _Exp(w, x)
    return exp.scale(exp.fraction)


# (log((1 + s) / (1 - s)) - 2 s) / s³ for s² < 0.0295: 4.4e-18 of the logarithm.
_LOG = (
    0.666666666666667, 0.3999999999989827, 0.2857142862653362, 0.22222211043776857,
    0.18182895750119193, 0.1533150161114533, 0.1461916613488797,
)  # fmt: skip

# ln(2) in two parts: the first has so few digits that its products with exponents are exact.
_LN2_FIRST = 0.6931471803691238
_LN2_REST = 1.9082149292705877e-10

_SMALLEST_NORMAL = 2.0**-1022
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
_INFINITY = float("inf")


def _log(w: Writer, x: Name) -> Name:
    """log(x) = k ln(2) + log(1 + f), where k is an integer and 1 + f within sqrt(2) of 1.

    Reference: K. C. Ng, e_log.c of FreeBSD's msun, for the order of the sums.
    """
    is_subnormal = w.compare(x, "olt", w.constant(_SMALLEST_NORMAL))
    normal = w.select(is_subnormal, w.mul(x, w.constant(2.0**54)), x)
    bits = w.bits(normal)
    # k + 1024, which is never negative; and as a double, in the last bits of 2^52.
    raised = w.integer("add", bits, (1024 << _FRACTION_BITS) - _SQRT_HALF_BITS)
    exponent = w.integer("lshr", raised, _FRACTION_BITS)
    as_float = w.from_bits(w.integer("or", exponent, (1023 + 52) << _FRACTION_BITS))
    offset = 2.0**52 + 1024
    k = w.sub(as_float, w.select(is_subnormal, w.constant(offset + 54), w.constant(offset)))
    rest = w.integers("sub", bits, w.integer("shl", exponent, _FRACTION_BITS))
    fraction = w.from_bits(w.integer("add", rest, 1024 << _FRACTION_BITS))
    f = w.sub(fraction, w.constant(1.0))
    s = w.div(f, w.add(f, w.constant(2.0)))
    z = w.mul(s, s)
    r = w.mul(z, w.polynomial(z, _LOG))
    half_square = w.mul(w.mul(f, f), w.constant(0.5))
    small = w.fma(k, w.constant(_LN2_REST), w.mul(s, w.add(half_square, r)))
    found = w.fma(k, w.constant(_LN2_FIRST), w.sub(f, w.sub(half_square, small)))
    found = w.select(w.compare(x, "olt", w.constant(_INFINITY)), found, x)  # infinity and NaN
    found = w.select(w.compare(x, "olt", w.constant(0.0)), w.constant(float("nan")), found)
    return w.select(w.compare(x, "oeq", w.constant(0.0)), w.constant(-_INFINITY), found)


# sqrt(pi) exp(a²) erfc(a) = Q(a) / (P(a) + a Q(a)) for 0 <= a < 28: 1.4e-17, coefficients rounded
# as they stand here. All are positive, so that nothing cancels.
_TAIL_P = (
    1.5899469924317398, 2.8073799417525507, 2.530751531997917, 1.4804638380519979,
    0.6105917342407425, 0.18279737834958731, 0.039624249036515395, 0.006005351185936517,
    0.0005807503685838722, 2.7641249513192302e-05,
)  # fmt: skip
_TAIL_Q = (
    2.8181076694712806, 6.79102319487147, 8.089547958937112, 6.169842665535508,
    3.308802667100615, 1.298689300803022, 0.3775225568188219, 0.08040999800267512,
    0.012065984891452003, 0.0011615007368532112, 5.528249902855756e-05,
)  # fmt: skip
_PER_SQRT_PI = 0.5641895835477563

# erf(x)/x - 1 for x² < 0.563: 2.5e-17.
_CENTRE = (
    0.1283791670955126, -0.37612638903183715, 0.11283791670952574, -0.026866170644423006,
    0.005223977615352482, -0.0008548326183927565, 0.00012055289359577225,
    -1.4924190787307278e-05, 1.6430595993862833e-06, -1.5939288983225857e-07,
    1.1469591473651114e-08,
)  # fmt: skip
_CENTRE_END = 0.75

# erfc is 0 above this.
_TAIL_END = 28.0


def _erfc_of_abs(w: Writer, x: Name) -> Name:
    """erfc(|x|) = exp(-x²) Q / (P + |x| Q) / sqrt(pi)."""
    exp = _Exp(w, w.neg(w.square(x)))
    a = w.at_most(w.abs(x), _TAIL_END)
    # The fraction corrects for the rounding error e of x²: exp(-x² - e) is exp(-x²) (1 - e).
    left_out = w.fma(a, a, exp.x)
    less_one = w.fma(w.neg(exp.fraction), left_out, exp.less_one)
    c = w.constant(_PER_SQRT_PI)
    gauss = exp.scale(w.fma(c, less_one, c))
    p, q = (
        w.fma(a, w.polynomial(a, coefficients[1:]), w.constant(coefficients[0]))
        for coefficients in (_TAIL_P, _TAIL_Q)
    )
    return w.div(w.mul(gauss, q), w.fma(a, q, p))


def _erf(w: Writer, x: Name) -> Name:
    is_near = w.compare(w.abs(x), "olt", w.constant(_CENTRE_END))
    centre = w.fma(x, w.polynomial(w.mul(x, x), _CENTRE), x)
    tail = w.copysign(w.sub(w.constant(1.0), _erfc_of_abs(w, x)), x)
    return w.select(is_near, centre, tail)


def _erfc(w: Writer, x: Name) -> Name:
    tail = _erfc_of_abs(w, x)
    is_negative = w.compare(x, "olt", w.constant(0.0))
    return w.select(is_negative, w.sub(w.constant(2.0), tail), tail)


_Function = Callable[[Writer, Name], Name]

ELEMENTARY: dict[str, _Function] = {"exp": _exp, "log": _log, "erf": _erf, "erfc": _erfc}


# The functions that are faster written out than called.
WRITTEN_OUT = ("exp", "erfc")


_NONE: Mapping[Name, Name] = {}


def write_body(
    primitive: str,
    vectors: Vectors,
    isa: Isa,
    operand: Name,
    result: Name,
    prefix: str = "%v",
    negated: Mapping[Name, Name] = _NONE,
) -> list[str]:
    """Write the lines that compute a primitive of a vector.

    Args:
        primitive: one of `ELEMENTARY`.
        operand: the name of its operand.
        result: the name of its value.
        prefix: the beginning of all other names.
        negated: for each name that is known to be a negation, the name of its operand.
    """
    w = Writer(vectors, isa, prefix, negated)
    last = ELEMENTARY[primitive](w, operand)
    line = w.lines.pop()
    return [*w.lines, line.replace(last, result, 1)]
