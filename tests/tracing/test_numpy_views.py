"""Random programs of views and writes: what NumPy's memory holds, the dialect's holds.

Each makes arrays, takes slices, transposes, reshaped arrays and copies of them, and writes numbers
and traced values into any. All arrays are compared with those of a plain call.
"""

import random

import numpy as np
import pytest

import gradsweep as gs

pytest.importorskip("torch")
pytest.importorskip("jax")

POINT = 1.3


class Program:
    """The source of a function that draws its own lines."""

    def __init__(self, rng):
        self.rng, self.shapes = rng, {}
        self.lines = ["def f(x):"]
        self.bind((3, 4), "np.arange(12.0).reshape(3, 4)")
        self.bind((4,), "np.zeros(4)")
        self.bind((2, 3), "np.array([[x, 1.0, 2.0], [3.0, x * x, 0.5]])")
        for _ in range(rng.randint(6, 14)):
            self.draw()
        self.lines.append(f"    return np.concatenate([np.ravel(v) for v in ({self.names},)])")

    @property
    def names(self):
        return ", ".join(self.shapes)

    @property
    def source(self):
        return "\n".join(self.lines)

    def bind(self, shape, text):
        name = f"v{len(self.shapes)}"
        self.lines.append(f"    {name} = {text}")
        self.shapes[name] = shape

    def write(self, text):
        self.lines.append(f"    {text}")

    def draw(self):
        rng = self.rng
        name = rng.choice([name for name, shape in self.shapes.items() if shape])
        shape = self.shapes[name]
        size, i = int(np.prod(shape)), rng.randrange(shape[0])
        value = rng.choice(["x", "0.25", "x * x", f"{name}[0]"])
        lines = [
            lambda: self.bind((size,), f"{name}.reshape(-1)"),
            lambda: self.bind((size,), f"np.ravel({name})"),
            lambda: self.bind(shape[1:], f"{name}[{i}]"),
            lambda: self.bind(shape, f"{name}.copy()"),
            lambda: self.bind(shape, f"{name}[::-1]"),
            lambda: self.bind((-(-shape[0] // 2), *shape[1:]), f"{name}[::2]"),
            lambda: self.bind(
                (*shape[:-1], shape[-1] - 1 or 1), f"{name}[..., -{shape[-1] - 1 or 1}:]"
            ),
            lambda: self.bind(shape[::-1], f"{name}.T"),
            lambda: self.bind((1, *shape), f"{name}[None]"),
            lambda: self.write(f"{name}[{i}] = {value}"),
            lambda: self.write(f"{name} += x"),
            lambda: self.write(f"{name} *= 1.5"),
            lambda: self.write(f"{name}[{name} > 2.0] = {rng.choice(['x', '0.25'])}"),
            lambda: self.write(f"{name}[[0, -1]] = x * x"),
            lambda: self.write(f"{name}[...] = {name}[::-1] + x"),
            lambda: self.write(f"{name}[{i}, ...] -= {value}"),
        ]
        rng.choice(lines)()


def function(seed):
    program = Program(random.Random(seed))
    space = {"np": np}
    exec(program.source, space)
    return space["f"], program.source


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_views_and_writes_are_those_of_numpy(framework):
    for seed in range(40):
        f, source = function(seed)
        found = gs.value(f, gs.Sweep(x=POINT), framework=framework).f
        np.testing.assert_allclose(found, f(POINT), rtol=1e-13, err_msg=source)


def test_control_the_programs_write_through_views():
    def without_views(source):
        return source.replace("[::-1]\n", "[::-1].copy()\n").replace(".T\n", ".T.copy()\n")

    differing = 0
    for seed in range(40):
        f, source = function(seed)
        space = {"np": np}
        exec(without_views(source), space)
        differing += not np.allclose(space["f"](POINT), f(POINT))
    assert differing >= 5
