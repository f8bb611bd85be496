"""Calls that the fused engine skips, large Programs, and calls of a compiled kernel."""

import os
import re
import signal
import threading
import time

import numpy as np
import pytest

from gradsweep.engines.fused import FusedEngine, target
from gradsweep.engines.fused.lowering import codegen, schedule
from gradsweep.engines.fused.lowering.demand import find_demands
from gradsweep.engines.fused.lowering.segments import cut
from gradsweep.engines.fused.runtime import frame, kernel
from gradsweep.engines.fused.runtime.kernel import COMPILED
from gradsweep.engines.fused.runtime.pool import available_threads
from gradsweep.engines.fused.target import compile_ir, host
from gradsweep.errors import ArgumentError
from gradsweep.program.builder import Builder
from gradsweep.program.loading import load
from gradsweep.program.program import Output
from tests.support.controls import must_fail
from tests.support.fused_engine import FUSED, REFERENCE, WAVE, assert_agrees, grid
from tests.support.programs import empty_results, leaves_of, make_job, program_of, run

# -- calls that are skipped


def test_a_call_that_only_one_side_of_a_select_needs_is_demanded_there_alone():
    def two_sided(b, x):
        positive = b.emit("gt", x, b.constant(0.0, "float64"))
        inner = b.emit("lt", x, b.constant(-1.0, "float64"))
        left = b.emit("select", inner, b.emit("exp", x), b.emit("sin", x))
        both = b.emit("cos", x)
        return [b.emit("select", positive, b.emit("log", b.emit("mul", x, both)), left), both]

    program = program_of(two_sided, x="float64")
    equations = dict(program.numbered())
    number = {e.primitive: v for v, e in equations.items()}
    demands = find_demands(equations, {v for o in program.outputs for v in o.variables}, ())
    assert demands[number["cos"]] == frozenset()
    assert demands[number["log"]] == {(number["gt"], True)}
    assert demands[number["exp"]] == {(number["gt"], False), (number["lt"], True)}
    assert demands[number["sin"]] == {(number["gt"], False), (number["lt"], False)}
    x = np.concatenate([np.linspace(-3, 3, 50), np.linspace(0.1, 2, 50), [np.nan, 0.0]])
    assert_agrees(program, leaves_of(x=(("i",), x)), {"i": len(x)})


def test_a_condition_computed_after_the_call_that_it_guards_is_moved_before_it():
    def late(b, x):
        value = b.emit("lgamma", x)
        condition = b.emit("gt", b.emit("cos", b.emit("mul", x, x)), b.constant(0.0, "float64"))
        return [b.emit("select", condition, value, x)]

    program = program_of(late, x="float64")
    assert program.equations[0].primitive == "lgamma"
    assert_agrees(program, leaves_of(x=(("i",), np.linspace(0.1, 9, 41))), {"i": 41})


# -- large Programs


def chain(length):
    """Return a long Program in which many values live long."""
    rng = np.random.default_rng(4)
    b = Builder()
    variables = [b.input("x", 0, "float64"), b.input("y", 0, "float64")]
    for i in range(length):
        recent = variables[-40:] if i % 11 else variables
        u, v = (recent[k] for k in rng.integers(0, len(recent), 2))
        name = "sin" if i % 50 == 0 else ["add", "sub", "mul"][i % 3]
        operands = (u,) if name == "sin" else (b.emit("sin", u) if i % 70 == 0 else u, v)
        variables.append(b.emit(name, *operands))
        if i % 6 == 0:
            bounded = b.emit("max", variables[-1], b.constant(-2.0, "float64"))
            variables.append(b.emit("min", bounded, b.constant(2.0, "float64")))
    return b.finish([Output("y", (5,), tuple(variables[-5:])), Output("z", (), (variables[9],))])


def test_segments_hand_on_what_later_ones_read():
    equations = dict(chain(300).numbered())
    segments, n_places = cut(equations, {}, length=20)
    assert {v for s in segments for v in s.equations} == set(equations)
    held: dict[int, int] = {}
    for segment in segments:
        for variable, place in segment.restored.items():
            assert held[place] == variable
        outside = {o for e in segment.equations.values() for o in e.operands} - set(
            segment.equations
        )
        assert outside & set(equations) <= set(segment.restored)
        for variable, place in segment.kept.items():
            held[place] = variable
    assert n_places == 1 + max(p for s in segments for p in s.kept.values())


def test_a_program_in_segments_agrees_with_the_reference(monkeypatch):
    monkeypatch.setattr(schedule, "cut", lambda e, d, rows: cut(e, d, rows, length=30))
    program = chain(400)
    rng = np.random.default_rng(6)
    leaves = leaves_of(x=(("i",), rng.normal(size=37)), y=(("j",), rng.normal(size=3)))
    assert_agrees(program, leaves, {"i": 37, "j": 3}, rtol=1e-7)


def function_lengths(program):
    job = make_job(program, leaves_of(x=(("i",), np.ones(9)), y=((), np.array(0.5))), ("i",))
    ir = codegen.write_module(schedule.make_schedule(job, ("i",)), host().lanes, host()).ir
    return [body.count("\n") for body in re.findall(r"^define .*?^}", ir, flags=re.M | re.S)]


def test_a_longer_program_has_more_functions_and_no_longer_ones():
    # LLVM takes time in proportion to their number, and more than so to the length of one.
    short, long = (function_lengths(chain(n)) for n in (3_000, 12_000))
    assert max(long) < 1.5 * max(short)
    assert len(long) < 5 * len(short) and sum(long) < 5 * sum(short)


def test_control_a_program_that_is_not_cut_has_longer_functions(monkeypatch):
    monkeypatch.setattr(schedule, "cut", lambda e, d, rows: cut(e, d, rows, length=10**9))
    must_fail(test_a_longer_program_has_more_functions_and_no_longer_ones)


def spills(ir):
    """Return the moves between vector registers and the stack, as LLVM writes them."""
    llvm = target._binding()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2
    )
    assembly = machine.emit_assembly(llvm.parse_assembly(ir))
    return re.findall(r"\b(vmov\w+)\s+%[yz]mm\d+, \d*\(%rsp\)", assembly)


@pytest.mark.skipif(host().vector_bytes < 32, reason="its vectors are no longer than its stack's")
def test_vectors_that_are_spilled_are_aligned(monkeypatch):
    def live_across_a_call(b, x, y):
        kept = [b.emit("mul", x, y), b.emit("sub", x, y), b.emit("div", x, y)]
        called = b.emit("erf", x)
        return [b.emit("add", called, value) for value in kept]

    written = []
    monkeypatch.setattr(
        kernel, "compile_ir", lambda ir, symbols: written.append(ir) or compile_ir(ir, symbols)
    )
    leaves = leaves_of(x=(("i",), np.arange(9.0)), y=(("i",), np.arange(1.0, 10.0)))
    run(FUSED, program_of(live_across_a_call, x="float64", y="float64"), leaves, {"i": 9})
    (ir,) = written
    assert spills(ir)
    assert all(move.startswith("vmova") for move in spills(ir))
    assert any(move.startswith("vmovu") for move in spills(ir.replace('"stackrealign"', "")))


# -- calls


def test_equal_programs_are_compiled_once():
    leaves, axes = grid(3, 4, 5)
    run(FUSED, WAVE, leaves, axes)
    before = COMPILED.n_made
    run(FUSED, load(WAVE.to_json()), *grid(3, 4, 77))
    assert COMPILED.n_made == before


def test_a_bound_kernel_computes_anew_from_what_its_arrays_now_hold():
    leaves, axes = grid(3, 4, 9)
    job = make_job(WAVE, leaves, tuple(axes))
    arrays = empty_results(job, axes)
    bound = FUSED.prepare(job).bind(leaves, arrays)
    for shift in (0.0, 1.0, -2.0):
        leaves["z"].values[:] = np.linspace(0, 1, 9) + shift
        bound()
        for found, expected in zip(arrays, run(REFERENCE, WAVE, leaves, axes)):
            np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-14)


def test_one_kernel_may_be_called_from_many_threads(tiny_blocks):
    leaves, axes = grid(30, 31, 8)
    job = make_job(WAVE, leaves, tuple(axes))
    kernel = FusedEngine(threads=2).prepare(job)
    expected = run(REFERENCE, WAVE, leaves, axes)
    results = [empty_results(job, axes) for _ in range(8)]

    def call(arrays):
        for _ in range(5):
            kernel(leaves, arrays)

    threads = [threading.Thread(target=call, args=(arrays,)) for arrays in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for arrays in results:
        for found, want in zip(arrays, expected):
            np.testing.assert_allclose(found, want, rtol=1e-13)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="POSIX timers")
@pytest.mark.parametrize("threads", [1, 3])
def test_ctrl_c_stops_a_long_sweep(threads, monkeypatch, tiny_blocks):
    monkeypatch.setattr(frame, "_WORK_UNINTERRUPTED", 2**16)
    n = 3_000_000
    program = program_of(lambda b, x: [b.emit("lgamma", b.emit("digamma", x))], x="float64")
    leaves = leaves_of(x=(("i",), np.linspace(1, 9, n)))
    engine = FusedEngine(threads=threads)
    run(engine, program, leaves_of(x=(("i",), np.ones(9))), {"i": 9})

    def interrupt(*_):
        raise KeyboardInterrupt

    def run_long():
        for _ in range(200):
            run(engine, program, leaves, {"i": n})

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.03)
        with pytest.raises(KeyboardInterrupt):
            run_long()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert_agrees(WAVE, *grid(40, 41, 3), engine=engine)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
def test_a_forked_child_has_threads_of_its_own(tiny_blocks):
    leaves, axes = grid(40, 41, 3)
    engine = FusedEngine(threads=3)
    expected = run(engine, WAVE, leaves, axes)
    child = os.fork()
    if child == 0:
        found = run(engine, WAVE, leaves, axes)
        os._exit(0 if all(np.array_equal(a, b) for a, b in zip(found, expected)) else 1)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    raise AssertionError("the child waits for threads that it does not have")


def test_the_environment_says_how_many_threads(monkeypatch):
    monkeypatch.setenv("GRADSWEEP_NUM_THREADS", "5")
    assert available_threads() == 5
    monkeypatch.setenv("GRADSWEEP_NUM_THREADS", "many")
    with pytest.raises(ArgumentError, match="GRADSWEEP_NUM_THREADS is 'many'"):
        available_threads()
    monkeypatch.delenv("GRADSWEEP_NUM_THREADS")
    assert 1 <= available_threads() <= (os.cpu_count() or 1)


def test_a_primitive_without_machine_code_is_refused_by_name():
    program = program_of(lambda b, n: [b.emit("exp", n)], n="int64")
    job = make_job(program, leaves_of(n=(("i",), np.arange(3))), ("i",))
    assert FUSED.refuses(job) == "it has no machine code for exp of int64"


def test_scratch_is_what_passes_between_stages():
    leaves, axes = grid(3, 4, 5)
    job = make_job(WAVE, leaves, tuple(axes))
    small, large = (FUSED.scratch_bytes(job, {**axes, "x": n}) for n in (10, 10_000))
    assert 0 < small < large < 10_000 * 8 * 100
