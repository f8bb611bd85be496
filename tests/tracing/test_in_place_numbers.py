"""Numbers that operators work on in place, and integers to a power: as Python has them."""

import math

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import UntraceableError

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("torch", "jax")]

X = np.array([2.0, 3.0, 5.0])


def horner(x, c):
    y = c
    y *= x
    y += c
    return y


def ramp(x):
    total = x
    for i in range(3):
        total += x * i
    return total


def first_twice(x, w):
    s = w[0]
    s += x
    return s * w[0]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_an_operator_in_place_leaves_the_other_names_of_a_number_as_they_are(framework, mode):
    ds = gs.gradient(horner, gs.Sweep(x=X, c=0.5), framework=framework, mode=mode, with_value=True)
    np.testing.assert_allclose(ds.horner, 0.5 * X + 0.5)
    np.testing.assert_allclose(ds.dhorner_dc, X + 1.0)
    np.testing.assert_allclose(ds.dhorner_dx.broadcast_like(ds.x), 0.5)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_sums_in_place_are_sums(framework):
    ds = gs.gradient(ramp, gs.Sweep(x=X), framework=framework, with_value=True)
    np.testing.assert_allclose(ds.ramp, 4.0 * X)
    weights = ((), np.array([1.0, 2.0, 5.0]))
    ds = gs.gradient(
        first_twice, gs.Sweep(x=X, w=weights), wrt="x", framework=framework, with_value=True
    )
    np.testing.assert_allclose(ds.first_twice, 1.0 + X)


@pytest.mark.torch
def test_a_tensor_of_the_callers_is_written_into_as_torch_does():
    import torch

    def doubled(x):
        y = x * 1.0
        z = y
        z *= 2.0
        return y.clone().sum()  # y is z

    ds = gs.value(doubled, gs.Sweep(x=torch.tensor([1.0, 2.0], dtype=torch.float64)))
    np.testing.assert_allclose(ds.doubled, [2.0, 4.0])


def mantissa(x):
    return x / 10 ** math.floor(math.log10(x))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_integer_to_a_negative_one_is_a_fraction(framework):
    sweep = gs.Sweep(x=[0.02, 0.7, 3.6, 480.0])
    ds = gs.gradient(mantissa, sweep, framework=framework, with_value=True)
    np.testing.assert_allclose(ds.mantissa, [2.0, 7.0, 3.6, 4.8], rtol=1e-14)
    np.testing.assert_allclose(ds.dmantissa_dx, [100.0, 10.0, 1.0, 0.01], rtol=1e-14)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_number_made_by_zeros_like_is_added_to(framework):
    def series(x):
        s = np.zeros_like(x)
        for i in range(3):
            s += x**i
        return s

    ds = gs.gradient(series, gs.Sweep(x=X), framework=framework, with_value=True)
    np.testing.assert_allclose(ds.series, 1 + X + X**2)
    np.testing.assert_allclose(ds.dseries_dx, 1 + 2 * X)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_memory_of_np_empty_is_the_same_at_every_trace(framework):
    def wrapped(x):
        a = np.empty(3)
        a[:] = x
        a %= 2
        return a.sum() * x

    ds = gs.gradient(wrapped, gs.Sweep(x=[0.5, 2.5, 7.5]), framework=framework, with_value=True)
    np.testing.assert_allclose(ds.wrapped, [0.75, 3.75, 33.75])
    np.testing.assert_allclose(ds.dwrapped_dx, [3.0, 9.0, 27.0])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_complex_number_in_a_real_array_is_refused(framework):
    def f(x):
        h = np.zeros(2)
        h[0] = 1j * x
        return h.sum()

    with pytest.raises(UntraceableError, match="complex number into an array of real ones"):
        gs.value(f, gs.Sweep(x=0.5), framework=framework)


@pytest.mark.torch
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_outside_a_table_that_is_computed_or_written_derivatives_are_nan_as_values_are(mode):
    import torch

    def read(x, y):
        return torch.stack([x, y, x * y])[torch.floor(x).long()]

    def gathered(x, y):
        places = torch.floor(torch.stack([x, y])).long()
        return torch.gather(torch.stack([x, y, x * y]), 0, places).sum()

    def written(x, y):
        ones = torch.ones(4, dtype=torch.float64)
        return torch.index_put(ones, (torch.floor(x).long(),), x * y).sum()

    def scattered(x, y):
        ones = torch.ones(4, dtype=torch.float64)
        return ones.scatter(0, torch.floor(x).long()[None], (x * y)[None]).sum()

    x, y = torch.tensor([0.5, 2.5]), torch.tensor(2.0)
    for f in (read, gathered, written, scattered):
        sweep = gs.Sweep(x=[0.5, 2.5, 7.5], y=2.0)
        ds = gs.gradient(f, sweep, mode=mode, with_value=True)
        for name in ds.data_vars:
            assert np.isnan(ds[name][2]), (f.__name__, name)
        for i in range(2):
            point = [x[i].double().requires_grad_(), y.double().requires_grad_()]
            slopes = torch.autograd.grad(f(*point), point, materialize_grads=True)
            found = [ds[f"d{f.__name__}_d{name}"][i] for name in "xy"]
            np.testing.assert_allclose(found, torch.stack(slopes), rtol=1e-14)
