"""exp, log, erf and erfc in LLVM IR: arithmetic alone, the same steps in every lane.

They serve systems without a vector libm, which are macOS, Windows and musl. exp and erfc serve
everywhere: written out in place they take less time than calls, and exp(-x²) beside erfc(x), its
integral, is computed once.

They need a fused multiply-add. Each computes in the precision of its operand: a vector of float32
has twice the lanes, and needs half the coefficients. erfc is within 3.7 ulp of the exact value, the
others within 1.4.
"""

from collections.abc import Callable, Mapping

from gradsweep.engines.fused.lowering.arithmetic.vectors import Vectors
from gradsweep.engines.fused.lowering.arithmetic.writer import Name, Writer
from gradsweep.engines.fused.target import Isa

__all__ = ["ELEMENTARY", "WRITTEN_OUT", "write_body"]


class _Exp:
    """exp(x) = 2^n (1 + (exp(r) - 1)), where n is an integer and |r| < ln(2)/2.

    Attributes:
        x: the argument, moved into the range where exp is neither 0 nor infinite.
        less_one: exp(r) - 1.
        fraction: exp(r).
    """

    def __init__(self, w: Writer, x: Name):
        self._w, self._c = w, w.coefficients
        least, most = self._c.exp_range
        self.x = w.at_least(w.at_most(x, most), least)
        # Adding this rounds to an integer, which is then in the last bits of the sum.
        rounder = w.constant(1.5 * 2.0**self._c.fraction_bits)
        self._rounded = w.fma(self.x, w.constant(self._c.log2_e), rounder)
        self._n = w.sub(self._rounded, rounder)
        r = self.x
        for part in self._c.ln2:
            r = w.fma(self._n, w.constant(-part), r)
        self.less_one = w.fma(w.mul(r, r), w.polynomial(r, self._c.exp), r)
        self.fraction = w.add(self.less_one, w.constant(1.0))

    def scale(self, fraction: Name) -> Name:
        """Return 2^n times a fraction."""
        w = self._w
        if w.scales:
            return w.scale(fraction, self._n)
        # In two steps, since 2^n may be out of range where the result is not: first half of n.
        bits, place = w.bits(self._rounded), self._c.fraction_bits
        half = w.integer("and", w.integer("shl", bits, place - 1), -1 << place)
        rest = w.integers("sub", w.integer("shl", bits, place), half)
        power = w.from_bits(w.integer("add", rest, self._c.bias << place))
        return w.mul(w.from_bits(w.integers("add", w.bits(fraction), half)), power)


def _exp(w: Writer, x: Name) -> Name:
    exp = _Exp(w, x)
    return exp.scale(exp.fraction)


_INFINITY = float("inf")


def _log(w: Writer, x: Name) -> Name:
    """log(x) = k ln(2) + log(1 + f), where k is an integer and 1 + f within sqrt(2) of 1.

    Reference: K. C. Ng, e_log.c of FreeBSD's msun, for the order of the sums.
    """
    c = w.coefficients
    place = c.fraction_bits
    is_subnormal = w.compare(x, "olt", w.constant(2.0 ** (1 - c.bias)))
    raise_by = place + 2
    normal = w.select(is_subnormal, w.mul(x, w.constant(2.0**raise_by)), x)
    bits = w.bits(normal)
    # k + bias + 1, which is never negative; and as a float, in the last bits of 2^place.
    raised = w.integer("add", bits, (c.bias + 1 << place) - c.sqrt_half_bits)
    exponent = w.integer("lshr", raised, place)
    as_float = w.from_bits(w.integer("or", exponent, c.bias + place << place))
    offset = 2.0**place + c.bias + 1
    offsets = w.constant(offset + raise_by), w.constant(offset)
    k = w.sub(as_float, w.select(is_subnormal, *offsets))
    rest = w.integers("sub", bits, w.integer("shl", exponent, place))
    fraction = w.from_bits(w.integer("add", rest, c.bias + 1 << place))
    f = w.sub(fraction, w.constant(1.0))
    s = w.div(f, w.add(f, w.constant(2.0)))
    z = w.mul(s, s)
    r = w.mul(z, w.polynomial(z, c.log))
    half_square = w.mul(w.mul(f, f), w.constant(0.5))
    small = w.fma(k, w.constant(c.ln2_exact[1]), w.mul(s, w.add(half_square, r)))
    found = w.fma(k, w.constant(c.ln2_exact[0]), w.sub(f, w.sub(half_square, small)))
    found = w.select(w.compare(x, "olt", w.constant(_INFINITY)), found, x)  # infinity and NaN
    found = w.select(w.compare(x, "olt", w.constant(0.0)), w.constant(float("nan")), found)
    return w.select(w.compare(x, "oeq", w.constant(0.0)), w.constant(-_INFINITY), found)


_CENTRE_END = 0.75


def _erfc_of_abs(w: Writer, x: Name) -> Name:
    """erfc(|x|) = exp(-x²) Q / (P + |x| Q) / sqrt(pi)."""
    numbers = w.coefficients
    exp = _Exp(w, w.neg(w.square(x)))
    a = w.at_most(w.abs(x), numbers.tail_end)
    # The fraction corrects for the rounding error e of x²: exp(-x² - e) is exp(-x²) (1 - e).
    left_out = w.fma(a, a, exp.x)
    less_one = w.fma(w.neg(exp.fraction), left_out, exp.less_one)
    c = w.constant(numbers.per_sqrt_pi)
    gauss = exp.scale(w.fma(c, less_one, c))
    p, q = (
        w.fma(a, w.polynomial(a, coefficients[1:]), w.constant(coefficients[0]))
        for coefficients in (numbers.tail_p, numbers.tail_q)
    )
    return w.div(w.mul(gauss, q), w.fma(a, q, p))


def _erf(w: Writer, x: Name) -> Name:
    is_near = w.compare(w.abs(x), "olt", w.constant(_CENTRE_END))
    centre = w.fma(x, w.polynomial(w.mul(x, x), w.coefficients.centre), x)
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
