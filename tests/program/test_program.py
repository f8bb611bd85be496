"""Program and Builder: equations that are written, simplified, and must not be simplified."""

import math

import mpmath
import numpy as np
import pytest

from gradsweep.engines.axes import analyse
from gradsweep.engines.numpy import evaluate
from gradsweep.engines.stages import make_stages
from gradsweep.errors import NotAProgram
from gradsweep.program.arrays import cumulative, dot_general, elementwise, matmul, reduce, zeros
from gradsweep.program.builder import Builder
from gradsweep.program.loading import load
from gradsweep.program.primitives import PRIMITIVES
from gradsweep.program.program import Output
from gradsweep.program.source import source
from gradsweep.request.sweep import Sweep


def program_of(write, *names):
    builder = Builder()
    inputs = [builder.input(name, 0, "float64") for name in names]
    result = write(builder, *inputs)
    return builder.finish([Output("y", (), (result,))])


def run(program, **values):
    sweep = Sweep(**values)
    leaves = {leaf.key: leaf for leaf in sweep.leaves}
    (variable,) = program.outputs[0].variables
    found = evaluate(program, leaves, tuple(sweep.axes), list(program.numbered()), [variable])
    return found[variable]


def count(program):
    return len(program.equations)


def test_an_equation_is_written_once():
    program = program_of(
        lambda b, x, y: b.emit("add", b.emit("mul", x, y), b.emit("mul", y, x)), "x", "y"
    )
    assert [e.primitive for e in program.equations] == ["mul", "add"]


def test_what_no_output_needs_is_dropped():
    def write(b, x):
        b.emit("sin", x)
        return b.emit("cos", x)

    assert [e.primitive for e in program_of(write, "x").equations] == ["cos"]


def test_constants_are_folded():
    program = program_of(
        lambda b, x: b.emit("mul", x, b.emit("exp", b.constant(1.0, "float64"))), "x"
    )
    assert count(program) == 1
    assert program.constants[0].value == pytest.approx(math.e, rel=1e-15)


@pytest.mark.parametrize(
    "write",
    [
        lambda b, x: b.emit("mul", x, b.constant(1.0, "float64")),
        lambda b, x: b.emit("add", x, b.constant(-0.0, "float64")),
        lambda b, x: b.emit("sub", x, b.constant(0.0, "float64")),
        lambda b, x: b.emit("div", x, b.constant(1.0, "float64")),
        lambda b, x: b.emit("neg", b.emit("neg", x)),
        lambda b, x: b.emit("pow", x, b.constant(1.0, "float64")),
        lambda b, x: b.emit("add", x, b.structural_zero("float64")),
    ],
)
def test_identities_that_hold_for_every_value_cost_nothing(write):
    assert count(program_of(write, "x")) == 0


@pytest.mark.parametrize(
    "write, at, expected",
    [
        (lambda b, x: b.emit("mul", x, b.constant(0.0, "float64")), math.inf, math.nan),
        (lambda b, x: b.emit("mul", x, b.constant(0.0, "float64")), -1.0, -0.0),
        (lambda b, x: b.emit("add", x, b.constant(0.0, "float64")), -0.0, 0.0),
        (lambda b, x: b.emit("sub", x, x), math.inf, math.nan),
        (lambda b, x: b.emit("div", x, x), 0.0, math.nan),
    ],
)
def test_identities_that_fail_for_some_value_are_not_applied(write, at, expected):
    result = run(program_of(write, "x"), x=np.float64(at))
    np.testing.assert_array_equal(result, expected)
    assert np.signbit(result) == np.signbit(expected) or math.isnan(expected)


def normal_tails(b, w, *, one=1.0, two=2.0, swapped=False):
    """Write 2 N(sqrt(2) w) as JAX does: by erf near zero, by erfc on either side of it."""
    z = b.emit("abs", w)
    near = b.emit("lt", z, b.constant(math.sqrt(0.5), "float64"))
    right = b.emit("gt", w, b.constant(0.0, "float64"))
    below = b.emit("erfc", z)
    above = b.emit("sub", b.constant(two, "float64"), below)
    arms = (below, above) if swapped else (above, below)
    middle = b.emit("add", b.constant(one, "float64"), b.emit("erf", w))
    return b.emit("select", near, middle, b.emit("select", right, *arms))


def test_one_function_written_in_three_ways_for_its_digits_is_one_erfc():
    program = program_of(normal_tails, "w")
    assert [e.primitive for e in program.equations] == ["neg", "erfc"]
    points = [-26.5, -9.0, -0.71, -0.7, -1e-300, 0.0, 0.3, 0.7, 0.71, 2.0, 9.0, 1e300]
    found = run(program, w=("point", np.array(points)))
    exact = [float(mpmath.erfc(-mpmath.mpf(point))) for point in points]
    np.testing.assert_allclose(found, exact, rtol=4 * 2.0**-52)
    limits = run(program, w=("point", np.array([-math.inf, math.inf, math.nan])))
    np.testing.assert_array_equal(limits, [0.0, 2.0, math.nan])


@pytest.mark.parametrize("sign", [1, -1])
def test_one_plus_or_minus_erf_keeps_the_digits_of_its_tail(sign):
    name = "add" if sign == 1 else "sub"
    program = program_of(
        lambda b, x: b.emit(name, b.constant(1.0, "float64"), b.emit("erf", x)), "x"
    )
    x = np.array([-26.0, -6.0, -1.0, -1e-300, 0.0, 0.5, 3.0, 26.0, -math.inf, math.inf])
    exact = [float(mpmath.erfc(-sign * mpmath.mpf(point))) for point in x.tolist()]
    np.testing.assert_allclose(run(program, x=("i", x)), exact, rtol=4 * 2.0**-52)
    assert math.isnan(run(program, x=np.float64(math.nan)))


@pytest.mark.parametrize("name, one", [("add", 1.5), ("sub", -1.0)])
def test_another_constant_beside_erf_is_no_erfc(name, one):
    program = program_of(
        lambda b, x: b.emit(name, b.constant(one, "float64"), b.emit("erf", x)), "x"
    )
    assert [e.primitive for e in program.equations] == ["erf", name]


@pytest.mark.parametrize("changed", [{"one": 1.5}, {"two": 2.5}, {"swapped": True}])
def test_arms_that_are_different_functions_stay_apart(changed):
    program = program_of(lambda b, w: normal_tails(b, w, **changed), "w")
    assert "select" in [e.primitive for e in program.equations]


def test_a_structural_zero_annihilates():
    program = program_of(lambda b, x: b.emit("mul", x, b.structural_zero("float64")), "x")
    assert program.equations == () and program.inputs == ()
    assert program.constants[0].value == 0.0


def test_nothing_divided_by_nothing_is_nan_but_where_it_is_a_term_that_is_not_there():
    def quotient(b):
        nothing = b.structural_zero("float64")
        return b.emit("div", nothing, nothing)

    def in_a_linear_map(b):
        with b.linear():
            return quotient(b)

    plain = program_of(lambda b, x: b.emit("add", x, quotient(b)), "x")
    assert np.isnan(run(plain, x=np.float64(1.0)))
    linear = program_of(lambda b, x: b.emit("add", x, in_a_linear_map(b)), "x")
    assert run(linear, x=np.float64(1.0)) == 1.0


@pytest.mark.parametrize("exponent", range(-8, 9))
def test_small_integer_powers_are_multiplications(exponent):
    program = program_of(lambda b, x: b.emit("pow", x, b.constant(exponent, "float64")), "x")
    assert all(e.primitive in ("mul", "div") for e in program.equations)
    assert count(program) <= 5
    x = np.float64(1.7)
    np.testing.assert_allclose(run(program, x=x), x**exponent, rtol=1e-15)


def test_large_powers_stay_powers():
    program = program_of(lambda b, x: b.emit("pow", x, b.constant(9.5, "float64")), "x")
    assert [e.primitive for e in program.equations] == ["pow"]


def test_division_by_a_power_of_two_is_exact_multiplication():
    program = program_of(lambda b, x: b.emit("div", x, b.constant(8.0, "float64")), "x")
    assert [e.primitive for e in program.equations] == ["mul"]
    kept = program_of(lambda b, x: b.emit("div", x, b.constant(3.0, "float64")), "x")
    assert [e.primitive for e in kept.equations] == ["div"]
    # 1 / 5e-324 overflows: no exact reciprocal.
    tiny = program_of(lambda b, x: b.emit("div", x, b.constant(5e-324, "float64")), "x")
    assert [e.primitive for e in tiny.equations] == ["div"]


def test_a_program_survives_json_to_the_bit():
    program = program_of(
        lambda b, x: b.emit(
            "select",
            b.emit("lt", x, b.constant(math.nan, "float64")),
            b.emit("add", x, b.constant(0.1, "float64")),
            b.constant(-0.0, "float64"),
        ),
        "x",
    )
    again = load(program.to_json())
    assert again.equations == program.equations and again.outputs == program.outputs
    assert again.fingerprint == program.fingerprint
    assert [math.copysign(1, c.value) for c in again.constants if c.value == 0] == [-1.0]


@pytest.mark.parametrize(
    "broken, words", [('"sin"', "no primitive"), ('[["sin",[7],"float64"]]', "not yet defined")]
)
def test_broken_json_is_refused(broken, words):
    text = program_of(lambda b, x: b.emit("sin", x), "x").to_json()
    text = (
        text.replace('"sin"', '"sine"')
        if broken == '"sin"'
        else text.replace('[["sin",[0],"float64"]]', broken)
    )
    with pytest.raises(ValueError, match=words):
        load(text)


def test_a_program_prints_as_code():
    text = source(program_of(lambda b, x: b.emit("mul", b.emit("sin", x), x), "x"))
    assert text.splitlines() == ["v1 = sin(x)", "v2 = x * v1", "y = v2"]


def test_too_many_equations_are_refused():
    builder = Builder(max_equations=10)
    x = builder.input("x", 0, "float64")
    for _ in range(10):
        x = builder.emit("sin", x)
    with pytest.raises(NotAProgram, match="more than 10"):
        builder.emit("sin", x)


def test_a_huge_product_is_refused_before_it_is_unrolled():
    builder = Builder()
    a = zeros(builder, (1000, 1000), "float64")
    with pytest.raises(NotAProgram, match="1,000,000,000 multiplications"):
        matmul(builder, a, a)


def test_unrolled_arrays_agree_with_numpy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4))
    builder = Builder()
    variables = [builder.inputs("a", a.shape, "float64"), builder.inputs("b", b.shape, "float64")]
    results = {
        "dot": dot_general(builder, *variables, ((2,), (2,)), ((0,), (0,))),
        "sum": reduce(builder, "add", variables[0], (0, 2)),
        "max": reduce(builder, "max", variables[0], (1,)),
        "cumsum": cumulative(builder, "add", variables[0], 1),
        "suffix": cumulative(builder, "mul", variables[0], 2, reverse=True),
        "outer": elementwise(builder, "sub", variables[0][:, :, None], variables[1][:, None]),
    }
    expected = {
        "dot": np.einsum("bij,bkj->bik", a, b),
        "sum": a.sum((0, 2)),
        "max": a.max(1),
        "cumsum": a.cumsum(1),
        "suffix": a[..., ::-1].cumprod(2)[..., ::-1],
        "outer": a[:, :, None] - b[:, None],
    }
    outputs = [Output(n, v.shape, tuple(v.ravel().tolist())) for n, v in results.items()]
    program = builder.finish(outputs)
    leaves = {leaf.key: leaf for leaf in Sweep(a=((), a), b=((), b)).leaves}
    wanted = {v for output in program.outputs for v in output.variables}
    values = evaluate(program, leaves, (), list(program.numbered()), wanted)
    for output in program.outputs:
        found = np.array([values[v] for v in output.variables]).reshape(output.shape)
        np.testing.assert_allclose(found, expected[output.name], rtol=1e-14, atol=1e-15)


def test_each_equation_stands_in_the_stage_of_its_axes():
    # g(a) * h(b) with g, h of two equations each: only the product is computed on the grid.
    def write(b, x, y):
        g = b.emit("exp", b.emit("sin", x))
        h = b.emit("exp", b.emit("cos", y))
        return b.emit("mul", g, h)

    program = program_of(write, "a", "b")
    leaves = {leaf.key: leaf for leaf in Sweep(a=np.ones(3), b=np.ones(4)).leaves}
    stages = make_stages(program, analyse(program, leaves))
    assert {tuple(sorted(s.axes)): len(s.equations) for s in stages} == {
        ("a",): 2,
        ("b",): 2,
        ("a", "b"): 1,
    }
    assert stages[-1].axes == {"a", "b"}


def test_the_table_of_primitives_is_consistent():
    for name, row in PRIMITIVES.items():
        assert row.name == name
        operands = [np.array(0.5)] * row.n_inputs
        if name in ("and", "or", "xor", "not", "select"):
            operands[0] = np.array(True)
        result = row.numpy(*operands)
        if row.result not in ("same", "chosen"):
            assert result.dtype == row.result
        if row.commutes:
            np.testing.assert_array_equal(
                row.numpy(np.array(0.25), np.array(2.0)), row.numpy(np.array(2.0), np.array(0.25))
            )
