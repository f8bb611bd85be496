"""Loops of a Program: against closed forms, on every engine that runs Programs."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradsweep.engines.axes import analyse
from gradsweep.engines.fused import FusedEngine
from gradsweep.engines.fused.lowering import loops, schedule
from gradsweep.engines.fused.lowering.segments import cut
from gradsweep.engines.fused.runtime import frame
from gradsweep.engines.numpy import ReferenceEngine
from gradsweep.engines.stages import make_stages
from gradsweep.interpreters import evaluate
from gradsweep.program.builder import Builder
from gradsweep.program.loading import load
from gradsweep.program.program import LoopResult, Output
from gradsweep.program.rolled_loops import Step
from gradsweep.program.source import source
from tests.support.controls import must_fail
from tests.support.loops_of_programs import N, affine, rolled
from tests.support.programs import leaves_of, program_of, run

ENGINES = {"reference": ReferenceEngine(), "fused": FusedEngine(threads=1)}
A = np.array([0.5, 0.9, 1.02])
B = np.array([-1.0, 0.25, 2.0, 3.0])


def affine_closed_form(a, c, n):
    return a**n + c * (a**n - 1) / (a - 1)


@pytest.mark.parametrize("engine", ENGINES)
def test_loop_and_the_rows_it_leaves_agree_with_a_geometric_series(engine):
    program = program_of(affine, a="float64", c="float64")
    leaves = leaves_of(a=(("i",), A), c=(("j",), B))
    x, first, second, last = run(ENGINES[engine], program, leaves, {"i": 3, "j": 4})
    a, c = A[:, None], B
    np.testing.assert_allclose(x, affine_closed_form(a, c, N), rtol=1e-13)
    np.testing.assert_array_equal(np.broadcast_to(first, (3, 4)), np.ones((3, 4)))
    np.testing.assert_allclose(second, a + c, rtol=1e-15)
    np.testing.assert_allclose(last, affine_closed_form(a, c, N - 1), rtol=1e-13)


def polynomial(b, x, *coefficients):
    """By Horner's rule, with coefficients as a row; and backwards, with the row reversed."""

    def step(inner, carries, given, rows):
        return Step([inner.emit("add", inner.emit("mul", carries[0], given[0]), rows[0])], [])

    zero = b.constant(0.0, "float64")
    forth, back = (
        rolled(b, step, [zero], [x], [row], len(row))[0][0]
        for row in (list(coefficients), list(coefficients[::-1]))
    )
    return [forth, back]


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_are_read_step_by_step(engine):
    """Rows of constants, of numbers that are the same at all points, and of others."""
    k = np.arange(1.0, 8.0)
    constants = program_of(
        lambda b, x: polynomial(b, x, *(b.constant(v, "float64") for v in k)), x="float64"
    )
    names = {f"k{i}": "float64" for i in range(len(k))}
    read = program_of(polynomial, x="float64", **names)
    x = np.linspace(-1, 1, 23)
    same = {name: ((), v) for name, v in zip(names, k)}
    varying = {name: (("i",), np.full(23, v)) for name, v in zip(names, k)}
    for program, values in (constants, {}), (read, same), (read, varying):
        leaves = leaves_of(x=(("i",), x), **values)
        forth, back = run(ENGINES[engine], program, leaves, {"i": 23})
        np.testing.assert_allclose(forth, np.polyval(k, x), rtol=1e-14, atol=1e-14)
        np.testing.assert_allclose(back, np.polyval(k[::-1], x), rtol=1e-14, atol=1e-14)


def there_and_back(b, x):
    """Leave every power of x, and sum them from the last to the first, as reverse mode reads."""

    def forth(inner, carries, given, rows):
        return Step([inner.emit("mul", carries[0], given[0])], [carries[0]])

    def back(inner, carries, given, rows):
        weighted = inner.emit("mul", rows[0], rows[1])
        return Step([inner.emit("add", carries[0], weighted)], [])

    _, (powers,) = rolled(b, forth, [b.constant(1.0, "float64")], [x])
    weights = [b.constant(float(k), "float64") for k in range(N)]
    zero = b.constant(0.0, "float64")
    return rolled(b, back, [zero], [], [powers[::-1], weights[::-1]])[0]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("length", [1000, 20])
def test_rows_of_one_loop_are_read_by_another_also_from_another_segment(
    engine, length, monkeypatch
):
    monkeypatch.setattr(schedule, "cut", lambda e, d, rows: cut(e, d, rows, length))
    program = program_of(there_and_back, x="float64")
    x = np.linspace(0.1, 0.9, 11)
    (found,) = run(ENGINES[engine], program, leaves_of(x=(("i",), x)), {"i": 11})
    k = np.arange(N)
    np.testing.assert_allclose(found, (k * x[:, None] ** k).sum(1), rtol=1e-13)


def newton(b, a, x):
    """The square root of a from x, and the number of steps until x² is within 1e-9."""

    def step(inner, carries, given, rows):
        x, n = carries
        (a,) = given
        error = inner.emit("abs", inner.emit("sub", inner.emit("mul", x, x), a))
        going = inner.emit("gt", error, inner.constant(1e-9, "float64"))
        mean = inner.emit("add", x, inner.emit("div", a, x))
        half = inner.emit("mul", mean, inner.constant(0.5, "float64"))
        return Step([half, inner.emit("add", n, inner.constant(1, "int64"))], [], going)

    carries, _ = rolled(b, step, [x, b.constant(0, "int64")], [a], n_steps=None)
    return carries


def newton_by_hand(a, x):
    n = 0
    while abs(x * x - a) > 1e-9:
        x, n = (x + a / x) * 0.5, n + 1
    return x, n


@pytest.mark.parametrize("engine", ENGINES)
def test_each_point_goes_on_for_as_long_as_it_is_going(engine):
    program = program_of(newton, a="float64", x="float64")
    a, x = np.array([1.0, 2.0, 9.0, 1e4, 4.0, 1e-3, 7.0]), np.array([1.0, 0.1, 50.0])
    leaves = leaves_of(a=(("i",), a), x=(("j",), x))
    roots, steps = run(ENGINES[engine], program, leaves, {"i": 7, "j": 3})
    expected = [[newton_by_hand(u, v) for v in x.tolist()] for u in a.tolist()]
    assert steps.dtype == np.int64 and len(np.unique(steps)) > 5
    np.testing.assert_array_equal(steps, np.array(expected)[..., 1])
    np.testing.assert_allclose(roots, np.array(expected)[..., 0], rtol=1e-15)


def test_points_that_are_going_leave_the_others_alone():
    """A point has the same bits alone as among points with more steps, on one thread or seven."""
    program = program_of(newton, a="float64", x="float64")
    a = np.exp(np.random.default_rng(0).uniform(-9, 9, 3_001))
    together = run(FusedEngine(threads=7), program, both(a), {"i": len(a)})
    for i in (0, 1, 17, 1_500, 3_000):
        alone = run(FusedEngine(threads=1), program, both(a[i : i + 1]), {"i": 1})
        assert [r[i] for r in together] == [r[0] for r in alone]


def both(a):
    return leaves_of(a=(("i",), a), x=((), np.array(2.0)))


def test_small_blocks_and_threads_give_the_same_bits(monkeypatch):
    program = program_of(there_and_back, x="float64")
    leaves = leaves_of(x=(("i",), np.linspace(0.1, 0.9, 500)))
    whole = run(FusedEngine(threads=1), program, leaves, {"i": 500})
    monkeypatch.setattr(frame, "_WORK_FOR_THREADS", 1)
    monkeypatch.setattr(frame, "_BLOCK_WORK", (1, 1))
    for threads in (2, 7):
        parts = run(FusedEngine(threads=threads), program, leaves, {"i": 500})
        np.testing.assert_array_equal(parts, whole)


def sums_of_powers(b, x):
    """sum_i sum_(j < 5) x^j + i, by a loop within a loop; the inner one leaves its powers."""
    one, zero = b.constant(1.0, "float64"), b.constant(0.0, "float64")

    def power(inner, carries, given, rows):
        return Step([inner.emit("mul", carries[0], given[0])], [carries[0]])

    def add(inner, carries, given, rows):
        return Step([inner.emit("add", carries[0], rows[0])], [])

    def outer(inner, carries, given, rows):
        total, i = carries
        nudged = inner.emit("mul", given[0], inner.emit("add", rows[0], i))
        begin, none = inner.constant(1.0, "float64"), inner.constant(0.0, "float64")
        _, (powers,) = rolled(inner, power, [begin], [nudged], n_steps=5)
        (added,), _ = rolled(inner, add, [none], [], [powers], n_steps=5)
        following = inner.emit("add", i, inner.constant(0.5, "float64"))
        return Step([inner.emit("add", total, added), following], [])

    row = [one, b.constant(0.25, "float64"), x]
    (total, _), _ = rolled(b, outer, [zero, zero], [x], [row], n_steps=3)
    return [total]


@pytest.mark.parametrize("engine", ENGINES)
def test_loops_stand_within_loops(engine):
    program = program_of(sums_of_powers, x="float64")
    x = np.linspace(-0.9, 0.9, 13)
    (found,) = run(ENGINES[engine], program, leaves_of(x=(("i",), x)), {"i": 13})
    bases = [x * (row + i / 2) for i, row in enumerate([1.0, 0.25, x])]
    expected = sum(base**j for base in bases for j in range(5))
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_carries_of_every_dtype_keep_theirs(dtype):
    """A bool that flips at every step, a count, and a number that the bool selects."""

    def function(b, x):
        def step(inner, carries, given, rows):
            flag, n, total = carries
            chosen = inner.emit("select", flag, given[0], inner.emit("neg", given[0]))
            total = inner.emit("add", total, inner.emit("mul", chosen, inner.cast(n, dtype)))
            return Step(
                [inner.emit("not", flag), inner.emit("add", n, inner.constant(1, "int64")), total],
                [inner.emit("gt", total, inner.constant(0.0, dtype))],
            )

        begin = [b.constant(True, "bool"), b.constant(0, "int64"), b.constant(0.0, dtype)]
        (flag, n, total), (signs,) = rolled(b, step, begin, [x], n_steps=9)
        return [flag, n, total, signs[1], signs[8]]

    program = program_of(function, x=dtype)
    x = np.array([0.5, -2.0, 3.0], dtype)
    for engine in ENGINES.values():
        flag, n, total, *signs = run(engine, program, leaves_of(x=(("i",), x)), {"i": 3})
        assert flag.dtype == bool and not flag.any() and n == 9 and total.dtype == dtype
        np.testing.assert_array_equal(total, 4 * x)  # 0 - 1 + 2 - 3 ... + 8
        np.testing.assert_array_equal(signs, [-x > 0, 4 * x > 0])


# -- questions to a Program about its loops


def two_axes(b, a, c):
    """One carry depends on a alone; another reads it and depends on both."""

    def step(inner, carries, given, rows):
        x, y = carries
        x = inner.emit("mul", x, given[0])
        return Step([x, inner.emit("add", inner.emit("mul", y, given[1]), x)], [x])

    one = b.constant(1.0, "float64")
    (x, y), (path,) = rolled(b, step, [one, one], [a, c])
    return [x, y, path[3]]


@pytest.mark.parametrize("engine", ENGINES)
def test_result_of_a_loop_has_only_the_axes_it_depends_on(engine):
    program = program_of(two_axes, a="float64", c="float64")
    leaves = leaves_of(a=(("i",), A), c=(("j",), B / 4))
    axes = [analyse(program, leaves).of(output.variables) for output in program.outputs]
    assert axes == [{"i"}, {"i", "j"}, {"i"}]
    x, y, fourth = run(ENGINES[engine], program, leaves, {"i": 3, "j": 4})
    expected = np.ones((3, 4))
    for k in range(1, N + 1):
        expected = expected * (B / 4) + A[:, None] ** k
    np.testing.assert_allclose(x, A**N, rtol=1e-13)
    np.testing.assert_allclose(y, expected, rtol=1e-13)
    np.testing.assert_allclose(fourth, A**4, rtol=1e-15)


def test_stage_runs_no_more_of_a_loop_than_its_results_need():
    program = program_of(two_axes, a="float64", c="float64")
    leaves = leaves_of(a=(("i",), A), c=(("j",), B))
    stages = {frozenset(s.axes): s for s in make_stages(program, analyse(program, leaves))}
    (alone,) = {
        e.primitive.loop
        for _, e in stages[frozenset("i")].equations
        if isinstance(e.primitive, LoopResult)
    }
    assert alone.n_carries == 1 and len(alone.body.equations) == 1


def test_what_is_the_same_at_every_step_is_computed_once():
    def function(b, a, c):
        def step(inner, carries, given, rows):
            x, same, zero = carries
            slope = inner.emit("sin", inner.emit("mul", given[0], given[1]))
            y = inner.emit("add", inner.emit("mul", x, slope), same)
            return Step([inner.emit("add", y, zero), same, inner.emit("mul", zero, slope)], [])

        begin = [a, c, b.structural_zero("float64")]
        carries, _ = rolled(b, step, begin, [a, c])
        return carries

    program = program_of(function, a="float64", c="float64")
    (loop,) = program.loops
    assert [e.primitive for e in loop.body.equations] == ["mul", "add"]
    assert loop.n_carries == 1
    assert [e.primitive for e in program.equations[:2]] == ["mul", "sin"]
    assert program.constant(program.outputs[2].variables[0]).value == 0.0


@pytest.mark.parametrize("engine", ENGINES)
def test_carry_that_only_the_first_step_keeps_changes(engine):
    def function(b, x, y):
        def step(inner, carries, given, rows):
            n, kept = carries
            is_first = inner.emit("eq", n, inner.constant(0, "int64"))
            following = inner.emit("add", n, inner.constant(1, "int64"))
            return Step([following, inner.emit("select", is_first, kept, given[0])], [])

        return rolled(b, step, [b.constant(0, "int64"), x], [y])[0]

    program = program_of(function, x="float64", y="float64")
    leaves = leaves_of(x=(("i",), A), y=(("j",), B))
    n, last = run(ENGINES[engine], program, leaves, {"i": 3, "j": 4})
    assert n == N
    np.testing.assert_array_equal(np.broadcast_to(last, (3, 4)), np.broadcast_to(B, (3, 4)))


def test_program_with_loops_is_saved_and_read():
    for function in (affine, newton, two_axes):
        names = {"x": "float64"} if function is newton else {"c": "float64"}
        program = program_of(function, a="float64", **names)
        read = load(program.to_json())
        assert read.fingerprint == program.fingerprint
        leaves = leaves_of(a=(("i",), A), **{name: ((), np.array(1.5)) for name in names})
        for found, expected in zip(
            *(run(ENGINES["fused"], p, leaves, {"i": 3}) for p in (read, program))
        ):
            np.testing.assert_array_equal(found, expected)


def test_saved_loop_of_too_few_operands_is_refused():
    text = program_of(two_axes, a="float64", c="float64").to_json()
    program = load(text)
    (operands,) = program.loops.values()
    written = str(list(operands)).replace(" ", "")
    assert written in text
    with pytest.raises(ValueError, match="no result of its loop"):
        load(text.replace(written, str(list(operands[1:]))))


def test_program_with_a_loop_is_printed_with_the_loop_where_it_is_run():
    text = source(program_of(affine, a="float64", c="float64"))
    assert text.splitlines()[:8] == [
        "loop0: 57 times, where",
        "    carry[0] = 1.0",
        "    given[0] = a",
        "    given[1] = c",
        "    v3 = carry * given[0]",
        "    v4 = v3 + given[1]",
        "    carry = [v4]",
        "    row = [carry]",
    ]
    assert "x = " not in text and "loop0[0]" in text


def test_equal_loops_of_equal_operands_are_run_once():
    program = program_of(
        lambda b, a, c: affine(b, a, c) + affine(b, a, c), a="float64", c="float64"
    )
    assert len(program.loops) == 1


def test_transcription_runs_loops():
    operations = {"add": lambda x, y: x + y, "mul": lambda x, y: x * y}
    program = program_of(affine, a="float64", c="float64")
    found = evaluate(program, operations, [0.9, 2.0], lambda constant: constant.value)
    assert found[0][0] == pytest.approx(affine_closed_form(0.9, 2.0, N), rel=1e-13)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_random_loops_agree_on_every_engine(data):
    """Steps of random operations on carries, given numbers and rows, against the reference."""
    n_carries, n_given, n_rows = (data.draw(st.integers(1, 4)) for _ in range(3))
    n_steps = data.draw(st.integers(1, 12))
    n_left = data.draw(st.integers(0, 2))
    length = data.draw(st.integers(1, 12))
    operations = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(["add", "mul", "sub", "max", "sin", "select"]),
                *[st.integers(0, 99)] * 3,
            ),
            min_size=3,
            max_size=12,
        )
    )

    def step(inner, carries, given, rows):
        values = [*carries, *given, *rows]
        for name, i, j, k in operations:
            x, y, z = (values[n % len(values)] for n in (i, j, k))
            match name:
                case "sin":
                    values.append(inner.emit("sin", x))
                case "select":
                    values.append(inner.emit("select", inner.emit("lt", x, y), y, z))
                case _:
                    # Halved, so that products stay small.
                    halved = inner.emit("mul", x, inner.constant(0.5, "float64"))
                    values.append(inner.emit(name, halved, y))
        return Step(values[-n_carries:], values[:n_left])

    def function(b, x, y):
        seeds = [x, y, b.constant(0.0, "float64"), b.structural_zero("float64"), b.emit("sin", y)]
        pick = data.draw(st.lists(st.integers(0, 4), min_size=12, max_size=12), label="operands")
        chosen = [seeds[k] for k in pick]
        rows = [[chosen[(r + i) % 12] for i in range(n_steps)] for r in range(n_rows)]
        carries, left = rolled(b, step, chosen[:n_carries], chosen[4 : 4 + n_given], rows, n_steps)
        return [*carries, *(v for row in left for v in (row[0], row[-1]))]

    b = Builder()
    inputs = [b.input(name, 0, "float64") for name in ("x", "y")]
    variables = function(b, *inputs)
    program = b.finish([Output(f"y{i}", (), (v,)) for i, v in enumerate(variables)])
    rng = np.random.default_rng(length)
    leaves = leaves_of(x=(("i",), rng.uniform(-1, 1, length)), y=(("j",), rng.uniform(-1, 1, 3)))
    axes = {"i": length, "j": 3}
    for found, expected in zip(*(run(e, program, leaves, axes) for e in ENGINES.values())):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


def test_control_a_loop_that_is_run_once_too_few_is_noticed(monkeypatch):
    write = loops._BodyWriter._end
    monkeypatch.setattr(loops._BodyWriter, "_end", lambda self, n: write(self, n and n - 1))
    must_fail(test_loop_and_the_rows_it_leaves_agree_with_a_geometric_series, "fused")
