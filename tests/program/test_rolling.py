"""What a Program repeats becomes Loops, and nothing else changes: no bit, no guard, no dim."""

import random

import numpy as np
import pytest

from gradsweep.engines.fused import FusedEngine
from gradsweep.engines.fused.lowering import contraction
from gradsweep.engines.numpy import ReferenceEngine, evaluate
from gradsweep.program.builder import Builder
from gradsweep.program.loading import load
from gradsweep.program.program import Output, Program
from gradsweep.program.rolled_loops import Step
from gradsweep.program.rolling import rolled, steps
from gradsweep.program.rolling.repeats import find_repeats
from gradsweep.request.leaf import Leaf
from tests.support.controls import must_fail
from tests.support.loops_of_programs import rolled as loop_of
from tests.support.programs import leaves_of, run

# By primitive, the kinds of its operands: a float or a bool; and of its result.
GRAMMAR = {
    "add": "fff", "sub": "fff", "mul": "fff", "min": "fff", "max": "fff", "neg": "ff",
    "sin": "ff", "gt": "ffb", "and": "bbb", "select": "bfff",
}  # fmt: skip


def recurrence(seed: int, n_steps: int = 150, dtype: str = "float64") -> Program:
    """Write a random recurrence step by step, and one that reads what it left in reverse."""
    rng = random.Random(seed)
    b = Builder()
    given = [b.input("p", i, dtype) for i in range(4)]
    series = [b.input("u", i, dtype) for i in range(n_steps)]
    recipe, rows = _recipe(rng, rng.randint(18, 30)), []
    states = [[given[0], b.emit("neg", v), v] for v in given[1:]]
    count = b.input("n", 0, "int64")
    for t in range(n_steps):
        count = b.emit("add", count, b.constant(1 + t % 2, "int64"))
        own = {"given": given, "count": [b.cast(count, dtype)], "series": [series[t]]}
        own["number"] = [b.constant(0.01 * t * t - 0.3, dtype)]
        rows.append(_step(rng, b, recipe, states, own, is_guarded=seed % 3 == 0))
    ends = [state[-1] for state in states]
    recipe = _recipe(rng, rng.randint(18, 30))
    states = [[v, v, v] for v in ends]
    for row in rows[::-1]:
        _step(rng, b, recipe, states, {"given": given, "series": row[:4], "number": row[4:6]})
    ends += [state[-1] for state in states]
    picked = [row[k % len(row)] for k, row in enumerate(rows) if k % 7 == seed % 7]
    outputs = [Output("ends", (len(ends),), tuple(ends))]
    return b.finish([*outputs, Output("picked", (len(picked),), tuple(picked))])


def _recipe(rng, size):
    """Draw the equations of a step: a primitive, and where each operand comes from."""
    recipe, kinds = [], []
    for _ in range(size):
        name = rng.choice([n for n, k in GRAMMAR.items() if "b" not in k[:-1] or "b" in kinds])
        operands = []
        for kind in GRAMMAR[name][:-1]:
            here = [i for i, k in enumerate(kinds) if k == kind]
            if kind == "b" or (here and rng.random() < 0.6):
                operands.append(("here", rng.choice(here[-6:])))
            elif rng.random() < 0.6:
                operands.append(("state", rng.randrange(3), rng.choice([1, 1, 1, 2, 3])))
            else:
                operands.append((rng.choice(["given", "count", "series", "number"]), rng.random()))
        recipe.append((name, operands))
        kinds.append(GRAMMAR[name][-1])
    floats = [i for i, kind in enumerate(kinds) if kind == "f"]
    return recipe, [rng.choice(floats[-8:]) for _ in range(3)], kinds


def _step(rng, b, drawn, states, own, is_guarded=False):
    """Write a step; return the floats that it computes."""
    recipe, following, kinds = drawn
    here = []

    def value(kind, which, ago=1):
        if kind == "here":
            return here[which]
        if kind == "state":
            return states[which][-ago]
        values = own.get(kind, own["given"])
        return values[int(which * len(values))]

    for name, operands in recipe:
        here.append(b.emit(name, *(value(*operand) for operand in operands)))
    if is_guarded and "b" in kinds:
        b.guard(here[kinds.index("b")], rng.random() < 0.5, "the branch")
    for state, place in zip(states, following):
        # Tamed, so that numbers stay ordinary for long.
        state.append(b.emit("sin", here[place]))
    return [v for v, kind in zip(here, kinds) if kind == "f"]


def sets_of(program):
    return [{(entry.leaf, entry.element)} for entry in program.inputs]


def same(program: Program, other: Program, sets) -> bool:
    """Tell whether two Programs yield the same bits, and their outputs depend on the same."""
    rng = np.random.default_rng(0)
    sizes: dict[str, int] = {}
    for entry in program.inputs:
        sizes[entry.leaf] = max(sizes.get(entry.leaf, 0), entry.element + 1)
    dtypes = {entry.leaf: entry.dtype for entry in program.inputs}
    leaves = {
        key: Leaf(key, ("x",), (n,), (3 * rng.normal(size=(5, n))).astype(dtypes[key]))
        for key, n in sizes.items()
    }
    found = []
    for p in (program, other):
        wanted = [v for output in p.outputs for v in output.variables]
        wanted += [guard.variable for guard in p.guards]
        values = evaluate(p, leaves, ("x",), list(p.numbered()), wanted)
        depends = p.propagate(sets, wanted)
        arrays = [values[variable] for variable in wanted]
        found.append(
            (
                [(array.dtype, array.shape, array.tobytes()) for array in arrays],
                [depends[variable] for variable in wanted],
                [output[:2] for output in p.outputs],
                [guard[1:] for guard in p.guards],
            )
        )
    return found[0] == found[1]


@pytest.mark.parametrize("seed", range(110, 126))
def test_a_rolled_program_gives_the_same_bits_and_depends_on_the_same(seed):
    program = recurrence(seed, dtype=("float64", "float32")[seed % 2])
    for sets in (sets_of(program), [[]] * len(program.inputs)):
        found = rolled(program, sets)
        assert same(program, found, sets)
        assert load(found.to_json()).to_json() == found.to_json()


def stepped(n_steps, write, *given):
    """Return a Program that writes a step of numbers, again and again, from some inputs."""
    b = Builder()
    inputs = [b.input(name, 0, "float64") for name in given]
    now = list(inputs)
    for step in range(n_steps):
        now = write(b, inputs, now, step)
    return b.finish([Output("ends", (len(now),), tuple(now))])


def test_a_loop_in_every_step_is_a_loop_in_a_loop():
    def inner(b, carries, given, rows):
        return Step([b.emit("add", b.emit("mul", carries[0], given[0]), rows[0])], carries)

    def outer(b, inputs, now, step):
        row = [b.constant(0.1 * k, "float64") for k in range(5)]
        (x,), (path,) = loop_of(b, inner, [now[0]], [inputs[1]], [row], n_steps=5)
        for place in path[2:]:
            x = b.emit("sin", b.emit("sub", x, b.emit("mul", place, now[1])))
        return [x, b.emit("add", b.emit("mul", x, path[1]), now[1])]

    program = stepped(200, outer, "x", "y")
    sets = sets_of(program)
    found = rolled(program, sets)
    (loop,) = [loop for loop in found.loops if loop.n_steps > 190]
    assert [own.n_steps for own in loop.body.loops] == [5]
    assert same(program, found, sets)


def test_steps_that_look_alike_are_told_by_what_they_read():
    """Twelve times the same equations, with numbers of their own: these are one step."""
    b = Builder()
    x, rate = b.input("x", 0, "float64"), b.input("rate", 0, "float64")
    series = [b.input("u", k, "float64") for k in range(100)]
    speeds = [b.emit("mul", rate, b.constant(0.1 * k, "float64")) for k in range(12)]
    for now in series:
        for speed in speeds:
            x = b.emit("tanh", b.emit("add", b.emit("mul", x, speed), b.emit("mul", now, x)))
    program = b.finish([Output("ends", (), (x,))])
    sets = [[]] * len(program.inputs)
    found = rolled(program, sets)
    (loop,) = found.loops
    assert len(loop.body.equations) == 12 * 4 and loop.n_rows == 1 and loop.n_given == 12
    assert same(program, found, sets)


def test_a_body_that_repeats_itself_is_rolled_too():
    def outer(b, inputs, now, step):
        x, y = now
        for k in range(130):
            for name in ("sin", "neg", "exp", "tanh"):
                x = b.emit(name, b.emit("mul", x, b.emit("add", y, inputs[1])))
            for name in ("tanh", "neg", "sin", "exp"):
                y = b.emit(name, b.emit("mul", y, b.emit("sub", x, b.constant(0.1 * k, "float64"))))
        return [b.emit("sin", b.emit("add", x, y)), b.emit("sin", b.emit("sub", x, y))]

    program = stepped(8, outer, "x", "y")
    assert len(program.equations) > 12_000
    sets = [["x"], ["x"]]
    found = rolled(program, sets)
    assert found.n_written < 500
    assert any(loop.body.loops for loop in found.loops)
    assert same(program, found, sets)


def test_what_ten_steps_ago_left_is_carried_and_what_forty_steps_ago_left_is_not():
    for ago, is_carried in ((3, True), (10, True), (40, False)):
        b = Builder()
        past = [b.input("x", k, "float64") for k in range(ago)]
        for _ in range(600):
            x = b.emit("mul", b.emit("sin", past[-ago]), past[-1])
            past.append(b.emit("tanh", b.emit("add", b.emit("cos", x), past[-1])))
        program = b.finish([Output("ends", (), (past[-1],))])
        found = rolled(program, [[]] * ago)
        assert bool(found.loops) == is_carried
        assert same(program, found, [[]] * ago)


def test_the_numbers_of_every_step_become_a_row_of_constants():
    def write(b, inputs, now, step):
        number = b.constant(np.float32(1.1) * step, "float32")
        x = b.emit("sin", b.emit("mul", now[0], b.cast(number, "float64")))
        count = b.emit("add", b.emit("to_int64", x), b.constant(3 * step, "int64"))
        x = b.emit("add", x, b.cast(count, "float64"))
        return [b.emit("cos", b.emit("tanh", x))]

    program = stepped(500, write, "x")
    found = rolled(program, [[]])
    (loop,) = found.loops
    assert loop.n_rows == 2 and loop.n_carries == 1 and found.n_written < 60
    assert same(program, found, [[]])


def test_a_short_program_stays_as_it_is():
    def write(b, inputs, now, step):
        return [b.emit("sin", b.emit("add", b.emit("cos", now[0]), inputs[0]))]

    for n_steps, is_rolled in ((600, False), (700, True)):
        program = stepped(n_steps, write, "x")
        assert bool(rolled(program, [[]]).loops) == is_rolled


@pytest.mark.parametrize("period", [1, 2, 7, 100])
def test_repeats_of_a_sequence_are_found_wherever_they_stand(period):
    rng = np.random.default_rng(period)
    before, body, after = (rng.integers(0, 50, size) for size in (37, period, 53))
    for times in (3, 4, 11):
        sequence = np.concatenate([before, *[body] * times, after])
        found = list(find_repeats(sequence, 3 * period))
        for start, end, distance in found:
            assert np.array_equal(
                sequence[start : end - distance], sequence[start + distance : end]
            )
        assert any(s <= 37 and e >= 37 + times * period for s, e, p in found if p == period)


def test_a_sequence_without_repeats_has_none():
    tree = np.concatenate([[0] + [1] * n for n in range(60)])
    assert not [r for r in find_repeats(tree, 150) if r.period > 1]
    assert not list(find_repeats(np.random.default_rng(0).integers(0, 9, 5000), 30))


def far_back():
    """Read at every step what any earlier one left, which no Loop can stand for."""
    rng = random.Random(0)
    b = Builder()
    past = [b.input("x", 0, "float64")]
    for _ in range(300):
        x = b.emit("mul", past[-1], rng.choice(past[: max(1, len(past) // 2)]))
        for name in ("sin", "cos", "tanh") * 5:
            x = b.emit("add", b.emit(name, x), past[0])
        past.append(x)
    program = b.finish([Output("ends", (), (past[-1],))])
    assert same(program, rolled(program, [[]]), [[]])


def test_steps_that_read_any_earlier_step_are_no_loop():
    far_back()


def test_control_without_a_look_at_where_variables_come_from_they_are_missing(monkeypatch):
    monkeypatch.setattr(steps, "_outside", lambda whole, place, begin, end: begin)
    with pytest.raises(KeyError):
        far_back()


def differences_of_products():
    """Subtract equal products that one loop leaves, another computes, and no loop does."""
    b = Builder()
    x, y = b.input("x", 0, "float64"), b.input("y", 0, "float64")
    products, path = [], []
    for _ in range(300):
        x = b.emit("tanh", b.emit("add", b.emit("sin", x), b.constant(0.7, "float64")))
        products.append(b.emit("mul", x, x))
        path.append(x)
    total = b.constant(0.0, "float64")
    for product in products:
        y = b.emit("tanh", b.emit("add", b.emit("sin", y), b.constant(0.7, "float64")))
        apart = b.emit("sub", product, b.emit("mul", y, y))
        total = b.emit("add", total, b.emit("abs", apart))
    same_x = b.emit("copysign", path[150], path[150])
    middle = b.emit("sub", products[150], b.emit("mul", same_x, same_x))
    program = b.finish([Output("total", (), (total,)), Output("middle", (), (middle,))])
    found = rolled(program, [["i"], ["i"]])
    assert len(found.loops) == 2
    values = np.linspace(-2, 2, 41)
    leaves = leaves_of(x=(("i",), values), y=(("i",), values))
    for result in run(FusedEngine(threads=1), found, leaves, {"i": 41}):
        assert not np.any(result)


def test_equal_products_differ_by_nothing_wherever_they_are_computed():
    differences_of_products()


def test_control_without_products_that_are_seen_differences_are_rounded(monkeypatch):
    def find_apart(finder, loop, are_products):
        finder.find(loop.body, loop, loop.body.numbered(), set())
        return set()

    monkeypatch.setattr(contraction._Finder, "_find_in_loop", find_apart)
    must_fail(differences_of_products)


def test_a_program_may_have_more_inputs_and_constants_than_equations():
    b = Builder()
    factors = [(b.input("x", k, "float64"), b.constant(1.5 + k, "float64")) for k in range(1500)]
    total = b.emit("mul", *factors[0])
    for pair in factors[1:]:
        total = b.emit("add", total, b.emit("mul", *pair))
    program = b.finish([Output("y", (), (total,))])
    assert program.n_leading > len(program.equations)
    same = rolled(program, [["x"]] * len(program.inputs))
    x = np.linspace(-1.0, 1.0, 1500)
    (found,) = run(ReferenceEngine(), same, {"x": Leaf("x", (), x.shape, x)}, {})
    assert found == sum(value * (1.5 + k) for k, value in enumerate(x))
