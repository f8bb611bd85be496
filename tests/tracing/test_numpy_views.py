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


# What NumPy shares is shared, and what it copies is a copy. Each gives an array.

OUTSIDE = np.array([1.0, -2.0, 3.0])


class Model:
    def __init__(self):
        self.rates = np.array([1.0, 2.0, 3.0])
        self.function = np.exp

    def at(self, x):
        rates = self.rates.copy()
        rates[0] = self.function(x)
        return rates


MODEL = Model()


def diagonals(x):
    a = np.outer([x, 1.0, 2.0], [1.0, x, 3.0])
    seen, offset, shared = np.diagonal(a), a.diagonal(1), np.diag(a)
    a[0, 0] = 9 * x
    a[0, 1] = 7 * x
    return np.concatenate([seen, offset, shared, np.diag(np.array([x, 1.0]), 1)[0]])


def broadcast(x):
    a, c = np.array([x, 1.0]), np.ones(2)
    b, (d, _) = np.broadcast_to(a, (2, 2)), np.broadcast_arrays(c, np.zeros((2, 2)))
    a[0] = 9.0
    c[1] = x
    return b * d * x


def named_anew(x):
    a = np.zeros((3, 3))
    np.einsum("ii->i", a)[:] = x
    np.einsum("ij->ji", a)[0, 2] = 5.0
    return a


def types_kept_or_not(x):
    a = np.array([x, 1.0])
    b, c, d = a.astype(float, copy=False), a.astype(float), np.asarray(a, copy=True)
    b[0], c[1], d[1] = 5.0, 6.0, 7.0
    e = np.array(a, copy=None)
    e[1] = x * x
    return a


def in_one_block(x):
    a = np.array([[x, 1.0], [2.0, 3.0]])
    b = np.ascontiguousarray(a.T)
    b[0] = 9.0
    a.shape = (4,)
    v = a.view()
    v[1] = x * x
    return np.concatenate([a, b.ravel()])


def in_fortrans_order(x):
    a = np.zeros((2, 3), order="F")
    b = np.outer([x, 1.0, 2.0], [x, 2.0]).T * 2.0
    c = np.array(b)
    for array in (a, b, c):
        array.reshape(-1)[0] = 7.0
        array.ravel("F")[1] = x
    return np.stack([a, b, c, b.copy()])


def parts_of_complex_numbers(x):
    a = np.array([x, 1j])
    real = a.real
    real[0] = 5.0
    a[1] = x
    a.imag[0] = 2 * x
    return np.concatenate([real, a.imag])


def returned_as_given(x):
    a, c = np.ones(3), np.array([x, 1.0, 0.5])
    d = np.cumsum(a, 0, float, a)
    e = np.nan_to_num(a, copy=False)
    grid = np.meshgrid(a, np.ones(2), copy=False)[0]
    d[0] = x
    e[1] = 2 * x
    f = np.outer(c, c)
    f.T.flat[1] = x
    return np.concatenate([a, grid[0], f[1], c - (c > 0.7), (x > 9) - c])


def of_outside(x):
    a, b, c = OUTSIDE.copy(), OUTSIDE * 1.0, OUTSIDE.reshape(3, 1).copy()
    d, e, f = np.sort(OUTSIDE), OUTSIDE[[0, 1, 1]], OUTSIDE[:3].astype(float)
    g, h = OUTSIDE.flatten(), OUTSIDE.cumsum()
    for i, array in enumerate((a, b, c, d, e, f, g, h)):
        array[i % 3] = x * (i + 1)
    return np.concatenate([a, b, c[:, 0], d, e, f, g, h, MODEL.at(x)])


def of_defaults(x, weights=OUTSIDE, function=np.exp, /):
    w = weights.copy()
    w[1] = function(x)
    return w


SHARED = [
    diagonals, broadcast, named_anew, types_kept_or_not, in_one_block, in_fortrans_order,
    parts_of_complex_numbers, returned_as_given, of_outside, lambda x: of_defaults(x),
]  # fmt: skip


def of_each(x):
    return [np.ravel(f(x)) for f in SHARED]


def shared(x):
    return np.concatenate(of_each(x))


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_memory_is_shared_where_numpy_shares_it(framework):
    before = OUTSIDE.copy()
    found = gs.gradient(
        lambda x: np.sum(shared(x) * WEIGHTS), gs.Sweep(x=POINT), framework=framework
    )
    (slope,) = found.data_vars.values()
    h = 1e-6
    difference = np.sum((shared(POINT + h) - shared(POINT - h)) * WEIGHTS) / (2 * h)
    np.testing.assert_allclose(slope, difference, rtol=1e-8)
    values = gs.value(shared, gs.Sweep(x=POINT), framework=framework).shared.values
    ends = np.cumsum([part.size for part in of_each(POINT)])
    for f, part, expected in zip(SHARED, np.split(values, ends), of_each(POINT)):
        np.testing.assert_allclose(part, expected, rtol=1e-14, err_msg=f.__name__)
    np.testing.assert_array_equal(OUTSIDE, before)


WEIGHTS = np.cos(np.arange(shared(POINT).size))


def test_what_is_read_only_is_not_written_into():
    for f in (
        lambda x: np.broadcast_to(np.array([x, 1.0]), (2, 2)).__setitem__(0, x),
        lambda x: np.diagonal(np.full((2, 2), x)).__setitem__(0, x),
    ):
        with pytest.raises(ValueError, match="read-only"):
            f(1.0)
        with pytest.raises(ValueError, match="read-only"):
            gs.value(f, gs.Sweep(x=POINT), framework="torch")
