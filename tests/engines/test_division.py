"""Quotients without the divider have the bits of IEEE division, for all numbers."""

from dataclasses import replace

import numpy as np
import pytest

from gradsweep.engines.fused import FusedEngine, target
from gradsweep.engines.fused.lowering import codegen, watched
from gradsweep.engines.fused.lowering.arithmetic import division
from gradsweep.engines.fused.lowering.codegen import write_module
from gradsweep.engines.fused.lowering.schedule import make_schedule
from gradsweep.engines.fused.runtime.kernel import COMPILED
from gradsweep.engines.fused.target import Isa, host
from tests.support.controls import must_fail
from tests.support.programs import leaves_of, make_job, program_of, run
from tests.support.quotients import (
    Quotients,
    approximations,
    by_constant,
    by_newton,
    by_reciprocal,
    pairs,
    same_bits,
)

N_PAIRS = 400_000


def assert_divides(quotients, x, d, y=None):
    with np.errstate(all="ignore"):
        expected = x / d
    found = quotients(x, d, y)
    wrong = ~same_bits(found, expected)
    assert not wrong.any(), list(zip(x[wrong], d[wrong], found[wrong], expected[wrong]))[:3]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_quotient_by_a_reciprocal_has_the_bits_of_a_division(dtype):
    assert_divides(
        Quotients(by_reciprocal, dtype), *pairs(np.random.default_rng(0), dtype, N_PAIRS)
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("constant", [3.0, -1.4142135623730951, 0.1, 1e9, 1 - 2.0**-24])
def test_a_quotient_by_a_constant_has_the_bits_of_a_division(dtype, constant):
    x, _ = pairs(np.random.default_rng(1), dtype, N_PAIRS // 4)
    d = np.full_like(x, constant)
    assert_divides(Quotients(by_constant(float(d[0])), dtype), x, d)


def test_a_quotient_by_newtons_steps_has_the_bits_of_a_division():
    """Whatever the error of the first approximation is, up to what the processor's may have."""
    rng = np.random.default_rng(2)
    x, d = pairs(rng, "float64", N_PAIRS)
    assert_divides(Quotients(by_newton, "float64"), x, d, approximations(rng, d))


def test_control_a_worse_approximation_is_noticed():
    rng = np.random.default_rng(2)
    x, d = pairs(rng, "float64", N_PAIRS)
    with np.errstate(over="ignore"):
        rough = approximations(rng, d) * (1 + 2.0**-5)
    must_fail(assert_divides, Quotients(by_newton, "float64"), x, d, rough)


@pytest.mark.parametrize("write", [by_reciprocal, by_newton])
def test_control_without_the_test_of_exponents_extreme_numbers_are_wrong(monkeypatch, write):
    def never(body, vectors, result, value, window):
        body.lines.append(f"{result} = and {vectors.truths} zeroinitializer, zeroinitializer")
        return result

    monkeypatch.setattr(division, "_outside", never)
    rng = np.random.default_rng(3)
    x, d = pairs(rng, "float64", N_PAIRS)
    must_fail(assert_divides, Quotients(write, "float64"), x, d, approximations(rng, d))


@pytest.mark.parametrize("constant", [0.0, 1e-300, 1e300, np.inf, np.nan])
def test_an_extreme_constant_has_no_reciprocal(constant):
    assert division.find_reciprocal(constant, "float64") is None


# -- in kernels

SLOW = replace(host(), divides_slowly=True)


def quotients(b, x, k, y):
    """Divisors that vary with each axis, with both, and with none; some divide often."""
    half, both = b.constant(0.7, "float64"), b.emit("mul", x, y)
    first = [b.emit("div", x, divisor) for divisor in (k, y, half, both)]
    again = [b.emit("div", b.emit("add", q, y), k) for q in first]
    sums = [b.emit("add", b.emit("mul", q, y), r) for q, r in zip(first, again)]
    return [*again, *sums, b.emit("div", both, b.emit("add", k, y)), b.emit("div", first[0], k)]


PROGRAM = program_of(quotients, x="float64", k="float64", y="float64")


def assert_has_the_usual_bits(program, leaves, axes):
    engines = [FusedEngine(threads=1, isa=isa) for isa in (None, SLOW)]
    for usual, slow in zip(*(run(engine, program, leaves, axes) for engine in engines)):
        assert same_bits(slow, usual).all()


@pytest.mark.skipif(not host().has_fma, reason="the processor rounds twice")
@pytest.mark.parametrize("lengths", [(3, 500), (500, 3), (1, 9), (40, 41)])
def test_a_kernel_of_a_slow_divider_has_the_bits_of_the_usual_one(lengths):
    rng = np.random.default_rng(4)
    x, y = (rng.normal(size=n) * 10.0 ** rng.integers(-200, 200, n) for n in lengths)
    x[::3], y[-1] = 0.0, np.inf
    for k in (0.3, -0.3, 1e-160, 0.0, np.nan):
        leaves = leaves_of(x=(("x",), x), k=((), np.array(k)), y=(("y",), y))
        assert_has_the_usual_bits(PROGRAM, leaves, dict(zip("xy", lengths)))


WATCHED = {
    dtype: program_of(
        lambda b, x, k, dtype=dtype: [
            b.emit("div", x, k),
            b.emit("div", b.emit("div", x, b.constant(3.0, dtype)), k),
            b.emit("div", x, b.constant(-0.7, dtype)),
            *(b.emit(name, x) for name in ("log", "erfc", "lgamma", "cbrt")),
        ],
        x=dtype,
        k=dtype,
    )
    for dtype in ("float64", "float32")
}


@pytest.mark.skipif(not host().has_flags, reason="it takes the processor's flags")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_watched_loop_has_the_bits_of_division_whatever_number_comes_when(dtype):
    """One odd number among usual ones, then all kinds: only the first flag ends the fast loop.

    Functions are called from both loops, which differ in their vectors.
    """
    rng = np.random.default_rng(5)
    every, _ = pairs(rng, dtype, 4_000)
    odd = [0.0, -0.0, np.inf, np.nan, *np.finfo(dtype).tiny * np.array([0.3, 1.0, 3e4, 1e17])]
    odd += [np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal]
    for k in (0.2, 3.0, 1e-9, 1e30):
        for number, value in enumerate(odd):
            x = rng.uniform(1, 2, 400).astype(dtype)
            x[number * 40] = value
            for swept in (x, np.concatenate([x, every])):
                leaves = leaves_of(x=(("i",), swept), k=((), np.array(k, dtype)))
                assert_has_the_usual_bits(WATCHED[dtype], leaves, {"i": len(swept)})


@pytest.mark.skipif(not host().has_flags, reason="it takes the processor's flags")
def test_control_a_loop_whose_flags_are_not_read_is_wrong_at_odd_numbers(monkeypatch):
    monkeypatch.setattr(
        codegen, "WATCHED_LOOP", watched.WATCHED_LOOP.replace("%raised, 27", "%raised, 0")
    )
    COMPILED.clear()
    try:
        must_fail(
            test_a_watched_loop_has_the_bits_of_division_whatever_number_comes_when, "float64"
        )
    finally:
        COMPILED.clear()


AVX512 = Isa("avx512dq", "e", 64, scales=True, divides_slowly=True, has_flags=True)


def assembly(program, leaves, axes, isa=AVX512):
    job = make_job(program, leaves, axes)
    module = write_module(make_schedule(job, axes), 8, isa)
    llvm = target._binding()
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple("x86_64-unknown-linux-gnu").create_target_machine(
        cpu="skylake-avx512", opt=2
    )
    return machine.emit_assembly(llvm.parse_assembly(module.ir))


def hot(text):
    """Return the instructions of the loop that every vector runs through."""
    lines = text[text.index("\nnest0:") + 1 :].splitlines()
    labels = {line.removesuffix(":"): i for i, line in enumerate(lines) if line.endswith(":")}
    jumps = [(labels.get(line.split("\t")[-1], len(lines)), i) for i, line in enumerate(lines)]
    first = min(target for target, source in jumps if target < source)
    last = max(source for target, source in jumps if target == first)
    return "\n".join(lines[first:last])


def test_avx512_code_divides_by_reciprocals_and_approximations():
    """One lone quotient is left to the divider, which would wait otherwise."""
    names = [f"x{i}" for i in range(4)]
    program = program_of(
        lambda b, k, *x: [
            b.emit("div", x[0], k),
            b.emit("div", x[1], b.constant(3.0, "float64")),
            *(b.emit("div", k, v) for v in x),
        ],
        **dict.fromkeys(["k", *names], "float64"),
    )
    x = np.ones(40)
    leaves = leaves_of(k=((), np.array(2.0)), **dict.fromkeys(names, (("i",), x)))
    text = hot(assembly(program, leaves, ("i",)))
    assert text.count("vdivpd") == 1
    assert text.count("vrcp14pd") == 3
    plain = hot(assembly(program, leaves, ("i",), replace(AVX512, divides_slowly=False)))
    assert plain.count("vdivpd") == 6 and "vrcp14pd" not in plain
