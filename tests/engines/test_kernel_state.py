"""A compiled quantity keeps what the function read at compilation, in every kind of call."""

import numpy as np
import pytest

import gradsweep as gs
from gradsweep.errors import StatefulFunction, SweepError

rate = 2.0


def scaled(x, y):
    return rate * x * y


def kinked(x, y):
    return rate * x * y if x > 0 else -5.0 * rate * x * y


@pytest.fixture(autouse=True)
def as_it_was():
    yield
    globals()["rate"] = 2.0


@pytest.mark.parametrize("values", [np.array([1.0, 2.0]), [1.0, 2.0], np.array([1, 2])])
def test_every_form_of_call_keeps_what_was_compiled(values):
    kernel = gs.compile(gs.gradient, scaled, gs.Sweep(x=[1.0, 2.0], y=1.0))
    globals()["rate"] = 3.0
    assert kernel(x=values)["dscaled_dx"] == 2.0
    assert gs.gradient(scaled, gs.Sweep(x=values, y=1.0)).dscaled_dx == 3.0


@pytest.mark.torch
def test_a_branch_of_a_changed_function_is_not_mixed_with_the_old_one():
    kernel = gs.compile(gs.gradient, kinked, gs.Sweep(x=[1.0, 2.0], y=1.0))
    globals()["rate"] = 3.0
    assert kernel(x=[2.0, 1.0])["dkinked_dx"] == 2.0
    for _ in range(2):
        with pytest.raises(StatefulFunction, match="has changed since it was compiled"):
            kernel(x=[1.0, -1.0])


@pytest.mark.torch
def test_a_new_branch_of_the_same_function_is_followed():
    kernel = gs.compile(gs.gradient, kinked, gs.Sweep(x=[1.0, 2.0], y=1.0))
    np.testing.assert_array_equal(kernel(x=[1.0, -1.0])["dkinked_dx"], [2.0, -10.0])


@pytest.mark.torch
def test_what_cannot_be_written_into_is_refused_by_name():
    import torch

    kernel = gs.compile(gs.gradient, lambda x: x**2, gs.Sweep(x=[1.0, 2.0]))
    with pytest.raises(SweepError, match="out is ndarray; give a dict"):
        kernel(out=np.empty(2))
    with pytest.raises(SweepError, match="'df_dx'. is Tensor, which cannot be written into"):
        kernel(out={"df_dx": torch.empty(2, dtype=torch.float64, requires_grad=True)})
