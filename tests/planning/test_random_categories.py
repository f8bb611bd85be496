"""Numbers and categories along random dims, in random order, beside the formula at every point."""

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.running import destination
from tests.support.categories import FRAMEWORKS
from tests.support.controls import must_fail

SIZES = {"a": 2, "b": 3, "c": 4}
FACTORS = {"low": 0.5, "mid": 2.0, "high": 3.0}
ADDED = {True: 10.0, False: -1.0}


def f(x, y, kind, n, flag):
    z = FACTORS[kind] * x
    for _ in range(n):
        z = z * x
    return z + (y * y if flag else 3.0 * y) + ADDED[flag]


def g(x, y, kind, n, flag):
    """The same, with a Python branch on numbers in one category, and one that is not read."""
    z = FACTORS[kind] * x
    if kind == "mid" and x > y:
        z = z * x * x
    return z + (y * y if flag else 3.0 * y)


def formulas(function, x, y, kind, n, flag):
    """Return the value, df/dx and df/dy, with NumPy."""
    factor = np.vectorize(FACTORS.get)(kind).astype(float)
    if function is f:
        power, added = n + 1, np.where(flag, 10.0, -1.0)
    else:
        power, added = np.where((kind == "mid") & (x > y), 3, 1), 0.0
    value = factor * x**power + np.where(flag, y * y, 3 * y) + added
    return value, factor * power * x ** (power - 1), np.where(flag, 2 * y, 3.0)


class Case:
    """A sweep whose arguments have random dims, and their values along all dims.

    Args:
        scale: what x and y are multiplied by.
    """

    def __init__(self, seed, scale=1.0):
        draw = np.random.default_rng(seed)
        pools = {
            "x": draw.uniform(0.5, 2.0, 50),
            "y": draw.uniform(0.5, 2.0, 50),
            "kind": np.array([*FACTORS]),
            "n": np.array([1, 2, 4]),
            "flag": np.array([True, False]),
        }
        # `each` is along one dim, and words along several; numbers may be fixed.
        counts = {"x": [0, 1, 1, 2], "y": [0, 1, 1, 2], "kind": [1, 1, 2], "n": [1], "flag": [1, 2]}
        self.arguments, self.full = {}, {}
        for name in map(str, draw.permutation([*pools])):
            dims = tuple(map(str, draw.permutation([*SIZES])[: draw.choice(counts[name])]))
            values = draw.choice(pools[name], [SIZES[dim] for dim in dims])
            values = values * scale if name in "xy" else values
            self.full[name] = self.spread(values, dims)
            written = {"n": gs.each, "flag": np.ndarray.tolist}.get(name, np.asarray)(values)
            self.arguments[name] = (dims, written) if dims else float(written)
        self.sweep = gs.Sweep(self.arguments)

    @property
    def numbers(self):
        """x and y as a kernel takes them."""
        given = {name: self.arguments[name] for name in "xy"}
        return {n: v[1] if isinstance(v, tuple) else v for n, v in given.items()}

    @staticmethod
    def spread(values, dims):
        order = sorted(range(len(dims)), key=lambda i: dims[i])
        shape = [SIZES[dim] if dim in dims else 1 for dim in SIZES]
        return np.broadcast_to(np.transpose(values, order).reshape(shape), [*SIZES.values()])

    def require(self, arrays, function):
        """Check arrays, given with their dims by name, along all dims."""
        exact = formulas(function, **self.full)
        for name, expected in zip(("{}", "d{}_dx", "d{}_dy"), exact):
            values, dims = arrays[name.format(function.__name__)]
            assert set(dims) <= set(self.sweep.axes)
            np.testing.assert_allclose(self.spread(values, dims), expected, rtol=1e-13)


def labelled(ds):
    return {name: (array.values, array.dims) for name, array in ds.data_vars.items()}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("first", range(0, 40, 10))
def test_random_sweeps_of_categories(first, framework):
    for seed in range(first, first + 10):
        case = Case(seed)
        for function in (f, g) if framework == "torch" else (f,):
            options = {"wrt": ["x", "y"], "with_value": True, "framework": framework}
            case.require(labelled(gs.gradient(function, case.sweep, **options)), function)


@pytest.mark.torch
@pytest.mark.parametrize("first", range(0, 12, 3))
def test_random_sweeps_of_categories_part_by_part(first, monkeypatch):
    monkeypatch.setattr(destination, "STORED_PART_BYTES", 100)
    for seed in range(first, first + 3):
        case = Case(seed)
        for function in (f, g):
            ds = gs.gradient(function, case.sweep, wrt=["x", "y"], with_value=True, on_error="mask")
            case.require(labelled(ds), function)


@pytest.mark.torch
@pytest.mark.parametrize("seed", range(12))
def test_random_kernels_of_categories(seed):
    options = {"wrt": ["x", "y"], "with_value": True}
    for function in (f, g):
        kernel = gs.compile(gs.gradient, function, Case(seed).sweep, **options)
        for case in (Case(seed), Case(seed, scale=1.25)):
            found, ds = kernel(**case.numbers), gs.gradient(function, case.sweep, **options)
            case.require({name: (found[name], ds[name].dims) for name in found}, function)


@pytest.mark.torch
def test_categories_in_the_wrong_place_are_found():
    """The control: words in another order."""
    case = Case(3)
    ds = gs.gradient(f, case.sweep, wrt=["x", "y"], with_value=True)
    case.require(labelled(ds), f)
    case.full["kind"] = case.full["kind"][::-1, ::-1, ::-1]
    must_fail(case.require, labelled(ds), f)
