"""The fused engine: machine code against the reference engine, on Programs written by hand."""

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradsweep.engines.fused import FusedEngine
from gradsweep.engines.fused.lowering import codegen, schedule
from gradsweep.engines.fused.runtime import frame, kernel
from gradsweep.engines.fused.target import Isa, host
from gradsweep.program.builder import Builder
from gradsweep.program.program import Output
from gradsweep.request.leaf import Leaf
from tests.support.controls import must_fail
from tests.support.fused_engine import FUSED, REFERENCE, WAVE, assert_agrees, grid
from tests.support.programs import empty_results, leaves_of, make_job, program_of, run


@pytest.mark.parametrize(
    "lengths",
    [
        (1, 1, 1), (2, 3, 4), (1, 1, 9), (9, 1, 1), (3, 500, 2), (700, 2, 3), (5, 6, 70),
        (17, 16, 15), (0, 3, 4), (3, 4, 0), (100, 1, 100),
    ],
)  # fmt: skip
def test_a_grid_agrees_with_the_reference(lengths):
    assert_agrees(WAVE, *grid(*lengths))


@pytest.mark.parametrize("isa", [Isa("avx512dq", "e", 64), Isa("avx2", "d", 32), Isa("", "b", 16)])
def test_every_vector_width_agrees_with_the_reference(isa):
    if host().vector_bytes < isa.vector_bytes:
        pytest.skip("not on this processor")
    assert_agrees(WAVE, *grid(3, 41, 5), engine=FusedEngine(threads=1, isa=isa))


def test_without_a_vector_libm_scalar_functions_give_the_same():
    assert_agrees(WAVE, *grid(3, 41, 5), engine=FusedEngine(threads=1, isa=Isa("", "", 16)))


def test_a_costly_factor_is_computed_once_per_value_of_its_own_axis():
    """g(a) * h(b): on the grid only one product is computed."""
    program = program_of(
        lambda b, x, y: [b.emit("mul", b.emit("exp", x), b.emit("lgamma", y))],
        x="float64",
        y="float64",
    )
    leaves, axes = grid(4, 5, 1)
    del leaves["z"], axes["z"]
    nests = schedule.make_schedule(make_job(program, leaves, tuple(axes)), tuple(axes)).nests
    found = {nest.axes: [e.primitive for e in nest.equations.values()] for nest in nests}
    assert found == {("x",): ["exp"], ("y",): ["lgamma"], ("x", "y"): ["mul"]}


def test_one_operation_on_what_is_at_hand_is_computed_again_and_not_kept():
    program = program_of(
        lambda b, x, y: [
            b.emit("mul", b.emit("add", x, b.constant(1.0, "float64")), b.emit("sin", y)),
            b.emit("mul", x, y),
        ],
        x="float64",
        y="float64",
    )
    leaves, axes = grid(4, 5, 1)
    del leaves["z"], axes["z"]
    made = schedule.make_schedule(make_job(program, leaves, ("x", "y")), ("x", "y"))
    kept = [made.program.equations[s.variable - 3] for s in made.slots if s.kind == "buffer"]
    assert [equation.primitive for equation in kept] == ["sin"]
    assert_agrees(program, leaves, axes)


def test_entries_of_one_output_may_vary_with_fewer_axes_than_the_output():
    b = Builder()
    x, y = b.input("x", 0, "float64"), b.input("y", 0, "float64")
    entries = (x, b.constant(3.0, "float64"), b.emit("mul", x, y), y, y, b.emit("exp", y))
    program = b.finish([Output("J", (2, 3), entries), Output("c", (), (b.constant(7, "int64"),))])
    leaves, _ = grid(4, 11, 1)
    assert_agrees(program, leaves, {"x": 4, "y": 11})


def test_arrays_of_any_strides_are_read_and_written():
    rng = np.random.default_rng(0)
    b = Builder()
    q = b.inputs("q", (2, 3), "float64")
    s = b.input("s", 0, "float64")
    total = b.emit("mul", s, b.emit("sin", int(q[1, 2])))
    program = b.finish(
        [
            Output("a", (2,), (total, b.emit("add", total, int(q[0, 1])))),
            Output("b", (), (b.emit("exp", int(q[0, 0])),)),
        ]
    )
    big = rng.normal(size=(3, 80, 4, 2))
    leaves = leaves_of(
        q=(("i",), big.transpose(1, 3, 0, 2)[::-2, :, :, 0]),
        s=(("j", "i"), rng.normal(size=(40, 7)).T),
    )
    axes = {"i": 40, "j": 7}
    job = make_job(program, leaves, tuple(axes))
    kernel = FUSED.prepare(job)
    shapes = [(40, 7, 2), (40,)]
    assert [a.shape for a in empty_results(job, axes)] == shapes
    expected = run(REFERENCE, program, leaves, axes)
    for stretch in (1, 3, -2):
        whole = [np.zeros([abs(stretch) * n for n in shape]) for shape in shapes]
        arrays = [w[tuple(slice(None, None, stretch) for _ in w.shape)] for w in whole]
        kernel(leaves, arrays)
        for array, want in zip(arrays, expected):
            np.testing.assert_allclose(array, want, rtol=1e-13, atol=1e-14)
        for w, array in zip(whole, arrays):
            assert np.count_nonzero(w) == np.count_nonzero(array)


def test_leaves_and_arrays_of_other_dtypes_are_converted():
    leaves, axes = grid(5, 6, 7)
    single = {key: leaf.astype("float32") for key, leaf in leaves.items()}
    exact = {key: leaf.astype("float64") for key, leaf in single.items()}
    job = make_job(WAVE, single, tuple(axes))
    arrays = [a.astype("float32") for a in empty_results(job, axes)]
    FUSED.prepare(job)(single, arrays)
    for found, expected in zip(arrays, run(REFERENCE, WAVE, exact, axes)):
        assert found.dtype == "float32"
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_components_are_read_where_they_are():
    b = Builder()
    x = [b.input("x", i, "float64") for i in range(3)]
    program = b.finish([Output("y", (), (b.emit("mul", b.emit("exp", x[0]), x[1]),))])
    program = replace(program, outputs=(*program.outputs, Output("z", (), (0,))))
    u, w = np.linspace(0, 1, 4), np.linspace(1, 2, 33)
    leaf = Leaf("x", ("u", "w"), (3,), None, ((("u",), u), (("w",), w), ((), np.array(1.5))))
    y, z = run(FUSED, program, {"x": leaf}, {"u": 4, "w": 33})
    np.testing.assert_allclose(y, np.exp(u)[:, None] * w, rtol=1e-15)
    np.testing.assert_array_equal(z, u)


# -- random Programs


ONE = ["neg", "abs", "sign", "sin", "exp", "tanh", "atan", "floor", "erf", "cbrt"]
TWO = ["add", "sub", "mul", "max", "min", "atan2", "hypot", "copysign"]
COMPARE = ["lt", "le", "gt", "ge", "eq", "ne"]
AXES = {"i": 5, "j": 1, "k": 23}


@st.composite
def random_programs(draw, dtype):
    """Return a Program and its leaves, each along a few of the axes."""
    b = Builder()
    leaves = {}
    pool, truths = [], []
    for name in "abcd":
        dims = tuple(draw(st.lists(st.sampled_from(list(AXES)), max_size=3, unique=True)))
        rng = np.random.default_rng(draw(st.integers(0, 99)))
        kind = draw(st.sampled_from([dtype, dtype, "bool", "int64"]))
        values = rng.normal(size=[AXES[d] for d in dims]) * 3
        values = values > 0 if kind == "bool" else values.astype(kind)
        leaves |= leaves_of(**{name: (dims, values)})
        variable = b.input(name, 0, kind)
        (truths if kind == "bool" else pool).append(variable)
    pool = [b.cast(v, dtype) for v in pool] + [b.constant(0.75, dtype)]
    for _ in range(draw(st.integers(1, 25))):
        x, y = (draw(st.sampled_from(pool)) for _ in range(2))
        match draw(st.integers(0, 3)):
            case 0:
                pool.append(b.emit(draw(st.sampled_from(ONE)), x))
            case 1:
                pool.append(b.emit(draw(st.sampled_from(TWO)), x, y))
            case 2:
                truths.append(b.emit(draw(st.sampled_from(COMPARE)), x, y))
            case 3 if truths:
                pool.append(b.emit("select", draw(st.sampled_from(truths)), x, y))
    kept = [draw(st.sampled_from(pool)) for _ in range(4)] + truths[-1:]
    outputs = [Output(f"y{i}", (), (v,)) for i, v in enumerate(kept)]
    outputs.append(Output("J", (2, 2), tuple(kept[:4])))
    return b.finish(outputs), leaves


# Rounding differs: a fused multiply-add rounds once. So a function that jumps may jump elsewhere.
SETTINGS = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.slow
@pytest.mark.parametrize("dtype, rtol", [("float64", 1e-9), ("float32", 2e-3)])
def test_random_programs_agree_with_the_reference(dtype, rtol):
    @SETTINGS
    @given(random_programs(dtype))
    def check(drawn):
        program, leaves = drawn
        found, expected = (run(engine, program, leaves, AXES) for engine in (FUSED, REFERENCE))
        for got, want in zip(found, expected):
            assert got.shape == want.shape
            same = np.isclose(got, want, rtol=rtol, atol=rtol, equal_nan=True)
            # A few may differ, where a comparison of nearly equal numbers went the other way.
            assert np.count_nonzero(~same) <= 0.05 * same.size, (program, got, want)

    check()


# -- the same bits


@pytest.mark.parametrize("lengths", [(3, 1001, 2), (500, 7, 3), (40, 41, 42), (9000, 1, 1)])
def test_the_number_of_threads_changes_no_bit(lengths, tiny_blocks):
    leaves, axes = grid(*lengths)
    one, two, seven = (run(FusedEngine(threads=n), WAVE, leaves, axes) for n in (1, 2, 7))
    for a, b, c in zip(one, two, seven):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    assert_agrees(WAVE, leaves, axes, FusedEngine(threads=7))


@pytest.mark.slow
@pytest.mark.parametrize("n_threads", [2, 7])
def test_threads_that_come_early_late_or_never_do_the_work_once(n_threads, tiny_blocks):
    """By the pauses, they look for work, sleep, or are called back before they begin."""
    leaves, axes = grid(4, 5, 6)
    job = make_job(WAVE, leaves, tuple(axes))
    kernel, expected = (
        FusedEngine(threads=n_threads).prepare(job),
        run(REFERENCE, WAVE, leaves, axes),
    )
    for pause in [0.0, 0.0, 0.0, 0.001] * 250:
        arrays = empty_results(job, axes)
        kernel(leaves, arrays)
        for found, want in zip(arrays, expected):
            np.testing.assert_allclose(found, want, rtol=1e-13)
        if pause:
            time.sleep(pause)


def test_control_a_block_that_nobody_takes_is_noticed(monkeypatch, tiny_blocks):
    one_block = SimpleNamespace(run=lambda share, n_threads: share.stop())
    monkeypatch.setattr(kernel, "TEAM", one_block)
    must_fail(test_the_number_of_threads_changes_no_bit, (40, 41, 42), tiny_blocks)


def test_small_and_large_blocks_give_the_same_bits(monkeypatch):
    leaves, axes = grid(40, 41, 42)
    large = run(FUSED, WAVE, leaves, axes)
    monkeypatch.setattr(frame, "_BLOCK_WORK", (1, 1))
    monkeypatch.setattr(frame, "_BLOCK_MULTIPLE", 1)
    for a, b in zip(large, run(FUSED, WAVE, leaves, axes)):
        np.testing.assert_array_equal(a, b)


def test_two_vectors_side_by_side_give_the_bits_of_one(monkeypatch):
    leaves, axes = grid(13, 7, 21)
    wide, lanes = run(FUSED, WAVE, leaves, axes), codegen.find_lanes(WAVE, host())
    monkeypatch.setattr(codegen, "_SHORT_PROGRAM", 0)
    assert codegen.find_lanes(WAVE, host()) == lanes // 2
    for a, b in zip(wide, run(FUSED, WAVE, leaves, axes)):
        np.testing.assert_array_equal(a, b)


def test_a_point_has_the_same_bits_in_any_chunk():
    """Also where one axis of the chunk is so long, or so short, that the loops change places."""
    leaves, axes = grid(200, 30, 3)
    job = make_job(WAVE, leaves, tuple(axes))
    kernel, whole, parts = FUSED.prepare(job), empty_results(job, axes), empty_results(job, axes)
    kernel(leaves, whole)
    for x in (slice(0, 1), slice(1, 150), slice(150, 200)):
        for y in (slice(0, 2), slice(2, 29), slice(29, 30)):
            chunk = {"x": x, "y": y, "z": slice(None)}
            windows = [
                array[tuple(chunk[d] for d in dims)] if dims else array
                for array, dims in zip(parts, job.dims)
            ]
            kernel({key: leaf.take(chunk) for key, leaf in leaves.items()}, windows)
    for a, b in zip(whole, parts):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("axes", [{"x": 200}, {"x": 200, "y": 1}])
def test_difference_of_equal_products_is_zero(axes):
    """Also where one of them is computed once for all points: sqrt(E² - m²) at rest."""
    program = program_of(
        lambda b, x, y: [
            b.emit("sqrt", b.emit("sub", b.emit("mul", x, x), b.emit("mul", y, y))),
            b.emit("add", b.emit("mul", x, y), b.emit("mul", b.emit("neg", y), x)),
        ],
        x="float64",
        y="float64",
    )
    x = np.random.default_rng(0).uniform(0.1, 200, 200)
    for at in range(0, 200, 40) if "y" in axes else [slice(None)]:
        y = (("y",), x[at : at + 1]) if "y" in axes else (("x",), x)
        for found in run(FUSED, program, leaves_of(x=(("x",), x), y=y), axes):
            np.testing.assert_array_equal(found.reshape(200)[at], 0.0)


def test_a_lane_does_not_see_its_neighbours():
    """NaN, infinities and huge numbers take slow paths, which must leave other lanes alone."""
    names = ["sin", "exp", "log", "pow", "erfc", "tan", "atanh", "cbrt", "log1p"]
    two = {"pow", "atan2"}
    program = program_of(
        lambda b, x: [b.emit(n, x, x) if n in two else b.emit(n, x) for n in names], x="float64"
    )
    rng = np.random.default_rng(5)
    usual = rng.uniform(0.1, 0.9, 64)
    odd = usual.copy()
    odd[::3] = rng.choice([np.nan, np.inf, -np.inf, 1e300, 5e-324, -0.0], odd[::3].shape)
    found = [run(FUSED, program, leaves_of(x=(("i",), x)), {"i": 64}) for x in (usual, odd)]
    mask = odd == usual
    for a, b in zip(*found):
        np.testing.assert_array_equal(a[mask], b[mask])
