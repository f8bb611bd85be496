"""Complex numbers as pairs of variables: the values of mpmath, and the branch cuts of C99."""

import cmath
import math

import mpmath
import numpy as np
import pytest

from gradsweep.engines.fused.engine import FusedEngine
from gradsweep.engines.numpy import ReferenceEngine
from gradsweep.errors import NotAProgram
from gradsweep.program import arrays
from gradsweep.program.builder import Builder
from gradsweep.program.program import Output
from tests.support.complex_numbers import (
    CUT,
    DENOMINATORS,
    GROWING,
    IN_MPMATH,
    NUMERATORS,
    ULP,
    assert_on_the_same_side,
    on_cuts,
    points,
    ulps,
)
from tests.support.programs import leaves_of, run

ENGINES = [ReferenceEngine(), FusedEngine()]

FUNCTIONS = {"neg": lambda z: -z, **IN_MPMATH}


def program_of(name, n_operands, dtype="float64"):
    """Return the Program of a function of complex inputs x0 + i y0, x1 + i y1, ..."""
    b = Builder()
    z = [b.pair(b.input(f"x{i}", 0, dtype), b.input(f"y{i}", 0, dtype)) for i in range(n_operands)]
    parts = b.parts(b.emit(name, *z))
    return b.finish([Output(f"part{i}", (), (part,)) for i, part in enumerate(parts)])


def values(engine, name, *operands):
    """Return a function of arrays of complex numbers, as an engine computes it."""
    leaves = {}
    for i, z in enumerate(operands):
        leaves |= leaves_of(**{f"x{i}": (("a",), z.real.copy()), f"y{i}": (("a",), z.imag.copy())})
    parts = run(engine, program_of(name, len(operands)), leaves, {"a": len(operands[0])})
    found = np.zeros(len(parts[0]), dtype=complex)
    found.real = parts[0]
    found.imag = parts[1] if len(parts) > 1 else 0.0
    return found


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.name)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_those_of_mpmath_to_a_few_ulp(name, engine):
    z = points()
    if name in GROWING:
        z = z[abs(z) < 300]
    with mpmath.workdps(60):
        expected = [FUNCTIONS[name](mpmath.mpc(w)) for w in z]
        assert ulps(values(engine, name, z), expected) < 8


def test_a_wrong_last_digit_is_seen():
    z = points((1.0,))
    with mpmath.workdps(60):
        assert ulps(np.exp(z) * (1 + 1e-14), [mpmath.exp(mpmath.mpc(w)) for w in z]) > 40


@pytest.mark.parametrize("name", ["mul", "div", "pow"])
def test_products_quotients_and_powers(name):
    rng = np.random.default_rng(4)
    x, y = (rng.normal(size=40) + 1j * rng.normal(size=40) for _ in range(2))
    found = values(ENGINES[0], name, x, y)
    operation = {"mul": mpmath.fmul, "div": mpmath.fdiv, "pow": mpmath.power}[name]
    with mpmath.workdps(60):
        expected = [operation(mpmath.mpc(a), mpmath.mpc(b)) for a, b in zip(x, y)]
        assert ulps(found, expected) < 8


def test_quotients_overflow_only_where_their_value_does():
    x, y = NUMERATORS, DENOMINATORS
    with mpmath.workdps(60):
        expected = [mpmath.mpc(a) / mpmath.mpc(b) for a, b in zip(x, y)]
        found = values(ENGINES[0], "div", x, y)
        for f, e in zip(found, expected):
            assert abs(mpmath.mpc(complex(f)) - e) <= 4 * ULP * abs(e)


def quotients(engine, z, is_sharing):
    """Return 1 / z and 1 / conj(z) as parts, and how many divisions they take.

    Args:
        is_sharing: whether conj(z) is written as such; else it is a number of its own.
    """
    b = Builder()
    one, re, im = (
        b.constant(1.0, "float64"),
        b.input("re", 0, "float64"),
        b.input("im", 0, "float64"),
    )
    conjugate = b.emit("neg", im) if is_sharing else b.input("other", 0, "float64")
    outputs = []
    for part in (im, conjugate):
        found = b.emit("div", b.pair(one, one), b.pair(re, part))
        outputs += [Output(f"{len(outputs)} {p}", (), (p,)) for p in b.parts(found)]
    program = b.finish(outputs)
    n = sum(equation.primitive == "div" for equation in program.equations)
    parts = {"re": (("a",), z.real.copy()), "im": (("a",), z.imag.copy())}
    if not is_sharing:
        parts["other"] = (("a",), -z.imag)
    return run(engine, program, leaves_of(**parts), {"a": len(z)}), n


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.name)
def test_a_quotient_by_the_conjugate_is_the_same_in_fewer_divisions(engine):
    numbers = [0.0, -0.0, 1.0, -1.0, 0.3, 1e-320, 3e200, -7e307, np.inf, -np.inf, np.nan]
    z = np.array([complex(re, im) for re in numbers for im in numbers])
    with np.errstate(all="ignore"):
        shared, n_shared = quotients(engine, z, True)
        apart, n_apart = quotients(engine, z, False)
    assert (n_shared, n_apart) == (5, 6)
    for found, expected in zip(shared, apart):
        np.testing.assert_array_equal(found, expected)
        known = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(found)[known], np.signbit(expected)[known])


def test_a_pullback_finds_the_quotients_of_the_function_again():
    b = Builder()
    z = b.pair(b.input("re", 0, "float64"), b.input("im", 0, "float64"))
    one = b.pair(*(b.constant(1.0, "float64") for _ in range(2)))
    found = b.emit("div", one, z)
    with b.linear(transposed=True):
        assert b.parts(b.emit("div", one, z)) == b.parts(found)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.name)
@pytest.mark.parametrize("name", CUT)
def test_the_sign_of_a_zero_says_on_which_side_of_a_cut_a_number_lies(name, engine):
    z = on_cuts()
    assert_on_the_same_side(z, values(engine, name, z), getattr(cmath, name))


def test_infinite_numbers_and_poles():
    z = np.array([complex(-math.inf, 1.0), complex(math.inf, 0.0), 0j])
    assert values(ENGINES[0], "exp", z)[0] == 0
    assert values(ENGINES[0], "exp", z)[1] == complex(math.inf, 0.0)
    assert values(ENGINES[0], "sqrt", z)[0] == complex(0.0, math.inf)
    assert values(ENGINES[0], "sqrt", np.array([complex(2.0, math.inf)]))[0].real == math.inf
    assert values(ENGINES[0], "log", z)[2] == complex(-math.inf, 0.0)
    assert values(ENGINES[0], "sign", z)[2] == 0


def test_a_real_operand_has_the_imaginary_part_zero():
    b = Builder()
    x, z = (
        b.input("x", 0, "float64"),
        b.pair(b.input("y", 0, "float64"), b.input("z", 0, "float64")),
    )
    mixed = b.emit("mul", x, z)
    promoted = b.emit("mul", b.cast(x, "complex128"), z)
    assert mixed == promoted and b.dtype(mixed) == "complex128"


def test_constants_are_folded_and_nothing_stays_nothing():
    b = Builder()
    z = b.constant(3 + 4j, "complex128")
    assert b.value(b.emit("abs", z)) == 5.0
    assert b.value(b.emit("mul", z, z)) == -7 + 24j
    nothing = b.structural_zero("complex128")
    unknown = b.pair(b.input("x", 0, "float64"), b.input("y", 0, "float64"))
    assert b.is_structural_zero(b.emit("mul", nothing, unknown))
    assert b.emit("add", nothing, unknown) == unknown


def test_single_precision_stays_single():
    program = program_of("exp", 1, "float32")
    assert {e.dtype for e in program.equations} <= {"float32", "bool"}


def test_arrays_of_complex_numbers_are_arrays_of_variables():
    b = Builder()
    parts = b.inputs("a", (2, 3, 2), "float64")
    matrix = arrays.joined(b, parts, "complex128")
    assert matrix.shape == (2, 3)
    np.testing.assert_array_equal(arrays.parted(b, matrix, "complex128"), parts)
    product = arrays.matmul(b, matrix, matrix.T)
    program = b.finish(
        [Output("y", (2, 2, 2), tuple(arrays.parted(b, product, "complex128").ravel().tolist()))]
    )
    rng = np.random.default_rng(5)
    a = rng.normal(size=(4, 2, 3, 2))
    (found,) = run(ENGINES[0], program, leaves_of(a=(("n",), a)), {"n": 4})
    z = a[..., 0] + 1j * a[..., 1]
    expected = z @ z.transpose(0, 2, 1)
    np.testing.assert_allclose(found[..., 0] + 1j * found[..., 1], expected, rtol=1e-13)


def test_a_function_without_a_complex_form_is_no_program():
    with pytest.raises(NotAProgram, match="erf of complex numbers"):
        program_of("erf", 1)
