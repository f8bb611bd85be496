"""Every primitive against mpmath, over its domain, in the reference and the fused engine."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import mpmath
import numpy as np
import pytest

from gradsweep.engines.fused import FusedEngine
from gradsweep.engines.fused.lowering.arithmetic.elementary import ELEMENTARY
from gradsweep.engines.fused.lowering.arithmetic.instructions import INSTRUCTIONS, LOADED
from gradsweep.engines.fused.lowering.arithmetic.libm import ROUTINES
from gradsweep.engines.fused.target import Isa, host
from gradsweep.engines.numpy import ReferenceEngine
from gradsweep.program.primitives import PRIMITIVES, WRAPS
from tests.support.programs import leaves_of, one_equation, run

ENGINES = {"reference": ReferenceEngine(), "fused": FusedEngine(threads=1)}

# In ulp; N1 of the project's requirements allows two more for float32.
BOUND = {"float64": 4.0, "float32": 6.0}

N_POINTS = 600

Sampler = Callable[[np.random.Generator, int], np.ndarray]


def between(low: float, high: float) -> Sampler:
    return lambda rng, n: rng.uniform(low, high, n)


def magnitudes(low: float, high: float, sign: str = "+") -> Sampler:
    """Draw over orders of magnitude: with "+-" both signs, with "-" only negative numbers."""
    signs = {"+": [1.0], "-": [-1.0], "+-": [-1.0, 1.0]}[sign]

    def sample(rng, n):
        exponents = rng.uniform(math.log(low), math.log(high), n)
        # exp itself may overflow or lose subnormals; two factors do not.
        return rng.choice(signs, n) * np.exp(exponents / 2) * np.exp(exponents / 2)

    return sample


def near(value: float, sign: str = "+-") -> Sampler:
    return lambda rng, n: value + magnitudes(1e-16, 0.1, sign)(rng, n)


def mixed(*samplers: Sampler) -> Sampler:
    return lambda rng, n: np.concatenate([s(rng, n // len(samplers)) for s in samplers])


ANY = magnitudes(1e-323, 1e308, "+-")
POSITIVE = magnitudes(1e-323, 1e308)
SMALL = magnitudes(1e-320, 1.0, "+-")
ANGLES = mixed(between(-10, 10), magnitudes(1.0, 1e6, "+-"), ANY, SMALL)


@dataclass(frozen=True)
class Case:
    """A primitive by mpmath, and the points where it is tried.

    Attributes:
        bits: the precision in which mpmath has to compute it.
    """

    exact: Callable
    samplers: tuple[Sampler, ...]
    bits: int = 160


# In ulp, where even the best C function, scipy's, does not meet the usual bound.
EXCEPTIONS = {
    ("reference", "erfc", "float64"): math.inf,  # loses digits beyond 10, and subnormals
    ("reference", "zeta", "float64"): 64.0,
    ("reference", "polygamma", "float64"): 16.0,
    ("reference", "igamma", "float64"): 500.0,
    ("reference", "igammac", "float64"): 500.0,
    ("reference", "i1", "float64"): 20.0,
    ("reference", "i1e", "float64"): 20.0,
    ("fused", "igamma", "float64"): 500.0,
    ("fused", "igammac", "float64"): 500.0,
    ("fused", "i1", "float64"): 20.0,
    ("fused", "i1e", "float64"): 20.0,
}


def _cbrt(x):
    return mpmath.sign(x) * mpmath.cbrt(abs(x))


def _igamma(a, x):
    return mpmath.gammainc(a, 0, x, regularized=True)


def _igammac(a, x):
    return mpmath.gammainc(a, x, mpmath.inf, regularized=True)


def _lgamma(x):
    return mpmath.loggamma(x).real


def _scaled(order):
    return lambda x: mpmath.besseli(order, x) * mpmath.exp(-abs(x))


CASES = {
    "add": Case(mpmath.mpf.__add__, (ANY, ANY)),
    "sub": Case(mpmath.mpf.__sub__, (ANY, ANY)),
    "mul": Case(mpmath.mpf.__mul__, (magnitudes(1e-150, 1e150, "+-"),) * 2),
    "div": Case(mpmath.mpf.__truediv__, (magnitudes(1e-150, 1e150, "+-"),) * 2),
    "rem": Case(
        lambda x, y: mpmath.sign(x) * mpmath.fmod(abs(x), abs(y)),
        (magnitudes(1e-3, 1e9, "+-"), magnitudes(1e-3, 1e3, "+-")),
    ),
    "pow": Case(mpmath.power, (magnitudes(1e-300, 1e300), mixed(between(-1, 1), between(-3, 3)))),
    "sqrt": Case(mpmath.sqrt, (POSITIVE,)),
    "cbrt": Case(_cbrt, (ANY,)),
    "hypot": Case(mpmath.hypot, (magnitudes(1e-323, 1e307, "+-"),) * 2),
    "exp": Case(mpmath.exp, (mixed(between(-745, 709.7), SMALL, between(-745.2, -700)),)),
    "exp2": Case(lambda x: mpmath.power(2, x), (mixed(between(-1075, 1023.9), SMALL),)),
    "expm1": Case(mpmath.expm1, (mixed(between(-745, 709.7), between(-1, 1), SMALL),)),
    "log": Case(mpmath.log, (mixed(POSITIVE, between(0.5, 2), near(1.0)),)),
    "log1p": Case(
        mpmath.log1p, (mixed(POSITIVE, magnitudes(1e-320, 0.9999, "-"), between(-1, 2)),)
    ),
    "log2": Case(lambda x: mpmath.log(x, 2), (mixed(POSITIVE, between(0.5, 2), near(1.0)),)),
    "log10": Case(mpmath.log10, (mixed(POSITIVE, between(0.5, 2), near(1.0)),)),
    "sin": Case(mpmath.sin, (ANGLES,)),
    "cos": Case(mpmath.cos, (ANGLES,)),
    "tan": Case(mpmath.tan, (ANGLES,)),
    "asin": Case(mpmath.asin, (mixed(between(-1, 1), SMALL, near(1.0, "-")),)),
    "acos": Case(mpmath.acos, (mixed(between(-1, 1), SMALL, near(1.0, "-")),)),
    "atan": Case(mpmath.atan, (ANY,)),
    "atan2": Case(mpmath.atan2, (ANY, ANY)),
    "sinh": Case(mpmath.sinh, (mixed(between(-710, 710), SMALL),)),
    "cosh": Case(mpmath.cosh, (mixed(between(-710, 710), SMALL),)),
    "tanh": Case(mpmath.tanh, (mixed(between(-25, 25), SMALL),)),
    "asinh": Case(mpmath.asinh, (ANY,)),
    "acosh": Case(mpmath.acosh, (mixed(magnitudes(1.0, 1e308), near(1.0, "+")),)),
    "atanh": Case(mpmath.atanh, (mixed(between(-1, 1), SMALL, near(1.0, "-")),)),
    "erf": Case(mpmath.erf, (mixed(between(-6, 6), SMALL),)),
    "erfc": Case(mpmath.erfc, (mixed(between(-6, 27.2), between(26, 27.2), SMALL),)),
    "erfinv": Case(mpmath.erfinv, (mixed(between(-1, 1), magnitudes(1e-30, 1.0, "+-")),)),
    "ndtri": Case(
        lambda p: mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1),
        (between(1e-9, 0.45),),
    ),
    # 1.5 is beyond the zeros at 1 and 2, around which the relative error has no bound.
    "lgamma": Case(_lgamma, (mixed(magnitudes(1e-300, 0.5), between(2.5, 200)),)),
    "digamma": Case(mpmath.digamma, (mixed(magnitudes(1e-300, 1.0), between(2, 100)),)),
    "igamma": Case(_igamma, (between(0.1, 30), between(0.1, 40)), bits=400),
    "igammac": Case(_igammac, (between(0.1, 30), between(0.1, 40)), bits=400),
    "i0": Case(lambda x: mpmath.besseli(0, x), (between(-700, 700),)),
    "i0e": Case(_scaled(0), (between(-700, 700),)),
    "i1": Case(lambda x: mpmath.besseli(1, x), (between(-700, 700),)),
    "i1e": Case(_scaled(1), (between(-700, 700),)),
    "zeta": Case(mpmath.zeta, (between(1.1, 30), magnitudes(1e-3, 100.0)), bits=500),
    "polygamma": Case(
        lambda n, x: mpmath.polygamma(int(n), x),
        (lambda rng, n: rng.integers(1, 5, n).astype(float), magnitudes(1e-2, 100.0)),
        bits=500,
    ),
}

# A few instructions compute these exactly; the test of special values covers them.
EXACT = {
    "neg", "abs", "sign", "max", "min", "floor", "ceil", "round", "trunc", "copysign", "eq", "ne",
    "lt", "le", "gt", "ge", "isfinite", "signbit", "and", "or", "xor", "not", "select", "lookup",
    "to_float64", "to_float32", "to_int64", "to_bool", "quotient", *WRAPS.values(),
}  # fmt: skip


def test_every_primitive_is_tried():
    assert CASES.keys() | EXACT == PRIMITIVES.keys()


def ulps(found: float, exact: mpmath.mpf, dtype: str) -> float:
    """Return the distance in units of the last place of the exact value, subnormals included."""
    digits, least, most = {"float64": (53, -1074, 1024), "float32": (24, -149, 128)}[dtype]
    if not math.isfinite(found):
        # Half an ulp beyond the largest number, IEEE rounding gives infinity.
        overflows = abs(exact) >= mpmath.mpf(2) ** most * (1 - mpmath.mpf(2) ** (-digits - 1))
        return 0.0 if overflows and (found > 0) == (exact > 0) else math.inf
    if exact == 0:
        return 0.0 if found == 0 else math.inf
    exponent = max(mpmath.frexp(exact)[1] - digits, least)
    return float(abs(mpmath.mpf(found) - exact) / mpmath.mpf(2) ** exponent)


def has_machine_code(primitive: str, dtype: str) -> bool:
    is_written = primitive in INSTRUCTIONS[dtype] or primitive in LOADED
    return is_written or (primitive in ROUTINES and "float" in dtype)


def test_every_primitive_of_floats_has_machine_code():
    missing = {name for name in PRIMITIVES if not has_machine_code(name, "float64")}
    assert missing == {"and", "or", "xor", "not", "quotient", *WRAPS.values()}


# mpmath takes long for these.
SLOW = {"igamma", "igammac", "polygamma", "zeta"}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in CASES]
)
def test_a_primitive_is_within_4_ulp(name, dtype):
    case = CASES[name]
    rng = np.random.default_rng(2)
    with np.errstate(all="ignore"):
        drawn = [sample(rng, N_POINTS).astype(dtype) for sample in case.samplers]
    usable = np.all([np.isfinite(x) & (np.abs(x) > 0) for x in drawn], axis=0)
    if name in ("acosh", "asin", "acos", "atanh", "erfinv", "log1p"):
        usable &= (drawn[0] != 1) & (drawn[0] != -1)  # poles, and rounded there in float32
    if name in ("igamma", "igammac") and dtype == "float32":
        usable &= drawn[0] < 20
    operands = [x[usable] for x in drawn]
    program = one_equation(name, len(operands), dtype, dtype)
    leaves = leaves_of(**{f"x{i}": (("i",), x) for i, x in enumerate(operands)})
    # What takes long is mpmath: its number is for every engine.
    found = [
        run(engine, program, leaves, {"i": len(operands[0])})[0] for engine in ENGINES.values()
    ]
    bounds = [EXCEPTIONS.get((engine, name, dtype), BOUND[dtype]) for engine in ENGINES]
    with mpmath.workprec(case.bits):
        for values, *point in zip(zip(*found), *(x.tolist() for x in operands)):
            exact = case.exact(*map(mpmath.mpf, point))
            for engine, value, bound in zip(ENGINES, values, bounds):
                error = ulps(value.item(), exact, dtype)
                message = f"{engine}: {name}{tuple(point)} = {value!r}: {error:.3g} ulp"
                assert error <= bound, message


# As on macOS and Windows, in three widths of vectors.
WITHOUT_LIBMVEC = [
    FusedEngine(threads=1, isa=Isa("", "", vector_bytes)) for vector_bytes in (16, 32, 64)
]

# With the instruction that multiplies by powers of 2, where the processor has it.
WRITTEN_OUT = [
    FusedEngine(threads=1, isa=Isa("", "", 64, scales=True)) for _ in range(host().scales)
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ELEMENTARY)
def test_functions_of_our_own_are_within_4_ulp_and_the_same_at_every_width(name, dtype):
    case = CASES[name]
    rng = np.random.default_rng(3)
    with np.errstate(all="ignore"):
        drawn = case.samplers[0](rng, 5 * N_POINTS).astype(dtype)
    usable = drawn[np.isfinite(drawn) & (drawn != 0)]
    x = np.concatenate([usable, rng.uniform(1e-3, 2, N_POINTS).astype(dtype)])
    program, leaves = one_equation(name, 1, dtype, dtype), leaves_of(x0=(("i",), x))
    engines = [*WITHOUT_LIBMVEC, *WRITTEN_OUT]
    results = [run(engine, program, leaves, {"i": len(x)})[0] for engine in engines]
    assert all(found.tobytes() == results[0].tobytes() for found in results)
    with mpmath.workprec(case.bits):
        for value, point in zip(results[0].tolist(), x.tolist()):
            error = ulps(value, case.exact(mpmath.mpf(point)), dtype)
            assert error <= BOUND["float64"], f"{name}({point}) = {value!r}: {error:.3g} ulp"


@pytest.mark.parametrize("name", ELEMENTARY)
def test_functions_of_our_own_are_within_4_ulp_of_float64_at_numbers_of_all_kinds(name):
    """One float32 in 4,000, of every sign and exponent: of so many, mpmath takes too long."""
    x = np.arange(0, 2**32, 4001, dtype=np.uint64).astype(np.uint32).view(np.float32)
    x = x[np.isfinite(x) & ((x > 0) | (name != "log"))]
    with np.errstate(all="ignore"):
        exact = PRIMITIVES[name].numpy(x.astype(np.float64))
        rounded = exact.astype(np.float32)
    program = one_equation(name, 1, "float32", "float32")
    (found,) = run(WITHOUT_LIBMVEC[1], program, leaves_of(x0=(("i",), x)), {"i": len(x)})
    is_finite = np.isfinite(rounded) & np.isfinite(found)
    np.testing.assert_array_equal(found[~is_finite], rounded[~is_finite])
    place = np.ldexp(1.0, np.maximum(np.frexp(exact[is_finite])[1] - 24, -149))
    assert (np.abs(found[is_finite] - exact[is_finite]) / place).max() <= BOUND["float64"]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ELEMENTARY)
def test_functions_of_our_own_take_special_values_as_numpy_does(name, dtype):
    x = np.array(SPECIAL[dtype], dtype)
    with np.errstate(all="ignore"):
        expected = PRIMITIVES[name].numpy(x)
    program = one_equation(name, 1, dtype, dtype)
    for engine in [WITHOUT_LIBMVEC[1], *WRITTEN_OUT]:
        (found,) = run(engine, program, leaves_of(x0=(("i",), x)), {"i": len(x)})
        np.testing.assert_allclose(found, expected, rtol=8 * np.finfo(dtype).eps)
        is_zero = expected == 0
        np.testing.assert_array_equal(np.signbit(found[is_zero]), np.signbit(expected[is_zero]))


SPECIAL = {
    "float64": [
        math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, -5e-324, 1e-310, 1.0, -1.0, 0.5, -0.5,
        2.0, -2.0, 3.0, 1e308, -1e308, -745.0, -746.0, 710.0, 1e22, -1e22,
    ],
    "float32": [
        math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-45, -1e-45, 1e-40, 1.0, -1.0, 0.5, -0.5,
        2.0, -2.0, 3.0, 3e38, -3e38, -104.0, 89.0, 1e22, -1e22,
    ],
    "int64": [
        0, 1, -1, 2, -2, 3, 7, -7, 127, 128, -129, 2**31, 2**32 - 1,
        -(2**31) - 1, 2**62, -(2**62), 2**63 - 1, -(2**63),
    ],
    "bool": [False, True],
}  # fmt: skip

# log|Gamma(x)|: scipy has -inf at -inf and inf for subnormals, C has inf and the right values.
# Rounding an integer: NumPy goes through float64 and loses the last bits of a large one.
# n! of polygamma: scipy's overflows in float32. zeta(1e308, 2): 0, where scipy has 0 / 0.
NOT_AS_NUMPY = {
    ("lgamma", "float64"),
    ("lgamma", "float32"),
    ("round", "int64"),
    ("polygamma", "float32"),
    ("zeta", "float64"),
    ("zeta", "float32"),
}


@pytest.mark.parametrize(
    "name, dtype",
    [
        (name, dtype)
        for dtype in SPECIAL
        for name in PRIMITIVES
        if name not in ("select", "lookup")
        and (name, dtype) not in NOT_AS_NUMPY
        and has_machine_code(name, dtype)
    ],
)
def test_special_values_come_out_of_machine_code_as_numpy_has_them(name, dtype):
    row = PRIMITIVES[name]
    values = np.array(SPECIAL[dtype], dtype)
    operands = [grid.ravel() for grid in np.meshgrid(*[values] * row.n_inputs)]
    result = dtype if row.result == "same" else row.result
    with np.errstate(all="ignore"):
        expected = np.asarray(row.numpy(*operands)).astype(result)
    (found,) = run(
        ENGINES["fused"],
        one_equation(name, row.n_inputs, dtype, result),
        leaves_of(**{f"x{i}": (("i",), x) for i, x in enumerate(operands)}),
        {"i": len(operands[0])},
    )
    if found.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected)
        return
    for got, want, *point in zip(found.tolist(), expected.tolist(), *operands):
        same = (math.isnan(got) and math.isnan(want)) or (
            got == want and math.copysign(1, got) == math.copysign(1, want)
        )
        if not same:
            assert math.isfinite(got) and math.isfinite(want), f"{name}{point}: {got} != {want}"
            assert ulps(got, mpmath.mpf(want), result) <= 2 * BOUND[dtype], f"{name}{point}"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", WRAPS)
def test_an_integer_wraps_around_as_its_type_does(dtype, engine):
    x = np.array(SPECIAL["int64"])
    n = np.iinfo(dtype).bits
    low = np.array([int(value) % 2**n for value in x], dtype=object)
    if dtype.startswith("int"):
        low = np.where(low >= 2 ** (n - 1), low - 2**n, low)
    (found,) = run(
        ENGINES[engine],
        one_equation(WRAPS[dtype], 1, "int64", "int64"),
        leaves_of(x0=(("i",), x)),
        {"i": len(x)},
    )
    assert found.tolist() == low.tolist()


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool"])
def test_select_takes_each_lane_from_its_own_side(dtype):
    rng = np.random.default_rng(3)
    condition = rng.random(37) < 0.5
    sides = [rng.normal(size=37).astype(dtype) for _ in range(2)]
    program = one_equation("select", 3, dtype, dtype)
    first, *others = program.inputs
    program = replace(program, inputs=(first._replace(dtype="bool"), *others))
    leaves = leaves_of(x0=(("i",), condition), x1=(("i",), sides[0]), x2=(("i",), sides[1]))
    (found,) = run(ENGINES["fused"], program, leaves, {"i": 37})
    np.testing.assert_array_equal(found, np.where(condition, *sides))


def test_a_wrong_primitive_is_found():
    """The control: an exponential that is 5 ulp off does not pass."""
    x = 0.73
    with mpmath.workprec(160):
        assert ulps(math.exp(x) + 5 * math.ulp(math.exp(x)), mpmath.exp(x), "float64") > 4
