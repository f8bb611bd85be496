"""What a Program repeats becomes Loops, and nothing else changes: no bit, no guard, no dim."""

import random

import numpy as np
import pytest

from gradsweep.engines.numpy import evaluate
from gradsweep.program.builder import Builder
from gradsweep.program.loading import load
from gradsweep.program.program import Output, Program
from gradsweep.program.rolling import rolled
from gradsweep.request.leaf import Leaf

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
