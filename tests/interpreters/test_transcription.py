"""Programs in mpmath: every primitive to 50 digits, and NaN and infinity as in NumPy."""

import itertools
import math

import mpmath
import numpy as np
import pytest
import sympy

from gradsweep.errors import EngineError
from gradsweep.interpreters import evaluate
from gradsweep.interpreters.mpmath import CONTEXT, OPERATIONS, constant, number
from gradsweep.program.primitives import PRIMITIVES, WRAPS
from gradsweep.program.program import Constant, Equation, Input, Output, Program
from tests.support.programs import one_equation

DIGITS = 50


def apply(primitive: str, *operands):
    """Return a primitive of the operands, through a Program of one equation."""
    result = PRIMITIVES[primitive].result
    dtype = result if result in ("bool", "int64") else "float64"
    program = one_equation(primitive, len(operands), "float64", dtype)
    ((found,),) = evaluate(program, OPERATIONS, [number(x) for x in operands], constant)
    return found


def test_every_primitive_has_an_operation():
    assert OPERATIONS.keys() == PRIMITIVES.keys()


R = sympy.Rational

# Each function by sympy, and where it is tried; the points are exact in binary.
EXACT = {
    "add": (lambda x, y: x + y, [(0.375, 1e-30)]),
    "sub": (lambda x, y: x - y, [(0.375, 1e-30)]),
    "mul": (lambda x, y: x * y, [(0.1, 0.3)]),
    "div": (lambda x, y: x / y, [(1.0, 3.0), (-0.1, 0.7)]),
    "rem": (lambda x, y: sympy.sign(x) * sympy.Mod(abs(x), abs(y)), [(-7.3, 2.1), (7.3, -2.1)]),
    "pow": (lambda x, y: x**y, [(2.3, 0.7), (0.5, -3.25)]),
    "sqrt": (sympy.sqrt, [(2.0,), (0.3,)]),
    "cbrt": (lambda x: sympy.sign(x) * sympy.cbrt(abs(x)), [(2.0,), (-0.3,)]),
    "hypot": (lambda x, y: sympy.sqrt(x**2 + y**2), [(0.3, -1.7)]),
    "exp": (sympy.exp, [(-1.7,), (30.5,)]),
    "exp2": (lambda x: 2**x, [(-1.7,), (0.3,)]),
    "expm1": (lambda x: sympy.exp(x) - 1, [(0.25,), (-3.5,)]),
    "log": (sympy.log, [(0.3,), (1e10,)]),
    "log1p": (lambda x: sympy.log(1 + x), [(0.3,), (-0.75,)]),
    "log2": (lambda x: sympy.log(x, 2), [(0.3,)]),
    "log10": (lambda x: sympy.log(x, 10), [(0.3,)]),
    "sin": (sympy.sin, [(0.7,), (-100.3,)]),
    "cos": (sympy.cos, [(0.7,), (-100.3,)]),
    "tan": (sympy.tan, [(0.7,)]),
    "asin": (sympy.asin, [(0.7,)]),
    "acos": (sympy.acos, [(-0.7,)]),
    "atan": (sympy.atan, [(-1.7,)]),
    "atan2": (sympy.atan2, [(0.3, -0.7), (-1.2, 0.4)]),
    "sinh": (sympy.sinh, [(0.7,)]),
    "cosh": (sympy.cosh, [(0.7,)]),
    "tanh": (sympy.tanh, [(-0.7,)]),
    "asinh": (sympy.asinh, [(0.7,)]),
    "acosh": (sympy.acosh, [(1.7,)]),
    "atanh": (sympy.atanh, [(-0.7,)]),
    "erf": (sympy.erf, [(0.7,)]),
    "erfc": (sympy.erfc, [(-0.7,), (3.25,)]),
    "lgamma": (lambda x: sympy.log(abs(sympy.gamma(x))), [(3.7,), (-1.3,)]),
    "digamma": (sympy.digamma, [(0.7,)]),
    "polygamma": (sympy.polygamma, [(2.0, 0.7)]),
    "zeta": (sympy.zeta, [(2.5, 0.75)]),
    "igamma": (lambda a, x: sympy.lowergamma(a, x) / sympy.gamma(a), [(1.3, 0.7)]),
    "igammac": (lambda a, x: sympy.uppergamma(a, x) / sympy.gamma(a), [(1.3, 2.7)]),
    "i0": (lambda x: sympy.besseli(0, x), [(-1.7,)]),
    "i0e": (lambda x: sympy.besseli(0, x) * sympy.exp(-abs(x)), [(-1.7,)]),
    "i1": (lambda x: sympy.besseli(1, x), [(-1.7,)]),
    "i1e": (lambda x: sympy.besseli(1, x) * sympy.exp(-abs(x)), [(-1.7,)]),
}

# Inverses, by the functions that they invert.
INVERSES = {
    "erfinv": (mpmath.erf, [0.3, -0.999]),
    "ndtri": (lambda x: mpmath.erfc(-x / mpmath.sqrt(2)) / 2, [0.3, 0.999, 1e-200]),
}

# Functions that are exact in any precision; the test of special values covers these.
PLAIN = {
    "neg", "abs", "sign", "max", "min", "floor", "ceil", "round", "trunc", "copysign", "eq", "ne",
    "lt", "le", "gt", "ge", "isfinite", "signbit", "and", "or", "xor", "not", "select", "lookup",
    "to_float64", "to_float32", "to_int64", "to_bool", "quotient", *WRAPS.values(),
}  # fmt: skip


def test_every_primitive_is_tried():
    assert EXACT.keys() | INVERSES.keys() | PLAIN == PRIMITIVES.keys()


def relative_error(found, expected: str) -> mpmath.mpf:
    with mpmath.workdps(DIGITS + 20):
        return abs(mpmath.mpf(found) - mpmath.mpf(expected)) / abs(mpmath.mpf(expected))


@pytest.mark.parametrize("name", EXACT)
def test_a_primitive_has_50_digits(name):
    function, points = EXACT[name]
    for point in points:
        with CONTEXT.workdps(DIGITS + 5):
            found = apply(name, *point)
        expected = sympy.N(function(*map(R, point)), DIGITS + 10)
        assert relative_error(found, str(expected)) < mpmath.mpf(10) ** -DIGITS, point


def test_a_function_in_double_precision_has_not_50_digits():
    """The control: float64's exponential fails the bound that mpmath's passes."""
    expected = sympy.N(sympy.exp(R(-1.7)), DIGITS + 10)
    assert relative_error(math.exp(-1.7), str(expected)) > mpmath.mpf(10) ** -DIGITS


@pytest.mark.parametrize("name", INVERSES)
def test_an_inverse_gives_its_argument_back_to_50_digits(name):
    function, points = INVERSES[name]
    for point in points:
        with CONTEXT.workdps(DIGITS + 10):
            found = apply(name, point)
        with mpmath.workdps(DIGITS + 10):
            back = function(mpmath.mpf(found))
            assert relative_error(back, str(mpmath.mpf(point))) < mpmath.mpf(10) ** -(DIGITS - 5)


# mpmath has one zero, so -0.0 is not among them.
SPECIAL = [
    math.nan, math.inf, -math.inf, 0.0, 5e-324, -5e-324, 1e-310, 1.0, -1.0, 0.5, -0.5, 2.5, -2.0,
    3.0, 1e308, -1e308, -745.0, 710.0, 1e22,
]  # fmt: skip

# At the ends of the range mpmath takes too long to sum the series of these.
MILD = [math.nan, math.inf, -math.inf, 0.0, 0.5, 1.0, 2.0, 3.0, 12.0]
SLOW = {"polygamma", "zeta", "igamma", "igammac"}


@pytest.mark.parametrize(
    "name", [name for name in PRIMITIVES if name not in ("select", "lookup", "to_float32")]
)
def test_special_values_are_numpys(name):
    row = PRIMITIVES[name]
    values = MILD if name in SLOW else SPECIAL
    if name in ("and", "or", "xor", "not"):
        values = [False, True]
    if name == "quotient" or name in WRAPS.values():
        values = [0, 1, -1, 7, -7, 127, 128, -129, 2**31, 2**32 - 1, -(2**31) - 1]
    for point in itertools.product(values, repeat=row.n_inputs):
        if name == "to_int64" and not abs(point[0]) < 2**63:
            continue  # undefined
        if name in ("i0", "i1") and point == (710.0,):
            continue  # 3e306, where scipy has overflowed already
        with np.errstate(all="ignore"):
            expected = float(row.numpy(*map(np.asarray, point)))
        with CONTEXT.workdps(30):
            found = float(apply(name, *point))
        if math.isfinite(expected):
            assert found == pytest.approx(expected, rel=1e-13, abs=1e-320), point
        else:
            assert found == expected or (math.isnan(found) and math.isnan(expected)), point


def test_select_takes_one_side_and_leaves_the_other():
    assert apply("select", True, 1.5, math.nan) == 1.5
    assert apply("select", False, math.nan, 2.5) == 2.5


def test_a_lookup_takes_the_entry_at_a_place_and_the_nearest_outside():
    entries = 1.5, math.nan, -2.5
    found = [apply("lookup", place, *entries) for place in (-7, 0, 2, 3)]
    assert found == [1.5, 1.5, -2.5, -2.5]


def test_casts_to_float32_keep_every_digit():
    with CONTEXT.workdps(DIGITS):
        third = CONTEXT.mpf(1) / 3
        assert OPERATIONS["to_float32"](third) == third


def test_a_program_is_evaluated_output_by_output():
    # (x + 2, [x, x * (x + 2)])
    program = Program(
        inputs=(Input("x", 0, "float64"),),
        constants=(Constant(2.0, "float64"),),
        equations=(Equation("add", (0, 1), "float64"), Equation("mul", (0, 2), "float64")),
        outputs=(Output("a", (), (2,)), Output("b", (2,), (0, 3))),
    )
    assert evaluate(program, OPERATIONS, [number(3.0)], constant) == [(5,), (3, 15)]


def test_a_primitive_that_the_table_lacks_is_refused_by_name():
    some = {name: operation for name, operation in OPERATIONS.items() if name != "erf"}
    program = one_equation("erf", 1, "float64", "float64")
    with pytest.raises(EngineError, match="uses erf, for which"):
        evaluate(program, some, [number(1.0)], constant)


def test_the_users_own_precision_is_left_alone():
    before = mpmath.mp.dps
    with CONTEXT.workdps(77):
        apply("exp", 1.0)
        assert mpmath.mp.dps == before
