"""Lookups: an entry of a table at a place, wherever the table is in memory."""

import numpy as np
import pytest

from gradsweep.engines.fused.engine import FusedEngine
from gradsweep.engines.fused.lowering.codegen import find_lanes, write_module
from gradsweep.engines.fused.lowering.schedule import make_schedule
from gradsweep.engines.fused.target import Isa
from gradsweep.engines.numpy import ReferenceEngine
from gradsweep.program.builder import Builder
from gradsweep.program.program import Output, Program
from tests.support.programs import leaves_of, make_job, run

N = 11  # entries
N_POINTS = 37
RNG = np.random.default_rng(5)
ENGINES = {
    "reference": ReferenceEngine(),
    "fused": FusedEngine(threads=1),
    "fused, narrow": FusedEngine(threads=1, isa=Isa("", "", 16)),
}
# Beyond both ends too, and so far that no memory is there.
PLACES = RNG.integers(-4, N + 4, N_POINTS)
PLACES[[0, 20, 36]] = -(2**62), 2**62, N
NEAREST = np.clip(PLACES, 0, N - 1)

TABLES = {
    "float64": RNG.normal(size=N),
    "float32": RNG.normal(size=N).astype("float32"),
    "int64": RNG.integers(-9, 9, N),
    "bool": np.arange(N) % 3 == 0,
}


def lookup(b: Builder, table: list[int]) -> Program:
    place = b.emit("to_int64", b.input("place", 0, "float64"))
    found = b.emit("lookup", place, *table)
    return b.finish([Output("y", (), (found,))])


def found_by(engine: str, program: Program, **leaves) -> np.ndarray:
    place = (("i",), PLACES.astype(float))
    (found,) = run(ENGINES[engine], program, leaves_of(place=place, **leaves), {"i": N_POINTS})
    return found


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", TABLES)
def test_a_table_of_constants_is_looked_up(dtype, engine):
    b, table = Builder(), TABLES[dtype]
    program = lookup(b, [b.constant(entry.item(), dtype) for entry in table])
    found = found_by(engine, program)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, table[NEAREST])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_table_that_is_the_same_at_every_point_is_looked_up(dtype, engine):
    b, table = Builder(), TABLES[dtype]
    program = lookup(b, [b.input("table", k, dtype) for k in range(N)])
    np.testing.assert_array_equal(found_by(engine, program, table=((), table)), table[NEAREST])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_table_for_each_point_is_looked_up(dtype, engine):
    b, tables = Builder(), RNG.normal(size=(N_POINTS, N)).astype(dtype)
    program = lookup(b, [b.input("table", k, dtype) for k in range(N)])
    found = found_by(engine, program, table=(("i",), tables))
    np.testing.assert_array_equal(found, tables[np.arange(N_POINTS), NEAREST])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_table_that_is_computed_at_each_point_is_looked_up(engine):
    b = Builder()
    x = b.input("x", 0, "float64")
    program = lookup(b, [b.emit("mul", x, b.constant(k + 2.0, "float64")) for k in range(N)])
    values = RNG.normal(size=N_POINTS)
    found = found_by(engine, program, x=(("i",), values))
    np.testing.assert_array_equal(found, values * (NEAREST + 2.0))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_table_of_entries_of_all_kinds_is_looked_up(engine):
    b = Builder()
    x, c = b.input("x", 0, "float64"), b.input("c", 0, "float64")
    kinds = [x, b.constant(7.0, "float64"), c, b.emit("add", x, c), b.emit("neg", c)]
    values = RNG.normal(size=N_POINTS)
    rows = np.stack([values, 7.0 + 0 * values, 0.5 + 0 * values, values + 0.5, -0.5 + 0 * values])
    found = found_by(engine, lookup(b, kinds), x=(("i",), values), c=((), np.array(0.5)))
    nearest = np.clip(PLACES, 0, len(kinds) - 1)
    np.testing.assert_array_equal(found, rows[nearest, np.arange(N_POINTS)])


def n_lines(kind: str, n: int) -> int:
    """Return how long the machine code of one lookup is, in a table of n entries."""
    b, entries, leaf = Builder(), RNG.normal(size=n), {}
    table = [b.constant(entry, "float64") for entry in entries]
    if kind != "constants":
        table = [b.input("table", k, "float64") for k in range(n)]
        leaf = {"table": (("i",), np.ones((5, n))) if kind == "each" else ((), entries)}
    if kind == "mixed":
        table[1] = b.constant(0.5, "float64")
    program = lookup(b, table)
    leaves = leaves_of(place=(("i",), np.arange(5.0)), **leaf)
    isa = Isa("", "", 32)
    schedule = make_schedule(make_job(program, leaves, ("i",)), ("i",))
    return write_module(schedule, find_lanes(program, isa), isa).ir.count("\n")


@pytest.mark.parametrize("kind", ["constants", "same", "each"])
def test_machine_code_is_no_longer_for_a_longer_table(kind):
    """Else a lookup would be a comparison for every entry."""
    assert n_lines(kind, 400) == n_lines(kind, 40)


def test_machine_code_grows_where_the_entries_are_not_in_one_place():
    """The control: these are compared one by one."""
    assert n_lines("mixed", 400) > n_lines("mixed", 40) + 700


def test_a_lookup_becomes_selects_where_few_entries_differ():
    b = Builder()
    x, y = b.input("x", 0, "float64"), b.input("y", 0, "float64")
    for table in ([x] * 5 + [y] * 6, [x] * 4 + [y] + [x] * 6, [x] * N):
        program = lookup(b, table)
        assert "lookup" not in {primitive for primitive, _ in program.primitives}
        values = RNG.normal(size=(2, N_POINTS))
        leaves = {"x": (("i",), values[0]), "y": (("i",), values[1])}
        rows = np.array([[k == y for k in table]], dtype=int)[0]
        expected = values[rows[NEAREST], np.arange(N_POINTS)]
        np.testing.assert_array_equal(found_by("fused", program, **leaves), expected)
